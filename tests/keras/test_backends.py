"""Keras on JAX and on PyTorch, in an environment of its own that has no TensorFlow (`make backends`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refine.errors import ObjectiveError
from refine.keras import KerasObjective
from refine.keras._backend import take_memory_as_needed
from tests.elsewhere import run_there

IN_CI = ("jax",)
"""What `make test` installs; PyTorch is large: `make backends BACKENDS='jax torch'`."""


@pytest.mark.nightly
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_everything_but_the_fast_loop_works_there_and_tensorflow_is_not_needed(
    backend, tmp_path, monkeypatch
):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    # JAX compiles each trial's model anew; equal programs are then read from here.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    script = str(Path(__file__).with_name("trained_elsewhere.py"))
    run_there(backend, script, in_ci=backend in IN_CI, KERAS_BACKEND=backend, **cache)


VARIABLE = "set the environment variable KERAS_BACKEND"


@pytest.mark.parametrize(
    ("backend", "without", "text"),
    [
        (
            "jax",
            "jax",
            (
                "refine.keras needs jax, which is not installed: pip install jax, or "
                f"{VARIABLE}=tensorflow for an installed backend"
            ),
        ),
        (
            "tensorflow",
            "keras",
            "refine.keras needs keras, which is not installed: pip install 'refine-hpo[keras]'",
        ),
        (
            "numpy",
            "",
            (
                "KERAS_BACKEND: must be a backend that trains (tensorflow, jax, torch), got 'numpy'; "
                f"{VARIABLE} before Python starts"
            ),
        ),
    ],
)
def test_a_backend_that_can_not_be_used_is_named(backend, without, text):
    code = f"import sys; sys.modules.update(dict.fromkeys({without.split()!r})); import refine.keras"
    environment = os.environ | {"KERAS_BACKEND": backend}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"refine.errors.ObjectiveError: {text}"


def test_an_objective_of_another_backend_prepares_nothing():
    def model(x_train, y_train, x_val, y_val, params): ...

    objective = KerasObjective(model, [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], val_split=0.5)
    assert objective.backend == "tensorflow"
    objective.backend = "jax"
    with pytest.raises(ObjectiveError, match="jax.*tensorflow"):
        objective.prepare(1)


def test_memory_of_a_gpu_is_taken_as_needed_unless_the_person_chose(monkeypatch):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    take_memory_as_needed()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    take_memory_as_needed()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
