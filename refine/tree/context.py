"""Store and in-process objects shared by the rounds of a tree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from refine.design.space_filling import enough_for
from refine.errors import NotFoundError, ObjectiveError, ReviewError
from refine.run.identity import (
    UNNAMED,
    called,
    may_be_same_function,
    objective_data,
    objective_name,
)
from refine.run.machine import DEFAULT, Machine, machine_of
from refine.run.protocols import Objective
from refine.store.reader import Reader, Snapshot
from refine.store.removal import ROUND_REMOVED, Removal
from refine.store.store import Store
from refine.tree.reopened import found_again, ran_under, recognised
from refine.trials.budget import NO_BUDGET, BudgetState
from refine.trials.metric import Score
from refine.trials.round_record import Node, StoredNode, path_to
from refine.trials.trial import StateCounts
from refine.utils.action import Action
from refine.utils.format import join


@dataclass
class Settings:
    """Settings of a tree in this process, which no store holds."""

    machine: Machine = field(default_factory=lambda: DEFAULT)  # of every call that is not given another one


class Context(NamedTuple):
    """Store and in-process objects shared by the rounds of a tree.

    Attributes:
        store: The database, for writing.
        reader: The store for reading, or a snapshot of the store during an operation on many rounds.
        tree: Row of the tree in the store.
        name: Name of the tree.
        objectives: Objectives given in this process, by name and fingerprint of their data.
        scores: Metrics that are functions, given in this process, by name.
        tools: Samplers and pruners of Optuna given in this process, by their names in nodes.
        settings: Settings of the tree in this process.
    """

    store: Store
    reader: Reader
    tree: int
    name: str
    objectives: dict[tuple[str, str | None], Objective]
    scores: dict[str, Score]
    tools: dict[str, Any]
    settings: Settings

    def machine(self, machine: Machine | None, workers: int | None = None) -> Machine:
        """The machine of a call, as given or of the tree: see :func:`refine.run.machine.machine_of`."""
        return machine_of(self.settings.machine, machine, workers)

    @property
    def nodes(self) -> dict[str, StoredNode]:
        """All nodes by id, oldest first."""
        return self.reader.nodes(self.tree)

    @property
    def counts(self) -> StateCounts:
        """Node row -> state -> number of planned trials."""
        return self.reader.counts(self.tree)

    @property
    def budget(self) -> BudgetState:
        """The budget of the tree, read now; without counts if the tree has no budget."""
        if self.store.has_budget(self.tree):
            return self.budget_with_counts
        return NO_BUDGET

    @property
    def budget_with_counts(self) -> BudgetState:
        """The budget of the tree, read now; with the spent trials of a tree without a budget."""
        return enough_for(self.store.budget(self.tree), [stored.node.space for stored in self.nodes.values()])

    def stored(self, node_id: str) -> StoredNode:
        """The stored node of an id.

        Raises:
            NotFoundError: The round was removed, or is not in this tree.
        """
        stored = self.nodes.get(node_id)
        if stored is None:
            raise self.missing(node_id)
        return stored

    def missing(self, node_id: str) -> NotFoundError:
        """The error for a missing round, with author and time of its removal, if logged."""
        entry = self.removal_of(node_id)
        if entry is None:
            return NotFoundError(
                f"round {node_id} is not in tree {self.name!r} of this store; tree.rounds has the rounds "
                "that are"
            )
        removed = datetime.fromtimestamp(entry.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
        if entry.note:
            reason = f" ({entry.note})"
        else:
            reason = ""
        return NotFoundError(
            f"round {node_id} was removed by {entry.author} on {removed}{reason}; go on with another "
            "round of the tree, or load an export that has it"
        )

    def removal_of(self, node_id: str) -> Removal | None:
        """The log entry of the removal of a round, or ``None``."""
        removals = self.store.removals(self.tree)
        return next((e for e in reversed(removals) if e.round == node_id and e.event == ROUND_REMOVED), None)

    def path(self, node: Node) -> list[StoredNode]:
        """The nodes from the root to this one; raises NotFoundError if a round was removed."""
        nodes = self.nodes
        try:
            return [nodes[above.id] for above in path_to(node, nodes)]
        except KeyError as lost:
            raise self.missing(str(lost.args[0])) from None

    def at_once(self, around: Node | None = None) -> Context:
        """The context for one operation: reads values once, for all rounds or for one path."""
        if isinstance(self.reader, Snapshot):
            return self
        snapshot = self.store.snapshot()
        looking = self._replace(reader=snapshot)
        snapshot.together(
            [s.pk for s in (looking.nodes.values() if around is None else looking.path(around))]
        )
        return looking

    def needs(self, *ids: str) -> dict[str, object]:
        """The keyword needed to run rounds: ``objective=...`` after an import without an objective."""
        for node_id in ids:
            node = self.nodes[node_id].node
            if node.objective.startswith(UNNAMED) and (node.objective, node.data) not in self.objectives:
                return {"objective": ...}
        return {}

    def objective_of(self, node: Node, objective: Objective | None) -> Objective:
        """The objective of a round: the given objective, if recognised, else the objective of this process.

        Raises:
            ObjectiveError: No objective, or an objective with another name or other data.
        """
        chosen = objective if objective is not None else self.objectives.get((node.objective, node.data))
        if chosen is None:
            chosen, reason = found_again(self.reader, self._of_objective(node.objective), node)
            if chosen is None:
                if node.objective.startswith(UNNAMED):
                    problem = "was imported without an objective; pass one, as in"
                else:
                    problem = (
                        f"was reopened without its objective {node.objective!r}{reason}; add the first round "
                        "again, or pass the objective, as in"
                    )
                raise ObjectiveError(f"round {node.id}: {problem}", Action("round.run", objective=...))
        if node.objective.startswith(UNNAMED):
            self._check_bound(node, chosen)
        elif objective is not None:
            given_name = objective_name(objective)
            recorded = self._of_objective(node.objective)
            if not (
                given_name == node.objective
                or recognised(self.reader, recorded, node.objective, objective)
                or ran_under(self.reader, recorded, objective)
            ):
                raise ObjectiveError(
                    f"round {node.id} was created with the objective {node.objective!r}, got "
                    f"{given_name!r}; if it is the same objective, add the first round again with "
                    f"name={node.objective!r}; a different one needs a new round",
                    Action("tree.add_round", ...),
                )
            given_data = objective_data(objective)
            if given_data != node.data:
                raise ObjectiveError(
                    f"round {node.id} was created with the data {node.data!r}, got {given_data!r}; other "
                    "data needs a new round",
                    Action("tree.add_round", ...),
                )
        self.objectives[node.objective, node.data] = chosen
        return chosen

    def as_recorded(self, node: Node, objective: Objective) -> Node:
        """A new root under the recorded name of the same function, if a round of this tree has one.

        A script's own function has another name if it is imported from the script's file: see
        :func:`recognised`.
        """
        nodes = self.nodes
        if node.id in nodes:
            return node
        for name in dict.fromkeys(stored.node.objective for stored in nodes.values()):
            renamed = replace(node, objective=name)
            if renamed.id in nodes and self._recognised(name, objective):
                return renamed
        return node

    def _of_objective(self, name: str) -> list[StoredNode]:
        """The rounds with an objective of a name."""
        return [stored for stored in self.nodes.values() if stored.node.objective == name]

    def _recognised(self, name: str, objective: Objective) -> bool:
        return recognised(self.reader, self._of_objective(name), name, objective)

    def check_judged(self, node: Node) -> None:
        """Raises ReviewError if a round with decisions exists under another metric or direction."""
        existing = self.nodes.get(node.id)
        if (
            existing is None
            or existing.node.judged_by == node.judged_by
            or not self.reader.decisions(existing.pk)
        ):
            return
        raise ReviewError(
            f"round {node.id}: was decided upon by {judged(existing.node)}, got {judged(node)}; a decided "
            "round keeps its metric. To analyze its trials by another one: "
            f"tree[{node.id!r}].analyze(metric, direction); for another root, give another seed"
        )

    def keep_tools(self, node: Node, sampler: object, pruner: object) -> None:
        """Keeps the sampler and the pruner that a round was made with."""
        if sampler is not None:
            self.tools[node.method] = sampler
        if pruner is not None and node.pruner is not None:
            self.tools[node.pruner["optuna"]] = pruner

    def _check_bound(self, node: Node, chosen: Objective) -> None:
        """Raises ObjectiveError if an import without an objective was first run with another one."""
        identity = called(node.objective, chosen)
        file = identity.pop("file", None)
        for other in self.nodes.values():
            if other.node.objective == node.objective:
                for ran in self.reader.environments(other.pk):
                    bound = {key: ran[key] for key in identity if key in ran}
                    if may_be_same_function(bound.get("objective", ""), chosen) and ran.get("file") == file:
                        bound["objective"] = identity["objective"]
                    if bound and bound != identity:
                        raise ObjectiveError(
                            f"round {node.id}: was imported without an objective and first run with "
                            f"{_words(bound)} (round {other.node.id}), got {_words(identity)}; for another "
                            "objective import again and name it: tree.add_runs(frame, objective=...)"
                        )


def judged(node: Node) -> str:
    """Metrics, directions and constraints of a node."""
    goals = join(
        [f"{metric} ({direction})" for metric, direction in ((node.metric, node.direction), *node.goals)]
    )
    if node.subject_to:
        return f"{goals} subject to {join(node.subject_to)}"
    return goals


def _words(named: dict[str, str]) -> str:
    return f"{named.get('objective')!r} on data {named.get('objective data')!r}"
