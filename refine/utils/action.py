"""A next call as data; Python, the shell and the page each have their own spelling."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any


class Symbol(str):
    """A name for an object of the reader, for example ``objective``; printed without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Action:
    """A call that a user may want to make next.

    ``str`` gives the Python spelling: ``Action("round.run", n=...)`` is ``round.run(n=...)``. An ellipsis is
    left for the reader to fill in. ``round.add`` is spelled with ``.run()``, since it only plans. Options of
    :class:`refine.Plan` are spelled as a plan: ``review.accept(plan=refine.Plan(audit=...))``.

    Attributes:
        name: The function: ``"tree.add_round"``, ``"round.failures"`` (read, not called), ``"tree[]"`` (an
            item), ``"tree.budget"`` or ``"round.note"`` (set to its argument).
        arguments: Positional arguments; a mapping stands for keyword arguments of any name.
        options: Keyword arguments.
    """

    __slots__ = ("arguments", "name", "options")

    def __init__(self, name: str, /, *arguments: Any, **options: Any) -> None:
        self.name = name
        self.arguments = arguments
        self.options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Action) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self.name)

    def _all(self) -> tuple[object, ...]:
        return self.name, self.arguments, self.options

    def __repr__(self) -> str:
        return f"Action({self!s})"

    def __str__(self) -> str:
        if self.name.endswith(_READ):
            return self.name
        if self.name in _SET:
            return f"{self.name} = {_typed(self.arguments[0])}"
        parts = [self._argument(argument) for argument in self.arguments]
        inside = ", ".join([*parts, *map(_keyword, self._spelled_options().items())])
        if self.name.endswith("[]"):
            return f"{self.name[:-1]}{inside}]"
        call = f"{self.name}({inside})"
        if self.name.endswith(_PLANS):
            return f"{call}.run()"
        return call

    def _spelled_options(self) -> dict[str, object]:
        """The options, those of a plan as one plan."""
        if not self.name.endswith(_CREATES):
            return self.options
        plan = {name: value for name, value in self.options.items() if name in PLANNED}
        options = {name: value for name, value in self.options.items() if name not in PLANNED}
        if plan:
            options["plan"] = Symbol(f"refine.Plan({', '.join(map(_keyword, plan.items()))})")
        return options

    def _argument(self, argument: object) -> str:
        """A positional argument: a mapping as keywords, or as a dictionary if the call takes one."""
        if not isinstance(argument, Mapping):
            return _typed(argument)
        takes_keywords = self.name != _OF_CONFIGURATIONS
        if takes_keywords and all(name.isidentifier() and not keyword.iskeyword(name) for name in argument):
            return ", ".join(f"{name}={_typed(value)}" for name, value in argument.items())
        return "{" + ", ".join(f"{name!r}: {_typed(value)}" for name, value in argument.items()) + "}"


PLANNED = ("design", "downsample", "audit", "pruner", "belief")
"""Fields of :class:`refine.Plan` that calls do not take themselves."""
_CREATES = (".add_round", ".accept", ".branch")  # take a plan
_READ = ".failures"
_PLANS = ".add"  # plans trials, which the call then runs
_OF_CONFIGURATIONS = "tree.judge"
_SET = ("tree.budget", "round.note")


def _keyword(option: tuple[str, object]) -> str:
    name, value = option
    return f"{name}={_typed(value)}"


def _typed(value: object) -> str:
    if value is ...:
        return "..."
    if isinstance(value, tuple):
        return f"({', '.join(map(_typed, value))})"
    return repr(value)
