"""Coordinators, workers and the database are killed, stopped and restarted at random; then every table must be that of calm rounds.

    python benchmarks/chaos.py                                  20 minutes on PostgreSQL: make chaos
    python benchmarks/chaos.py --store sqlite --minutes 5       without a database server
    python benchmarks/chaos.py --events 2 --rounds 1            as the tests do it

Round after round is run by a script of its own with two workers. A fault comes at a random moment after at least one more
trial has been stored; a coordinator that ended is started again, as anybody would: the same script. It may end with a
StoreError or RoundBusyError, which tell to do so, and with nothing else. A trial that was hit twice is recorded as crashed,
so the script runs those again. At the end each round is run undisturbed, in one process, and all columns but `seconds` are compared.
Faults, moments and victims are drawn from one seed; what they hit depends on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

import refine

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

space = {"x": (0.0, 1.0, 41), "units": [4, 8, 16, 32], "act": ["relu", "elu"]}
named = {}
"""

RUN = """
tree = refine.Tree("chaos", store=sys.argv[1])
found = tree.add_round(space, objective, n=int(sys.argv[2]), seed=int(sys.argv[3]), **named)
workers = int(sys.argv[4])
found.run(workers=workers, progress=False)
found.run(workers=workers, progress=False, rerun=["crashed"])
"""

EXPECTED = ("StoreError", "NotWritableError", "RoundBusyError", "KeyboardInterrupt")
"""How a disturbed script may end by itself: it says what to do, or was told to end."""

FAULTS = ("kill", "stop", "end", "database")


class PostgreSQL:
    """A server in a temporary folder, on a socket, by an unprivileged user."""

    def __init__(self) -> None:
        found = shutil.which("pg_ctl")
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not found and not versions:
            raise SystemExit("PostgreSQL is not installed (pg_ctl not found); --store sqlite needs none")
        self.binaries = Path(found or versions[-1]).parent
        self.folder = Path(
            tempfile.mkdtemp(prefix="refine-chaos-", dir="/tmp")
        )  # a socket's path has to be short
        self.root = os.geteuid() == 0
        self.user = "postgres" if self.root else getpass.getuser()
        if self.root:
            shutil.chown(self.folder, "postgres")
        self._call("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", self.user)
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@/postgres?host={self.folder}"

    def _call(self, *command: str) -> None:
        prefix = ["runuser", "-u", "postgres", "--"] if self.root else []
        full = [*prefix, str(self.binaries / command[0]), *command[1:]]
        subprocess.run(full, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=180)

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses=''"
        place = ["-D", str(self.folder / "data"), "-w", "-t", "120", "-l", str(self.folder / "log")]
        self._call("pg_ctl", *place, "-o", options, "start")

    def stop(self, how: str) -> None:
        """``fast`` breaks every connection off, ``immediate`` is a crash: the next start recovers."""
        self._call("pg_ctl", "-D", str(self.folder / "data"), "-w", "-t", "120", "-m", how, "stop")

    def processes(self) -> list[psutil.Process]:
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(first)
        return [server, *server.children(recursive=True)]

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def paused(processes: list[psutil.Process], seconds: float) -> Iterator[None]:
    """SIGSTOP to all, SIGCONT after that long."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.suspend()
    try:
        time.sleep(seconds)
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.resume()


class Chaos:
    """Runs rounds and disturbs them.

    Args:
        command: Of the script that runs a round, up to the round's seed.
        server: The database, where it can be restarted.
        faults: Kinds of faults, of ``FAULTS``.
        seed: Of all draws.
    """

    def __init__(
        self, command: list[str], url: str, server: PostgreSQL | None, faults: list[str], seed: int
    ) -> None:
        self.command, self.url, self.server = command, url, server
        self.faults = [f for f in faults if f != "database" or server is not None]
        self.draw = random.Random(seed)
        self.hit: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.log = Path(tempfile.mkstemp(prefix="refine-chaos-", suffix=".log")[1])

    def stored(self, number: int) -> int:
        """How many trials of a round are in the store; 0 where that can't be asked."""
        try:
            with refine.Tree("chaos", store=self.url, create=False) as tree:
                rounds = tree.rounds
                counts = (
                    tree._context.counts.get(rounds[number]._stored.pk, {}) if number < len(rounds) else {}
                )
                return sum(counts.values())
        except refine.errors.RefineError:
            return 0

    def round(self, number: int, more: object) -> None:
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
                if not more():  # type: ignore[operator]
                    continue
                if time.monotonic() < due and (now := self.stored(number)) <= seen:
                    continue
                seen, due = max(seen, now), time.monotonic() + 30
                time.sleep(self.draw.uniform(0, 1.0))
                if process.poll() is None:
                    self._disturb(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen([*self.command, str(number), "2"], stdout=subprocess.DEVNULL, stderr=log)

    def _over(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the round is complete; else how its coordinator ended is noted."""
        if process.returncode == 0:
            return True
        if process.returncode in (-signal.SIGKILL, -signal.SIGTERM):
            self.ended[signal.Signals(-process.returncode).name] += 1
            return False
        said = self.log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        kind = next(
            (text.split(":")[0].rsplit(".", 1)[-1] for text in reversed(said) if text[:1].isalpha()),
            "nothing",
        )
        self.ended[kind] += 1
        if kind not in EXPECTED:
            self.unexpected.append("\n".join(said[-25:]))
            if len(self.unexpected) >= 5:
                raise SystemExit("\n\n".join(["5 scripts ended as they should not:", *self.unexpected]))
        return False

    def _disturb(self, process: subprocess.Popen[bytes]) -> None:
        kind = self.draw.choice(self.faults)
        seconds, of_coordinator = self.draw.uniform(0.5, 6.0), self.draw.random() < 0.4
        how, which = self.draw.choice(["fast", "immediate", "pause"]), self.draw.random()
        if kind == "database":
            assert self.server is not None
            self.hit[f"database {how}"] += 1
            if how == "pause":
                with paused(self.server.processes(), seconds):
                    return
            self.server.stop(how)
            time.sleep(seconds / 3)
            self.server.start()
            return
        with contextlib.suppress(psutil.Error):
            coordinator = psutil.Process(process.pid)
            workers = coordinator.children(recursive=True)
            if kind == "end":
                self.hit["coordinator SIGTERM"] += 1
                coordinator.terminate()
                return
            victim = coordinator if of_coordinator or not workers else workers[int(which * len(workers))]
            who = "coordinator" if victim is coordinator else "worker"
            self.hit[f"{who} {kind}"] += 1
            if kind == "stop":
                with paused([victim], seconds):
                    return
            victim.kill()
            if victim is coordinator:
                process.wait()
                _, alive = psutil.wait_procs(workers, timeout=60)
                if alive:
                    raise SystemExit(f"{len(alive)} workers outlived their coordinator by 60 s")


def tables(url: str):
    """Everything of every round but seconds, in the order of the design's cells."""
    with refine.Tree("chaos", store=url, create=False) as tree:
        return [
            r.trials.drop(columns="seconds").sort_values("cell").reset_index(drop=True) for r in tree.rounds
        ]


def main(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        script = folder / "round.py"
        script.write_text(DRAWN + RUN)
        server = None
        if arguments.store == "postgresql":
            server = PostgreSQL()
            stack.callback(server.close)
        url = f"sqlite:///{folder / 'chaos.db'}" if server is None else server.url
        os.environ["CHAOS_WAIT"] = str(arguments.wait)
        command = [sys.executable, str(script), url, str(arguments.n)]
        chaos = Chaos(command, url, server, arguments.faults, arguments.seed)
        began = time.monotonic()
        rounds = 0

        def more() -> bool:
            if arguments.events is not None:
                return sum(chaos.hit.values()) < arguments.events
            return time.monotonic() - began < 60 * arguments.minutes

        while more() or rounds < arguments.rounds:
            chaos.round(rounds, more)
            rounds += 1
        took = time.monotonic() - began
        os.environ["CHAOS_WAIT"] = "0"
        calm = f"sqlite:///{folder / 'calm.db'}"
        for number in range(rounds):
            command = [sys.executable, str(script), calm, str(arguments.n), str(number), "1"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        disturbed, undisturbed = tables(url), tables(calm)
        pairs = zip(disturbed, undisturbed, strict=True)
        differ = [i for i, (a, b) in enumerate(pairs) if not a.equals(b)]
        trials = sum(map(len, undisturbed))
        hits = ", ".join(f"{number} {what}" for what, number in sorted(chaos.hit.items()))
        print(
            f"{sum(chaos.hit.values())} faults in {took:.0f} s, seed {arguments.seed}, {arguments.store}: {hits or 'none'}"
        )
        ends = ", ".join(f"{number} {what}" for what, number in sorted(chaos.ended.items()))
        print(f"scripts ended early and were started again: {ends or 'none'}")
        same = not differ and all(len(a) == arguments.n for a in disturbed)
        columns = undisturbed[0].shape[1]
        print(
            f"{rounds} rounds, {trials} trials: all {columns} columns but seconds identical to undisturbed rounds: {same}"
        )
        for text in chaos.unexpected:
            print(f"\nended as it should not:\n{text}")
        for i in differ[:3]:
            a, b = disturbed[i], undisturbed[i]
            print(f"\nround {i}:\n{a.compare(b) if a.shape == b.shape else (a.shape, b.shape)}")
        if not same or chaos.unexpected:
            raise SystemExit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="for how long faults come")
    parser.add_argument("--events", type=int, help="how many faults, instead of minutes")
    parser.add_argument("--rounds", type=int, default=1, help="at least so many rounds")
    parser.add_argument("--n", type=int, default=60, help="trials of a round")
    parser.add_argument("--wait", type=float, default=0.2, help="seconds that a trial waits")
    parser.add_argument("--store", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    main(parser.parse_args())
