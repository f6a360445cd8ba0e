"""Objectives without a recorded grid: models fitted to tables of trainings, and random smooth functions.

`FOLDER/<family>/<task>.parquet` has a column for every parameter and `objective`, of which more is better;
`FOLDER/<family>/space.json` has, by parameter, its `type`, and `low`, `high` and `log`, or `choices`. The
repository has no such folder. Random functions need none.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from grids import Grid
from sklearn.ensemble import ExtraTreesRegressor

import refine

KINDS = ("trees", "process", "mixed", "network")
"""Models of a table: trees have plateaus, a Gaussian process is smooth, ``mixed`` is the mean of both."""
FUNCTIONS = "functions"
"""Random smooth functions, drawn from a Gaussian process."""
FAILING = "failing"
"""Random smooth functions with a region in which trials fail."""
FAILING_SHARE = 0.25
WALL = "wall"
"""Random smooth functions that fall steeply at one end of a parameter."""
PIPELINE = "pipelines"
"""Random pipelines: a choice of models with conditional parameters."""
PIPELINES = ("forest", "linear", "machine", "network")
SCALERS = ("none", "standard", "rank")
DIMENSIONS = (2, 3, 5, 7, 9, 12)
LEVELS = 10  # most levels of an ordered parameter
RARE = 0.02  # a choice with a smaller share of the rows is left out
DRAWN = 20_000  # cells behind the median
KEPT = 20  # cells from which the search for the best continues
NOISE = 0.05  # standard deviation of the noise, as a share of best - median
PROCESS_ROWS = (350, 1200)  # rows that a process's kernel is fitted to, and rows that it is conditioned on
FEATURES = 1000  # waves of a random function
HPOB_ROWS = 4000  # most trainings of a task of HPO-B
SEEN = ("7609_9967",)
"""Tasks that the search was chosen on, and that would be the last of their family."""


class Means(dict[int, float]):
    """Cell -> its mean, made when it is asked for."""

    def __init__(self, make: Callable[[int], float]) -> None:
        self.make = make

    def __missing__(self, cell: int) -> float:
        return self.setdefault(cell, self.make(cell))


def climbed(
    expected: Callable[[np.ndarray], np.ndarray], levels: Sequence[np.ndarray], drawn: int, kept: int
) -> float:
    """The best mean over some level numbers of every parameter: from the best of ``drawn`` cells, change one at a time.

    The search goes on with the best ``kept`` cells until nothing is better.
    """
    rng = np.random.default_rng(0)
    rows = np.stack([numbers[rng.integers(0, len(numbers), drawn)] for numbers in levels], axis=1)
    values = expected(rows)
    best = -np.inf
    while values.max() > best:
        best = float(values.max())
        rows = rows[np.argsort(-values, kind="stable")[:kept]]
        neighbours = [
            np.where(np.arange(len(levels)) == j, number, rows)
            for j, numbers in enumerate(levels)
            for number in numbers
        ]
        rows = np.unique(np.concatenate(neighbours), axis=0)
        values = expected(rows)
    return best


class Searched(Grid, ABC):
    """A grid with more cells than memory may hold: means are made on demand, and the best is found by a local search.

    The median is over cells drawn at random. The search starts from the best of some cells, changes one parameter at a
    time, and stops if nothing is better.
    """

    def __init__(self, family: str, name: str, levels: dict[str, list], noise: float = NOISE) -> None:
        self.family = family
        self.name = name
        self.levels = levels
        self.unordered = frozenset(key for key, values in levels.items() if isinstance(values[0], str))
        self.shape = tuple(map(len, levels.values()))
        self.truth = Means(lambda cell: self.expected(np.array([np.unravel_index(cell, self.shape)]))[0])
        rows = np.random.default_rng(0).integers(0, self.shape, (DRAWN, len(self.shape)))
        self.median = float(np.median(self.expected(rows)))
        self.best = self.best_of([np.arange(count) for count in self.shape])
        self.noise = noise * (self.best - self.median)

    def best_of(self, levels: Sequence[np.ndarray]) -> float:
        """The best mean over some level numbers of every parameter, by a local search."""
        return climbed(self.expected, levels, DRAWN, KEPT)

    @abstractmethod
    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) means at (n, parameters) level numbers."""

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """The mean plus normal noise."""
        return float(self.truth[cell] + self.noise * rng.normal())


class Surrogate(Searched):
    """A model fitted to a table of trainings, with normal noise.

    The levels of an ordered parameter lie evenly between its ends, on its logarithm if the space says so. Parameters
    with a single level are left out.
    """

    def __init__(self, folder: Path, name: str, kind: str) -> None:
        family, task = name.split(".", 1)
        table = pd.read_parquet(folder / family / f"{task}.parquet")
        space = json.loads((folder / family / "space.json").read_text())
        columns = {parameter: placed(table[parameter], kind_of) for parameter, kind_of in space.items()}
        varied = {parameter: column for parameter, column in columns.items() if len(column[0]) > 1}
        self.fit(kind, name, varied, table["objective"].to_numpy(float))

    def fit(
        self, kind: str, name: str, columns: dict[str, tuple[list, np.ndarray]], objective: np.ndarray
    ) -> None:
        """Fits the models of a kind to the levels and positions of every parameter."""
        levels = {parameter: values for parameter, (values, _) in columns.items()}
        self.widths = [
            1 if isinstance(values[0], str) else max(1, len(values) - 1) for values in levels.values()
        ]
        self.choices = [len(values) if isinstance(values[0], str) else 0 for values in levels.values()]
        X = self.encoded(np.column_stack([positions for _, positions in columns.values()]))
        self.models = [fit(X, objective) for fit in MODELS[kind]]
        Searched.__init__(self, kind, name, levels)

    def encoded(self, rows: np.ndarray) -> np.ndarray:
        """(n, columns) inputs of the models: positions in [0, 1], and an indicator for every choice."""
        columns = [
            column[:, None] == np.arange(choices) if choices else column[:, None] / width
            for column, choices, width in zip(rows.T, self.choices, self.widths, strict=True)
        ]
        return np.concatenate(columns, axis=1).astype(float)

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) means of the models at (n, parameters) level numbers."""
        X = self.encoded(rows)
        return np.mean([model.predict(X) for model in self.models], axis=0)


class Recorded(Surrogate):
    """A model fitted to the trainings of a task of HPO-B, from the package `bocode`.

    Choices are put together again from their indicators; a column that says whether a parameter was active is left out.

    Source: Pineda Arango et al. (2021), 'HPO-B: A Large-Scale Reproducible Benchmark for Black-Box HPO based on OpenML'.
    """

    def __init__(self, kind: str, task: str) -> None:
        X, y, names = hpob(task)
        columns: dict[str, tuple[list, np.ndarray]] = {}
        indicators: dict[str, dict[str, np.ndarray]] = {}
        for name, column in zip(names, X.T, strict=True):
            if ".ohe." in name:
                parameter, choice = name.split(".ohe._")
                indicators.setdefault(parameter, {})[choice] = column
            elif not name.endswith(".na"):
                count = min(LEVELS, len(np.unique(column)))
                columns[name] = list(range(count)), column * (count - 1)
        for parameter, shares in indicators.items():
            table = np.stack(list(shares.values()), axis=1)
            if table.min(axis=1).max() < table.max(axis=1).min():
                columns[parameter] = [f"_{choice}" for choice in shares], table.argmax(axis=1)
        self.fit(kind, f"hpob.{task}", {name: c for name, c in columns.items() if len(c[0]) > 1}, y)


def hpob(task: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Configurations, accuracies and column names of a task of HPO-B, such as ``"5965_3903"``; at most `HPOB_ROWS` rows."""
    found = importlib.util.find_spec("bocode")
    if found is None or found.origin is None:
        raise SystemExit("the trainings of HPO-B come with bocode: pip install --no-deps bocode")
    home = Path(found.origin).parent / "opt_problems" / "hpo"
    tree = ast.parse((home / "_hpob_base.py").read_text())
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SPACE_VARIABLES"
    )
    with np.load(home / "data" / "hpob_data.npz") as tables:
        table = tables[task].astype(float)
    rows = np.random.default_rng(0).permutation(len(table))[:HPOB_ROWS]
    return table[rows, :-1], table[rows, -1], names[task.split("_")[0]]


class RandomFunction(Searched):
    """A smooth function of ordered parameters: see `Waves`."""

    def __init__(self, name: str) -> None:
        dimensions, number = map(int, name.split("-"))
        self.function = Waves(np.random.default_rng([dimensions, number]), dimensions)
        super().__init__(FUNCTIONS, name, {f"x{j}": list(range(LEVELS)) for j in range(dimensions)})

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) values at (n, parameters) level numbers."""
        return self.function(rows)


class Failing(RandomFunction):
    """A smooth function of ordered parameters. A quarter of the cells fail, mostly good ones, so the best borders on them."""

    def __init__(self, name: str) -> None:
        dimensions, number = map(int, name.split("-"))
        self.other = Waves(np.random.default_rng([dimensions, number, 1]), dimensions)
        self.function = Waves(np.random.default_rng([dimensions, number]), dimensions)
        rows = np.random.default_rng(1).integers(0, LEVELS, (DRAWN, dimensions))
        self.limit = float(np.quantile(self.danger(rows), 1 - FAILING_SHARE))
        super().__init__(name)
        self.family = FAILING
        finished = self.expected(rows)
        self.median = float(np.median(finished[np.isfinite(finished)]))
        self.noise = NOISE * (self.best - self.median)

    def danger(self, rows: np.ndarray) -> np.ndarray:
        """(n,) scores; cells above the limit fail."""
        return self.function(rows) + self.other(rows)

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) values at (n, parameters) level numbers; minus infinity if a trial fails there."""
        return np.where(self.danger(rows) > self.limit, -np.inf, self.function(rows))

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """The mean plus normal noise; NaN if the trial fails."""
        value = super().draw(cell, rng)
        return value if np.isfinite(value) else np.nan

    def regret(self, cell: int) -> float:
        """(best - mean of the cell) / (best - median); 1 for a cell that fails."""
        regret = super().regret(cell)
        return regret if np.isfinite(regret) else 1.0


class Wall(RandomFunction):
    """A smooth function with a wall: below a foot, values fall steeply along one parameter."""

    def __init__(self, name: str) -> None:
        dimensions, number = map(int, name.split("-"))
        rng = np.random.default_rng([dimensions, number, 2])
        self.height = float(np.exp(rng.uniform(np.log(5), np.log(60))))
        self.foot = float(rng.uniform(0.3, 0.6))
        self.power = float(rng.uniform(1, 2.5))
        self.axis = int(rng.integers(dimensions))
        super().__init__(name)
        self.family = WALL

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) values at (n, parameters) level numbers."""
        depth = np.maximum(0, 1 - rows[:, self.axis] / (LEVELS - 1) / self.foot)
        return self.function(rows) - self.height * depth**self.power


class Waves:
    """A function drawn from a Gaussian process with a Matern 5/2 kernel and a length for every parameter."""

    def __init__(self, rng: np.random.Generator, dimensions: int) -> None:
        lengths = np.exp(rng.normal(np.log(0.35 * np.sqrt(dimensions)), 0.7, dimensions))
        waves = rng.standard_normal((dimensions, FEATURES)) * np.sqrt(5 / rng.chisquare(5, FEATURES))
        self.waves = waves / lengths[:, None] / (LEVELS - 1)
        self.phases = rng.uniform(0, 2 * np.pi, FEATURES)
        self.weights = rng.standard_normal(FEATURES) * np.sqrt(2 / FEATURES)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n,) values at (n, dimensions) level numbers."""
        return np.cos(rows @ self.waves + self.phases) @ self.weights


class Pipeline(Searched):
    """A choice of models, each with parameters that exist only for this model.

    Every model has its own random function of two shared parameters and three own ones, and an own offset.
    The choice of a scaler changes two of the models; the others do not read it, and nothing declares that.
    Pipelines with an odd number are noisy, the others repeat exactly.
    """

    def __init__(self, name: str) -> None:
        rng = np.random.default_rng([77, int(name)])
        shared = {"scaler": list(SCALERS), "rate": list(range(LEVELS)), "size": list(range(LEVELS))}
        own = {f"{model}_{k}": list(range(LEVELS)) for model in PIPELINES for k in range(3)}
        self.functions = [Waves(rng, 5) for _ in PIPELINES]
        self.offsets = rng.normal(0, 0.7, len(PIPELINES))
        self.scaled = np.zeros((len(PIPELINES), len(SCALERS)))
        self.scaled[:2] = rng.normal(0, 0.3, (2, len(SCALERS)))
        noise = NOISE * (int(name) % 2)
        super().__init__(PIPELINE, name, {"model": list(PIPELINES), **shared, **own}, noise)

    @property
    def space(self) -> refine.Space:
        """Ranges within the recorded ends; a model's own parameters carry a condition."""
        parameters: dict[str, Any] = {"model": list(PIPELINES), "scaler": list(SCALERS)}
        ends = (0, LEVELS - 1)
        for name in ("rate", "size"):
            parameters[name] = refine.Integer(*ends, within=ends)
        for name in list(self.levels)[4:]:
            model = name.split("_")[0]
            parameters[name] = refine.Integer(*ends, within=ends, when=f"model == '{model}'")
        return refine.Space(parameters)

    def index(self, params: Mapping[str, Any]) -> tuple[int, ...]:
        """Level numbers of a configuration; 0 for a parameter that the configuration lacks."""
        complete = {name: params.get(name, levels[0]) for name, levels in self.levels.items()}
        return super().index(complete)

    def active(self, name: str, params: Mapping[str, Any]) -> bool:
        """True if the configuration so far has the parameter."""
        return "_" not in name or name.split("_")[0] == params["model"]

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) values at (n, parameters) level numbers."""
        values = np.zeros(len(rows))
        for number, function in enumerate(self.functions):
            of_model = rows[:, 0] == number
            columns = [2, 3, *range(4 + 3 * number, 7 + 3 * number)]
            chosen = rows[of_model]
            scaled = self.scaled[number, chosen[:, 1]]
            values[of_model] = function(chosen[:, columns]) + self.offsets[number] + scaled
        return values


def trees(X: np.ndarray, y: np.ndarray) -> Any:
    """Extremely randomised trees: a truth with plateaus and steps."""
    return ExtraTreesRegressor(200, min_samples_leaf=3, random_state=0).fit(X, y)


def process(X: np.ndarray, y: np.ndarray) -> Any:
    """A Gaussian process: a smooth truth. Values below the second percentile are cut, or failures set its lengths."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    y = np.maximum(y, np.quantile(y, 0.02))
    order = np.random.default_rng(0).permutation(len(X))
    fitted, conditioned = (order[:rows] for rows in PROCESS_ROWS)
    lengths = np.full(X.shape[1], 0.5)
    kernel = ConstantKernel(1.0) * Matern(lengths, (0.05, 20.0), nu=2.5) + WhiteKernel(0.1, (1e-3, 1.0))
    first = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(X[fitted], y[fitted])
    model = GaussianProcessRegressor(first.kernel_, optimizer=None, normalize_y=True)
    return model.fit(X[conditioned], y[conditioned])


def network(X: np.ndarray, y: np.ndarray) -> Any:
    """A network of two layers: a smooth truth that bends at planes."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    layers = MLPRegressor(hidden_layer_sizes=(64, 64), alpha=1e-3, max_iter=400, random_state=0)
    return TransformedTargetRegressor(layers, transformer=StandardScaler()).fit(X, y)


MODELS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], Any], ...]] = {
    "trees": (trees,),
    "process": (process,),
    "mixed": (trees, process),
    "network": (network,),
}
"""Kind of truth -> the fits whose mean it is."""


def placed(column: pd.Series, parameter: dict[str, Any]) -> tuple[list, np.ndarray]:
    """Levels of a parameter, and the position of every row among them; -1 if its choice is rare."""
    if parameter["type"] == "categorical":
        named = column.astype(str)
        share = named.value_counts(normalize=True)
        levels = [choice for choice in map(str, parameter["choices"]) if share.get(choice, 0) > RARE]
        return levels, pd.Categorical(named, levels).codes
    on = np.log if parameter["log"] else np.asarray
    low, high, x = on(parameter["low"]), on(parameter["high"]), on(column.to_numpy(float))
    count = min(LEVELS, column.nunique())
    return list(range(count)), (x - low) / (high - low) * (count - 1)


def last(folder: Path, before: int = 0) -> list[str]:
    """The last task of every family by name, or one ``before``, as ``family.task``; passes over those of `SEEN`."""
    families = [sorted(family.glob("*.parquet")) for family in sorted(folder.iterdir()) if family.is_dir()]
    tasks = [[path for path in paths if path.stem not in SEEN][-1 - before] for paths in families]
    return [f"{path.parent.name}.{path.stem}" for path in tasks]


def functions(count: int, first: int = 0) -> list[str]:
    """Names of random functions: ``count`` for every number of parameters in `DIMENSIONS`, numbered from ``first``."""
    return [f"{dimensions}-{first + number}" for dimensions in DIMENSIONS for number in range(count)]


@lru_cache(maxsize=64)
def surrogate(folder: Path, kind: str, name: str) -> Surrogate:
    """A surrogate, fitted once."""
    return Surrogate(folder, name, kind)


@lru_cache(maxsize=16)
def pipeline(name: str) -> Pipeline:
    """A random pipeline, its best searched once."""
    return Pipeline(name)


@lru_cache(maxsize=16)
def random_function(name: str) -> RandomFunction:
    """A random function, its best searched once."""
    return RandomFunction(name)


@lru_cache(maxsize=16)
def failing(name: str) -> Failing:
    """A random function with failures, its best searched once."""
    return Failing(name)
