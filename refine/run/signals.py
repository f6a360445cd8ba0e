"""Being asked to end: once lets what runs come to its end, twice, or past a time, stops at once.

Ctrl-C asks so, SIGTERM of Slurm, Kubernetes, ``docker stop`` and systemd, SIGHUP of a terminal that goes; then they kill a little later.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from refine.errors import DesignError

GRACE = 25.0  # seconds that trials may still run after SIGTERM or SIGHUP: Slurm and Kubernetes kill after 30

_ASK = tuple(signal.Signals[n] for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


def check_grace(grace: Any) -> float:
    """``grace`` if it is a number of seconds. Raises DesignError: it is none."""
    if (
        isinstance(grace, bool)
        or not isinstance(grace, int | float)
        or not 0 <= grace <= threading.TIMEOUT_MAX
    ):
        raise DesignError(
            f"grace must be a number of seconds >= 0 that trials may still run after SIGTERM, got {grace!r}; the default is {GRACE:g}"
        )
    return float(grace)


@contextlib.contextmanager
def interruptible(what: str, grace: float = GRACE) -> Iterator[Callable[[], bool]]:
    """Lets the first Ctrl-C, SIGTERM or SIGHUP be asked for instead of ending the process; the next one stops at once.

    Yields whether to end: then hand out nothing new, and leave. What still runs ``grace`` seconds after SIGTERM or SIGHUP is stopped
    as by a second one. Nothing changes outside of the main thread, nor for a signal that somebody else handles or ignores, as
    ``nohup`` does. ``what`` is running, for the message. Raises KeyboardInterrupt: it was asked for, and the block has ended.
    """
    main = threading.main_thread()
    before = {number: signal.getsignal(number) for number in _ASK}
    # What Python and the system do by themselves, which is to end.
    alone = {number: h for number, h in before.items() if h in (signal.default_int_handler, signal.SIG_DFL)}
    mine = alone if threading.current_thread() is main else {}
    asked = ""
    timer: threading.Timer | None = None

    def stop_now(number: int) -> None:
        # Only the main thread handles signals; one of its own wakes it from a sleep, too.
        if main.ident is not None:
            signal.pthread_kill(main.ident, number)

    def first(number: int, frame: object) -> None:  # noqa: ARG001  # the interface of handlers
        nonlocal asked, timer
        asked = signal.Signals(number).name
        for other in mine:
            signal.signal(other, signal.default_int_handler)  # raises KeyboardInterrupt
        again = "Ctrl-C again stops now"
        if number != signal.SIGINT:
            again = f"{asked} again stops now, and so do {grace:g} seconds"
            timer = threading.Timer(grace, stop_now, [number])
            timer.daemon = True
            timer.start()
        # The stream may be in the middle of a write of the progress bar's, or its terminal gone.
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            print(f"\n{what}: finishing what runs; {again}", file=sys.stderr, flush=True)  # noqa: T201

    for number in mine:
        signal.signal(number, first)
    try:
        yield lambda: bool(asked)
    except KeyboardInterrupt:
        if asked:
            raise _stopped(what, "at once") from None
        raise
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in mine.items():
            signal.signal(number, handler)
    if asked:
        raise _stopped(what, "" if asked == "SIGINT" else f"by {asked}")


def _stopped(what: str, how: str) -> KeyboardInterrupt:
    """What an interrupted call raises; no class of its own, by which Python would not end as others do at Ctrl-C."""
    said = f"{what}: stopped{f' {how}' if how else ''}; every finished trial is stored, and the same call or script goes on from there"
    stop = KeyboardInterrupt(said)
    stop._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # IPython asks for this one
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _in_one_line
    return stop


def _in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Shows what nobody caught, as Python does, and a stopped call by its own line, without the way there."""
    if hasattr(error, "_render_traceback_"):
        print(error, file=sys.stderr)  # noqa: T201
    else:
        sys.__excepthook__(kind, error, trace)
