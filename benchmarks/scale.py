"""What refine itself costs at scale.

    python benchmarks/scale.py                       everything: more than an hour, so better in parts
    python benchmarks/scale.py --without trials      everything but the million trials
    python benchmarks/scale.py --only rounds trials  some parts: overhead, workers, cluster, grid, rounds, trials, exchange, evidence

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from overhead import SPACE, per_trial, trivial, with_refine
from tables import parser, table

import refine
from refine.proposal.proposal import proposal_to_json
from refine.run.workers.run_task import run_task
from refine.run.workers.worker_main import perform
from refine.space.encoding import dumps

COSTS = ["", "trials", "store", "seconds", "of processor time", "MB at peak"]
WIDE = {**SPACE, "beta": (0.8, 0.99, 20)}
"""1,800,000 configurations."""


def finish_gaps(found: refine.Round) -> list[float]:
    """When trials were stored, in order, in seconds."""
    from sqlalchemy import select

    from refine.store.schema import t

    query = select(t.trial.c.finished).where(t.trial.c.node == found._stored.pk).order_by(t.trial.c.pk)
    with found._context.store.engine.connect() as connection:
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
        each = (f"{t:.2f}" for t in per_trial(seconds, ended))
        rows.append(["this process", f"{n:,}", f"{ended - started:.1f}", *each])
    for n in on_workers:
        with tempfile.TemporaryDirectory() as name, refine.Tree("b", store=Path(name) / "r.db") as tree:
            started = time.perf_counter()
            found = tree.add_round(WIDE, trivial, n=n, seed=1).run(
                machine=refine.Machine(workers=2, progress=False)
            )
            total = time.perf_counter() - started
            at = finish_gaps(found)
        each = (f"{t:.2f}" for t in per_trial(at[:-1], at[-1]))
        rows.append(["2 workers", f"{n:,}", f"{total:.1f}", *each])
    print(
        "\n**refine's own time per trial**, trivial objective, SQLite; `ms` from the first trial to the last\n"
    )
    table(["where", "trials", "seconds in all", "ms per trial", "first tenth", "last tenth"], rows)


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
            found.run(
                machine=refine.Machine(workers=number, timeout=60 if number == 1 else None, progress=False)
            )
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
        found.run(machine=refine.Machine(workers=size, executor=pool, progress=False))
        wall, own = time.perf_counter() - started, time.thread_time() - own
        cpu = time.process_time() - cpu
    print(
        f"**A simulated cluster** of {size:,} threads behind the executor protocol, each trial waits 0.25 to 0.75 s: {n:,} "
        f"trials in {wall:.1f} s ({n / wall:,.0f} a second; {0.5 * n / size:.0f} s is the least possible), "
        f"{1000 * own / n:.2f} ms of the coordinator's processor time a trial, {1000 * cpu / n:.2f} ms with the threads'.\n",
        flush=True,
    )


def alone(what: str, *arguments: str, seconds: float | None = None) -> list[float]:
    """What one of `make_grid`, `look` and `exchange` returns in a process of its own."""
    command = [sys.executable, __file__, "--alone", what, *arguments]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)
    return json.loads(ran.stdout)


def grid(cells: int) -> None:
    """Cells drawn from a grid of 5^40, beside Optuna's sampler on the largest grids it can hold."""
    rows = []
    for who, dimensions in (("refine", 40), *(("optuna", d) for d in (8, 9, 10, 11, 12))):
        try:
            ready, seconds, most = alone("grid", who, str(dimensions), str(cells), seconds=120)
            rows.append([f"{who}, 5^{dimensions}", f"{ready:,}", f"{seconds:.1f}", f"{most:,.0f}"])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            rows.append([f"{who}, 5^{dimensions}", "-", "-", "more than 8 GB, or 120 s"])
            break
    print(
        f"**Large grids**: {cells:,} cells made ready, each in a process of its own; at most 8 GB and 120 s\n"
    )
    table(["", "cells ready", "seconds", "MB at peak"], rows)


def make_grid(who: str, dimensions: str, cells: str) -> list[float]:
    """Cells, seconds and MB at peak."""
    resource.setrlimit(resource.RLIMIT_DATA, (8 * 2**30, 8 * 2**30))
    names = [f"x{i}" for i in range(int(dimensions))]
    if who == "refine":
        from refine.design.space_filling import design_named, draw

        space = refine.Space(dict.fromkeys(names, (0.0, 1.0, 5)))
        started = time.perf_counter()
        ready = len(draw(design_named("sobol"), space, int(cells), 1))
    else:
        import optuna

        started = time.perf_counter()
        sampler = optuna.samplers.GridSampler({name: list(np.linspace(0, 1, 5)) for name in names}, seed=1)
        ready = min(int(cells), len(sampler._all_grids))
    return [ready, time.perf_counter() - started, peak()]


def grow(url: str, rounds: int, n: int = 20) -> None:
    """Two branches of rounds, each on a space of its own, with a proposal and a decision on each, without running them."""
    from refine.review.decision import Decision
    from refine.trials.round_record import Node, StoredDecision

    nodes: list[Any] = []
    proposal: Any = None
    made: Any = {"method": "sobol", "seed": 1, "objective": "trivial", "author": "ann"}
    with refine.Tree("grown", store=url) as tree:
        store, row = tree._context.store, tree._context.tree
        for i in range(rounds):
            parent, link = (nodes[-2 if i > 1 else -1] if nodes else None), None
            space = refine.Space({"x": (0, 9), "y": (0.0, 1.0 + i / 10, 5), "z": ["a", "b", "c"]})
            node = Node(parent and parent.id, space, **made, note=f"step {i}", created=float(i))
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
            store.add_proposal(pk, proposal.digest, dumps(proposal_to_json(proposal)))
            nodes.append(node)


def fill(store: Any, pk: int, node: Any, cells: Any, value: Any) -> None:
    """Writes finished trials of a node by the thousand."""
    from refine.run.outcome import Outcome, Task
    from refine.run.runner import _trial
    from refine.space.encoding import dumps
    from refine.space.space import configuration_key
    from refine.store.schema import t
    from refine.store.validity import PLAIN
    from refine.trials.trial import State

    def row(cell: int) -> dict[str, Any]:
        params = node.space.configuration(cell)
        key = configuration_key(params)
        task = Task(key, params, str(cell), 0, 0, "space_filling", node.trial_seed(key, 0))
        trial = _trial(
            task, Outcome(State.COMPLETE, {"value": value(params)}, {}, 1.0, None, None, None), "code"
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
        fill(
            tree._context.store, pk, found._node, found._cells(), lambda p: p["lr"] * p["dropout"] + p["beta"]
        )


def shaped(params: Any) -> float:
    """Smooth, with its best inside the ranges."""
    return 1 - 0.05 * (params["lr"] - 2.0) ** 2 - (params["dropout"] - 0.1) ** 2 + params["beta"]


def fill_tree(url: str, rounds: int, trials: int) -> None:
    """A tree of two branches whose rounds have slowly narrower spaces and share the trials, without running them."""
    from refine.trials.round_record import Node

    made: Any = {"method": "sobol", "seed": 1, "objective": "shaped", "author": "ann"}
    nodes: list[Node] = []
    with refine.Tree("grown", store=url) as tree:
        store, row = tree._context.store, tree._context.tree
        for i in range(rounds):
            space = refine.Space({**WIDE, "lr": (0.5, 5.0 - 2.0 * i / rounds, 10)})
            parent = nodes[max(0, i - 2)].id if nodes else None
            node = Node(parent, space, **made, created=float(i))
            pk = store.add_node(row, node, trials // rounds)
            cells = np.random.default_rng(i).choice(space.size, trials // rounds, replace=False)
            fill(store, pk, node, map(int, cells), shaped)
            nodes.append(node)


def of_tree(which: str, url: str) -> list[float]:
    """Seconds, seconds of processor time and MB at peak of a proposal on the first or the last round."""
    tree = refine.Tree("grown", store=url, create=False)
    asked = tree.rounds[0 if which == "first" else -1]
    return timed(lambda: asked.propose(keep=False, renew=True))


def evidence(rounds: int, trials: int) -> None:
    """A proposal on a tree of many rounds, against a proposal on one round with as many trials."""
    rows = []
    one = 0.0
    for size, which in ((1, "first"), (rounds, "first"), (rounds, "last")):
        with tempfile.TemporaryDirectory() as name:
            url = f"sqlite:///{Path(name) / 'r.db'}"
            fill_tree(url, size, trials)
            seconds, cpu, most = alone("of_tree", which, url)
        one = one or cpu
        rows.append(
            [
                which,
                f"{size:,}",
                f"{trials:,}",
                f"{seconds:.2f}",
                f"{cpu:.2f}",
                f"{cpu / one:.2f}",
                f"{most:,.0f}",
            ]
        )
    print("**Proposing on all trials of a tree**, two branches; every row a process of its own\n")
    table(
        ["round", "rounds", "trials", "seconds", "of processor time", "times one round's", "MB at peak"], rows
    )


LOOKS: dict[str, Callable[[refine.Tree, refine.Round], Callable[[], object]]] = {
    "open and print": lambda tree, first: lambda: str(refine.Tree("grown", store=tree._url, create=False)),
    "print again": lambda tree, first: (str(tree), lambda: str(tree))[1],
    "first paint of the page": lambda tree, first: lambda: page_of(first, "start", "pulse", "tree"),
    "pulse of the page": lambda tree, first: partial(page_of(first, "pulse").handle, {"type": "pulse"}),
    "tree.report": lambda tree, first: lambda: tree.report(tempfile.mkdtemp(prefix="refine-scale-")),
    "tree.calibration": lambda tree, first: tree.calibration,
    "trials": lambda tree, first: lambda: first.trials,
    "analyze and propose": lambda tree, first: lambda: first.propose(keep=False),
}
"""What is looked at -> what makes it ready, and returns what is timed."""


def page_of(first: refine.Round, *kinds: str) -> Any:
    """The page's session of a round, which has answered these messages."""
    from refine.ui.web.session import Session

    page = Session(first)
    for kind in kinds:
        page.handle({"type": kind})
    return page


def look(what: str, url: str) -> list[float]:
    """Seconds, seconds of processor time, and MB at peak of one look."""
    tree = refine.Tree("grown", store=url, create=False)
    return timed(LOOKS[what](tree, tree.rounds[0]))


def timed(call: Callable[[], object]) -> list[float]:
    """Seconds, seconds of processor time, and MB at peak of a call."""
    import pandas as pd  # what every look loads counts for none

    assert pd
    seconds, cpu = time.perf_counter(), time.process_time()
    call()
    return [time.perf_counter() - seconds, time.process_time() - cpu, peak()]


def exchange(what: str, url: str, folder: str) -> list[float]:
    """One way out of a store or into another, as :func:`look`."""
    place = Path(folder)
    with refine.Tree("grown", store=url, create=False) as tree:
        if what == "export":
            return timed(lambda: tree.export(place / "out", reports=False))
        return timed(lambda: refine.Tree.load(place / "out", store=place / "loaded.db").close())


def out_and_in(n: int) -> None:
    """A round of many trials as a folder, and loaded, without its report."""
    rows = []
    with empty_stores() as stores:
        for name, url in stores.items():
            fill_study(url, n)
            with tempfile.TemporaryDirectory() as folder:
                for what in ("export", "load"):
                    at = name if what != "load" else "SQLite"
                    rows.append([what, f"{n:,}", at, *measured("exchange", what, url, folder)])
    print("**Out and in**, every row a process of its own; the other store is SQLite\n")
    table(COSTS, rows)


def peak() -> float:
    """MB that this process held at most; what it was started from counts for Python's own figure."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(how: str, *arguments: str) -> list[str]:
    """The numbers of `look` or `exchange` as texts."""
    seconds, cpu, most = alone(how, *arguments)
    return [f"{seconds:.2f}", f"{cpu:.2f}", f"{most:,.0f}"]


@contextlib.contextmanager
def empty_stores() -> Iterator[dict[str, str]]:
    """Name -> URL: SQLite, and PostgreSQL where it is installed."""
    from chaos import PostgreSQL

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        found = {"SQLite": f"sqlite:///{Path(name) / 'r.db'}"}
        with contextlib.suppress(SystemExit):
            server = PostgreSQL()
            stack.callback(server.close)
            found["PostgreSQL"] = server.url
        yield found


def many_rounds(sizes: list[int]) -> None:
    """Looks at trees of some hundred rounds."""
    at_rounds = ("open and print", "print again", "pulse of the page", "tree.calibration", "tree.report")
    rows = []
    for rounds in sizes:
        with empty_stores() as stores:
            for name, url in stores.items():
                grow(url, rounds)
                rows += [[what, f"{rounds:,}", name, *measured("look", what, url)] for what in at_rounds]
    print("**Trees of many rounds**, 20 trials each, two branches; every row a process of its own\n")
    table(["", "rounds", "store", "seconds", "of processor time", "MB at peak"], rows)


def many_trials(n: int) -> None:
    """Looks at one round of many trials."""
    looks = [what for what in LOOKS if not what.startswith("tree.")]
    print("**A round of many trials**, every row a process of its own\n")
    with empty_stores() as stores:
        for url in stores.values():
            fill_study(url, n)
        each = ((what, *store) for store in stores.items() for what in looks)
        table(COSTS, ([what, f"{n:,}", name, *measured("look", what, url)] for what, name, url in each))


def main() -> None:
    """Runs and prints."""
    options = parser(__doc__, trials=1_000_000, exchanged=100_000)
    parts: dict[str, Callable[[], None]] = {
        "overhead": lambda: overhead([1_000, 10_000, 100_000], [1_000, 10_000]),
        "workers": lambda: workers(400),
        "cluster": lambda: cluster(20_000, 1_000),
        "grid": lambda: grid(100_000),
        "rounds": lambda: many_rounds(a.rounds),
        "trials": lambda: many_trials(a.trials),
        "exchange": lambda: out_and_in(a.exchanged),
        "evidence": lambda: evidence(300, a.exchanged),
    }
    options.add_argument("--only", nargs="+", choices=list(parts), default=list(parts), help="some parts")
    options.add_argument("--without", nargs="+", choices=list(parts), default=[], help="parts to leave out")
    options.add_argument("--rounds", nargs="+", type=int, default=[200, 1_000], help="sizes of trees")
    options.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    a = options.parse_args()
    if a.alone:
        what, *rest = a.alone
        calls = {"grid": make_grid, "look": look, "exchange": exchange, "of_tree": of_tree}
        json.dump(calls[what](*rest), sys.stdout)
        return
    for name, part in parts.items():
        if name in a.only and name not in a.without:
            part()


if __name__ == "__main__":
    main()
