"""In from Optuna, out to it, and there and back."""

import json
import shutil
import sqlite3

import exchanged
import numpy as np
import optuna
import pytest
from exchanged import SPACE
from typer.testing import CliRunner

import refine
import refine.optuna
from refine.errors import AnalysisError, NotFoundError, RefineWarning, StoreError
from refine.tree.exchange.optuna import to_study
from refine.ui.cli import app


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def objective(trial):
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    drop = trial.suggest_float("drop", 0.0, 0.5, step=0.25)
    layers = trial.suggest_int("layers", 0, 2)
    units = trial.suggest_int("units", 8, 64, log=True) if layers else 0
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    if trial.number == 3:
        raise ValueError("broken")
    for step in range(3):
        trial.report(rate * (step + 1), step)
        if trial.number == 5 and step == 1:
            raise optuna.TrialPruned
    return rate + drop + units * 1e-3 + (kind == "b")


@pytest.fixture
def study():
    created = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=1))
    created.optimize(objective, n_trials=40, catch=(ValueError,))
    return created


def test_a_study_becomes_a_root(tree, study):
    root = tree.add_runs(study)
    space = root.space
    assert space["rate"] == refine.Float(1e-4, 1e-1, levels=10, log=True)
    grids = [space[name].grid for name in ("drop", "layers", "kind")]
    assert grids == [(0.0, 0.25, 0.5), (0, 1, 2), ("a", "b", None)]
    assert (space["units"].log, root._direction) == (True, "minimize")
    frame = root.trials
    assert len(frame) == 40
    assert frame["state"].value_counts().to_dict() == {"complete": 38, "failed": 1, "pruned": 1}
    assert root.best["value"] == study.best_value
    assert 0 < root.analyze()["units"].read < 1
    assert tree.add_runs(study).id == root.id
    curves = root._context.store.records([root._stored.pk], curves=True).curves
    assert curves[0]["value"] == list(study.trials[0].intermediate_values.values())
    assert len(curves[5]["value"]) == 2


def equal(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert (x.state, x.value, x.intermediate_values) == (y.state, y.value, y.intermediate_values)
        about = {
            n: v if isinstance(v, str | None) else pytest.approx(v, rel=1e-11) for n, v in x.params.items()
        }
        assert about == y.params


def test_an_imported_study_exports_equal_trials(tree, study):
    root = tree.add_runs(study)
    out = to_study(root)
    ended = [t for t in study.trials if t.state.is_finished() and t.number != 5]
    equal(ended, [t for t in out.trials if t.number != 5])
    assert out.trials[5].state.name == "PRUNED"
    assert out.trials[5].intermediate_values == study.trials[5].intermediate_values
    assert [out.trials[0].user_attrs[name] for name in ("round", "origin")] == [root.id, "imported"]
    with refine.Tree("again", store="sqlite://") as other:
        same_round = other.add_runs(out)
        trials = root.trials
        trials_back = same_round.trials
        for name in ("state", "value", "rate", "drop", "layers", "kind", "units"):
            assert trials[name].tolist() == trials_back[name].tolist() or np.array_equal(
                trials[name], trials_back[name], equal_nan=True
            )
        equal(out.trials, to_study(same_round).trials)


@pytest.mark.slow
def test_a_round_exports_all_its_trials_to_optuna(tree):
    root = tree.add_round(SPACE, exchanged.curves, metric="acc", n=60, seed=2).run()
    root.add(repeat=2, seeds=2).run()
    study = to_study(root)
    assert study.metric_names == ["acc"]
    states = root.trials["state"].value_counts()
    states_out = [t.state.name for t in study.trials]
    assert states_out.count("COMPLETE") == states["complete"] + 4
    assert states_out.count("FAIL") == states["failed"] + states["diverged"]
    assert study.best_value == max(root.best["value"], root.replicates["value"].max())
    assert sum(t.user_attrs["replicate"] > 0 for t in study.trials) == 4
    assert {t.user_attrs["seed"] for t in study.trials} == {*root.trials["seed"], *root.replicates["seed"]}
    failed = next(t for t in study.trials if t.user_attrs["state"] == "failed")
    assert failed.user_attrs["error"] == "ValueError: lr <script> | too large"
    done = next(t for t in study.trials if t.state.name == "COMPLETE")
    assert list(done.intermediate_values) == [0, 1, 2]
    optuna.importance.get_param_importances(study)
    with refine.Tree("again", store="sqlite://") as other:
        same_round = other.add_runs(study, space_filling=True)
        ended = root.trials["state"] == "complete"
        assert same_round.trials[ended]["acc"].tolist() == root.trials[ended]["acc"].tolist()
        assert same_round.trials[list(SPACE)].equals(root.trials[list(SPACE)])
        assert same_round.replicates["acc"].tolist() == root.replicates["acc"].tolist()


@pytest.mark.slow
def test_a_study_is_read_and_written_by_the_url_of_its_storage(tree, study, tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    root = tree.add_runs(study)
    to_study(root, url, "mine")
    with pytest.raises(StoreError, match="study_name="):
        to_study(root, url, "mine")
    by_url = tree.add_runs(url)
    assert by_url.trials["value"].equals(root.trials["value"])
    to_study(root, url, "second")
    with pytest.raises(NotFoundError, match="study_name="):
        tree.add_runs(url)
    with pytest.raises(NotFoundError, match="did you mean 'mine'"):
        tree.add_runs(url, study_name="mein")
    missing = tmp_path / "no.db"
    with pytest.raises(NotFoundError, match="no such file"):
        tree.add_runs(f"sqlite:///{missing}")
    assert not missing.exists()


def test_several_objectives_are_goals_or_one_is_chosen(tree):
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), t.params["x"] ** 2), n_trials=12)
    root = tree.add_runs(study)
    goals = [(str(g.metric), g.direction) for g in root._goals]
    assert goals == [("value_0", "minimize"), ("value_1", "maximize")]
    assert sorted(root.front["x"]) == pytest.approx(sorted(t.params["x"] for t in study.best_trials))
    back = to_study(root)
    assert [d.name for d in back.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert len(back.best_trials) == len(study.best_trials)
    alone = tree.add_runs(study, value=0)
    assert (alone._value, alone._direction, len(alone._goals)) == ("value_0", "minimize", 1)
    with pytest.raises(AnalysisError, match="^value must"):
        tree.add_runs(study, value=2)
    four = optuna.create_study(directions=["minimize"] * 4)
    four.optimize(lambda t: (t.suggest_float("x", 0, 1),) * 4, n_trials=12)
    with pytest.raises(AnalysisError, match="4 objectives"):
        tree.add_runs(four)


def test_a_wrong_study_is_refused(tree):
    with pytest.raises(AnalysisError, match="must be a table"):
        tree.add_runs(7)
    with pytest.raises(StoreError, match="URL"):
        tree.add_runs("study.db")
    with pytest.raises(AnalysisError, match="no ended trial"):
        tree.add_runs(optuna.create_study())
    study = optuna.create_study()
    study.optimize(lambda t: t.suggest_float("seed", 0, 1), n_trials=1)
    with pytest.raises(refine.errors.SpaceError, match="seed: .*reserved"):
        tree.add_runs(study)


@pytest.mark.slow
def test_a_storage_that_was_written_into_is_refused(tree, study, tmp_path):
    """Found by tests/store/fuzz.py: Optuna raises whatever its reading comes upon."""
    sound = tmp_path / "sound.db"
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=f"sqlite:///{sound}").add_trials(study.get_trials())
    for change in (
        "UPDATE trials SET state = 'DONE' WHERE number = 2",
        "UPDATE trials SET datetime_start = 'yesterday' WHERE number = 2",
        "UPDATE trial_params SET distribution_json = '{}'",
        "DELETE FROM trial_values",
    ):
        shutil.copy(sound, tmp_path / "study.db")
        with sqlite3.connect(tmp_path / "study.db") as connection:
            assert connection.execute(change).rowcount > 0
        connection.close()
        with pytest.raises((StoreError, AnalysisError), match=r"Optuna can't read it|has no value"):
            tree.add_runs(url)
        assert len(tree) == 0


PRUNED = {"value": "x", "state": optuna.trial.TrialState.PRUNED}


@pytest.mark.parametrize("values", [PRUNED, {"value": 0.5, "intermediate_values": {0: [1]}}])
def test_an_imported_value_must_be_a_number(tree, values):
    """Found by tests/store/fuzz.py: Optuna takes such trials in memory."""
    study = optuna.create_study()
    kinds = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    study.add_trial(optuna.trial.create_trial(params={"x": 0.5}, distributions=kinds, **values))
    with pytest.raises(AnalysisError, match="trial 0"):
        tree.add_runs(study)
    assert len(tree) == 0


@pytest.mark.filterwarnings("ignore:import. left out. 1 trial that has not ended")
def test_a_journal_file_brings_its_branches(tree, tmp_path):
    path = tmp_path / "study.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))

    def classifier(trial):
        if trial.suggest_categorical("classifier", ["SVC", "RandomForest"]) == "SVC":
            return trial.suggest_float("svc_c", 1e-6, 1e6, log=True)
        depth = trial.suggest_int("rf_max_depth", 2, 32, log=True)
        return depth + trial.number / 1000  # equal values and equal durations would make a repeat a copy

    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(storage=storage, sampler=sampler, study_name="one")
    study.optimize(classifier, n_trials=40)
    study.ask()
    root = tree.add_runs(path, space_filling=True)
    assert root.id == tree.add_runs(study, space_filling=True).id
    assert len(root.trials) + len(root.replicates) == 40  # without the one that runs
    assert {n: str(c) for n, c in root.space.conditions.items()} == {
        "rf_max_depth": "classifier == 'RandomForest'",
        "svc_c": "classifier == 'SVC'",
    }
    arguments = ["import", str(path), str(tmp_path / "shell.db"), "--tree", "q"]
    shown = CliRunner().invoke(app, [*arguments, "--space-filling", "--json"])
    assert json.loads(shown.stdout)["id"] == root.id
    optuna.create_study(storage=storage, study_name="two")
    with pytest.raises(NotFoundError, match="2 studies"):
        tree.add_runs(path)
    with pytest.raises(NotFoundError, match="no such file"):
        tree.add_runs(tmp_path / "no.log")
    assert not (tmp_path / "no.log").exists()
    (tmp_path / "bad.log").write_text("no journal\n")
    with pytest.raises(NotFoundError, match="no study"):
        tree.add_runs(tmp_path / "bad.log")


def suggested(trial):
    """Larger is better, but x + y may be at most 1."""
    total = trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)
    trial.set_constraint("total", total - 1)
    return total


def listed(study):
    """The same trials as Optuna stored constraints before version 5."""
    older = optuna.create_study(direction="maximize")
    for trial in study.trials:
        attributes = {"constraints": [trial.system_attrs["constraints:total"]]}
        frozen_trial = optuna.trial.create_trial(
            params=trial.params, distributions=trial.distributions, value=trial.value, system_attrs=attributes
        )
        older.add_trial(frozen_trial)
    return older


@pytest.mark.parametrize("name", ["constraint_total", "constraint_0"])
def test_constraints_of_a_study_are_metric_constraints(tree, name):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(suggested, n_trials=60)
    if name == "constraint_0":
        study = listed(study)
    root = tree.add_runs(study)
    assert root._node.subject_to == (f"{name} <= 0",)
    assert root.trials["value"].max() > 1 >= root.best["value"]
    handed_over = tree.winner().params
    assert handed_over["x"] + handed_over["y"] <= 1
    review = refine.optuna.review(study)
    assert review.round._node.subject_to == root._node.subject_to


def test_an_import_names_left_out_trials_in_one_warning(tree, study):
    trial = study.ask()
    trial.set_user_attr("commit", "1f2e")
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial({"rate": 1e-3})  # waiting
    with pytest.warns(RefineWarning, match="out: 1 trial") as warned:
        tree.add_runs(study)
    assert [w.category for w in warned].count(RefineWarning) == 1  # Python may warn of other files


def test_copied_trials_of_a_study_count_once(tree, study):
    root = tree.add_runs(study)
    study.add_trials([study.trials[0], study.trials[7]])
    with pytest.warns(RefineWarning, match="2 runs of 42"):
        assert tree.add_runs(study).id == root.id
