"""Reads from the store what an analysis of curves, and of chance, is made from."""

from __future__ import annotations

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.learning_curves import TrialCurves, curves_of, how_many
from refine.analysis.optimism import MODELS, Optimism, Runs, optimism_of, paired_error_of
from refine.analysis.pooling import COMPARED, fold_error_of
from refine.errors import AnalysisError
from refine.space.space import Space
from refine.store.reader import Reader
from refine.trials.frame import Records, best_first, table, usable_values
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.replicates import again, best_keys, fresh_runs
from refine.utils.action import Action


def read_curves(
    reader: Reader, pk: int, space: Space, goal: Goal, noise: float | None = None, top: int | None = None
) -> tuple[TrialCurves, ...]:
    """The curves of a round's best trials, best first; those that reported none are left out.

    Args:
        reader: Where trials are read.
        pk: Row of the round.
        space: Its space.
        goal: What they are judged by.
        noise: Standard deviation of the value when trained again; ``None`` where it is unknown.
        top: How many trials; default the best 20 or the best tenth, whichever is more, but at most 100.
    """
    metric = goal.metric
    records = reader.records([pk], curves=metric.curves)
    ranked = best_first(table(space, records, metric), goal.direction, space, goal.allow_degenerate)
    best = ranked["value"].iloc[: how_many(len(ranked), top)]
    keys = [str(records.columns["key"][i]) for i in best.index]
    pairs = list(zip(keys, best.astype(float).tolist(), strict=True))
    return curves_of(pairs, reader.curves(pk, keys), metric, goal.direction, noise)


def read_paired_error(reader: Reader, pk: int, space: Space, goal: Goal) -> tuple[float, str]:
    """Standard error of the difference of two of a round's best configurations, over folds or else validation examples.

    Returns:
        The error and ``"folds"`` or ``"examples"``; 0 and nothing where it isn't known.
    """
    if goal.metric.reduction != "last":
        return 0.0, ""
    records = reader.records([pk], curves=False)
    if f"{goal.metric.name}@2" in records.metrics.names:
        y = goal.sign * usable_values(records, goal)
        frame = table(space, records, goal.metric)
        if error := fold_error_of(frame, [goal.metric.name], np.where(np.isfinite(y), y, -np.inf)):
            return error, "folds"
    examples = reader.examples(pk, best_keys(records, goal, COMPARED))
    error = paired_error_of(examples, _values(records, goal.metric), goal.metric) if examples else 0.0
    return error, "examples" if error else ""


def read_optimism(reader: Reader, pk: int, goal: Goal, analysis: Analysis | None, seed: int = 0) -> Optimism:
    """How much of a round's best value is chance: see :meth:`refine.Round.optimism`.

    Raises:
        AnalysisError: No trial has finished that may be called best.
    """
    metric = goal.metric
    records = reader.records([pk], curves=metric.curves)
    keys = best_keys(records, goal)
    if not keys:
        raise AnalysisError(
            "no trial has finished that may be called best; run the round first", Action("round.run")
        )
    values = _values(records, metric)
    every = reader.records([pk], curves=metric.curves, replicates=True)
    ended = again(every).columns["key"].count(keys[0])
    examples = reader.examples(pk, keys[:MODELS]) if metric.reduction == "last" else {}
    fresh = fresh_runs({pk: every}, goal)
    runs = Runs(keys, values, fresh, f"{pk} {keys[0]}", ended, examples)
    noise = np.nan if analysis is None else analysis.noise.sd
    return optimism_of(runs, metric, goal.sign, noise, seed)


def _values(records: Records, metric: Metric) -> dict[str, float]:
    curves = records.curves or [{}] * len(records.metrics)
    rows = zip(records.columns["key"], records.metrics, curves, records.columns["seconds"], strict=True)
    return {key: value for key, m, c, s in rows if (value := metric.of(m, c, s)) is not None}
