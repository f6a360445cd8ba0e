"""Bringing and taking: finished runs and studies become roots, trees become folders and come back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from refine.errors import AnalysisError, NotFoundError, StoreError, did_you_mean
from refine.review.decision import check_note
from refine.run.identity import check_name, objective_data, objective_name
from refine.run.objective import wants_trial
from refine.run.protocols import Objective
from refine.space.space import Space
from refine.store.engine import check_folder
from refine.store.kept import kept
from refine.store.merge import Merged, merge_into
from refine.store.rows import Part, parts_of
from refine.store.store import Store
from refine.tree.context import Context
from refine.tree.exchange.bundle_files import read_folder, write_index, write_part
from refine.tree.exchange.dataframe import runs_of, without_formulas
from refine.tree.exchange.imported import found_out, part_of
from refine.tree.exchange.readers import READERS
from refine.tree.exchange.runs import Runs, read_source
from refine.tree.round import Round
from refine.trials.goal import ASK, direction_of
from refine.trials.metric import FUNCTION, Metric
from refine.trials.metric_constraint import SECONDS, metric_constraints
from refine.utils.files import made_folder, write_whole
from refine.utils.provided import provided
from refine.utils.warning import warn

if TYPE_CHECKING:
    import optuna
    import pandas as pd


class Exchange:
    """What a tree takes in and gives out; :class:`refine.Tree` is one."""

    _context: Context

    if TYPE_CHECKING:  # what `load` makes one by

        def __init__(self, name: str, store: str | os.PathLike[str]) -> None: ...

    # In.

    def add_frame(
        self,
        frame: pd.DataFrame,
        space: Space | Mapping[str, Any] | None = None,
        *,
        parameters: Sequence[str] | None = None,
        value: str = "value",
        metric: str | None = None,
        direction: str | None = ASK,
        subject_to: Sequence[str] = (),
        space_filling: bool | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        note: str = "",
    ) -> Round:
        """Adds anybody's finished runs as a root, or finds them again: the same rows are the same root.

        It can be analysed, proposed on, decided upon, reported and exported; there is nothing to run. Its children run
        on the objective given here; without one, on the one that the first of them is run with.

        Args:
            frame: One row per run: parameters and metrics; optionally ``state`` (default: complete, or diverged where
                the value is NaN or infinite), ``seconds``, ``seed`` and ``origin``. A missing value of a parameter says
                that the run had none: it counts as not read. Other columns of numbers become metrics, of texts nothing.
            space: What the rows lie in, not necessarily on its levels; default inferred, which the printed round
                shows: see :func:`refine.tree.exchange.dataframe.infer_space`.
            parameters: Without a space, the columns that are parameters; default all but those named above and
                ``value``.
            value: Column of the value.
            metric: How children's objectives call it, such as ``"val_acc"``; default as the column is called.
            direction: As in :meth:`refine.Tree.add_round`.
            subject_to: The same.
            space_filling: True says that the rows were drawn at random or on a grid, False that results chose them: then nothing
                is tested on them, and what is proposed comes of the posterior alone. None finds it out: by what the tool
                noted, else by how even the values are (:func:`refine.analysis.evenness.evenness`); the printed round and every
                analysis say which.
            objective: What the runs were made with, for children to run.
            name: Name of the objective in the round's identity; default its qualified name.
            note: Why, in your words.

        Raises:
            AnalysisError: The frame is malformed.
            SpaceError: A row lies outside the space, or no space can be inferred.

        Examples:
            >>> runs = root.trials[["lr", "dropout", "value"]].rename(columns={"value": "val_acc"})
            >>> old = tree.add_frame(runs, root.space, value="val_acc")
            >>> old.metric, old.n
            ('val_acc', 30)
        """
        if not isinstance(value, str):
            raise AnalysisError(
                f"value must be the name of a column as text, got {value!r}; such as value='acc'"
            )
        judged = _metric(metric or value)
        direction = direction_of(judged.name, direction)
        if space is not None and parameters is not None:
            raise AnalysisError("give the space or the names of the parameters, got both")
        known = space if space is None or isinstance(space, Space) else Space(space)
        inferred, runs = runs_of(frame, known, parameters, value, judged.name, space_filling)
        constraints = _constraints(subject_to, runs)
        return self._add(
            inferred, runs, str(judged), direction, constraints, objective=objective, name=name, note=note
        )

    def add_study(
        self,
        study: optuna.Study | str | Path,
        study_name: str | None = None,
        *,
        value: int | None = None,
        metric: str | None = None,
        subject_to: Sequence[str] = (),
        space_filling: bool | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        note: str = "",
    ) -> Round:
        """Adds an Optuna study as a root, as :meth:`add_frame` does.

        Distributions become the space, intermediate values the curve; a parameter that a trial had not was not read.
        Trials that run or wait are left out, and so are the numbers of steps and all attributes.

        Args:
            study: The study, the URL of its storage, or the path of a journal file.
            study_name: Its name there; not needed where there is one only.
            value: Number of the objective that alone is the value, where the study has several; the others become metrics.
                Without it two or three objectives are the round's goals.
            metric: How children's objectives call it; default the study's name of it, else ``"value"``.
            subject_to: As in :meth:`refine.Tree.add_round`, on what the study's trials have as metrics.
            space_filling: See :meth:`add_frame`. None finds it out.
            objective: See :meth:`add_frame`.
            name: See :meth:`add_frame`.
            note: Why, in your words.

        Raises:
            AnalysisError: It has no ended trial, or more than three objectives and no ``value``.
            SpaceError: A parameter can't be in a space, such as one that is called ``seed``.
            StoreError: The storage can't be opened.
            NotFoundError: It has no such study.
        """
        from refine.tree.exchange.optuna import open_study, read_study

        if metric is not None:
            _metric(metric)
        found = read_study(open_study(study, study_name), value, metric, space_filling)
        constraints = _constraints(subject_to, found.runs)
        given = found.space, found.runs, found.metric, found.direction, constraints, found.goals
        return self._add(*given, objective=objective, name=name, note=note)

    @staticmethod
    def read_runs(
        source: str | os.PathLike[str] | pd.DataFrame,
        kind: str,
        *,
        experiment: str | None = None,
        space: Space | Mapping[str, Any] | None = None,
        parameters: Sequence[str] | None = None,
        value: str | None = None,
    ) -> Runs:
        """Reads the runs of another tool and adds nothing; printed, it says what :meth:`add_runs` would add.

        ``"mlflow"`` reads the table of ``mlflow.search_runs``, its CSV file, or the URL of a tracking server or store; ``"wandb"``
        the CSV file of a project's table of runs, or the ``config`` and ``summary`` of its API's runs as a table, JSON or CSV;
        ``"tensorboard"`` a folder with events of the HParams plugin; ``"kerastuner"`` a project's folder; ``"raytune"`` an
        experiment's folder, or the table of ``ResultGrid.get_dataframe``. Files are read, and nothing in them is run.

        Args:
            source: Table, file, folder or URL.
            kind: Whose runs they are, one of those.
            experiment: Name of MLflow's experiment, where there are several.
            space: What the runs lie in; default the tool's own space, else what is inferred, as :meth:`add_frame` does.
            parameters: Which settings are parameters; default all that are not plainly something else, such as names and addresses.
            value: Which result is the value.

        Raises:
            AnalysisError: The kind is unknown, the source is not of this kind, or a package is missing that reads it.
            SpaceError: A parameter that no run has or that a space can't have, or a run outside the space.
            StoreError: The server can't be read.
            NotFoundError: It has no such store or experiment.
        """
        return read_source(source, kind, experiment, space, parameters, value)

    def add_runs(
        self,
        source: Runs | str | os.PathLike[str] | pd.DataFrame,
        kind: str | None = None,
        *,
        experiment: str | None = None,
        space: Space | Mapping[str, Any] | None = None,
        parameters: Sequence[str] | None = None,
        value: str | None = None,
        metric: str | None = None,
        direction: str | None = ASK,
        subject_to: Sequence[str] = (),
        space_filling: bool | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        note: str = "",
    ) -> Round:
        """Adds the runs of another tool as a root, as :meth:`add_frame` does; the same runs are the same root.

        Ended and failed runs are added; those that run or wait are left out, with a warning that counts them.

        Args:
            source: What :meth:`read_runs` gave, or what it reads.
            kind: See :meth:`read_runs`.
            experiment: See :meth:`read_runs`.
            space: See :meth:`read_runs`.
            parameters: See :meth:`read_runs`.
            value: Which result is the value; not needed where there is one only, or where the tool says so.
            metric: How children's objectives call it; default as the result is called.
            direction: As in :meth:`refine.Tree.add_round`; default the tool's, where it has one.
            subject_to: As in :meth:`refine.Tree.add_round`, on results of the runs.
            space_filling: See :meth:`add_frame`.
            objective: See :meth:`add_frame`.
            name: See :meth:`add_frame`.
            note: Why, in your words.

        Raises:
            AnalysisError: As :meth:`read_runs`; or one of several results must be named, or a direction be given.
            SpaceError: As :meth:`read_runs`.
            StoreError: As :meth:`read_runs`.
            NotFoundError: As :meth:`read_runs`.

        Warns:
            RefineWarning: Runs were left out of a source that was not read before by :meth:`read_runs`.
        """
        if isinstance(source, Runs):
            reading = {"kind": kind, "experiment": experiment, "space": space, "parameters": parameters}
            if given := [n for n, v in reading.items() if v is not None]:
                raise AnalysisError(
                    f"{given[0]} is for reading, and these runs are read already; give it to read_runs"
                )
            runs = source
        else:
            if kind is None:
                raise AnalysisError(f"kind says whose runs they are: {', '.join(READERS)}; give one")
            runs = read_source(source, kind, experiment, space, parameters, value)
        runs = runs.judged_by(
            metric if value is None and runs.value is None and metric in runs.results else value
        )
        if runs.left_out and not isinstance(source, Runs):
            counts = ", ".join(f"{count} {why}" for why, count in runs.left_out.items())
            warn(
                f"{runs.source}: {sum(runs.left_out.values())} of its runs are left out: {counts}; "
                f"tree.read_runs(..., {runs.kind!r}) shows all that is read"
            )
        value = str(runs.value)
        judged = _metric(metric or value)
        direction = direction_of(
            judged.name, runs.direction if direction == ASK and runs.direction else direction
        )
        space, rows = runs_of(runs.frame, runs.space, None, value, judged.name, space_filling)
        rows = runs.with_records(rows, judged.name)
        constraints = _constraints(subject_to, rows)
        return self._add(
            space, rows, str(judged), direction, constraints, objective=objective, name=name, note=note
        )

    def _add(
        self,
        space: Space,
        runs: Sequence[Any],
        metric: str,
        direction: str,
        subject_to: tuple[str, ...] = (),
        goals: Sequence[tuple[str, str]] = (),
        *,
        objective: Objective | None,
        name: str | None,
        note: str,
    ) -> Round:
        data, name = None, check_name(name)
        runs = found_out(space, runs, Metric.parse(metric).name, direction)
        if objective is not None:
            wants_trial(objective)
            name, data = name or objective_name(objective), objective_data(objective)
        part = part_of(
            space,
            runs,
            metric=metric,
            direction=direction,
            subject_to=subject_to,
            goals=goals,
            objective=name,
            data=data,
            note=check_note(note),
        )
        store, tree = self._context.store, self._context.tree
        self._context.check_judged(part.node)
        if part.id not in store.nodes(tree):
            with kept([part]) as sound:
                merge_into(store, tree, sound)
        node = part.node
        store.set_defaults(tree, node)
        if objective is not None:
            self._context.objectives[node.objective, node.data] = objective
        return Round(self._context, store.nodes(tree)[part.id].node, node.metric, direction)

    # Out, and back.

    def export(self, folder: str | os.PathLike[str], *, safe_csv: bool = False, reports: bool = True) -> Path:
        """Writes every round as plain text for git; exporting twice changes no byte.

        ``tree.json`` names the rounds. A round's folder holds ``node.json`` (what it is, what was decided),
        ``trials.csv`` (its table), ``trial.jsonl`` and others (everything, one JSON line per row), and its report.

        Args:
            folder: Created if need be.
            safe_csv: Whether texts in ``trials.csv`` that a spreadsheet would take for a formula, such as ``=1+1``, get
                an apostrophe in front. Without it the table says exactly what was stored. :meth:`load` reads another
                file either way.
            reports: Whether each round's report is written beside its data. It analyses the round, which takes memory in
                proportion to its trials; everything else is written some thousand trials at a time.

        Returns:
            The folder.

        Raises:
            StoreError: A file stands in the way, or a link, which would lead out of the folder; or the folder can't be
                written. Files that are there already are replaced whole or stay as they were.

        Examples:
            >>> folder = tree.export("study", reports=False)
            >>> [round.n for round in refine.Tree.load(folder, store="copy.db").rounds]
            [30]
        """
        target = check_folder(folder)
        rounds = []
        for part in parts_of(self._context.store, self._context.tree):
            home = write_part(target, part)
            node = part.node
            found = Round(self._context, node, node.metric, node.direction)
            write_whole(home / "trials.csv", _csv(found, safe_csv))
            if reports:
                provided("round.report")(found, home, None, False, False, by_id=True)
            rounds.append(part.id)
        made_folder(target)
        write_index(target, self._context.name, rounds)
        return target

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        store: str | os.PathLike[str] = "sqlite:///refine.db",
        name: str | None = None,
    ) -> Self:
        """Reads an exported tree into a store: equal values, all of them. Executes nothing of what it reads.

        Loading again changes nothing. Where the store's tree of that name has something else, nothing is written.

        Args:
            folder: What :meth:`export` wrote.
            store: URL of the store, or path of a SQLite file.
            name: Name of the tree; default as it was called.

        Returns:
            The tree, opened.

        Raises:
            StoreError: The folder is damaged, of a newer refine, or differs from the tree that is there.
        """
        found = read_folder(Path(folder))
        title = found.name if name is None else name
        with kept(found.parts) as parts:  # all of it is sound before there is a tree
            new = _is_new(store, title)
            tree = cls(title, store)
            try:
                strict = (
                    ""
                    if new
                    else (
                        f"load: tree {title!r} is in the store already and must hold nothing else than the folder; give it "
                        "another name, or merge it in Python: tree.merge(folder)"
                    )
                )
                merge_into(tree._context.store, tree._context.tree, parts, strict)
            except BaseException:
                tree._context.store.close()
                raise
        return tree

    def merge(self, other: Exchange | str | os.PathLike[str], *, dry_run: bool = False) -> Merged:
        """Adds what another tree, or an exported folder, has and this one lacks.

        A trial that both have run with unequal outcomes keeps all of them as attempts; the last one with a value
        counts, whichever way trees are merged. Where anything else differs, what this tree has is kept. Both are
        reported. Merging again adds nothing.

        Args:
            other: A tree, in any store, or a folder that :meth:`export` wrote.
            dry_run: Whether nothing is written: what would come of it is told.

        Returns:
            What came of it; prints itself.

        Raises:
            StoreError: The folder is damaged or of a newer refine; nothing is written then.
            RoundBusyError: A round that both have is being run.
        """
        parts: Iterator[Part]
        if isinstance(other, Exchange):
            parts = parts_of(other._context.store, other._context.tree)
        elif isinstance(other, str | os.PathLike):
            parts = read_folder(Path(other)).parts
        else:
            raise StoreError(f"merge takes a tree or an exported folder, got {type(other).__name__}")
        with kept(parts) as sound:
            return merge_into(self._context.store, self._context.tree, sound, dry_run=dry_run)


def _csv(found: Round, safe: bool) -> Iterator[str]:
    """The table of a round's trials as it is written, some thousand rows at a time."""
    head = True
    for table in found._tables():
        shown = without_formulas(table) if safe else table
        yield shown.to_csv(index=False, header=head, lineterminator="\n")
        head = False
    if head:  # no trial has ended
        yield found.trials.to_csv(index=False, lineterminator="\n")


def _constraints(subject_to: Sequence[str], runs: Sequence[Any]) -> tuple[str, ...]:
    """Metric constraints on metrics that some run has."""
    found = metric_constraints(subject_to)
    names = dict.fromkeys([SECONDS, *(name for run in runs for name in run.metrics)])
    for constraint in found:
        if constraint.name not in names:
            raise AnalysisError(
                f"metric constraint '{constraint}': no run has a metric {constraint.name!r}; "
                f"{did_you_mean(constraint.name, names)}"
            )
    return tuple(map(str, found))


def _metric(text: str) -> Metric:
    found = Metric.parse(text)
    if found.reduction == FUNCTION:
        raise AnalysisError(
            f"metric must be the name of a number in the frame or study, got the function {text!r}"
        )
    return found


def _is_new(store: str | os.PathLike[str], name: str) -> bool:
    """Whether a store has no tree of that name yet, or an empty one."""
    database = Store(store)
    try:
        return not database.nodes(database.tree(name, create=False))
    except NotFoundError:
        return True
    finally:
        database.close()
