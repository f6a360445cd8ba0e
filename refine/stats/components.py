"""Where the spread of values comes from: the configuration, the seed, and the split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import column, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Components(NamedTuple):
    """Standard deviations, in units of the metric; NaN where the data can't tell.

    Attributes:
        configuration: Of the configurations' true values, among those that were run again. They were chosen for being
            good, so that all configurations of the space differ by more.
        seed: Of one configuration's values under different seeds, each a mean over the splits.
        split: Of what the choice of the split does to the mean over the splits and is not the same for all
            configurations: the part that can change their order.
        groups: Number of configurations.
        runs: Number of runs.
    """

    configuration: float
    seed: float
    split: float
    groups: int
    runs: int


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Components of variance of runs that are grouped by configuration, by the analysis of variance.

    Negative estimates are 0. Source: Searle, Casella and McCulloch (1992), chapter 3: the unbalanced one-way
    model, and for splits the interaction of the two-way model of configurations' means.
    """

    def __call__(self, y: ArrayLike, groups: ArrayLike, splits: ArrayLike | None = None) -> Components:
        """Estimate the components.

        Args:
            y: (n,) values of runs.
            groups: (n,) labels of configurations, of any type that can be sorted.
            splits: (n, s) value of every run on each of s splits, the same ones for all; ``y`` is their mean.

        Raises:
            AnalysisError: If lengths differ or a value isn't finite.
        """
        values, labels = column(y, "y"), np.asarray(groups)
        same_length(labels.size, values.size)
        names, index = np.unique(labels, return_inverse=True)
        size = np.bincount(index) if values.size else np.zeros(0, dtype=np.int64)
        freedom = int(np.sum(size - 1))
        centred = values - (np.bincount(index, weights=values) / np.maximum(size, 1))[index]
        seed = float(np.sqrt(centred @ centred / freedom)) if freedom else np.nan
        configuration = np.nan
        if len(names) > 1 and np.isfinite(seed):
            means = np.bincount(index, weights=values) / size
            grand = values.mean()
            between = float(size @ (means - grand) ** 2) / (len(names) - 1)
            typical = (values.size - float(size @ size) / values.size) / (len(names) - 1)
            configuration = float(np.sqrt(max(0.0, (between - seed**2) / typical)))
        split = np.nan if splits is None else _split(np.asarray(splits, dtype=float), index, size)
        return Components(configuration, float(seed), split, len(names), int(values.size))


def _split(table: np.ndarray, index: np.ndarray, size: np.ndarray) -> float:
    """Deviation that configuration-by-split interaction adds to a mean over the splits."""
    if table.ndim != 2 or len(table) != len(index) or not np.isfinite(table).all():
        raise AnalysisError(
            f"splits: needs one finite value per run and split, shape ({len(index)}, s), got {table.shape}"
        )
    k, s = len(size), table.shape[1]
    if k < 2 or s < 2:
        return float("nan")
    means = np.stack([np.bincount(index, weights=table[:, j]) / size for j in range(s)], axis=1)
    rest = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    interaction = float((rest**2).sum()) / ((k - 1) * (s - 1))
    # What seeds do to single splits is in it too; within configurations it can be seen alone.
    within = table - table.mean(axis=1, keepdims=True)
    centre = np.stack([np.bincount(index, weights=within[:, j]) / size for j in range(s)], axis=1)[index]
    freedom = int(np.sum(size - 1)) * (s - 1)
    noise = float(((within - centre) ** 2).sum()) / freedom if freedom else 0.0
    return float(np.sqrt(max(0.0, interaction - noise * float(np.mean(1.0 / size))) / s))
