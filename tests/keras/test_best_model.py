"""The model of the best trial: the same weights again, or loaded where it was kept."""

import json
import os
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras.layers import Dense, Dropout
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import refine
import refine.keras
from refine.errors import AnalysisError, DesignError, ObjectiveError
from refine.keras import KerasObjective, fmeasure

X, Y = load_breast_cancer(return_X_y=True)
SPACE = refine.Space({"lr": [0.001, 0.01], "units": [2, 4], "dropout": [0.0, 0.2]})
EPOCHS = [4]
SEEN = []


def model_function(x_train, y_train, x_val, y_val, params):
    hidden = [Dense(params["units"], activation="relu"), Dropout(params["dropout"])]
    model = keras.Sequential([keras.Input((30,)), *hidden, Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(params["lr"]), "binary_crossentropy", metrics=["acc", fmeasure])
    history = refine.keras.fit(model, x_train, y_train, validation_data=[x_val, y_val], epochs=EPOCHS[0])
    SEEN.append(model)
    return history, model


@pytest.fixture(scope="module")
def objective():
    return KerasObjective(model_function, X, Y, preprocess=StandardScaler(), holdout=0.2)


@pytest.fixture(scope="module")
def round_(tmp_path_factory, objective):
    with refine.Tree("q", store=tmp_path_factory.mktemp("best") / "a.db") as tree:
        SEEN.clear()
        yield tree.add_round(SPACE, objective, metric="val_acc", n=4).run()


def test_the_best_model_has_the_weights_of_its_trial(round_, objective):
    seeds = round_.trials["seed"].tolist()
    assert len(set(seeds)) == 4
    winner = SEEN[seeds.index(round_.best["seed"])]
    model = round_.best_model()
    assert model is not winner
    for weights, first_weights in zip(model.get_weights(), winner.get_weights(), strict=True):
        assert np.array_equal(weights, first_weights)
    x_val, y_val = objective._data[2:]
    # The model is whole: it predicts, can be measured, and trained on.
    assert model.evaluate(x_val, y_val, verbose=0, return_dict=True)["acc"] == pytest.approx(
        round_.best["value"], abs=1e-6
    )
    model.fit(*objective._data[:2], epochs=1, verbose=0)
    assert np.isfinite(model.predict(objective.transformer.transform(X[:5]), verbose=0)).all()


def test_the_best_model_is_saved_and_loaded(round_, tmp_path):
    first = round_.best_model(tmp_path / "models")
    (file,) = (tmp_path / "models").iterdir()
    assert file.name.startswith(round_.id)
    trainings = len(SEEN)
    reloaded = round_.best_model(tmp_path / "models")
    assert len(SEEN) == trainings  # loaded, not trained
    for weights, first_weights in zip(reloaded.get_weights(), first.get_weights(), strict=True):
        assert np.array_equal(weights, first_weights)
    round_.best_model(tmp_path / "models", rank=2)
    assert len(list((tmp_path / "models").iterdir())) == 2


def lambda_of_a_stranger(file, ran):
    def code(x):
        __import__("pathlib").Path(ran).touch()
        return x

    layers = [keras.Input((30,)), keras.layers.Lambda(code, output_shape=(30,))]
    keras.Sequential(layers).save(file)
    ran.unlink(missing_ok=True)


def configured(**config):
    def write(file, ran):
        keras.Sequential([keras.Input((30,)), Dense(1)]).save(file)
        with zipfile.ZipFile(file) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        (ran.parent / "evil_layers.py").write_text(f"open({str(ran)!r}, 'w')")
        with zipfile.ZipFile(file, "w") as packed:
            for name, content in parts.items():
                packed.writestr(name, json.dumps(config) if name == "config.json" else content)
            packed.writestr("../ran", "mine")
            packed.writestr(str(ran), "mine")

    return write


HOSTILE = {
    "a lambda": lambda_of_a_stranger,
    "a module": configured(module="evil_layers", class_name="Evil", config={}, registered_name="Evil"),
    "a call": configured(
        module="keras.config", class_name="enable_unsafe_deserialization", config={}, registered_name=None
    ),
    "a function": configured(module="os", class_name="function", config="system", registered_name="system"),
    "half a file": lambda file, _: file.write_bytes(file.read_bytes()[:-2000]),
    "no model": lambda file, _: file.write_text("no zip"),
    "a folder": lambda file, _: (file.unlink(), file.mkdir()),
    "a pipe": lambda file, _: (file.unlink(), os.mkfifo(file)),
}


@pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12) and "CI" not in os.environ,
    reason="Keras before 3.12 imports it, which CI must not have",
)
def test_a_hostile_file_in_the_place_of_a_model_runs_nothing(round_, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    round_.best_model(tmp_path / "models")
    (file,) = (tmp_path / "models").iterdir()
    sound = file.read_bytes()
    ran = tmp_path / "ran"
    for attack, make in HOSTILE.items():
        make(file, ran)
        with pytest.raises(ObjectiveError, match=r"got \w+: (?s:.*); remove") as refused:
            round_.best_model(tmp_path / "models")
        assert str(file) in str(refused.value), attack
        assert len(str(refused.value)) < 700
        assert not ran.exists(), attack
        assert "evil_layers" not in sys.modules
        file.rmdir() if file.is_dir() else file.unlink()
        file.write_bytes(sound)


@pytest.mark.nightly
def test_other_code_is_noticed(round_):
    EPOCHS[0] = 5
    try:
        with pytest.warns(RuntimeWarning, match="retrained"):
            round_.best_model()
    finally:
        EPOCHS[0] = 4


@pytest.mark.nightly
def test_several_splits_give_the_first_ones_model(tree):
    objective = KerasObjective(model_function, X, Y, preprocess=StandardScaler(), splits=2)
    round_ = tree.add_round(SPACE, objective, metric="val_acc", n=2).run()
    model = round_.best_model()  # the values of the first split agree, or there were a warning
    x_val, y_val = objective._data[2:]
    measured = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["acc"]
    assert measured == pytest.approx(round_.best["val_acc@1"], abs=1e-6)


def test_a_best_model_that_cannot_be_made_is_refused_first(round_, tmp_path):
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        round_.best_model(rank=0)
    with pytest.raises(AnalysisError, match="got rank=99; run more"):
        round_.best_model(rank=99)

    def plain(params):
        return params["x"]

    class Gives:
        name = "gives"

        def __call__(self, params):
            return params["x"]

        def trained(self, params, trial):
            assert trial.seed
            return f"model of {params['x']}", {"value": params["x"]}

    with refine.Tree("q", store=tmp_path / "b.db") as tree:
        bare = tree.add_round({"x": [1, 2, 3]}, plain, n=3).run()
        with pytest.raises(ObjectiveError, match="refine.keras.KerasObjective"):
            bare.best_model()
        kind = tree.add_round({"x": [1, 2, 3]}, Gives(), n=3).run()
        assert kind.best_model() == "model of 3"
        with pytest.raises(ObjectiveError, match="save"):
            kind.best_model(tmp_path)
