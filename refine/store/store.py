"""The store: trees, nodes, trials and decisions in SQLite or PostgreSQL, through SQLAlchemy Core.

One commit per finished trial. Nodes, proposals and decisions are written once and never changed. Stored
content is never executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import sqlalchemy as sa

from refine.errors import NotFoundError, StoreError, did_you_mean, first_line
from refine.space.encoding import digest, dumps
from refine.space.space import configuration_key, decode_configuration
from refine.store.budget import (
    claimed_trials,
    lock_budget,
    read_budget,
    read_state,
    release_claim,
    write_budget,
    write_claim,
)
from refine.store.counts import Counts
from refine.store.engine import (
    NotWritableError,
    absolute,
    backup,
    check_place,
    checkpoint,
    engine_of,
    file_of,
    inserted,
    lasting,
    may_be_written,
    say_the_rest,
    url_of,
    use_wal,
    while_restarting,
)
from refine.store.exclusions import Mark
from refine.store.lease import LeaseRow, lease, leases
from refine.store.log import TrialWriter, read_records
from refine.store.questions import add_answer, answers
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
from refine.store.validity import LATEST, faults_of, node_row, settings_of
from refine.trials.budget import Budget, BudgetState, raised
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.round_record import (
    BASELINE,
    Addition,
    Encoded,
    HoldoutRun,
    Node,
    StoredDecision,
    repeats_of,
)
from refine.trials.stored_answer import StoredAnswer
from refine.trials.trial import State, StateCounts
from refine.utils.action import Action
from refine.utils.standard_streams import reserve_descriptors
from refine.utils.warning import warn

T = TypeVar("T")

_TRIES = 20


class Store(Reader):
    """One database.

    With ``"sqlite:///refine.db?patience=300"`` a lock of another process is waited for 300 seconds instead of
    30. For a server, ``patience`` is the time to wait for a lost connection, 60 seconds by default.

    Args:
        url: ``"sqlite:///refine.db"``, ``"postgresql+psycopg://user@host/db"``, or the path of a SQLite file.
        create: Whether to create a store that does not exist.

    Attributes:
        writable: Whether a SQLite file may be written. On a read-only medium or a full disk it can still be
            read. For a server the role decides when a row is written.

    Raises:
        StoreError: The database cannot be opened, is not a refine store, or has an unknown version.
        NotFoundError: The store does not exist, and ``create`` is false.
    """

    def __init__(self, url: str | os.PathLike[str], create: bool = True) -> None:
        reserve_descriptors()
        self.url = url_of(url)
        self.closed = False
        self._counts = Counts()
        check_place(self.url, create)
        place = absolute(self.url)
        self.writable = may_be_written(place)
        try:
            try:
                while_restarting(place, lambda: self._open(place, create))
            except StoreError as error:
                code = getattr(error.__cause__, "sqlite_errorname", None) or ""
                no_room = code.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
                self.writable &= not no_room or "LOCK" in code  # a refused lock is not a lack of space
                if self.writable or not code:
                    raise
                self._open(place, create)  # a store that was closed properly can be read without free space
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            reason = first_line(getattr(error, "orig", None) or error)
            fix = "check the path or URL"
            if file_of(self.url) is None:
                fix = "check the URL, and that the server runs"
            raise StoreError(f"store {self.name}: can't be opened: {reason}; {fix}") from None
        say_the_rest(self._engine, self.name)

    def _open(self, place: sa.URL, create: bool) -> None:
        """Creates the tables if there are none and ``create`` is true, and brings them up to date."""
        self._engine = engine_of(place, self.writable)
        try:
            with self._engine.begin() as connection:
                if self.writable:
                    created = migrate(connection, self.name, create)
                elif (version := version_of(connection, self.name)) != SCHEMA_VERSION:
                    if version is None:
                        fault = "holds no tree"
                    else:
                        fault = f"has the older schema {version}"
                    raise StoreError(
                        f"store {self.name}: {fault}, and it may not be written, so that nothing can be done "
                        "about that; copy it to where you may write, and open the copy"
                    )
            if self.writable and created:
                use_wal(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def name(self) -> str:
        """The URL without its password."""
        return shown_url(self.url)

    @property
    def typed(self) -> str:
        """The store as a person types it: the file of SQLite, else the URL without its password."""
        if self.url.get_backend_name() == "sqlite":
            return self.url.database or "STORE"
        return self.name

    @property
    def in_memory(self) -> bool:
        """True if this is a SQLite database without a file.

        The threads of a process share its one connection.
        """
        return self.url.get_backend_name() == "sqlite" and not self.url.database

    @property
    def engine(self) -> sa.Engine:
        """The engine, which gives connections. Raises StoreError: the store was closed."""
        if self.closed:
            raise StoreError(
                f"store {self.name}: was closed, by tree.close() or at the end of its with block; open it "
                "again: refine.Tree(name, store=...)"
            )
        return self._engine

    def snapshot(self) -> Snapshot:
        """A reader that caches what it reads, for operations on a whole tree."""
        return Snapshot(self)

    def counts(self, tree: int) -> StateCounts:
        """See :meth:`refine.store.reader.Reader.counts`."""
        return self._counts.states(self.engine, tree)

    def best_record(self, pk: int, goal: Goal) -> tuple[int, Records] | None:
        """See :meth:`refine.store.reader.Reader.best_record`."""
        best = self._counts.best(self.engine, pk, goal)
        if best.row:
            records = read_records(self.engine, [pk], row=best.row)[pk]
        else:
            records = None
        if records and records.metrics:
            return (best.position, records)
        return None

    def close(self) -> None:
        """Closes every connection; the store can no longer be used."""
        self.closed = True
        self._engine.dispose()

    def integrity(self) -> str:
        """The result of SQLite's integrity check: ``"ok"``, or the faults."""
        with self.engine.connect() as connection:
            return str(connection.execute(sa.text("PRAGMA integrity_check")).scalar())

    def backup(self, file: str | os.PathLike[str]) -> None:
        """Writes a copy of a SQLite store into a new file: see :func:`refine.store.engine.backup`."""
        backup(self.engine, Path(file))

    def leases(self) -> list[LeaseRow]:
        """Leases of the rounds that are being run."""
        return leases(self.engine)

    # Trees and nodes.

    def tree(self, name: str, create: bool = True) -> int:
        """The row of a tree by name, created if need be.

        Raises NotFoundError: the tree does not exist and ``create`` is false.
        """

        def write(connection: sa.Connection) -> int | None:
            values = {"name": name}
            if create:
                return _added(connection, t.tree, values)
            return _pk_of(connection, t.tree, values)

        if (pk := self._written(write)) is None:
            raise NotFoundError(f"store {self.name}: no tree {name!r}; {did_you_mean(name, self.trees())}")
        if create:
            checkpoint(self._engine)
        return pk

    def remove_empty_tree(self, tree: int) -> None:
        """Removes a tree without rounds; a tree with rounds stays."""

        def write(connection: sa.Connection) -> None:
            has_rounds = sa.exists().where(t.node.c.tree == tree)
            connection.execute(sa.delete(t.tree).where(t.tree.c.pk == tree, ~has_rounds))

        self._written(write)

    def trees(self) -> list[str]:
        """Names of all trees, in order of creation."""
        with self.engine.connect() as connection:
            names = connection.execute(sa.select(t.tree.c.name).order_by(t.tree.c.pk)).scalars()
            return [name for name in names if isinstance(name, str)]

    def add_node(
        self,
        tree: int,
        node: Node,
        n: int,
        inherited: Iterable[str] = (),
        extra: Sequence[Encoded] = (),
        decision: StoredDecision | None = None,
        given: Sequence[Encoded | Addition] = (),
        budget: Budget = None,
    ) -> int:
        """Writes a node with its configurations in one transaction, unless it exists, and returns its row.

        Args:
            tree: Row of the tree.
            node: The node.
            n: Number of planned configurations; a larger number than before extends the node.
            inherited: Keys of configurations that ancestors had completed at this moment.
            extra: ``(origin, encoded configuration)`` of planned configurations that the design does not
                draw.
            given: Configurations given by a person, with ``"baseline"`` or ``"given"``, once per seed. If the
                node exists, missing ones are added and planned in addition. Another baseline replaces an
                earlier one. Or other additions of a person to the plan.
            decision: The decision that the node comes from, written together with it.
            budget: Budget of the tree from now on, if larger than the present one.

        Raises:
            DesignError: The configurations exceed the budget of the tree; nothing was written.
        """
        additions = [a for a in given if isinstance(a, Addition)]
        configurations = [g for g in given if not isinstance(g, Addition)]

        def write(connection: sa.Connection) -> int:
            lock_budget(connection, tree)
            if budget is not None:
                write_budget(connection, tree, raised(read_budget(connection, tree), budget))
            pk = _pk_of(connection, t.node, {"tree": tree, "id": node.id})
            if pk is not None and (text := self.damaged_nodes(tree).get(node.id)):
                raise StoreError(
                    f"round {node.id}: is in the store, but can't be read ({text}); remove it first",
                    Action("tree.repair"),
                )
            if pk is None:
                pk = inserted(connection, t.node, {"tree": tree, **node_row(node)})
                keys = [{"node": pk, "key": key} for key in sorted(set(inherited))]
                if keys:
                    connection.execute(t.inherited.insert(), keys)
                if extra:
                    connection.execute(t.cell_plan.insert(), _beside_rows(pk, extra))
            added = _write_given(connection, pk, configurations)
            planned = connection.execute(
                sa.select(sa.func.max(t.plan.c.n)).where(t.plan.c.node == pk)
            ).scalar()
            if planned is None:
                planned_now = n
            else:
                planned_now = max(n, planned + added)
            for addition in additions:
                _added(connection, t.addition, {"node": pk, **addition._asdict()})
            larger = planned is None or planned_now > planned
            if larger or additions:
                missing = _missing_repeats(connection, pk)
                repeats = missing + max(0, sum(origin == BASELINE for origin, _ in configurations) - 1)
                ended = _ended(connection, pk)
                unrun = max(0, planned_now - ended) + repeats
                if read_budget(connection, tree) is not None:
                    state = read_state(connection, tree)
                    # Planned trials that a call of this round will run are part of ``unrun`` already.
                    claimed = claimed_trials(connection, tree).get(pk, 0)
                    counted_twice = min(claimed, max(0, (planned or 0) - ended))
                    state = replace(state, running=state.running - counted_twice, mean_cost=node.mean_cost)
                    unrun -= min(missing, claimed - counted_twice)  # repeats that a call is running
                    # The number includes trials that ran already.
                    largest = planned_now - unrun + (state.left or 0)
                    fix = f"ask for n={largest} or fewer" if larger else "plan fewer repeats"
                    state.check(unrun, f"round {node.id}", fix)
            if larger:
                connection.execute(t.plan.insert().values(node=pk, n=planned_now, created=time.time()))
            if decision is not None:
                _write_decision(connection, decision)
            return pk

        return self._written(write)

    def extend(self, pk: int, extra: Sequence[Encoded]) -> None:
        """Stores the configurations of further exploit trials of a node."""
        first: list[int] = []

        def write(connection: sa.Connection) -> None:
            c = t.cell_plan.c
            last = connection.execute(sa.select(sa.func.max(c.position)).where(c.node == pk)).scalar()
            first.append(0 if last is None else last + 1)
            if first[-1] < first[0] + len(extra):  # else an unconfirmed commit had arrived
                connection.execute(t.cell_plan.insert(), _beside_rows(pk, extra, first[0]))

        self._written(write)

    def set_defaults(self, tree: int, node: Node) -> None:
        """Updates columns outside a node's id: metric, goals, epsilon."""
        self._set(tree, node.id, settings_of(node))

    def set_epsilon(self, tree: int, node_id: str, epsilon: float | None) -> None:
        """Sets the epsilon of a node."""
        self._set(tree, node_id, {"epsilon": epsilon})

    def set_note(self, tree: int, node_id: str, note: str) -> None:
        """Sets the note of a node."""
        self._set(tree, node_id, {"note": note})

    def _set(self, tree: int, node_id: str, values: Mapping[str, object]) -> None:
        update = t.node.update().where(t.node.c.tree == tree, t.node.c.id == node_id).values(values)
        self._written(lambda connection: connection.execute(update))

    def set_tag(self, tree: int, name: str, pk: int) -> None:
        """Points a tag at a node; a tag that exists moves."""

        def write(connection: sa.Connection) -> None:
            connection.execute(t.tag.delete().where(t.tag.c.tree == tree, t.tag.c.name == name))
            connection.execute(t.tag.insert().values(tree=tree, name=name, node=pk, created=time.time()))

        self._written(write)

    # The budget.

    def budget(self, tree: int) -> BudgetState:
        """The budget of a tree, with spent trials."""
        with self.engine.connect() as connection:
            return read_state(connection, tree)

    def has_budget(self, tree: int) -> bool:
        """True if the tree has a budget."""
        with self.engine.connect() as connection:
            return read_budget(connection, tree) is not None

    def set_budget(self, tree: int, budget: Budget) -> None:
        """Sets the budget of a tree; ``None`` removes it."""

        def write(connection: sa.Connection) -> None:
            lock_budget(connection, tree)
            write_budget(connection, tree, budget)

        self._written(write)

    def tree_of(self, pk: int) -> int:
        """Row of the tree of a node."""
        with self.engine.connect() as connection:
            query = sa.select(t.node.c.tree).where(t.node.c.pk == pk)
            return int(connection.execute(query).scalar_one())

    @contextlib.contextmanager
    def claim(self, pk: int, count: int, subject: str, fix: str) -> Iterator[BudgetState]:
        """Claims ``count`` trials of the budget for a call with the lease of a round.

        Yields the budget before the call. A tree without a budget may get a budget while the call runs.

        Raises:
            DesignError: The trials exceed the budget; ``subject`` and ``fix`` are parts of the message.
        """
        tree = self.tree_of(pk)

        def write(connection: sa.Connection) -> BudgetState:
            lock_budget(connection, tree)
            release_claim(connection, tree, pk)
            state = BudgetState()
            if read_budget(connection, tree) is not None:
                state = read_state(connection, tree)
                state.check(count, subject, fix)
            write_claim(connection, tree, pk, count)
            return state

        state = self._written(write)
        try:
            yield state
        finally:
            # A claim that cannot be released ends with the lease of this process.
            with contextlib.suppress(sa.exc.SQLAlchemyError, StoreError):
                self._written(lambda connection: release_claim(connection, tree, pk))

    # Trials, and the right to run them.

    def writer(self, pk: int, say: Callable[[str], object] = str) -> TrialWriter:
        """A context manager that records trials of one node over a connection of its own."""
        return TrialWriter(self.engine, pk, say)

    def store_scores(self, pk: int, metric: Metric) -> None:
        """Stores the value of a metric function among the metrics of every complete trial.

        Trials may have ended before the function was the metric, or with an earlier version of the function.
        """
        c = t.trial.c
        complete = sa.select(c.pk, c.metrics).where(c.node == pk, c.state == State.COMPLETE)

        def write(connection: sa.Connection) -> None:
            for trial, text in connection.execute(complete).all():
                metrics = json.loads(text)
                value = metric.of(metrics, {})
                if value is not None and repr(metrics.get(metric.name)) != repr(value):
                    row = {"metrics": json.dumps({**metrics, metric.name: value})}
                    connection.execute(t.trial.update().where(c.pk == trial).values(row))

        self._written(write)

    def lease(self, pk: int, round_name: str) -> AbstractContextManager[Callable[[], None]]:
        """See :func:`refine.store.lease.lease`."""
        return lease(self.engine, pk, round_name)

    # Environments of rounds.

    def add_environment(self, pk: int, environment: Mapping[str, str]) -> str:
        """Stores an environment of a round, once, and returns its digest, to which trials refer."""
        text = dumps(dict(environment))
        values = {"node": pk, "environment": text}
        self._written(lambda connection: _added(connection, t.run, values))
        return environment_digest(text)

    # Proposals and decisions.

    def add_proposal(self, pk: int, digest: str, content: str, replaces: bool = True) -> None:
        """Stores a proposal under its digest.

        Warns if the store may not be written, and the proposal is therefore not stored.

        Args:
            pk: Row of the node.
            digest: Digest of the proposal.
            content: Canonical JSON.
            replaces: Whether a proposal that is stored already becomes the latest one.
        """
        c = t.proposal.c

        def write(connection: sa.Connection) -> None:
            digests = list(
                connection.execute(sa.select(c.digest).where(c.node == pk).order_by(c.pk)).scalars()
            )
            if digest in digests:
                if not replaces or digests[-1] == digest:
                    return
                connection.execute(t.proposal.delete().where(c.node == pk, c.digest == digest))
            _added(connection, t.proposal, {"node": pk, "digest": digest}, {"content": content})

        try:
            self._written(write)
        except NotWritableError as error:
            warn(f"{error}; the proposal is not kept, and can't be decided upon here")

    def add_decision(self, decision: StoredDecision) -> None:
        """Stores a decision; an equal decision on the same proposal is stored once."""
        self._written(lambda connection: _write_decision(connection, decision))

    # Questions.

    def add_answers(self, tree: int, new: Sequence[StoredAnswer]) -> None:
        """Stores questions with their answers, once per author and evidence.

        A store that may not be written stays as it is.
        """
        with contextlib.suppress(NotWritableError):
            self._written(lambda connection: [add_answer(connection, tree, answer) for answer in new])

    def answers(self, tree: int) -> list[StoredAnswer]:
        """Stored answers to questions, oldest first."""
        return answers(self.engine, tree)

    # Damage and removal.

    def damage(self, tree: int) -> list[Damaged]:
        """See :func:`refine.store.removal.find_damage`."""
        return find_damage(self.engine, tree)

    def check_plan(self, pk: int) -> None:
        """Raises StoreError: a stored extra configuration of a round cannot be read."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(t.cell_plan).where(t.cell_plan.c.node == pk)).mappings().all()
        for text in faults_of(t.cell_plan, [dict(row) for row in rows]).values():
            raise StoreError(f"its plan is damaged: {text}; remove what is damaged", Action("tree.repair"))

    def remove_damaged(self, tree: int, damaged: Sequence[Damaged], entries: Sequence[Removal]) -> None:
        """Removes damaged rows, with an entry in the log."""
        self._removed(tree, entries, lambda connection: remove_damaged(connection, damaged))

    def remove_trials(
        self, tree: int, pk: int, numbers: Collection[int], curves: bool, entry: Removal
    ) -> None:
        """Removes trials: see :func:`refine.store.removal.remove_trials`."""
        self._removed(tree, [entry], lambda connection: remove_trials(connection, pk, numbers, curves))

    def remove_nodes(self, tree: int, pks: Sequence[int], entries: Sequence[Removal]) -> None:
        """Removes rounds with their rows in all tables."""
        condition = t.node.c.pk.in_(list(pks))
        self._removed(tree, entries, lambda connection: remove_rows(connection, t.node, condition))

    def _removed(
        self, tree: int, entries: Sequence[Removal], remove: Callable[[sa.Connection], object]
    ) -> None:
        """Removes rows and writes entries of the log in one transaction.

        The entry is written once, even if the server did not confirm the commit.
        """

        def write(connection: sa.Connection) -> None:
            news = [note_removal(connection, tree, entry) for entry in entries]
            if all(news):
                remove(connection)

        self._written(write)

    def add_marks(self, pk: int, marks: Sequence[Mark]) -> None:
        """Stores marks on trials of a node, dated now, or just after the latest mark if a clock went back."""
        c = t.mark.c
        current = time.time()
        moments = [-1.0]

        def write(connection: sa.Connection) -> None:
            last = connection.execute(sa.select(sa.func.max(c.created)).where(c.node == pk)).scalar() or 0.0
            if last == moments[-1]:  # an unconfirmed commit had arrived
                return
            moments.append(current if last < current else min(last + 1e-3, LATEST))
            for mark in marks:
                row = {
                    **mark._asdict(),
                    "node": pk,
                    "created": moments[-1],
                    "excluded": int(bool(mark.excluded)),
                }
                connection.execute(t.mark.insert().values(row))

        if marks:
            self._written(write)

    def removals(self, tree: int) -> list[Removal]:
        """Removals from a tree, oldest first."""
        return removals(self.engine, tree)

    # Hold-outs.

    def add_opening(self, pk: int, keys: Sequence[str], seeds: int, note: str, author: str) -> None:
        """Logs that the hold-out is opened at a node, unless it was opened for the same models."""
        content = dumps({"keys": list(keys), "seeds": seeds})
        values = {"node": pk, "digest": digest(content, 16)}
        row = {"content": content, "note": note, "author": author}
        self._written(lambda connection: _added(connection, t.opening, values, row))

    def add_holdout_run(self, opening: int, run: HoldoutRun) -> None:
        """Stores the result of one model on the hold-out."""
        row = {
            **run._asdict(),
            "opening": opening,
            "metrics": json.dumps(run.metrics),
            "finished": time.time(),
        }
        c = t.opened.c
        query = sa.select(c.key).where(*(c[n] == row[n] for n in ("opening", "key", "replicate", "finished")))

        def write(connection: sa.Connection) -> None:
            if connection.execute(query).first() is None:
                connection.execute(t.opened.insert().values(row))

        self._written(write)

    def _written(self, write: Callable[[sa.Connection], T]) -> T:
        """Runs a transaction, again if another process wrote equal rows meanwhile, or the server restarted.

        The transaction must look for its rows first: a commit not confirmed by a server may have arrived.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                return write(connection)

        for _ in range(_TRIES):
            with contextlib.suppress(sa.exc.IntegrityError):
                return lasting(self.engine, once)
        return once()


def _pk_of(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> int | None:
    """The row of a table with these values."""
    query = sa.select(table.c.pk).where(*(table.c[name] == value for name, value in values.items()))
    return connection.execute(query).scalar()


def _added(
    connection: sa.Connection,
    table: sa.Table,
    key: Mapping[str, object],
    values: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """The row of a table with these values, added if it is missing.

    A new row is dated now and gets the further values.
    """
    pk = _pk_of(connection, table, key)
    if pk is not None:
        return int(pk)
    return inserted(connection, table, {**key, **values, "created": time.time()})


def _ended(connection: sa.Connection, pk: int) -> int:
    """Number of stored planned trials of a round, without further attempts."""
    c = t.trial.c
    keys = sa.select(sa.func.count(sa.distinct(c.key))).where(c.node == pk, c.replicate == 0)
    return int(connection.execute(keys).scalar_one())


def _missing_repeats(connection: sa.Connection, pk: int) -> int:
    """Number of repeats of a round that a person added and that have no trial."""
    c = t.addition.c
    query = sa.select(c.key, c.first, c.total, c.per).where(c.node == pk)
    missing = 0
    for key, repeats in repeats_of(Addition(*row) for row in connection.execute(query)).items():
        ran = sa.select(sa.func.count(sa.distinct(t.trial.c.replicate))).where(
            t.trial.c.node == pk, t.trial.c.key == key, t.trial.c.replicate.between(1, repeats)
        )
        missing += repeats - int(connection.execute(ran).scalar_one())
    return missing


def _write_given(connection: sa.Connection, pk: int, configurations: Sequence[Encoded]) -> int:
    """Adds configurations given by a person to the plan of a node, and returns the number of new ones."""
    if not configurations:
        return 0
    c = t.cell_plan.c
    if any(origin == BASELINE for origin, _ in configurations):
        earlier = t.cell_plan.update().where(c.node == pk, c.origin == BASELINE)
        connection.execute(earlier.values(origin="given"))
    query = sa.select(c.position, c.origin, c.configuration).where(c.node == pk).order_by(c.position)
    rows = connection.execute(query).all()
    counts = Counter(row.configuration for row in rows)
    last = max((row.position for row in rows), default=-1)
    known_texts = set(counts)
    for origin, configuration in configurations:
        text = dumps(configuration)
        if origin == BASELINE:
            update = t.cell_plan.update().where(c.node == pk, c.configuration == text)
            connection.execute(update.values(origin=BASELINE))
        if counts[text] > 0:
            counts[text] -= 1
            continue
        last += 1
        row = {"node": pk, "position": last, "origin": origin, "configuration": text}
        connection.execute(t.cell_plan.insert().values(row))
    run = sa.select(t.trial.c.key).where(t.trial.c.node == pk)
    keys = set(connection.execute(run).scalars())
    new = {dumps(configuration): configuration for _, configuration in configurations}
    return sum(
        text not in known_texts and configuration_key(decode_configuration(configuration)) not in keys
        for text, configuration in new.items()
    )


def _beside_rows(pk: int, extra: Sequence[Encoded], first: int = 0) -> list[dict[str, object]]:
    """Rows for extra configurations of a node, numbered from a position on."""
    return [
        {"node": pk, "position": i, "origin": origin, "configuration": dumps(configuration)}
        for i, (origin, configuration) in enumerate(extra, first)
    ]


def _write_decision(connection: sa.Connection, decision: StoredDecision) -> None:
    row = decision._asdict()
    key = {name: row.pop(name) for name in ("node", "digest")}
    _added(connection, t.decision, key, row)


# Trees of a store, without creating one.


def check_exists(store: str | os.PathLike[str]) -> None:
    """Checks that a store exists, since opening a missing store would create an empty file.

    Raises NotFoundError: the file does not exist.
    """
    if (file := file_of(url_of(store))) is not None and not file.is_file():
        raise NotFoundError(f"store {store}: no such file; give the path or URL of a store that exists")


def only_tree(
    store: str | os.PathLike[str],
    call: str = "refine.Tree({name!r}, store=...)",
    made_by: str = "refine.Tree('NAME', store=...)",
) -> str:
    """The name of a store's only tree.

    Args:
        store: The store.
        call: How to name a tree, with ``{name}`` in it, for errors.
        made_by: How to create the first tree, for errors.

    Raises:
        NotFoundError: The store does not exist, or has no tree or several.
    """
    check_exists(store)
    names = []
    shown = shown_url(url_of(store))
    with contextlib.suppress(NotFoundError), contextlib.closing(Store(store, create=False)) as database:
        names = database.trees()
    if not names:
        raise NotFoundError(f"store {shown}: holds no tree yet; {made_by} makes one")
    if len(names) > 1:
        message = f"holds {len(names)} trees ({', '.join(names)})"
        first = call.format(name=names[-1])
        raise NotFoundError(f"store {shown}: {message}; name one: {first}")
    return names[0]
