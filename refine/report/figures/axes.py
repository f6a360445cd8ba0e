"""Axes of a figure: a parameter's values, levels as cells, the kept part after a change, and the metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.analysis.evidence import ParameterEvidence, level_axis
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import stays
from refine.errors import AnalysisError
from refine.report.figures.canvas import (
    Style,
    area_mark,
    fitting,
    kept_mark,
    letters_of,
    line_mark,
    shade_kept,
    shorten,
    told_apart,
    wrapped,
)
from refine.report.figures.theme import page_width, tone, wide
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text
from refine.space.encoding import round_significant
from refine.space.parameters import Integer, Parameter, Range, number_of
from refine.trials.goal import sign_of
from refine.utils.arrays import Floats, Ints
from refine.utils.format import number, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis, YAxis

Ends = tuple[float, float]  # the lower and the upper end on an axis

NO_VALUES = (
    "no space-filling trial of the round has finished, so there are no values to draw; draw the figure of "
    "the parent round"
)
"""Text of the error of a figure without values."""
_MOST_TICKS = 8  # round ticks of a logarithmic axis, unless there are as many powers of ten
_MANY = 20  # smallest number of trials of which the worse half may be left out
_MOST = 12  # largest number of levels of an ordered axis with cells of their own


class Scale:
    """Positions of an ordered parameter's values on an axis from ``low`` to ``high``; choices by number."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        if isinstance(parameter, Range):
            self.low, self.high = (float(v) for v in parameter.edges())
        else:
            self.low = -0.5
            self.high = parameter.size - 0.5

    def at(self, unit: npt.ArrayLike) -> Floats:
        """Axis positions of unit-scale positions."""
        u = np.asarray(unit, dtype=float)
        if not isinstance(self.parameter, Range):
            return np.asarray(u * self.parameter.size - 0.5)
        low, high = self.parameter.ends()
        raw = low + (high - low) * u
        if self.parameter.log:
            return np.exp(raw)
        return raw

    @property
    def levels(self) -> Floats:
        """Axis positions of the levels."""
        if isinstance(self.parameter, Range):
            return np.asarray(self.parameter.grid, dtype=float)
        return np.arange(self.parameter.size, dtype=float)

    @property
    def labels(self) -> list[str]:
        """Labels of the levels."""
        if isinstance(self.parameter, Categorical):
            return [shorten(v, 16) for v in self.parameter.labels]
        assert isinstance(self.parameter, Range)
        return level_labels(self.parameter)

    def dress(self, ax: Axes, name: str, limits: Ends | None = None, extra: Sequence[float] = ()) -> None:
        """Scale, limits, ticks and label of the horizontal axis.

        Ticks stand at round levels if all of them fit, else at round numbers.
        """
        log = isinstance(self.parameter, Range) and self.parameter.log
        if log:
            ax.set_xscale("log")
        low, high = limits or (self.low, self.high)
        ax.set_xlim(low, high)
        ticks = self.levels
        texts = self.labels
        shown = _fitting_ticks(ax, ticks, texts, (low, high), log)
        if isinstance(self.parameter, Range):
            ends = float(ticks[0]), float(ticks[-1])
            if len(shown) < len(ticks) or not all(map(_is_round, ticks)):
                ticks = round_ticks(low, high, log, isinstance(self.parameter, Integer))
            new = [v for v in extra if _is_round(v) and not ends[0] <= v <= ends[1]]
            missing = [v for v in new if not np.isclose(v, ticks, rtol=1e-9, atol=0).any()]
            ticks = np.array([*missing, *ticks])
            texts = [number(float(v)) for v in ticks]
            shown = _fitting_ticks(ax, ticks, texts, (low, high), log)
        ax.set_xticks(ticks[shown], [texts[i] for i in shown])
        minor = [
            v for v in self.levels if low <= v <= high and not np.isclose(v, ticks[shown], rtol=1e-9).any()
        ]
        ax.set_xticks([], minor=True)
        _mark_levels(ax, minor)
        ax.set_xlabel(f"{shorten(name, 60)}{' (log scale)' if log else ''}")


def _mark_levels(ax: Axes, levels: Sequence[float]) -> None:
    """Marks levels on the horizontal axis like minor ticks, by one line: grids may have a thousand levels."""
    from matplotlib import rcParams
    from matplotlib.lines import Line2D
    from matplotlib.markers import TICKDOWN, TICKUP

    marks = Line2D(
        levels,
        np.zeros(len(levels)),
        linestyle="none",
        marker={"out": TICKDOWN, "in": TICKUP, "inout": "|"}[rcParams["xtick.direction"]],
        markersize=rcParams["xtick.minor.size"],
        markeredgewidth=rcParams["xtick.minor.width"],
        color=rcParams["xtick.color"],
        transform=ax.get_xaxis_transform(),
        clip_on=False,
        zorder=ax.xaxis.get_zorder(),
    )
    ax.add_artist(marks).set_in_layout(False)


def level_labels(parameter: Range) -> list[str]:
    """The levels of a range: whole numbers in full, other numbers with the fewest digits to tell them apart.

    At least two: for example ``0.007`` for 0.00697475.
    """
    values = [float(v) for v in parameter.grid]
    if all(value.is_integer() for value in values):
        return [number(value) for value in values]
    return distinct_labels(values, (2, 3, 4, 6))


def distinct_labels(values: Sequence[float], precisions: Iterable[int]) -> list[str]:
    """Labels of numbers, with the first precision that makes all labels different, else with the last."""
    for digits in precisions:
        labels = [number(value, digits) for value in values]
        if len(set(labels)) == len(labels):
            break
    return labels


def hatch_untried(ax: Axes, old: Range, low: float, high: float) -> bool:
    """Hatches the parts from ``low`` to ``high`` beyond a range, where no trial ran; True if there is one."""
    parts = [(low, float(old.low)), (float(old.high), high)]
    untried = [part for part in parts if part[0] < part[1]]
    for part in untried:
        ax.axvspan(*part, facecolor="none", edgecolor=tone().grey, alpha=0.5, hatch="////", linewidth=0)
    return bool(untried)


def untried_mark() -> Any:
    """The legend entry of :func:`hatch_untried`."""
    return area_mark("not tried yet", facecolor="none", edgecolor=tone().grey, hatch="////", linewidth=0)


def _is_round(value: float) -> bool:
    """True if a number has at most two significant digits."""
    return float(f"{value:.2g}") == float(value)


def round_ticks(low: float, high: float, log: bool, integral: bool = False) -> Floats:
    """Round numbers from ``low`` to ``high``: powers of ten, with 2 and 5 or 3 between, or even steps."""
    if not log:
        return _even_ticks(low, high, integral)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        candidates = [factor * 10.0**decade for decade in decades for factor in factors]
        ticks = [
            v for v in candidates if low * (1 - 1e-9) <= v <= high * (1 + 1e-9) and (v >= 1 or not integral)
        ]
        if len(ticks) <= _MOST_TICKS:
            break
    if len(ticks) > 1:
        return np.array(ticks)
    return _even_ticks(low, high, integral)


def _even_ticks(low: float, high: float, integral: bool) -> Floats:
    from matplotlib.ticker import MaxNLocator

    locator = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=integral)
    ticks = [round_significant(float(v)) for v in locator.tick_values(low, high)]
    return np.array([v for v in ticks if low <= v <= high])


def _fitting_ticks(ax: Axes, ticks: Floats, texts: Sequence[str], limits: Ends, log: bool) -> list[int]:
    """Numbers of ticks inside the limits with labels that do not touch."""
    low, high = limits
    slack = 1e-9 * (high - low)
    inside = np.flatnonzero((ticks >= low - slack) & (ticks <= high + slack))  # others widen the limits
    span = np.array([low, high])
    places = ticks[inside]
    if log:
        span = np.log(span)
        places = np.log(places)
    share = (places - span[0]) / (span[1] - span[0])
    figure = ax.get_figure(root=True)
    assert figure is not None
    width = ax.get_window_extent().width / figure.dpi
    labels = [texts[int(j)] for j in inside]
    return [int(inside[i]) for i in _untouched(share * width, labels)]


def _untouched(centres: Floats, texts: Sequence[str]) -> list[int]:
    """Numbers of ticks with labels that do not touch: first and last, then further ticks in order."""
    size = letters_of("xtick.labelsize")
    widths = [wide(text, size) + 0.6 * size / 72 for text in texts]
    return fitting(centres, widths, sorted(range(len(texts)), key=lambda i: i not in (0, len(texts) - 1)))


def mark_change(
    ax: Axes, old: Parameter, new: Parameter | None, label: str, marks: list[Any], *, covered: bool = False
) -> Ends:
    """Marks the kept part of an ordered parameter on the horizontal axis and in the legend.

    Returns limits that show the old and the new range. On ``covered`` ground, lines and a bar at the foot
    replace the shade.
    """
    scale = Scale(old)
    if new is None or new == old:
        return scale.low, scale.high
    blue = tone().blue
    ends = _kept_ends(old, new)
    positive = [v for v in ends if v > 0 or not (isinstance(old, Range) and old.log)]
    limits = min([scale.low, *positive]), max([scale.high, *ends])
    text = f"{label}: {shorten(bounds_text(new), 28)}"
    values = isinstance(old, Range) and not isinstance(new, Range)
    if values or covered:
        style: Style = {"linestyle": (0, (4, 2))} if covered else {"zorder": 0}
        for v in ends:
            if values or limits[0] < v < limits[1]:
                ax.axvline(v, color=blue, linewidth=2, **style)
        marks.append(line_mark(text, blue, linewidth=5 if covered else 2))
    elif ends:
        shade_kept(ax, min(ends), max(ends))
        marks.append(kept_mark(text))
    if covered and ends:
        foot: Style = {"clip_on": False, "transform": ax.get_xaxis_transform(), "zorder": 4}
        ax.plot([min(ends), max(ends)], [0, 0], color=blue, linewidth=7, solid_capstyle="butt", **foot)
    elif limits != (scale.low, scale.high):  # lines at the ends of the old range
        if isinstance(old, Range) and isinstance(new, Range):
            hatch_untried(ax, old, float(new.low), float(new.high))
            marks.append(untried_mark())
        for v in (scale.low, scale.high):
            ax.axvline(v, color=tone().ink, linewidth=1, linestyle="--")
        marks.append(line_mark(f"now: {bounds_text(old)}", tone().ink, linewidth=1, linestyle="--"))
    return limits


def _kept_ends(old: Parameter, new: Parameter) -> list[float]:
    """Axis positions of the ends kept, or of the values kept of a range that becomes a choice."""
    if isinstance(old, Range) and isinstance(new, Range):
        return [float(v) for v in new.edges()]
    if isinstance(old, Range):
        return [float(v) for v in new.grid if number_of(v) is not None]
    kept_numbers = np.flatnonzero(stays(old, new))
    return [float(end) for end in (*(kept_numbers[:1] - 0.5), *(kept_numbers[-1:] + 0.5))]


def _axis_of(ax: Axes, side: str) -> XAxis | YAxis:
    if side == "x":
        return ax.xaxis
    return ax.yaxis


def metric_axis(ax: Axes, view: MetricView, metric: str, side: str = "y") -> None:
    """Scale, limits, ticks and label of the axis, ``"x"`` or ``"y"``, for a view of the metric.

    On a vertical axis the best value is at the top: if lower is better, the axis is inverted.
    """
    axis = _axis_of(ax, side)
    if view.log:
        log_ticks(ax, side, view.low, view.high)
        axis.set_major_formatter(lambda v, _: number(v))
    if side == "x":
        ax.set_xlim(view.low, view.high)
    elif lower_is_better(view):
        ax.set_ylim(view.high, view.low)
    else:
        ax.set_ylim(view.low, view.high)
    notes = {"log scale": view.log, "lower is better": lower_is_better(view)}
    note = f" ({', '.join(text for text, applies in notes.items() if applies)})".removesuffix(" ()")
    text = f"{shorten(metric, 60 - len(note))}{note}"
    axis.set_label_text(text if side == "x" else wrapped(text, 28))


def lower_is_better(view: MetricView) -> bool:
    """True if the best values of a view are the lowest ones."""
    return view.side == "above"


def metric_view(y: Floats, direction: str) -> MetricView:
    """The view of a metric in which few outliers do not squeeze the other values, in small samples too.

    Values worse than four times the distance from the best value to the median are left out, if the rest then
    gets at least twice as much room.

    Raises AnalysisError: no values.
    """
    if not y.size:
        raise AnalysisError(NO_VALUES)
    view = MetricView(y, direction)
    goodness = sign_of(direction) * view.forward(y)
    best = float(goodness.max())
    median, quarter = (float(v) for v in np.quantile(goodness, [0.5, 0.25], method="higher"))
    _zoom(view, y, direction, max(4 * (best - median), 1.4 * (best - quarter)))
    return view


def progress_view(y: Floats, direction: str) -> MetricView:
    """The view of a metric that shows how the best value rose: from the first value or the median up.

    ``y`` holds finite values in running order. Of few values only outliers are left out: see
    :func:`metric_view`.

    Raises AnalysisError: no values.
    """
    if y.size < _MANY:
        return metric_view(y, direction)
    view = MetricView(y, direction)
    goodness = sign_of(direction) * view.forward(y)
    start = min(float(goodness[0]), float(np.median(goodness)))
    _zoom(view, y, direction, 1.1 * (float(goodness.max()) - start))
    if view.hidden:
        return view
    return metric_view(y, direction)


def _zoom(view: MetricView, y: Floats, direction: str, reach: float) -> None:
    """Cuts a view at a distance from the best value, if the rest then gets at least twice as much room."""
    sign = sign_of(direction)
    goodness = sign * view.forward(y)
    best = float(goodness.max())
    worst = float(goodness[view.inside(y)].min())
    if not 0 < 2 * reach < best - worst:
        return
    view.cut(y, float(view.back(sign * (best - reach))))
    edge = float(view.back(sign * (best + 0.05 * reach)))
    if sign > 0:
        view.high = edge
    else:
        view.low = edge


def observed_view(view: MetricView, values: Floats) -> MetricView:
    """A copy of a view in which densities end at the smallest and the largest of the values."""
    observed = copy(view)
    low, high = (float(v) for v in view.forward([values.min(), values.max()]))
    observed.bounds = max(view.bounds[0], low), min(view.bounds[1], high)
    return observed


def log_ticks(ax: Axes, side: str, low: float, high: float) -> None:
    """A logarithmic axis, with ticks between the powers of ten if it spans few."""
    from matplotlib.ticker import LogLocator, NullFormatter

    (ax.set_xscale if side == "x" else ax.set_yscale)("log")
    axis = _axis_of(ax, side)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 150 * low else (1.0,)))
    axis.set_minor_formatter(NullFormatter())


def hidden_note(view: MetricView) -> str:
    """``12 trials below 0.91 not shown``; empty if no trial is hidden."""
    if not view.hidden:
        return ""
    end = {"below": view.low, "above": view.high}[view.side]
    return f"{plural(view.hidden, 'trial')} {view.side} {number(end)} not shown"


@dataclass(frozen=True)
class CellAxis:
    """The levels of a parameter side by side; many levels share cells."""

    evidence: ParameterEvidence
    new: Parameter | None  # the parameter after a change
    order: Ints  # (levels,) level numbers in the order shown
    cell: Ints  # (levels,) cell numbers, by level number
    labels: tuple[str, ...]  # one text per cell
    low: str = ""  # label of an extra cell before the first, if the range is extended
    high: str = ""  # label of an extra cell after the last, if the range is extended

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.labels)

    @property
    def changed(self) -> bool:
        """True if the parameter changes."""
        return self.new is not None and self.new != self.evidence.parameter

    @property
    def limits(self) -> Ends:
        """Ends of the axis: cell i reaches from i - 1/2 to i + 1/2."""
        return -0.5 - bool(self.low), self.count - 0.5 + bool(self.high)

    def of(self, values: Any) -> Ints:
        """Cells of trials; -1 for values outside."""
        p = self.evidence.parameter
        unit = p.unit(values)
        inside = np.isfinite(unit)
        nearest = level_axis(p).index(np.where(inside, unit, 0.0))
        return np.where(inside, self.cell[nearest], -1)

    def ticks(self) -> tuple[Floats, list[str]]:
        """Cells and their labels, extra cells included."""
        labels = [self.low, *self.labels, self.high]
        positions = np.arange(-1.0, self.count + 1)
        shown = [i for i, text in enumerate(labels) if text]
        return positions[shown], [labels[i] for i in shown]

    def kept(self) -> list[Ends]:
        """Runs of kept levels on the axis; a level occupies its part of a shared cell."""
        p = self.evidence.parameter
        new = self.new
        if new is None or not self.changed:
            return [(-0.5, self.count - 0.5)]
        inside = np.array(stays(p, new))[self.order]
        cells = self.cell[self.order]
        sizes = np.bincount(cells)[cells]
        starts = cells - 0.5 + (np.arange(len(cells)) - np.searchsorted(cells, cells)) / sizes
        ends = starts + 1 / sizes
        if not inside.any() and isinstance(p, Range) and isinstance(new, Range):
            # Between two levels: interpolate.
            edges = np.interp([new.low, new.high], p.grid, (starts + ends) / 2)
            return [(float(edges[0]), float(edges[1]))]
        runs: list[Ends] = []
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


def cell_axis(
    e: ParameterEvidence,
    new: Parameter | None,
    sign: float,
    *,
    max_cells: int = _MOST,
    letters: int = 16,
    by_median: bool = True,
    pool_worst: bool = False,
) -> CellAxis:
    """The cells of a parameter: in order; without an order from the worst median to the best, or as declared.

    More than ``max_cells`` levels of an ordered parameter share cells evenly. With ``pool_worst`` the worst
    choices without an order share the last cell. Labels of choices have at most ``letters`` letters.
    """
    p = e.parameter
    k = p.size
    texts = Scale(p).labels
    if not p.ordered:
        texts = told_apart([v.label for v in e.levels], letters)
        medians = sign * np.array([v.median for v in e.levels])
        order = np.argsort(np.where(np.isfinite(medians), medians, -np.inf), kind="stable")
        worst_levels = order[:0]
        if pool_worst and k > max_cells:
            worst_levels = order[: k - max_cells + 1]
        if not by_median:
            order = np.arange(k)
        order = np.concatenate([order[~np.isin(order, worst_levels)], worst_levels])
        cell = np.minimum(np.argsort(order), k - max(1, worst_levels.size))
        labels = [texts[i] for i in order[: k - worst_levels.size]]
        labels += [f"{worst_levels.size} others"] * bool(worst_levels.size)
        return CellAxis(e, new, order, cell, tuple(labels))
    cells = -(-k // -(-k // max_cells))  # at most `most` cells of about equal numbers of levels
    parts = np.array_split(np.arange(k), cells)
    cell = np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)])
    labels = [texts[part[0]] if len(part) == 1 else f"{texts[part[0]]}–{texts[part[-1]]}" for part in parts]
    low = high = ""
    if isinstance(p, Range) and isinstance(new, Range):
        low = number(new.low) * (new.low < p.low)
        high = number(new.high) * (new.high > p.high)
    return CellAxis(e, new, order=np.arange(k), cell=cell, labels=tuple(labels), low=low, high=high)


def slant(axis: CellAxis, inches: float) -> int:
    """Angle of the labels of a horizontal axis, in degrees, to fit the labels of all choices."""
    letters = _letters(axis, inches)
    short = max(map(len, axis.labels)) <= 2 * letters - 2
    if axis.evidence.parameter.ordered or short or all(_fits(text, axis, inches) for text in axis.labels):
        return 0
    if letters >= 3 and inches > page_width() / 2:
        return 35
    return 90


def _fits(text: str, axis: CellAxis, inches: float) -> bool:
    """True if a label is at most as wide as a cell."""
    return wide(text, letters_of("xtick.labelsize")) <= inches / (axis.limits[1] - axis.limits[0])


def label_x(ax: Axes, axis: CellAxis, inches: float) -> None:
    """Limits and labels of a horizontal axis of cells, ``inches`` long."""
    low, high = axis.limits
    ax.set_xlim(low, high)
    positions, labels = axis.ticks()
    turned = slant(axis, inches)
    if axis.evidence.parameter.ordered:
        # A shared cell's label on two lines; of all labels those that do not touch.
        labels = [text.replace("–", "–\n") for text in labels]
        share = (positions - low) / (high - low)
        fit = _untouched(share * inches, labels)
        positions = positions[fit]
        labels = [labels[i] for i in fit]
    elif not turned:
        letters = _letters(axis, inches)
        labels = [text if _fits(text, axis, inches) else wrapped(text, letters) for text in labels]
    ax.set_xticks(positions, labels, rotation=turned, ha="right" if turned == 35 else "center")
    if turned == 35:
        for tick in ax.get_xticklabels():
            tick.set_rotation_mode("anchor")


def name_of(axis: CellAxis) -> str:
    """The parameter's name and the order of its cells."""
    p = axis.evidence.parameter
    suffix = " (by median)" * (not p.ordered)
    if isinstance(p, Range) and p.log:
        suffix = " (log scale)"
    return f"{shorten(axis.evidence.name, 30)}{suffix}"


def _letters(axis: CellAxis, inches: float) -> int:
    """Number of letters with room in a cell."""
    return max(1, int(inches / (axis.limits[1] - axis.limits[0]) / 0.078))
