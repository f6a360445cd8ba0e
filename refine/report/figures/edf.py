"""Rounds as populations: the distribution of each round's values, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.metric_view import MetricView
from refine.errors import AnalysisError
from refine.report.figures.look import points, style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import axes, line_mark, shorten, title
from refine.trials.goal import check_direction, sign_of
from refine.utils.arrays import Floats
from refine.utils.format import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes


_MOST = 8  # rounds that are told apart
_DASHES = ("-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)), (0, (3, 3)))


def edf(curves: Mapping[str, npt.ArrayLike], metric: str, direction: str, ax: Axes | None = None) -> Axes:
    """The share of trials at least as good as every value, round by round, with 95 % bootstrap bands.

    The higher of two curves is the better population, for more and for less is better alike. The last round
    is blue, the one before it, its parent, grey; of more than 8 rounds the first and the last 7 are shown.

    Args:
        curves: Label -> (n,) values of a round's finished space-filling trials, the oldest round first.
        metric: How to call the value.
        direction: ``"maximize"`` or ``"minimize"``.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No round, a round without trials or with values that are not finite, or ``direction``
            is neither.

    Source: Radosavovic et al. (2020), 'Designing Network Design Spaces', arXiv:2003.13678, equation 1.
    """
    check_direction(direction)
    rounds = {label: np.asarray(v, dtype=float).ravel() for label, v in curves.items()}
    if not rounds:
        raise AnalysisError("edf: no round has a finished space-filling trial yet; run one first")
    left_out = max(0, len(rounds) - _MOST)
    if left_out:
        kept = list(rounds)
        rounds = {label: rounds[label] for label in [kept[0], *kept[left_out + 1 :]]}
    sign = sign_of(direction)
    found = {label: stats.Edf()(sign * v) for label, v in rounds.items()}
    view = MetricView(np.concatenate(list(rounds.values())), direction)
    with style():
        looks = _looks(len(found))
        ax = axes(ax, 3.3)
        marks: list[Any] = []
        for (label, curve), (color, dash, width) in zip(found.items(), looks, strict=True):
            x, middle, low, high = _steps(curve, sign, view)
            # A step holds up to its value: the share of trials at least as good as what lies before it.
            ax.fill_between(x, low, high, step="pre", color=color, alpha=0.07 * width, linewidth=0)
            ax.plot(x, middle, color=color, linestyle=dash, linewidth=width, drawstyle="steps-pre")
            text = f"{shorten(label, 32)} (n = {curve.n:,})"
            marks.append(line_mark(text, color, linestyle=dash, linewidth=width))
        metric_axis(ax, view, metric, "x")
        ax.set_ylim(0, 1.02)
        ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
        ax.grid()
        ax.set_ylabel("share of trials at least as good")
        ax.set_xlabel(f"{ax.get_xlabel()} ({'better →' if sign > 0 else '← better'})")
        title(ax, f"Distribution of {shorten(metric, 30)}, round by round", note=hidden_note(view))
        # Bad values are reached by nearly all trials: below the curves there is room.
        corner = "lower left" if sign > 0 else "lower right"
        # The newest round first, which is the highest curve where refinement works.
        ax.legend(
            handles=marks[::-1],
            loc=corner,
            title="95 % bands" + (f"; {plural(left_out, 'round')} between left out" if left_out else ""),
            title_fontsize=points(8),
            alignment="left",
            frameon=True,
            framealpha=0.85,
            edgecolor="none",
        )
    return ax


def _looks(count: int) -> list[tuple[str, Any, float]]:
    """Colour, dashes and width per round, the oldest first."""
    c = tone()
    colours = (c.orange, c.green, c.amber, c.pink, c.sky, c.ink)
    earlier = [(colours[i], _DASHES[i], 1.4) for i in range(max(0, count - 2))]
    parent: list[tuple[str, Any, float]] = [(tone().grey, "--", 1.8)] if count > 1 else []
    return [*earlier, *parent, (tone().blue, "-", 2.2)]


def _steps(curve: stats.Curve, sign: float, view: MetricView) -> tuple[Floats, Floats, Floats, Floats]:
    """Positions and shares of a curve and its band, from the bad end of the view until no trial is left."""
    bad = view.low if sign > 0 else -view.high
    x = np.concatenate([[min(bad, curve.at[0])], curve.at, [curve.at[-1]]])
    shares = (np.concatenate([[1.0], share, [0.0]]) for share in (curve.better, curve.low, curve.high))
    middle, low, high = shares
    return sign * x, middle, low, high
