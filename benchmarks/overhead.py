"""Bookkeeping per trial: a trivial objective through `Round.run` on SQLite, beside Optuna on its own storages.

    python benchmarks/overhead.py                  10,000 trials of refine, 1,000 of Optuna
    python benchmarks/overhead.py --optuna 10000   the same number of both (minutes)

Prints milliseconds per trial for the first and the last thousand, and the time to open and read a tree of
100,000 trials. Nothing is asserted: machines differ.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import refine

SPACE = {
    "lr": (0.5, 5.0, 10),
    "units": [4, 8, 16, 32, 64],
    "batch": (2, 30, 10),
    "dropout": (0.0, 0.5, 5),
    "optimizer": ["Adam", "Nadam", "RMSprop"],
    "depth": (0, 5),
    "activation": ["relu", "elu"],
}


def with_refine(folder: Path, n: int, seconds: list[float], space: dict = SPACE) -> refine.Round:
    def objective(params):
        seconds.append(time.perf_counter())
        return params["lr"] * params["dropout"]

    tree = refine.Tree("bench", store=folder / "refine.db")
    return tree.add_round(space, objective, n=n, seed=1).run(progress=False)


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


def read_back(folder: Path, n: int) -> tuple[float, float]:
    """Seconds to write ``n`` trials straight into a store, and to open the tree and read them."""
    from refine.run.runner import plan
    from refine.trials.trial import Trial

    store = folder / "large.db"
    with refine.Tree("large", store=store) as tree:
        found = tree.add_round({**SPACE, "more": (1, 20), "beta": (0.8, 0.99, 20)}, float, n=n, seed=2)
        stored = found._stored
        started = time.perf_counter()
        records = found.context.store.records([stored.pk])
        with found.context.store.writer(stored.pk) as writer:
            for task in plan(found.node, n, frozenset(), [], records)[1]:
                metrics = {"loss": 0.1, "acc": 0.9, "val_loss": 0.2, "value": 0.5}
                writer.add(
                    Trial(
                        task.key,
                        task.configuration,
                        task.cell,
                        0,
                        0,
                        "space_filling",
                        task.seed,
                        "complete",
                        metrics,
                        {},
                        1.0,
                        None,
                        "code",
                        None,
                        0.0,
                    )
                )
        wrote = time.perf_counter() - started
    started = time.perf_counter()
    with refine.Tree("large", store=store) as tree:
        frame = tree.rounds[0].trials
    if len(frame) != n:
        raise SystemExit(f"read {len(frame)} of {n} trials")
    return wrote, time.perf_counter() - started


def first_task(n: int) -> tuple[float, float, float]:
    """Of a round of ``n`` cells: seconds until its first task is there, and megabytes held and at the peak then."""
    import tracemalloc

    from refine.run.runner import plan

    with refine.Tree("plan", store="sqlite://") as tree:
        found = tree.add_round({**SPACE, "more": (1, 20), "beta": (0.8, 0.99, 20)}, float, n=n, seed=2)
        records = found.context.store.records([found._stored.pk])
        started = time.perf_counter()
        next(plan(found.node, n, frozenset(), [], records)[1])
        took = time.perf_counter() - started
        tracemalloc.start()
        _, tasks = plan(found.node, n, frozenset(), [], records)
        for _ in range(1000):
            next(tasks)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return took, held / 1e6, peak / 1e6


def main(n: int, n_optuna: int, large: int) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds: list[float] = []
        started = time.perf_counter()
        with_refine(folder, n, seconds)
        ended = time.perf_counter()
        rows.append(("refine, SQLite", n, ended - started, *per_trial(seconds, ended)))

        import optuna
        from optuna.storages.journal import JournalFileBackend

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            journal = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))
            for title, storage in (
                ("Optuna, SQLite", f"sqlite:///{folder / 'optuna.db'}"),
                ("Optuna, journal", journal),
            ):
                seconds = []
                started = time.perf_counter()
                with_optuna(storage, n_optuna, seconds)
                ended = time.perf_counter()
                rows.append((title, n_optuna, ended - started, *per_trial(seconds, ended)))
        print("bookkeeping of a trivial objective, one process, no progress bar\n")
        print(
            f"{'':<18}{'trials':>8}{'seconds':>10}{'ms/trial':>10}{'first 10%':>11}{'last 10%':>10}{'x refine':>10}"
        )
        for title, count, total, mean, first, last in rows:
            ratio = mean / rows[0][3]
            print(
                f"{title:<18}{count:>8,}{total:>10.2f}{mean:>10.3f}{first:>11.3f}{last:>10.3f}{ratio:>10.1f}"
            )
        wrote, read = read_back(folder, large)
        print(
            f"\na tree with {large:,} trials of 9 parameters: written in {wrote:.1f} s, opened and read as a "
            f"DataFrame in {read:.2f} s"
        )
        took, held, peak = first_task(10 * large)
        print(
            f"a round of {10 * large:,} cells: first task after {took:.1f} s, {held:.0f} MB held while it runs, "
            f"{peak:.0f} MB while its cells are drawn"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--optuna", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    arguments = parser.parse_args()
    main(arguments.trials, arguments.optuna, arguments.large)
