"""Objectives of reopened rounds: the same function of a file is recognised, and imported if safe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refine
from refine.errors import ObjectiveError

TRAIN = """
import refine

SHIFT = {shift}

def objective(p):
    return p["x"] + SHIFT

def other(p):
    return p["x"]

if __name__ == "__main__":
    with refine.Tree("study", store="study.db") as tree:
        root = tree.add_round({{"x": (0.0, 1.0, 21)}}, objective, n=3, seed=1)
        print(root.run(machine=refine.Machine(progress=False)).id)
"""


def python(folder, *arguments):
    """Output of a new Python process in a folder; the traceback if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(Path(refine.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def script(folder, code):
    """The same of a script, which may import objectives of its folder."""
    (folder / "later.py").write_text(code)
    return python(folder, "later.py")


@pytest.fixture
def folder(tmp_path):
    """A folder with train.py."""
    (tmp_path / "train.py").write_text(TRAIN.format(shift=0))
    return tmp_path


@pytest.fixture
def ran(folder):
    """The same after train.py ran once as a script."""
    python(folder, "train.py")
    return folder


QUIET = "machine=refine.Machine(progress=False)"
OPENED = "import refine\ntree = refine.Tree('study', store='study.db')\n"
SPACE = '{"x": (0.0, 1.0, 21)}'


CREATE = f"import train\n{OPENED}tree.add_round({SPACE}, train.objective, n=2, seed=1).run({QUIET})"


@pytest.mark.slow
def test_script_function_is_recognised_when_imported_and_after_an_edit(ran):
    code = f"from train import objective\n{OPENED}round_ = tree.add_round({SPACE}, objective, n=6, seed=1)\n"
    assert script(ran, code + f"print(len(tree), len(round_.run({QUIET}).trials))") == "1 6"
    (ran / "train.py").write_text(TRAIN.format(shift=1))
    assert script(ran, code + f"print(len(round_.run(8, {QUIET}).trials))") == "8"


@pytest.mark.nightly
def test_script_recognises_the_round_of_an_imported_function(folder):
    assert script(folder, CREATE) == ""
    python(folder, "train.py")
    with refine.Tree("study", store=folder / "study.db") as tree:
        assert [round_._node.objective for round_ in tree.rounds] == ["train.objective"]
        assert len(tree["root"].trials) == 3


@pytest.mark.nightly
@pytest.mark.parametrize("function", ["other", "copied.objective"])
def test_another_function_or_file_is_refused(ran, function):
    (ran / "copied.py").write_text(TRAIN.format(shift=2))
    module, _, name = function.rpartition(".")
    code = f"from {module or 'train'} import {name} as given\n{OPENED}tree['root'].run(6, objective=given)"
    assert "'objective'" in script(ran, code)


@pytest.mark.slow
def test_importable_objective_is_found_again_without_being_given(folder):
    assert script(folder, CREATE) == ""
    resume = f"{OPENED}print(len(tree['root'].run(4, {QUIET}).trials))"
    assert script(folder, resume) == "4"
    (folder / "train.py").write_text(TRAIN.format(shift=1))
    assert "'train.objective'," in script(folder, resume)


@pytest.mark.slow
def test_objective_is_not_imported_from_a_working_folder_without_a_script(folder):
    with refine.Tree("study", store=folder / "study.db") as tree:
        tree.add_round({"x": [1, 2]}, lambda p: p["x"], n=2, name="evil.objective", tag="evil")
    (folder / "evil.py").write_text("open('it_ran', 'w')\ndef objective(p):\n    return p['x']\n")
    output = python(folder, "-c", f"{OPENED}tree['evil'].run()")
    assert "objective 'evil.objective'" in output
    assert not (folder / "it_ran").exists()


def test_objective_of_the_standard_library_is_never_found(tmp_path):
    with refine.Tree("study", store=tmp_path / "s.db") as tree:
        root = tree.add_round({"x": [1, 2]}, lambda p: p["x"], n=2, name="os.system")
    refused = pytest.raises(refine.ObjectiveError, match=r"objective 'os.system'")
    with refine.Tree("study", store=tmp_path / "s.db") as tree, refused:
        tree[root.id].run()


class Shifted:
    """An objective that is an object: no name leads to it."""

    name = "shifted"

    def __call__(self, p):
        return p["x"]


def test_adding_the_first_round_again_gives_all_rounds_their_objective(tmp_path):
    space = {"x": (0.0, 1.0, 21)}
    first = {"n": 12, "seed": 1, "metric": refine.Goal("value", noise="none")}
    with refine.Tree("study", store=tmp_path / "study.db") as tree:
        root = tree.add_round(space, Shifted(), **first).run()
        child = root.propose().accept(n=4).id
    with refine.Tree("study", store=tmp_path / "study.db") as tree:
        with pytest.raises(ObjectiveError, match="add the first round again"):
            tree[child].run()
        tree.add_round(space, Shifted(), **first)
        assert len(tree[child].run().trials) == 4
