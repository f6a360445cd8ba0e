"""A package laid out like Keras, as the tests of spaces have it."""

from __future__ import annotations

from space.conftest import lookalike

__all__ = ["lookalike"]
