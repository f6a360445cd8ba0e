"""The store: trees, nodes, trials and decisions in SQLite or PostgreSQL, through SQLAlchemy Core.

One commit per finished trial. Nodes, proposals and decisions are written once and never changed. Reading
executes nothing that was stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from refine.errors import NotFoundError, StoreError, did_you_mean
from refine.space.encoding import digest, dumps
from refine.space.space import configuration_key, decode_configuration
from refine.store.counts import Counts
from refine.store.engine import (
    NotWritableError,
    absolute,
    check_place,
    engine_of,
    may_be_written,
    reading_engine,
    say_the_rest,
    url_of,
)
from refine.store.lease import Held, lease, leases, unlock
from refine.store.log import TrialWriter, read_records
from refine.store.marks import Mark
from refine.store.reader import Reader, Snapshot, environment_digest
from refine.store.removal import (
    Damaged,
    Removal,
    find_damage,
    note_removal,
    removals,
    remove_damaged,
    remove_rows,
    remove_trials,
)
from refine.store.schema import SCHEMA_VERSION, migrate, shown_url, t, version_of
from refine.store.validity import faults_of
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.round_record import BASELINE, HoldoutRun, Node, StoredDecision
from refine.trials.trial import State
from refine.utils.action import Action
from refine.utils.warning import warn

T = TypeVar("T")

_TRIES = 20


def _settings(node: Node) -> dict[str, Any]:
    """What a node's row says that is no part of its id, but for the note, author and time."""
    return {
        "metric": node.metric,
        "direction": node.direction,
        "allow_degenerate": int(node.allow_degenerate),
        "scientific": dumps(list(node.scientific)),
        "epsilon": node.epsilon,
        "subject_to": dumps(list(node.subject_to)) if node.subject_to else None,
        "goals": dumps([list(goal) for goal in node.goals]) if node.goals else None,
    }


class Store(Reader):
    """One database: ``"sqlite:///refine.db"``, ``"postgresql+psycopg://user@host/db"``, or the path of a SQLite file.

    With ``"sqlite:///refine.db?timeout=300"`` a write waits 300 seconds, not 30, for another process's lock. ``create`` says
    whether a SQLite file that is not there is created. One that is not ``writable``, on a read-only medium say, is looked at
    all the same; of a database server the role says so when something is written.

    Raises StoreError: it can't be opened, is no refine store, or is of a version that this refine does not know;
    NotFoundError: there is no such file, and ``create`` is false.
    """

    def __init__(self, url: str | os.PathLike[str], create: bool = True) -> None:
        self.url = url_of(url)
        self.closed = False
        self._counts = Counts()
        check_place(self.url, create)
        try:
            place = absolute(self.url)
            self.writable = may_be_written(place)
            self._engine = engine_of(place) if self.writable else reading_engine(place)
            self._prepare()
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreError(f"store {self.name}: can't be opened: {reason}; check the path or URL") from None
        say_the_rest(self._engine, self.name)

    def _prepare(self) -> None:
        """Makes the tables where there are none yet, and sees that they are those of today."""
        try:
            with self._engine.begin() as connection:
                if self.writable:
                    migrate(connection, self.name)
                elif (version := version_of(connection, self.name)) != SCHEMA_VERSION:
                    what = "is no refine store" if version is None else f"has the older schema {version}"
                    raise StoreError(
                        f"store {self.name}: {what}, and it may not be written, so that nothing can be done about that; copy it "
                        "to where you may write, and open the copy"
                    )
        except StoreError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The URL without its password."""
        return shown_url(self.url)

    @property
    def typed(self) -> str:
        """The store as a person types it: the file of SQLite, else the URL without its password."""
        return (self.url.database or "STORE") if self.url.get_backend_name() == "sqlite" else self.name

    @property
    def in_memory(self) -> bool:
        """Whether it is a SQLite database without a file, of which all of a process share one connection."""
        return self.url.get_backend_name() == "sqlite" and not self.url.database

    @property
    def engine(self) -> sa.Engine:
        """Where connections come from. Raises StoreError: the store was closed."""
        if self.closed:
            raise StoreError(
                f"store {self.name}: was closed, by tree.close() or at the end of its with block; open it again: "
                "refine.Tree(name, store=...)"
            )
        return self._engine

    def snapshot(self) -> Snapshot:
        """A reader that reads everything once: for what looks at a whole tree."""
        return Snapshot(self)

    def _once(self, read: Callable[[sa.Engine, int], T], tree: int) -> T:
        return read(self.engine, tree)

    def counts(self, tree: int) -> dict[int, dict[str, int]]:
        """See :meth:`refine.store.reader.Reader.counts`."""
        return self._counts.states(self.engine, tree)

    def best_record(self, pk: int, goal: Goal) -> tuple[int, Records] | None:
        """See :meth:`refine.store.reader.Reader.best_record`."""
        best = self._counts.best(self.engine, pk, goal)
        records = read_records(self.engine, [pk], row=best.row)[pk] if best.row else None
        return (best.position, records) if records and records.metrics else None

    def _of(self, read: Callable[[sa.Engine, Collection[int]], dict[int, T]], pk: int) -> T | None:
        return read(self.engine, [pk]).get(pk)

    def _records(self, pks: Sequence[int], curves: bool, replicates: bool) -> list[Records]:
        found = read_records(self.engine, pks, curves, replicates)
        return [found[pk] for pk in pks]

    def close(self) -> None:
        """Closes every connection; after that nothing is read or written any more."""
        self.closed = True
        self._engine.dispose()

    def integrity(self) -> str:
        """What SQLite says of its file: ``"ok"``, or what is wrong with it."""
        with self.engine.connect() as connection:
            return str(connection.execute(sa.text("PRAGMA integrity_check")).scalar())

    def leases(self) -> list[Held]:
        """Which rounds are being run, and by whom."""
        return leases(self.engine)

    # Trees and nodes.

    def tree(self, name: str, create: bool = True) -> int:
        """The row of the tree of that name, created if need be.

        Raises NotFoundError: it does not exist and ``create`` is false.
        """

        def write(connection: sa.Connection) -> int | None:
            found = connection.execute(sa.select(t.tree.c.pk).where(t.tree.c.name == name)).scalar()
            if found is None and create:
                row = t.tree.insert().values(name=name, created=time.time())
                found = connection.execute(row).inserted_primary_key[0]  # type: ignore[index]
            return found

        if (pk := self._written(write)) is None:
            raise NotFoundError(f"store {self.name}: no tree {name!r}; {did_you_mean(name, self.trees())}")
        return int(pk)

    def trees(self) -> list[str]:
        """Names of all trees, in order of creation."""
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(t.tree.c.name).order_by(t.tree.c.pk)).scalars())

    def add_node(
        self,
        tree: int,
        node: Node,
        n: int,
        inherited: Iterable[str] = (),
        extra: Sequence[tuple[str, dict[str, Any]]] = (),
        decision: StoredDecision | None = None,
        given: Sequence[tuple[str, dict[str, Any]]] = (),
    ) -> int:
        """Writes a node with all that belongs to it in one transaction, unless it is there already; returns its row.

        It plans ``n`` configurations, and a larger number than before extends it; ``extra`` of them, ``(origin, encoded
        configuration)``, run beside the design's cells. ``given`` are the same of what somebody gave, ``"baseline"`` or
        ``"given"``, once per seed; of a node that is there already, what it has not is added, and it plans so many more. Another
        baseline takes the place of an earlier one. ``inherited`` are keys of configurations that ancestors had completed at this
        moment. No node of a ``decision`` is ever without it.
        """

        def write(connection: sa.Connection) -> int:
            pk = _node_pk(connection, tree, node.id)
            if pk is not None and (text := self.damaged_nodes(tree).get(node.id)):
                raise StoreError(
                    f"round {node.id}: is in the store, but can't be read ({text}); remove it first",
                    Action("tree.repair"),
                )
            if pk is None:
                row = {
                    "tree": tree,
                    "id": node.id,
                    "content": dumps(node.identity()),
                    **_settings(node),
                    "note": node.note,
                    "author": node.author,
                    "created": node.created,
                }
                pk = int(connection.execute(t.node.insert().values(row)).inserted_primary_key[0])  # type: ignore[index]
                keys = [{"node": pk, "key": key} for key in sorted(set(inherited))]
                if keys:
                    connection.execute(t.inherited.insert(), keys)
                if extra:
                    connection.execute(t.cell_plan.insert(), _beside_rows(pk, extra))
            added = _write_given(connection, pk, given)
            planned = connection.execute(
                sa.select(sa.func.max(t.plan.c.n)).where(t.plan.c.node == pk)
            ).scalar()
            wanted = n if planned is None else max(n, planned + added)
            if planned is None or wanted > planned:
                connection.execute(t.plan.insert().values(node=pk, n=wanted, created=time.time()))
            if decision is not None:
                _write_decision(connection, decision)
            return pk

        return self._written(write)

    def extend(self, pk: int, extra: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Says which configurations some of a node's exploit trials are, after those that are known."""

        def write(connection: sa.Connection) -> None:
            c = t.cell_plan.c
            last = connection.execute(sa.select(sa.func.max(c.position)).where(c.node == pk)).scalar()
            connection.execute(t.cell_plan.insert(), _beside_rows(pk, extra, 0 if last is None else last + 1))

        self._written(write)

    def set_defaults(self, tree: int, node: Node) -> None:
        """Takes over what is no part of a node's id: its metric, direction and goals, what is scientific, which loss counts as none."""
        self._set(tree, node.id, _settings(node))

    def set_epsilon(self, tree: int, node_id: str, epsilon: float | None) -> None:
        """Says which loss counts as none on a node."""
        self._set(tree, node_id, {"epsilon": epsilon})

    def _set(self, tree: int, node_id: str, values: Mapping[str, Any]) -> None:
        mine = (t.node.c.tree == tree, t.node.c.id == node_id)
        with self.engine.begin() as connection:
            connection.execute(t.node.update().where(*mine).values(values))

    def set_scientific(self, tree: int, node_id: str, said: Mapping[str, bool]) -> None:
        """Says of parameters whether they are scientific; those that are not named stay what they are."""
        c, mine = t.node.c, (t.node.c.tree == tree, t.node.c.id == node_id)

        with self.engine.begin() as connection:
            # Writing takes the lock: what somebody else says at the same moment is read, not lost.
            connection.execute(t.node.update().where(*mine).values(scientific=c.scientific))
            kept = json.loads(connection.execute(sa.select(c.scientific).where(*mine)).scalar() or "[]")
            named = [name for name in {*kept, *said} if said.get(name, name in kept)]
            connection.execute(t.node.update().where(*mine).values(scientific=dumps(sorted(named))))

    # Tags.

    def set_tag(self, tree: int, name: str, pk: int) -> None:
        """Points a tag at a node; a tag that exists moves."""

        def write(connection: sa.Connection) -> None:
            connection.execute(t.tag.delete().where(t.tag.c.tree == tree, t.tag.c.name == name))
            connection.execute(t.tag.insert().values(tree=tree, name=name, node=pk, created=time.time()))

        self._written(write)

    # Trials, and the right to run them.

    def writer(self, pk: int) -> TrialWriter:
        """A context manager that records trials of one node over a connection of its own."""
        return TrialWriter(self.engine, pk)

    def store_scores(self, pk: int, metric: Metric) -> None:
        """Keeps what a metric's function says of every complete trial among the trial's metrics.

        Trials may have ended before the function was the metric, or have been scored by an earlier version of it.
        """
        c = t.trial.c
        complete = sa.select(c.pk, c.metrics).where(c.node == pk, c.state == State.COMPLETE)
        with self.engine.begin() as connection:
            for trial, text in connection.execute(complete).all():
                metrics = json.loads(text)
                value = metric.of(metrics, {})
                if value is not None and repr(metrics.get(metric.name)) != repr(value):
                    row = {"metrics": json.dumps({**metrics, metric.name: value})}
                    connection.execute(t.trial.update().where(c.pk == trial).values(row))

    def lease(self, pk: int, what: str) -> AbstractContextManager[Callable[[], None]]:
        """See :func:`refine.store.lease.lease`."""
        return lease(self.engine, pk, what)

    # What rounds ran on.

    def add_environment(self, pk: int, found: Mapping[str, str]) -> str:
        """Notes what trials of a round run on, each environment once; returns its digest, by which they refer to it."""
        text, c = dumps(dict(found)), t.run.c

        def write(connection: sa.Connection) -> None:
            known = sa.select(c.pk).where(c.node == pk, c.environment == text)
            if connection.execute(known).first() is None:
                connection.execute(t.run.insert().values(node=pk, environment=text, created=time.time()))

        self._written(write)
        return environment_digest(text)

    # Proposals and decisions.

    def add_proposal(self, pk: int, digest: str, content: str, again: bool = True) -> None:
        """Keeps a proposal under its digest; with ``again`` one that was made before becomes the last again, else stays where it is.

        Warns where the store may not be written, so that the proposal is not kept.
        """
        c = t.proposal.c

        def write(connection: sa.Connection) -> None:
            known = list(connection.execute(sa.select(c.digest).where(c.node == pk).order_by(c.pk)).scalars())
            if digest in known:
                if not again or known[-1] == digest:
                    return
                connection.execute(t.proposal.delete().where(c.node == pk, c.digest == digest))
            row = {"node": pk, "digest": digest, "content": content, "created": time.time()}
            connection.execute(t.proposal.insert().values(row))

        try:
            self._written(write)
        except NotWritableError as error:
            warn(f"{error}; the proposal is not kept, and can't be decided upon here")

    def add_decision(self, decision: StoredDecision) -> None:
        """Keeps a decision; the same decision on the same proposal again is nothing new."""
        self._written(lambda connection: _write_decision(connection, decision))

    # What is damaged, and what is removed for good.

    def damage(self, tree: int) -> list[Damaged]:
        """See :func:`refine.store.removal.find_damage`."""
        return find_damage(self.engine, tree)

    def check_plan(self, pk: int) -> None:
        """Raises StoreError where a stored row of what a round runs beside its design can't be read."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(t.cell_plan).where(t.cell_plan.c.node == pk)).mappings().all()
        for text in faults_of(t.cell_plan, [dict(row) for row in rows]).values():
            raise StoreError(f"its plan is damaged: {text}; remove what is damaged", Action("tree.repair"))

    def remove_damaged(self, tree: int, found: Sequence[Damaged], entries: Sequence[Removal]) -> None:
        """Takes damaged rows out, and notes it for the log."""
        with self._removing(tree, entries) as connection:
            remove_damaged(connection, found)

    def remove_trials(
        self, tree: int, pk: int, numbers: Collection[int], curves: bool, entry: Removal
    ) -> None:
        """Takes trials out: see :func:`refine.store.removal.remove_trials`."""
        with self._removing(tree, [entry]) as connection:
            remove_trials(connection, pk, numbers, curves)

    def add_marks(self, pk: int, marks: Sequence[Mark]) -> None:
        """Keeps what somebody noted about trials of a node, all as of now."""
        about = {"node": pk, "created": time.time()}
        rows = [
            {**mark._asdict(), "excluded": _flag(mark.excluded), "starred": _flag(mark.starred), **about}
            for mark in marks
        ]
        if rows:
            self._written(lambda connection: connection.execute(t.mark.insert(), rows))

    def remove_nodes(self, tree: int, pks: Sequence[int], entries: Sequence[Removal]) -> None:
        """Takes rounds out with everything that belongs to them."""
        with self._removing(tree, entries) as connection:
            remove_rows(connection, t.node, t.node.c.pk.in_(list(pks)))

    @contextlib.contextmanager
    def _removing(self, tree: int, entries: Sequence[Removal]) -> Iterator[sa.Connection]:
        """A transaction that is noted for the log."""
        with self.engine.begin() as connection:
            yield connection
            for entry in entries:
                note_removal(connection, tree, entry)

    def unlock(self, tree: int, pk: int, what: str, entry: Removal) -> Held | None:
        """Takes the lease on a round away: see :func:`refine.store.lease.unlock`."""
        with self.engine.begin() as connection:
            held = unlock(connection, pk, what)
            if held is not None:
                said = f"process {held.pid} on {held.host} held it"
                note = f"{entry.note} ({said})" if entry.note else said
                note_removal(connection, tree, entry._replace(note=note))
            return held

    def removals(self, tree: int) -> list[Removal]:
        """What was removed from a tree, oldest first."""
        return removals(self.engine, tree)

    # Hold-outs.

    def add_opening(self, pk: int, keys: Sequence[str], seeds: int, note: str, author: str) -> None:
        """Logs that the hold-out is opened at a node, unless it was for the same models."""
        content = dumps({"keys": list(keys), "seeds": seeds})
        c, mark = t.opening.c, digest(content, 16)

        def write(connection: sa.Connection) -> None:
            known = sa.select(c.pk).where(c.node == pk, c.digest == mark)
            if connection.execute(known).scalar() is None:
                row = {"node": pk, "digest": mark, "content": content, "note": note, "author": author}
                connection.execute(t.opening.insert().values({**row, "created": time.time()}))

        self._written(write)

    def add_holdout_run(self, opening: int, run: HoldoutRun) -> None:
        """Keeps what one model showed on the hold-out."""
        row = {
            **run._asdict(),
            "opening": opening,
            "metrics": json.dumps(run.metrics),
            "finished": time.time(),
        }
        with self.engine.begin() as connection:
            connection.execute(t.opened.insert().values(row))

    def _written(self, write: Callable[[sa.Connection], T]) -> T:
        """A transaction; again where somebody else wrote the same between its look and its write."""
        for _ in range(_TRIES):
            with contextlib.suppress(sa.exc.IntegrityError), self.engine.begin() as connection:
                return write(connection)
        with self.engine.begin() as connection:
            return write(connection)


def _flag(said: bool | None) -> int | None:
    return None if said is None else int(said)


def _node_pk(connection: sa.Connection, tree: int, node_id: str) -> int | None:
    query = sa.select(t.node.c.pk).where(t.node.c.tree == tree, t.node.c.id == node_id)
    return connection.execute(query).scalar()


def _write_given(connection: sa.Connection, pk: int, given: Sequence[tuple[str, dict[str, Any]]]) -> int:
    """Adds what somebody gave to what a node runs beside its design's cells; how many configurations are new to it."""
    if not given:
        return 0
    c = t.cell_plan.c
    if any(origin == BASELINE for origin, _ in given):
        earlier = t.cell_plan.update().where(c.node == pk, c.origin == BASELINE)
        connection.execute(earlier.values(origin="given"))
    query = sa.select(c.position, c.origin, c.configuration).where(c.node == pk).order_by(c.position)
    rows = connection.execute(query).all()
    there = Counter(row.configuration for row in rows)
    last = max((row.position for row in rows), default=-1)
    known = set(there)
    for origin, configuration in given:
        text = dumps(configuration)
        if origin == BASELINE:
            same = t.cell_plan.update().where(c.node == pk, c.configuration == text)
            connection.execute(same.values(origin=BASELINE))
        if there[text] > 0:
            there[text] -= 1
            continue
        last += 1
        row = {"node": pk, "position": last, "origin": origin, "configuration": text}
        connection.execute(t.cell_plan.insert().values(row))
    run = sa.select(t.trial.c.key).where(t.trial.c.node == pk)
    keys = set(connection.execute(run).scalars())
    new = {dumps(configuration): configuration for _, configuration in given}
    return sum(
        text not in known and configuration_key(decode_configuration(configuration)) not in keys
        for text, configuration in new.items()
    )


def _beside_rows(
    pk: int, extra: Sequence[tuple[str, dict[str, Any]]], first: int = 0
) -> list[dict[str, Any]]:
    """Rows of what a node runs beside its design's cells, from a position on."""
    return [
        {"node": pk, "position": i, "origin": origin, "configuration": dumps(configuration)}
        for i, (origin, configuration) in enumerate(extra, first)
    ]


def _write_decision(connection: sa.Connection, decision: StoredDecision) -> None:
    c = t.decision.c
    same = sa.select(c.pk).where(c.node == decision.node, c.digest == decision.digest)
    if connection.execute(same).scalar() is None:
        connection.execute(t.decision.insert().values({**decision._asdict(), "created": time.time()}))


# Which trees a store holds, without making one.


def check_exists(store: str | os.PathLike[str]) -> None:
    """Opening a store creates it; who only looks must not leave an empty one behind.

    Raises NotFoundError: it is a file, and there is none.
    """
    url = url_of(store)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise NotFoundError(f"store {store}: no such file; give the path or URL of a store that exists")


def only_tree(
    store: str | os.PathLike[str],
    how: str = "refine.Tree({name!r}, store=...)",
    made_by: str = "refine.Tree('NAME', store=...)",
) -> str:
    """The name of a store's only tree.

    Errors say ``how`` one names a tree, with ``{name}`` in it, and what the first one is ``made_by``. Raises
    NotFoundError: there is no such store, or none or several trees in it.
    """
    check_exists(store)
    with contextlib.closing(Store(store)) as database:
        names, shown = database.trees(), database.name
    if not names:
        raise NotFoundError(f"store {shown}: holds no tree yet; {made_by} makes one")
    if len(names) > 1:
        many, first = f"holds {len(names)} trees ({', '.join(names)})", how.format(name=names[-1])
        raise NotFoundError(f"store {shown}: {many}; name one: {first}")
    return names[0]
