"""Other tools' finished runs as a table: which settings are parameters, what is left out and why. Pure."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.conditions import conditioned
from refine.errors import AnalysisError, RefineError, SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import freeze, value_key
from refine.space.parameters import Parameter
from refine.space.space import RESERVED, Space
from refine.store.validity import BROKEN, MOST_SECONDS, said
from refine.tree.exchange.dataframe import FEW, UNKNOWN_SEED, Run, frozen_column, infer_space
from refine.tree.exchange.readers import READERS, Found, Record
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd

_ENDED = ("complete", "pruned", "failed", "killed")
_TOOLS = ("tuner/", "_", "mlflow.", "refine.")
"""How names begin that tools and this package keep for themselves."""

_LONG = 200


@dataclass(frozen=True, eq=False, repr=False)
class Runs(Shown):
    """Other tools' runs as they were read; nothing has been added to a tree.

    Attributes:
        kind: Whose they are.
        source: Where they were read.
        frame: One row per run: its parameters and results, ``state``, ``seconds`` and ``seed``; :meth:`refine.Tree.add_frame` takes it.
        space: Where they lie: the tool's own space, the one that was given, or what was inferred.
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
    _records: tuple[Record, ...] = ()

    @property
    def direction(self) -> str | None:
        """The direction of the value, where the source says so."""
        return self.directions.get(self.value or "")

    def judged_by(self, value: str | None) -> Runs:
        """The same runs under a result as their value.

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
        return replace(self, value=value or self.value)

    def with_records(self, rows: Sequence[Run], metric: str) -> list[Run]:
        """Rows of the table with the curves and errors of their runs, which a table has no place for."""
        out = []
        for row, record in zip(rows, self._records, strict=True):
            curve = {
                metric if n == self.value else n: c for n, c in record.curve.items() if n in self.results
            }
            error = re.sub("[\0\ud800-\udfff]", "\ufffd", record.error) if record.error else None
            kept = row.state in ("complete", "pruned", "diverged")
            out.append(
                row._replace(error=error, curve={n: c for n, c in curve.items() if kept and len(c) > 1})
            )
        return out


def read_runs(
    source: str | os.PathLike[str] | pd.DataFrame,
    kind: str,
    *,
    space: Space | Mapping[str, Any] | None = None,
    parameters: Sequence[str] | None = None,
    value: str | None = None,
) -> Runs:
    """Reads the runs of another tool and adds nothing; printed, it says what :meth:`add_runs` would add.

    ``"mlflow"`` reads the table of ``mlflow.search_runs`` or its CSV file; ``"kerastuner"`` a project's folder; ``"raytune"`` an
    experiment's folder, or the table of ``ResultGrid.get_dataframe``. Files are read, and nothing in them is run.

    Args:
        source: Table, file or folder.
        kind: Whose runs they are, one of those.
        space: What the runs lie in; default the tool's own space, else what is inferred, as :meth:`add_frame` does.
        parameters: Which settings are parameters; default all that are not plainly something else, such as names and addresses.
        value: Which result is the value.

    Raises:
        AnalysisError: The kind is unknown, the source is not of this kind, or a package is missing that reads it.
        SpaceError: A parameter that no run has or that a space can't have, or a run outside the space.
    """
    if kind not in READERS:
        raise AnalysisError(
            f"kind must be one of {', '.join(READERS)}, got {kind!r}; {did_you_mean(str(kind), READERS)}"
        )
    if space is not None and parameters is not None:
        raise SpaceError("give the space or the names of the parameters, got both")
    if isinstance(parameters, str) or (parameters is not None and not list(parameters)):
        raise SpaceError(f"parameters must be a list of names, got {parameters!r}")
    known = space if space is None or isinstance(space, Space) else Space(space)
    names = list(known) if known is not None else parameters
    shown = str(source) if isinstance(source, str) or hasattr(source, "__fspath__") else "the table"
    try:
        read = READERS[kind][1](source)
    except RefineError:
        raise
    except (*BROKEN, OSError) as error:  # of a file that somebody else wrote
        raise AnalysisError(
            f"{shown}: is not what {READERS[kind][0]} writes: {said(error)}; export it again"
        ) from None
    left_out = Counter(
        "killed without a result" if r.state == "killed" else r.state[:60] or "without a state"
        for r in read.records
        if not _has_ended(r)
    )
    stated = known if known is not None else read.space
    records = [_plainly_named(r, stated or ()) for r in read.records if _has_ended(r)]
    if not records:
        rest = "; ".join(f"{n} {why}" for why, n in left_out.items())
        raise AnalysisError(
            f"{shown}: has no ended run{f' ({rest})' if rest else ''}; import it when some have ended"
        )
    if stated is not None and parameters is not None:
        stated = Space({n: stated[n] for n in parameters if n in stated})
    runs = _tabled(kind, shown, read._replace(records=records, space=stated), names, left_out)
    return runs if value is None else runs.judged_by(value)


def _has_ended(record: Record) -> bool:
    return record.state in _ENDED and (record.state != "killed" or bool(record.metrics))


def _plainly_named(record: Record, known: Container[str]) -> Record:
    """A run with settings under names that conditions can write; one stays where two would become one, or where a space has it."""
    made = Counter(map(plain_name, record.params))
    plain = {n: plain_name(n) for n in record.params if made[plain_name(n)] == 1 and n not in known}
    return record._replace(params={plain.get(n, n): v for n, v in record.params.items()})


def plain_name(name: str) -> str:
    """A setting's name as conditions, constraints and keywords can write it: ``optimizer.name`` is ``optimizer_name``."""
    made = re.sub(r"[./\-\s]+", "_", name.strip())
    return made if made.isidentifier() and not iskeyword(made) else name


def _tabled(
    kind: str, source: str, read: Found, names: Sequence[str] | None, left_out: Mapping[str, int]
) -> Runs:
    import pandas as pd

    records, space, value = read.records, read.space, read.value
    settings: dict[str, list[Any]] = {}
    for record in records:
        for name, setting in record.params.items():
            settings.setdefault(name, []).append(setting)
    results = list(dict.fromkeys(n for r in records for n in r.metrics))
    if names is not None:
        wanted = [n if n in settings else plain_name(n) for n in names]
        if unknown := [n for n in wanted if n not in settings]:
            raise SpaceError(
                f"parameters: no run has a setting {unknown[0]!r}; {did_you_mean(unknown[0], [*settings, *results])}"
            )
        dropped = {n: "not among the parameters that were named" for n in settings if n not in wanted}
    else:
        dropped = {n: why for n, values in settings.items() if (why := _no_parameter(n, values))}
        wanted = list(space) if space is not None else [n for n in settings if n not in dropped]
    if not wanted:
        why = "; ".join(f"{n}: {text}" for n, text in dropped.items())
        raise SpaceError(
            f"{source}: the runs have no setting that could be a parameter ({why or 'none was recorded'}); name those that "
            "are: parameters=[...]"
        )
    frame = pd.DataFrame({n: _objects([r.params.get(n, math.nan) for r in records]) for n in wanted})
    lies = space or Space({n: _inferred(n, settings[n]) for n in wanted})
    had = {n: frozen_column(n, lies[n], frame[n]) for n in wanted}
    rows = [{n: v[0] for n in wanted if (v := had[n][i]) is not None} for i in range(len(records))]
    space = space or conditioned(lies, rows)
    for name in results:
        if name in space or (name in RESERVED and name != "value"):
            dropped[f"{name} (result)"] = "its name is a parameter's, or the table of trials keeps it"
        elif not name.startswith(_TOOLS):
            frame[name] = [r.metrics.get(name, math.nan) for r in records]
    results = [n for n in frame.columns if n not in wanted]
    frame["state"] = ["pruned" if r.state == "killed" else r.state for r in records]
    frame["seconds"] = [r.seconds if 0 <= r.seconds <= MOST_SECONDS else 0.0 for r in records]
    seeds = [r.params.get("seed", UNKNOWN_SEED) for r in records]
    if "seed" in settings and all(isinstance(s, int) and UNKNOWN_SEED <= s < 2**31 for s in seeds):
        frame["seed"] = seeds
        dropped["seed"] = "the seed of the runs"
    return Runs(
        kind=kind,
        source=source,
        frame=frame,
        space=space,
        states=Counter(frame["state"]),
        left_out=left_out,
        dropped=dropped,
        results={n: int(np.isfinite(frame[n].to_numpy(dtype=float)).sum()) for n in results},
        value=results[0] if value is None and len(results) == 1 else value,
        directions=read.directions,
        _records=tuple(records),
    )


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
    differ = len({value_key(freeze(v)) for v in values}) == len(values)
    if (
        texts
        and differ
        and (len(values) > FEW or re.search(r"(^|_)(id|name|dir|path|file|uuid|time)$", name))
    ):
        return "it differs in every run, as names do"
    return ""


def _objects(values: Sequence[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


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
