"""Bookkeeping per trial: a trivial objective through `Round.run` on SQLite, beside Optuna on its own storages.

    python benchmarks/overhead.py                  10,000 trials of refine, 1,000 of Optuna
    python benchmarks/overhead.py --optuna 10000   the same number of both (minutes)

Prints milliseconds per trial, for the first and the last tenth too. Nothing is asserted: machines differ.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from tables import markdown, parser

import refine

QUIET = refine.Machine(progress=False)

SPACE = {
    "lr": (0.5, 5.0, 10),
    "units": [4, 8, 16, 32, 64],
    "batch": (2, 30, 10),
    "dropout": (0.0, 0.5, 5),
    "optimizer": ["Adam", "Nadam", "RMSprop"],
    "depth": (0, 5),
    "activation": ["relu", "elu"],
}


def trivial(params: dict) -> float:
    """No work at all."""
    return params["lr"] * params["dropout"]


def with_refine(folder: Path, n: int, seconds: list[float], space: dict = SPACE) -> refine.Round:
    def objective(params):
        seconds.append(time.perf_counter())
        return trivial(params)

    tree = refine.Tree("bench", store=folder / "refine.db")
    return tree.add_round(space, objective, n=n, seed=1).run(machine=QUIET)


def with_optuna(storage: object, n: int, seconds: list[float]) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        seconds.append(time.perf_counter())
        lr = trial.suggest_float("lr", 0.5, 5.0, step=0.5)
        trial.suggest_categorical("units", SPACE["units"])
        trial.suggest_int("batch", 2, 29, step=3)
        dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.125)
        trial.suggest_categorical("optimizer", SPACE["optimizer"])
        trial.suggest_int("depth", 0, 5)
        trial.suggest_categorical("activation", SPACE["activation"])
        return lr * dropout

    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=n)


def per_trial(seconds: list[float], ended: float) -> tuple[float, float, float]:
    """Milliseconds per trial: overall, over the first tenth, over the last tenth."""
    at = 1000 * np.diff([*seconds, ended])
    part = max(1, len(at) // 10)
    return float(at.mean()), float(at[:part].mean()), float(at[-part:].mean())


def main(n: int, n_optuna: int) -> None:
    """Prints the table."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    warnings.simplefilter("ignore")
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))
        runs = {
            "refine, SQLite": (n, lambda seconds: with_refine(folder, n, seconds)),
            "Optuna, SQLite": (n_optuna, lambda s: with_optuna(f"sqlite:///{folder}/optuna.db", n_optuna, s)),
            "Optuna, journal": (n_optuna, lambda seconds: with_optuna(journal, n_optuna, seconds)),
        }
        for title, (count, call) in runs.items():
            seconds: list[float] = []
            started = time.perf_counter()
            call(seconds)
            ended = time.perf_counter()
            times = per_trial(seconds, ended)
            beside = times[0] / (float(rows[0][3]) if rows else times[0])
            rows.append(
                [title, f"{count:,}", f"{ended - started:.2f}", *(f"{t:.3f}" for t in times), f"{beside:.1f}"]
            )
        head = ["", "trials", "seconds", "ms per trial", "first tenth", "last tenth", "times refine's"]
        print(markdown(head, rows))


if __name__ == "__main__":
    options = parser(__doc__, trials=10_000, optuna=1_000).parse_args()
    main(options.trials, options.optuna)
