"""Figure of the check 'infeasible': where do trials fail?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA, ParameterEvidence
from refine.analysis.levels import by_failures, failure_rates
from refine.analysis.selection import ended_trials
from refine.errors import AnalysisError
from refine.report.figures.cells import cell_axis
from refine.report.figures.look import points, style, tone
from refine.report.figures.style import axes, line_mark, shorten, title
from refine.utils.format import p_value, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine import stats

_ROWS = 30  # of all parameters together, so that the picture fits a page
_LEAST = 2  # parameters that are shown even where nothing is seen
_MOST = 10  # levels of a parameter that are shown one by one


def failing(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """The share of trials that failed, diverged or gave a degenerate model, by level, with Wilson's 95 % interval.

    Parameters stand by how sure it is that it depends on them, the smallest q of its levels and its trend
    first; those above 0.1 are left out beyond the first two. A level that fails more often than the others at q <= 0.1 is
    orange; the line is the share of all. Ordered parameters of more than 10 levels share rows, of choices without an
    order the best by their medians stand alone. Space-filling trials that have ended count; a pruned one has not failed. The q
    leaves out trials at levels of other parameters at which everything fails, the shares do not.

    Args:
        analysis: Of :func:`refine.analyze`.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No parameter varies.
    """
    table, bad = ended_trials(analysis)
    if not analysis.parameters or not len(table):
        raise AnalysisError("failing: no parameter varies, so that there are no levels to compare")
    found = by_failures(analysis)
    shown = [e for i, e in enumerate(found) if i < _LEAST or e.fails]
    rows: list[tuple[str, stats.Rate | None, float]] = []
    for e in shown:
        part = _rows(analysis, e)
        if rows and len(rows) + len(part) > _ROWS:
            break
        rows += part
    drawn = sum(rate is None for _, rate, _ in rows)
    overall = float(bad.mean())
    with style():
        ax = axes(ax, 1.35 + 0.21 * len(rows))
        reach = 0.02
        for at, (_, rate, q) in enumerate(rows):
            place: dict[str, Any] = {
                "transform": ax.get_yaxis_transform(),
                "va": "center",
                "fontsize": points(8),
            }
            if rate is None:
                ax.text(
                    1.015, at, f"q {p_value(q)}", color=tone().ink if q <= ALPHA else tone().grey, **place
                )
                continue
            colour = tone().orange if q <= ALPHA else tone().grey
            if not rate.n:
                ax.text(0.01, at, "no trial", color=tone().grey, **place)
                continue
            ax.plot([rate.low, rate.high], [at, at], color=colour, linewidth=1.6, solid_capstyle="butt")
            ax.plot(rate.rate, at, "o", color=colour, markersize=5, zorder=4, clip_on=False, gid="rate")
            ax.text(
                1.015,
                at,
                f"{rate.hits:,} of {rate.n:,}",
                color=colour if colour == tone().orange else tone().grey,
                **place,
            )
            reach = max(reach, rate.high)
        ax.axvline(overall, color=tone().ink, linewidth=1, linestyle=(0, (4, 2)), zorder=1, gid="overall")
        names = [text for text, _, _ in rows]
        ax.set_yticks(range(len(rows)), names)
        for tick, (_, rate, _) in zip(ax.get_yticklabels(), rows, strict=True):
            if rate is None:
                tick.set_fontweight("bold")
        ax.tick_params(axis="y", length=0, pad=7)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(0, min(1.0, 1.04 * reach))
        ax.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        ax.grid(axis="x")
        ax.set_xlabel("share of ended trials that failed, diverged or are degenerate")
        text = f"all: {int(bad.sum()):,} of {len(bad):,} ({percent(overall)})"
        marks = [
            line_mark("more often than elsewhere, q ≤ 0.1", tone().orange, marker="o", linewidth=1.6),
            line_mark(text, tone().ink, linewidth=1, linestyle=(0, (4, 2))),
        ]
        if not any(q <= ALPHA for _, rate, q in rows if rate is not None):
            marks = marks[1:]
        left = len(found) - drawn
        note = f"{plural(left, 'parameter')} left out" if left else ""
        title(ax, "Where trials fail", marks, note=note)
    return ax


def _rows(analysis: Analysis, e: ParameterEvidence) -> list[tuple[str, stats.Rate | None, float]]:
    """A head with the parameter's q, and a row per level with its rate and q."""
    axis = cell_axis(e, None, analysis.sign, most=_MOST, letters=30, by_median=False, others=True)
    found = failure_rates(analysis, e, axis.of, axis.cell)
    levels = [(f"{text}  ", *each) for text, each in zip(axis.labels, zip(*found, strict=True), strict=True)]
    return [(shorten(e.name, 30), None, e.bad_q), *levels]
