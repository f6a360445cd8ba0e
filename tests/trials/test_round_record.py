"""The parts of a round that its id depends on, and the seeds that follow from the id."""

import json
import math

import pytest

from refine import Float, Space
from refine.space.space import configuration_key
from refine.trials.round_record import Node

SPACE = Space(
    {"lr": Float(1e-4, 1, 5, log=True), "units": [4, 8], "act": [math.log, None]}, ["units > 4 or lr < 1"]
)
CONTENT = {"parent": None, "space": SPACE, "method": "sobol", "seed": 7, "objective": "module:train"}


def node(**changes):
    return Node(**{**CONTENT, **changes})


def test_ids_of_rounds_are_the_recorded_ones():
    """Ids are in every stored file: they must never change."""
    assert node().id == "9cc4c8b336b4"
    child = node(parent="9cc4c8b336b4", data="abc", exploit=0.5, audit=0.1, previous={"l2": 0.0})
    assert child.id == "b756532b7569"


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "max:val_acc"},
        {"direction": "minimize"},
        {"note": "low dropout only"},
        {"author": "somebody"},
        {"created": 1.7e9},
        {"exploit": 0},  # as 0.0
        {"previous": {}},
        {"space": Space.from_json(json.loads(json.dumps(SPACE.to_json())))},
        {"space": Space(dict(SPACE), ["units>4 or lr<1"])},
    ],
)
def test_the_id_does_not_depend_on(changes):
    assert node(**changes).id == node().id
    assert node(**changes).trial_seed("k", 0) == node().trial_seed("k", 0)


CHANGES = [
    {"parent": "000000000000"},
    {"space": SPACE.replace({"units": [4, 16]})},
    {"space": Space(dict(SPACE))},
    {"method": "uniform"},
    {"exploit": 0.25},
    {"audit": 0.25},
    {"seed": 8},
    {"objective": "module:other"},
    {"data": "abc"},
    {"previous": {"l2": 0.0}},
    {"previous": {"l2": None}},
]


def test_the_id_depends_on_all_else():
    ids = [node().id, *(node(**changes).id for changes in CHANGES)]
    assert len(set(ids)) == len(ids)


def test_a_round_record_survives_json():
    previous = {"act2": math.log, "layers": [1, 2]}
    first = node(parent="0123456789ab", data="abc", exploit=0.2, previous=previous, note="why")
    content = json.loads(json.dumps(first.identity()))
    decoded = Node.from_json(
        content, note="why", metric="value", direction="maximize", author="", created=0.0
    )
    assert decoded == first
    assert decoded.id == first.id
    assert decoded.identity() == first.identity()
    assert decoded.previous == {"act2": decoded.previous["act2"], "layers": (1, 2)}
    assert decoded.previous["act2"].path == "math.log"


# Seeds.


def test_trial_seeds_do_not_depend_on_order_but_on_round_configuration_and_replicate():
    first = node()
    second = node()
    keys = [configuration_key(SPACE.frozen(SPACE.configuration(cell))) for cell in range(SPACE.size)]
    forwards = {key: first.trial_seed(key, 0) for key in keys}
    assert forwards == {key: second.trial_seed(key, 0) for key in reversed(keys)}
    assert forwards[keys[0]] == 237118889
    rounds = [node(seed=seed) for seed in range(10)]
    seeds = {round_.trial_seed(key, i) for round_ in rounds for key in keys for i in range(5)}
    assert len(seeds) == 10 * len(keys) * 5
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len({round_.design_seed for round_ in rounds}) == 10
