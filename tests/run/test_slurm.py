"""A round whose workers are jobs of a queue, which kills them at their limit."""

import json
from pathlib import Path

import pytest

from tests.elsewhere import run_there


@pytest.mark.nightly
@pytest.mark.cluster
def test_a_job_that_reaches_its_limit_costs_no_trial(tmp_path):
    script = Path(__file__).with_name("slurm_elsewhere.py")
    output = run_there("dask_jobqueue", str(script), str(tmp_path / "slurm"))
    report = json.loads(output.splitlines()[-1])
    assert report["states"] == {"complete": 12}
    assert report["jobs"] == 2
    assert "#SBATCH -t 04:00:00" in report["script"]
    assert "#SBATCH --gres=gpu:1" in report["script"]
