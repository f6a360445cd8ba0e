"""Trackers: each ended trial becomes a run of MLflow or TensorBoard, out of the round's way."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refine.report.trackers.mlflow import MLflow
    from refine.report.trackers.tensorboard import TensorBoard
    from refine.report.trackers.tracker import RoundFacts, Tracker

_HOMES = {
    "MLflow": "mlflow",
    "RoundFacts": "tracker",
    "TensorBoard": "tensorboard",
    "Tracker": "tracker",
}

__all__ = ["MLflow", "RoundFacts", "TensorBoard", "Tracker", "tracker_of"]

_WORDS = {"mlflow": "MLflow", "tensorboard": "TensorBoard"}


def tracker_of(text: str) -> Tracker:
    """A tracker by a word, as the shell names it.

    Args:
        text: ``mlflow`` or ``tensorboard``; after ``=`` the address of the server, or the folder:
            ``mlflow=http://localhost:5000``.

    Raises:
        DesignError: Another word, or a tracker that needs a folder without one.
    """
    from refine.errors import DesignError, did_you_mean

    word, _, where = text.partition("=")
    if word not in _WORDS:
        raise DesignError(
            f"a tracker must be one of {', '.join(_WORDS)}, got {word!r}; {did_you_mean(word, _WORDS)}"
        )
    if word == "tensorboard" and not where:
        raise DesignError("tensorboard needs a folder to write to: tensorboard=FOLDER")
    made: Tracker = __getattr__(_WORDS[word])(*([where] if where else []))
    return made


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"refine.report.trackers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'refine.report.trackers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
