"""The stated chance that a part of a space keeps the best value: one step from draws to a probability. Pure.

Three models draw the objective: trees, a process on ranks, and a process on values by a power. Each says in
which share of its draws the part keeps a value within the tolerance of the best. The stated chance adds the
log odds of the three shares with weights. The weights were fitted to parts of development truths with a known
best, and are read from a table.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refine.utils.arrays import Floats

# Smallest share of the draws of a model that counts: 160 draws tell no smaller shares apart.
_LEAST_SHARE = 0.003
# Factor on the odds of a loss if cheap trials are evidence: of 138 claims about recorded trainings of eight
# families, 12 were lost and 6 stated (docs/benchmarks/cheap.md).
CHEAP_DOUBT = 2.0
# Smallest stated chance; the largest is as far from 1.
_LEAST_CHANCE = 0.005


class Weights(NamedTuple):
    """Weights of the log odds of a chance."""

    constant: float
    forest: float  # of the log odds by trees
    ranks: float  # of the log odds by the process on ranks
    powers: float  # of the log odds by the process on values by a power
    against: float = 1.0  # factor on log odds below 0

    def with_cheap_trials(self) -> Weights:
        """The weights if cheap trials are evidence."""
        return self._replace(constant=self.constant - math.log(CHEAP_DOUBT))

    def chance(self, shares: npt.ArrayLike) -> Floats:
        """(...) chances of (..., 3) shares of the draws by trees, by ranks, and by powers."""
        bounded = np.clip(np.asarray(shares, dtype=float), _LEAST_SHARE, 1 - _LEAST_SHARE)
        odds = np.log(bounded) - np.log1p(-bounded)
        odds = np.where(odds < 0, self.against * odds, odds)
        score = self.constant + odds @ np.array([self.forest, self.ranks, self.powers])
        return np.asarray(np.clip(1.0 / (1.0 + np.exp(-score)), _LEAST_CHANCE, 1 - _LEAST_CHANCE))


class Calibration(NamedTuple):
    """The table of weights."""

    date: str  # date of the fit
    command: str  # the command that made it
    noisy: Weights  # for objectives with noise
    exact: Weights  # for deterministic objectives, whose draws are all by processes on ranks


@cache
def calibration() -> Calibration:
    """The table that comes with refine."""
    content = json.loads(files("refine.proposal").joinpath("calibration.json").read_text(encoding="utf-8"))
    return Calibration(
        content["date"], content["command"], Weights(**content["noisy"]), Weights(**content["exact"])
    )


class Judged(NamedTuple):
    """Claims of benchmark studies with a known truth, by step of the stated chance of a loss."""

    chance: float  # largest stated chance of the step
    claims: int  # number of claims that cut something off
    lost: int  # number of these that lost more than the tolerance


@cache
def judged() -> tuple[Judged, ...]:
    """Counts of judged claims by ``benchmarks/said.py``, smallest chances first."""
    content = json.loads(files("refine.proposal").joinpath("judged.json").read_text(encoding="utf-8"))
    return tuple(Judged(*step) for step in content["steps"])


def judged_like(chance: float) -> Judged | None:
    """Judged claims in the step of a stated chance of a loss; ``None`` without any."""
    return next((step for step in judged() if chance <= step.chance), None)
