"""Figure of the check 'edges': do the best trials lie at an end?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA, GOOD, ParameterEvidence
from refine.errors import AnalysisError
from refine.report.figures.look import points, style, tone
from refine.report.figures.style import (
    Scale,
    axes,
    dot_mark,
    label_letters,
    line_mark,
    shorten,
    title,
    wrapped,
)
from refine.space.limits import widened
from refine.space.parameters import Range
from refine.utils.format import p_value, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def edges(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """How many of the best trials lie at either end of every ordered parameter, against a uniform spread.

    Two rows per parameter, its low and its high end: the share of the best fifth on that level with Wilson's 95 %
    interval, and as a tick the share of all trials there, which a uniform spread would give. An end where the best
    pile up, so that the range would be widened, is orange; a natural limit, which nothing passes, is a square. An end
    with a small q is no pile-up where the level next to it is richer still (no peak), or where it holds less than
    1.25 times its share (small). Parameters with the clearest ends stand first.

    Args:
        analysis: Of :func:`refine.analyze`.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No parameter that varies has an order.
    """
    shown = [e for e in analysis.parameters if e.edges]
    if not shown:
        raise AnalysisError(
            "edges: no parameter that varies has an order, so that there is no end to look at"
        )
    shown.sort(key=lambda e: (not e.piled_up, min(e.edge_q), -max(edge.top_count for edge in e.edges)))
    with style():
        ax = axes(ax, 1.45 + 0.46 * len(shown))
        names = [wrapped(e.name, label_letters(22)) for e in shown]
        reach = 0.05
        for row, e in enumerate(shown):
            if row % 2:
                ax.axhspan(row - 0.5, row + 0.5, color=tone().pale, alpha=0.5, linewidth=0, zorder=0)
            for k, offset in enumerate((-0.22, 0.22)):
                reach = max(reach, _end(ax, e, k, row + offset))
        ax.set_yticks(range(len(shown)), names)
        ax.tick_params(axis="y", length=0, pad=points(52))
        ax.set_ylim(len(shown) - 0.45, -0.55)
        ax.set_xlim(0, min(1.0, 1.04 * reach))
        ax.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
        ax.grid(axis="x")
        ax.set_xlabel(f"share of the best {percent(GOOD)} at that end")
        dot: dict[str, Any] = {"linewidth": 0, "markersize": 5.5}
        marks = [
            line_mark("pile-up: widen", tone().orange, marker="o", **dot),
            line_mark("no pile-up", tone().grey, marker="o", **dot),
            line_mark("natural limit", tone().grey, marker="s", **dot),
            dot_mark("uniform spread", tone().ink, "|", markersize=9, markeredgewidth=1.6),
        ]
        text = f"Do the best trials lie at an end? ({shorten(analysis.metric, 20)})"
        title(ax, text, marks)
    return ax


def _end(ax: Axes, e: ParameterEvidence, k: int, at: float) -> float:
    """Draws one end; returns how far the axis must reach for it."""
    edge, q = e.edges[k], e.edge_q[k]
    ends = stats.wilson(edge.top_count, max(1, edge.top_n))
    share = edge.top_count / max(1, edge.top_n)
    limit = isinstance(e.parameter, Range) and widened(e.name, e.parameter, e.parameter, edge.side) is None
    piled = any(found is edge for found, _ in e.piled_up)
    colour = tone().amber if piled and limit else tone().orange if piled else tone().grey
    ax.plot([float(ends.low), float(ends.high)], [at, at], color=colour, linewidth=1.6, solid_capstyle="butt")
    ax.plot(
        share, at, "s" if limit else "o", color=colour, markersize=5.5, zorder=4, clip_on=False, gid=edge.side
    )
    ax.plot(
        edge.share,
        at,
        "|",
        color=tone().ink,
        markersize=9,
        markeredgewidth=1.6,
        zorder=3,
        gid="space_filling",
    )
    place: dict[str, Any] = {"va": "center", "fontsize": points(7.5), "transform": ax.get_yaxis_transform()}
    value = Scale(e.parameter).labels[0 if edge.side == "low" else -1]
    ax.annotate(
        f"{edge.side} {value}",
        (0, at),
        (-points(6), 0),
        xycoords=place["transform"],
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=points(7.5),
        color=tone().ink,
        annotation_clip=False,
    )
    words = f"q {p_value(q)}"
    if e.read == 0:
        words = "never read"
    elif q <= ALPHA and not piled:  # why it is no reason to widen
        words += ", small" if edge.peak else ", no peak"
    ax.text(1.015, at, words, color=tone().ink if piled else tone().grey, **place)
    return max(float(ends.high), edge.share)
