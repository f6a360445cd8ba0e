"""Runs of MLflow: of a tracking server or store, or a CSV file of them. MLflow is loaded for the former only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from refine.errors import AnalysisError, NotFoundError, RefineError, StoreError, did_you_mean
from refine.tree.exchange.cells import (
    MISSING,
    flat,
    moment_of,
    numbers_of,
    rows_of,
    value_of,
    without_secret,
)
from refine.tree.exchange.imported import UNKNOWN_SEED, Run
from refine.tree.exchange.runs import KILLED, Found, Reading
from refine.utils.extras import load

_STATES = {"FINISHED": "complete", "FAILED": "failed", "KILLED": KILLED}
_PARENT = "mlflow.parentRunId"
_SYSTEM = ("system/",)
_READING = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # by default it tries minutes long to reach a server that is not there
    "MLFLOW_ALLOW_FILE_STORE": "true",  # newer versions refuse folders, which are no longer developed, unless told so
}
"""Environment of MLflow while it reads; what the person has set stays."""


class _Row(NamedTuple):
    """A run as MLflow tells of it: texts of parameters, numbers of metrics, tags, times in seconds since 1970."""

    id: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    parent: str
    began: float | None
    ended: float | None


def read(asked: Reading) -> Found:
    """Ended runs of an experiment.

    Args:
        asked: Its ``source`` is the URL of a tracking server or store, the folder of a store, or a CSV file as
            ``search_runs(...).to_csv()`` and ``mlflow experiments csv`` write it.

    Raises:
        AnalysisError: It is none of these, the experiment is not named where there are several, or MLflow is needed and not
            installed.
        NotFoundError: There is no such store or experiment.
        StoreError: MLflow can't read it.
    """
    source = asked.source
    if "://" in source or source.startswith(("file:", "sqlite:")) or Path(source).is_dir():
        return _found(_of_client(source, asked.experiment))
    if asked.experiment is not None and Path(source).is_file():
        raise AnalysisError(
            f"experiment is for a tracking server or store, got {asked.experiment!r} beside a file; leave it out"
        )
    return _found(_of_csv(Path(source)))


def _found(rows: list[_Row]) -> Found:
    found = Found()
    parents = {row.parent for row in rows if row.parent}
    # Servers and tables have no order of runs and parameters to rely on, and the same runs are the same root.
    for row in sorted(rows, key=lambda row: (row.began or 0.0, row.id)):
        if row.id in parents:
            found.left_out["parents of other runs, as of a search"] += 1
        elif row.status not in _STATES:
            found.left_out[row.status.lower()[:40] or "without a status"] += 1
        else:
            found.runs.append(_run(row))
    return found


def _run(row: _Row) -> Run:
    settings = {n: v for n, text in sorted(row.params.items()) if (v := value_of(text)) is not MISSING}
    span = row.began is not None and row.ended is not None
    return Run(
        had=flat(settings),
        state=_STATES[row.status],
        metrics={
            n: v
            for n, v in numbers_of(dict(sorted(row.metrics.items()))).items()
            if not n.startswith(_SYSTEM)
        },
        curve={},
        seconds=max(0.0, (row.ended or 0.0) - (row.began or 0.0)) if span else 0.0,
        seed=UNKNOWN_SEED,
        origin="",
        finished=time.time() if row.ended is None else row.ended,
        error="MLflow: FAILED" if row.status == "FAILED" else None,
    )


# A file.


def _of_csv(path: Path) -> list[_Row]:
    columns, rows = rows_of(path)
    if "status" not in columns or not any(c.startswith("metrics.") for c in columns):
        raise AnalysisError(
            f"{path}: is no table of MLflow's runs, whose columns are status, params.NAME and metrics.NAME, got "
            f"{', '.join(columns[:6])}; any other table of runs comes in by tree.add_frame"
        )
    return [
        _Row(
            id=row.get("run_id", ""),
            status=row["status"].strip().upper(),
            params=_part(row, "params."),
            metrics=numbers_of({k: value_of(v) for k, v in _part(row, "metrics.").items()}),
            parent=row.get(f"tags.{_PARENT}", ""),
            began=moment_of(row.get("start_time", "")),
            ended=moment_of(row.get("end_time", "")),
        )
        for row in rows
    ]


def _part(row: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix)}


# A server or store.


def _of_client(source: str, experiment: str | None) -> list[_Row]:
    library = load("mlflow", f"reading {without_secret(source)}", AnalysisError)
    _check_there(source)
    try:
        with _reading():
            client = library.MlflowClient(source)
            runs = _search(client, _experiment(client, source, experiment))
    except RefineError:
        raise
    except Exception as error:  # noqa: BLE001  # servers and drivers raise what they like
        reason = without_secret(
            str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        )
        raise StoreError(f"{without_secret(source)}: MLflow can't read it: {reason}; check the URL") from None
    return [
        _Row(
            id=run.info.run_id,
            status=str(run.info.status).upper(),
            params=run.data.params,
            metrics=run.data.metrics,
            parent=run.data.tags.get(_PARENT, ""),
            began=moment_of(run.info.start_time),
            ended=moment_of(run.info.end_time),
        )
        for run in runs
    ]


def _check_there(source: str) -> None:
    """Opening a store makes it; who only reads must not leave an empty one behind."""
    head, _, rest = (
        source.partition(":///") if ":///" in source else ("file", "", source.removeprefix("file:"))
    )
    local = head.split("+")[0] in ("sqlite", "file") and "://" not in rest
    place = Path(rest if head.startswith("sqlite") else f"/{rest.lstrip('/')}" if ":///" in source else rest)
    if local and not place.exists():
        raise NotFoundError(f"{source}: there is no such store; give the URL of one that exists")


def _experiment(client: Any, source: str, name: str | None) -> str:
    known = {e.name: e.experiment_id for e in client.search_experiments()}
    if name is None and len(known) == 1:
        return str(next(iter(known.values())))
    if name is None or name not in known:
        what = "which of them? give experiment=" if name is None else f"no experiment {name!r}"
        hint = f"known: {', '.join(known) or 'none'}" if name is None else did_you_mean(name, known)
        raise NotFoundError(f"{without_secret(source)}: holds {len(known)} experiments; {what}; {hint}")
    return str(known[name])


def _search(client: Any, experiment: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment], max_results=1000, page_token=token, order_by=["attributes.start_time"]
        )
        found += page
        token = page.token
        if not token:
            return found


@contextmanager
def _reading() -> Iterator[None]:
    added = [name for name in _READING if name not in os.environ]
    os.environ.update({name: _READING[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
