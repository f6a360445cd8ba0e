"""What refine itself costs at scale, beside Optuna, Keras Tuner and Talos.

    python benchmarks/scale.py                       everything: some ten minutes
    python benchmarks/scale.py --only overhead       one part: overhead, peers, talos, workers, cluster, grid

Objectives are trivial or sleep, so that what is measured is bookkeeping. Prints Markdown; asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from overhead import SPACE, per_trial, with_optuna, with_refine

import refine
from refine.run.executor import run_task
from refine.run.perform import perform

HERE = Path(__file__).parent

WIDE = {**SPACE, "beta": (0.8, 0.99, 20)}
"""1,800,000 configurations."""


def table(head: list[str], rows: list[list[str]]) -> None:
    """Prints Markdown."""
    print("| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print(flush=True)


def trivial(params: Any) -> float:
    """No work at all."""
    return params["lr"] * params["dropout"]


def finish_gaps(found: refine.Round) -> list[float]:
    """When trials were stored, in order, in seconds."""
    from sqlalchemy import select

    from refine.store.schema import t

    query = select(t.trial.c.finished).where(t.trial.c.node == found._stored.pk).order_by(t.trial.c.pk)
    with found.context.store.engine.connect() as connection:
        return list(connection.execute(query).scalars())


def overhead(sizes: list[int], on_workers: list[int]) -> None:
    """Milliseconds per trial of refine: in this process, and through two subprocess workers."""
    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            seconds: list[float] = []
            started = time.perf_counter()
            with_refine(Path(name), n, seconds, WIDE)
            ended = time.perf_counter()
        mean, first, last = per_trial(seconds, ended)
        rows.append(
            ["this process", f"{n:,}", f"{ended - started:.1f}", f"{mean:.2f}", f"{first:.2f}", f"{last:.2f}"]
        )
    for n in on_workers:
        with tempfile.TemporaryDirectory() as name, refine.Tree("b", store=Path(name) / "r.db") as tree:
            started = time.perf_counter()
            found = tree.add_round(WIDE, trivial, n=n, seed=1).run(workers=2, progress=False)
            total = time.perf_counter() - started
            at = finish_gaps(found)
        mean, first, last = per_trial(at[:-1], at[-1])
        rows.append(["2 workers", f"{n:,}", f"{total:.1f}", f"{mean:.2f}", f"{first:.2f}", f"{last:.2f}"])
    print(
        "\n**refine's own time per trial**, trivial objective, SQLite; `ms` from the first trial to the last\n"
    )
    table(["where", "trials", "seconds in all", "ms per trial", "first tenth", "last tenth"], rows)


def peers(n: int) -> None:
    """Milliseconds per trial of Optuna and Keras Tuner, and of refine in the same run."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    rows = []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)

        def run(title: str, call: Any) -> None:
            seconds: list[float] = []
            call(seconds)
            mean, first, last = per_trial(seconds, time.perf_counter())
            base = float(rows[0][2]) if rows else mean
            rows.append([title, f"{n:,}", f"{mean:.2f}", f"{first:.2f}", f"{last:.2f}", f"{mean / base:.0f}"])

        journal = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))
        run("refine, SQLite", lambda s: with_refine(folder, n, s))
        run("Optuna, SQLite", lambda s: with_optuna(f"sqlite:///{folder / 'o.db'}", n, s))
        run("Optuna, journal", lambda s: with_optuna(journal, n, s))
        run("Keras Tuner, random search", lambda s: with_keras_tuner(folder, n, s))
    print("**Beside peers**, the same trivial objective in one process\n")
    table(["", "trials", "ms per trial", "first tenth", "last tenth", "times refine's"], rows)


def with_keras_tuner(folder: Path, n: int, seconds: list[float]) -> None:
    """Keras Tuner's random search with a trivial objective."""
    import contextlib
    import io

    import keras_tuner

    class Tuner(keras_tuner.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            seconds.append(time.perf_counter())
            hp = trial.hyperparameters
            lr, dropout = hp.Float("lr", 0.5, 5.0, step=0.5), hp.Float("dropout", 0.0, 0.5, step=0.125)
            for key in ("units", "optimizer", "activation"):
                hp.Categorical(key, SPACE[key])
            hp.Integer("batch", 2, 29, step=3), hp.Integer("depth", 0, 5)
            return lr * dropout

    with contextlib.redirect_stdout(io.StringIO()):
        tuner = Tuner(max_trials=n, seed=1, directory=str(folder / "kt"), project_name="k", overwrite=True)
        tuner.search(verbose=0)


def talos(n: int, python: str | None) -> None:
    """Talos' own time per configuration, by `talos_round.py` in an environment of its own."""
    command = [sys.executable, str(HERE / "talos_round.py"), "--configurations", str(n), "--epochs", "1"]
    found = subprocess.run(
        [*command, *(["--python", python] if python else [])], check=True, stdout=subprocess.PIPE, text=True
    )
    print("**Talos**, one epoch of a small network, so that nearly all is bookkeeping\n")
    print(found.stdout[found.stdout.index("| |") :])


def slow(params: Any) -> float:
    """50 ms of waiting."""
    time.sleep(0.05)
    return params["lr"] * params["dropout"]


def workers(n: int) -> None:
    """Throughput on a 50 ms objective with one and two subprocess workers."""
    rows: list[list[str]] = []
    for number in (1, 2):
        with tempfile.TemporaryDirectory() as name, refine.Tree("b", store=Path(name) / "r.db") as tree:
            found = tree.add_round(SPACE, slow, n=n, seed=1)
            # A limit makes the one worker a subprocess as well.
            found.run(workers=number, timeout=60 if number == 1 else None, progress=False)
            at = finish_gaps(found)
        rate = (len(at) - 1) / (at[-1] - at[0])
        base = float(rows[0][2]) if rows else rate
        rows.append([str(number), f"{n:,}", f"{rate:.2f}", f"{rate / base:.2f}"])
    print("**Workers**, an objective that waits 50 ms; at most 20 a second and worker\n")
    table(["workers", "trials", "trials per second", "times one worker's"], rows)


def second(params: Any) -> float:
    """A second of waiting."""
    time.sleep(1.0)
    return params["lr"] * params["dropout"]


class Simulated(ThreadPoolExecutor):
    """A cluster whose workers are threads. What they run waits and draws nothing, so that they need no processes."""

    def submit(self, run, /, *args, **named):
        """Runs it in the thread."""
        return super().submit(perform if run is run_task else run, *args, **named)


def cluster(n: int, size: int) -> None:
    """A thousand threads behind the executor protocol."""
    with (
        tempfile.TemporaryDirectory() as name,
        refine.Tree("b", store=Path(name) / "r.db") as tree,
        Simulated(size) as pool,
    ):
        found = tree.add_round(SPACE, second, n=n, seed=1)
        started, cpu = time.perf_counter(), time.process_time()
        found.run(executor=pool, workers=size, progress=False)
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"**A simulated cluster** of {size:,} threads behind the executor protocol, each trial waits 1 s: {n:,} trials in "
        f"{wall:.1f} s ({n / wall:,.0f} a second; {n / size:.0f} s is the least possible), {1000 * cpu / n:.2f} ms of "
        "processor time a trial, the threads' among it.\n",
        flush=True,
    )


def grid(cells: int) -> None:
    """Cells drawn from a grid of 5^40, beside Optuna's sampler on the largest grid it can hold."""
    rows = [["refine, Sobol', 5^40", *one_grid("refine", 40, cells)]]
    for dimensions in (8, 9, 10, 11, 12):
        found = one_grid("optuna", dimensions, min(cells, 5**dimensions))
        rows.append([f"Optuna's GridSampler, 5^{dimensions}", *found])
        if found[0] == "-":
            break
    print(
        f"**Large grids**: {cells:,} cells made ready, each in a process of its own; at most 8 GB and 120 s\n"
    )
    table(["", "cells ready", "seconds", "MB at peak"], rows)


def one_grid(who: str, dimensions: int, cells: int) -> list[str]:
    """Cells, seconds and peak memory of one process; dashes where it broke off."""
    command = [sys.executable, __file__, "--grid", who, str(dimensions), str(cells)]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return ["-", "more than 120" if isinstance(error, subprocess.TimeoutExpired) else "-", "out of 8 GB"]
    ready, seconds, peak = json.loads(found.stdout)
    return [f"{ready:,}", f"{seconds:.1f}", f"{peak:,.0f}"]


def make_grid(who: str, dimensions: int, cells: int) -> None:
    """Runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_DATA, (8 * 2**30, 8 * 2**30))
    names = [f"x{i}" for i in range(dimensions)]
    if who == "refine":
        from refine.design.space_filling import design_named, draw

        space = refine.Space(dict.fromkeys(names, (0.0, 1.0, 5)))
        started = time.perf_counter()
        ready = len(draw(design_named("sobol"), space, cells, 1))
    else:
        import optuna

        started = time.perf_counter()
        sampler = optuna.samplers.GridSampler({name: list(np.linspace(0, 1, 5)) for name in names}, seed=1)
        ready = min(cells, len(sampler._all_grids))
    seconds = time.perf_counter() - started
    json.dump([ready, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024], sys.stdout)


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=["overhead", "peers", "talos", "workers", "cluster", "grid"], help="one part"
    )
    parser.add_argument("--talos-python", help="a Python that has Talos, instead of making an environment")
    parser.add_argument("--grid", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.grid:
        make_grid(arguments.grid[0], int(arguments.grid[1]), int(arguments.grid[2]))
        return
    parts = {
        "overhead": lambda: overhead([1_000, 10_000, 100_000], [1_000, 10_000]),
        "peers": lambda: peers(1_000),
        "talos": lambda: talos(10, arguments.talos_python),
        "workers": lambda: workers(400),
        "cluster": lambda: cluster(10_000, 1_000),
        "grid": lambda: grid(100_000),
    }
    for name, part in parts.items():
        if arguments.only in (None, name):
            part()


if __name__ == "__main__":
    main()
