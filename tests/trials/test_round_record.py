"""What a round's id depends on, what it doesn't, and the seeds that follow from it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Float, Space
from refine.space.space import configuration_key
from refine.trials.round_record import Node

FAST = settings(max_examples=60, deadline=None)
SPACE = Space(
    {"lr": Float(1e-4, 1, 5, log=True), "units": [4, 8], "act": [math.log, None]}, ["units > 4 or lr < 1"]
)
CONTENT = {"parent": None, "space": SPACE, "method": "sobol", "seed": 7, "objective": "module:train"}


def node(**changes):
    return Node(**{**CONTENT, **changes})


def test_golden_ids():
    """Ids are in every stored file: they must never change."""
    assert node().id == "9cc4c8b336b4"
    assert (
        node(parent="9cc4c8b336b4", data="abc", exploit=0.5, audit=0.1, previous={"l2": 0.0}).id
        == "b756532b7569"
    )


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
    {"parent": "000000000001"},
    {"space": SPACE.replace({"units": [4, 16]})},
    {"space": Space(dict(SPACE))},
    {"method": "uniform"},
    {"exploit": 0.25},
    {"audit": 0.25},
    {"seed": 8},
    {"objective": "module:other"},
    {"data": "abc"},
    {"data": "abd"},
    {"previous": {"l2": 0.0}},
    {"previous": {"l2": None}},
]


def test_the_id_depends_on_all_else():
    ids = [node().id, *(node(**changes).id for changes in CHANGES)]
    assert len(set(ids)) == len(ids)


def test_two_parents_with_the_same_space_give_two_nodes():
    first, second = node(seed=1), node(seed=2)
    assert node(parent=first.id).id != node(parent=second.id).id
    assert node(parent=first.id).id == node(parent=first.id, note="again").id


def test_ids_are_12_hexadecimal_digits():
    for changes in CHANGES:
        found = node(**changes).id
        assert len(found) == 12
        assert int(found, 16) >= 0


def test_json_and_back():
    first = node(
        parent="0123456789ab",
        data="abc",
        exploit=0.2,
        previous={"act2": math.log, "layers": [1, 2]},
        note="why",
    )
    content = json.loads(json.dumps(first.identity()))
    again = Node.from_json(content, note="why", metric="value", direction="maximize", author="", created=0.0)
    assert again == first
    assert again.id == first.id
    assert again.identity() == first.identity()
    assert again.previous == {"act2": again.previous["act2"], "layers": (1, 2)}
    assert again.previous["act2"].path == "math.log"


def test_nodes_are_frozen():
    with pytest.raises(AttributeError):
        node().seed = 3


# Seeds.


@pytest.mark.slow
@FAST
@given(
    some.integers(0, 2**31 - 1),
    some.text("0123456789abcdef", min_size=16, max_size=16),
    some.integers(0, 1000),
)
def test_seeds_have_31_bits(seed, key, replicate):
    one = node(seed=seed)
    for found in (one.trial_seed(key, replicate), one.design_seed):
        assert type(found) is int
        assert 0 <= found < 2**31
    np.random.default_rng(one.trial_seed(key, replicate))


def test_trial_seeds_do_not_depend_on_order():
    one, again = node(), node()
    keys = [configuration_key(SPACE.frozen(SPACE.configuration(cell))) for cell in range(SPACE.size)]
    forwards = {key: one.trial_seed(key, 0) for key in keys}
    backwards = {key: again.trial_seed(key, 0) for key in reversed(keys)}
    assert forwards == backwards
    assert len(set(forwards.values())) == len(keys)
    assert forwards[keys[0]] == 237118889


def test_trial_seeds_differ_between_rounds_permutations_and_replicates():
    seeds = [
        node(seed=seed).trial_seed(key, replicate)
        for seed in range(10)
        for key in ("a", "b", "c")
        for replicate in range(5)
    ]
    assert len(set(seeds)) == 150


def test_seeds_use_all_their_bits():
    seeds = np.array([node().trial_seed(str(i), 0) for i in range(2000)])
    ones = (seeds[:, None] >> np.arange(31) & 1).mean(axis=0)
    assert (abs(ones - 0.5) < 0.06).all()


def test_the_seed_of_the_design_belongs_to_the_round():
    assert node().design_seed != node(seed=8).design_seed
    assert node().design_seed != node(parent="0").design_seed
    assert node().design_seed == node(note="x").design_seed
