"""A model's trainable variables as one flat tensor, and its optimizer as a function of flat tensors.

Most operations of a small network's training step are the optimizer's: a dozen or two per variable.
Optimizers that treat every number alike do the same on all of them at once. What they do is computed by
Keras' own code, on a twin of the optimizer that has a single variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Sequence

_ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Nadam,
    keras.optimizers.Adamax,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
    keras.optimizers.Lion,
    keras.optimizers.Ftrl,
)
_WHOLE = ("clipnorm", "global_clipnorm", "use_ema", "loss_scale_factor", "gradient_accumulation_steps")
_NOT_SLOTS = ("_variables", "_trainable_variables")


def is_elementwise(optimizer: Any) -> bool:
    """Whether the optimizer updates every number by itself, so that variables may be joined."""
    return (
        type(optimizer) in _ELEMENTWISE
        and not any(getattr(optimizer, name) for name in _WHOLE)
        and not getattr(optimizer, "_exclude_from_weight_decay", None)
        and not getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    )


def optimizer_state(optimizer: Any, count: int) -> list[Any]:
    """The optimizer's variables: a list of ``count`` per slot, a bare variable for a scalar.

    The order is the same for all optimizers of one class and configuration.
    """
    found: list[Any] = []
    for name, value in vars(optimizer).items():
        if name in _NOT_SLOTS:
            continue
        if isinstance(value, keras.Variable):
            found.append(value)
        elif isinstance(value, list) and value and all(isinstance(v, keras.Variable) for v in value):
            if len(value) != count:
                raise ValueError(f"{name} of {type(optimizer).__name__} has {len(value)} variables")
            found.append(list(value))
    return found


def _stateless_class(cls: type) -> type:
    """The optimizer class with the methods that Keras uses on other backends: values, no variables."""
    base = next(c for c in cls.__mro__ if c.__name__ == "BaseOptimizer")

    def update(self: Any, distribution: Any, pairs: Any, rate: Any) -> None:  # noqa: ARG001
        for gradient, _ in pairs:
            self.update_step(gradient, self._trainable_variables[0], rate)

    methods = {
        name: getattr(base, name) for name in ("assign", "assign_add", "assign_sub", "_apply_weight_decay")
    }
    methods |= {
        "_all_reduce_sum_gradients": lambda self, pairs: pairs,  # noqa: ARG005
        "_get_variable_index": lambda self, variable: 0,  # noqa: ARG005
        "_use_weight_decay": lambda self, variable: True,  # noqa: ARG005
        "_distributed_tf_update_step": update,
    }
    return type(f"Flat{cls.__name__}", (cls,), methods)


class FlatOptimizer:
    """An optimizer's step as a function of flat tensors.

    Args:
        optimizer: What to copy: class and configuration count, not its state.
        size: Number of numbers in the trainable variables. Tensors of open size are taken too.
        dtype: Of the trainable variables.

    Attributes:
        ranks: Of its state: 0 for a scalar, 1 for numbers of every weight.
    """

    def __init__(self, optimizer: Any, size: int, dtype: str) -> None:
        twin = type(optimizer).from_config(optimizer.get_config())
        twin.__class__ = _stateless_class(type(optimizer))
        self._weights = keras.Variable(np.zeros(size), dtype=dtype, name="flat", trainable=True)
        twin.build([self._weights])
        self._twin = twin
        self._state = [v[0] if isinstance(v, list) else v for v in optimizer_state(twin, 1)]
        self.ranks = [len(v.shape) for v in self._state]

    def apply(self, gradient: Any, weights: Any, state: Sequence[Any]) -> tuple[Any, list[Any]]:
        """New weights and new state, in the order of `optimizer_state`."""
        with keras.StatelessScope() as scope:
            give(scope, self._weights, weights)
            for variable, value in zip(self._state, state, strict=True):
                give(scope, variable, value)
            self._twin._backend_apply_gradients([gradient], [self._weights])
            self._twin._iterations.assign_add(1)
        known = {id(variable) for variable in (self._weights, *self._state)}
        if set(scope.state_mapping) - known:
            raise ValueError("the optimizer has state of its own")
        return scope.get_current_value(self._weights), [scope.get_current_value(v) for v in self._state]


def give(scope: keras.StatelessScope, variable: Any, value: Any) -> None:
    """Sets a variable's value within a scope; dimensions may be open, unlike in the constructor."""
    scope.state_mapping[id(variable)] = value


def pack(tensors: Sequence[Any]) -> Any:
    """Tensors of one dtype as one flat tensor."""
    flat = [tf.reshape(t, (-1,)) if t.shape.rank != 1 else t for t in tensors]
    return flat[0] if len(flat) == 1 else tf.concat(flat, 0)


def read_flat(variables: Sequence[Any]) -> Any:
    """The values of variables as one flat array."""
    return tf.constant(np.concatenate([np.ravel(v.value.numpy()) for v in variables]))


def write_flat(variables: Sequence[Any], flat: Any) -> None:
    """The reverse of `read_flat`."""
    flat = flat.numpy()
    start = 0
    for variable in variables:
        count = variable.value.shape.num_elements()
        variable.value.assign(flat[start : start + count].reshape(variable.shape))
        start += count
