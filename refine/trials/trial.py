"""A trial: one run of a configuration, with its result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.trials.metric import Curve
from refine.utils.arrays import Floats, spaced_rows


class State(StrEnum):
    """States of trials at the end, equal to their texts.

    Every analysis leaves an excluded trial out, whatever the result. A cheap trial finished below the full
    level of the fidelity: it has no value of a full training, and analyses give it a forecast of one.
    """

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    DIVERGED = "diverged"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    PRUNED = "pruned"
    CHEAP = "cheap"
    EXCLUDED = "excluded"

    __repr__ = str.__repr__


STATES = tuple(State)
EXCLUDED = State.EXCLUDED

FAILED = (State.FAILED, State.DIVERGED, State.CRASHED, State.TIMEOUT)
"""States of trials that ended without a value."""


def ended_state(reported: str, value: float | None) -> State:
    """The state of a trial that ended: the only rule for trials that refine ran and for imported ones.

    Args:
        reported: State by the objective, or by the record of an import.
        value: Value of the metric; ``None`` if the trial has none.

    Returns:
        ``diverged`` for a complete trial whose value is not finite, else ``reported``.
    """
    if reported == State.COMPLETE and value is not None and not math.isfinite(value):
        return State.DIVERGED
    return State(reported)


def error_line(error: object) -> str:
    """The line of an error for a table: the last one with a letter or a digit; empty without an error."""
    if not isinstance(error, str):
        return ""
    lines = [line.strip() for line in reversed(error.splitlines())]
    return next((line for line in lines if any(map(str.isalnum, line))), error.strip())


ORIGINS = ("given", "space_filling", "exploit", "audit", "probe", "adaptive", "imported")

SPACE_FILLING = ("space_filling", "imported")
"""Origins of trials that count as drawn without regard to results; imported tables count too."""

AUDITS = ("audit", "probe")
"""Origins of trials outside their round's space that can refute its claim.

They are drawn evenly, or where the posterior finds a better value plausible. The power is that of the even
ones."""

DEGENERATE = "degenerate"
"""Metric that says whether a model predicts the same for everything: 1 if so, else 0."""


class Examples(NamedTuple):
    """A trial's predictions for validation examples."""

    predictions: npt.NDArray[np.float16]  # (n, outputs) half-precision numbers
    targets: npt.NDArray[np.float32]  # (n,) true values: numbers of classes, or quantities
    total: int  # number of examples in all; `n` may be fewer


MOST_ROWS = 10_000
"""Most scores by validation row that are kept of a trial."""


class RowScores(NamedTuple):
    """A trial's scores by validation row; their mean is a metric of the trial."""

    scores: Floats  # (n,) scores of evenly spaced rows
    total: int  # number of validation rows; at most :data:`MOST_ROWS` of them have a score in `scores`

    @classmethod
    def of(cls, scores: Floats) -> RowScores:
        """The scores of all rows, or of evenly spaced ones if there are many."""
        total = len(scores)
        return cls(scores[spaced_rows(total, min(total, MOST_ROWS))], total)


Scored = Mapping[str, Examples | RowScores]
"""Key of a configuration -> predictions for validation examples, or scores by validation row."""

StateCounts = dict[int, dict[str, int]]
"""Row of a node -> state -> number of planned trials, last attempts only."""


class Trial(NamedTuple):
    """One run of one configuration."""

    key: str  # hash of the configuration
    configuration: Mapping[str, Any]  # name -> canonical value (plain JSON data)
    cell: str | None  # number of the cell as decimal text, `None` off the grid
    replicate: int  # 0 for the planned run; 1, 2, ... for repetitions under other seeds
    attempt: int  # 0 for the first attempt at this replicate; more for repeated attempts
    origin: str  # one of ORIGINS
    seed: int  # seed of the random generators
    state: str  # one of STATES
    metrics: Mapping[str, float]  # metric name -> last value
    curve: Curve  # values per epoch; empty if not reported
    seconds: float  # wall time
    error: str | None  # traceback of a failed trial, else `None`
    code: str  # fingerprint of the objective's code
    read: tuple[str, ...] | None  # names of the parameters that the objective read; `None` when all were
    finished: float  # seconds since the epoch
    examples: Examples | None = None  # predictions, if reported
    # trials shown to it, in an adaptive or pruned round; plain data
    shown: Mapping[str, Any] | None = None
    # digest of its environment; `None` if unknown, as for a worker that died
    environment: str | None = None
    # metric name -> scores by validation row, if returned
    row_scores: Mapping[str, RowScores] = MappingProxyType({})


class FinishedTrial(NamedTuple):
    """A trial that has ended and was handed to the store, for hooks and trackers.

    Attributes:
        round: Id of the round.
        key: Hash of the configuration.
        params: Name -> value; classes and functions as stored names.
        state: State at the end: from :data:`STATES`.
        value: The metric of the round; ``None`` if missing.
        metrics: Metric name -> last value.
        curve: Metric name -> values per epoch; empty if not reported.
        seconds: Wall time.
        seed: Seed of the random generators.
        replicate: 0 for the planned run; 1, 2, ... for repeats under further seeds.
        origin: Origin of the configuration: from :data:`ORIGINS`.
        error: Traceback of a failed trial, else ``None``.
        ended: Ended trials of the round so far, including the trial itself.
        planned: Planned trials.
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
