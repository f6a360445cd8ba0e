"""What a calibration shows of itself: every decision, what was forecast and seen, and how often forecasts held."""

from __future__ import annotations

import math

from refine.proposal.forecast import WHAT
from refine.review.calibration import (
    EVEN,
    MACHINE,
    PERSON,
    SHARE,
    UNTESTED,
    AuthorScore,
    Calibration,
    Entry,
)
from refine.trials.goal import best_of, sign_of
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import join, number, percent, plural, probability, score
from refine.utils.provided import page_for

_WIDE = 0.9  # intervals of the glance
_TAIL = 0.005
_PEOPLE = (
    "What everybody decided and what was proposed to them, held against all trials that are known by now: the share of the space that "
    "was kept, and whether the best value lies in it."
)


@page_for(Calibration)
def calibration_page(calibration: Calibration) -> Page:
    """How often forecasts held, what was refuted and who was right; folded, every decision with what was forecast and seen."""
    title = f"Calibration of {calibration.tree}"
    people = [("People", _edits(s)) for s in calibration.authors if s.edited or s.suggested]
    if not calibration.entries:
        none = Text("No decision has led to a child yet.")
        blocks: list[Block] = [none, *([Facts(tuple(people))] if people else [])]
        return Page(title, tuple(blocks), (Action("round.propose().accept", n=100),), _beside(calibration))
    coverage = calibration.coverage() if calibration.scored else ()
    wide = [f"{c.hits} of {c.n} times for the {c.what}" for c in coverage if c.nominal == _WIDE]
    facts: list[tuple[str, str | Cell]] = []
    if wide:
        facts.append(("Held", f"{percent(_WIDE)} intervals held {join(wide)}."))
    facts += [("Refuted", _refuted(calibration)), *people]
    facts += [
        ("", Cell(f"{e.round} -> {e.child}: {_verdict(e)}", "bad")) for e in calibration.entries if e.refuted
    ]
    head = ("round", "child", "decision", "kept", "claimed")
    decided = Grid(head, tuple(map(_decided, calibration.entries)), right=(3, 4))
    said = (
        Cell(f"{e.round} -> {e.child}: {entry_sentences(e)}", "bad" if e.refuted else "")
        for e in calibration.entries
    )
    held = tuple(
        f"{percent(c.nominal)} intervals of the {c.what} held in {c.hits} of {c.n} ({percent(c.share)}; 95 % interval "
        f"{percent(c.low)} to {percent(c.high)})"
        for c in coverage
    )
    rows = tuple(_forecast(e, what) for e in calibration.entries for what in WHAT)
    forecasts = Grid(("child", "value", "forecast", "90 % interval", "seen"), rows, right=(2, 4))
    folds = (
        Fold("Every decision", (decided, Items(tuple(said))), "decisions"),
        *((Fold("How often intervals held", (Items(held),), "intervals"),) if held else ()),
        *_beside(calibration),
        Fold("Every forecast", (forecasts,), "forecasts", why=False),
    )
    calls = (Action("tree.plot.reliability"), Action("calibration.why"))
    return Page(title, (Facts(tuple(facts)),), calls, folds)


def _refuted(calibration: Calibration) -> str | Cell:
    tested = [e.refuted for e in calibration.entries if e.refuted is not None]
    if not tested:
        return "no narrowing was tested by audit trials."
    tone = "bad" if any(tested) else ""
    return Cell(
        f"{sum(tested) or 'none'} of {plural(len(tested), 'narrowing')} that audit trials tested.", tone
    )


def _beside(calibration: Calibration) -> tuple[Fold, ...]:
    folds = []
    if calibration.suggestions:
        said = (
            Cell(f"{e.round}, suggested by {e.decision.author or 'somebody'}: {_suggestion(e)}")
            for e in calibration.suggestions
        )
        folds.append(Fold("What was suggested", (Items(tuple(said)),), "suggestions"))
    if any(s.edited or s.suggested for s in calibration.authors):
        folds.append(
            Fold("People beside proposals", (Text(_PEOPLE, "faint"), _people(calibration)), "people")
        )
    return tuple(folds)


def _suggestion(e: Entry) -> str:
    """What a suggestion keeps beside the proposal, what came of both, and whether anybody took it over."""
    kept, beside = percent(e.decision.volume_kept), e.comparison
    taken = f" Taken over: {join(e.taken)}." if e.taken else " Not taken over."
    if beside is None:
        return f"Keeps {kept}; with several goals it is not scored.{taken}"
    machine, proposed = percent(beside.proposed.volume_kept), e.proposal and e.proposal.claim
    by_machine = _claimed(proposed.probability if proposed else None)
    shares = f"Keeps {kept} (claimed {_claimed(e.decision.probability)}), the proposal {machine} (claimed {by_machine})"
    if math.isnan(beside.best):
        return f"{shares}. No trial has finished yet.{taken}"
    holds = [("it", beside.kept(beside.decided)), ("the proposal", beside.kept(beside.proposed))]
    who = join([name for name, kept_it in holds if kept_it]) or "neither"
    return f"{shares}. Of the best value known by now: {who} kept it; {_RIGHT[beside.right]}.{taken}"


def _claimed(share: float | None) -> str:
    return "-" if share is None else probability(share)


_RIGHT = {
    PERSON: "the suggestion turned out better",
    MACHINE: "the proposal turned out better",
    EVEN: "both turned out as good",
    UNTESTED: "no later trial tells them apart",
}


def _people(calibration: Calibration) -> Grid:
    """What every author decided beside what was proposed: shares kept, and how often the best known value was among it."""
    rows = [
        {
            "author": s.author or "-",
            "decisions": str(s.decisions),
            "edited": str(s.edited),
            **({"suggested": str(s.suggested)} if calibration.suggestions else {}),
            "kept": percent(s.volume_kept),
            "proposed": percent(s.machine_volume_kept),
            "held the best": f"{s.kept} of {s.judged}",
            "proposal held it": f"{s.machine_kept} of {s.judged}",
        }
        for s in calibration.authors
    ]
    return Grid(
        tuple(rows[0]), tuple(tuple(row.values()) for row in rows), right=tuple(range(1, len(rows[0])))
    )


def _edits(s: AuthorScore) -> str:
    counts = {
        "better than the proposal": s.right,
        "worse than the proposal": s.machine_right,
        "as good": s.even,
    }
    told = [f"{count} turned out {what}" for what, count in counts.items() if count]
    if s.untested:
        told.append(f"of {s.untested} no later trial tells anything")
    bold = f"was bolder in {s.bolder} of them" if s.bolder else "was never bolder"
    did = [f"edited {plural(s.edited, 'proposal')}"] if s.edited else []
    did += [f"made {plural(s.suggested, 'suggestion')}"] if s.suggested else []
    return f"{s.author or 'Somebody'} {', '.join(did)} and {bold}; {join(told)}."


def entry_sentences(e: Entry) -> str:
    """Whether the forecast is scored and how it did, and what audit trials say of the claim."""
    return f"{_state(e)} {_verdict(e)}"


def _state(e: Entry) -> str:
    seen = e.outcome
    planned, values = plural(seen.planned, "space-filling trial"), len(seen.space_filling)
    if e.state == "unfinished":
        return f"Unfinished, not scored: {seen.ended:,} of {planned} have ended."
    if e.state == "no_forecast":
        return "No forecast was made, so none is scored."
    if e.state == "too_few_values":
        return f"Not scored: only {values:,} of {planned} have a value."
    places = " and ".join(f"its {what} is {_place(e, what)} of the forecast" for what in WHAT)
    return f"Scored on {plural(values, 'space-filling trial')}: {places}."


def _place(e: Entry, what: str) -> str:
    """Where the realised value lies in its forecast, by how much of the forecast is worse."""
    share = e.percentile(what)
    worse = share if sign_of(e.outcome.direction) > 0 else 1 - share
    if _TAIL < worse < 1 - _TAIL:
        return f"better than {percent(worse)}"
    return f"{'worse' if worse <= _TAIL else 'better'} than almost all"


def _verdict(e: Entry) -> str:
    if e.verdict == "no_claim":
        return "No claim: a branch narrows without a proposal."
    if e.verdict == "nothing_cut":
        return "Nothing to refute: nothing was cut off."
    if e.proposal is None or e.verdict == "not_tested":
        return "Not tested: no audit trial has finished."
    epsilon = e.proposal.claim.epsilon
    more = f" by more than {number(epsilon)}" if epsilon else ""
    if e.verdict == "refuted":
        best = best_of(e.outcome.outside, e.outcome.direction)
        return f"Refuted: an audit trial reached {score(best)}; the best inside is {score(e.outcome.inside)}, worse{more}."
    even, count = len(e.outcome.audit), len(e.outcome.outside)
    says = f"Not refuted: {plural(count, 'audit trial')} found nothing better{more}."
    if not even:
        return says
    them = "It" if count == 1 else "They"
    if even != count:
        them = f"The {even:,} that {'is' if even == 1 else 'are'} even"
    return f"{says} {them} would have found a better region that holds {percent(SHARE)} of what was cut off with probability {e.power():.2f}."


def _decided(e: Entry) -> tuple[str, ...]:
    d = e.decision
    return e.round, e.child, d.kind, percent(d.volume_kept), _claimed(d.probability)


def _forecast(e: Entry, what: str) -> tuple[str, ...]:
    made, middle, interval = e.decision.forecast, "-", "-"
    if made is not None:
        low, high = made.interval(what, _WIDE)
        middle, interval = score(made.quantile(what, 0.5)), f"{score(low)} to {score(high)}"
    return e.child, what, middle, interval, score(e.realised(what))
