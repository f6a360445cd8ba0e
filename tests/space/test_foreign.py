"""Spaces of other libraries: from what they write, and from the libraries themselves where they are installed."""

import json

import pytest

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space


def entry(kind, name, conditions=(), **config):
    scopes = [{"class_name": "Parent", "config": {"name": n, "values": v}} for n, v in conditions]
    return {"class_name": kind, "config": {"name": name, "default": None, "conditions": scopes, **config}}


KERAS_TUNER = {
    "space": [
        entry("Choice", "model", values=["mlp", "cnn"], ordered=False),
        entry("Int", "units", [("model", ["mlp"])], min_value=8, max_value=70, step=8, sampling="linear"),
        entry("Int", "filters", [("model", ["cnn"])], min_value=16, max_value=128, step=2, sampling="log"),
        entry("Boolean", "norm", [("model", ["cnn"]), ("filters", [64, 128])]),
        entry("Float", "lr", min_value=1e-4, max_value=1e-2, step=None, sampling="log"),
        entry("Fixed", "epochs", value=3),
    ],
    "values": {},
}


def test_conditional_scopes_of_a_tuner(tmp_path):
    expected = Space(
        {
            "model": ["mlp", "cnn"],
            "units": Integer(8, 64, step=8, when="model == 'mlp'"),
            "filters": Integer(16, 128, base=2, when="model == 'cnn'"),
            "norm": Categorical([False, True], when="model == 'cnn' and filters in [64, 128]"),
            "lr": Float(1e-4, 1e-2, log=True),
            "epochs": 3,
        }
    )
    assert Space.from_keras_tuner(KERAS_TUNER) == expected
    (tmp_path / "oracle.json").write_text(json.dumps({"ongoing_trials": {}, "hyperparameters": KERAS_TUNER}))
    assert Space.from_keras_tuner(str(tmp_path / "oracle.json")) == expected


def test_what_is_no_such_space_is_an_error(tmp_path):
    with pytest.raises(SpaceError, match=r"this must be HyperParameters, what its get_config\(\) gives"):
        Space.from_keras_tuner({"a": 1})
    with pytest.raises(SpaceError, match="must be a JSON file of HyperParameters"):
        Space.from_keras_tuner(tmp_path / "none.json")
