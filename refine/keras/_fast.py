"""Training by whole epochs in a graph: what `refine.keras.fit` does with TensorFlow, which this module imports."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from refine.keras._data import Rows, rows, split_tail
from refine.keras._epochs import Epochs, Logs, build
from refine.keras._known import is_rowwise
from refine.keras._notices import Unsupported
from refine.keras._plain import Plain, unfit
from refine.keras._pruning import bar_of, is_stopped, watched

if TYPE_CHECKING:
    from collections.abc import Sequence

# Validation in large batches stops here: rows, and numbers in the inputs of one batch.
_VALIDATION_ROWS = 1024
_VALIDATION_NUMBERS = 2**20
# A graph call can't be interrupted, so Ctrl-C waits for about this many seconds.
_SECONDS_PER_CALL = 0.5
# Epochs of one call where the trial may be stopped after each of them and the graph can't know when.
_EPOCHS_WATCHED = 5


class Prepared(NamedTuple):
    """A training that can begin.

    Attributes:
        runner: Trains and validates whole epochs.
        arguments: Those of `refine.keras.fit` but the model and its data.
        batch: Rows per update.
        val_batch: Rows per validation batch.
        many: Whether epochs may run many at a time.
        slower: Why Keras' own step is run; ``None`` where a shorter one is.
        uncompiled: Why training is not one compiled program; ``None`` where it is, or need not be.
    """

    runner: Plain | Epochs
    arguments: dict[str, Any]
    batch: int
    val_batch: int
    many: bool
    slower: str | None
    uncompiled: str | None

    def run(self) -> keras.callbacks.History:
        """Trains."""
        return _run(self.runner, self.arguments, self.batch, self.val_batch, many=self.many)


def prepared(model: keras.Model, x: Any, y: Any, arguments: dict[str, Any]) -> Prepared:
    """A training as graphs.

    Args:
        model: A compiled model.
        x: Inputs.
        y: Targets.
        arguments: All others of `refine.keras.fit`, with a list or tuple as ``validation_data``.

    Raises:
        Unsupported: It can't be done in a graph of epochs.
        ValueError: Data that make no sense.
    """
    if tf.distribute.has_strategy() or model.distribute_strategy.num_replicas_in_sync > 1:
        raise Unsupported("a distribution strategy is active")
    validation_data, share = arguments["validation_data"], arguments["validation_split"]
    parts = x, y, arguments["sample_weight"]
    if share and validation_data is None:
        parts, validation_data = split_tail(*parts, share)
    rowed = rows(*parts, arguments["class_weight"])
    validation = None if validation_data is None else _validation(validation_data)
    seed = random.randint(1, 10**9) if arguments["shuffle"] else None  # noqa: S311
    alone = not arguments["callbacks"] and not arguments["verbose"] and arguments["validation_freq"] == 1
    batch = int(arguments["batch_size"] or 32)
    val_batch = int(arguments["validation_batch_size"] or 0)
    try:
        if not model.built:
            build(model, rowed)
        if not val_batch:
            val_batch = batch if validation is None else _validation_batch(model, validation, batch)
        steps = -(-rowed.size // batch) * max(0, arguments["epochs"] - arguments["initial_epoch"])
        sizes = {"batch": batch, "steps": steps, "val_batch": val_batch}
        compiled = arguments["compiled"]
        runner, many, slower = _traced(model, rowed, validation, seed, sizes, alone=alone, compiled=compiled)
    except Exception as error:
        raise Unsupported(f"it could not be traced ({_first_line(error)})") from error
    why = (slower or runner.uncompiled) if compiled else None
    return Prepared(runner, arguments, batch, val_batch, many, slower, why)


def _traced(
    model: keras.Model,
    train: Rows,
    validation: Rows | None,
    seed: int | None,
    sizes: dict[str, int],
    *,
    alone: bool,
    compiled: bool | None,
) -> tuple[Plain | Epochs, bool, str | None]:
    """The fastest runner that does what the model does, whether epochs may run many at a time, and why not faster."""
    reason = unfit(model, train, validation)
    if reason is None:
        try:
            plain = Plain(model, train, validation, seed)
            plain.trace(many=alone, compiled=compiled, **sizes)
        except Exception as error:  # noqa: BLE001  # whatever is wrong, the general runner says it better
            reason = f"its step has no short form ({_first_line(error)})"
        else:
            return plain, alone, None
    runner = Epochs(model, train, validation, seed)
    many = alone and runner.standard
    runner.trace(many=many, steps=sizes["steps"])
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
            stop = min(epoch + min(size, runner.most or size), span.stop)
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


def _validation(validation_data: Any) -> Rows:
    data = tuple(validation_data) if isinstance(validation_data, list) else validation_data
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
