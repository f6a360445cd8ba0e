"""What a model function returns, as curves and a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from refine.errors import ObjectiveError


def curves_of(returned: Any) -> tuple[dict[str, list[float]], Any]:
    """Curves by metric and the model, from what a model function returned."""
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise ObjectiveError(
            f"the model function must return (history, model), got {type(returned).__name__}: "
            "add `return history, model`"
        )
    history, model = returned
    curves = getattr(history, "history", history)
    if not isinstance(curves, Mapping):
        raise ObjectiveError(
            f"the history must be a keras History or a dict of lists, got {type(history).__name__}: "
            + (
                "return history, model, in this order"
                if hasattr(history, "fit")
                else "return what model.fit returned"
            )
        )
    lists: dict[str, list[float]] = {}
    for name, values in curves.items():
        try:
            lists[str(name)] = [float(value) for value in values]
        except (TypeError, ValueError) as error:
            one = "one number per epoch, as in [0.5]" if np.isscalar(values) else None
            raise ObjectiveError(
                f"history[{name!r}]: must be a list of numbers, got {values!r:.80}: "
                f"{one or 'leave metrics with several numbers out of the history'}"
            ) from error
    lists = {name: values for name, values in lists.items() if values}
    if not lists:
        raise ObjectiveError(
            "the history must hold at least one epoch, got none: check that epochs is at least 1"
        )
    return lists, model
