"""A run ends in order after a time, or after a number of trials; hooks harm nothing."""

import logging
import time

import pytest

import refine
from refine.errors import DesignError, RefineWarning
from tests import objectives

SPACE = refine.Space(
    {"lr": refine.Float(0.5, 2.0, 12), "dropout": refine.Float(0.0, 0.5, 6), "optimizer": ["Adam", "SGD"]}
)


def slow(params):
    time.sleep(0.05)
    return params["lr"] - params["dropout"] * len(params["optimizer"])


def test_a_run_ends_after_a_number_of_trials_and_resumes(tree, capsys):
    tree.machine = refine.Machine()  # shows progress
    round_ = tree.add_round(SPACE, objectives.height, n=20)
    round_.run(trials=7)
    assert len(round_.trials) == 7
    assert "13 left" in capsys.readouterr().err
    first = set(round_.trials["seed"])
    round_.run(trials=5)
    assert len(round_.trials) == 12
    assert first <= set(round_.trials["seed"])
    capsys.readouterr()
    round_.run(trials=100)
    assert len(round_.trials) == 20
    log = capsys.readouterr().err
    assert "left" not in log
    assert "\r" not in log
    assert 1 <= len(log.splitlines()) <= 3  # ten seconds apart, and the last one
    assert "20/20" in log.splitlines()[-1]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.cluster)])
def test_a_run_ends_gracefully_after_hours(tree, workers, capsys):
    round_ = tree.add_round(SPACE, slow, n=100)
    round_.run(machine=refine.Machine(workers=workers, hours=0.3 / 3600))
    trials = round_.trials
    assert 0 <= len(trials) < 100
    assert set(trials["state"]) <= {"complete"}
    assert f"after 8.33333e-05 hours, {100 - len(trials)} left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("hours", 0, "hours must be a number > 0, got 0"),
        ("hours", float("nan"), "hours must be"),
        ("hours", True, "hours must be"),
        *(("grace", grace, "grace must be a number of seconds >= 0") for grace in (-1, "5", float("inf"))),
        ("on_trial", 3, "on_trial must be a function or a list of functions, got 3"),
        ("on_round", ["x"], "on_round must be a function"),
    ],
)
def test_bad_values_are_errors_before_anything_runs(tree, option, value, message):
    with pytest.raises(DesignError, match=message.replace("(", r"\(")):
        refine.Machine(**{option: value})
    round_ = tree.add_round(SPACE, objectives.height, n=4)
    with pytest.raises(DesignError, match="trials must be a whole number >= 1"):
        round_.run(trials=0)
    assert not len(round_.trials)


def test_hooks_see_what_is_stored(tree):
    ended = []
    rounds = []
    round_ = tree.add_round(SPACE, objectives.height, n=6)
    round_.run(
        machine=refine.Machine(workers=2, on_trial=[ended.append], on_round=rounds.append, progress=False)
    )
    assert rounds == [round_]
    trials = round_.trials.set_index("seed")
    assert {t.seed for t in ended} == set(trials.index)
    assert [t.ended for t in ended] == [1, 2, 3, 4, 5, 6]
    assert {t.planned for t in ended} == {6}
    for t in ended:
        row = trials.loc[t.seed]
        assert (t.value, t.state) == (row["value"], row["state"])
        assert dict(t.params) == {name: row[name] for name in SPACE}


def test_errors_in_hooks_harm_nothing(tree, caplog):
    def bad(_):
        raise ValueError("no such file")

    round_ = tree.add_round(SPACE, objectives.height, n=6)
    with (
        caplog.at_level(logging.ERROR),
        pytest.warns(RefineWarning, match="ValueError:") as warned,
    ):
        round_.run(machine=refine.Machine(on_trial=bad, on_round=bad, progress=False))
    assert len(round_.trials) == 6
    assert (round_.trials["state"] == "complete").all()
    assert len(warned) == 2  # once as on_trial, once as on_round
    assert len([r for r in caplog.records if r.exc_info]) == 7


def test_the_log_says_what_runs(tree, caplog):
    with caplog.at_level(logging.DEBUG, "refine.run"):
        tree.add_round(SPACE, objectives.height, n=3).run()
    texts = [r.getMessage() for r in caplog.records]
    assert any("3 of 3 trials" in t for t in texts)
    assert any("0 left" in t for t in texts)
    assert sum("complete" in t for t in texts) == 3


def test_a_log_s_handler_that_raises_ends_no_round(tree):
    class Raises(logging.Handler):
        def emit(self, record):
            raise OSError(f"the log's disk is full: {record.getMessage()}")

    logger = logging.getLogger("refine.run")
    handler = Raises()
    logger.addHandler(handler)
    try:
        with pytest.warns(RefineWarning, match="float raised"):
            round_ = tree.add_round(SPACE, objectives.height, n=3).run(
                machine=refine.Machine(on_trial=float, progress=False)
            )
        assert len(round_.trials) == 3
    finally:
        logger.removeHandler(handler)
