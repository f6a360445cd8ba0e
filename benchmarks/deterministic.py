"""Claims about objectives without noise: cross-validated scores of scikit-learn on whole grids, which this command evaluates.

Every grid is evaluated in full first. Then rounds of 60 trials are run on it, proposals are made for three risks, and what they
claim, and the winner, are held against the grid. `--unaware` makes proposals as if the noise were that of retraining. Two cores
take about half an hour.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets, ensemble, kernel_ridge, linear_model, neighbors, neural_network, svm, tree
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import parser

import refine

QUIET = refine.Machine(progress=False)

RISKS = (0.05, 0.15, 0.3)
TRIALS = 60
ROWS = 240
"""Of a data set: evaluating a grid then takes seconds."""


class Task(NamedTuple):
    """A grid of cross-validated scores."""

    data: str
    model: Callable[..., Any]
    scoring: str
    levels: dict[str, list[Any]]


def _log(low: float, high: float, count: int) -> list[float]:
    return [float(f"{v:.3g}") for v in np.geomspace(low, high, count)]


def _network(model: Any, width: int, depth: int = 1, **options: Any) -> Any:
    return model(hidden_layer_sizes=(width,) * depth, max_iter=15, random_state=0, **options)


def _boosted(max_depth: int, **options: Any) -> Any:
    grown = tree.DecisionTreeClassifier(max_depth=max_depth, random_state=0)
    return ensemble.AdaBoostClassifier(grown, random_state=0, **options)


_DEPTHS, _LEAVES, _SHARES = [2, 3, 4, 6, 8, 12], [1, 2, 3, 5, 8, 14], [0.1, 0.2, 0.4, 0.6, 0.8]
TASKS = {
    "vectors, accuracy": Task("digits", svm.SVC, "accuracy", {"C": _log(0.05, 50, 13), "gamma": _log(1e-4, 0.3, 13), "kernel": ["rbf", "sigmoid"]}),
    "kernel, R2": Task("diabetes", kernel_ridge.KernelRidge, "r2", {"alpha": _log(1e-3, 100, 12), "gamma": _log(1e-4, 1, 12), "kernel": ["rbf", "laplacian"]}),
    "neighbors, log loss": Task("breast_cancer", neighbors.KNeighborsClassifier, "neg_log_loss", {"n_neighbors": list(range(3, 63)), "weights": ["uniform", "distance"], "metric": ["euclidean", "manhattan", "chebyshev"]}),
    "neighbors, accuracy": Task("wine", neighbors.KNeighborsClassifier, "accuracy", {"n_neighbors": list(range(1, 61)), "weights": ["uniform", "distance"], "metric": ["euclidean", "manhattan", "chebyshev", "canberra"]}),
    "tree, accuracy": Task("digits", partial(tree.ExtraTreeClassifier, random_state=0), "accuracy", {"max_depth": _DEPTHS, "min_samples_leaf": _LEAVES, "max_features": _SHARES, "criterion": ["gini", "entropy"]}),
    "tree, Brier": Task("breast_cancer", partial(tree.DecisionTreeClassifier, random_state=1), "neg_brier_score", {"max_depth": _DEPTHS, "min_samples_leaf": _LEAVES, "max_features": _SHARES, "ccp_alpha": [0.0, 0.005, 0.01, 0.03]}),
    "forest, accuracy": Task("digits", partial(ensemble.RandomForestClassifier, n_estimators=8, random_state=0), "accuracy", {"max_depth": _DEPTHS, "min_samples_leaf": _LEAVES, "max_features": _SHARES, "criterion": ["gini", "entropy"]}),
    "forest, log loss": Task("wine", partial(ensemble.ExtraTreesClassifier, n_estimators=8, random_state=0), "neg_log_loss", {"max_depth": _DEPTHS, "min_samples_leaf": _LEAVES, "max_features": _SHARES, "bootstrap": [True, False]}),
    "boosting, accuracy": Task("breast_cancer", _boosted, "accuracy", {"n_estimators": [2, 4, 8, 12, 16, 20], "learning_rate": _log(0.02, 2, 14), "max_depth": [1, 2, 3, 5]}),
    "linear, accuracy": Task("breast_cancer", partial(linear_model.LogisticRegression, solver="liblinear", max_iter=60), "accuracy", {"C": _log(1e-4, 100, 30), "l1_ratio": [0, 1], "intercept_scaling": _log(0.1, 30, 6)}),
    "linear, R2": Task("diabetes", partial(linear_model.SGDRegressor, max_iter=30, tol=None, random_state=0), "r2", {"alpha": _log(1e-6, 1, 10), "eta0": _log(1e-4, 0.1, 10), "loss": ["squared_error", "huber", "epsilon_insensitive"], "penalty": ["l2", "l1"]}),
    "network, accuracy": Task("digits", partial(_network, neural_network.MLPClassifier), "accuracy", {"width": [4, 8, 16, 32], "alpha": _log(1e-4, 10, 6), "learning_rate_init": _log(1e-3, 0.3, 9), "activation": ["relu", "tanh"]}),
    "network, R2": Task("diabetes", partial(_network, neural_network.MLPRegressor, solver="lbfgs"), "r2", {"width": [1, 2, 4, 8], "depth": [1, 2], "alpha": _log(1e-4, 30, 10), "activation": ["relu", "tanh", "logistic"]}),
}  # fmt: skip


@lru_cache
def grid(name: str) -> dict[tuple[Any, ...], float]:
    """Every configuration of a task, and its score."""
    task = TASKS[name]
    X, y = (part[::2][:ROWS] for part in getattr(datasets, f"load_{task.data}")(return_X_y=True))
    values = {}
    for cell in itertools.product(*task.levels.values()):
        model = task.model(**dict(zip(task.levels, cell, strict=True)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = cross_val_score(make_pipeline(StandardScaler(), model), X, y, scoring=task.scoring)
        values[cell] = float(scores.mean())
    return values


def judged(name: str, seed: int, aware: bool) -> Iterator[dict[str, Any]]:
    """What the proposals of one round claim, and what is true."""
    values, levels = grid(name), TASKS[name].levels
    cells = pd.DataFrame(list(values), columns=list(levels))
    scores, best = np.array(list(values.values())), max(values.values())
    with refine.Tree(name, store="sqlite://") as study:
        space = refine.Space(levels)
        root = study.add_round(space, lambda p: values[tuple(p[n] for n in levels)], name=name, n=TRIALS, seed=seed)  # fmt: skip
        root.run(machine=QUIET)
        analysis = root.analyze()
        if not aware:
            analysis = refine.analyze(space, root.trials, refine.Goal("value", noise="retraining"))
        proposal, winner = refine.propose(analysis, risk=max(RISKS)), study.winner()
        seen = root.trials["value"].max()
        for risk in RISKS:
            boxed = proposal.at(risk)
            inside = boxed.space.contains(cells)
            yield {
                "grid": name,
                "asked": risk,
                "stated": boxed.claim.probability,
                "true": float(scores[inside].max() >= best - boxed.claim.epsilon - 1e-12),
                "kept": float(inside.mean()),
                "winner_worse": float(values[tuple(winner.params[n] for n in levels)] < seen - 1e-12),
            }


def of_task(name: str, seeds: int, aware: bool) -> list[dict[str, Any]]:
    """All rounds of a task."""
    return [row for seed in range(seeds) for row in judged(name, seed, aware)]


def main() -> None:
    """Print the tables."""
    options = parser(__doc__, seeds=20)
    options.add_argument("--only", nargs="*", default=list(TASKS), help="names of grids")
    options.add_argument("--unaware", action="store_true", help="as if runs again gave other values")
    asked = options.parse_args()
    with ProcessPoolExecutor(2) as pool:
        parts = pool.map(of_task, asked.only, [asked.seeds] * len(asked.only), [not asked.unaware] * len(asked.only))  # fmt: skip
        rows = pd.DataFrame([row for part in parts for row in part])
    shown = ["stated", "true", "kept"]
    print(f"{len(asked.only)} grids, {asked.seeds} rounds of {TRIALS} trials each")
    print(rows.groupby("asked")[shown].mean().round(3).to_string())
    print(f"winner worse than the best observed: {int(rows['winner_worse'].sum() / len(RISKS))}")
    print(rows.pivot_table(index="grid", columns="asked", values=shown)[shown].round(2).to_string())


if __name__ == "__main__":
    main()
