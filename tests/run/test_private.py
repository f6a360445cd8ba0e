"""Another user of the machine reaches nothing of a running round; a killed run leaves nothing for long."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

import refine
from refine.run.workers.temp_folder import own_folder, sweep

NOBODY = 65534

RUN = """
import sys, time
from pathlib import Path
import numpy as np
import refine

folder = Path(sys.argv[1])

class Objective:
    name = "large"
    data = np.zeros(200_000)  # too much to travel with every trial: it is written to a file

    def __init__(self):
        self.own = self.data

    def __call__(self, params):
        (folder / f"begun {params['x']}").touch()
        while (folder / "wait").exists():
            time.sleep(0.02)
        return float(params["x"])

tree = refine.Tree("q", store=folder / "refine.db")
found = tree.add_round({"x": (1, 9)}, Objective(), n=4, seed=1)
found.run(machine=refine.Machine(workers=2, progress=False))
print(len(found.trials))
"""

# Everything that this user may try on processes and folders of another: what worked is printed.
ATTACK = """
import ctypes, json, os, socket, sys

given = json.loads(sys.argv[1])
worked = []

def tries(what, call):
    try:
        call()
    except OSError:
        return
    worked.append(what)

def taken(pid, number):
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    if libc.syscall(438, process, number, 0) < 0:  # pidfd_getfd
        raise OSError(ctypes.get_errno(), "pidfd_getfd")

assert os.getuid() == given["uid"]
for folder in given["folders"]:
    tries(f"list {folder}", lambda: os.listdir(folder))
for file in given["files"]:
    tries(f"read {file}", lambda: open(file, "rb").close())
    tries(f"write {file}", lambda: open(file, "r+b").close())
for pid in given["processes"]:
    tries(f"environment of {pid}", lambda: open(f"/proc/{pid}/environ", "rb").read())
    tries(f"memory of {pid}", lambda: open(f"/proc/{pid}/mem", "rb").close())
    tries(f"files of {pid}", lambda: os.listdir(f"/proc/{pid}/fd"))
    tries(f"signal to {pid}", lambda: os.kill(pid, 0))
    for number in range(3, 40):
        tries(f"file {number} of {pid}", lambda: taken(pid, number))
for port in given["ports"]:
    tries(f"port {port}", lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close())
print(json.dumps(worked))
"""


def attack(uid, **targets):
    # The interpreter of a virtual environment may be in a folder that others can't enter.
    python = next(p for p in ("/usr/bin/python3", sys._base_executable) if os.access(p, os.X_OK))
    everything = {"folders": [], "files": [], "processes": [], "ports": [], **targets, "uid": uid}
    user = {} if uid == os.getuid() else {"user": uid, "group": uid, "extra_groups": []}
    options = {"capture_output": True, "text": True, "cwd": "/", "timeout": 60, **user}
    process = subprocess.run([python, "-I", "-c", ATTACK, json.dumps(everything)], **options)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def listening(processes):
    """Sockets that others could connect to, of the network and of the file system."""
    return [
        c
        for process in processes
        for c in process.net_connections(kind="all")
        if c.status == psutil.CONN_LISTEN or (c.family == socket.AF_UNIX and c.laddr)
    ]


@contextlib.contextmanager
def running(folder):
    """A coordinator with two workers that each hold a trial."""
    (folder / "script.py").write_text(RUN)
    (folder / "wait").touch()
    for begun in folder.glob("begun *"):
        begun.unlink()
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    scratch.chmod(0o777)
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py"), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("begun *"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def shared():
    """A folder that every user can enter, as /tmp is; those of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.cluster
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_nobody_listens_and_another_user_reaches_nothing_of_a_round_that_runs(shared):
    with running(shared) as process:
        coordinator = psutil.Process(process.pid)
        everybody = [coordinator, *coordinator.children(recursive=True)]
        assert len(everybody) == 5  # two workers, each with its supervisor
        assert listening(everybody) == []
        with socket.create_server(("127.0.0.1", 0)) as server:  # what would be found
            ports = {connection.laddr.port for connection in listening([psutil.Process()])}
            assert server.getsockname()[1] in ports
        (folder,) = (shared / "tmp").iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = [str(path) for path in folder.iterdir()]
        assert any(Path(path).stat().st_size > 1_000_000 for path in files)  # the objective's data
        targets = {"folders": [str(folder)], "files": files, "processes": [p.pid for p in everybody]}
        if os.getuid() == 0:  # who can be another user
            assert attack(NOBODY, **targets) == []
            assert len(attack(0, **targets)) > len(everybody) + len(files)  # whose they are can do all of it
        (shared / "wait").unlink()
        assert process.communicate(timeout=60)[0] == "4\n"
    with refine.Tree("q", store=shared / "refine.db") as tree:
        assert set(tree.rounds[0].trials["state"]) == {"complete"}


@pytest.mark.cluster
def test_workers_import_nothing_from_where_they_are_started(tmp_path):
    """A shared working directory, in which somebody put a module of a name that workers import."""
    script = tmp_path / "script.py"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("numpy", "cloudpickle", "random"):
        (elsewhere / f"{name}.py").write_text(f"open({str(tmp_path / 'seized')!r}, 'w').close()\n")
    script.write_text(
        "import refine\n"
        "tree = refine.Tree('q', store='sqlite://')\n"
        "found = tree.add_round({'x': (1, 9)}, lambda p: float(p['x']), n=4)\n"
        "found.run(machine=refine.Machine(workers=2, progress=False))\n"
        "print(found.trials['state'].tolist())\n"
    )
    command = [sys.executable, str(script)]
    process = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=120)
    assert process.stdout == "['complete', 'complete', 'complete', 'complete']\n", process.stderr
    assert not (tmp_path / "seized").exists()


@pytest.mark.nightly
@pytest.mark.cluster
def test_the_next_run_removes_the_files_of_a_killed_run(shared):
    with running(shared) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (remaining,) = (shared / "tmp").iterdir()
    with running(shared) as process:
        (folder,) = (shared / "tmp").iterdir()
        assert folder != remaining
        (shared / "wait").unlink()
        process.communicate(timeout=60)
    assert list((shared / "tmp").iterdir()) == []


def test_a_run_removes_only_unlocked_folders_of_its_own_user(shared, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    without_lock = shared / "refine-run-without-lock"  # it may have been made a moment ago
    without_lock.mkdir()
    other = shared / "another"
    other.mkdir()
    (other / "held").touch()
    (shared / "refine-run-link").symlink_to(other)
    of_another_user = shared / "refine-run-theirs"
    of_another_user.mkdir()
    (of_another_user / "held").touch()
    if os.getuid() == 0:
        os.chown(of_another_user, NOBODY, NOBODY)
    else:
        monkeypatch.setattr(os, "getuid", lambda: of_another_user.stat().st_uid + 1)
    with own_folder() as folder_in_use:
        assert stat.S_IMODE(folder_in_use.stat().st_mode) == 0o700
        assert sweep(shared) == 0
        assert folder_in_use.is_dir()
    assert not folder_in_use.exists()
    assert {without_lock, other, of_another_user} <= set(shared.iterdir())
    assert (other / "held").exists()
    if os.getuid() == 0:
        os.chown(of_another_user, 0, 0)
        assert sweep(shared) == 1
        assert not of_another_user.exists()
