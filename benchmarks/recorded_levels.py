"""Records of real trainings at several levels of a fidelity: epochs of small networks, and shares of the data.

    python benchmarks/recorded_levels.py              # records all families, about an hour on one core
    python benchmarks/recorded_levels.py digits moons

Every training draws a configuration of its family at random, and notes the validation loss at three levels. Records
stay in `benchmarks/.cache`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from tables import kept

import refine

TRAININGS = 400
EPOCHS = (4, 12, 40)
SHARES = (0.1, 0.3, 1.0)

NETWORK = refine.Space(
    {
        "lr": refine.Float(1e-4, 1, 17, log=True),
        "hidden": refine.Integer(4, 256, 13, log=True),
        "alpha": refine.Float(1e-6, 1, 13, log=True),
        "batch": refine.Integer(8, 256, base=2),
        "act": ["relu", "tanh", "logistic"],
    }
)
TREES = refine.Space(
    {
        "learning_rate": refine.Float(0.01, 1, 9, log=True),
        "max_depth": refine.Integer(1, 8),
        "subsample": refine.Float(0.3, 1, 8),
        "max_features": refine.Float(0.1, 1, 7, log=True),
        "min_leaf": refine.Integer(1, 64, base=2),
        "n_estimators": refine.Integer(8, 128, base=2),
    }
)
KERNEL = refine.Space(
    {
        "C": refine.Float(1e-3, 1e4, 15, log=True),
        "gamma": refine.Float(1e-5, 10, 13, log=True),
        "shrinking": [True, False],
        "scaled": [True, False],
    }
)


class Family(NamedTuple):
    """A data set, a model and the levels of its fidelity."""

    space: refine.Space
    fidelity: str  # name of the fidelity
    levels: tuple[float, ...]
    losses: Callable[[str, dict[str, Any], int], list[float]]  # of a configuration, one per level


@lru_cache(maxsize=4)
def data(name: str) -> tuple[np.ndarray, ...]:
    """Training and validation rows of a data set, scaled."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    if name == "moons":
        X, y = datasets.make_moons(1200, noise=0.3, random_state=0)
    elif name in ("classification", "shares"):
        X, y = datasets.make_classification(1500, 20, n_informative=8, n_classes=3, random_state=1)
    elif name == "noisy_labels":
        X, y = datasets.make_classification(600, 20, n_informative=6, n_classes=2, flip_y=0.4, random_state=2)
    else:
        source = {"digits": "digits", "cancer": "breast_cancer", "wine": "wine", "kernel": "digits"}[name]
        X, y = getattr(datasets, f"load_{source}")(return_X_y=True)
    parts = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)
    scaler = StandardScaler().fit(parts[0])
    return scaler.transform(parts[0]), scaler.transform(parts[1]), parts[2], parts[3]


def by_epochs(name: str, p: dict[str, Any], seed: int) -> list[float]:
    """Validation losses of a network after each number of epochs."""
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    X, X_val, y, y_val = data(name)
    model = MLPClassifier(
        (p["hidden"],),
        activation=p["act"],
        alpha=p["alpha"],
        batch_size=min(p["batch"], len(X)),
        learning_rate_init=p["lr"],
        random_state=seed,
    )
    classes = np.unique(y)
    losses = []
    for epoch in range(1, EPOCHS[-1] + 1):
        model.partial_fit(X, y, classes=classes)
        if epoch in EPOCHS:
            losses.append(log_loss(y_val, np.clip(model.predict_proba(X_val), 1e-6, 1), labels=classes))
    return losses


def by_share(name: str, p: dict[str, Any], seed: int) -> list[float]:
    """Validation losses of boosted trees, or of a kernel machine, on each share of the data."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.svm import SVC

    X, X_val, y, y_val = data(name)
    order = np.random.default_rng(seed).permutation(len(X))
    losses = []
    for share in SHARES:
        rows = order[: round(share * len(X))]
        if name == "kernel":
            scale = 1.0 if p["scaled"] else 3.0
            model = SVC(C=p["C"], gamma=p["gamma"], shrinking=p["shrinking"], random_state=seed)
            model.fit(scale * X[rows], y[rows])
            losses.append(float(np.mean(model.predict(scale * X_val) != y_val)))
        else:
            model = GradientBoostingClassifier(
                learning_rate=p["learning_rate"],
                max_depth=p["max_depth"],
                subsample=p["subsample"],
                max_features=p["max_features"],
                min_samples_leaf=p["min_leaf"],
                n_estimators=p["n_estimators"],
                random_state=seed,
            ).fit(X[rows], y[rows])
            chances = np.clip(model.predict_proba(X_val), 1e-6, 1)
            losses.append(float(-np.log(chances[np.arange(len(y_val)), y_val]).mean()))
    return losses


FAMILIES = {
    **{
        name: Family(NETWORK, "epochs", EPOCHS, by_epochs)
        for name in ("digits", "moons", "cancer", "wine", "classification", "noisy_labels")
    },
    "shares": Family(TREES, "share", SHARES, by_share),
    "kernel": Family(KERNEL, "share", SHARES, by_share),
}


def record(name: str, trainings: int = TRAININGS) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Configurations of a family, and their (trainings, levels) losses."""
    family = FAMILIES[name]

    def made() -> dict[str, Any]:
        rng = np.random.default_rng(7)
        configurations = [
            family.space.configuration(int(rng.integers(family.space.size))) for _ in range(trainings)
        ]
        losses = [family.losses(name, p, seed) for seed, p in enumerate(configurations)]
        return {"configurations": configurations, "losses": losses}

    known = kept("levels", f"{name} {trainings}", made)
    return known["configurations"], np.asarray(known["losses"], dtype=float)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for chosen in sys.argv[1:] or list(FAMILIES):
        _, values = record(chosen)
        from scipy.stats import spearmanr

        ranks = [spearmanr(values[:, i], values[:, -1]).statistic for i in range(values.shape[1] - 1)]
        shown = ", ".join(
            f"{level:g}: {rank:.2f}" for level, rank in zip(FAMILIES[chosen].levels, ranks, strict=False)
        )
        print(f"{chosen}: rank correlation with the last level after {shown}", flush=True)
