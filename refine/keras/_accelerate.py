"""`Model.fit` sent through `refine.keras.fit`, inside a block and in nobody else's thread."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras

from refine.keras.fit import compiled_here, fit, slower_ways, train

_wanted: ContextVar[bool] = ContextVar("refine_accelerate", default=False)
_FIT = inspect.signature(fit)
_lock = threading.Lock()
_blocks = 0


@contextlib.contextmanager
def accelerated(compiled: bool | None = None) -> Iterator[list[str]]:
    """While the block runs, ``model.fit`` of any Keras model is `refine.keras.fit`, called from this thread.

    Other threads, and what `refine.keras.fit` itself hands to ``model.fit``, get Keras' own. A model class with a
    ``fit`` of its own keeps it.

    Args:
        compiled: Of `refine.keras.fit`.

    Yields:
        Filled with the slower ways that trainings took, as they are announced.
    """
    ways: list[str] = []
    _install()
    here, heard, how = _wanted.set(True), slower_ways.set(ways), compiled_here.set(compiled)
    try:
        yield ways
    finally:
        compiled_here.reset(how)
        slower_ways.reset(heard)
        _wanted.reset(here)
        _remove()


def _install() -> None:
    global _blocks  # blocks of several threads share one replacement
    with _lock:
        if _blocks == 0:
            # Keras' own is inherited, so that removing this one brings it back.
            keras.Model.fit = _replacement(keras.Model.fit)
        _blocks += 1


def _remove() -> None:
    global _blocks
    with _lock:
        _blocks -= 1
        if _blocks == 0:
            own = keras.Model.fit.__wrapped__
            del keras.Model.fit
            if keras.Model.fit is not own:
                keras.Model.fit = own


def _replacement(own: Any) -> Any:
    signature = inspect.signature(own)

    @functools.wraps(own)
    def replaced(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if not _wanted.get():
            return own(self, *args, **kwargs)
        given = [*signature.bind(self, *args, **kwargs).arguments.items()][1:]
        bound = _FIT.bind(self, **dict(given))
        bound.apply_defaults()
        bound.arguments["compiled"] = compiled_here.get()
        model, x, y, *_ = bound.args
        token = _wanted.set(False)
        try:
            return train(model, x, y, bound.kwargs, functools.partial(own, model))
        finally:
            _wanted.reset(token)

    return replaced
