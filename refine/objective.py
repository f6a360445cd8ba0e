"""Calling an objective: what it may look like, what it receives, what it may return.

Everything here happens in the process that runs the trial and touches no store.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.canonical import decode, thaw
from refine.errors import ObjectiveError
from refine.trials import Examples

_ERROR_LENGTH = 20_000

MOST_EXAMPLES = 2_000
MOST_NUMBERS = 20_000
"""Predictions that are kept of one trial: examples, and examples times outputs."""

UNNAMED = "imported:"
"""How the objective of a round begins that was imported without one, and of the rounds that came of it."""

Objective = Callable[..., Any]
"""``f(params)`` or ``f(params, trial)`` -> a number or a mapping of metrics to numbers."""


class Permutation(dict[str, Any]):
    """What an objective receives: a dictionary that notes which keys were read.

    Attributes:
        read: Names read so far. Iterating over values or copying reads everything.
    """

    def __init__(self, values: Mapping[str, Any], read: set[str] | None = None) -> None:
        super().__init__(values)
        self.read: set[str] = set() if read is None else read

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value, set first where it is missing."""
        self.read.add(name)
        return super().setdefault(name, default)

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or ``default``."""
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Takes a value out."""
        self.read.add(name)
        return super().pop(name, *default)

    # `f(**params)` and `dict(params)` take the values without asking, unless iteration is our own.
    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def items(self) -> Any:
        """All pairs; reads everything."""
        self.read.update(super().keys())
        return super().items()

    def values(self) -> Any:
        """All values; reads everything."""
        self.read.update(super().keys())
        return super().values()

    def copy(self) -> Permutation:
        """A copy whose reads count too."""
        return Permutation({k: dict.__getitem__(self, k) for k in self}, self.read)

    def __reduce__(self) -> Any:
        return dict, (dict(self.items()),)


class RunningTrial:
    """What an objective with a second required parameter receives.

    Attributes:
        seed: The trial's seed; ``random``, ``numpy`` and Keras were seeded with it already.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._curve: dict[str, list[float]] = {}
        self._epochs: list[int] = []
        self.examples: Examples | None = None

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes the metrics of one epoch.

        Args:
            epoch: 0, 1, 2, ...; each once, in order.
            metrics: Metric name -> value.

        Raises:
            ObjectiveError: An epoch out of order, or a value that is no number.
        """
        if self._epochs and epoch <= self._epochs[-1]:
            raise ObjectiveError(f"epochs must be reported in order, got {epoch} after {self._epochs[-1]}")
        for name, value in metrics.items():
            series = self._curve.setdefault(str(name), [math.nan] * len(self._epochs))
            series.append(_as_float(name, value))
        self._epochs.append(int(epoch))
        for series in self._curve.values():
            series.extend([math.nan] * (len(self._epochs) - len(series)))

    def predicted(self, predictions: npt.ArrayLike, targets: npt.ArrayLike, total: int | None = None) -> None:
        """Notes what was predicted for the validation examples, so that their luck can be told from skill.

        At most 2,000 examples and 20,000 numbers are kept, evenly spaced over the rows, in half precision.

        Args:
            predictions: (n,) or (n, outputs).
            targets: (n,) numbers of classes, or quantities; the same for every trial.
            total: How many examples there are, where these are only some of them.

        Raises:
            ObjectiveError: Shapes that don't fit, or numbers that half precision can't hold.
        """
        right = np.asarray(targets, dtype=np.float32)
        said = np.asarray(predictions, dtype=np.float32)
        said = said[:, None] if said.ndim == 1 else said
        if right.ndim != 1 or said.ndim != 2 or len(said) != len(right) or said.size == 0:
            raise ObjectiveError(
                f"predicted: needs predictions (n,) or (n, outputs) and targets (n,), got shapes "
                f"{np.shape(predictions)} and {np.shape(targets)}"
            )
        keep = min(len(said), MOST_EXAMPLES, max(1, MOST_NUMBERS // said.shape[1]))
        rows = np.linspace(0, len(said) - 1, keep).round().astype(int)
        if not np.abs(said[rows]).max() < 6e4:
            raise ObjectiveError(
                "predicted: predictions must be finite and below 60,000, which half precision holds"
            )
        self.examples = Examples(said[rows].astype(np.float16), right[rows], total or len(said))

    def should_stop(self) -> bool:
        """Whether going on is useless: the last reported epoch held NaN or infinity."""
        return any(not math.isfinite(series[-1]) for series in self._curve.values() if series)

    @property
    def curve(self) -> dict[str, list[float]]:
        """Metric name -> one value per reported epoch."""
        return self._curve


class Task(NamedTuple):
    """One trial to run. Plain data, so that any process can run it.

    Attributes:
        key: Hash of the permutation.
        permutation: Name -> encoded value.
        cell: Number of the cell as text.
        replicate: Which repetition.
        attempt: Which try.
        origin: Why it is run.
        seed: What to seed with.
    """

    key: str
    permutation: dict[str, Any]
    cell: str | None
    replicate: int
    attempt: int
    origin: str
    seed: int


class Outcome(NamedTuple):
    """What running a task gave: see the attributes of the same names in :class:`refine.trials.Trial`."""

    state: str
    metrics: dict[str, float]
    curve: dict[str, list[float]]
    seconds: float
    error: str | None
    read: tuple[str, ...] | None
    examples: Examples | None = None


def wants_trial(objective: Objective) -> bool:
    """Whether the objective has a second required positional parameter.

    Raises:
        ObjectiveError: It can't be called with a permutation.
    """
    if not callable(objective):
        raise ObjectiveError(
            f"an objective must be a function of a permutation, got {type(objective).__name__}"
        )
    try:
        parameters = inspect.signature(objective).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    name = objective_name(objective)
    if len(required) > 2:
        hint = "; a model function (x_train, y_train, x_val, y_val, params) goes into refine.keras.KerasObjective"
        names = ", ".join(p.name for p in required)
        raise ObjectiveError(
            f"{name}: an objective takes a permutation, or a permutation and the running trial, but it requires "
            f"({names}){hint if len(required) == 5 else ''}"
        )
    if (not positional and not several) or keywords:
        needs = f"requires {', '.join(keywords)} by name" if keywords else "takes nothing"
        raise ObjectiveError(
            f"{name}: an objective takes a permutation as its first argument, but it {needs}"
        )
    return len(required) == 2


def objective_name(objective: Objective) -> str:
    """The name that goes into a round's identity: ``objective.name``, else the qualified name."""
    name = getattr(objective, "name", None)
    if isinstance(name, str) and name:
        return name
    target = getattr(objective, "func", objective)
    qualname = getattr(target, "__qualname__", type(target).__qualname__)
    module = getattr(target, "__module__", None) or type(target).__module__
    if "<lambda>" in qualname:
        # Nothing but its code tells one lambda from another.
        qualname = f"{qualname}-{objective_code(objective)[:8]}"
    return str(qualname) if module == "__main__" else f"{module}.{qualname}"


def objective_data(objective: Objective) -> str | None:
    """The fingerprint of the objective's data, where it has one."""
    found = getattr(objective, "fingerprint", None)
    return found if isinstance(found, str) else None


def called(name: str, objective: Objective) -> dict[str, str]:
    """What is noted with a run of a round whose objective has no name: which one it was.

    Args:
        name: The objective's name in the round's identity.
        objective: What is run.
    """
    if not name.startswith(UNNAMED):
        return {}
    return {
        "objective": objective_name(objective),
        "objective data": objective_data(objective) or "no fingerprint",
    }


def objective_code(objective: Objective) -> str:
    """A fingerprint of the objective's own source, 12 hexadecimal digits."""
    found = getattr(objective, "code", None)
    if isinstance(found, str):
        return found
    target = inspect.unwrap(getattr(objective, "func", objective))
    if not (inspect.isroutine(target) or inspect.isclass(target)):
        target = type(target)
    code = getattr(target, "__code__", None)
    compiled = code.co_code + repr(code.co_consts).encode() if code else repr(target).encode()
    try:
        text = inspect.getsource(target).encode()
        if code is not None and code.co_name == "<lambda>":
            text += compiled  # two may stand in one line
    except (OSError, TypeError):
        text = compiled
    return hashlib.sha256(text).hexdigest()[:12]


def evaluate(objective: Objective, task: Task, with_trial: bool) -> Outcome:
    """Runs one trial in this process.

    ``random``, ``numpy`` and, where they are loaded, Keras and PyTorch are seeded first. An exception of
    the objective becomes a ``failed`` outcome with its traceback.
    """
    running = RunningTrial(task.seed)
    started = time.perf_counter()
    read: set[str] = set()
    try:
        values = {n: thaw(decode(v)) for n, v in task.permutation.items()}
        permutation = Permutation(values, read)
        _seed_everything(task.seed)
        started = time.perf_counter()
        found = objective(permutation, running) if with_trial else objective(permutation)
        metrics = _metrics(found, running.curve)
        state, error = "complete", None
    except (Exception, SystemExit):  # noqa: BLE001  # whatever the objective raises is this trial's outcome
        metrics = {}
        state, error = "failed", traceback.format_exc()[-_ERROR_LENGTH:]
    seconds = time.perf_counter() - started
    everything = read >= set(task.permutation)
    names = None if everything else tuple(n for n in task.permutation if n in read)
    return Outcome(state, metrics, running.curve, seconds, error, names, running.examples)


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)
    if (keras := sys.modules.get("keras")) is not None and hasattr(keras, "utils"):
        keras.utils.set_random_seed(seed)


def _metrics(found: Any, curve: Mapping[str, list[float]]) -> dict[str, float]:
    if isinstance(found, Mapping):
        metrics = {str(name): _as_float(name, value) for name, value in found.items()}
    elif isinstance(found, tuple) and len(found) == 2:
        raise ObjectiveError(
            "an objective must return a number or a mapping of metrics, got a pair; a model function that returns "
            "(history, model) goes into refine.keras.KerasObjective(model, x, y)"
        )
    else:
        metrics = {"value": _as_float("value", found)}
    for name, series in curve.items():
        metrics.setdefault(name, series[-1])
    if not metrics:
        raise ObjectiveError(
            "an objective must return a number or a mapping of metrics, got an empty mapping"
        )
    return metrics


def _as_float(name: Any, value: Any) -> float:
    if not isinstance(value, str | bytes | bool | None):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    elif isinstance(value, bool):
        return float(value)
    raise ObjectiveError(
        f"an objective must return a number or a mapping of metrics to numbers, got {type(value).__name__} "
        f"for {str(name)!r}; return a float"
    )
