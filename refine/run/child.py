"""Processes that run trials for the threads of somebody else's worker, each one trial at a time.

The random generators of Python, NumPy and Keras belong to a process. In a pool of threads trials would draw from each
other's, and an engine such as Dask draws from its worker's. So a thread that is not its process' only one has a child
process of its own run the trial.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from refine.run.perform import perform
from refine.run.worker import leash

_LENGTH = struct.Struct(">Q")
_HOME = str(Path(__file__).parents[2])


class ChildDiedError(RuntimeError):
    """The process that ran a trial ended before it answered."""


class _Child:
    """A process that runs what it is told, and this end of its pipes."""

    def __init__(self) -> None:
        path = os.pathsep.join([_HOME, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "refine.run.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    def ask(self, order: bytes) -> bytes | Exception:
        """What the order gives, or the error that it raised.

        Raises:
            ChildDiedError: The process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            _send(self.process.stdin, order)
            answer = _receive(self.process.stdout)
        except OSError:
            answer = None
        if answer is None:
            code = self.process.wait()
            self.close()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise ChildDiedError(f"its process {how}")
        found: bytes | Exception = pickle.loads(answer)
        return found

    def close(self) -> None:
        """Lets the process end."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


_idle: list[_Child] = []
_lock = threading.Lock()


def run_in_child(order: bytes) -> bytes:
    """Runs a task in a child process of this one: an idle one, or a new one.

    Args:
        order: As :func:`refine.run.perform.perform` takes it.

    Raises:
        ChildDiedError: The process died.
    """
    with _lock:
        while _idle and _idle[-1].process.poll() is not None:
            _idle.pop().close()
        child = _idle.pop() if _idle else None
    child = child or _Child()
    answer = child.ask(order)
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


def main() -> None:
    """Answers orders until nobody sends any."""
    leash(os.getppid())
    answers = os.fdopen(os.dup(1), "wb")
    orders = os.fdopen(os.dup(0), "rb")
    # What an objective prints must not stand between answers, and what it asks is not to be found among orders.
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    while (order := _receive(orders)) is not None:
        try:
            answer = pickle.dumps(perform(order))
        except Exception as error:  # noqa: BLE001  # whoever sent the order raises it
            answer = pickle.dumps(error)
        _send(answers, answer)


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """The next content; ``None`` at the end."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = pipe.read(length)
    return content if len(content) == length else None


if __name__ == "__main__":
    main()
