"""Finished runs from elsewhere: results, origin, inferred space, and scikit-learn's searches. Pure."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.analysis.analysis import LEAST, Analysis, TrialSources, measured
from refine.analysis.conditions import conditioned
from refine.analysis.evenness import LEVEL, evenness
from refine.analysis.pooling import read_masks, replicate_groups
from refine.errors import AnalysisError, RefineError, SpaceError
from refine.space.categorical import Categorical
from refine.space.encoding import dumps, freeze, round_significant, seed_of, value_key
from refine.space.parameters import ALL_UP_TO, Float, Integer, Parameter, number_of
from refine.space.rounding import ABOUT
from refine.space.space import Space, configuration_key, encode_configuration
from refine.trials.frame import Records, table
from refine.trials.goal import Goal, sign_of
from refine.trials.metric import Metric
from refine.trials.rows import JsonRows
from refine.trials.trial import FAILED, State, ended_state
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd

# Seed of a trial imported without one.
UNKNOWN_SEED = -1


class Run(NamedTuple):
    """One finished run.

    Attributes:
        had: Parameter -> frozen value; a parameter that the run lacks is missing.
        state: One of the states of trials.
        metrics: Metric -> value.
        curve: Metric -> values per step.
        seconds: Wall time, 0 if unknown.
        seed: Its seed, or :data:`UNKNOWN_SEED`.
        origin: Origin of the configuration.
        finished: Seconds since the epoch.
        error: Reason of a failure, if known.
    """

    had: dict[str, Any]
    state: str
    metrics: dict[str, float]
    curve: dict[str, list[float]]
    seconds: float
    seed: int
    origin: str
    finished: float
    error: str | None = None


class FinishedRuns(NamedTuple):
    """The content of a study, a search or a table."""

    space: Space
    runs: list[Run]
    metric: str  # the metric
    direction: str = "maximize"
    goals: tuple[tuple[str, str], ...] = ()  # metric and direction of further goals
    subject_to: tuple[str, ...] = ()  # metric constraints that the tool had
    said: tuple[str, ...] = ()  # sentences on content that was left out or reinterpreted


def filled(space: Space, values: Mapping[str, object]) -> tuple[dict[str, object], list[str] | None]:
    """A finished run's whole configuration, and the names of its own parameters if some were missing."""
    if len(values) == len(space) and not space.conditions:
        return {n: values[n] for n in space}, None
    key = configuration_key(values)
    drawn = {n: p.grid[seed_of("imported", key, n) % p.size] for n, p in space.items()}
    configuration = space.frozen({n: values.get(n, drawn[n]) for n in space})
    names = [n for n in space if n in values]
    return configuration, None if set(configuration) <= set(names) else names


def without_copies(runs: Sequence[Run]) -> tuple[list[Run], int]:
    """The runs without copies, as in overlapping exports of one table, and the number of copies.

    A run is a copy of an earlier one if configuration, state, results, curve and seed are equal; if the seed
    is unknown, wall time and end must be equal too. A repeat under another seed, or at another time, is not a
    copy.
    """
    distinct: dict[str, Run] = {}
    for run in runs:
        results = [sorted(run.metrics.items()), sorted(run.curve.items())]
        if run.seed == UNKNOWN_SEED:
            time_of_unseeded = run.seconds, run.finished
        else:
            time_of_unseeded = None
        mark = repr([configuration_key(run.had), run.state, results, run.seed, time_of_unseeded])
        distinct.setdefault(mark, run)
    return list(distinct.values()), len(runs) - len(distinct)


def origin_of(space_filling: bool | None) -> str:
    """The origin of imported trials: ``space_filling``, ``adaptive``, or ``imported`` if unknown.

    Raises:
        AnalysisError: Neither True, False nor None.
    """
    if space_filling is not None and not isinstance(space_filling, bool):
        raise AnalysisError(
            "space_filling must be True (drawn at random or on a grid), False (by results) or None "
            f"(unknown), got {space_filling!r}"
        )
    if space_filling is None:
        return "imported"
    if space_filling:
        return "space_filling"
    return "adaptive"


def found_out(runs: FinishedRuns) -> list[Run]:
    """The same runs; those of unknown origin count as chosen by results if their values are uneven."""
    import pandas as pd

    space = runs.space
    metric = Metric.parse(runs.metric).name
    rows = [{**r.had, "value": r.metrics.get(metric, math.nan)} for r in runs.runs if r.origin == "imported"]
    frame = pd.DataFrame(rows, columns=[*space, "value"])
    for name, parameter in space.items():
        if isinstance(parameter, Categorical):  # as tables of trials show them
            frame[name] = [
                parameter.labels[i] if i >= 0 else None
                for i in parameter.positions(frame[name].to_numpy(dtype=object))
            ]
    if not rows or evenness(space, frame, sign_of(runs.direction)).p > LEVEL:
        return runs.runs
    return [r._replace(origin="adaptive") if r.origin == "imported" else r for r in runs.runs]


# The space of the runs.


# Up to so many different numbers become the levels of an inferred range.
FEW = 20


def infer_space(frame: pd.DataFrame) -> Space:
    """The space of a table's columns.

    - Numbers: :class:`Integer` for a column of integers, else :class:`Float`, from the smallest to the
      largest; up to 20 different values are the levels.
    - Positive numbers over two decades: with ``log=True``, if the median is nearer to the logarithmic middle
      of the range than to the linear middle.
    - Texts, bools, lists: :class:`Categorical`, sorted.
    - One value: fixed.

    A run with a missing value lacks the parameter.

    Args:
        frame: One column per parameter.

    Raises:
        SpaceError: A column without an inferable parameter.
    """
    out: dict[str, Parameter] = {}
    for name in frame.columns:
        try:
            out[str(name)] = inferred(frame[name])
        except RefineError as error:
            raise SpaceError(
                f"{name}: {error}; leave the column out: parameters=[...] names the columns of the parameters"
            ) from None
    return Space(out)


def inferred(column: pd.Series) -> Parameter:
    """The parameter of a column: see :func:`infer_space`."""
    import pandas as pd

    present = column.dropna()
    if present.empty:
        raise SpaceError("the column holds no value")
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        plain = [v.item() if isinstance(v, np.generic) else v for v in present]
        if any(isinstance(v, float) and not math.isfinite(v) for v in plain):
            raise SpaceError("a parameter must be finite, got infinity")
        if odd := [v for v in plain if not isinstance(v, int | float | bool | str | list | tuple)]:
            raise SpaceError(
                f"a parameter holds numbers, texts, bools or lists, got {type(odd[-1]).__name__}"
            )
        distinct = {value_key(freeze(v)): v for v in plain}
        if len(distinct) > FEW and len(distinct) == len(plain):
            raise SpaceError(
                f"all {len(plain)} texts differ, as names of runs do, so the column is not a set of choices"
            )
        return Categorical([distinct[k] for k in sorted(distinct)])
    values = np.unique(present.to_numpy(dtype=float))
    if not np.isfinite(values).all():
        raise SpaceError("a parameter must be finite, got infinity")
    # A missing value turns a column of integers into floats.
    all_whole = bool((values == np.round(values)).all()) and (
        pd.api.types.is_integer_dtype(column) or bool(column.isna().any())
    )
    levels = (
        [int(v) for v in values] if all_whole else list(dict.fromkeys(round_significant(v) for v in values))
    )
    if len(levels) == 1:
        return Categorical(levels)
    log = _geometric(values)
    if len(levels) <= FEW:
        some_levels = levels
    else:
        some_levels = None
    if all_whole:
        return integers(int(levels[0]), int(levels[-1]), some_levels, log)
    return Float(levels[0], levels[-1], levels=some_levels or ABOUT, log=log)


def integers(low: int, high: int, levels: Sequence[float] | None, log: bool) -> Integer:
    """A range over the integers of finished runs.

    Up to 20 integers are all levels, else ten evenly spaced integers, without the rounding of a declared
    range, so equal rows give an equal root.
    """
    if high - low < ALL_UP_TO:
        count = None
    else:
        count = ABOUT
    return Integer(low, high, levels=levels or count, log=log)  # type: ignore[arg-type]


def _geometric(values: Floats) -> bool:
    low = float(values[0])
    high = float(values[-1])
    middle = float(np.median(values))
    if low <= 0 or high < 100 * low:
        return False
    linear = (middle - low) / (high - low)
    ratio = math.log(middle / low) / math.log(high / low)
    return abs(ratio - 0.5) < abs(linear - 0.5)


# A search of scikit-learn.

# scikit-learn's searches: none of them chooses by results.
_EVEN = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")


def read_search(search: object, metric: str | None = None) -> FinishedRuns:
    """The runs of a fitted search: see :meth:`refine.Tree.add_runs` for the errors too."""
    results = getattr(search, "cv_results_", None)
    if not isinstance(results, Mapping):
        raise AnalysisError(
            f"a search must be fitted, with cv_results_, got {type(search).__name__}; call search.fit(X, y) "
            "first"
        )
    names = [n.removeprefix("mean_test_") for n in results if n.startswith("mean_test_")]
    metric = metric or (names[0] if len(names) == 1 else getattr(search, "refit", None))
    if not isinstance(metric, str) or metric not in names:
        raise AnalysisError(f"metric must be one of {', '.join(names)}, got {metric!r}; give metric=")
    # A halving search repeats promising candidates on more of its resource. Its value is the last iteration
    # that enough configurations for an analysis reached; the metric's name says if that is not the last one.
    resource = getattr(search, "resource", None)
    settings = [{n: v for n, v in params.items() if n != resource} for params in results["params"]]
    scores = scores_of(results, metric)
    iterations = [int(k) for k in results.get("iter", [0] * len(settings))]
    rows_of: dict[str, dict[int, int]] = {}
    for i, params in enumerate(settings):
        rows_of.setdefault(repr(sorted(params.items())), {})[iterations[i]] = i
    reached = Counter(
        k
        for rows_by_resource in rows_of.values()
        for k, i in rows_by_resource.items()
        if math.isfinite(scores[i][metric])
    )
    judged = max((k for k, n in reached.items() if n >= LEAST), default=max(iterations))
    name = metric
    if judged < max(iterations):
        name = f"{metric} at {resource}={results['n_resources'][iterations.index(judged)]}"
    settings_searched = getattr(search, "param_grid", getattr(search, "param_distributions", {}))
    order = sorted(rows_of.values(), key=lambda rows_by_resource: max(rows_by_resource.values()))
    rows = [max(rows_by_resource.values()) for rows_by_resource in order]
    parameters = _parameters(
        [settings_searched] if isinstance(settings_searched, Mapping) else settings_searched,
        [settings[i] for i in rows],
    )
    times = np.asarray(results["mean_fit_time"]) + results["mean_score_time"]
    times *= sum(n.startswith(f"{metric}@") for n in scores[0]) or 1
    even = type(search).__module__.startswith("sklearn.") and type(search).__name__ in _EVEN
    origin = origin_of(even)
    imported = time.time()
    runs = []
    for rows_by_resource, i in zip(order, rows, strict=True):
        values = {n: _held(settings[i][n]) for n in parameters if n in settings[i]}
        metrics = scores[rows_by_resource.get(judged, i)]
        columns = scores[i] | {
            _called(n, metric, name): v for n, v in metrics.items() if judged in rows_by_resource
        }
        finite = {n: v for n, v in columns.items() if math.isfinite(v)}
        reported = State.COMPLETE
        if judged not in rows_by_resource:
            reported = State.PRUNED
        if math.isnan(metrics[metric]):  # the score of a fit that raised
            reported = State.FAILED
        state = ended_state(reported, metrics[metric])
        if state in FAILED:
            finite = {}
        runs.append(
            Run(
                had=values,
                state=state,
                metrics=finite,
                curve={},
                seconds=float(times[i]),
                seed=UNKNOWN_SEED,
                origin=origin,
                finished=imported,
            )
        )
    return FinishedRuns(conditioned(Space(parameters), [run.had for run in runs], fewest=1), runs, name)


def _called(score: str, metric: str, name: str) -> str:
    """The name of a score, by split too, under a new name of the metric."""
    if score.partition("@")[0] == metric:
        return name + score[len(metric) :]
    return score


def scores_of(results: Mapping[str, Any], metric: str) -> list[dict[str, float]]:
    """Mean test scores per candidate of ``cv_results_``, and by split as ``metric@1``, ``metric@2``, ..."""
    columns = {n.removeprefix("mean_test_"): results[n] for n in results if n.startswith("mean_test_")}
    splits = (results[n] for k in range(len(results)) if (n := f"split{k}_test_{metric}") in results)
    columns |= {f"{metric}@{k}": split for k, split in enumerate(splits, 1)}
    return [{n: float(column[i]) for n, column in columns.items()} for i in range(len(results["params"]))]


def _held(value: object) -> Any:
    """A frozen value, or the text of a value that no space can hold, such as an estimator."""
    try:
        return freeze(value)
    except SpaceError:
        return " ".join(str(value).split())


def _parameters(grids: Sequence[Any], settings: Sequence[Mapping[str, object]]) -> dict[str, Parameter]:
    """The parameters of a search in the order of first use, by its grids, distributions or candidates."""
    import pandas as pd

    out: dict[str, Parameter] = {}
    for name in dict.fromkeys(n for params in settings for n in params):
        entries = [grid[name] for grid in grids if name in grid]
        if len(entries) == 1:
            kind = getattr(getattr(entries[0], "dist", None), "name", None)
        else:
            kind = None
        if kind in ("uniform", "loguniform", "reciprocal", "randint"):
            low, high = map(float, entries[0].support())
            is_integer = kind == "randint"
            log = kind in ("loguniform", "reciprocal")
            if is_integer:
                out[name] = integers(int(low), int(high), None, log)
            else:
                out[name] = Float(low, high, levels=ABOUT, log=log)
            continue
        values = [params[name] for params in settings if name in params]
        if all(isinstance(e, list | tuple | np.ndarray) for e in entries):
            values = [v for e in entries for v in e] + values
        values = list({value_key(v): v for v in map(_held, values)}.values())
        numeric = all(number_of(v) is not None for v in values)
        if numeric:
            out[name] = inferred(pd.Series(values))
        else:
            out[name] = Categorical(values)
    return out


def analysis_of(finished: FinishedRuns) -> Analysis:
    """The analysis of a search or study as a round of its own, by its first goal.

    AnalysisError if too few runs have a value.
    """
    space = finished.space
    runs = found_out(finished._replace(runs=without_copies(finished.runs)[0]))
    completed = [filled(space, run.had) for run in runs]
    columns: dict[str, list[object]] = {
        n: [getattr(run, n) for run in runs] for n in ("state", "seconds", "seed", "origin")
    }
    columns |= {"cell": [None] * len(runs), "key": [configuration_key(values) for values, _ in completed]}
    columns["read"] = [None if read is None else dumps(read) for _, read in completed]
    configurations = JsonRows([encode_configuration(values) for values, _ in completed])
    records = Records(configurations, JsonRows([run.metrics for run in runs]), (), columns)
    frame = table(space, records, Metric.parse(finished.metric))
    masks = read_masks(space, records)
    groups = replicate_groups(records)
    goal = Goal(finished.metric, finished.direction, subject_to=finished.subject_to)
    return measured(space, TrialSources(frame, read=masks, groups=groups), goal)
