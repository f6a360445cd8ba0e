"""Replay: the same trials again, from their seeds, compared with what is stored."""

import math
import random
import subprocess

import numpy as np
import pytest
import sqlalchemy as sa

import objectives
import refine
from refine.errors import AnalysisError, DesignError, ObjectiveError
from refine.run.environment import commit_of, environment
from refine.store.schema import t

SHIFT = [0.0]


def noisy(params):
    return {"score": params["lr"] + random.random() + SHIFT[0], "other": float(np.random.random())}


@pytest.fixture
def round_(tree, space):
    return tree.add_round(space, noisy, metric="score", n=12, seed=3).run()


def test_every_trial_is_equal_to_the_bit(tree, round_):
    before = round_.trials
    shown = round_.replay(None)
    assert len(shown.table) == 12
    assert shown.same
    assert shown.planned
    assert (shown.table["difference"] == 0).all()
    assert shown.table["value_now"].tolist() == before["value"].tolist()
    assert str(shown) == f"round {round_.id}: 12 trials replayed, 12 equal to the bit"
    assert round_.trials.equals(before)  # the store is as it was
    shown = round_.replay(sample=6, seed=1)
    assert len(shown.table) == 6
    assert round_.replay(sample=6, seed=1).table.equals(shown.table)
    assert not round_.replay(sample=6, seed=2).table["seed"].equals(shown.table["seed"])
    assert len(round_.replay(sample=99).table) == 12


def test_a_replay_names_the_trials_that_differ(tree, round_, monkeypatch):
    (environment_stored,) = tree._context.store.environments(round_._stored.pk)
    assert environment_stored["git"] == commit_of(__file__)["git"]
    monkeypatch.setitem(globals(), "SHIFT", [0.25])
    shown = round_.replay(sample=5)
    assert not shown.same
    assert shown.table["difference"].to_numpy() == pytest.approx(0.25)
    assert "bit, 0 within 0" in str(shown)
    assert round_.replay(sample=5, tolerance=0.26).same
    with tree._context.store.engine.begin() as connection:
        pk = connection.execute(sa.select(sa.func.min(t.trial.c.pk))).scalar()
        connection.execute(t.trial.update().where(t.trial.c.pk == pk).values(seed=1))
    shown = round_.replay(sample=1, tolerance=0.26)
    assert (shown.planned, shown.same) == (False, False)
    assert "other configurations" in str(shown)


def test_another_environment_and_other_code_are_named(tree, space, round_):
    with tree._context.store.engine.begin() as connection:
        connection.execute(t.run.update().values(environment='{"python": "3.9.1", "threads": "4"}'))
        connection.execute(t.trial.update().values(code="0123456789ab"))
    shown = round_.replay(sample=2)
    assert shown.environment["python"][0] == "3.9.1"
    assert shown.environment["threads"] == ("4", "1")
    assert "python then 3.9.1, now 3." in str(shown)
    assert "code then 0123456789ab, now " in str(shown)
    assert shown.same  # values are equal all the same


@pytest.mark.slow
def test_trials_of_every_origin_and_state_replay_equal(tree, space):
    def double(metrics):
        return 2 * metrics["value"]

    root = tree.add_round(space, objectives.bowl, metric=double, n=60).run()
    child = root.propose().accept(n=20, exploit=0.4, plan=refine.Plan(audit=0.1)).run()
    failing = tree.add_round(space, objectives.sometimes, n=40).run()
    assert set(failing.trials["state"]) == {"failed", "diverged", "complete"}
    for round_ in (root, child, failing):
        shown = round_.replay(sample=None)
        assert shown.same, str(shown)
        assert shown.table["value_now"].to_numpy() == pytest.approx(
            round_.trials["value"].to_numpy(), nan_ok=True
        )


def test_a_replay_that_cannot_run_is_refused(tree, space, round_):
    wrong = [("sample", value) for value in (0, 1.5, True)] + [("tolerance", -1), ("tolerance", math.nan)]
    for name, value in wrong:
        with pytest.raises(DesignError, match=f"{name} must"):
            round_.replay(**{name: value})
    with pytest.raises(AnalysisError, match="no finished trials"):
        tree.add_round(space, objectives.bowl, n=3).replay()
    with pytest.raises(ObjectiveError, match="objective"):
        round_.replay(objective=objectives.bowl)


def test_the_environment_has_hardware_and_commit(tmp_path):
    recorded = environment(3)
    assert recorded["threads"] == "3"
    assert recorded["cpu"]
    assert commit_of(tmp_path / "script.py") == {}  # no repository there

    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    git("init")
    assert commit_of(tmp_path / "script.py") == {}  # no commit yet
    (tmp_path / "script.py").write_text("x = 1\n")
    git("add", "script.py")
    git("commit", "-m", "first")
    clean = commit_of(tmp_path / "script.py")["git"]
    assert len(clean) == 12
    (tmp_path / "script.py").write_text("x = 2\n")
    assert commit_of(tmp_path / "script.py")["git"] == f"{clean} (changed)"
