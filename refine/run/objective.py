"""Calling an objective: what it may look like and what it receives. In the process that runs the trial; touches no store."""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import math
import operator
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from refine.design.pruning import Limit
from refine.errors import ObjectiveError, UnknownNameError, did_you_mean
from refine.run.identity import objective_name
from refine.run.outcome import Outcome, Task, as_float, by_text, raised, returned
from refine.run.protocols import Objective
from refine.run.signals import may_come_from_keyboard
from refine.space.encoding import decode, thaw
from refine.trials.trial import Examples

MOST_EXAMPLES = 2_000
MOST_NUMBERS = 20_000  # predictions that are kept of one trial: examples, and examples times outputs


def _noted(name: str) -> Any:
    """A dictionary's method that is asked for one key: the configuration notes that the key was read."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def noted(self: Configuration, key: Any, *rest: Any) -> Any:
        self.read.add(str(key))
        return method(self, key, *rest)

    return noted


class Configuration(dict[str, Any]):
    """What an objective receives: a dictionary that notes which keys were ``read``; to iterate over values, or to copy, reads all."""

    def __init__(
        self, values: Mapping[str, Any], read: set[str] | None = None, absent: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(values)
        self.read: set[str] = set() if read is None else read
        self.absent: Mapping[str, str] = absent or {}  # name -> the condition under which it would be here

    __getitem__, __contains__ = _noted("__getitem__"), _noted("__contains__")
    get, setdefault = _noted("get"), _noted("setdefault")

    def pop(self, name: str, *default: Any) -> Any:
        """Takes a value out."""
        self.read.add(name)
        if not default and not super().__contains__(name):
            self.__missing__(name)
        return super().pop(name, *default)

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
    """What an objective with a second required parameter receives; ``random``, ``numpy`` and Keras were seeded with its ``seed``.

    It is ``pruned`` where ``should_prune()`` said so because it is behind, and it has reported nothing since.
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
        """Notes the metrics of one epoch: 0, 1, 2, ..., in order. Raises ObjectiveError: out of order, or a value that is no number."""
        if not hasattr(epoch, "__index__") or not isinstance(metrics, Mapping):
            raise ObjectiveError(
                f"report takes the number of an epoch and its metrics by name, trial.report(0, {{'loss': 0.5}}), got "
                f"{epoch!r:.40} and {metrics!r:.40}"
            )
        if self._epochs and epoch <= self._epochs[-1]:
            raise ObjectiveError(f"epochs must be reported in order, got {epoch} after {self._epochs[-1]}")
        for name, value in by_text(metrics).items():
            series = self._curve.setdefault(name, [math.nan] * len(self._epochs))
            series.append(as_float(name, value, "report takes numbers by name"))
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
        """Whether to stop after an epoch, for what trains by itself, such as :func:`refine.keras.fit`; the curve is what is reported.

        The same epoch again is answered as before, an earlier one begins another training.
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

    def predicted(self, predictions: npt.ArrayLike, targets: npt.ArrayLike, total: int | None = None) -> None:
        """Notes what was predicted for the validation examples, so that chance can be separated from skill.

        Predictions are (n,) or (n, outputs); targets, (n,), numbers of classes, or quantities, the same for every trial; ``total`` is
        of how many examples. At most 2,000 of them and 20,000 numbers are kept, evenly spaced over the rows, in half precision.
        Raises ObjectiveError: shapes that don't fit, or numbers that half precision can't hold.
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
        """Whether going on is useless: the last epoch held NaN or infinity, or, in a round with a pruner, the trial is behind.

        It is where its best value so far is worse than what it was shown for this epoch. Ask only if there is more to do: a trial
        that stops then has no final value.
        """
        if self._behind:
            self.pruned = True
            return True
        return any(not math.isfinite(series[-1]) for series in self._curve.values() if series)

    @property
    def curve(self) -> dict[str, list[float]]:
        """Metric name -> one value per reported epoch."""
        return self._curve


def wants_trial(objective: Objective, names: Collection[str] = ()) -> bool:
    """Whether the objective has a second required positional parameter. Raises ObjectiveError: it can't be called.

    ``names`` are the space's parameters, to tell where it asks for those one by one.
    """
    rule = "an objective must be a function of a configuration, got"
    if not callable(objective):
        raise ObjectiveError(
            f"{rule} {type(objective).__name__}; write def objective(params): ... and give objective itself, without brackets"
        )
    if inspect.isclass(objective):
        raise ObjectiveError(
            f"{rule} the class {objective.__name__}; give an instance that can be called, or one of its methods"
        )
    try:
        parameters = inspect.signature(objective).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    asked = [p.name for p in positional if p.default is p.empty]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    takes = f"{objective_name(objective)}: an objective takes a configuration"
    if len(asked) > 2 or (len(asked) == 2 and set(asked) <= set(names)):
        hint = (
            f"write def objective(params): ... and read params[{asked[0] if asked[0] in names else 'name'!r}]"
        )
        if len(asked) == 5 and not set(asked) & set(names):
            hint = "a model function (x_train, y_train, x_val, y_val, params) goes into refine.keras.KerasObjective"
        raise ObjectiveError(
            f"{takes}, or a configuration and the running trial, but it requires ({', '.join(asked)}); {hint}"
        )
    if keywords or not (positional or any(p.kind is p.VAR_POSITIONAL for p in parameters)):
        needs = f"requires {', '.join(keywords)} by name" if keywords else "takes nothing"
        raise ObjectiveError(
            f"{takes} as its first argument, but it {needs}; write def objective(params): ..."
        )
    return len(asked) == 2


_running: ContextVar[RunningTrial | None] = ContextVar("refine_running_trial", default=None)


def running_trial() -> RunningTrial | None:
    """The trial that is running here, for what an objective calls; ``None`` outside of one."""
    return _running.get()


def evaluate(objective: Objective, task: Task, with_trial: bool) -> Outcome:
    """Runs one trial in this process, seeded first.

    An exception of the objective is a ``failed`` outcome with its traceback, even SystemExit, or a KeyboardInterrupt that
    the objective raised itself. Raises KeyboardInterrupt: Ctrl-C was pressed.
    """
    process = os.getpid()
    running = RunningTrial(task.seed, task.limit)
    token = _running.set(running)
    started = time.perf_counter()
    read: set[str] = set()
    try:
        configuration = _configuration(task, read)
        seed_everything(task.seed)
        started = time.perf_counter()
        result = objective(configuration, running) if with_trial else objective(configuration)
    except BaseException as error:  # whatever the objective raises is this trial's outcome
        pressed = isinstance(error, KeyboardInterrupt) and may_come_from_keyboard()
        if pressed and os.getpid() == process:
            raise
        result = error
    finally:
        _running.reset(token)
    if os.getpid() != process:
        _end_forked_child(result)
    return _outcome(task, running, read, result, time.perf_counter() - started)


def _end_forked_child(result: Any) -> NoReturn:
    """Ends a process that the objective forked, and that left the objective as its parent does.

    It must not run the rest of the round. Its exit status is that of a Python program that ends in the same way.
    """
    status = 0
    if isinstance(result, SystemExit) and (result.code is None or isinstance(result.code, int)):
        status = result.code or 0
    elif isinstance(result, BaseException):
        status = 1
        traceback.print_exception(result)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status & 0xFF)


def _configuration(task: Task, read: set[str]) -> Configuration:
    return Configuration({n: thaw(decode(v)) for n, v in task.configuration.items()}, read, task.absent)


def _outcome(task: Task, running: RunningTrial, read: set[str], result: Any, seconds: float) -> Outcome:
    """What a trial gave: what the objective returned, or the exception that it raised."""
    if issubclass(type(result), BaseException):  # asks no object what it says that it is
        outcome = raised(result, running.curve)
    else:
        outcome = returned(result, running.curve, pruned=running.pruned)
    names = tuple(n for n in task.configuration if n in read)
    everything = len(names) == len(task.configuration)
    return outcome._replace(seconds=seconds, read=None if everything else names, examples=running.examples)


_seed: int | None = None  # of the trial that runs in this process


def seed_everything(seed: int) -> None:
    """Seeds ``random``, NumPy and, where they are loaded, PyTorch, TensorFlow and Keras; 0 <= seed < 2^32.

    What the objective itself loads later follows: else the first trial of a process would be another one than all others.
    """
    global _seed  # one trial at a time per process is the point
    _seed = seed
    random.seed(seed)
    np.random.seed(seed)
    for name in _SEEDED:
        module = sys.modules.get(name)
        if module is not None and (name != "tensorflow" or "keras" not in sys.modules):
            _seed_module(name, module, seed)
    if not any(isinstance(finder, _Late) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Late())


# Modules with generators of their own -> what seeds them; Keras, which keeps JAX's keys, seeds TensorFlow too, so that it comes last.
_SEEDED = {"torch": "manual_seed", "tensorflow": "random.set_seed", "keras": "utils.set_random_seed"}


def _seed_module(name: str, module: ModuleType, seed: int) -> None:
    """Seeds a module's own generators, if it is loaded far enough."""
    try:
        seeds = operator.attrgetter(_SEEDED[name])(module)
    except AttributeError:
        return
    seeds(seed)


class _Late(importlib.abc.MetaPathFinder):
    """Seeds such a module when it is imported while a trial runs, and leaves the other generators where they were."""

    def __init__(self) -> None:
        self._looking: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the interface of finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """The specification that others find, with a loader that seeds."""
        if fullname not in _SEEDED or fullname in self._looking or _seed is None:
            return None
        self._looking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._looking.discard(fullname)
        if spec is not None and spec.loader is not None:
            load: Any = spec.loader.exec_module
            spec.loader.exec_module = functools.partial(_seeded, load)  # type: ignore[method-assign]
        return spec


def _seeded(load: Callable[[ModuleType], object], module: ModuleType) -> None:
    """Loads a module and seeds it: what was drawn before its import, and what comes after, is as without it."""
    before = random.getstate(), np.random.get_state()
    load(module)
    if _seed is not None:
        _seed_module(module.__name__, module, _seed)
    random.setstate(before[0])
    np.random.set_state(before[1])
