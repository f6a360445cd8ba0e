"""A space as code for other libraries, to be pasted: one file per library. Pure: text in, text out; none has to be installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from refine.errors import SpaceError, did_you_mean
from refine.space.code.configspace import configspace_code
from refine.space.code.kerastuner import kerastuner_code
from refine.space.code.optuna import optuna_code
from refine.space.code.raytune import raytune_code
from refine.space.code.values import Space

TARGETS: Mapping[str, Callable[[Space], str]] = {
    "optuna": optuna_code,
    "raytune": raytune_code,
    "kerastuner": kerastuner_code,
    "configspace": configspace_code,
}
"""Library -> what writes its code."""


def code_of(space: Space, target: str) -> str:
    """A space as Python code: see :meth:`refine.Space.to_code`.

    Raises:
        SpaceError: No such library.
    """
    if target not in TARGETS:
        raise SpaceError(f"no code for {target!r}; {did_you_mean(str(target), TARGETS)}")
    return TARGETS[target](space)
