"""The isolation plot: the best of every level over all other parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.levels import level_bests
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import candidates, having, ranked_trials
from refine.report.figures.cells import cell_axis
from refine.report.figures.levels import beside, mark_rows, row_height
from refine.report.figures.look import points, style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import area_mark, axes, dot_mark, line_mark, shorten, spread, thinned, title
from refine.utils.arrays import Floats
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LETTERS = 46  # of a level's label, on two lines


def _hollow() -> dict[str, Any]:
    """How an expected best looks."""
    return {
        "marker": "D",
        "linewidth": 0,
        "markersize": 5.5,
        "markerfacecolor": tone().paper,
        "markeredgecolor": tone().blue,
        "markeredgewidth": 1.5,
    }


def isolation(analysis: Analysis, name: str, ax: Axes | None = None) -> Axes:
    """The best trial of every level over all other parameters, and what is fair to compare: bests of equally many.

    The best of 50 trials is better than the best of 5 even where levels don't differ. So beside every level's best
    stands the expected best of as many of its trials as the level with the fewest has, and at the right how many it
    had. A band marks what retraining alone could explain below the best, one standard deviation of the noise.

    The round's space-filling trials count, pruned ones as some of the worst: exploit trials were chosen by results, more of them
    at some levels than at others. Degenerate ones count only where one may be best. Ordered parameters of many levels
    share rows.

    Args:
        analysis: Of :func:`refine.analyze`.
        name: The parameter whose levels are compared (the scientific one); the others are nuisance parameters.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No space-filling trial may be called best.
        KeyError: There is no evidence on the parameter.

    Source: Godbole, Dahl, Gilmer, Shallue and Nado (2023), Deep Learning Tuning Playbook, for the plot; Dodge et al.
    (2019) for bests at equal numbers of trials; see :func:`refine.stats.expected_best`.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    rows = cell_axis(e, None, analysis.sign, letters=_LETTERS, by_median=False)
    bests = level_bests(analysis, lambda table: rows.of(table[name].to_numpy()), rows.count)
    best, equal, fewest = bests.best, bests.equal, bests.fewest
    table, y, _ = ranked_trials(analysis)
    finished = candidates(analysis, table)
    at = rows.of(table[name].to_numpy())
    view = _view(analysis, y[finished], np.concatenate([best, equal]))
    with style():
        ax = axes(ax, 1.5 + row_height(rows.count) * rows.count)
        marks: list[Any] = []
        top = float(np.nanmax(analysis.sign * best)) * analysis.sign
        if np.isfinite(analysis.noise.sd) and analysis.noise.sd > 0:
            within = sorted((top, top - analysis.sign * analysis.noise.sd))
            ax.axvspan(within[0], within[1], color=tone().amber, alpha=0.25, linewidth=0, zorder=0)
            text = f"best ± noise ({score(analysis.noise.sd)})"
            marks.append(
                area_mark(text.replace("±", "−" if analysis.sign > 0 else "+"), tone().amber, alpha=0.35)
            )
        for row, n in enumerate(bests.n):
            if not np.isfinite(best[row]):
                place: dict[str, Any] = {
                    "transform": ax.get_yaxis_transform(),
                    "va": "center",
                    "fontsize": points(8),
                }
                ax.text(0.01, row, "none finished" if n else "no trial", color=tone().grey, **place)
                continue
            here = y[(at == row) & finished]
            few = thinned(view.inside(here))
            jitter = 0.5 * (spread(len(few)) - 0.5)
            look: dict[str, Any] = {"alpha": 0.45, "markeredgewidth": 0, "rasterized": True}
            ax.plot(
                here[few],
                row + jitter,
                ".",
                color=tone().grey,
                markersize=4 if len(few) > 40 else 5.5,
                **look,
            )
            ax.plot([equal[row], best[row]], [row, row], color=tone().blue, linewidth=1.1, zorder=3)
            ax.plot(best[row], row, "o", color=tone().orange, markersize=6, zorder=5, gid="best")
            ax.plot(equal[row], row, zorder=4, gid="equal", **_hollow())
            beside(ax, row, f"n = {n:,}")
        handles = [
            dot_mark("best trial", tone().orange, markersize=6),
            line_mark(f"expected best of {plural(fewest, 'trial')}", **_hollow()),
            dot_mark("trial", tone().grey, "."),
        ]
        mark_rows(ax, rows, "", marks)
        metric_axis(ax, view, analysis.metric, "x")
        ax.grid(axis="x")
        text = f"Best {shorten(analysis.metric, 22)} by {shorten(name, 22)}"
        title(ax, text, [*handles, *marks], note=hidden_note(view))
    return ax


def _view(analysis: Analysis, y: Floats, bests: Floats) -> MetricView:
    """A view in which the bests differ visibly, with the better half of the trials at least."""
    view = MetricView(y, analysis.direction)
    places = analysis.sign * view.forward(bests[np.isfinite(bests)])
    noise = analysis.noise.sd if np.isfinite(analysis.noise.sd) and not view.log else 0.0
    reach = max(1.5 * float(np.ptp(places)), 4 * noise)
    far = min(float(places.min()) - reach, float(np.median(analysis.sign * view.forward(y))))
    if reach > 1e-6 * float(np.abs(places).max()):  # else ties: there is nothing to see closer
        view.cut(y, float(view.back(analysis.sign * far)))
    return view
