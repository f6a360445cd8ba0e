"""Pages of the checks, of training curves, and of the forecast for another round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from refine.analysis.learning_curves import TrialCurves
from refine.report.pages.proposal import CLAIMED_DATA, NEW_DATA
from refine.report.pages.reasons import Say, fill, upper
from refine.review.checks import FAIL, INFEASIBLE, PASS, TIES, WARN, Check, Checks, worth
from refine.review.worth import CONFIRM, CONTINUE, LIKELY, PROBABLE, STOP, Worth
from refine.trials.metric import Metric
from refine.utils.action import Action
from refine.utils.display import Cell, Fact, Facts, Fold, Grid, Page, Text
from refine.utils.format import (
    chance_words,
    difference,
    duration,
    inflected,
    join,
    number,
    percent,
    plural,
    score,
)
from refine.utils.provided import page_for

Spell = Callable[[Action], str]
# Verdict of a check -> its tone; the gravest first.
_TONES = {"fail": "bad", "warn": "warn", "unknown": "faint", "pass": "good"}
_NAMED = 3  # most parameters named in the headline of a check that needs more trials
_VERDICTS = {"fail": "failed", "warn": "warning", "unknown": "unknown"}
_COUNTED = {
    "fail": ("failure", "failures"),
    "warn": ("warning", "warnings"),
    "unknown": ("unknown", "unknown"),
}


@page_for(Checks)
def checks_page(checks: Checks, spell: Spell = str) -> Page:
    """The checks that failed, the gravest first, and how many passed.

    ``spell`` writes an action as text.
    """
    facts: list[Fact] = []
    folds = []
    for c in gravest_first(checks):
        if c.verdict != PASS:
            text = f"{_VERDICTS[c.verdict]}: {_finding(c, spell)}"
            facts.append((c.subject, Cell(text, _TONES[c.verdict])))
        folds.append(Fold(f"{question(c)} {c.verdict}", [Text(figure(c)), Text(says(c, spell))], c.key))
    calls = [c.call for c in checks.checks if c.call and c.verdict in (WARN, FAIL)]
    title = f"Checks of round {checks.round[:8]}: {passed_text(checks)}"
    return Page(title, [Facts(facts)], calls[:1], folds)


def failed_text(checks: Checks) -> str:
    """The failed checks in one line: ``1 check failed: repeats differ``; empty if no check failed."""
    findings = [_finding(check) for check in checks.checks if check.verdict == FAIL]
    if not findings:
        return ""
    return f"{plural(len(findings), 'check')} failed: {'; '.join(findings)}"


def _finding(check: Check, spell: Spell = str) -> str:
    """The first sentence of a check, to follow a label: in lower case, unless it begins with a name."""
    text = says(check, spell).partition(". ")[0].removesuffix(".")
    if text.partition(" ")[0].istitle():
        return text[:1].lower() + text[1:]
    return text


def gravest_first(checks: Checks) -> list[Check]:
    """The checks in the order of the folds of their page."""
    return sorted(checks.checks, key=lambda c: list(_TONES).index(c.verdict))


def question(check: Check) -> str:
    """The question that a check asks."""
    return fill(_ASKED[check.key].question, check.values)


def figure(check: Check) -> str:
    """The number behind a verdict, in words; ``-`` without a number."""
    if math.isfinite(check.value):
        return fill(_ASKED[check.key].number, check.values)
    return "-"


def says(check: Check, spell: Spell = str) -> str:
    """The finding of a check in a sentence or two, with the advice; ``spell`` writes an action as text."""
    text = upper(fill(_SAYS[f"{check.key}.{check.code}"], check.values))
    if not text.endswith((".", '"')):
        text += "."
    if check.action is None:
        return text
    return f"{text} {_ASKED[check.key].advice}: {spell(check.action)}."


def passed_text(checks: Checks) -> str:
    """The number of checks by verdict: ``4 warnings, 6 passed``."""
    counts = checks.counts
    parts = [plural(counts[verdict], *words) for verdict, words in _COUNTED.items() if counts[verdict]]
    return ", ".join([*parts, f"{counts[PASS]} passed"])


class _Asked(NamedTuple):
    """Words of a check: question, number behind the verdict, and introduction of the advice."""

    question: str
    number: Say
    advice: str = "Next"


def _flagged(v: Any) -> str:
    count = v.counts[v.worst]
    return f"{count} of the best {v.of}{f' {FLAGS[v.worst].verb_phrase}' if count else ''}"


def _gain(v: Any) -> str:
    over = "the best before"
    if v.over == "median":
        over = "the median"
    noise = "no noise seen"
    if v.noise > 0:
        noise = f"{number(abs(v.gain) / v.noise, 2)} times the noise"
    if v.gain == 0:
        return f"no better than {over}"
    direction = "better"
    if v.gain < 0:
        direction = "worse"
    return f"{difference(abs(v.gain))} {direction} than {over}, {noise}"


_ASKED = {
    "goal": _Asked(
        "Does the round ask a clear question?",
        "",
        "To write a note",
    ),
    "edges": _Asked("Is the best configuration away from the ends of its ranges?", "{ends:open end}"),
    "code": _Asked("Did all trials run the same code?", "{count:version}"),
    "infeasible": _Asked(
        "Do most trials give a usable model?",
        "{count} of {ended} unusable ({share:percent}; {low:percent} to {high:percent})",
    ),
    "curves": _Asked("Do the training curves of the best trials look sound?", _flagged, "To report curves"),
    "epochs": _Asked(
        "Are all epochs needed?",
        "{epochs} of {of}",
        "To stop the worse half of the trials there",
    ),
    "stopping": _Asked(
        "Did early stopping keep the good trials?",
        "{saved:percent} of the epochs saved",
        "To run stopped trials to their end",
    ),
    "noise": _Asked("Is the gain larger than the noise?", _gain, "To measure the noise"),
    "drift": _Asked(
        "Do values stay the same over the round?",
        "rank correlation {correlation:+.2f} between residual and order",
    ),
    "optimism": _Asked(
        "Would the best trial do as well again?",
        "{over:difference} of {best:score} is expected to be luck",
        "To measure the luck",
    ),
    "cost": _Asked(
        "Is there a cheaper trial that is as good?", "{saving:percent} less time for as good a trial"
    ),
    "second": _Asked(
        "Could a second region hold the best?",
        lambda v: f"{chance_words(v.probability)} that a region cut off holds the best",
        "To look there",
    ),
    "worth": _Asked("Is another round worth it?", lambda v: _ADVICE[v.verdict]),
}


def _piled(v: Any) -> str:
    ends = join([f"{name} ({side} end)" for name, side in v.piled or v.widened])
    if not v.piled:
        return f"The optimum may lie beyond {ends}; the proposal looks there"
    but = "; the proposal does not extend them" * bool(v.proposal)
    return f"Top trials pile up at {ends}{but}. The optimum may lie beyond"


def _at_end(v: Any) -> str:
    ends = join([f"{name} = {number(value, 6)}" for name, _, value in v.at_end])
    return f"The best trial has {ends}, the end of a range: look beyond it"


def _lost(v: Any) -> str:
    ways = ["failed", "diverged", "predict a constant", *["break a constraint"] * bool(v.infeasible)]
    text = f"{v.count:,} of {plural(v.ended, 'trial')} ({percent(v.share)}) {join(ways, 'or')}"
    if v.parameters:
        text += f", more often at some values of {join(v.parameters)}"
    elif v.share > INFEASIBLE[0]:
        text += ". No parameter is shown to explain them"
    if v.exploded:
        text += f". {plural(v.exploded, 'trial')} exploded: a huge but finite value counts as diverged"
    return text


def _curves(v: Any) -> str:
    first, *other_flags = v.frequent
    text = f"{v.counts[first]} of the best {plural(v.of, 'trial')} {FLAGS[first].verb_phrase}"
    return "; ".join([text, *(f"{v.counts[flag]} {FLAGS[flag].verb_phrase}" for flag in other_flags)])


def _stopped(v: Any) -> str:
    saved = f"Stopping {plural(v.stopped, 'trial')} saved {percent(v.saved)} of the epochs"
    if not v.audited:
        return f"{saved}. The loss is unknown: every trial that fell behind was stopped"
    return (
        f"{saved}. Of {v.audited} trials that fell behind and ran on, {v.won or 'none'} would have won and "
        f"{v.good} would have been as good as the best {v.top} others: about {v.lost:.0f} of those stopped "
        f"({v.low:.0f} to {v.high:.0f})"
    )


def _ties(v: Any) -> str:
    count = (
        f"{plural(v.ties, 'trial')} {inflected(v.ties, 'lies', 'lie')} within the noise "
        f"({difference(v.noise)}) of the best"
    )
    if v.ties > TIES:
        return f"{count}; the choice among them is luck"
    return count


def _second(v: Any) -> str:
    sides = [f"{n} {(' to ' if ordered else ', ').join(map(str, levels))}" for n, levels, ordered in v.place]
    place = (
        f"The most likely place for a better optimum outside the proposed bounds: {join(sides)}, "
        f"{percent(v.share)} of the space cut off"
    )
    if not v.needed:  # more trials than the budget has left
        return place
    return f"{place}. It would take {v.needed:,} audit trials to hit that region with 95 % probability"


def outlook_text(outlook: Any, *, named: bool = False) -> str:
    """The forecast for another round, without a full stop.

    For example ``another 57 trials (25 s) are unlikely to gain more than 0.0076``.

    Args:
        outlook: A :class:`Worth`, or an object with its attributes.
        named: Whether the sentence before has the number of trials: ``these trials (25 s) are unlikely ...``.
    """
    verdict = outlook.verdict
    budget = getattr(outlook, "budget", "")  # missing in checks stored before
    if not outlook.n and outlook.left and budget:
        return f"the budget leaves no trial for another round ({budget})"
    if not outlook.n:
        return "every configuration of the proposed space was run"
    cost = ""
    if outlook.seconds >= 1:
        cost = f" ({duration(outlook.seconds)})"
    trials = f"another {plural(outlook.n, 'trial')}"
    if named:
        trials = inflected(outlook.n, "this trial", "these trials")
    gain_text = "gain something" if verdict == CONTINUE else "gain anything"
    if outlook.epsilon > 0:
        gain_text = f"gain more than {difference(outlook.epsilon)}"
    price = getattr(outlook, "cost", None)
    if price is not None and math.isfinite(price) and verdict != CONFIRM:
        compared = "less"
        if verdict == CONTINUE:
            compared = "more"
        return (
            f"{trials}{cost} should gain {difference(outlook.gain)}, {compared} than their "
            f"price of {difference(price)}"
        )
    if verdict == CONTINUE and outlook.probability >= PROBABLE:
        return f"{trials}{cost} will probably {gain_text}"
    if verdict == CONTINUE and not _budget_decides(outlook):
        return f"{trials}{cost} may {gain_text} ({chance_words(outlook.probability)} do)"
    if verdict == CONFIRM:
        return (
            f"repeating the best should help more than {outlook.n:,} new "
            f"{inflected(outlook.n, 'trial', 'trials')}{cost}"
        )
    return f"{trials}{cost} {inflected(outlook.n, 'is', 'are')} unlikely to {gain_text}"


def _outlook_of_check(v: Any) -> str:
    """The forecast for another round; the trials left if they alone speak for the round."""
    if _budget_decides(v):
        return f"{v.budget}: {v.n:,} for another round"
    return outlook_text(v)


def _budget_decides(outlook: Any) -> bool:
    """True if only the budget speaks for another round: the model sees no likely gain."""
    budget = getattr(outlook, "budget", "")  # missing in checks stored before
    return bool(outlook.verdict == CONTINUE and budget and outlook.n and outlook.probability < LIKELY)


# Verdict -> its advice.
_ADVICE: dict[str, str] = {CONTINUE: "Go on", CONFIRM: "Confirm first", STOP: "Stop here"}


def _little_luck(v: Any) -> str:
    if score(v.expected) == score(v.best):
        return f"No luck is expected in the best value, {score(v.best)}"
    return (
        f"{score(v.expected)} expected on retraining, not {score(v.best)}: a difference below one standard "
        "deviation of the noise"
    )


def _no_gain(v: Any) -> str:
    if v.gain > 0:
        return f"The gain ({difference(v.gain)}) is no more than luck could bring. {_ties(v)}"
    return f"The best is no better than the best before this round. {_ties(v)}"


_UNKNOWN_NOISE = "The noise is unknown: too few repeats"

_SAYS: dict[str, Say] = {
    "goal.explores": 'The round explores: "{note}"',
    "goal.no_goal": "The round explores, without a note on its purpose",
    "edges.piled_up": _piled,
    "edges.widened": _piled,
    "edges.at_end": _at_end,
    "edges.inside": "Neither the best trial nor the top fifth lies at an open end",
    "code.several": (
        "Differences between trials may come from the code: exclude trials of the old "
        "code, or make a new round"
    ),
    "infeasible.few": _lost,
    "infeasible.many": _lost,
    "curves.no_curves": "No trial reported a loss or metric by epoch",
    "curves.too_short": "Curves of {epochs} epochs are too short to judge: {needed} are needed",
    "curves.other_metrics": "Trials reported by epoch neither a loss nor the metric of the round",
    "curves.sound": "Nothing stands out",
    "curves.flagged": _curves,
    "epochs.fewer": "Epoch {epochs} ranks {trials:trial} like epoch {of} (Kendall's tau {tau:.2f})",
    **{f"stopping.{code}": _stopped for code in ("unaudited", "kept", "lost")},
    "noise.unknown": _UNKNOWN_NOISE,
    "noise.gain": lambda v: f"The gain is more than two noisy best values differ by. {_ties(v)}",
    "noise.no_gain": _no_gain,
    "noise.worse": lambda v: (
        f"The best is {difference(-v.gain)} worse than the best before this round. {_ties(v)}"
    ),
    "noise.clear": _ties,
    "noise.unclear": _ties,
    "drift.unknown": "Fewer than 20 evenly drawn trials finished, or all values are equal",
    "drift.identical": "Repeats gave identical values, whenever they ran",
    "drift.none": "No trend over the order of {n:trial}",
    "drift.seen": (
        "Later trials came out {way} than the parameters explain (p = {p:.2g}): data, code "
        "or machine may have changed"
    ),
    "optimism.unknown": _UNKNOWN_NOISE,
    "optimism.small": _little_luck,
    "optimism.large": (
        "{expected:score} expected on retraining, not {best:score}: the best of {trials:trial} is "
        "partly luck. "
        "A hold-out set measures the difference"
    ),
    "cost.unknown": "The trials don't record their times",
    "cost.fast": "The best trial takes under 0.01 s, too short to compare",
    "cost.no_cheaper": "No trial as good, within the noise, takes much less time",
    "cost.cheaper": (
        "The trial of rank {rank} is as good within the noise and takes {share:percent} of the time"
    ),
    "second.not_proposed": "nothing is proposed yet, so nothing is cut off",
    "second.nothing_cut": "the proposal cuts no value off",
    "second.no_model": "the chance that a better value is cut off is not known: the proposal has no model",
    "second.none_outside": "the model places no better value in the part cut off",
    "second.unlikely": _second,
    "second.plausible": _second,
    "worth.unknown": "The trials say nothing about the space of the next round",
    **{f"worth.{code}": _outlook_of_check for code in ("continue", "confirm", "stop")},
}


class Flag(NamedTuple):
    """Words for a judgement of training curves."""

    word: str  # in short
    verb_phrase: str  # as the verb of a sentence about trials
    means: str  # its definition
    size: str  # template of its size
    helps: str  # possible remedies


# Judgement of :mod:`refine.analysis.learning_curves` -> its words, from the Deep Learning Tuning Playbook
# (Godbole et al. 2023).
FLAGS = {
    "overfitting": Flag(
        "overfits",
        "overfit",
        "validation loss rises while training loss keeps falling",
        "rise {}",
        "more or better tuned regularisation, or fewer epochs",
    ),
    "unsteady": Flag(
        "unsteady end",
        "ended unsteadily",
        "the metric jumps from epoch to epoch up to the end, so its last value is partly luck",
        "deviation {}",
        "a learning rate that decays, larger batches or more validation rows",
    ),
    "improving": Flag(
        "still improving",
        "were still improving at the last epoch",
        "the metric still improves at the end",
        "{} in the last quarter",
        "more epochs, or another schedule of the learning rate",
    ),
    "saturated": Flag(
        "saturated early",
        "were as good within the first quarter of their epochs",
        "within the first quarter of its epochs as good as it got",
        "at epoch {}",
        "fewer epochs: spend the time on more configurations",
    ),
    "rising": Flag(
        "loss rises",
        "ended with a rising training loss",
        "training loss ends above its minimum",
        "rise {}",
        "a lower learning rate, or a check of the training code",
    ),
}

_ADVISES = "Median size, and remedies from the Deep Learning Tuning Playbook (Godbole et al. 2023):"


def curves_page(trials: Sequence[TrialCurves], metric: Metric, direction: str) -> Page:
    """Flags on the curves of the best trials, with counts and remedies; ``trials`` isn't empty."""
    best = ""
    if metric.reduction == "last":
        reduction = {"maximize": "max", "minimize": "min"}[direction]
        best = f", or judge by the best epoch ({reduction}:{metric.name})"
    facts = []
    rows = []
    for name, flag in FLAGS.items():
        sizes = [getattr(trial.flags, name).size for trial in trials if name in trial.seen]
        if sizes:
            count = f"{len(sizes)} of {len(trials)}"
            helps = flag.helps + best * (name == "unsteady")
            facts.append((flag.word.capitalize(), f"{count}: {helps}"))
            rows.append((flag.word, count, flag.means, flag.size.format(number(median(sizes))), helps))
    short = sum(not trial.judged for trial in trials)
    subject = "the best trial"
    if len(trials) > 1:
        subject = f"the best {len(trials)} trials"
    if short:
        facts.append(("Too short", f"{short} of {subject} reported too few epochs to judge"))
    title = f"Curves of {subject}"
    folds = []
    if rows:
        grid = Grid(("flag", "trials", "meaning", "size", "remedies"), rows)
        folds = [Fold("Flags", [Text(_ADVISES), grid])]
    elif short < len(trials):
        title = f"Nothing stands out in the curves of {subject}."
    return Page(title, [Facts(facts)], folds=folds)


TONES = {CONTINUE: "good", CONFIRM: "warn", STOP: "warn"}  # verdict -> tone


_SOURCES = {"rows": "validation rows", "folds": "folds"}
_UNKNOWN_PART = "on others, the best configurations may change places"


@page_for(Worth)
def worth_page(outlook: Worth) -> Page:
    """The verdict on a further round with a chance, and the expected gains of the round and of repeats."""
    interval = f"90 % interval {difference(outlook.low)} to {difference(outlook.high)}"
    gain = f"by {outlook.repeats} repeats of the best: {difference(outlook.again)}"
    if outlook.n and outlook.low == outlook.high > 0:
        gain = f"not known, as nearly all simulated rounds reach the limit of {outlook.metric}; {gain}"
    elif outlook.n:
        gain = f"{difference(outlook.gain)} expected by the model ({interval}); {gain}"
    if outlook.data in NEW_DATA:
        gain += CLAIMED_DATA[outlook.data]
    calls = [action for action in (worth(outlook).action,) if action]
    facts: list[Fact] = []
    if outlook.n or outlook.repeats:
        facts = [("Gain", gain)]
        if outlook.n and outlook.data in NEW_DATA:
            facts.append(("Interval", f"wider than on these {_SOURCES[outlook.data]} alone: {_UNKNOWN_PART}"))
    return Page(worth_sentence(outlook), [Facts(facts)], calls)


def worth_sentence(outlook: Worth) -> str:
    """The verdict, its forecast, and the chance of a gain or the hit rate of the advice."""
    if _budget_decides(outlook):
        return f"{CONTINUE}: {_outlook_of_check(outlook)}."
    rate = ""
    if outlook.n and not math.isfinite(outlook.cost):
        if outlook.verdict == STOP:
            rate = f" ({chance_words(outlook.probability)} do)"
        elif outlook.verdict == CONFIRM:
            rate = " (such advice was right in 9 of 10 cases)"
    return f"{outlook.verdict}: {outlook_text(outlook)}{rate}."
