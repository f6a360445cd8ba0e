"""Rules for rows of a store, in a single module.

A row from an exported folder, another tree, a user's table or an objective is checked before writing
(:func:`fault_of`). A stored row may have been written by hand, or damaged by a disk. Readers leave a damaged
row out (:func:`unreadable`); the row is shown as damaged, and can be removed.
"""

from __future__ import annotations

import json
import math
import operator
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
import sqlalchemy as sa

from refine.errors import RefineError, first_line, unstorable
from refine.space.encoding import decode, digest, dumps
from refine.space.space import configuration_key, decode_configuration
from refine.store.json_columns import level_rows, number_rows, parsed
from refine.store.row_scores import unpack
from refine.store.schema import hanging_on, own_columns, t
from refine.trials.declared import Declared
from refine.trials.goal import check_direction
from refine.trials.metric import Metric
from refine.trials.metric_constraint import metric_constraints
from refine.trials.round_record import Node, check_objective_name
from refine.trials.rows import JsonRows
from refine.trials.trial import ORIGINS, STATES, Trial
from refine.utils.numbers import is_real, is_whole
from refine.utils.provided import provided

Row = Mapping[str, Any]

LARGEST = 2**31 - 1  # largest whole number of all databases
MOST_REPEATS = 10**9  # largest number of a replicate or an attempt; the next number must fit too
MOST_SECONDS = 1e9  # longest possible trial, about 30 years; beyond, sums and dates overflow
# Latest possible time, in seconds since 1970: the year 2255, where nanoseconds in 64 bits end.
LATEST = 9e9
# largest unpacked size of compressed data, in bytes, such as a curve of millions of epochs
MOST_UNPACKED = 2**27
MOST_DIGITS = 4300  # largest number of digits of a cell's number, which Python reads

# Column -> lowest and highest possible number.
_RANGES: dict[str, tuple[float, float]] = {
    "replicate": (0, MOST_REPEATS),
    "attempt": (0, MOST_REPEATS),
    "seed": (-1, LARGEST),
    "seconds": (0, MOST_SECONDS),
    "created": (0, LATEST),
    "finished": (0, LATEST),
}
_HUGE = re.compile(r"[0-9]{309}")  # digits of a number that no float holds

# Errors that reading a damaged row may raise.
BROKEN = (
    RefineError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
    zlib.error,
)


def said(error: BaseException) -> str:
    """An error of :data:`BROKEN` in one line."""
    text = str(error).strip()
    if isinstance(error, json.JSONDecodeError | zlib.error):
        return f"is damaged: {text}"
    if "integer string conversion" in text:
        return "holds a number of more digits than Python reads"
    if isinstance(error, RefineError) or (text and type(error) in (ValueError, TypeError)):
        return first_line(error)
    return f"{type(error).__name__}{f': {first_line(error)}' if text else ''}"


def fault_of(table: sa.Table, row: Row) -> str:
    """The fault of a row as stored in the database, or of its nested rows; empty without a fault."""
    for column in own_columns(table):
        value = row.get(column.name)
        if value is None:
            if not column.nullable:
                return f"the field {column.name!r} is missing"
        elif text := value_fault(column, value):
            return f"{column.name}: {text}"
    try:
        _check(table.name, row)
    except BROKEN as error:
        return said(error)
    for below in hanging_on(table):
        for inner in row.get(below.name, ()):
            if text := fault_of(below, inner):
                return f"{below.name}: {text}"
    return ""


def faults_of(table: sa.Table, rows: Sequence[Row]) -> dict[int, str]:
    """Number of a row -> its fault, for rows to be read or imported."""
    if table.name != "trial":
        return {i: text for i, row in enumerate(rows) if (text := fault_of(table, row))}
    columns = {name: [row[name] for row in rows] for name in READ}
    faults = sift(len(rows), lambda low, high: unreadable({n: c[low:high] for n, c in columns.items()}))
    for i, row in enumerate(rows):
        for below in hanging_on(table):
            for inner in row.get(below.name, ()):
                if i not in faults and (text := fault_of(below, inner)):
                    faults[i] = f"{below.name}: {text}"
    return faults


def value_fault(column: sa.Column[Any], value: Any) -> str:
    """The fault of a column's value; empty without a fault."""
    if isinstance(column.type, sa.LargeBinary):
        good = isinstance(value, bytes | memoryview)
        rule = "bytes"
    elif isinstance(column.type, sa.Text):
        good = isinstance(value, str) and not unstorable(value)
        rule = "a text without halves of letters"
    elif isinstance(column.type, sa.Integer):
        good = is_whole(value, -LARGEST - 1, LARGEST)
        rule = "a whole number of 32 bits"
    else:
        good = is_number(value) and math.isfinite(value)
        rule = "a finite number"
    if good and column.name in _RANGES:
        low, high = _RANGES[column.name]
        good = low <= value <= high
        rule = f"from {low} to {high:g}"
    if good:
        return ""
    return f"must be {rule}, got {short(value)}"


def short(value: object) -> str:
    """Any value, in a few characters."""
    if isinstance(value, int) and abs(value) >= 10**60:
        return "a huge number"
    try:
        return f"{value!r:.60}"
    except ValueError:  # more digits than Python writes
        return "a huge number"


def is_number(value: object) -> bool:
    """True if a value is a number that a float holds; NaN and infinity count."""
    if not is_real(value):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def outcome_fault(
    metrics: Mapping[str, object], curve: Mapping[str, Sequence[object]], seconds: float
) -> str:
    """The reason why a trial's outcome cannot be stored, as a rule and the value; empty if it can."""
    for name, values in chain(((n, (v,)) for n, v in metrics.items()), curve.items()):
        if text := unstorable(name):
            return f"the name of a metric {text}"
        if bad := [v for v in values if not is_number(v)]:
            return f"metric {name!r:.60} must be a number that a float holds, got {short(bad[0])}"
    if not 0 <= seconds <= MOST_SECONDS:
        return f"a trial takes from 0 to {MOST_SECONDS:g} seconds, got {short(seconds)}"
    return ""


# Trials read in large numbers.

# Columns of a trial that need no decoding.
PLAIN = tuple(
    c.name for c in own_columns(t.trial) if c.name not in ("configuration", "metrics", "environment")
)

# Columns that every reader of a trial needs; the first two are JSON.
READ = ("configuration", "metrics", *PLAIN)


def unreadable(columns: Mapping[str, Sequence[Any]], into: list[JsonRows] | None = None) -> str:
    """The reason why some stored trials cannot be read; empty if they can. Checks whole columns at once.

    Args:
        columns: Columns of stored trials; JSON is not yet parsed.
        into: Takes the parsed configurations and metrics, so that they are parsed once.
    """
    if not columns["key"]:
        return ""
    kinds: dict[str, Collection[Any]] = {}
    for name in READ:
        values = columns[name]
        column = t.trial.c[name]
        text = isinstance(column.type, sa.Text)
        try:
            if name in ("state", "origin", "code", "read", "error"):
                kinds[name] = different(values)
            else:
                kinds[name] = values
        except TypeError:  # for example a list
            return f"{name} must be text"
        if not set(map(type, kinds[name])) <= _types_of(column):
            if text:
                return f"{name} must be text"
            return f"{name} must be a number, got {short(values[0])}"
        if name in _RANGES:
            smallest, largest = _RANGES[name]
            low = min(values)
            high = max(values)
            for value in (low, high):
                if not smallest <= value <= largest:
                    return f"{name} must be from {smallest} to {largest:g}, got {short(value)}"
    for name in ("key", "code", "error"):
        try:
            "".join(filter(None, kinds[name])).encode()
        except UnicodeEncodeError:
            return f"{name} holds text that is not valid Unicode"
    for name, allowed in (("state", STATES), ("origin", ORIGINS)):
        if odd := set(kinds[name]) - set(allowed):
            return f"{name} must be one of {', '.join(allowed)}, got {short(min(odd))}"
    try:
        for text in [text for text in kinds["read"] if text is not None]:
            names = json.loads(text)
            if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                raise ValueError(f"read must be a list of names, got {short(text)}")
        configurations = columns["configuration"]
        metrics = columns["metrics"]
        parsed_columns = [
            level_rows(configurations) or JsonRows(_configurations(configurations)),
            number_rows(metrics) or JsonRows(_metrics(metrics)),
        ]
        if into is not None:
            into += parsed_columns
    except BROKEN as error:
        return said(error)
    return ""


def _types_of(column: sa.Column[Any]) -> set[type]:
    types: set[type] = {int}
    if isinstance(column.type, sa.Text):
        types = {str}
    elif isinstance(column.type, sa.Double):
        types = {int, float}
    if column.nullable:
        types |= {type(None)}
    return types


def different(values: Sequence[object]) -> set[Any]:
    """The distinct texts of a column.

    Many columns hold a single text, which is found without hashing all rows.
    """
    if values.count(values[0]) == len(values):
        return {values[0]}
    return set(values)


def _configurations(texts: Sequence[str]) -> list[dict[str, object]]:
    configurations = _mappings("configuration", texts)
    if max(map(len, texts)) > 308 and any(map(_HUGE.search, texts)):
        raise ValueError("configuration holds a number of more digits than a float holds")
    if any(
        any(map(operator.contains, map(dict.values, configurations), repeat(infinity)))
        for infinity in (math.inf, -math.inf)
    ):
        raise ValueError("configuration holds infinity")
    return configurations


def _metrics(texts: Sequence[str]) -> list[dict[str, float]]:
    metrics = _mappings("metrics", texts)
    np.fromiter(chain.from_iterable(m.values() for m in metrics), dtype=np.float64)
    return metrics


def _mappings(field: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    mappings = parsed(texts)
    if not set(map(type, mappings)) <= {dict}:
        raise ValueError(f"{field} must be an object, got {short(texts[0])}")
    # Lone surrogates are written as escapes, like characters beyond the first 65,536.
    if "\\" in "".join(texts) and any("\\ud" in text.lower() for text in texts if "\\" in text):
        for names in mappings:
            if text := unstorable(json.dumps(names, ensure_ascii=False)):
                raise ValueError(f"{field} {text}")
    return mappings


def sift(count: int, fault: Callable[[int, int], str]) -> dict[int, str]:
    """Number of a row -> its fault. Halving finds faults fast, since sound halves are checked once."""
    faults: dict[int, str] = {}
    if count:
        todo = [(0, count)]
    else:
        todo = []
    while todo:
        low, high = todo.pop()
        text = fault(low, high)
        if text and high - low > 1:
            middle = (low + high) // 2
            todo += [(low, middle), (middle, high)]
        elif text:
            faults[low] = text
    return dict(sorted(faults.items()))


def unpacked(data: bytes) -> bytes:
    """Data that zlib has packed.

    Raises one of :data:`BROKEN`: the data is cut off, or exceeds :data:`MOST_UNPACKED`.
    """
    unpack = zlib.decompressobj()
    out = unpack.decompress(data, MOST_UNPACKED)
    if not unpack.eof:
        raise ValueError(
            f"is damaged: packed data are cut off, or unpack to more than {MOST_UNPACKED:,} bytes"
        )
    return out


def packed_curve(curve: Mapping[str, Iterable[float]]) -> bytes:
    """The values per epoch as packed bytes; :func:`curve_of` is the inverse."""
    series = {name: [float(v) for v in values] for name, values in curve.items()}
    return zlib.compress(json.dumps(series).encode(), 6)


def curve_of(data: bytes) -> dict[str, list[float]]:
    """The values per epoch in a row. Raises one of :data:`BROKEN`: the row holds other data."""
    series = json.loads(unpacked(data))
    if not isinstance(series, dict) or not set(map(type, series.values())) <= {list}:
        raise ValueError("a curve must be lists of numbers by name")
    for name, values in series.items():
        if text := unstorable(name):
            raise ValueError(f"the name of a curve {text}")
        np.fromiter(values, dtype=np.float64)
    return series


# Rules for a row beyond the types of its values.


def goals_text(node: Node) -> str | None:
    """The further goals of a node and its declarations, as the column ``goals`` holds them.

    A list of goals; with declarations an object. Stores without declarations stay as 0.1.0 wrote them.
    """
    goals = [list(goal) for goal in node.goals]
    declared = node.declared.to_json()
    if declared:
        return dumps({"goals": goals, "declared": declared})
    if goals:
        return dumps(goals)
    return None


def settings_of(node: Node) -> dict[str, Any]:
    """Columns of a node that are not part of its id, except note, author and time."""
    return {
        "metric": node.metric,
        "direction": node.direction,
        "allow_degenerate": int(node.allow_degenerate),
        "epsilon": node.epsilon,
        "subject_to": dumps(list(node.subject_to)) if node.subject_to else None,
        "goals": goals_text(node),
    }


def node_row(node: Node) -> dict[str, Any]:
    """The row of a node, without row numbers; :func:`node_of` is the inverse."""
    facts = {name: getattr(node, name) for name in ("id", "note", "author", "created")}
    return {**facts, "content": dumps(node.identity()), **settings_of(node)}


def trial_row(trial: Trial) -> dict[str, Any]:
    """The row of a trial, without row numbers and nested rows."""
    return {
        "configuration": dumps(trial.configuration),
        "metrics": json.dumps(dict(trial.metrics)),
        **{name: getattr(trial, name) for name in PLAIN},
        "read": None if trial.read is None else dumps(list(trial.read)),
        "environment": trial.environment,
    }


def node_of(row: Row) -> Node:
    """The node in a row. Raises one of :data:`BROKEN`: the row holds other data."""
    content = json.loads(row.get("goals") or "[]")  # see :func:`goals_text`
    if isinstance(content, list):
        content = {"goals": content, "declared": {}}
    node = Node.from_json(
        json.loads(row["content"]),
        **{field: row[field] for field in ("metric", "direction", "note", "author", "created")},
        allow_degenerate=bool(row["allow_degenerate"]),
        epsilon=row.get("epsilon"),
        subject_to=tuple(json.loads(row.get("subject_to") or "[]")),
        goals=tuple((str(m), str(d)) for m, d in content["goals"]),
        declared=Declared.from_json(content["declared"]),
    )
    if node.id != row["id"]:
        raise ValueError(f"the id {row['id']!r} is not that of its content, {node.id}")
    check_objective_name(node.objective)
    check_direction(node.direction)
    Metric.parse(node.metric)
    metric_constraints(node.subject_to)
    for metric, direction in node.goals:
        Metric.parse(metric)
        check_direction(direction)
    if not (node.epsilon is None or (math.isfinite(node.epsilon) and node.epsilon >= 0)):
        raise ValueError(f"epsilon must be a number >= 0, got {node.epsilon!r}")
    if not isinstance(json.loads(row.get("scientific") or "[]"), list):  # unused, but exported
        raise TypeError(f"scientific must be a list of names, got {short(row['scientific'])}")
    if text := unstorable(node.note + node.author):
        raise ValueError(f"its note or author {text}")
    if not 0 <= node.created <= LATEST:
        raise ValueError(
            f"created must be a time in seconds since 1970, up to {LATEST:g}, got {node.created!r}"
        )
    return node


def _check(table: str, row: Row) -> None:
    """Raises one of :data:`BROKEN`: a row breaks a rule of its table."""
    match table:
        case "node":
            if dumps(node_of(row).identity()) != row["content"]:
                raise ValueError(f"the content of {row['id']} is not written in the canonical way")
        case "run":
            environment = json.loads(row["environment"])
            if not isinstance(environment, dict) or not all(isinstance(v, str) for v in environment.values()):
                raise ValueError("an environment must be an object of texts")
        case "plan":
            if row["n"] < 1:
                raise ValueError(f"a round plans at least one configuration, got {row['n']}")
        case "trial":
            _check_trial(row)
        case "curve":
            curve_of(row["data"])
        case "threshold":
            np.asarray(json.loads(unpacked(row["data"])), dtype=np.float64)
        case "target":
            unpacked(row["data"])
        case "prediction":
            numbers = len(unpacked(row["data"])) // 2
            if row["examples"] < 1 or numbers % row["examples"]:
                raise ValueError(
                    f"a prediction must hold numbers for {row['examples']} examples, got {numbers}"
                )
        case "row_score":
            unpack(unpacked(row["data"]), row["total"])
        case "shown":
            if not isinstance(json.loads(row["content"]), dict):
                raise TypeError("what a trial was shown must be an object")
        case "addition":
            if row["per"] not in ("trial", "second") or not 0 <= row["first"] < row["total"] <= MOST_REPEATS:
                raise ValueError("an addition must have a number of trials, and a unit of improvement")
        case "cell_plan":
            _check_configuration(json.loads(row["configuration"]))
        case "opened":
            _check_metrics(row)
        case "opening":
            content = json.loads(row["content"])
            if not all(isinstance(key, str) for key in content["keys"]) or not isinstance(
                content["seeds"], int
            ):
                raise ValueError("an opening must name keys and a number of seeds")
            _check_digest(table, row, digest(row["content"], len(row["digest"])))
        case "proposal" | "decision":
            _check_digest(table, row, content_digest(table, row["content"]))
        case "mark":
            flags = [row.get("excluded"), row.get("starred")]
            if any(flag not in (None, 0, 1) for flag in flags):
                raise ValueError("what is excluded or starred must be 0 or 1")
            if flags.count(None) == 0 or (flags.count(None) == 2 and row.get("note") is None):
                raise ValueError(
                    "a mark must say one thing: that a trial is excluded, that it is starred, or a note"
                )


def content_digest(table: str, content: str) -> str:
    """The digest of a stored proposal or decision. Raises one of :data:`BROKEN`: it cannot be read."""
    computed: str = provided(f"{table}.digest")(json.loads(content))
    return computed


def _check_trial(row: Row) -> None:
    configuration = json.loads(row["configuration"])
    if row["key"] != configuration_key(decode_configuration(configuration)):
        raise ValueError("the key is not that of the configuration")
    if row["cell"] is not None and not (row["cell"].isdecimal() and len(row["cell"]) <= MOST_DIGITS):
        raise ValueError(f"cell must be at most {MOST_DIGITS:,} decimal digits, got {short(row['cell'])}")
    _check_metrics(row)
    if text := unreadable({name: [row.get(name)] for name in READ}):
        raise ValueError(text)


def _check_metrics(row: Row) -> None:
    if text := outcome_fault(json.loads(row["metrics"]), {}, 0.0):
        raise ValueError(text)


def _check_configuration(configuration: dict[str, Any]) -> None:
    for value in configuration.values():
        decode(value)
        if is_real(value) and not (is_number(value) and math.isfinite(value)):
            raise ValueError("a configuration holds a number that a float does not")
    if text := unstorable(json.dumps(configuration, ensure_ascii=False)):
        raise ValueError(f"a configuration {text}")


def _check_digest(name: str, row: Row, computed: str) -> None:
    if computed != row["digest"]:
        raise ValueError(
            f"the digest of {'an' if name == 'opening' else 'a'} {name} is not that of its content"
        )
