"""Finished runs of other tools as a table: an adapter for each tool, which settings are parameters, and what is left out. Nothing is unpickled or run."""

from __future__ import annotations

import ast
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.analysis.conditions import conditioned
from refine.errors import AnalysisError, RefineError, SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import freeze, value_key
from refine.space.parameters import Parameter
from refine.space.space import RESERVED, Space
from refine.store.validity import BROKEN, MOST_SECONDS, said
from refine.tree.exchange.dataframe import FEW, UNKNOWN_SEED, frozen_column, infer_space, read_table
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I)
_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}
_ENDED = ("complete", "pruned", "failed")
_TOOLS = ("tuner/", "_", "mlflow.", "refine.")
"""How names begin that tools and this package keep for themselves."""

_LONG = 200


@dataclass(frozen=True, eq=False, repr=False)
class Runs(Shown):
    """Other tools' runs as they were read; nothing has been added to a tree.

    Attributes:
        kind: Whose they are.
        source: Where they were read.
        frame: One row per run: its parameters and results, ``state``, ``seconds``, ``seed`` and ``error``.
        space: Where they lie: the tool's own space, or what was inferred.
        states: State -> number of runs.
        left_out: Reason -> number of runs that are left out.
        dropped: Setting -> why it is no parameter, result -> why it is none.
        results: Name -> number of runs that have a finite one.
        value: The result that trials are judged by; ``None`` where several could be.
        directions: Result -> whether it is to be maximized or minimized, where the source says so.
    """

    kind: str
    source: str
    frame: pd.DataFrame
    space: Space
    states: Mapping[str, int]
    left_out: Mapping[str, int]
    dropped: Mapping[str, str]
    results: Mapping[str, int]
    value: str | None
    directions: Mapping[str, str]

    @property
    def direction(self) -> str | None:
        """The direction of the value, where the source says so."""
        return self.directions.get(self.value or "")

    def judged_by(self, value: str | None) -> str:
        """The result that is the value, if it is one of these runs', else :attr:`value`.

        Raises:
            AnalysisError: There is no such result, no result at all, or several and none was named.
        """
        known = list(self.results)
        if value is None and self.value is None:
            raise AnalysisError(
                f"these runs have {len(known)} results, and one must be the value; say which, as in value={known[0]!r}; "
                f"there are {', '.join(known)}"
                if known
                else "these runs have no result that is a number, so that there is nothing to judge them by"
            )
        if value is not None and value not in self.results:
            raise AnalysisError(f"value {value!r} is no result of these runs; {did_you_mean(value, known)}")
        return value or str(self.value)


class Record(NamedTuple):
    """One run as its tool tells of it."""

    params: dict[str, Any]  # setting -> value, nested ones by their keys joined with dots
    metrics: dict[str, float]  # result -> its last value
    state: str  # one of `_ENDED`; any other says why it is left out
    seconds: float = 0.0  # wall time, 0 where unknown
    error: str | None = None  # why it failed, where the tool keeps that


class Found(NamedTuple):
    """What an adapter gives: the runs, and what else the tool says."""

    records: list[Record]
    space: Space | None = None
    value: str | None = None
    directions: Mapping[str, str] = {}


def read_runs(
    source: str | os.PathLike[str] | pd.DataFrame, kind: str, *, parameters: Sequence[str] | None = None
) -> Runs:
    """Reads the runs of another tool and adds nothing; printed, it says what :meth:`add_frame` would add of it.

    ``"mlflow"`` reads the table of ``mlflow.search_runs``, ``"raytune"`` that of ``ResultGrid.get_dataframe``, both also from
    a CSV file; ``"kerastuner"`` a project's folder. Files are read, and nothing in them is run.

    Args:
        source: Table, file or folder.
        kind: Whose runs they are, one of those.
        parameters: Which settings are parameters; default all that are not plainly something else, such as names and addresses.

    Raises:
        AnalysisError: The kind is unknown, or the source is not of this kind.
        SpaceError: A parameter that no run has or that a space can't have, or a run outside the tool's space.
    """
    if kind not in READERS:
        raise AnalysisError(
            f"kind must be one of {', '.join(READERS)}, got {kind!r}; {did_you_mean(str(kind), READERS)}"
        )
    if isinstance(parameters, str) or (parameters is not None and not list(parameters)):
        raise SpaceError(f"parameters must be a list of names, got {parameters!r}")
    shown = str(source) if isinstance(source, str | os.PathLike) else "the table"
    tool, adapter = READERS[kind]
    try:
        records, space, value, directions = adapter(source)
    except RefineError:
        raise
    except (*BROKEN, OSError) as error:  # of a file that somebody else wrote
        raise AnalysisError(f"{shown}: is not what {tool} writes: {said(error)}; export it again") from None
    left_out = Counter(r.state[:60] or "without a state" for r in records if r.state not in _ENDED)
    records = [_plainly_named(r) for r in records if r.state in _ENDED]
    if not records:
        rest = "; ".join(f"{n} {why}" for why, n in left_out.items())
        raise AnalysisError(
            f"{shown}: has no ended run{f' ({rest})' if rest else ''}; import it when some have ended"
        )
    settings: dict[str, list[Any]] = {}
    for record in records:
        for name, setting in record.params.items():
            settings.setdefault(name, []).append(setting)
    results = list(dict.fromkeys(n for r in records for n in r.metrics))
    names, dropped = _parameters(settings, results, parameters, space)
    if not names:
        why = "; ".join(f"{n}: {text}" for n, text in dropped.items())
        raise SpaceError(
            f"{shown}: the runs have no setting that could be a parameter ({why or 'none was recorded'}); name those that "
            "are: parameters=[...]"
        )
    frame, space = _in_space(records, settings, names, space)
    for name in results:
        if name in space or (name in RESERVED and name != "value"):
            dropped[f"{name} (result)"] = "its name is a parameter's, or the table of trials keeps it"
        elif not name.startswith(_TOOLS):
            frame[name] = [r.metrics.get(name, math.nan) for r in records]
    finite = {n: int(np.isfinite(frame[n].to_numpy(dtype=float)).sum()) for n in frame.columns[len(names) :]}
    frame["state"] = [r.state for r in records]
    frame["seconds"] = [r.seconds if 0 <= r.seconds <= MOST_SECONDS else 0.0 for r in records]
    frame["error"] = _objects([r.error for r in records])
    seeds = [r.params.get("seed", UNKNOWN_SEED) for r in records]
    if "seed" in settings and all(isinstance(s, int) and UNKNOWN_SEED <= s < 2**31 for s in seeds):
        frame["seed"] = seeds
        dropped["seed"] = "the seed of the runs"
    value = next(iter(finite)) if value is None and len(finite) == 1 else value
    return Runs(
        kind, shown, frame, space, Counter(frame["state"]), left_out, dropped, finite, value, directions
    )


# What is a parameter.


def _plainly_named(record: Record) -> Record:
    """A run with settings under names that conditions can write; one stays where two would become one."""
    made = Counter(map(plain_name, record.params))
    plain = {n: plain_name(n) for n in record.params if made[plain_name(n)] == 1}
    return record._replace(params={plain.get(n, n): v for n, v in record.params.items()})


def plain_name(name: str) -> str:
    """A setting's name as conditions, constraints and keywords can write it: ``optimizer.name`` is ``optimizer_name``."""
    made = re.sub(r"[./\-\s]+", "_", name.strip())
    return made if made.isidentifier() and not iskeyword(made) else name


def _parameters(
    settings: Mapping[str, list[Any]],
    results: Sequence[str],
    parameters: Sequence[str] | None,
    space: Space | None,
) -> tuple[list[str], dict[str, str]]:
    """The settings that are parameters: those that are named, the tool's space's, or what may be some; and why others are not."""
    if parameters is None:
        dropped = {n: why for n, values in settings.items() if (why := _no_parameter(n, values))}
        return list(space or (n for n in settings if n not in dropped)), dropped
    names = [n if n in settings else plain_name(n) for n in parameters]
    if unknown := [n for n in names if n not in settings]:
        raise SpaceError(
            f"parameters: no run has a setting {unknown[0]!r}; {did_you_mean(unknown[0], [*settings, *results])}"
        )
    return names, {n: "not among the parameters that were named" for n in settings if n not in names}


def _no_parameter(name: str, values: list[Any]) -> str:
    """Why a setting is plainly no hyperparameter; empty where it may be one."""
    texts = [v for v in values if isinstance(v, str)]
    if name in RESERVED:
        return "refine keeps this name for its table; rename it there if it is a parameter"
    if name.startswith(_TOOLS):
        return "the tool's own"
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        return "it holds a number that is not finite"
    if any("://" in t or t.startswith(("/", "~/", "\\\\")) or re.match(r"[A-Za-z]:\\", t) for t in texts):
        return "paths or addresses"
    if any(len(t) > _LONG for t in texts):
        return f"texts longer than {_LONG} letters"
    named = len(values) > FEW or re.search(r"(^|_)(id|name|dir|path|file|uuid|time)$", name)
    if texts and named and len({value_key(freeze(v)) for v in values}) == len(values):
        return "it differs in every run, as names do"
    return ""


def _in_space(
    records: Sequence[Record],
    settings: Mapping[str, list[Any]],
    names: Sequence[str],
    stated: Space | None,
) -> tuple[pd.DataFrame, Space]:
    """The table of the parameters, and their space: the tool's, or what is inferred, under the conditions that the runs follow."""
    import pandas as pd

    frame = pd.DataFrame({n: _objects([r.params.get(n, math.nan) for r in records]) for n in names})
    if stated is not None:
        space = Space({n: stated[n] for n in names if n in stated})
    else:
        space = Space({n: _inferred(n, settings[n]) for n in names})
    values = {n: frozen_column(n, space[n], frame[n]) for n in space}
    rows = [{n: v[0] for n in space if (v := values[n][i]) is not None} for i in range(len(records))]
    return frame, conditioned(space, rows) if stated is None else space


def _inferred(name: str, values: Sequence[Any]) -> Parameter:
    """The parameter of a setting's values, as of a column of a table; ``None`` and lists are choices."""
    import pandas as pd

    if any(v is None or isinstance(v, tuple) for v in values):
        try:
            distinct = {value_key(freeze(v)): v for v in values}
            return Categorical([distinct[k] for k in sorted(distinct)])
        except RefineError as error:
            raise SpaceError(f"{name}: {error}; leave it out: parameters=[...] without it") from None
    plain = not any(isinstance(v, bool | str) for v in values)
    column = pd.Series(values if plain else _objects(values))
    return infer_space(pd.DataFrame({name: column}))[name]


def _objects(values: Sequence[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# The tools.


def _table(source: Any, needs: Sequence[str], what: str) -> Any:
    """A tool's table, given or as its CSV file, all of whose cells are texts there."""
    import pandas as pd

    if isinstance(source, str) and "://" in source:
        raise AnalysisError(f"a server is not read, got {source!r:.200}; give {what}, or its CSV file")
    texts: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    table = source if isinstance(source, pd.DataFrame) else read_table(source, **texts)
    frame: Any = table.rename(columns=str)
    if not all(any(c.startswith(begins) for c in frame) for begins in needs):
        raise AnalysisError(
            f"{source!s:.200}: is no table as {what} gives it, with columns {', '.join(needs)}...; any other table of runs "
            "comes in by tree.add_frame"
        )
    return frame


def _part(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The cells under a prefix that hold something, texts as the values that were written there."""
    cells = {n.removeprefix(prefix): v for n, v in row.items() if n.startswith(prefix)}
    known = {n: v for n, v in cells.items() if v is not None and v == v and str(v).strip()}
    return flat({n: value_of(v) if isinstance(v, str) else v for n, v in known.items()})


def _mlflow(source: Any) -> Found:
    """What ``mlflow.search_runs`` gives. A run that was killed counts as pruned with what it had by then."""
    import pandas as pd

    frame = _table(source, ("run_id", "status", "start_time", "metrics."), "mlflow.search_runs(...)")
    if len(set(frame.get("experiment_id", ()))) > 1:
        raise AnalysisError(f"{source!s:.200}: holds runs of several experiments; give those of one")
    start, end = (
        pd.to_datetime(frame[c].replace("", None), utc=True, format="ISO8601")
        for c in ("start_time", "end_time")
    )
    frame = frame.assign(seconds=(end - start).dt.total_seconds(), start_time=start)
    # The table has no order to rely on, and the same runs are the same root.
    frame = frame.sort_values(["start_time", "run_id"])[sorted(frame)]
    parents = set(frame.get("tags.mlflow.parentRunId", ()))
    states = {"FINISHED": "complete", "FAILED": "failed", "KILLED": "pruned"}
    records = []
    for row in frame.to_dict("records"):
        metrics = numbers_of(_part(row, "metrics."))
        state = states.get(row["status"], str(row["status"]).lower())
        if row["run_id"] in parents:
            state = "parents of other runs, as of a search"
        elif state == "pruned" and not metrics:
            state = "killed without a result"
        error = "MLflow: FAILED" if state == "failed" else None
        records.append(Record(_part(row, "params."), metrics, state, row["seconds"], error))
    return Found(records)


_RAY = re.compile(
    r"timestamp|checkpoint_dir_name|done|training_iteration|trial_id|date|time_(this_iter_s|total_s|since_restore)|pid|hostname|node_ip|iterations_since_restore|"
    r"should_checkpoint|experiment_(id|tag)|(episodes|timesteps)_.*|warmup_time|logdir|config/.*"
)
"""What is no result: settings, and what Ray itself adds to every report."""


def _raytune(source: Any) -> Found:
    """What ``ResultGrid.get_dataframe()`` gives: the last report of every trial.

    Ray marks a trial that its scheduler stopped like one that ended by itself. One with fewer reports than the longest counts as
    pruned, unless one of its own parameters is the number of its reports, as of epochs.
    """
    frame = _table(source, ("config/", "done", "training_iteration"), "ResultGrid.get_dataframe()")
    reports = [_part(row, "") for row in frame.to_dict("records")]
    most = max((report.get("training_iteration", 0) for report in reports), default=0)
    records = []
    for report in reports:
        params, count = _part(report, "config/"), report.get("training_iteration", 0)
        metrics = numbers_of({n: v for n, v in report.items() if not _RAY.fullmatch(n)})
        lengths = [v for v in params.values() if not isinstance(v, bool)]
        state = "pruned" if 0 < count < most and count not in lengths else "complete"
        state = state if report.get("done") else "running, or left when Ray ended"
        records.append(Record(params, metrics, state, report.get("time_total_s", 0.0)))
    return Found(records)


def _kerastuner(source: Any) -> Found:
    """A project's folder: the oracle's space with its conditions, and the metric that is the score of every trial."""
    folder = Path(source)
    folder = folder.parent if folder.name == "oracle.json" else folder
    if not (folder / "oracle.json").is_file():
        raise AnalysisError(
            f"{folder}: has no oracle.json; give the project's folder, which is directory/project_name of the tuner"
        )
    entries = _json(folder / "oracle.json")["hyperparameters"]["space"]
    own = [entry for entry in entries if not entry["config"]["name"].startswith("tuner/")]
    space = Space.from_keras_tuner({"space": own})
    states = {"COMPLETED": "complete", "FAILED": "failed", "INVALID": "failed"}
    records: list[Record] = []
    directions: dict[str, str] = {}
    scores: dict[str, list[bool]] = {}
    for trial in map(_json, sorted(folder.glob("trial_*/trial.json"))):
        metrics = {}
        for name, measured in trial["metrics"]["metrics"].items():
            means = {o["step"]: math.fsum(o["value"]) / len(o["value"]) for o in measured["observations"]}
            if means:
                metrics[name] = means.get(trial.get("best_step"), [*means.values()][-1])
            if measured.get("direction") in ("max", "min"):
                directions[name] = f"{measured['direction']}imize"
        state = states.get(trial["status"], trial["status"].lower())
        if state == "complete":
            for name, number in metrics.items():
                scores.setdefault(name, []).append(math.isclose(number, trial["score"], rel_tol=1e-9))
        values = trial["hyperparameters"]["values"]
        params = {n: settled(v) for n, v in values.items() if not n.startswith("tuner/")}
        failed = (trial.get("message") or f"Keras Tuner: {trial['status']}")[-2000:]
        records.append(Record(params, metrics, state, error=failed if state == "failed" else None))
    judged = [name for name, equal in scores.items() if all(equal)]
    return Found(records, space, judged[0] if len(judged) == 1 else None, directions)


READERS: Mapping[str, tuple[str, Callable[[Any], Found]]] = {
    "mlflow": ("MLflow", _mlflow),
    "kerastuner": ("Keras Tuner", _kerastuner),
    "raytune": ("Ray Tune", _raytune),
}
"""Kind -> what the tool is called, and its adapter."""


# Cells.


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def value_of(text: str) -> Any:
    """A cell as the value that was written there: a number, bool, ``None``, list as a tuple, mapping, or the text."""
    plain = text.strip()
    if plain.lower() in _CONSTANTS:
        return _CONSTANTS[plain.lower()]
    if re.fullmatch(r"[+-]?\d{1,300}", plain):
        return int(plain)
    if _NUMBER.fullmatch(plain):
        return float(plain)
    if plain[:1] in ("[", "(", "{"):
        for read in (json.loads, ast.literal_eval):  # as JSON or Python writes it
            try:
                return settled(read(plain))
            except (*BROKEN, SyntaxError, MemoryError):
                pass
    return text


def settled(value: Any) -> Any:
    """Lists as tuples, which are choices."""
    return tuple(map(settled, value)) if isinstance(value, list | tuple) else value


def flat(data: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings with the keys of each joined: ``{"optimizer": {"lr": 1}}`` is ``{"optimizer.lr": 1}``."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{above}{key}.")
        else:
            out[f"{above}{key}"] = str(value) if "{" in str(value) else settled(value)
    return out


def numbers_of(data: Mapping[str, Any]) -> dict[str, float]:
    """Those of some values that are numbers."""
    return {n: float(v) for n, v in data.items() if isinstance(v, int | float) and not isinstance(v, bool)}
