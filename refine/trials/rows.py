"""Compact storage of many mappings.

A few bytes per value instead of a dictionary each, for millions of trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from refine.utils.arrays import Bools, Floats

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

    def listed(self, name: str, default: object) -> list[object]:
        """N values; a default where a mapping has no such name."""
        values = self.columns.get(name)
        if values is None:
            return [default] * self.n
        if isinstance(values, np.ndarray):
            return list(values.tolist())
        if name in self.gaps:
            return [default if v is _NOT else v for v in values]
        return values

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

    def __init__(self, mappings: Sequence[Mapping[str, object]] = ()) -> None:
        self._blocks: list[_Block] = []
        self.extend(mappings)

    def extend(self, mappings: Sequence[Mapping[str, object]]) -> None:
        """Appends mappings, without keeping the objects themselves."""
        if mappings:
            columns, gaps = _by_name(mappings)
            self._blocks.append(_Block(len(mappings), {n: packed(v) for n, v in columns}, gaps))

    @classmethod
    def of_columns(cls, n: int, columns: Mapping[str, Values]) -> JsonRows:
        """N mappings that all have the same names, of columns as :func:`packed` gives them."""
        rows = cls()
        rows._blocks.append(_Block(n, dict(columns)))
        return rows

    def append(self, rows: JsonRows) -> None:
        """Appends the mappings of another sequence."""
        self._blocks += rows._blocks

    @classmethod
    def joined(cls, parts: Iterable[JsonRows]) -> JsonRows:
        """Several sequences, one after the other."""
        rows = cls()
        rows._blocks = [block for part in parts for block in part._blocks]
        return rows

    def __len__(self) -> int:
        return sum(block.n for block in self._blocks)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        i = range(len(self))[index]
        for block in self._blocks:
            if i < block.n:
                single = _Block(1, {n: v[i : i + 1] for n, v in block.columns.items()}, block.gaps)
                return next(single.mappings())
            i -= block.n
        raise IndexError(index)

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
        parts = [block.columns.get(name) for block in self._blocks]
        arrays = [v for v in parts if isinstance(v, np.ndarray)]
        if arrays and len(arrays) == len(parts) and len({v.dtype for v in arrays}) == 1:
            return np.concatenate(arrays)
        return [v for block in self._blocks for v in block.listed(name, None)]

    def has(self, name: str) -> Bools:
        """(n,) mask of the mappings with a name."""
        parts = [np.zeros(0, dtype=np.bool_)]
        for block in self._blocks:
            values = block.columns.get(name)
            if isinstance(values, list) and name in block.gaps:
                parts.append(np.array([v is not _NOT for v in values], dtype=np.bool_))
            else:
                parts.append(np.full(block.n, values is not None))
        return np.concatenate(parts)

    def numbers(self, name: str) -> Floats:
        """(n,) floats under a name; NaN if missing."""
        parts = [np.zeros(0)]
        for block in self._blocks:
            values = block.columns.get(name)
            if not isinstance(values, np.ndarray):
                values = np.array([np.nan if v is None else v for v in block.listed(name, None)], dtype=float)
            parts.append(np.asarray(values, dtype=float))
        return np.concatenate(parts)

    def chosen(self, keep: Sequence[bool]) -> JsonRows:
        """The mappings selected by a mask."""
        rows = JsonRows()
        first = 0
        for block in self._blocks:
            block_mask = keep[first : first + block.n]
            first += block.n
            if block.gaps:  # a selection may have fewer names
                rows.extend(list(compress(block.mappings(), block_mask)))
            elif number := sum(map(bool, block_mask)):
                mask = np.asarray(block_mask, dtype=np.bool_)
                columns: dict[str, Values] = {
                    n: v[mask] if isinstance(v, np.ndarray) else list(compress(v, block_mask))
                    for n, v in block.columns.items()
                }
                rows._blocks.append(_Block(number, columns))
        return rows

    def under(self, names: Iterable[str], otherwise: Mapping[str, object]) -> JsonRows:
        """The mappings reduced to some names; ``otherwise`` gives values for missing ones."""
        rows = JsonRows()
        kept_names = list(names)
        for block in self._blocks:
            columns: dict[str, Values] = {}
            gaps = set()
            for name in kept_names:
                values = block.columns.get(name)
                if values is None or name in block.gaps:
                    if name not in otherwise:
                        gaps.add(name)
                    values = packed(block.listed(name, otherwise.get(name, _NOT)))
                columns[name] = values
            rows._blocks.append(_Block(block.n, columns, frozenset(gaps)))
        return rows


def _by_name(
    mappings: Sequence[Mapping[str, object]],
) -> tuple[Iterator[tuple[str, Sequence[object]]], frozenset[str]]:
    """Names with their columns, and the columns with missing values."""
    kinds = dict.fromkeys(map(tuple, mappings))
    if len(kinds) == 1:
        (names,) = kinds
        return zip(names, zip(*(m.values() for m in mappings), strict=True), strict=False), frozenset()
    all_names = dict.fromkeys(chain(*kinds))
    gaps = frozenset(name for name in all_names if any(name not in kind for kind in kinds))
    return ((name, [m.get(name, _NOT) for m in mappings]) for name in all_names), gaps


def packed(values: Sequence[Any]) -> Values:
    """An array if it returns the same values and types as the objects, else a list."""
    kinds = set(map(type, values))
    if len(kinds) == 1 and (kind := next(iter(kinds))) in _KINDS:
        try:
            return np.array(values, dtype=_KINDS[kind])
        except OverflowError:  # more digits than 64 bits hold
            return list(values)
    if kinds <= {str}:
        interned: dict[str, str] = {}
        return list(map(interned.setdefault, values, values))
    return list(values)
