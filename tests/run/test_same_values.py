"""The same trial has the same values wherever it runs: in this process, on workers, clusters, pools of processes and threads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from dask_cluster import dask_cluster

import refine
from refine.run.workers.child import _idle, run_in_child

SPACE = {"x": refine.Integer(0, 40, levels=41)}


def draws(params):
    """Draws slowly, so that others who draw from the same generators would be seen."""
    total = 0.0
    for _ in range(20):
        total += random.random() + float(np.random.random())
        time.sleep(0.001)
    return {"value": total, "x": params["x"]}


def late(params):
    """Imports Keras itself, and draws before and after."""
    before = random.random()
    import keras

    weights = keras.layers.Dense(3)
    weights.build((4,))
    noise = keras.random.normal((2,))
    total = sum(float(np.sum(w)) for w in weights.get_weights()) + float(np.sum(noise))
    return {"value": before + total + random.random() + float(np.random.random()), "x": params["x"]}


def dies(params, trial):
    if params["x"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return trial.seed % 7


@contextlib.contextmanager
def foreign_dask(threads):
    """A cluster as a person starts it: processes of their own, with settings that this package doesn't make."""
    with tempfile.TemporaryDirectory() as folder, dask_cluster(Path(folder), threads=threads) as (client, _):
        yield client.get_executor()


@contextlib.contextmanager
def processes(count):
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@contextlib.contextmanager
def loky(count):
    from joblib.externals.loky import get_reusable_executor

    pool = get_reusable_executor(max_workers=count)
    yield pool
    pool.shutdown()


PLACES = {
    "foreign Dask, 8 threads": (foreign_dask, 8),
    "loky": (loky, 2),
    "threads": (ThreadPoolExecutor, 4),
    "foreign Dask, 1 thread": (foreign_dask, 1),
    "processes": (processes, 2),
}


def values(store, objective, **options):
    with refine.Tree("same", store=store) as tree:
        root = tree.add_round(SPACE, objective, n=16, seed=5).run(progress=False, **options)
        frame = root.trials.sort_values("x")
        assert frame["state"].eq("complete").all(), root.failures
        return frame["value"].tolist(), root.replay(3, **options).same


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return values(tmp_path_factory.mktemp("here") / "serial.db", draws)[0]


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(
    "place", [*list(PLACES)[:3], *(pytest.param(p, marks=pytest.mark.nightly) for p in list(PLACES)[3:])]
)
def test_python_and_numpy_draw_the_same_everywhere(place, here, tmp_path):
    made, count = PLACES[place]
    with made(count) as executor:
        found, again = values(tmp_path / "there.db", draws, executor=executor, workers=count)
    assert found == here
    assert again


@pytest.mark.cluster
def test_workers_give_the_table_of_one_process(tmp_path, space):
    def drawn(params):
        return {"acc": params["lr"] + random.random() + float(np.random.random()), "loss": random.random()}

    tables = []
    for workers in (1, 2):
        with refine.Tree("q", store=tmp_path / f"{workers}.db") as tree:
            found = tree.add_round(space, drawn, metric="acc", n=24).run(workers, progress=False)
            tables.append(found.trials.drop(columns="seconds").sort_values("cell").reset_index(drop=True))
            assert found.replay(3, workers=workers).same
    assert tables[0].equals(tables[1])


@pytest.mark.nightly
@pytest.mark.keras
@pytest.mark.slow
def test_keras_that_an_objective_imports_itself_is_seeded_from_the_first_trial_on(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nsys.path.insert(0, sys.argv[1])\n"
        "from test_same_values import late, values\n"
        "assert 'keras' not in sys.modules\n"
        "print(values(sys.argv[2], late)[0])\n"
    )
    # A process of its own, in which nobody has loaded Keras.
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "serial.db")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    serial = eval(said.strip().splitlines()[-1])  # a list of numbers that we printed
    assert values(tmp_path / "own.db", late, workers=2)[0] == serial
    with ThreadPoolExecutor(2) as pool:
        assert values(tmp_path / "threads.db", late, executor=pool, workers=2)[0] == serial
    import keras  # noqa: F401  # from here on it is loaded

    assert values(tmp_path / "loaded.db", late)[0] == serial


@pytest.mark.slow
def test_a_child_that_dies_is_one_crashed_trial_and_leaves_no_process(tmp_path):
    with (
        refine.Tree("dies", store=tmp_path / "d.db") as tree,
        ThreadPoolExecutor(2) as pool,
    ):
        root = tree.add_round({"x": (0, 9)}, dies, n=10)
        root.run(executor=pool, workers=2, progress=False)
        states = root.trials.set_index("x")["state"]
        assert states[3] == "crashed"
        assert (states.drop(3) == "complete").all()
        assert "was killed by signal 9" in root.failures["error"].iloc[0]


def test_a_child_that_could_not_begin_is_used_again():
    idle = list(_idle)
    for _ in range(2):
        with pytest.raises(ValueError, match="subsection not found"):
            run_in_child(b"no order", 60.0)
    (child,) = [c for c in _idle if c not in idle] or idle[-1:]
    assert child.process.poll() is None


@pytest.mark.slow
def test_what_an_objective_prints_and_asks_disturbs_no_answer(tmp_path):
    def chatty(params):
        print("x" * 5_000)
        with contextlib.suppress(EOFError):
            input()
        return params["x"]

    with refine.Tree("talks", store=tmp_path / "t.db") as tree, ThreadPoolExecutor(1) as pool:
        root = tree.add_round({"x": (0, 9)}, chatty, n=5).run(executor=pool, progress=False)
        assert (root.trials["value"] == root.trials["x"]).all()
