"""Draws of the objective on the scale of its values, for differences between the bests of regions.

Ranks crowd where trials are many. After learning trials most ranks lie near the best value, and a region far
from it is expected too close to the best. Values keep the distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import BoolArray, FloatArray, checked, column, matrix, same_length, subsample
from refine.stats.kernel import Conditioned, Kernel, embed, fit_kernel, partly_read
from refine.stats.posterior import read_mask, same_rows
from refine.utils.arrays import row_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_FEWEST = 5  # fewest configurations for a process
_TYPICAL = 8  # fewest evenly drawn configurations whose median counts as that of the space
_FARTHEST = 20.0  # largest distance below the middle, in units; beyond, the inverse overflows


class ValueScale(NamedTuple):
    """A scale that moves values far below the middle closer together, and keeps the distance of others.

    Otherwise a bad corner of the space would decide the variance of a process.
    """

    middle: float  # values above the middle keep their distances
    unit: float  # a value ``d`` units below the middle moves to ``log(1 + d)`` units below the middle
    on_log: bool  # the scale has logarithms of losses instead of values

    @classmethod
    def of(cls, values: FloatArray, even: BoolArray, on_log: bool) -> ValueScale:
        """The scale for (n,) values, larger is better; ``even`` masks those drawn evenly over the space."""
        if on_log:
            values = -np.log(-values)
        typical = values[even]
        if len(typical) < _TYPICAL:
            typical = values
        middle = float(np.median(typical))
        unit = float(values.max()) - middle
        return cls(middle, unit or float(np.ptp(values)) or 1.0, on_log)

    def to(self, values: FloatArray) -> FloatArray:
        """Values on the scale."""
        if self.on_log:
            values = -np.log(-values)
        below = np.maximum(self.middle - values, 0.0) / self.unit
        return np.where(below > 0, self.middle - self.unit * np.log1p(below), values)

    def back(self, scaled: FloatArray) -> FloatArray:
        """The inverse of :meth:`to`."""
        below = np.minimum(np.maximum(self.middle - scaled, 0.0) / self.unit, _FARTHEST)
        values = np.where(below > 0, self.middle - self.unit * np.expm1(below), scaled)
        if self.on_log:
            return np.asarray(-np.exp(-values))
        return values


@dataclass(frozen=True, slots=True)
@checked(draws=20, kernels=1, rows=20, features=50)
class ValueProcess:
    """Joint draws of the objective at candidates, from Gaussian processes on values instead of ranks.

    The constant of a process is unknown. Trials close to each other share their weight in it, so the many
    trials that a search places near the best do not raise it. Runs of one configuration count as one value
    with less noise.

    Source: Rasmussen and Williams (2006), sections 2.7 and 5.4; the scale (:class:`ValueScale`) is our own.
    """

    draws: int = 320
    kernels: int = 5  # sets of kernel parameters drawn; 1 takes the most probable set
    # largest number of configurations that a process is conditioned on: the best half, and a sample of the
    # rest
    rows: int = 500
    features: int = 1000  # random features of a prior draw
    seed: int = 0

    def __call__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        candidates: ArrayLike,
        cardinalities: Sequence[int],
        *,
        read: tuple[ArrayLike, ArrayLike] | None = None,
        even: BoolArray | None = None,
        on_log: bool = False,
        exact: bool = False,
    ) -> FloatArray:
        """(draws, c) values at the candidates, without noise, larger is better.

        Args:
            X: (n, d) positions or codes of the evidence.
            y: (n,) values; negative if ``on_log``.
            candidates: (c, d) positions or codes.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered column.
            read: (n, d) and (c, d) masks of the values that the objective reads; ``None`` if it reads all.
            even: (n,) mask of the trials drawn evenly over the space; ``None`` for all.
            on_log: Whether losses, ``-y``, are compared by factors.
            exact: Whether values have no noise: a candidate that ran then has its value in every draw.

        Raises:
            AnalysisError: Fewer than five configurations, or lengths that differ.
        """
        table = matrix(X, cardinalities)
        cells = matrix(candidates, cardinalities, "candidates")
        values = column(y, "y")
        same_length(len(table), values.size)
        row_read = np.ones(table.shape, dtype=np.bool_)
        cell_read = np.ones(cells.shape, dtype=np.bool_)
        if read is not None:
            row_read = read_mask(read[0], table.shape)
            cell_read = read_mask(read[1], cells.shape)
            table = np.where(row_read, table, 0.0)
            cells = np.where(cell_read, cells, 0.0)
        keyed = np.concatenate([table, row_read], axis=1)
        code = row_codes(keyed)
        _, first, number, counts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
        if len(first) < _FEWEST:
            raise AnalysisError(
                f"X: at least {_FEWEST} different configurations are needed, got {len(first)}; "
                "run more trials"
            )
        means = np.bincount(number, weights=values) / counts
        is_even = np.ones(len(first), dtype=np.bool_)
        if even is not None:
            is_even = np.asarray(even, dtype=np.bool_)[first]
        scale = ValueScale.of(means, is_even, on_log)
        partly = partly_read(row_read, cell_read)
        trials = embed(table[first], row_read[first], cardinalities, partly)
        places = embed(cells, cell_read, cardinalities, partly)
        drawn = scale.back(self._drawn(trials, scale.to(means), counts.astype(np.float64), places))
        if exact:
            ran, matches = same_rows(np.concatenate([cells, cell_read], axis=1), keyed[first])
            drawn[:, ran] = means[matches]
        return drawn

    def _drawn(self, trials: Kernel, scaled: FloatArray, counts: FloatArray, cells: Kernel) -> FloatArray:
        """(draws, c) values on the scale."""
        rng = np.random.default_rng(self.seed)
        if scaled.size > self.rows:
            best = np.argsort(-scaled, kind="stable")
            half = self.rows // 2
            rest = best[half:][subsample(scaled.size - half, self.rows - half, rng)]
            rows = np.concatenate([best[:half], rest])
            trials = trials.take(rows)
            scaled = scaled[rows]
            counts = counts[rows]
        centre = float(scaled.mean())
        unit = float(scaled.std()) or 1.0
        standard = (scaled - centre) / unit
        sets = fit_kernel(trials, standard, self.kernels, rng)
        shares = np.diff(np.linspace(0, self.draws, len(sets) + 1).astype(np.int64))
        parts = []
        for parameters, count in zip(sets, shares.tolist(), strict=True):
            lengths = parameters.lengths
            process = Conditioned.of(parameters, trials.scaled(lengths), cells.scaled(lengths), counts)
            levels = process.levels(standard, count, rng)
            drawn = process.paths(standard[:, None] - levels, count, self.features, rng) + levels
            parts.append(drawn.T)
        return np.asarray(np.concatenate(parts) * unit + centre, dtype=np.float64)
