"""Names of types that Keras and TensorFlow do not check."""

from __future__ import annotations

from typing import Any, TypeAlias

Tensors: TypeAlias = Any
"""A tensor, or tensors nested in tuples, lists and mappings."""

Arrays: TypeAlias = Any
"""Arrays with a row per example, alone or nested as in ``keras.tree``."""
