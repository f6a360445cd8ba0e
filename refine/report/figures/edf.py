"""Rounds as populations: the distribution of each round's values, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.metric_view import MetricView
from refine.errors import AnalysisError
from refine.report.figures.axes import hidden_note, metric_axis
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import shorten
from refine.report.figures.marks import line_mark, percents
from refine.report.figures.theme import drawing, points, tone
from refine.trials.goal import check_direction, sign_of
from refine.utils.format import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

_MOST = 8  # rounds that are told apart
_DASHES = ("-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)), (0, (3, 3)))


@drawing
def edf(curves: Mapping[str, npt.ArrayLike], metric: str, direction: str, ax: Axes | None = None) -> Axes:
    """The share of trials at least as good as every value, round by round, with 95 % bootstrap bands.

    The higher of two curves is the better population, for more and for less is better alike. The last round
    is blue, the one before it, its parent, grey; of more than 8 rounds the first and the last 7 are shown. ``curves``
    are label -> (n,) values of a round's finished space-filling trials, the oldest round first.

    Raises:
        AnalysisError: No round, a round without trials or with values that are not finite, or ``direction``
            is neither.

    Source: Radosavovic et al. (2020), 'Designing Network Design Spaces', arXiv:2003.13678, equation 1.
    """
    check_direction(direction)
    rounds = [(label, np.asarray(v, dtype=float).ravel()) for label, v in curves.items()]
    if not rounds:
        raise AnalysisError("edf: no round has a finished space-filling trial yet; run one first")
    left_out = max(0, len(rounds) - _MOST)
    rounds = rounds[:1] + rounds[1 + left_out :]
    sign, c = sign_of(direction), tone()
    measured = [(label, stats.Edf()(sign * v)) for label, v in rounds]
    view, ax = MetricView(np.concatenate([v for _, v in rounds]), direction), axes(ax, 3.3)
    earlier = zip((c.orange, c.green, c.amber, c.pink, c.sky, c.ink), _DASHES, [1.4] * 6, strict=True)
    looks = [*list(earlier)[: max(0, len(rounds) - 2)], (c.grey, "--", 1.8), (c.blue, "-", 2.2)]
    marks: list[Any] = []
    for (label, curve), (color, dash, width) in zip(measured, looks[-len(rounds) :], strict=True):
        # From the bad end of the view until no trial is left. A step holds up to its value: the share of trials at
        # least as good as what lies before it.
        bad = view.low if sign > 0 else -view.high
        x = sign * np.concatenate([[min(bad, curve.at[0])], curve.at, [curve.at[-1]]])
        middle, low, high = (np.array([1.0, *v, 0.0]) for v in (curve.better, curve.low, curve.high))
        ax.fill_between(x, low, high, step="pre", color=color, alpha=0.07 * width, linewidth=0)
        look: dict[str, Any] = {"linestyle": dash, "linewidth": width}
        ax.plot(x, middle, color=color, drawstyle="steps-pre", **look)
        marks.append(line_mark(f"{shorten(label, 32)} (n = {curve.n:,})", color, **look))
    metric_axis(ax, view, metric, "x")
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(percents)
    ax.grid()
    ax.set_ylabel("share of trials at least as good")
    ax.set_xlabel(f"{ax.get_xlabel()} ({'better →' if sign > 0 else '← better'})")
    title(ax, f"Distribution of {shorten(metric, 30)}, round by round", note=hidden_note(view))
    # Bad values are reached by nearly all trials. The newest round first, the highest curve where refinement works.
    place: dict[str, Any] = {"loc": "lower left" if sign > 0 else "lower right", "alignment": "left"}
    head = "95 % bands" + (f"; {plural(left_out, 'round')} between left out" if left_out else "")
    box: dict[str, Any] = {"frameon": True, "framealpha": 0.85, "edgecolor": "none"}
    ax.legend(handles=marks[::-1], title=head, title_fontsize=points(8), **place, **box)
    return ax
