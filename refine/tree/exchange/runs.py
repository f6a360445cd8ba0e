"""Other tools' finished runs: what was read of them, what is left out and why, and the runs that a root gets of it. Pure."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from refine.analysis.conditions import conditioned
from refine.errors import AnalysisError, RefineError, SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import freeze, value_key
from refine.space.parameters import Parameter
from refine.space.space import RESERVED, Space
from refine.store.sound import LATEST, MOST_SECONDS
from refine.tree.exchange.cells import is_moment, plain_name
from refine.tree.exchange.dataframe import FEW, frozen_column, infer_space
from refine.tree.exchange.imported import UNKNOWN_SEED, Run
from refine.utils.display import Shown

KILLED = "killed"
"""State of a run that was stopped from outside: pruned where it has a value by then, else left out."""

_SEEDS = ("seed", "random_seed", "random_state")
_IDENTITY = frozenset(
    [
        "id",
        "run_id",
        "trial_id",
        "experiment_id",
        "uuid",
        "guid",
        "notes",
        "user",
        "username",
        "author",
        "host",
        "hostname",
        "node_ip",
        "ip",
        "pid",
        "timestamp",
        "datetime",
        "created",
        "created_at",
        "updated",
        "updated_at",
        "started",
        "start_time",
        "end_time",
        "url",
        "uri",
        "git_commit",
        "sha",
    ]
)
"""Names of what tells runs apart and is no hyperparameter whatever its values."""

_LABELS = frozenset(
    [
        "name",
        "run_name",
        "display_name",
        "group",
        "note",
        "description",
        "comment",
        "date",
        "time",
        "commit",
        "branch",
        "status",
        "tags",
    ]
)
"""Names of what is none either unless runs share its values."""

_TRACKERS = ("tuner/", "_wandb", "mlflow.", "refine.")
_LONG = 200


@dataclass
class Found:
    """What a reader found in a source.

    Attributes:
        runs: Ended ones, with raw values in ``had``; a metric may be NaN or infinite.
        left_out: Reason -> number of runs.
        space: Where the source states it.
        ready: Whether ``had`` is frozen already and lies in the space.
        value: Which result is the value, where the source says so.
        directions: Result -> its direction, where the source says so.
        goals: Metric and direction of further goals, where the source has several.
        dropped: Column -> why it is no parameter and no result.
        cautions: What the person should look at.
    """

    runs: list[Run] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    space: Space | None = None
    ready: bool = False
    value: str | None = None
    directions: dict[str, str] = field(default_factory=dict)
    goals: tuple[tuple[str, str], ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Runs(Shown):
    """Other tools' runs as they were read; nothing has been added to a tree.

    Attributes:
        kind: Whose they are.
        source: Where they were read.
        space: Where they lie: the tool's own space, the one that was given, or what was inferred.
        states: State -> number of runs, under ``value`` where that is known.
        left_out: Reason -> number of runs that are left out.
        dropped: Column -> why it is no parameter and no result.
        results: Name -> number of runs that have a finite one.
        value: The result that trials are judged by; ``None`` where several could be.
        directions: Result -> whether it is to be maximized or minimized, where the source says so.
        goals: Metric and direction of further goals, where the source has several and none was named as the value.
        renamed: Name of a setting -> what it is called here, where that differs.
        cautions: What to look at before they are added.
    """

    kind: str
    source: str
    space: Space
    states: Mapping[str, int]
    left_out: Mapping[str, int]
    dropped: Mapping[str, str]
    results: Mapping[str, int]
    value: str | None
    directions: Mapping[str, str]
    goals: tuple[tuple[str, str], ...]
    renamed: Mapping[str, str]
    cautions: tuple[str, ...]
    _runs: tuple[Run, ...] = ()

    @property
    def direction(self) -> str | None:
        """The direction of the value, where the source says so."""
        return self.directions.get(self.value) if self.value else None

    def judged_by(self, value: str | None) -> Runs:
        """The same runs under a result as their value.

        Raises:
            AnalysisError: There is no such result, no result at all, or several and none was named.
        """
        known = list(self.results)
        goals = self.goals if value is None else ()
        if value is None:
            value = self.value
        if value is None:
            raise AnalysisError(
                f"these runs have {len(known)} results, and one must be the value; say which, as in value={known[0]!r}; "
                f"there are {', '.join(known)}"
                if known
                else "these runs have no result that is a number, so that there is nothing to judge them by"
            )
        if value not in self.results:
            raise AnalysisError(f"value {value!r} is no result of these runs; {did_you_mean(value, known)}")
        runs, killed = settled_runs(self._runs, value)
        return replace(
            self,
            value=value,
            goals=goals,
            states=Counter(run.state for run in runs),
            left_out={**self.left_out, **({"killed without a value": killed} if killed else {})},
            _runs=tuple(runs),
        )

    def under(self, metric: str) -> list[Run]:
        """The runs with the value under the name that children's objectives give it.

        Raises:
            AnalysisError: Another result has that name.
        """
        value = self.value or ""
        if metric == value:
            return list(self._runs)
        if metric in self.results:
            raise AnalysisError(
                f"metric {metric!r}: the runs have another result of that name than value={value!r}; give another name"
            )
        name = {value: metric}
        return [
            run._replace(
                metrics={name.get(n, n): v for n, v in run.metrics.items()},
                curve={name.get(n, n): v for n, v in run.curve.items()},
            )
            for run in self._runs
        ]


def settled_runs(runs: Sequence[Run], value: str) -> tuple[list[Run], int]:
    """Runs with the state that their value gives them, and how many were killed before they had one."""
    out, killed = [], 0
    for run in runs:
        judged = run.metrics.get(value)
        finite = judged is not None and math.isfinite(judged)
        state, error = run.state, run.error
        if state == KILLED:
            if not finite:
                killed += 1
                continue
            state = "pruned"
        elif state in ("complete", "diverged"):
            state = "complete" if finite else "failed" if judged is None else "diverged"
            error = f"it ended without {value!r}" if judged is None else error
        metrics = {
            n: v
            for n, v in run.metrics.items()
            if math.isfinite(v) or (n == value and state in ("complete", "diverged"))
        }
        curve = run.curve if state in ("complete", "pruned", "diverged") else {}
        out.append(run._replace(state=state, error=error, metrics=metrics, curve=curve))
    return out, killed


def runs_from(
    kind: str,
    source: str,
    found: Found,
    *,
    space: Space | None,
    parameters: Sequence[str] | None,
    value: str | None,
) -> Runs:
    """What is made of a source: which of its settings are parameters, and the space that its runs lie in.

    Args:
        kind: Whose runs they are.
        source: Where they were read.
        found: What was read.
        space: What they lie in; default the source's, or what is inferred.
        parameters: Which settings are parameters; default all that are not plainly something else.
        value: The result that is the value, where that is known.

    Raises:
        AnalysisError: There is no ended run, or no such result.
        SpaceError: A parameter that no run has, one that can't be in a space, or a run outside the space.
    """
    if not found.runs:
        rest = "; ".join(f"{n} {why}" for why, n in found.left_out.items())
        raise AnalysisError(
            f"{source}: has no ended run{f' ({rest})' if rest else ''}; import it when some have ended"
        )
    if space is not None and parameters is not None:
        raise SpaceError("give the space or the names of the parameters, got both")
    runs, dropped = found.runs, dict(found.dropped)
    names = list(dict.fromkeys(n for run in runs for n in run.had))
    if found.space is None:
        runs, names, renamed = _plainly_named(runs, names, space)
    else:
        renamed = {}
    wanted = _wanted(names, parameters, space)
    stated = space if space is not None else found.space
    if stated is found.space and stated is not None and wanted is not None:
        stated = Space({n: stated[n] for n in wanted})
    if wanted is None and stated is None:
        raw = {new: old for old, new in renamed.items()}
        runs, seeds = _seeded(runs, names, raw)
        dropped |= seeds
        dropped |= {
            n: why
            for n in names
            if n not in seeds and (why := _no_parameter(raw.get(n, n), _column(runs, n)))
        }
        wanted = [n for n in names if n not in dropped]
    wanted = list(stated) if stated is not None else wanted or []
    dropped |= {
        n: "not among the parameters that were named" for n in names if n not in wanted and n not in dropped
    }
    if not wanted:
        why = "; ".join(f"{n}: {text}" for n, text in dropped.items())
        raise SpaceError(
            f"{source}: the runs have no setting that could be a parameter ({why or 'none was recorded'}); name those that "
            "are: parameters=[...]"
        )
    if not (found.ready and stated is found.space):
        stated, runs = _placed(runs, wanted, stated)
    assert stated is not None
    runs = [_sound(run) for run in runs]
    runs, reserved = _free_results(runs, stated)
    dropped |= reserved
    results: Counter[str] = Counter()
    for run in runs:
        for name, number in run.metrics.items():
            results[name] += math.isfinite(number)
    made = Runs(
        kind=kind,
        source=source,
        space=stated,
        states=Counter(run.state for run in runs),
        left_out=dict(found.left_out),
        dropped=dropped,
        results=dict(results),
        value=found.value,
        directions=found.directions,
        goals=found.goals,
        renamed={old: new for old, new in renamed.items() if new in stated},
        cautions=found.cautions,
        _runs=tuple(runs),
    )
    if value is None and found.value is None and len(results) == 1:
        value = next(iter(results))
    return made.judged_by(value) if value or found.value else made


# Which settings are parameters.


def _wanted(names: Sequence[str], parameters: Sequence[str] | None, space: Space | None) -> list[str] | None:
    if parameters is None:
        return None if space is None else list(space)
    if isinstance(parameters, str) or not all(isinstance(p, str) for p in parameters) or not list(parameters):
        raise SpaceError(f"parameters must be a list of names, got {parameters!r}")
    for name in parameters:
        if name not in names and plain_name(name) not in names:
            raise SpaceError(f"parameters: no run has a setting {name!r}; {did_you_mean(name, names)}")
    return list(dict.fromkeys(p if p in names else plain_name(p) for p in parameters))


def _plainly_named(
    runs: Sequence[Run], names: Sequence[str], space: Space | None
) -> tuple[list[Run], list[str], dict[str, str]]:
    """Runs with settings under names that conditions can write, their names, and old name -> new name.

    A name stays where two would become one, where a space has it, or where the table of trials keeps the new one.
    """
    made = Counter(plain_name(n) for n in names)
    new = {
        n: plain_name(n)
        for n in names
        if made[plain_name(n)] == 1
        and plain_name(n) not in RESERVED
        and not (space is not None and n in space)
    }
    renamed = {old: now for old, now in new.items() if old != now}
    if not renamed:
        return list(runs), list(names), {}
    out = [run._replace(had={renamed.get(n, n): v for n, v in run.had.items()}) for run in runs]
    return out, [renamed.get(n, n) for n in names], renamed


def _column(runs: Sequence[Run], name: str) -> list[Any]:
    return [run.had[name] for run in runs if name in run.had]


def _seeded(
    runs: list[Run], names: Iterable[str], raw: Mapping[str, str]
) -> tuple[list[Run], dict[str, str]]:
    """Runs under the seeds that a setting of that name holds, and what became of the setting."""
    for name in names:
        if re.split(r"[./]", raw.get(name, name))[-1].lower() not in _SEEDS:
            continue
        seeds = _column(runs, name)
        if all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s < 2**31 for s in seeds):
            out = [
                run._replace(seed=run.had.get(name, UNKNOWN_SEED)) if run.seed == UNKNOWN_SEED else run
                for run in runs
            ]
            return out, {name: "the seed of the runs"}
    return runs, {}


def _no_parameter(name: str, values: list[Any]) -> str:
    """Why a setting is plainly no hyperparameter; empty where it may be one."""
    last = re.split(r"[./]", name)[-1].lower()
    texts = [v for v in values if isinstance(v, str)]
    if name in RESERVED:
        return "refine keeps this name for its table; rename it there if it is a parameter"
    if name.startswith(_TRACKERS) or name.startswith("_"):
        return "the tool's own"
    if not values:
        return "it has no value"
    distinct = len({value_key(freeze(v)) for v in values})
    if name.lower() in _IDENTITY or (name.lower() in _LABELS and distinct in (1, len(values))):
        return "bookkeeping, by its name"
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        return "it holds a number that is not finite"
    if texts and len(texts) == len(values):
        if any("://" in t or t.startswith(("/", "~/", "\\\\")) or re.match(r"[A-Za-z]:\\", t) for t in texts):
            return "paths or addresses"
        if all(is_moment(t) for t in texts):
            return "points in time"
        if any(len(t) > _LONG for t in texts):
            return f"texts longer than {_LONG} letters"
    alike = distinct < len(values)
    if not alike and texts and len(values) > FEW:
        return "it differs in every run, as names do"
    if (
        not alike
        and len(values) > 1
        and last.endswith(("_id", "_name", "_dir", "_path", "_file", "_uuid", "_time"))
    ):
        return "it differs in every run, as names do"
    return ""


# The space, and the runs in it.


def _placed(runs: Sequence[Run], names: Sequence[str], space: Space | None) -> tuple[Space, list[Run]]:
    """The space, inferred where none is given, and the runs with frozen values that lie inside."""
    import pandas as pd

    columns = {n: [run.had.get(n, math.nan) for run in runs] for n in names}
    given = space or Space({n: _inferred(n, _column(runs, n)) for n in names})
    frozen = {}
    for name, values in columns.items():
        column = pd.Series(_objects(values))
        frozen[name] = frozen_column(name, given[name], column)
    out = [
        run._replace(had={n: v[0] for n in names if (v := frozen[n][i]) is not None})
        for i, run in enumerate(runs)
    ]
    return given if space is not None else conditioned(given, [run.had for run in out]), out


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


def _sound(run: Run) -> Run:
    """A run with a duration and a time that can be, and without letters in its error that no store takes."""
    error = run.error
    if error is not None:
        error = "".join(
            "\ufffd" if letter == "\0" or "\ud800" <= letter <= "\udfff" else letter for letter in error
        )
    return run._replace(
        seconds=run.seconds if 0 <= run.seconds <= MOST_SECONDS else 0.0,
        finished=run.finished if 0 <= run.finished <= LATEST else time.time(),
        error=error,
    )


def _free_results(runs: Sequence[Run], space: Space) -> tuple[list[Run], dict[str, str]]:
    """Runs without results that can't be called so."""
    names = dict.fromkeys(n for run in runs for n in run.metrics)
    bad = {}
    for name in names:
        if name in space:
            bad[name] = "a result of a parameter's name, whose value is the parameter's"
        elif name in RESERVED and name != "value":
            bad[name] = "refine keeps this name for its table"
        elif name.startswith(_TRACKERS):
            bad[name] = "the tool's own"
    out = [
        run._replace(
            metrics={n: v for n, v in run.metrics.items() if n not in bad},
            curve={n: v for n, v in run.curve.items() if n not in bad},
        )
        for run in runs
    ]
    return out, {f"{n} (result)" if n in space else n: why for n, why in bad.items()}


class Reading(NamedTuple):
    """Options of a reader.

    Attributes:
        source: A path or URL.
        experiment: Which experiment or study of several.
        parameters: Which settings are parameters, where the person named them.
        value: Which result is the value, where the person named it.
    """

    source: str
    experiment: str | None = None
    parameters: Sequence[str] | None = None
    value: str | None = None
