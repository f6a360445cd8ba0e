"""The trials in a store: written one by one, read as columns by the hundred thousand."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from refine.errors import RoundBusyError, StoreError
from refine.space.encoding import dumps
from refine.store.engine import lasting
from refine.store.exclusions import state_of
from refine.store.row_scores import pack
from refine.store.schema import shown_url, t
from refine.store.validity import (
    BROKEN,
    PLAIN,
    READ,
    curve_of,
    packed_curve,
    said,
    sift,
    trial_row,
    unreadable,
)
from refine.trials.frame import Records
from refine.trials.metric import Curve
from refine.trials.rows import JsonRows
from refine.trials.trial import Examples, Trial

# Trials per read: the memory does not grow with the number of trials.
_BLOCK = 20_000
# Trials per read with their curves, which may be long.
_SOME = 5_000
_ALIKE = ("origin", "state", "code", "read", "error")


class TrialWriter:
    """Records finished trials of one node, each in its own transaction. A context manager.

    ``say`` is called with a text when the writer waits for a server.
    """

    def __init__(self, engine: sa.Engine, pk: int, say: Callable[[str], object] = str) -> None:
        self._engine = engine
        self._pk = pk
        self._say = say
        self._insert = t.trial.insert()

    def __enter__(self) -> TrialWriter:
        self._connection = self._engine.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def add(self, trial: Trial) -> None:
        """Writes one trial and commits.

        Raises StoreError: the store refuses, and no row of the trial was written; RoundBusyError: another
        process wrote the trial.
        """
        row = {"node": self._pk, **trial_row(trial)}

        def write() -> None:
            with self._connection.begin():
                written = self._connection.execute(self._insert, row)
                pk = written.inserted_primary_key[0]  # type: ignore[index]
                if trial.curve:
                    self._connection.execute(
                        t.curve.insert().values(trial=pk, data=packed_curve(trial.curve))
                    )
                if trial.examples is not None:
                    self._keep(pk, trial.examples)
                for name, row_scores in trial.row_scores.items():
                    packed = {"metric": name, "total": row_scores.total, "data": pack(row_scores)}
                    self._connection.execute(t.row_score.insert().values(trial=pk, **packed))
                if trial.shown is not None:
                    self._connection.execute(
                        t.shown.insert().values(trial=pk, content=dumps(dict(trial.shown)))
                    )

        try:
            lasting(self._engine, write, self._say)
        except sa.exc.IntegrityError as error:
            # An unconfirmed commit may have arrived at the server: the trial is then there.
            if lasting(self._engine, lambda: self._is_there(row), self._say):
                return
            raise RoundBusyError(
                f"a trial (configuration {trial.key[:12]}, attempt {trial.attempt}) was stored by another "
                "process while it ran here; that process runs the round now, and nothing is counted twice"
            ) from error
        except sa.exc.SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            store = shown_url(self._engine.url)
            raise StoreError(f"store {store}: a finished trial can't be written: {reason}") from error

    def _is_there(self, row: Mapping[str, object]) -> bool:
        names = ("node", "key", "replicate", "attempt", "seed", "finished")
        query = sa.select(t.trial.c.pk).where(*(t.trial.c[name] == row[name] for name in names))
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def keep_curve(self, values: Sequence[float]) -> str:
        """Stores a curve of thresholds, once, and returns its digest, to which trials refer."""
        text = json.dumps([float(v) for v in values])
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        c = t.threshold.c

        def write() -> None:
            with self._connection.begin():
                query = sa.select(c.digest).where(c.node == self._pk, c.digest == digest)
                if self._connection.execute(query).scalar() is None:
                    row = {"node": self._pk, "digest": digest, "data": zlib.compress(text.encode(), 6)}
                    self._connection.execute(t.threshold.insert().values(row))

        lasting(self._engine, write, self._say)
        return digest

    def _keep(self, trial: int, examples: Examples) -> None:
        predictions, targets, total = examples
        data = zlib.compress(predictions.astype("<f2").tobytes(), 6)
        row = {"trial": trial, "examples": len(predictions), "data": data}
        self._connection.execute(t.prediction.insert().values(row))
        query = sa.select(t.target.c.node).where(t.target.c.node == self._pk)
        if self._connection.execute(query).scalar() is None:
            data = zlib.compress(targets.astype("<f4").tobytes(), 6)
            self._connection.execute(t.target.insert().values(node=self._pk, total=total, data=data))


def read_records(
    engine: sa.Engine,
    pks: Sequence[int],
    curves: bool = False,
    replicates: bool = False,
    row: int | None = None,
) -> dict[int, Records]:
    """Trials of some nodes as columns, by node, in the order of finishing.

    The last attempt of each; or the one trial of a row.
    """
    with _without_collector(), engine.connect() as connection:
        out = {pk: Records(JsonRows(), JsonRows(), [], {name: [] for name in PLAIN}) for pk in pks}
        texts: dict[Any, object] = {}
        damaged: dict[int, list[str]] = {}
        for some in _sound_rows(connection, pks, curves, replicates, row):
            blocks_of_node = out[some.node]
            blocks_of_node.configurations.append(some.records.configurations)
            blocks_of_node.metrics.append(some.records.metrics)
            if curves:
                blocks_of_node.curves.extend(some.records.curves)  # type: ignore[attr-defined]
            for name, part in some.records.columns.items():
                # Each distinct word is kept once, because words may repeat a million times.
                blocks_of_node.columns[name].extend(
                    map(texts.setdefault, part, part) if name in _ALIKE else part
                )
            damaged.setdefault(some.node, []).extend(
                f"trial {i + 1}: {text}" for i, text in some.faults.items()
            )
        return {
            pk: blocks_of_node._replace(
                curves=blocks_of_node.curves if curves else (), damaged=tuple(damaged.get(pk, ()))
            )
            for pk, blocks_of_node in out.items()
        }


def record_blocks(engine: sa.Engine, pk: int, curves: bool) -> Iterator[Records]:
    """The planned runs of a node as :func:`read_records` has them, some thousand at a time."""
    with engine.connect() as connection:
        for some in _sound_rows(connection, [pk], curves, replicates=False, size=_SOME):
            yield some.records


def trial_rows(connection: sa.Connection, pk: int, curves: bool) -> list[int]:
    """The rows of the trials that :func:`read_records` reads of the planned runs of a node, in its order."""
    blocks = _sound_rows(connection, [pk], curves, replicates=False)
    return [row for block in blocks for row in block.pks]


class _TrialBlock(NamedTuple):
    """Trials of one node that were read together."""

    node: int  # row of the node
    pks: Sequence[int]  # rows of the trials
    records: Records  # the readable trials as columns
    faults: Mapping[int, str]  # number of an unreadable trial among the trials of the node -> reason


def _sound_rows(
    connection: sa.Connection,
    pks: Sequence[int],
    curves: bool,
    replicates: bool,
    row: int | None = None,
    size: int = _BLOCK,
) -> Iterator[_TrialBlock]:
    """Readable trials, last attempts only, node by node and some thousand at a time."""
    c = t.trial.c
    condition = c.node.in_(list(pks))
    if not replicates:
        condition &= c.replicate == 0
    if row is not None:
        condition &= c.pk == row
    names = ("node", "pk", *READ)
    state = state_of(connection, pks)
    query = sa.select(*(state if name == "state" else c[name] for name in names)).where(condition)
    if connection.execute(sa.select(sa.func.max(c.attempt)).where(condition)).scalar():
        query = query.where(~superseded())
    before: Counter[int] = Counter()
    # SQLite returns rows on demand; a server needs an option for that.
    if connection.dialect.name == "sqlite":
        options = {}
    else:
        options = {"yield_per": size}
    stored = connection.execute(query.order_by(c.node, c.pk), execution_options=options)
    for rows in stored.partitions(size):
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        if curves:
            read, spoilt = _read_curves(connection, condition, columns["pk"])
        else:
            read = {}
            spoilt = {}
        ends = dict(zip(columns["node"], itertools.count(1)))
        low = 0
        for node, high in ends.items():  # in order, so that the last place of a node is its end
            part: dict[str, Sequence[Any]] = {name: values[low:high] for name, values in columns.items()}
            data: list[JsonRows] = []
            faults = _faults(part, spoilt, data)
            if faults:
                keep = [i not in faults for i in range(high - low)]
                part = {name: tuple(itertools.compress(values, keep)) for name, values in part.items()}
                data = []
                if _faults(part, {}, data) or not data:
                    data = [JsonRows(), JsonRows()]
            series = [read.get(pk, {}) for pk in part["pk"]] if curves else ()
            plain = {name: list(part[name]) for name in PLAIN}
            counted = {before[node] + i: text for i, text in faults.items()}
            yield _TrialBlock(
                node=node,
                pks=part["pk"],
                records=Records(data[0], data[1], series, plain),
                faults=counted,
            )
            before[node] += high - low
            low = high


def _read_curves(
    connection: sa.Connection, condition: sa.ColumnElement[bool], pks: Sequence[int]
) -> tuple[dict[int, Curve], dict[int, str]]:
    """Row of a trial -> its curve; and row of a trial -> the fault of its curve."""
    read: dict[int, Curve] = {}
    spoilt: dict[int, str] = {}
    pairs = sa.select(t.curve.c.trial, t.curve.c.data).join(t.trial, t.trial.c.pk == t.curve.c.trial)
    for trial, packed in connection.execute(pairs.where(condition, t.trial.c.pk.between(min(pks), max(pks)))):
        try:
            read[trial] = curve_of(packed)
        except BROKEN as error:
            spoilt[trial] = f"its curve: {said(error)}"
    return read, spoilt


def _faults(
    columns: Mapping[str, Sequence[Any]], spoilt: Mapping[int, str], data: list[JsonRows]
) -> dict[int, str]:
    """Number of a row -> its fault. Without faults, ``data`` takes the configurations and metrics."""
    count = len(columns["key"])

    def fault(low: int, high: int) -> str:
        if high - low == count:
            return unreadable(columns, data)
        return unreadable({name: columns[name][low:high] for name in READ})

    of_curves = {i: spoilt[pk] for i, pk in enumerate(columns["pk"]) if pk in spoilt}
    return dict(sorted((of_curves | sift(count, fault)).items()))


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Switches the garbage collector off, which would take a third of the time of reading many rows."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def superseded() -> sa.Exists:
    """True if a trial has a later attempt."""
    c = t.trial.c
    later = t.trial.alias("later").c
    same_trial = (later.node == c.node, later.key == c.key, later.replicate == c.replicate)
    return sa.exists().where(*same_trial, later.attempt > c.attempt)
