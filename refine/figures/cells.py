"""Axes of cells: the levels of a parameter side by side, several to a cell where there are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.figures.levels import stays
from refine.figures.style import Scale
from refine.parameter_evidence import ParameterEvidence, level_positions
from refine.parameters import Parameter, Range
from refine.words import number

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST = 12  # levels of an ordered axis that are shown one by one; more share cells


@dataclass(frozen=True)
class CellAxis:
    """One axis of cells.

    Attributes:
        evidence: The parameter's.
        new: The parameter after a change, or ``None``.
        order: (levels,) level numbers in the order shown.
        cell: (levels,) cell of each level, by level number.
        labels: One text per cell.
        low: Label of a cell before the first, where the range grows there.
        high: The same behind the last.
    """

    evidence: ParameterEvidence
    new: Parameter | None
    order: Ints
    cell: Ints
    labels: tuple[str, ...]
    low: str = ""
    high: str = ""

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.labels)

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the axis: cell i reaches from i - 1/2 to i + 1/2."""
        return -0.5 - bool(self.low), self.count - 0.5 + bool(self.high)

    def of(self, values: Any) -> Ints:
        """Cells of trials; -1 outside."""
        p = self.evidence.parameter
        unit = p.unit(values)
        known = np.isfinite(unit)
        nearest = stats.Axis(level_positions(p), unordered=not p.ordered).index(np.where(known, unit, 0.0))
        return np.where(known, self.cell[nearest], -1)

    def ticks(self) -> tuple[Floats, list[str]]:
        """Cells and their labels, those of added ends among them."""
        labels = [self.low, *self.labels, self.high]
        at = np.arange(-1.0, self.count + 1)
        there = [i for i, text in enumerate(labels) if text]
        return at[there], [labels[i] for i in there]

    def kept(self) -> list[tuple[float, float]]:
        """Runs of what stays, on the axis. A level owns its part of the cell that it shares."""
        p, new = self.evidence.parameter, self.new
        if new is None or new == p:
            return [(-0.5, self.count - 0.5)]
        inside = np.array(stays(p, new))[self.order]
        if not inside.any() and isinstance(p, Range) and isinstance(new, Range):
            # Between two levels: where it lies in proportion.
            at = np.interp([new.low, new.high], p.grid, self._middles())
            return [(float(at[0]), float(at[1]))]
        starts, ends = self._borders()
        runs: list[tuple[float, float]] = []
        for k in np.flatnonzero(inside):
            if runs and k > 0 and inside[k - 1]:
                runs[-1] = (runs[-1][0], float(ends[k]))
            else:
                runs.append((float(starts[k]), float(ends[k])))
        if runs and self.low:
            runs[0] = (self.limits[0], runs[0][1])
        if runs and self.high:
            runs[-1] = (runs[-1][0], self.limits[1])
        return runs

    def _borders(self) -> tuple[Floats, Floats]:
        cells = self.cell[self.order]
        sizes = np.bincount(cells)[cells]
        first = np.searchsorted(cells, cells)
        starts = cells - 0.5 + (np.arange(len(cells)) - first) / sizes
        return starts, starts + 1 / sizes

    def _middles(self) -> Floats:
        starts, ends = self._borders()
        return np.asarray((starts + ends) / 2)


def cell_axis(e: ParameterEvidence, new: Parameter | None, sign: float) -> CellAxis:
    """The cells of a parameter: ordered ones as they are, else from the worst median to the best.

    Args:
        e: Evidence on the parameter.
        new: The parameter after a change, or ``None``.
        sign: 1 to maximize, -1 to minimize.
    """
    p = e.parameter
    k, texts = p.size, Scale(p).labels
    if not p.ordered:
        medians = sign * np.array([v.median for v in e.levels])
        order = np.argsort(np.where(np.isfinite(medians), medians, -np.inf), kind="stable")
        return CellAxis(e, new, order, np.argsort(order), tuple(texts[i] for i in order))
    cells = -(-k // -(-k // _MOST))  # as few levels a cell as 12 cells allow, shared out evenly
    parts = np.array_split(np.arange(k), cells)
    cell = np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)])
    labels = [texts[part[0]] if len(part) == 1 else f"{texts[part[0]]}–{texts[part[-1]]}" for part in parts]
    low = high = ""
    if isinstance(p, Range) and isinstance(new, Range):
        low = number(new.low) if new.low < p.low else ""
        high = number(new.high) if new.high > p.high else ""
    return CellAxis(e, new, np.arange(k), cell, tuple(labels), low, high)
