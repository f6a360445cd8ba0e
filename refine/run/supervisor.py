"""Supervised programs: a small process ends the program and its descendants with the process above.

This file is also the supervisor's script, so only Python's own modules are imported. On Linux the supervisor
adopts orphaned descendants, even in a new session; elsewhere descendants are found while their parents live.
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

_EVERY = 0.2  # seconds between checks of the process that started the supervisor
_PATIENCE = 5.0  # seconds to wait for killed processes; the kernel may keep one longer
# PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of <sys/prctl.h>
_DEATH_SIGNAL = 1
_SUBREAPER = 36


def supervised(words: list[str]) -> list[str]:
    """The command for a program supervised for this process.

    The supervisor ends with the program's exit status. SIGTERM to the supervisor ends the program and its
    descendants.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *words]


def end(process: Popen[Any]) -> None:
    """Ends a supervised program and its descendants."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def mark() -> dict[str, str]:
    """Variables for the environment of a supervised program, by which :func:`swept` finds descendants."""
    return {"REFINE_SUPERVISED": f"{os.getpid()} {time.monotonic_ns()}"}


def swept(process: Popen[Any], marked: Mapping[str, str]) -> None:
    """Waits for a supervisor.

    If the supervisor was killed, only its program has ended: descendants are ended here.
    """
    if process.wait() != -signal.SIGKILL or not sys.platform.startswith("linux"):
        return
    ((name, value),) = marked.items()
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            if f"{name}={value}".encode() in file.read().split(b"\0"):
                os.kill(int(pid), signal.SIGKILL)


def main(owner: int, words: list[str]) -> None:
    """Supervises a program, and ends with the program's exit status."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signals: list[int] = []  # signals that ask the supervisor to end
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.append(number))
    _prctl(_SUBREAPER, 1)
    program = os.fork()
    if not program:
        _become(words)
    for first, last in ((3, woken), (woken + 1, wake), (wake + 1, min(os.sysconf("SC_OPEN_MAX"), 2**20))):
        os.closerange(first, last)  # passed descriptors belong to the program alone
    status = None
    while status is None and not signals and os.getppid() == owner:
        if select.select([woken], [], [], _EVERY)[0]:
            os.read(woken, 512)
        status = _reaped(program)
    _end_all(program, runs=status is None)
    code = -signal.SIGKILL
    if status is not None:
        code = os.waitstatus_to_exitcode(status)
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
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
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
    """Reaps ended descendants, and returns the program's status if the program has ended."""
    program_status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == program:
                program_status = status
            if not pid:
                break
    return program_status


def _end_all(program: int, *, runs: bool) -> None:
    """Kills descendants until the last one has ended."""
    deadline = time.monotonic() + _PATIENCE
    if runs:
        _kill_below()  # while they have parents, by which systems other than Linux find them
    with contextlib.suppress(OSError):
        os.killpg(program, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # raised when no descendant is left
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
    """Descendants of a process."""
    descendants = list(children.get(top, ()))
    for pid in descendants:
        descendants += children.get(pid, ())
    return descendants


def processes() -> dict[int, list[int]]:
    """Process -> child processes, on this machine."""
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
