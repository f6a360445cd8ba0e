"""Something to do next, as data: Python, the shell and the page each spell it their own way."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any


class Symbol(str):
    """A name that stands for something of the reader's, such as ``objective``; typed without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Action:
    """A call that a person may want to make next.

    ``str`` spells it in Python: ``Action("round.run", n=...)`` is ``round.run(n=...)``. An ellipsis is for the reader to fill in.

    Attributes:
        name: What to call: ``"tree.add_round"``, ``"round.failures"`` (read, not called), ``"tree[]"`` (looked up).
        arguments: Positional arguments; a mapping stands for arguments by keyword, whatever their names.
        options: Keyword arguments.
    """

    __slots__ = ("arguments", "name", "options")

    def __init__(self, name: str, /, *arguments: Any, **options: Any) -> None:
        self.name, self.arguments, self.options = name, arguments, options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Action) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self.name)

    def _all(self) -> tuple[Any, ...]:
        return self.name, self.arguments, self.options

    def __repr__(self) -> str:
        return f"Action({self!s})"

    def __str__(self) -> str:
        if self.name.endswith(_READ):
            return self.name
        parts = [_mapping(a) if isinstance(a, Mapping) else _typed(a) for a in self.arguments]
        inside = ", ".join([*parts, *(f"{name}={_typed(value)}" for name, value in self.options.items())])
        return f"{self.name[:-1]}{inside}]" if self.name.endswith("[]") else f"{self.name}({inside})"


_READ = ".failures"


def _typed(value: Any) -> str:
    if value is ...:
        return "..."
    return f"({', '.join(map(_typed, value))})" if isinstance(value, tuple) else repr(value)


def _mapping(values: Mapping[str, Any]) -> str:
    """Names with values as a call takes them: by keyword, or as a mapping where a name is none that Python takes."""
    if all(name.isidentifier() and not keyword.iskeyword(name) for name in values):
        return ", ".join(f"{name}={_typed(value)}" for name, value in values.items())
    return "{" + ", ".join(f"{name!r}: {_typed(value)}" for name, value in values.items()) + "}"
