"""What others suggest about a round, beside what is proposed on the present evidence. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from refine.proposal.proposal import Proposal
from refine.review.decision import Decision
from refine.space.parameters import Parameter
from refine.space.space import Space


class Suggestion(NamedTuple):
    """Bounds that somebody suggests.

    Attributes:
        decision: As it is stored: who, why, and what was claimed of it then.
        space: The space suggested.
        differs: Name -> (proposed, suggested) where these differ now.
        volume_kept: Share of the present space that it keeps.
        probability: What is claimed of it on the present evidence, as of the proposal: see
            :class:`refine.proposal.proposal.Claim`; NaN where that can't be stated.
    """

    decision: Decision
    space: Space
    differs: Mapping[str, tuple[Parameter, Parameter]]
    volume_kept: float
    probability: float


def suggestions_beside(proposal: Proposal, decisions: Sequence[Decision]) -> tuple[Suggestion, ...]:
    """Suggestions that nobody has taken over yet, oldest first.

    Args:
        proposal: What is proposed now.
        decisions: All decisions on the round.
    """
    decided = [d.space for d in decisions if d.child]
    return tuple(
        _beside(proposal, d, d.space)
        for d in decisions
        if d.kind == "suggested" and d.space is not None and d.space not in decided
    )


def _beside(proposal: Proposal, decision: Decision, space: Space) -> Suggestion:
    now = proposal.space
    differs = {n: (now[n], p) for n, p in space.items() if n in now and now[n] != p}
    claimed = proposal.probability_of(space)
    if math.isnan(claimed) and decision.proposal == proposal.digest and decision.probability is not None:
        claimed = decision.probability
    return Suggestion(decision, space, differs, proposal.volume_of(space), claimed)
