"""A space as code for other libraries: what it draws lies in the space, and what these libraries read back is the space."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import SpaceError
from refine.space.code import TARGETS

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
        "leaves": refine.Categorical(
            [None, 4, 8], when="depth >= 3 or optimizer in ['adam', 'rmsprop']", otherwise=31
        ),
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
PLAIN = refine.Space(
    {
        "optimizer": ["adam", "sgd"],
        "momentum": refine.Float(0.1, 0.9, when="optimizer == 'sgd'"),
        "lr": refine.Float(1e-4, 0.1, log=True),
        "depth": refine.Integer(1, 6),
        "decay": refine.Float(0.0, 1.0, when="optimizer == 'sgd' and depth > 2"),
        "batch": [16, 32, 64],
        "epochs": 10,
    }
)
FORBIDDEN = refine.Space(dict(PLAIN), ["depth < 5 or batch != 64", "optimizer == 'adam' or batch > 16"])


def made(space, target):
    """The names that the code defines."""
    names: dict[str, object] = {}
    exec(compile(space.to_code(target), target, "exec"), names)
    return names


def inside(space, params):
    """Whether a configuration, as an objective would get it, is one of the space."""
    frozen = space.frozen(params)
    assert set(frozen) == set(params) | {n for n in space.conditions if n in frozen}
    return space.holds(params)


@pytest.mark.slow
def test_what_optuna_draws_lies_in_the_space_and_reaches_all_of_it():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    suggest = made(RICH, "optuna")["suggest"]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen, pruned = [], 0
    for _ in range(600):
        trial = study.ask()
        try:
            seen.append(suggest(trial))
        except optuna.TrialPruned:
            pruned += 1
    assert 0 < pruned < 600
    for params in seen:
        there = RICH.has(params)
        assert set(params) - {"leaves"} == there - {"leaves"}
        assert "leaves" in there or params["leaves"] == 31
        assert RICH.holds({n: v for n, v in params.items() if n in there})
    frame = pd.DataFrame(seen)
    assert set(frame["units"]) == {16, 32, 64, 128, 256}
    assert set(frame["width"]) == set(range(8, 65, 8))
    assert set(np.round(frame["dropout"], 9)) == {
        0.0,
        0.1,
        0.2,
        0.3,
        0.4,
    }  # 0.4 + 0.1 is 0.5 but for rounding
    assert np.median(np.log10(frame["lr"])) == pytest.approx(-2.5, abs=0.3)
    assert np.median(np.log10(frame["steps"])) == pytest.approx(2, abs=0.25)
    assert frame["leaves"].isna().any()
    assert set(frame["nesterov"].dropna()) == {False, True}


def test_what_optuna_prunes_breaks_a_constraint():
    import optuna

    space = refine.Space(
        {"a": (0, 9), "b": (0, 9), "c": refine.Integer(0, 9, when="a > 4")}, ["a + b < 9 or c == 3"]
    )
    suggest = made(space, "optuna")["suggest"]
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


def test_objects_stand_behind_their_labels():
    import optuna

    space = refine.Space(
        {"f": [math.sin, math.cos], "shape": [(1, 2), (3,)], "g": [math.sqrt]},
        ["f == 'sin' or shape != '(3,)'"],
    )
    text = space.to_code("optuna")
    assert "import math" in text
    suggest = made(space, "optuna")["suggest"]
    drawn = [p for s in range(20) if (p := _or_none(suggest, optuna, s)) is not None]
    assert {p["f"] for p in drawn} == {math.sin, math.cos}
    assert {p["shape"] for p in drawn} == {(1, 2), (3,)}
    assert all(space.holds(p) for p in drawn)
    assert drawn[0]["g"] is math.sqrt
    for target in set(TARGETS) - {"optuna"}:
        assert "'sin': math.sin" in space.to_code(target)
        assert "Look up what labels stand for" in space.to_code(target)


def _or_none(suggest, optuna, seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    try:
        return suggest(study.ask())
    except optuna.TrialPruned:
        return None


@pytest.mark.parametrize("space", [PLAIN, FORBIDDEN], ids=["conditions", "constraints"])
def test_configspace_reads_the_same_space(space):
    pytest.importorskip("ConfigSpace")
    cs = made(space, "configspace")["space"]()
    back = refine.Space.from_configspace(cs)
    assert set(back) == set(space)
    rng = np.random.default_rng(0)
    for _ in range(300):  # of levels of the space, the ones that it allows
        params = space.configuration(int(rng.integers(space.cells)))
        assert back.has(params) == space.has(params)
        assert back.holds(params) == space.holds(params)
    for drawn in cs.sample_configuration(200):
        assert space.holds({n: v.item() if hasattr(v, "item") else v for n, v in dict(drawn).items()})
    assert (back["lr"].low, back["lr"].high, back["lr"].log) == (1e-4, 0.1, True)


def test_configspace_says_what_it_can_and_the_rest_is_to_ask():
    text = RICH.to_code("configspace")
    assert "OrdinalHyperparameter('units', [16, 32, 64, 128, 256]" in text
    assert "ConfigSpace can't say these constraints" in text
    names: dict[str, object] = {}
    pytest.importorskip("ConfigSpace")
    exec(text, names)
    drawn = [_own(c) for c in names["space"]().sample_configuration(400)]
    kept = [p for p in drawn if names["allowed"](p)]
    assert 0 < len(kept) < len(drawn)
    for params in drawn:
        real = {n: names["VALUES"]["leaves"][v] if n == "leaves" else v for n, v in params.items()}
        assert RICH.has(real) == set(real)


def test_configspace_is_told_of_bounds_that_it_takes():
    space = refine.Space(
        {
            "units": (1, 5000, 8),
            "lr": (0.0, 1.0, 5),
            "above": refine.Float(0, 1, when="units >= 2000 and lr <= 0.5"),
            "always": refine.Float(0, 1, when="units >= 1"),
        }
    )
    text = space.to_code("configspace")
    assert "GreaterThanCondition(h['above'], h['units'], 1999)" in text
    assert "LessThanCondition(h['above'], h['lr'], 0.5000000000000001)" in text
    assert "It can't be told when always is there: units >= 1." in text
    pytest.importorskip("ConfigSpace")
    assert set(made(space, "configspace")["space"]()) == set(space)


def _own(configuration):
    return {n: v.item() if hasattr(v, "item") else v for n, v in dict(configuration).items()}


@pytest.mark.parametrize("space", [PLAIN, FORBIDDEN], ids=["conditions", "constraints"])
def test_keras_tuner_reads_the_same_space(space):
    keras_tuner = pytest.importorskip("keras_tuner")
    names = made(space, "kerastuner")
    hp = keras_tuner.HyperParameters()
    names["declare"](hp)
    back = refine.Space.from_keras_tuner(hp)
    assert set(back) == set(space)
    assert "isn't told that it is there only when optimizer == 'sgd' and depth > 2" in space.to_code(
        "kerastuner"
    )
    rng = np.random.default_rng(0)
    for _ in range(100):
        params = space.configuration(int(rng.integers(space.cells)))
        drawn = keras_tuner.HyperParameters()
        drawn.values = {n: v for n, v in params.items() if n != "decay"}
        told = names["declare"](drawn)
        assert set(told) == space.has(params)
        assert back.has(params) - {"decay"} == space.has(params) - {"decay"}
        if space.constraints:
            assert names["allowed"](params) == space.holds(params)


def test_ray_tune_draws_from_the_space():
    pytest.importorskip("ray.tune")
    from ray.tune.search.variant_generator import generate_variants

    names = made(RICH, "raytune")
    seen = []
    for _ in range(150):
        ((_, config),) = generate_variants(names["space"])
        params = {n: v for n, v in config.items() if v is not None or n == "leaves"}
        there = RICH.has(params)
        assert {n for n in there if n != "leaves"} == set(params) - {"leaves"}
        holds = RICH.holds({n: v for n, v in params.items() if n in there})
        assert names["allowed"](config) == holds
        seen.append(holds)
    assert 0 < sum(seen) < len(seen)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_it_is_python_and_says_what_is_lost(target):
    text = RICH.to_code(target)
    compile(text, target, "exec")
    assert "configurations on refine's grid" in text
    if target != "configspace":
        assert "constraints" in text or "breaks" in text
    assert len(max(text.splitlines(), key=len)) < 300


def test_an_unknown_library_is_named():
    with pytest.raises(SpaceError, match="no code for 'optuma'; did you mean 'optuna'"):
        RICH.to_code("optuma")
