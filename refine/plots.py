"""``round.plot``: the figures of a round by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine import figures
from refine.curves import best_curves
from refine.errors import AnalysisError
from refine.figures.training import MOST
from refine.population import even_values
from refine.trials import degenerate_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refine.parameters import Parameter
    from refine.round import Round


class Plots:
    """Figures of one round; each returns matplotlib axes.

    Args:
        found: The round. Its analysis is made once.
    """

    def __init__(self, found: Round) -> None:
        self._round = found
        self._analysis = found.analyze()

    def correlation(self, ax: Any = None) -> Any:
        """Rank correlation of every parameter with the metric, with 95 % intervals."""
        return figures.correlation(self._analysis, ax=ax)

    def density(self, name: str, new: Parameter | None = None, ax: Any = None) -> Any:
        """Density of good trials against all along a parameter; ``new`` shades proposed bounds."""
        return figures.density(self._analysis, name, new, ax=ax)

    def density_2d(self, name: str, ax: Any = None) -> Any:
        """Density of a parameter against the metric."""
        return figures.density_2d(self._analysis, name, ax=ax)

    def pair(self, a: str, b: str, new: Mapping[str, Parameter] | None = None, ax: Any = None) -> Any:
        """Median of the metric over the levels of two parameters; ``new`` outlines proposed bounds."""
        return figures.pair(self._analysis, a, b, new, ax=ax)

    def edf(self, ax: Any = None) -> Any:
        """Distribution of this round's values and its ancestors', by their finished even trials."""
        rounds = [self._round]
        while (parent := rounds[-1].parent) is not None:
            rounds.append(parent)
        values = {f"round {r.id}": even_values(r.trials) for r in reversed(rounds)}
        return figures.edf(
            {label: v for label, v in values.items() if len(v)},
            self._analysis.metric,
            self._analysis.direction,
            ax=ax,
        )

    def curves(self, top: int = 4) -> Any:
        """Loss and metric by epoch of the best trials, up to 4, with what their curves show; (rows, trials) axes."""
        if top not in range(1, MOST + 1):
            raise AnalysisError(f"curves: top must be a whole number from 1 to {MOST}, got {top!r}")
        r = self._round
        place = r.home.store, r._stored.pk, r.space, r._metric, r.direction, r.node.degenerate
        found = best_curves(*place, self._analysis.noise.sd, top)
        if not found:
            raise AnalysisError(
                "curves: the best trials reported no loss and no metric by epoch; call trial.report(epoch, metrics)"
            )
        return figures.curves(found, r.metric, r.direction)

    def best_so_far(self, ax: Any = None) -> Any:
        """The best value after every trial."""
        table, node = self._analysis.table, self._round.node
        worthy = node.degenerate | ~degenerate_rows(table, node.space)
        return figures.best_so_far(table, self._analysis.direction, self._analysis.metric, ax, worthy)
