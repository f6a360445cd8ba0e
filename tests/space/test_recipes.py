"""The recipe of a space for Optuna: its draws lie in the space."""

import math

import numpy as np
import pandas as pd
import pytest

import refine
from refine.space.encoding import literal, modules
from tests.recipes import recipe

RICH = refine.Space(
    {
        "optimizer": ["adam", "sgd", "rmsprop"],
        "momentum": refine.Float(0.0, 0.99, when="optimizer == 'sgd'"),
        "nesterov": refine.Categorical([False, True], when="momentum > 0.5"),
        "lr": refine.Float(1e-4, 0.1, log=True),
        "units": refine.Integer(16, 256, base=2),
        "depth": refine.Integer(1, 6),
        "width": refine.Integer(8, 64, step=8),
        "dropout": refine.Float(0.0, 0.5, step=0.1),
        "batch": [16, 32, 64],
        "size": refine.Categorical(["s", "m", "l"], ordered=True),
        "steps": refine.Integer(10, 1000, log=True),
        "leaves": refine.Categorical([None, 4, 8], when="depth >= 3 or optimizer in ['adam']"),
        "epochs": 10,
    },
    constraints=[
        "depth < 5 or batch != 64",
        "not (optimizer == 'sgd' and size == 'l')",
        "momentum < 0.9 or lr < 0.05",
        "leaves is None or leaves <= 2 ** depth",
        "dropout + 0.1 <= 0.5",
    ],
)


def suggest_of(space):
    return recipe("tools.md", "Optuna space", space=space, refine=refine)["suggest"]


@pytest.mark.slow
def test_configurations_that_optuna_draws_cover_the_space():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    suggest = suggest_of(RICH)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configurations = []
    pruned = 0
    for _ in range(300):
        trial = study.ask()
        try:
            configurations.append(suggest(trial))
        except optuna.TrialPruned:
            pruned += 1
    assert 0 < pruned < 300
    for params in configurations:
        assert set(params) == RICH.has(params)
        assert RICH.holds(params)
    frame = pd.DataFrame(configurations)
    assert set(frame["units"]) == {16, 32, 64, 128, 256}
    assert set(frame["width"]) == set(range(8, 65, 8))
    assert set(np.round(frame["dropout"], 9)) == {0, 0.1, 0.2, 0.3, 0.4}  # 0.4 + 0.1 is 0.5 but for rounding
    assert np.median(np.log10(frame["lr"])) == pytest.approx(-2.5, abs=0.3)
    assert np.median(np.log10(frame["steps"])) == pytest.approx(2, abs=0.25)
    assert frame["leaves"].isna().any()
    assert set(frame["nesterov"].dropna()) == {False, True}


def test_configurations_that_optuna_prunes_break_a_constraint():
    import optuna

    space = refine.Space(
        {"a": (0, 9), "b": (0, 9), "c": refine.Integer(0, 9, when="a > 4")}, ["a + b < 9 or c == 3"]
    )
    suggest = suggest_of(space)
    for a in range(10):
        for b in range(0, 10, 3):
            for c in (0, 3):
                fixed = {"a": a, "b": b, "c": c}
                params = {n: v for n, v in fixed.items() if n != "c" or a > 4}
                trial = optuna.trial.FixedTrial(fixed)
                if space.holds(params):
                    assert suggest(trial) == params
                else:
                    with pytest.raises(optuna.TrialPruned, match="breaks"):
                        suggest(trial)


def test_references_are_written_as_where_they_are_imported_from_in_tuples_too():
    pair = refine.Space({"pair": [(math.sin, math.cos), (math.cos,)]})["pair"].grid
    assert [literal(value) for value in pair] == ["(math.sin, math.cos)", "(math.cos,)"]
    assert modules(pair) == {"math"}


def test_optuna_gets_classes_by_their_labels():
    import optuna

    space = refine.Space({"f": [math.sin, math.cos], "shape": [(1, 2), (3,)]})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest_of(space)(study.ask()) for _ in range(20)]
    assert {p["f"] for p in drawn} == {math.sin, math.cos}
    assert {p["shape"] for p in drawn} == {(1, 2), (3,)}
