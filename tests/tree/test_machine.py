"""The machine of a tree and of a call."""

import dataclasses

import pytest

import refine
from refine.errors import DesignError


def square(params):
    return params["x"] ** 2


@pytest.fixture
def round_(tree):
    return tree.add_round({"x": (1, 8)}, square, n=4)


def test_the_machine_of_a_tree_holds_for_rounds_that_exist(tree, round_):
    ended = []
    tree.machine = refine.Machine(on_trial=ended.append, progress=False)
    assert round_.run()._context.settings.machine is tree.machine
    assert len(ended) == 4


def test_a_machine_of_a_call_replaces_that_of_the_tree(tree, round_):
    ended = []
    tree.machine = refine.Machine(on_trial=ended.append)
    round_.run(machine=refine.Machine(progress=False))
    assert ended == []


def test_workers_of_a_call_replace_those_of_the_tree(tree, round_):
    called = []
    tree.machine = refine.Machine(workers=3, on_trial=called.append, progress=False)
    assert round_._context.machine(None, 2) == dataclasses.replace(tree.machine, workers=2)
    assert round_._context.machine(refine.Machine(timeout=5), 2).workers == 2
    with pytest.raises(DesignError, match=r"workers=4 differs from machine=Machine\(workers=3"):
        round_.run(workers=4, machine=tree.machine)
    assert called == []


@pytest.mark.parametrize("wrong", [2, "2 workers", refine.Machine])
def test_other_values_are_refused(tree, round_, wrong):
    with pytest.raises(DesignError, match="machine must be a refine.Machine, got"):
        round_.run(machine=wrong)
    with pytest.raises(DesignError, match="machine must be a refine.Machine, got"):
        tree.machine = wrong


@pytest.mark.parametrize(
    "wrong",
    [{"workers": 0}, {"threads": 1.5}, {"hours": 0}, {"progress": 1}, {"on_round": 3}, {"track": "mlflow"}],
)
def test_a_field_out_of_range_is_refused_when_the_machine_is_made(wrong):
    with pytest.raises(DesignError, match=f"^{next(iter(wrong))} must"):
        refine.Machine(**wrong)


def test_a_machine_shows_the_fields_that_differ_from_the_defaults():
    assert repr(refine.Machine(workers=2, memory="2GB")) == "Machine(workers=2, memory='2GB')"
    assert refine.Machine(workers=2) == refine.Machine(workers=2)


def test_hours_of_a_machine_end_a_confirmation_too(tree):
    draws = iter(range(1000))
    root = tree.add_round(
        {"x": (0.0, 1.0, 21)},
        lambda p: p["x"] + next(draws) % 3,
        n=12,
        metric=refine.Goal("value", noise="retraining"),
    )
    root.run()
    tree.confirm(budget=6, machine=refine.Machine(hours=1e-9, progress=False))
    assert root.replicates.empty
