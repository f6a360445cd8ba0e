"""Surrogates of recorded trainings: grids of what trees expect, from a folder of tables that the repository does not have.

`FOLDER/<family>/<task>.parquet` has a column for every parameter and `objective`, of which more is better; `FOLDER/<family>/space.json` has, by
parameter, its `type`, and `low`, `high` and `log`, or `choices`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from grids import Grid
from sklearn.ensemble import ExtraTreesRegressor

FAMILY = "surrogates"
LEVELS = 10  # at most so many of a parameter with an order
RARE = 0.02  # the share of the rows that a choice must exceed
DRAWN, KEPT = 20_000, 20  # cells that say what is usual, and from how many of them the best is searched
NOISE = 0.05  # of (best - median)
SEEN = ("7609_9967",)
"""Tasks that the search was chosen on, and that would be the last of their family."""


class Means(dict[int, float]):
    """Cell -> its mean, made when it is asked for."""

    def __init__(self, make: Callable[[int], float]) -> None:
        self.make = make

    def __missing__(self, cell: int) -> float:
        return self.setdefault(cell, self.make(cell))


class Surrogate(Grid):
    """What trees that were fitted to a table expect, with normal noise.

    The levels of an ordered parameter lie evenly between its ends, on its logarithm where the space says so; parameters of one level are left
    out. There may be more cells than memory holds: the median is that of cells drawn, and the best that of a local search from the best
    of these, which changes one parameter at a time until nothing is better.
    """

    def __init__(self, folder: Path, name: str) -> None:
        family, task = name.split(".", 1)
        table = pd.read_parquet(folder / family / f"{task}.parquet")
        space = json.loads((folder / family / "space.json").read_text())
        every = {parameter: placed(table[parameter], told) for parameter, told in space.items()}
        varied = {parameter: of for parameter, of in every.items() if len(of[0]) > 1}
        self.family, self.name = FAMILY, name
        self.levels = {parameter: levels for parameter, (levels, _) in varied.items()}
        self.unordered = frozenset(key for key, v in self.levels.items() if isinstance(v[0], str))
        self.shape = tuple(map(len, self.levels.values()))
        self.trees = ExtraTreesRegressor(200, min_samples_leaf=3, random_state=0)
        self.trees.fit(self.encoded(np.column_stack([at for _, at in varied.values()])), table["objective"])
        self.truth = Means(lambda cell: self.expected(np.array([np.unravel_index(cell, self.shape)]))[0])
        rows = np.random.default_rng(0).integers(0, self.shape, (DRAWN, len(self.shape)))
        values = self.expected(rows)
        self.best, self.median = -np.inf, float(np.median(values))
        while values.max() > self.best:
            self.best, rows = float(values.max()), rows[np.argsort(-values, kind="stable")[:KEPT]]
            axes = enumerate(self.shape)
            near = [np.where(np.arange(len(self.shape)) == j, k, rows) for j, n in axes for k in range(n)]
            rows = np.unique(np.concatenate(near), axis=0)
            values = self.expected(rows)
        self.noise = NOISE * (self.best - self.median)

    def encoded(self, rows: np.ndarray) -> np.ndarray:
        """Places among the levels, (n, parameters), as the trees see them: a column for every choice."""
        each = zip(self.levels.items(), rows.T, strict=True)
        return np.column_stack(
            [x[:, None] == np.arange(len(v)) if name in self.unordered else x for (name, v), x in each]
        )

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) means of these level numbers."""
        return self.trees.predict(self.encoded(rows))

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """The mean plus normal noise."""
        return float(self.truth[cell] + self.noise * rng.normal())


def placed(column: pd.Series, told: dict[str, Any]) -> tuple[list, np.ndarray]:
    """Levels of a parameter, and where among them every row lies; -1 if its choice is rare."""
    if told["type"] == "categorical":
        named = column.astype(str)
        share = named.value_counts(normalize=True)
        levels = [choice for choice in map(str, told["choices"]) if share.get(choice, 0) > RARE]
        return levels, pd.Categorical(named, levels).codes
    on = np.log if told["log"] else np.asarray
    low, high, x = on(told["low"]), on(told["high"]), on(column.to_numpy(float))
    count = min(LEVELS, column.nunique())
    return list(range(count)), (x - low) / (high - low) * (count - 1)


def last(folder: Path) -> list[str]:
    """The last task of every family by name, as ``family.task``; passes over those of `SEEN`."""
    families = [sorted(f.glob("*.parquet")) for f in sorted(folder.iterdir()) if f.is_dir()]
    tasks = [[path for path in paths if path.stem not in SEEN][-1] for paths in families]
    return [f"{path.parent.name}.{path.stem}" for path in tasks]


@lru_cache(maxsize=16)
def surrogate(folder: Path, name: str) -> Surrogate:
    """A surrogate, fitted once."""
    return Surrogate(folder, name)
