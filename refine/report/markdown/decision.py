"""Sections of a report about what is proposed and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.design.space_filling import IMPORTED
from refine.proposal.proposal import Proposal
from refine.proposal.rescaling import by_magnitude
from refine.report.markdown.round_facts import Facts, finished, metric_of, shown, states_text, that_matter
from refine.report.markdown.script import configuration_code
from refine.report.markdown.text import Raw, code, escape, joined, quote, table, values_table
from refine.report.markdown.winner import winner_sentence
from refine.report.pages.belief import belief_sentence
from refine.report.pages.checks import says
from refine.report.pages.difference import decision_grid
from refine.report.pages.goal import judged_text
from refine.report.pages.options import OPTIONS_HEAD, option_rows
from refine.report.pages.proposal import (
    EPSILON_SOURCES,
    claim_sentence,
    epsilon_text,
    offer_action,
    own_why,
    quiet_sentences,
)
from refine.report.pages.reasons import next_sentence, sentence
from refine.report.pages.review import scale_offer
from refine.review.next_step import next_step_of
from refine.space.edits import bounds_text
from refine.utils.format import duration, percent, plural, probability, score

if TYPE_CHECKING:
    from refine.proposal.change import Change
    from refine.proposal.proposal import Proposal
    from refine.review.decision import Decision

KIND_WORDS = {
    "accepted": "Accepted as proposed",
    "edited": "Accepted with changes",
    "declined": "Declined",
    "branched": "Branched without regard to the proposal",
    "suggested": "Suggested",
    "chosen": "A point of the front was chosen",
}
"""How every kind of decision is called."""


def _planned(facts: Facts) -> str:
    node, many = facts.node, plural(facts.n, "configuration")
    if node.method == IMPORTED:
        return f"holds {many} that finished elsewhere"
    return f"planned {many}" if node.adaptive else f"planned {many} of {node.space.size:,}"


def summary(facts: Facts) -> Raw:
    """The paragraph at the top: what ran, the best, what is proposed and decided."""
    node, done = facts.node, finished(facts)
    parts = [
        f"Round {code(node.id)} of {escape(facts.tree)} {_planned(facts)}; {escape(states_text(facts))}."
    ]
    if len(done):
        top = done.iloc[0]
        varied = [n for n in node.space.varied if n in done.columns]
        rest = [f"{len(varied) - 8} more"] if len(varied) > 8 else []
        at = joined([f"{n} = {shown(top[n])}" for n in varied[:8]] + rest)
        parts.append(
            f"The best observed {escape(judged_text(metric_of(facts), facts.node.subject_to))} is {score(top['value'])}{', with ' + at if at else ''}."
        )
        parts.append(winner_sentence(facts.winner))
    else:
        parts.append("No trial has a value yet.")
    if facts.analysis is not None:
        names = that_matter(facts)
        parts.append(
            f"{joined(names)} {'matter' if len(names) > 1 else 'matters'}."
            if names
            else "No effect of any parameter is seen on this evidence."
        )
    if facts.proposal is not None:
        parts.append(_proposed_sentence(facts.proposal))
    parts.append(_decided_sentence(facts))
    return Raw(" ".join(p for p in parts if p))


def _proposed_sentence(proposal: Proposal) -> str:
    changes = [f"{c.name} to {bounds_text(c.new)}" for c in proposal.changes if c.kind != "keep"]
    if not changes:
        return "The proposal is to change nothing."
    return f"Proposed: {joined(changes)}, which keeps {percent(proposal.volume_kept)} of the space."


def _decided_sentence(facts: Facts) -> str:
    if not facts.decisions:
        return "Nothing has been decided yet." if facts.proposal is not None else ""
    last = facts.decisions[-1]
    child = f"; the next round is {code(last.child)}" if last.child else ""
    before = [code(d.child) for d in facts.decisions[:-1] if d.child and d.child != last.child]
    earlier = f" Earlier decisions led to {joined(before)}." if before else ""
    return f"{KIND_WORDS.get(last.kind, escape(last.kind))}{by_whom(last)}{child}.{earlier}"


def by_whom(decision: Decision) -> str:
    """`` by Ann``, or nothing, as markdown."""
    return f" by {escape(decision.author)}" if decision.author.strip() else ""


def proposal_section(facts: Facts) -> dict[str, Any] | None:
    """The proposal, or ``None``."""
    proposal = facts.proposal
    if proposal is None:
        return None
    claim, rows = proposal.claim, [_change_row(c) for c in proposal.changes]
    return {
        "digest": code(proposal.digest),
        "next": _next(facts, proposal),
        "claim": claim_sentence(proposal),
        "belief": _belief(facts),
        "table": values_table(["parameter", "now", "proposed", "change", "kept", "why"], rows),
        "options": _options(facts),
        "epsilon": epsilon_text(claim),
        "source": EPSILON_SOURCES.get(claim.epsilon_source, claim.epsilon_source),
        "risk": percent(proposal.risk),
        "probability": probability(claim.probability),
        "volume_kept": percent(proposal.volume_kept),
        "n": plural(proposal.n, "trial"),
        "metric": proposal.metric,
        "evidence": code(proposal.evidence),
        "quiet": quiet_sentences(proposal),
        "offers": [
            *(Raw(escape(f"{sentence(o.reason)} To fix it: {offer_action(o)}")) for o in proposal.offers),
            *_scales(facts, proposal),
        ],
        "advice": _advice(proposal),
    }


def _scales(facts: Facts, proposal: Proposal) -> list[Raw]:
    """Ranges that are offered on a logarithmic scale."""
    if facts.analysis is None:
        return []
    found = [(c, by_magnitude(facts.analysis, c)) for c in proposal.changes]
    return [Raw(escape(" ".join(map(str, scale_offer(c, f))))) for c, f in found if f is not None]


def _options(facts: Facts) -> Raw | None:
    """What more or less risk would buy."""
    return None if facts.options is None else values_table(OPTIONS_HEAD, option_rows(facts.options))


def _next(facts: Facts, proposal: Proposal) -> Raw | None:
    """What to do next, with the call that does it."""
    if facts.analysis is None:
        return None
    step = next_step_of(facts.analysis, proposal, facts.n)
    check = None if facts.checks is None else facts.checks["worth"]
    worth = "" if check is None or check.verdict == "unknown" else f". {check.code.upper()}: {says(check)}"
    return Raw(escape(f"{next_sentence(step.reasons)} {step.action}{worth}"))


def _belief(facts: Facts) -> str | None:
    """What somebody believes, and what it weighs on this evidence."""
    held = None if facts.analysis is None else facts.analysis.belief
    return None if held is None else belief_sentence(held)


def _advice(proposal: Proposal) -> str | None:
    """How large the next round should be, and how long it would take."""
    advice = proposal.advice
    if advice is None:
        return None
    time = f" One at a time they take about {duration(advice.seconds)}." if advice.seconds >= 1 else ""
    return f"{sentence(advice.reason)}{time}"


def _change_row(c: Change) -> list[object]:
    new = "-" if c.kind == "keep" else bounds_text(c.new)
    return [c.name, bounds_text(c.old), new, c.kind, percent(c.volume_kept), own_why(c) or "-"]


def decision_section(facts: Facts, d: Decision) -> dict[str, Any]:
    """One decision: who, what, why, at which risk."""
    about = facts.proposal if facts.proposal is not None and d.proposal == facts.proposal.digest else None
    decided = decision_grid(facts.node.space, d, about)
    return {
        "title": KIND_WORDS.get(d.kind, d.kind),
        "by": Raw(by_whom(d)),
        "note": quote(d.note) if d.note.strip() else None,
        "table": None if decided is None else table(decided),
        "edited": joined([_edit_text(n, a, b) for n, (a, b) in d.edits.items()]) or None,
        "rejected": joined(d.rejected) or None,
        "followed": joined(d.followed) or None,
        "child": code(d.child) if d.child else None,
        "n": plural(d.n, "configuration") if d.n is not None else None,
        "risk": _risk(facts, d),
        "declined": d.kind == "declined",
        "chosen": None if d.chosen is None else code(configuration_code(d.chosen)),
    }


def _edit_text(name: str, before: Any, after: Any) -> str:
    return f"{name} (proposed {bounds_text(before)}, decided {bounds_text(after)})"


def _risk(facts: Facts, d: Decision) -> Raw | None:
    if d.space is None:
        return None
    what, beside = ("suggested", _machine(facts, d)) if d.kind == "suggested" else ("decided", "")
    kept = f"The {what} space keeps {percent(d.volume_kept)} of this one" if d.volume_kept is not None else ""
    if d.probability is None:
        unknown = "no probability is stated for it"
        return Raw(f"{kept or 'The space was decided without a proposal'}; {unknown}.")
    within = "is at least as good as"
    if facts.proposal is not None and d.proposal == facts.proposal.digest:
        within = f"is within {epsilon_text(facts.proposal.claim)} of"
    says = (
        f"with probability {probability(d.probability)} the best {escape(judged_text(metric_of(facts), facts.node.subject_to))} inside {within} the best "
        "anywhere in this round's space"
    )
    return Raw(f"{kept + '; ' if kept else ''}{says}.{beside}")


def _machine(facts: Facts, d: Decision) -> str:
    """What the proposal claimed that a suggestion was made on, where that is the one at hand."""
    proposal = facts.proposal
    if proposal is None or d.proposal != proposal.digest:
        return ""
    claimed = probability(proposal.claim.probability)
    return f" The proposed one keeps {percent(proposal.volume_kept)}, with probability {claimed}."
