"""`refine.keras.fit`: the meaning of `Model.fit` on data in memory, without its cost per batch; also in its place."""

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
    """A block in which ``model.fit`` is `fit`: the slower ways that its trainings took, and what ``compiled=None`` means."""

    ways: list[str]
    compiled: bool | None


_block: ContextVar[_Block | None] = ContextVar("refine_accelerate", default=None)
_training: ContextVar[bool] = ContextVar("refine_training", default=False)


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
    compiled: bool | None = None,
) -> keras.callbacks.History:
    """Trains a compiled model as ``model.fit`` does, several times faster for small models.

    Whole epochs run in one TensorFlow graph. With ``shuffle=False`` the losses equal those of ``model.fit`` up to
    rounding; with shuffling they are as good but in another order of rows, which follows from Python's random
    state, which `keras.utils.set_random_seed` sets.

    Models made of layers, losses and metrics whose meaning is known are trained with fewer operations than
    Keras' step has. All others run that step as it is, with one `RefineWarning` per reason and process.

    What can't be done in a graph of epochs is handed to ``model.fit``, with such a warning too: datasets and
    generators, sparse or non-numeric data, callbacks that act on batches, ``steps_per_epoch``,
    ``validation_steps``, ``shuffle="batch"``, ``run_eagerly``, fixed batch sizes, distribution strategies,
    another backend than TensorFlow, a step that can't be traced with a variable number of rows.

    Arguments are those of ``model.fit``, inputs and targets arrays, tensors, pandas frames, or tuples, lists or dicts of them.
    But ``verbose`` is 0, silent, by default; 1, 2 and ``"auto"`` print a line per epoch. And with ``compiled`` XLA compiles all
    epochs to one program, which takes some seconds and serves every small dense network of the same structure and similar
    size, whichever of the common activations, losses and optimizers it has: for hundreds of trainings that share a structure.
    By default only in an objective with ``accelerate="compiled"``.

    Returns:
        The history, as ``model.fit`` returns it: ``.history[name]`` is a list with one float per epoch.

    Raises:
        ValueError: Sizes that make no sense, or what Keras itself raises.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "x", "y")}
    return _train(model, x, y, arguments, model.fit)


def _train(
    model: keras.Model, x: Any, y: Any, arguments: dict[str, Any], keras_fit: Callable[..., Any]
) -> keras.callbacks.History:
    """What `fit` does; ``keras_fit`` is Keras' own ``fit`` of the model, for what is left to it."""
    batch_size, callbacks = arguments["batch_size"], arguments["callbacks"]
    compiled = arguments.pop("compiled")
    if compiled is None and (block := _block.get()) is not None:
        compiled = block.compiled
    if batch_size is not None and int(batch_size) < 1:
        raise ValueError(f"batch_size: must be at least 1, got {batch_size}; 32 is the default")
    if isinstance(arguments["validation_data"], list):  # as Talos' models write it; Keras wants a tuple
        arguments["validation_data"] = tuple(arguments["validation_data"])
    token = _training.set(True)
    try:
        _check_supported(model, arguments)
        try:  # here, since TensorFlow need not be installed where Keras runs on something else
            from refine.keras._epochs import train_epochs
        except ImportError as error:
            raise Unsupported(f"Keras {keras.__version__} has other insides ({error})") from error
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
    """Raises `Unsupported` for what is clear before looking at the data."""
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
    """The name of a hook by which the callback acts on batches, or `None`."""
    if type(callback) in (keras.callbacks.TerminateOnNaN, keras.callbacks.ProgbarLogger):
        return None
    by_epoch = getattr(callback, "save_freq", None) == "epoch"
    savers = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)
    for name in (f"on_{kind}batch_{end}" for kind in ("", "train_", "test_") for end in ("begin", "end")):
        method = getattr(type(callback), name)
        # The savers look at every batch only to find that it is not their turn.
        idle = by_epoch and any(method is getattr(saver, name) for saver in savers)
        if name in vars(callback) or not (idle or method is getattr(keras.callbacks.Callback, name)):
            return name
    return None


def _announce(way: str, reason: str) -> None:
    """Says once that a training goes a slower way, and notes it where that is wanted."""
    if (block := _block.get()) is not None:
        block.ways.append(way)
    warn_once(f"refine.keras.fit: {way}, because {reason}; results are the same, only slower", stacklevel=4)


@contextlib.contextmanager
def accelerated(compiled: bool | None = None) -> Iterator[list[str]]:
    """While the block runs, ``model.fit`` of any Keras model is `fit`, called from this thread.

    Other threads, and what `fit` itself hands to ``model.fit``, get Keras' own. A model class with a ``fit`` of its own
    keeps it. Yields a list that is filled with the slower ways that trainings take; ``compiled`` is that of `fit`.
    """
    if not hasattr(keras.Model.fit, "of_keras"):
        # For good: outside of a block it passes everything on.
        keras.Model.fit = _replacement(keras.Model.fit)
    block = _Block([], compiled)
    token = _block.set(block)
    try:
        yield block.ways
    finally:
        _block.reset(token)


def _replacement(own: Any) -> Any:
    keras_signature, signature = inspect.signature(own), inspect.signature(fit)

    @functools.wraps(own)
    def replaced(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if _block.get() is None or _training.get():
            return own(self, *args, **kwargs)
        given = [*keras_signature.bind(self, *args, **kwargs).arguments.items()][1:]
        bound = signature.bind(self, **dict(given))
        bound.apply_defaults()
        model, x, y, *_ = bound.args
        return _train(model, x, y, bound.kwargs, functools.partial(own, model))

    vars(replaced)["of_keras"] = own
    return replaced
