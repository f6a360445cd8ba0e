"""What a calibration shows of itself: every decision, what was forecast and seen, and how often forecasts held."""

from __future__ import annotations

import math

from refine.proposal.forecast import WHAT
from refine.review.authors import EVEN, MACHINE, PERSON, UNTESTED, AuthorScore, BeliefScore
from refine.review.calibration import SHARE, Calibration, Entry
from refine.trials.goal import best_of, sign_of
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import join, number, percent, plural, probability, score, signed
from refine.utils.provided import page_for


@page_for(Calibration)
def calibration_page(found: Calibration) -> Page:
    """How often forecasts held, what was refuted and who was right; folded, every decision with what was forecast and seen."""
    title, edits = f"Calibration of {found.tree}", edit_sentences(found)
    if not found.entries:
        none = "No decision has led to a child yet."
        calls = (Action("round.propose().accept", n=100),)
        people = (Facts(tuple(("People", text) for text in edits)),) if edits else ()
        return Page(title, (Text(none), *people), calls, _beside(found))
    facts = [*_held_fact(found), ("Refuted", _refuted(found)), *(("People", text) for text in edits)]
    facts += [("", Cell(f"{e.round} -> {e.child}: {_verdict(e)}", "bad")) for e in found.entries if e.refuted]
    decided = Grid(
        ("round", "child", "decision", "kept", "claimed"), tuple(map(_decided, found.entries)), right=(3, 4)
    )
    rows = tuple(row for e in found.entries for row in _forecast(e))
    forecasts = Grid(("child", "value", "forecast", "90 % interval", "seen"), rows, right=(2, 4))
    items = (
        Cell(f"{e.round} -> {e.child}: {entry_sentences(e)}", "bad" if e.refuted else "")
        for e in found.entries
    )
    held = tuple(coverage_sentences(found))
    folds = (
        Fold("Every decision", (decided, Items(tuple(items))), "decisions"),
        *((Fold("How often intervals held", (Items(held),), "intervals"),) if held else ()),
        *_beside(found),
        Fold("Every forecast", (forecasts,), "forecasts", why=False),
    )
    return Page(
        title, (Facts(tuple(facts)),), (Action("tree.plot.reliability"), Action("calibration.why")), folds
    )


def _held_fact(found: Calibration) -> list[tuple[str, str | Cell]]:
    """How often the wide intervals held; nothing where no forecast is scored."""
    wide = [c for c in (found.coverage() if found.scored else ()) if c.nominal == _WIDE]
    held = join([f"{c.hits} of {c.n} times for the {c.what}" for c in wide])
    return [("Held", f"{percent(_WIDE)} intervals held {held}.")] if wide else []


def _refuted(found: Calibration) -> str | Cell:
    """How many narrowings audit trials tested and refuted."""
    tested = [e for e in found.entries if e.refuted is not None]
    bad = sum(bool(e.refuted) for e in tested)
    if not tested:
        return "no narrowing was tested by audit trials."
    return Cell(
        f"{bad or 'none'} of {plural(len(tested), 'narrowing')} that audit trials tested.",
        "bad" if bad else "",
    )


_WIDE = 0.9  # intervals of the glance


def _beside(found: Calibration) -> tuple[Fold, ...]:
    """What people suggested, decided and believed beside what was proposed."""
    head, suggested = authors_head(found), suggestion_items(found)
    beliefs = tuple(Cell(belief_score_sentence(b)) for b in found.beliefs)
    folds = [Fold("What was suggested", (Items(suggested),), "suggestions")] if suggested else []
    if edit_sentences(found):
        told = (
            "What everybody decided and what was proposed to them, held against all trials that are known by now: the share of the "
            "space that was kept, and whether the best value lies in it."
        )
        people = Grid(head, author_rows(found), right=tuple(range(1, len(head))))
        folds.append(Fold("People beside proposals", (Text(told, "faint"), people), "people"))
    return (*folds, *((Fold("What was believed", (Items(beliefs),), "beliefs"),) if beliefs else ()))


def coverage_sentences(found: Calibration) -> list[str]:
    """How often central intervals held; nothing where no forecast is scored."""
    return [
        f"{percent(c.nominal)} intervals of the {c.what} held in {c.hits} of {c.n} ({percent(c.share)}; 95 % interval "
        f"{percent(c.low)} to {percent(c.high)})"
        for c in (found.coverage() if found.scored else ())
    ]


def suggestion_items(found: Calibration) -> tuple[Cell, ...]:
    """Every suggestion: what it keeps beside the proposal, what came of both, and whether anybody took it over."""
    return tuple(
        Cell(f"{e.round}, suggested by {e.decision.author or 'somebody'}: {_suggestion(e)}")
        for e in found.suggestions
    )


def _suggestion(e: Entry) -> str:
    kept, beside = percent(e.decision.volume_kept), e.contest
    taken = f" Taken over: {join(e.taken)}." if e.taken else " Not taken over."
    if beside is None:
        return f"Keeps {kept}; with several goals it is not scored.{taken}"
    claimed = "-" if e.decision.probability is None else probability(e.decision.probability)
    by = "-" if e.proposal is None else probability(e.proposal.claim.probability)
    shares = (
        f"Keeps {kept} (claimed {claimed}), the proposal {percent(beside.machine.volume_kept)} (claimed {by})"
    )
    if math.isnan(beside.best):
        return f"{shares}. No trial has finished yet.{taken}"
    holds = [("it", beside.kept(beside.person)), ("the proposal", beside.kept(beside.machine))]
    who = join([name for name, kept_it in holds if kept_it]) or "neither"
    return f"{shares}. Of the best value known by now: {who} kept it; {_RIGHT[beside.right]}.{taken}"


_RIGHT = {
    PERSON: "the suggestion turned out better",
    MACHINE: "the proposal turned out better",
    EVEN: "both turned out as good",
    UNTESTED: "no later trial tells them apart",
}


def authors_head(found: Calibration) -> tuple[str, ...]:
    """Head of the table of authors."""
    suggested = ("suggested",) if found.suggestions else ()
    return (
        "author",
        "decisions",
        "edited",
        *suggested,
        "kept",
        "proposed",
        "held the best",
        "proposal held it",
    )


def author_rows(found: Calibration) -> tuple[tuple[str, ...], ...]:
    """What every author decided beside what was proposed: shares kept, and how often the best known value was among it."""
    return tuple(
        (
            s.author or "-",
            str(s.decisions),
            str(s.edited),
            *((str(s.suggested),) if found.suggestions else ()),
            percent(s.volume_kept),
            percent(s.machine_volume_kept),
            f"{s.kept} of {s.judged}",
            f"{s.machine_kept} of {s.judged}",
        )
        for s in found.authors
    )


def edit_sentences(found: Calibration) -> list[str]:
    """Who was bolder and who was right, for every author who edited or suggested."""
    return [_edits(s) for s in found.authors if s.edited or s.suggested]


def _edits(s: AuthorScore) -> str:
    told = [
        f"{count} turned out {what}"
        for count, what in (
            (s.right, "better than the proposal"),
            (s.machine_right, "worse than the proposal"),
            (s.even, "as good"),
        )
        if count
    ]
    if s.untested:
        told.append(f"of {s.untested} no later trial tells anything")
    bold = f"was bolder in {s.bolder} of them" if s.bolder else "was never bolder"
    did = [f"edited {plural(s.edited, 'proposal')}"] if s.edited else []
    did += [f"made {plural(s.suggested, 'suggestion')}"] if s.suggested else []
    return f"{s.author or 'Somebody'} {', '.join(did)} and {bold}; {join(told)}."


def belief_score_sentence(b: BeliefScore) -> str:
    """What a belief was worth, beside the first proposal on the same round."""
    by = f" by {b.author}" if b.author.strip() else ""
    says = f"{b.round}: believed{by}: {b.belief}."
    if math.isnan(b.bits):
        return f"{says} No trial has finished yet."
    knew = f"At the best configuration known by now it was worth {signed(b.bits)} bits"
    beside = "" if math.isnan(b.machine) else f", the first proposal {signed(b.machine)}"
    drawn = (
        ""
        if math.isnan(b.better)
        else f" One of the {plural(b.drawn, 'trial')} that it chose beats a space-filling one with probability {b.better:.2f}."
    )
    return f"{says} {knew}{beside}; an even density is worth 0.{drawn}"


def entry_sentences(e: Entry) -> str:
    """Whether the forecast is scored and how it did, and what audit trials say of the claim."""
    return f"{_state(e)} {_verdict(e)}"


def _state(e: Entry) -> str:
    seen = e.seen
    planned, values = plural(seen.planned, "space-filling trial"), len(seen.space_filling)
    if e.state == "unfinished":
        return f"Unfinished, not scored: {seen.ended:,} of {planned} have ended."
    if e.state == "no_forecast":
        return "No forecast was made, so none is scored."
    if e.state == "too_few_values":
        return f"Not scored: only {values:,} of {planned} have a value."
    places = " and ".join(f"its {what} {_place(e, what)}" for what in WHAT)
    return f"Scored on {plural(values, 'space-filling trial')}: {places}."


def _place(e: Entry, what: str) -> str:
    """Where the realised value lies in its forecast, by how much of the forecast is worse."""
    share = e.percentile(what)
    worse = share if sign_of(e.seen.direction) > 0 else 1 - share
    if worse <= _TAIL:
        return "is worse than almost all of the forecast"
    if worse >= 1 - _TAIL:
        return "is better than almost all of the forecast"
    return f"is better than {percent(worse)} of the forecast"


_TAIL = 0.005


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
        best = best_of(e.seen.outside, e.seen.direction)
        return f"Refuted: an audit trial reached {score(best)}; the best inside is {score(e.seen.inside)}, worse{more}."
    even, count = len(e.seen.audit), len(e.seen.outside)
    says = f"Not refuted: {plural(count, 'audit trial')} found nothing better{more}."
    if not even:
        return says
    them = (
        ("It" if count == 1 else "They")
        if even == count
        else f"The {even:,} that {'is' if even == 1 else 'are'} even"
    )
    return (
        f"{says} {them} would have found a better region that "
        f"holds {percent(SHARE)} of what was cut off with probability {e.power():.2f}."
    )


def _decided(e: Entry) -> tuple[str, ...]:
    d = e.decision
    claimed = "-" if d.probability is None else probability(d.probability)
    return e.round, e.child, d.kind, percent(d.volume_kept), claimed


def _forecast(e: Entry) -> list[tuple[str, ...]]:
    made = e.decision.forecast
    rows: list[tuple[str, ...]] = []
    for what in WHAT:
        middle = interval = "-"
        if made is not None:
            low, high = made.interval(what, 0.9)
            middle, interval = score(made.quantile(what, 0.5)), f"{score(low)} to {score(high)}"
        rows.append((e.child, what, middle, interval, score(e.realised(what))))
    return rows
