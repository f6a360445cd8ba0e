"""The model of a round's best trial: trained again under the trial's own seed, or loaded where it was kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from refine.errors import AnalysisError, DesignError, ObjectiveError
from refine.run.objective import evaluate
from refine.run.plan import stored_task
from refine.run.protocols import Objective, offers
from refine.run.replay import apart_by
from refine.run.resources import Resources, is_whole
from refine.store.store import Store
from refine.trials.goal import Goal
from refine.trials.replicates import best_keys
from refine.trials.round_record import Node, StoredNode
from refine.utils.action import Action
from refine.utils.warning import warn


class _Keeper:
    """An objective that trains with another one and keeps the model."""

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self.model: Any = None

    def __call__(self, params: Mapping[str, Any], trial: Any) -> Mapping[str, float]:
        self.model, metrics = self.objective.trained(params, trial)
        return dict(metrics)


def best_model(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    folder: Path | None,
    rank: int,
    threads: int,
) -> Any:
    """The model of a round's best trial: see :meth:`refine.Round.best_model`."""
    if not is_whole(rank):
        raise DesignError(f"rank must be a whole number >= 1, got {rank!r}; 1 is the best trial")
    Resources(threads=threads)
    node, chosen = stored.node, cast(Any, objective)
    if not offers(objective, "trained"):
        raise ObjectiveError(
            f"round {node.id}: the objective {node.objective!r} gives no model; use refine.keras.KerasObjective, or "
            "give it a method trained(params, trial) that returns (model, metrics)"
        )
    records = store.records([stored.pk], curves=goal.metric.curves)
    keys = best_keys(records, goal)
    if len(keys) < rank:
        raise AnalysisError(
            f"round {node.id}: has {len(keys)} finished trials that may be called best, but rank is {rank}; "
            "run more",
            Action("round.run", n=...),
        )
    # The same configuration may have been run more than once; the table's first best row is what is meant.
    rows = [i for i, k in enumerate(records.columns["key"]) if k == keys[rank - 1]]
    at = next(i for i in reversed(rows) if records.columns["state"][i] == "complete")
    seed = records.columns["seed"][at]
    if seed < 0:
        raise ObjectiveError(
            f"round {node.id}: the best trial was imported without its seed, so it can't be trained again to the same "
            "weights; give the frame a column 'seed', or replicate() it under new seeds"
        )
    if offers(objective, "prepare"):
        chosen.prepare(threads)
    place = None if folder is None else folder / f"{node.id}-{keys[rank - 1][:12]}-{seed}"
    if place is not None:
        if not offers(objective, "save_model", "load_model"):
            raise ObjectiveError(
                f"round {node.id}: the objective {node.objective!r} can't keep models; leave folder out, or give "
                "it the methods save_model(model, path) and load_model(path)"
            )
        model = chosen.load_model(place)
        if model is not None:
            return model
    keeper = _Keeper(chosen)
    outcome = evaluate(keeper, stored_task(records, at), with_trial=True)
    if outcome.error is not None:
        raise ObjectiveError(f"round {node.id}: the best trial can't be trained again:\n{outcome.error}")
    _compare(node, records.metrics[at], outcome.metrics)
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        chosen.save_model(keeper.model, place)
    return keeper.model


def _compare(node: Node, before: Mapping[str, float], now: Mapping[str, float]) -> None:
    """Warns where training again gave other metrics than the store has."""
    apart = {name: apart_by(before[name], value) for name, value in now.items() if name in before}
    if any(apart.values()):
        name = max(apart, key=apart.__getitem__)
        warn(
            f"round {node.id}: trained again, the best trial gives {name} {now[name]:.6g} instead of {before[name]:.6g}: the code, "
            "the packages, the hardware or the number of threads differ from what it ran on; see round.report"
        )
