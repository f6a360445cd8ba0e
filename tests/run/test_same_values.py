"""A trial has the same values in this process, on workers, on clusters, and in pools of both kinds."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import refine

SPACE = {"x": refine.Integer(0, 40, levels=41)}


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
    """One does; all print and ask."""
    print("x" * 5_000)
    with contextlib.suppress(EOFError):
        input()
    if params["x"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return trial.seed % 7


def values(store, **options):
    with refine.Tree("same", store=store) as tree:
        root = tree.add_round(SPACE, late, n=16, seed=5).run(
            machine=refine.Machine(progress=False, **options)
        )
        return root.trials.sort_values("x")["value"].tolist()  # NaN, where one failed, equals nothing


@pytest.mark.nightly
@pytest.mark.keras
def test_keras_that_an_objective_imports_itself_is_seeded_from_the_first_trial_on(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nsys.path.insert(0, sys.argv[1])\n"
        "from test_same_values import values\n"
        "assert 'keras' not in sys.modules\n"
        "print(values(sys.argv[2]))\n"
    )
    # A process of its own, in which nobody has loaded Keras.
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "serial.db")]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    serial = eval(output.strip().splitlines()[-1])  # a list of numbers that we printed
    assert values(tmp_path / "own.db", workers=2) == serial
    with ThreadPoolExecutor(2) as pool:
        assert values(tmp_path / "threads.db", executor=pool, workers=2) == serial
    import keras  # noqa: F401  # from here on it is loaded

    assert values(tmp_path / "loaded.db") == serial


@pytest.mark.slow
def test_a_dead_child_is_one_crashed_trial_and_output_of_others_disturbs_no_answer(tmp_path):
    with refine.Tree("dies", store=tmp_path / "d.db") as tree, ThreadPoolExecutor(2) as pool:
        root = tree.add_round({"x": (0, 9)}, dies, n=10)
        root.run(machine=refine.Machine(workers=2, executor=pool, progress=False))
        states = root.trials.set_index("x")["state"]
        assert states[3] == "crashed"
        assert (states.drop(3) == "complete").all()
        complete = root.trials.query("state == 'complete'")
        assert (complete["value"] == complete["seed"] % 7).all()
        assert "signal 9" in root.failures["error"].iloc[0]
