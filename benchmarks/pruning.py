"""What does a pruner save, what does it lose, and is what is claimed afterwards true? Rounds replayed on recorded curves.

    python benchmarks/pruning.py
    python benchmarks/pruning.py --data breast_cancer

600 small networks, a grid of five parameters, are trained twice each with `refine.keras.fit`, once, and their curves kept under
`benchmarks/.cache/`; ten minutes on one core, and twenty more for the rounds. These draw from them: a trial reports one recorded curve,
epoch by epoch. Every way runs until it has spent the epochs of 100 full trainings. Regret is by the mean over a network's trainings, as
a share of (best - median): of the winner that is handed over, and, for the epochs to the same, of the best that ran to its end.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
from boxes import SOURCES, digest
from grids import Grid
from sklearn.ensemble import RandomForestRegressor
from tables import kept, markdown, parser, share

import refine

QUIET = refine.Machine(progress=False)

METRIC, EPOCHS, TRAININGS, N, TOP = "val_acc", 50, 2, 100, 10
SHARES = np.linspace(0.2, 1, 161)
"""Shares of the epochs of full trainings at which regret is compared."""

LEVELS = {
    "lr": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "units": [4, 8, 16, 32, 64],
    "batch": [16, 32, 64, 128],
    "dropout": [0.0, 0.2, 0.5],
    "activation": ["relu", "tanh"],
}
NOISE = {"digits": 0.7, "breast_cancer": 1.0}
"""Data set -> deviation of what is added to the inputs, in their own deviations, so that few networks are as good as the best."""

WAYS: dict[str, refine.Pruner | None] = {
    "nothing": None,
    "`Pruner()`, the default": refine.Pruner(),
    "`audit=0`": refine.Pruner(audit=0),
    "`keep=1 / 4`": refine.Pruner(keep=1 / 4),
    "`rungs=(5, 15)`": refine.Pruner(rungs=(5, 15)),
}


def trained(data: str, cells: list[int]) -> list[list[list[float]]]:
    """(cells, trainings, epochs) validation accuracies."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import sklearn.datasets

    from refine.keras import fit
    from refine.keras._session import own_session, prepare

    prepare(1)
    x, y = getattr(sklearn.datasets, f"load_{data}")(return_X_y=True)
    rng = np.random.default_rng(0)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9) + NOISE[data] * rng.normal(size=x.shape)
    order = rng.permutation(len(y))
    (fitted, held), rows = np.split(order, [len(y) * 4 // 9]), list(product(*LEVELS.values()))

    def once(cell: int, number: int) -> list[float]:
        lr, units, batch, dropout, activation = rows[cell]
        with own_session(TRAININGS * cell + number + 1):
            inner = keras.layers.Dense(units, activation=activation), keras.layers.Dropout(dropout)
            outer = keras.layers.Dense(int(y.max()) + 1, activation="softmax")
            model = keras.Sequential([keras.Input(x.shape[1:]), *inner, outer])
            model.compile(keras.optimizers.Adam(lr), "sparse_categorical_crossentropy", metrics=["acc"])
            options = {"validation_data": (x[held], y[held]), "batch_size": batch, "epochs": EPOCHS}
            return fit(model, x[fitted], y[fitted], **options).history[METRIC]

    return [[once(cell, number) for number in range(TRAININGS)] for cell in cells]


class Networks(Grid):
    """All networks on a data set with the curves of their trainings, (cells, trainings, epochs)."""

    def __init__(self, data: str) -> None:
        self.levels, self.unordered = LEVELS, {"activation"}
        self.shape = tuple(map(len, LEVELS.values()))
        blocks = np.arange(np.prod(self.shape)).reshape(-1, 20).tolist()
        name = f"curves-{data}-{digest(trained, ())}"
        self.curves = np.array([c for b in blocks for c in kept(name, str(b[0]), lambda: trained(data, b))])  # noqa: B023
        self.values, self.truth = self.curves[:, :, -1], self.curves[:, :, -1].mean(axis=1)
        self.best, self.median = float(self.truth.max()), float(np.median(self.truth))
        # The best of two trainings is partly luck: what trees expect of a network that have not seen it is not.
        cells = np.transpose(np.unravel_index(np.arange(len(self.truth)), self.shape))
        trees = RandomForestRegressor(500, min_samples_leaf=2, oob_score=True, random_state=0)
        self.expected = trees.fit(cells, self.truth).oob_prediction_

    def curve(self, params, seed: int) -> np.ndarray:
        """One of the recorded curves of a configuration, by the trial's seed."""
        return self.curves[self.cell(self.index(params)), np.random.default_rng(seed).integers(TRAININGS)]

    def regret_of(self, winner: refine.Winner) -> float:
        """Of a winner that is handed over."""
        return float(self.regret(self.cell(self.index(winner.params))))


networks = cache(Networks)


def replayed(data: str, seed: int, way: str) -> dict:
    """What a round costs and brings: the epochs of every trial, the regret of those that ended, and what is said after `N`."""
    on, ran = networks(data), []

    def objective(params, trial) -> dict[str, float]:
        for epoch, value in enumerate(on.curve(params, trial.seed).tolist(), 1):
            trial.report(epoch - 1, {METRIC: value})
            if epoch < EPOCHS and trial.should_prune():
                break
        ran.append((epoch, on.regret(on.cell(on.index(params))) if epoch == EPOCHS else np.inf))
        return {METRIC: value}

    with refine.Tree("bench", store="sqlite://") as tree:
        made = tree.add_round(
            on.space,
            objective,
            metric=refine.Goal(METRIC, noise="retraining"),
            n=N,
            seed=seed,
            plan=refine.Plan(pruner=WAYS[way]),
        )
        made.run(machine=QUIET)
        told = {"epochs": sum(e for e, _ in ran), "regret": on.regret_of(tree.winner()), **judged(on, made)}
        while sum(e for e, _ in ran) < N * EPOCHS and len(ran) < len(on.truth):
            made.run(n=len(ran) + 2, machine=QUIET)
        return {**told, "equal": on.regret_of(tree.winner()), "ran": ran}


def judged(on: Networks, made: refine.Round) -> dict:
    """What a round of `N` trials lost, what it says of that, and whether the next proposal's claim is true."""
    frame, p = made.trials, made.propose().proposal
    ends = np.array([on.curve(row, row["seed"])[-1] for _, row in frame.iterrows()])
    pruned = (frame["state"] == "pruned").to_numpy()
    inside, epsilon = on.inside(p.space), p.claim.epsilon
    true, expected = (bool(v.max() - v[inside].max() <= epsilon) for v in (on.truth, on.expected))
    finished = (~pruned)[np.argsort(-ends, kind="stable")[:TOP]]
    told = {"finished": int(finished.sum()), "stated": p.claim.probability}
    told |= {"true": true, "expected": expected}
    if pruned.any():
        free = np.sort(ends[made._shown["behind"].isna().to_numpy()])
        stopping = made.checks()["stopping"].values
        lost = int((ends[pruned] >= free[-stopping["top"]]).sum())
        told |= {"true_lost": lost, "holds": bool(stopping["low"] <= lost <= stopping["high"]), **stopping}
    return told


def drawn(runs: list, make: Callable[[list], float], digits: int = 0, times: float = 100) -> str:
    """What is made of the runs with its 95 % interval: of runs drawn again, the same seeds for every way."""
    again = np.random.default_rng(0).integers(0, len(runs), (1000, len(runs)))
    low, high = np.quantile([make([runs[i] for i in row]) for row in again], [0.025, 0.975])
    return f"{times * make(runs):.{digits}f} ({times * low:.{digits}f} to {times * high:.{digits}f})"


def mean(runs: list[dict], name: str, digits: int = 0, times: float = 100) -> str:
    """The mean of a number over the runs that have it, with its interval."""
    return drawn([run[name] for run in runs if name in run], lambda of: float(np.mean(of)), digits, times)


def found(run: dict) -> np.ndarray:
    """Regret of the best network that ran to its end, after these shares of the epochs."""
    epochs, regret = np.transpose(run["ran"])
    ended = np.searchsorted(np.cumsum(epochs), SHARES * N * EPOCHS, side="right") - 1
    return np.minimum.accumulate(regret)[ended]


def same(pairs: list[tuple[np.ndarray, float]]) -> float:
    """Share of the epochs after which the mean regret is what full trainings have at their end."""
    enough = np.mean([path for path, _ in pairs], axis=0) <= np.mean([full for _, full in pairs])
    return float(SHARES[enough.argmax()]) if enough.any() else 1.0


def report(data: str, seeds: int) -> str:
    """The section for docs/benchmarks/proposals.md."""
    name = f"pruning-{digest(replayed, (*SOURCES, 'design/*.py', 'run/steering.py'))}"
    rows, audits, full = [], [], []
    for way in WAYS:
        runs = [kept(name, f"{data}-{way}-{s}", lambda: replayed(data, s, way)) for s in range(seeds)]  # noqa: B023
        paths = [found(run) for run in runs]
        full = full or [path[-1] for path in paths]
        cells = mean(runs, "epochs", 0, 100 / N / EPOCHS), mean(runs, "regret", 1), mean(runs, "equal", 1)
        sooner, finished = drawn(list(zip(paths, full, strict=True)), same), mean(runs, "finished", 1, 1)
        true = [share([run[key] for run in runs]) for key in ("true", "expected")]
        rows.append([way, *cells, sooner, finished, mean(runs, "stated"), *true])
        if any(run.get("audited") for run in runs):
            counts = [mean(runs, key, 1, 1) for key in ("stopped", "audited", "true_lost", "lost")]
            audits.append([way, *counts, mean(runs, "holds")])
    judged_by = "regret then, %|at equal epochs, %|epochs to the same, %|of the best 10, finished|stated, %|true, %|by trees, %"
    head = ["stopped by", "epochs, %", *judged_by.split("|")]
    counted = ["stopped by", "stopped", "audited", "good ones stopped", "estimated", "interval holds, %"]
    return f"{markdown(head, rows)}\n\n{markdown(counted, audits)}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=60)
    options.add_argument("--data", default="digits", choices=list(NOISE))
    a = options.parse_args()
    print(report(a.data, a.seeds))
