"""Who was right: what people decided, and believed, beside what the machine proposed, on the same later evidence. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refine.proposal.proposal import Proposal
from refine.space.belief import Belief

PERSON, MACHINE, EVEN, UNTESTED = "person", "machine", "even", "untested"


class Cut(NamedTuple):
    """A space, and what came of it.

    Attributes:
        volume_kept: Share of the space decided upon that it keeps.
        best: Best value inside, of all trials of the tree over the same parameters, larger is better; NaN without one.
    """

    volume_kept: float
    best: float


class Contest(NamedTuple):
    """What was proposed beside what was decided.

    Attributes:
        best: Best value of all trials in the space decided upon, larger is better; NaN without one.
        machine: The space that was proposed.
        person: The space that was decided.
        later: Trials since the decision that lie in exactly one of both: without one nothing tells them apart.
        epsilon: Loss that counts as none.
    """

    best: float
    machine: Cut
    person: Cut
    later: int
    epsilon: float

    def kept(self, cut: Cut) -> bool:
        """Whether a space kept the best value, to within what counts as no loss."""
        return cut.best >= self.best - self.epsilon

    @property
    def bolder(self) -> str:
        """Who cut off more: ``"person"``, ``"machine"`` or ``"even"``."""
        mine, theirs = self.person.volume_kept, self.machine.volume_kept
        if math.isclose(mine, theirs, rel_tol=1e-6):
            return EVEN
        return PERSON if mine < theirs else MACHINE

    @property
    def right(self) -> str:
        """Who was right: ``"person"``, ``"machine"``, ``"even"`` or ``"untested"``.

        Who alone kept the best; of two that kept it the bolder one, who got as much for less; of two that lost it the one with
        the better best.
        """
        if math.isnan(self.best) or not self.later:
            return UNTESTED
        mine, theirs = self.kept(self.person), self.kept(self.machine)
        if mine != theirs:
            return PERSON if mine else MACHINE
        if mine:
            return self.bolder
        lost = _known(self.person.best) - _known(self.machine.best)
        return EVEN if lost == 0 else PERSON if lost > 0 else MACHINE


def _known(value: float) -> float:
    return -np.finfo(float).max if math.isnan(value) else value


class BeliefScore(NamedTuple):
    """A belief beside the machine's first proposal on the same round, at the best configuration that is known by now.

    Attributes:
        round: Id of the round that it was said on.
        author: Who said it.
        belief: What was believed.
        bits: Binary logarithm of how many times as likely as by an even density the belief held the best configuration:
            above 0 it knew something, below 0 less than nothing. NaN before the first trial.
        machine: The same of the first proposal on the round, whose density is its claim: the stated probability spread evenly
            over what it keeps. NaN where nothing was proposed.
        drawn: Finished trials of the round that the belief chose.
        better: Probability that one of them beats a space-filling trial of the round; NaN without both.
    """

    round: str
    author: str
    belief: Belief
    bits: float
    machine: float
    drawn: int
    better: float


def bits_of(proposal: Proposal, inside: bool) -> float:
    """Binary logarithm of a proposal's density at a configuration, beside an even one.

    Args:
        proposal: The proposal.
        inside: Whether the configuration lies in what it keeps.
    """
    kept, claimed = min(1.0, proposal.volume_kept), proposal.claim.probability
    if kept >= 1:
        return 0.0
    claimed = min(1 - proposal.risk / 10, claimed) if math.isfinite(claimed) else 1 - proposal.risk
    return math.log2(claimed / kept) if inside else math.log2((1 - claimed) / (1 - kept))


def beats(drawn: Sequence[float], even: Sequence[float]) -> float:
    """Probability that one value beats another, larger is better, ties by half; NaN where one side is empty.

    Source: Mann and Whitney (1947).
    """
    if not len(drawn) or not len(even):
        return math.nan
    a, b = np.asarray(drawn, dtype=float)[:, None], np.asarray(even, dtype=float)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


class AuthorScore(NamedTuple):
    """What came of the decisions and suggestions of one author, beside the proposals that they were taken on.

    Attributes:
        author: Who decided.
        decisions: Decisions on proposals that led to a child.
        edited: How many of them decided something else than was proposed.
        volume_kept: Geometric mean of the shares kept by the decisions.
        machine_volume_kept: The same of the proposals.
        kept: How many decided spaces hold the best value known by now, of those with a trial.
        machine_kept: The same of the proposed ones.
        judged: Of how many.
        bolder: How many edits cut off more than was proposed.
        right: How many edits turned out better than the proposal.
        machine_right: How many turned out worse.
        even: How many turned out as good.
        untested: How many edits no later trial tells anything of.
        suggested: How many suggestions there were, whether or not anybody took them over. They count like edits: in ``bolder``,
            ``right``, ``machine_right``, ``even`` and ``untested``, in the means and in ``judged``.
    """

    author: str
    decisions: int
    edited: int
    volume_kept: float
    machine_volume_kept: float
    kept: int
    machine_kept: int
    judged: int
    bolder: int
    right: int
    machine_right: int
    even: int
    untested: int
    suggested: int = 0


class Judged(NamedTuple):
    """A decision on a proposal, or a suggestion.

    Attributes:
        author: Who decided.
        edited: Whether something else was decided than was proposed.
        contest: What came of both.
        suggested: Whether it was only suggested.
    """

    author: str
    edited: bool
    contest: Contest
    suggested: bool = False


def author_scores(judged: Sequence[Judged]) -> tuple[AuthorScore, ...]:
    """One row per author, in the order of their first decisions.

    Args:
        judged: Decisions on proposals, and suggestions.
    """
    names = dict.fromkeys(j.author for j in judged)
    return tuple(_score(name, [j for j in judged if j.author == name]) for name in names)


def _score(author: str, mine: Sequence[Judged]) -> AuthorScore:
    found = [j.contest for j in mine]
    edits = [j.contest for j in mine if j.edited or j.suggested]
    suggested = sum(j.suggested for j in mine)
    known = [c for c in found if not math.isnan(c.best)]
    right = [c.right for c in edits]
    return AuthorScore(
        author,
        len(found) - suggested,
        len(edits) - suggested,
        _mean([c.person.volume_kept for c in found]),
        _mean([c.machine.volume_kept for c in found]),
        sum(c.kept(c.person) for c in known),
        sum(c.kept(c.machine) for c in known),
        len(known),
        sum(c.bolder == PERSON for c in edits),
        right.count(PERSON),
        right.count(MACHINE),
        right.count(EVEN),
        right.count(UNTESTED),
        suggested,
    )


def _mean(shares: Sequence[float]) -> float:
    """Geometric mean; a share of 0 counts as one in a million."""
    return float(np.exp(np.mean(np.log(np.maximum(shares, 1e-6)))))
