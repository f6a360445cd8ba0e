"""Claims of one even round: stated and lost, on functions, walls, failures and grids.

    python benchmarks/claims.py --seeds 4
    python benchmarks/claims.py failures --seeds 20

`smooth` draws random smooth functions of 5, 7 and 9 parameters. `walls` runs few trials on functions that fall
steeply at one end, and on the same functions without a wall. In `failures` a third of the space fails, or training
diverges beyond an edge, next to the best. `architectures` have five choices of nine look-alike kinds. `grids` are
synthetic grids of four kinds that no other benchmark uses, 96 boxes a risk and seed. The truth is known: a claim is
lost if the best inside is worse than the best anywhere by more than the stated tolerance.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from boxes import analysis_of, trials, worth
from surrogates import KEPT, Searched, Wall, climbed, random_function
from synthetic import KINDS, synthetic
from tables import markdown, parser, share

import refine
import refine.proposal.posterior
from refine.design.space_filling import Sobol, draw

RISKS = (0.05, 0.15)
TRIALS = 60
SMOOTH = tuple(f"{dimensions}-{number}" for dimensions in (5, 7, 9) for number in range(2))
WALLS = tuple(f"{dimensions}-{number}" for number in range(8) for dimensions in (3, 4, 6))
FEW = (12, 16)
"""Trials of a round next to a wall."""
FIRST_GRID, GRIDS = 5000, 12
"""First number of the grids of `grids`, and grids of each kind for a seed."""
CLIMBS = 2000  # cells from which the best of a box is searched


class Box(NamedTuple):
    """A box that was proposed, judged by the truth."""

    kind: str  # kind of truth
    risk: float  # the risk asked for
    stated: float  # the stated probability of a loss
    lost: bool
    kept: float  # share of the space


def smooth(seeds: int) -> Iterator[Box]:
    """Boxes on random smooth functions."""
    for name in SMOOTH:
        for seed in range(seeds):
            yield from on_function("smooth", random_function(name), TRIALS, seed)


def walls(seeds: int) -> Iterator[Box]:
    """Boxes of few trials next to a wall, and on the same functions without a wall."""
    for name in WALLS:
        for grid in (Wall(name), random_function(name)):
            for n, seed in itertools.product(FEW, range(seeds)):
                yield from on_function(f"{grid.family}, {n} trials", grid, n, seed)


def on_function(kind: str, grid: Searched, n: int, seed: int) -> Iterator[Box]:
    """Boxes of one even round on a function."""
    rng = np.random.default_rng([seed, len(grid.shape)])
    rows = draw(Sobol(), grid.space, n, seed).astype(int)
    frame = pd.DataFrame({name: values[rows[:, j]] for j, (name, values) in enumerate(grid.grids.items())})
    frame["value"] = grid.expected(rows) + grid.noise * rng.normal(size=n)
    proposal = refine.propose(refine.analyze(grid.space, frame, seed=seed))
    for risk in RISKS:
        asked = proposal.at(risk)
        levels = [np.flatnonzero(asked.space[k].contains(v)) for k, v in grid.grids.items()]
        loss = grid.best - climbed(grid.expected, levels, CLIMBS, KEPT)
        lost = asked.volume_kept < 1 and bool(loss > asked.claim.epsilon)
        yield Box(kind, risk, 1 - asked.claim.probability, lost, asked.volume_kept)


def failures(seeds: int) -> Iterator[Box]:
    """Boxes of rounds in which trials fail next to the best."""
    for kind, value in (("product", product), ("cliff", cliff)):
        for seed in range(seeds):
            space = refine.Space(dict.fromkeys("abcd", (0.0, 1.0, 9)))
            yield from enumerated(kind, space, value(seed), seed)


def product(seed: int) -> Callable[[pd.DataFrame], np.ndarray]:
    """A third of the space runs out of memory: a product of two sizes, of which larger ones are better."""
    bowl = bowl_of(seed)

    def value(frame: pd.DataFrame) -> np.ndarray:
        size = ((0.2 + frame["a"]) * (0.2 + frame["b"])).to_numpy(float)
        return np.where(size > 0.64, np.nan, bowl(frame) + 1.5 * size)

    return value


def cliff(seed: int) -> Callable[[pd.DataFrame], np.ndarray]:
    """The value rises with one parameter until trials diverge."""
    bowl = bowl_of(seed)

    def value(frame: pd.DataFrame) -> np.ndarray:
        rate = frame["a"].to_numpy(float)
        return np.where(rate > 0.7, np.nan, bowl(frame) + 2.5 * rate)

    return value


def bowl_of(seed: int) -> Callable[[pd.DataFrame], np.ndarray]:
    """A bowl with a random centre and random weights."""
    rng = np.random.default_rng(seed)
    centre, weights = rng.uniform(0.35, 0.9, 4), rng.permutation([3.0, 2.0, 1.0, 0.5])
    return lambda frame: -((frame[list("abcd")].to_numpy(float) - centre) ** 2 @ weights)


def enumerated(
    kind: str,
    space: refine.Space,
    value: Callable[[pd.DataFrame], np.ndarray],
    seed: int,
) -> Iterator[Box]:
    """Boxes on a small grid, judged by all of its cells."""
    cells = np.stack(np.meshgrid(*(np.arange(space[p].size) for p in space), indexing="ij"), axis=-1)
    everywhere = pd.DataFrame(space.columns(cells.reshape(-1, len(space))))
    truth = value(everywhere)
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, TRIALS, seed)))
    noise = 0.04 * (np.nanmax(truth) - np.nanmedian(truth))
    frame["value"] = value(frame) + noise * np.random.default_rng(seed).normal(size=TRIALS)
    frame["state"] = np.where(frame["value"].isna(), "failed", "complete")
    proposal = refine.propose(refine.analyze(space, frame, seed=seed))
    for risk in RISKS:
        asked = proposal.at(risk)
        inside = np.all([asked.space[p].contains(everywhere[p].to_numpy()) for p in space], axis=0)
        loss = np.nanmax(truth) - np.nanmax(truth[inside], initial=-np.inf)
        lost = bool(loss > asked.claim.epsilon + 1e-9)
        yield Box(kind, risk, 1 - asked.claim.probability, lost, float(inside.mean()))


def grids(seeds: int) -> Iterator[Box]:
    """Boxes on synthetic grids that no other benchmark uses, judged by all of their cells."""
    for number in range(FIRST_GRID, FIRST_GRID + GRIDS * seeds):
        for kind, n in itertools.product(KINDS, (TRIALS, 2 * TRIALS)):
            grid = synthetic(kind, number)
            analysis, axes = analysis_of(trials(grid, n, seed=0))
            proposal = refine.propose(analysis)
            for risk in RISKS:
                asked = proposal.at(risk)
                levels = [np.flatnonzero(asked.space[name].contains(axis)) for name, axis in axes.items()]
                lost = bool(worth(grid, levels).loss > asked.claim.epsilon * (1 + 1e-9))
                stated = 1 - asked.claim.probability
                yield Box(f"{kind}, {n} trials", risk, stated, lost, asked.volume_kept)


def architectures(seeds: int) -> Iterator[Box]:
    """Boxes on five choices of nine kinds with few hidden features, so that many cells look alike."""
    space = refine.Space({f"op{j}": [f"kind{i}" for i in range(9)] for j in range(5)})
    for seed in range(seeds):
        truth = architecture(seed)
        scale = truth.max() - np.median(truth)
        for n in (TRIALS, 2 * TRIALS):
            rows = draw(Sobol(), space, n, seed).astype(int)
            frame = pd.DataFrame(space.columns(rows))
            chance = np.random.default_rng([seed, n]).normal(size=n)
            frame["value"] = truth[tuple(rows.T)] + 0.04 * scale * chance
            proposal = refine.propose(refine.analyze(space, frame, seed=seed))
            for risk in RISKS:
                asked = proposal.at(risk)
                levels = [np.flatnonzero(asked.space[name].contains(space[name].grid)) for name in space]
                lost = bool(truth.max() - truth[np.ix_(*levels)].max() > asked.claim.epsilon)
                kept_share = asked.volume_kept
                yield Box(f"architecture, {n} trials", risk, 1 - asked.claim.probability, lost, kept_share)


def architecture(number: int) -> np.ndarray:
    """(9, 9, 9, 9, 9) means: a smooth function of two rounded features of each kind."""
    rng = np.random.default_rng([9, number])
    features = np.round(2 * rng.standard_normal((5, 9, 2))) / 2
    lengths = np.exp(rng.normal(np.log(0.9 * np.sqrt(10)), 0.5, 10)).reshape(5, 2)
    waves = rng.standard_normal((5, 2, 300)) * np.sqrt(5 / rng.chisquare(5, 300)) / lengths[:, :, None]
    angles = np.einsum("jkf,jfw->jkw", features, waves)
    weights = rng.standard_normal(300)
    phases = rng.uniform(0, 2 * np.pi, 300)
    # cos(a + b + c + d + e) as the real part of a product: no table of all cells and waves is needed
    turns = np.exp(1j * angles)
    pair = np.einsum("iw,jw->ijw", turns[0] * (weights * np.exp(1j * phases)), turns[1])
    triple = np.einsum("iw,jw,kw->ijkw", turns[2], turns[3], turns[4])
    return np.real(np.tensordot(pair, triple, axes=([2], [3])))


def claims_table(boxes: list[Box]) -> str:
    """Stated and true losses, by kind of truth and risk."""
    frame = pd.DataFrame(boxes)
    rows = []
    for (kind, risk), part in frame.groupby(["kind", "risk"], sort=False):
        means = (
            f"{100 * part['stated'].mean():.1f}",
            share(part["lost"].tolist()),
            f"{part['kept'].mean():.3f}",
        )
        narrowed = int((part["kept"] < 1).sum())
        rows.append([f"{kind}, risk {risk:g}", len(part), narrowed, *means])
    return markdown(["truth", "boxes", "narrowed", "stated loss, %", "lost, %", "space kept"], rows)


PARTS = {
    "smooth": smooth,
    "walls": walls,
    "failures": failures,
    "grids": grids,
    "architectures": architectures,
}

if __name__ == "__main__":
    options = parser(__doc__, seeds=4)
    options.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all of these")
    a = options.parse_args()
    warnings.simplefilter("ignore")
    for part in a.parts or PARTS:
        print(f"## {part}\n\n{claims_table(list(PARTS[part](a.seeds)))}\n", flush=True)
