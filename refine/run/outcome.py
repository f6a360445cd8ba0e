"""Tasks and outcomes: this module alone decides the state of a trial, and the text of its error."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refine.design.pruning import Limit
from refine.errors import AnalysisError, ObjectiveError, RefineError
from refine.run.executors import MemoryLimitError, TimeLimitError
from refine.trials.metric import Metric
from refine.trials.trial import Examples, RowScores, State, ended_state
from refine.utils.format import bytes_text, plural

_ERROR_LENGTH = 20_000
_PACKAGE = Path(__file__).parents[1]


class Task(NamedTuple):
    """One trial to run, as plain data for any process."""

    key: str  # hash of the configuration
    configuration: dict[str, Any]  # name -> encoded value
    cell: str | None  # number of the cell as text
    replicate: int  # 0 for the planned run; 1, 2, ... for repeats
    attempt: int  # 0 for the first attempt
    origin: str  # one of :data:`refine.trials.trial.ORIGINS`
    seed: int  # seed of the random generators
    limit: Limit | None = None  # limit of a pruner, with which the trial is compared epoch by epoch
    absent: Mapping[str, str] | None = None  # absent parameter -> its condition


def completed(
    tasks: Iterable[Task], names: Iterable[str], conditions: Mapping[str, object]
) -> Iterator[Task]:
    """Tasks with their parameters in the order of the space, and the conditions of absent parameters.

    Stored configurations are sorted by name, so that ``f(*params.values())`` would swap values in a repeat.

    Args:
        tasks: The tasks.
        names: Names of the space, in its order.
        conditions: Parameter -> its condition.
    """
    texts = {name: str(condition) for name, condition in conditions.items()}
    places = {name: place for place, name in enumerate(names)}
    for task in tasks:
        ordered = sorted(task.configuration, key=lambda name: places.get(name, len(places)))
        configuration = {name: task.configuration[name] for name in ordered}
        absent = {name: text for name, text in texts.items() if name not in configuration}
        yield task._replace(configuration=configuration, absent=absent or None)


class Outcome(NamedTuple):
    """The result of running a task: see :class:`refine.trials.trial.Trial` for fields of these names."""

    state: State
    metrics: dict[str, float]
    curve: dict[str, list[float]]
    seconds: float
    error: str | None
    read: tuple[str, ...] | None
    examples: Examples | None = None
    environment: Mapping[str, str] | None = (
        None  # ``None`` if the process died before telling its environment
    )
    row_scores: Mapping[str, RowScores] | None = None  # ``None`` without scores by row; can be pickled


# Decided in the process that runs the trial.


def returned(value: object, curve: dict[str, list[float]], *, pruned: bool) -> Outcome:
    """A trial whose objective returned: complete, pruned, or failed for an invalid return value."""
    if pruned:  # a trial that stopped early has no final value, whatever its objective returned
        return Outcome(State.PRUNED, {}, curve, 0.0, None, None)
    try:
        row_scores = dict[str, RowScores]()
        metrics = _metrics(value, curve, row_scores)
        return Outcome(State.COMPLETE, metrics, curve, 0.0, None, None, row_scores=row_scores)
    except BaseException as error:  # noqa: BLE001  # the returned object may raise anything while it is read
        return raised(error, curve)


def raised(error: BaseException, curve: dict[str, list[float]] | None = None) -> Outcome:
    """A trial that failed by an exception."""
    lines = [str(error)] if _is_complete(error) else traceback.format_exception(error)
    text = "".join(lines)[-_ERROR_LENGTH:]
    # Text for every database: without halves of surrogate pairs and NUL.
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    return Outcome(State.FAILED, {}, curve or {}, 0.0, text, None)


def _is_complete(error: BaseException) -> bool:
    """True if the message tells all, for example of a program: refine raised the error in its own code."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return (
        isinstance(error, RefineError)
        and error.__cause__ is None
        and all(Path(file).is_relative_to(_PACKAGE) for file in files)
    )


# Decided by the process that watches the worker.


def timed_out(error: TimeLimitError) -> Outcome:
    """A trial ended by the executor at the time limit."""
    text = f"stopped: it ran longer than timeout={error.allowed:g} seconds"
    return Outcome(State.TIMEOUT, {}, {}, error.seconds, text, None)


def crashed(error: BaseException, seconds: float, *, died: bool) -> Outcome:
    """A trial without an outcome in two attempts: too much memory, a dead worker, or another error."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryLimitError):
        died = True
        seconds = error.seconds
        reason = (
            f"its process and those below it held {bytes_text(error.used)}, more than "
            f"memory={bytes_text(error.allowed)}, and were killed"
        )
    message = "this trial failed outside your objective, and again on one retry; details below"
    if died:
        message = "the process of this trial died, and again on one retry without other trials; details below"
    return Outcome(State.CRASHED, {}, {}, seconds, f"{message}\n{reason}", None)


# Decided by the coordinator, which knows the metric.


def storable(outcome: Outcome) -> Outcome:
    """The outcome, or a failed one if the store cannot hold its values."""
    from refine.store.validity import MOST_SECONDS, outcome_fault  # workers touch no store

    text = outcome_fault(outcome.metrics, outcome.curve, outcome.seconds)
    if not text:
        return outcome
    if 0 <= outcome.seconds <= MOST_SECONDS:
        seconds = outcome.seconds
    else:
        seconds = 0.0
    error = f"the metrics that the objective returned cannot be stored: {text}"
    return outcome._replace(state=State.FAILED, metrics={}, curve={}, error=error, seconds=seconds)


def same_rows(outcome: Outcome, totals: dict[str, int]) -> Outcome:
    """The outcome, or a failed one if its scores by validation row are not of the rows of earlier trials.

    ``totals`` maps metric names to numbers of rows, and receives those of a new metric.
    """
    for name, row_scores in (outcome.row_scores or {}).items():
        expected = totals.setdefault(name, row_scores.total)
        if row_scores.total != expected:
            error = (
                f"scores of {name!r} by row must be of the same validation rows in every trial of a round, "
                f"got {row_scores.total:,} rows, and {expected:,} in earlier trials; score every trial on "
                "the same rows, or return the mean"
            )
            return outcome._replace(state=State.FAILED, metrics={}, row_scores={}, error=error)
    return outcome


def judged(outcome: Outcome, metric: Metric, *, metric_known: bool) -> tuple[Outcome, float | None]:
    """An outcome judged by the round's metric, and its value.

    A complete trial is diverged if its value is not finite, and failed without the metric. The value of a
    metric function is stored among the metrics.

    Args:
        outcome: The outcome.
        metric: The round's metric.
        metric_known: Whether other trials have the metric. If not, the round is wrong and not the trial.

    Raises:
        ObjectiveError: The metric's function fails, or has the name of a returned metric.
    """
    complete = outcome.state == State.COMPLETE
    if metric.function is None:
        value = metric.of(outcome.metrics, outcome.curve, outcome.seconds if complete else None)
    elif metric.name in outcome.metrics:
        raise ObjectiveError(
            f"metric {metric.name!r}: the objective returns a metric of that name too; give the function "
            "another name"
        )
    else:
        try:
            value = metric.of(outcome.metrics, outcome.curve)
        except AnalysisError as error:
            raise ObjectiveError(
                f"{error}; the trial is stored, correct the function and run again"
            ) from error
        if value is not None:
            outcome = outcome._replace(metrics={**outcome.metrics, metric.name: value})
    if complete and value is None and metric_known:
        text = f"this trial has no metric {str(metric)!r}, others have; it has {', '.join(outcome.metrics)}"
        return outcome._replace(state=State.FAILED, error=text), None
    return outcome._replace(state=ended_state(outcome.state, value)), value


def returned_nothing(outcome: Outcome) -> bool:
    """True if the trial failed because the objective returned None."""
    return outcome.state == State.FAILED and _NOTHING in str(outcome.error)


# Values that an objective may return.

_RETURNS = "an objective must return a number or a mapping of metrics"
_NOTHING = f"{_RETURNS} to numbers, got None for 'value'; is a return missing?"
# longer lists look like a training history; arrays of scores, as from scikit-learn, may have any length
_FOLDS = 30
# longest array of scores by fold; a longer one, and one of bools, has a score per validation row
_MOST_FOLDS = 100
_LEAST_ROWS = 10


def _metrics(
    value: object, curve: Mapping[str, list[float]], row_scores: dict[str, RowScores]
) -> dict[str, float]:
    """The metrics that an objective returned, by name; ``row_scores`` receives scores by validation row."""
    numbers = (
        isinstance(value, tuple | list)
        and value
        and all(isinstance(v, int | float | np.number) for v in value)
    )
    if isinstance(value, Mapping):
        metrics = _with_folds(by_text(value), row_scores)
    elif numbers and isinstance(value, tuple):
        raise ObjectiveError(
            f"{_RETURNS}, got the tuple {value!r:.60}; name its numbers, as in return {{'acc': 0.9, 'loss': "
            "0.1}"
        )
    elif isinstance(value, tuple) and len(value) == 2:
        raise ObjectiveError(
            f"{_RETURNS}, got a pair; a model function that returns (history, model) goes into "
            "refine.keras.KerasObjective(model, x, y)"
        )
    elif numbers:  # Keras' evaluate returns a loss and metrics in such a list
        raise ObjectiveError(
            f"{_RETURNS}, got the list {value!r:.60}; name what it holds: return {{'acc': [0.9, 0.8]}} for "
            "scores by fold, {'acc': 0.9, 'loss': 0.1} for metrics"
        )
    elif value is None:
        raise ObjectiveError(_NOTHING)
    else:
        metrics = _with_folds({"value": value}, row_scores)
    for name, series in curve.items():
        metrics.setdefault(name, series[-1])
    if not metrics:
        raise ObjectiveError(f"{_RETURNS}, got an empty mapping")
    return metrics


def by_text(metrics: Mapping[Any, object]) -> dict[str, object]:
    """Metrics with their names as texts.

    Raises ObjectiveError: two names are equal as texts, like 1 and "1".
    """
    named: dict[str, object] = {}
    for name, value in metrics.items():
        if str(name) in named:
            raise ObjectiveError(
                f"metrics must have names that differ as texts, got {str(name)!r} twice; rename one"
            )
        named[str(name)] = value
    return named


def _with_folds(returned_metrics: Mapping[str, Any], row_scores: dict[str, RowScores]) -> dict[str, float]:
    """Metrics as numbers.

    A list of scores by fold becomes its mean and ``name@1``, ``name@2``, ...; an array of scores by row
    becomes its mean, and ``row_scores`` receives the scores.
    """
    metrics: dict[str, float] = {}
    folds: dict[str, float] = {}
    for name, value in returned_metrics.items():
        if _by_row(value):
            scores = np.asarray(value, dtype=np.float64)
            metrics[name] = float(scores.mean())
            if math.isfinite(metrics[name]):  # else the trial diverged
                row_scores[name] = RowScores.of(scores)
            continue
        if isinstance(value, np.ndarray) and value.ndim == 1:
            scores = value.tolist()
        else:
            scores = value
        if not isinstance(scores, list | tuple) or (len(scores) == 1 and isinstance(value, np.ndarray)):
            metrics[name] = as_float(name, value)
            continue
        if name.startswith("val_"):
            twin = name.removeprefix("val_")
        else:
            twin = f"val_{name}"
        if isinstance(value, list) and (len(value) > _FOLDS or isinstance(returned_metrics.get(twin), list)):
            raise ObjectiveError(
                f"the list of {plural(len(value), 'number')} for {name!r} looks like one per epoch; return "
                f"the epoch that counts, history[{name!r}][-1]; or, for scores by fold, return "
                "np.array(scores)"
            )
        if len(scores) < 2:
            raise ObjectiveError(
                f"a list of scores by fold must hold two or more numbers, got {len(scores)} for {name!r}; "
                "return a float"
            )
        by_fold = {f"{name}@{k}": as_float(f"{name}@{k}", score) for k, score in enumerate(scores, 1)}
        if twice := by_fold.keys() & returned_metrics.keys():
            raise ObjectiveError(
                f"the scores of {name!r} by fold are called {name}@1, ..., got a metric {min(twice)!r} too"
            )
        metrics[name] = float(np.mean(list(by_fold.values())))
        folds |= by_fold
    return {**metrics, **folds}


def _by_row(value: object) -> bool:
    """True for scores by validation row: an array or list of bools, or an array of more than 100 numbers."""
    if isinstance(value, list):
        return len(value) >= _LEAST_ROWS and all(isinstance(score, bool) for score in value)
    if not (isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biuf"):
        return False
    return value.size > _MOST_FOLDS or (value.dtype.kind == "b" and value.size >= _LEAST_ROWS)


def as_float(name: object, value: Any, rule: str = f"{_RETURNS} to numbers") -> float:
    """A metric's value as a number. Raises ObjectiveError: the value is not a number."""
    # ``float`` would drop the imaginary part of a NumPy number.
    is_complex = isinstance(value, np.ndarray | np.generic) and np.iscomplexobj(value)
    if not (is_complex or isinstance(value, str | bytes | None)):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    if getattr(value, "shape", None):
        text = f"shape {value.shape}"
    else:
        text = " ".join(f"{value!r:.40}".split())
    raise ObjectiveError(f"{rule}, got {type(value).__name__} for {str(name)!r} ({text}); return a float")
