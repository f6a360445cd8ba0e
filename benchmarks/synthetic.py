"""Grids with a known truth: four kinds of surfaces in 4 to 8 parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from grids import Grid

COUNT = 5
"""Grids of each kind that benchmarks use."""


def _quadratic(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bowls with couplings; the optimum may lie on an edge, and some parameters do next to nothing."""
    z = x - rng.uniform(-0.1, 1.1, x.shape[1])
    weight = rng.permutation(2.0 ** -np.arange(x.shape[1]))
    coupling = np.eye(x.shape[1]) + np.triu(rng.uniform(-0.4, 0.4, (x.shape[1],) * 2), 1)
    return -np.sum((z * np.sqrt(weight)) @ coupling * (z * np.sqrt(weight)), axis=1)


def _ridge(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two or three parameters that must balance each other, over a slight slope."""
    few = rng.permutation(x.shape[1])[: rng.integers(2, 4)]
    balance = (x[:, few] - 0.5) @ (rng.choice([-1.0, 1.0], len(few)) * rng.uniform(0.7, 1.3, len(few)))
    return -8.0 * balance**2 + 0.4 * x[:, few[0]] + x @ rng.normal(0, 0.15, x.shape[1])


def _multimodal(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Six bumps of different height and width in three or four parameters."""
    few = rng.permutation(x.shape[1])[: rng.integers(3, 5)]
    bumps = [
        rng.uniform(0.6, 1.0)
        * np.exp(-np.sum((x[:, few] - rng.uniform(0, 1, len(few))) ** 2, axis=1) / (2 * w * w))
        for w in rng.uniform(0.15, 0.35, 6)
    ]
    return np.max(bumps, axis=0) + x @ rng.normal(0, 0.05, x.shape[1])


def _heavy_tail(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bowl whose bad values are orders of magnitude worse."""
    y = _quadratic(x, rng)
    return -np.exp(-6.0 * (y - y.min()) / np.ptp(y))


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "quadratic": _quadratic,
    "ridge": _ridge,
    "multimodal": _multimodal,
    "heavy tail": _heavy_tail,
}
_SHAPES = ((10,) * 4, (12, 8, 8, 6, 4), (7, 6, 6, 5, 5, 3), (5,) * 7, (5, 5, 4, 4, 4, 4, 4, 3))


class Synthetic(Grid):
    """A grid with a known truth: a third of the parameters without order, noise 3 or 10 % of (best - median)."""

    def __init__(self, family: str, number: int) -> None:
        rng = np.random.default_rng([list(KINDS).index(family), number])
        self.family, self.name, self.shape = family, str(number), _SHAPES[number % len(_SHAPES)]
        free = set(rng.permutation(len(self.shape))[: len(self.shape) // 3])
        scale = [
            rng.permutation(n) / (n - 1) if j in free else np.arange(n) / (n - 1)
            for j, n in enumerate(self.shape)
        ]
        self.levels = {
            f"p{j}": [f"c{i}" if j in free else i for i in range(n)] for j, n in enumerate(self.shape)
        }
        self.unordered = frozenset(f"p{j}" for j in free)
        x = np.stack([axis.ravel() for axis in np.meshgrid(*scale, indexing="ij")], axis=1)
        self.truth = KINDS[family](x, rng)
        self.values = self.truth[:, None]
        self.best, self.median = float(self.truth.max()), float(np.median(self.truth))
        self.noise = (0.03, 0.1)[number % 2] * (self.best - self.median)

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """The truth plus normal noise."""
        return float(self.truth[cell] + self.noise * rng.normal())

    def single(self, seed: int) -> np.ndarray:
        return self.truth + self.noise * np.random.default_rng(seed).normal(size=self.truth.size)


@lru_cache(maxsize=8)
def synthetic(family: str, number: int) -> Synthetic:
    """A grid, made once."""
    return Synthetic(family, number)
