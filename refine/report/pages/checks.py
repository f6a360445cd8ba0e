"""Checks in words: the question, the figure and what follows, by key and code; and what they show of themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from refine.analysis import finding as f
from refine.report.pages.worth import short_worth
from refine.review.checklist import Checks
from refine.review.checks import FAIL, PASS, TIES, WARN, Check
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Page, Text
from refine.utils.format import difference, join, number, percent, plural, risk_percent, score
from refine.utils.provided import page_for

Spell = Callable[[Action], str]

_QUESTIONS = {
    "goal": "Is it clear what the round asks?",
    "edges": "Is the best configuration away from the ends of its ranges?",
    "enough": "Are there enough good trials to judge every parameter?",
    "code": "Did all trials run the same code?",
    "infeasible": "Do most trials give a usable model?",
    "curves": "Do the training curves of the best trials look sound?",
    "isolation": "Is the comparison of {parameter} fair?",
    "noise": "Is the gain larger than the noise?",
    "optimism": "Would the best be as good again?",
    "cost": "Is there a cheaper trial that is as good?",
    "second": "Could there be a second region?",
    "worth": "Is another round worth it?",
}

_FLAGS = {
    "overfitting": "overfitting",
    "unsteady": "an unsteady end",
    "improving": "still improving at the end",
    "saturated": "as good within the first quarter",
    "rising": "a rising training loss at the end",
}


_TONES = {"pass": "good", "warn": "warn", "fail": "bad", "unknown": "faint"}


@page_for(Checks)
def checks_page(found: Checks, spell: Spell = str) -> Page:
    """What does not pass, what follows, and how many pass.

    Args:
        found: The checks.
        spell: How actions are spelled.
    """
    order = sorted(found.checks, key=lambda c: ("fail", "warn", "unknown", "pass").index(c.verdict))
    heed = [c for c in order if c.verdict != PASS]
    facts = tuple(
        (
            c.verdict if i == 0 or heed[i - 1].verdict != c.verdict else "",
            Cell(f"{subject(c)}: {_first(says(c, spell))}", _TONES[c.verdict]),
        )
        for i, c in enumerate(heed)
    )
    count = found.counts[PASS]
    passes = (
        (("pass", Cell(f"{count}{' more' if heed else ''} of {plural(len(order), 'question')}", "good")),)
        if count
        else ()
    )
    calls = tuple(c.call for c in found.checks if c.call and c.verdict in (WARN, FAIL))
    rows = tuple(
        (question(c), Cell(c.verdict, _TONES[c.verdict]), figure(c), says(c, spell)) for c in found.checks
    )
    folds = (
        *(Fold(f"{question(c)} {c.verdict}", (Text(figure(c)), Text(says(c, spell))), c.key) for c in order),
        Fold(
            "Every question",
            (Grid(("question", "verdict", "number", "what follows"), rows, wide=(3,)),),
            why=False,
        ),
    )
    return Page(
        f"Before you decide on round {found.round[:8]}:", (Facts((*facts, *passes)),), calls[:1], folds
    )


_SUBJECTS = {
    "goal": "question",
    "edges": "ends",
    "enough": "good trials",
    "code": "code",
    "infeasible": "failures",
    "curves": "curves",
    "isolation": "comparison of {parameter}",
    "noise": "gain",
    "optimism": "luck",
    "cost": "cost",
    "second": "second region",
    "worth": "another round",
}


def subject(check: Check) -> str:
    """What a check is about, in a word or two."""
    return _SUBJECTS[check.key].format(**check.values)


def _first(text: str) -> str:
    """The first sentence."""
    first, end, _ = text.partition(". ")
    return f"{first}." if end else first


def question(check: Check) -> str:
    """The question that a check asks."""
    return _QUESTIONS[check.key].format(**check.values)


def figure(check: Check) -> str:
    """The number behind the verdict, in words; ``-`` where there is none."""
    return _FIGURES[check.key](_of(check)) if math.isfinite(check.value) else "-"


def says(check: Check, spell: Spell = str) -> str:
    """What follows, in a sentence or two.

    Args:
        check: The check.
        spell: How actions are spelled.
    """
    said = _SAYS[check.key, check.code]
    text = said if isinstance(said, str) else said(_of(check))
    return (
        text if check.action is None else f"{text} {_ACTIONS.get(check.key, 'Next')}: {spell(check.action)}."
    )


def _of(check: Check) -> Any:
    return SimpleNamespace(**{k: math.nan if v is None else v for k, v in check.values.items()})


_ACTIONS = {
    "goal": "Add a note, or say what it asks about",
    "enough": "More configurations",
    "curves": "To report them",
    "noise": "To measure it",
    "optimism": "To measure it",
    "second": "To look there",
}


def _ends(v: Any) -> str:
    return plural(v.ends, "open end")


def _lost(v: Any) -> str:
    return f"{v.count} of {v.ended} without ({percent(v.share)}; {percent(v.low)} to {percent(v.high)})"


def _flagged(v: Any) -> str:
    count = v.counts[v.worst]
    return f"{count} of the best {v.of}{': ' + _FLAGS[v.worst] if count else ''}"


def _gain(v: Any) -> str:
    over = "the median" if v.over == "median" else "the best before"
    noise = f"{number(v.gain / v.noise, 2)} times the noise" if v.noise > 0 else "and no noise"
    return f"{difference(v.gain)} over {over}, {noise}"


_FIGURES: dict[str, Callable[[Any], str]] = {
    "goal": lambda v: f"{plural(len(v.scientific), 'scientific parameter')}, {v.nuisance} nuisance",
    "edges": _ends,
    "enough": lambda v: f"{plural(v.good, 'good trial')}, {v.needed} needed",
    "code": lambda v: plural(v.count, "version"),
    "infeasible": _lost,
    "curves": _flagged,
    "isolation": lambda v: f"at least {plural(v.least, 'trial')} a level ({v.level})",
    "noise": _gain,
    "optimism": lambda v: f"{difference(v.over)} of {score(v.best)} is expected to be chance",
    "cost": lambda v: f"{percent(v.saving)} less time for as good a trial",
    "second": lambda v: f"{risk_percent(v.probability)} that one outside holds the best",
    "worth": lambda v: f"{v.verdict}: {risk_percent(v.probability)} chance",
}


def _piled(v: Any) -> str:
    but = ", and the proposal does not widen there" if v.proposal else ""
    at = join([f"{name} ({side})" for name, side in v.piled])
    if not v.piled:
        at = join([f"{name} ({side})" for name, side in v.widened])
        return f"The optimum may be beyond {at}, where the proposal goes."
    return f"The best trials pile up at {at}{but}: the optimum may be beyond."


def _at_end(v: Any) -> str:
    at = join([f"{name} = {number(value, 6)}" for name, _, value in v.at_end])
    return f"The best trial has {at}, an end that is no natural limit: look beyond it."


def _covered(v: Any) -> str:
    return f"One of the best 1 % of configurations was run with probability {percent(v.covered)}."


def _judged(v: Any) -> str:
    can = "can be judged" if v.good >= v.needed else "that is read was seen to matter, with fewer"
    return f"Every parameter {can}. {_covered(v)}"


def _too_few(v: Any) -> str:
    alone = "on its own" if len(v.parameters) == 1 else "on their own"
    return f"There are too few good trials to judge {join(v.parameters)} {alone}. {_covered(v)}"


def _few_lost(v: Any) -> str:
    return f"Few trials are lost.{_where(v)}"


def _where(v: Any) -> str:
    return f" They are more frequent at some values of {join(v.parameters)}." if v.parameters else ""


def _many_lost(v: Any) -> str:
    where = _where(v) or " No parameter explains them."
    ways = ["fail", "diverge", "predict a constant", *(["break a metric constraint"] if v.infeasible else [])]
    return f"Trials that {join(ways, 'or')} cost time and hide what is good.{where}"


def _curves(v: Any) -> str:
    return (
        f"Seen among the best {v.of}: {join([f'{_FLAGS[flag]} ({v.counts[flag]})' for flag in v.frequent])}."
    )


def _fair(v: Any) -> str:
    return f"{_FOUND[v.finding]} Compare the best values at equal numbers of trials."


def _few_per_level(v: Any) -> str:
    return f"{_FOUND[v.finding]} The best of so few is mostly chance; {v.needed} a level make the comparison fair."


_FOUND = {
    f.MATTERS: "It matters.",
    f.FAILS: "Trials fail more often at some of its levels.",
    f.COUPLED: "It matters together with others.",
    f.NOT_SEEN: "No effect of it is seen.",
    f.CANNOT_BE_JUDGED: "It can't be judged yet.",
    f.NEVER_READ: "It was never read.",
    f.UNTESTED: "It is untested.",
}


def _ties(v: Any) -> str:
    lie = f"{plural(v.ties, 'trial')} {'lies' if v.ties == 1 else 'lie'} within the noise ({difference(v.noise)}) of the best"
    return f"{lie}; the choice among them is chance." if v.ties > TIES else f"{lie}."


def _looks(v: Any) -> str:
    return f"It is the best of {plural(v.trials, 'trial')} judged on the same validation rows"


def _large(v: Any) -> str:
    return f"{_looks(v)}: trained again, about {score(v.expected)} is expected. A hold-out shows what it is worth."


def _cheaper(v: Any) -> str:
    return f"Rank {v.rank} is as good within the noise and takes {percent(v.share)} of the time."


def _second(v: Any) -> str:
    place = join(
        [
            f"{name} {(' to ' if ordered else ', ').join(map(str, labels))}"
            for name, labels, ordered in v.place
        ]
    )
    return (
        f"Outside of what is proposed the likeliest is {place}: {percent(v.share)} of what is cut off. Of even audit trials "
        f"{v.needed:,} would hit it (95 % sure)."
    )


_UNKNOWN_NOISE = "How much a value changes when run again is not known."

_SAYS: dict[tuple[str, str], str | Callable[[Any], str]] = {
    ("goal", "narrows_question"): lambda v: (
        f"The proposal narrows {join(v.decided)}, which the round asks about: accepting it answers the question."
    ),
    ("goal", "question"): lambda v: (
        f"It asks about {join(v.scientific)}; everything else is tuned so that the comparison is fair."
    ),
    ("goal", "explores"): lambda v: f"It explores: {v.note}",
    ("goal", "no_goal"): "It explores, without a note that says why.",
    ("edges", "piled_up"): _piled,
    ("edges", "widened"): _piled,
    ("edges", "at_end"): _at_end,
    ("edges", "inside"): "Neither the best trial nor the best fifth lies at an open end.",
    ("enough", "nothing_varies"): "No parameter varies.",
    ("enough", "nothing_read"): "No parameter that varies was read.",
    ("enough", "judged"): _judged,
    ("enough", "too_few"): _too_few,
    ("enough", "untested"): "Results chose the trials: nothing is tested.",
    (
        "code",
        "several",
    ): "Differences between trials may come from the code: exclude those of the old one, or make a new round.",
    ("infeasible", "few"): _few_lost,
    ("infeasible", "many"): _many_lost,
    ("curves", "no_curves"): "No loss or metric was reported by epoch.",
    ("curves", "sound"): "Nothing stands out.",
    ("curves", "flagged"): _curves,
    ("isolation", "fixed"): lambda v: f"{v.parameter} does not vary.",
    ("isolation", "few_per_level"): _few_per_level,
    ("isolation", "fair"): _fair,
    ("noise", "unknown"): _UNKNOWN_NOISE,
    ("noise", "gain"): lambda v: f"More than two noisy bests differ by. {_ties(v)}",
    ("noise", "no_gain"): lambda v: f"No more than chance could bring. {_ties(v)}",
    ("noise", "worse"): lambda v: f"Worse than what was known before. {_ties(v)}",
    ("noise", "clear"): _ties,
    ("noise", "unclear"): _ties,
    ("optimism", "unknown"): _UNKNOWN_NOISE,
    ("optimism", "small"): lambda v: (
        f"{_looks(v)}, less than one deviation of the noise above what is expected."
    ),
    ("optimism", "large"): _large,
    ("cost", "unknown"): "The trials don't record how long they took.",
    ("cost", "no_cheaper"): "No trial as good, within the noise, takes much less time.",
    ("cost", "cheaper"): _cheaper,
    ("second", "nothing_cut"): "Nothing is cut off, or no draw of the posterior has its best there.",
    ("second", "unlikely"): _second,
    ("second", "plausible"): _second,
    ("worth", "unknown"): "The trials say nothing about the space of the next round.",
    ("worth", "continue"): short_worth,
    ("worth", "confirm"): short_worth,
    ("worth", "stop"): short_worth,
}


def passed_text(checks: Checks) -> str:
    """How many checks pass: ``2 to look at, 7 pass``."""
    passed = sum(c.verdict == "pass" for c in checks.checks)
    return f"{len(checks.checks) - passed} to look at, {passed} pass"
