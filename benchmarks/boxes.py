"""The boxes that refine narrows a space to after one round on a grid, and what they are worth.

What was made of a round is kept under `.cache/`, by the sources that it rests on, so that a benchmark that is run again costs little.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from grids import FAMILIES, Grid, grid, names
from synthetic import COUNT, KINDS, synthetic
from tables import kept

import refine
import refine.proposal.proposal
from refine.design.space_filling import design_named, draw

RISKS = (0.01, 0.05, 0.15, 0.30)
BOLD = (0.5, 0.8)
"""Risks beyond the menu, for boxes whose claims often fail."""

REFINE, QUARTER = "refine", "refine, epsilon / 4"
SOURCES = ("stats/*.py", "analysis/*.py", "proposal/*.py")


class Trials(NamedTuple):
    """A round on a grid: level numbers (n, parameters) and one recorded value each."""

    table: Grid
    rows: np.ndarray
    y: np.ndarray
    seed: int


class Box(NamedTuple):
    """For every axis the level numbers that stay; the claim, and the noise it assumes."""

    method: str
    risk: float
    levels: list[list[int]]
    claim: float
    epsilon: float
    noise: float


def trials(table: Grid, n: int, seed: int) -> Trials:
    """A round of Sobol' points; every table has its own."""
    own = 1000 * seed + zlib.crc32(f"{table.family}-{table.name}".encode()) % 1000
    rows = draw(design_named("sobol"), table.space, n, own).astype(int)
    rng = np.random.default_rng([own, n])
    return Trials(table, rows, np.array([table.draw(table.cell(row), rng) for row in rows]), seed)


def by_refine(t: Trials) -> Iterator[Box]:
    """`refine.analyze` and `refine.propose`, by risk, with its own epsilon and with a quarter of that; one posterior serves them all."""
    analysis, grids = analysis_of(t)
    plain = refine.proposal.proposal.surrogate_of
    try:
        refine.proposal.proposal.surrogate_of = lru_cache(maxsize=1)(plain)
        noise = analysis.noise
        for method, epsilon in ((REFINE, None), (QUARTER, noise.epsilon / 4)):
            for risks in (RISKS, BOLD):  # the menu's boxes come from one path, the bolder ones from another
                proposal = refine.propose(analysis, risk=risks[-1], epsilon=epsilon)
                for risk in risks:
                    p = proposal.at(risk)
                    keep = [np.flatnonzero(p.space[k].contains(v)).tolist() for k, v in grids.items()]
                    yield Box(method, risk, keep, p.claim.probability, p.claim.epsilon, noise.sd)
    finally:
        refine.proposal.proposal.surrogate_of = plain


def analysis_of(t: Trials) -> tuple[refine.Analysis, dict[str, np.ndarray]]:
    """What refine makes of a round, and the values of every axis."""
    grids = t.table.grids
    frame = pd.DataFrame({k: grids[k][t.rows[:, j]] for j, k in enumerate(grids)}).assign(value=t.y)
    return refine.analyze(t.table.space, frame, seed=t.seed), grids


def cached(
    group: str, make: Callable[[Trials], Iterator[tuple]], table: Grid, n: int, seed: int
) -> list[list]:
    """What is made of one round, kept by what it rests on."""
    data = zlib.crc32(np.append(table.truth, table.noise).tobytes())
    key = f"{table.family}-{table.name}-{data:08x}-{n}-{seed}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = f"{group}-{digest(make, SOURCES)}"
        return kept(store, key, lambda: [list(row) for row in make(trials(table, n, seed))])


@cache
def digest(make: Callable, sources: tuple[str, ...]) -> str:
    """Of a function here and of the parts of refine that it rests on."""
    home = Path(refine.__file__).parent
    files = [f.read_text() for pattern in sources for f in sorted(home.glob(pattern))]
    here = [ast.dump(ast.parse(inspect.getsource(function))) for function in (make, trials)]
    return hashlib.sha256("".join([*here, *files]).encode()).hexdigest()[:12]


class Worth(NamedTuple):
    """A box against the whole grid's truth."""

    kept: float  # share of the cells inside
    loss: float  # best - best mean inside, in units of the metric
    luck: float  # the same of one training a cell


def worth(table: Grid, levels: Sequence[Sequence[int]]) -> Worth:
    """Measures a box."""
    single, inside = _single(table), np.ix_(*levels)
    kept = table.truth.reshape(table.shape)[inside]
    return Worth(
        kept.size / table.truth.size,
        table.best - float(kept.max()),
        float(single.max() - single[inside].max()),
    )


@lru_cache(maxsize=32)
def _single(table: Grid) -> np.ndarray:
    """One training of each cell."""
    return table.single(0).reshape(table.shape)


def measured(seeds: int, families: Sequence[str], sizes: Sequence[int]) -> pd.DataFrame:
    """Every box with what it is worth, one row each; synthetic grids have half of the seeds."""
    lines = []
    for family in families:
        own = range(seeds if family in FAMILIES else -(-seeds // 2))
        for table, n, seed in product(tables(family), sizes, own):
            for box in (Box(*b) for b in cached("refine", by_refine, table, n, seed)):
                said = (box.method, box.risk, box.claim, box.epsilon, box.noise / table.noise)
                lines.append((family, table.name, n, seed, *said, *worth(table, box.levels)))
    columns = ["family", "table", "n", "seed", "method", "risk", "claim", "epsilon", "noise"]
    return pd.DataFrame(lines, columns=[*columns, *Worth._fields])


def tables(family: str) -> Iterator[Grid]:
    """The grids of a family."""
    if family in KINDS:
        yield from (synthetic(family, i) for i in range(COUNT))
    else:
        yield from (grid(family, name) for name in names(family))
