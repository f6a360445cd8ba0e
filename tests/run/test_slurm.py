"""A round whose workers are jobs of a queue, which kills them at their limit."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-backends" / "bin" / "python"


@pytest.mark.nightly
@pytest.mark.cluster
def test_a_job_that_reaches_its_limit_costs_no_trial(tmp_path):
    has = "import importlib.util, sys; sys.exit(importlib.util.find_spec('dask_jobqueue') is None)"
    if not PYTHON.exists() or subprocess.run([str(PYTHON), "-c", has], check=False).returncode:
        if os.environ.get("CI"):
            pytest.fail("CI must have dask-jobqueue: make backends installs it")
        pytest.skip("dask-jobqueue is not in .venv-backends: make backends")
    done = subprocess.run(
        [str(PYTHON), str(HERE / "slurm_elsewhere.py"), str(tmp_path / "slurm")],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    got = json.loads(done.stdout.splitlines()[-1])
    assert got["states"] == {"complete": 12}
    assert got["jobs"] == 2
    assert "#SBATCH -t 04:00:00" in got["script"]
    assert "#SBATCH --gres=gpu:1" in got["script"]
