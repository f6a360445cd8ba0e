"""Objectives, and the members they may have besides being callable; docs/api.md lists the members.

An objective is a function of a configuration, or of a configuration and the running trial. An object may have
``name``, ``fingerprint``, ``code``, ``stops``, ``prepare``, ``holdout``, ``trained``, ``save_model`` and
``load_model``; :class:`refine.keras.KerasObjective` has them. A member with the value None counts as missing.
If an objective has ``func``, like ``functools.partial``, or ``model``, then name and source file are those of
the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# ``f(params)`` or ``f(params, trial)`` -> a number or a mapping of metrics to numbers.
Objective = Callable[..., Any]


def offers(objective: Objective, *methods: str) -> bool:
    """True if an objective has all of these methods."""
    return all(callable(getattr(objective, method, None)) for method in methods)


def text_of(objective: Objective, name: str) -> str | None:
    """A member of an objective, if it is a text."""
    text = getattr(objective, name, None)
    if isinstance(text, str):
        return text
    return None
