"""A round on the workers of dask-jobqueue's SLURMCluster; run in the environment that has it. Prints what came of it as JSON.

What ``sbatch`` and ``scancel`` do of Slurm's is done by scripts of that name: a job is a group of processes on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import refine
from refine.errors import RefineWarning

SBATCH = """#!{python}
import subprocess, sys
log = open("{folder}/log", "a")
job = subprocess.Popen(["bash", sys.argv[-1]], start_new_session=True, stdout=log, stderr=log)
open("{folder}/jobs", "a").write(str(job.pid) + " ")
open("{folder}/script", "w").write(open(sys.argv[-1]).read())
subprocess.run(["sleep", "1"])  # until bash has read the script, which is deleted then
print("Submitted batch job", job.pid)
"""
SCANCEL = """#!{python}
import os, signal, sys
for job in sys.argv[1:]:
    try:
        os.killpg(int(job), signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def objective(params: Any) -> float:
    """Takes a while."""
    time.sleep(0.5)
    return float(params["x"])


def end_of_time(job: int) -> None:
    """What Slurm does to a job at its limit: SIGTERM to all of it, and SIGKILL a while later."""
    for what in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(job, what)
        time.sleep(1)


def main(folder: Path) -> dict[str, Any]:
    """A round one of whose jobs reaches its limit in the middle."""
    (folder / "bin").mkdir(parents=True)
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / "bin" / name).write_text(text.format(python=sys.executable, folder=folder))
        (folder / "bin" / name).chmod(0o755)
    os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    cluster = SLURMCluster(
        cores=1,
        memory="1GB",
        walltime="04:00:00",
        interface="lo",
        local_directory=str(folder),
        log_directory=str(folder),
        scheduler_options={"dashboard_address": None},
        job_extra_directives=["--gres=gpu:1"],
        worker_extra_args=["--resources", "GPU=1", "--no-dashboard"],
        job_script_prologue=[f"export PYTHONPATH={os.environ['PYTHONPATH']}"],
    )
    killed: list[threading.Thread] = []

    def kill(trial: Any) -> None:
        if trial.ended == 3:
            job = int((folder / "jobs").read_text().split()[0])
            killed.append(threading.Thread(target=end_of_time, args=[job]))
            killed[0].start()

    with cluster, Client(cluster, timeout=60) as client, refine.Tree("q", folder / "q.db") as tree:
        cluster.adapt(minimum_jobs=1, maximum_jobs=1)
        found = tree.add_round({"x": (0, 11, 12)}, objective, n=12, seed=1)
        on = client.get_executor(pure=False, retries=0, resources={"GPU": 1})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RefineWarning)  # there may be no worker yet
            found.run(1, executor=on, progress=False, on_trial=kill)
        killed[0].join()
        return {
            "states": found.trials["state"].value_counts().to_dict(),
            "jobs": len((folder / "jobs").read_text().split()),
            "script": (folder / "script").read_text(),
        }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
