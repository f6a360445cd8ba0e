"""Warnings that point to the line of whoever calls this package, however many of its own calls lie between."""

from __future__ import annotations

import os
import sys
import warnings

from refine.errors import RefineWarning

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120  # compared with frames' names


def warn(text: str) -> None:
    """Warns whoever called this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, RefineWarning, stacklevel=level)
