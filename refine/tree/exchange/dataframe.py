"""Reads a table of finished runs: the runs, their space, and the root of a tree. Pure."""

from __future__ import annotations

import csv
import json
import math
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.analysis.conditions import conditioned
from refine.analysis.finished_runs import UNKNOWN_SEED, FinishedRuns, Run, filled, infer_space, origin_of
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError, SpaceError, did_you_mean, first_line
from refine.review.decision import user
from refine.run.identity import UNNAMED
from refine.space.categorical import Categorical
from refine.space.encoding import digest, label, round_significant, value_key
from refine.space.fidelity import is_cheap
from refine.space.parameters import Integer, Parameter, number_of
from refine.space.space import RESERVED, Space, configuration_key, encode_configuration
from refine.store.rows import NodeBundle
from refine.store.validity import MOST_SECONDS, node_row, packed_curve, trial_row
from refine.tree.exchange.columns import (
    Columns,
    columns_of,
    numbers_of_texts,
    numbers_text,
    one_spelling,
    placeholders,
    roles_said,
    state_column,
    states_of,
    taken_names,
    with_index,
    without_empty_rows,
)
from refine.trials.round_record import Node
from refine.trials.trial import DEGENERATE, ORIGINS, State, Trial, ended_state
from refine.utils.arrays import Floats, as_pandas
from refine.utils.extras import is_there
from refine.utils.format import join, plural
from refine.utils.spreadsheet import unescaped, unescaped_table

if TYPE_CHECKING:
    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame


class TableRuns(NamedTuple):
    """The runs of a table.

    Attributes:
        space: The space that they lie in.
        runs: One per row that is a run that has ended.
        notes: Sentences on columns and cells that were left out or taken for something else.
    """

    space: Space
    runs: list[Run]
    notes: list[str]


def runs_of(
    frame: IntoFrame,
    space: Space | None,
    parameters: Sequence[str] | None,
    value: str,
    metric: str,
    space_filling: bool | None,
) -> TableRuns:
    """Space and runs of a table: see :meth:`refine.Tree.add_runs`.

    Raises:
        AnalysisError: A column is missing or malformed.
        SpaceError: A value lies outside the space, or no space can be inferred.
    """
    if space is None and parameters is not None:
        _check_names(parameters)
    known_names = taken_names(value, space, parameters)
    assigned = None
    if space is not None or parameters is not None:
        assigned = known_names
    frame = with_index(as_pandas(frame, AnalysisError).rename(columns=str), assigned)
    columns = list(frame.columns)
    if twice := sorted({c for c in columns if columns.count(c) > 1}):
        raise AnalysisError(f"columns must differ in name, got {twice[0]!r} twice; rename one")
    if value not in columns:
        raise AnalysisError(
            f"value must be the column to optimize, got {value!r}, not a column; "
            f"{did_you_mean(value, columns)}"
        )
    if frame.empty:
        raise AnalysisError("a frame needs at least one row, one per finished run, got none")
    frame, empty = without_empty_rows(frame)
    frame, unfinished = _with_states(frame, known_names)
    notes = []
    if empty or unfinished:
        notes.append(f"left out: {join([*filter(None, (empty, unfinished))])}")
    unused = frame
    if space is not None:
        names = list(space)
    elif parameters is not None:
        names = list(dict.fromkeys(parameters))
        if missing := [name for name in names if name not in frame]:
            raise SpaceError(
                f"parameters: {missing[0]!r} is not a column of the frame; "
                f"{did_you_mean(missing[0], list(frame.columns))}"
            )
    else:
        texts = ("error",) if "error" in frame and frame["error"].dtype.kind not in "biuf" else ()
        roles = columns_of(frame, value, (DEGENERATE, *RESERVED, *texts))
        notes += filter(None, [roles_said(roles, value)])
        names = _inferred_names(roles, value)
        unused = frame.drop(columns=roles.left_out)
    if missing := [n for n in names if n not in frame]:
        raise SpaceError(
            f"the frame needs a column for every parameter, missing: {', '.join(missing)}; "
            f"{did_you_mean(missing[0], columns)}"
        )
    if value in names:
        raise SpaceError(f"value {value!r} can't be a parameter as well; leave it out of the parameters")
    if space is None:
        frame, mended = _mended(frame, names)
        notes += mended
        space = infer_space(frame[names])
        configurations = _values_of(space, frame)
        space = conditioned(space, configurations)
    else:
        frame = _with_numbers(frame, space)
        configurations = _values_of(space, frame)
    metrics = _metric_columns(unused, names, value, metric)
    reported: Iterable[str] = frame.get("state", [State.COMPLETE] * len(frame))
    states: list[str] = [ended_state(state, v) for state, v in zip(reported, metrics[metric], strict=True)]
    metrics[metric], states, placeholder = _without_placeholders(metrics[metric], states, value)
    notes += placeholder
    seconds = _numbers(frame, "seconds", 0.0)
    seeds = _numbers(frame, "seed", UNKNOWN_SEED)
    origins = _origins(frame, space_filling)
    if (odd := seconds[(seconds < 0) | (seconds > MOST_SECONDS)]).size:
        raise AnalysisError(
            f"seconds must be >= 0 and <= {MOST_SECONDS:g}, got {odd[0]:g}; leave the column out"
        )
    if (odd := seeds[(seeds != np.round(seeds)) | (seeds < UNKNOWN_SEED) | (seeds >= 2**31)]).size:
        raise AnalysisError(
            f"seed must be a whole number >= 0 and < 2**31, got {odd[0]:.17g}; leave the column out"
        )
    imported = time.time()
    errors = frame["error"] if "error" in frame and "error" not in names else [None] * len(frame)
    runs = []
    for i, state in enumerate(states):
        run_metrics = {n: float(c[i]) for n, c in metrics.items() if n == metric or not math.isnan(c[i])}
        if state not in ("complete", "diverged") and math.isnan(run_metrics[metric]):
            del run_metrics[metric]
        if isinstance(text := errors[i], str):
            error = re.sub("[\0\ud800-\udfff]", "\ufffd", text)
        else:
            error = None
        runs.append(
            Run(
                configurations[i],
                state,
                metrics=run_metrics,
                curve={},
                seconds=float(seconds[i]),
                seed=int(seeds[i]),
                origin=origins[i],
                finished=imported,
                error=error,
            )
        )
    _check_constraints(space, runs)
    return TableRuns(space, runs, notes)


def _with_states(frame: pd.DataFrame, assigned: frozenset[str]) -> tuple[pd.DataFrame, str]:
    """Rows of ended runs, with states in the column ``state``, and a phrase on the other rows."""
    name = state_column(frame, assigned - {"state"})
    if name is None:
        return frame, ""
    states = states_of(frame[name])
    ended = np.array([state is not None for state in states], dtype=bool)
    if not ended.any():
        raise AnalysisError(
            f"no row of the frame is a run that has ended: column {name!r} says so; add it later"
        )
    frame = (
        frame.rename(columns={name: "state"})
        .assign(state=np.array(states, dtype=object))[ended]
        .reset_index(drop=True)
    )
    return frame, plural(
        int((~ended).sum()), "run that has not ended", "runs that have not ended"
    ) if not ended.all() else ""


def _mended(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """A table with numbers instead of texts and one spelling per choice, and sentences on the changes."""
    notes = []
    converted = {n: numbers for n in names if (numbers := numbers_of_texts(frame[n])) is not None}
    if converted:
        notes.append(f"{join(list(converted))}: numbers were written as texts and are taken as numbers")
    frame = frame.assign(**converted)
    for name in names:
        column, spellings = one_spelling(frame[name])
        if spellings:
            frame = frame.assign(**{name: column})
            shown = "; ".join(join([repr(text) for text in texts]) for texts in spellings)
            notes.append(f"{name}: spellings that differ in case or spaces are one choice: {shown}")
        if column.dtype.kind in "iuf" and len(odd := placeholders(column.to_numpy(dtype=float))):
            notes.append(
                f"{name}: {numbers_text(odd.tolist())} lies far from all other values; if it stands for no "
                "value, leave the cell empty"
            )
    return frame, notes


def _with_numbers(frame: pd.DataFrame, space: Space) -> pd.DataFrame:
    """A table with numbers instead of texts in columns of ordered choices."""
    numeric = [n for n, p in space.items() if n in frame and isinstance(p, Categorical) and p.numeric]
    converted = {n: numbers for n in numeric if (numbers := numbers_of_texts(frame[n])) is not None}
    if converted:
        return frame.assign(**converted)
    return frame


def _without_placeholders(
    values: Floats, states: Sequence[str], value: str
) -> tuple[Floats, list[str], list[str]]:
    """Values and states with complete runs of a placeholder value as failed, and sentences on them."""
    complete = np.array([state == "complete" for state in states], dtype=bool)
    odd = placeholders(np.where(complete, values, math.nan))
    failed = np.isin(values, odd) & complete
    if not failed.any():
        return values, list(states), []
    note = (
        f"{plural(int(failed.sum()), 'row')} with {value} {numbers_text(odd.tolist())}, far from all "
        "others, count as failed"
    )
    new_states = ["failed" if is_failed else state for is_failed, state in zip(failed, states, strict=True)]
    return np.where(failed, math.nan, values), new_states, [note]


def _check_names(parameters: object) -> None:
    texts = isinstance(parameters, Iterable) and all(isinstance(name, str) for name in parameters)
    if isinstance(parameters, str) or not texts or not list(parameters):  # type: ignore[call-overload]
        raise SpaceError(f"parameters must be a list of column names, got {parameters!r}")


def _inferred_names(roles: Columns, value: str) -> list[str]:
    """Names of the columns that are parameters by their roles."""
    names = roles.parameters
    if unnamed := next((name for name in names if name.startswith("Unnamed: ")), None):
        raise SpaceError(
            f"column {unnamed!r} looks like row numbers that were saved with the table; leave it out: "
            "pd.read_csv(path, index_col=0), or name the columns of the parameters: parameters=[...]"
        )
    if not names:
        reason = ""
        if roles.results or roles.left_out:
            reason = f"; {join([*roles.results, *roles.left_out])} look like results or names of runs"
        raise SpaceError(
            f"the frame has no column besides {value!r} that could be a parameter{reason}; name them: "
            "parameters=[...]"
        )
    return names


# Endings of file names -> formats; any other ending means CSV.
_KINDS = {
    ".tsv": "table with tabs between columns",
    ".jsonl": "file of one JSON object a line",
    ".parquet": "Parquet file",
}


def read_table(path: Any, **options: Any) -> pd.DataFrame:
    """Reads a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file into a table, with options of pandas.

    Raises:
        AnalysisError: It is no such file, two of its columns have one title, or nothing here reads Parquet.
    """
    import pandas as pd

    kind = Path(str(path)).suffix.lower()
    description = _KINDS.get(kind, "table with commas between columns")
    try:
        if Path(str(path)).is_fifo():
            raise OSError("is a pipe, which can't be looked at twice")
        if kind in (".gz", ".bz2", ".xz", ".zip", ".zst", ".tar"):
            raise ValueError("a packed one may hold any amount; unpack it first, where its size is seen")
        if kind == ".parquet":
            import narwhals.stable.v2 as nw

            backend: Any = "pyarrow" if is_there("pyarrow") else "polars"
            if not is_there(backend):
                raise AnalysisError(
                    f"{path}: Parquet needs pyarrow, which is not installed: pip install pyarrow"
                )
            frame = as_pandas(nw.read_parquet(path, backend=backend).to_native(), AnalysisError)
            return frame.filter(regex="^(?!__index_level_)")  # without row numbers of pandas
        if kind == ".jsonl":
            lines = Path(path).read_text("utf-8").splitlines()
            return pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        csv_options: dict[str, Any] = {"sep": "\t", "quoting": csv.QUOTE_NONE} if kind == ".tsv" else {}
        frame = pd.read_csv(path, **csv_options, **options)
        titles = pd.read_csv(path, **csv_options, header=None, nrows=1, dtype=str).iloc[0].dropna()
    except OSError as error:
        raise AnalysisError(f"{path}: can't be read: {error.strerror or error}; check the path") from None
    except (ValueError, UnicodeError) as error:  # an empty or unreadable file
        raise AnalysisError(f"{path}: is no {description}: {first_line(error)}") from None
    if titles.duplicated().any():
        twice = titles[titles.duplicated()].iloc[0]
        raise AnalysisError(f"{path}: columns must have titles that differ, got {twice!r} twice; rename one")
    first = str(frame.columns[0])
    if len(frame.columns) == 1 and (separator := next((c for c in ";\t" if c in first), None)):
        raise AnalysisError(
            f"{path}: is not a {description}: its columns are separated by {separator!r}; save it as .csv "
            f"with commas, or in Python tree.add_runs(pd.read_csv(path, sep={separator!r}), ...)"
        )
    if kind == ".csv":
        return unescaped_table(frame)
    return frame


def _values_of(space: Space, frame: pd.DataFrame) -> list[dict[str, object]]:
    """Frozen values per row, without missing ones."""
    columns = {n: frozen_column(n, p, frame[n]) for n, p in space.items()}
    return [{n: v[0] for n, c in columns.items() if (v := c[i]) is not None} for i in range(len(frame))]


def frozen_column(name: str, parameter: Parameter, column: pd.Series) -> list[tuple[object] | None]:
    """Frozen values of a column as 1-tuples; ``None`` for runs without the parameter."""
    import pandas as pd

    absent = column.isna().to_numpy()
    if isinstance(parameter, Categorical):
        texts = column.to_numpy(dtype=object)
        positions = parameter.positions(texts)
        if (positions < 0).any():  # a column of an exported trials.csv that pandas read
            positions = np.where(
                positions < 0,
                parameter.positions(np.array([unescaped(t) for t in texts], dtype=object)),
                positions,
            )
        _refuse_outside(name, parameter, column, (positions < 0) & ~absent)
        return [(parameter.grid[i],) if i >= 0 else None for i in positions]
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    odd = column[~absent & np.isnan(numbers)]
    if pd.api.types.is_bool_dtype(column) or len(odd):
        raise SpaceError(f"{name}: a range needs numbers, got {odd.iloc[0] if len(odd) else 'bools'!r}")
    _refuse_outside(name, parameter, column, ~parameter.contains(numbers) & ~absent)
    broken = ~absent & (numbers != np.round(numbers))
    is_integer = isinstance(parameter, Integer)
    if is_integer and broken.any():
        raise SpaceError(f"{name}: an integer range needs whole numbers, got {numbers[broken][0]}; use Float")
    freeze = int if is_integer else round_significant
    return [None if is_absent else (freeze(v),) for v, is_absent in zip(numbers, absent, strict=True)]


def _refuse_outside(name: str, parameter: Parameter, column: pd.Series, outside: Any) -> None:
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        shown = column.iloc[row]
        raise SpaceError(
            f"{name}: {plural(int(outside.sum()), 'row')} of the frame outside the space, first in row "
            f"{row}: {label(shown) if number_of(shown) is not None else repr(shown)}, but it is "
            f"{parameter.describe()}; widen the space, or leave such rows out: frame[space.contains(frame)]"
        )


def _check_constraints(space: Space, runs: Sequence[Run]) -> None:
    import pandas as pd

    if space.constraints:
        complete = [i for i, run in enumerate(runs) if len(run.had) == len(space)]
        table = pd.DataFrame([runs[i].had for i in complete], columns=list(space))
        if complete and not (inside := space.contains(table)).all():
            row = complete[int(np.flatnonzero(~inside)[0])]
            raise SpaceError(
                f"{plural(int((~inside).sum()), 'row')} of the frame break a constraint of the space, "
                f"first row {row}; relax it, or leave such rows out: frame[space.contains(frame)]"
            )


# The other columns.


def _metric_columns(frame: pd.DataFrame, names: list[str], value: str, metric: str) -> dict[str, Floats]:
    """The value and every other column of numbers, by metric, without columns of texts."""
    import pandas as pd

    out = {metric: _floats(frame, value)}
    for name in frame.columns.difference([value, *names, *RESERVED], sort=False):
        if pd.api.types.is_numeric_dtype(frame[name]):
            column = _floats(frame, name)
            if name == metric and not np.array_equal(column, out[metric], equal_nan=True):
                raise AnalysisError(
                    f"metric {metric!r}: the frame has another column of that name than value={value!r}; "
                    "rename one"
                )
            out[name] = column
    return out


def _floats(frame: pd.DataFrame, name: str) -> Floats:
    try:
        return frame[name].to_numpy(dtype=float, na_value=math.nan)
    except (TypeError, ValueError, OverflowError):
        raise AnalysisError(
            f"{name!r} must be a column of numbers that a float holds, got something else in it; convert "
            "it first"
        ) from None


def _numbers(frame: pd.DataFrame, name: str, default: float) -> Floats:
    """A column of numbers, with a default for missing ones."""
    if name not in frame:
        return np.full(len(frame), float(default))
    numbers = _floats(frame, name)
    return np.where(np.isfinite(numbers), numbers, default)


def _origins(frame: pd.DataFrame, space_filling: bool | None) -> list[str]:
    default_origin = origin_of(space_filling)
    if space_filling is not None or "origin" not in frame:
        return [default_origin] * len(frame)
    origins = [str(o) for o in frame["origin"]]
    if odd := [text for text in origins if text not in ORIGINS]:
        raise AnalysisError(
            f"origin must be one of {', '.join(ORIGINS)}, got {odd[0]!r}; leave the column out, or give "
            "space_filling="
        )
    return origins


# The root.


def part_of(finished: FinishedRuns, *, objective: str | None, data: str | None, note: str) -> NodeBundle:
    """The root made of finished runs, in their order; ``data`` is the fingerprint of the objective's data.

    Equal configurations are one planned run and its replicates; the first complete one is the planned run.
    A parameter that a run had not, although no condition of the space leaves it out, is recorded as not
    read, and stands at a level drawn from the run's other values, as in a round whose objective does not
    read it.
    """
    space = finished.space
    runs = finished.runs
    filled_runs = [filled(space, run.had) for run in runs]
    keys = [configuration_key(values) for values, _ in filled_runs]
    content = [
        [
            key,
            r.origin,
            r.state,
            {n: _plain([v])[0] for n, v in r.metrics.items()},
            sorted(r.had),
            {n: _plain(c) for n, c in r.curve.items()},
        ]
        for key, r in zip(keys, runs, strict=True)
    ]
    mark = digest(content, 16)
    created = time.time()
    node = Node(
        parent=None,
        space=space,
        method=IMPORTED,
        seed=0,
        objective=objective or f"{UNNAMED}{mark}",
        data=data,
        rows=mark,
        metric=finished.metric,
        direction=finished.direction,
        subject_to=finished.subject_to,
        goals=finished.goals,
        note=note,
        author=user(),
        created=created,
    )
    alike: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        alike.setdefault(key, []).append(i)
    replicate: dict[int, int] = {}
    for rows in alike.values():
        first = next((i for i in rows if runs[i].state == "complete"), rows[0])
        replicate |= {i: number for number, i in enumerate(sorted(rows, key=lambda i: i != first))}
    level = {n: {value_key(v): i for i, v in enumerate(p.grid)} for n, p in space.items()}
    trials = []
    for i, run in enumerate(runs):
        values, read = filled_runs[i]
        active = space.has(values)
        levels = [level[n].get(value_key(values[n])) if n in active else 0 for n in space]
        state = State(run.state)
        if state == State.COMPLETE and is_cheap(space, values):
            state = State.CHEAP
        trial = Trial(
            key=keys[i],
            configuration=encode_configuration(values),
            cell=None if None in levels else str(space.number(levels)),  # type: ignore[arg-type]
            replicate=replicate[i],
            attempt=0,
            origin=run.origin,
            seed=run.seed,
            state=str(state),
            metrics=run.metrics,
            curve=run.curve,
            seconds=run.seconds,
            error=run.error,
            code="",
            read=None if read is None else tuple(read),
            finished=run.finished,
        )
        row = trial_row(trial)
        if run.curve:
            row["curve"] = [{"data": packed_curve(run.curve)}]
        trials.append(row)
    return NodeBundle(node_row(node), {"plan": [{"n": len(alike), "created": created}], "trial": trials})


def _plain(values: Sequence[float]) -> list[object]:
    return [round_significant(v) if math.isfinite(v) else str(v) for v in values]
