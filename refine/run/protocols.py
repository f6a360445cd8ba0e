"""What an objective may offer beside being callable; docs/api.md lists it. A member that is ``None`` counts as not there.

An objective is a function of a configuration, or of a configuration and the running trial. An object that is called as one may
have ``name``, ``fingerprint``, ``code``, ``stops``, ``prepare``, ``holdout``, ``trained``,
``save_model`` and ``load_model``; :class:`refine.keras.KerasObjective` has them. Of one with ``func``, as ``functools.partial`` has
it, or with ``model``, that function's source is meant where a file or a name is looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# ``f(params)`` or ``f(params, trial)`` -> a number or a mapping of metrics to numbers.
Objective = Callable[..., Any]


def offers(objective: Objective, *methods: str) -> bool:
    """Whether an objective has all of these methods."""
    return all(callable(getattr(objective, method, None)) for method in methods)


def text_of(objective: Objective, name: str) -> str | None:
    """What an objective says of itself, if that is a text."""
    text = getattr(objective, name, None)
    return text if isinstance(text, str) else None
