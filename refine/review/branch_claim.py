"""What the claims of a branch come to together: their risks add up, and so do the losses that count as none. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from refine.review.decision import Decision


class BranchClaim(NamedTuple):
    """What is claimed of a round's space against the first one of its branch.

    Attributes:
        claims: How many claims it rests on, one per decision.
        probability: At least with this probability the best value inside is within ``epsilon`` of the best in the first space:
            by Bonferroni's inequality 1 minus the sum of the risks, 0 where that is less.
        epsilon: Sum of the losses that count as none, in units of the metric; NaN where one is not known.
    """

    claims: int
    probability: float
    epsilon: float


def branch_claim(decisions: Iterable[Decision]) -> BranchClaim | None:
    """What the claims of a branch come to.

    Args:
        decisions: Those that led from its first round to the last one.

    Returns:
        The claim; ``None`` where there is none, or one of the decisions left something out without a claim.
    """
    made = [d for d in decisions if d.volume_kept != 1]
    if not made or any(d.probability is None for d in made):
        return None
    risk = math.fsum(1 - d.probability for d in made if d.probability is not None)
    losses = [math.nan if d.epsilon is None else d.epsilon for d in made]
    return BranchClaim(len(made), max(0.0, 1 - risk), sum(losses))
