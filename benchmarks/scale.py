"""What refine itself costs at scale, beside Optuna, Keras Tuner and Talos.

    python benchmarks/scale.py                       everything: more than an hour, so better in parts
    python benchmarks/scale.py --without trials      everything but the million trials: some twenty minutes
    python benchmarks/scale.py --only rounds trials  some parts: overhead, peers, talos, workers, cluster,
                                                     coordinators, grid, rounds, trials, exchange

Objectives are trivial or sleep, so that what is measured is bookkeeping. Prints Markdown; asserts nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
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


def table(head: list[str], rows: Iterable[list[str]]) -> None:
    """Prints Markdown, each row once it is there: what takes long may be broken off."""
    print("| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|", flush=True)
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


def uneven(params: Any) -> float:
    """Waits 0.25 to 0.75 s."""
    time.sleep(0.25 + params["dropout"])
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
        found = tree.add_round(SPACE, uneven, n=n, seed=1)
        started, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
        found.run(executor=pool, workers=size, progress=False)
        wall, own = time.perf_counter() - started, time.thread_time() - own
        cpu = time.process_time() - cpu
    print(
        f"**A simulated cluster** of {size:,} threads behind the executor protocol, each trial waits 0.25 to 0.75 s: {n:,} "
        f"trials in {wall:.1f} s ({n / wall:,.0f} a second; {0.5 * n / size:.0f} s is the least possible), "
        f"{1000 * own / n:.2f} ms of the coordinator's processor time a trial, {1000 * cpu / n:.2f} ms with the threads'.\n",
        flush=True,
    )


def coordinators(numbers: list[int], n: int) -> None:
    """Processes that each run a round of their own in one tree, at once, on a database server."""
    from chaos import PostgreSQL

    rows: list[list[str]] = []
    for number in numbers:
        with contextlib.closing(PostgreSQL()) as server:
            command = [sys.executable, __file__, "--coordinate", server.url, str(n)]
            pipe = subprocess.PIPE
            started = [
                subprocess.Popen([*command, str(seed)], stdin=pipe, stdout=pipe, text=True)
                for seed in range(number)
            ]
            for process in started:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            since = time.perf_counter()
            for process in started:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            cpu = sum(float(process.communicate()[0]) for process in started)
            wall = time.perf_counter() - since
            assert not any(process.returncode for process in started)
            with refine.Tree("b", store=server.url, create=False) as tree:
                assert [len(found.trials) for found in tree.rounds] == [n] * number
        rows.append(
            [str(number), f"{number * n:,}", f"{number * n / wall:,.0f}", f"{1000 * cpu / number / n:.2f}"]
        )
    print("**Several coordinators** on one tree in PostgreSQL, a round each, trivial objective\n")
    table(["coordinators", "trials", "trials per second", "ms of processor time a trial"], rows)


def coordinate(url: str, n: int, seed: int) -> None:
    """One of them: a process of its own."""
    with refine.Tree("b", store=url) as tree:
        found = tree.add_round(WIDE, trivial, n=n, seed=seed)
        print("ready", flush=True)
        sys.stdin.readline()
        cpu = time.process_time()
        found.run(progress=False)
        print(time.process_time() - cpu)


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


def grow(url: str, rounds: int, n: int = 20) -> None:
    """Two branches of rounds, each on a space of its own, with a proposal and a decision on each, without running them."""
    from refine.review.decision import Decision
    from refine.trials.round_record import Node, StoredDecision

    nodes: list[Any] = []
    proposal: Any = None
    with refine.Tree("grown", store=url) as tree:
        store, row = tree._context.store, tree._context.tree
        for i in range(rounds):
            parent, link = (nodes[-2 if i > 1 else -1] if nodes else None), None
            space = refine.Space({"x": (0, 9), "y": (0.0, 1.0 + i / 10, 5), "z": ["a", "b", "c"]})
            made = {
                "method": "sobol",
                "seed": 1,
                "objective": "trivial",
                "note": f"step {i}",
                "author": "ann",
            }
            node = Node(parent and parent.id, space, **made, created=float(i))
            if parent:
                decided = Decision(
                    "accepted", proposal.digest, space, {}, (), node.id, node.note, node.author, n=n
                )
                pk = store.nodes(row)[parent.id].pk
                link = StoredDecision(pk, decided.digest, decided.dumps(), node.id)
            pk = store.add_node(row, node, n, decision=link)
            fill(store, pk, node, range(0, 150, 7)[:n], lambda p: p["y"] - abs(p["x"] - 3))
            if i == 0:
                proposal = tree.rounds[0].propose(keep=False).proposal
            store.add_proposal(pk, proposal.digest, proposal.dumps())
            nodes.append(node)


def fill(store: Any, pk: int, node: Any, cells: Any, value: Any) -> None:
    """Writes finished trials of a node by the thousand."""
    from refine.run.objective import Outcome, Task
    from refine.run.runner import _trial
    from refine.space.encoding import dumps
    from refine.space.space import configuration_key
    from refine.store.schema import t
    from refine.store.sound import PLAIN

    def row(cell: int) -> dict[str, Any]:
        params = node.space.configuration(cell)
        key = configuration_key(params)
        task = Task(key, params, str(cell), 0, 0, "space_filling", node.trial_seed(key, 0))
        trial = _trial(
            task, Outcome("complete", {"value": value(params)}, {}, 1.0, None, None, None), "complete", "code"
        )
        texts = {"configuration": dumps(trial.configuration), "metrics": json.dumps(trial.metrics)}
        return {"node": pk, **{name: getattr(trial, name) for name in PLAIN}, **texts, "read": None}

    cells = list(cells)
    with store.engine.begin() as connection:
        for low in range(0, len(cells), 20_000):
            connection.execute(t.trial.insert(), [row(cell) for cell in cells[low : low + 20_000]])


def fill_study(url: str, n: int) -> None:
    """One round of many trials, without running them."""
    with refine.Tree("grown", store=url) as tree:
        found = tree.add_round(WIDE, trivial, n=n, seed=1)
        pk = found._stored.pk
        fill(tree._context.store, pk, found.node, found.cells(), lambda p: p["lr"] * p["dropout"] + p["beta"])


def looks(what: str, url: str) -> None:
    """One look in a process of its own: prints seconds, seconds of processor time, and MB at peak."""
    import pandas as pd  # what every look loads counts for none

    assert pd
    tree = refine.Tree("grown", store=url, create=False)
    first = tree.rounds[0]
    seconds, cpu = time.perf_counter(), time.process_time()
    if what == "open and print":
        with refine.Tree("grown", store=url, create=False) as again:
            str(again)
    elif what == "print again":
        str(tree)
        seconds, cpu = time.perf_counter(), time.process_time()
        str(tree)
    elif what == "pulse of the page":
        from refine.ui.web.session import Session

        page = Session(first)
        page.handle({"type": "pulse"})
        seconds, cpu = time.perf_counter(), time.process_time()
        page.handle({"type": "pulse"})
    elif what == "first paint of the page":
        from refine.ui.web.session import Session

        page = Session(first)
        for kind in ("start", "pulse", "tree"):
            page.handle({"type": kind})
    elif what == "pulse while it analyses":
        seconds, cpu = pulse_meanwhile(first)
        json.dump([seconds, cpu, peak()], sys.stdout)
        return
    elif what == "tree.report":
        with tempfile.TemporaryDirectory() as name:
            tree.report(name)
    else:
        calls = {
            "tree.calibration": tree.calibration,
            "analyze and propose": lambda: first.propose(keep=False),
        }
        calls.get(what, lambda: first.trials)()
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    json.dump([seconds, cpu, peak()], sys.stdout)


def pulse_meanwhile(found: refine.Round) -> tuple[float, float]:
    """Median seconds, and seconds of the process' time, of pulses while a thread of the page analyses the round."""
    from statistics import median
    from threading import Thread

    from refine.ui.web.session import Session

    page = Session(found)
    page.handle({"type": "pulse"})
    thread = Thread(target=page.handle, args=({"type": "round", "round": found.id},))
    thread.start()
    times = []
    while thread.is_alive():
        seconds, cpu = time.perf_counter(), time.process_time()
        page.handle({"type": "pulse"})
        times.append((time.perf_counter() - seconds, time.process_time() - cpu))
        thread.join(1.0)
    return median(s for s, _ in times), median(c for _, c in times)


def exchanges(what: str, url: str, folder: str) -> None:
    """One way out of a store or into another, in a process of its own, as :func:`looks`."""
    import pandas as pd

    assert pd
    place = Path(folder)
    with refine.Tree("grown", store=url, create=False) as tree:
        seconds, cpu = time.perf_counter(), time.process_time()
        if what == "export":
            tree.export(place / "out", reports=False)
        elif what == "load":
            refine.Tree.load(place / "out", store=place / "loaded.db").close()
        else:
            with refine.Tree("other", store=place / "merged.db") as other:
                other.merge(tree)
        seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    json.dump([seconds, cpu, peak()], sys.stdout)


def out_and_in(n: int) -> None:
    """A round of many trials as a folder, loaded, and merged, without its report."""
    print("**Out and in**, every row a process of its own; the other store is SQLite\n")
    table(["", "trials", "store", "seconds", "of processor time", "MB at peak"], _out_and_in(n))


def _out_and_in(n: int) -> Iterator[list[str]]:
    with empty_stores() as stores:
        for name, url in stores.items():
            fill_study(url, n)
            with tempfile.TemporaryDirectory() as folder:
                for what in ("export", "load", "merge"):
                    command = [sys.executable, __file__, "--exchange", what, url, folder]
                    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                    seconds, cpu, most = json.loads(found.stdout)
                    cells = [f"{seconds:.0f}", f"{cpu:.0f}", f"{most:,.0f}"]
                    yield [what, f"{n:,}", name if what != "load" else "SQLite", *cells]


def peak() -> float:
    """MB that this process held at most; what it was started from counts for Python's own figure."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def looked(what: str, url: str) -> list[str]:
    """Its numbers as texts."""
    command = [sys.executable, __file__, "--look", what, url]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, cpu, peak = json.loads(found.stdout)
    return [f"{seconds:.2f}", f"{cpu:.2f}", f"{peak:,.0f}"]


@contextlib.contextmanager
def empty_stores() -> Iterator[dict[str, str]]:
    """Name -> URL: SQLite, and PostgreSQL where it is installed."""
    from chaos import PostgreSQL

    with tempfile.TemporaryDirectory() as name:
        found = {"SQLite": f"sqlite:///{Path(name) / 'r.db'}"}
        server = None
        with contextlib.suppress(SystemExit):
            server = PostgreSQL()
            found["PostgreSQL"] = server.url
        try:
            yield found
        finally:
            if server is not None:
                server.close()


def many_rounds(sizes: list[int]) -> None:
    """Looks at trees of some hundred rounds."""
    at_rounds = ("open and print", "print again", "pulse of the page", "tree.calibration", "tree.report")
    rows = []
    for rounds in sizes:
        with empty_stores() as stores:
            for name, url in stores.items():
                grow(url, rounds)
                rows += [[what, f"{rounds:,}", name, *looked(what, url)] for what in at_rounds]
    print("**Trees of many rounds**, 20 trials each, two branches; every row a process of its own\n")
    table(["", "rounds", "store", "seconds", "of processor time", "MB at peak"], rows)


def many_trials(n: int, beside: int) -> None:
    """Looks at one round of many trials, and at a study of Optuna with as many as its storages take in minutes."""
    print("**A round of many trials**, every row a process of its own\n")
    table(["", "trials", "store", "seconds", "of processor time", "MB at peak"], _many_trials(n, beside))


def _many_trials(n: int, beside: int) -> Iterator[list[str]]:
    looks_at = (
        *("open and print", "print again", "first paint of the page", "pulse of the page"),
        *("trials", "analyze and propose", "pulse while it analyses"),
    )
    for trials in (beside, n):
        with empty_stores() as stores:
            for name, url in stores.items():
                fill_study(url, trials)
                for what in looks_at:
                    yield [f"refine, {what}", f"{trials:,}", name, *looked(what, url)]
    with tempfile.TemporaryDirectory() as folder:
        for name, url in {"SQLite": f"sqlite:///{folder}/o.db", "journal": f"{folder}/journal.log"}.items():
            fill_optuna(url, beside)
            for what in ("load and best", "trials"):
                command = [sys.executable, __file__, "--optuna", what, url]
                found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                seconds, cpu, peak = json.loads(found.stdout)
                yield [f"Optuna, {what}", f"{beside:,}", name, f"{seconds:.2f}", f"{cpu:.2f}", f"{peak:,.0f}"]


def optuna_storage(url: str) -> Any:
    """Optuna's storage at a URL, or a journal in a file."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if "://" in url:
        return optuna.storages.RDBStorage(url)
    return optuna.storages.JournalStorage(JournalFileBackend(url))


def fill_optuna(url: str, n: int) -> None:
    """The same trials in a study of Optuna."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = refine.Space(WIDE)
    kinds = {
        name: optuna.distributions.CategoricalDistribution(list(p.grid))
        if not p.numeric
        else optuna.distributions.FloatDistribution(float(min(p.grid)), float(max(p.grid)))
        for name, p in space.items()
    }
    study = optuna.create_study(study_name="grown", storage=optuna_storage(url), direction="maximize")
    made = []
    for cell in range(n):
        params = {k: v if isinstance(v, str) else float(v) for k, v in space.configuration(cell).items()}
        made.append(
            optuna.trial.create_trial(
                params=params, distributions=kinds, value=params["lr"] * params["dropout"]
            )
        )
    study.add_trials(made)


def look_optuna(what: str, url: str) -> None:
    """One look at it in a process of its own, as :func:`looks`."""
    import optuna
    import pandas as pd

    assert pd
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seconds, cpu = time.perf_counter(), time.process_time()
    study = optuna.load_study(study_name="grown", storage=optuna_storage(url))
    assert study.best_value is not None
    if what == "trials":
        study.trials_dataframe()
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    json.dump([seconds, cpu, peak()], sys.stdout)


PARTS = (
    "overhead",
    "peers",
    "talos",
    "workers",
    "cluster",
    "coordinators",
    "grid",
    "rounds",
    "trials",
    "exchange",
)


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some parts")
    parser.add_argument("--without", nargs="+", choices=PARTS, default=[], help="parts to leave out")
    parser.add_argument("--rounds", nargs="+", type=int, default=[200, 1_000], help="sizes of trees")
    parser.add_argument("--trials", type=int, default=1_000_000, help="of the large round")
    parser.add_argument(
        "--beside", type=int, default=10_000, help="trials of Optuna's study, and of a round beside it"
    )
    parser.add_argument(
        "--exchanged", type=int, default=100_000, help="trials of the round that goes out and in"
    )
    parser.add_argument("--look", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--exchange", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--optuna", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--talos-python", help="a Python that has Talos, instead of making an environment")
    parser.add_argument("--grid", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--coordinate", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.grid:
        make_grid(arguments.grid[0], int(arguments.grid[1]), int(arguments.grid[2]))
        return
    if arguments.coordinate:
        coordinate(arguments.coordinate[0], int(arguments.coordinate[1]), int(arguments.coordinate[2]))
        return
    if arguments.look:
        looks(*arguments.look)
        return
    if arguments.exchange:
        exchanges(*arguments.exchange)
        return
    if arguments.optuna:
        look_optuna(*arguments.optuna)
        return
    parts = {
        "overhead": lambda: overhead([1_000, 10_000, 100_000], [1_000, 10_000]),
        "peers": lambda: peers(1_000),
        "talos": lambda: talos(10, arguments.talos_python),
        "workers": lambda: workers(400),
        "cluster": lambda: cluster(20_000, 1_000),
        "coordinators": lambda: coordinators([1, 2, 4], 5_000),
        "grid": lambda: grid(100_000),
        "rounds": lambda: many_rounds(arguments.rounds),
        "trials": lambda: many_trials(arguments.trials, arguments.beside),
        "exchange": lambda: out_and_in(arguments.exchanged),
    }
    for name, part in parts.items():
        if name in arguments.only and name not in arguments.without:
            part()


if __name__ == "__main__":
    main()
