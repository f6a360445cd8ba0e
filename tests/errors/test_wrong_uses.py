"""Wrong uses of spaces, rounds and runs that people new to it make: each is refused before anything happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from wrong import check

import refine


class Model:
    def __init__(self, params):
        self.params = params

    def train(self):
        return 0.5


def one_by_one(lr, dropout, optimizer, epochs):
    return lr


def two_by_two(lr, dropout):
    return lr


def keras_model(x_train, y_train, x_val, y_val, params):
    return None


def add(place, *given, **options):
    space, objective = [*given, *(place.space, place.objective)[len(given) :]]
    return place.tree.add_round(space, objective, **{"n": 5, "seed": 1, **options})


def adding(*given, **options):
    return lambda place: add(place, *given, **options)


def space_of(entry, *constraints):
    return lambda place: refine.Space({"dropout": entry, "act": ["relu", "elu"]}, list(constraints))


def running(**options):
    return lambda place: place.empty.run(**{"progress": False, **options})


SPACES = {
    "a list of names": adding(["lr", "dropout"]),
    "objective first": lambda p: p.tree.add_round(p.objective, p.space, n=5),
    "by keyword": lambda p: refine.Space(lr=(0, 1)),
    "low above high": space_of((0.5, 0.2)),
    "a tuple of texts": space_of(("adam", "sgd")),
    "a set": space_of({"adam"}),
    "a dictionary": space_of({"low": 0, "high": 1}),
    "a kind alone": space_of(refine.Float),
    "texts in Float": lambda p: refine.Float("0", "1"),
    "log of zero": lambda p: refine.Float(0, 1, log=True),
    "log as third entry": space_of((0.001, 0.1, "log")),
    "a reserved name": adding({"seed": [1, 2]}),
    "constraint of a typo": space_of((0.0, 1.0), "drpout > 0.1"),
    "constraint without quotes": space_of((0.0, 1.0), "act == relu"),
    "constraint that none meets": lambda p: add(p, space_of((0.0, 1.0), "act == 'gelu'", "dropout < 0.9")(p)),
    "constraints that none meets": lambda p: add(
        p, space_of((0.0, 1.0), "dropout > 0.5", "dropout < 0.5")(p), downsample=0.5, n=None
    ),
    "membership of one configuration": lambda p: p.root.space.contains(p.root.space.configuration(0)),
}

ROUNDS = {
    "objective as text": adding({"a": (0, 3)}, "objective"),
    "objective that was called": adding({"a": (0, 3)}, 0.93),
    "objective is a class": adding({"a": (0, 3)}, Model),
    "objective is an instance that can't be called": adding({"a": (0, 3)}, Model(None)),
    "objective without an argument": adding({"a": (0, 3)}, Model(None).train),
    "objective of parameters one by one": lambda p: add(p, p.space, one_by_one),
    "objective of two parameters": lambda p: add(p, p.space, two_by_two),
    "a model function": lambda p: add(p, p.space, keras_model),
    "no size": adding(n=None),
    "n is a float": adding(n=5.0),
    "n is text": adding(n="5"),
    "n is zero": adding(n=0),
    "n is negative": adding(n=-3),
    "n beyond the grid": adding(n=181),
    "downsample in percent": adding(n=None, downsample=10),
    "seed as text": adding(seed="7"),
    "direction max": adding(direction="max"),
    "direction is a flag": adding(direction=True),
    "metric is a list": adding(metric=["acc"]),
    "metric without a name": adding(metric="max:"),
    "design in capitals": adding(design="TPE"),
    "design of another library": adding(design="random"),
    "role of a typo": adding(roles={"drpout": "scientific"}),
    "roles as a list": adding(roles=["dropout"]),
    "roles without a name": lambda p: p.root.set_roles("dropout"),
    "degenerate as text": adding(allow_degenerate="no"),
    "name is a number": adding(name=3),
    "note is a number": adding(note=3),
    "an option nobody knows": adding(directon="maximize"),
}

RUNS = {
    "no worker": running(workers=0),
    "workers as text": running(workers="2"),
    "workers and a larger n": running(workers="2", n=40),
    "objective in place of workers": lambda p: p.empty.run(len),
    "threads as text": running(threads="1"),
    "progress as text": running(progress="False"),
    "an executor's class": running(executor=ThreadPoolExecutor),
    "timeout as text": running(timeout="5"),
    "memory in gigabytes": running(memory=2),
    "rerun of a typo": running(rerun="fail"),
    "an option of another library": running(n_jobs=2),
    "another objective": running(objective=two_by_two, name="two"),
    "a function of the metrics without a name": adding(metric=partial(max)),
}


USES = SPACES | ROUNDS | RUNS


@pytest.mark.parametrize("name", USES)
def test_it_is_refused_before_anything_happens(place, name):
    check(place, __name__, name, USES[name])


def test_a_whole_number_of_numpy_is_one(tmp_path, place):
    with refine.Tree("numpy", store=tmp_path / "numpy.db") as tree:
        found = tree.add_round(place.space, place.objective, n=np.int64(5), seed=np.int64(7))
        assert found.id == tree.add_round(place.space, place.objective, n=5, seed=7).id
        assert len(tree) == 1


def test_a_list_of_two_numbers_is_shown_with_what_a_range_would_be():
    said = "dropout: a list is choices, here 0 and 0.5 alone; a range is written (0, 0.5)"
    page = refine.Space({"dropout": [0, 0.5], "depth": [1, 2], "lr": (0, 0.5), "act": ["relu", 0.5]}).page()
    assert [block.text for block in page.blocks[1:]] == [said]
