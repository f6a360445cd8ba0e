"""The stored record of a round."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from refine.proposal.proposal import Proposal, proposal_from_json
from refine.review.decision import Decision, check_note
from refine.run.holdout import HoldoutResult, holdout_result_of
from refine.run.plan import planned_cells
from refine.run.protocols import Objective
from refine.space.belief import Belief
from refine.space.encoding import decode, thaw
from refine.space.space import Space
from refine.store.reader import Reader
from refine.tree.context import Context
from refine.tree.names import paths_of
from refine.trials.budget import BudgetState
from refine.trials.declared import Declared
from refine.trials.frame import Records, best_first, best_row, front_rows, table, tables
from refine.trials.goal import Goal, check_epsilon
from refine.trials.metric import Metric
from refine.trials.metric_constraint import metric_constraints
from refine.trials.replicates import replicate_table
from refine.trials.round_record import JudgedBy, Node, StoredNode, believed_on, declared_for
from refine.utils.display import Shown, line
from refine.utils.plain import plain

if TYPE_CHECKING:
    import pandas as pd

# Largest number of trials that the display of a round reads. For more, the best trial is found by value
# alone, and damage is left to :meth:`refine.Tree.damage`.
LARGE = 50_000


@dataclass(eq=False, repr=False)
class RoundRecord(Shown):
    """A stored round; :class:`refine.Round` adds the methods that change it."""

    _context: Context  # store and tree of the round, and the objects given in this process
    _node: Node  # its frozen content
    _value: str  # name of the metric that is its value
    _direction: str  # ``"maximize"`` or ``"minimize"``

    @classmethod
    def _of(cls, context: Context, node: Node) -> Self:
        return cls(context, node, node.metric, node.direction)

    @property
    def id(self) -> str:
        """The short node id."""
        return self._node.id

    @property
    def _objective(self) -> Objective | None:
        """The objective; ``None`` after reopening, until :meth:`run` has one."""
        return self._context.objectives.get((self._node.objective, self._node.data))

    @property
    def space(self) -> Space:
        """The searched space."""
        return self._node.space

    @property
    def note(self) -> str:
        """Reason of the round, in your words; assign a text to change the note, which is no part of the id.

        Raises:
            ReviewError: The note is not a text.
            NotFoundError: The round was removed.

        Examples:
            >>> root.note = "which rates train at all"
            >>> root.note
            'which rates train at all'
        """
        return self._stored.node.note

    @note.setter
    def note(self, note: str) -> None:
        text = check_note(note)
        self._context.stored(self.id)
        self._context.store.set_note(self._context.tree, self.id, text)

    @property
    def _epsilon(self) -> float | None:
        """Tolerance of proposals on this round and later children, in units of the metric.

        A smaller loss counts as none. Assign a number to set the tolerance; ``None`` stands for the default:
        see :attr:`refine.stats.NoiseEstimate.epsilon`.

        Raises:
            AnalysisError: No number >= 0.

        Examples:
            >>> root.epsilon = 0.01
            >>> root.propose().claim.epsilon
            0.01
        """
        return self._stored.node.epsilon

    @_epsilon.setter
    def _epsilon(self, epsilon: float | None) -> None:
        self._context.stored(self.id)
        self._context.store.set_epsilon(self._context.tree, self.id, check_epsilon(epsilon))

    @property
    def _declared(self) -> Declared:
        """Noise, limits and scale as declared on this round or an ancestor: see :meth:`Tree.add_round`."""
        return declared_for([above.node for above in self._context.path(self._node)])

    @property
    def _belief(self) -> Belief | None:
        """Belief about the place of the best value, declared on this round or an ancestor."""
        declared = believed_on(self._path)
        if declared is None or not declared.belief:
            return None
        return declared.belief

    @property
    def n(self) -> int:
        """Number of planned configurations."""
        return self._stored.n

    @property
    def parent(self) -> Self | None:
        """The parent round; ``None`` for a root."""
        if self._node.parent is None:
            return None
        return self._other(self._node.parent)

    @property
    def children(self) -> tuple[Self, ...]:
        """The children, oldest first."""
        self._context.stored(self.id)
        nodes = self._context.nodes
        return tuple(self._other(i) for i, s in nodes.items() if s.node.parent == self.id)

    @property
    def _path(self) -> tuple[Node, ...]:
        """Nodes from the root to the round."""
        return tuple(stored.node for stored in self._context.path(self._node))

    @property
    def _goal(self) -> Goal:
        """Goal of the trials, with what was declared on this round or an ancestor."""
        stored = self._stored.node
        return Goal(
            self._metric,
            self._direction,
            stored.allow_degenerate,
            **self._declared._asdict(),
            epsilon=stored.epsilon,
        )

    @property
    def _goals(self) -> tuple[Goal, ...]:
        """The goals of the round, :attr:`_goal` first."""
        constraints = self._goal.metric.subject_to
        free = self._node.allow_degenerate
        further = (
            Goal(Metric.parse(metric)._replace(subject_to=constraints), direction, free)
            for metric, direction in self._node.goals
        )
        return (self._goal, *further)

    def _cells(self, n: int | None = None) -> list[int]:
        """Numbers of the first ``n`` cells of the design; default all that are planned evenly.

        Raises:
            DesignError: More than exist.
        """
        return planned_cells(self._context.reader, self._stored, n)

    # Results of the round.

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: parameters, ``state, value, seconds, seed, cell, origin``, metrics.

        Examples:
            >>> root.trials[["lr", "dropout", "value"]].head(2)
                lr  dropout   value
            0  0.5      0.0  0.9838
            1  5.0      0.3  0.6808
        """
        return table(self.space, self._records(), self._metric)

    @property
    def front(self) -> pd.DataFrame:
        """The front: trials for which no other trial is at least as good in every goal and better in one.

        Rows of :attr:`trials`, with a column per goal instead of ``value``, sorted by the first goal. With
        one goal, the best observed trial and its equals. Empty before the first trial has finished.
        """
        return front_rows(self.trials, self._goals, self.space)

    @property
    def best(self) -> pd.Series | None:
        """The row of the best observed trial; ``None`` before the first has finished.

        A degenerate trial is passed over, unless the round was added with ``allow_degenerate=True``.

        Examples:
            >>> root.best[["lr", "dropout", "value"]].to_dict()
            {'lr': 1.5, 'dropout': 0.0, 'value': 0.9998}
        """
        if not (self._large and self._metric.plain):
            return best_row(self.space, self._records(), self._goal)
        best = self._context.reader.best_record(self._stored.pk, self._goal)
        if best is None:
            return None
        return table(self.space, best[1], self._metric).iloc[0].rename(best[0])

    @property
    def _best_params(self) -> dict[str, Any] | None:
        """Configuration of the best observed trial; classes and functions stand for the labels in ``best``.

        Reading this attribute imports the classes and functions of the configuration.
        """
        records = self._records()
        frame = table(self.space, records, self._metric)
        ranked = best_first(frame, self._direction, self.space, self._node.allow_degenerate)
        if ranked.empty:
            return None
        return {name: thaw(decode(v)) for name, v in records.configurations[ranked.index[0]].items()}

    @property
    def replicates(self) -> pd.DataFrame:
        """Runs again, as :attr:`trials`, with their numbers in ``replicate``."""
        return replicate_table(self.space, self._records(replicates=True), self._metric)

    @property
    def failures(self) -> pd.DataFrame:
        """Trials that did not finish, with their tracebacks in ``error``."""
        records = self._records()
        frame = table(self.space, records, self._metric).assign(error=records.columns["error"])
        return frame[~frame["state"].isin(("complete", "cheap", "excluded"))].reset_index(drop=True)

    @property
    def _damaged(self) -> tuple[str, ...]:
        """A sentence per stored trial that cannot be read; :attr:`trials` leaves these out."""
        return self._records().damaged

    @property
    def _shown(self) -> pd.DataFrame:
        """Earlier trials shown to each trial of an adaptive or pruned round, in the order of :attr:`trials`.

        Columns of adaptive rounds: ``ask`` (number of the request), ``earlier`` and ``told`` (known trials
        of earlier rounds and of the present one), ``running``, and ``evenly`` (drawn at random after
        repeated invalid requests). Columns with a pruner: ``basis`` (number of ended trials behind the
        threshold), ``threshold`` (required forecast per epoch after the warmup, in the sign of the metric;
        ``None`` without a comparison), ``behind`` (epoch of the stop, from 1) and ``audited``. Other rounds
        have no columns.
        """
        import pandas as pd

        shown = self._context.reader.shown(self._stored.pk)
        rows = [shown.get(key, {}) for key in self._records().columns["key"]]
        names = dict.fromkeys(name for row in rows for name in row if name != "rungs")
        return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, index=range(len(rows)))

    @property
    def _holdout_results(self) -> tuple[HoldoutResult, ...]:
        """Results of the openings of the hold-out, oldest first."""
        reader = self._context.reader
        metric = self._metric
        return tuple(
            holdout_result_of(reader, self._node, o, metric) for o in reader.openings(self._stored.pk)
        )

    @property
    def _decisions(self) -> tuple[Decision, ...]:
        """The decisions on the round, oldest first."""
        reader = self._context.reader
        pk = self._stored.pk
        return reader.computed(
            ("decisions", pk),
            lambda: tuple(Decision.from_json(json.loads(content)) for content, _ in reader.decisions(pk)),
        )

    # Settings of the analysis.

    @property
    def _stored(self) -> StoredNode:
        return self._context.stored(self.id)

    @property
    def _metric(self) -> Metric:
        return self._subject(Metric.parse(self._value, self._context.scores))

    def _subject(self, metric: Metric) -> Metric:
        """The metric of the round with its constraints; other metrics have no constraints."""
        if str(metric) != self._value:
            return metric
        return metric._replace(subject_to=metric_constraints(self._node.subject_to))

    @property
    def _judged_by(self) -> JudgedBy:
        """Metric, direction, constraints and goals, equal in comparable rounds."""
        return self._value, self._direction, self._node.subject_to, self._node.goals

    @property
    def _judged(self) -> tuple[Reader, int, Space, Goal]:
        """Reader, row, space and goal of the round."""
        return self._context.reader, self._stored.pk, self.space, self._goal

    @property
    def _large(self) -> bool:
        """True if the round has too many trials to read them for a summary."""
        return sum(self._context.counts.get(self._stored.pk, {}).values()) > LARGE

    def _records(self, *, replicates: bool = False) -> Records:
        pk = self._stored.pk
        curves = self._metric.curves
        return self._context.reader.records([pk], curves=curves, replicates=replicates)

    def _tables(self) -> Iterator[pd.DataFrame]:
        """Parts of :attr:`trials`, to limit memory."""
        pk = self._stored.pk
        metric = self._metric
        reader = self._context.reader
        return tables(self.space, lambda: reader.record_blocks(pk, metric.curves), metric)

    def _at_once(self) -> Self:
        """The round for one operation: values of the round and its ancestors are read once."""
        return replace(self, _context=self._context.at_once(self._node))

    def _other(self, node_id: str) -> Self:
        """Another round of the tree under the metric of this round, unless results steered one of them."""
        node = self._context.stored(node_id).node
        if node.steered or self._node.steered:
            return self._of(self._context, node)
        return type(self)(self._context, node, self._value, self._direction)

    @property
    def _budget(self) -> BudgetState:
        """The budget of the tree; without counts if the tree has no budget."""
        return self._context.budget

    def _needs(self, *ids: str) -> dict[str, object]:
        """Keywords needed to run the rounds."""
        return self._context.needs(*ids)

    def _best_before(self) -> tuple[float, bool]:
        """Best value of comparable ancestors, NaN without any, and whether this space holds the best."""
        reader = self._context.reader
        bests: dict[float, bool] = {}
        previous = self._node.previous
        above = self.parent
        while above is not None:
            if above._node.judged_by == self._judged_by:
                key = ("best value", above.id, above._judged_by, self.id)
                value, kept = reader.computed(key, partial(_best_value, above, self.space, previous))
                bests[value] = kept or bests.get(value, False)
            previous = {**above._node.previous, **previous}
            above = above.parent
        best = self._goal.best([value for value in bests if not math.isnan(value)])
        return best, bests.get(best, False)

    @property
    def _proposals(self) -> list[Proposal]:
        """Stored proposals, the latest last."""
        contents = self._context.reader.proposals(self._stored.pk).values()
        return [proposal_from_json(json.loads(content)) for content in contents]

    def _data(self, paths: Mapping[str, str] | None = None) -> dict[str, Any]:
        snapshot = self._at_once()
        node = snapshot._node
        belief = snapshot._belief
        nodes = snapshot._context.nodes
        paths = paths or paths_of({key: stored.node.parent for key, stored in nodes.items()})
        return {
            "id": snapshot.id,
            "path": paths[snapshot.id],
            "tree": snapshot._context.name,
            "parent": node.parent,
            "children": [key for key, stored in nodes.items() if stored.node.parent == snapshot.id],
            "n": snapshot.n,
            "states": snapshot._context.counts.get(snapshot._stored.pk, {}),
            "metric": snapshot._value,
            "direction": snapshot._direction,
            "best": plain(snapshot.best),
            "space": snapshot.space.to_json(),
            "size": snapshot.space.size,
            "belief": None if belief is None else belief.to_json(),
            "design": node.method,
            "seed": node.seed,
            "objective": node.objective,
            "declared": snapshot._declared.to_json(),
            "note": snapshot.note,
            "author": node.author,
            "decisions": [d.to_json() for d in snapshot._decisions],
        }

    def __repr__(self) -> str:
        return line(f"<Round {self.id} of {self._context.name}>")


def _best_value(round_: RoundRecord, space: Space, previous: Mapping[str, Any]) -> tuple[float, bool]:
    """Value of the best observed trial of a round, NaN without one, and whether a space holds the trial.

    ``previous`` are values of parameters that the trial lacks.
    """
    best = round_.best
    if best is None:
        return math.nan, False
    value = float(best["value"])
    row = best.to_frame().T.infer_objects()
    for name in previous.keys() - set(best.index):
        row[name] = [previous[name]]
    if not set(space) - set(space.conditions) <= set(row):
        return value, False
    return value, bool(space.contains(row)[0])
