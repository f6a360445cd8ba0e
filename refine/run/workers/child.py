"""A child process for trials, one at a time, served by a thread; jobs come over a private pipe.

Random generators of Python, NumPy and Keras belong to a process: threads would draw from the same generators,
also on an engine like Dask. The workers of ``workers=N`` are such child processes too.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from refine.errors import RoundStoppedError
from refine.run.supervisor import end, mark, supervised, swept
from refine.run.workers.task import check_versions, never_loaded, versions
from refine.run.workers.worker_main import perform
from refine.utils.standard_streams import flush_streams, reserve_descriptors

START_SECONDS = 120.0  # time limit for the start of a process

# First byte of a message of a child.
_LOADED = b"l"  # the objective is loaded
_ANSWER = b"a"  # an outcome follows
_ERROR = b"e"  # an exception follows

_POLL = 1.0  # seconds between checks that a child lives
_GRACE = 5.0  # seconds after which a child that should have ended itself is killed

_MOST_STRIKES = 8  # children in a row that end while starting, after which no other is started
_PAUSE = 0.5  # seconds, times the strikes, until the next is started

_HOME = str(Path(__file__).parents[3])


class ChildDiedError(RuntimeError):
    """The process of a trial ended without an answer."""


class Child:
    """A supervised process for jobs, with the coordinator's end of the pipe. The pipe has no address."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        reserve_descriptors()
        self._pipe, other_end = Pipe()
        self._marked = mark()
        with other_end:
            # Without -P, the child would import modules from the working directory, where others may write.
            command = [sys.executable, "-P", "-m", "refine.run.workers.child", str(other_end.fileno())]
            try:
                self.process = subprocess.Popen(  # noqa: S603
                    supervised(command),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(other_end.fileno(),),
                    env={**environment, **self._marked},
                    start_new_session=True,  # a Ctrl-C at the terminal is the coordinator's alone
                )
            except BaseException:
                self._pipe.close()
                raise

    def greet(self) -> None:
        """Waits until the process has started.

        Raises ChildDiedError: the process ended; RoundStoppedError: the start takes longer than
        :data:`START_SECONDS`, or the process has other versions.
        """
        try:
            check_versions(self._next(START_SECONDS).decode(), "its worker processes")
        except TimeoutError:
            raise RoundStoppedError(
                f"a worker process did not start within {START_SECONDS:g} seconds; finished trials are "
                f"stored; read the worker's output, and check that {sys.executable} starts"
            ) from None
        except (OSError, EOFError):
            raise self._died() from None

    def ask(self, job: bytes, loading: float, begins: Callable[[], object]) -> bytes | Exception:
        """The answer to a packed job, or the exception raised by the job.

        Args:
            job: The packed job.
            loading: Seconds that loading the objective may take.
            begins: Called when the objective is loaded and the trial begins.

        Raises ChildDiedError: the process ended; RoundStoppedError: the objective did not load in time.
        """
        started = time.monotonic()
        loaded = False
        try:
            self._pipe.send_bytes(job)
            answer = self._next(loading + _GRACE)
            if loaded := answer[:1] == _LOADED:
                begins()
                answer = self._next(None)
        except TimeoutError:
            raise never_loaded(loading) from None
        except (OSError, EOFError):
            # A child whose objective hangs prints where, and ends itself.
            if not loaded and time.monotonic() - started >= loading:
                raise never_loaded(loading) from None
            raise self._died() from None
        if answer[:1] == _ERROR:
            return pickle.loads(answer[1:])
        return answer[1:]

    def _next(self, seconds: float | None) -> bytes:
        """The next message. Raises EOFError: the process ended; TimeoutError: after ``seconds``."""
        if seconds is None:
            deadline = math.inf
        else:
            deadline = time.monotonic() + seconds
        while not self._pipe.poll(max(0.0, min(_POLL, deadline - time.monotonic()))):
            # A process that a trial forked may hold the other end for longer than the trial's process lives.
            if not self.lives and not self._pipe.poll():
                raise EOFError
            if time.monotonic() >= deadline:
                raise TimeoutError
        return self._pipe.recv_bytes()

    @property
    def lives(self) -> bool:
        """True if the process runs."""
        return self.process.poll() is None

    def _died(self) -> ChildDiedError:
        try:
            code = self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:  # a trial closed the pipe, so that no answer can come
            self.end()
            code = self.process.wait()
        if code >= 0:
            return ChildDiedError(f"its process ended with exit code {code}")
        name = ""
        with contextlib.suppress(ValueError):
            name = f" ({signal.Signals(-code).name})"
        return ChildDiedError(f"its process was killed by signal {-code}{name}")

    def end(self) -> None:
        """Ends the process and the descendants; a thread waiting for an answer gets ChildDiedError."""
        end(self.process)

    def close(self) -> None:
        """Ends the process, and waits for the end."""
        self.end()
        swept(self.process, self._marked)
        self._pipe.close()


class Children:
    """Child processes: as many as threads with a job at a time. A dead child is replaced.

    Args:
        environment: The environment variables of child number 0, 1, ...
    """

    def __init__(self, environment: Callable[[int], Mapping[str, str]]) -> None:
        self._environment = environment
        self._all: dict[int, Child] = {}
        self._idle: list[int] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(
        self, job: bytes, loading: float, progress: Callable[[Child, bool], object] = lambda *_: None
    ) -> bytes:
        """Runs a packed job in a child: see :meth:`Child.ask`.

        Args:
            job: The packed job.
            loading: Seconds that loading the objective may take.
            progress: Called with the child and False when the child gets the job, then with True when the
                trial begins.

        Raises ChildDiedError: the child died; RoundStoppedError: no child starts, or the objective did not
        load in time.
        """
        number, child = self._ready()
        try:
            progress(child, False)
            answer = child.ask(job, loading, lambda: progress(child, True))
        except BaseException:
            self._drop(number)
            raise
        with self._lock:  # the child lives, whatever the answer
            self._idle.append(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ready(self) -> tuple[int, Child]:
        """An idle child, or a new child that has started: number and child."""
        strikes = 0
        while True:
            with self._lock:
                if self._over.is_set():
                    raise ChildDiedError("its process was ended")
                is_new = not self._idle
                if is_new:
                    number = next(i for i in itertools.count() if i not in self._all)
                    self._all[number] = Child(self._environment(number))
                else:
                    number = self._idle.pop()
                child = self._all[number]
            try:
                if is_new:
                    child.greet()
            except BaseException as error:
                self._drop(number)
                strikes += 1
                if not isinstance(error, ChildDiedError) or self._over.is_set():
                    raise
                if strikes >= _MOST_STRIKES:
                    raise RoundStoppedError(
                        f"workers end as soon as they start, {strikes} times in a row; the last time "
                        f"{error}; finished trials are stored; read the workers' output, and run again"
                    ) from None
                self._over.wait(_PAUSE * strikes)
                continue
            if child.lives:  # an idle child may have died
                return number, child
            self._drop(number)

    def _drop(self, number: int) -> None:
        with self._lock:
            child = self._all.pop(number)
        child.close()

    def end(self) -> None:
        """Ends all children; threads waiting for a child get ChildDiedError."""
        with self._lock:
            self._over.set()
            for child in self._all.values():
                child.end()

    def close(self) -> None:
        """Ends all children, and waits until they have ended. No thread may be using a child."""
        self.end()
        for number in list(self._all):
            self._drop(number)


def _inherited(number: int) -> dict[str, str]:  # noqa: ARG001  # equal for all children
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH")]))}


_children_of_executors = Children(_inherited)
atexit.register(_children_of_executors.close)
# Runs a packed job for a thread of a user's executor.
run_in_child = _children_of_executors.run


# In the child.


def main(pipe: int) -> None:
    """Answers jobs until the pipe is closed."""
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
            except Exception as error:  # noqa: BLE001  # raised again in the process that sent the job
                answer = _ERROR + pickle.dumps(error)
            flush_streams()  # this process will be killed, without a chance to flush
            jobs.send_bytes(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
