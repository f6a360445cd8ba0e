"""Checks before a decision: questions with a verdict, a code and numbers. They inform.

The person decides. Pure.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.best_trials import cost_of
from refine.analysis.drift import LEVEL, drift_of
from refine.analysis.learning_curves import FLAGS, Epochs, TrialCurves
from refine.analysis.reason import plain
from refine.analysis.selection import candidates, unusable
from refine.analysis.stopped import Stopping
from refine.errors import AnalysisError, UnknownNameError, did_you_mean
from refine.proposal.proposal import Proposal, surrogate_behind
from refine.review.worth import CONFIRM, CONTINUE, Worth
from refine.space.limits import widened
from refine.space.parameters import Range
from refine.trials.frame import best_first, infeasible_rows
from refine.utils.action import Action, Symbol
from refine.utils.arrays import Floats
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd


INFEASIBLE = (0.05, 0.25)  # shares of unusable trials from which to warn, and to fail
FLAGGED = (0.25, 0.5)  # shares of flagged curves among the best trials from which to warn, and to fail
LOST = 0.25  # good stopped trials, as a share of the ten best others, from which to warn
SLOW = 0.01  # seconds from which the time of a trial says something; below, clocks and caches decide
DRIFTS = 1e-6  # p-value of a trend over the order from which no forecast holds
CHEAPER = 0.3  # saving of time, without a loss, from which a cheaper trial is mentioned
SECOND = 0.05  # probability that a region cut off holds the best, from which audit trials are advised
TIES = 5  # trials within the noise of the best from which the choice among them is luck
_SURE = 2 * math.sqrt(2)  # two noisy best values differ by more than luck beyond so many standard deviations
VERDICTS = ("pass", "warn", "fail", "unknown")
PASS, WARN, FAIL, UNKNOWN = VERDICTS

# Code of a finding -> its verdict; those of other findings depend on their numbers.
_VERDICT_OF = {
    **dict.fromkeys(("explores", "inside", "judged", "sound", "kept"), PASS),
    **dict.fromkeys(("gain", "clear", "none", "identical", "small", "no_cheaper", "fast", "unlikely"), PASS),
    **dict.fromkeys(("nothing_cut", "none_outside"), PASS),
    **dict.fromkeys(("no_goal", "at_end", "widened", "fewer", "lost"), WARN),
    **dict.fromkeys(("no_gain", "unclear", "seen", "large", "cheaper", "plausible"), WARN),
    **dict.fromkeys(("piled_up", "several", "worse"), FAIL),
}

_REPLICATED = 5
_SEEDS = 3
_REPLICATE = Action("round.add", repeat=_REPLICATED, seeds=_SEEDS)


# Key of a check -> its printed name.
SUBJECTS = {
    "goal": "question",
    "edges": "ends",
    "code": "code",
    "infeasible": "failures",
    "curves": "curves",
    "epochs": "epochs",
    "stopping": "stopping",
    "noise": "gain",
    "drift": "drift",
    "optimism": "luck",
    "cost": "cost",
    "second": "elsewhere",
    "worth": "next round",
}


class Check(NamedTuple):
    """One question with its answer."""

    key: str  # short name of the question
    verdict: str  # ``"pass"``, ``"warn"``, ``"fail"`` or ``"unknown"``
    code: str  # the finding; sentences by key and code are in :mod:`refine.report.pages.checks`
    values: Mapping[str, Any]  # numbers by name, as JSON has them
    value: float  # the number behind the verdict; NaN if unknown
    # name of the figure, as in ``round.plot.<name>()``; empty without one
    picture: str = ""
    about: str = ""  # the parameter of the figure; empty if the figure shows the round
    action: Action | None = None  # advice; ``None`` if nothing is to be done

    @property
    def subject(self) -> str:
        """The subject in a word or two, as printed."""
        return SUBJECTS[self.key]

    @property
    def call(self) -> Action | None:
        """The call that draws the figure; ``None`` without a figure."""
        if not self.picture:
            return None
        return Action(f"round.plot.{self.picture}", *([self.about] if self.about else []))


def _check(
    key: str,
    code: str,
    value: float = math.nan,
    picture: str = "",
    about: str = "",
    action: Action | None = None,
    verdict: str = "",
    **values: object,
) -> Check:
    """A check; the verdict follows from the code, if it does not depend on numbers."""
    plain_values = {name: plain(v) for name, v in values.items()}
    verdict = verdict or _VERDICT_OF.get(code, UNKNOWN)
    return Check(key, verdict, code, plain_values, value, picture=picture, about=about, action=action)


@dataclass(frozen=True, repr=False)
class Checks(Shown):
    """All checks of a round."""

    round: str  # id of the round
    checks: tuple[Check, ...]  # the checks, in the order of asking

    def __getitem__(self, key: str) -> Check:
        """The check of a key or of a printed name: ``checks["infeasible"]`` or ``checks["failures"]``."""
        for check in self.checks:
            if key in (check.key, check.subject):
                return check
        names = dict.fromkeys(name for check in self.checks for name in (check.subject, check.key))
        raise UnknownNameError(f"no check {key!r}; {did_you_mean(key, names)}")

    def within(self, repeats: int | None) -> Checks:
        """The checks with advice to repeat at most ``repeats`` trials; ``None`` for no limit."""
        if repeats is None or repeats >= _REPLICATED * _SEEDS:
            return self
        action = None
        if repeats >= _SEEDS:
            action = Action("round.add", repeat=repeats // _SEEDS, seeds=_SEEDS)
        fitted = [c._replace(action=action) if c.action == _REPLICATE else c for c in self.checks]
        return Checks(self.round, tuple(fitted))

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> number of checks."""
        return {v: sum(c.verdict == v for c in self.checks) for v in VERDICTS}


@dataclass(frozen=True, eq=False)
class ChecksContext:
    """The material of the checks besides the analysis."""

    proposal: Proposal | None  # the proposal; ``None`` without one
    goal: str  # purpose of the round, in the person's words
    curves: Sequence[TrialCurves]  # training curves of the best trials, best first
    before: float  # best value before this round, in the metric's own sign; NaN for a root
    allow_degenerate: bool  # whether a degenerate trial may be called best
    # whether the space holds the best configuration from before this round: the round does not run it again
    best_kept: bool = False
    worth: Worth | None = None  # outlook of the next round; ``None`` if it cannot be simulated
    stopping: Stopping | None = None  # result of early stopping; ``None`` if no trial was stopped
    # epochs after which trials rank as at their end; ``None`` if all epochs are needed
    epochs: Epochs | None = None
    # epochs of the longest curve that a trial reported, of whatever metric; 0 if none reported one
    reported_epochs: int = 0
    n_left: int | None = None  # trials left in the budget; ``None`` without a budget
    # expected value of the best trial when retrained, as the winner states it; NaN if unknown
    expected: float = math.nan


def checks_of(round_id: str, analysis: Analysis, context: ChecksContext) -> Checks:
    """The checks of a round.

    Raises:
        AnalysisError: No trial may be called best.
    """
    ranked = best_first(analysis.table, analysis.direction, analysis.space, context.allow_degenerate)
    if ranked.empty:
        raise AnalysisError(
            "no trial has finished that may be called best; run the round first", Action("round.run")
        )
    values = analysis.sign * np.asarray(ranked["value"], dtype=float)
    checks = [
        _goal(context.goal.strip()),
        _edges(analysis, context.proposal, ranked.iloc[0]),
        *([_code(analysis)] if len(analysis.codes) > 1 else []),
        _infeasible(analysis, context.allow_degenerate),
        _curves(context.curves, context.reported_epochs),
        *([_epochs(context.epochs)] if context.epochs else []),
        *([_stopping(context.stopping)] if context.stopping else []),
        _noise(analysis, context),
        _drift(analysis),
        _optimism(analysis, values, context.expected),
        _cost(analysis),
        _second(analysis, context.proposal, context.n_left),
        worth(context.worth),
    ]
    return Checks(round_id, tuple(checks))


def _goal(note: str) -> Check:
    """A note on the purpose of the round."""
    if note:
        return _check("goal", "explores", note=note)
    return _check("goal", "no_goal", action=Action("round.note", ...))


def _edges(analysis: Analysis, proposal: Proposal | None, best: pd.Series) -> Check:
    """The best trials' distance from the ends of their ranges."""
    wider: list[list[str]] = []
    for c in proposal.changes if proposal else ():
        if c.kind == "widen" and isinstance(c.old, Range) and isinstance(c.new, Range):
            wider += [[c.name, "low"]] * (c.new.low < c.old.low) + [[c.name, "high"]] * (
                c.new.high > c.old.high
            )
    piled: list[list[str]] = []
    at_end: list[list[Any]] = []
    for e in analysis.parameters:
        open_ends = analysis.findings[e.name].open_ends
        piled += [[e.name, side] for side in open_ends if [e.name, side] not in wider]
        p = e.parameter
        if e.matters and isinstance(p, Range):
            limits = {"low": p.low, "high": p.high}
            beyond = [side for side in limits if widened(e.name, p, p, side) is not None]
            at_end += [[e.name, side, limits[side]] for side in beyond if best[e.name] == limits[side]]
    # The pile-up and the best trial may be at the same end.
    count = len({(name, side) for name, side, *_ in (*piled, *wider, *at_end)})
    values: dict[str, Any] = {"ends": count, "piled": piled, "widened": wider, "at_end": at_end}
    values["proposal"] = proposal is not None
    for code, ends in (("piled_up", piled), ("at_end", at_end), ("widened", wider)):
        if ends:
            return _check("edges", code, count, "density", ends[0][0], **values)
    return _check("edges", "inside", count, **values)


def _code(analysis: Analysis) -> Check:
    """A warning about trials of several versions of the objective's code."""
    return _check("code", "several", len(analysis.codes), count=len(analysis.codes))


def _infeasible(analysis: Analysis, allow_degenerate: bool) -> Check:
    """The share of trials without a usable model."""
    table = analysis.table
    ended = len(table)
    if "state" in table:
        ended = int((table["state"] != "running").sum())
    count = int(unusable(table, analysis.space, allow_degenerate).sum())
    share = math.nan
    if ended:
        share = count / ended
    ends = stats.wilson(count, ended)
    verdict = FAIL
    if share <= INFEASIBLE[1]:
        verdict = WARN
    code = "many"
    # Values far beyond all others need attention, however few.
    if share <= INFEASIBLE[0] and not analysis.n_exploded:
        verdict = PASS
        code = "few"
    picture = "failing"
    if code == "few" and not count:
        picture = ""
    return _check(
        "infeasible",
        code,
        share,
        picture,
        verdict=verdict,
        count=count,
        ended=ended,
        share=share,
        low=float(ends.low),
        high=float(ends.high),
        parameters=[e.name for e in analysis.parameters if e.fails],
        infeasible=int(infeasible_rows(table).sum()),
        exploded=analysis.n_exploded,
    )


def _curves(curves: Sequence[TrialCurves], reported: int) -> Check:
    """The training curves of the best trials.

    ``reported`` is the number of epochs of the longest curve reported.
    """
    judged = [c for c in curves if c.judged]
    if not judged and reported:
        needed = stats.CurveCheck().least
        code = "other_metrics"
        if reported < needed:
            code = "too_short"
        return _check("curves", code, epochs=reported, needed=needed)
    if not judged:
        report = Action("trial.report", Symbol("epoch"), Symbol("metrics"))
        return _check("curves", "no_curves", action=report)
    counts = {flag: sum(flag in c.seen for c in judged) for flag in FLAGS}
    shares = {flag: count / len(judged) for flag, count in counts.items()}
    worst = max(counts, key=lambda flag: counts[flag])
    frequent = [flag for flag, share in shares.items() if share >= FLAGGED[0]]
    values: dict[str, Any] = {"of": len(judged), "worst": worst, "counts": counts, "frequent": frequent}
    if not frequent:
        return _check("curves", "sound", shares[worst], "curves", **values)
    verdict = WARN
    # Early saturation wastes time but does no harm.
    if any(share >= FLAGGED[1] for flag, share in shares.items() if flag != "saturated"):
        verdict = FAIL
    return _check("curves", "flagged", shares[worst], "curves", verdict=verdict, **values)


def _epochs(epochs: Epochs) -> Check:
    """Epochs that could be saved."""
    action = Action("review.accept", pruner=Symbol(f"refine.Pruner(rungs=({epochs.epochs},))"))
    return _check("epochs", "fewer", epochs.tau, action=action, **epochs._asdict())


def _stopping(stopping: Stopping) -> Check:
    """Good trials lost by early stopping."""
    values = stopping._asdict()
    if not stopping.audited:
        return _check("stopping", "unaudited", stopping.lost, **values)
    if stopping.lost <= LOST * stopping.top:
        return _check("stopping", "kept", stopping.lost, **values)
    rerun = Action("round.run", rerun="pruned")
    return _check("stopping", "lost", stopping.lost, action=rerun, **values)


def _noise(analysis: Analysis, inputs: ChecksContext) -> Check:
    """The gain against the noise, and the number of trials that are as good as the best."""
    sd = _sd(analysis)
    if not math.isfinite(sd):
        return _check("noise", "unknown", picture="best_so_far", action=_REPLICATE)
    y = np.asarray(analysis.table["value"], dtype=float)[candidates(analysis, analysis.table)]
    y *= analysis.sign
    ties = int(np.sum(y.max() - y <= sd))
    over = "before"
    gain = float(y.max() - analysis.sign * inputs.before)
    if not math.isfinite(gain):  # a root
        over = "median"
        gain = float(y.max() - np.median(y))
        code = "unclear"
        if gain > _SURE * sd and ties <= TIES:
            code = "clear"
    elif gain > _SURE * sd:
        code = "gain"
    elif gain < -max(_SURE * sd, analysis.noise.epsilon) and not inputs.best_kept:
        code = "worse"
    else:
        code = "no_gain"
    action = None
    if ties > TIES:
        action = _REPLICATE
    values: dict[str, Any] = {"gain": gain + 0.0, "noise": sd, "ties": ties, "over": over}
    return _check("noise", code, gain, "best_so_far", action=action, **values)


def _drift(analysis: Analysis) -> Check:
    """The trend of the values over the order of the trials; none if repeats gave identical values."""
    if analysis.noise.deterministic:
        return _check("drift", "identical")
    drift = drift_of(analysis)
    if drift is None:
        return _check("drift", "unknown")
    code = "none"
    verdict = PASS
    if drift.seen:
        code = "seen"
        verdict = WARN
    if drift.p < DRIFTS:
        verdict = FAIL
    way = "worse"
    if drift.correlation > 0:
        way = "better"
    values = {"way": way, "level": LEVEL, **drift._asdict()}
    return _check("drift", code, drift.correlation, verdict=verdict, **values)


def _sd(analysis: Analysis) -> float:
    """Standard deviation of the noise; NaN if unknown.

    If the best values are level, residuals give 0 and show nothing.
    """
    if analysis.noise.measured:
        return analysis.noise.sd
    return math.nan


def _optimism(analysis: Analysis, values: Floats, expected: float) -> Check:
    """By how much the best value exceeds its expected value when retrained.

    The expected value is the winner's, so two screens state the same number. Without a winner, the best of
    many noisy values is corrected for the choice of the best.
    """
    sd = _sd(analysis)
    if not math.isfinite(sd):
        return _check("optimism", "unknown", action=_REPLICATE)
    best = float(values.max())
    honest = analysis.sign * expected
    if not math.isfinite(expected):
        honest = float(stats.Optimism(seed=analysis.seed)(values, sd).honest)
    over = best - honest
    code = "large"
    # An average of equal values differs from the values by rounding.
    if over <= sd or math.isclose(best, honest):
        code = "small"
    numbers: dict[str, Any] = {"over": over, "best": analysis.sign * best}
    numbers |= {"expected": analysis.sign * honest, "trials": len(values)}
    return _check("optimism", code, over, **numbers)


def _cost(analysis: Analysis) -> Check:
    """A cheaper trial that is as good as the best."""
    cost = None
    with contextlib.suppress(AnalysisError):  # no trial has a time
        cost = cost_of(analysis)
    if cost is None or not cost.leads:
        return _check("cost", "unknown")
    if cost.seconds[cost.best] < SLOW:
        return _check("cost", "fast", picture="cost")
    share = float(cost.seconds[cost.cheapest] / cost.seconds[cost.best])
    saving = 1 - share
    code = "cheaper"
    if saving < CHEAPER:
        code = "no_cheaper"
    return _check("cost", code, saving, "cost", saving=saving, rank=cost.rank, share=share)


def _second(analysis: Analysis, proposal: Proposal | None, n_left: int | None) -> Check:
    """A region cut off that may hold a better value, and the number of trials that would find it.

    The number is 0 if the budget has fewer trials left.
    """
    if proposal is None:
        return _check("second", "not_proposed")
    region = None
    surrogate = surrogate_behind(proposal)
    if surrogate is not None:
        region = surrogate.elsewhere(proposal.space, proposal.claim.epsilon)
    if region is None and proposal.volume_kept == 1:
        return _check("second", "nothing_cut")
    if surrogate is None:
        return _check("second", "no_model")
    if region is None:
        return _check("second", "none_outside", 0.0, probability=0.0)
    place = []
    for e, levels in zip(analysis.parameters, region.levels, strict=True):
        if not levels.all() and e.read != 0:
            level_numbers = list(np.flatnonzero(levels))
            ordered = e.parameter.ordered
            if ordered and len(level_numbers) > 1:
                level_numbers = [level_numbers[0], level_numbers[-1]]
            place.append([e.name, [e.levels[i].label for i in level_numbers], ordered])
    needed = 1  # trials that hit a region of this share with probability 0.95
    if 0 < region.share < 1:
        needed = math.ceil(math.log(0.05) / math.log1p(-region.share))
    if n_left is not None and needed > n_left:
        needed = 0
    chances = {"probability": region.probability, "outside": region.outside, "share": region.share}
    values: dict[str, Any] = {"place": place, **chances, "needed": needed, "even": proposal.claim.even}
    if region.probability < SECOND:
        return _check("second", "unlikely", region.probability, **values)
    action = Action("review.accept", audit=...)
    return _check("second", "plausible", region.probability, action=action, **values)


def worth(outlook: Worth | None) -> Check:
    """The outlook of the next round."""
    if outlook is None:
        return _check("worth", "unknown")
    verdict = WARN
    action: Action | None = Action("tree.winner")
    if outlook.verdict == CONTINUE:
        verdict = PASS
        action = None
    elif outlook.verdict == CONFIRM and outlook.budget:
        action = Action("tree.confirm")  # its default fits the budget of the tree
    elif outlook.verdict == CONFIRM:
        action = Action("tree.confirm", budget=outlook.repeats)
    code = outlook.verdict.lower()
    return Check("worth", verdict, code, outlook.to_json(), outlook.probability, action=action)
