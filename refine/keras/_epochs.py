"""Training by whole epochs in a graph: choice of the step, and callbacks in Keras' order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from refine.errors import first_line
from refine.keras._compiled_epochs import CompiledStep, NotCompilable
from refine.keras._data import Plan, TrainingRows, split_tail, training_rows, validation_rows
from refine.keras._eligible import unfit
from refine.keras._keras_step import KerasStep, Logs, build
from refine.keras._notices import Unsupported
from refine.keras._pruning import is_stopped, watched
from refine.keras._traces import ShortStep
from refine.keras._trainable import (
    Setup,
    as_first_trained,
    check_not_recompiled,
    check_optimizer,
    remember_trainable,
    setup_of,
)

# Ctrl-C waits for the end of a graph call: about this many seconds.
_SECONDS_PER_CALL = 0.5


def train_epochs(
    model: keras.Model,
    x: object,
    y: object,
    arguments: dict[str, Any],
    announce: Callable[[str, str], None],
    *,
    compiled: bool,
) -> keras.callbacks.History:
    """Trains as `refine.keras.fit` does with these arguments.

    ``announce`` is called with each slower way and its reason.

    Raises:
        Unsupported: The training can't run as a graph of epochs; the model is unchanged.
        ValueError: Impossible data.
    """
    if tf.distribute.has_strategy() or model.distribute_strategy.num_replicas_in_sync > 1:
        raise Unsupported("a distribution strategy is active")
    validation_data = arguments["validation_data"]
    share = arguments["validation_split"]
    parts = x, y, arguments["sample_weight"]
    if share and validation_data is None:
        parts, validation_data = split_tail(*parts, share)
    train = training_rows(*parts, arguments["class_weight"])
    if validation_data is None:
        validation = None
    else:
        validation = validation_rows(validation_data)
    seed = random.randint(1, 10**9) if arguments["shuffle"] else None  # noqa: S311
    batch = int(arguments["batch_size"] or 32)
    steps = -(-train.size // batch) * max(0, arguments["epochs"] - arguments["initial_epoch"])
    try:
        if not model.built:
            build(model, train)
        val_batch = int(arguments["validation_batch_size"] or batch)
        watching = bool(arguments["callbacks"] or arguments["verbose"])
        plan = Plan(
            train=train,
            validation=validation,
            seed=seed,
            batch=batch,
            val_batch=val_batch,
            steps=steps,
            watched=watching,
        )
        check_optimizer(model)
        with as_first_trained(model):
            step, slower, uncompiled = _step(model, plan, arguments, compiled=compiled)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"it could not be traced ({first_line(error)[:200]})") from error
    if slower:
        announce("running Keras' own step", slower)
    if compiled and (slower or uncompiled):
        announce("training is not compiled", str(slower or uncompiled))
    return _run(step, arguments)


def _step(
    model: keras.Model, plan: Plan, arguments: dict[str, Any], *, compiled: bool
) -> tuple[ShortStep | KerasStep, str | None, str | None]:
    """The fastest step with the model's results, why it is not the short step, and why not compiled."""
    uncompiled = None
    reason = unfit(model, plan) or _between(arguments, plan)
    if reason is None:
        try:
            if compiled:
                try:
                    return CompiledStep(model, plan), None, None
                except NotCompilable as error:
                    uncompiled = str(error)
            return ShortStep(model, plan), None, uncompiled
        except Exception as error:  # noqa: BLE001  # Keras' own step reports a fault better
            reason = f"its step has no short form ({first_line(error)[:200]})"
    return KerasStep(model, plan), reason, None


def _between(arguments: dict[str, Any], plan: Plan) -> str | None:
    """The reason why an epoch and its validation can't run as one call; `None` if they can."""
    if plan.validation is None:
        return None
    if arguments["validation_freq"] != 1:
        return "validation_freq is given"
    callbacks = arguments["callbacks"] or []
    for callback in getattr(callbacks, "callbacks", callbacks):
        overridden = type(callback).on_test_begin is not keras.callbacks.Callback.on_test_begin
        if overridden or "on_test_begin" in vars(callback):
            return f"callback {type(callback).__name__} acts before validation"
    return None


def _run(step: ShortStep | KerasStep, arguments: dict[str, Any]) -> Any:
    """Trains, with several epochs per call if no callback watches the epochs in between."""
    model = step.model
    plan = step.plan
    setup = setup_of(model)
    callbacks = arguments["callbacks"]
    verbose = arguments["verbose"]
    epochs = int(arguments["epochs"])
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = keras.callbacks.CallbackList(
            list(callbacks) if callbacks else None,
            add_history=True,
            add_progbar=verbose != 0,
            verbose=1 if verbose == "auto" else verbose,
            epochs=epochs,
            steps=-(-plan.train.size // plan.batch),
            model=model,
        )
    model.stop_training = False
    callbacks.on_train_begin()
    span = range(int(getattr(model, "_initial_epoch", None) or arguments["initial_epoch"]), epochs)
    if isinstance(step, ShortStep) and not plan.watched:
        remember_trainable(model)
        logs = _many_a_call(step, callbacks, span)
    else:
        logs = _one_a_call(step, callbacks, span, arguments["validation_freq"], setup)
    if isinstance(model.optimizer, keras.optimizers.Optimizer) and epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    callbacks.on_train_end(logs=logs)
    return model.history


def _many_a_call(step: ShortStep, callbacks: Any, span: range) -> Logs | None:
    """Runs as many epochs per graph call as Ctrl-C allows; one by one if the trial may be stopped."""
    logs: Logs | None = None
    epoch = span.start
    size = 1
    try:
        while epoch < span.stop:
            first = epoch
            start = time.perf_counter()
            for logs in step.train_epochs(epoch, min(epoch + size, span.stop)):
                callbacks.on_epoch_begin(epoch)
                callbacks.on_epoch_end(epoch, dict(logs))
                epoch += 1
                if is_stopped(epoch - 1, logs, span.stop):
                    return logs
            seconds_per_epoch = (time.perf_counter() - start) / (epoch - first)
            size = min(
                4 * size if size > 1 else 8,
                int(_SECONDS_PER_CALL / seconds_per_epoch),
                step.max_epochs_per_call,
            )
            if watched():
                size = 1
            else:
                size = max(1, size)
    finally:
        step.write()
    return logs


def _one_a_call(
    step: ShortStep | KerasStep, callbacks: Any, span: range, frequency: int | Sequence[int], setup: Setup
) -> Logs | None:
    """Epochs one by one, each with its validation, and the callbacks in Keras' order.

    ``setup`` is the model's setup at the trace of ``step``. Keras traces later, after the callbacks'
    ``on_train_begin`` and first ``on_epoch_begin``. If one of them changes the setup, the step is traced
    again.
    """
    model = step.model
    plan = step.plan
    watchers = [c for c in callbacks.callbacks if isinstance(c, keras.callbacks.TerminateOnNaN)]
    logs: Logs | None = None
    for epoch in span:
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        check_not_recompiled(model, setup)
        if epoch == span.start:
            changed = setup_of(model) != setup
            remember_trainable(model)
            if changed:
                with as_first_trained(model):
                    step = KerasStep(model, plan)
        if model.stop_training:
            # Keras still trains one batch if a callback ends training as an epoch begins.
            order = (np.arange if plan.seed is None else np.random.permutation)(plan.train.size)[: plan.batch]
            rows = keras.tree.map_structure(
                lambda t, order=order: None if t is None else tf.gather(t, order), plan.train.data
            )
            with as_first_trained(model):
                step = KerasStep(model, plan._replace(train=TrainingRows(rows, len(order))))
        logs = step.train_epoch(epoch)
        for watcher in watchers:
            # Checks the loss after a batch; here after the last batch of the epoch.
            watcher.on_batch_end(-(-plan.train.size // plan.batch) - 1, logs)
        if plan.validation is not None and model._should_eval(epoch, frequency):
            callbacks.on_test_begin()
            check_not_recompiled(model, setup)
            tested = step.validate()
            callbacks.on_test_end(tested)
            logs |= {f"val_{name}": value for name, value in tested.items()}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training or is_stopped(epoch, logs, span.stop):
            break
    return logs
