"""A round on dask-jobqueue's SLURMCluster, in an environment that has it. Prints its outcome as JSON.

Scripts named ``sbatch`` and ``scancel`` stand in for Slurm: a job is a group of processes on this machine.
"""

import json
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed import Client

import refine
from refine.errors import RefineWarning

SCRIPTS = {
    "sbatch": """
log = open("{folder}/log", "a")
job = subprocess.Popen(["bash", sys.argv[-1]], start_new_session=True, stdout=log, stderr=log)
open("{folder}/jobs", "a").write(str(job.pid) + " ")
open("{folder}/script", "w").write(open(sys.argv[-1]).read())
time.sleep(1)  # until bash has read the script, which is deleted then
print("Submitted batch job", job.pid)
""",
    "scancel": """
for job in sys.argv[1:]:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(job), signal.SIGKILL)
""",
}
folder = Path(sys.argv[1])
(folder / "bin").mkdir(parents=True)
for name, text in SCRIPTS.items():
    imports = f"#!{sys.executable}\nimport contextlib, os, signal, subprocess, sys, time\n"
    (folder / "bin" / name).write_text(imports + text.format(folder=folder))
    (folder / "bin" / name).chmod(0o755)
os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"


def objective(params):
    """Takes a while."""
    time.sleep(0.5)
    return float(params["x"])


def end_of_time(trial):
    """Midway, the end of a Slurm job at its limit: SIGTERM to the whole job, SIGKILL a while later."""
    if trial.ended == 3:
        job = int((folder / "jobs").read_text().split()[0])
        os.killpg(job, signal.SIGTERM)
        threading.Timer(1, os.killpg, (job, signal.SIGKILL)).start()


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
with cluster, Client(cluster, timeout=60) as client, refine.Tree("q", folder / "q.db") as tree:
    cluster.adapt(minimum_jobs=1, maximum_jobs=1)
    round_ = tree.add_round({"x": (0, 11, 12)}, objective, n=12, seed=1)
    on = refine.DaskExecutor(client, {"GPU": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefineWarning)  # there may be no worker yet
        round_.run(machine=refine.Machine(workers=1, executor=on, on_trial=end_of_time, progress=False))
    states = round_.trials["state"].value_counts().to_dict()
    jobs = len((folder / "jobs").read_text().split())
    print(json.dumps({"states": states, "jobs": jobs, "script": (folder / "script").read_text()}))
