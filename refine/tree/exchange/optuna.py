"""In from Optuna and out to it. Optuna is loaded when it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.design.samplers import quietly
from refine.errors import AnalysisError, NotFoundError, RefineError, StoreError, did_you_mean, first_line
from refine.space.categorical import Categorical
from refine.space.encoding import Reference, decode, label, value_key
from refine.space.parameters import Integer, Parameter, Range
from refine.store.engine import URL, engine_of, url_of
from refine.store.schema import shown_url, tables_of
from refine.tree.round_record import RoundRecord
from refine.trials.frame import names_read
from refine.trials.trial import error_line
from refine.utils.extras import load
from refine.utils.files import possible_path
from refine.utils.numbers import is_real

if TYPE_CHECKING:
    import optuna


# In.


def open_study(study: object, study_name: str | None) -> optuna.Study:
    """A study from an object, or from a storage's URL or journal file and a name; opened for reading only.

    Raises:
        StoreError: The storage cannot be opened.
        NotFoundError: The storage has no such study.
        AnalysisError: Neither a study nor a URL, or Optuna is not installed.
    """
    load("optuna", "reading a study of Optuna", AnalysisError)
    import optuna

    if isinstance(study, optuna.Study):
        if study_name is not None:
            raise AnalysisError(
                f"study_name goes with the URL of a storage, got {study_name!r} together with the study "
                f"{study.study_name!r}; leave it out"
            )
        return study
    if not isinstance(study, str | Path):
        raise AnalysisError(
            f"a study must be an optuna.Study or the URL of its storage, got {type(study).__name__}; of "
            "another storage optuna.load_study(study_name=..., storage=...) gives the study"
        )
    if isinstance(study, str) and "://" in study:
        url = url_of(study)
    else:
        url = None
    if url is None:
        shown = str(study)
    else:
        shown = f"storage {shown_url(url)}"
    # Opening creates; who only reads must not leave an empty file behind.
    file: str | Path | None = None
    if url is None:
        file = study
    elif url.get_backend_name() == "sqlite":
        file = url.database
    if file is not None and not possible_path(file, "storage", "study.log").is_file():
        raise NotFoundError(
            f"{shown}: there is no such file; a storage is given by its URL, such as sqlite:///study.db, "
            "or the path of its journal"
        )
    empty_text = f"{shown}: holds no study of Optuna; give the storage that one was run with"
    try:
        # Optuna would create its tables, and read any tables of these names.
        if url and file and "studies" not in tables_of(engine_of(url.set(query={}), False), shown):
            raise NotFoundError(empty_text)
        with quietly():
            storage: Any = (
                optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(study)))
                if url is None
                else optuna.storages.RDBStorage(url.render_as_string(hide_password=False))
            )
            names = [str(s.study_name) for s in storage.get_all_studies()]
            if study_name is None and len(names) == 1:
                study_name = names[0]
            if study_name in names:
                return optuna.load_study(study_name=study_name, storage=storage)
    except RefineError:
        raise
    except Exception as error:  # noqa: BLE001  # drivers raise any class, and may show the password
        raise _cannot_open(url, shown, error) from None
    if not names:
        raise NotFoundError(empty_text)
    if study_name is None:
        problem = "which of them? give study_name="
        hint = f"known: {', '.join(names)}"
    else:
        problem = f"no study {study_name!r}"
        hint = did_you_mean(study_name, names)
    raise NotFoundError(f"{shown}: holds {len(names)} studies; {problem}; {hint}")


def _cannot_open(url: URL | None, shown: str, error: Exception) -> StoreError:
    """The error of a storage that can't be opened, without the password that drivers may repeat."""
    reason = first_line(getattr(error, "orig", None) or type(error).__name__)
    if url is not None and url.password:
        reason = reason.replace(str(url.password), "***")
    return StoreError(f"{shown}: can't be opened: {reason}; check the URL, or the path of a journal")


# Out.


def to_study(round_: RoundRecord, storage: object = None, study_name: str | None = None) -> optuna.Study:
    """All trials as an Optuna study, for ``optuna.visualization`` and optuna-dashboard.

    Replicates and failed trials are included, and the last of several attempts. User attributes are
    ``round``, ``cell``, ``seed``, ``origin``, ``replicate``, ``attempt``, ``state``, the other metrics, and
    the last line of an error. Classes and functions are given by their labels. A round with several goals is
    a study with several objectives, where a trial that lacks one of them is failed.

    Args:
        round_: The round.
        storage: Optuna's storage or its URL; default in memory. Databases take about 10 ms per trial.
        study_name: Default the names of tree and round.

    Raises:
        StoreError: The storage can't be opened, or has a study of that name.
        AnalysisError: Optuna is not installed.
    """
    load("optuna", "a study of Optuna", AnalysisError)
    import optuna

    space = round_.space
    goals = round_._goals
    if study_name is None:
        study_name = f"{round_._context.name} {round_.id}"
    metric = goals[0].metric
    several = len(goals) > 1
    records = round_._context.reader.records([round_._stored.pk], curves=True, replicates=True)
    c = records.columns
    values = [{n: decode(p[n]) for n in space if n in p} for p in records.configurations]
    axes = {n: _axis(p, [v[n] for v in values if n in v]) for n, p in space.items()}
    trials = []
    for i, configuration in enumerate(values):
        read = None
        if c["origin"][i] == "imported":
            read = names_read(c["read"][i])
        # A parameter that an imported trial lacks is conditional; Optuna leaves it out.
        shown = {n: v for n, v in configuration.items() if read is None or n in read}
        params = {n: texts[value_key(v)] if (texts := axes[n][1]) else v for n, v in shown.items()}
        state, value = _state(c["state"][i], metric.of(records.metrics[i], records.curves[i]))
        goal_values = [
            value,
            *(goal.metric.of(records.metrics[i], {}, c["seconds"][i]) for goal in goals[1:]),
        ]
        if several and state != "FAIL" and not all(v is not None and math.isfinite(v) for v in goal_values):
            state = "FAIL"
            value = None
        # Optuna keeps no values per step where there are several objectives.
        curve = () if several else records.curves[i].get(metric.name, ())
        stop = datetime.fromtimestamp(c["finished"][i])  # as Optuna's
        attributes = {
            "round": round_.id,
            **{n: c[n][i] for n in ("cell", "seed", "origin", "replicate", "attempt")},
            "state": c["state"][i],
            **{
                f"metric {n}": v
                for n, v in records.metrics[i].items()
                if n != metric.name and math.isfinite(v)
            },
        }
        if c["error"][i]:
            attributes["error"] = error_line(c["error"][i])[:500]
        trials.append(
            optuna.trial.FrozenTrial(
                number=i,
                trial_id=i,
                state=optuna.trial.TrialState[state],
                value=None if several else value,
                values=goal_values if several and state == "COMPLETE" else None,
                datetime_start=stop - timedelta(seconds=c["seconds"][i]),
                datetime_complete=stop,
                params=params,
                distributions={n: axes[n][0] for n in params},
                user_attrs=attributes,
                system_attrs={},
                intermediate_values={step: float(v) for step, v in enumerate(curve)},
            )
        )
    try:
        with quietly():
            study = optuna.create_study(
                study_name=study_name, storage=storage, directions=[g.direction for g in goals]
            )
            study.set_metric_names([goal.metric.name for goal in goals])
    except optuna.exceptions.DuplicatedStudyError:
        raise StoreError(
            f"the storage has a study {study_name!r} already; give study_name=, or delete it: "
            "optuna.delete_study"
        ) from None
    except Exception as error:  # noqa: BLE001  # as in open_study
        if isinstance(storage, str):
            url = url_of(storage)
        else:
            url = None
        raise _cannot_open(
            url, "the storage" if url is None else f"storage {shown_url(url)}", error
        ) from None
    with quietly():
        study.add_trials(trials)
    return study


def _state(state: str, value: float | None) -> tuple[str, float | None]:
    if value is None or math.isnan(value):
        value = None
    if state == "pruned":
        return "PRUNED", value
    if state == "complete" and value is not None:
        return ("COMPLETE", value)
    return ("FAIL", None)


def _axis(parameter: Parameter, values: list[Any]) -> tuple[Any, Mapping[str, Any]]:
    """A distribution of all values, and texts for values that Optuna cannot hold."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    numbers = list(filter(is_real, values))
    if isinstance(parameter, Range) and len(numbers) == len(values):
        low = min([parameter.low, *numbers])
        high = max([parameter.high, *numbers])
        log = parameter.log and low > 0
        if isinstance(parameter, Integer) and all(float(v).is_integer() for v in numbers):
            return IntDistribution(int(low), int(high), log=log), {}
        return FloatDistribution(float(low), float(high), log=log), {}
    choices = {value_key(v): v for v in [*parameter.grid, *values]}
    if isinstance(parameter, Categorical):
        texts = dict(zip(map(value_key, parameter.grid), parameter.labels, strict=True))
    else:
        texts = {}
    shown = {k: texts.get(k, label(v)) if isinstance(v, Reference | tuple) else v for k, v in choices.items()}
    if len({*shown.values()}) < len(shown):  # to Python 1 and True are equal
        shown = {k: repr(v) if not isinstance(v, Reference) else v.path for k, v in choices.items()}
    return CategoricalDistribution(tuple(shown.values())), shown
