"""How often what is handed over generalises worse than the default, or than the first configuration: real trainings.

    python benchmarks/overtuning.py --seeds 4

Two learners on three data sets that scikit-learn ships. Every seed draws 100 rows to train on, 60 to validate on, and keeps all
others for the test. Every method has 60 evaluations, each a training under a seed of its own, and sees the accuracy on the 60 rows
alone. What it hands over, the default and the first configuration that it ran are then trained ten times and tested.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

import refine

TRIALS, FIRST, AGAIN = 60, 20, 10
DATA = ("breast_cancer", "digits", "wine")
CACHE = Path(__file__).parent / ".cache" / "overtuning.json"

SPACES = {
    "trees": {
        "max_depth": [1, 2, 3, 5, 8, 12],
        "min_samples_leaf": [1, 2, 4, 8, 16],
        "max_features": [0.1, 0.2, 0.4, 0.7, 1.0],
        "criterion": ["gini", "entropy"],
        "n_estimators": [5, 10, 20, 40],
    },
    "linear": {
        "alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0],
        "penalty": ["l2", "l1", "elasticnet"],
        "loss": ["hinge", "log_loss", "modified_huber"],
        "eta0": [0.001, 0.003, 0.01, 0.03, 0.1],
        "learning_rate": ["constant", "invscaling", "adaptive"],
    },
}
DEFAULTS = {
    "trees": {
        "max_depth": 12,
        "min_samples_leaf": 1,
        "max_features": 0.2,
        "criterion": "gini",
        "n_estimators": 40,
    },
    "linear": {
        "alpha": 1e-4,
        "penalty": "l2",
        "loss": "hinge",
        "eta0": 0.01,
        "learning_rate": "adaptive",
    },
}
"""The library's own where the space has it, else the nearest level."""


class Problem:
    """A learner on a split of a data set."""

    def __init__(self, learner: str, data: str, seed: int) -> None:
        self.learner, self.space = learner, SPACES[learner]
        X, y = _rows(data)
        order = np.random.default_rng([seed, DATA.index(data)]).permutation(len(y))
        self.train, self.validate, self.test = (
            (X[rows], y[rows]) for rows in np.split(order, [100, 100 + min(60, (len(y) - 100) // 2)])
        )

    def score(self, params, seed: int, on: tuple[np.ndarray, np.ndarray]) -> float:
        """Accuracy of one training."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import SGDClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = (
            RandomForestClassifier(random_state=seed, **params)
            if self.learner == "trees"
            else SGDClassifier(random_state=seed, max_iter=30, tol=None, **params)
        )
        return float(make_pipeline(StandardScaler(), model).fit(*self.train).score(*on))

    def tested(self, params) -> float:
        """Mean test accuracy of ten trainings."""
        return float(np.mean([self.score(params, 10**6 + i, self.test) for i in range(AGAIN)]))


@lru_cache
def _rows(data: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    return getattr(datasets, f"load_{data}")(return_X_y=True)


Handed = tuple[dict, dict]
"""What is handed over, and the first configuration that was run."""


def by_refine(problem: Problem, seed: int, race: bool) -> Handed:
    """A tree's winner after a search with a race, or after three rounds without one."""

    def objective(params, trial):
        return problem.score(dict(params), trial.seed, problem.validate)

    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_round(problem.space, objective, n=FIRST, seed=seed, name="training")
        if race:
            refine.autopilot(first, budget=TRIALS, progress=False)
        else:
            refine.autopilot(first, rounds=3, progress=False)
        ran = first.trials[list(problem.space)].iloc[0].to_dict()
        return dict(tree.winner().params), {k: _plain(v) for k, v in ran.items()}


def by_tpe(problem: Problem, seed: int) -> Handed:
    """Optuna's TPE in batches of ten; the best observed value is handed over."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {k: optuna.distributions.CategoricalDistribution(v) for k, v in problem.space.items()}
    for batch in range(TRIALS // 10):
        for i, trial in enumerate([study.ask(space) for _ in range(10)]):
            study.tell(trial, problem.score(trial.params, 1000 * seed + 10 * batch + i, problem.validate))
    return study.best_params, study.trials[0].params


def at_random(problem: Problem, seed: int) -> Handed:
    """Random draws; the best observed value is handed over."""
    rng = np.random.default_rng(seed)
    drawn = [{k: _plain(rng.choice(v)) for k, v in problem.space.items()} for _ in range(TRIALS)]
    told = [problem.score(p, 1000 * seed + i, problem.validate) for i, p in enumerate(drawn)]
    return drawn[int(np.argmax(told))], drawn[0]


def _plain(value):
    return value.item() if hasattr(value, "item") else value


METHODS: dict[str, Callable[[Problem, int], Handed]] = {
    "refine, with a race": lambda problem, seed: by_refine(problem, seed, race=True),
    "refine, without a race": lambda problem, seed: by_refine(problem, seed, race=False),
    "Optuna TPE": by_tpe,
    "random search": at_random,
}


def outcome(method: str, learner: str, data: str, seed: int) -> list[float]:
    """Test accuracy of what is handed over, of the default, and of the first configuration; kept once made."""
    known = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    key = f"{method}-{learner}-{data}-{seed}"
    if key not in known:
        problem = Problem(learner, data, seed)
        handed, first = METHODS[method](problem, seed)
        known[key] = [problem.tested(p) for p in (handed, DEFAULTS[learner], first)]
        CACHE.parent.mkdir(exist_ok=True)
        scratch = CACHE.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(known))
        scratch.replace(CACHE)
    return known[key]


def report(seeds: int) -> str:
    """The section for docs/benchmarks/search.md."""
    from scipy.stats import binomtest

    warnings.simplefilter("ignore")
    head = " | ".join(
        f"worse than {what}, %" for what in ("the default", "the first", "the default by a point")
    )
    lines = [f"| method | {head} | gain on the default, points | cases |\n|---|" + "---:|" * 5]
    for method in METHODS:
        found = np.array([outcome(method, m, d, seed) for seed in range(seeds) for m in SPACES for d in DATA])
        cells = []
        for other, least in ((1, 0.0), (2, 0.0), (1, 0.01)):
            worse = int((found[:, 0] < found[:, other] - least).sum())
            low, high = binomtest(worse, len(found)).proportion_ci(method="wilson")
            cells.append(f"{100 * worse / len(found):.0f} ({100 * low:.0f} to {100 * high:.0f})")
        gain = 100 * (found[:, 0] - found[:, 1])
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        lines.append(
            f"| {method} | {' | '.join(cells)} | {gain.mean():+.2f} ± {1.96 * error:.2f} | {len(found)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    print(report(parser.parse_args().seeds))
