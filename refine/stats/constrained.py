"""A posterior under constraints: where a draw breaks one, it has no value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refine.stats._common import BoolArray
    from refine.stats.posterior import Posterior


def constrained(posterior: Posterior, slacks: Sequence[Posterior], feasible: BoolArray) -> Posterior:
    """The objective where it counts: draws of it, at the worst score wherever the same draw of a constraint is broken.

    The best of a draw is then its best feasible candidate; of a draw without one every candidate is as good, so that it
    is lost by no box. Means are those of the draws, so that a candidate that is rarely feasible has a low one.

    Source: Gardner et al. (2014), 'Bayesian optimization with inequality constraints', for modelling constraints apart
    from the objective; joint draws of both in place of expected improvement are our own.

    Args:
        posterior: Of the objective, over the candidates.
        slacks: Of every constraint, over the same candidates with as many draws: by how much it is met, 0 or more where
            it is.
        feasible: (n,) which of the rows that the posterior learned from meet all constraints.
    """
    if not slacks:
        return posterior
    allowed = np.ones(posterior.scores.shape, dtype=np.bool_)
    for slack in slacks:
        allowed &= _met(slack)
    worst = np.float32(min(float(posterior.scores.min()), float(posterior.knots[0])) - 1.0)
    share = allowed.mean(axis=0)
    floor = float(posterior.knots[0])
    return posterior._replace(
        scores=np.where(allowed, posterior.scores, worst),
        mean=share * posterior.mean + (1.0 - share) * floor,
        known_mean=np.where(feasible[posterior.known], posterior.known_mean, floor),
    )


def _met(slack: Posterior) -> BoolArray:
    """(draws, candidates) where the drawn slack is 0 or more."""
    # Scores rise with slack: the bound lies between the largest broken one seen and the smallest met one.
    bound = float(np.interp(0.0, slack.values, slack.knots))
    if slack.values[0] >= 0.0:
        bound = -np.inf
    elif slack.values[-1] < 0.0:
        bound = np.inf
    return np.asarray(slack.scores >= bound)
