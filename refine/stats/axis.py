"""One axis of a space, in whole levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the space, as levels.

    Attributes:
        levels: (L,) increasing positions, or the codes 0..L-1 of an unordered one.
        unordered: whether any subset may stay, instead of a contiguous run.
        frozen: whether nothing may be dropped, e.g. because no test found the parameter to matter.
    """

    levels: FloatArray
    unordered: bool = False
    frozen: bool = False

    def __post_init__(self) -> None:
        levels = column(self.levels, "levels")
        if levels.size == 0 or np.any(np.diff(levels) <= 0):
            raise AnalysisError("levels: must increase strictly and not be empty; sort them")

    def index(self, x: ArrayLike) -> IntArray:
        """Number of the level nearest to each position.

        Args:
            x: (n,) positions or codes.
        """
        levels = np.asarray(self.levels, dtype=np.float64)
        return np.searchsorted((levels[1:] + levels[:-1]) / 2.0, np.asarray(x, np.float64))

    def shares(self) -> FloatArray:
        """(L,) measure of the levels, summing to 1."""
        size = np.asarray(self.levels).size
        return np.full(size, 1.0 / size)
