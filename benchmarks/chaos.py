"""Coordinators, workers and the database are killed, stopped and restarted at random; then every table must be that of calm rounds.

    python benchmarks/chaos.py                                  20 minutes on PostgreSQL: make chaos
    python benchmarks/chaos.py --store sqlite --minutes 5 --objective command --beside page assistant
    python benchmarks/chaos.py --events 2 --rounds 1            as the tests do it

Round after round is run by a script of its own with two workers. A fault comes at a random moment after at least one more
trial has been stored; a coordinator that ended is started again, as anybody would: the same script. It may end with a
StoreError or RoundBusyError, which tell to do so, and with nothing else; all that it started, in whatever session, must be gone then.
Beside it a review page may exclude and include trials, and an assistant call its tools, a run among them: they must go on, answer in words,
and every exclusion that was confirmed must be there in the end. A trial that was hit twice is recorded as crashed, one whose
program was killed as failed, so the script runs those again. At the end each round is run undisturbed, in one process, and all columns but `seconds` are compared.
Faults, moments and victims are drawn from one seed; what they hit depends on the machine.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from tables import parser

import refine

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from beside import Beside
from postgres import PostgreSQL

DRAWN = """
import os, random, sys, time
import numpy as np
import refine

def objective(params):
    drawn = random.random() + float(np.random.normal())
    time.sleep(float(os.environ.get("CHAOS_WAIT", "0")))
    if drawn > 3.0:
        raise ValueError(f"drew {drawn}")
    return {"value": params["x"] + drawn, "drawn": drawn}

if __name__ == "__main__":
    space = {"x": (0.0, 1.0, 41), "units": [4, 8, 16, 32], "act": ["relu", "elu"]}
    store, command, n, number, workers = sys.argv[1:]
    tree = refine.Tree("chaos", store=store)
    run = refine.Command(command) if command else objective
    round = tree.add_round(space, run, n=int(n), seed=int(number), name=None if command else "chaos")
    tree.machine = refine.Machine(workers=int(workers), progress=False)
    round.run()
    round.run(rerun=["crashed", "failed"])
"""

PROGRAM = """
import os, random, subprocess, sys, time
subprocess.Popen(["sleep", "900"], start_new_session=True, stdout=subprocess.DEVNULL)
drawn = random.Random(sys.argv[2]).gauss(0.5, 1.0)
time.sleep(float(os.environ.get("CHAOS_WAIT", "0")))
if drawn > 3.0:
    sys.exit(f"drew {drawn}")
print(float(sys.argv[1]) + drawn)
"""
"""A command's program; it leaves another one running, in a session of its own."""

EXPECTED = ("StoreError", "NotWritableError", "RoundBusyError")
"""How a disturbed script may end by itself: it says what to do."""

FAULTS = ("kill", "stop", "end", "database")


def pause(processes: list[psutil.Process], seconds: float) -> None:
    for how in ("suspend", "resume"):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                getattr(process, how)()
        time.sleep(seconds if how == "suspend" else 0)


class Chaos:
    """Runs rounds and disturbs them.

    Args:
        script: Runs a round, given its number and that of workers.
        server: The database, where it can be restarted.
        runs: What runs trials, as options of ``refine``.
    """

    def __init__(
        self, script: list[str], url: str, server: PostgreSQL | None, runs: list[str], given: Namespace
    ) -> None:
        self.script, self.url, self.server, self.runs, self.given = script, url, server, runs, given
        self.faults = [f for f in given.faults if f != "database" or server is not None]
        self.draw = random.Random(given.seed)
        self.hit: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.beside: list[Beside] = []
        self.log = Path(tempfile.mkstemp(prefix="refine-chaos-", suffix=".log")[1])

    def stored(self, number: int) -> int:
        """How many trials of a round are in the store; 0 where that can't be asked."""
        try:
            with refine.Tree("chaos", store=self.url, create=False) as tree:
                ids = [each.id for each in tree.rounds]
                if ids and not self.beside:
                    more = self.url, ids[0], self.runs, self.given.seed
                    self.beside = [Beside(kind, *more) for kind in self.given.beside]
                return len(tree.rounds[number].trials) if number < len(ids) else 0
        except refine.errors.RefineError:
            return 0

    def round(self, number: int, more: Callable[[], bool]) -> None:
        """Runs one round to its end; ``more()`` says whether another fault may come."""
        process, seen = self._started(number), 0
        due = time.monotonic() + 30
        try:
            while True:
                if process.poll() is not None:
                    if self._over(process):
                        return
                    process, due = self._started(number), time.monotonic() + 30
                time.sleep(0.1)
                if not more() or (time.monotonic() < due and (now := self.stored(number)) <= seen):
                    continue
                seen, due = max(seen, now), time.monotonic() + 30
                time.sleep(self.draw.uniform(0, 1.0))
                if process.poll() is None:
                    self._disturb(process)
        finally:
            process.kill()
            process.wait()

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        command, own = [*self.script, str(number), "2"], {**os.environ, "CHAOS": str(self.log)}
        with self.log.open("wb") as log:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=own)

    def _over(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the round is complete; else how its coordinator ended is noted. All that it started must be gone."""
        every = psutil.process_iter(["environ"])
        left = [each for each in every if (each.info["environ"] or {}).get("CHAOS") == str(self.log)]
        if alive := psutil.wait_procs(left, timeout=60)[1]:
            raise SystemExit(f"outlived their coordinator by 60 s: {alive}")
        if process.returncode == 0:
            return True
        if process.returncode in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
            self.ended[signal.Signals(-process.returncode).name] += 1
            return False
        lines = self.log.read_text(errors="replace").strip().splitlines()
        kinds = [line.split(":")[0].rsplit(".", 1)[-1] for line in lines if line[:1].isalpha()]
        kind = kinds[-1] if kinds else "nothing"
        self.ended[kind] += 1
        if kind not in EXPECTED:
            self.unexpected.append("ended as it should not:\n" + "\n".join(lines[-25:]))
            if len(self.unexpected) >= 5:
                raise SystemExit("\n\n".join(self.unexpected))
        return False

    def _disturb(self, process: subprocess.Popen[bytes]) -> None:
        kind = self.draw.choice(self.faults)
        seconds, of_coordinator = self.draw.uniform(0.5, 6.0), self.draw.random() < 0.4
        how, which = self.draw.choice(["fast", "immediate", "pause"]), self.draw.random()
        if kind == "database":
            self.hit[f"database {how}"] += 1
            if how == "pause":
                pause(self.server.processes(), seconds)
                return
            self.server.stop(how)
            time.sleep(seconds / 3)
            self.server.start()
            return
        with contextlib.suppress(psutil.Error):
            coordinator = psutil.Process(process.pid)
            below = coordinator.children(recursive=True)
            own = kind == "end" or of_coordinator or not below
            victim = coordinator if own else below[int(which * len(below))]
            self.hit[f"{'coordinator' if own else 'worker or program'} {kind}"] += 1
            {"kill": victim.kill, "end": victim.terminate, "stop": lambda: pause([victim], seconds)}[kind]()
            if kind == "kill" and own:
                process.wait()


def tables(url: str):
    """Everything of every round but seconds, in the order of the design's cells; which trials were excluded, as round and key.

    The excluded trials are included again, so that the tables can be compared.
    """
    with refine.Tree("chaos", store=url, create=False) as tree:
        frames, excluded = [], set()
        for each in tree.rounds:
            keys = tree._context.store.records([each._stored.pk]).columns["key"]
            numbers = np.flatnonzero(each.trials["state"] == "excluded")
            excluded |= {(each.id, keys[i]) for i in numbers}
            each.exclude(numbers, undo=True)
            frames.append(each.trials.drop(columns="seconds").sort_values("cell").reset_index(drop=True))
        return frames, excluded


def main(given: Namespace) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        script, program = folder / "drawn.py", folder / "program.py"
        script.write_text(DRAWN)
        program.write_text(PROGRAM)
        server = None
        if given.store == "postgresql":
            server = PostgreSQL()
            stack.callback(server.close)
        url = f"sqlite:///{folder / 'chaos.db'}" if server is None else server.url
        calm = f"sqlite:///{folder / 'calm.db'}"
        os.environ["CHAOS_WAIT"] = str(given.wait)
        command = f"{sys.executable} -S {program} {{x}} {{seed}} {{units}} {{act}}"
        text = command if given.objective == "command" else ""
        runs = ["--command", text] if text else ["--objective", f"{script}:objective"]
        words = [sys.executable, str(script)]
        chaos = Chaos([*words, url, text, str(given.n)], url, server, runs, given)
        began, rounds = time.monotonic(), 0

        def more() -> bool:
            if given.events is not None:
                return chaos.hit.total() < given.events
            return time.monotonic() - began < 60 * given.minutes

        try:
            while more() or rounds < given.rounds:
                chaos.round(rounds, more)
                rounds += 1
        finally:
            for each in chaos.beside:
                each.close()
        took = time.monotonic() - began
        os.environ["CHAOS_WAIT"] = "0"
        for number in range(rounds):
            run = [*words, calm, text, str(given.n), str(number), "1"]
            subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        (disturbed, excluded), (undisturbed, _) = tables(url), tables(calm)
        pairs = zip(disturbed, undisturbed, strict=True)
        differ = [i for i, (a, b) in enumerate(pairs) if not a.equals(b)]
        same = not differ and all(len(a) == given.n for a in disturbed)
        trials, columns = sum(map(len, undisturbed)), undisturbed[0].shape[1]
        print(
            f"{chaos.hit.total()} faults in {took:.0f} s, seed {given.seed}, {given.store}: {said(chaos.hit)}\n"
            f"scripts ended early and were started again: {said(chaos.ended)}\n"
            f"{rounds} rounds, {trials} trials: all {columns} columns but seconds identical to undisturbed rounds: {same}"
        )
        wrong = [f"ended as it should not:\n{text}" for text in chaos.unexpected]
        for kind, each in zip(given.beside, chaos.beside, strict=True):
            print(f"{kind}: {said(each.answers)}; {sum(each.excluded.values())} exclusions stand")
            wrong += each.wrong
            differs = {which: on for which, on in each.excluded.items() if on != (which in excluded)}
            wrong += [f"exclusion {'lost' if on else 'came back'}: {which}" for which, on in differs.items()]
        for i in differ[:3]:
            a, b = disturbed[i], undisturbed[i]
            print(f"\nround {i}:\n{a.compare(b) if a.shape == b.shape else (a.shape, b.shape)}")
        if wrong or not same:
            raise SystemExit("\n\n".join(["", *wrong]))


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "none"


if __name__ == "__main__":
    options = parser(__doc__, rounds=1, n=60, seed=1)
    options.add_argument("--minutes", type=float, default=20.0, help="for how long faults come")
    options.add_argument("--events", type=int, help="how many faults, instead of minutes")
    options.add_argument("--wait", type=float, default=0.2, help="seconds that a trial waits")
    options.add_argument("--store", choices=["postgresql", "sqlite"], default="postgresql")
    options.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    options.add_argument("--objective", choices=["drawn", "command"], default="drawn")
    options.add_argument("--beside", nargs="+", choices=["page", "assistant"], default=[])
    main(options.parse_args())
