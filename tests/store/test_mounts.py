"""A store on a file system of its own, and under a second path to the same folder or file."""

import shutil
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import refine
from refine.errors import RefineWarning, StoreError
from tests.elsewhere import missing

SCRIPT = """
import sys
import refine

tree = refine.Tree("q", store=sys.argv[1])
goal = refine.Goal("value", noise="none")
root = tree.add_round({"x": (0.0, 1.0, 101)}, lambda p: p["x"], n=60, seed=1, name="x", metric=goal)
root.branch({"x": (0.0, 1.0, 101)}, seed=int(sys.argv[2])).run(machine=refine.Machine(progress=False))
"""


@pytest.fixture
def bound(tmp_path):
    """Makes a folder or file visible under a second path."""
    mounted = []

    def bind(source, target):
        if source.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True)
            target.touch()
        done = subprocess.run(
            ["mount", "--bind", str(source), str(target)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            missing(f"the right to mount a folder: {done.stderr.strip()}")
        mounted.append(target)
        return target

    yield bind
    for target in mounted:
        subprocess.run(["umount", "-l", str(target)], check=True)


def start(store, seed):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(store), str(seed)])


@pytest.mark.slow
def test_two_processes_share_a_store_under_two_paths_to_its_folder(file_system, bound, tmp_path):
    home = file_system("32m")
    other = bound(home, tmp_path / "container" / "data")
    processes = [start(home / "refine.db", 1), start(other / "refine.db", 2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    with refine.Tree("q", store=home / "refine.db") as tree:
        assert sorted(len(round_.trials) for round_ in tree.rounds) == [0, 60, 60]
        assert tree._context.store.integrity() == "ok"


def test_store_that_is_mounted_as_a_single_file_is_refused_for_writing(bound, tmp_path):
    """Its last writes would lie beside it, where the other side of the mount does not look."""
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        tree.add_round({"x": (1, 9)}, lambda p: p["x"], n=5)
    alone = bound(tmp_path / "refine.db", tmp_path / "a container" / "refine.db")
    with pytest.raises(StoreError, match="single file"):
        refine.Tree("q", store=alone)
    assert not list(alone.parent.glob("refine.db-*"))


@pytest.fixture
def network_drive(tmp_path):
    """A folder over the protocol of SSH, without a second machine."""
    server = Path("/usr/lib/openssh/sftp-server")
    if shutil.which("sshfs") is None or not server.is_file() or not Path("/dev/fuse").exists():
        pytest.skip("needs sshfs, sftp-server and /dev/fuse")
    real = tmp_path / "real"
    folder = tmp_path / "drive"
    real.mkdir()
    folder.mkdir()
    server_end, client_end = socket.socketpair()
    processes = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe)
        for command, pipe in (
            ([server], server_end),
            (["sshfs", "-f", "-o", "passive,cache=no", f"localhost:{real}", folder], client_end),
        )
    ]
    server_end.close()
    client_end.close()
    try:
        for _ in range(200):
            if folder.is_mount():
                break
            time.sleep(0.05)
        else:
            pytest.skip("can't mount a folder by sshfs")
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        for process in processes:
            process.terminate()
            process.wait(20)


def test_store_on_a_network_drive_works_with_a_warning(network_drive):
    with refine.Tree("q", store=network_drive / "refine.db") as tree:
        round_ = tree.add_round(
            {"x": (0.0, 1.0, 5)},
            lambda p: p["x"],
            n=3,
            name="x",
            metric=refine.Goal("value", noise="retraining"),
        )
        with pytest.warns(RefineWarning, match=r"network drive \(fuse.sshfs\)"):
            round_.run()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            round_.run(n=5)  # once is enough
    with refine.Tree("q", store=network_drive / "refine.db") as tree:
        assert len(tree.rounds[0].trials) == 5


def test_a_store_on_a_local_file_system_gives_no_warning(file_system):
    with refine.Tree("q", store=file_system("8m") / "refine.db") as tree:
        round_ = tree.add_round(
            {"x": (0.0, 1.0, 5)},
            lambda p: p["x"],
            n=3,
            name="x",
            metric=refine.Goal("value", noise="retraining"),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            round_.run()
