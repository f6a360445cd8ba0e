"""What a model function is: its name and its arguments."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from refine.errors import ObjectiveError

if TYPE_CHECKING:
    from collections.abc import Callable

_WAY_OUT = "write `def model(x_train, y_train, x_val, y_val, params): ...`"


def check_model(model: Any) -> None:
    """Raises `ObjectiveError` unless ``model`` can be called with the five arguments of a model function."""
    if callable(model) and hasattr(model, "fit"):
        raise ObjectiveError(
            f"model: must be the function that builds and trains, got a {type(model).__name__}; {_WAY_OUT}"
        )
    if not callable(model):
        raise ObjectiveError(
            f"model: must be a function of five arguments, got {type(model).__name__}; {_WAY_OUT}"
        )
    try:
        signature = inspect.signature(model)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*range(5))
    except TypeError as error:
        raise ObjectiveError(
            f"model: must take five positional arguments, got {name_of(model)}{signature}; {_WAY_OUT}"
        ) from error


def name_of(model: Callable[..., Any]) -> str:
    """Qualified name, without ``__main__``, so that a script and an import of it agree."""
    if isinstance(model, functools.partial):
        return name_of(model.func)
    name = getattr(model, "__qualname__", None) or type(model).__qualname__
    module = getattr(model, "__module__", None)
    return name if module in (None, "__main__") else f"{module}.{name}"
