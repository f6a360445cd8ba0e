"""Warnings that point to the line of the user's call, however many internal calls lie between."""

from __future__ import annotations

import os
import sys
import warnings

from refine.errors import RefineWarning

# A string, compared with the file names of frames.
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120


def warn(text: str, *actions: object) -> None:
    """Warns at the line of the call into this package; ``actions`` are next steps, as in errors."""
    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level = level + 1
        frame = frame.f_back
    warnings.warn(RefineWarning(text, *actions), stacklevel=level)
