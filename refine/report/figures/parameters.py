"""Parameters: top trials along a parameter, the metric by level, and the kept part after a change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.densities import (
    density_curves,
    density_surface,
    level_spacing,
    metric_density,
)
from refine.analysis.evidence import GOOD, LevelEvidence, ParameterEvidence, level_axis
from refine.analysis.levels import cells_of, level_bests, level_shares
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import (
    candidates,
    check_tested,
    finished_positions,
    having,
    other_trials,
    positions_of_others,
    ranked_trials,
    space_filling_trials,
    stays,
)
from refine.proposal.change import reaches_beyond
from refine.report.figures.axes import (
    CellAxis,
    Scale,
    cell_axis,
    hatch_untried,
    hidden_note,
    label_x,
    lower_is_better,
    mark_change,
    metric_axis,
    metric_view,
    observed_view,
    untried_mark,
)
from refine.report.figures.canvas import (
    Panels,
    Style,
    area_mark,
    axes,
    beside,
    clipped,
    dot_mark,
    dots,
    fitted,
    interval,
    kept_mark,
    line_mark,
    panels,
    percents,
    shade_kept,
    shorten,
    spread,
    thinned,
    title,
    told_apart,
    wrapped,
)
from refine.report.figures.theme import drawing, narrow, points, shades, tone, within
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter, Range
from refine.trials.frame import infeasible_rows
from refine.utils.arrays import Floats
from refine.utils.format import number, percent, plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine import stats

_LETTERS = 46  # letters of a level's label, on two lines
_FEW_TRIALS = 40  # trials from which on a density is drawn in place of dots
_FEW = 4  # smallest number of levels of an ordered parameter with a density
MOST = 4  # largest number of panels of a decision: the parameters narrowed most
_BELOW = (-0.46, -0.04)  # place of the densities of a decision, below the trials by rank from 0 to 1
_FAINT = 0.45  # opacity of trials of other rounds, compared with those of the round
_HALF = 0.35  # share of the way to the next level that is shaded with a level
_SHARES = (0.0, 0.5, 1 - GOOD, 1.0)  # ranks with ticks


@drawing
def levels(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """The metric at every level of a parameter: density, trials, median with its 95 % interval.

    One row per level, from top to bottom in the parameter's order. Levels of an ordered parameter with more
    than 12 levels share rows. Densities end at the smallest and largest value of a row. Levels kept after a
    change are shaded.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    rows = cell_axis(e, new, analysis.sign, letters=_LETTERS, by_median=False)
    table, y, pruned = ranked_trials(analysis)
    row_of_trial = rows.of(table[e.name].to_numpy())
    barred = infeasible_rows(table)
    # A level with a row of its own shows the values of tables; levels of one row are summarised together.
    summary: Sequence[LevelEvidence | stats.Level] = e.levels
    if rows.count < len(e.levels):
        summary = cells_of(analysis, lambda t: rows.of(t[e.name].to_numpy()), rows.count).summary
    view = metric_view(y[~pruned], analysis.direction)
    ax = axes(ax, _height(rows))
    for row, v in enumerate(summary):
        values = y[(row_of_trial == row) & ~pruned]
        if values.size:
            if np.ptp(values) > 0 and (density := metric_density(values, observed_view(view, values))):
                height, width = density
                area: Style = {"color": tone().blue, "alpha": 0.28, "linewidth": 0}
                ax.fill_between(height, row - 0.4 * width, row + 0.4 * width, **area)
            _row_of_dots(ax, row, values[thinned(view.inside(values))], (3.5, 5), alpha=0.7)
        else:
            words = "no trial"
            if barred[row_of_trial == row].any():
                words = "none feasible"
            elif v.n:
                words = "none finished"
            beside(ax, row, words, x=0.01)
        median_mark(ax, row, v, view)
        if v.n:
            beside(ax, row, f"n = {v.n:,}")
    marks = [
        area_mark("density of trials", tone().blue, alpha=0.28),
        line_mark("median, 95 % interval", marker="o", markersize=5, linewidth=2),
    ]
    _name_rows(ax, rows, label, marks)
    metric_axis(ax, view, analysis.metric, "x")
    text = f"{clipped(e.name, 30)} against {clipped(analysis.metric, 30)}"
    title(ax, text, marks, note=hidden_note(view))
    return ax


def median_mark(
    ax: Axes,
    position: float,
    v: LevelEvidence | stats.Level,
    view: MetricView,
    *,
    upright: bool = False,
    size: float = 5,
) -> None:
    """A level's median with its interval; a median out of view is an arrow at the end of the axis."""
    median, *ends = np.clip([v.median, v.low, v.high], view.low, view.high)
    from matplotlib.transforms import Bbox, TransformedBbox

    # Complete at the ends of the axes, and clipped if a user zooms in.
    near = TransformedBbox(Bbox([[-0.02, -0.02], [1.02, 1.02]]), ax.transAxes)
    marker = "o"
    if not view.inside(v.median):
        above = v.median > view.high
        marker = "<>"[int(above)]
        if upright:
            marker = "v^"[int(above != lower_is_better(view))]
    styles: tuple[Style, ...] = ({"marker": marker}, {"linewidth": 0.4 * size, "solid_capstyle": "butt"})
    for values, style in zip(([median], ends), styles, strict=True):
        if np.isfinite(values).all():
            places = [values, [position] * len(values)]
            if upright:
                places.reverse()
            (line,) = ax.plot(*places, markersize=size, color=tone().ink, zorder=5, **style)
            line.set_clip_box(near)


def _row_of_dots(ax: Axes, row: int, values: Floats, sizes: tuple[float, float], alpha: float) -> None:
    """The trials of a row, scattered over half of its height; smaller dots for more than 40 trials."""
    size = sizes[len(values) <= 40]
    dots(ax, values, row + 0.5 * (spread(len(values)) - 0.5), alpha=alpha, markersize=size)


def share_bars(analysis: Analysis, name: str, new: Parameter | None, label: str, ax: Axes | None) -> Axes:
    """Bars per level: its share of the top trials, and of all finished evidence."""
    e = analysis[name]
    rows = cell_axis(e, new, 1.0, max_cells=len(e.levels), letters=_LETTERS, by_median=False)
    ax = axes(ax, _height(rows))
    n = len(finished_positions(analysis, name)[0])
    for row, v in enumerate(level_shares(analysis, name)):
        ax.barh(row - 0.19, v.everyone, height=0.36, color=tone().light)
        if not np.isfinite(v.good):
            beside(ax, row, " no trial", x=0)
            continue
        ax.barh(row + 0.19, v.good, height=0.36, color=tone().blue)
        interval(ax, v.low, v.high, row + 0.19, tone().ink, 1.1)
    marks = [
        area_mark(f"best {percent(GOOD)} (90 % interval)", tone().blue),
        area_mark(f"all ({n:,})", tone().light),
    ]
    _name_rows(ax, rows, label, marks)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(percents)
    ax.set_xlabel("share of the trials")
    title(ax, f"{clipped(e.name, 40)}: where the top trials lie", marks)
    return ax


@drawing
def isolation(analysis: Analysis, name: str, ax: Axes | None = None) -> Axes:
    """The best trial of every level over the other parameters, and bests of equal numbers of trials.

    The best of 50 trials is better than the best of 5 even if levels do not differ. So the figure also shows,
    per level, the expected best of as many trials as the smallest level has; the number of trials is at the
    right. A band marks values that retraining alone could explain, one standard deviation of the noise below
    the best.

    Space-filling trials of the round count, pruned ones among the worst. Exploit trials do not: they were
    chosen by results, more of them at some levels. Degenerate trials count only if they may be best. Ordered
    parameters of many levels share rows.

    Raises:
        AnalysisError: No space-filling trial may be called best.

    Source: Godbole, Dahl, Gilmer, Shallue and Nado (2023), Deep Learning Tuning Playbook, for the plot; Dodge
        et al. (2019)
    for bests at equal numbers of trials; see :func:`refine.stats.expected_best`.
    """
    analysis = having(analysis, name)
    rows = cell_axis(analysis[name], None, analysis.sign, letters=_LETTERS, by_median=False)
    bests = level_bests(analysis, lambda table: rows.of(table[name].to_numpy()), rows.count)
    table, y, _ = ranked_trials(analysis)
    finished = candidates(analysis, table)
    row_of_trial = rows.of(table[name].to_numpy())
    noise = analysis.noise.sd
    view = _close_view(analysis, y[finished], np.concatenate([bests.best, bests.equal]))
    ax = axes(ax, _height(rows))
    hollow: Style = {"markerfacecolor": tone().paper, "markeredgecolor": tone().blue}
    hollow |= {"marker": "D", "linewidth": 0, "markersize": 5.5, "markeredgewidth": 1.5}
    marks: list[Any] = [
        dot_mark("best trial", tone().orange, markersize=6),
        line_mark(f"expected best of {plural(bests.fewest, 'trial')}", tone().blue, **hollow),
        dot_mark("trial", tone().grey, "."),
    ]
    top = float(np.nanmax(analysis.sign * bests.best)) * analysis.sign
    if np.isfinite(noise) and noise > 0:
        ends = sorted((top, top - analysis.sign * noise))
        ax.axvspan(*ends, color=tone().amber, alpha=0.25, linewidth=0, zorder=0)
        text = f"best − noise ({score(noise)})"
        if analysis.sign < 0:
            text = text.replace("−", "+")
        marks.append(area_mark(text, tone().amber, alpha=0.35))
    for row, (n, best, equal) in enumerate(zip(bests.n, bests.best, bests.equal, strict=True)):
        if not np.isfinite(best):
            beside(ax, row, "none finished" if n else "no trial", x=0.01)
            continue
        values = y[(row_of_trial == row) & finished]
        _row_of_dots(ax, row, values[thinned(view.inside(values))], (4.0, 5.5), alpha=0.45)
        ax.plot([equal, best], [row, row], color=tone().blue, linewidth=1.1, zorder=3)
        ax.plot(best, row, "o", color=tone().orange, markersize=6, zorder=5, gid="best")
        ax.plot(equal, row, zorder=4, gid="equal", **hollow)
        beside(ax, row, f"n = {n:,}")
    _name_rows(ax, rows, "", marks)
    metric_axis(ax, view, analysis.metric, "x")
    title(ax, f"Best {clipped(analysis.metric, 22)} by {clipped(name, 22)}", marks, note=hidden_note(view))
    return ax


def _close_view(analysis: Analysis, y: Floats, bests: Floats) -> MetricView:
    """A view in which the bests differ visibly, with at least the better half of the trials."""
    view = metric_view(y, analysis.direction)
    places = analysis.sign * view.forward(bests[np.isfinite(bests)])
    noise = 0.0
    if np.isfinite(analysis.noise.sd) and not view.log:
        noise = analysis.noise.sd
    reach = max(1.5 * float(np.ptp(places)), 4 * noise)
    worst_shown = min(float(places.min()) - reach, float(np.median(analysis.sign * view.forward(y))))
    if reach > 1e-6 * float(np.abs(places).max()):  # else ties: a closer view shows no more
        view.cut(y, float(view.back(analysis.sign * worst_shown)))
    return view


def _row_height(count: int) -> float:
    """Inches per row: less for many rows."""
    return float(np.interp(count, [6, 12, 24, 40], [0.46, 0.4, 0.26, 0.2]))


def _height(rows: CellAxis) -> float:
    """Inches of a figure with ``rows``."""
    return 1.5 + _row_height(rows.count) * (rows.limits[1] - rows.limits[0])


def _name_rows(ax: Axes, rows: CellAxis, label: str, marks: list[Any]) -> None:
    """Names of the rows on the vertical axis; kept rows are shaded, names of dropped rows italic."""
    high, low = rows.limits
    places, texts = rows.ticks()
    tall = _row_height(rows.count) >= 0.35
    ax.set_yticks(places, [wrapped(text) for text in texts] if tall else told_apart(texts, 30))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(low + 0.05, high - 0.05)
    ax.set_ylabel(wrapped(rows.evidence.name, max(12, int(5 * rows.count))))
    ax.grid(axis="x")
    old = rows.evidence.parameter
    new = rows.new
    if new is None or not rows.changed:
        return
    kept_runs = rows.kept()
    for start, end in kept_runs:
        shade_kept(ax, start, end, rows=True)
    for place, tick in zip(places, ax.get_yticklabels(), strict=True):
        if not any(start < place + 0.5 and place - 0.5 < end for start, end in kept_runs):
            tick.set(color=tone().grey, fontstyle="italic")
    inside = stays(old, new)
    text = f"{sum(inside)} of {len(inside)}"
    if isinstance(old, Range) and isinstance(new, Range) and (rows.low or rows.high):
        text += f", and to {rows.high or rows.low}"
    marks.append(kept_mark(f"{label}: {text}"))


@drawing
def density(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """Densities of the top trials and of all finished trials inside the space, evenly drawn or not.

    A range shows two densities on its declared scale that end at the ends of the range; 1 is a uniform
    spread. Choices show bars per level, with the interval of the top trials' share. The new bounds are
    shaded.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    if not (isinstance(e.parameter, Range) and e.parameter.size >= _FEW):
        return share_bars(analysis, name, new, label, ax)
    check_tested(analysis)
    scale = Scale(e.parameter)
    curves = density_curves(analysis, name)
    positions = scale.at(curves.at)
    ax = axes(ax, 2.9)
    ax.fill_between(positions, curves.everyone, color=tone().light, alpha=0.6, linewidth=0)
    ax.plot(positions, curves.everyone, color=tone().grey, linewidth=1.4)
    ax.plot(positions, curves.best, color=tone().blue, linewidth=2)
    ties = ", with ties" * curves.with_ties
    marks: list[object] = [
        line_mark(f"best {percent(GOOD)}{ties} ({curves.good:,})", tone().blue, linewidth=2),
        line_mark(f"all ({curves.n:,})", tone().grey, linewidth=1.4),
    ]
    scale.dress(ax, name, mark_change(ax, e.parameter, new, label, marks), _ends(new))
    ax.set_ylim(0, 1.08 * max(1.0, float(curves.everyone.max()), float(curves.best.max())))
    ax.set_ylabel("density (1 = uniform)")
    title(ax, f"{clipped(name, 40)}: where the top trials lie", marks)
    return ax


@drawing
def density_2d(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """A parameter against the metric.

    With an order: a two-dimensional kernel density of the trials, which ends at the range's ends and at the
    best and worst value, and the median per level with its 95 % interval. Fewer than 40 trials are dots
    instead, because a density of few trials shows shapes of chance. Without an order, or with few levels:
    one violin per level.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    p = e.parameter
    if not (p.ordered and p.size >= _FEW):
        return levels(analysis, name, new, label, ax)
    trials, y = space_filling_trials(analysis)
    scale = Scale(p)
    view = metric_view(y, analysis.direction)
    ax = axes(ax, 3.6)
    trials_mark: object = area_mark("density of trials", tone().towards_blue(0.5))
    if len(y) < _FEW_TRIALS:
        trials_mark = dot_mark("trial", tone().blue, markersize=4)
        visible = view.inside(y)
        x = scale.at(p.unit(trials[name].to_numpy()))
        dots(ax, x[visible], y[visible], color=tone().blue, alpha=0.7, markersize=8)
    elif np.ptp(y) > 0:
        surface = density_surface(analysis, name, observed_view(view, y))
        # Contours are closer at the low end, so that the slopes show next to the peak of a saturated metric.
        contours = float(surface.density.max()) * np.linspace(0.12, 1.0, 11) ** 2
        style: Style = {"levels": contours, "cmap": shades(), "alpha": 0.85}
        ax.contourf(scale.at(surface.x), surface.y, surface.density.T, **style)
    with_median = [
        (v, level) for v, level in zip(e.levels, scale.levels, strict=True) if np.isfinite(v.median)
    ]
    for v, level in with_median:
        median_mark(ax, level, v, view, upright=True, size=4.5 if len(with_median) <= 20 else 2.7)
    marks: list[object] = [
        trials_mark,
        line_mark("median per level, 95 % interval", marker="o", markersize=4, linewidth=1.4),
    ]
    scale.dress(ax, name, mark_change(ax, p, new, label, marks, covered=True), _ends(new))
    metric_axis(ax, view, analysis.metric)
    text = f"{clipped(name, 30)} against {clipped(analysis.metric, 30)}"
    title(ax, text, marks, note=hidden_note(view))
    return ax


def _ends(new: Parameter | None) -> list[float]:
    """Both ends of a changed range, for ticks of their own."""
    if isinstance(new, Range):
        return [float(new.low), float(new.high)]
    return []


@drawing
def decision(
    analysis: Analysis,
    new: Mapping[str, Parameter],
    label: str = "proposed",
    texts: Mapping[str, str] | None = None,
    risk: str = "",
) -> Panels:
    """The parameters narrowed most, with the trials and the densities of the top trials.

    Above, every finished trial inside the space by rank, the best on top, those of other rounds fainter;
    below, the densities of the top trials and of all trials, or shares of choices. The kept part is shaded
    and described in ``texts``, name -> words, by default the new bounds. Without a change, the most important
    parameters are drawn.

    Returns (rows, columns) axes, a panel per parameter, at most :data:`MOST`, in the printed order of
    importance: side by side, or below each other in a column.

    Raises:
        AnalysisError: Trials were chosen by results.
    """
    check_tested(analysis)
    changed = [e for e in analysis.ranked if e.name in new and new[e.name] != e.parameter]
    least_kept = sorted(changed, key=lambda e: float(np.mean(stays(e.parameter, new[e.name]))))[:MOST]
    shown = [e for e in changed if e in least_kept] or analysis.ranked[: MOST - 1]
    rows = 1
    columns = len(shown)
    if narrow():
        rows = columns
        columns = 1
    drawn = panels(rows, columns, 2.5 * rows + 0.9, sharey=True, sharex=False)
    within(drawn[0, 0], 0.2)
    inches = (drawn[0, 0].figure.get_figwidth() - 0.7) / columns - 0.2
    lines = 1
    for ax, e in zip(drawn.flat, shown, strict=True):
        after = new.get(e.name, e.parameter)
        _panel(ax, analysis, e, after, inches)
        name = _panel_name(e, 1.05 * inches)
        lines = max(lines, 1 + name.count("\n"))
        change = "unchanged"
        if after != e.parameter:
            change = f"→ {(texts or {}).get(e.name) or bounds_text(after)}"
        _panel_head(ax, name, change, inches)
    _rank_axes(drawn, analysis)
    marks = [
        dot_mark("trial", tone().grey, markersize=4),
        dot_mark(f"best {percent(GOOD)}", tone().blue, markersize=4),
        line_mark(f"density, best {percent(GOOD)}", tone().blue, linewidth=2),
        area_mark("density, all", tone().light, alpha=0.6),
    ]
    text = "No change"
    if changed:
        text = f"{label.capitalize()} changes, with the trials by rank"
        marks.append(kept_mark("kept"))
    if any(reaches_beyond(e.parameter, new[e.name]) for e in shown if e.name in new):
        marks.append(untried_mark())
    title(drawn[0, 0], text, marks, risk, columns=6, lift=(29 / 9 + 1.3 * (lines - 1)) * points(9))
    return drawn


def _rank_axes(drawn: Panels, analysis: Analysis) -> None:
    """Ticks at ranks, which show the values of the metric."""
    other_values = other_trials(analysis).observed
    usable = other_values[np.isfinite(other_values)]
    values = np.concatenate([ranked_trials(analysis, even=False)[1], usable])
    ticks = _rank_ticks(np.sort(analysis.sign * values))
    for ax in drawn.flat:
        ax.set_yticks(list(ticks), [number(analysis.sign * value) for value in ticks.values()])
        ax.grid(axis="y")
    for ax in drawn[:, 0]:
        ax.set_ylabel(f"{shorten(analysis.metric, 24)}, by rank", y=0.65)


def _rank_ticks(ordered: Floats) -> dict[float, float]:
    """Round values of sorted values near some ranks: position among the ranks from 0 to 1 -> value.

    Values are rounded towards the middle, with as few digits as tell them apart.
    """
    ranks = np.linspace(0, 1, len(ordered))
    exact_values = [float(ordered[round(rank * (len(ordered) - 1))]) for rank in _SHARES]
    middle = exact_values[1]
    for digits in range(1, 6):
        values = [_towards(value, middle, digits) for value in exact_values]
        if len(set(values)) == len(set(exact_values)):
            break
    return {float(np.interp(value, ordered, ranks)): value for value in values}


def _towards(value: float, middle: float, digits: int) -> float:
    """A value rounded to a number of significant digits, not away from the middle."""
    rounded = float(f"{value:.{digits}g}")
    if not rounded or (value - middle) * (rounded - value) <= 0:
        return rounded
    step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    return float(f"{rounded - math.copysign(step, value - middle):.{digits}g}")


def _panel_head(ax: Axes, name: str, change: str, inches: float) -> None:
    """Two texts above a panel: the parameter's name in bold, and its change below."""
    size = points(9)
    place: Style = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    shown = fitted(change, 1.05 * inches, size, lines=1, cut_end=True)
    ax.annotate(name, (0, 1), (0, 17 / 9 * size), fontsize=size, fontweight="bold", **place)
    ax.annotate(shown, (0, 1), (0, 4 / 9 * size), fontsize=size, **place)


def _panel_name(e: ParameterEvidence, inches: float) -> str:
    """A parameter's name above a panel, with the scale if a line has room, else on up to two lines."""
    size = points(9)
    if isinstance(e.parameter, Range) and e.parameter.log:
        with_scale = f"{e.name} (log scale)"
        if fitted(with_scale, inches, size, lines=1, bold=True) == with_scale:
            return with_scale
    return fitted(e.name, inches, size, lines=2, bold=True, cut_end=True)


def _panel(ax: Axes, full_analysis: Analysis, e: ParameterEvidence, new: Parameter, inches: float) -> None:
    from scipy.stats import rankdata

    analysis = having(full_analysis, e.name)
    table, y, _ = ranked_trials(analysis, even=False)
    other_positions, usable = positions_of_others(analysis, e.name)
    better = analysis.sign * np.concatenate([y, other_trials(analysis).observed[usable]])
    from_round = np.arange(len(better)) < len(y)
    unit = np.concatenate([e.parameter.unit(table[e.name].to_numpy()), other_positions])
    if isinstance(e.parameter, Range) and e.parameter.size >= _FEW:
        positions = _range(ax, analysis, e.name, e.parameter, new, unit)
    else:
        positions = _choices(ax, analysis, e, new, unit, inches)
    # From 0, the worst, to 1, the best; equal values share their mean rank.
    ranks = (rankdata(better) - 1) / max(1, len(better) - 1)
    good = stats.top_mask(better, GOOD)
    for of_round in np.unique(from_round):  # the round's trials lie on top
        for mask, color, alpha in ((~good, tone().grey, 0.55), (good, tone().blue, 0.85)):
            rows = thinned(mask & (from_round == of_round) & np.isfinite(positions))
            style: Style = {"marker": "o", "markersize": 3.4, "zorder": 3, "clip_on": False}
            opacity = alpha
            if not of_round:
                opacity *= _FAINT
            if mask[rows].any():  # dots of no trial would leave the panels no room
                dots(ax, positions[rows], ranks[rows], color=color, alpha=opacity, **style)
    ax.axhline(0.5 * _BELOW[1], color=tone().grey, linewidth=0.6)
    ax.set_ylim(_BELOW[0], 1.05)
    ax.tick_params(axis="y", length=0)


def _below(density: Floats, top: float) -> Floats:
    low, high = _BELOW
    return np.asarray(low + (high - low) * 0.92 * density / top)


def _range(ax: Axes, analysis: Analysis, name: str, old: Range, new: Parameter, unit: Floats) -> Floats:
    """Densities, shade and axis of a range; returns the positions of the trials at (n,) unit positions."""
    scale = Scale(old)
    curves = density_curves(analysis, name)
    top = max(1.0, float(curves.everyone.max()), float(curves.best.max()))
    positions = scale.at(curves.at)
    ax.fill_between(
        positions, _BELOW[0], _below(curves.everyone, top), color=tone().light, alpha=0.6, linewidth=0
    )
    ax.plot(positions, _below(curves.best, top), color=tone().blue, linewidth=2)
    reach = _HALF * level_spacing(old)
    ticks = []
    ends = [0.0, 1.0]
    if new != old:
        parts = [(v, v) for v in new.grid]
        if isinstance(new, Range):
            parts = [(new.low, new.high)]
            ticks = _ends(new)
            hatch_untried(ax, old, *ticks)
        raw = np.array(parts, dtype=float)  # may lie outside the old range
        first, last = old.ends()
        kept_unit = (old.scale(np.maximum(raw, 1e-300) if old.log else raw) - first) / (last - first)
        margin = 0.0
        if not isinstance(new, Range):
            margin = reach  # single values have no width of their own
        for part in kept_unit:
            shade_kept(ax, *(float(v) for v in scale.at(part + np.array([-margin, margin]))))
        ends += list(kept_unit.ravel())
    low, high = (float(v) for v in scale.at([min(ends) - reach, max(ends) + reach]))
    scale.dress(ax, name, (low, high), ticks)
    ax.set_xlabel("")
    return scale.at(unit + 0.4 * reach * (2 * spread(len(unit)) - 1))


def _choices(
    ax: Axes, analysis: Analysis, e: ParameterEvidence, new: Parameter, unit: Floats, inches: float
) -> Floats:
    """Shares, shade and axis of choices; returns the positions of the trials at (n,) unit positions."""
    cells = cell_axis(e, new, 1.0, max_cells=len(e.levels), letters=28, by_median=False)
    shares = level_shares(analysis, e.name)
    good, share_of_all = np.array([(np.nan_to_num(v.good), v.everyone) for v in shares]).T
    top = max(float(good.max()), float(share_of_all.max()), 1e-9)
    for offset, share, color in ((-0.19, share_of_all, tone().light), (0.19, good, tone().blue)):
        places = np.arange(len(shares)) + offset
        ax.bar(places, _below(share, top) - _BELOW[0], 0.36, bottom=_BELOW[0], color=color)
    if new != e.parameter:
        for run in cells.kept():
            shade_kept(ax, *run)
    label_x(ax, cells, inches)
    ax.tick_params(axis="x", length=0)
    levels_of_trials = level_axis(e.parameter).index(np.where(np.isfinite(unit), unit, 0.0))
    index = np.where(np.isfinite(unit), cells.of(e.parameter.column(levels_of_trials)), -1)
    return np.where(index >= 0, index + 0.6 * (spread(len(index)) - 0.5), np.nan)
