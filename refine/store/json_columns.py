"""Columns of JSON texts as data, thousands at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refine.trials.rows import JsonRows, Values, packed

_FEW = 16  # fewest texts for which the search for common parts pays
_LONG = 308  # digits of the largest number that a float holds


def parsed(texts: Sequence[str]) -> list[Any]:
    """JSON texts as data, by a single call of the decoder, several times faster than a call per text.

    Raises ValueError: a text is not exactly one JSON value.
    """
    values = json.loads("[" + ",".join(texts) + "]")
    if len(values) != len(texts):
        raise ValueError("is not a single JSON value")
    return values


def level_rows(texts: Sequence[str]) -> JsonRows | None:
    """Objects with equal names and often equal values: each distinct value is decoded once.

    ``None`` if the names differ, a value holds a comma, or a value needs the full decoder: it has an escape,
    is infinite, or is too long for a number.
    """

    def column(pieces: list[str], first: bool, last: bool) -> tuple[str, Values] | None:
        kinds = list(dict.fromkeys(pieces))
        name_and_values = _values(kinds, first, last)
        if name_and_values is None or any(isinstance(v, float) and math.isinf(v) for v in name_and_values[1]):
            return None
        return name_and_values[0], packed(
            list(map(dict(zip(kinds, name_and_values[1], strict=True)).__getitem__, pieces))
        )

    return _rows(texts, column)


def number_rows(texts: Sequence[str]) -> JsonRows | None:
    """Objects with equal names and numbers as values.

    ``None`` if a value holds a comma or is not a number.
    """

    def column(pieces: list[str], first: bool, last: bool) -> tuple[str, Values] | None:
        name_and_values = _values(pieces, first, last)
        if name_and_values is None or not set(map(type, name_and_values[1])) <= {float, int}:
            return None
        values = packed(name_and_values[1])
        if isinstance(values, list):
            try:
                np.fromiter(values, dtype=np.float64, count=len(values))
            except OverflowError:
                return None
        return name_and_values[0], values

    return _rows(texts, column)


def _rows(
    texts: Sequence[str], column: Callable[[list[str], bool, bool], tuple[str, Values] | None]
) -> JsonRows | None:
    if len(texts) < _FEW:
        return None
    # No JSON text holds this character. If as many pieces as texts begin with the character, each of these
    # pieces begins a text.
    joined = "\0" + ",\0".join(texts)
    if joined.count("\0") != len(texts) or "\\" in joined:
        return None
    pieces = joined.split(",")
    count, remainder = divmod(len(pieces), len(texts))
    if remainder:
        return None
    columns: dict[str, Values] = {}
    for i in range(count):
        name_and_values = column(pieces[i::count], i == 0, i == count - 1)
        if name_and_values is None or name_and_values[0] in columns:
            return None
        columns[name_and_values[0]] = name_and_values[1]
    return JsonRows.of_columns(len(texts), columns)


def _values(pieces: Sequence[str], first: bool, last: bool) -> tuple[str, list[Any]] | None:
    """The name and the values of pieces such as ``"lr":0.1``; empty for pieces of another form.

    Pieces have no commas and escapes. ``first`` pieces begin an object, ``last`` pieces end an object.
    """
    if first:
        start = '\0{"'
    else:
        start = '"'
    head, colon, _ = pieces[0].partition(":")
    begin = head + colon + " " * pieces[0].startswith(": ", len(head))
    name = head.lstrip(" ").removeprefix(start)[:-1]
    if head.lstrip(" ") != f'{start}{name}"' or '"' in name or not name.isprintable():
        return None
    size = len(begin)
    if last:
        end = -1
    else:
        end = None
    if {piece[:size] for piece in pieces} != {begin} or (last and {piece[-1] for piece in pieces} != {"}"}):
        return None
    values = [piece[size:end] for piece in pieces]
    if max(map(len, values)) > _LONG:
        return None
    try:
        decoded = json.loads("[" + ",".join(values) + "]")
    except (ValueError, RecursionError):
        return None
    # No piece holds a comma, so equal numbers of values and pieces mean one value per piece.
    if len(decoded) == len(values):
        return (name, decoded)
    return None
