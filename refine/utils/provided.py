"""What folders above provide to objects of folders below, found by name when it is first asked for.

A round can be drawn, written and shown, yet knows nothing of figures, files and pages. Modules of ``refine.report`` and ``refine.ui``
register what they do, ``@provides("round.report")``, and what objects look like, ``@page_for(Analysis)``; methods that people call on
a round look it up: ``provided("round.report")(self, folder)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# Modules that import, by name, whatever registers something.
_HOMES = ("refine.report.provides", "refine.ui.provides")

_FUNCTIONS: dict[str, Callable[..., Any]] = {}
_PAGES: dict[type, Callable[[Any], Any]] = {}


def _registered(table: dict[Any, Any], key: Any) -> Callable[[F], F]:
    def register(function: F) -> F:
        table[key] = function
        return function

    return register


def provides(name: str) -> Callable[[F], F]:
    """Registers a function for the methods of that name, such as ``"round.report"``."""
    return _registered(_FUNCTIONS, name)


def page_for(kind: type) -> Callable[[F], F]:
    """Registers the function that makes the page of objects of a kind."""
    return _registered(_PAGES, kind)


def provided(name: str) -> Callable[..., Any]:
    """The function that was registered under a name; a LookupError, where nothing was, is a mistake in this package."""
    if name not in _FUNCTIONS:
        _load()
    return _FUNCTIONS[name]


def page_maker(kind: type) -> Callable[[Any], Any]:
    """The function that makes the page of objects of a kind, or of the nearest class that it derives from."""
    for _ in range(2):
        for base in kind.__mro__:
            if base in _PAGES:
                return _PAGES[base]
        _load()
    raise LookupError(f"no page is registered for {kind.__name__}")


def _load() -> None:
    for home in _HOMES:
        importlib.import_module(home)
