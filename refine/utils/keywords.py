"""Unknown keyword arguments of public calls get the help that other wrong names get: what may have been meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from refine.errors import closest, did_you_mean

# As many names as an error lists.
_SHORT = 6

C = TypeVar("C", bound=Callable[..., Any])


def helped(call: C) -> C:
    """A function, or a class, that says what an unknown keyword of its call may have meant.

    Python says so itself from 3.13 on, of functions that have a word like it, and not what else there is.
    """
    if not inspect.isclass(call):
        return _checked(call, call.__qualname__)  # type: ignore[return-value]
    init = vars(call).get("__init__")
    if init is not None:
        setattr(call, "__init__", _checked(init, call.__name__))  # noqa: B010  # a type checker sees no method
    return call


def helped_methods(made: C) -> C:
    """The same of a class and of all its public methods, inherited ones among them."""
    bases = [base for base in reversed(made.__mro__) if base is not object]  # type: ignore[attr-defined]
    for name, found in {name: found for base in bases for name, found in vars(base).items()}.items():
        if not name.startswith("_") and inspect.isfunction(found):
            setattr(made, name, _checked(found, f"{made.__name__}.{name}"))
        elif not name.startswith("_") and isinstance(found, classmethod | staticmethod):
            setattr(made, name, type(found)(_checked(found.__func__, f"{made.__name__}.{name}")))
    return helped(made)


def _checked(function: Callable[..., Any], called: str) -> Callable[..., Any]:
    known: list[str] = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            further = _of_unpacked(p.annotation, function)
            if further is None:
                return function  # takes any
            known += further
        elif p.kind is not p.VAR_POSITIONAL and p.name not in ("self", "cls"):
            known += [] if p.kind is p.POSITIONAL_ONLY else [p.name]
    names = frozenset(known)

    @functools.wraps(function)
    def checked(*args: Any, **keywords: Any) -> Any:
        if not keywords.keys() <= names:
            odd = next(name for name in keywords if name not in names)
            raise TypeError(
                f"{called}() got an unexpected keyword argument {odd!r}; {_hint(called, odd, known)}"
            )
        return function(*args, **keywords)

    return checked


def _hint(called: str, odd: str, known: list[str]) -> str:
    """What may have been meant, or what there is; where that is much, how to see it."""
    if odd == "name" and "objective_name" in known:
        return "objective_name= names the objective" + (", tag= names the round" if "tag" in known else "")
    if closest(odd, known) or len(known) <= _SHORT:
        return did_you_mean(odd, known)
    return f"help(refine.{called}) lists those that it knows"


def _of_unpacked(annotation: Any, function: Callable[..., Any]) -> list[str] | None:
    """Names of a ``TypedDict`` of keywords, ``**options: Unpack[Options]``; ``None`` where there is none."""
    name = str(annotation).removeprefix("Unpack[").removesuffix("]")
    found = getattr(function, "__globals__", {}).get(name)
    return (
        list(found.__annotations__) if hasattr(found, "__annotations__") and name != str(annotation) else None
    )
