"""Claims by the stage of a study, on smooth peaks, next to failures, and on equal choices.

    python benchmarks/claims.py --seeds 4
    python benchmarks/claims.py failures --seeds 20
    python benchmarks/claims.py stages --seeds 4 --tables FOLDER --judge

Parts: `stages` simulates whole studies on truths of `studies.py`: random functions, conditional spaces and,
with a folder of tables, models of recorded trainings; `edits` cuts each of their parameters to a half.
`noise` estimates the noise of rounds without repeats. `smooth` draws random smooth functions of 5, 7 and 9
parameters, and compares draws on ranks alone with a quarter of the draws on values by a power. `mixtures`,
with a folder of tables, runs on the mean of trees and a Gaussian process, fitted to the tables with 7 columns
or more. `walls` runs few trials on functions that fall steeply at one end, and on the same functions without
a wall, and `falls` cuts each of their parameters to a half after exploit trials next to a steep fall. In
`failures` a third of the space fails, or training diverges beyond an edge, next to the best:
failures counted as the worst value, and learned apart. Of the three choices of `choices` two are equal.
`architectures` have five choices of nine look-alike kinds. `grids` are synthetic grids of four kinds that no other
benchmark uses, 96 boxes a risk and seed. The truth is known: a claim is false if the best
inside is worse than the best anywhere by more than epsilon.
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from boxes import SOURCES, analysis_of, digest, trials, worth
from studies import Claimed, Half, Study, truth_names
from surrogates import KEPT, LEVELS, RandomFunction, Searched, Wall, climbed, random_function, surrogate
from synthetic import KINDS, synthetic
from tables import kept, markdown, parser, share

import refine
import refine.proposal.posterior
from refine import stats
from refine.analysis.noise import noise_of
from refine.design.space_filling import Sobol, draw

RISKS = (0.05, 0.15)
TRIALS = 60
SMOOTH = tuple(f"{dimensions}-{number}" for dimensions in (5, 7, 9) for number in range(2))
WALLS = tuple(f"{dimensions}-{number}" for number in range(8) for dimensions in (3, 4, 6))
COLUMNS = 7
"""Fewest parameters of a table for `mixtures`."""
FEW = (12, 16)
"""Trials of a round next to a wall."""
BEFORE, AFTER = "before", "after"
FIRST_GRID, GRIDS = 5000, 12
"""First number of the grids of `grids`, and grids of each kind for a seed."""
CLIMBS = 2000  # cells from which the best of a box is searched


class Box(NamedTuple):
    """A box that was proposed, judged by the truth."""

    kind: str  # kind of truth
    method: str  # `BEFORE` or `AFTER`
    risk: float  # the risk asked for
    stated: float  # the stated probability of a loss
    lost: bool
    kept: float  # share of the space


def smooth(seeds: int) -> Iterator[Box]:
    """Boxes on random smooth functions."""
    models = {BEFORE: stats.MixedPosterior(), AFTER: refine.proposal.posterior.CLAIMED}
    for name in SMOOTH:
        for seed in range(seeds):
            yield from on_function("smooth", random_function(name), TRIALS, seed, models)


def mixtures(tables: Path, seeds: int) -> Iterator[Box]:
    """Boxes on the mean of trees and a process, fitted to the tables with at least `COLUMNS` parameters."""
    models = {AFTER: refine.proposal.posterior.CLAIMED}
    for path in sorted(tables.glob("*/*.parquet")):
        if len(json.loads((path.parent / "space.json").read_text())) < COLUMNS:
            continue
        grid = surrogate(tables, "mixed", f"{path.parent.name}.{path.stem}")
        for seed in range(seeds):
            yield from on_function(f"{len(grid.shape)} parameters", grid, TRIALS, seed, models)


def walls(seeds: int) -> Iterator[Box]:
    """Boxes of few trials next to a wall, and on the same functions without a wall."""
    models = {BEFORE: refine.proposal.posterior.CLAIMED, AFTER: refine.proposal.posterior.CLAIMED_BY_FEW}
    for name in WALLS:
        for grid in (Wall(name), random_function(name)):
            for n, seed in itertools.product(FEW, range(seeds)):
                yield from on_function(f"{grid.family}, {n} trials", grid, n, seed, models)


def on_function(
    kind: str, grid: Searched, n: int, seed: int, models: dict[str, stats.MixedPosterior]
) -> Iterator[Box]:
    """Boxes of one even round on a function, by every model."""
    rng = np.random.default_rng([seed, len(grid.shape)])
    rows = draw(Sobol(), grid.space, n, seed).astype(int)
    frame = pd.DataFrame({name: values[rows[:, j]] for j, (name, values) in enumerate(grid.grids.items())})
    frame["value"] = grid.expected(rows) + grid.noise * rng.normal(size=n)
    analysis = refine.analyze(grid.space, frame, seed=seed)
    posterior = refine.proposal.posterior
    own = posterior.CLAIMED, posterior.CLAIMED_BY_FEW
    for method, model in models.items():
        posterior.CLAIMED = posterior.CLAIMED_BY_FEW = model
        proposal = refine.propose(analysis)
        for risk in RISKS:
            asked = proposal.at(risk)
            levels = [np.flatnonzero(asked.space[k].contains(v)) for k, v in grid.grids.items()]
            loss = grid.best - climbed(grid.expected, levels, CLIMBS, KEPT)
            lost = asked.volume_kept < 1 and bool(loss > asked.claim.epsilon)
            yield Box(kind, method, risk, 1 - asked.claim.probability, lost, asked.volume_kept)
    posterior.CLAIMED, posterior.CLAIMED_BY_FEW = own


def failures(seeds: int) -> Iterator[Box]:
    """Boxes of rounds in which trials fail next to the best."""
    for kind, value in (("product", product), ("cliff", cliff)):
        for seed in range(seeds):
            space = refine.Space(dict.fromkeys("abcd", (0.0, 1.0, 9)))
            yield from enumerated(kind, space, value(seed), seed, lambda a: replace(a, failed=None))


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
    before: Callable[[refine.Analysis], refine.Analysis],
) -> Iterator[Box]:
    """Boxes on a small grid, judged by all of its cells; ``before`` makes an analysis what it was."""
    cells = np.stack(np.meshgrid(*(np.arange(space[p].size) for p in space), indexing="ij"), axis=-1)
    everywhere = pd.DataFrame(space.columns(cells.reshape(-1, len(space))))
    truth = value(everywhere)
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, TRIALS, seed)))
    noise = 0.04 * (np.nanmax(truth) - np.nanmedian(truth))
    frame["value"] = value(frame) + noise * np.random.default_rng(seed).normal(size=TRIALS)
    frame["state"] = np.where(frame["value"].isna(), "failed", "complete")
    analysis = refine.analyze(space, frame, seed=seed)
    for method, evidence in ((BEFORE, before(analysis)), (AFTER, analysis)):
        proposal = refine.propose(evidence)
        for risk in RISKS:
            asked = proposal.at(risk)
            inside = np.all([asked.space[p].contains(everywhere[p].to_numpy()) for p in space], axis=0)
            loss = np.nanmax(truth) - np.nanmax(truth[inside], initial=-np.inf)
            lost = bool(loss > asked.claim.epsilon + 1e-9)
            yield Box(kind, method, risk, 1 - asked.claim.probability, lost, float(inside.mean()))


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
                yield Box(f"{kind}, {n} trials", AFTER, risk, stated, lost, asked.volume_kept)


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
                yield Box("architecture", f"{n} trials", risk, 1 - asked.claim.probability, lost, kept_share)


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
    """Stated and true losses, by kind of truth, method and risk."""
    frame = pd.DataFrame(boxes)
    rows = []
    for (kind, risk, method), part in frame.groupby(["kind", "risk", "method"], sort=False):
        means = (
            f"{100 * part['stated'].mean():.1f}",
            share(part["lost"].tolist()),
            f"{part['kept'].mean():.3f}",
        )
        narrowed = int((part["kept"] < 1).sum())
        rows.append([f"{kind}, {method}, risk {risk:g}", len(part), narrowed, *means])
    return markdown(["truth", "boxes", "narrowed", "stated loss, %", "lost, %", "space kept"], rows)


def choices(seeds: int) -> str:
    """Rounds in which one of two equal choices is dropped, by the box alone and by the proposal."""
    space = refine.Space(
        {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}
    )
    rows = []
    for noise in (0.0, 0.02):
        dropped = {BEFORE: 0, AFTER: 0}
        for seed in range(3 * seeds):
            frame = pd.DataFrame(space.columns(draw(Sobol(), space, 2 * TRIALS, seed)))
            worse = frame["optimizer"] == "SGD"
            frame["value"] = 1 - 0.02 * (frame["lr"] - 1.4) ** 2 - 0.2 * frame["dropout"] - 0.1 * worse
            frame["value"] += noise * np.random.default_rng(seed).normal(size=len(frame))
            proposal = refine.propose(refine.analyze(space, frame, noise=None if noise else "none"))
            alone = proposal._proposer.boxes.frontier.at(0.05).keep[2]
            dropped[BEFORE] += not alone[:2].all()
            dropped[AFTER] += not {"Adam", "Nadam"} <= set(proposal.space["optimizer"].grid)
        rows.append([f"noise {noise:g}", 3 * seeds, dropped[BEFORE], dropped[AFTER]])
    return markdown(["two equal choices", "rounds", "one dropped by the box alone", "by the proposal"], rows)


def studied(part: str, seeds: int, names: Sequence[str], tables: Path | None = None) -> Iterator[list]:
    """The claims of studies on named truths, from the cache if its sources are the same."""
    for seed in range(seeds):
        for name in names:
            study = Study(name, seed, tables)
            store = f"{part}-{digest(Study, SOURCES)}"
            claims = kept(store, f"{name}-{seed}", lambda of=study: list(getattr(of, part)()))
            print(f"{name}, seed {seed}: {len(claims)} claims", file=sys.stderr, flush=True)
            yield from claims


def edits(claims: Iterator[list]) -> str:
    """Losses by cutting half of a parameter: share of the draws, stated, and true, by the stated chance."""
    frame = pd.DataFrame(claims, columns=Half._fields)
    frame["step"] = pd.cut(frame["drawn"], STEPS).astype(str)
    rows = []
    for (detected, step), part in frame.groupby(["detected", "step"]):
        means = [f"{100 * part[name].mean():.1f}" for name in ("drawn", "stated")]
        if part["stated"].isna().all():
            means[1] = "not known"
        rows.append(
            ["detected" if detected else "none", step, len(part), *means, share(part["lost"].tolist())]
        )
    head = ["effect", "share of draws that lose", "halves", "of draws, %", "stated loss, %", "lost, %"]
    return markdown(head, rows, texts=2)


def stages(claims: Iterator[list]) -> str:
    """Stated and true losses by the stage of a study, and by the kind of truth."""
    frame = pd.DataFrame(claims, columns=Claimed._fields)
    return f"{stage_rows(frame, 'stage')}\n\n{stage_rows(frame, 'truth')}"


def stage_rows(frame: pd.DataFrame, by: str) -> str:
    """A table of the claims about narrowed spaces; a claim about the whole space is always true."""
    rows = []
    for name, part in frame.groupby(by):
        cut = part[part["kept"] < 1]
        stated = f"{100 * cut['stated'].mean():.1f}" if len(cut) else "-"
        lost = [int(cut["lost"].sum()), share(cut["lost"].tolist()), int(cut["blind"].sum())]
        volume = np.exp(np.log(part["kept"]).mean())
        rows.append(
            [name, len(part), len(cut), stated, *lost, f"{volume:.2f}", f"{part['epsilon'].median():.3f}"]
        )
    head = [
        "proposals",
        "narrowed",
        "stated loss, %",
        "lost",
        "lost, %",
        "of these in the blind spot",
        "space kept",
        "tolerance",
    ]
    return markdown([by, *head], rows)


STEPS = (0.0, 0.01, 0.05, 0.15, 0.35, 1.0)
"""Ends of the steps of a chance."""

SHAPES = ((5, 24), (7, 24), (7, 40), (7, 60), (14, 60), (20, 60), (20, 200), (40, 100))
"""Numbers of parameters and of trials behind an estimate of the noise."""


def noises(seeds: int) -> str:
    """Estimated over true noise without repeats: smooth functions of all parameters, and bowls of four."""
    rows = []
    for dimensions, n in SHAPES:
        ratios = {"all": [], "four": []}
        for seed in range(seeds):
            rng = np.random.default_rng([dimensions, n, seed])
            drawn = RandomFunction(f"{dimensions}-{seed}")
            levels = rng.integers(0, LEVELS, (n, dimensions))
            x = levels / (LEVELS - 1)
            centre, weight = rng.random(4), rng.exponential(1, 4)
            bowl = -((rng.random((3000, 4)) - centre) ** 2 @ weight)
            noise = {"all": drawn.noise, "four": 0.05 * (bowl.max() - np.median(bowl))}
            means = {"all": drawn.expected(levels), "four": -((x[:, :4] - centre) ** 2 @ weight)}
            for kind, mean in means.items():
                y = mean + noise[kind] * rng.normal(size=n)
                trials = (x, y, [0] * dimensions)
                found = noise_of(trials, None, None, trials)
                ratios[kind].append((found.sd / noise[kind], found.lower_sd / noise[kind]))
        cells = [f"{np.exp(np.log(ratios[kind]).mean(axis=0))[k]:.2f}" for kind in ratios for k in (0, 1)]
        spread = np.std([np.log(ratio) for both in ratios.values() for ratio, _ in both])
        rows.append([f"{dimensions}, {n}", *cells, f"{np.exp(spread):.1f}"])
    head = ["all: estimate", "all: low estimate", "four: estimate", "four: low estimate", "spread, factor"]
    return markdown(["parameters, trials", *head], rows)


PARTS = {
    "noise": noises,
    "smooth": lambda seeds: claims_table(list(smooth(seeds))),
    "walls": lambda seeds: claims_table(list(walls(seeds))),
    "falls": lambda seeds: edits(studied("falls", seeds, [f"wall:{name}" for name in WALLS])),
    "failures": lambda seeds: claims_table(list(failures(seeds))),
    "choices": choices,
    "grids": lambda seeds: claims_table(list(grids(seeds))),
    "architectures": lambda seeds: claims_table(list(architectures(seeds))),
}

if __name__ == "__main__":
    options = parser(__doc__, seeds=4)
    options.add_argument(
        "parts", nargs="*", help=f"stages, edits, mixtures, or of {', '.join(PARTS)}; default: all of these"
    )
    options.add_argument("--tables", type=Path, help="folder of tables of trainings, see surrogates.py")
    options.add_argument(
        "--judge", action="store_true", help="stages, edits: on truths left out of development"
    )
    a = options.parse_args()
    warnings.simplefilter("ignore")
    truths = truth_names("judged" if a.judge else "developed", a.tables)
    for part in a.parts or PARTS:
        if part == "stages":
            text = stages(studied("claims", a.seeds, truths, a.tables))
        elif part == "edits":
            text = edits(studied("halves", a.seeds, truths, a.tables))
        elif part == "mixtures":
            text = claims_table(list(mixtures(a.tables, a.seeds)))
        else:
            text = PARTS[part](a.seeds)
        print(f"## {part}\n\n{text}\n", flush=True)
