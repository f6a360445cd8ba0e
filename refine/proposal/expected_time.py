"""Expected duration of a trial over the cells of a space, from the durations of finished trials. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import reading
from refine.analysis.evidence import ALPHA
from refine.proposal.posterior import cardinalities_of
from refine.utils.arrays import Floats

# Fewest different configurations with a duration; with fewer, the expected duration is the same everywhere.
_FEWEST = 5

# Smallest factor between durations at the levels of a parameter from which a search by time pays.
PAYS = 3.0

# Fewest timed trials of a level for its median duration.
_TIMED = 3


class Durations(NamedTuple):
    """Finished trials with their durations."""

    positions: Floats  # (n, parameters) unit-scale positions on the analysed axes
    seconds: Floats  # (n,) durations > 0

    def expected(self, analysis: Analysis, cells: Floats) -> Floats:
        """(c,) expected seconds at (c, parameters) cells, by a Gaussian process of the logarithm."""
        if len(np.unique(self.positions, axis=0)) < _FEWEST:
            return np.ones(len(cells))
        process = stats.MixedPosterior(forest_draws=0, process_draws=0, power=True)
        posterior = process(
            self.positions,
            np.log(self.seconds),
            cells,
            cardinalities_of(analysis),
            reading(analysis.parameters, self.positions),
            reading(analysis.parameters, cells),
        )
        return np.asarray(np.exp(posterior.value(posterior.mean)))


def durations_of(positions: Floats, seconds: Floats) -> Durations:
    """The timed ones among (n, parameters) trials; imported trials without a duration have 0 or NaN."""
    timed = np.isfinite(seconds) & (seconds > 0) & np.isfinite(positions).all(axis=1)
    return Durations(positions[timed], seconds[timed])


def slowest_parameter(analysis: Analysis) -> tuple[str, float] | None:
    """The parameter with the largest factor between median durations at its levels, and this factor.

    ``None`` if no parameter has a proven effect on durations, or if the factor is below :data:`PAYS`.
    """
    factors = {}
    for e in analysis.parameters:
        medians = [level.seconds for level in e.levels if level.timed >= _TIMED]
        timed = [seconds for seconds in medians if np.isfinite(seconds) and seconds > 0]
        if e.cost_q <= ALPHA and len(timed) > 1:
            factors[e.name] = max(timed) / min(timed)
    name = max(factors, key=factors.__getitem__, default=None)
    if name is None or factors[name] < PAYS:
        return None
    return name, factors[name]
