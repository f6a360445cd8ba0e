"""How much of the best value is chance of the validation examples: they are drawn again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, check_count, check_share

Scorer = Callable[[FloatArray], FloatArray]
"""Weights of examples (b, n) -> scores (models, b), higher is better; NaN where undefined."""


class Corrected(NamedTuple):
    """What the winner is worth on examples that took no part in choosing it.

    Attributes:
        best: best score on all examples.
        value: mean score of the winners on the examples that were left out.
        low: lower end of the interval.
        high: upper end.
        models: number of models chosen from.
        examples: number of examples.
    """

    best: float
    value: float
    low: float
    high: float
    models: int
    examples: int


def paired_error(scores: Scorer, examples: int, resamples: int = 200, seed: int = 0) -> float:
    """How far apart two equally good models may come out, since they are judged on these examples and not on others.

    The standard error of the difference of two models' scores on the same examples, the median over all pairs. What all
    models get right or wrong cancels, so that it is less than the error of either score.

    Source: the paired bootstrap, Efron and Tibshirani (1993), chapter 6.

    Args:
        scores: Gives the models' scores for weights of examples; at least two models.
        examples: Number of examples, at least 10.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        The error, in units of the score; 0 where it can't be told.

    Raises:
        AnalysisError: Too few examples.
    """
    if examples < 10:
        raise AnalysisError(f"examples: at least 10 are needed, got {examples}")
    check_count(resamples, "resamples", 20)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(examples, np.full(examples, 1.0 / examples), size=resamples)
    found = scores(drawn.astype(float))
    found = found[:, np.isfinite(found).all(axis=0)]
    if len(found) < 2 or found.shape[1] < 20:
        return 0.0
    covariance = np.cov(found)
    i, j = np.triu_indices(len(found), 1)
    variance = covariance[i, i] + covariance[j, j] - 2.0 * covariance[i, j]
    return float(np.sqrt(np.median(np.maximum(variance, 0.0))))


@dataclass(frozen=True, slots=True)
class ExampleBootstrap:
    """Bootstrap bias correction: choose on drawn examples, measure on those not drawn.

    Examples are drawn with replacement as many times as there are. The model that is best on the drawn ones
    (ties at random) is measured on the others, about 37 %. The interval holds the central share of these
    scores. Choosing sees 63 % of the examples only, and measuring 37 %, so that the value errs to the low side
    and the interval to the wide one.

    Models are taken as trained: it corrects for the chance of the examples, not for that of seeds.

    Source: Tsamardinos, Greasidou and Borboudakis (2018), BBC-CV, on one split instead of pooled folds.

    Attributes:
        resamples: number of draws.
        confidence: of the interval.
        seed: of the draws.
    """

    resamples: int = 500
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.resamples, "resamples", 20)
        check_share(self.confidence, "confidence")

    def __call__(self, scores: Scorer, examples: int) -> Corrected:
        """Correct the best score.

        Args:
            scores: Gives the models' scores for weights of examples.
            examples: Number of examples, at least 10.

        Raises:
            AnalysisError: Too few examples, or no score is defined.
        """
        if examples < 10:
            raise AnalysisError(f"examples: at least 10 are needed, got {examples}")
        rng = np.random.default_rng(self.seed)
        whole = scores(np.ones((1, examples)))[:, 0]
        drawn = rng.multinomial(examples, np.full(examples, 1.0 / examples), size=self.resamples).astype(
            float
        )
        inside, outside = scores(drawn), scores((drawn == 0).astype(float))
        if not np.isfinite(whole).any():
            raise AnalysisError("scores: none is defined on these examples")
        # Metrics of few examples tie often; the first in the list would win by what is known of all examples.
        best = np.where(np.isnan(inside), -np.inf, inside)
        tied = best == best.max(axis=0)
        winner = np.where(tied, rng.random(best.shape), -1.0).argmax(axis=0)
        found = outside[winner, np.arange(self.resamples)]
        found = found[np.isfinite(found)]
        if found.size == 0:
            raise AnalysisError("scores: none is defined on the examples left out")
        rest = (1.0 - self.confidence) / 2.0
        low, high = np.quantile(found, (rest, 1.0 - rest))
        best_whole = float(np.nanmax(whole))
        return Corrected(best_whole, float(found.mean()), float(low), float(high), len(whole), examples)
