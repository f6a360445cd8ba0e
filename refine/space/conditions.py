"""Declared conditions: under which values of others a parameter exists at all. Pure.

A parameter with ``when="optimizer == 'sgd'"`` is *active* in the configurations that meet the expression, and in the others it is
absent. A condition may name parameters that have conditions themselves; what it says of an absent one is not true.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from refine.errors import SpaceError, did_you_mean
from refine.space.constraints import Constraint
from refine.space.encoding import encode, freeze, label


class Absent(Enum):
    """The value of a parameter that is not there: none."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Conditional(Protocol):
    """What may have a condition."""

    @property
    def when(self) -> str | None:
        """The condition in its canonical spelling; ``None`` for always."""

    @property
    def otherwise(self) -> Any:
        """What configurations have where it is not met; ``ABSENT`` for nothing."""


def check_condition(target: Conditional) -> None:
    """Makes the condition of a parameter canonical.

    Raises:
        SpaceError: It is no expression, or there is none that ``otherwise`` could go with.
    """
    if target.when is None:
        if target.otherwise is not ABSENT:
            raise SpaceError(
                f"otherwise= is the value where a condition isn't met, got {target.otherwise!r} without one; add when="
            )
        return
    object.__setattr__(target, "when", condition_of(target.when).expression)
    if target.otherwise is not ABSENT:
        object.__setattr__(target, "otherwise", freeze(target.otherwise))


def condition_of(expression: Any) -> Constraint:
    """A condition, from its text.

    Raises:
        SpaceError: It is none.
    """
    try:
        return Constraint(expression)
    except SpaceError as error:
        raise SpaceError(_of_condition(error)) from None


def _of_condition(error: SpaceError) -> str:
    """An error of the language of constraints, said of a condition."""
    text = str(error)
    if text.startswith("a constraint must be"):
        return text.replace("a constraint must be", "when= must be", 1).replace(
            "'units > 4 or depth < 3'", "\"optimizer == 'sgd'\"", 1
        )
    return text.replace("constraint ", "when ", 1)


def stated(parameter: Conditional) -> dict[str, Any]:
    """The condition as plain data; empty where there is none."""
    if parameter.when is None:
        return {}
    rest = {} if parameter.otherwise is ABSENT else {"otherwise": encode(parameter.otherwise)}
    return {"when": parameter.when, **rest}


def described(parameter: Conditional) -> str:
    """``, when optimizer == 'sgd'``; empty where there is none."""
    if parameter.when is None:
        return ""
    rest = "" if parameter.otherwise is ABSENT else f", otherwise {label(parameter.otherwise)}"
    return f", when {parameter.when}{rest}"


def ordered_conditions(parameters: Mapping[str, Conditional]) -> dict[str, Constraint]:
    """The conditions of a space by name, each after those of the parameters that it names.

    Raises:
        SpaceError: A condition names what the space has not, its own parameter, or others in a circle.
    """
    left = {n: condition_of(p.when) for n, p in parameters.items() if p.when is not None}
    for name, condition in left.items():
        for other in sorted(condition.names - set(parameters)):
            raise SpaceError(
                f"{name}: when {str(condition)!r}: unknown parameter {other!r}; {did_you_mean(other, parameters)}"
            )
        if name in condition.names:
            raise SpaceError(
                f"{name}: when {str(condition)!r}: names the parameter itself; a limit on its values is a constraint"
            )
    found: dict[str, Constraint] = {}
    while left:
        free = [n for n, c in left.items() if not c.names & set(left)]
        if not free:
            circle = ", ".join(left)
            raise SpaceError(
                f"conditions must not go in a circle, but those of {circle} do; leave one of them out"
            )
        for name in free:
            found[name] = left.pop(name)
    return found


def joined(conditions: Mapping[str, Constraint]) -> list[set[str]]:
    """Parameters that conditions join, group by group: those of different groups don't bear on each other."""
    groups: list[set[str]] = []
    for name, condition in conditions.items():
        mine = {name, *condition.names}
        apart = [g for g in groups if not g & mine]
        groups = [*apart, mine.union(*(g for g in groups if g & mine))]
    return groups
