"""TensorFlow's start without its greeting."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

# "2" is what is set below, and what workers inherit; whoever sets anything else wants to see it.
_ASKED_FOR = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") != "2"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Sends what C++ code writes to standard error nowhere while the block runs.

    TensorFlow notes missing GPUs and CPU instructions in every process, some of it before any log level
    applies; with several workers that drowns the progress bar. Exceptions pass as ever. Whoever wants the
    notes sets ``TF_CPP_MIN_LOG_LEVEL=0``.
    """
    try:
        before = os.dup(2)
    except OSError:
        before = -1
    if _ASKED_FOR or before < 0:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(nowhere)
        os.close(before)
