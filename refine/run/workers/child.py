"""A process that runs trials, one at a time, for a thread of this one: its jobs come over a pipe that nobody else can reach.

The random generators of Python, NumPy and Keras belong to a process. In a pool of threads trials would draw from each
other's, and an engine such as Dask draws from its worker's. So a thread that is not its process' only one has a child
process of its own run the trial, and our own workers are such children too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from refine.errors import RoundStoppedError
from refine.run.supervisor import end, supervised
from refine.run.workers.perform import perform
from refine.run.workers.task import check_versions, never_loaded, versions

START_SECONDS = 120.0  # so long a process may take to start

_LOADED, _ANSWER, _ERROR = b"l", b"a", b"e"
"""What a child's message begins with: the objective is there; the outcome; what was raised instead."""

_LOOK = 1.0
_GRACE = 5.0
"""Seconds: a process is looked after so often; one whose objective does not load ends itself, or is killed so much later."""

_HOME = str(Path(__file__).parents[3])


class ChildDiedError(RuntimeError):
    """The process that ran a trial ended before it answered."""


class Child:
    """A process that runs what it is told, supervised, and this end of its pipe, which has no name that others could open."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._pipe, other_end = Pipe()
        with other_end:
            # Without -P, whoever may write into the working directory could give it modules.
            command = [sys.executable, "-P", "-m", "refine.run.workers.child", str(other_end.fileno())]
            try:
                self.process = subprocess.Popen(  # noqa: S603
                    supervised(command),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(other_end.fileno(),),
                    env=environment,
                    start_new_session=True,  # a Ctrl-C at the terminal is the coordinator's alone
                )
            except BaseException:
                self._pipe.close()
                raise

    def greet(self) -> None:
        """Waits until it has come up.

        Raises ChildDiedError: it ended; RoundStoppedError: it takes longer than :data:`START_SECONDS`, or has other
        versions.
        """
        try:
            check_versions(self._next(START_SECONDS).decode(), "its worker processes")
        except TimeoutError:
            raise RoundStoppedError(
                f"a worker process did not start within {START_SECONDS:g} seconds; what had finished is stored; see what it "
                f"prints, and whether {sys.executable} starts"
            ) from None
        except (OSError, EOFError):
            raise self._died() from None

    def ask(self, job: bytes, loading: float) -> bytes | Exception:
        """What a packed job gives, or the error that it raised.

        Raises ChildDiedError: the process ended; RoundStoppedError: it did not load the objective in time.
        """
        since = time.monotonic()
        loaded = False
        try:
            self._pipe.send_bytes(job)
            answer = self._next(loading + _GRACE)
            if loaded := answer[:1] == _LOADED:
                answer = self._next(None)
        except TimeoutError:
            raise never_loaded(loading) from None
        except (OSError, EOFError):
            # It has said where it hung, and ended itself.
            if not loaded and time.monotonic() - since >= loading:
                raise never_loaded(loading) from None
            raise self._died() from None
        return pickle.loads(answer[1:]) if answer[:1] == _ERROR else answer[1:]

    def _next(self, seconds: float | None) -> bytes:
        """The next message; ``EOFError`` where none comes any more, ``TimeoutError`` after so many seconds."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._pipe.poll(_LOOK if until is None else max(0.0, min(_LOOK, until - time.monotonic()))):
            # What a trial forked may hold the other end for longer than the trial's process lives.
            if not self.lives and not self._pipe.poll():
                raise EOFError
            if until is not None and time.monotonic() >= until:
                raise TimeoutError
        return self._pipe.recv_bytes()

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def _died(self) -> ChildDiedError:
        try:
            code = self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:  # a trial closed the pipe, and nothing more will come of it
            self.end()
            code = self.process.wait()
        if code >= 0:
            return ChildDiedError(f"its process ended with exit code {code}")
        name = ""
        with contextlib.suppress(ValueError):
            name = f" ({signal.Signals(-code).name})"
        return ChildDiedError(f"its process was killed by signal {-code}{name}")

    def end(self) -> None:
        """Ends the process with those that it has started; whoever asks it something is told so."""
        end(self.process)

    def close(self) -> None:
        """Ends the process, and waits for that."""
        self.end()
        self.process.wait()
        self._pipe.close()


_idle: list[Child] = []
_lock = threading.Lock()


def run_in_child(job: bytes, loading: float) -> bytes:
    """Runs a packed job in a child process of this one, an idle or a new one: see :meth:`Child.ask`.

    Raises ChildDiedError: the process died; RoundStoppedError: it did not start, or did not load the objective, in time.
    """
    with _lock:
        while _idle and not _idle[-1].lives:
            _idle.pop().close()
        child = _idle.pop() if _idle else None
    fresh = child is None
    if child is None:
        path = os.pathsep.join([_HOME, *filter(None, [os.environ.get("PYTHONPATH")])])
        child = Child({**os.environ, "PYTHONPATH": path})
    try:
        if fresh:
            child.greet()
        answer = child.ask(job, loading)
    except BaseException:
        child.close()
        raise
    with _lock:  # it lives, whatever it answered
        _idle.append(child)
    if isinstance(answer, Exception):
        raise answer
    return answer


@atexit.register
def _close() -> None:
    with _lock:
        for child in _idle:
            child.close()
        _idle.clear()


# In the child.


def main(pipe: int) -> None:
    """Answers jobs until nobody sends any."""
    os.set_inheritable(pipe, False)
    with Connection(pipe) as jobs:
        jobs.send_bytes(versions().encode())
        while True:
            try:
                job = jobs.recv_bytes()
            except (EOFError, OSError):
                return
            try:
                answer = _ANSWER + perform(job, lambda: jobs.send_bytes(_LOADED))
            except Exception as error:  # noqa: BLE001  # whoever sent the job raises it
                answer = _ERROR + pickle.dumps(error)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()  # this process is killed when it is not needed any more
            jobs.send_bytes(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
