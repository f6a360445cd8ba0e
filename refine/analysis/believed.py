"""A declared belief compared with trials: its present weight, and contradictions. Pure."""

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

# Advantage, in normal scores, of a cell that is e times as likely the best one, before the first trial.
STRENGTH = 0.6

TRIALS = 20  # configurations after which a belief has half of its first weight
LEAST = 0.01  # smallest probability against its opposite at which a belief still counts


class AttributedBelief(NamedTuple):
    """A belief with its author."""

    belief: Belief  # the belief
    round: str = ""  # id of the round of the declaration; empty outside a tree
    author: str = ""  # the author


@dataclass(frozen=True)
class BeliefCheck:
    """A belief compared with a round's evidence."""

    source: AttributedBelief  # the belief, as far as it concerns the analysed space
    n: int  # different configurations in the evidence
    # logarithm of the Bayes factor of the belief against its opposite: see
    # :class:`refine.stats.PriorEvidence`
    log_bayes_factor: float
    # parameters whose part of the belief the trials contradict; the belief stays active, and the person is
    # asked
    contradicted: tuple[str, ...] = ()

    @property
    def remaining(self) -> Belief:
        """The belief without its contradicted parts; empty if it is dropped."""
        belief = self.source.belief
        return Belief(
            tuple(p for p in belief.of if not self.dropped and p[0] not in self.contradicted), belief.like
        )

    @property
    def probability(self) -> float:
        """Probability of the belief against its opposite, with even odds before the first trial."""
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, self.log_bayes_factor))))

    @property
    def dropped(self) -> bool:
        """Whether the belief is dropped, since the trials contradict it."""
        return self.probability < LEAST

    @property
    def weight(self) -> float:
        """Weight of the belief, 1 before the first trial.

        It falls with the number of configurations and with the probability; 0 if the belief is dropped.
        """
        if self.dropped:
            return 0.0
        return self.probability * faded(self.n)


def faded(n: int) -> float:
    """Weight of a belief after ``n`` configurations with any results."""
    return TRIALS / (TRIALS + n)


def believed_of(
    declared: AttributedBelief, space: Space, evidence: tuple[ParameterEvidence, ...], X: Floats, y: Floats
) -> BeliefCheck | None:
    """A belief compared with (n, parameters) unit-scale positions and (n,) values.

    ``None`` if it concerns no parameter of the space.
    """
    shared = declared._replace(belief=declared.belief.among(space))
    if not shared.belief:
        return None
    n = len(np.unique(X, axis=0))
    cardinalities = [e.parameter.cardinality for e in evidence]
    thoughts = thoughts_of(shared.belief, evidence, X)
    read = reading(evidence, X)
    if read is None:
        positions_read = X
    else:
        positions_read = np.where(read, X, 0.0)
    parts = stats.PriorEvidence().parts(positions_read, y, thoughts, cardinalities)
    # Alone, each part would have more weight, by the root of their number.
    alone = parts * math.sqrt(len(parts))
    floor = math.log(LEAST / (1 - LEAST))
    names = [e.name for e in evidence if e.name in tuple(shared.belief)]
    contradicted = tuple(name for name, ratio in zip(names, alone, strict=True) if ratio < floor)
    return BeliefCheck(shared, n, float(parts.sum()), contradicted)


def thoughts_of(belief: Belief, evidence: tuple[ParameterEvidence, ...], positions: Floats) -> Floats:
    """(n, k) prior scores of (n, parameters) positions, by the k parameters of a belief.

    The log ratio of the belief's density to an even one, divided by the root of the number of parameters: a
    belief about many parameters has no more weight.
    """
    read = reading(evidence, positions)
    out = []
    for j, e in enumerate(evidence):
        if e.name in tuple(belief):
            ratio = belief.ratio(e.name, e.parameter, _values(e.parameter, positions[:, j]))
            out.append(np.log(ratio) if read is None else np.where(read[:, j], np.log(ratio), 0.0))
    return STRENGTH * np.array(out).reshape(-1, len(positions)).T / math.sqrt(max(1, len(out)))


def _values(parameter: Parameter, positions: Floats) -> Floats:
    """Table values at positions of an analysed axis, also beyond its ends."""
    if isinstance(parameter, Range):
        low, high = parameter.ends()
        scaled = low + positions * (high - low)
        return np.asarray(np.exp(scaled) if parameter.log else scaled)
    return np.asarray(parameter.column(level_axis(parameter).index(positions)))
