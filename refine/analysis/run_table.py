"""Judgement from a plain table of runs, with names of configurations only. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from refine import stats
from refine.analysis.judgement import Judgement, judgement
from refine.analysis.noise import show_no_noise
from refine.analysis.winner import Candidate, Field, Judged
from refine.errors import AnalysisError, closest
from refine.stats.resolution import two_values
from refine.trials.goal import Goal
from refine.utils.arrays import Floats

_NEAR = 10  # runs before and after a run that are its neighbours
_FEWEST = 5  # fewest configurations whose differences bound the noise
_CELLS = 80  # grid points of the noise
_DRAWS = 4000
_SHARE = 0.1  # share of the standard deviation of the noise that counts as no difference
_SEED = 0


def judge_runs(
    names: Sequence[str],
    values: Sequence[float],
    goal: Goal,
    a: Sequence[str],
    b: Sequence[str],
    *,
    by: str = "configuration",
    of: str = "runs",
    epsilon: float | None = None,
) -> Judgement:
    """Judges one configuration against another, given all runs in running order.

    A configuration's first run may be the reason for the choice of the configuration, and counts only without
    further runs. The variance of the noise has an even prior up to the variance around the median of
    neighbouring runs (differences of configurations included), and a chi-square likelihood by repeats of
    equal configurations.

    Args:
        names: Names of the configurations, equal for repeats.
        values: Results; NaN without one.
        goal: Metric and direction.
        a: The configuration in question: a name, or several names, if for example a new seed has a new
            commit.
        b: The configuration compared with ``a``, in the same form.
        by: Noun for names in messages.
        of: Noun for runs in messages.
        epsilon: Tolerance in units of the metric; default a tenth of the noise, at least a step or 5 % of
            best - median.

    Raises:
        AnalysisError: A name is unknown, both configurations share a name, or a configuration has no value.
    """
    if shared := set(a) & set(b):
        raise AnalysisError(f"{min(shared)!r} can't be compared with itself; name another configuration")
    for name in (*a, *b):
        if name not in names:
            if near := closest(name, set(names)):
                hint = f"did you mean {near!r}?"
            else:
                hint = "see the table"
            raise AnalysisError(f"{by} {name!r} is in no row of {of}; {hint}")
    configuration_of = {**dict.fromkeys(a, a[0]), **dict.fromkeys(b, b[0])}
    ran = [
        (configuration_of.get(n, n), float(v)) for n, v in zip(names, values, strict=True) if math.isfinite(v)
    ]
    runs: dict[str, list[float]] = {}
    for name, value in ran:
        runs.setdefault(name, []).append(value)
    for name in (a[0], b[0]):
        if name not in runs:
            raise AnalysisError(f"{by} {name!r}: no run of it has a value, so that nothing can be compared")
    labels = [name for name, _ in ran]
    y = goal.sign * np.array([value for _, value in ran])
    variances = _variances(y, labels)
    freedom = len(y) - len(runs)
    repeats = stats.repeats(y, labels)
    pair = {name: runs[name] for name in (a[0], b[0])}
    if variances is None:
        sd = math.nan
    else:
        sd = math.sqrt(variances.mean())
    if freedom:
        source = "replicates"
    elif variances is None:
        source = "none"
    else:
        source = "neighbours"
    floor = stats.floor_of(y)
    step = stats.smallest_step(y)
    noise = stats.NoiseEstimate(sd, step, source, freedom or len(runs), floor=floor)
    draws = None
    if show_no_noise(repeats, y):
        noise = noise._replace(sd=0.0, source="deterministic", n=repeats.equal)
    elif variances is not None:
        run_values = [goal.sign * np.array(runs_of[1:] or runs_of) for runs_of in pair.values()]
        chance = np.random.default_rng(_SEED).standard_normal((_DRAWS, 2))
        error = np.sqrt(variances[:, None] / [runs_of.size for runs_of in run_values])
        draws = np.array([runs_of.mean() for runs_of in run_values]) + chance * error
    field = Field(
        goal,
        tuple(Candidate("", name, {by: name}, runs_of[0]) for name, runs_of in pair.items()),
        draws,
        noise,
        evaluated=len(runs),
        best=0,
        best_value=pair[a[0]][0],
        places={},
        baseline=None,
        eligible=2,
        limits=(-math.inf, math.inf),
        alike=repeats,
    )
    judged = Judged(field, tuple(tuple(runs_of[1:]) for runs_of in pair.values()), draws, noise, sd**2)
    # A table of runs has no proposal and no winner: the tolerance is the smallest difference that several
    # runs of two configurations can resolve.
    tolerance = noise.tolerance(epsilon, _SHARE)[0]
    verdict = judgement(judged, 0, 1, of, "given", tolerance if math.isfinite(tolerance) else 0.0)
    if verdict.basis == "posterior":
        return replace(verdict, basis="table")
    return verdict


def _variances(y: Floats, labels: Sequence[str]) -> Floats | None:
    """Draws of the variance of a run; ``None`` if nothing is known."""
    first = y[np.sort(np.unique(labels, return_index=True)[1])]
    sd, freedom = stats.within_groups(y, labels)
    widest = 0.0
    if first.size >= _FEWEST:
        level = [np.median(first[max(0, i - _NEAR) : i + _NEAR + 1]) for i in range(first.size)]
        widest = (1.4826 * float(np.median(np.abs(first - level)))) ** 2
    if freedom:
        inside = freedom * sd**2
    else:
        inside = 0.0
    if freedom and not inside and two_values(y):
        # Jeffreys' estimate of a share, of the runs that differ from the others of their configuration.
        share = 0.5 / (freedom + 1)
        return np.full(_DRAWS, share * (1 - share) * float(np.ptp(y)) ** 2)
    widest = max(widest, 4 * inside / max(freedom, 1))
    if not widest:
        return None
    grid = widest * (np.arange(_CELLS) + 0.5) / _CELLS
    weight = -freedom / 2 * np.log(grid) - inside / (2 * grid)
    weight = np.exp(weight - weight.max())
    return np.random.default_rng(_SEED + 1).choice(grid, _DRAWS, p=weight / weight.sum())
