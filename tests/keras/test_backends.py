"""Keras on JAX and on PyTorch, in an environment of its own that has no TensorFlow (`make backends`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from refine.errors import ObjectiveError
from refine.keras import KerasObjective
from refine.keras._backend import BACKEND, take_memory_as_needed
from refine.run.workers.pool import _environment

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-backends" / "bin" / "python"
IN_CI = ("jax",)
"""What `make test` installs; PyTorch is large: `make backends BACKENDS='jax torch'`."""
OTHER = {"jax": "tensorflow", "torch": "jax"}
"""What workers are then told to run on."""


def run(code: list[str], backend: str | None, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of the other environment, with this code."""
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "TF_FORCE_GPU_ALLOW_GROWTH")
    }
    own = {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    if backend is not None:
        own["KERAS_BACKEND"] = backend
    command = [str(PYTHON), *code]
    return subprocess.run(
        command, env=inherited | own | more, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="session", params=["jax", "torch"])
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of trainings on a backend."""
    backend = request.param
    has = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({backend!r}) is None)"
    if not PYTHON.exists() or run(["-c", has], None).returncode:
        if backend in IN_CI and os.environ.get("CI"):
            pytest.fail(f"CI must have Keras on {backend}: make backends installs it")
        pytest.skip(f"{backend} is not in .venv-backends: make backends BACKENDS={backend}")
    # JAX compiles each trial's model anew; equal programs are then read from here.
    cache = str(tmp_path_factory.mktemp("jax"))
    done = run(
        [str(HERE / "trained_elsewhere.py"), OTHER[backend]],
        backend,
        JAX_COMPILATION_CACHE_DIR=cache,
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == backend
    return found


def test_tensorflow_is_neither_needed_nor_loaded(facts: dict[str, Any]) -> None:
    assert facts["tensorflow"] is False
    assert facts["objectives"]["environment"]["backend"] == facts["backend"]
    assert facts["backend"] in facts["objectives"]["environment"]
    assert facts["preallocate"] == ("false" if facts["backend"] == "jax" else None)


def test_two_workers_give_the_values_of_one(facts: dict[str, Any]) -> None:
    alone, shared = facts["rounds"]["alone"], facts["rounds"]["shared"]
    assert [trial["state"] for trial in alone] == ["complete", "complete"]
    assert alone[0]["val_loss"] != alone[1]["val_loss"]
    assert shared == alone


def test_the_best_model_is_kept_and_the_holdout_opened(facts: dict[str, Any]) -> None:
    assert facts["rounds"]["kept"] is True
    assert "mean of 2 models" in facts["rounds"]["opened"]


def test_fit_is_that_of_keras_and_says_so_once(facts: dict[str, Any]) -> None:
    found = facts["objectives"]
    assert found["fit"] == found["model.fit"]
    assert found["accelerated"] == {**found["fit"], "accelerated": 0.0}
    assert found["put back"] is True
    assert facts["said"] == [
        f"refine.keras.fit: using model.fit, because the Keras backend is {facts['backend']}, not tensorflow; results are "
        "the same, only slower"
    ]


def test_an_objective_does_what_it_does_on_tensorflow(facts: dict[str, Any]) -> None:
    found = facts["objectives"]
    assert found["fit"]["degenerate"] == 0.0
    assert found["predicted"] is True
    assert found["read"] is True
    assert found["folds"] == ["val_acc", "val_acc@1", "val_acc@2"]
    recorded, kept = found["restored"]
    assert recorded == pytest.approx(kept, abs=1e-6)
    assert found["defaults"] == {"learning_rate": 0.001, "dropout": 0.0, "optimizer": "adam"}


def test_a_trial_that_is_behind_is_pruned(facts: dict[str, Any]) -> None:
    assert facts["pruning"]["states"] == {"0.0": "pruned", "0.03": "complete", "0.05": "complete"}


def test_trials_of_another_backend_are_of_another_code(facts: dict[str, Any]) -> None:
    backend = facts["backend"]
    plain, accelerated = facts["objectives"]["codes"]
    assert plain.endswith(f"-{backend}")
    assert accelerated.endswith(f"-accelerated-{backend}")


def test_workers_on_another_backend_stop_the_round(facts: dict[str, Any]) -> None:
    if facts["backend"] == "jax":
        assert facts["another"] == (
            "refine.keras needs tensorflow, which is not installed: pip install 'refine-hpo[keras]', or set the environment "
            "variable KERAS_BACKEND=jax for what is installed"
        )
    else:
        assert facts["another"] in (
            "the objective was made with Keras on torch, and this process runs it on jax; set the environment variable "
            "KERAS_BACKEND=torch where workers start",
            "refine.keras needs jax, which is not installed: pip install jax, or set the environment variable "
            "KERAS_BACKEND=torch for what is installed",
        )


def imported(backend: str, *, without: str = "") -> str:
    """The last line of what is printed where `refine.keras` is imported here, in an own process."""
    code = f"import sys; sys.modules.update(dict.fromkeys({without.split()!r})); import refine.keras"
    environment = os.environ | {"KERAS_BACKEND": backend}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1].removeprefix("refine.errors.ObjectiveError: ")


def test_a_backend_that_is_not_installed_is_named() -> None:
    assert imported("jax", without="jax") == (
        "refine.keras needs jax, which is not installed: pip install jax, or set the environment variable "
        "KERAS_BACKEND=tensorflow for what is installed"
    )


def test_keras_itself_is_named_where_it_is_missing() -> None:
    said = imported("tensorflow", without="keras")
    assert said == "refine.keras needs keras, which is not installed: pip install 'refine-hpo[keras]'"


def test_a_backend_that_trains_nothing_is_refused() -> None:
    assert imported("numpy") == (
        "KERAS_BACKEND: must be one that trains, tensorflow, jax, torch, got 'numpy'; set the environment variable "
        "KERAS_BACKEND to one of them before Python starts"
    )


def test_here_it_is_tensorflow() -> None:
    assert BACKEND == keras.backend.backend() == "tensorflow"


def test_an_objective_of_another_backend_prepares_nothing() -> None:
    def model(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any: ...

    objective = KerasObjective(model, [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], val_split=0.5)
    assert objective.backend == "tensorflow"
    objective.backend = "jax"
    with pytest.raises(
        ObjectiveError, match=r"made with Keras on jax, and this process runs it on tensorflow"
    ):
        objective.prepare(1)


def test_memory_of_a_gpu_is_taken_as_needed_unless_the_person_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    take_memory_as_needed()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    take_memory_as_needed()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        ("0,1", ["0", "1", "0"]),
        ("2, 5,7", ["2", "5", "7"]),
        ("GPU-4f2a", ["GPU-4f2a"] * 3),
        ("", [""] * 3),
        (None, [None] * 3),
    ],
)
def test_workers_take_turns_with_listed_gpus(
    listed: str | None, seen: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert [_environment(1, i).get("CUDA_VISIBLE_DEVICES") for i in range(3)] == seen
