"""Summary of a tree for every view: progress and origin of its rounds, and the best trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from refine.review.decision import Decision
from refine.space.space import SpaceDiff
from refine.stats.pareto import non_dominated
from refine.tree.names import paths_of
from refine.tree.round import Round
from refine.tree.round_record import RoundRecord
from refine.tree.tree_record import TreeRecord
from refine.trials.goal import sign_of

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound=RoundRecord)


@dataclass(frozen=True)
class RoundOverview:
    """One round of a tree.

    Attributes:
        round: The round.
        path: Place in the tree: ``"1.2"`` is the second child of the first root.
        n: Number of planned configurations.
        states: State -> number of planned trials.
        best: The best trial; ``None`` before the first has finished.
        comparable: Whether metric and goals equal those of the oldest round.
        tags: Tags of the round.
        kinds: Kinds of the decisions on the path, oldest first.
        change: Difference from the space of the parent; ``None`` for a root.
    """

    round: Round
    path: str
    n: int
    states: Mapping[str, int]
    best: pd.Series | None
    comparable: bool
    tags: tuple[str, ...]
    kinds: tuple[str, ...]
    change: SpaceDiff | None

    @property
    def id(self) -> str:
        """The short node id."""
        return self.round.id

    @property
    def parent(self) -> str | None:
        """Id of the round it came from."""
        return self.round._node.parent

    @property
    def ended(self) -> int:
        """Number of ended planned trials."""
        return sum(number for state, number in self.states.items() if state != "running")


@dataclass(frozen=True)
class Overview:
    """A tree at a glance.

    Attributes:
        rounds: Its rounds, oldest first.
        winner: Id of the round with the best trial of those that can be compared; ``None`` before the first
            one.
    """

    rounds: tuple[RoundOverview, ...]
    winner: str | None

    @cached_property
    def _children(self) -> dict[str | None, list[RoundOverview]]:
        children: dict[str | None, list[RoundOverview]] = {}
        for overview in self.rounds:
            children.setdefault(overview.parent, []).append(overview)
        return children

    def below(self, parent: str | None) -> tuple[RoundOverview, ...]:
        """Children of a round, oldest first; the roots for ``None``."""
        return tuple(self._children.get(parent, ()))


def overview_of(rounds: Sequence[Round], best: Mapping[str, pd.Series | None] | None = None) -> Overview:
    """A tree at a glance.

    Args:
        rounds: All of its rounds, oldest first, read at once.
        best: Best trials by id, where they were read already.
    """
    if not rounds:
        return Overview((), None)
    context = rounds[0]._context
    nodes = context.nodes
    counts = context.counts
    tags: dict[str, list[str]] = {}
    for tag, node_id in context.reader.tags(context.tree).items():
        tags.setdefault(node_id, []).append(tag)
    led: dict[str, list[Decision]] = {}
    for decision in (d for round_ in rounds for d in round_._decisions if d.child):
        led.setdefault(str(decision.child), []).append(decision)
    spaces = {round_.id: round_.space for round_ in rounds}
    paths = paths_of({round_.id: round_._node.parent for round_ in rounds})
    alike = {round_.id for round_ in comparable(rounds)}
    overviews = [
        RoundOverview(
            round_,
            paths[round_.id],
            n=nodes[round_.id].n,
            states=counts.get(nodes[round_.id].pk, {}),
            best=round_.best if best is None else best[round_.id],
            comparable=round_.id in alike,
            tags=tuple(tags.get(round_.id, ())),
            kinds=tuple(decision.kind for decision in led.get(round_.id, ())),
            change=None if round_._node.parent is None else spaces[round_._node.parent].diff(round_.space),
        )
        for round_ in rounds
    ]
    top = best_of(rounds, {e.id: e.best for e in overviews})
    return Overview(tuple(overviews), None if top is None else top[0].id)


def comparable(rounds: Sequence[R]) -> list[R]:
    """Rounds with the metric and direction of the oldest round that has a complete trial, oldest first.

    A first round whose trials all failed may have named a metric that the objective never returned.
    """
    having_results = [r for r in rounds if r._context.counts.get(r._stored.pk, {}).get("complete")]
    measure = [r._judged_by for r in (*having_results, *rounds)[:1]]
    return [r for r in rounds if r._judged_by in measure]


def best_of(
    rounds: Sequence[R], best_trials: Mapping[str, pd.Series | None] | None = None
) -> tuple[R, pd.Series] | None:
    """The round with the best trial, and the row of the trial; ``None`` without trials.

    Args:
        rounds: Oldest first. Those that differ in metric or direction from the oldest with results can't be
            compared and are left out.
        best_trials: Best trials by id, where they were read already.
    """
    rows = [
        (r, b)
        for r in comparable(rounds)
        if (b := r.best if best_trials is None else best_trials[r.id]) is not None
    ]
    if not rows:
        return None
    sign = sign_of(rows[0][0]._direction)
    return max(rows, key=lambda pair: sign * pair[1]["value"])


def best(self: TreeRecord) -> pd.Series | None:
    """The best observed trial of all rounds, with the id in ``round``; ``None`` without trials.

    The best of many noisy values overstates its configuration; :meth:`winner` is the one to hand over.

    Rounds that differ in metric or direction from the oldest root can't be compared and are left out.

    Examples:
        >>> tree.best()[["lr", "dropout", "value"]].to_dict()
        {'lr': 1.5, 'dropout': 0.0, 'value': 0.9998}
    """
    top = best_of(self._at_once().rounds)
    if top is None:
        return None
    import pandas as pd

    return pd.concat([pd.Series({"round": top[0].id}), top[1]])


def front_of(rounds: Sequence[RoundRecord]) -> pd.DataFrame:
    """The front over all rounds of a tree; the first column, ``round``, holds the id of the round.

    Args:
        rounds: At least one. Those that are not judged by the goals of the first can't be compared and are
            left out.
    """
    import pandas as pd

    rounds_compared = comparable(rounds)
    fronts = [front.assign(round=round_.id) for round_ in rounds_compared if len(front := round_.front)]
    if not fronts:
        return rounds_compared[0].front.assign(round="")
    all_fronts = pd.concat(fronts)
    goals = rounds_compared[0]._goals
    titles = list(all_fronts.columns[: len(goals)])  # columns of the goals stand first
    values = all_fronts[titles].to_numpy(dtype=float) * [goal.sign for goal in goals]
    front = all_fronts[non_dominated(values)].sort_values(
        titles[0], ascending=goals[0].sign < 0, kind="stable"
    )
    return front[["round", *front.columns.drop("round")]]


def beaten(round_: RoundRecord) -> int:
    """Number of points on the front of a round that trials of other rounds beat."""
    nodes = [stored.node for stored in round_._context.nodes.values() if stored.node.id != round_.id]
    rounds = [round_, *(round_._of(round_._context, node) for node in nodes)]
    return len(round_.front) - int((front_of(rounds)["round"] == round_.id).sum())
