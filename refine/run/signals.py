"""Graceful stopping: the first signal lets running trials finish, the next one stops at once.

Ctrl-C sends SIGINT. Slurm, Kubernetes, ``docker stop`` and systemd send SIGTERM and kill a little later. A
closed terminal sends SIGHUP.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from refine.errors import DesignError
from refine.utils.numbers import is_real
from refine.utils.standard_streams import print_error

GRACE = 25.0  # seconds that trials may still run after SIGTERM or SIGHUP: Slurm and Kubernetes kill after 30

_SIGNALS = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def check_grace(grace: Any) -> float:
    """``grace`` as a number of seconds. Raises DesignError: ``grace`` is no number of seconds."""
    if not is_real(grace) or not 0 <= grace <= threading.TIMEOUT_MAX:
        raise DesignError(
            f"grace must be a number of seconds >= 0 that trials may still run after SIGTERM, got {grace!r}; "
            f"the default is {GRACE:g}"
        )
    return float(grace)


class _GracefulStop:
    """Signal handlers for a graceful stop. At most one call has its handlers installed.

    Python runs every handler in the main thread. Signals handled or ignored by other code keep their
    handlers; ``nohup``, for example, ignores SIGHUP.
    """

    active: _GracefulStop | None = None

    def __init__(self, call: str, grace: float) -> None:
        self.what = call
        self.grace = grace
        self.signal_name = ""  # the first signal that came; empty before
        self._replaced: dict[signal.Signals, Any] = {}  # signal -> the handler that was installed before
        self._timer: threading.Timer | None = None

    def install(self) -> None:
        """Replaces the default handlers, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if handler in (signal.default_int_handler, signal.SIG_DFL):
                self._replaced[number] = handler
        if not self._replaced:
            return
        _reset_forked_children()
        _GracefulStop.active = self
        for number in self._replaced:
            signal.signal(number, self._first_signal)

    def uninstall(self) -> None:
        """Installs the handlers of before, and ends the time limit."""
        if self._timer is not None:
            self._timer.cancel()
        self.put_back()

    def put_back(self) -> None:
        """Installs the previous handlers. A forked child does no more: the timer belongs to the parent."""
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        if _GracefulStop.active is self:
            _GracefulStop.active = None

    @property
    def handles_ctrl_c(self) -> bool:
        """True if SIGINT only asks for a stop: no KeyboardInterrupt can come from the keyboard."""
        return not self.signal_name and signal.getsignal(signal.SIGINT) == self._first_signal

    def _first_signal(self, number: int, frame: object) -> None:  # noqa: ARG002  # the interface of handlers
        self.signal_name = signal.Signals(number).name
        for other in self._replaced:
            signal.signal(other, signal.default_int_handler)  # raises KeyboardInterrupt
        to_stop_now = "Ctrl-C again stops now"
        if number != signal.SIGINT:
            to_stop_now = f"{self.signal_name} again stops now, and so do {self.grace:g} seconds"
            self._timer = threading.Timer(self.grace, _send_to_main_thread, [number])
            self._timer.daemon = True
            self._timer.start()
        print_error(f"\n{self.what}: finishing what runs; {to_stop_now}")


def _send_to_main_thread(number: int) -> None:
    """Sends a signal to the main thread, to wake the thread from a sleep."""
    main = threading.main_thread()
    if main.ident is not None:
        signal.pthread_kill(main.ident, number)


@contextlib.contextmanager
def interruptible(call: str, grace: float = GRACE) -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a request to stop; the next one stops the block at once.

    Outside of the main thread signals keep their handlers, and so do signals handled or ignored by other
    code. A forked child of this process has the handlers from before.

    Args:
        call: The running call, for messages.
        grace: Seconds after SIGTERM or SIGHUP until the block is stopped, as by a second signal.

    Yields:
        A function, true if a stop was requested. The block should then start no work, and leave.

    Raises:
        KeyboardInterrupt: A stop was requested, and the block has ended.
    """
    request = _GracefulStop(call, grace)
    request.install()
    try:
        yield lambda: bool(request.signal_name)
    except KeyboardInterrupt:
        if request.signal_name:
            raise _stopped(f"{call}: stopped at once") from None
        raise
    finally:
        request.uninstall()
    if request.signal_name == "SIGINT":
        raise _stopped(f"{call}: stopped")
    if request.signal_name:
        raise _stopped(f"{call}: stopped by {request.signal_name}")


def may_come_from_keyboard() -> bool:
    """True if a KeyboardInterrupt raised now may be a Ctrl-C.

    Otherwise the running code itself raised it.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    return _GracefulStop.active is None or not _GracefulStop.active.handles_ctrl_c


# A child forked by an objective must neither stop gracefully nor speak for the round. Its handlers are put
# back in the child, with signals blocked from before the fork on: else one that comes at once would meet the
# inherited handlers.

_mask_before_fork = threading.local()
_registered = False


def _reset_forked_children() -> None:
    """Makes future forked children of the process reset their signal handlers."""
    global _registered  # hooks of forks cannot be removed, so that one set serves the whole process
    if _registered or not hasattr(os, "register_at_fork"):
        return
    _registered = True
    os.register_at_fork(
        before=_block_signals, after_in_parent=_restore_mask, after_in_child=_reset_forked_child
    )


def _block_signals() -> None:
    if _GracefulStop.active is not None:
        _mask_before_fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _restore_mask() -> None:
    mask = _mask_before_fork.__dict__.pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _reset_forked_child() -> None:
    if _GracefulStop.active is not None:
        _GracefulStop.active.put_back()
    _restore_mask()


def _stopped(reason: str) -> KeyboardInterrupt:
    """The exception of an interrupted call: KeyboardInterrupt, so that Python ends as usual at Ctrl-C."""
    message = f"{reason}; every finished trial is stored, and the same call or script resumes from there"
    stop = KeyboardInterrupt(message)
    # IPython looks for this name.
    stop._render_traceback_ = lambda: [message]  # type: ignore[attr-defined]
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _in_one_line
    return stop


def _in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an uncaught exception as Python does, but a stopped call without a traceback."""
    if hasattr(error, "_render_traceback_"):
        print_error(str(error))
    else:
        sys.__excepthook__(kind, error, trace)
