"""The result of a model function: curves, and the values of the epoch whose weights the model keeps.

Keras does not report this epoch: ``EarlyStopping(restore_best_weights=True)`` restores weights as training
ends, and the history still ends with a later epoch. While a trial runs, the callback list of every training
writes the epoch to its history.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from refine.errors import ObjectiveError
from refine.keras._notices import warn_once

_NOTED = "refine_kept"


def curves_of(returned: object) -> tuple[dict[str, list[float]], Any]:
    """Curves by metric, and the model, from the result of a model function."""
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise ObjectiveError(
            f"the model function must return (history, model), got {type(returned).__name__}: "
            "add `return history, model`"
        )
    history, model = returned
    curves = getattr(history, "history", history)
    if not isinstance(curves, Mapping):
        swapped = hasattr(history, "fit")
        if swapped:
            out = "return history, model, in this order"
        else:
            out = "return what model.fit returned"
        raise ObjectiveError(
            f"the history must be a keras History or a dict of lists, got {type(history).__name__}: {out}"
        )
    lists: dict[str, list[float]] = {}
    for name, values in curves.items():
        try:
            lists[str(name)] = [float(value) for value in values]
        except (TypeError, ValueError) as error:
            out = "remove metrics with several numbers from the history"
            if np.isscalar(values):
                out = "one number per epoch, as in [0.5]"
            raise ObjectiveError(
                f"history[{name!r}]: must be a list of numbers, got {values!r:.80}: {out}"
            ) from error
    lists = {name: values for name, values in lists.items() if values}
    if not lists:
        raise ObjectiveError(
            "the history must hold at least one epoch, got none: check that epochs is at least 1"
        )
    return lists, model


@contextlib.contextmanager
def noting_kept() -> Iterator[None]:
    """While the block runs, every training records the epoch of its weights; see `kept_values`."""
    kind = keras.callbacks.CallbackList
    hooks = kind.on_epoch_end, kind.on_train_end
    kind.on_epoch_end = _epoch_end(hooks[0])
    kind.on_train_end = _train_end(hooks[1])
    try:
        yield
    finally:
        kind.on_epoch_end, kind.on_train_end = hooks


def kept_values(returned: object, model: object, curves: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The value of every metric at the epoch whose weights the model keeps.

    This epoch is the last one unless a callback restored weights. ``returned`` is the history from the model
    function, ``curves`` the same as lists of numbers.
    """
    history: Any = returned if hasattr(returned, "history") else getattr(model, "history", None)
    noted = getattr(history, _NOTED, None)
    if noted is None or (history is not returned and history.history is not returned):
        return {name: values[-1] for name, values in curves.items()}
    epoch, monitor, best = noted
    places = {len(history.epoch): history.epoch.index(epoch)}
    watched = list(curves.get(monitor, ()))
    if best in watched:  # a curve is shorter if validation runs only every few epochs
        places.setdefault(len(watched), watched.index(best))
    return {name: values[places.get(len(values), -1)] for name, values in curves.items()}


def _epoch_end(hook: Any) -> Any:
    def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
        if _own(self.callbacks):
            vars(self)["_measured"] = self.callbacks[0].model.get_weights()
        hook(self, epoch, logs)

    return on_epoch_end


def _train_end(hook: Any) -> Any:
    def on_train_end(self: Any, logs: Any = None) -> None:
        hook(self, logs)
        measured = vars(self).get("_measured")
        changed_by = _own(self.callbacks)
        model: Any = self.callbacks[0].model if self.callbacks else None
        stopping = [c for c in self.callbacks if isinstance(c, keras.callbacks.EarlyStopping)]
        restoring = [c for c in stopping if c.restore_best_weights and c.best_weights is not None]
        if restoring:
            last = restoring[-1]
            setattr(model.history, _NOTED, (last.best_epoch, last.monitor, last.best))
            measured = last.best_weights
        swaps = any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in self.callbacks)
        if getattr(getattr(model, "optimizer", None), "use_ema", False) and not swaps and not restoring:
            changed_by = f"{type(model.optimizer).__name__}(use_ema=True)"
        elif measured is None or all(map(np.array_equal, model.get_weights(), measured)):
            return
        warn_once(
            f"refine.keras: {changed_by or 'EarlyStopping'} changed the weights after validation, so the "
            "kept model is not the model whose value is recorded; change weights before validation (like "
            "SwapEMAWeights), or use EarlyStopping(restore_best_weights=True)"
        )

    return on_train_end


def _own(callbacks: Sequence[object]) -> str:
    """Names of the callbacks that may change weights; those of Keras leave or restore them."""
    modules = ("keras.", "refine.keras.")
    exempt = keras.callbacks.LambdaCallback
    return ", ".join(
        type(callback).__name__
        for callback in callbacks
        if isinstance(callback, exempt) or not type(callback).__module__.startswith(modules)
    )
