"""Learning trials in batches of eight beside learning trials one at a time, at as many evaluations.

    python benchmarks/batches.py --seeds 2
    python benchmarks/batches.py --seeds 2 --tables FOLDER

Ten even trials, then learning trials up to 50: one at a time from all results so far, or eight together.
The *gain* is the fall of the regret of the configuration with the best posterior mean.
Finished runs are kept under `.cache/`, so a second call resumes.
"""

from __future__ import annotations

import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from boxes import digest
from grids import Grid
from sixty import DEVELOPED_FITTED, Table, opened
from surrogates import FUNCTIONS, PIPELINE
from tables import kept, markdown, parser

import refine
from refine.design.space_filling import design_named, draw
from refine.proposal.allocation import batch_rows, learning_from
from refine.proposal.posterior import MEANS, posterior_of
from refine.space.space import configuration_key

TOGETHER = 8
WANTED = 0.1  # most share of the gain that batches may lose
SOURCES = ("proposal/*.py", "stats/*.py")
TABLES: tuple[Table, ...] = (
    *((FUNCTIONS, name) for name in ("3-0", "5-0", "5-1", "7-0")),
    (PIPELINE, "1"),
)


def trials(on: Grid, rows: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """A table of trials at (n, parameters) level numbers, with one evaluation each."""
    space = on.space
    lines = []
    for row in rows:
        params = space.at(row)
        cell = on.cell(on.index(params))
        lines.append({**params, "cell": cell, "value": on.draw(cell, rng), "state": "complete"})
    return pd.DataFrame(lines, columns=[*space, "cell", "value", "state"])


def search(on: Grid, seed: int, together: int, even: int, budget: int) -> list[float]:
    """Regret after the even trials, and at the end."""
    space = on.space
    rng = np.random.default_rng([seed, 5])
    ran = trials(on, draw(design_named("sobol"), space, even, seed), rng)
    first = refine.analyze(space, ran.drop(columns="cell"))
    regrets = [regret_of(on, first, ran)]
    while len(ran) < budget:
        analysis = learning_from(first, ran[even:].drop(columns="cell"))
        skip = frozenset(configuration_key(space.frozen(space.at(row))) for row in rows_of(on, ran))
        n = min(together, budget - len(ran))
        rows = batch_rows(analysis, space, n, 1000 * seed + len(ran), skip, ran[:0])
        ran = pd.concat([ran, trials(on, rows, rng)], ignore_index=True)
    analysis = learning_from(first, ran[even:].drop(columns="cell"))
    return [*regrets, regret_of(on, analysis, ran)]


def rows_of(on: Grid, ran: pd.DataFrame) -> np.ndarray:
    """(n, parameters) level numbers of trials."""
    return on.space.canonical(np.stack(np.unravel_index(ran["cell"], on.shape), axis=1))


def regret_of(on: Grid, analysis: refine.Analysis, ran: pd.DataFrame) -> float:
    """Regret of the trial with the best posterior mean."""
    best = posterior_of(analysis, analysis.X[:1], model=MEANS).best_known(1)[0]
    return max(0.0, on.regret(int(ran["cell"][best])))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=2, even=10, budget=50)
    options.add_argument("--tables", type=Path, metavar="FOLDER", help="tables that models are fitted to")
    a = options.parse_args()
    lines = []
    regret: dict[int, list[list[float]]] = {1: [], TOGETHER: []}
    for table in TABLES + (DEVELOPED_FITTED if a.tables else ()):
        for seed, together in product(range(a.seeds), regret):
            key = "-".join(map(str, (*table, seed, together, a.even, a.budget)))
            store = f"batches-{digest(search, SOURCES)}"
            on = opened(table, a.tables)
            run = partial(search, on, seed, together, a.even, a.budget)
            regret[together].append(kept(store, key, run))
        means = [100 * np.mean(runs[-a.seeds :], axis=0) for runs in regret.values()]
        lines.append(["-".join(table), f"{means[0][0]:.1f}", *(f"{mean[1]:.1f}" for mean in means)])
    first, alone = np.mean(regret[1], axis=0)
    lost = (np.mean(regret[TOGETHER], axis=0)[1] - alone) / (first - alone)
    print(markdown(["truth", f"after {a.even}, %", "one at a time, %", f"{TOGETHER} together, %"], lines))
    print(f"\n- Batches lose {lost:.2f} of the gain (wanted: at most {WANTED}).")
