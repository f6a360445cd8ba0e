"""Training curves of the best trials, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.analysis.learning_curves import Pair, TrialCurves
from refine.errors import AnalysisError
from refine.report.figures.canvas import head, legend_of, panels
from refine.report.figures.labels import shorten
from refine.report.figures.theme import drawing, narrow, points, present, tone
from refine.report.pages.checks import FLAGS
from refine.trials.goal import check_direction, sign_of
from refine.utils.format import number, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 4  # trials beside each other, so that each stays readable
_FACTOR = 30.0  # of largest to smallest loss, from which on the axis is logarithmic
_SQUEEZING = 0.02  # share of a row's values, the worst, that may lie outside
_LETTERS = 25  # of words that fit above one of four panels


@drawing
def curves(trials: Sequence[TrialCurves], metric: str, direction: str) -> npt.NDArray[Any]:
    """Loss and score by epoch for up to four trials, with what the curves show in words.

    One column per trial; loss above, on a log axis where it spans much, and the score below. A row has one axis,
    so that its trials compare at a glance; a fiftieth of the values, the worst, may lie outside. Trials stand best
    first; ``metric`` is what they are judged by. Returns (rows, trials) axes of a new figure.

    Raises:
        AnalysisError: No trial, too many, or ``direction`` is neither.
    """
    check_direction(direction)
    if not 0 < len(trials) <= MOST:
        raise AnalysisError(f"curves: draws 1 to {MOST} trials with curves, got {len(trials)}")
    names = {"loss": "loss", "score": metric.rpartition(":")[2].removeprefix("val_")}
    rows = [kind for kind in names if any(any(getattr(trial, kind)) for trial in trials)]
    grid = _grid(len(rows), len(trials))
    shown: dict[str, Any] = {}
    for kind, line in zip(rows, grid, strict=True):
        pairs = [getattr(trial, kind) for trial in trials]
        for ax, pair in zip(line, pairs, strict=True):
            shown |= _draw(ax, pair, kind)
        _limit(line[0], pairs, kind, direction)
        for ax in line[:: 2 if narrow() else len(line)]:
            ax.set_ylabel(shorten(names[kind], 22))
    _heads(grid[0], trials)
    for ax in grid[-1]:
        ax.set_xlabel("epoch")
    figure = grid[0, 0].figure
    figure.align_ylabels()
    head(figure, "Training curves of the best trials")
    if shown:  # else no epoch of any has a finite value
        place = "outside lower center" if narrow() else "outside upper right"
        legend_of(figure, list(shown.values()), len(shown), present().width, loc=place)
    return grid


def _grid(rows: int, trials: int) -> npt.NDArray[Any]:
    """(rows, trials) axes of a new figure, a row's with one vertical axis; two trials beside each other in a column."""
    if not narrow() or trials <= 2:
        return panels(rows, trials, 0.75 + 1.55 * rows)
    blocks = -(-trials // 2)
    made = panels(rows * blocks, 2, 1.0 + 1.5 * rows * blocks, sharey=False)
    if trials % 2:
        for ax in made[-rows:, 1]:
            ax.set_visible(False)
        made[-rows - 1, 1].tick_params(labelbottom=True)
    grid = np.array([[made[(t // 2) * rows + k, t % 2] for t in range(trials)] for k in range(rows)])
    for line in grid:
        for t, ax in enumerate(line[1:], 1):
            ax.sharey(line[0])
            ax.tick_params(labelleft=t % 2 == 0)
    return grid


def _draw(ax: Axes, pair: Pair, kind: str) -> dict[str, Any]:
    """Draws the curves of a trial; the lines by what they are called."""
    from matplotlib.ticker import MaxNLocator

    drawn = {}
    for role, values in pair._asdict().items():
        y = np.asarray(values, dtype=float)
        at = np.flatnonzero(np.isfinite(y))
        if not at.size:
            continue
        # A score without a partner may be of any rows.
        label = "as reported" if kind == "score" and role == "training" and not pair.validation else role
        look: dict[str, Any] = {"color": tone().blue, "linewidth": 1.5}
        if label == "training":
            look = {"color": tone().orange, "linewidth": 1.1, "linestyle": (0, (4, 1.2))}
        marker = "." if at.size == 1 else None
        (drawn[label],) = ax.plot(at + 1, y[at], label=label, marker=marker, **look)
    ax.grid(axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return drawn


def _limit(ax: Axes, pairs: Sequence[Pair], kind: str, direction: str) -> None:
    from matplotlib.ticker import NullFormatter

    values = np.concatenate([np.asarray(series, dtype=float) for pair in pairs for series in pair])
    values = values[np.isfinite(values)]
    if kind == "loss" and values.size and values.min() > 0 and values.max() > _FACTOR * values.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda v, _: number(v))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif values.size:
        high_is_good = kind == "score" and sign_of(direction) > 0
        low, high = np.quantile(values, [_SQUEEZING, 1.0] if high_is_good else [0.0, 1.0 - _SQUEEZING])
        pad = 0.06 * (high - low) or 0.05 * (abs(high) or 1.0)
        ax.set_ylim(low - pad, high + pad)


def _heads(line: npt.NDArray[Any], trials: Sequence[TrialCurves]) -> None:
    """Rank, value and what was seen above each column."""
    texts = [_lines(trial) for trial in trials]
    tall = max(len(text) for text in texts)
    for ax, trial, text in zip(line, trials, texts, strict=True):
        ax.set_title(f"{trial.rank}: {score(trial.value)}", loc="left", fontsize=points(9), pad=4 + 10 * tall)
        below = "\n".join([*text, *[""] * (tall - len(text))])
        look: dict[str, Any] = {"style": "italic", "color": tone().ink if trial.seen else tone().grey}
        ax.annotate(below, (0, 1), (0, 3), "axes fraction", "offset points", fontsize=points(8), **look)


def _lines(trial: TrialCurves) -> list[str]:
    if not trial.judged:
        return ["too few epochs to tell"]
    lines = [""]
    for word in (FLAGS[name].word for name in trial.seen):
        longer = f"{lines[-1]}, {word}" if lines[-1] else word
        if len(longer) > _LETTERS:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if lines[0] else ["nothing seen"]
