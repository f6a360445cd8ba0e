"""Does a study reach what `refine.rehearse` said before its first trial? Forecast next to the share that came.

    python benchmarks/rehearsals.py
    python benchmarks/rehearsals.py --budget 60 --count 3 --seeds 2

Random functions of 2 to 9 parameters and synthetic grids, none of them used to choose the method. A study of
`--budget` trials is rehearsed on the space and the noise of the table; then autopilot runs the same budget.
Shares are (winner - median) / (best - median), by true means. With `--minutes`, no study starts after so many
minutes. Plans of further rounds (`review.rehearse`) are checked by `benchmarks/worth.py`.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import NamedTuple

import numpy as np
from grids import Grid
from surrogates import DIMENSIONS, FUNCTIONS, random_function
from synthetic import KINDS, synthetic
from tables import markdown, parser

import refine

FIRST = 10  # evenly drawn trials of a study on autopilot
NUMBER = 40  # number of the first random function
MOST_PARAMETERS = 9


class Study(NamedTuple):
    """The forecast of a study, and the share that it reached."""

    family: str
    low: float  # forecast: 10 % quantile, mean and 90 % quantile
    mean: float
    high: float
    reached: float


def table_of(family: str, name: str) -> Grid:
    """A random function or a synthetic grid."""
    if family == FUNCTIONS:
        return random_function(name)
    return synthetic(family, int(name))


def study(table: Grid, budget: int, seed: int) -> Study:
    """A study on a table, rehearsed and run."""
    noise = table.noise / (table.best - table.median)
    rehearsal = refine.rehearse(table.space, budget, noise=noise, seed=seed)
    size = next(size for size in rehearsal.sizes if size.trials == budget)
    with refine.Tree("rehearsed", store="sqlite://") as tree:
        first = tree.add_round(table.space, table.objective, n=FIRST, seed=seed, objective_name="table")
        refine.autopilot(first, budget=budget, progress=False)
        regret = table.regret(table.cell(table.index(tree.winner().params)))
    return Study(table.family, *size.learning, 1 - regret)


def report(studies: list[Study]) -> str:
    """A row per family: mean forecast, mean share that came, and how often the interval held it."""
    rows = []
    for family in [*dict.fromkeys(s.family for s in studies), "all"]:
        of = [s for s in studies if family in (s.family, "all")]
        held = np.mean([s.low <= s.reached <= s.high for s in of])
        below = np.mean([s.reached < s.low for s in of])
        means = f"{np.mean([s.mean for s in of]):.2f}", f"{np.mean([s.reached for s in of]):.2f}"
        rows.append([family, len(of), *means, f"{held:.2f}", f"{below:.2f}"])
    head = ["family", "studies", "forecast", "reached", "80 % interval holds", "reached less"]
    return markdown(head, rows)


def main() -> None:
    options = parser(__doc__, budget=60, count=1, seeds=1)
    options.add_argument("--minutes", type=float, default=math.inf, help="default: until all are run")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    end = time.monotonic() + 60 * given.minutes
    names = [f"{d}-{NUMBER + k}" for k in range(given.count) for d in DIMENSIONS if d <= MOST_PARAMETERS]
    jobs = [(FUNCTIONS, name) for name in names]
    jobs += [(kind, str(k)) for k in range(given.count) for kind in KINDS]
    studies = []
    for seed in range(given.seeds):
        for family, name in jobs:
            if time.monotonic() > end:
                continue
            studies.append(study(table_of(family, name), given.budget, seed))
            print(family, name, *(f"{value:.3f}" for value in studies[-1][1:]), flush=True)
    print(report(studies))


if __name__ == "__main__":
    main()
