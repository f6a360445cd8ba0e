"""`refine.keras.fit`: the meaning of `Model.fit` on data in memory, without its cost per batch."""

from __future__ import annotations

import random
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from refine.keras._data import Rows, Unsupported, rows, split_tail
from refine.keras._epochs import Epochs, Logs, build
from refine.keras._known import is_rowwise
from refine.keras._notices import warn_once
from refine.keras._plain import Plain, unfit
from refine.keras._pruning import PruningCallback, bar_of, is_stopped, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
# Validation in large batches stops here: rows, and numbers in the inputs of one batch.
_VALIDATION_ROWS = 1024
_VALIDATION_NUMBERS = 2**20
# A graph call can't be interrupted, so Ctrl-C waits for about this many seconds.
_SECONDS_PER_CALL = 0.5
# Epochs of one call where the trial may be stopped after each of them and the graph can't know when.
_EPOCHS_WATCHED = 5

KERAS_STEP, KERAS_FIT = "running Keras' own step", "using model.fit"
slower_ways: ContextVar[list[str] | None] = ContextVar("refine_slower_ways", default=None)
"""Filled with the slower ways that trainings of this context take."""


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int | str = 0,
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool | str = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
) -> keras.callbacks.History:
    """Trains a compiled model as ``model.fit`` does, several times faster for small models.

    Whole epochs of the model's own ``train_step`` and ``test_step`` run in one TensorFlow graph.
    With ``shuffle=False`` and no dropout the losses equal those of ``model.fit`` up to rounding; with
    shuffling they are as good but in another order of rows: the order follows from Python's random
    state, which `keras.utils.set_random_seed` sets.

    Models made of layers, losses and metrics whose meaning is known are trained with fewer operations than
    Keras' step has. All others run that step as it is, with one `RefineWarning` per reason and process.

    What can't be done in a graph of epochs is handed to ``model.fit``, with such a warning too: datasets and
    generators, sparse or non-numeric data, callbacks that act on batches, ``steps_per_epoch``,
    ``validation_steps``, ``shuffle="batch"``, ``run_eagerly``, fixed batch sizes, distribution strategies,
    another backend than TensorFlow, a step that can't be traced with a variable number of rows.

    Args:
        model: A compiled model.
        x: Inputs, one row per example: an array, a tensor, a pandas frame, or a tuple, list or dict
            of them.
        y: Targets, alike.
        batch_size: Rows per update; 32 if `None`. The last batch may be smaller.
        epochs: Number of the last epoch; the model trains ``epochs - initial_epoch`` of them.
        verbose: 0 (the default here) is silent, 1, 2 and ``"auto"`` print a line per epoch.
        callbacks: Keras callbacks that act at epochs or at the ends of training.
        validation_split: Share of rows, taken from the end, to validate on. In (0, 1), or 0.
        validation_data: ``(x, y)`` or ``(x, y, sample_weight)``, tuple or list.
        shuffle: Whether every epoch takes the rows in a new order.
        class_weight: Class number to weight, for the training loss.
        sample_weight: Weight of every example in the training loss.
        initial_epoch: Epoch to start from.
        steps_per_epoch: As in Keras; handed to ``model.fit``.
        validation_steps: As in Keras; handed to ``model.fit``.
        validation_batch_size: Rows per validation batch. By default the largest convenient number if
            the loss and all metrics are plain means over rows, else ``batch_size``.
        validation_freq: Validate every so many epochs, or after the epochs listed (from 1).

    Returns:
        The history, as ``model.fit`` returns it: ``.history[name]`` is a list with one float per epoch.

    Raises:
        ValueError: Sizes that make no sense, or what Keras itself raises.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "x", "y")}
    return train(model, x, y, arguments, model.fit)


def train(
    model: keras.Model, x: Any, y: Any, arguments: dict[str, Any], keras_fit: Callable[..., Any]
) -> keras.callbacks.History:
    """What `fit` does.

    Args:
        model: A compiled model.
        x: Inputs.
        y: Targets.
        arguments: All others of `fit`.
        keras_fit: Keras' own ``fit`` of that model, for what is left to it.
    """
    batch_size, epochs = arguments["batch_size"], arguments["epochs"]
    callbacks, shuffle, verbose = (arguments[name] for name in ("callbacks", "shuffle", "verbose"))
    validation_data, validation_split = arguments["validation_data"], arguments["validation_split"]
    if batch_size is not None and int(batch_size) < 1:
        raise ValueError(f"batch_size: must be at least 1, got {batch_size}; 32 is the default")
    try:
        _check_supported(model, arguments)
        parts = x, y, arguments["sample_weight"]
        if validation_split and validation_data is None:
            parts, validation_data = split_tail(*parts, validation_split)
        rowed = rows(*parts, arguments["class_weight"])
        validation = None if validation_data is None else _validation(validation_data)
        seed = random.randint(1, 10**9) if shuffle else None  # noqa: S311
        alone = not callbacks and not verbose and arguments["validation_freq"] == 1
        batch = int(batch_size or 32)
        val_batch = int(arguments["validation_batch_size"] or 0)
        try:
            if not model.built:
                build(model, rowed)
            if not val_batch:
                val_batch = batch if validation is None else _validation_batch(model, validation, batch)
            steps = -(-rowed.size // batch) * max(0, epochs - arguments["initial_epoch"])
            runner, many, slower = _traced(model, rowed, validation, seed, steps, val_batch, alone=alone)
        except Exception as error:
            raise Unsupported(f"it could not be traced ({_first_line(error)})") from error
        if slower:
            _announce(KERAS_STEP, slower)
        return _run(runner, arguments, batch, val_batch, many=many)
    except Unsupported as reason:
        _announce(KERAS_FIT, str(reason))
        if watched():
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(PruningCallback())
            else:
                arguments["callbacks"] = [*(callbacks or ()), PruningCallback()]
        if arguments["validation_data"] is not None:
            arguments["validation_data"] = _as_tuple(arguments["validation_data"])
        return keras_fit(x, y, **arguments)


def _traced(
    model: keras.Model,
    train: Rows,
    validation: Rows | None,
    seed: int | None,
    steps: int,
    val_batch: int,
    *,
    alone: bool,
) -> tuple[Plain | Epochs, bool, str | None]:
    """The fastest runner that does what the model does, whether epochs may run many at a time, and why not faster."""
    reason = unfit(model, train, validation)
    if reason is None:
        try:
            plain = Plain(model, train, validation, seed)
            plain.trace(many=alone, steps=steps, val_batch=val_batch)
        except Exception as error:  # noqa: BLE001  # whatever is wrong, the general runner says it better
            reason = f"its step has no short form ({_first_line(error)})"
        else:
            return plain, alone, None
    runner = Epochs(model, train, validation, seed)
    many = alone and runner.standard
    runner.trace(many=many)
    return runner, many, reason


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _run(runner: Plain | Epochs, arguments: dict[str, Any], batch: int, val_batch: int, *, many: bool) -> Any:
    """Trains, by several epochs a call where nothing watches the epochs in between."""
    model = runner.model
    callbacks, verbose = arguments["callbacks"], arguments["verbose"]
    epochs, frequency = int(arguments["epochs"]), arguments["validation_freq"]
    steps = -(-runner.train.size // batch)
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = keras.callbacks.CallbackList(
            list(callbacks) if callbacks else None,
            add_history=True,
            add_progbar=verbose != 0,
            verbose=1 if verbose == "auto" else verbose,
            epochs=epochs,
            steps=steps,
            model=model,
        )
    model.stop_training = False
    callbacks.on_train_begin()
    first = int(getattr(model, "_initial_epoch", None) or arguments["initial_epoch"])
    if many:
        logs = _many(runner, callbacks, range(first, epochs), batch, val_batch)
    else:
        logs = _one_by_one(runner, callbacks, range(first, epochs), batch, val_batch, frequency)
    if isinstance(model.optimizer, keras.optimizers.Optimizer) and epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    callbacks.on_train_end(logs=logs)
    return model.history


def _many(runner: Plain | Epochs, callbacks: Any, span: range, batch: int, val_batch: int) -> Logs | None:
    """Epochs in as few graph calls as keep Ctrl-C working."""
    logs: Logs | None = None
    epoch, size = span.start, 1
    try:
        while epoch < span.stop:
            stop = min(epoch + size, span.stop)
            bar = bar_of(epoch, stop - epoch)
            if bar is None and watched():
                stop = min(stop, epoch + _EPOCHS_WATCHED)
            start, first = time.perf_counter(), epoch
            for logs in runner.train_epochs(epoch, stop, batch, val_batch, bar):
                callbacks.on_epoch_begin(epoch)
                callbacks.on_epoch_end(epoch, dict(logs))
                epoch += 1
                if is_stopped(epoch - 1, logs, span.stop):
                    return logs
            each = (time.perf_counter() - start) / (epoch - first)
            size = max(1, min(4 * size if size > 1 else 8, int(_SECONDS_PER_CALL / each) or 1))
    finally:
        runner.finish()
    return logs


def _one_by_one(
    runner: Plain | Epochs,
    callbacks: Any,
    span: range,
    batch: int,
    val_batch: int,
    frequency: int | Sequence[int],
) -> Logs | None:
    """One graph call an epoch and one a validation, with callbacks in between, as Keras orders them."""
    model = runner.model
    watchers = [c for c in callbacks.callbacks if isinstance(c, keras.callbacks.TerminateOnNaN)]
    last_step = -(-runner.train.size // batch) - 1
    logs: Logs | None = None
    for epoch in span:
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        logs = _one_batch(runner, batch) if model.stop_training else runner.train_epoch(epoch, batch)
        for watcher in watchers:
            # It looks at the loss after a batch; here that is after the last one.
            watcher.on_batch_end(last_step, logs)
        if runner.validation is not None and model._should_eval(epoch, frequency):
            callbacks.on_test_begin()
            tested = runner.validate(val_batch)
            callbacks.on_test_end(tested)
            logs |= {f"val_{name}": value for name, value in tested.items()}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training or is_stopped(epoch, logs, span.stop):
            break
    return logs


def _one_batch(runner: Plain | Epochs, batch: int) -> Logs:
    """What Keras still trains after a callback has ended training before an epoch: its first batch."""
    model, train = runner.model, runner.train
    rows = np.arange(train.size) if runner.shuffle_seed is None else np.random.permutation(train.size)
    examples = keras.tree.map_structure(
        lambda t: None if t is None else tf.gather(t, rows[:batch]), train.data
    )
    logs: Logs = model.train_on_batch(*keras.utils.unpack_x_y_sample_weight(examples), return_dict=True)
    return logs


def _as_tuple(validation_data: Any) -> Any:
    """Talos' models write ``validation_data=[x_val, y_val]``; Keras wants a tuple."""
    return tuple(validation_data) if isinstance(validation_data, list) else validation_data


def _validation(validation_data: Any) -> Rows:
    data = _as_tuple(validation_data)
    if hasattr(data, "shape"):
        raise ValueError(
            f"validation_data: must be (x, y) or (x, y, sample_weight), got one array of shape {tuple(data.shape)}"
        )
    if not isinstance(data, tuple):
        raise Unsupported(f"validation_data is a {type(data).__name__}, not (x, y) in memory")
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"validation_data: must be (x, y) or (x, y, sample_weight), got {len(data)} elements"
        )
    if any(np.shape(leaf)[:1] == (0,) for leaf in keras.tree.flatten(data) if hasattr(leaf, "shape")):
        raise Unsupported("the validation data has no rows")
    return rows(*data)


def _validation_batch(model: keras.Model, validation: Rows, batch: int) -> int:
    if not is_rowwise(model):
        return batch
    leaves = [t for t in keras.tree.flatten(validation.data) if t is not None]
    numbers = sum(int(np.prod(t.shape[1:])) for t in leaves)
    return max(batch, min(_VALIDATION_ROWS, _VALIDATION_NUMBERS // max(1, numbers)))


def _check_supported(model: keras.Model, arguments: dict[str, Any]) -> None:
    """Raises `Unsupported` for what is clear before looking at the data."""
    if keras.backend.backend() != "tensorflow":
        raise Unsupported(f"the Keras backend is {keras.backend.backend()}, not tensorflow")
    if not getattr(model, "compiled", False):
        raise Unsupported("the model is not compiled")
    if not hasattr(model, "_symbolic_build"):
        raise Unsupported(f"Keras {keras.__version__} builds models in another way")
    if model.run_eagerly:
        raise Unsupported("the model runs eagerly")
    if tf.distribute.has_strategy() or model.distribute_strategy.num_replicas_in_sync > 1:
        raise Unsupported("a distribution strategy is active")
    for name in ("steps_per_epoch", "validation_steps"):
        if arguments[name] is not None:
            raise Unsupported(f"{name} is given")
    if arguments["shuffle"] == "batch":
        raise Unsupported('shuffle="batch" is given')
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        raise Unsupported("keras.config limits the epochs or steps of this process")
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            raise Unsupported(f"layer {layer.name} is stateful, which needs fixed batches")
    for shape in keras.tree.flatten(getattr(model, "inputs", None) or []):
        if shape.shape and shape.shape[0] is not None:
            raise Unsupported(f"the model fixes its batch size ({shape.shape[0]})")
    callbacks = arguments["callbacks"] or []
    for callback in getattr(callbacks, "callbacks", callbacks):
        hook = _batch_hook(callback)
        if hook:
            raise Unsupported(f"callback {type(callback).__name__} acts on batches ({hook})")


def _batch_hook(callback: keras.callbacks.Callback) -> str | None:
    """The name of a hook by which the callback acts on batches, or `None`."""
    known = (keras.callbacks.TerminateOnNaN, keras.callbacks.ProgbarLogger)
    if type(callback) in known:
        return None
    by_epoch = getattr(callback, "save_freq", None) == "epoch"
    savers = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)
    for name in _BATCH_HOOKS:
        method = getattr(type(callback), name)
        if name in vars(callback):
            return name
        if method is getattr(keras.callbacks.Callback, name):
            continue
        # The savers look at every batch only to find that it is not their turn.
        if by_epoch and any(method is getattr(saver, name) for saver in savers):
            continue
        return name
    return None


def _announce(way: str, reason: str) -> None:
    """Says once that a training goes a slower way, and notes it where that is wanted."""
    if (ways := slower_ways.get()) is not None:
        ways.append(way)
    warn_once(
        f"refine.keras.fit: {way}, because {reason}; results are the same, only slower",
        stacklevel=3,
    )
