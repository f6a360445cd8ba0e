"""A process that runs trials, one at a time, for a thread of this one: its jobs come over a pipe that nobody else can reach.

The random generators of Python, NumPy and Keras belong to a process: in a pool of threads trials would draw from each other's, and
an engine such as Dask draws from its worker's. Our own workers are such children too.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
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
from refine.run.workers.perform import perform
from refine.run.workers.task import check_versions, never_loaded, versions
from refine.utils.standard_streams import reserve_descriptors

START_SECONDS = 120.0  # so long a process may take to start

# What a child's message begins with: the objective is there; the outcome; what was raised instead.
_LOADED, _ANSWER, _ERROR = b"l", b"a", b"e"

# Seconds: a process is looked after so often; one whose objective does not load ends itself, or is killed so much later.
_LOOK, _GRACE = 1.0, 5.0

# A process that ends before it has come up is a strike; after so many in a row no other is started.
_MOST_STRIKES = 8
_PAUSE = 0.5  # seconds, times the strikes, until the next is started

_HOME = str(Path(__file__).parents[3])


class ChildDiedError(RuntimeError):
    """The process that ran a trial ended before it answered."""


class Child:
    """A process that runs what it is told, supervised, and this end of its pipe, which has no name that others could open."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        reserve_descriptors()
        self._pipe, other_end = Pipe()
        self._marked = mark()
        with other_end:
            # Without -P, whoever may write into the working directory could give it modules.
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

    def ask(self, job: bytes, loading: float, begins: Callable[[], object]) -> bytes | Exception:
        """What a packed job gives, or the error that it raised. ``begins`` is called when the objective is there.

        Raises ChildDiedError: the process ended; RoundStoppedError: it did not load the objective in time.
        """
        since = time.monotonic()
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
        swept(self.process, self._marked)
        self._pipe.close()


class Children:
    """Child processes, as many as threads ask for one at once; one that died is replaced. They start with ``environment(number)``."""

    def __init__(self, environment: Callable[[int], Mapping[str, str]]) -> None:
        self._environment = environment
        self._all: dict[int, Child] = {}
        self._idle: list[int] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(self, job: bytes, loading: float, at: Callable[[Child, bool], object] = lambda *_: None) -> bytes:
        """Runs a packed job in one of them: see :meth:`Child.ask`. ``at`` hears which one gets it, and then that it begins there.

        Raises ChildDiedError: the process died; RoundStoppedError: none comes up, or it did not load the objective in time.
        """
        number, child = self._ready()
        try:
            at(child, False)
            answer = child.ask(job, loading, lambda: at(child, True))
        except BaseException:
            self._drop(number)
            raise
        with self._lock:  # it lives, whatever it answered
            self._idle.append(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ready(self) -> tuple[int, Child]:
        """One that is idle, or another that has come up."""
        strikes = 0
        while True:
            with self._lock:
                if self._over.is_set():
                    raise ChildDiedError("its process was ended")
                if fresh := not self._idle:
                    number = next(i for i in itertools.count() if i not in self._all)
                    self._all[number] = Child(self._environment(number))
                else:
                    number = self._idle.pop()
                child = self._all[number]
            try:
                if fresh:
                    child.greet()
            except BaseException as error:
                self._drop(number)
                strikes += 1
                if not isinstance(error, ChildDiedError) or self._over.is_set():
                    raise
                if strikes >= _MOST_STRIKES:
                    raise RoundStoppedError(
                        f"workers end as soon as they start, {strikes} times in a row, and of the last one {error}; what had "
                        "finished is stored; see what they print, and run again"
                    ) from None
                self._over.wait(_PAUSE * strikes)
                continue
            if child.lives:  # it may have died while it waited
                return number, child
            self._drop(number)

    def _drop(self, number: int) -> None:
        with self._lock:
            child = self._all.pop(number)
        child.close()

    def end(self) -> None:
        """Ends them all; whoever waits for one is told so."""
        with self._lock:
            self._over.set()
            for child in self._all.values():
                child.end()

    def close(self) -> None:
        """Ends them all, and waits for that; nobody is at one any more."""
        self.end()
        for number in list(self._all):
            self._drop(number)


def _inherited(number: int) -> dict[str, str]:  # noqa: ARG001  # they are alike
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH")]))}


_own = Children(_inherited)
atexit.register(_own.close)
# Runs a packed job for a thread of somebody's executor.
run_in_child = _own.run


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
