"""Wrong uses of spaces, rounds and runs that people new to it make: each is refused before anything happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from wrong import check, tries

import refine
from refine.errors import AnalysisError, DesignError, ObjectiveError, ReviewError, SpaceError


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


"""What Python itself says since then."""


def adding(*given, **options):
    return lambda place: add(place, *given, **options)


def space_of(entry, *constraints):
    return lambda place: refine.Space({"dropout": entry, "act": ["relu", "elu"]}, list(constraints))


def running(**options):
    return lambda place: place.empty.run(**{"progress": False, **options})


WRITE = 'write {"dropout": (0, 0.5), "units": [8, 16]}'
DEF = "write def objective(params): ... and give objective itself, without brackets"
TAKES = "an objective takes a configuration, or a configuration and the running trial, but it requires"
SHARE = "0.01 runs one in a hundred, n= takes a number"
METRIC = "metric must be the name of a metric, such as 'val_acc' or 'max:val_acc', or a function of the trial's metrics, got"
DESIGNS = "sobol, uniform, tpe, gp, cmaes, qmc"

SPACES = {
    "a list of names": (
        adding(["lr", "dropout"]),
        SpaceError,
        f"a space needs a mapping of names to parameters, got list; {WRITE}",
    ),
    "objective first": (
        lambda p: p.tree.add_round(p.objective, p.space, n=5),
        SpaceError,
        f"a space needs a mapping of names to parameters, got function; {WRITE}",
    ),
    "by keyword": (
        lambda p: refine.Space(lr=(0, 1)),
        TypeError,
        "Space() got an unexpected keyword argument 'lr'; known: parameters, constraints",
    ),
    "low above high": (
        space_of((0.5, 0.2)),
        SpaceError,
        "dropout: low must be < high, got (0.5, 0.2); swap them?",
    ),
    "a tuple of texts": (
        space_of(("adam", "sgd")),
        SpaceError,
        "dropout: a tuple is a range (low, high) or (low, high, levels) of numbers, got ('adam', 'sgd'); for choices "
        "write a list ['adam', 'sgd']",
    ),
    "a set": (
        space_of({"adam"}),
        SpaceError,
        "dropout: choices must be a list, whose order is kept, got set; write [...]",
    ),
    "a dictionary": (
        space_of({"low": 0, "high": 1}),
        SpaceError,
        "dropout: a parameter is a range (low, high), a list of choices [...] or one value, got the dictionary "
        "{'low': 0, 'high': 1}; write one of these",
    ),
    "a kind alone": (
        space_of(refine.Float),
        SpaceError,
        "dropout: a parameter is more than its kind, got Float alone; write Float(low, high)",
    ),
    "texts in Float": (
        lambda p: refine.Float("0", "1"),
        SpaceError,
        "low must be a finite number, got '0'",
    ),
    "log of zero": (
        lambda p: refine.Float(0, 1, log=True),
        SpaceError,
        "low must be > 0 on a logarithmic scale, got 0; start above zero or leave log out",
    ),
    "log as third entry": (
        space_of((0.001, 0.1, "log")),
        SpaceError,
        "dropout: the third entry of a range is its number of levels, a whole number, got (0.001, 0.1, 'log'); a "
        "logarithmic scale is refine.Float(low, high, log=True)",
    ),
    "a reserved name": (
        adding({"seed": [1, 2]}),
        SpaceError,
        "seed: this name is reserved for the table of trials (state, value, seconds, seed, cell, origin); rename the "
        "parameter",
    ),
    "constraint of a typo": (
        space_of((0.0, 1.0), "drpout > 0.1"),
        SpaceError,
        "constraint 'drpout > 0.1': unknown parameter 'drpout'; did you mean 'dropout'?",
    ),
    "constraint without quotes": (
        space_of((0.0, 1.0), "act == relu"),
        SpaceError,
        "constraint 'act == relu': unknown parameter 'relu'; a text stands in quotes",
    ),
    "constraint that none meets": (
        lambda p: add(p, space_of((0.0, 1.0), "act == 'gelu'", "dropout < 0.9")(p)),
        DesignError,
        "no configuration meets the constraint \"act == 'gelu'\"; relax it, or give parameters more levels",
    ),
    "constraints that none meets": (
        lambda p: add(p, space_of((0.0, 1.0), "dropout > 0.5", "dropout < 0.5")(p), downsample=0.5, n=None),
        DesignError,
        "no configuration meets all constraints together; relax it, or give parameters more levels",
    ),
    "membership of one configuration": (
        lambda p: p.root.space.contains(p.root.space.configuration(0)),
        SpaceError,
        "contains needs a table, one row per configuration, got dict; of one configuration pd.DataFrame([configuration])",
    ),
}

ROUNDS = {
    "objective as text": (
        adding({"a": (0, 3)}, "objective"),
        ObjectiveError,
        f"an objective must be a function of a configuration, got str; {DEF}",
    ),
    "objective that was called": (
        adding({"a": (0, 3)}, 0.93),
        ObjectiveError,
        f"an objective must be a function of a configuration, got float; {DEF}",
    ),
    "objective is a class": (
        adding({"a": (0, 3)}, Model),
        ObjectiveError,
        "an objective must be a function of a configuration, got the class Model; give an instance that can be called, or one "
        "of its methods",
    ),
    "objective is an instance that can't be called": (
        adding({"a": (0, 3)}, Model(None)),
        ObjectiveError,
        f"an objective must be a function of a configuration, got Model; {DEF}",
    ),
    "objective without an argument": (
        adding({"a": (0, 3)}, Model(None).train),
        ObjectiveError,
        f"{__name__}.Model.train: an objective takes a configuration as its first argument, but it takes nothing; write def "
        "objective(params): ...",
    ),
    "objective of parameters one by one": (
        lambda p: add(p, p.space, one_by_one),
        ObjectiveError,
        f"{__name__}.one_by_one: {TAKES} (lr, dropout, optimizer, epochs); write def objective(params): ... and read "
        "params['lr']",
    ),
    "objective of two parameters": (
        lambda p: add(p, p.space, two_by_two),
        ObjectiveError,
        f"{__name__}.two_by_two: {TAKES} (lr, dropout); write def objective(params): ... and read params['lr']",
    ),
    "a model function": (
        lambda p: add(p, p.space, keras_model),
        ObjectiveError,
        f"{__name__}.keras_model: {TAKES} (x_train, y_train, x_val, y_val, params); a model function (x_train, y_train, "
        "x_val, y_val, params) goes into refine.keras.KerasObjective",
    ),
    "no size": (
        adding(n=None),
        DesignError,
        "say how many configurations to run: n (a number) or downsample (a share), got none",
    ),
    "n is a float": (
        adding(n=5.0),
        DesignError,
        "n must be a whole number, got 5.0; for a share use downsample=",
    ),
    "n is text": (
        adding(n="5"),
        DesignError,
        "n must be a whole number, got '5'; for a share use downsample=",
    ),
    "n is zero": (adding(n=0), DesignError, "n must be >= 1, got 0"),
    "n is negative": (adding(n=-3), DesignError, "n must be >= 1, got -3"),
    "n beyond the grid": (
        adding(n=181),
        DesignError,
        "n must be <= the number of configurations left, got 181, but 180 exist; ask for fewer, or give ranges more levels",
    ),
    "downsample in percent": (
        adding(n=None, downsample=10),
        DesignError,
        f"downsample must be a share > 0 and <= 1, got 10; {SHARE}",
    ),
    "seed as text": (adding(seed="7"), DesignError, "seed must be a whole number, got '7'; such as seed=7"),
    "direction max": (
        adding(direction="max"),
        AnalysisError,
        "direction must be 'maximize' or 'minimize', got 'max'; did you mean 'maximize'?",
    ),
    "direction is a flag": (
        adding(direction=True),
        AnalysisError,
        "direction must be 'maximize' or 'minimize', got True",
    ),
    "metric is a list": (
        adding(metric=["acc"]),
        AnalysisError,
        "several goals are a list of 2 or 3, such as [Goal('val_acc'), Goal('latency_ms', 'minimize')], got ['acc']",
    ),
    "metric without a name": (
        adding(metric="max:"),
        AnalysisError,
        "metric 'max:': after the colon stands a metric's name, got none; write 'max:val_acc'",
    ),
    "design in capitals": (
        adding(design="TPE"),
        DesignError,
        "design: unknown design 'TPE'; did you mean 'tpe'?",
    ),
    "design of another library": (
        adding(design="random"),
        DesignError,
        f"design: unknown design 'random'; known: {DESIGNS}",
    ),
    "role of a typo": (
        adding(roles={"drpout": "scientific"}),
        SpaceError,
        "roles: unknown parameter 'drpout'; did you mean 'dropout'?",
    ),
    "roles as a list": (
        adding(roles=["dropout"]),
        SpaceError,
        "roles map parameters to roles, roles={'dropout': 'scientific'}, got ['dropout']",
    ),
    "roles without a name": (
        lambda p: p.root.set_roles("dropout"),
        SpaceError,
        "roles map parameters to roles, roles={'dropout': 'scientific'}, got 'dropout'",
    ),
    "degenerate as text": (
        adding(allow_degenerate="no"),
        AnalysisError,
        "allow_degenerate must be True or False, got 'no'; True lets such trials be best",
    ),
    "name is a number": (
        adding(name=3),
        ObjectiveError,
        "an objective's name must be a text that is not empty, got 3; leave it out for the function's own",
    ),
    "note is a number": (adding(note=3), ReviewError, "a note must be text, got 3; write note='...'"),
    "an option nobody knows": (
        adding(directon="maximize"),
        TypeError,
        "Tree.add_round() got an unexpected keyword argument 'directon'; did you mean 'direction'?",
    ),
}

WHOLE = "must be a whole number >= 1, got"
RUNS = {
    "no worker": (running(workers=0), DesignError, f"workers {WHOLE} 0; workers=2 is two at a time"),
    "workers as text": (
        running(workers="2"),
        DesignError,
        f"workers {WHOLE} '2'; workers=2 is two at a time",
    ),
    "workers and a larger n": (
        running(workers="2", n=40),
        DesignError,
        f"workers {WHOLE} '2'; workers=2 is two at a time",
    ),
    "objective in place of workers": (
        lambda p: p.empty.run(len),
        DesignError,
        f"workers {WHOLE} <built-in function len>; an objective is given by name: run(objective=...)",
    ),
    "threads as text": (running(threads="1"), DesignError, f"threads {WHOLE} '1'; 1 is the default"),
    "progress as text": (
        running(progress="False"),
        DesignError,
        "progress must be True or False, got 'False'; False shows no bar",
    ),
    "an executor's class": (
        running(executor=ThreadPoolExecutor),
        DesignError,
        "executor must be one of concurrent.futures, got <class 'concurrent.futures.thread.ThreadPoolExecutor'>; such as "
        "ThreadPoolExecutor(2), or of a Dask client client.get_executor()",
    ),
    "timeout as text": (
        running(timeout="5"),
        DesignError,
        "timeout must be a number of seconds > 0, got '5'; leave it out for none",
    ),
    "memory in gigabytes": (
        running(memory=2),
        DesignError,
        "memory must be at least 200 MB, what a worker needs to start, got 2; TensorFlow alone takes half a gigabyte",
    ),
    "rerun of a typo": (
        running(rerun="fail"),
        DesignError,
        "rerun must be a state of trials, got 'fail'; did you mean 'failed'?",
    ),
    "an option of another library": (
        running(n_jobs=2),
        TypeError,
        "Round.run() got an unexpected keyword argument 'n_jobs'; help(refine.Round.run) lists those that it knows",
    ),
    "another objective": (
        running(objective=two_by_two, name="two"),
        ObjectiveError,
        "round EMPTY: runs the objective with name 'conftest.objective', got one with 'two'; another objective is another "
        "round: tree.add_round(...)",
    ),
    "a function of the metrics without a name": (
        adding(metric=partial(max)),
        AnalysisError,
        "a metric that is a function is recorded by its name, got 'partial'; write def score(metrics): ... and pass score",
    ),
}


@tries(SPACES | ROUNDS | RUNS)
def test_it_is_refused_before_anything_happens(place, wrong):
    check(place, wrong)


def test_a_whole_number_of_numpy_is_one(tmp_path, place):
    with refine.Tree("numpy", store=tmp_path / "numpy.db") as tree:
        found = tree.add_round(place.space, place.objective, n=np.int64(5), seed=np.int64(7))
        assert found.id == tree.add_round(place.space, place.objective, n=5, seed=7).id
        assert len(tree) == 1


def test_a_list_of_two_numbers_is_shown_with_what_a_range_would_be():
    said = "dropout: a list is choices, here 0 and 0.5 alone; a range is written (0, 0.5)"
    page = refine.Space({"dropout": [0, 0.5], "depth": [1, 2], "lr": (0, 0.5), "act": ["relu", 0.5]}).page()
    assert [block.text for block in page.blocks[1:]] == [said]
