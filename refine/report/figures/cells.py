"""Axes of cells: the levels of a parameter side by side, several to a cell where there are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.evidence import ParameterEvidence, level_axis
from refine.analysis.selection import stays
from refine.report.figures.look import page_width
from refine.report.figures.style import Scale, _fitting, shorten, told_apart, wrapped
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats, Ints
from refine.utils.format import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        nearest = level_axis(p).index(np.where(known, unit, 0.0))
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


def cell_axis(
    e: ParameterEvidence,
    new: Parameter | None,
    sign: float,
    *,
    most: int = _MOST,
    letters: int = 16,
    by_median: bool = True,
    others: bool = False,
) -> CellAxis:
    """The cells of a parameter: ordered ones as they are, else from the worst median to the best.

    Args:
        e: Evidence on the parameter.
        new: The parameter after a change, or ``None``.
        sign: 1 to maximize, -1 to minimize.
        most: Cells of an ordered parameter; more levels share cells.
        letters: Of a choice's label.
        by_median: Whether choices without an order are sorted; else they stand as declared.
        others: Whether choices without an order share a last cell where there are more than ``most``: all but the
            best by their medians.
    """
    p = e.parameter
    k, texts = p.size, Scale(p).labels
    if not p.ordered:
        texts = told_apart([v.label for v in e.levels], letters)
        medians = sign * np.array([v.median for v in e.levels])
        order = np.argsort(np.where(np.isfinite(medians), medians, -np.inf), kind="stable")
        left = order[: k - most + 1] if others and k > most else order[:0]
        if not by_median:
            order = np.arange(k)
        order = np.concatenate([order[~np.isin(order, left)], left])
        cell = np.minimum(np.argsort(order), k - max(1, left.size))
        labels = [texts[i] for i in order[: k - left.size]]
        return CellAxis(e, new, order, cell, (*labels, *[f"{left.size} others"] * bool(left.size)))
    cells = -(-k // -(-k // most))  # as few levels a cell as that many cells allow, shared out evenly
    parts = np.array_split(np.arange(k), cells)
    cell = np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)])
    labels = [texts[part[0]] if len(part) == 1 else f"{texts[part[0]]}–{texts[part[-1]]}" for part in parts]
    low = high = ""
    if isinstance(p, Range) and isinstance(new, Range):
        low = number(new.low) if new.low < p.low else ""
        high = number(new.high) if new.high > p.high else ""
    return CellAxis(e, new, np.arange(k), cell, tuple(labels), low, high)


def slant(axis: CellAxis, inches: float) -> int:
    """Degrees by which the labels of a horizontal axis are turned, so that all choices' fit.

    Args:
        axis: The axis.
        inches: Its length.
    """
    letters = _letters(axis, inches)
    if axis.evidence.parameter.ordered or max(len(text) for text in axis.labels) <= 2 * letters - 2:
        return 0
    return 35 if letters >= 3 and inches > page_width() / 2 else 90


def label_x(ax: Axes, axis: CellAxis, inches: float) -> None:
    """Limits and labels of a horizontal axis of cells.

    Args:
        ax: The axes.
        axis: The axis.
        inches: Its length.
    """
    low, high = axis.limits
    ax.set_xlim(low, high)
    at, labels = axis.ticks()
    turned = slant(axis, inches)
    if axis.evidence.parameter.ordered:
        # Both ends of a shared cell's label below each other, and of all labels those that don't touch.
        labels = [text.replace("–", "–\n") for text in labels]
        share = (at - low) / (high - low)
        fit = _fitting(share * inches / page_width(), [max(text.split("\n"), key=len) for text in labels])
        at, labels = at[fit], [labels[i] for i in fit]
    elif not turned:
        labels = [wrapped(text, _letters(axis, inches)) for text in labels]
    ax.set_xticks(at, labels, rotation=turned, ha="right" if turned == 35 else "center")
    if turned == 35:
        for tick in ax.get_xticklabels():
            tick.set_rotation_mode("anchor")


def name_of(axis: CellAxis, by_median: bool = True) -> str:
    """The parameter's name, and how its cells lie."""
    p = axis.evidence.parameter
    sorted_by = " (by median)" if by_median else ""
    how = " (log scale)" if isinstance(p, Range) and p.log else "" if p.ordered else sorted_by
    return f"{shorten(axis.evidence.name, 30)}{how}"


def _letters(axis: CellAxis, inches: float) -> int:
    """How many letters are as wide as a cell."""
    return max(1, int(inches / (axis.limits[1] - axis.limits[0]) / 0.078))
