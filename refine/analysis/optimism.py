"""How much of a round's best value is luck: of seeds, and of validation examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError
from refine.run.replicates import again, best_keys, fresh_runs
from refine.space.space import Space
from refine.store.store import Store
from refine.trials.goal import sign_of
from refine.trials.metric import Metric
from refine.utils.display import Cell, Items, Page, Shown
from refine.utils.format import plural, score

_MODELS = 200
"""Models that the bootstrap over examples chooses from: the best so many."""


@dataclass(frozen=True, eq=False)
class Optimism(Shown):
    """What the best value of a round is worth. All values in the metric's own sign.

    Attributes:
        metric: Name of the metric.
        best: Value of the best trial.
        expected: What it would be expected to show when trained again, by the noise alone; NaN where that is unknown.
        seeds: What it did show under new seeds; ``None`` where it wasn't run again.
        failed: How many of its new runs gave no value, or a degenerate model that may not be best, and are not in ``seeds``.
        examples: What the winner is worth on validation examples that took no part in choosing it; ``None`` where
            that can't be told.
        why_not: Why ``examples`` is ``None``; empty where it isn't.
        components: What configuration and seed contribute to the spread of the new runs; ``None`` without such.
    """

    metric: str
    best: float
    expected: float
    seeds: stats.FreshBest | None
    failed: int
    examples: stats.Corrected | None
    why_not: str
    components: stats.Components | None

    def page(self) -> Page:
        """The best value, and what it is worth by each correction."""
        lines: list[str | Cell] = []
        if np.isfinite(self.expected):
            lines.append(f"expected when trained again, by the noise alone: {score(self.expected)}")
        if self.seeds is None:
            lines.append("new seeds: not run again yet")
        else:
            s = self.seeds
            lines.append(
                f"new seeds: {score(s.value)} (95 % interval {score(s.low)} to {score(s.high)}, "
                f"{plural(s.runs, 'run')}, {self.failed} without a usable model)"
            )
        if self.examples is None:
            lines.append(f"other examples: not known, {self.why_not}")
        else:
            e = self.examples
            lines.append(
                f"other examples: {score(e.value)} (95 % interval {score(e.low)} to {score(e.high)}, "
                f"best of {plural(e.models, 'model')} on {plural(e.examples, 'example')} {score(e.best)})"
            )
        calls = (".replicate(top=5, seeds=3)",) if self.seeds is None else ()
        return Page(f"best {self.metric} {score(self.best)}", (Items(tuple(lines)),), calls)

    def __repr__(self) -> str:
        return str(self)


def optimism_of(
    store: Store,
    pk: int,
    space: Space,
    metric: Metric,
    direction: str,
    allow_degenerate: bool,
    analysis: Analysis | None,
    seed: int = 0,
) -> Optimism:
    """How much of a round's best value is luck: see :meth:`refine.Round.optimism`.

    Args:
        store: The store.
        pk: Row of the round.
        space: Its space.
        metric: Which metric is the value.
        direction: ``"maximize"`` or ``"minimize"``.
        allow_degenerate: Whether degenerate trials may be best.
        analysis: Of the round, for the noise; ``None`` where too few trials have finished.
        seed: Of simulations and bootstraps.

    Raises:
        AnalysisError: No trial has finished that may be called best.
    """
    sign = sign_of(direction)
    records = store.records([pk], curves=metric.curves)
    keys = best_keys(space, records, metric, direction, allow_degenerate)
    if not keys:
        raise AnalysisError("no trial has finished that may be called best; run the round first: .run()")
    curves = records.curves or [{}] * len(records.metrics)
    values = {
        key: value
        for key, m, c in zip(records.columns["key"], records.metrics, curves, strict=True)
        if (value := metric.of(m, c)) is not None
    }
    best = float(values[keys[0]])
    expected = np.nan
    if analysis is not None and np.isfinite(analysis.noise.sd):
        judged = [sign * values[key] for key in keys]
        expected = sign * stats.Optimism(seed=seed)(judged, analysis.noise.sd).honest
    fresh = fresh_runs(store, [pk], metric, allow_degenerate)
    label = f"{pk} {keys[0]}"
    seeds = None
    if label in fresh.groups:
        seeds = _seeds_turned(stats.FreshSeeds()(sign * best, sign * fresh.values, fresh.groups, label), sign)
    ended = again(store.records([pk], replicates=True)).columns["key"].count(keys[0])
    examples, why_not = _examples(store, pk, keys[:_MODELS], values, metric, sign, seed)
    components = (
        stats.VarianceComponents()(fresh.values, fresh.groups, fresh.splits) if fresh.groups else None
    )
    failed = ended - fresh.groups.count(label)
    return Optimism(str(metric), best, float(expected), seeds, failed, examples, why_not, components)


def _seeds_turned(found: stats.FreshBest, sign: float) -> stats.FreshBest:
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    return found._replace(best=sign * found.best, value=sign * found.value, low=low, high=high)


def _examples(
    store: Store,
    pk: int,
    keys: list[str],
    values: dict[str, float],
    metric: Metric,
    sign: float,
    seed: int,
) -> tuple[stats.Corrected | None, str]:
    """The bootstrap over examples, or why there is none."""
    if metric.reduction != "last":
        return None, f"{metric} is no metric of the trained model's predictions alone"
    found = store.examples(pk, keys)
    if len(found) < 2:
        return None, "the trials told no predictions: trial.predicted(predictions, targets)"
    one = next(iter(found.values()))
    known = {key: e for key, e in found.items() if e.predictions.shape == one.predictions.shape}
    count = len(one.targets)
    if count < 10:
        return None, f"there are only {plural(count, 'example')}"
    name = metric.name.removeprefix("val_")
    scores = stats.scorer(name, np.stack([e.predictions for e in known.values()]), one.targets)
    if scores is None:
        return None, f"how {metric} follows from predictions is not known"
    # A name says little about a metric's options: what is computed must be what was recorded.
    apart = np.abs(scores(np.ones((1, count)))[:, 0] - [values[key] for key in known])
    most = 0.003 if one.total == count else 0.05
    if not np.median(apart) <= most * max(1.0, float(np.median(np.abs(list(values.values()))))):
        return None, f"{metric} as recorded does not follow from the predictions in the usual way"
    e = stats.ExampleBootstrap(seed=seed)(lambda weights: sign * scores(weights), count)
    low, high = (e.low, e.high) if sign > 0 else (-e.high, -e.low)
    return e._replace(best=sign * e.best, value=sign * e.value, low=low, high=high), ""
