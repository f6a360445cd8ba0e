"""An optimizer as a function of flat tensors: a model's trainable variables, joined.

Most operations of a small network's training step belong to the optimizer: a dozen or two per variable. An
optimizer that treats all numbers alike gives the same result on all numbers at once, by Keras' own code, on a
twin with a single variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_NAMES = "SGD RMSprop Adam AdamW Nadam Adamax Adagrad Adadelta Lion Ftrl"
_ELEMENTWISE = {getattr(keras.optimizers, name) for name in _NAMES.split()}
_WHOLE = ("clipnorm", "global_clipnorm", "use_ema", "loss_scale_factor", "gradient_accumulation_steps")
_DECAY = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
_NOT_SLOTS = ("_variables", "_trainable_variables")


def is_elementwise(optimizer: keras.Optimizer) -> bool:
    """True if the optimizer updates each number independently, so that variables may be joined."""
    options = (getattr(optimizer, name, None) for name in (*_WHOLE, *_DECAY))
    return type(optimizer) in _ELEMENTWISE and not any(options)


def optimizer_state(optimizer: keras.Optimizer) -> list[keras.Variable | list[keras.Variable]]:
    """The optimizer's variables: a list per slot, a bare variable for a scalar.

    The order is the same for all optimizers of one class and configuration.
    """
    state: list[keras.Variable | list[keras.Variable]] = []
    for name, value in vars(optimizer).items():
        if name in _NOT_SLOTS:
            continue
        if isinstance(value, keras.Variable):
            state.append(value)
        elif isinstance(value, list) and value and all(isinstance(v, keras.Variable) for v in value):
            state.append(list(value))
    return state


def _stateless_class(cls: type) -> type:
    """The optimizer class with Keras' methods for other backends: values instead of variables."""
    base = next(c for c in cls.__mro__ if c.__name__ == "BaseOptimizer")

    def update(self: Any, distribution: object, pairs: Any, rate: Any) -> None:  # noqa: ARG001
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
    """An optimizer's step as a function of flat tensors, of ``size`` numbers or any other.

    Only class and configuration of ``optimizer`` count, not its state. ``ranks`` of the state are 0 for a
    scalar and 1 for a number per weight.
    """

    def __init__(self, optimizer: keras.Optimizer, size: int, dtype: str) -> None:
        twin = type(optimizer).from_config(optimizer.get_config())
        twin.__class__ = _stateless_class(type(optimizer))
        self._weights = keras.Variable(np.zeros(size), dtype=dtype, name="flat", trainable=True)
        twin.build([self._weights])
        self._twin = twin
        self._state = [v[0] if isinstance(v, list) else v for v in optimizer_state(twin)]
        self.ranks = [len(v.shape) for v in self._state]

    def apply(
        self, gradient: tf.Tensor, weights: tf.Tensor, state: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """New weights and new state, in the order of `optimizer_state`."""
        with keras.StatelessScope() as scope:
            give(scope, self._weights, weights)
            for variable, value in zip(self._state, state, strict=True):
                give(scope, variable, value)
            self._twin._backend_apply_gradients([gradient], [self._weights])
            self._twin._iterations.assign_add(1)
        return scope.get_current_value(self._weights), [scope.get_current_value(v) for v in self._state]


def give(scope: keras.StatelessScope, variable: keras.Variable, value: tf.Tensor) -> None:
    """Sets a variable's value within a scope; unlike in the constructor, dimensions may be open."""
    scope.state_mapping[id(variable)] = value


def read_flat(variables: Sequence[keras.Variable]) -> tf.Tensor:
    """The values of variables as one flat tensor."""
    return tf.constant(np.concatenate([np.ravel(v.value.numpy()) for v in variables]))


def write_flat(variables: Sequence[keras.Variable], flat: tf.Tensor) -> None:
    """The inverse of `read_flat`."""
    sizes = [v.value.shape.num_elements() for v in variables]
    for variable, part in zip(variables, np.split(flat.numpy(), np.cumsum(sizes)[:-1]), strict=True):
        variable.value.assign(part.reshape(variable.shape))
