"""Help for unknown keyword arguments of public calls, like for other unknown names: similar names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from refine.errors import closest, did_you_mean
from refine.utils.action import PLANNED

_SHORT = 6  # largest number of names that an error lists

C = TypeVar("C", bound=Callable[..., Any])


class _Optional:
    """Default of an option in a signature that does not state the default."""

    def __repr__(self) -> str:
        return "..."


_OPTIONAL = _Optional()


def helped(call: C) -> C:
    """A function, or a class, whose errors on unknown keywords name similar keywords.

    Python does so itself from 3.13 on, for functions with a similar keyword, but without a list of all.
    """
    if not inspect.isclass(call):
        return _checked(call, call.__qualname__)  # type: ignore[return-value]
    init = vars(call).get("__init__")
    if init is not None:
        # By setattr: a type checker sees no method `__init__` here.
        setattr(call, "__init__", _checked(init, call.__name__))  # noqa: B010
    return call


def helped_methods(cls: C) -> C:
    """Applies :func:`helped` to a class and to all public methods, inherited methods included."""
    bases = [base for base in reversed(cls.__mro__) if base is not object]  # type: ignore[attr-defined]
    for name, member in {name: member for base in bases for name, member in vars(base).items()}.items():
        if not name.startswith("_") and inspect.isfunction(member):
            setattr(cls, name, _checked(member, f"{cls.__name__}.{name}"))
        elif not name.startswith("_") and isinstance(member, classmethod | staticmethod):
            setattr(cls, name, type(member)(_checked(member.__func__, f"{cls.__name__}.{name}")))
    return helped(cls)


def _checked(function: Callable[..., Any], called: str) -> Callable[..., Any]:
    signature = inspect.signature(function)
    text = function.__doc__
    parameters: dict[str, inspect.Parameter] = {}
    for p in signature.parameters.values():
        if p.kind is not p.VAR_KEYWORD:
            parameters[p.name] = p
            continue
        options = _of_unpacked(p.annotation, function)
        if options is None:
            return function  # accepts any keyword
        text = listed(text, options)
        for name, annotation in options.items():
            option = p.replace(name=name, kind=p.KEYWORD_ONLY, default=_OPTIONAL, annotation=annotation)
            parameters.setdefault(name, option)
    accepted = [
        p.name
        for p in parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in ("self", "cls")
    ]
    names = frozenset(accepted)

    @functools.wraps(function)
    def checked(*args: object, **keywords: object) -> Any:
        if not keywords.keys() <= names:
            unknown = next(name for name in keywords if name not in names)
            raise TypeError(
                f"{called}() got an unexpected keyword argument {unknown!r}; "
                f"{_hint(called, unknown, accepted)}"
            )
        return function(*args, **keywords)

    checked.__doc__ = text
    if parameters.keys() != signature.parameters.keys():  # help() lists the options too
        shown = signature.replace(parameters=list(parameters.values()))
        checked.__signature__ = shown  # type: ignore[attr-defined]
    return checked


def listed(text: str | None, keywords: Iterable[str]) -> str | None:
    """A docstring with the names of keywords in place of ``{keywords}``."""
    if text is None:
        return None
    return text.replace("{keywords}", ", ".join(f"``{name}``" for name in keywords))


def _hint(called: str, unknown: str, accepted: list[str]) -> str:
    """Similar keywords, else all keywords if they are few, else a call that lists all keywords."""
    if unknown == "objective_name" and "name" in accepted:
        return "name= names the objective, tag= names the round"
    if unknown in PLANNED and "plan" in accepted:
        return f"write plan=refine.Plan({unknown}=...)"
    if closest(unknown, accepted) or len(accepted) <= _SHORT:
        return did_you_mean(unknown, accepted)
    return f"help(refine.{called}) lists all keywords"


def _of_unpacked(annotation: object, function: Callable[..., Any]) -> dict[str, object] | None:
    """Name -> type, by ``**options: Unpack[Options]``; ``None`` for annotations without a ``TypedDict``."""
    name = str(annotation).removeprefix("Unpack[").removesuffix("]")
    typed_dict = getattr(function, "__globals__", {}).get(name)
    if hasattr(typed_dict, "__annotations__") and name != str(annotation):
        return {
            name: getattr(kind, "__forward_arg__", kind) for name, kind in typed_dict.__annotations__.items()
        }
    return None
