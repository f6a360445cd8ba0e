"""The trials in a store: written one by one, read as columns by the hundred thousand."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from refine.errors import RoundBusyError, StoreError
from refine.space.encoding import dumps
from refine.store.marks import state_of
from refine.store.schema import shown_url, t
from refine.store.sound import BROKEN, PLAIN, READ, curve_of, said, sift, unreadable
from refine.trials.frame import Records
from refine.trials.metric import Curve, Metric
from refine.trials.rows import Rows
from refine.trials.trial import Examples, Trial

_BLOCK = 20_000
"""Trials that are read together: what is made of them on the way takes no more memory however many there are."""
_SOME = 5_000
"""Trials that are read together where each may have a curve of any length, and few are to be held at once."""
_ALIKE = ("origin", "state", "code", "read", "error")


class TrialWriter:
    """Records finished trials of one node, each in its own transaction. A context manager.

    Args:
        engine: The store's.
        pk: Row of the node.
    """

    def __init__(self, engine: sa.Engine, pk: int) -> None:
        self._engine, self._pk = engine, pk
        self._insert = t.trial.insert()

    def __enter__(self) -> TrialWriter:
        self._connection = self._engine.connect()
        self._file = self._inode()
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def _inode(self) -> tuple[int, int] | None:
        """Which file a SQLite store is; ``None`` where there is none."""
        url = self._engine.url
        if url.get_backend_name() != "sqlite" or not url.database:
            return None
        try:
            found = Path(url.database).stat()
        except OSError:
            return (0, 0)
        return found.st_dev, found.st_ino

    def add(self, trial: Trial) -> None:
        """Writes one trial and commits.

        Raises:
            StoreError: The store refuses; nothing of the trial was written.
            RoundBusyError: Another process wrote it.
        """
        if self._inode() != self._file:
            raise StoreError(
                f"store {shown_url(self._engine.url)}: its file was moved, replaced or deleted while the round runs, so that "
                "what is written now would not be found again; put it back where it was, with the files beside it, and run "
                "the round again"
            )
        row = {
            "node": self._pk,
            "configuration": dumps(trial.configuration),
            "metrics": json.dumps(dict(trial.metrics)),
            **{name: getattr(trial, name) for name in PLAIN},
            "read": None if trial.read is None else dumps(list(trial.read)),
            "environment": trial.environment,
        }
        try:
            with self._connection.begin():
                pk = self._connection.execute(self._insert, row).inserted_primary_key[0]  # type: ignore[index]
                if trial.curve:
                    series = {name: [float(v) for v in values] for name, values in trial.curve.items()}
                    data = zlib.compress(json.dumps(series).encode(), 6)
                    self._connection.execute(t.curve.insert().values(trial=pk, data=data))
                if trial.examples is not None:
                    self._keep(pk, trial.examples)
                if trial.shown is not None:
                    row = {"trial": pk, "content": dumps(dict(trial.shown))}
                    self._connection.execute(t.shown.insert().values(row))
        except sa.exc.IntegrityError as error:
            raise RoundBusyError(
                f"a trial (configuration {trial.key[:12]}, attempt {trial.attempt}) was stored by another process while "
                "it ran here; that process runs the round now, and nothing is counted twice"
            ) from error
        except sa.exc.SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            store = shown_url(self._engine.url)
            raise StoreError(f"store {store}: a finished trial can't be written: {reason}") from error

    def keep_curve(self, values: Sequence[float]) -> str:
        """Keeps a curve that trials are measured by, once; returns its digest, by which they refer to it."""
        text = json.dumps([float(v) for v in values])
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        c = t.threshold.c
        with self._connection.begin():
            known = sa.select(c.digest).where(c.node == self._pk, c.digest == digest)
            if self._connection.execute(known).scalar() is None:
                row = {"node": self._pk, "digest": digest, "data": zlib.compress(text.encode(), 6)}
                self._connection.execute(t.threshold.insert().values(row))
        return digest

    def _keep(self, trial: int, examples: Examples) -> None:
        said, right, total = examples
        data = zlib.compress(said.astype("<f2").tobytes(), 6)
        row = {"trial": trial, "examples": len(said), "data": data}
        self._connection.execute(t.prediction.insert().values(row))
        known = sa.select(t.target.c.node).where(t.target.c.node == self._pk)
        if self._connection.execute(known).scalar() is None:
            data = zlib.compress(right.astype("<f4").tobytes(), 6)
            self._connection.execute(t.target.insert().values(node=self._pk, total=total, data=data))


def read_shown(engine: sa.Engine, pk: int) -> list[dict[str, Any]]:
    """What every planned trial of a node was shown, last attempts in the order of finishing; empty for most rounds.

    Curves that trials were measured by stand in ``threshold``.
    """
    c = t.trial.c
    query = (
        sa.select(t.shown.c.content)
        .select_from(t.trial.outerjoin(t.shown, t.shown.c.trial == c.pk))
        .where(c.node == pk, c.replicate == 0, ~_superseded())
        .order_by(c.pk)
    )
    curves = sa.select(t.threshold.c.digest, t.threshold.c.data).where(t.threshold.c.node == pk)
    with engine.connect() as connection:
        known = {d: json.loads(zlib.decompress(data)) for d, data in connection.execute(curves)}
        rows = [json.loads(text) if text else {} for text in connection.execute(query).scalars()]
    return [{**r, "threshold": known[r["threshold"]]} if r.get("threshold") else r for r in rows]


def read_examples(engine: sa.Engine, pk: int, keys: Sequence[str]) -> dict[str, Examples]:
    """What the planned runs of some configurations predicted, by key; those that said nothing are left out.

    Args:
        engine: The store's.
        pk: Row of the node.
        keys: Hashes of configurations.
    """
    c, p = t.trial.c, t.prediction.c
    chosen = (c.node == pk, c.key.in_(list(keys)), c.replicate == 0, c.state == "complete")
    query = sa.select(c.key, p.examples, p.data).join(t.trial, c.pk == p.trial).where(*chosen).order_by(c.pk)
    with engine.connect() as connection:
        target = connection.execute(sa.select(t.target).where(t.target.c.node == pk)).first()
        rows = connection.execute(query).all()
    if target is None:
        return {}
    found = {}
    with contextlib.suppress(*BROKEN):
        right = np.frombuffer(zlib.decompress(target.data), dtype="<f4")
        for key, count, data in rows:
            with contextlib.suppress(*BROKEN):  # what is damaged says nothing
                predicted = np.frombuffer(zlib.decompress(data), dtype="<f2").reshape(count, -1)
                if count == len(right):
                    found[key] = Examples(predicted, right, target.total)
    return found


def read_curves(engine: sa.Engine, pk: int, keys: Sequence[str]) -> dict[str, Curve]:
    """Values per epoch of the planned runs of some configurations, by key; those that reported none are left out.

    Args:
        engine: The store's.
        pk: Row of the node.
        keys: Hashes of configurations.
    """
    c = t.trial.c
    chosen = (c.node == pk, c.key.in_(list(keys)), c.replicate == 0, c.state == "complete")
    query = (
        sa.select(c.key, t.curve.c.data).join(t.trial, c.pk == t.curve.c.trial).where(*chosen).order_by(c.pk)
    )
    with engine.connect() as connection:
        found: dict[str, Curve] = {}
        for key, data in connection.execute(query):
            with contextlib.suppress(*BROKEN):
                found[key] = curve_of(data)
        return found


def read_records(
    engine: sa.Engine,
    pks: Sequence[int],
    curves: bool = False,
    replicates: bool = False,
    row: int | None = None,
) -> dict[int, Records]:
    """Trials of some nodes as columns, by node, in the order of finishing; the last attempt of each.

    Args:
        engine: The store's.
        pks: Rows of nodes.
        curves: Whether to read values per epoch as well.
        replicates: Whether to read replicates too, and not the planned runs alone.
        row: Row of the one trial to read; default all.
    """
    with _without_collector(), engine.connect() as connection:
        out = {pk: Records(Rows(), Rows(), [], {name: [] for name in PLAIN}) for pk in pks}
        known: dict[Any, Any] = {}
        damaged: dict[int, list[str]] = {}
        for some in _sound_rows(connection, pks, curves, replicates, row):
            mine = out[some.node]
            mine.configurations.append(some.configurations)
            mine.metrics.append(some.metrics)
            if curves:
                mine.curves.extend(some.curves)  # type: ignore[attr-defined]
            for name, part in some.columns.items():
                # Of words that come a million times each is kept once.
                mine.columns[name].extend(_kept_once(part, known) if name in _ALIKE else part)
            damaged.setdefault(some.node, []).extend(
                f"trial {i + 1}: {text}" for i, text in some.faults.items()
            )
        return {
            pk: mine._replace(curves=mine.curves if curves else (), damaged=tuple(damaged.get(pk, ())))
            for pk, mine in out.items()
        }


def _kept_once(values: Sequence[Any], known: dict[Any, Any]) -> Iterable[Any]:
    """The same texts, equal ones as the same object."""
    if values and values.count(values[0]) == len(values):
        return itertools.repeat(known.setdefault(values[0], values[0]), len(values))
    return map(known.setdefault, values, values)


def record_blocks(engine: sa.Engine, pk: int, curves: bool) -> Iterator[Records]:
    """The planned runs of a node as :func:`read_records` has them, some thousand at a time.

    Args:
        engine: The store's.
        pk: Row of the node.
        curves: Whether to read values per epoch as well.
    """
    with engine.connect() as connection:
        for some in _sound_rows(connection, [pk], curves, replicates=False, size=_SOME):
            columns = {name: list(part) for name, part in some.columns.items()}
            yield Records(some.configurations, some.metrics, some.curves, columns)


def trial_rows(connection: sa.Connection, pk: int, curves: bool) -> list[int]:
    """The rows of the trials that :func:`read_records` reads of the planned runs of a node, in its order."""
    some = _sound_rows(connection, [pk], curves, replicates=False, numbered=True)
    return [row for each in some for row in each.pks]


class _Some(NamedTuple):
    """Trials of one node that were read together.

    Attributes:
        node: Row of the node.
        pks: Their rows; empty where nobody asked for them.
        configurations: Name -> plain JSON data.
        metrics: Name -> number.
        columns: The other columns, by the names in ``PLAIN``.
        curves: Their curves; empty where they were not read.
        faults: Number of a trial that can't be read, among those of its node -> why.
    """

    node: int
    pks: Sequence[int]
    configurations: Rows
    metrics: Rows
    columns: dict[str, Sequence[Any]]
    curves: Sequence[Curve]
    faults: Mapping[int, str]


def _sound_rows(
    connection: sa.Connection,
    pks: Sequence[int],
    curves: bool,
    replicates: bool,
    row: int | None = None,
    size: int = _BLOCK,
    numbered: bool = False,
) -> Iterator[_Some]:
    """Node by node what can be read of its trials, last attempts, some thousand at a time."""
    c = t.trial.c
    where = c.node.in_(list(pks)) if replicates else c.node.in_(list(pks)) & (c.replicate == 0)
    if row is not None:
        where &= c.pk == row
    numbered |= curves
    # A column takes as long to fetch whatever it holds: what is known to be the same in all rows is left out.
    least, most = connection.execute(
        sa.select(sa.func.min(c.attempt), sa.func.max(c.attempt)).where(where)
    ).one()
    same: dict[str, Any] = {} if replicates else {"replicate": 0}
    same |= {"attempt": 0} if (least, most) == (0, 0) else {}
    same |= {"node": pks[0]} if len(pks) == 1 else {}
    names = [name for name in ("node", *(["pk"] if numbered else []), *READ) if name not in same]
    state = state_of(connection, pks)
    query = (
        sa.select(*(state if name == "state" else c[name] for name in names))
        .where(where)
        .order_by(c.node, c.pk)
    )
    if most:
        query = query.where(~_superseded())
    before: Counter[int] = Counter()
    # SQLite gives rows as they are asked for; a server has to be told to.
    options = {} if connection.dialect.name == "sqlite" else {"yield_per": size}
    for rows in connection.execute(query, execution_options=options).partitions(size):
        every = dict(zip(names, zip(*rows, strict=True), strict=True))
        every |= {name: (value,) * len(rows) for name, value in same.items()}
        found, spoilt = _read_curves(connection, where, every["pk"]) if curves else ({}, {})
        ends = dict(zip(every["node"], itertools.count(1))) if len(pks) > 1 else {pks[0]: len(rows)}
        low = 0
        for node, high in ends.items():  # in order, so that where a node was met last is where it ends
            columns: dict[str, Sequence[Any]] = {n: values[low:high] for n, values in every.items()}
            some = _sound(node, columns, found, spoilt, curves)
            yield some._replace(faults={before[node] + i: text for i, text in some.faults.items()})
            before[node] += high - low
            low = high


def _read_curves(
    connection: sa.Connection, where: sa.ColumnElement[bool], pks: Sequence[int]
) -> tuple[dict[int, Curve], dict[int, str]]:
    """Row of a trial -> its curve, and what is wrong with those that can't be read."""
    found: dict[int, Curve] = {}
    spoilt: dict[int, str] = {}
    pairs = (
        sa.select(t.curve.c.trial, t.curve.c.data)
        .join(t.trial, t.trial.c.pk == t.curve.c.trial)
        .where(where, t.trial.c.pk.between(min(pks), max(pks)))
    )
    for trial, packed in connection.execute(pairs):
        try:
            found[trial] = curve_of(packed)
        except BROKEN as error:
            spoilt[trial] = f"its curve: {said(error)}"
    return found, spoilt


def _sound(
    node: int,
    columns: dict[str, Sequence[Any]],
    found: Mapping[int, Curve],
    spoilt: Mapping[int, str],
    curves: bool,
) -> _Some:
    """What can be read of some rows of a node.

    Args:
        node: Its row.
        columns: Of the rows.
        found: Row of a trial -> its curve.
        spoilt: Row of a trial -> what is wrong with its curve.
        curves: Whether curves were read.
    """
    data: list[Rows] = []
    faults = _faults(columns, spoilt, data)
    if faults:
        keep = [i not in faults for i in range(len(columns["key"]))]
        columns = {name: list(itertools.compress(values, keep)) for name, values in columns.items()}
        data = []
        if _faults(columns, {}, data) or not data:
            data = [Rows(), Rows()]
    pks: Sequence[int] = columns.get("pk", ())
    series = [found.get(pk, {}) for pk in pks] if curves else ()
    configurations, metrics = data
    plain = {name: columns[name] for name in PLAIN}
    return _Some(node, pks, configurations, metrics, plain, series, faults)


def _faults(
    columns: Mapping[str, Sequence[Any]], spoilt: Mapping[int, str], data: list[Rows]
) -> dict[int, str]:
    """Number of a row -> why it can't be read.

    Args:
        columns: Of the rows.
        spoilt: Row of a trial -> what is wrong with its curve.
        data: Takes configurations and metrics, parsed, where all can be read.
    """
    count = len(columns["key"])

    def fault(low: int, high: int) -> str:
        if high - low == count:
            return unreadable(columns, data)
        return unreadable({name: columns[name][low:high] for name in READ})

    of_curves = {i: spoilt[pk] for i, pk in enumerate(columns["pk"]) if pk in spoilt} if spoilt else {}
    return dict(sorted((of_curves | sift(count, fault)).items()))


def store_scores(engine: sa.Engine, pk: int, metric: Metric) -> None:
    """Keeps what a metric's function says of every complete trial among the trial's metrics.

    Trials may have ended before the function was the metric, or have been scored by an earlier version of it.

    Args:
        engine: The store's.
        pk: Row of the node.
        metric: One whose function is at hand.
    """
    c = t.trial.c
    query = sa.select(c.pk, c.metrics).where(c.node == pk, c.state == "complete")
    with engine.begin() as connection:
        for trial, text in connection.execute(query).all():
            metrics = json.loads(text)
            value = metric.of(metrics, {})
            if value is not None and repr(metrics.get(metric.name)) != repr(value):
                row = {"metrics": json.dumps({**metrics, metric.name: value})}
                connection.execute(t.trial.update().where(c.pk == trial).values(row))


def count_environments(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[tuple[str, int]]]:
    """Node row -> digest of an environment and how many trials ran on it, most first; of all attempts and replicates."""
    c, count = t.trial.c, sa.func.count()
    mine = (c.node.in_(list(pks)), c.environment.is_not(None))
    query = sa.select(c.node, c.environment, count).where(*mine).group_by(c.node, c.environment)
    out: dict[int, list[tuple[str, int]]] = {}
    with engine.connect() as connection:
        for node, digest, number in connection.execute(query.order_by(count.desc(), c.environment)):
            out.setdefault(node, []).append((digest, number))
    return out


def environment_marks(engine: sa.Engine, pk: int, keys: Collection[str]) -> list[str]:
    """Digests of what the planned runs of some configurations ran on, each once."""
    c = t.trial.c
    query = sa.select(c.key, c.environment).where(
        c.node == pk, c.replicate == 0, c.environment.is_not(None), ~_superseded()
    )
    wanted = set(keys)
    with engine.connect() as connection:
        return list(dict.fromkeys(mark for key, mark in connection.execute(query) if key in wanted))


def last_rows(engine: sa.Engine, tree: int) -> dict[int, int]:
    """Node row -> row of the trial that was written last: every run, again or under another seed, is a new one."""
    c, node = t.trial.c, t.node.c
    last = sa.select(sa.func.max(c.pk)).where(c.node == node.pk).scalar_subquery()  # one look into the index
    with engine.connect() as connection:
        found = connection.execute(sa.select(node.pk, last).where(node.tree == tree)).all()
        return {pk: int(row) for pk, row in found if row is not None}


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Hundreds of thousands of new dictionaries would have the garbage collector look at everything again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _superseded() -> sa.Exists:
    c, later = t.trial.c, t.trial.alias("later").c
    same = (later.node == c.node, later.key == c.key, later.replicate == c.replicate)
    return sa.exists().where(*same, later.attempt > c.attempt)
