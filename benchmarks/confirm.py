"""Races among the plausible winners: which rule for sharing out runs hands over the better configuration.

    python benchmarks/confirm.py

Alternatives whose true means are drawn from their priors, as the posterior of a tree would state them; runs with noise of half,
one and three times the prior's deviation; what is handed over has the best posterior mean. Loss is counted against the best of
them, in units of the prior's deviation.
"""

from __future__ import annotations

import argparse

import numpy as np

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


def main(races: int) -> None:
    """Prints the table."""
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
    parser.add_argument("--races", type=int, default=2000, help="races per cell of the table")
    main(parser.parse_args().races)
