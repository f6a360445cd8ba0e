"""Objectives named in a store come from the import path, never from a file that the user did not name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refine
from nightly import nightly
from refine.errors import ObjectiveError, SpaceError, StoreError
from refine.run import identity
from refine.space.encoding import decode
from refine.store import validity
from refine.utils.objects import found_object, is_installed, named_object

EVIL = (
    "from pathlib import Path\nPath(__file__).with_name('it_ran').touch()\ndef boom(p):\n    return p['x']\n"
)


@pytest.fixture
def share(tmp_path, monkeypatch):
    """A working folder that others can write to."""
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "evilfile.py").write_text(EVIL)
    monkeypatch.chdir(folder)
    return folder


def stored(store, name):
    with refine.Tree("q", store) as tree:
        return tree.add_round({"x": (0.0, 1.0, 5)}, lambda p: p["x"], n=3, name=name).id


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["run", nightly("replay")],
)
def test_a_shell_imports_nothing_from_the_working_folder(share, tmp_path, command):
    store = stored(tmp_path / "s.db", "evilfile.boom")
    words = [
        sys.executable,
        "-m",
        "refine",
        command,
        str(tmp_path / "s.db"),
        store,
        *(["--all"] * (command == "replay")),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "PYTHONPATH": str(Path(refine.__file__).parents[1])
    }
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 1
    assert "'evilfile'" in done.stderr
    assert done.stderr.rstrip().endswith("--objective evilfile.py:boom")
    assert not (share / "it_ran").exists()
    if command == "run":
        typed = subprocess.run(
            [*words, "--objective", "evilfile.py:boom"],
            capture_output=True,
            timeout=120,
            check=False,
            env=environment,
        )
        assert b"created with the objective 'evilfile.boom'" not in typed.stderr
        assert (share / "it_ran").exists()  # what somebody types is theirs


@pytest.mark.parametrize("name", ["evilfile.boom", "evilfile.py.boom", "..share.evilfile.boom", "a b.boom"])
def test_a_recorded_objective_name_is_never_run_as_a_file(share, name):
    assert not is_installed(name)
    with pytest.raises(ObjectiveError, match="--objective"):
        named_object(name)
    assert not (share / "it_ran").exists()


@pytest.mark.parametrize(
    "name", ["../share/evilfile.py.boom", "/tmp/share/evilfile.py.boom", "share\\evilfile.boom"]
)
def test_a_folder_that_names_a_file_is_not_loaded(share, tmp_path, monkeypatch, name):
    with pytest.raises(ObjectiveError, match="import path"):
        stored(tmp_path / "own.db", name)
    with monkeypatch.context() as forged:
        forged.setattr(identity, "check_objective_name", lambda _: None)
        forged.setattr(validity, "check_objective_name", lambda _: None)
        stored(tmp_path / "forged.db", name)
        with refine.Tree("q", tmp_path / "forged.db") as tree:
            tree.export(tmp_path / "folder")
    with pytest.raises(StoreError, match="import path"):
        refine.Tree.load(tmp_path / "folder", store=tmp_path / "loaded.db")


@pytest.mark.parametrize("path", ["../share/evilfile:boom", "share/evilfile.boom", "evilfile:boom:boom"])
def test_a_stored_choice_is_never_imported_from_a_file(path):
    with pytest.raises(SpaceError, match="dotted names"):
        decode({"import": path})


def test_an_unknown_name_lists_no_imports(tmp_path):
    file = tmp_path / "with_imports.py"  # another test of this process may have imported a train.py
    file.write_text(
        "import warnings\nfrom math import sqrt\nfrom typing import Any\n"
        "SPACE = {'x': [1, 2]}\ndef score(p): return sqrt(p['x'])\n"
    )
    with pytest.raises(ObjectiveError) as error:
        found_object(f"{file}:nothing_like_it")
    assert str(error.value).endswith("known: SPACE, score")
