"""Rounds that the page's server runs in a real process: running, pausing, resuming, and refusals."""

import contextlib
import os
import re
import subprocess
import time

import pytest

import objectives
import refine
from refine.errors import RefineWarning, ReviewError
from refine.ui.project import Source
from refine.ui.web.background import Background
from refine.ui.web.session import Session

pytestmark = pytest.mark.slow

OBJECTIVE = """
import os, random, time

def score(p):
    print("trying", p["x"], "with", os.environ.get("PYTHONPATH"), flush=True)
    time.sleep(p["pause"])
    return p["x"]

def noisy(p, trial):
    return random.Random(trial.seed).random() + p["x"]

def broken(p):
    raise ValueError("not today")
"""


@pytest.fixture
def round_of(tree, tmp_path, monkeypatch):
    """Makes a round whose objective is on the import path, as another process would have stored it."""
    (tmp_path / "objectives_here.py").write_text(OBJECTIVE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def make(n=6, pause=0.0, name="objectives_here.score", space=None):
        searched = space or {"x": (0.0, 1.0, 101), "pause": pause}
        tree.add_round(
            searched, lambda p: p["x"], n=n, name=name, metric=refine.Goal("value", noise="retraining")
        )
        return tree.rounds[-1]

    return make


@pytest.fixture
def background():
    opened = Background()
    yield opened
    opened.close()


def until(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def ended(session):
    until(lambda: not session.handle({"type": "pulse"})["job"]["running"])
    return session.handle({"type": "pulse"})["job"]


def test_a_round_runs_pauses_and_resumes_in_the_background(round_of, background):
    round_ = round_of(n=40, pause=0.1)
    session = Session(round_, background=background)
    run = session.handle({"type": "round", "round": round_.id})["run"]
    state = tuple(run[name] for name in ("able", "why", "objective", "left"))
    assert state == (True, "", "objectives_here.score", 40)
    job = session.handle({"type": "run", "round": round_.id})["job"]
    assert (job["round"], job["running"], job["text"]) == (round_.id, True, "running")
    assert "running" in session.handle({"type": "run", "round": round_.id})["error"]
    until(lambda: "trying" in session.handle({"type": "pulse"})["job"]["log"])
    assert session.handle({"type": "pause"})["job"]["pausing"]
    job = ended(session)
    assert job["text"] == "paused"
    assert "stored" in job["log"]
    before = len(round_.trials)
    assert 0 < before < 40
    assert set(round_.trials["state"]) == {"complete"}  # what ran came to its end
    session.handle({"type": "run", "round": round_.id, "trials": 3})
    job = ended(session)
    assert job["text"] == "ended"
    last = job["log"].splitlines()[-1]
    assert re.findall(r"\d+", last)[:2] == ["3", str(40 - before - 3)]
    assert session.handle({"type": "pulse"})["progress"][round_.id]["ended"] == before + 3
    assert "running" in session.handle({"type": "pause"})["error"]


def test_a_round_ends_in_order_with_the_server(round_of, background):
    round_ = round_of(n=40, pause=0.1)
    background.start(round_, "run", {}, {})
    until(lambda: len(round_.trials) >= 1)
    # No list of processes shows where the store is.
    listing = ["ps", "-ww", "-o", "args=", "-p", str(background._process.pid)]
    listed = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    assert "refine.ui.web.background" in listed
    assert "refine.db" not in listed
    background.close()
    job = background.job()
    assert not job["running"]
    assert "SIGTERM; " in job["log"]
    assert 0 < len(round_.trials) < 40
    objective = {"objective": objectives.named(lambda p: p["x"], "objectives_here.score")}
    with pytest.warns(RefineWarning, match="version"):
        round_.run(trials=1, **objective)  # no lease is left


@pytest.mark.nightly
def test_the_page_repeats_the_best_trials_and_logs_the_reason_of_a_failure(round_of, background):
    round_ = round_of(n=12).run()
    session = Session(round_, background=background)
    session.handle({"type": "add", "round": round_.id, "repeat": 2, "seeds": 3})
    assert ended(session)["text"] == "ended"
    assert len(round_.replicates) == 6
    failing = round_of(n=12, name="objectives_here.broken")
    session.handle({"type": "run", "round": failing.id})
    job = ended(session)
    assert job["text"].startswith("stopped")
    assert "ValueError" in job["log"]


def test_a_round_that_cannot_run_says_why_and_shows_the_command(round_of, tree, tmp_path, background):
    script = round_of(name="score")
    runnable = background.runnable(script)
    assert not runnable["able"]
    assert "--objective" in runnable["why"]
    command = f"refine run {tmp_path / 'refine.db'} {script.id} --objective path/to/script.py:score"
    assert runnable["command"] == command
    program = round_of(name="command: python train.py {x}")
    assert "--command" in background.runnable(program)["why"]
    assert "--command 'python train.py {x}'" in background.runnable(program)["command"]
    elsewhere = round_of(name="nowhere_to_be_found.score")
    assert "nowhere_to_be_found" in background.runnable(elsewhere)["why"]
    with pytest.raises(ReviewError, match="nowhere_to_be_found"):
        background.start(elsewhere, "run", {}, {})
    assert background.job() is None
    session = Session(script)  # as in a notebook
    run = session.handle({"type": "round", "round": script.id})["run"]
    assert "notebook" in run.pop("why")
    assert run == {
        "able": False,
        "objective": "",
        "command": f"tree['{script.id}'].run()",
        "left": script.n,
    }
    assert "notebook" in session.handle({"type": "run", "round": script.id})["error"]
    with_objective = Background(Source("objectives_here.py:score"))
    with contextlib.closing(with_objective):
        session = Session(script, background=with_objective)
        session.handle({"type": "run", "round": script.id})
        job = ended(session)
        assert job["text"] == "ended"
        # A program of another Python must not be led to refine's packages.
        assert f"with {os.environ.get('PYTHONPATH')}\n" in job["log"]
    assert len(script.trials) == 6
    with refine.Tree("m", store="sqlite://") as in_memory:
        space = {"x": (0.0, 1.0, 5)}
        inside = in_memory.add_round(space, lambda p: p["x"], n=2, name="objectives_here.score")
        assert "memory" in background.runnable(inside)["why"]


def test_own_configurations_run_in_the_background_and_count_as_given(round_of, background):
    round_ = round_of(n=3, pause=0.0)
    round_.run()
    session = Session(round_, background=background)
    session.handle({"type": "add", "round": round_.id, "rows": [{"x": "0.123"}]})
    ended(session)
    last = round_.trials.iloc[-1]
    assert (last["x"], last["origin"]) == (0.123, "given")


def test_a_round_grows_in_the_background_without_a_child(tree, round_of, background):
    round_ = round_of(n=12, pause=0.05)
    round_.run()
    session = Session(round_, background=background)
    content = session.handle({"type": "round", "round": round_.id})
    assert content["grow"] == {"n": 6, "text": "", "chooses": True}
    session.handle({"type": "add", "round": round_.id, "n": 5, "exploit": 0.4, "workers": 2})
    assert session.handle({"type": "pulse"})["progress"][round_.id]["planned"] == 17
    ended(session)
    assert sorted(round_.trials["origin"]) == ["exploit"] * 2 + ["space_filling"] * 15
    assert len(tree) == 1


def test_a_round_does_not_grow_beyond_the_budget(tree, round_of, background):
    round_ = round_of(n=12, pause=0.0)
    round_.run()
    tree.budget = 16
    session = Session(round_, background=background)
    assert session.handle({"type": "round", "round": round_.id})["grow"]["n"] == 4
    wrong = session.handle({"type": "add", "round": round_.id, "n": 5})
    assert " n=4 " in wrong["error"]
    assert session.handle({"type": "pulse"})["job"] is None
    tree.budget = 12
    assert session.handle({"type": "round", "round": round_.id})["grow"] is None


def test_the_page_of_a_notebook_names_the_call_that_adds_trials(round_of):
    round_ = round_of(n=12, pause=0.0)
    alone = Session(round_).handle({"type": "add", "round": round_.id, "n": 5, "exploit": 1.0})
    assert alone["error"].endswith(f'tree["{round_.id}"].add(n=5, exploit=1.0).run()')


def test_the_page_repeats_the_plausible_winners(tree, round_of, background):
    round_ = round_of(n=12, name="objectives_here.noisy", space={"x": (0.0, 1.0, 21)})
    round_.run()
    session = Session(round_, background=background)
    winner = session.handle({"type": "winner", "round": round_.id})
    assert winner["step"]["do"] == "confirm"
    assert [value["name"] for value in winner["values"]] == ["x"]
    session.handle({"type": "confirm", "round": round_.id, "budget": 4})
    assert "Race: " in ended(session)["log"]
    assert 0 < len(round_.replicates) <= 4  # the race may be decided earlier
