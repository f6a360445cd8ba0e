"""Environments of trials: recorded per trial, reported if they differ, and refused if unreadable."""

import contextlib
import importlib.metadata
import itertools
import os
import re
import shutil
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from dask_cluster import dask_cluster, ray

import refine
import refine.run.workers.cluster_health
from refine._version import VERSION
from refine.errors import RoundStoppedError
from refine.run.workers.task import Job, opened, versions
from tests.elsewhere import RAY

SPACE = {"x": (1, 40, 40)}
ROOT = Path(refine.__file__).parents[1]


def where(params):
    """The process that runs it."""
    return {"value": float(params["x"]), "process": float(os.getpid())}


def elsewhere(folder):
    """Makes this process find a package of another version, as on a machine installed on another day."""
    sys.path.insert(0, folder)


class TwoMachines(Executor):
    """Every other trial runs where another version of a package is installed."""

    def __init__(self, folder):
        dist_info = folder / "optuna-99.1.dist-info"
        dist_info.mkdir()
        (dist_info / "METADATA").write_text("Metadata-Version: 2.1\nName: optuna\nVersion: 99.1\n")
        context = get_context("spawn")
        self.pools = (
            ProcessPoolExecutor(1, context),
            ProcessPoolExecutor(1, context, initializer=elsewhere, initargs=(str(folder),)),
        )
        self.next = itertools.cycle(self.pools)

    def submit(self, function, order):
        return next(self.next).submit(function, order)

    def shutdown(self, wait=True, *, cancel_futures=False):
        for pool in self.pools:
            pool.shutdown(wait)


def ran_on(round_):
    """Version of the package -> number of trials."""
    return {e["optuna"]: count for e, count in round_._context.store.ran_on(round_._stored.pk)}


@pytest.mark.cluster
def test_every_trial_says_what_it_ran_on_and_the_round_says_what_differs(tmp_path):
    version = importlib.metadata.version("optuna")
    with refine.Tree("q", store=tmp_path / "a.db") as tree:
        root = tree.add_round(SPACE, where, n=12, seed=1, metric=refine.Goal("value", noise="retraining"))
        with TwoMachines(tmp_path) as executor:
            root.run(machine=refine.Machine(workers=2, executor=executor, progress=False))
        processes = root.trials.groupby("process").size()
        counts = ran_on(root)
        assert set(counts) == {version, "99.1"}
        assert sorted(counts.values()) == sorted(processes)

        message = (
            f"trials ran in environments that differ in optuna ({max(counts, key=counts.get)}: "
            f"{max(counts.values())} trials"
        )
        assert message in str(root) or len(set(counts.values())) == 1
        report = root.report(tmp_path / "reports").read_text()
        assert "**Several environments**: trials" in report
        # A replay compares with what the very trials ran on that it runs again.
        store = root._context.store
        pk = root._stored.pk
        keys = store.records([pk]).columns["key"]
        environments = [store.environments_of(pk, [key]) for key in keys]
        assert [len(environments_of_trial) for environments_of_trial in environments] == [1] * 12
        shown = root.replay(1, seed=3)
        (key,) = [k for k, s in zip(keys, root.trials["seed"], strict=True) if s == shown.table["seed"][0]]
        (environment,) = store.environments_of(pk, [key])
        assert shown.environment.get("optuna") == (
            None if environment["optuna"] == version else ("99.1", version)
        )
        of_round = root.replay().environment
        assert of_round["optuna"] == (", ".join(sorted([version, "99.1"])), version)

        root.run(n=14)
        assert ran_on(root) == {**counts, version: counts[version] + 2}
        assert len(store.environments(pk)) == 2  # each is stored once
        tree.export(tmp_path / "folder")
    with refine.Tree.load(tmp_path / "folder", store=tmp_path / "c.db") as loaded:
        assert ran_on(loaded.rounds[0]) == {**counts, version: counts[version] + 2}


# Versions that can't read each other's trials.


def test_a_job_of_another_version_is_refused_before_it_is_read():
    other = f"CPython 3.99 and refine {VERSION}"
    packed = Job(inline=None, file=None, name="name", task=(), threads=1, path=[], loading=60.0).packed()
    with pytest.raises(RoundStoppedError, match=f"got {re.escape(versions())} for .* and {re.escape(other)}"):
        opened(packed.replace(versions().encode(), other.encode(), 1) + b"no pickle of ours")


@pytest.mark.cluster
@pytest.mark.parametrize("engine", ["Dask", RAY])
@pytest.mark.parametrize("kind", ["another refine", "no refine"])
def test_a_worker_of_another_version_is_refused(tree, tmp_path, monkeypatch, kind, engine):
    if kind == "another refine":
        shutil.copytree(ROOT / "refine", tmp_path / "refine", ignore=shutil.ignore_patterns("__pycache__"))
        (tmp_path / "refine" / "_version.py").write_text('VERSION = "99.0"\n')
        first = "import refine\n"
        text = f"refine 99.0 for .* and {re.escape(versions())} for the coordinator"
    else:
        # A worker of Dask can't even read that it is asked for a trial, and ends.
        first = "import sys\n\nsys.modules['refine'] = None\n"
        text = "the Dask cluster has had none for 3 seconds|one cannot load it .ModuleNotFoundError: "
        monkeypatch.setattr(refine.run.workers.cluster_health, "LOST_SECONDS", 3.0)
    (tmp_path / "sitecustomize.py").write_text(first)
    round_ = tree.add_round(SPACE, where, n=12)
    environ = {"PYTHONPATH": str(tmp_path)}
    with contextlib.ExitStack() as stack:
        if engine == "Dask":
            client, _ = stack.enter_context(dask_cluster(tmp_path, env=os.environ | environ))
            on = refine.DaskExecutor(client)
        else:
            on = stack.enter_context(ray(2, runtime_env={"env_vars": environ}))
        with pytest.raises(RoundStoppedError, match=text):
            round_.run(machine=refine.Machine(workers=2, executor=on, progress=False))
    assert round_.trials.empty
    assert len(round_.run().trials) == 12
