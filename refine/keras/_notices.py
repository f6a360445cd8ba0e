"""What is said of a way that a training takes: warnings that are given once per text and process."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from refine.errors import RefineWarning

said: set[str] = set()


class Unsupported(Exception):  # no error: it says which way to go
    """Something that only `Model.fit` can do; the text completes "... because"."""


def first_line(error: Exception) -> str:
    """What an error says, in short."""
    return str(error).strip().partition("\n")[0][:200]


def warn_once(text: str, stacklevel: int = 2) -> None:
    """Warns, unless it was said before; ``stacklevel`` is from the caller's point of view."""
    if text not in said:
        said.add(text)
        warnings.warn(text, RefineWarning, stacklevel=stacklevel + 1)


@contextlib.contextmanager
def heard_anew() -> Iterator[None]:
    """While the block runs, everything may be said once more; afterwards it counts as said as before."""
    before = set(said)
    said.clear()
    try:
        yield
    finally:
        said.clear()
        said.update(before)
