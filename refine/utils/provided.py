"""Functions of folders that the caller may not import, looked up by name at the first use.

A round can be drawn, written and shown without knowledge of figures, files and pages. Modules of
``refine.report`` and ``refine.ui`` register functions, ``@provides("round.report")``, and pages of objects,
``@page_for(Analysis)``. Methods of a round look the function up: ``provided("round.report")(self, folder)``.
The store checks proposals and decisions in this way, without knowledge of either.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# Modules that import all registering modules.
_HOMES = ("refine.report.provides", "refine.ui.provides")

_FUNCTIONS: dict[str, Callable[..., Any]] = {}
_PAGES: dict[type, Callable[[Any], Any]] = {}


def _registered(table: dict[Any, Any], key: object) -> Callable[[F], F]:
    def register(function: F) -> F:
        table[key] = function
        return function

    return register


def provides(name: str) -> Callable[[F], F]:
    """Registers a function for the methods of this name, for example ``"round.report"``."""
    return _registered(_FUNCTIONS, name)


def page_for(kind: type) -> Callable[[F], F]:
    """Registers the function that makes pages of objects of a class."""
    return _registered(_PAGES, kind)


def provided(name: str) -> Callable[..., Any]:
    """The function registered under a name; a LookupError is a fault of this package."""
    if name not in _FUNCTIONS:
        _load()
    return _FUNCTIONS[name]


def page_maker(kind: type) -> Callable[[Any], Any]:
    """The function that makes pages of objects of a class, or of its nearest registered base class."""
    for _ in range(2):
        for base in kind.__mro__:
            if base in _PAGES:
                return _PAGES[base]
        _load()
    raise LookupError(f"no page is registered for {kind.__name__}")


def _load() -> None:
    for home in _HOMES:
        importlib.import_module(home)
