"""A program with a supervisor, a small process that ends it, and all that it started, with whoever asked for it.

This file is also the supervisor's script, so it imports nothing but Python. On Linux the supervisor adopts whatever loses its parent
below it, so that none escapes by a session of its own; elsewhere those are found while their parents live.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from typing import Any

_EVERY = 0.2  # seconds between looks at whether whoever asked is there
_PATIENCE = 5.0  # seconds for what was killed to be gone; what the kernel holds longer goes when it lets go
_DEATH_SIGNAL, _SUBREAPER = 1, 36  # PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of <sys/prctl.h>


def supervised(words: list[str]) -> list[str]:
    """The command that runs a program supervised for this process: it ends as the program does. SIGTERM ends them all."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *words]


def end(process: Popen[Any]) -> None:
    """Ends a supervised program with all that it started."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def mark() -> dict[str, str]:
    """What the environment of a supervised program has in addition, for :func:`swept`."""
    return {"REFINE_SUPERVISED": f"{os.getpid()} {time.monotonic_ns()}"}


def swept(process: Popen[Any], marked: Mapping[str, str]) -> None:
    """Waits for a supervisor; one that was killed itself has ended nobody but its program, and what that started is ended here."""
    if process.wait() != -signal.SIGKILL or not sys.platform.startswith("linux"):
        return
    ((name, value),) = marked.items()
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            if f"{name}={value}".encode() in file.read().split(b"\0"):
                os.kill(int(pid), signal.SIGKILL)


def main(owner: int, words: list[str]) -> None:
    """Supervises a program, and ends as it did."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    asked: list[int] = []
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.append(number))
    _prctl(_SUBREAPER, 1)
    program = os.fork()
    if not program:
        _become(words)
    for first, last in ((3, woken), (woken + 1, wake), (wake + 1, min(os.sysconf("SC_OPEN_MAX"), 2**20))):
        os.closerange(first, last)  # what was passed is the program's alone
    status = None
    while status is None and not asked and os.getppid() == owner:
        if select.select([woken], [], [], _EVERY)[0]:
            os.read(woken, 512)
        status = _reaped(program)
    _end_all(program, runs=status is None)
    code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _become(words: list[str]) -> None:
    """Turns this process, a child of the supervisor's, into the program."""
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)
    os.setpgid(0, 0)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)  # noqa: S606
    except OSError as error:
        os.write(2, f"can't be run: {error.strerror or error}\n".encode())
    os._exit(126)  # as shells do


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError, ImportError):
            import ctypes

            ctypes.CDLL(None).prctl(option, value)


def _reaped(program: int) -> int | None:
    """Takes in who has ended below; the program's status, if it was among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found = ended[1] if ended[0] == program else found
    return found


def _end_all(program: int, *, runs: bool) -> None:
    """Kills everybody below, until nobody is left."""
    deadline = time.monotonic() + _PATIENCE
    if runs:
        _kill_below()  # before they lose their parents, which tells elsewhere than on Linux that they are below
    with contextlib.suppress(OSError):
        os.killpg(program, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # which says that nobody is left
        while time.monotonic() < deadline:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            _kill_below()
            time.sleep(0.005)


def _kill_below() -> None:
    for pid in below(os.getpid(), processes()):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def below(top: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    """The processes that descend from one."""
    found = list(children.get(top, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def processes() -> dict[int, list[int]]:
    """Every process of this machine that has children -> these."""
    children: dict[int, list[int]] = {}
    if not sys.platform.startswith("linux"):
        for line in os.popen("ps -A -o ppid=,pid="):  # noqa: S605, S607
            parent, pid = map(int, line.split())
            children.setdefault(parent, []).append(pid)
        return children
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            parent = int(file.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    return children


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
