"""The page of a calibration: forecasts held, narrowings refuted, and people compared with proposals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from refine.proposal.chance import judged
from refine.proposal.forecast import WHAT
from refine.report.pages.reasons import upper, whom
from refine.review.asked import QuestionScore
from refine.review.calibration import (
    EVEN,
    MACHINE,
    PERSON,
    SHARE,
    UNTESTED,
    Calibration,
    Coverage,
    DecisionComparison,
    Entry,
)
from refine.trials.goal import best_of, sign_of
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import by_over, chance_cell, join, percent, plural, score
from refine.utils.provided import page_for

_WIDE = 0.9  # intervals of the summary
_TAIL = 0.005
_PEOPLE = (
    "Decisions and proposals compared on all trials so far: the share of the space kept, and whether it "
    "holds the best value, to within the tolerance."
)


@page_for(Calibration)
def calibration_page(calibration: Calibration, *, named: bool = False) -> Page:
    """Forecasts that held, narrowings refuted, and people compared with proposals.

    In folds every decision and forecast. The current user is *you*, unless authors are to be ``named`` for
    other readers.
    """
    authors: set[str] = set()
    if not named:
        authors = {e.decision.author for e in (*calibration.entries, *calibration.suggestions)}
        authors |= {score.author for score in calibration.question_scores}
    title = f"Calibration of {calibration.tree}"
    people = [("People", text) for text in _people_texts(calibration, authors)]
    people += [("Questions", _question_text(score, authors)) for score in calibration.question_scores]
    if not calibration.entries:
        blocks: list[Block] = [Text("No decision has led to a child yet."), Facts(people)]
        return Page(
            title, blocks, [Action("round.propose().accept", n=100)], _people_folds(calibration, authors)
        )
    coverage: Sequence[Coverage] = ()
    if calibration.scored:
        coverage = calibration.coverage()
    wide = [f"{c.hits} of {c.n} {_PLURAL[c.what]}" for c in coverage if c.nominal == _WIDE]
    facts: list[Fact] = []
    if wide:
        facts.append(("Forecasts", f"{percent(_WIDE)} intervals held {join(wide)}"))
    facts += [("Refuted", _refuted(calibration)), *people]
    facts += [
        ("", Cell(f"{e.round} -> {e.child}: {_verdict(e)}", "bad")) for e in calibration.entries if e.refuted
    ]
    head = ("round", "child", "decision", "kept", "stated risk")
    decisions = []
    for e in calibration.entries:
        claimed = percent(e.decision.volume_kept), _stated_risk(e.decision.probability)
        decisions.append((e.round, e.child, e.decision.kind, *claimed))
    decided = Grid(head, decisions, right=(3, 4))
    outcomes = [
        Cell(f"{e.round} -> {e.child}: {entry_sentences(e)}", "bad" if e.refuted else "")
        for e in calibration.entries
    ]
    held_texts = [
        f"{percent(c.nominal)} intervals of the {_NOUN[c.what]} held in {c.hits} of {c.n} "
        f"({percent(c.share)}; 95 % interval {percent(c.low)} to {percent(c.high)})"
        for c in coverage
    ]
    rows = [_forecast(e, quantity) for e in calibration.entries for quantity in WHAT]
    forecasts = Grid(("child", "value", "forecast", "90 % interval", "observed"), rows, right=(2, 4))
    folds = [Fold("Every decision", [decided, Items(outcomes)], "decisions")]
    if held_texts:
        folds.append(Fold("How often intervals held", [Items(held_texts)], "intervals"))
    folds += _people_folds(calibration, authors)
    folds.append(Fold("Every forecast", [forecasts], "forecasts", why=False))
    return Page(title, [Facts(facts)], [Action("tree.plot.reliability"), Action("calibration.why")], folds)


_FEWEST_CLAIMS = 10  # fewer claims of a study show no share that held


def held_text(calibration: Calibration) -> str:
    """The claims of a study checked by audit trials: see :func:`record_text`."""
    tested = [entry.refuted for entry in calibration.entries if entry.refuted is not None]
    return record_text(tested.count(False), len(tested))


def held_count_text(calibration: Calibration) -> str:
    """The number of claims of a study that held: ``11 of 12``; empty if too few are checked."""
    tested = [entry.refuted for entry in calibration.entries if entry.refuted is not None]
    if len(tested) < _FEWEST_CLAIMS:
        return ""
    return f"{tested.count(False)} of {len(tested)}"


def record_text(confirmed: int, checked: int) -> str:
    """The number of confirmed claims in words: ``11 of 12 claims held``.

    Fewer than 10 claims are no record, and the text ends with ``too few to judge``.
    """
    if not checked:
        return "no claim checked yet"
    if checked >= _FEWEST_CLAIMS:
        return f"{confirmed} of {checked} claims held"
    result = f"{confirmed} held"
    if checked == 1:
        result = ("it failed", "it held")[confirmed]
    elif confirmed == checked:
        result = "all held"
    return f"{plural(checked, 'claim')} checked so far: {result}; too few to judge"


def held_in_benchmarks() -> str:
    """The claims of the benchmark studies that held, those of the smallest stated risk: ``248 of 268``."""
    step = judged()[0]
    return f"{step.claims - step.lost} of {step.claims}"


_NOUN = {"median": "median", "best": "best value"}
_PLURAL = {"median": "medians", "best": "best values"}


def _refuted(calibration: Calibration) -> str | Cell:
    tested = [e.refuted for e in calibration.entries if e.refuted is not None]
    if not tested:
        return "audit trials tested no narrowing yet"
    text = f"{sum(tested)} of {plural(len(tested), 'narrowing')} tested by audit trials"
    if len(tested) < _FEWEST_CLAIMS and not any(tested):
        text += "; too few to judge"
    return Cell(text, "bad" * any(tested))


def _people_folds(calibration: Calibration, authors: Collection[str]) -> list[Fold]:
    folds = []
    if calibration.suggestions:
        lines = [
            f"{e.round}, suggested by {whom(e.decision.author, authors) or 'somebody'}: {_suggestion(e)}"
            for e in calibration.suggestions
        ]
        folds.append(Fold("Suggestions", [Items(lines)], "suggestions"))
    if any(s.edited or s.suggested for s in calibration.authors):
        folds.append(
            Fold("People and proposals", [Text(_PEOPLE, "faint"), _people(calibration, authors)], "people")
        )
    return folds


def _question_text(score: QuestionScore, authors: Collection[str]) -> str:
    """The answers to one author: how many later trials decided, and the errors of answers and guesses."""
    text = (
        f"{whom(score.author, authors)} got {plural(score.asked, 'answer')}, "
        f"{score.decided} decided by later trials"
    )
    if score.decided:
        text += f"; mean squared error {score.brier:.2f} (0.25 if all said 1 in 2)"
    if score.guessed:
        guesses = plural(score.guessed, "own guess", "own guesses")
        text += f"; {guesses}: {score.guess_brier:.2f}, refine on the same: {score.answer_brier:.2f}"
    return text


def _suggestion(e: Entry) -> str:
    """The shares kept by a suggestion and by the proposal, the outcome, and rounds with the suggestion."""
    kept_share = percent(e.decision.volume_kept)
    comparison = e.comparison
    adopted = " Not adopted."
    if e.taken:
        adopted = f" Adopted by: {join(e.taken)}."
    if comparison is None:
        return f"Keeps {kept_share}; with several goals, suggestions are not scored.{adopted}"
    claim = None
    if e.proposal:
        claim = e.proposal.claim.probability
    shares = (
        f"Keeps {kept_share} (stated risk {_stated_risk(e.decision.probability)}), the proposal "
        f"{percent(comparison.proposed.volume_kept)} (stated risk {_stated_risk(claim)})"
    )
    if math.isnan(comparison.best):
        return f"{shares}. No trial has finished yet.{adopted}"
    return f"{shares}. {upper(outcome_text(comparison))}.{adopted}"


def _stated_risk(probability: float | None) -> str:
    if probability is None:
        return "-"
    return chance_cell(1 - probability)


def outcome_text(comparison: DecisionComparison) -> str:
    """The outcome of a decision compared with the proposal: which of the two spaces held the best value."""
    if comparison.right == UNTESTED:
        return "no later trial separates the two spaces"
    decided_held = comparison.kept(comparison.decided)
    proposed_held = comparison.kept(comparison.proposed)
    if decided_held and proposed_held:
        exact = min(comparison.decided.best, comparison.proposed.best) >= comparison.best
        return f"both spaces held {'the best value' if exact else 'a value as good as the best'}"
    if decided_held:
        return "the proposal cut off the best value, the decision kept it"
    if proposed_held:
        return "the decision cut off the best value, the proposal kept it"
    closer = {PERSON: "the decision", MACHINE: "the proposal"}.get(comparison.right)
    return "both spaces cut off the best value" + (f"; {closer} kept the better rest" if closer else "")


_SIZES = {PERSON: "kept less", MACHINE: "kept more", EVEN: "kept as much"}


def _people_texts(calibration: Calibration, authors: Collection[str]) -> list[str]:
    """A text per author who edited or suggested: how much was kept, and which spaces held the best value."""
    entries = (*calibration.entries, *calibration.suggestions)
    texts = []
    for s in calibration.authors:
        if not (s.edited or s.suggested):
            continue
        comparisons = [
            e.comparison
            for e in entries
            if e.decision.author == s.author and e.comparison is not None and (e.edited or e.suggested)
        ]
        did = []
        if s.edited:
            did.append(f"edited {plural(s.edited, 'proposal')}")
        if s.suggested:
            did.append(f"made {plural(s.suggested, 'suggestion')}")
        sizes = _counted([_SIZES[comparison.smaller] for comparison in comparisons])
        outcomes = _counted([outcome_text(comparison) for comparison in comparisons], "; ")
        texts.append(f"{whom(s.author, authors) or 'somebody'} {join(did)} and {sizes}; {outcomes}")
    return texts


def _counted(texts: Sequence[str], between: str = ", ") -> str:
    """Different texts, with counts if several: ``kept more in 2, kept less in 1``."""
    counts = Counter(texts)
    if len(counts) == 1:
        return next(iter(counts))
    return between.join(f"{text} in {count}" for text, count in counts.items())


def _people(calibration: Calibration, authors: Collection[str]) -> Grid:
    """Per author, decisions next to proposals: shares kept, and how often the best value was among them."""
    suggested = ["suggested"] * bool(calibration.suggestions)
    head = ["author", "decisions", "edited", *suggested, "kept", "proposed"]
    head += ["held the best", "proposal held the best"]
    rows = []
    for s in calibration.authors:
        counts = [str(count) for count in (s.decisions, s.edited, s.suggested)][: 2 + len(suggested)]
        shares = percent(s.volume_kept), percent(s.machine_volume_kept)
        best_held = f"{s.kept} of {s.judged}", f"{s.machine_kept} of {s.judged}"
        rows.append((whom(s.author, authors) or "-", *counts, *shares, *best_held))
    return Grid(head, rows, right=range(1, len(head)))


def entry_sentences(e: Entry) -> str:
    """The score of a forecast, and the result of audit trials for the claim."""
    return f"{_state(e)} {_verdict(e)}"


def _state(e: Entry) -> str:
    outcome = e.outcome
    planned = plural(outcome.planned, "evenly drawn trial")
    values = len(outcome.space_filling)
    if e.state == "unfinished" and not outcome.planned:
        return "Not scored: the round plans no evenly drawn trial."
    if e.state == "unfinished":
        return f"Unfinished, not scored: {outcome.ended:,} of {planned} have ended."
    if e.state == "no_forecast":
        return "No forecast was made, so none is scored."
    if e.state == "too_few_values":
        return f"Not scored: only {values:,} of {planned} have a value."
    places = join([f"the {_NOUN[quantity]} is {_place(e, quantity)} of the forecast" for quantity in WHAT])
    return f"Scored on {plural(values, 'evenly drawn trial')}: {places}."


def _place(e: Entry, quantity: str) -> str:
    """The place of an observed value in the forecast: the share of worse values."""
    worse = e.percentile(quantity)
    if sign_of(e.outcome.direction) < 0:
        worse = 1 - worse
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
    margin = by_over(e.proposal.claim.epsilon, "more than")
    if e.verdict == "refuted":
        best = best_of(e.outcome.outside, e.outcome.direction)
        return (
            f"Refuted: an audit trial reached {score(best)}; the best inside scored "
            f"{score(e.outcome.inside)}, worse{margin}."
        )
    text = f"Not refuted: {plural(len(e.outcome.outside), 'audit trial')} found nothing better{margin}."
    if not e.outcome.audit:
        return text
    audits = plural(len(e.outcome.audit), "even audit trial")
    return (
        f"{text} {audits} would hit a better region of {percent(SHARE)} of the space cut off with "
        f"probability {e.power():.2f}."
    )


def _forecast(e: Entry, quantity: str) -> tuple[str, ...]:
    forecast = e.decision.forecast
    middle = "-"
    interval = "-"
    if forecast is not None:
        low, high = forecast.interval(quantity, _WIDE)
        middle = score(forecast.quantile(quantity, 0.5))
        interval = f"{score(low)} to {score(high)}"
    return e.child, quantity, middle, interval, score(e.realised(quantity))
