"""Where the rounds of one tree live, and what was given to them in this process."""

from __future__ import annotations

from typing import NamedTuple

from refine.errors import ObjectiveError
from refine.node import Node
from refine.objective import Objective, objective_data, objective_name
from refine.store import Store
from refine.trials import Metric, Score


class Home(NamedTuple):
    """Where rounds live.

    Attributes:
        store: The database.
        tree: Row of the tree in it.
        name: Name of the tree.
        objectives: Objectives given in this process, by name and fingerprint of their data.
        scores: Metrics that are functions, given in this process, by name.
    """

    store: Store
    tree: int
    name: str
    objectives: dict[tuple[str, str | None], Objective]
    scores: dict[str, Score]

    def objective_of(self, node: Node, given: Objective | None, name: str | None = None) -> Objective:
        """What a round calls: what was given, if it is the round's, else what was given before.

        Raises:
            ObjectiveError: There is none, or one of another name or on other data.
        """
        chosen = given if given is not None else self.objectives.get((node.objective, node.data))
        if chosen is None:
            raise ObjectiveError(
                f"round {node.id}: was reopened without its objective {node.objective!r}; give it: "
                "run(objective=...)"
            )
        if given is not None:
            for what, mine, theirs in (
                ("name", node.objective, name or objective_name(given)),
                ("data", node.data, objective_data(given)),
            ):
                if mine != theirs:
                    raise ObjectiveError(
                        f"round {node.id}: runs the objective with {what} {mine!r}, got one with {theirs!r}; "
                        "another objective is another round: tree.add_round(...)"
                    )
            self.objectives[node.objective, node.data] = given
        return chosen

    def know_score(self, round_id: str, metric: str, given: Score | None) -> None:
        """Takes a metric's function that was given after reopening.

        Raises:
            ObjectiveError: It is another one than the round's.
        """
        if given is not None:
            found = Metric.parse(given)
            if str(found) != metric:
                raise ObjectiveError(f"round {round_id}: its metric is {metric!r}, got {str(found)!r}")
            self.scores[found.name] = given
