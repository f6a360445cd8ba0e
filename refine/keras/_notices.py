"""Warnings on the way that a training takes, given once per text and process."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from refine.errors import RefineWarning

warned_texts: set[str] = set()


class Unsupported(Exception):  # a signal, not an error
    """The training needs `Model.fit`; the text completes "... because"."""


def warn_once(text: str, stacklevel: int = 2) -> None:
    """Warns unless the text was given before; ``stacklevel`` is from the caller's point of view."""
    if text not in warned_texts:
        warned_texts.add(text)
        warnings.warn(text, RefineWarning, stacklevel=stacklevel + 1)


@contextlib.contextmanager
def heard_anew() -> Iterator[None]:
    """While the block runs, every warning may be given once more; afterwards the record is as before."""
    before = set(warned_texts)
    warned_texts.clear()
    try:
        yield
    finally:
        warned_texts.clear()
        warned_texts.update(before)
