"""Compact storage of many mappings.

A few bytes per value instead of a dictionary each, for millions of trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

# Marks a missing name of a mapping.
_NOT = object()

_KINDS: dict[type, Any] = {float: np.float64, int: np.int64, bool: np.bool_}

Values = npt.NDArray[Any] | list[Any]


class _Block(NamedTuple):
    """Some mappings."""

    n: int  # number of mappings
    # name -> n values: an array if all are numbers of one type, else a list that may hold `_NOT`
    columns: dict[str, Values]
    gaps: frozenset[str] = frozenset()  # names of the columns with missing values

    def listed(self, name: str, default: Any) -> list[Any]:
        """N values; a default where a mapping has no such name."""
        found = self.columns.get(name)
        if found is None:
            return [default] * self.n
        if isinstance(found, np.ndarray):
            return list(found.tolist())
        return [default if v is _NOT else v for v in found] if name in self.gaps else found

    def mappings(self) -> Iterator[dict[str, Any]]:
        """The mappings as new dictionaries."""
        if not self.columns:
            return ({} for _ in range(self.n))
        names = tuple(self.columns)
        rows = zip(*(self.listed(name, _NOT) for name in names), strict=True)
        if not self.gaps:
            return (dict(zip(names, row, strict=True)) for row in rows)
        return ({n: v for n, v in zip(names, row, strict=True) if v is not _NOT} for row in rows)


class JsonRows(Sequence[dict[str, Any]]):
    """A sequence of mappings from names to plain JSON data; an element is a new dictionary.

    Names keep the order of their first appearance over all mappings.
    """

    def __init__(self, mappings: Sequence[Mapping[str, Any]] = ()) -> None:
        self._blocks: list[_Block] = []
        self.extend(mappings)

    def extend(self, mappings: Sequence[Mapping[str, Any]]) -> None:
        """Appends mappings, without keeping the objects themselves."""
        if mappings:
            found, gaps = _by_name(mappings)
            self._blocks.append(_Block(len(mappings), {n: packed(v) for n, v in found}, gaps))

    @classmethod
    def of_columns(cls, n: int, columns: Mapping[str, Values]) -> JsonRows:
        """N mappings that all have the same names, of columns as :func:`packed` gives them."""
        found = cls()
        found._blocks.append(_Block(n, dict(columns)))
        return found

    def append(self, others: JsonRows) -> None:
        """Appends the mappings of another sequence."""
        self._blocks += others._blocks

    @classmethod
    def joined(cls, parts: Iterable[JsonRows]) -> JsonRows:
        """Several sequences, one after the other."""
        found = cls()
        found._blocks = [block for part in parts for block in part._blocks]
        return found

    def __len__(self) -> int:
        return sum(block.n for block in self._blocks)

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(at, slice):
            return [self[i] for i in range(len(self))[at]]
        i = range(len(self))[at]
        for block in self._blocks:
            if i < block.n:
                one = _Block(1, {n: v[i : i + 1] for n, v in block.columns.items()}, block.gaps)
                return next(one.mappings())
            i -= block.n
        raise IndexError(at)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(block.mappings() for block in self._blocks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"JsonRows({list(self)!r})"

    @property
    def names(self) -> list[str]:
        """All names, in the order of their first appearance."""
        return list(dict.fromkeys(name for block in self._blocks for name in block.columns))

    def column(self, name: str) -> Values:
        """Values under a name, ``None`` if missing; an array if all are numbers of one type."""
        found = [block.columns.get(name) for block in self._blocks]
        arrays = [v for v in found if isinstance(v, np.ndarray)]
        if arrays and len(arrays) == len(found) and len({v.dtype for v in arrays}) == 1:
            return np.concatenate(arrays)
        return [v for block in self._blocks for v in block.listed(name, None)]

    def has(self, name: str) -> npt.NDArray[np.bool_]:
        """(n,) mask of the mappings with a name."""
        parts = [np.zeros(0, dtype=np.bool_)]
        for block in self._blocks:
            found = block.columns.get(name)
            if isinstance(found, list) and name in block.gaps:
                parts.append(np.array([v is not _NOT for v in found], dtype=np.bool_))
            else:
                parts.append(np.full(block.n, found is not None))
        return np.concatenate(parts)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """(n,) floats under a name; NaN if missing."""
        parts = [np.zeros(0)]
        for block in self._blocks:
            found = block.columns.get(name)
            if not isinstance(found, np.ndarray):
                found = np.array([np.nan if v is None else v for v in block.listed(name, None)], dtype=float)
            parts.append(np.asarray(found, dtype=float))
        return np.concatenate(parts)

    def chosen(self, keep: Sequence[bool]) -> JsonRows:
        """The mappings selected by a mask."""
        found, first = JsonRows(), 0
        for block in self._blocks:
            mine = keep[first : first + block.n]
            first += block.n
            if block.gaps:  # a selection may have fewer names
                found.extend(list(compress(block.mappings(), mine)))
            elif number := sum(map(bool, mine)):
                mask = np.asarray(mine, dtype=np.bool_)
                columns: dict[str, Values] = {
                    n: v[mask] if isinstance(v, np.ndarray) else list(compress(v, mine))
                    for n, v in block.columns.items()
                }
                found._blocks.append(_Block(number, columns))
        return found

    def under(self, names: Iterable[str], otherwise: Mapping[str, Any]) -> JsonRows:
        """The mappings reduced to some names; ``otherwise`` gives values for missing ones."""
        found, wanted = JsonRows(), list(names)
        for block in self._blocks:
            columns: dict[str, Values] = {}
            gaps = set()
            for name in wanted:
                mine = block.columns.get(name)
                if mine is None or name in block.gaps:
                    if name not in otherwise:
                        gaps.add(name)
                    mine = packed(block.listed(name, otherwise.get(name, _NOT)))
                columns[name] = mine
            found._blocks.append(_Block(block.n, columns, frozenset(gaps)))
        return found


def _by_name(
    mappings: Sequence[Mapping[str, Any]],
) -> tuple[Iterator[tuple[str, Sequence[Any]]], frozenset[str]]:
    """Names with their columns, and the columns with missing values."""
    kinds = dict.fromkeys(map(tuple, mappings))
    if len(kinds) == 1:
        (names,) = kinds
        return zip(names, zip(*(m.values() for m in mappings), strict=True), strict=False), frozenset()
    every = dict.fromkeys(chain(*kinds))
    gaps = frozenset(name for name in every if any(name not in kind for kind in kinds))
    return ((name, [m.get(name, _NOT) for m in mappings]) for name in every), gaps


def packed(values: Sequence[Any]) -> Values:
    """An array if it returns the same values and types as the objects, else a list."""
    kinds = set(map(type, values))
    if len(kinds) == 1 and (kind := next(iter(kinds))) in _KINDS:
        try:
            return np.array(values, dtype=_KINDS[kind])
        except OverflowError:  # more digits than 64 bits hold
            return list(values)
    if kinds <= {str}:
        known: dict[str, str] = {}
        return list(map(known.setdefault, values, values))
    return list(values)
