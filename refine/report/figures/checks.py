"""Figures of the checks: failures, cost and training curves; and the front of several goals."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.best_trials import cost_of
from refine.analysis.evidence import ALPHA
from refine.analysis.learning_curves import Pair, TrialCurves
from refine.analysis.levels import by_failures, failure_rates
from refine.analysis.selection import ended_trials
from refine.errors import AnalysisError
from refine.report.figures.axes import (
    cell_axis,
    hidden_note,
    log_ticks,
    metric_axis,
    metric_view,
    round_ticks,
)
from refine.report.figures.canvas import (
    Style,
    area_mark,
    axes,
    beside,
    clipped,
    dot_mark,
    dots,
    head,
    interval,
    legend_of,
    line_mark,
    named_rows,
    panels,
    percents,
    shorten,
    thinned,
    title,
)
from refine.report.figures.theme import drawing, narrow, points, present, tone
from refine.report.pages.checks import FLAGS
from refine.stats.pareto import non_dominated
from refine.trials.frame import front_rows, infeasible_rows, metric_title
from refine.trials.goal import check_direction, sign_of
from refine.utils.arrays import Floats
from refine.utils.format import duration, number, p_value, percent, plural, score

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from refine.trials.goal import Goal

_ROWS = 30  # largest number of rows, so that the figure fits a page
_LEAST = 2  # parameters shown even without failures
_MOST = 10  # largest number of levels with rows of their own
_FACTOR = 20.0  # ratio of longest to shortest time from which the axis is logarithmic
MOST = 4  # largest number of trials with readable curves side by side
_SPAN = 30.0  # ratio of largest to smallest loss from which the axis is logarithmic
_SQUEEZING = 0.02  # share of a row's values, the worst, that may lie outside the axis
_LETTERS = 26  # letters that fit above one of four panels


@drawing
def failing(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """The share of failed, diverged or degenerate trials, by level, with Wilson's 95 % interval.

    Parameters are sorted by the smallest q of their levels and trend; those above 0.1 are left out beyond the
    first two. Levels that fail more often than other levels at q <= 0.1 are orange. The line is the share of
    all trials. Ordered parameters of more than 10 levels share rows; of choices without an order, the best by
    median have rows of their own. Space-filling trials that have ended count; pruned trials have not failed.
    Tests leave out trials at levels of other parameters at which all trials fail; shares include them.

    Raises:
        AnalysisError: No parameter varies.
    """
    table, bad = ended_trials(analysis)
    if not analysis.parameters or not len(table):
        raise AnalysisError("no parameter varies, so there are no levels to compare")
    rows = _failure_rows(analysis)
    ax = axes(ax, 1.35 + 0.21 * len(rows))
    reach = 0.02
    for row, (_, rate, q) in enumerate(rows):
        color = tone().grey
        if q <= ALPHA:
            color = tone().orange
        if rate is None:
            beside(ax, row, f"q {p_value(q)}", tone().ink if q <= ALPHA else None)
        elif not rate.n:
            beside(ax, row, "no trial", x=0.01)
        else:
            interval(ax, rate.low, rate.high, row, color)
            ax.plot(rate.rate, row, "o", color=color, markersize=5, zorder=4, clip_on=False, gid="rate")
            beside(ax, row, f"{rate.hits:,} of {rate.n:,}", color)
            reach = max(reach, rate.high)
    overall: Style = {"color": tone().ink, "linewidth": 1, "linestyle": (0, (4, 2))}
    ax.axvline(float(bad.mean()), zorder=1, gid="overall", **overall)
    named_rows(ax, [text for text, _, _ in rows])
    for tick, (_, rate, _) in zip(ax.get_yticklabels(), rows, strict=True):
        if rate is None:
            tick.set_fontweight("bold")
    ax.tick_params(axis="y", pad=7)
    ax.set_xlim(0, min(1.0, 1.04 * reach))
    ax.xaxis.set_major_formatter(percents)
    ax.set_xlabel("share of ended trials that failed, diverged or are degenerate")
    marks = [line_mark(f"all: {int(bad.sum()):,} of {len(bad):,} ({percent(float(bad.mean()))})", **overall)]
    if any(q <= ALPHA for _, rate, q in rows if rate is not None):
        text = "more often than at other levels, q ≤ 0.1"
        marks.insert(0, line_mark(text, tone().orange, marker="o", linewidth=1.6))
    note = ""
    if omitted := len(analysis.parameters) - sum(rate is None for _, rate, _ in rows):
        note = f"{plural(omitted, 'parameter')} left out"
    title(ax, "Where trials fail", marks, note=note)
    return ax


def _failure_rows(analysis: Analysis) -> list[tuple[str, stats.Rate | None, float]]:
    """A row per parameter, without a rate, and a row per level: name, rate, q."""
    rows: list[tuple[str, stats.Rate | None, float]] = []
    for i, e in enumerate(by_failures(analysis)):
        if i >= _LEAST and not e.fails:
            continue
        axis = cell_axis(
            e, None, analysis.sign, max_cells=_MOST, letters=30, by_median=False, pool_worst=True
        )
        rates = zip(*failure_rates(analysis, e, axis.of, axis.cell), strict=True)
        if rows and len(rows) + 1 + axis.count > _ROWS:
            break
        rows.append((shorten(e.name, 30), None, e.bad_q))
        rows += [(f"{text}  ", *rate) for text, rate in zip(axis.labels, rates, strict=True)]
    return rows


@drawing
def cost(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """The metric against the time of every trial: the price of better values.

    The line is the Pareto front: trials that no other trial beats in metric and time. Marked are the best
    trial and the cheapest trial within the noise of the best, one standard deviation of retraining; one
    marker if they are the same. All finished trials of the round that may be called best count, exploit
    trials included. Times of concurrent trials are longer than times alone.

    Raises:
        AnalysisError: No candidate for the best trial has a time.
    """
    costs = cost_of(analysis)
    x, y, best, cheapest, on, noise = costs[:6]
    view = metric_view(y, analysis.direction)
    ax = axes(ax, 3.4)
    c = tone()
    drawn_rows = thinned(view.inside(y))
    dots(ax, x[drawn_rows], y[drawn_rows])
    steps = np.append(x[on], x.max()), np.append(y[on], y[on][-1])
    ax.plot(*steps, color=c.blue, drawstyle="steps-post", linewidth=1.6, gid="front")
    ax.plot(x[on], y[on], "o", color=c.blue, markersize=3.5, zorder=3)
    ax.plot(x[best], y[best], "o", color=c.orange, markersize=6.5, zorder=6, gid="best")
    cheapest_text = "cheapest as good"
    if noise > 0:
        cheapest_text = "cheapest within noise"
    facts, facts_of_cheapest = (f"{score(y[i])}, {_time_text(x[i])}" for i in (best, cheapest))
    marks: list[Any] = [dot_mark(f"best and {cheapest_text}: {facts}", c.orange)]
    if cheapest != best:
        ax.plot(x[cheapest], y[cheapest], "D", color=c.green, markersize=7, zorder=5, gid="cheapest")
        marks[0].set_label(f"best: {facts}")
        marks.append(dot_mark(f"{cheapest_text}: {facts_of_cheapest}", c.green, "D"))
    marks.append(line_mark("Pareto front", c.blue, linewidth=1.6))
    if noise > 0:
        ends = sorted((y[best], y[best] - analysis.sign * noise))
        ax.axhspan(*ends, color=c.light, alpha=0.45, linewidth=0, zorder=0, gid="noise")
        marks.append(area_mark(f"noise ({score(noise)})", c.light, alpha=0.6))
    _time_axis(ax, x)
    metric_axis(ax, view, analysis.metric)
    ax.grid()
    notes = [hidden_note(view)]
    if costs.untimed:
        notes.append(f"{costs.untimed:,} without a time")
    if not np.isfinite(noise):
        notes.append("noise unknown")
    title(ax, f"{clipped(analysis.metric, 24)} against time", marks, note="; ".join(filter(None, notes)))
    return ax


def _time_axis(ax: Axes, x: Floats) -> None:
    low = float(x.min())
    high = float(x.max())
    label = "time of a trial"
    log = high > _FACTOR * low
    if log:
        label += " (log scale)"
        log_ticks(ax, "x", low, high / 2)
        pad = (high / low) ** 0.03
        ax.set_xlim(low / pad, high * pad)
    else:
        pad = 0.04 * (high - low) or 0.5 * high
        ax.set_xlim(low - pad, high + pad)
    ax.set_xlabel(label)
    # Texts such as 3 min 20 s are long: as many ticks as fit.
    low, high = ax.get_xlim()
    candidates = ax.get_xticks()
    if not log:
        candidates = round_ticks(low, high, log=False)
    ticks = [t for t in candidates if low <= t <= high]
    limit = 6
    if narrow():
        limit = 3
    ax.set_xticks(ticks[:: -(-len(ticks) // limit) or 1])
    ax.xaxis.set_major_formatter(lambda v, _: _time_text(v))


def _time_text(seconds: float) -> str:
    """``0.25 ms``, or ``3 min 20 s`` from a hundredth of a second on."""
    if seconds < 0.01:
        return f"{1000 * seconds:.2g} ms"
    return duration(seconds)


@drawing
def front(frame: pd.DataFrame, goals: Sequence[Goal], space: Iterable[str], ax: Axes | None = None) -> Axes:
    """Every finished trial by its first two goals, with the front.

    The line is the front of the two goals shown. With three goals, trials on the front by the third goal
    alone are marked as well. Crosses are trials that break a metric constraint. ``space`` holds names of
    parameters.

    Raises:
        AnalysisError: The round has one goal, or no trial has a value in every goal.
    """
    if len(goals) < 2:
        raise AnalysisError(
            "a front needs two or three goals, got one; tree.add_round(..., metric=[Goal(...), Goal(...)])"
        )
    names = list(space)
    best = front_rows(frame, goals, names)
    if not len(best):
        raise AnalysisError("no trial has a value in every goal yet; run the round first")
    first, second = goals[:2]
    columns = metric_title(second.metric.name, names), "value"
    values = np.column_stack([np.asarray(frame[c], dtype=float) for c in columns])
    on = values[frame.index.isin(best.index)]
    broken = infeasible_rows(frame)
    front_of_two = on[non_dominated(on * np.array([second.sign, first.sign]))]
    front_of_two = front_of_two[np.argsort(front_of_two[:, 0])]
    ax = axes(ax, 3.4)
    dots(ax, *values[~broken].T, markersize=6.5)
    text = f"front: {len(on)} of {len(frame)}"
    marks = [line_mark(text, tone().blue, marker="o", linewidth=1.2, markersize=4)]
    if broken.any():
        cross: Style = {"color": tone().orange, "marker": "x", "linewidth": 0, "markersize": 4}
        ax.plot(*values[broken].T, alpha=0.6, **cross)
        marks.append(line_mark("infeasible", **cross))
    # A point of the front dominates the points on its worse side in the second goal.
    steps = "steps-post"
    if second.sign > 0:
        steps = "steps-pre"
    ax.plot(*front_of_two.T, color=tone().blue, linewidth=1.2, drawstyle=steps, gid="front")
    ax.plot(*on.T, "o", color=tone().blue, markersize=4, zorder=3)
    ax.set_xlabel(f"{shorten(str(second.metric), 30)} ({second.direction})")
    ax.set_ylabel(f"{shorten(str(first.metric), 24)} ({first.direction})")
    if first.sign < 0:
        ax.invert_yaxis()  # the best at the top
    ax.grid()
    title(ax, f"{clipped(str(first.metric), 20)} against {clipped(str(second.metric), 20)}", marks)
    return ax


@drawing
def curves(trials: Sequence[TrialCurves], metric: str, direction: str) -> npt.NDArray[Any]:
    """Loss and score by epoch for up to four trials, with findings in words.

    One column per trial, best first; loss above, on a log axis if it spans much, and the score below. Trials
    of a row share an axis; the worst 2 % of the values may lie outside. ``metric`` is the round's metric.
    Returns (rows, trials) axes of a new figure.

    Raises:
        AnalysisError: No trial, more than four, or ``direction`` is neither ``"maximize"`` nor
            ``"minimize"``.
    """
    check_direction(direction)
    if not 0 < len(trials) <= MOST:
        raise AnalysisError(f"curves: draws 1 to {MOST} trials with curves, got {len(trials)}")
    names = {"loss": "loss", "score": metric.rpartition(":")[2].removeprefix("val_")}
    rows = [kind for kind in names if any(any(getattr(trial, kind)) for trial in trials)]
    grid: npt.NDArray[Any] = panels(len(rows), len(trials), 0.75 + 1.55 * len(rows))
    with_names = grid[:, :1]
    with_epochs = grid[-1]
    place = "outside upper right"
    if narrow():  # a trial's loss and score beside each other
        grid = with_names = panels(len(trials), len(rows), 0.9 + 1.5 * len(trials), sharey="col").T
        with_epochs = grid[:, -1]
        place = "outside lower center"
    shown: dict[str, object] = {}
    for kind, line, named in zip(rows, grid, with_names, strict=True):
        pairs = [getattr(trial, kind) for trial in trials]
        for ax, pair in zip(line, pairs, strict=True):
            shown |= _draw(ax, pair, kind)
        _limit(line[0], pairs, kind, direction)
        for ax in named:
            ax.set_ylabel(shorten(names[kind], 22))
    _heads(grid[0], trials)
    for ax in with_epochs:
        ax.set_xlabel("epoch")
    figure = grid[0, 0].figure
    figure.align_ylabels()
    head(figure, "Training curves of the best trials")
    if shown:  # empty without a finite value
        legend_of(figure, list(shown.values()), len(shown), present().width, loc=place)
    return grid


def _draw(ax: Axes, pair: Pair, kind: str) -> dict[str, Any]:
    """Draws the curves of a trial; returns the lines by label."""
    from matplotlib.ticker import MaxNLocator

    drawn = {}
    for role, values in pair._asdict().items():
        y = np.asarray(values, dtype=float)
        epochs = np.flatnonzero(np.isfinite(y))
        if not epochs.size:
            continue
        style: Style = {"label": role, "color": tone().blue, "linewidth": 1.5}
        # A score without a partner may belong to training or validation.
        if kind == "score" and role == "training" and not pair.validation:
            style["label"] = "as reported"
        elif role == "training":
            style |= {"color": tone().orange, "linewidth": 1.1, "linestyle": (0, (4, 1.2))}
        if epochs.size == 1:
            style["marker"] = "."
        (drawn[style["label"]],) = ax.plot(epochs + 1, y[epochs], **style)
    ax.grid(axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return drawn


def _limit(ax: Axes, pairs: Sequence[Pair], kind: str, direction: str) -> None:
    from matplotlib.ticker import NullFormatter

    values = np.concatenate([np.asarray(series, dtype=float) for pair in pairs for series in pair])
    values = values[np.isfinite(values)]
    if kind == "loss" and values.size and values.min() > 0 and values.max() > _SPAN * values.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda v, _: number(v))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif values.size:
        high_is_good = kind == "score" and sign_of(direction) > 0
        low, high = np.quantile(values, [_SQUEEZING, 1.0] if high_is_good else [0.0, 1.0 - _SQUEEZING])
        pad = 0.06 * (high - low) or 0.05 * (abs(high) or 1.0)
        ax.set_ylim(low - pad, high + pad)


def _heads(line: npt.NDArray[np.generic], trials: Sequence[TrialCurves]) -> None:
    """Rank, value and findings above each column."""
    texts = [_lines(trial) for trial in trials]
    tall = max(len(text) for text in texts)
    for ax, trial, text in zip(line, trials, texts, strict=True):
        ax.set_title(f"{trial.rank}: {score(trial.value)}", loc="left", fontsize=points(9), pad=4 + 10 * tall)
        below = "\n".join([*text, *[""] * (tall - len(text))])
        style: Style = {"style": "italic", "color": tone().ink if trial.seen else tone().grey}
        ax.annotate(below, (0, 1), (0, 3), "axes fraction", "offset points", fontsize=points(8), **style)


def _lines(trial: TrialCurves) -> list[str]:
    if not trial.judged:
        return ["too few epochs to tell"]
    # Lines break between words for flags, not inside them.
    words = [FLAGS[name].word.replace(" ", "\N{NO-BREAK SPACE}") for name in trial.seen]
    lines = textwrap.wrap(", ".join(words), _LETTERS) or ["nothing seen"]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
