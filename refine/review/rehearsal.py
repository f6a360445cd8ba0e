"""Studies of some sizes, simulated on random functions before the first trial. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.evidence import ALPHA
from refine.analysis.reason import plain
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import DesignError
from refine.proposal.allocation import neighbours
from refine.space.encoding import check_seed
from refine.space.space import Indices, Space, space_of
from refine.stats.kernel import Kernel, embed
from refine.stats.prior import DrawnFunction, FittedProcess, drawn_function, fitted_process
from refine.trials.budget import BudgetState, first_size
from refine.utils.arrays import Floats
from refine.utils.display import Shown
from refine.utils.keywords import helped
from refine.utils.numbers import is_real, is_whole
from refine.utils.threads import one_thread
from refine.utils.types import JsonObject

SIZES = (30, 60, 100)
"""Sizes shown next to the asked one."""

NOISE = 0.05
"""Noise if none is declared: its standard deviation as a share of best - median."""

SMALLEST = 12
"""Smallest budget of a rehearsal: fewer trials do not fill a first round."""

LARGEST = 300
"""Largest budget of a rehearsal: larger studies take minutes to simulate."""

EFFECTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the differences between trials that a parameter may explain."""

POWER = 0.8
"""Probability with which a detectable effect is found."""

_FUNCTIONS = 24
_DRAWN = 1000  # even cells behind the median, and where the search for the best starts
_CELLS = 300  # even cells among the candidates of a learning trial
_CENTRES = 5  # best trials whose neighbours are candidates, and starts of the search for the best
_REFIT = 10  # a kernel is fitted once for this number of learning trials
_FINALISTS = 3  # configurations that repeats compare


class StudySize(NamedTuple):
    """A study of some size: shares of best - median that its winner reaches, over random functions."""

    trials: int  # trials in all
    repeats: int  # trials kept to confirm the winner
    even: tuple[float, float, float]  # 10 % quantile, mean and 90 % quantile if all are evenly drawn
    learning: tuple[float, float, float]  # likewise, if the trials after the first third learn


@dataclass(frozen=True, eq=False, repr=False)
class StudyRehearsal(Shown):
    """A study simulated before its first trial."""

    budget: int  # trials asked for
    parameters: int  # number of parameters that vary
    configurations: int  # number of configurations of the space
    noise: float  # standard deviation of repeats, as a share of best - median
    functions: int  # random functions per row
    first: int  # evenly drawn trials of the first round
    sizes: tuple[StudySize, ...]  # smallest first
    # share of the space: better regions smaller than this are missed by the first round in 1 of 20 cases
    hit: float
    # smallest share of the differences between trials that the first round detects with a probability of
    # :data:`POWER`: of the easiest and of the hardest parameter; infinite beyond :data:`EFFECTS`
    detectable: tuple[float, float]
    # difference between two finalists that the repeats tell apart, as a share of best - median; NaN without
    # noise
    separable: float
    round: str = ""  # id of the first round, if it exists

    def to_json(self) -> JsonObject:
        """Plain data."""
        rows = [{name: plain(value) for name, value in row._asdict().items()} for row in self.sizes]
        values = {name: plain(value) for name, value in vars(self).items() if name != "sizes"}
        return {**values, "detectable": [plain(share) for share in self.detectable], "sizes": rows}


@helped
def rehearse(
    space: Space | Mapping[str, object], budget: int = 60, *, noise: float | str = NOISE, seed: int = 0
) -> StudyRehearsal:
    """Expected result of a study of ``budget`` trials on a space, before the first trial is paid for.

    Draws random functions on the space from the prior of the model and simulates studies on them: a first
    round of evenly drawn trials (a third of the budget), then exploit trials, then repeats that confirm the
    winner. A study of evenly drawn trials alone is the comparison. Expected improvement of a single Gaussian
    process, a fast stand-in for the model of refine, chooses the exploit trials. If the budget exceeds the
    configurations, all of them run, and further trials repeat the finalists (none without noise).

    After the first round, :meth:`refine.Round.rehearse` plans further rounds on its results.

    Args:
        space: The space to search: a :class:`Space` or its mapping.
        budget: Trials of the study, from 12 to 300.
        noise: Standard deviation of repeats as a share of best - median, from 0 to 1; ``"none"`` for 0.
        seed: Seed of every random draw.

    Raises:
        DesignError: ``budget`` or ``noise`` is out of range, or the space has a single configuration.

    Examples:
        >>> space = {"lr": refine.Float(1e-4, 1, log=True), "units": [16, 32, 64, 128]}
        >>> rehearsal = refine.rehearse(space, budget=12)
        >>> rehearsal.first, rehearsal.sizes[0].repeats
        (12, 2)
    """
    return study_rehearsal(space, budget, noise=noise, seed=check_seed(seed, 0))


@one_thread
def study_rehearsal(
    space: Space | Mapping[str, object],
    budget: int,
    *,
    noise: float | str = NOISE,
    seed: int = 0,
    first: int | None = None,
    round_id: str = "",
) -> StudyRehearsal:
    """See :func:`rehearse`; with ``first`` evenly drawn trials of a first round that exists."""
    share = 0.0
    if noise != "none":
        share = _checked_noise(noise)
    if not is_whole(budget, SMALLEST, LARGEST):
        raise DesignError(
            f"budget must be a whole number of trials from {SMALLEST} to {LARGEST}, got {budget!r}; for "
            "example budget=60"
        )
    searched = space_of(space)
    count = feasible(searched)
    if count.high < 2:
        raise DesignError("the space must have 2 or more configurations, got 1; give a parameter more values")
    sizes = [_size(budget, share, count.count)]
    sizes += [_size(n, share, count.count) for n in SIZES if n != budget and n < count.high]
    budget = sum(sizes[0])
    even = min(first or first_size(budget) or budget, count.count)
    sizes.sort()
    grid = _Grid(searched, max(1, min(_DRAWN, count.low)), seed)
    reached = np.array(
        [_studies(grid, sizes, share, seed=(seed, k), first=first) for k in range(_FUNCTIONS)]
    )  # (functions, sizes, 2)
    rows = []
    for k, (cells, repeats) in enumerate(sizes):
        evenly = _summary(reached[:, k, 0])
        learning = _summary(reached[:, k, 1])
        rows.append(StudySize(cells + repeats, repeats, even=evenly, learning=learning))
    budgeted = next(row for row in rows if row.trials == budget)
    runs = 1 + budgeted.repeats / _FINALISTS
    separable = math.nan
    if share:
        separable = 1.645 * share * math.sqrt(2 / runs)  # half of a 90 % interval of their difference
    return StudyRehearsal(
        budget=budget,
        parameters=len(searched.varied),
        configurations=count.count,
        noise=share,
        functions=_FUNCTIONS,
        first=even,
        sizes=tuple(rows),
        hit=stats.hit_share(even, count.count if count.exact else None),
        detectable=_detectable(grid, even, seed),
        separable=separable,
        round=round_id,
    )


def _checked_noise(noise: object) -> float:
    """A declared noise as a float; DesignError if it is no share."""
    if not is_real(noise) or not 0 <= noise <= 1:
        raise DesignError(
            "noise must be the standard deviation of repeats as a share of best - median, from 0 to 1, or "
            f"'none', got {noise!r}; for example noise=0.05"
        )
    return float(noise)


def _size(trials: int, noise: float, configurations: int) -> tuple[int, int]:
    """The trials of a study: configurations that run, and repeats that confirm the winner."""
    repeats = BudgetState(budget=trials).reserve(noisy=noise > 0)
    cells = min(trials - repeats, configurations)
    if noise:
        repeats = trials - cells
    return cells, repeats


def _summary(shares: Floats) -> tuple[float, float, float]:
    """10 % quantile, mean and 90 % quantile, to three digits."""
    low, high = np.quantile(shares, [0.1, 0.9])
    return round(float(low), 3), round(float(shares.mean()), 3), round(float(high), 3)


class _Grid:
    """A space with evenly drawn cells, and cells embedded for the kernel."""

    def __init__(self, space: Space, count: int, seed: int) -> None:
        self.space = space
        self.names = space.varied
        self.rows = draw(Uniform(), space, count, seed)
        self.partly = [j for j, name in enumerate(self.names) if name in space.conditions]
        self.cardinalities = [space[name].size * (not space[name].ordered) for name in self.names]

    def positions(self, rows: Indices) -> Floats:
        """(c, parameters) positions of cells, as in :meth:`Parameter.unit`."""
        columns = self.space.columns(rows)
        return np.column_stack([self.space[name].unit(columns[name]) for name in self.names])

    def reading(self, rows: Indices) -> Any:
        """(c, parameters) mask of the values that a configuration has."""
        mask = np.ones((len(rows), len(self.names)), dtype=np.bool_)
        if self.partly:
            active = self.space.active(rows)
            for j in self.partly:
                mask[:, j] = active[self.names[j]]
        return mask

    def embedded(self, rows: Indices) -> Kernel:
        """Cells as rows of the kernel."""
        return embed(self.positions(rows), self.reading(rows), self.cardinalities, self.partly)


class _Study:
    """Trials of a study on one function."""

    def __init__(
        self, grid: _Grid, function: DrawnFunction, first_rows: Indices, sd: float, rng: np.random.Generator
    ) -> None:
        self.grid = grid
        self.function = function
        self.sd = sd
        self.rng = rng
        self.rows = first_rows
        self.trials = grid.embedded(first_rows)
        self.values = self.measured(self.trials)

    def measured(self, cells: Kernel) -> Floats:
        """(n,) values of trials, with noise."""
        return self.function(cells) + self.sd * self.rng.standard_normal(len(cells.table))

    def learn(self, count: int) -> int:
        """Runs up to ``count`` trials with the largest expected improvement on the best mean.

        Returns the number of trials that ran: 0 if every candidate had run.
        """
        process = fitted_process(self.trials, self.values, self.rng)
        means, _ = process(self.trials)
        best = self.rows[np.argsort(-means, kind="stable")[:_CENTRES]]
        even = self.rng.permutation(self.grid.rows)[:_CELLS]
        seed = int(self.rng.integers(2**31))
        candidates = np.unique(np.concatenate([even, neighbours(self.grid.space, best, seed)]), axis=0)
        run = {row.tobytes() for row in self.rows}
        candidates = candidates[[row.tobytes() not in run for row in candidates]]
        cells = self.grid.embedded(candidates)
        untried = np.ones(len(candidates), dtype=np.bool_)
        n = min(count, len(candidates))
        for _ in range(n):
            improvement = np.where(untried, _improvement(process, cells), -np.inf)
            chosen = [int(improvement.argmax())]
            untried[chosen] = False
            self.rows = np.concatenate([self.rows, candidates[chosen]])
            self.values = np.append(self.values, self.measured(cells.take(np.array(chosen))))
            self.trials = self.trials.joined(cells.take(np.array(chosen)))
            process = process.given(self.trials, self.values)
        return n

    def handed_over(self, repeats: int) -> float:
        """True value of the winner after repeats of the finalists."""
        if not self.sd:  # every value is exact
            return float(self.values.max())
        process = fitted_process(self.trials, self.values, self.rng)
        means, _ = process(self.trials)
        finalists = np.argsort(-means, kind="stable")[:_FINALISTS]
        repeated = self.trials.take(np.resize(finalists, repeats))
        values = np.append(self.values, self.measured(repeated))
        means, _ = process.given(self.trials.joined(repeated), values)(self.trials)
        return float(self.function(self.trials.take(np.array([means.argmax()])))[0])


def _improvement(process: FittedProcess, cells: Kernel) -> Floats:
    """(c,) expected improvement of cells on the best mean of the trials.

    Source: Mockus (1975); with noisy trials on the best mean instead of the best value.
    """
    from scipy.special import ndtr

    means, sds = process(cells)
    excess = means - process(process.trials)[0].max()
    z = excess / sds
    return np.asarray(excess * ndtr(z) + sds * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))


def _studies(
    grid: _Grid,
    sizes: list[tuple[int, int]],
    noise: float,
    *,
    seed: tuple[int, int],
    first: int | None = None,
) -> list[tuple[float, float]]:
    """Shares of best - median reached on one function: per size, evenly drawn and with learning trials.

    A size is a number of configurations and a number of repeats. Its studies have random numbers of their
    own, so that they do not depend on the other sizes. ``seed`` are the seed of the rehearsal and the number
    of the function. ``first`` are the evenly drawn trials of a first round that exists; default the advice
    for each size.
    """
    rng = np.random.default_rng(seed)
    function = drawn_function(grid.embedded(grid.rows[:1]), rng)
    values = function(grid.embedded(grid.rows))
    median = float(np.median(values))
    span = _best_value(grid, function, rng) - median
    order = rng.permutation(len(grid.rows))
    reached = []
    for cells, repeats in sizes:
        rng = np.random.default_rng([*seed, cells, repeats])
        even = _Study(grid, function, grid.rows[order[:cells]], noise * span, rng)
        trials = cells + repeats
        drawn = min(first or first_size(trials) or trials, cells)
        study = _Study(grid, function, grid.rows[order[:drawn]], noise * span, rng)
        while missing := cells - len(study.rows):
            if not study.learn(min(_REFIT, missing)):
                break
        pair = even.handed_over(repeats), study.handed_over(repeats)
        reached.append(((pair[0] - median) / span, (pair[1] - median) / span))
    return reached


def _best_value(grid: _Grid, function: DrawnFunction, rng: np.random.Generator) -> float:
    """The best value of a function that a search from the best even cells reaches, a parameter at a time."""
    rows = grid.rows
    best = -math.inf
    while True:
        values = function(grid.embedded(rows))
        if values.max() <= best:
            return best
        best = float(values.max())
        centres = rows[np.argsort(-values, kind="stable")[:_CENTRES]]
        rows = neighbours(grid.space, centres, int(rng.integers(2**31)))


def _detectable(grid: _Grid, n: int, seed: int) -> tuple[float, float]:
    """Smallest effect that ``n`` even trials detect: of the easiest and of the hardest parameter."""
    positions = grid.positions(grid.rows)
    reading = grid.reading(grid.rows)
    values = np.random.default_rng(seed).standard_normal(len(grid.rows))
    alpha = ALPHA / len(grid.names) / 2  # as in the advice on further trials: several tests are joined
    smallest = []
    for j, cardinality in enumerate(grid.cardinalities):
        column = positions[reading[:, j], j]
        trials = max(2, round(n * float(reading[:, j].mean())))
        detected = (
            effect
            for effect in EFFECTS
            if stats.Power(effect=effect, seed=seed)(
                column, values[reading[:, j]], cardinality, [trials], alpha
            )[0]
            >= POWER
        )
        smallest.append(next(detected, math.inf))
    return min(smallest), max(smallest)
