"""A trial: what running one configuration gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.trials.metric import Curve

EXCLUDED = "excluded"

STATES = ("running", "complete", "failed", "diverged", "crashed", "timeout", "pruned", EXCLUDED)
"""How trials end. One that somebody excluded is left out of every analysis, however it ended."""

FAILED = ("failed", "diverged", "crashed", "timeout")
"""States of trials that ended without a value."""

ORIGINS = ("given", "space_filling", "exploit", "audit", "probe", "adaptive", "imported")

SPACE_FILLING = ("space_filling", "imported")
"""Origins of trials that count as drawn without looking at results. Somebody's table of finished runs is all there is of
it, and counts as if it were."""

AUDITS = ("audit", "probe")
"""Origins of trials outside their round's space that can refute its claim: drawn evenly, or where the posterior finds a
better value plausible. The power is that of the even ones."""

DEGENERATE = "degenerate"
"""Metric that says whether a model predicts the same for everything: 1 if so, else 0."""


class Examples(NamedTuple):
    """What a trial predicted for validation examples.

    Attributes:
        predictions: (n, outputs) half-precision numbers.
        targets: (n,) what is right: numbers of classes, or quantities.
        total: How many examples there are; ``n`` may be fewer.
    """

    predictions: npt.NDArray[np.float16]
    targets: npt.NDArray[np.float32]
    total: int


class Trial(NamedTuple):
    """One run of one configuration.

    Attributes:
        key: Hash of the configuration.
        configuration: Name -> canonical value (plain JSON data).
        cell: Number of the cell as decimal text, ``None`` off the grid.
        replicate: 0 for the planned run; 1, 2, ... for repetitions under other seeds.
        attempt: 0 for the first try at this replicate; more where it was run again.
        origin: One of :data:`ORIGINS`.
        seed: What the random generators were seeded with.
        state: One of :data:`STATES`.
        metrics: Metric name -> last value.
        curve: Values per epoch, empty where the objective reported none.
        seconds: Wall time.
        error: Traceback of a failed trial, else ``None``.
        code: Fingerprint of the objective's code.
        read: Names of the parameters that the objective read; ``None`` when all were.
        finished: Seconds since the epoch.
        examples: What it predicted, where the objective said so.
        shown: What it was shown of other trials, in an adaptive or pruned round; plain data.
        environment: Digest of what it ran on; ``None`` where nobody could say, as of a worker that died.
    """

    key: str
    configuration: Mapping[str, Any]
    cell: str | None
    replicate: int
    attempt: int
    origin: str
    seed: int
    state: str
    metrics: Mapping[str, float]
    curve: Curve
    seconds: float
    error: str | None
    code: str
    read: tuple[str, ...] | None
    finished: float
    examples: Examples | None = None
    shown: Mapping[str, Any] | None = None
    environment: str | None = None


class FinishedTrial(NamedTuple):
    """One trial that has ended and was handed to the store, as hooks and trackers get it.

    Attributes:
        round: Id of its round.
        key: Hash of its configuration.
        params: Name -> value; classes and functions as the names they are stored by.
        state: How it ended: one of :data:`STATES`.
        value: The metric of the round; ``None`` where there is none.
        metrics: Metric name -> last value.
        curve: Metric name -> values per epoch, empty where the objective reported none.
        seconds: Wall time.
        seed: What the random generators were seeded with.
        replicate: 0 for the planned run; 1, 2, ... for runs again under other seeds.
        origin: Where the configuration came from: one of :data:`ORIGINS`.
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
