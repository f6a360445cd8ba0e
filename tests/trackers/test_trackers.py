"""Trackers get every ended trial despite failures; trackers with a server or files are the real ones."""

import threading
import time
from pathlib import Path

import pandas as pd
import pytest

import refine
from refine.errors import DesignError, RefineWarning
from refine.report.trackers import IMPORTANCE, Tracker, tracker_of
from tests import objectives
from tests.elsewhere import TESTS, run_there
from tests.nightly import few

SPACE = refine.Space(
    {"lr": refine.Float(0.5, 2.0, 12), "dropout": refine.Float(0.0, 0.5, 6), "optimizer": ["Adam", "SGD"]}
)


@pytest.fixture
def round_(tmp_path):
    with refine.Tree("study", tmp_path / "t.db") as tree:
        yield tree.add_round(SPACE, objectives.height, n=8, note="why not")


@pytest.mark.slow
@pytest.mark.parametrize("library", few(["tensorboard", "mlflow", "trackio", "wandb"]))
def test_a_real_tracker_receives_parameters_metrics_and_states(library):
    run_there(library, *TESTS, f"{Path(__file__).with_name('sent_elsewhere.py')}::test_{library}")


class Own(Tracker):
    """Somebody's own."""

    name = "own"

    def __init__(self, fails=0, hangs=False, **options):
        super().__init__(**options)
        self.fails = fails
        self.hangs = hangs
        self.got = []
        self.facts = None
        self.release = threading.Event()

    def opened(self, facts):
        self.facts = facts

    def ended(self, trial):
        if self.hangs:
            self.release.wait(30)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("no route")
        self.got.append(trial)

    def closed(self, folder):
        self.folder = folder
        self.importance = None if folder is None else pd.read_csv(folder / IMPORTANCE)


@pytest.mark.slow
def test_any_object_with_the_methods_is_a_tracker(round_):
    tracker = Own(report=False)
    round_.run(machine=refine.Machine(workers=2, track=[tracker], progress=False))
    assert {t.seed for t in tracker.got} == set(round_.trials["seed"])
    assert {type(t.state) for t in tracker.got} == {str}  # of an enum Weights & Biases keeps the name
    assert (tracker.facts.tree, tracker.facts.id, tracker.facts.note) == ("study", round_.id, "why not")
    later = Own(report=False)
    later.send(round_)
    sent, resent = ({t.seed: t._replace(ended=0) for t in tracker.got} for tracker in (tracker, later))
    assert sent == resent


@pytest.mark.slow
def test_parameters_are_sent_in_the_printed_order_of_importance(tree):
    study = tree.add_round(SPACE, objectives.height, n=30)
    tracker = Own()
    study.run(machine=refine.Machine(track=tracker, progress=False))
    ranked = study.analyze().ranked
    assert list(tracker.importance["parameter"]) == [evidence.name for evidence in ranked]
    assert list(tracker.importance["rank"]) == list(range(1, len(ranked) + 1))
    assert list(tracker.importance["q"]) == pytest.approx([evidence.q for evidence in ranked])


@pytest.mark.parametrize(("fails", "lost"), [(2, 2), (99, 8)])
def test_a_tracker_that_fails_three_times_in_a_row_is_dropped_with_one_warning(round_, fails, lost):
    tracker = Own(fails=fails, report=False)
    pattern = rf"own: {lost} trials .* may be missing \(ConnectionError: no route\)"
    with pytest.warns(RefineWarning, match=pattern):
        round_.run(machine=refine.Machine(track=tracker, progress=False))
    assert len(round_.trials) == 8
    assert tracker.fails == max(0, fails - 3)


def test_a_tracker_that_hangs_is_not_waited_for(round_):
    tracker = Own(hangs=True, report=False, patience=0.2)
    began = time.monotonic()
    with pytest.warns(RefineWarning, match=r"within 0\.2 s"):
        round_.run(machine=refine.Machine(track=tracker, progress=False))
    assert time.monotonic() - began < 25  # the tracker would hang for 30
    assert len(round_.trials) == 8
    tracker.release.set()


@pytest.mark.parametrize("bad", [3, "mlflow", Own, [None]])
def test_a_wrong_tracker_is_refused(round_, bad):
    with pytest.raises(DesignError, match="^track must"):
        round_.run(machine=refine.Machine(track=bad))


def test_an_unknown_tracker_is_refused_with_the_nearest_name():
    words = {"mlfow": "did you mean 'mlflow'", "tensorboard": "tensorboard=FOLDER", "comet=x": "must be one"}
    for text, pattern in words.items():
        with pytest.raises(DesignError, match=pattern):
            tracker_of(text)
    with pytest.raises(DesignError, match="^patience must"):
        Own(patience=-1)
