"""A round on a Dask cluster: scheduler and workers in their own processes, reached over TCP.

    python examples/dask_cluster.py --out demo-output

Here all processes run on one machine. On a real cluster, start the scheduler on one machine and workers on
others, and pass the scheduler's address to ``Client``. Workers need this package and the objective's imports;
the objective itself is serialised by value. A connection to a scheduler allows running code on it: if other
people use the machine or the network, give all processes TLS certificates
(``distributed.security.Security``). Needs Dask: ``pip install 'refine-hpo[dask]'``.
"""

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distributed import Client

import refine

SPACE = {"x": (-3.0, 3.0, 25), "y": (-3.0, 3.0, 25), "shape": ["round", "long"]}


def objective(params):
    """A bowl with its lowest point at x = 1, y = -0.5."""
    across = 4.0 if params["shape"] == "long" else 1.0
    return (params["x"] - 1) ** 2 + across * (params["y"] + 0.5) ** 2


@contextmanager
def dask(*command):
    """A Dask process, terminated when the block ends."""
    process = subprocess.Popen([sys.executable, "-m", "dask", *command])
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def main(out, workers, n):
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "scheduler.json")
        local = ("--host", "127.0.0.1", "--no-dashboard")
        stack.enter_context(dask("scheduler", "--port", "0", "--scheduler-file", file, *local))
        for _ in range(workers):
            stack.enter_context(dask("worker", "--scheduler-file", file, "--nthreads", "1", *local))
        client = stack.enter_context(Client(scheduler_file=file, timeout=60))
        client.wait_for_workers(workers, timeout=60)

        tree = stack.enter_context(refine.Tree("cluster", store=out / "cluster.db"))
        found = tree.add_round(SPACE, objective, direction="minimize", n=n, seed=1)
        found.run(
            machine=refine.Machine(workers=workers, executor=refine.DaskExecutor(client), progress=False)
        )
        print(found)
        print(f"{len(found.trials)} trials on {client.scheduler.address}, best {found.best['value']:.4g}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--n", type=int, default=200)
    arguments = parser.parse_args()
    main(arguments.out, arguments.workers, arguments.n)
