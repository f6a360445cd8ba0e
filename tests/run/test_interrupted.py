"""Coordinators under Ctrl-C once and twice, kill -9 with hanging workers, in pairs, and after sleep."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

import objectives
import refine
from nightly import nightly
from refine.errors import RoundBusyError
from refine.run.signals import interruptible
from refine.store.lease import _born, _me
from refine.store.schema import t

pytestmark = pytest.mark.cluster

# No main guard; trials wait while a file is there, so that the tests know what runs.
SCRIPT = """
import signal, socket, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so \
would we
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as does what nohup starts
sys.path.insert(0, sys.argv[2])

import objectives, refine, refine.store.lease

folder, workers = sys.argv[1], int(sys.argv[3])
refine.store.lease.LEASE_SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 60.0
if len(sys.argv) > 6:
    socket.gethostname = lambda: sys.argv[6]  # the lease is then that of another machine
tree = refine.Tree("q", store=folder + "/refine.db")
grace = float(sys.argv[5]) if len(sys.argv) > 5 else 60.0
goal = refine.Goal("value", noise="retraining")
found = tree.add_round({"x": (1, 24, 24)}, objectives.Waits(folder), n=20, seed=3, metric=goal)
found.run(machine=refine.Machine(workers=workers, grace=grace, progress=False))
print("finished", len(found.trials))
"""


class Runs:
    """Coordinators of one round, all ended in the end."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []
        (folder / "script.py").write_text(SCRIPT)

    def start(self, workers, *options):
        places = self.folder / "script.py", self.folder, Path(objectives.__file__).parent
        command = [sys.executable, *map(str, (*places, workers)), *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.started.append(subprocess.Popen(command, **pipes, text=True, start_new_session=True))
        return self.started[-1]

    def held(self, workers, *options):
        """A coordinator each of whose workers holds a trial."""
        (self.folder / "wait").touch()
        process = self.start(workers, *options)
        until(lambda: len(self.begun()) == workers, process)
        return process

    def begun(self):
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "begun").read_text().split()
        return []

    def let_go(self):
        (self.folder / "wait").unlink(missing_ok=True)

    def table(self):
        with refine.Tree("q", store=self.folder / "refine.db") as tree:
            return tree.rounds[0].trials.drop(columns="seconds").sort_values("x").reset_index(drop=True)

    def ends_as(self, calm, process=None):
        """Releases the workers; checks that a coordinator (default: this one) gets a calm round's table."""
        self.let_go()
        if process is not None:
            out, err = process.communicate(timeout=120)
            assert out == "finished 20\n", err
        else:
            with refine.Tree("q", store=self.folder / "refine.db") as tree:
                round_ = tree.add_round(
                    {"x": (1, 24, 24)},
                    objectives.Waits(self.folder),
                    n=20,
                    seed=3,
                    metric=refine.Goal("value", noise="retraining"),
                )
                round_.run()
        assert calm is None or self.table().equals(calm)


@pytest.fixture
def runs(tmp_path):
    coordinators = Runs(tmp_path)
    yield coordinators
    for process in coordinators.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The table of a round that nothing disturbs."""
    coordinators = Runs(tmp_path_factory.mktemp("calm"))
    coordinators.ends_as(None)
    return coordinators.table()


def until(condition, process=None):
    deadline = time.monotonic() + 120
    while not (answer := condition()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def workers_of(process):
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("name", "workers"),
    [("SIGINT", 2), *map(nightly, ("SIGINT", "SIGTERM", "SIGTERM", "SIGHUP"), (1, 1, 2, 1))],
)
def test_being_told_once_to_end_finishes_what_runs_and_stores_it(runs, calm, name, workers):
    """Ctrl-C at a terminal (the whole group); signals of Slurm, Kubernetes and docker; a closed terminal."""
    process = runs.held(workers)
    number = signal.Signals[name]
    os.killpg(process.pid, number) if name == "SIGINT" else process.send_signal(number)
    warning = (
        "Ctrl-C again stops now" if name == "SIGINT" else f"{name} again stops now, and so do 60 seconds"
    )
    until(lambda: warning in process.stderr.readline(), process)
    time.sleep(1)  # what only waits for a worker is taken back before the workers are let go
    runs.let_go()
    _, err = process.communicate(timeout=60)
    # Python's own way to end by an unhandled Ctrl-C: the signal.
    assert process.returncode == -signal.SIGINT
    last = err.strip().splitlines()[-1]
    cause = "" if name == "SIGINT" else f" by {name}"
    assert f"stopped{cause}; every" in last
    assert "Traceback" not in err
    table = runs.table()
    assert len(table) == len(runs.begun()) == workers
    assert set(table["state"]) == {"complete"}
    runs.ends_as(calm)
    assert len(runs.begun()) == 20  # nothing ran twice


@pytest.mark.parametrize(
    ("way", "workers"), [("grace", 2), nightly("grace", 1), *map(nightly, ["twice"] * 2, [1, 2])]
)
def test_being_told_twice_or_for_too_long_stops_at_once(runs, calm, way, workers):
    process = runs.held(workers, "60", "0.5" if way == "grace" else "60")
    workers_before = workers_of(process)
    if way == "grace":
        process.send_signal(signal.SIGTERM)
    else:
        os.killpg(process.pid, signal.SIGINT)
        until(lambda: "again stops now" in process.stderr.readline())
        os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)  # the trials wait all the time
    assert process.returncode == -signal.SIGINT
    assert "stopped at once" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert not any(p.is_running() for p in workers_before)
    assert runs.table().empty
    runs.ends_as(calm)


def test_signals_of_others_stay_theirs(tmp_path):
    """A program that handles SIGTERM itself, or was started by nohup, goes on to do so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        handler = signal.getsignal(signal.SIGTERM)
        with interruptible("round") as interrupted:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is handler
            assert not interrupted()
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGHUP, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_kill_9_in_the_middle_of_two_workers_loses_no_finished_trial(runs, calm):
    process = runs.start(2)
    until(lambda: len(runs.begun()) >= 5, process)
    (runs.folder / "wait").touch()
    time.sleep(0.5)
    process.kill()
    process.wait()
    before = runs.table()
    assert 1 <= len(before) < 20
    runs.ends_as(calm)
    merged = before.merge(calm, on="x", suffixes=("", "_calm"))
    assert len(merged) == len(before)
    assert (merged["value"] == merged["value_calm"]).all()
    # What had finished was not run again; what was under way (at most two per worker) was.
    assert len(set(runs.begun())) == 20
    assert len(runs.begun()) <= 20 + 4


@pytest.mark.nightly
def test_workers_end_with_their_coordinator_whatever_they_do(runs, calm):
    process = runs.held(2)
    orphans = workers_of(process)
    assert len(orphans) == 4  # each with its supervisor
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(orphans, timeout=20)
    assert not alive
    runs.ends_as(calm)  # the lease of a dead coordinator is nobody's


def test_a_worker_that_dies_while_it_waits_is_replaced(runs, calm):
    process = runs.held(2)
    for worker in workers_of(process):
        worker.kill()
    runs.ends_as(calm, process)
    assert len(runs.begun()) == 22


@pytest.mark.nightly
def test_the_second_coordinator_is_told_and_takes_over_when_the_first_is_dead(runs, calm):
    first = runs.held(1)
    second = runs.start(1)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"process {first.pid}" in err.strip().splitlines()[-1]
    first.kill()
    first.wait()
    runs.ends_as(calm)


def test_a_coordinator_that_stood_still_finds_that_another_took_over(runs, calm):
    """A laptop that slept: its lease expires, and it must not write into the other's round."""
    first = runs.held(1, "2")
    first.send_signal(signal.SIGSTOP)
    second = None

    def taken_over():
        nonlocal second
        if second is None or second.poll() is not None:
            second = runs.start(1, "2")
            time.sleep(1)
        return len(runs.begun()) == 2

    until(taken_over)
    runs.let_go()
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "RoundBusyError" in err.strip().splitlines()[-1]
    runs.ends_as(calm, second)


@pytest.mark.nightly
def test_a_clock_that_is_set_back_by_an_hour_takes_no_round_away(runs, calm, world, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("LD_PRELOAD", world)
        patched.setenv("WORLD_BACK", str(runs.folder / "back"))
        first = runs.held(1, "2")
    (runs.folder / "back").touch()
    time.sleep(3)  # longer than its lease
    second = runs.start(1, "2")
    assert f"process {first.pid}" in second.communicate(timeout=60)[1]
    runs.ends_as(calm, first)


def test_a_process_number_that_was_given_to_another_process_holds_nothing(tree):
    round_ = tree.add_round({"x": (1, 9)}, lambda p: float(p["x"]), n=5)
    place, _, born = _me()[0].rpartition(" ")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    row = {"node": round_._stored.pk, "pid": other.pid, "beat": time.time()}
    engine = round_._context.store.engine

    def held_by(host):
        with engine.begin() as connection:
            connection.execute(t.lease.delete())
            connection.execute(t.lease.insert().values(host=host, **row))

    try:
        # It started at another time than the one that took the lease: that one is gone.
        held_by(f"{place} {int(born) - 12345}")
        assert len(round_.run().trials) == 5
        # A container beside this one, or another machine of the same name: its numbers say nothing here.
        held_by(f"{place}1 {born}")
        with pytest.raises(RoundBusyError, match=rf"process {other.pid} on .* run again in \d+ s, at \d\d:"):
            round_.run(n=6)
        # The clock of that machine is a day ahead: the lease expires within a minute all the same.
        row["beat"] += 86_400
        held_by(f"{place}1 {born}")
        with pytest.raises(RoundBusyError, match=r"run again in (60|61) s"):
            round_.run(n=6)
        with engine.connect() as connection:
            assert connection.execute(sa.select(t.lease.c.beat)).scalar_one() <= time.time()
        # One that lives here is stopped first; its trial may hold the interpreter's lock for long.
        row["beat"] = time.time() - 1_000
        held_by(f"{place} {_born(other.pid)}")
        with pytest.raises(RoundBusyError, match="wait for it or stop it first$"):
            round_.run(n=6)
        held_by(f"{place}1 {born}")
    finally:
        other.communicate(b"\n")
    with engine.begin() as connection:
        connection.execute(sa.update(t.lease).values(beat=time.time() - 61))
    assert len(round_.run(n=6).trials) == 6


@pytest.mark.parametrize("ahead", [0, nightly(86_400)])
def test_the_lease_of_a_killed_process_on_another_machine_expires(runs, calm, monkeypatch, ahead):
    """``ahead``: seconds by which the clock of the other machine is ahead."""
    monkeypatch.setattr("refine.store.lease.LEASE_SECONDS", 3.0)
    first = runs.held(1, "3", "60", "elsewhere")
    first.kill()
    first.wait()
    engine = sa.create_engine(f"sqlite:///{runs.folder / 'refine.db'}")
    with engine.begin() as connection:
        connection.execute(sa.update(t.lease).values(beat=t.lease.c.beat + ahead))
    engine.dispose()
    refused = []

    def taken_over():
        try:
            runs.ends_as(calm)
        except RoundBusyError as error:
            refused.append(str(error))
            return False
        return True

    until(taken_over)
    assert f"process {first.pid} on elsewhere; wait for it" in refused[0]
    waits = [int(re.search(r"run again in (\d+) s", message)[1]) for message in refused]
    assert waits == sorted(waits, reverse=True)
    assert 1 <= waits[-1] <= waits[0] <= 4
