"""Losses of claims counted in benchmarks, for spaces in which the posterior states too few. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import reading
from refine.analysis.evidence import level_positions
from refine.proposal.posterior import cardinalities_of, learned_rows
from refine.utils.arrays import Bools

# From this number of parameters on, a better region is often too small for any trial to hit. From the number
# of choices of that size on, look-alike configurations form the top. See docs/benchmarks/claims.md.
MANY_PARAMETERS = 10
MANY_CHOICES = 4
LARGE_CHOICE = 8

# From this explained share of the variance of left-out trials on, the model knows a space of many parameters.
_EXPLAINED = 0.9

_CONFIGURATIONS = 2000  # random configurations among which the largest number of parameters is counted


class CountedLoss(NamedTuple):
    """The chance of a loss, by benchmarks on spaces of the same kind."""

    basis: str = ""  # ``"parameters"``, ``"choices"``, or empty for other spaces
    smallest: float = 0.0  # smallest chance that a claim states
    odds: float = 1.0  # odds of a loss over the odds by the posterior

    def chance(self, loss: float) -> float:
        """The chance of a loss, given the chance by the posterior; nothing changes 0, 1 and NaN."""
        if not 0.0 < loss < 1.0:
            return loss
        return max(self.smallest, self.odds * loss / (1.0 + (self.odds - 1.0) * loss))

    def of_answer(self, chance: float) -> float:
        """The chance of a yes to a question, given the chance by the posterior.

        Neither answer is surer than a claim. The odds stay, because the draws choose the box of a claim, but
        not the region of a question. Nothing changes 0, 1 and NaN.
        """
        if not 0.0 < chance < 1.0:
            return chance
        return min(max(chance, self.smallest), 1.0 - self.smallest)

    def surest(self, chance: float) -> float:
        """A chance from which on an answer counts as sure, at most the largest stated chance."""
        return min(chance, 1.0 - self.smallest)


_BY_PARAMETERS = CountedLoss("parameters", 0.2)
_BY_CHOICES = CountedLoss("choices", 0.1, 3.0)
COUNTED = {counted.basis: counted for counted in (CountedLoss(), _BY_PARAMETERS, _BY_CHOICES)}
"""Basis of a chance -> the counted losses."""


def counted_loss(analysis: Analysis) -> CountedLoss:
    """The loss of claims on spaces of the kind of an analysis, by the parameters that one trial can read."""
    large = np.array(cardinalities_of(analysis)) >= LARGE_CHOICE
    if _most_read(analysis, np.ones_like(large)) >= MANY_PARAMETERS and explained(analysis) < _EXPLAINED:
        return _BY_PARAMETERS
    if _most_read(analysis, large) >= MANY_CHOICES:
        return _BY_CHOICES
    return CountedLoss()


def _most_read(analysis: Analysis, counted: Bools) -> int:
    """Largest number of some parameters, (parameters,) mask, that one configuration reads.

    Among the trials and randomly drawn configurations.
    """
    counted = counted & np.array([e.read != 0 for e in analysis.parameters])
    rng = np.random.default_rng(0)
    drawn = [rng.choice(level_positions(e.parameter), _CONFIGURATIONS) for e in analysis.parameters]
    read = reading(analysis.parameters, np.concatenate([analysis.X, np.column_stack(drawn)]))
    if read is None:
        return int(counted.sum())
    return int(read[:, counted].sum(axis=1).max())


def explained(analysis: Analysis) -> float:
    """Share of the variance of normal scores that a process explains on left-out finished trials."""
    rows = learned_rows(analysis)
    left_out = stats.left_over(analysis.X[rows], analysis.y[rows], cardinalities_of(analysis))
    variance = float(np.var(left_out.score))
    if variance == 0.0:
        return 0.0
    return 1.0 - float(np.mean((left_out.score - left_out.expected) ** 2)) / variance
