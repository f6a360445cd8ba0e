"""Reading a store: at once, or each thing once for all rounds that an operation looks at. Executes nothing stored."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from refine.errors import RefineWarning
from refine.proposal.proposal import Proposal
from refine.review.decision import Decision
from refine.space.encoding import digest
from refine.store.log import (
    count_environments,
    environment_marks,
    last_rows,
    read_curves,
    read_examples,
    read_records,
    read_shown,
    record_blocks,
)
from refine.store.marks import Mark, last_exclusions, last_marks, read_marks
from refine.store.schema import shown_url, t
from refine.store.sound import BROKEN, LARGEST, node_of, said
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import Curve
from refine.trials.replicates import planned
from refine.trials.round_record import Beside, HoldoutRun, StoredNode, StoredOpening, beside_of
from refine.trials.rows import Rows
from refine.trials.trial import Examples

T = TypeVar("T")


class Reader(ABC):
    """What can be read of a store. :class:`Store` reads what it is asked for; a :class:`Snapshot` remembers."""

    @property
    @abstractmethod
    def engine(self) -> sa.Engine:
        """Where connections come from."""

    @abstractmethod
    def _once(self, read: Callable[[sa.Engine, int], T], tree: int) -> T:
        """What a function reads of a tree."""

    @abstractmethod
    def _of(self, read: Callable[[sa.Engine, Collection[int]], dict[int, T]], pk: int) -> T | None:
        """What a function that reads several nodes gives for one."""

    @abstractmethod
    def _records(self, pks: Sequence[int], curves: bool, replicates: bool) -> list[Records]:
        """Trials of nodes, node by node."""

    # A tree.

    def nodes(self, tree: int) -> dict[str, StoredNode]:
        """All nodes of a tree by id, oldest first; those that are damaged are left out."""
        return self._once(_nodes, tree)[0]

    def damaged_nodes(self, tree: int) -> dict[str, str]:
        """Id of a node that can't be read -> why."""
        return self._once(_nodes, tree)[1]

    def tags(self, tree: int) -> dict[str, str]:
        """Tag -> node id."""
        known, tags = self.nodes(tree), self._once(_tags, tree)
        return {tag: key for tag, key in tags.items() if key in known}

    @abstractmethod
    def counts(self, tree: int) -> dict[int, dict[str, int]]:
        """Node row -> state -> number of planned trials, the last attempt of each."""

    @abstractmethod
    def best_record(self, pk: int, goal: Goal) -> tuple[int, Records] | None:
        """The best planned trial of a round and its number among them, found without keeping the others in memory.

        ``None`` where no trial may be called best.

        Args:
            pk: Row of the node.
            goal: What its trials are judged by: a metric that is neither a function nor read off curves.
        """

    def last_rows(self, tree: int) -> dict[int, int]:
        """See :func:`refine.store.log.last_rows`."""
        return self._once(last_rows, tree)

    def last_marks(self, tree: int) -> dict[int, int]:
        """See :func:`refine.store.marks.last_marks`."""
        return self._once(last_marks, tree)

    def last_exclusions(self, tree: int) -> dict[int, int]:
        """See :func:`refine.store.marks.last_exclusions`."""
        return self._once(last_exclusions, tree)

    # A node.

    def marks(self, pk: int) -> list[Mark]:
        """What people noted about its trials, oldest first."""
        return self._of(read_marks, pk) or []

    def inherited(self, pk: int) -> frozenset[str]:
        """Keys of the configurations that a node does not run again."""
        return frozenset(self._of(_inherited, pk) or ())

    def plans(self, pk: int) -> list[int]:
        """How many configurations a node was to run, increasing: the first plan, and one for every larger ``n``."""
        return sorted(set(self._of(_plans, pk) or ()))

    def beside(self, pk: int) -> list[Beside]:
        """What a node runs beside its design's cells: first what somebody gave, the baseline before all."""
        planned = self._of(_beside, pk)
        return beside_of(planned or ())

    def environments(self, pk: int) -> list[dict[str, str]]:
        """Everything a round ran on, oldest first."""
        return [json.loads(text) for text in self._of(_environments, pk) or ()]

    def ran_on(self, pk: int) -> list[tuple[dict[str, str], int]]:
        """What trials of a round ran on, and how many, most first."""
        known = {environment_digest(text): text for text in self._of(_environments, pk) or ()}
        counts = self._of(count_environments, pk) or ()
        return [(json.loads(known[mark]), count) for mark, count in counts if mark in known]

    def environments_of(self, pk: int, keys: Collection[str]) -> list[dict[str, str]]:
        """What the planned runs of some configurations ran on; the round's last one where the store does not say it of trials."""
        known = {environment_digest(text): text for text in self._of(_environments, pk) or ()}
        found = [known[mark] for mark in environment_marks(self.engine, pk, keys) if mark in known]
        return [json.loads(text) for text in found or list(known.values())[-1:]]

    def proposals(self, pk: int) -> dict[str, str]:
        """Digest -> content of every proposal that was made, the one that was made last at the end."""
        return dict(self._of(_proposals, pk) or ())

    def decisions(self, pk: int) -> list[tuple[str, float]]:
        """(content, time) of every decision taken on a node's proposals, oldest first."""
        return self._of(_decisions, pk) or []

    def openings(self, pk: int) -> list[StoredOpening]:
        """Openings of a node's hold-out with what they showed, oldest first."""
        return self._of(_openings, pk) or []

    # Its trials.

    def records(self, pks: Sequence[int], curves: bool = False, replicates: bool = False) -> Records:
        """Trials of some nodes as columns, in the order of node and of finishing; the last attempt of each.

        Args:
            pks: Rows of nodes.
            curves: Whether to read values per epoch as well.
            replicates: Whether to read replicates too, and not the planned runs alone.
        """
        return _joined(self._records(sorted(set(pks)) or [0], curves, replicates))

    def record_blocks(self, pk: int, curves: bool) -> Iterator[Records]:
        """See :func:`refine.store.log.record_blocks`."""
        return record_blocks(self.engine, pk, curves)

    def shown(self, pk: int) -> list[dict[str, Any]]:
        """See :func:`refine.store.log.read_shown`."""
        return read_shown(self.engine, pk)

    def examples(self, pk: int, keys: Sequence[str]) -> dict[str, Examples]:
        """See :func:`refine.store.log.read_examples`."""
        return read_examples(self.engine, pk, keys)

    def curves(self, pk: int, keys: Sequence[str]) -> dict[str, Curve]:
        """See :func:`refine.store.log.read_curves`."""
        return read_curves(self.engine, pk, keys)


class Snapshot(Reader):
    """Reads everything once. What is read of one of some rounds is read of all of them by the same statement.

    Args:
        reader: The store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._together: frozenset[int] = frozenset()
        self._known: dict[Any, Any] = {}

    def together(self, pks: Collection[int]) -> Snapshot:
        """Says which nodes are looked at by one operation, so that they are read together."""
        self._together = frozenset(pks)
        return self

    @property
    def engine(self) -> sa.Engine:
        """Where connections come from."""
        return self._reader.engine

    def _once(self, read: Callable[[sa.Engine, int], T], tree: int) -> T:
        if (read, tree) not in self._known:
            self._known[read, tree] = read(self.engine, tree)
        return cast(T, self._known[read, tree])

    def counts(self, tree: int) -> dict[int, dict[str, int]]:
        """See :meth:`Reader.counts`."""
        if ("counts", tree) not in self._known:
            self._known["counts", tree] = self._reader.counts(tree)
        return cast(dict[int, dict[str, int]], self._known["counts", tree])

    def best_record(self, pk: int, goal: Goal) -> tuple[int, Records] | None:
        """See :meth:`Reader.best_record`."""
        if (pk, goal) not in self._known:
            self._known[pk, goal] = self._reader.best_record(pk, goal)
        return cast(tuple[int, Records] | None, self._known[pk, goal])

    def _of(self, read: Callable[[sa.Engine, Collection[int]], dict[int, T]], pk: int) -> T | None:
        known: dict[int, T | None] = self._known.setdefault(read, {})
        if pk not in known:
            wanted = self._wanted(known, pk)
            known |= {**dict.fromkeys(wanted), **read(self.engine, wanted)}
        return known[pk]

    def _records(self, pks: Sequence[int], curves: bool, replicates: bool) -> list[Records]:
        known: dict[int, Records] = self._known.setdefault((read_records, curves), {})
        for pk in pks:
            if pk not in known:
                known.update(read_records(self.engine, self._wanted(known, pk), curves, replicates=True))
        found = [known[pk] for pk in pks]
        return found if replicates else [planned(r) for r in found]

    def _wanted(self, known: dict[int, Any], pk: int) -> list[int]:
        others = self._together - known.keys() if pk in self._together else frozenset()
        return sorted({pk} | others)


def _joined(parts: Sequence[Records]) -> Records:
    if len(parts) == 1:
        return parts[0]
    names = parts[0].columns
    return Records(
        Rows.joined(part.configurations for part in parts),
        Rows.joined(part.metrics for part in parts),
        [c for part in parts for c in part.curves],
        {name: [v for part in parts for v in part.columns[name]] for name in names},
        tuple(text for part in parts for text in part.damaged),
    )


def _nodes(engine: sa.Engine, tree: int) -> tuple[dict[str, StoredNode], dict[str, str]]:
    with engine.connect() as connection:
        return read_nodes(connection, tree)


def read_nodes(connection: sa.Connection, tree: int) -> tuple[dict[str, StoredNode], dict[str, str]]:
    """The nodes that can be read, and why the others can't: what came from a damaged one is left out with it."""
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
    found: dict[str, StoredNode] = {}
    damaged: dict[str, str] = {}
    for order, row in enumerate(rows):
        try:
            node = node_of(row._asdict())
            if row.n is None:
                raise ValueError("it plans no configuration")
            if node.parent is not None and node.parent not in found:
                raise ValueError(
                    f"the round that it comes from, {node.parent}, can't be read or is not there"
                )
        except BROKEN as error:
            damaged[str(row.id)] = said(error)
            continue
        found[row.id] = StoredNode(row.pk, node, int(row.n), int(row.first), order)
    return found, damaged


def _tags(engine: sa.Engine, tree: int) -> dict[str, str]:
    query = (
        sa.select(t.tag.c.name, t.node.c.id)
        .join(t.node, t.node.c.pk == t.tag.c.node)
        .where(t.tag.c.tree == tree)
        .order_by(t.tag.c.name)
    )
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def _grouped(
    engine: sa.Engine, query: sa.Select[Any], made: Callable[[sa.Row[Any]], T]
) -> dict[int, list[T]]:
    """Rows of a query by their first column, a node."""
    out: dict[int, list[T]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            mine = out.setdefault(row[0], [])
            try:
                mine.append(made(row))
            except BROKEN as error:
                names = ", ".join(dict.fromkeys(column.table.name for column in query.selected_columns))
                warnings.warn(
                    f"store {shown_url(engine.url)}: a stored row of {names} can't be read ({said(error)}) and is left out; "
                    "see what is damaged, and remove it",
                    RefineWarning,
                    stacklevel=2,
                )
    return out


def _inherited(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[str]]:
    c = t.inherited.c
    return _grouped(engine, sa.select(c.node, c.key).where(c.node.in_(pks)), lambda row: row.key)


def _beside(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[tuple[str, dict[str, Any]]]]:
    c = t.cell_plan.c
    query = sa.select(c.node, c.origin, c.configuration).where(c.node.in_(pks)).order_by(c.position)
    return _grouped(engine, query, lambda row: (row.origin, json.loads(row.configuration)))


def environment_digest(text: str) -> str:
    """By which trials refer to a stored environment."""
    return digest(json.loads(text), 16)


def _environments(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[str]]:
    c = t.run.c
    query = sa.select(c.node, c.environment).where(c.node.in_(pks)).order_by(c.pk)

    def sound(row: sa.Row[Any]) -> str:
        json.loads(row.environment)
        return str(row.environment)

    return _grouped(engine, query, sound)


@lru_cache(maxsize=4096)
def _sound_proposal(content: str) -> str:
    """A stored proposal that can be read; it never changes, and is asked for all the time."""
    Proposal.from_json(json.loads(content))
    return content


@lru_cache(maxsize=4096)
def _sound_decision(content: str) -> str:
    Decision.from_json(json.loads(content))
    return content


def _plans(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[int]]:
    c = t.plan.c
    query = sa.select(c.node, c.n).where(c.node.in_(pks), c.n.between(1, LARGEST))
    return _grouped(engine, query, lambda row: int(row.n))


def _proposals(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    c = t.proposal.c
    query = sa.select(c.node, c.digest, c.content).where(c.node.in_(pks)).order_by(c.pk)
    return _grouped(engine, query, lambda row: (row.digest, _sound_proposal(row.content)))


def _decisions(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[tuple[str, float]]]:
    c = t.decision.c
    query = sa.select(c.node, c.content, c.created).where(c.node.in_(pks)).order_by(c.pk)
    return _grouped(engine, query, lambda row: (_sound_decision(row.content), row.created))


def _openings(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[StoredOpening]]:
    c, o = t.opening.c, t.opened.c
    columns = (o.opening, o.key, o.replicate, o.seed, o.state, o.metrics, o.seconds, o.error)
    runs = _grouped(
        engine,
        sa.select(*columns)
        .join(t.opening, c.pk == o.opening)
        .where(c.node.in_(pks))
        .order_by(o.replicate, o.key),
        lambda row: HoldoutRun(
            row.key, row.replicate, row.seed, row.state, json.loads(row.metrics), row.seconds, row.error
        ),
    )

    def opening(row: sa.Row[Any]) -> StoredOpening:
        content, own = json.loads(row.content), tuple(runs.get(row.pk, ()))
        keys = tuple(content["keys"])
        return StoredOpening(row.pk, row.node, keys, content["seeds"], row.author, row.note, row.created, own)

    query = sa.select(c.node, c.pk, c.content, c.author, c.note, c.created).where(c.node.in_(pks))
    return _grouped(engine, query.order_by(c.pk), opening)
