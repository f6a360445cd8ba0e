"""Ctrl-C: once lets what runs come to its end, twice stops at once."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interruptible(what: str) -> Iterator[Callable[[], bool]]:
    """Lets the first Ctrl-C be asked for instead of raised; the second is an ordinary one.

    Changes nothing outside of the main thread, or where somebody else handles SIGINT.

    Args:
        what: What is running, for the message.

    Yields:
        Whether Ctrl-C was pressed: then hand out nothing new, and leave.

    Raises:
        KeyboardInterrupt: It was pressed, and the block has ended.
    """
    before = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread() and before is signal.default_int_handler
    pressed = False

    def first(number: int, frame: object) -> None:  # noqa: ARG001  # the interface of handlers
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)
        # The stream may be in the middle of a write of the progress bar's.
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            print(f"\n{what}: finishing what runs; Ctrl-C again stops now", file=sys.stderr, flush=True)  # noqa: T201

    if mine:
        signal.signal(signal.SIGINT, first)
    try:
        yield lambda: pressed
    finally:
        if mine and not pressed:
            signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt(
            f"{what}: stopped; every finished trial is stored, and the same call or script goes on from there"
        )
