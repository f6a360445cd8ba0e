"""The contract of statistics, over all exported ones, and the list of exports."""

import dataclasses
import functools
import pickle
import random

import numpy as np
import pytest

import refine.stats
from refine import stats
from refine.errors import AnalysisError
from refine.stats import top_mask

rng = np.random.default_rng(0)
N = 60
X = rng.choice(np.linspace(0, 1, 7), (N, 3))
CODES = rng.integers(0, 3, N)
Y = -((X[:, 0] - 0.4) ** 2) + 0.3 * X[:, 1] + 0.05 * rng.normal(size=N)
GROUPS = np.repeat(np.arange(N // 3), 3)
CELLS = rng.choice(np.linspace(0, 1, 7), (80, 3))
PLAIN = [0, 0, 0]
AXES = [stats.Axis(np.linspace(0, 1, 7))] * 3


@functools.cache
def posterior():
    return stats.MixedPosterior(forest_draws=40, process_draws=40, trees=20)(X, Y, CELLS, PLAIN)


DATA = {
    "AdditiveTest": (X, Y, PLAIN),
    "Boundary": (X[:, 0], Y, np.linspace(0, 1, 7)),
    "BoundedDensity": (X[:, 0], X[:5, 0]),
    "BoundedDensity2D": (X[:, 0], Y, X[:5, 0], Y[:5]),
    "ChildForecast": lambda: (
        posterior(),
        stats.LeaveOneOutNoise(np.sort(Y), np.sort(Y) + 0.1, np.full(N, 0.5)),
        20,
    ),
    "Compare": (Y[:30], Y[30:]),
    "CurveCheck": (np.linspace(1, 0.1, 20), np.linspace(1, 0.5, 20), np.linspace(0, 1, 20)),
    "DensityRatio": (X[:, 0], stats.top_mask(Y, 0.2), np.linspace(0, 1, 7)),
    "Edf": (Y,),
    "ExampleBootstrap": None,
    "NewSeeds": (float(Y.max()), Y, GROUPS, 0),
    "Interactions": (X, Y, PLAIN),
    "KnowledgeGradient": (Y[:5], Y[:5] ** 2, 0.1, 4),
    "KruskalWallis": (CODES, Y, 3),
    "LevelRates": (CODES, Y > 0, 3),
    "LevelSummary": (CODES, Y, 3),
    "MixedPosterior": (X, Y, CELLS, PLAIN),
    "NextRound": lambda: (posterior(), np.arange(80) < 30, 0.3, stats.Batch(5, 5)),
    "Optimism": (Y, 0.05),
    "PedAnova": (X[:, 0], Y),
    "Power": (X[:, 0], Y, 0, [60, 120], 0.05),
    "PriorEvidence": (X, Y, X[:, 0], PLAIN),
    "RateTrend": (X[:, 0], Y > 0),
    "RiskPath": lambda: (posterior(), CELLS, AXES, 0.05),
    "RunsAgain": lambda: (posterior(), np.arange(80) < 30, 0.3, 15),
    "Spearman": (X[:, 0], Y),
    "TopNoise": (X, Y, PLAIN, GROUPS),
    "VarianceComponents": (Y, GROUPS),
}
"""Statistic -> what it is called with."""
FEWER = {"resamples": 50, "permutations": 99, "groups": 10, "repeats": 50, "simulations": 20}
FEWER |= {"forest_draws": 40, "process_draws": 40, "trees": 20}


def test_every_statistic_has_data():
    exported = {name: getattr(stats, name) for name in stats.__all__}
    statistics = [n for n, s in exported.items() if dataclasses.is_dataclass(s) and "__call__" in vars(s)]
    assert sorted(DATA) == sorted(statistics)


def made(name):
    kind = getattr(stats, name)
    data = DATA[name]
    fewer = {f.name: FEWER[f.name] for f in dataclasses.fields(kind) if f.name in FEWER}
    return kind(**fewer), data() if callable(data) else data


@pytest.mark.parametrize("name", [name for name in DATA if DATA[name] is not None])
def test_a_statistic_is_frozen_documented_and_repeats(name):
    statistic, data = made(name)
    assert statistic == made(name)[0] == pickle.loads(pickle.dumps(statistic))
    kind = type(statistic)
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "the docstring is the one that dataclass makes"
    assert kind.__call__.__doc__
    pickled = pickle.dumps(data)
    generators = pickle.dumps((random.getstate(), np.random.get_state()))
    first = pickle.dumps(statistic(*pickle.loads(pickled)))
    assert pickle.dumps((random.getstate(), np.random.get_state())) == generators, (
        "it uses a global generator"
    )
    np.random.seed(7)
    random.seed(7)
    result = statistic(*data)
    assert pickle.dumps(result) == first
    assert pickle.dumps(data) == pickled, "it writes into its data"
    for part in result if type(result) in (list, tuple) else [result]:
        assert not isinstance(part, tuple) or hasattr(part, "_fields"), "it gives a tuple without names"
        assert type(part).__doc__


def test_everything_exported_exists_is_documented_and_frozen():
    assert list(refine.stats.__all__) == sorted(refine.stats.__all__)
    for name in refine.stats.__all__:
        thing = getattr(refine.stats, name)
        assert thing.__doc__, name
        if dataclasses.is_dataclass(thing):
            assert thing.__dataclass_params__.frozen, name
        elif isinstance(thing, type):
            assert issubclass(thing, tuple), name


def test_top_mask_includes_ties():
    assert top_mask([3, 1, 3, 2, 3], 0.2).tolist() == [True, False, True, False, True]
    assert top_mask(np.arange(30), 0.1).sum() == 3
    assert top_mask([], 0.1).size == 0
    assert top_mask([1, 2], 1.0).all()
    with pytest.raises(AnalysisError, match=r"\(0, 1\], got 0"):
        top_mask([1], 0)
