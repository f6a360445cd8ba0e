"""Importers: finished runs, Optuna studies, scikit-learn searches and Talos runs as roots of a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
from refine.tree.exchange.dataframe import part_of, read_table, runs_of
from refine.tree.exchange.optuna import open_study
from refine.tree.exchange.talos import read_run
from refine.tree.names import check_tag
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.trials.declared import Declared
from refine.trials.goal import ASK, Goal, direction_of, goals_of
from refine.trials.metric import FUNCTION, Metric
from refine.trials.metric_constraint import SECONDS, metric_constraints
from refine.utils.format import plural
from refine.utils.warning import warn

if TYPE_CHECKING:
    import optuna
    from narwhals.stable.v2.typing import IntoFrame


TABLE = "a table"
STUDY = "an Optuna study"
SEARCH = "a search of scikit-learn"
TALOS = "a run of Talos"
# Kind of runs -> the arguments that only other kinds take.
_FOREIGN = {
    TABLE: ("study_name",),
    STUDY: ("space", "parameters", "direction"),
    SEARCH: ("space", "parameters", "value", "direction", "study_name", "subject_to", "space_filling"),
    TALOS: ("space", "parameters", "metric", "study_name", "subject_to"),
}
_TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
# First bytes of a journal file of Optuna, and of a database, of which Optuna takes the URL.
_JOURNAL = b'{"op_code"'
_SQLITE = b"SQLite format 3"


def add_runs(
    self: TreeRecord,
    runs: IntoFrame | optuna.Study | str | Path | object,
    space: Space | Mapping[str, object] | None = None,
    *,
    parameters: Sequence[str] | None = None,
    value: str | int | None = None,
    metric: str | Goal | None = None,
    direction: str | None = ASK,
    study_name: str | None = None,
    space_filling: bool | None = None,
    objective: Objective | None = None,
    name: str | None = None,
    tag: str | None = None,
    note: str = "",
) -> Round:
    """A root round of finished runs: a table, an Optuna study, a search of scikit-learn or a run of Talos.

    The root can be analysed, proposed on, decided upon, reported and exported, but not run. Its children run
    the objective given here, or else the objective of the first run. Copied runs count once. A warning says
    which columns, runs and cells were left out or corrected.

    - **A table** has one row per run. Columns are parameters and metrics, and optionally ``state``,
      ``seconds``, ``seed``, ``origin`` and ``error``. A column ``State`` or ``status`` with the words of a
      tracker, such as ``finished``, counts as ``state``; without states, rows are complete, or diverged if
      the value is NaN or infinite. A missing value of a parameter means that the run did not use the
      parameter. Further columns of numbers become metrics.
    - **An Optuna study**: distributions become the space, intermediate values the curve, constraints metric
      constraints: ``constraint_0 <= 0``, or ``constraint_latency <= 0`` for
      ``trial.set_constraint("latency", ...)``. Objectives of children return such a metric too. Two or three
      objectives are goals. Unfinished trials, numbers of steps and user attributes are left out.
    - **A search of scikit-learn**: the value is the mean test score; scores by split show the noise, and
      other scorers become metrics. Grid, random and halving searches count as even samples, other searches
      with ``cv_results_`` as chosen by results. Lists and scipy's ``uniform``, ``loguniform`` and ``randint``
      become the space. The value of a halving search is the score at the last iteration that ten
      configurations reached, such as ``"score at n_samples=54"``; the others are pruned.
    - **A run of Talos**: the dictionary of the run becomes the space, histories become curves, and the note
      names the run and its data. Runs steered by an intervention, a reducer or an adaptive strategy count as
      chosen by results.

    Args:
        runs: A table of pandas, polars, Arrow or another library known to narwhals; a CSV, TSV, Parquet or
            JSON-lines file; an Optuna study, the URL of its storage or its journal file; a fitted search with
            ``cv_results_``; or the directory of a run of Talos 2.
        space: The space of the rows of a table; default inferred: see
            :func:`refine.analysis.finished_runs.infer_space`. If one parameter decides the use of another,
            the inferred space has that condition.
        parameters: Columns of the parameters of a table without a space; default all columns but the value,
            names of runs, and known names of results and times.
        value: Column of the value of a table, default the metric, else ``"value"``; the number of the
            objective that alone is the value of an Optuna study; the result of a run of Talos, default the
            one of its objective.
        metric: Name of the value in the results of the children's objectives, such as ``"val_acc"``; default
            the name in the runs. The scorer of the value of a search, if there are several. Or a
            :class:`refine.Goal`, with constraints on metrics of the runs and other declarations.
        direction: As in :meth:`refine.Tree.add_round`; of a table or a run of Talos.
        study_name: Name of the Optuna study; required if the storage holds several.
        space_filling: True for runs drawn at random or on a grid, False for runs chosen by results, which
            enter no test. None decides by the notes of the tool, else by the evenness of the values
            (:func:`refine.analysis.evenness.evenness`); the printed round shows the decision.
        objective: The objective of the runs, for children.
        name: Name of the objective in the identity of the round; default its qualified name.
        tag: Name of the round, as :meth:`refine.Tree.tag` gives one.
        note: Reason, in your words.

    Raises:
        AnalysisError: The runs are malformed, none has ended, or an argument does not go with such runs.
        SpaceError: A run lies outside the space, or no space can be inferred.
        StoreError: The storage of a study cannot be opened.
        NotFoundError: There is no such file, or the storage holds no such study.

    Examples:
        >>> table = root.trials[["lr", "dropout", "value"]].rename(columns={"value": "val_acc"})
        >>> old = tree.add_runs(table, root.space, value="val_acc")
        >>> old.n
        30
    """
    kind = kind_of(runs)
    goal = None
    if isinstance(metric, Goal):
        (goal,) = goals_of(metric, direction)
        metric = str(goal.metric)
        if kind in (TABLE, TALOS):
            direction = goal.direction
        if kind == TALOS:
            value = value or metric
            metric = None
    given = {
        "space": space is not None,
        "parameters": parameters is not None,
        "value": value is not None,
        "direction": direction not in (ASK, None),
        "study_name": study_name is not None,
        "metric": metric is not None,
        "subject_to": goal is not None and bool(goal.metric.subject_to),
        "space_filling": space_filling is not None,
    }
    for argument in _FOREIGN[kind]:
        if given[argument]:
            raise AnalysisError(f"{argument}= does not go with {kind}; leave it out")
    if kind == TABLE:
        finished = _table(runs, _Table(space, parameters, value, metric, direction, space_filling))
    elif kind == STUDY:
        finished = _study(runs, study_name, value, metric, space_filling)
    elif kind == SEARCH:
        finished = read_search(runs, metric)
    else:
        if isinstance(value, int):
            raise AnalysisError(
                f"value must be the name of a result, got {value!r}; for example value='val_acc'"
            )
        source = None if direction == ASK else direction
        finished, about = read_run(runs, value, source, space_filling)  # type: ignore[arg-type]
        note = "; ".join(filter(None, (note, about)))
    if goal is not None and goal.direction != finished.direction:
        raise AnalysisError(
            f"direction={goal.direction!r}: {kind} has its own, {finished.direction!r}; leave it out"
        )
    return _add(self, finished, goal, objective=objective, name=name, tag=tag, note=note)


def kind_of(runs: object) -> str:
    """The kind of runs: :data:`TABLE`, :data:`STUDY`, :data:`SEARCH` or :data:`TALOS`."""
    if isinstance(runs, str | Path):
        if "://" in str(runs):
            return STUDY
        return _kind_of_path(Path(runs))
    if hasattr(runs, "cv_results_") or (hasattr(runs, "fit") and hasattr(runs, "refit")):
        return SEARCH
    if type(runs).__module__.partition(".")[0] == "optuna":
        return STUDY
    return TABLE


def read_runs(source: str) -> Any:
    """The source of runs after a look at it: a table is read, a run of Talos and a journal are checked.

    Raises:
        AnalysisError: There is no such file or run, or it cannot be read.
    """
    kind = kind_of(source)
    if kind == TABLE:
        return read_table(source)
    if kind == TALOS:
        read_run(source)
    return source


def _kind_of_path(path: Path) -> str:
    """The kind of runs in a file or a folder, by its name and its first bytes."""
    if path.suffix.lower() in _TABLES:
        return TABLE
    try:
        if path.is_dir():
            return TALOS
        if not path.is_file():  # a pipe can be read only once
            return STUDY
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError:
        return TABLE
    return STUDY if start.startswith((_JOURNAL, _SQLITE)) or path.suffix == ".log" else TABLE


class _Table(NamedTuple):
    """How to read a table: see :func:`add_runs`."""

    space: Space | Mapping[str, object] | None
    parameters: Sequence[str] | None
    value: object
    metric: str | None
    direction: str | None
    space_filling: bool | None


def _table(table: object, reading: _Table) -> FinishedRuns:
    """The runs of a table or of its file."""
    value = reading.value
    if value is not None and not isinstance(value, str):
        raise AnalysisError(f"value must be the name of a column, got {value!r}; for example value='acc'")
    judged = _metric(reading.metric or value or "value")
    direction = direction_of(judged.name, reading.direction)
    if reading.space is not None and reading.parameters is not None:
        raise AnalysisError("give the space or the names of the parameters, got both")
    searched = None
    if reading.space is not None:
        searched = space_of(reading.space)
    frame: Any = table
    if isinstance(table, str | Path):
        frame = read_table(table)
    column = value or judged.name
    content = runs_of(
        frame, searched, reading.parameters, column, judged.name, space_filling=reading.space_filling
    )
    return FinishedRuns(content.space, content.runs, str(judged), direction, said=tuple(content.notes))


def _study(
    study: object, study_name: str | None, value: object, metric: str | None, space_filling: bool | None
) -> FinishedRuns:
    """The trials of an Optuna study."""
    if value is not None and not isinstance(value, int):
        raise AnalysisError(f"value must be the number of an objective, got {value!r}; for example value=0")
    if metric is not None:
        _metric(metric)
    return read_study(open_study(study, study_name), value, metric, space_filling)  # type: ignore[arg-type]


def _add(
    tree: TreeRecord,
    finished: FinishedRuns,
    goal: Goal | None,
    *,
    objective: Objective | None = None,
    name: str | None = None,
    tag: str | None = None,
    note: str = "",
) -> Round:
    called = check_name(name)
    if tag is not None:
        check_tag(tag, tree._context.nodes)
    data = None
    runs, copies = without_copies(finished.runs)
    subject_to = list(finished.subject_to)
    if goal is not None:
        subject_to += map(str, goal.metric.subject_to)
    constraints = _constraints(subject_to, runs)
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
        node = replace(node, declared=existing.node.declared, epsilon=existing.node.epsilon)
    if goal is not None:
        node = replace(
            node,
            declared=Declared.nearest([node.declared, goal.declared]),
            allow_degenerate=goal.allow_degenerate,
        )
        if goal.epsilon is not None:
            node = replace(node, epsilon=goal.epsilon)
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
