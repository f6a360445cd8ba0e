"""Calling an objective: what it may look like, what it receives, what it may return.

Everything here happens in the process that runs the trial and touches no store.
"""

from __future__ import annotations

import inspect
import math
import time
import traceback
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from refine.design.pruning import Bar, Limit
from refine.errors import ObjectiveError, RefineWarning, UnknownNameError, did_you_mean
from refine.run.identity import objective_name
from refine.run.protocols import Objective
from refine.run.seeding import seed_everything
from refine.space.encoding import decode, thaw
from refine.trials.trial import Examples
from refine.utils.format import plural

_ERROR_LENGTH = 20_000

MOST_EXAMPLES = 2_000
MOST_NUMBERS = 20_000
"""Predictions that are kept of one trial: examples, and examples times outputs."""


class Configuration(dict[str, Any]):
    """What an objective receives: a dictionary that notes which keys were read.

    Attributes:
        read: Names read so far. Iterating over values or copying reads everything.
        absent: Parameter that is not here -> the condition under which it would be.
    """

    def __init__(
        self, values: Mapping[str, Any], read: set[str] | None = None, absent: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(values)
        self.read: set[str] = set() if read is None else read
        self.absent: Mapping[str, str] = absent or {}

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def __missing__(self, name: Any) -> NoReturn:
        if name in self.absent:
            raise UnknownNameError(
                f"{name!r} is absent here: its condition {self.absent[name]} does not hold; read it only where it does, or use "
                f"params.get({name!r})"
            )
        raise UnknownNameError(f"unknown parameter {name!r}; {did_you_mean(name, super().keys())}")

    def __getattr__(self, name: str) -> NoReturn:
        known = [name] if super().__contains__(name) else [*super().keys(), "name"]
        raise AttributeError(
            f"a configuration is a dictionary and has no attribute {name!r}; write params[{known[0]!r}]"
        )

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
        if not default and not super().__contains__(name):
            self.__missing__(name)
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

    def copy(self) -> Configuration:
        """A copy whose reads count too."""
        return Configuration({k: dict.__getitem__(self, k) for k in self}, self.read, self.absent)

    def __reduce__(self) -> Any:
        return dict, (dict(self.items()),)


class RunningTrial:
    """What an objective with a second required parameter receives.

    Attributes:
        seed: The trial's seed; ``random``, ``numpy`` and Keras were seeded with it already.
        pruned: Whether ``should_prune()`` said so because it is behind, and it has reported nothing since.
    """

    def __init__(self, seed: int, limit: Limit | None = None) -> None:
        self.seed = seed
        self._curve: dict[str, list[float]] = {}
        self._epochs: list[int] = []
        self.examples: Examples | None = None
        self._limit = limit
        self._race = None if limit is None else limit.race()
        self._watched = 0
        self._behind = False
        self.pruned = False

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes the metrics of one epoch.

        Args:
            epoch: 0, 1, 2, ...; each once, in order.
            metrics: Metric name -> value.

        Raises:
            ObjectiveError: An epoch out of order, or a value that is no number.
        """
        if not hasattr(epoch, "__index__") or not isinstance(metrics, Mapping):
            raise ObjectiveError(
                f"report takes the number of an epoch and its metrics by name, trial.report(0, {{'loss': 0.5}}), got "
                f"{epoch!r:.40} and {metrics!r:.40}"
            )
        if self._epochs and epoch <= self._epochs[-1]:
            raise ObjectiveError(f"epochs must be reported in order, got {epoch} after {self._epochs[-1]}")
        for name, value in metrics.items():
            series = self._curve.setdefault(str(name), [math.nan] * len(self._epochs))
            series.append(_as_float(name, value, "report takes numbers by name"))
        self._epochs.append(int(epoch))
        for series in self._curve.values():
            series.extend([math.nan] * (len(self._epochs) - len(series)))
        if self._race is not None and not self._watched:
            # An objective that goes on after that has not stopped.
            self._behind = self._race.behind(float(metrics.get(self._race.metric, math.nan)))
            self.pruned = False

    @property
    def watched(self) -> bool:
        """Whether it may be stopped for being behind."""
        return self._limit is not None

    def watch(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """For what trains whole epochs by itself, such as :func:`refine.keras.fit`: whether to stop after this one.

        Nothing is noted but the answer; the curve is still what is reported.

        Args:
            epoch: 0, 1, 2, ...; the same one again is answered as before, an earlier one begins another training.
            metrics: What is known after the epoch.
        """
        if self._limit is None:
            return False
        if epoch + 1 < self._watched or self._race is None:
            self._race, self._watched = self._limit.race(), 0
        if epoch + 1 > self._watched and self._race.metric in metrics:
            self._watched = epoch + 1
            self._behind = self._race.behind(float(metrics[self._race.metric]))
        self.pruned = self.pruned or self._behind
        return self.pruned

    def ahead(self, epoch: int, count: int) -> Bar | None:
        """What the next epochs are measured by, for what trains several at once and then asks :meth:`watch`.

        Args:
            epoch: The next one.
            count: How many.

        Returns:
            ``None`` where nothing stops the trial, or where that can't be told beforehand.
        """
        race = self._race
        if self._limit is not None and epoch < self._watched:
            race = self._limit.race()
        look = getattr(race, "ahead", None)
        return None if look is None else look(count)

    def predicted(self, predictions: npt.ArrayLike, targets: npt.ArrayLike, total: int | None = None) -> None:
        """Notes what was predicted for the validation examples, so that chance can be separated from skill.

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

    def should_prune(self) -> bool:
        """Whether going on is useless: the last reported epoch held NaN or infinity, or the trial is behind.

        In a round with a pruner a trial is behind where its best value so far is worse than what it was shown for
        this epoch. Ask only if there is more to do: a trial that stops then has no final value.
        """
        if self._behind:
            self.pruned = True
            return True
        return any(not math.isfinite(series[-1]) for series in self._curve.values() if series)

    @property
    def curve(self) -> dict[str, list[float]]:
        """Metric name -> one value per reported epoch."""
        return self._curve


class Task(NamedTuple):
    """One trial to run. Plain data, so that any process can run it.

    Attributes:
        key: Hash of the configuration.
        configuration: Name -> encoded value.
        cell: Number of the cell as text.
        replicate: Which repetition.
        attempt: Which try.
        origin: Why it is run.
        seed: What to seed with.
        limit: What it is measured by epoch by epoch, in a round with a pruner.
        absent: Parameter that this configuration has not -> its condition, in a space with conditions.
    """

    key: str
    configuration: dict[str, Any]
    cell: str | None
    replicate: int
    attempt: int
    origin: str
    seed: int
    limit: Limit | None = None
    absent: Mapping[str, str] | None = None


def with_absent(tasks: Iterable[Task], conditions: Mapping[str, object]) -> Iterator[Task]:
    """Tasks that know under which condition a parameter would be there that they have not.

    Args:
        tasks: The tasks.
        conditions: Name -> condition, of the space.
    """
    texts = {name: str(condition) for name, condition in conditions.items()}
    for task in tasks:
        absent = {name: text for name, text in texts.items() if name not in task.configuration}
        yield task._replace(absent=absent) if absent else task


class Outcome(NamedTuple):
    """What running a task gave: see the attributes of the same names in :class:`refine.trials.trial.Trial`.

    Attributes:
        environment: What it ran on, by :func:`refine.run.environment.environment`; ``None`` where nobody could say.
    """

    state: str
    metrics: dict[str, float]
    curve: dict[str, list[float]]
    seconds: float
    error: str | None
    read: tuple[str, ...] | None
    examples: Examples | None = None
    environment: Mapping[str, str] | None = None


def wants_trial(objective: Objective, names: Collection[str] = ()) -> bool:
    """Whether the objective has a second required positional parameter.

    Args:
        objective: What is called.
        names: Of the parameters of the space, to tell where it asks for those one by one.

    Raises:
        ObjectiveError: It can't be called with a configuration.
    """
    if not callable(objective):
        raise ObjectiveError(
            f"an objective must be a function of a configuration, got {type(objective).__name__}; write "
            "def objective(params): ... and give objective itself, without brackets"
        )
    if inspect.isclass(objective):
        raise ObjectiveError(
            f"an objective must be a function of a configuration, got the class {objective.__name__}; give an instance that "
            "can be called, or one of its methods"
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
    asked = [p.name for p in required]
    if len(required) > 2 or (len(required) == 2 and set(asked) <= set(names)):
        read = asked[0] if asked[0] in names else "name"
        hint = f"write def objective(params): ... and read params[{read!r}]"
        if len(required) == 5 and not set(asked) & set(names):
            hint = "a model function (x_train, y_train, x_val, y_val, params) goes into refine.keras.KerasObjective"
        raise ObjectiveError(
            f"{name}: an objective takes a configuration, or a configuration and the running trial, but it requires "
            f"({', '.join(asked)}); {hint}"
        )
    if (not positional and not several) or keywords:
        needs = f"requires {', '.join(keywords)} by name" if keywords else "takes nothing"
        raise ObjectiveError(
            f"{name}: an objective takes a configuration as its first argument, but it {needs}; write def objective(params): ..."
        )
    return len(required) == 2


_running: ContextVar[RunningTrial | None] = ContextVar("refine_running_trial", default=None)


def running_trial() -> RunningTrial | None:
    """The trial that is running here, for what an objective calls; ``None`` outside of one."""
    return _running.get()


def evaluate(objective: Objective, task: Task, with_trial: bool) -> Outcome:
    """Runs one trial in this process.

    ``random``, ``numpy``, Keras, TensorFlow and PyTorch are seeded first, or when the objective imports them. An exception
    of the objective becomes a ``failed`` outcome with its traceback.
    """
    running = RunningTrial(task.seed, task.limit)
    here = _running.set(running)
    started = time.perf_counter()
    read: set[str] = set()
    try:
        values = {n: thaw(decode(v)) for n, v in task.configuration.items()}
        configuration = Configuration(values, read, task.absent)
        seed_everything(task.seed)
        started = time.perf_counter()
        found = objective(configuration, running) if with_trial else objective(configuration)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever the objective raises is this trial's outcome
        found = error
    finally:
        _running.reset(here)
    return _outcome(task, running, read, found, time.perf_counter() - started)


def evaluate_many(objective: Objective, tasks: Sequence[Task], with_trial: bool) -> list[Outcome]:
    """Runs trials together in this process, by an objective that is a :class:`refine.run.protocols.RunsMany`.

    Each took an equal share of the time. If the objective can't run these together, they run one by one, with a warning.
    """
    trials = [RunningTrial(task.seed) for task in tasks]
    reads: list[set[str]] = [set() for _ in tasks]
    started = time.perf_counter()
    try:
        configurations = [
            Configuration({n: thaw(decode(v)) for n, v in task.configuration.items()}, read, task.absent)
            for task, read in zip(tasks, reads, strict=True)
        ]
        seed_everything(tasks[0].seed)
        started = time.perf_counter()
        found = list(objective.run_many(configurations, trials))  # type: ignore[attr-defined]  # such an objective
        if len(found) != len(tasks):
            raise ObjectiveError(
                f"run_many must return one result per configuration, got {len(found)} for {len(tasks)}"
            )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # one trial's fault must not be the others'
        warnings.warn(
            f"{objective_name(objective)}: run_many failed for {plural(len(tasks), 'trial')}, which run one by one "
            f"instead ({type(error).__name__}: {error})",
            RefineWarning,
            stacklevel=2,
        )
        return [evaluate(objective, task, with_trial) for task in tasks]
    each = (time.perf_counter() - started) / len(tasks)
    return [_outcome(*member, each) for member in zip(tasks, trials, reads, found, strict=True)]


def _outcome(task: Task, running: RunningTrial, read: set[str], found: Any, seconds: float) -> Outcome:
    """What a trial gave: what the objective returned, or the exception that it raised."""
    metrics: dict[str, float] = {}
    state, text = "failed", None
    if isinstance(found, BaseException):
        text = "".join(traceback.format_exception(found))
    else:
        try:
            # What a trial that stopped half-way returns is no final value.
            metrics = {} if running.pruned else _metrics(found, running.curve)
            state = "pruned" if running.pruned else "complete"
        except Exception:  # noqa: BLE001  # what it returned is this trial's outcome too
            text = traceback.format_exc()
    text = None if text is None else _storable(text[-_ERROR_LENGTH:])
    everything = read >= set(task.configuration)
    names = None if everything else tuple(n for n in task.configuration if n in read)
    return Outcome(state, metrics, running.curve, seconds, text, names, running.examples)


def _storable(text: str) -> str:
    """Text that every database takes: no half of a surrogate pair, no NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _metrics(found: Any, curve: Mapping[str, list[float]]) -> dict[str, float]:
    if isinstance(found, Mapping):
        metrics = _with_folds({str(name): value for name, value in found.items()})
    elif isinstance(found, tuple) and found and all(isinstance(v, int | float | np.number) for v in found):
        raise ObjectiveError(
            f"an objective must return a number or a mapping of metrics, got the tuple {found!r:.60}; name its numbers, "
            "as in return {'acc': 0.9, 'loss': 0.1}"
        )
    elif isinstance(found, tuple) and len(found) == 2:
        raise ObjectiveError(
            "an objective must return a number or a mapping of metrics, got a pair; a model function that returns "
            "(history, model) goes into refine.keras.KerasObjective(model, x, y)"
        )
    elif isinstance(found, list) and found and all(isinstance(v, int | float | np.number) for v in found):
        # Keras' evaluate returns a loss and metrics in such a list.
        raise ObjectiveError(
            f"an objective must return a number or a mapping of metrics, got the list {found!r:.60}; name what it holds: "
            "return {'acc': [0.9, 0.8]} for scores by fold, {'acc': 0.9, 'loss': 0.1} for metrics"
        )
    else:
        metrics = _with_folds({"value": found})
    for name, series in curve.items():
        metrics.setdefault(name, series[-1])
    if not metrics:
        raise ObjectiveError(
            "an objective must return a number or a mapping of metrics, got an empty mapping"
        )
    return metrics


_FOLDS = 30
"""Longer lists look like a training's history; arrays, such as of scikit-learn, may have any length."""


def _with_folds(found: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as numbers: of one that comes as a list of scores, such as one per fold, their mean, and each as ``name@1``, ..."""
    metrics: dict[str, float] = {}
    folds: dict[str, float] = {}
    for name, value in found.items():
        scores = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
        if not isinstance(scores, list | tuple) or (len(scores) == 1 and isinstance(value, np.ndarray)):
            metrics[name] = _as_float(name, value)
            continue
        twin = name.removeprefix("val_") if name.startswith("val_") else f"val_{name}"
        if isinstance(value, list) and (len(value) > _FOLDS or isinstance(found.get(twin), list)):
            raise ObjectiveError(
                f"the list of {plural(len(value), 'number')} for {name!r} looks like one per epoch; return the epoch that counts, "
                f"history[{name!r}][-1]; scores by fold in an array are taken for that: np.array(scores)"
            )
        if len(scores) < 2:
            raise ObjectiveError(
                f"a list of scores by fold must hold two or more numbers, got {len(scores)} for {name!r}; return a float"
            )
        by_fold = {f"{name}@{k}": _as_float(f"{name}@{k}", score) for k, score in enumerate(scores, 1)}
        if twice := by_fold.keys() & found.keys():
            raise ObjectiveError(
                f"the scores of {name!r} by fold are called {name}@1, ..., got a metric {min(twice)!r} too"
            )
        metrics[name] = float(np.mean(list(by_fold.values())))
        folds |= by_fold
    return {**metrics, **folds}


_RETURNS = "an objective must return a number or a mapping of metrics to numbers"


def _as_float(name: Any, value: Any, rule: str = _RETURNS) -> float:
    if not isinstance(value, str | bytes | bool | None):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    elif isinstance(value, bool):
        return float(value)
    if value is None:
        raise ObjectiveError(f"{rule}, got None for {str(name)!r}; is a return missing?")
    what = f"shape {value.shape}" if getattr(value, "shape", None) else " ".join(f"{value!r:.40}".split())
    raise ObjectiveError(f"{rule}, got {type(value).__name__} for {str(name)!r} ({what}); return a float")
