"""`refine.keras.fit`: `Model.fit` without the cost per batch, for data in memory; also as a replacement."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import keras

from refine.keras._backend import BACKEND
from refine.keras._notices import Unsupported, warn_once
from refine.keras._pruning import PruningCallback, watched

KERAS_FIT = "using model.fit"


class _Block(NamedTuple):
    """State of `accelerated`: the slower ways of its trainings, and the meaning of ``compiled=None``."""

    ways: list[str]
    compiled: bool | None


_block: ContextVar[_Block | None] = ContextVar("refine_accelerate", default=None)
_training: ContextVar[bool] = ContextVar("refine_training", default=False)


def fit(
    model: keras.Model,
    x: object = None,
    y: object = None,
    *,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int | str = 0,
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList | None = None,
    validation_split: float = 0.0,
    validation_data: object = None,
    shuffle: bool | str = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: object = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
    compiled: bool | None = None,
) -> keras.callbacks.History:
    """Trains a compiled model like ``model.fit``, several times faster for small models.

    Whole epochs run in one TensorFlow graph. With ``shuffle=False`` the losses equal those of ``model.fit``
    up to rounding. With shuffling they are as good, but the order of rows differs; the order follows from
    Python's random state, which `keras.utils.set_random_seed` sets.

    Models of known layers, losses and metrics are trained with fewer operations than Keras' step has. All
    other models run Keras' step unchanged, with one `RefineWarning` per reason and process.

    Trainings that can't run as a graph of epochs are handed to ``model.fit``, also with a warning: datasets
    and generators, sparse or non-numeric data, callbacks that act on batches, ``steps_per_epoch``,
    ``validation_steps``, ``shuffle="batch"``, ``run_eagerly``, fixed batch sizes, distribution strategies,
    another backend than TensorFlow, and steps that can't be traced with a variable number of rows.

    Arguments are those of ``model.fit``; inputs and targets are arrays, tensors, pandas frames, or tuples,
    lists or dicts of these. ``verbose`` is 0, silent, by default; 1, 2 and ``"auto"`` print a line per epoch.

    With ``compiled``, XLA compiles all epochs to one program. Compiling takes some seconds. The program
    serves all small dense networks of the same structure and similar size, with any of the common
    activations, losses and optimizers, so it pays for hundreds of trainings of one structure. Default: only
    in an objective with ``accelerate="compiled"``.

    If ``layer.trainable`` changes after the first training, the change takes effect with the next
    ``compile``, as in Keras; a warning says so.

    Returns:
        The history, like ``model.fit``: ``.history[name]`` is a list with one float per epoch.

    Raises:
        ValueError: Impossible sizes, and errors of Keras.
        TypeError: A callback compiled the model during training.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "x", "y")}
    return _train(model, x, y, arguments, model.fit)


def _train(
    model: keras.Model, x: object, y: object, arguments: dict[str, Any], keras_fit: Callable[..., Any]
) -> keras.callbacks.History:
    """Implements `fit`; ``keras_fit`` is the model's own ``fit``, for trainings that are handed over."""
    batch_size = arguments["batch_size"]
    callbacks = arguments["callbacks"]
    compiled = arguments.pop("compiled")
    if compiled is None and (block := _block.get()) is not None:
        compiled = block.compiled
    if batch_size is not None and int(batch_size) < 1:
        raise ValueError(f"batch_size: must be at least 1, got {batch_size}; 32 is the default")
    if isinstance(arguments["validation_data"], list):  # as Talos' models pass it; Keras takes a tuple
        arguments["validation_data"] = tuple(arguments["validation_data"])
    token = _training.set(True)
    try:
        _check_supported(model, arguments)
        try:  # imported late: TensorFlow may be missing if Keras runs on another backend
            from refine.keras._epochs import train_epochs
        except ImportError as error:
            raise Unsupported(f"Keras {keras.__version__} has other internals ({error})") from error
        return train_epochs(model, x, y, arguments, _announce, compiled=bool(compiled))
    except Unsupported as reason:
        _announce(KERAS_FIT, str(reason))
        if watched():
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(PruningCallback())
            else:
                arguments["callbacks"] = [*(callbacks or ()), PruningCallback()]
        return keras_fit(x, y, **arguments)
    finally:
        _training.reset(token)


def _check_supported(model: keras.Model, arguments: dict[str, Any]) -> None:
    """Raises `Unsupported` for options that need ``model.fit``, whatever the data."""
    if BACKEND != "tensorflow":
        raise Unsupported(f"the Keras backend is {BACKEND}, not tensorflow")
    if not getattr(model, "compiled", False):
        raise Unsupported("the model is not compiled")
    if model.run_eagerly:
        raise Unsupported("the model runs eagerly")
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
        if (hook := _batch_hook(callback)) is not None:
            raise Unsupported(f"callback {type(callback).__name__} acts on batches ({hook})")


def _batch_hook(callback: keras.callbacks.Callback) -> str | None:
    """The name of a batch hook that the callback defines, or `None`."""
    if type(callback) in (keras.callbacks.TerminateOnNaN, keras.callbacks.ProgbarLogger):
        return None
    by_epoch = getattr(callback, "save_freq", None) == "epoch"
    savers = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)
    for name in (f"on_{kind}batch_{end}" for kind in ("", "train_", "test_") for end in ("begin", "end")):
        method = getattr(type(callback), name)
        # Savers by epoch return from their batch hooks at once.
        idle = by_epoch and any(method is getattr(saver, name) for saver in savers)
        if name in vars(callback) or not (idle or method is getattr(keras.callbacks.Callback, name)):
            return name
    return None


def _announce(way: str, reason: str) -> None:
    """Warns once of a slower way, and records it for `accelerated`."""
    if (block := _block.get()) is not None:
        block.ways.append(way)
    warn_once(f"refine.keras.fit: {way}, because {reason}; results are the same, but slower", stacklevel=4)


@contextlib.contextmanager
def accelerated(compiled: bool | None = None) -> Iterator[list[str]]:
    """While the block runs, ``model.fit`` of any Keras model, called from this thread, is `fit`.

    Other threads, and trainings handed over by `fit`, use Keras' own ``fit``. A model class with its own
    ``fit`` keeps it. Yields a list to which the slower ways of trainings are added; ``compiled`` is that of
    `fit`.
    """
    if not hasattr(keras.Model.fit, "of_keras"):
        # Replaced for the whole process: outside a block every call goes to Keras.
        keras.Model.fit = _replacement(keras.Model.fit)
    block = _Block([], compiled)
    token = _block.set(block)
    try:
        yield block.ways
    finally:
        _block.reset(token)


def _replacement(keras_fit: Any) -> Any:
    keras_signature = inspect.signature(keras_fit)
    signature = inspect.signature(fit)

    @functools.wraps(keras_fit)
    def replaced(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if _block.get() is None or _training.get():
            return keras_fit(self, *args, **kwargs)
        arguments = [*keras_signature.bind(self, *args, **kwargs).arguments.items()][1:]
        bound = signature.bind(self, **dict(arguments))
        bound.apply_defaults()
        model, x, y, *_ = bound.args
        return _train(model, x, y, bound.kwargs, functools.partial(keras_fit, model))

    vars(replaced)["of_keras"] = keras_fit
    return replaced
