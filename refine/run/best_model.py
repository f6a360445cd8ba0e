"""The model of a round's best trial: retrained under the trial's own seed, or loaded from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from refine.errors import AnalysisError, DesignError, ObjectiveError
from refine.run.machine import Machine
from refine.run.objective import evaluate
from refine.run.plan import stored_task
from refine.run.protocols import Objective, offers
from refine.run.replay import difference_of
from refine.store.store import Store
from refine.trials.goal import Goal
from refine.trials.replicates import best_keys
from refine.trials.round_record import Node, StoredNode
from refine.utils.action import Action
from refine.utils.numbers import is_whole
from refine.utils.warning import warn


class _Keeper:
    """An objective that trains by another objective, and keeps the model."""

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
    machine: Machine,
) -> Any:
    """The model of a round's best observed trial: see :meth:`refine.Round.best_model`."""
    if not is_whole(rank):
        raise DesignError(f"rank must be a whole number >= 1, got {rank!r}; 1 is the best trial")
    node = stored.node
    chosen = cast(Any, objective)
    if not offers(objective, "trained"):
        raise ObjectiveError(
            f"round {node.id}: the objective {node.objective!r} returns no model; use "
            "refine.keras.KerasObjective, or give the objective a method trained(params, trial) that returns "
            "(model, metrics)"
        )
    records = store.records([stored.pk], curves=goal.metric.curves)
    keys = best_keys(records, goal)
    if len(keys) < rank:
        raise AnalysisError(
            f"round {node.id} has {len(keys)} finished trials that may be best, got rank={rank}; run more "
            "trials",
            Action("round.run", n=...),
        )
    # A configuration may have several attempts; the last complete one counts.
    rows = [i for i, key in enumerate(records.columns["key"]) if key == keys[rank - 1]]
    row = next(i for i in reversed(rows) if records.columns["state"][i] == "complete")
    seed = records.columns["seed"][row]
    if seed < 0:
        raise ObjectiveError(
            f"round {node.id}: the best trial was imported without its seed, so retraining cannot give the "
            "same weights; give the frame a column 'seed', or repeat the trial under new seeds: "
            "round.add(repeat=5)"
        )
    if offers(objective, "prepare"):
        chosen.prepare(machine.threads)
    if folder is None:
        path = None
    else:
        path = folder / f"{node.id}-{keys[rank - 1][:12]}-{seed}"
    if path is not None:
        if not offers(objective, "save_model", "load_model"):
            raise ObjectiveError(
                f"round {node.id}: the objective {node.objective!r} cannot save models; leave folder= out, "
                "or give the objective the methods save_model(model, path) and load_model(path)"
            )
        model = chosen.load_model(path)
        if model is not None:
            return model
    keeper = _Keeper(chosen)
    outcome = evaluate(keeper, stored_task(records, row), with_trial=True)
    if outcome.error is not None:
        raise ObjectiveError(f"round {node.id}: retraining the best trial failed:\n{outcome.error}")
    _compare(node, records.metrics[row], outcome.metrics)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen.save_model(keeper.model, path)
    return keeper.model


def _compare(node: Node, before: Mapping[str, float], retrained: Mapping[str, float]) -> None:
    """Warns if retraining gave other metrics than the store has."""
    differences = {
        name: difference_of(before[name], value) for name, value in retrained.items() if name in before
    }
    if any(differences.values()):
        name = max(differences, key=differences.__getitem__)
        warn(
            f"round {node.id}: retrained, the best trial gives {name} {retrained[name]:.6g} instead of "
            f"{before[name]:.6g}: the code, the packages, the hardware or the number of threads differ from "
            "then; see round.report"
        )
