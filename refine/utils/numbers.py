"""Kinds of numbers, for checks of arguments. A bool is not a number here."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_whole(value: object, minimum: float = 1, maximum: float = math.inf) -> TypeGuard[int]:
    """True for an int from ``minimum`` to ``maximum``."""
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def is_real(value: object) -> TypeGuard[float]:
    """True for an int or a float; NaN and infinity count."""
    return isinstance(value, int | float) and not isinstance(value, bool)
