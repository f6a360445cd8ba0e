"""Luck in a round's best value: of seeds, and of validation examples. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from refine import stats
from refine.analysis.new_data import Deviations, OnNewData, ScoredRows, on_new_data
from refine.analysis.reason import Reason
from refine.stats.optimism import row_means
from refine.trials.goal import turned
from refine.trials.metric import Metric
from refine.trials.replicates import FinishedReplicates
from refine.trials.trial import Examples, RowScores, Scored
from refine.utils.display import Shown

T = TypeVar("T", stats.NewSeedsEstimate, stats.Corrected)

MODELS = 200  # best models in the bootstrap over examples

_LEAST_EXAMPLES = 10


@dataclass(frozen=True, eq=False, repr=False)
class Optimism(Shown):
    """The best value of a round, corrected for luck. All values in the metric's own sign."""

    metric: str  # name of the metric
    best: float  # value of the best trial
    # expected value when retrained, by the noise alone; NaN if unknown
    expected: float
    seeds: stats.NewSeedsEstimate | None  # its results under new seeds; ``None`` without replicates
    # replicates without a value, or with a degenerate model that may not be best; not in ``seeds``
    failed: int
    # expected value on validation examples that played no role in the choice; ``None`` if unknown
    examples: stats.Corrected | None
    # expected value on new data, from scores by fold; ``None`` without them, or with ``examples``
    folds: OnNewData | None
    why_not: Reason | None  # reason for unknown ``examples`` and ``folds``; else ``None``
    # contributions of configuration and seed to the spread of replicates; ``None`` without any
    components: stats.Components | None
    noise: stats.NoiseEstimate | None  # noise of retraining; ``None`` with too few trials


class Runs(NamedTuple):
    """The runs of a round."""

    keys: Sequence[str]  # keys of the trials that may be best, best first; at least one
    values: Mapping[str, float]  # key -> value of its planned run
    replicates: FinishedReplicates  # finished replicates by configuration
    label: str  # label of the best configuration there
    ended: int  # ended replicates of the best configuration, in any state
    # key -> predictions, or scores by row, of the trials that stored them
    examples: Scored
    # keys and deviations of the trials with scores by fold; ``None`` without such trials
    by_fold: tuple[Sequence[str], Deviations] | None = None


def optimism_of(
    runs: Runs, metric: Metric, sign: float, noise: stats.NoiseEstimate | None, seed: int
) -> Optimism:
    """Luck in a round's best value: see :meth:`refine.Round.optimism`.

    ``noise`` is the noise of retraining; ``None`` with too few trials.
    """
    best = float(runs.values[runs.keys[0]])
    expected = np.nan
    if noise is not None and np.isfinite(noise.sd):
        judged = [sign * runs.values[key] for key in runs.keys]
        expected = sign * stats.Optimism(seed=seed)(judged, noise.sd).honest
    repeats = runs.replicates
    seeds = None
    if runs.label in repeats.groups:
        estimate = stats.NewSeeds()(sign * best, sign * repeats.values, repeats.groups, runs.label)
        seeds = _turned(estimate, sign)
    scored = scores_of(runs.examples, runs.values, metric)
    if isinstance(scored, Reason):
        corrected = None
        why_not = scored
    else:
        bootstrap = stats.ExampleBootstrap(seed=seed)
        corrected = _turned(bootstrap(lambda weights: sign * scored.scores(weights), scored.n), sign)
        why_not = None
    folds = _on_folds(runs, sign)
    if folds is not None:
        why_not = None
    if repeats.groups:
        components = stats.VarianceComponents()(repeats.values, repeats.groups, repeats.splits)
    else:
        components = None
    failed = runs.ended - repeats.groups.count(runs.label)
    return Optimism(
        metric=str(metric),
        best=best,
        expected=float(expected),
        seeds=seeds,
        failed=failed,
        examples=corrected,
        folds=folds,
        why_not=why_not,
        components=components,
        noise=noise,
    )


def _on_folds(runs: Runs, sign: float) -> OnNewData | None:
    """The best trial on new data by its scores by fold; ``None`` without them."""
    if runs.by_fold is None or runs.keys[0] not in runs.by_fold[0]:
        return None
    keys, deviations = runs.by_fold
    values = sign * np.array([runs.values[key] for key in keys])
    return on_new_data(values, deviations, keys.index(runs.keys[0]), sign)


def _turned(estimate: T, sign: float) -> T:
    """Results for larger-is-better values, turned to the metric's own sign."""
    low, high = turned(estimate.low, estimate.high, sign)
    return estimate._replace(best=sign * estimate.best, value=sign * estimate.value, low=low, high=high)


def paired_error_of(examples: Scored, values: Mapping[str, float], metric: Metric) -> float:
    """Standard error of the difference of two good models over the validation examples; 0 if unknown.

    ``examples`` is key -> predictions of the best trials, or their scores by row; ``values`` is key -> value
    of the planned run.
    """
    scored = scores_of(examples, values, metric)
    if isinstance(scored, Reason):
        return 0.0
    # If only some of the examples were stored, all examples inform more.
    return stats.paired_error(scored.scores, scored.n) * math.sqrt(scored.n / scored.total)


def scores_of(examples: Scored, values: Mapping[str, float], metric: Metric) -> ScoredRows | Reason:
    """The models on the same examples, or the reason for none.

    Takes key -> predictions or scores by row, and key -> recorded value, which predictions must reproduce.
    """
    about = {"metric": str(metric)}
    if metric.reduction != "last":
        return Reason("other_metric", about)
    if len(examples) < 2:
        return Reason("no_predictions")
    by_row = {key: e for key, e in examples.items() if isinstance(e, RowScores)}
    if by_row:
        scored = next(iter(by_row.values()))
        on_same_rows = {key: e.scores for key, e in by_row.items() if e.total == scored.total}
        means = row_means(np.stack(list(on_same_rows.values())))
        return ScoredRows(list(on_same_rows), means, len(scored.scores), scored.total)
    predicted = {key: e for key, e in examples.items() if isinstance(e, Examples)}
    first = next(iter(predicted.values()))
    comparable = {key: e for key, e in predicted.items() if e.predictions.shape == first.predictions.shape}
    count = len(first.targets)
    if count < _LEAST_EXAMPLES:
        return Reason("few_examples", {"n": count})
    name = metric.name.removeprefix("val_")
    scores = stats.scorer(name, np.stack([e.predictions for e in comparable.values()]), first.targets)
    if scores is None:
        return Reason("no_formula", about)
    # A name says little about a metric's options: the computed value must equal the recorded one.
    errors = np.abs(scores(np.ones((1, count)))[:, 0] - [values[key] for key in comparable])
    if first.total == count:
        tolerance = 0.003
    else:
        tolerance = 0.05
    if not np.median(errors) <= tolerance * max(1.0, float(np.median(np.abs(list(values.values()))))):
        return Reason("not_reproduced", about)
    return ScoredRows(list(comparable), scores, count, first.total)
