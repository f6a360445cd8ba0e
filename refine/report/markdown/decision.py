"""Sections of a report about what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.report.markdown.round_facts import Facts, metric_of
from refine.report.markdown.script import configuration_code
from refine.report.markdown.text import Part, Raw, code, escape, joined, quote
from refine.report.pages.difference import decision_grid
from refine.report.pages.goal import judged_text
from refine.report.pages.proposal import within_text
from refine.space.edits import bounds_text
from refine.utils.format import percent, plural, probability

if TYPE_CHECKING:
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


def by_whom(decision: Decision) -> str:
    """`` by Ann``, or nothing."""
    return f" by {decision.author}" if decision.author.strip() else ""


def decisions_parts(facts: Facts) -> list[Part]:
    """Every decision on the round, the earliest first."""
    if not facts.decisions:
        return [f"Nothing has been {'decided yet' if facts.proposal is not None else 'proposed'}."]
    several = len(facts.decisions) > 1
    return [
        part for i, d in enumerate(facts.decisions, 1) for part in _decision(facts, d, i if several else 0)
    ]


def _decision(facts: Facts, d: Decision, number: int) -> list[Part]:
    """One decision: who, what, why, at which risk."""
    about = facts.proposal if facts.proposal is not None and d.proposal == facts.proposal.digest else None
    title = escape(f"{KIND_WORDS.get(d.kind, d.kind)}{by_whom(d)}")
    edited = [
        f"{n} (proposed {bounds_text(before)}, decided {bounds_text(after)})"
        for n, (before, after) in d.edits.items()
    ]
    lines = [
        f"Edited: {joined(edited)}." if edited else "",
        f"Rejected, so unchanged: {joined(d.rejected)}." if d.rejected else "",
        f"Went back with it, wholly or in part: {joined(d.followed)}." if d.followed else "",
        f"The configuration: {code(configuration_code(d.chosen))}." if d.chosen is not None else "",
        "The space stays as it is. No child round was made." if d.kind == "declined" else "",
        f"The next round is {code(d.child)}{_asked(d.n)}." if d.child else "",
        _risk(facts, d),
    ]
    return [
        Raw(f"### {number}. {title}" if number else f"**{title}.**"),
        quote(d.note) if d.note.strip() else None,
        decision_grid(facts.node.space, d, about),
        Raw("\n".join(f"- {line}" for line in lines if line)),
    ]


def _asked(n: int | None) -> str:
    return "" if n is None else f", with {plural(n, 'configuration')} asked for"


def _risk(facts: Facts, d: Decision) -> str:
    if d.space is None:
        return ""
    what, beside = ("suggested", _machine(facts, d)) if d.kind == "suggested" else ("decided", "")
    kept = f"The {what} space keeps {percent(d.volume_kept)} of this one" if d.volume_kept is not None else ""
    if d.probability is None:
        unknown = "no probability is stated for it"
        return f"{kept or 'The space was decided without a proposal'}; {unknown}."
    within = "is at least as good as"
    if facts.proposal is not None and d.proposal == facts.proposal.digest:
        within = f"is {within_text(facts.proposal.claim)}"
    says = (
        f"with probability {probability(d.probability)} the best {escape(judged_text(metric_of(facts), facts.node.subject_to))} inside {within} the best "
        "anywhere in this round's space"
    )
    return f"{kept + '; ' if kept else ''}{says}.{beside}"


def _machine(facts: Facts, d: Decision) -> str:
    """What the proposal claimed that a suggestion was made on, where that is the one at hand."""
    proposal = facts.proposal
    if proposal is None or d.proposal != proposal.digest:
        return ""
    claimed = probability(proposal.claim.probability)
    return f" The proposed one keeps {percent(proposal.volume_kept)}, with probability {claimed}."
