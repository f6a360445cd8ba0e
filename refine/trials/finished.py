"""A trial that has just ended, as hooks and trackers get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from refine.trials.metric import Curve


class FinishedTrial(NamedTuple):
    """One trial that has ended and was handed to the store.

    Attributes:
        round: Id of its round.
        key: Hash of its configuration.
        params: Name -> value; classes and functions as the names they are stored by.
        state: How it ended: one of :data:`refine.trials.trial.STATES`.
        value: The metric of the round; ``None`` where there is none.
        metrics: Metric name -> last value.
        curve: Metric name -> values per epoch, empty where the objective reported none.
        seconds: Wall time.
        seed: What the random generators were seeded with.
        replicate: 0 for the planned run; 1, 2, ... for runs again under other seeds.
        origin: Where the configuration came from: one of :data:`refine.trials.trial.ORIGINS`.
        error: Traceback of a failed trial, else ``None``.
        ended: How many trials of the round have ended by now, this one among them.
        planned: How many are planned.
    """

    round: str
    key: str
    params: Mapping[str, Any]
    state: str
    value: float | None
    metrics: Mapping[str, float]
    curve: Curve
    seconds: float
    seed: int
    replicate: int
    origin: str
    error: str | None
    ended: int
    planned: int
