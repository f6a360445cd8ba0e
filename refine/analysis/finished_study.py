"""A study of Optuna as finished runs. Pure; Optuna is loaded when it is used."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from refine.analysis.conditions import conditioned
from refine.analysis.finished_runs import UNKNOWN_SEED, FinishedRuns, Run, integers, origin_of
from refine.errors import AnalysisError, RefineError, SpaceError, StoreError
from refine.space.categorical import Categorical
from refine.space.encoding import freeze, value_key
from refine.space.parameters import ALL_UP_TO, Float, Integer, Parameter
from refine.space.rounding import ABOUT
from refine.space.space import Space
from refine.trials.goal import MOST_GOALS
from refine.trials.metric import Metric
from refine.trials.trial import ended_state
from refine.utils.format import join, plural
from refine.utils.numbers import is_whole

if TYPE_CHECKING:
    import optuna

# Prefixes of the attributes that result-driven samplers write. Other samplers write none.
_SEARCHES = {"tpe", "cma", "NSGAIISampler", "NSGAIIISampler", "nsga2", "nsga3"}

# User attributes that a warning names.
_SHOWN = 6

# Prefix of a study's user attribute that holds a decision; the number of the first trial after it follows.
DECISION = "refine:decision:"


def _objectives(study: optuna.Study) -> list[str]:
    """Names of a study's objectives; without any ``value``, or ``value_0`` and so on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of metrics are called experimental
        names = study.metric_names
    count = len(study.directions)
    return names or (["value"] if count == 1 else [f"value_{i}" for i in range(count)])


def decided_at(study: optuna.Study) -> list[int]:
    """The numbers of the first trials after the decisions on a study, in order."""
    return sorted(int(key.removeprefix(DECISION)) for key in study.user_attrs if key.startswith(DECISION))


def read_study(
    study: optuna.Study,
    value: int | None = None,
    metric: str | None = None,
    space_filling: bool | None = None,
) -> FinishedRuns:
    """Space and ended trials of a study: see :meth:`refine.Tree.add_runs`.

    Raises:
        AnalysisError: More than three objectives and no ``value``, no ended trial, or a complete one without
            its value.
        SpaceError: A parameter's name or distribution that a space cannot have.
        StoreError: Optuna cannot read the study.
    """
    try:
        names = _objectives(study)
        directions = [d.name.lower() for d in study.directions]
        all_trials = study.get_trials(deepcopy=False)
        trials = [x for x in all_trials if x.state.is_finished()]
    except Exception as error:  # noqa: BLE001  # of a storage that somebody wrote into
        raise StoreError(
            f"study {study.study_name!r}: Optuna can't read it: {type(error).__name__}: {error}; copy what "
            "it can read into a new study"
        ) from None
    if value is None and len(directions) > MOST_GOALS:
        raise AnalysisError(
            f"study {study.study_name!r} has {len(directions)} objectives ({', '.join(names)}), but a round "
            f"has at most {MOST_GOALS} goals; choose one as the value: value=0 is the first; the other "
            "objectives become metrics"
        )
    if value is None:
        position = 0
    else:
        position = value
    if not is_whole(position, 0, len(directions) - 1):
        raise AnalysisError(f"value must be a whole number >= 0 and < {len(directions)}, got {value!r}")
    judged = Metric.parse(metric or names[position]).name
    titles = [judged if i == position else name for i, name in enumerate(names)]
    if len(set(titles)) < len(titles):
        raise AnalysisError(f"metric {judged!r} is the name of another objective too; give another one")
    if not trials:
        raise AnalysisError(f"study {study.study_name!r} has no ended trial yet; run it first")
    kinds: dict[str, list[object]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            seen_kinds = kinds.setdefault(name, [])
            if not seen_kinds or (seen_kinds[-1] != distribution and distribution not in seen_kinds):
                seen_kinds.append(distribution)
    if not kinds:
        raise SpaceError(f"study {study.study_name!r} has no parameter: its trials never suggested one")
    parameters: dict[str, Parameter] = {}
    for name, distributions in kinds.items():
        try:
            parameters[name] = _parameter(distributions)
        except RefineError as error:
            raise SpaceError(f"{name}: {error}") from None
    space = Space(parameters)
    origin = origin_of(space_filling)
    if space_filling is None:
        notes = [{key.partition(":")[0] for key in trial.system_attrs} for trial in trials]
        if any(note & _SEARCHES for note in notes):
            origin = origin_of(False)
        elif all("grid_id" in note for note in notes):
            origin = origin_of(True)
    # After a narrowing, results chose the trials.
    narrowed = min(decided_at(study), default=math.inf)
    constraints = _constraint_names(trials, {*titles, *kinds})
    runs = [
        _run(x, space, titles, position, origin if x.number < narrowed else origin_of(False)) for x in trials
    ]
    return FinishedRuns(
        # A trial without a suggestion of the parameter took a branch without it.
        space=conditioned(space, [run.had for run in runs]),
        runs=runs,
        metric=str(Metric.parse(metric or judged)),
        direction=directions[position],
        goals=tuple(zip(titles[1:], directions[1:], strict=True)) if value is None else (),
        subject_to=tuple(f"{name} <= 0" for name in constraints),
        said=_left_out(len(all_trials) - len(trials), trials),
    )


# System attributes of trials: a list of all constraints, or one attribute per constraint from Optuna 5 on.
_CONSTRAINTS = "constraints"


def _constraint_names(trials: Sequence[optuna.trial.FrozenTrial], used_names: Collection[str]) -> list[str]:
    """Metrics for the constraints of a study, such as ``constraint_0`` or ``constraint_latency``.

    Raises:
        AnalysisError: A parameter or an objective has such a name.
    """
    names = list(dict.fromkeys(name for trial in trials for name in _constraint_values(trial)))
    if clash := [name for name in names if name in used_names]:
        raise AnalysisError(
            f"{clash[0]!r} is the name of a parameter or objective of the study and of its constraint; "
            "rename the parameter, or the objective: study.set_metric_names([...])"
        )
    return names


def _constraint_values(trial: optuna.trial.FrozenTrial) -> dict[str, float]:
    """The constraints of a trial by the names of their metrics; 0 or less is feasible.

    Raises:
        AnalysisError: They are not numbers.
    """
    attributes = trial.system_attrs
    try:
        values = dict(enumerate(attributes.get(_CONSTRAINTS) or ()))
        prefix = f"{_CONSTRAINTS}:"
        values |= {n.removeprefix(prefix): v for n, v in attributes.items() if n.startswith(prefix)}
        return {f"constraint_{re.sub('[<>=]', '_', str(name))}": float(v) for name, v in values.items()}
    except (TypeError, ValueError):
        raise AnalysisError(
            f"trial {trial.number} of the study can't be read: its constraints must be numbers; leave it out"
        ) from None


# A user attribute of trials of an exported round; its other content is in the study as well.
_EXPORTED = "replicate"


def _left_out(unfinished: int, trials: Sequence[optuna.trial.FrozenTrial]) -> tuple[str, ...]:
    """One sentence on trials and attributes of a study that are not imported; empty without any."""
    attributes = dict.fromkeys(name for t in trials if _EXPORTED not in t.user_attrs for name in t.user_attrs)
    if unfinished:
        parts = [plural(unfinished, "trial that has not ended", "trials that have not ended")]
    else:
        parts = []
    if attributes:
        shown = list(attributes)[:_SHOWN] + (
            [f"{len(attributes) - _SHOWN} more"] if len(attributes) > _SHOWN else []
        )
        parts.append(f"user attributes {join(shown)}")
    if parts:
        return (f"left out: {'; '.join(parts)}",)
    return ()


def _parameter(distributions: list[Any]) -> Parameter:
    """The parameter of the distributions in the trials of a study."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    first = distributions[0]
    if any(type(d) is not type(first) for d in distributions):
        kinds = ", ".join(sorted({type(d).__name__ for d in distributions}))
        raise SpaceError(f"trials must have one kind of distribution, got {kinds}; leave some out")
    if isinstance(first, CategoricalDistribution):
        choices = {value_key(freeze(v)): v for d in distributions for v in d.choices}
        return Categorical(list(choices.values()))
    low = min(d.low for d in distributions)
    high = max(d.high for d in distributions)
    if low == high:
        return Categorical([low])
    is_integer = isinstance(first, IntDistribution)
    step: Any = None
    if len(distributions) == 1:
        step = first.step
    elif is_integer:
        step = 1
    if is_integer and step == 1:
        return integers(low, high, None, first.log)
    if step is None:
        return Float(low, high, levels=ABOUT, log=first.log)
    kind: Any = Integer if is_integer else Float
    count = round((high - low) / step) + 1
    if count <= ALL_UP_TO:
        levels = None
    else:
        levels = ABOUT
    return kind(low, high, levels=levels, step=step)  # type: ignore[no-any-return]


def _run(
    trial: optuna.trial.FrozenTrial,
    space: Space,
    titles: list[str],
    number: int,
    origin: str,
) -> Run:
    """The run of a trial.

    Raises:
        AnalysisError: Content that Optuna itself would not have written.
    """
    reported = {"COMPLETE": "complete", "FAIL": "failed", "PRUNED": "pruned"}[trial.state.name]
    title = titles[number]
    try:
        metrics = {name: float(v) for name, v in zip(titles, trial.values or [], strict=False)}
        curve = [float(v) for _, v in sorted(trial.intermediate_values.items())]
        if trial.duration is not None:
            seconds = trial.duration.total_seconds()
        else:
            seconds = 0.0
        if trial.datetime_complete:
            finished = trial.datetime_complete.timestamp()
        else:
            finished = time.time()
    except Exception as error:  # noqa: BLE001  # storages may hold anything, such as texts for numbers
        raise AnalysisError(
            f"trial {trial.number} of the study can't be read: {type(error).__name__}: {error}; leave it out"
        ) from None
    if reported == "complete" and title not in metrics:
        raise AnalysisError(
            f"trial {trial.number} of the study is complete and has no value; set its state to FAIL, or "
            "leave it out"
        )
    state = ended_state(reported, metrics.get(title))
    if state == "failed":
        metrics = {}
    if state == "pruned" and curve:
        metrics.setdefault(title, curve[-1])
    if state != "failed":
        metrics |= {n: v for n, v in _constraint_values(trial).items() if math.isfinite(v)}
    if curve:
        curves = {title: curve}
    else:
        curves = {}
    values = {n: freeze(trial.params[n]) for n in space if n in trial.params}
    return Run(
        had=values,
        state=state,
        metrics=metrics,
        curve=curves,
        seconds=seconds,
        seed=UNKNOWN_SEED,
        origin=origin,
        finished=finished,
    )
