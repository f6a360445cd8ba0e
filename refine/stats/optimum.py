"""Where the optimum may be, and what a box around it risks.

Averages of a few bootstrap members of a forest are draws of what the objective may look like, given
the trials. Their best candidates are plausible optima; a box that holds the best of nearly all
draws, or something within epsilon of it, is a narrowing whose risk can be stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import (
    FloatArray,
    IntArray,
    check_count,
    check_share,
    column,
    matrix,
    same_length,
    thinned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


class Plausible(NamedTuple):
    """What the forest's draws say about a set of candidates.

    Attributes:
        votes: (g, m) row numbers of each draw's m best candidates, best first.
        draws: (g, c) each draw's value of every candidate, in units of the metric.
    """

    votes: IntArray
    draws: FloatArray


class Retention(NamedTuple):
    """Stated probability that a box keeps something as good as the whole space has.

    Attributes:
        probability: share of draws whose best value inside >= its best anywhere - epsilon, with one
            draw's worth of doubt: (kept + 1/2) / (g + 1), never quite 0 or 1.
        epsilon: tolerated loss, in units of the metric.
        n: number of draws.
    """

    probability: float
    epsilon: float
    n: int


@dataclass(frozen=True, slots=True)
class Forest:
    """Forest-Thompson: plausible optima from groups of bootstrap members.

    The trees learn the ranks of the values, so one failed trial doesn't decide a split; draws are
    mapped back to the metric by the quantiles of the values. Rounds above `rows` trials are
    thinned: the best quarter of `rows` stay, the others are drawn at random and weighted up.

    Source: Thompson (1933) for the idea, Geurts et al. (2006) for the trees.

    Attributes:
        groups: number of draws g.
        members: trees averaged per draw; more trees make draws agree more and the box smaller.
        share: of the candidates that each draw votes for.
        rows: most trials the trees learn from.
        leaf: fewest trials of a leaf; with 1 the draws chase noise and claims come true less often.
        seed: of thinning, forest and ties.
    """

    groups: int = 60
    members: int = 5
    share: float = 0.002
    rows: int = 1500
    leaf: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.groups, "groups", 2)
        check_count(self.members, "members")
        check_count(self.rows, "rows", 50)
        check_count(self.leaf, "leaf")
        check_share(self.share, "share")

    def __call__(
        self, X: ArrayLike, y: ArrayLike, candidates: ArrayLike, cardinalities: Sequence[int]
    ) -> Plausible:
        """Let the draws vote.

        Args:
            X: (n, d) positions or codes of the evidence.
            y: (n,) values.
            candidates: (c, d) positions or codes of the cells that could be the optimum.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered one.

        Raises:
            AnalysisError: under 5 trials, without candidates, or if shapes differ or something
                isn't finite.
        """
        from scipy.stats import rankdata

        from refine.stats.forest import encode, fit_forest

        features, values = encode(X, cardinalities), column(y, "y")
        same_length(features.shape[0], values.size)
        cells = encode(matrix(candidates, cardinalities, "candidates"), cardinalities)
        n = values.size
        if n < 5 or cells.shape[0] == 0:
            raise AnalysisError(
                f"X: at least 5 trials and 1 candidate are needed, got {n} and {cells.shape[0]}; "
                "run more trials first"
            )
        rng = np.random.default_rng(self.seed)
        ranks = (np.asarray(rankdata(values)) - 0.5) / n
        rows, weights = thinned(values, self.rows, rng), None
        if n > self.rows:
            best = self.rows // 4
            weights = np.r_[np.ones(best), np.full(self.rows - best, (n - best) / (self.rows - best))]
        forest = fit_forest(
            features[rows], ranks[rows], weights, self.groups * self.members, self.seed, self.leaf
        )
        predicted = forest.predict(cells)
        draws = predicted.reshape(self.groups, self.members, -1).mean(axis=1)
        # Leaves are flat: among equals a random one votes, or the grid's order would.
        lots = draws + rng.uniform(0.0, 1e-9, size=draws.shape)
        wanted = max(1, round(self.share * cells.shape[0]))
        last = np.argpartition(-lots, wanted - 1, axis=1)[:, :wanted]
        order = np.argsort(-np.take_along_axis(lots, last, axis=1), axis=1)
        votes = np.take_along_axis(last, order, axis=1)
        levels = (np.arange(n) + 0.5) / n
        return Plausible(votes, np.interp(draws, levels, np.sort(values)))


def retention(draws: ArrayLike, inside: ArrayLike, epsilon: float) -> Retention:
    """State the risk of keeping only some of the candidates.

    Args:
        draws: (g, c) values of the candidates, as in `Plausible.draws`.
        inside: (c,) bools, whether the candidate stays.
        epsilon: tolerated loss >= 0, in units of the metric.

    Raises:
        AnalysisError: if shapes differ or epsilon is negative or NaN.
    """
    table, kept = np.asarray(draws, dtype=np.float64), np.asarray(inside, dtype=np.bool_)
    if table.ndim != 2 or kept.shape != table.shape[1:] or table.size == 0:
        raise AnalysisError(
            f"draws and inside: need shapes (g, c) and (c,), got {table.shape} and {kept.shape}"
        )
    if not epsilon >= 0.0:
        raise AnalysisError(f"epsilon: must be >= 0, got {epsilon!r}; 0 tolerates no loss")
    g = table.shape[0]
    if not kept.any():
        return Retention(0.5 / (g + 1), float(epsilon), g)
    enough = table[:, kept].max(axis=1) >= table.max(axis=1) - epsilon
    return Retention(float((enough.sum() + 0.5) / (g + 1)), float(epsilon), g)
