"""Figure of the check 'noise': is the gain larger than the noise of retraining?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.best_trials import gain_of
from refine.errors import AnalysisError
from refine.report.figures.look import style, tone
from refine.report.figures.style import area_mark, axes, dot_mark, line_mark, shorten, title, wrapped
from refine.space.parameters import number_of
from refine.utils.format import number, plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 20  # of the best trials


def gain(analysis: Analysis, before: float | None = None, ax: Axes | None = None) -> Axes:
    """The best values of a round with the noise around the best, and the best known before.

    Trials within the band can't be told from the best by one run each: it reaches one standard deviation of
    retraining from it, two where it is pale. All of the round's finished trials that may be called best count. The
    best of many is biased upwards; ``round.optimism()`` says by how much.

    Args:
        analysis: Of :func:`refine.analyze`.
        before: Best value known before the round; ``None`` where there is none.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: ``before`` is no finite number, or no trial may be called best.
    """
    if before is not None and (number_of(before) is None or not math.isfinite(before)):
        raise AnalysisError(f"gain: before must be a finite number or None, got {before!r}")
    found = gain_of(analysis, before)
    shown, best, noise, known = found.values[:_SHOWN], found.best, found.noise, found.known
    with style():
        ax = axes(ax, 3.0)
        if known:
            for times, alpha in ((2, 0.16), (1, 0.3)):
                ax.axhspan(
                    best - times * noise,
                    best + times * noise,
                    color=tone().amber,
                    alpha=alpha,
                    linewidth=0,
                    zorder=0,
                )
        at = np.arange(1, len(shown) + 1)
        ax.plot(at[1:], shown[1:], "o", color=tone().blue, markersize=5, gid="top")
        ax.plot(1, best, "o", color=tone().orange, markersize=7, zorder=4, gid="best")
        marks: list[Any] = [
            dot_mark(f"best: {score(best)}", tone().orange),
            dot_mark("next best", tone().blue, markersize=5),
        ]
        if known:
            text = f"within {score(noise)}, the noise: {plural(found.near, 'trial')}"
            marks.append(area_mark(text, tone().amber, alpha=0.4))
        if before is not None:
            ax.axhline(before, color=tone().ink, linewidth=1.4, linestyle=(0, (4, 2)), gid="before")
            won = found.gained
            said = f"{'gain' if won > 0 else 'loss'} {score(abs(won))}" if won else "no gain"
            if won and known:
                said += f", {number(abs(won) / noise, 2)} × noise"
            text = f"best before: {score(before)} ({said})"
            marks.append(line_mark(text, tone().ink, linewidth=1.4, linestyle=(0, (4, 2))))
        _limit(ax, np.array([*shown, *([] if before is None else [before])]), best, noise if known else 0.0)
        ax.set_xlim(0.3, max(len(shown), 5) + 0.7)
        ax.set_xticks([1, *range(5, max(len(shown), 5) + 1, 5)])
        ax.grid(axis="y")
        ax.set_xlabel(f"rank among {plural(len(found.values), 'trial')}")
        ax.set_ylabel(wrapped(analysis.metric, 24))
        note = "" if known else "noise unknown" if math.isnan(noise) else "the estimated noise is 0"
        title(ax, f"The best of the round, by {shorten(analysis.metric, 26)}", marks, note=note, columns=4)
    return ax


def _limit(ax: Axes, values: Any, best: float, noise: float) -> None:
    """All that is drawn, and never closer than 2 % of the best: ties are no reason to magnify rounding."""
    low, high = min(float(values.min()), best - 2 * noise), max(float(values.max()), best + 2 * noise)
    pad = max(0.06 * (high - low), 0.01 * abs(best)) or 0.05
    ax.set_ylim(low - pad, high + pad)
