"""Reading a store directly, or with a cache for an operation on several rounds.

Stored content is never run.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import numpy as np
import sqlalchemy as sa

from refine.errors import RefineWarning, StoreError
from refine.space.encoding import digest
from refine.store.exclusions import Mark, read_marks
from refine.store.log import read_records, record_blocks, superseded
from refine.store.row_scores import unpack
from refine.store.schema import own_columns, shown_url, t
from refine.store.validity import (
    BROKEN,
    LARGEST,
    content_digest,
    curve_of,
    fault_of,
    node_of,
    said,
    unpacked,
    value_fault,
)
from refine.trials.frame import Records, joined_records
from refine.trials.goal import Goal
from refine.trials.metric import Curve
from refine.trials.replicates import planned
from refine.trials.round_record import (
    Addition,
    Beside,
    HoldoutRun,
    Node,
    StoredNode,
    StoredOpening,
    beside_of,
)
from refine.trials.trial import Examples, RowScores, State, StateCounts
from refine.utils.action import Action

T = TypeVar("T")


class Reader(ABC):
    """Reads a store without a cache, as :class:`Store` does; a :class:`Snapshot` adds a cache."""

    @property
    @abstractmethod
    def engine(self) -> sa.Engine:
        """The engine, which gives connections."""

    def _once(self, read: Callable[[sa.Engine, int], T], tree: int) -> T:
        """The result of a function that reads a tree."""
        return read(self.engine, tree)

    def computed(self, key: tuple[object, ...], compute: Callable[[], T]) -> T:  # noqa: ARG002
        """A result of stored values; a :class:`Snapshot` computes it once per key."""
        return compute()

    def _of(self, read: Callable[[sa.Engine, Collection[int]], dict[int, T]], pk: int) -> T | None:
        """The result for one node of a function that reads several."""
        return read(self.engine, [pk]).get(pk)

    def _records(self, pks: Sequence[int], curves: bool, replicates: bool) -> list[Records]:
        """Trials of nodes, node by node."""
        return list(read_records(self.engine, pks, curves, replicates).values())

    # A tree.

    def nodes(self, tree: int) -> dict[str, StoredNode]:
        """The readable nodes of a tree by id, oldest first."""
        return self._once(_nodes, tree)[0]

    def damaged_nodes(self, tree: int) -> dict[str, str]:
        """Id of a damaged node -> the reason why it cannot be read."""
        return self._once(_nodes, tree)[1]

    def tags(self, tree: int) -> dict[str, str]:
        """Tag -> node id."""
        nodes = self.nodes(tree)
        tags = self._once(_tags, tree)
        return {tag: key for tag, key in tags.items() if key in nodes}

    @abstractmethod
    def counts(self, tree: int) -> StateCounts:
        """Node row -> state -> number of planned trials, last attempts only."""

    @abstractmethod
    def best_record(self, pk: int, goal: Goal) -> tuple[int, Records] | None:
        """The best planned trial of a round and its position, without keeping other trials in memory.

        ``None`` without a trial that may be best. The goal's metric must be neither a function nor based on
        curves.
        """

    def last_rows(self, tree: int) -> dict[int, int]:
        """Node row -> row of the last written trial; repeats and further attempts are new rows."""
        return self._once(_last_rows, tree)

    def last_exclusions(self, tree: int) -> dict[int, int]:
        """Node row -> row of the last mark that excluded a trial or included it again.

        Other nodes are left out.
        """
        return self._once(_last_exclusions, tree)

    # A node.

    def marks(self, pk: int) -> list[Mark]:
        """Marks on the trials of a node, oldest first."""
        return self._of(read_marks, pk) or []

    def inherited(self, pk: int) -> frozenset[str]:
        """Keys of the configurations that a node does not run again."""
        return frozenset(self._of(_inherited, pk) or ())

    def plans(self, pk: int) -> list[int]:
        """Planned numbers of configurations, increasing: the first plan, and one for every larger ``n``."""
        return sorted({n for n in self._of(_plans, pk) or () if 1 <= n <= LARGEST})

    def beside(self, pk: int) -> list[Beside]:
        """Extra configurations of a node: the baseline, then those given by a person, then the rest."""
        planned = self._of(_extra_configurations, pk)
        return beside_of(planned or ())

    def environments(self, pk: int) -> list[dict[str, str]]:
        """Environments of a round, oldest first."""
        return [json.loads(text) for text in self._of(_environments, pk) or ()]

    def ran_on(self, pk: int) -> list[tuple[dict[str, str], int]]:
        """Environments of a round's trials, with numbers of trials, most frequent first.

        All attempts and replicates count.
        """
        environments = self._by_digest(pk)
        return [
            (environments[mark], count) for mark, count in self._of(_ran_on, pk) or () if mark in environments
        ]

    def environments_of(self, pk: int, keys: Collection[str]) -> list[dict[str, str]]:
        """Environments of the planned runs of some configurations.

        The round's last one if trials have none.
        """
        c = t.trial.c
        environments = self._by_digest(pk)
        wanted_keys = set(keys)
        conditions = (c.node == pk, c.replicate == 0, c.environment.is_not(None), ~superseded())
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(c.key, c.environment).where(*conditions)).all()
        marks = dict.fromkeys(mark for key, mark in rows if key in wanted_keys and mark in environments)
        return [environments[mark] for mark in marks] or list(environments.values())[-1:]

    def _by_digest(self, pk: int) -> dict[str, dict[str, str]]:
        texts = self._of(_environments, pk) or ()
        return {environment_digest(text): json.loads(text) for text in texts}

    def proposals(self, pk: int) -> dict[str, str]:
        """Digest -> content of every proposal, the latest one last."""
        return dict(self._of(_proposals, pk) or ())

    def decisions(self, pk: int) -> list[tuple[str, float]]:
        """(content, time) of every decision taken on a node's proposals, oldest first."""
        return self._of(_decisions, pk) or []

    def openings(self, pk: int) -> list[StoredOpening]:
        """Openings of a node's hold-out with their results, oldest first."""
        return self._of(_openings, pk) or []

    # Trials of a node.

    def records(self, pks: Sequence[int], curves: bool = False, replicates: bool = False) -> Records:
        """Trials of some nodes as columns, in the order of node and of finishing, last attempts only."""
        return joined_records(self._records(sorted(set(pks)) or [0], curves, replicates))

    def record_blocks(self, pk: int, curves: bool) -> Iterator[Records]:
        """Planned runs of a node, some thousand at a time: see :func:`refine.store.log.record_blocks`."""
        return record_blocks(self.engine, pk, curves)

    def shown(self, pk: int) -> dict[str, dict[str, Any]]:
        """Key -> the results that a planned trial of a node was shown, in its last attempt.

        Empty for most rounds.

        Curves of thresholds stand in ``threshold``.
        """
        c = t.trial.c
        trials = t.trial.outerjoin(t.shown, t.shown.c.trial == c.pk)
        query = sa.select(c.key, t.shown.c.content).select_from(trials)
        curves = sa.select(t.threshold.c.digest, t.threshold.c.data).where(t.threshold.c.node == pk)
        with self.engine.connect() as connection:
            packed = connection.execute(curves).all()
            texts = connection.execute(query.where(c.node == pk, c.replicate == 0, ~superseded())).all()
        try:
            thresholds = {digest: json.loads(unpacked(data)) for digest, data in packed}
            rows = {key: json.loads(text) for key, text in texts if text}
            return {
                key: {**r, "threshold": thresholds[r["threshold"]]} if r.get("threshold") else r
                for key, r in rows.items()
            }
        except BROKEN as error:
            text = f"what its trials were shown is damaged: {said(error)}; remove what is damaged"
            raise StoreError(text, Action("tree.repair")) from None

    def has_examples(self, pk: int) -> bool:
        """True if trials of a node may have predictions for validation examples."""
        rows = self._of(_with_targets, pk)
        return bool(rows)

    def examples(self, pk: int, keys: Sequence[str]) -> dict[str, Examples]:
        """Key -> predictions of the planned run of a configuration; runs without predictions are left out."""
        if not self.has_examples(pk):
            return {}
        p = t.prediction.c
        with self.engine.connect() as connection:
            target = connection.execute(sa.select(t.target).where(t.target.c.node == pk)).first()
            rows = connection.execute(_complete(pk, keys, t.prediction, p.examples, p.data)).all()
        examples: dict[str, Examples] = {}
        if target is None:
            return examples
        with contextlib.suppress(*BROKEN):  # damaged rows are skipped
            right = np.frombuffer(unpacked(target.data), dtype="<f4")
            for key, count, data in rows:
                with contextlib.suppress(*BROKEN):
                    predicted = np.frombuffer(unpacked(data), dtype="<f2").reshape(count, -1)
                    if count == len(right):
                        examples[key] = Examples(predicted, right, target.total)
        return examples

    def row_scores(self, pk: int, keys: Sequence[str], metric: str) -> dict[str, RowScores]:
        """Key -> scores by validation row of the planned run of a configuration, in a metric.

        Runs without such scores are left out.
        """
        if metric not in self.row_totals(pk):
            return {}
        s = t.row_score.c
        query = _complete(pk, keys, t.row_score, s.total, s.data).where(s.metric == metric)
        row_scores: dict[str, RowScores] = {}
        with self.engine.connect() as connection:
            for key, total, data in connection.execute(query):
                with contextlib.suppress(*BROKEN):  # damaged rows are skipped
                    row_scores[key] = RowScores(unpack(unpacked(data), total), total)
        return row_scores

    def row_totals(self, pk: int) -> dict[str, int]:
        """Metrics of a node's trials with scores by validation row -> number of rows."""
        return dict(self._of(_row_totals, pk) or ())

    def curves(self, pk: int, keys: Sequence[str]) -> dict[str, Curve]:
        """Key -> values per epoch of the planned run of a configuration.

        Runs without a curve are left out.
        """
        curves: dict[str, Curve] = {}
        with self.engine.connect() as connection:
            for key, data in connection.execute(_complete(pk, keys, t.curve, t.curve.c.data)):
                with contextlib.suppress(*BROKEN):
                    curves[key] = curve_of(data)
        return curves


def _complete(pk: int, keys: Sequence[str], table: sa.Table, *columns: sa.Column[Any]) -> sa.Select[Any]:
    """Keys of complete planned runs, with columns of a table whose rows belong to them."""
    c = t.trial.c
    conditions = (c.node == pk, c.key.in_(list(keys)), c.replicate == 0, c.state == State.COMPLETE)
    return sa.select(c.key, *columns).join(t.trial, c.pk == table.c.trial).where(*conditions).order_by(c.pk)


class Snapshot(Reader):
    """Reads everything once. Rows of several nodes of one operation are read by one statement."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._together: frozenset[int] = frozenset()
        self._known: dict[Any, Any] = {}

    def together(self, pks: Collection[int]) -> Snapshot:
        """Sets the nodes of one operation, which are then read together."""
        self._together = frozenset(pks)
        return self

    @property
    def engine(self) -> sa.Engine:
        """The engine, which gives connections."""
        return self._reader.engine

    def _remembered(self, key: object, read: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = read()
        return cast(T, self._known[key])

    def _once(self, read: Callable[[sa.Engine, int], T], tree: int) -> T:
        return self._remembered((read, tree), lambda: read(self.engine, tree))

    def computed(self, key: tuple[object, ...], compute: Callable[[], T]) -> T:
        """See :meth:`Reader.computed`."""
        return self._remembered(("computed", *key), compute)

    def counts(self, tree: int) -> StateCounts:
        """See :meth:`Reader.counts`."""
        return self._remembered(("counts", tree), lambda: self._reader.counts(tree))

    def best_record(self, pk: int, goal: Goal) -> tuple[int, Records] | None:
        """See :meth:`Reader.best_record`."""
        return self._remembered((pk, goal), lambda: self._reader.best_record(pk, goal))

    def _of(self, read: Callable[[sa.Engine, Collection[int]], dict[int, T]], pk: int) -> T | None:
        cached: dict[int, T | None] = self._known.setdefault(read, {})
        if pk not in cached:
            missing = self._wanted(cached, pk)
            cached |= {**dict.fromkeys(missing), **read(self.engine, missing)}
        return cached[pk]

    def _records(self, pks: Sequence[int], curves: bool, replicates: bool) -> list[Records]:
        cached: dict[int, Records] = self._known.setdefault((read_records, curves), {})
        for pk in pks:
            if pk not in cached:
                cached.update(read_records(self.engine, self._wanted(cached, pk), curves, replicates=True))
        records = [cached[pk] for pk in pks]
        if replicates:
            return records
        return [planned(r) for r in records]

    def _wanted(self, cached: dict[int, Any], pk: int) -> list[int]:
        if pk in self._together:
            uncached = self._together - cached.keys()
        else:
            uncached = frozenset()
        return sorted({pk} | uncached)


def _nodes(engine: sa.Engine, tree: int) -> tuple[dict[str, StoredNode], dict[str, str]]:
    with engine.connect() as connection:
        return read_nodes(connection, tree)


def read_nodes(connection: sa.Connection, tree: int) -> tuple[dict[str, StoredNode], dict[str, str]]:
    """The readable nodes, and the reasons why the others cannot be read.

    Descendants of a damaged node count as damaged.
    """
    n = t.plan.c.n
    sizes = sa.select(t.plan.c.node, sa.func.max(n).label("n"), sa.func.min(n).label("first"))
    size = sizes.where(n.between(1, LARGEST)).group_by(t.plan.c.node).subquery()
    query = (
        sa.select(t.node, size.c.n, size.c.first)
        .outerjoin(size, size.c.node == t.node.c.pk)
        .where(t.node.c.tree == tree)
        .order_by(t.node.c.pk)
    )
    rows = connection.execute(query).all()
    additions = _additions(connection, tree)
    nodes: dict[str, StoredNode] = {}
    damaged: dict[str, str] = {}
    for order, row in enumerate(rows):
        try:
            node = _node_of(tuple(row)[: len(t.node.c)])
            if row.n is None:
                raise ValueError("it plans no configuration")
            if node.parent is not None and node.parent not in nodes:
                raise ValueError(
                    f"the round that it comes from, {node.parent}, can't be read or is not there"
                )
        except BROKEN as error:
            damaged[str(row.id)] = said(error)
            continue
        added = tuple(additions.get(row.pk, ()))
        nodes[row.id] = StoredNode(row.pk, node, int(row.n), int(row.first), order, added)
    return nodes, damaged


def _additions(connection: sa.Connection, tree: int) -> dict[int, list[Addition]]:
    """Node row -> additions to its plan, oldest first, without unreadable ones."""
    c = t.addition.c
    query = sa.select(t.addition).join(t.node, t.node.c.pk == c.node).where(t.node.c.tree == tree)
    additions: dict[int, list[Addition]] = {}
    for row in connection.execute(query.order_by(c.pk)):
        if not fault_of(t.addition, row._asdict()):
            additions.setdefault(row.node, []).append(Addition(row.key, row.first, row.total, row.per))
    return additions


@lru_cache(maxsize=4096)
def _node_of(values: tuple[object, ...]) -> Node:
    """The node of a row, parsed once per content: trees are read often, and nodes hardly change."""
    return node_of(dict(zip(t.node.c.keys(), values, strict=True)))


def _tags(engine: sa.Engine, tree: int) -> dict[str, str]:
    query = (
        sa.select(t.tag.c.name, t.node.c.id)
        .join(t.node, t.node.c.pk == t.tag.c.node)
        .where(t.tag.c.tree == tree)
        .order_by(t.tag.c.name)
    )
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query) if isinstance(row[0], str)}


def _last(
    table: sa.Table, conditions: Sequence[sa.ColumnElement[bool]], engine: sa.Engine, tree: int
) -> dict[int, int]:
    """Node row -> the last row of a table that belongs to it."""
    node = t.node.c
    # Each subquery reads one index.
    last = sa.select(sa.func.max(table.c.pk)).where(table.c.node == node.pk, *conditions).scalar_subquery()
    with engine.connect() as connection:
        rows = connection.execute(sa.select(node.pk, last).where(node.tree == tree)).all()
    return {pk: int(row) for pk, row in rows if row is not None}


_last_rows = partial(_last, t.trial, ())
_last_exclusions = partial(_last, t.mark, (t.mark.c.excluded.is_not(None),))


def _grouped(
    table: sa.Table,
    make: Callable[[Any], T],
    engine: sa.Engine,
    pks: Collection[int],
    query: sa.Select[Any] | None = None,
) -> dict[int, list[T]]:
    """Node -> its rows of a table in the order of their keys, or rows of a query by its first column."""
    checked: list[sa.Column[Any]] = []
    if query is None:
        query = sa.select(table.c.node, table).where(table.c.node.in_(pks)).order_by(*table.primary_key)
        checked = own_columns(table)
    out: dict[int, list[T]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            group = out.setdefault(row[0], [])
            try:
                for column in checked:
                    if (value := getattr(row, column.name)) is not None and (
                        text := value_fault(column, value)
                    ):
                        raise ValueError(f"{column.name} {text}")
                group.append(make(row))
            except BROKEN as error:
                warnings.warn(
                    f"store {shown_url(engine.url)}: a stored row of {table.name} can't be read "
                    f"({said(error)}) and is left out; see what is damaged, and remove it",
                    RefineWarning,
                    stacklevel=2,
                )
    return out


@lru_cache(maxsize=4096)
def _sound(content: str, table: str) -> str:
    """The content of a row that can be read, cached: stored texts never change."""
    if table in ("proposal", "decision"):
        content_digest(table, content)
    else:
        json.loads(content)
    return content


def environment_digest(text: str) -> str:
    """The digest of a stored environment, to which trials refer."""
    return digest(json.loads(text), 16)


_inherited = partial(_grouped, t.inherited, lambda row: row.key)
_extra_configurations = partial(
    _grouped, t.cell_plan, lambda row: (row.origin, json.loads(row.configuration))
)
_environments = partial(_grouped, t.run, lambda row: _sound(row.environment, "run"))
_plans = partial(_grouped, t.plan, lambda row: int(row.n))
_proposals = partial(_grouped, t.proposal, lambda row: (row.digest, _sound(row.content, "proposal")))
_decisions = partial(_grouped, t.decision, lambda row: (_sound(row.content, "decision"), row.created))


def _ran_on(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[tuple[str, int]]]:
    c = t.trial.c
    number = sa.func.count().label("number")
    conditions = (c.node.in_(list(pks)), c.environment.is_not(None))
    query = sa.select(c.node, c.environment, number).where(*conditions).group_by(c.node, c.environment)
    query = query.order_by(number.desc(), c.environment)
    return _grouped(t.trial, lambda row: (row.environment, row.number), engine, pks, query)


def _with_targets(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[int]]:
    """Nodes with predictions for validation examples."""
    query = sa.select(t.target.c.node).where(t.target.c.node.in_(list(pks)))
    return _grouped(t.target, lambda row: int(row.node), engine, pks, query)


def _row_totals(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[tuple[str, int]]]:
    """Node -> metrics with scores by validation row, and the number of rows in the first such trial."""
    c = t.trial.c
    s = t.row_score.c
    first = sa.select(sa.func.min(s.trial)).join(t.trial, c.pk == s.trial).where(c.node.in_(list(pks)))
    first = first.group_by(c.node, s.metric)
    query = sa.select(c.node, s.metric, s.total).join(t.trial, c.pk == s.trial).where(s.trial.in_(first))
    return _grouped(t.row_score, lambda row: (row.metric, row.total), engine, pks, query)


def _openings(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[StoredOpening]]:
    c = t.opening.c
    o = t.opened.c
    columns = (o.opening, o.key, o.replicate, o.seed, o.state, o.metrics, o.seconds, o.error)
    query = sa.select(*columns).join(t.opening, c.pk == o.opening).where(c.node.in_(pks))

    def run(row: sa.Row[Any]) -> HoldoutRun:
        facts = (row.key, row.replicate, row.seed, row.state)
        return HoldoutRun(*facts, json.loads(row.metrics), row.seconds, row.error)

    runs = _grouped(t.opened, run, engine, pks, query.order_by(o.replicate, o.key))

    def opening(row: sa.Row[Any]) -> StoredOpening:
        content = json.loads(row.content)
        return StoredOpening(
            pk=row.pk,
            node=row.node,
            keys=tuple(content["keys"]),
            seeds=content["seeds"],
            author=row.author,
            note=row.note,
            created=row.created,
            runs=tuple(runs.get(row.pk, ())),
        )

    return _grouped(t.opening, opening, engine, pks)
