"""Rounds run by the page's server: one at a time, in a subprocess that ends with the server.

    python -m refine.ui.web.background

is the subprocess. It reads its order as one line of JSON from standard input: the address of a store may hold
a password, and arguments of a process are public. If standard input closes, the server is gone, and the round
stops gracefully.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.design.space_filling import IMPORTED
from refine.errors import RefineError, ReviewError
from refine.run.identity import UNNAMED
from refine.run.signals import GRACE
from refine.trials.round_record import COMMAND
from refine.ui.project import FILE, Project, Source
from refine.ui.web.messages import Content
from refine.utils.action import Action
from refine.utils.format import plural, score
from refine.utils.objects import is_installed

if TYPE_CHECKING:
    from refine.tree.round import Round

_LINES = 40  # printed lines of a round that the page shows
_HOME = str(Path(__file__).parents[3])


class Background:
    """The runner of a page's server.

    Args:
        source: Place of the objective; default the name that the round recorded.
        machine: The table ``machine`` of the project file; values of the page win.
    """

    def __init__(self, source: Source | None = None, machine: Mapping[str, object] | None = None) -> None:
        self.source = source or Source()
        self.machine = machine or {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._round = ""
        self._planned = 0  # trials of the round when its call has ended
        self._asked = 0
        self._lines: deque[str] = deque(maxlen=_LINES)

    def runnable(self, round_: Round) -> Content:
        """Whether the page can run a round, and the reason if it cannot; decided without an import."""
        from refine.ui.cli.shared import run_typed

        reason = self._why_not(round_)
        return {
            "able": not reason,
            "why": reason,
            "objective": ""
            if reason
            else self.source.function or self.source.program or round_._node.objective,
            "command": run_typed(round_._context.store.typed, round_),
            "left": _left(round_),
        }

    def _why_not(self, round_: Round) -> str:
        name = round_._node.objective
        if round_._context.store.in_memory:
            return "The store is in the memory of another process; run the round there."
        if self.source.function or self.source.program:
            return ""
        if name.startswith(UNNAMED):
            return (
                "The round was imported without an objective; to run it here, open the page with "
                "--objective module:name."
            )
        if name.startswith(COMMAND):
            # A store may come from elsewhere: only a program of the user's own file or call may run.
            return f"The round runs a program; name it in {FILE}, or open the page with --command."
        module, _, last = name.rpartition(".")
        if not module:
            return (
                f"{last} was defined in a script or notebook; to run it here, open the page with "
                f"--objective path/to/script.py:{last}."
            )
        if not is_installed(name):
            # A store may come from elsewhere: code of the working folder must not run by its name.
            return (
                f"There is no module {module.partition('.')[0]} on the import path; to run the round here, "
                f"open the page with --objective path/to/file.py:{last}."
            )
        return ""

    def start(
        self, round_: Round, call: str, options: Mapping[str, object], machine: Mapping[str, object]
    ) -> Content:
        """Starts a round, or repeats of its best configurations; ``machine`` are fields of the machine.

        Raises:
            ReviewError: The page cannot run the round, or a round is already running.
        """
        if reason := self._why_not(round_):
            raise ReviewError(reason)
        with self._lock:
            if self._runs:
                raise ReviewError(f"round {self._round} is running; pause it first")
            order = {
                "store": round_._context.store.url.render_as_string(hide_password=False),
                "tree": round_._context.name,
                "round": round_.id,
                "call": call,
                "options": dict(options),
                "machine": {**self.machine, **machine},
                "source": self.source,
                "path": os.environ.get("PYTHONPATH"),
            }
            path = os.pathsep.join([_HOME, *filter(None, [os.environ.get("PYTHONPATH")])])
            # Without -P, modules of the working directory would come before those of the import path.
            process = subprocess.Popen(
                [sys.executable, "-P", "-u", "-m", "refine.ui.web.background"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "PYTHONPATH": path},
                # Ctrl-C at the terminal reaches the server alone, which then closes this input.
                start_new_session=True,
            )
            assert process.stdin is not None
            with contextlib.suppress(
                OSError
            ):  # the process may have ended at once; its output has the reason
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
            self._process = process
            self._round = round_.id
            self._planned = round_.n
            if call == "add":
                self._planned += int(str(options.get("n", 0)))
            self._asked = 0
            self._lines.clear()
            self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
            self._reader.start()
        return self.job()  # type: ignore[return-value]

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        with process.stdout as output:
            for line in output:
                self._lines.append(line.rstrip("\n"))
        process.wait()
        with contextlib.suppress(OSError):
            process.stdin.close()

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def planned(self, round_: Round) -> int:
        """Number of trials that a round has when the call in progress ends; 0 for other rounds."""
        if self._round == round_.id and self._runs:
            return self._planned
        return 0

    def pause(self) -> Content:
        """Stops the running round gracefully, as one Ctrl-C does; a second call stops at once.

        Raises:
            ReviewError: No round is running.
        """
        with self._lock:
            if not self._runs:
                raise ReviewError(
                    "pause stops a round that this page runs, and none is running; reload the page"
                )
            assert self._process is not None
            self._asked += 1
            self._process.send_signal(signal.SIGINT)
        return self.job()  # type: ignore[return-value]

    def job(self) -> Content | None:
        """The running round, or the last one; ``None`` before the first start."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None and self._reader is not None:
            self._reader.join(1.0)
        pausing = code is None and self._asked > 0
        text = {None: "running", 0: "ended", 130: "paused"}.get(code, "stopped: the log says why")
        return {
            "round": self._round,
            "running": code is None,
            "pausing": pausing,
            "text": "pausing: running trials finish first" if pausing else text,
            "log": "\n".join(self._lines),
        }

    def close(self) -> None:
        """Stops the running round gracefully, and waits as long as a run may take after SIGTERM."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # its run ends as by SIGTERM
        try:
            process.wait(GRACE + 10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._reader is not None:
            self._reader.join(1.0)


def in_cells(round_: Round) -> Content:
    """The call that runs a round in a notebook, where the page cannot."""
    reason = "A notebook runs rounds in its cells:"
    command = f"{Action('tree[]', round_.id)}.run()"
    return {"able": False, "why": reason, "objective": "", "command": command, "left": _left(round_)}


def _left(round_: Round) -> int:
    """Number of configurations of a round left to run."""
    ended = sum(round_._context.counts.get(round_._stored.pk, {}).values())
    if round_._node.method == IMPORTED:
        return 0
    return max(0, round_.n - ended)


def run_order(order: Mapping[str, Any]) -> str:
    """Carries out an order of the server, and returns the result as a sentence."""
    import refine
    from refine.ui.cli.shared import objective_for

    with refine.Tree(order["tree"], order["store"], create=False) as tree:
        round_ = tree[order["round"]]
        objective = objective_for(round_, Source(*order["source"]))
        tree.machine = refine.Machine(progress=False, **Project({"machine": order["machine"]}).machine())
        if order["call"] == "confirm":
            confirmed = tree.confirm(**order["options"], **objective)
            race = next((cell.text for name, cell in confirmed._page().facts if name == "Race"), "not run")
            return f"Race: {race}"
        before = len(round_.trials) + len(round_.replicates)
        if order["call"] == "add":
            round_.add(**order["options"]).run(**objective)
        else:
            round_.run(**order["options"], **objective)
        ended = len(round_.trials) + len(round_.replicates) - before
        remaining = round_.n - len(round_.trials)
        best = "none"
        if round_.best is not None:
            best = f"{round_._value} {score(float(round_.best['value']))}"
        return f"{plural(ended, 'trial')} ended, {remaining:,} left; best so far: {best}"


def _end_with(number: int) -> None:
    """Stops this process gracefully when the other end of a pipe closes."""
    while os.read(number, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Reads and carries out an order; the exit code is 130 if the round was paused."""
    # A process started behind `&` ignores Ctrl-C, and its children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    order = json.loads(sys.stdin.readline())
    # Programs started by a round get the user's PYTHONPATH: this process's own also leads to refine.
    os.environ.pop("PYTHONPATH", None)
    if order["path"] is not None:
        os.environ["PYTHONPATH"] = order["path"]
    threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    try:
        print(run_order(order), flush=True)  # noqa: T201
    except RefineError as error:
        print(error, flush=True)  # noqa: T201
        return 1
    except KeyboardInterrupt as error:
        cause, _, _ = str(error).partition(";")
        print(f"{cause}; finished trials are stored, run the rest later", flush=True)  # noqa: T201
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
