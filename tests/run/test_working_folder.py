"""The working directory of the caller and of workers, around objectives that change it."""

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import refine
from refine.errors import RoundStoppedError
from refine.run.working_folder import kept_working_folder

SPACE = {"x": (1, 40, 40)}


def moving(params):
    """Says where a trial begins, and ends in another folder."""
    begins_in_temp = Path.cwd() == Path(tempfile.gettempdir()).resolve()
    os.chdir(tempfile.gettempdir())
    return {"value": float(params["x"]), "moved": float(begins_in_temp)}


def moving_and_failing(params):
    os.chdir(tempfile.gettempdir())
    raise ValueError("somewhere else")


@pytest.mark.parametrize("objective", [moving, moving_and_failing])
def test_an_objective_that_changes_the_working_directory_leaves_the_callers(objective, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    round_ = refine.Tree("q", store="sqlite://").add_round(
        SPACE, objective, n=2, seed=1, metric=refine.Goal("value", noise="none")
    )
    with contextlib.suppress(RoundStoppedError):  # two failures in a row stop the round
        round_.run(machine=refine.Machine(progress=False))
    assert Path.cwd() == tmp_path.resolve()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_each_trial_begins_in_the_folder_of_the_caller(workers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    round_ = refine.Tree("q", store=tmp_path / "a.db").add_round(
        SPACE, moving, n=6, seed=1, metric=refine.Goal("value", noise="none")
    )
    round_.run(machine=refine.Machine(workers=workers, progress=False))
    assert list(round_.trials["moved"]) == [0.0] * 6
    assert Path.cwd() == tmp_path.resolve()


def test_overlapping_trials_restore_the_folder_from_before_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    first = kept_working_folder()
    second = kept_working_folder()
    first.__enter__()
    os.chdir(tmp_path / "other")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(second.__enter__).result()  # begins where the first has moved to
        first.__exit__(None, None, None)
        os.chdir(tmp_path / "other")
        pool.submit(second.__exit__, None, None, None).result()
    assert Path.cwd() == tmp_path.resolve()


def test_a_deleted_folder_is_not_restored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "deleted"
    folder.mkdir()
    os.chdir(folder)
    with kept_working_folder():
        os.chdir(tmp_path)
        folder.rmdir()
    assert Path.cwd() == tmp_path.resolve()
