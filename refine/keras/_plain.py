"""The fast runner: which models it is for, their state, and the traces kept between models."""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import keras
import psutil
import tensorflow as tf

from refine.keras._bars import SPEC, bars
from refine.keras._choices import Choices, choices_of, no_choices, places, state_of_any
from refine.keras._compiled import SPAN, Compiled, Form, form, padding
from refine.keras._epochs import Logs, build
from refine.keras._flat import is_elementwise, optimizer_state, read_flat, write_flat
from refine.keras._known import unknown_layer, unknown_metric
from refine.keras._lean import Program, Settings
from refine.keras._scores import Scores, trace_scores
from refine.keras._session import free, keep
from refine.keras._structure import (
    Uncacheable,
    dropouts_of,
    metrics,
    open_shapes,
    penalties_of,
    structure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from refine.design.pruning import Bar
    from refine.keras._data import Rows

# Predictions of an epoch are kept until its end, and the data a second time in batches.
_MOST_NUMBERS = 2**25
# Each takes some 11 MB. All of them together may take an eighth of the memory, shared by as many processes as cores.
_TRACE_BYTES = 11 * 2**20


# Compiled programs that are kept where less than a quarter of the memory is free.
_MOST_WHEN_SHORT = 8

# Optimising a graph takes about 120 ms and saves 15 us a step.
_WORTH_OPTIMISING = 8000
# Compiling takes one to three seconds and saves 25 to 75 us a step.
_WORTH_COMPILING = 50_000


class Trace(NamedTuple):
    """A traced function and the names of what it logs."""

    function: Any
    names: tuple[str, ...]


def _most_traces() -> int:
    """How many traces this machine can keep."""
    memory = psutil.virtual_memory().total / 8 / (os.cpu_count() or 1)
    return min(96, max(16, int(memory / _TRACE_BYTES)))


def _is_full() -> bool:
    """Whether no more traces may be kept beside those that are.

    A compiled program takes some 45 MB, but seconds to make, so that these stay while memory is free.
    """
    programs = sum(isinstance(key[1], Form) for key in _traces)
    if len(_traces) - programs >= _most_traces():
        return True
    memory = psutil.virtual_memory()
    return programs >= _MOST_WHEN_SHORT and memory.available < memory.total / 4


_Traced = TypeVar("_Traced", Trace, Scores)
_traces: dict[Any, Any] = {}


def unfit(model: keras.Model, train: Rows, validation: Rows | None) -> str | None:
    """Why `Plain` may not give what ``model.fit`` gives; `None` if it does.

    Plain is a functional model of known layers with one output and one loss, known metrics, an optimizer that
    treats every number alike, and data that fit in memory twice.

    Args:
        model: A built, compiled model.
        train: Training examples.
        validation: Validation examples, or `None`.

    Returns:
        Words that complete "because".
    """
    reason = unknown_layer(model)
    if reason:
        return reason
    functional = getattr(model, "_functional", None) or model
    output = getattr(functional, "_outputs_struct", None)
    if not isinstance(output, keras.KerasTensor):
        return "the model has several outputs"
    if getattr(output, "_keras_mask", None) is not None:
        return "the model's output carries a mask"
    if not is_elementwise(model.optimizer):
        return f"{type(model.optimizer).__name__} does not update every weight by the same rule"
    for rows in (train, validation):
        if rows is not None and not _is_pair(rows):
            return "targets and weights are not one array each"
        if rows is not None and not _fits(rows, output.shape):
            return "predictions and data of an epoch don't fit in memory"
    variables = model.trainable_variables
    if len({v.dtype for v in variables}) != 1:
        return "there are no trainable variables of one type"
    if any(v.constraint is not None or v.overwrite_with_gradient for v in variables):
        return "a variable has a constraint"
    return unknown_metric(model)


def _is_pair(rows: Rows) -> bool:
    """Whether there are targets, and single tensors of targets and weights."""
    parts = rows.data
    return isinstance(parts, tuple) and len(parts) > 1 and all(tf.is_tensor(p) for p in parts[1:])


def _fits(rows: Rows, output: tuple[int | None, ...]) -> bool:
    """Whether examples and their predictions are small enough."""
    leaves = keras.tree.flatten(rows.data)
    if None in output[1:] or not all(tf.is_tensor(leaf) for leaf in leaves):
        return False
    numbers = rows.size * math.prod(n or 0 for n in output[1:]) + sum(
        math.prod(leaf.shape) for leaf in leaves
    )
    return numbers <= _MOST_NUMBERS


@contextlib.contextmanager
def _graphs_optimised(wanted: bool) -> Iterator[None]:
    """While graphs are called, leaves TensorFlow's optimisation as it is, or off."""
    options = tf.config.optimizer
    before = options.get_experimental_options().get("disable_meta_optimizer", False)
    if wanted or before:
        yield
        return
    options.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        options.set_experimental_options({"disable_meta_optimizer": False})


def _remembered(key: Hashable, trace: Callable[[], _Traced]) -> _Traced:
    """What was traced for this key before, or a new trace; without a key always a new one."""
    found = _traces.get(key)
    if found is None:
        found = trace()
        if key is not None and not found.function.captured_inputs:
            if _is_full():
                # All at once: what is kept is out of the collector's sight, and looking again at everything takes long.
                _traces.clear()
                free()
            _traces[key] = found
            keep()
    return cast("_Traced", found)


class Plain:
    """Trains a plain model; the same interface as `Epochs`.

    Args:
        model: A compiled model for which `unfit` finds nothing.
        train: Training examples.
        validation: Validation examples, or `None`.
        shuffle_seed: Seed of the order of rows, or `None` to keep them in order.
    """

    standard = True

    @property
    def most(self) -> int | None:
        """Most epochs of one call of `train_epochs`."""
        return None if self._form is None else SPAN

    def __init__(
        self, model: keras.Model, train: Rows, validation: Rows | None, shuffle_seed: int | None
    ) -> None:
        self.model = model
        self.train = train
        self.validation = validation
        self.shuffle_seed = shuffle_seed
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._variables = list(model.trainable_variables)
        self._rest = list(model.non_trainable_variables)
        self._optimizer = optimizer_state(model.optimizer, len(self._variables))
        self._shapes = open_shapes(model)
        self._dropouts = dropouts_of(model)
        self._penalties = [penalty for penalty, _ in penalties_of(model)]
        try:
            self._key: Hashable = structure(model, self._shapes)
        except Uncacheable:
            self._key = None
            self._shapes = [tuple(v.shape) for v in self._variables]
        self._settings = self._read_settings()
        self._values: tuple[Any, ...] = (self._settings,)
        self._functions: dict[str, Trace] = {}
        self._form: Form | None = None
        self._choices: Choices | None = None
        self.uncompiled: str | None = None
        self._state: Any = None

    def trace(self, *, many: bool, batch: int, steps: int, val_batch: int, compiled: bool | None) -> None:
        """Traces what training will call, or finds it among the traces of other models.

        Args:
            many: Whether `train_epochs` will be used, rather than `train_epoch` and `validate`.
            batch: Rows per batch.
            steps: Batches in all epochs together.
            val_batch: Rows per validation batch.
            compiled: Whether to compile; `None` to do so where it pays. `uncompiled` then says why it is not.
        """
        if not many:
            # Callbacks ask the model's metrics which way is better, also where another model's trace is taken.
            build(self.model, self.train)
        self._optimise = steps >= _WORTH_OPTIMISING
        self._steps = steps
        self._whole = self.validation is not None and val_batch >= self.validation.size
        kind = "many" if many and self.validation is not None else "train"
        # Which way it goes must not depend on what ran before, since it decides over the last digits.
        if compiled or (compiled is None and many and steps >= _WORTH_COMPILING):
            # A single training gains nothing by branches for others.
            choices = choices_of(self.model, self.train) if compiled else no_choices(self.model)
            self.uncompiled = self._compile(kind, batch, choices, many=many)
            if self.uncompiled is None:
                return
        self._find(kind)
        if not many and self.validation is not None:
            self._find("test")

    def train_epochs(
        self, first: int, last: int, batch_size: int, val_batch: int, bar: Bar | None = None
    ) -> list[Logs]:
        """Trains epochs ``first`` to ``last - 1``, or to the first that misses the bar, in one graph call.

        Validation is included. The model's variables are brought up to date by `finish`.
        """
        return self._train(
            "train" if self.validation is None else "many", first, last, batch_size, val_batch, bar
        )

    def train_epoch(self, epoch: int, batch_size: int) -> Logs:
        """Trains one epoch; returns its logs as Keras would."""
        self._state = None  # callbacks may have changed it
        logs = self._train("train", epoch, epoch + 1, batch_size, 0)[0]
        self.finish()
        return logs

    def validate(self, batch_size: int) -> Logs:
        """Evaluates on the validation examples; returns logs without prefix."""
        assert self.validation is not None
        weights, _, rest = self._read()
        trace = self._functions["test"]
        size = tf.constant(batch_size, tf.int32)
        with _graphs_optimised(self._optimise):
            row = trace.function(weights, rest, self._settings, self.validation.data, size).numpy()
        return dict(zip(trace.names, map(float, row), strict=True))

    def finish(self) -> None:
        """Writes what was trained to the model and its optimizer."""
        if self._state is None:
            return
        weights, state, rest = self._state
        write_flat(self._variables, weights)
        if self._any_optimizer:
            state = [state[i] for i in places([int(isinstance(v, list)) for v in self._optimizer])]
        for mine, value in zip(self._optimizer, state, strict=True):
            if isinstance(mine, list):
                write_flat(mine, value)
            else:
                mine.assign(value)
        for variable, value in zip(self._rest, rest, strict=True):
            variable.assign(value)

    def _train(
        self, kind: str, first: int, last: int, batch_size: int, val_batch: int, bar: Bar | None = None
    ) -> list[Logs]:
        if self._state is None:
            self._state = self._read()
        trace = self._functions[kind]
        numbers = tf.constant([self.shuffle_seed or 0, first, last, batch_size, val_batch], tf.int32)
        with _graphs_optimised(self._optimise):
            measured = bars(bar, trace.names, last - first)
            *state, table = trace.function(*self._state, *self._values, self._data(kind), numbers, measured)
        self._state = tuple(state)
        return [dict(zip(trace.names, map(float, row), strict=True)) for row in table.numpy()]

    def _data(self, kind: str) -> Any:
        validation = self.validation.data if kind == "many" and self.validation is not None else None
        return (self.train.data, validation)

    def _read(self) -> tuple[Any, ...]:
        weights = read_flat(self._variables)
        optimizer = [read_flat(v) if isinstance(v, list) else v.value.read_value() for v in self._optimizer]
        if self._any_optimizer:
            optimizer = state_of_any(optimizer, weights)
        return weights, optimizer, [v.value.read_value() for v in self._rest]

    @property
    def _any_optimizer(self) -> bool:
        """Whether the state is that of any optimizer that the program has."""
        return self._choices is not None and self._choices.optimizer is not None

    def _read_settings(self) -> Settings:
        rates = [float(layer.rate) for layer in self._dropouts]
        strengths = [next(iter(p.get_config().values())) for p in self._penalties]
        sizes = [math.prod(v.shape) for v in self._variables]
        return Settings(
            sizes=tf.constant(sizes, tf.int32),
            shapes=[tf.constant(tuple(v.shape), tf.int32) for v in self._variables],
            rates=tf.constant(rates, keras.config.floatx()),
            scales=tf.constant([1 / (1 - rate) for rate in rates], keras.config.floatx()),
            strengths=tf.constant(strengths, keras.config.floatx()),
        )

    def _compile(self, kind: str, batch: int, choices: Choices, *, many: bool) -> str | None:
        """Makes all of training one compiled program; returns why that can't be, in words that complete "because"."""
        if not many:
            return "callbacks, verbose or validation_freq act between epochs"
        if self._key is None:
            return "the model holds functions of your own, or layers that are not common"
        found = form(self.model, self._shapes, self.train, self.validation, batch)
        if isinstance(found, str):
            return found
        self._form, self._choices = found, choices
        self._values = (
            self._settings,
            padding(self.model, found, self._dropouts),
            choices.tensor(),
        )
        try:
            self._find(kind)
            self._train(kind, 0, 0, batch, 0)  # compiles
        except Exception as error:  # noqa: BLE001  # a metric of operations that XLA lacks, say
            self._form, self._choices, self._values = None, None, (self._settings,)
            self._state = None
            return f"XLA can't compile it ({str(error).strip().partition(chr(10))[0][:200]})"
        return None

    def _find(self, kind: str) -> None:
        key: Hashable = None
        if self._key is not None:
            described = keras.tree.map_structure(
                lambda t: None if t is None else (tuple(t.shape), t.dtype.name), self._data("many")
            )
            given = self._choices.open if self._choices is not None else ()
            alike = structure(self.model, self._shapes, given) if given else self._key
            key = (kind, self._form, alike, repr(described), self.shuffle_seed is None, self._whole)
        self._functions[kind] = _remembered(key, lambda: self._trace(kind))

    def _trace(self, kind: str) -> Trace:
        scores = self._find_scores(self.train)
        tested = None if kind == "train" or self.validation is None else self._find_scores(self.validation)
        validation = self.validation if kind != "train" else None
        what: dict[str, Any] = {
            "model": self.model,
            "train": self.train,
            "validation": validation,
            "scores": scores,
            "val_scores": tested,
            "shuffle": self.shuffle_seed is not None,
            "dropouts": self._dropouts,
            "penalties": self._penalties,
        }
        if self._form is None:
            program = Program(**what, whole=self._whole, shapes=self._shapes, steps=self._steps)
        else:
            assert self._choices is not None
            program = Compiled(**what, into=self._form, choices=self._choices)
        weights, state, rest = keras.tree.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), self._read()
        )
        open_flat = tf.TensorSpec([None], weights.dtype)
        state = [open_flat if spec.shape.rank else spec for spec in state]
        if kind == "test":
            assert self.validation is not None
            function = tf.function(program.test, autograph=False).get_concrete_function(
                open_flat, rest, self._settings, self.validation.data, tf.TensorSpec((), tf.int32)
            )
        else:
            function = tf.function(program.epochs, autograph=False).get_concrete_function(
                open_flat,
                state,
                rest,
                *self._open_values(),
                self._data(kind),
                tf.TensorSpec([5], tf.int32),
                SPEC,
            )
        names = tuple(f"val_{name}" for name in scores.names)
        return Trace(function, scores.names + (names if kind == "many" else ()))

    def _open_values(self) -> tuple[Any, ...]:
        """What a trace takes beside weights and data, of any model of the structure."""
        if len(self._values) == 1:
            return self._values
        settings, padded, choices = self._values
        return settings, padded._replace(places=tf.TensorSpec([None], tf.int32)), choices

    def _find_scores(self, data: Rows) -> Scores:
        """The function of losses and metrics of such data, perhaps another model's."""
        model = self.model
        output = model.outputs[0]
        key: Hashable = None
        if self._key is not None:
            described = [(tuple(t.shape[1:]), t.dtype.name) for t in (*data.data[1:], *self.train.data[1:])]
            key = (
                "scores",
                metrics(model),
                repr(described),
                tuple(output.shape),
                output.dtype,
                keras.config.floatx(),
            )

        def traced() -> Scores:
            build(model, self.train)
            return trace_scores(model, data, output)

        return _remembered(key, traced)
