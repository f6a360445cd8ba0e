"""Importers: finished runs, Optuna studies, scikit-learn searches and Talos runs as roots of a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from refine.analysis.finished_runs import FinishedRuns, found_out, read_search, without_copies
from refine.analysis.finished_study import read_study
from refine.errors import AnalysisError, did_you_mean
from refine.review.decision import check_note
from refine.run import identity
from refine.run.identity import check_name, objective_data
from refine.run.objective import wants_trial
from refine.run.protocols import Objective
from refine.space.space import Space, space_of
from refine.store.import_buffer import kept
from refine.store.load import load_rounds
from refine.tree.exchange.dataframe import part_of, runs_of
from refine.tree.exchange.optuna import open_study
from refine.tree.exchange.talos import read_run
from refine.tree.names import check_tag
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.trials.declared import Declared
from refine.trials.goal import ASK, direction_of
from refine.trials.metric import FUNCTION, Metric
from refine.trials.metric_constraint import SECONDS, metric_constraints
from refine.utils.format import plural
from refine.utils.warning import warn

if TYPE_CHECKING:
    import optuna
    from narwhals.stable.v2.typing import IntoFrame


class ImportKeywords(TypedDict, total=False):
    """Options of every import: see :func:`add_frame`."""

    noise: str | None
    objective: Objective | None
    name: str | None
    tag: str | None
    note: str


def add_frame(
    self: TreeRecord,
    frame: IntoFrame,
    space: Space | Mapping[str, object] | None = None,
    *,
    parameters: Sequence[str] | None = None,
    value: str | None = None,
    metric: str | None = None,
    direction: str | None = ASK,
    subject_to: Sequence[str] = (),
    space_filling: bool | None = None,
    **options: Unpack[ImportKeywords],
) -> Round:
    """Adds a table of finished runs as a root, or finds the root of the same rows again.

    The root can be analysed, proposed on, decided upon, reported and exported, but not run. Its children run
    the objective given here, or else the objective of the first run.

    Copied rows count once. A warning says which columns, rows and cells were left out or corrected.

    Args:
        frame: One row per run, of pandas, polars, Arrow or another library known to narwhals. Columns are
            parameters and metrics, and optionally ``state``, ``seconds``, ``seed``, ``origin`` and ``error``.
            A column ``State`` or ``status`` with the words of a tracker, such as ``finished``, counts as
            ``state``; without states, rows are complete, or diverged if the value is NaN or infinite. A
            missing value of a parameter means that the run did not use the parameter. Further columns of
            numbers become metrics.
        space: The space of the rows; default inferred: see
            :func:`refine.analysis.finished_runs.infer_space`. If one parameter decides the use of another,
            the inferred space has that condition.
        parameters: Columns of the parameters, without a space; default all columns but the value, names of
            runs, and known names of results and times.
        value: Column of the value; default the metric, else ``"value"``.
        metric: Name of the value in the results of the children's objectives, such as ``"val_acc"``;
            default the name of the column.
        direction: As in :meth:`refine.Tree.add_round`.
        subject_to: As in :meth:`refine.Tree.add_round`.
        space_filling: True for rows drawn at random or on a grid, False for rows chosen by results, which
            enter no test. None decides by the notes of the tool, else by the evenness of the values
            (:func:`refine.analysis.evenness.evenness`); the printed round shows the decision.
        noise: As in :meth:`refine.Tree.add_round`: ``"none"`` declares that repeats give identical values.
        objective: The objective of the runs, for children.
        name: Name of the objective in the identity of the round; default its qualified name.
        tag: Name of the round, as :meth:`refine.Tree.tag` gives one.
        note: Reason, in your words.

    Raises:
        AnalysisError: The frame is malformed.
        SpaceError: A row lies outside the space, or no space can be inferred.

    Examples:
        >>> runs = root.trials[["lr", "dropout", "value"]].rename(columns={"value": "val_acc"})
        >>> old = tree.add_frame(runs, root.space, value="val_acc")
        >>> old.metric, old.n
        ('val_acc', 30)
    """
    if value is not None and not isinstance(value, str):
        raise AnalysisError(f"value must be the name of a column, got {value!r}; for example value='acc'")
    judged = _metric(metric or value or "value")
    value = value or judged.name
    direction = direction_of(judged.name, direction)
    if space is not None and parameters is not None:
        raise AnalysisError("give the space or the names of the parameters, got both")
    searched = None
    if space is not None:
        searched = space_of(space)
    table = runs_of(frame, searched, parameters, value, judged.name, space_filling)
    finished = FinishedRuns(table.space, table.runs, str(judged), direction, said=tuple(table.notes))
    return _add(self, finished, subject_to, **options)


def add_study(
    self: TreeRecord,
    study: optuna.Study | str | Path,
    study_name: str | None = None,
    *,
    value: int | None = None,
    metric: str | None = None,
    subject_to: Sequence[str] = (),
    space_filling: bool | None = None,
    **options: Unpack[ImportKeywords],
) -> Round:
    """Adds an Optuna study as a root, like :meth:`add_frame`.

    Distributions become the space, intermediate values the curve; a parameter missing from a trial was not
    used. Constraints become metric constraints: ``constraint_0 <= 0``, or ``constraint_latency <= 0`` for
    ``trial.set_constraint("latency", ...)``. Objectives of children return such a metric too. Unfinished
    trials, numbers of steps and user attributes are left out; a warning names them.

    Args:
        study: The study, the URL of its storage, or the path of a journal file.
        study_name: Name of the study in the storage; required if the storage holds several.
        value: Number of the objective that alone is the value, for a study with several; the others become
            metrics. Without ``value``, two or three objectives are goals.
        metric: Name of the value for objectives of children; default the name in the study, else ``"value"``.
        subject_to: As in :meth:`refine.Tree.add_round`, on metrics of the trials.
        space_filling: As ``noise``, ``objective``, ``name``, ``tag`` and ``note``: see
            :meth:`add_frame`.

    Raises:
        AnalysisError: No ended trial, or more than three objectives and no ``value``.
        SpaceError: A parameter cannot be in a space, such as one called ``seed``.
        StoreError: The storage cannot be opened.
        NotFoundError: The storage holds no such study.
    """
    if metric is not None:
        _metric(metric)
    finished = read_study(open_study(study, study_name), value, metric, space_filling)
    return _add(self, finished, subject_to, **options)


def add_search(
    self: TreeRecord,
    search: object,
    *,
    metric: str | None = None,
    **options: Unpack[ImportKeywords],
) -> Round:
    """Adds a fitted search of scikit-learn as a root, like :meth:`add_frame`; larger scores are better.

    The value is the mean test score; scores by split show the noise, and other scorers become metrics. Grid,
    random and halving searches count as even samples, other searches with ``cv_results_`` as chosen by
    results. Lists and scipy's ``uniform``, ``loguniform`` and ``randint`` become the space; several
    dictionaries give conditions; estimators among the values become texts. The value of a halving search is
    the score at the last iteration that ten configurations reached, such as ``"score at n_samples=54"``;
    the others are pruned.

    Args:
        search: A fitted ``GridSearchCV``, ``RandomizedSearchCV``, ``HalvingGridSearchCV``,
            ``HalvingRandomSearchCV`` or a similar search.
        metric: The scorer of the value, if there are several; default the one of ``refit``.
        noise: As ``objective``, ``name``, ``tag`` and ``note``: see :meth:`add_frame`.

    Raises:
        AnalysisError: Not fitted, or several scorers and no ``metric``.
        SpaceError: A parameter cannot be in a space, such as one called ``seed``.

    Examples:
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> choices = {"max_depth": [1, 2, 3, 4], "min_samples_leaf": [1, 2, 3]}
        >>> grid = GridSearchCV(DecisionTreeClassifier(), choices, cv=2)
        >>> searched = tree.add_search(grid.fit([[0], [1], [2], [3]] * 6, [0, 1, 0, 1] * 6))
        >>> searched.n, searched.space["max_depth"].high
        (12, 4)
    """
    return _add(self, read_search(search, metric), **options)


def add_talos(
    self: TreeRecord,
    folder: str | Path,
    *,
    value: str | None = None,
    direction: str | None = None,
    space_filling: bool | None = None,
    **options: Unpack[ImportKeywords],
) -> Round:
    """Adds a run directory of Talos 2, finished or running, as a root, like :meth:`add_frame`.

    The dictionary of the run becomes the space, histories become curves, and the note names the run and its
    data. Runs steered by an intervention, a reducer or an adaptive strategy count as chosen by results. An
    incomplete last record is left out, with a warning.

    Args:
        folder: The directory, with ``metadata.json`` and ``round_data.jsonl``.
        value: Name of the result to go by; default the one of the run's objective.
        direction: ``"maximize"`` or ``"minimize"``; default as in the run's objective, else by the name.
        space_filling: As ``noise``, ``objective``, ``name``, ``tag`` and ``note``: see
            :meth:`add_frame`.

    Raises:
        AnalysisError: Not a run directory, no finished run, or no such result.
        SpaceError: A parameter cannot be in a space, such as one called ``seed``.
    """
    finished, about = read_run(folder, value, direction, space_filling)
    options["note"] = "; ".join(filter(None, (options.get("note"), about)))
    return _add(self, finished, **options)


def _add(
    tree: TreeRecord,
    finished: FinishedRuns,
    subject_to: Sequence[str] = (),
    *,
    noise: str | None = None,
    objective: Objective | None = None,
    name: str | None = None,
    tag: str | None = None,
    note: str = "",
) -> Round:
    declared = Declared.checked(noise, None, None)
    called = check_name(name)
    if tag is not None:
        check_tag(tag, tree._context.nodes)
    data = None
    runs, copies = without_copies(finished.runs)
    constraints = _constraints([*finished.subject_to, *subject_to], runs)
    if objective is not None:
        wants_trial(objective)
        called = called or identity.objective_name(objective)
        data = objective_data(objective)
    part = part_of(
        finished._replace(runs=found_out(finished._replace(runs=runs)), subject_to=constraints),
        objective=called,
        data=data,
        note=check_note(note),
    )
    sentences = list(finished.said)
    if copies:
        sentences.append(
            f"{plural(copies, 'run')} of {len(finished.runs):,} {'repeats' if copies == 1 else 'repeat'} "
            "another run with the same results and no other seed or duration, so that each counts once"
        )
    if sentences:
        warn("import: " + "; ".join(sentences))
    context = tree._context
    node = part.node
    existing = context.nodes.get(node.id)
    if existing is not None:
        declared = Declared.nearest([existing.node.declared, declared])
    node = replace(node, declared=declared)
    store = context.store
    context.check_judged(node)
    if part.id not in store.nodes(context.tree):
        with kept([part]) as sound:
            load_rounds(store, context.tree, sound)
    store.set_defaults(context.tree, node)
    if objective is not None:
        context.objectives[node.objective, node.data] = objective
    added = Round._of(context, store.nodes(context.tree)[part.id].node)
    if tag is not None:
        tree.tag(added, tag)
    return added


def _constraints(subject_to: Sequence[str], runs: Sequence[Any]) -> tuple[str, ...]:
    """Metric constraints on metrics that some run has."""
    constraints = metric_constraints(subject_to)
    names = dict.fromkeys([SECONDS, *(name for run in runs for name in run.metrics)])
    for constraint in constraints:
        if constraint.name not in names:
            raise AnalysisError(
                f"metric constraint '{constraint}': no run has a metric {constraint.name!r}; "
                f"{did_you_mean(constraint.name, names)}"
            )
    return tuple(map(str, constraints))


def _metric(text: str) -> Metric:
    judged = Metric.parse(text)
    if judged.reduction == FUNCTION:
        raise AnalysisError(
            f"metric must be the name of a number in the frame or study, got the function {text!r}"
        )
    return judged
