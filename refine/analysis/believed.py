"""A belief held against what trials showed: what it weighs by now, and whether they contradict it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refine import stats
from refine.analysis.conditions import reading
from refine.analysis.evidence import ParameterEvidence, level_axis
from refine.space.belief import Belief
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.utils.arrays import Floats

# By how many normal scores a cell is thought better that is e times as likely the best one, before the first trial.
STRENGTH = 0.6

TRIALS = 20  # after so many configurations a belief weighs half of what it weighed before the first
LEAST = 0.01  # a belief is dropped where trials leave it a smaller probability beside its opposite


class AttributedBelief(NamedTuple):
    """A belief, and whose it is."""

    belief: Belief  # what is believed
    round: str = ""  # id of the round that it was said on; empty where that is none of a tree
    author: str = ""  # who said it


@dataclass(frozen=True)
class BeliefCheck:
    """A belief held against a round's evidence."""

    source: AttributedBelief  # the belief: what of it can be said of the analysed space
    n: int  # different configurations that it is held against
    # natural logarithm of how many times as probable these trials are with the belief as with its opposite;
    # see :class:`refine.stats.PriorEvidence`
    log_bayes_factor: float
    # parameters of which alone the trials contradict what is believed: it acts on, and the person is asked
    contradicted: tuple[str, ...] = ()

    @property
    def remaining(self) -> Belief:
        """What the trials do not contradict; nothing where it is dropped."""
        of = self.source.belief
        return Belief(tuple(p for p in of.of if not self.dropped and p[0] not in self.contradicted), of.like)

    @property
    def probability(self) -> float:
        """Probability of it beside its opposite, both being as likely before the first trial."""
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, self.log_bayes_factor))))

    @property
    def dropped(self) -> bool:
        """Whether the trials contradict it, so that it is dropped."""
        return self.probability < LEAST

    @property
    def weight(self) -> float:
        """What it weighs, 1 before the first trial: less the more is known, the less probable it is, and 0 where it is dropped."""
        return 0.0 if self.dropped else self.probability * faded(self.n)


def faded(n: int) -> float:
    """What a belief weighs after so many configurations, whatever they showed."""
    return TRIALS / (TRIALS + n)


def believed_of(
    declared: AttributedBelief, space: Space, found: tuple[ParameterEvidence, ...], X: Floats, y: Floats
) -> BeliefCheck | None:
    """A belief held against (n, parameters) unit-scale positions and (n,) values; ``None`` where it speaks of no parameter of the space."""
    of = declared._replace(belief=declared.belief.among(space))
    if not of.belief:
        return None
    n = len(np.unique(X, axis=0))
    cardinalities = [0 if e.parameter.ordered else e.parameter.size for e in found]
    thoughts = thoughts_of(of.belief, found, X)
    read = reading(found, X)
    at = X if read is None else np.where(read, X, 0.0)
    parts = stats.PriorEvidence().parts(at, y, thoughts, cardinalities)
    # AttributedBelief alone, each would be said louder: by the root of their number.
    alone, least = parts * math.sqrt(len(parts)), math.log(LEAST / (1 - LEAST))
    names = [e.name for e in found if e.name in tuple(of.belief)]
    contradicted = tuple(name for name, ratio in zip(names, alone, strict=True) if ratio < least)
    return BeliefCheck(of, n, float(parts.sum()), contradicted)


def thoughts_of(belief: Belief, found: tuple[ParameterEvidence, ...], positions: Floats) -> Floats:
    """(n, k) what a belief says, by its k parameters, of (n, parameters) positions of cells before the first trial, in normal scores.

    The logarithm of how many times as likely a cell is the best one as by an even density, divided by the root of the number of
    parameters, so that a belief about many of them shouts no louder.
    """
    read, out = reading(found, positions), []
    for j, e in enumerate(found):
        if e.name in tuple(belief):
            ratio = belief.ratio(e.name, e.parameter, _values(e.parameter, positions[:, j]))
            out.append(np.log(ratio) if read is None else np.where(read[:, j], np.log(ratio), 0.0))
    return STRENGTH * np.array(out).reshape(-1, len(positions)).T / math.sqrt(max(1, len(out)))


def _values(parameter: Parameter, positions: Floats) -> Floats:
    """What a table would show at positions of an analysed axis, which may lie beyond its ends."""
    if isinstance(parameter, Range):
        low, high = parameter.ends()
        at = low + positions * (high - low)
        return np.asarray(np.exp(at) if parameter.log else at)
    return np.asarray(parameter.column(level_axis(parameter).index(positions)))
