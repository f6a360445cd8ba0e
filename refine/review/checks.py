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
from refine.analysis.evidence import level_axis
from refine.analysis.finding import open_ends
from refine.analysis.learning_curves import FLAGS, Epochs, TrialCurves
from refine.analysis.population import space_filling_rows
from refine.analysis.reason import plain
from refine.analysis.selection import candidates, unusable
from refine.analysis.stopped import Stopping
from refine.errors import AnalysisError, UnknownNameError, did_you_mean
from refine.proposal.change import Change
from refine.proposal.proposal import Proposal
from refine.review.worth import CONFIRM, CONTINUE, Worth
from refine.space.limits import widened
from refine.space.parameters import Range
from refine.space.roles import SCIENTIFIC
from refine.trials.frame import best_first, infeasible_rows
from refine.utils.action import Action, Symbol
from refine.utils.arrays import Floats
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd


INFEASIBLE = (0.05, 0.25)  # shares of unusable trials from which to warn, and to fail
FLAGGED = (0.25, 0.5)  # shares of flagged curves among the best trials from which to warn, and to fail
LOST = 0.25  # good stopped trials, as a share of the ten best others, from which to warn
# Trials per level of a scientific parameter: below the first number, the best of a level is an accident; 14
# hit the best fifth of the other parameters with probability 0.95.
PER_LEVEL = (5, 14)

CHEAPER = 0.3  # saving of time, without a loss, from which a cheaper trial is mentioned
SECOND = 0.05  # probability that a region cut off holds the best, from which audit trials are advised
TIES = 5  # trials within the noise of the best from which the choice among them is luck
_SURE = 2 * math.sqrt(2)  # two noisy best values differ by more than luck beyond so many standard deviations
PASS, WARN, FAIL, UNKNOWN = VERDICTS = ("pass", "warn", "fail", "unknown")

_REPLICATED = 5
_SEEDS = 3
_REPLICATE = Action("round.replicate", top=_REPLICATED, seeds=_SEEDS)


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
    def call(self) -> Action | None:
        """The call that draws the figure; ``None`` without a figure."""
        if not self.picture:
            return None
        return Action(f"round.plot.{self.picture}", *([self.about] if self.about else []))


def _check(
    key: str,
    verdict: str,
    code: str,
    value: float = math.nan,
    picture: str = "",
    about: str = "",
    action: Action | None = None,
    **values: object,
) -> Check:
    plain_values = {name: plain(v) for name, v in values.items()}
    return Check(
        key, verdict, code=code, values=plain_values, value=value, picture=picture, about=about, action=action
    )


@dataclass(frozen=True, repr=False)
class Checks(Shown):
    """All checks of a round."""

    round: str  # id of the round
    checks: tuple[Check, ...]  # the checks, in the order of asking

    def __getitem__(self, key: str) -> Check:
        for check in self.checks:
            if check.key == key:
                return check
        raise UnknownNameError(f"no check {key!r}; {did_you_mean(key, [c.key for c in self.checks])}")

    def within(self, repeats: int | None) -> Checks:
        """The checks with advice to repeat at most ``repeats`` trials; ``None`` for no limit."""
        if repeats is None or repeats >= _REPLICATED * _SEEDS:
            return self
        action = None
        if repeats >= _SEEDS:
            action = Action("round.replicate", top=repeats // _SEEDS, seeds=_SEEDS)
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
    roles: Mapping[str, str]  # the role of every parameter
    goal: str  # purpose of the round, in the person's words
    curves: Sequence[TrialCurves]  # training curves of the best trials, best first
    before: float  # best value before this round, in the metric's own sign; NaN for a root
    allow_degenerate: bool  # whether a degenerate trial may be called best
    worth: Worth | None = None  # outlook of the next round; ``None`` if it cannot be simulated
    stopping: Stopping | None = None  # result of early stopping; ``None`` if no trial was stopped
    # epochs after which trials rank as at their end; ``None`` if all epochs are needed
    epochs: Epochs | None = None
    # epochs of the longest curve that a trial reported, of whatever metric; 0 if none reported one
    reported_epochs: int = 0
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
    scientific = [n for n, role in context.roles.items() if role == SCIENTIFIC]
    checks = [
        _goal(context, scientific),
        _edges(analysis, context.proposal, ranked.iloc[0]),
        _enough(analysis, context.proposal),
        *([_code(analysis)] if len(analysis.codes) > 1 else []),
        _infeasible(analysis, context.allow_degenerate),
        _curves(context.curves, context.reported_epochs),
        *([_epochs(context.epochs)] if context.epochs else []),
        *([_stopping(context.stopping)] if context.stopping else []),
        *(_isolation(analysis, name) for name in scientific),
        _noise(analysis, context),
        _drift(analysis),
        _optimism(analysis, values, context.expected),
        _cost(analysis),
        _second(analysis, context.proposal),
        worth(context.worth),
    ]
    return Checks(round_id, tuple(checks))


def _goal(inputs: ChecksContext, scientific: list[str]) -> Check:
    """A clear question of the round, and a proposal that leaves it open."""
    changes = inputs.proposal.changes if inputs.proposal else ()
    decided = [c.name for c in changes if c.kind != "keep" and c.name in scientific]
    nuisance = sum(role == "nuisance" for role in inputs.roles.values())
    note = inputs.goal.strip()
    verdict = PASS
    if scientific:
        code = "question"
    else:
        code = "explores"
    picture = ""
    action = None
    if decided:
        verdict = WARN
        code = "narrows_question"
        picture = "isolation"
    elif not (scientific or note):
        verdict = WARN
        code = "no_goal"
        action = Action("round.set_roles", {Symbol("name"): "scientific"})
    values: dict[str, object] = {
        "scientific": scientific,
        "nuisance": nuisance,
        "decided": decided,
        "note": note,
    }
    if decided:
        about = decided[0]
    else:
        about = ""
    count = float(len(scientific))
    return _check("goal", verdict, code, count, picture=picture, about=about, action=action, **values)


def _edges(analysis: Analysis, proposal: Proposal | None, best: pd.Series) -> Check:
    """The best trials' distance from the ends of their ranges."""
    changes = () if proposal is None else proposal.changes
    wider = [[c.name, side] for c in changes if c.kind == "widen" for side in _moved(c)]
    piled: list[list[str]] = []
    at_end: list[list[Any]] = []
    for e in analysis.parameters:
        piled += [[e.name, side] for side in open_ends(e) if [e.name, side] not in wider]
        p = e.parameter
        if e.matters and isinstance(p, Range):
            limits = {"low": p.low, "high": p.high}
            beyond = [side for side in limits if widened(e.name, p, p, side) is not None]
            at_end += [[e.name, side, limits[side]] for side in beyond if best[e.name] == limits[side]]
    # The pile-up and the best trial may be at the same end.
    count = len({(name, side) for name, side, *_ in (*piled, *wider, *at_end)})
    if at_end:
        verdict = WARN
        code = "at_end"
    elif wider:
        verdict = WARN
        code = "widened"
    else:
        verdict = PASS
        code = "inside"
    if piled:
        verdict = FAIL
        code = "piled_up"
    values: dict[str, Any] = {"ends": count, "piled": piled, "widened": wider, "at_end": at_end}
    about = next((name for name, *_ in (*piled, *at_end, *wider)), "")
    if about:
        picture = "density"
    else:
        picture = ""
    return _check("edges", verdict, code, count, picture, about, **values, proposal=proposal is not None)


def _moved(change: Change) -> list[str]:
    """Ends of a range that a change extends."""
    old = change.old
    new = change.new
    assert isinstance(old, Range)
    assert isinstance(new, Range)
    return ["low"] * (new.low < old.low) + ["high"] * (new.high > old.high)


def _enough(analysis: Analysis, proposal: Proposal | None) -> Check:
    """The number of good trials against the number that judging every parameter takes.

    Parameters in ``unchanged`` are kept as they are since too little is known, not since they were seen not
    to matter.
    """
    if proposal is not None:
        changed = {c.name for c in proposal.changes if c.kind != "keep"}
    else:
        changed = set()
    read = [e for e in analysis.parameters if e.read != 0]
    if not read:
        return _check("enough", UNKNOWN, "nothing_read" if analysis.parameters else "nothing_varies")
    if not analysis.tested:
        return _check("enough", UNKNOWN, "untested")
    # A parameter with an effect is judged, however few good trials there are.
    unseen = [e for e in read if not e.matters] or read
    least_covered = min(unseen, key=lambda e: e.good / max(1, e.needed))
    share = least_covered.good / max(1, least_covered.needed)
    young = [e.name for e in unseen if e.good < e.needed and not e.matters]
    if not young:
        verdict = PASS
    elif share >= 0.5:
        verdict = WARN
    else:  # not tested yet, which is no failure
        verdict = UNKNOWN
    # An imported round has nothing to run.
    if young and not analysis.drawn:
        run_more = Action("round.run", n=...)
    else:
        run_more = None
    values: dict[str, Any] = {
        "good": least_covered.good,
        "needed": least_covered.needed,
        "covered": analysis.covered,
        "parameters": young,
    }
    values["unchanged"] = [name for name in young if name not in changed]
    if young:
        code = "too_few"
    else:
        code = "judged"
    return _check("enough", verdict, code, share, "best_so_far", action=run_more, **values)


def _code(analysis: Analysis) -> Check:
    """A warning about trials of several versions of the objective's code."""
    return _check("code", FAIL, "several", len(analysis.codes), count=len(analysis.codes))


def _infeasible(analysis: Analysis, allow_degenerate: bool) -> Check:
    """The share of trials without a usable model."""
    table = analysis.table
    if "state" in table:
        ended = int((table["state"] != "running").sum())
    else:
        ended = len(table)
    count = int(unusable(table, analysis.space, allow_degenerate).sum())
    if ended:
        share = count / ended
    else:
        share = math.nan
    ends = stats.wilson(count, ended)
    rare = share <= INFEASIBLE[0]
    if rare:
        verdict = PASS
    elif share <= INFEASIBLE[1]:
        verdict = WARN
    else:
        verdict = FAIL
    if analysis.n_exploded:  # values far beyond all others need attention, however few
        if rare:
            verdict = WARN
        rare = False
    return _check(
        "infeasible",
        verdict,
        "few" if rare else "many",
        share,
        "" if rare and not count else "failing",
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
        if reported < needed:
            code = "too_short"
        else:
            code = "other_metrics"
        return _check("curves", UNKNOWN, code, epochs=reported, needed=needed)
    if not judged:
        report = Action("trial.report", Symbol("epoch"), Symbol("metrics"))
        return _check("curves", UNKNOWN, "no_curves", action=report)
    counts = {flag: sum(flag in c.seen for c in judged) for flag in FLAGS}
    shares = {flag: count / len(judged) for flag, count in counts.items()}
    worst = max(counts, key=lambda flag: counts[flag])
    frequent = [flag for flag, share in shares.items() if share >= FLAGGED[0]]
    # Early saturation wastes time but does no harm.
    grave = any(share >= FLAGGED[1] for flag, share in shares.items() if flag != "saturated")
    if frequent:
        verdict = FAIL if grave else WARN
        code = "flagged"
    else:
        verdict = PASS
        code = "sound"
    values: dict[str, Any] = {"of": len(judged), "worst": worst, "counts": counts, "frequent": frequent}
    return _check("curves", verdict, code, shares[worst], "curves", **values)


def _epochs(epochs: Epochs) -> Check:
    """Epochs that could be saved."""
    action = Action("review.accept", pruner=Symbol(f"refine.Pruner(rungs=({epochs.epochs},))"))
    return _check("epochs", WARN, "fewer", epochs.tau, action=action, **epochs._asdict())


def _stopping(stopping: Stopping) -> Check:
    """Good trials lost by early stopping."""
    if not stopping.audited:
        code = "unaudited"
    elif stopping.lost <= LOST * stopping.top:
        code = "kept"
    else:
        code = "lost"
    verdict = {"unaudited": UNKNOWN, "kept": PASS, "lost": WARN}[code]
    if code == "lost":
        action = Action("round.run", rerun="pruned")
    else:
        action = None
    return _check("stopping", verdict, code, stopping.lost, action=action, **stopping._asdict())


def _isolation(analysis: Analysis, name: str) -> Check:
    """The number of trials at every level of a scientific parameter."""
    e = next((p for p in analysis.parameters if p.name == name), None)
    if e is None:
        return _check("isolation", UNKNOWN, "fixed", parameter=name)
    even_trials = analysis.table[space_filling_rows(analysis.table)]
    index = level_axis(e.parameter).index(e.parameter.unit(even_trials[name].to_numpy()))
    counts = np.bincount(index, minlength=len(e.levels))
    smallest_count = int(counts.min())
    level = e.levels[int(counts.argmin())].label
    if smallest_count >= PER_LEVEL[1]:
        verdict = PASS
    elif smallest_count < PER_LEVEL[0]:
        verdict = FAIL
    else:
        verdict = WARN
    if verdict == PASS:
        code = "fair"
    else:
        code = "few_per_level"
    finding = analysis.findings[name].verdict
    values: dict[str, Any] = {
        "parameter": name,
        "least": smallest_count,
        "level": level,
        "needed": PER_LEVEL[1],
        "finding": finding,
    }
    return _check("isolation", verdict, code, smallest_count, "isolation", name, **values)


def _noise(analysis: Analysis, inputs: ChecksContext) -> Check:
    """The gain against the noise, and the number of trials that are as good as the best."""
    sd = _sd(analysis)
    if not math.isfinite(sd):
        return _check("noise", UNKNOWN, "unknown", picture="best_so_far", action=_REPLICATE)
    first = not math.isfinite(inputs.before)
    y = np.asarray(analysis.table["value"], dtype=float)[candidates(analysis, analysis.table)]
    y *= analysis.sign
    gain = float(y.max() - (np.median(y) if first else analysis.sign * inputs.before))
    ties = int(np.sum(y.max() - y <= sd))
    sure = gain > _SURE * sd
    if first:
        if sure and ties <= TIES:
            verdict = PASS
            code = "clear"
        else:
            verdict = WARN
            code = "unclear"
    else:
        worse = gain < -max(_SURE * sd, analysis.noise.epsilon)
        if sure:
            verdict = PASS
            code = "gain"
        elif worse:
            verdict = FAIL
            code = "worse"
        else:
            verdict = WARN
            code = "no_gain"
    values: dict[str, Any] = {
        "gain": gain + 0.0,
        "noise": sd,
        "ties": ties,
        "over": "median" if first else "before",
    }
    return _check(
        "noise", verdict, code, gain, "best_so_far", action=_REPLICATE if ties > TIES else None, **values
    )


def _drift(analysis: Analysis) -> Check:
    """The trend of the values over the order of the trials; none if repeats gave identical values."""
    if analysis.noise.deterministic:
        return _check("drift", PASS, "identical")
    drift = drift_of(analysis)
    if drift is None:
        return _check("drift", UNKNOWN, "unknown")
    if drift.seen:
        verdict = WARN
        code = "seen"
    else:
        verdict = PASS
        code = "none"
    if drift.correlation > 0:
        way = "better"
    else:
        way = "worse"
    return _check("drift", verdict, code, drift.correlation, way=way, level=LEVEL, **drift._asdict())


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
        return _check("optimism", UNKNOWN, "unknown", action=_REPLICATE)
    best = float(values.max())
    honest = analysis.sign * expected
    if not math.isfinite(expected):
        honest = float(stats.Optimism(seed=analysis.seed)(values, sd).honest)
    over = best - honest
    # An average of equal values differs from the values by rounding.
    if over <= sd or math.isclose(best, honest):
        verdict = PASS
        code = "small"
    else:
        verdict = WARN
        code = "large"
    return _check(
        "optimism",
        verdict,
        code,
        over,
        over=over,
        best=analysis.sign * best,
        expected=analysis.sign * honest,
        trials=len(values),
    )


def _cost(analysis: Analysis) -> Check:
    """A cheaper trial that is as good as the best."""
    cost = None
    with contextlib.suppress(AnalysisError):  # no trial has a time
        cost = cost_of(analysis)
    if cost is None or not cost.leads:
        return _check("cost", UNKNOWN, "unknown")
    share = float(cost.seconds[cost.cheapest] / cost.seconds[cost.best])
    if 1 - share < CHEAPER:
        verdict = PASS
        code = "no_cheaper"
    else:
        verdict = WARN
        code = "cheaper"
    return _check("cost", verdict, code, 1 - share, "cost", saving=1 - share, rank=cost.rank, share=share)


def _second(analysis: Analysis, proposal: Proposal | None) -> Check:
    """A region cut off that may hold a better value, and the number of trials that would find it."""
    if proposal is None:
        region = None
    else:
        region = proposal.elsewhere
    if proposal is None or region is None:
        return _check("second", UNKNOWN, "nothing_cut")
    place = []
    for e, levels in zip(analysis.parameters, region.levels, strict=True):
        if not levels.all() and e.read != 0:
            level_numbers = np.flatnonzero(levels)
            ordered = e.parameter.ordered
            labels = [
                e.levels[i].label
                for i in (dict.fromkeys(level_numbers[[0, -1]]) if ordered else level_numbers)
            ]
            place.append([e.name, labels, ordered])
    # Trials that hit a region of this share with probability 0.95.
    if 0 < region.share < 1:
        needed = math.ceil(math.log(0.05) / math.log1p(-region.share))
    else:
        needed = 1
    chances = {"probability": region.probability, "outside": region.outside, "share": region.share}
    values: dict[str, Any] = {"place": place, **chances, "needed": needed, "even": proposal.claim.even}
    if region.probability < SECOND:
        return _check("second", PASS, "unlikely", region.probability, **values)
    action = Action("review.accept", audit=...)
    return _check("second", WARN, "plausible", region.probability, action=action, **values)


def worth(outlook: Worth | None) -> Check:
    """The outlook of the next round."""
    if outlook is None:
        return _check("worth", UNKNOWN, "unknown")
    confirm = Action("tree.confirm", budget=outlook.repeats)
    if outlook.budget:
        confirm = Action("tree.confirm")  # its default fits the budget of the tree
    action = {CONTINUE: None, CONFIRM: confirm}.get(outlook.verdict, Action("tree.winner"))
    if outlook.verdict == CONTINUE:
        verdict = PASS
    else:
        verdict = WARN
    return Check(
        "worth", verdict, outlook.verdict.lower(), outlook.to_json(), outlook.probability, action=action
    )
