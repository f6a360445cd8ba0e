"""Checks before a decision: one question each, answered by a verdict, a code and numbers. Pure.

Limits that no source states are this package's own and named here.

Source: Godbole, Dahl, Gilmer, Shallue and Nado (2023), 'Deep Learning Tuning Playbook', for the questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.best_trials import cost_of, gain_of
from refine.analysis.evidence import level_axis
from refine.analysis.finding import open_ends
from refine.analysis.learning_curves import FLAGS, TrialCurves
from refine.analysis.population import space_filling_rows
from refine.analysis.reason import plain
from refine.analysis.selection import unusable
from refine.errors import AnalysisError
from refine.proposal.change import Change
from refine.proposal.proposal import Proposal
from refine.review.worth import CONFIRM, CONTINUE, RUNS, Worth
from refine.space.limits import widened
from refine.space.parameters import Range
from refine.trials.frame import infeasible_rows
from refine.utils.action import Action, Symbol
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


INFEASIBLE = (0.05, 0.25)
"""Share of trials without a usable model from which to warn, and to fail."""

FLAGGED = (0.25, 0.5)
"""Share of the best trials whose curves show something from which to warn, and to fail."""

PER_LEVEL = (5, 14)
"""Trials that every level of a scientific parameter needs: below the first its best is an accident; 14 hit the best
fifth of what else varies with probability 0.95."""

CHEAPER = 0.3
"""Saving of time, at no loss, from which a cheaper trial is worth a word."""

_SURE = 2 * math.sqrt(2)  # standard deviations by which the best of two noisy runs differ by more than chance
SECOND = 0.05
"""Probability that one region outside holds the best from which it is worth a trial."""

TIES = 5  # trials within the noise of the best from which the choice among them is chance

PASS, WARN, FAIL, UNKNOWN = VERDICTS = ("pass", "warn", "fail", "unknown")

CODES = {
    "goal": ("narrows_question", "question", "explores", "no_goal"),
    "edges": ("piled_up", "widened", "at_end", "inside"),
    "enough": ("nothing_varies", "nothing_read", "untested", "judged", "too_few"),
    "code": ("several",),
    "infeasible": ("few", "many"),
    "curves": ("no_curves", "sound", "flagged"),
    "isolation": ("fixed", "few_per_level", "fair"),
    "noise": ("unknown", "gain", "no_gain", "worse", "clear", "unclear"),
    "optimism": ("unknown", "small", "large"),
    "cost": ("unknown", "no_cheaper", "cheaper"),
    "second": ("nothing_cut", "unlikely", "plausible"),
    "worth": ("unknown", "continue", "confirm", "stop"),
}
"""What every check may find; the sentences are in :mod:`refine.report.pages.checks`."""


class Check(NamedTuple):
    """One question with its answer.

    Attributes:
        key: Short name of the question, one of :data:`CODES`.
        verdict: ``"pass"``, ``"warn"``, ``"fail"`` or ``"unknown"``.
        code: What was found, one of :data:`CODES`.
        values: The numbers behind it by name, as JSON has them.
        value: The figure that the verdict rests on; NaN where it is not known.
        picture: Name of the figure that shows it, as in ``round.plot.<name>()``; empty where there is none.
        about: The parameter that the figure is of; empty where it is of the round.
        action: What would help; ``None`` where nothing is to be done.
    """

    key: str
    verdict: str
    code: str
    values: Mapping[str, Any]
    value: float
    picture: str = ""
    about: str = ""
    action: Action | None = None

    @property
    def call(self) -> Action | None:
        """What draws its picture; ``None`` where there is none."""
        if not self.picture:
            return None
        return Action(f"round.plot.{self.picture}", *([self.about] if self.about else []))


def _values(**values: Any) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items()}


_REPLICATE = Action("round.replicate", top=5, seeds=3)


@dataclass(frozen=True, eq=False)
class Known:
    """What the checks are made from, beside the analysis.

    Attributes:
        proposal: What is proposed; ``None`` where nothing is.
        roles: The role of every parameter.
        goal: Why the round exists, in the person's words.
        curves: Training curves of the best trials, best first.
        before: Best value known before this round, in the metric's own sign; NaN for a root.
        allow_degenerate: Whether a degenerate trial may be called best.
        worth: What another round would bring; ``None`` where that can't be told.
    """

    proposal: Proposal | None
    roles: Mapping[str, str]
    goal: str
    curves: Sequence[TrialCurves]
    before: float
    allow_degenerate: bool
    worth: Worth | None = None


def goal(known: Known, scientific: list[str]) -> Check:
    """Whether it is clear what the round asks, and whether the proposal would answer it."""
    changes = known.proposal.changes if known.proposal else ()
    decided = [c.name for c in changes if c.kind != "keep" and c.name in scientific]
    nuisance = sum(role == "nuisance" for role in known.roles.values())
    note = known.goal.strip()
    values = _values(scientific=scientific, nuisance=nuisance, decided=decided, note=note)
    found = ("goal", values, float(len(scientific)))
    if decided:
        return _check(*found, WARN, "narrows_question", "isolation", decided[0])
    if scientific or note:
        return _check(*found, PASS, "question" if scientific else "explores")
    roles = Action("round.set_roles", {Symbol("name"): "scientific"})
    return _check(*found, WARN, "no_goal", action=roles)


def _check(
    key: str,
    values: Mapping[str, Any],
    value: float,
    verdict: str,
    code: str,
    picture: str = "",
    about: str = "",
    action: Action | None = None,
) -> Check:
    return Check(key, verdict, code, values, value, picture, about, action)


def _unknown(key: str, code: str, picture: str = "", action: Action | None = None, **values: Any) -> Check:
    return Check(key, UNKNOWN, code, _values(**values), math.nan, picture, action=action)


def edges(analysis: Analysis, proposal: Proposal | None, best: pd.Series) -> Check:
    """Whether the best trials sit at an end that could be moved."""
    piled: list[list[str]] = []
    changes = () if proposal is None else proposal.changes
    widened_ends = [[c.name, side] for c in changes if c.kind == "widen" for side in _moved(c)]
    at_end: list[list[Any]] = []
    for e in analysis.parameters:
        piled += [[e.name, side] for side in open_ends(e) if [e.name, side] not in widened_ends]
        p = e.parameter
        if e.matters and isinstance(p, Range):
            limits = {"low": p.low, "high": p.high}
            beyond = [side for side in limits if widened(e.name, p, p, side) is not None]
            at_end += [[e.name, side, limits[side]] for side in beyond if best[e.name] == limits[side]]
    # The pile and the best trial may be at the same end.
    count = len({(name, side) for name, side, *_ in (*piled, *widened_ends, *at_end)})
    values = _values(
        ends=count, piled=piled, widened=widened_ends, at_end=at_end, proposal=proposal is not None
    )
    verdict, code = (WARN, "at_end") if at_end else (WARN, "widened") if widened_ends else (PASS, "inside")
    if piled:
        verdict, code = FAIL, "piled_up"
    return Check("edges", verdict, code, values, count, "edges")


def _moved(change: Change) -> list[str]:
    """Ends of a range beyond which a change goes."""
    old, new = change.old, change.new
    assert isinstance(old, Range)
    assert isinstance(new, Range)
    return ["low"] * (new.low < old.low) + ["high"] * (new.high > old.high)


def enough(analysis: Analysis) -> Check:
    """Whether there are enough good trials to judge every parameter."""
    read = [e for e in analysis.parameters if e.read != 0]
    if not read:
        return _unknown("enough", "nothing_read" if analysis.parameters else "nothing_varies")
    if not analysis.tested:
        return _unknown("enough", "untested")
    # What was seen to matter has been judged, however few there were.
    unseen = [e for e in read if not e.matters] or read
    least = min(unseen, key=lambda e: e.good / max(1, e.needed))
    share = least.good / max(1, least.needed)
    young = [e.name for e in unseen if e.good < e.needed and not e.matters]
    values = _values(good=least.good, needed=least.needed, covered=analysis.covered, parameters=young)
    if not young:
        return Check("enough", PASS, "judged", values, share, "best_so_far")
    verdict, more = WARN if share >= 0.5 else FAIL, Action("round.run", n=...)
    return Check("enough", verdict, "too_few", values, share, "best_so_far", action=more)


def code(analysis: Analysis) -> Check:
    """What it means that its trials ran several versions of the objective's code."""
    count = len(analysis.codes)
    return Check("code", FAIL, "several", _values(count=count), count)


def infeasible(analysis: Analysis, allow_degenerate: bool) -> Check:
    """Which share of the trials gave no usable model."""
    table = analysis.table
    ended = int((table["state"] != "running").sum()) if "state" in table else len(table)
    count = int(unusable(table, analysis.space, allow_degenerate).sum())
    share = count / ended if ended else math.nan
    interval = stats.wilson(count, ended)
    fails = [e.name for e in analysis.parameters if e.fails]
    ends = {"low": float(interval.low), "high": float(interval.high)}
    barred = int(infeasible_rows(table).sum())
    values = _values(count=count, ended=ended, share=share, **ends, parameters=fails, infeasible=barred)
    if share <= INFEASIBLE[0]:
        return Check("infeasible", PASS, "few", values, share, "failing" if count else "")
    verdict = WARN if share <= INFEASIBLE[1] else FAIL
    return Check("infeasible", verdict, "many", values, share, "failing")


def curves(curves: Sequence[TrialCurves]) -> Check:
    """What the training curves of the best trials show."""
    judged = [c for c in curves if c.judged]
    if not judged:
        report = Action("trial.report", Symbol("epoch"), Symbol("metrics"))
        return _unknown("curves", "no_curves", action=report)
    counts = {flag: sum(flag in c.seen for c in judged) for flag in FLAGS}
    worst = max(counts, key=lambda flag: counts[flag])
    share = counts[worst] / len(judged)
    frequent = [flag for flag, count in counts.items() if count / len(judged) >= FLAGGED[0]]
    values = _values(of=len(judged), worst=worst, counts=counts, frequent=frequent)
    if share < FLAGGED[0]:
        return Check("curves", PASS, "sound", values, share, "curves")
    # Saturating early wastes time and harms nothing.
    grave = any(counts[f] / len(judged) >= FLAGGED[1] for f in FLAGS if f != "saturated")
    return Check("curves", FAIL if grave else WARN, "flagged", values, share, "curves")


def isolation(analysis: Analysis, name: str) -> Check:
    """Whether every level of a scientific parameter had enough trials."""
    e = next((p for p in analysis.parameters if p.name == name), None)
    if e is None:
        return _unknown("isolation", "fixed", parameter=name)
    own = analysis.table[space_filling_rows(analysis.table)]
    axis = level_axis(e.parameter)
    at = np.bincount(axis.index(e.parameter.unit(own[name].to_numpy())), minlength=len(e.levels))
    counts = {v.label: int(n) for v, n in zip(e.levels, at, strict=True)}
    label = min(counts, key=lambda k: counts[k])
    least, finding = counts[label], analysis.findings[name].verdict
    values = _values(parameter=name, least=least, level=label, needed=PER_LEVEL[1], finding=finding)
    verdict = PASS if least >= PER_LEVEL[1] else FAIL if least < PER_LEVEL[0] else WARN
    code = "fair" if verdict == PASS else "few_per_level"
    return Check("isolation", verdict, code, values, least, "isolation", name)


def noise(analysis: Analysis, known: Known) -> Check:
    """Whether the gain is more than noise, and how many trials are as good."""
    sd = _noise(analysis)
    if not math.isfinite(sd):
        return _unknown("noise", "unknown", "gain", _REPLICATE)
    first = not math.isfinite(known.before)
    found = gain_of(analysis, None if first else known.before)
    gain = analysis.sign * (found.best - float(np.median(found.values))) if first else found.gained
    ties = found.near
    figures = _values(gain=gain + 0.0, noise=sd, ties=ties, over="median" if first else "before")
    if first:
        verdict = PASS if gain > _SURE * sd and ties <= TIES else WARN
        code = "clear" if verdict == PASS else "unclear"
    else:
        verdict = PASS if gain > _SURE * sd else FAIL if gain < -_SURE * sd else WARN
        code = {PASS: "gain", WARN: "no_gain", FAIL: "worse"}[verdict]
    return Check("noise", verdict, code, figures, gain, "gain", action=_REPLICATE if ties > TIES else None)


def _noise(analysis: Analysis) -> float:
    """Deviation of retraining; NaN where it is not known. Where the best are level, residuals give 0 and tell nothing."""
    return analysis.noise.sd if analysis.noise.measured else math.nan


def optimism(analysis: Analysis, values: Floats) -> Check:
    """How much of the best value is expected not to come again."""
    sd = _noise(analysis)
    if not math.isfinite(sd):
        return _unknown("optimism", "unknown", action=_REPLICATE)
    found = stats.Optimism(seed=analysis.seed)(values, sd)
    over = float(found.best - found.honest)
    at = {"best": analysis.sign * found.best, "expected": analysis.sign * found.honest}
    figures = _values(over=over, **at, trials=len(values))
    verdict, code = (PASS, "small") if over <= sd else (WARN, "large")
    return Check("optimism", verdict, code, figures, over)


def cost(analysis: Analysis) -> Check:
    """Whether a trial that is as good takes much less time."""
    try:
        found = cost_of(analysis)
    except AnalysisError:  # no trial has a time
        return _unknown("cost", "unknown")
    if not found.leads:
        return _unknown("cost", "unknown")
    share = float(found.seconds[found.cheapest] / found.seconds[found.best])
    saving = 1 - share
    figures = _values(saving=saving, rank=found.rank, share=share)
    verdict, code = (PASS, "no_cheaper") if saving < CHEAPER else (WARN, "cheaper")
    return Check("cost", verdict, code, figures, saving, "cost")


def second(analysis: Analysis, proposal: Proposal | None) -> Check:
    """Whether a region that is cut off may hold a better value than all that stays, and how many trials would tell."""
    region = None if proposal is None else proposal.elsewhere
    if proposal is None or region is None:
        return _unknown("second", "nothing_cut")
    place = []
    for e, levels in zip(analysis.parameters, region.levels, strict=True):
        if not levels.all() and e.read != 0:
            at = np.flatnonzero(levels)
            ends = [
                e.levels[i].label for i in (at if not e.parameter.ordered else dict.fromkeys(at[[0, -1]]))
            ]
            place.append([e.name, ends, e.parameter.ordered])
    # As many as hit a region of that share with probability 0.95.
    needed = math.ceil(math.log(0.05) / math.log1p(-region.share)) if 0 < region.share < 1 else 1
    values = _values(
        place=place,
        probability=region.probability,
        outside=region.outside,
        share=region.share,
        needed=needed,
        even=proposal.claim.even,
    )
    if region.probability < SECOND:
        return Check("second", PASS, "unlikely", values, region.probability)
    action = Action("review.accept", audit=...)
    return Check("second", WARN, "plausible", values, region.probability, action=action)


def worth(found: Worth | None) -> Check:
    """Whether another round is worth it."""
    if found is None:
        return _unknown("worth", "unknown")
    action = None
    if found.verdict != CONTINUE:
        again = Action("tree.confirm", budget=found.n or RUNS)
        action = again if found.verdict == CONFIRM else Action("tree.winner")
    verdict = PASS if found.verdict == CONTINUE else WARN
    return Check("worth", verdict, found.verdict.lower(), found.to_json(), found.probability, action=action)
