"""Parameters that an objective reads without naming count as read, so none of them is called inert."""

import copy
import json
import pickle

import pytest

from refine.trials.goal import Goal

SPACE = {"lr": (0.0, 0.9, 10), "units": [4, 8], "depth": (1, 5)}


def of_pairs(pairs):
    return sum(float(value) for value in dict(pairs).values())


READS_ALL = {
    "str": lambda params: float(len(str(params))),
    "repr": lambda params: float(len(repr(params))),
    "f-string": lambda params: float(len(f"{params}")),
    "percent": lambda params: float(len("%s" % params)),  # noqa: UP031
    "equality": lambda params: float(params == {"lr": 0.1, "units": 4, "depth": 2}),
    "inequality": lambda params: float(params != {"lr": 0.1, "units": 4, "depth": 2}),
    "popitem": lambda params: float(params.popitem()[1]),
    "union": lambda params: of_pairs(params | {"other": 1}),
    "union from the right": lambda params: of_pairs({"other": 1} | params),
    "keywords": lambda params: (lambda **values: of_pairs(values))(**params),
    "json": lambda params: float(len(json.dumps(params))),
    "deep copy": lambda params: of_pairs(copy.deepcopy(params)),
    "pickle": lambda params: of_pairs(pickle.loads(pickle.dumps(params))),
    "dict.get": lambda params: dict.get(params, "lr") + dict.get(params, "units"),
    "dict.values": lambda params: float(sum(dict.values(params))),
    "one by name, others by text": lambda params: params["lr"] + len(f"{params}"),
}


@pytest.mark.parametrize("way", READS_ALL)
def test_reading_the_whole_configuration_reads_every_parameter(tree, way):
    root = tree.add_round(
        SPACE, READS_ALL[way], n=12, seed=1, name=way, metric=Goal("value", noise="retraining")
    )
    analysis = root.run().analyze()
    assert [name for name in SPACE if analysis[name].read == 0] == []


def test_parameter_that_no_trial_reads_by_name_is_still_found(tree):
    root = tree.add_round(
        SPACE,
        lambda params: params["lr"] + params.get("units"),
        n=12,
        seed=1,
        metric=Goal("value", noise="retraining"),
    )
    analysis = root.run().analyze()
    assert [name for name in SPACE if analysis[name].read == 0] == ["depth"]
