"""Runs of TensorBoard's HParams plugin, from event files. The package ``tensorboard`` reads them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from refine.errors import AnalysisError
from refine.tree.exchange.imported import UNKNOWN_SEED, Run
from refine.tree.exchange.runs import Found, Reading
from refine.utils.extras import load


class _Session(NamedTuple):
    """One run: the folder it wrote to, when it began, how it ended, its settings."""

    folder: Path
    start: Any
    end: Any


def read(asked: Reading) -> Found:
    """Ended sessions of a log folder.

    A session is a folder whose events hold hyperparameters; scalars of that folder are its results, and those of folders below
    it, such as ``validation``, under ``validation/NAME``.

    Args:
        asked: Its ``source`` is the folder.

    Raises:
        AnalysisError: It has no events of hyperparameters, or TensorBoard is not installed.
    """
    folder = Path(asked.source)
    load("tensorboard", "reading event files", AnalysisError)
    if not folder.is_dir():
        raise AnalysisError(f"{folder}: is no folder; give the one that tensorboard --logdir gets")
    files = sorted(p for p in folder.rglob("*tfevents*") if p.is_file())
    sessions: dict[Path, _Session] = {}
    scalars: dict[Path, dict[str, list[tuple[int, float]]]] = {}
    for path in files:
        _take(path, sessions, scalars)
    sessions = {place: each for place, each in sessions.items() if each.start is not None}
    if not sessions:
        raise AnalysisError(
            f"{folder}: none of its {len(files)} event files holds hyperparameters; TensorBoard's tab HPARAMS shows them where "
            "there are some"
        )
    below: dict[Path, dict[str, list[tuple[int, float]]]] = {place: {} for place in sessions}
    for place, tags in scalars.items():
        owner = next((p for p in (place, *place.parents) if p in sessions), None)
        if owner is not None:
            head = place.relative_to(owner).as_posix()
            below[owner] |= {tag if head == "." else f"{head}/{tag}": rows for tag, rows in tags.items()}
    found = Found()
    whole = _whole(sessions.values())
    for place, session in sessions.items():
        _add(found, session, below[place], whole)
    return found


def _take(
    path: Path, sessions: dict[Path, _Session], scalars: dict[Path, dict[str, list[tuple[int, float]]]]
) -> None:
    from tensorboard.plugins.hparams import metadata

    start, end = None, None
    tags = scalars.setdefault(path.parent, {})
    for event in _events(path):
        for value in event.summary.value:
            plugin = value.metadata.plugin_data
            if plugin.plugin_name == metadata.PLUGIN_NAME:
                data = _plugin(path, plugin.content)
                start = data.session_start_info if data.HasField("session_start_info") else start
                end = data.session_end_info if data.HasField("session_end_info") else end
            elif (number := _number(value)) is not None:
                tags.setdefault(value.tag, []).append((event.step, number))
    old = sessions.get(path.parent, _Session(path.parent, None, None))
    if start is not None or end is not None:
        sessions[path.parent] = _Session(path.parent, start or old.start, end or old.end)


def _events(path: Path) -> Iterator[Any]:
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    try:
        yield from LegacyEventFileLoader(str(path)).Load()
    except Exception as error:  # noqa: BLE001  # of a file that somebody else wrote
        raise AnalysisError(
            f"{path}: TensorBoard can't read it: {type(error).__name__}: {str(error)[:200]}; leave it out"
        ) from None


def _plugin(path: Path, content: bytes) -> Any:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        return HParamsPluginData.FromString(content)
    except Exception as error:  # noqa: BLE001  # of a file that somebody else wrote
        raise AnalysisError(
            f"{path}: its hyperparameters can't be read: {str(error)[:200]}; leave it out"
        ) from None


def _number(value: Any) -> float | None:
    """The number of a scalar, in either of the two forms that writers use."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name in ("", "scalars"):
        from tensorboard.util.tensor_util import make_ndarray

        try:
            array = make_ndarray(value.tensor)
            return float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None
        except (TypeError, ValueError):
            return None
    return None


def _settings(session: _Session) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in sorted(session.start.hparams.items()):  # a map of protobuf has no order
        kind = value.WhichOneof("kind")
        if kind in ("number_value", "string_value", "bool_value"):
            out[name] = getattr(value, kind)
    return out


def _whole(sessions: Any) -> set[str]:
    """Settings whose numbers are whole in every session: the plugin keeps all as real numbers."""
    seen: dict[str, bool] = {}
    for session in sessions:
        for name, v in _settings(session).items():
            seen[name] = seen.get(name, True) and isinstance(v, float) and math.isfinite(v) and v == round(v)
    return {name for name, whole in seen.items() if whole}


def _add(found: Found, session: _Session, tags: dict[str, list[tuple[int, float]]], whole: set[str]) -> None:
    from tensorboard.plugins.hparams import api_pb2

    status = api_pb2.STATUS_UNKNOWN if session.end is None else session.end.status
    if status not in (api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE):
        found.left_out["without an end: running, or killed"] += 1
        return
    failed = status == api_pb2.STATUS_FAILURE
    curves = {tag: [v for _, v in sorted(rows, key=lambda row: row[0])] for tag, rows in tags.items()}
    began, ended = session.start.start_time_secs, session.end.end_time_secs
    found.runs.append(
        Run(
            had={n: int(v) if n in whole else v for n, v in _settings(session).items()},
            state="failed" if failed else "complete",
            metrics={tag: c[-1] for tag, c in curves.items()},
            curve={tag: c for tag, c in curves.items() if len(c) > 1},
            seconds=max(0.0, ended - began) if began > 0 else 0.0,
            seed=UNKNOWN_SEED,
            origin="",
            finished=ended if ended > 0 else time.time(),
            error="TensorBoard: STATUS_FAILURE" if failed else None,
        )
    )
