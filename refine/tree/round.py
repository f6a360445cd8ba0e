"""The round: a node of the tree that can be run, analysed and decided upon."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from refine.analysis.analysis import Analysis
from refine.analysis.optimism import Optimism
from refine.analysis.winner import Winner
from refine.design.samplers import design_of, how_many_asked
from refine.design.space_filling import design_named, how_many
from refine.errors import AnalysisError, ReviewError
from refine.proposal.allocation import Shares, check_shares
from refine.proposal.proposal import Proposal, check_epsilon, check_risk, propose
from refine.review.checklist import Checks, checks_of
from refine.review.checks import Known
from refine.review.decision import Decision, check_author, check_note
from refine.review.next_step import advised_size
from refine.review.rehearsal import Rehearsal, check_plan
from refine.review.review import Review
from refine.review.worth import Worth, worth_of
from refine.run.best_model import best_model
from refine.run.holdout import HoldoutResult, Visit, branch_of, holdout_result_of, open_holdout
from refine.run.hooks import Hooks, Tracker, TrialHook, callables, trackers_of
from refine.run.options import ResourceKeywords, Resources, RunKeywords, RunOptions, check_flag
from refine.run.pool import workers_kept
from refine.run.protocols import Objective
from refine.run.replay import Replay, replay
from refine.run.replicates import check_times, measure_noise, run_replicates
from refine.run.runner import planned_cells, run_round
from refine.run.signals import GRACE
from refine.run.steering import Steered, check_place, check_pruner
from refine.space.belief import Belief, belief_of
from refine.space.encoding import decode, thaw
from refine.space.given import given_configuration, given_configurations
from refine.space.roles import roles_of, scientific_of
from refine.space.space import Space, encode_configuration
from refine.store.engine import check_folder
from refine.store.reader import Reader
from refine.tree.apply import How, add_child, check_previous, loss, mistyped, off_grid
from refine.tree.context import Context
from refine.tree.lineage import analysis_of, said_on, seen_earlier
from refine.tree.marks import mark_trials, marks_frame
from refine.tree.names import paths_of
from refine.tree.reading import read_curves, read_optimism
from refine.tree.winner import ranked_keys, winner_of
from refine.trials.frame import Records, best_first, best_row, front_rows, table, tables
from refine.trials.goal import Goal, check_direction
from refine.trials.metric import Metric, Score
from refine.trials.metric_constraint import metric_constraints
from refine.trials.replicates import replicate_table
from refine.trials.round_record import Node, StoredDecision, StoredNode, path_to
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.keywords import helped_methods
from refine.utils.plain import plain
from refine.utils.provided import provided
from refine.utils.warning import warn

if TYPE_CHECKING:
    import optuna
    import pandas as pd


LARGE = 50_000
"""More trials than a look at a round reads: its best one is looked for by value alone, and damage is left to
:meth:`refine.Tree.damage`."""


RoundHook = Callable[["Round"], object]


@helped_methods
@dataclass(eq=False, repr=False)
class Round(Shown):
    """A node of the refinement tree that can be run.

    Made by :meth:`Tree.add_round`, :meth:`Review.accept` and :meth:`branch`; never by hand. In examples ``root`` is the one that
    :class:`Tree`'s makes.

    Attributes:
        context: Its store and tree, and what was given in this process.
        node: Its frozen content.
        metric: Which metric is its value.
        direction: ``"maximize"`` or ``"minimize"``.

    Examples:
        >>> len(root.trials), root.metric, root.direction, root.space["lr"].high
        (30, 'value', 'maximize', 5.0)
    """

    context: Context
    node: Node
    metric: str
    direction: str

    # What it is.

    @property
    def id(self) -> str:
        """The short node id."""
        return self.node.id

    @property
    def objective(self) -> Objective | None:
        """What it calls; ``None`` after reopening, until one is given to :meth:`run`."""
        return self.context.objectives.get((self.node.objective, self.node.data))

    @property
    def space(self) -> Space:
        """What is searched."""
        return self.node.space

    @property
    def roles(self) -> dict[str, str]:
        """The role of every parameter: ``"scientific"``, ``"nuisance"`` or ``"fixed"``; see :meth:`Round.set_roles`."""
        return roles_of(self.space, self._stored.node.scientific)

    @property
    def epsilon(self) -> float | None:
        """The loss of the metric that counts as none, where somebody said it; see :meth:`set_epsilon`."""
        return self._stored.node.epsilon

    @property
    def belief(self) -> Belief | None:
        """What is believed about where the best value lies, said here or on a round that this one came from."""
        said = said_on(self.path)
        return None if said is None else said.belief

    @property
    def n(self) -> int:
        """How many configurations are planned."""
        return self._stored.n

    @property
    def parent(self) -> Round | None:
        """The round this one came from."""
        return None if self.node.parent is None else self._other(self.node.parent)

    @property
    def children(self) -> tuple[Round, ...]:
        """The rounds that came from this one, oldest first."""
        nodes = self.context.nodes
        return tuple(self._other(i) for i, s in nodes.items() if s.node.parent == self.id)

    @property
    def path(self) -> tuple[Node, ...]:
        """Nodes from the root to this one."""
        return path_to(self.node, self.context.nodes)

    @property
    def _metric(self) -> Metric:
        return self._subject(Metric.parse(self.metric, self.context.scores))

    def _subject(self, metric: Metric) -> Metric:
        """The round's metric under its constraints; another one, to look at, is under none."""
        if str(metric) != self.metric:
            return metric
        return metric._replace(subject_to=metric_constraints(self.node.subject_to))

    @property
    def _stored(self) -> StoredNode:
        return self.context.nodes[self.id]

    @property
    def _judged_by(self) -> tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]:
        """What has to be the same of two rounds for their values to be compared."""
        return self.metric, self.direction, self.node.subject_to, self.node.goals

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All its goals, :attr:`goal` first."""
        constraints, free = self.goal.metric.subject_to, self.node.allow_degenerate
        further = (
            Goal(Metric.parse(metric)._replace(subject_to=constraints), direction, free)
            for metric, direction in self.node.goals
        )
        return (self.goal, *further)

    @property
    def front(self) -> pd.DataFrame:
        """The trials that no other one beats: none is at least as good in every goal and better in one.

        Rows of :attr:`trials`, with a column per goal in place of ``value``, the best in the first goal first. Of a round with
        one goal it is the best observed trial, and those that are equal to it. Empty before the first trial has finished.
        """
        records = self.context.reader.records([self._stored.pk], curves=self._metric.curves)
        return front_rows(table(self.space, records, self._metric), self.goals, self.space)

    @property
    def goal(self) -> Goal:
        """What its trials are judged by."""
        return Goal(self._metric, self.direction, self.node.allow_degenerate)

    @property
    def _judged(self) -> tuple[Reader, int, Space, Goal]:
        """Where its trials are read, and what they are judged by."""
        return self.context.reader, self._stored.pk, self.space, self.goal

    def _at_once(self) -> Round:
        """This round as one operation looks at it: whatever is read of it and of its ancestors is read once."""
        return replace(self, context=self.context.at_once(self.node))

    def _other(self, node_id: str) -> Round:
        node = self.context.nodes[node_id].node
        if node.steered or self.node.steered:  # what steered a round is part of it, and of no other
            return Round(self.context, node, node.metric, node.direction)
        return Round(self.context, node, self.metric, self.direction)

    def cells(self, n: int | None = None) -> list[int]:
        """Numbers of the first ``n`` cells of the design; default all that are planned evenly.

        Raises:
            DesignError: More than exist.
        """
        return planned_cells(self.context.reader, self._stored, n)

    # Running it.

    def run(
        self,
        workers: int = 1,
        *,
        n: int | None = None,
        executor: Executor | None = None,
        threads: int = 1,
        progress: bool = True,
        rerun: str | Collection[str] | None = None,
        timeout: float | None = None,
        memory: int | str | None = None,
        grace: float = GRACE,
        gpus: int | Sequence[int | str] | None = None,
        hours: float | None = None,
        until: datetime | str | None = None,
        trials: int | None = None,
        check_noise: bool = True,
        on_trial: TrialHook | Sequence[TrialHook] | None = None,
        on_round: RoundHook | Sequence[RoundHook] | None = None,
        track: Tracker | Sequence[Tracker] | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        metric: Score | None = None,
        design: Any = None,
        pruner: Any = None,
    ) -> Round:
        """Runs what is left of the round; a script that is run again goes on where it was.

        Every finished trial is in the store at once. An exception of the objective becomes a ``failed`` trial,
        NaN or infinity a ``diverged`` one. With subprocesses, one that dies is replaced; the trial that it ran is
        tried once more, alone, and is ``crashed`` if its process dies again.

        Ctrl-C once hands out nothing new and ends when what runs has ended and is stored; twice stops at once. SIGTERM
        and SIGHUP do the same, and what still runs ``grace`` seconds later is stopped.

        Args:
            workers: 1 runs in this process, more on a local cluster of subprocesses.
            n: Extends the round to so many configurations.
            executor: A ``concurrent.futures`` executor to run on instead; ``workers`` says how many at a time.
            threads: Threads per trial; one by default, whatever the number of workers, or floats differ.
            progress: Whether to show a progress bar.
            rerun: A state, such as ``"failed"``, or several, such as ``["crashed", "timeout"]``: trials that ended so
                are run again.
            timeout: Seconds that a trial may run, counted from its start in its worker; then its worker is killed
                and the trial is a ``timeout``. One worker is then a subprocess as well.
            memory: Resident memory that a worker may hold, in bytes or as ``"2GB"``; then it is killed, and the
                trial is tried once more in a fresh one before it is ``crashed``. Looked at ten times a second. One
                worker is then a subprocess as well.
            grace: Seconds that trials may still run after SIGTERM or SIGHUP; less than Slurm, Kubernetes (both 30) or
                ``docker stop`` (10) wait before they kill.
            gpus: GPUs that workers get in turn, one each: how many of those that are visible, or which; 0 hides all. More
                workers than GPUs share them. One worker is then a subprocess as well.
            hours: Ends in order after so many hours: what runs by then comes to its end, and nothing new begins.
            until: Ends in order at a time, a ``datetime`` or one in ISO form; without a time zone it is local.
            trials: Ends in order after so many trials of this call; run again, it goes on.
            check_noise: Whether the best of ten or more configurations runs once more when the plan has ended, under a new seed:
                where its value is the same to the last bit, there is no noise. It goes to :attr:`replicates`, and does not run
                where earlier runs tell, or with ``trials``.
            on_trial: Called in this process with every :class:`refine.trials.trial.FinishedTrial` once it was handed
                to the store; a function, or several. Exceptions in it harm nothing: they are warned of and logged.
            on_round: Called with this round when the call ends, whatever ends it; likewise.
            track: A tracker, such as :class:`refine.report.trackers.MLflow`, or several, to which ended trials are sent.
            objective: What to call, for a round that was reopened from the store.
            name: The name that the round was added with, where one was given.
            metric: Its metric, for a round that was reopened and whose metric is a function.
            design: Its sampler, for a round that was reopened and whose design is an object of Optuna.
            pruner: Its pruner, likewise. Another than the round's own is refused: what stops trials is given where
                the round is made.

        Returns:
            This round.

        Raises:
            ObjectiveError: No objective, one of another name, or one that can't be called.
            DesignError: An option out of range, ``timeout`` or ``memory`` with an executor, or an imported round, which
                has nothing to run.
            RoundStoppedError: The first trials all failed in the same way, or an executor or all workers broke.
            RoundBusyError: Another process is running this round.
            StoreError: The disk is full, or the store locked; what had finished is stored.
            KeyboardInterrupt: Ctrl-C was pressed, or SIGTERM or SIGHUP came; run again to go on.

        Examples:
            >>> root.run(n=40, workers=1, progress=False).trials["state"].value_counts().to_dict()
            {'complete': 40}
        """
        check_flag("check_noise", check_noise)
        if not self.node.adaptive:
            design_named(self.node.method)
        trackers = trackers_of(track)
        options = RunOptions(
            workers=workers,
            executor=executor,
            threads=threads,
            progress=progress,
            rerun=rerun,
            timeout=timeout,
            memory=memory,
            grace=grace,
            gpus=gpus,
            hours=hours,
            until=until,
            trials=trials,
            on_trial=[*callables(on_trial, "on_trial"), *(t.trial for t in trackers)],
        )
        ended = Hooks([*callables(on_round, "on_round"), *(t.end for t in trackers)], "on_round")
        context, node = self.context, self.node
        chosen = context.objective_of(node, objective, name)
        context.know_score(self.id, self.metric, metric)
        context.know_tools(node, design, pruner)
        check_place(node, chosen, options)
        if n is not None:
            pk = self._stored.pk
            beside = [(b.origin, b.configuration) for b in context.store.beside(pk) if b.origin == "given"]
            taken = len(context.store.inherited(pk)) - off_grid(self.space, beside)
            sized = how_many_asked if node.adaptive else how_many
            context.store.add_node(context.tree, node, sized(self.space, n, None, taken))
        path = context.path(node)

        def steer(records: Records) -> Steered:
            return Steered(context.store, path, self._metric, context.tools, records, options.again)

        Hooks([t.start for t in trackers], "track").call(self)
        try:
            with workers_kept():
                run_round(
                    context.store, path[-1], chosen, self.goal, options, steer=steer if node.steered else None
                )
                if check_noise and trials is None:
                    measure_noise(context.store, path, chosen, self.goal, options)
        finally:
            ended.call(self)
        return self

    def replicate(
        self,
        top: int = 5,
        seeds: int = 3,
        *,
        objective: Objective | None = None,
        name: str | None = None,
        **options: Unpack[RunKeywords],
    ) -> Round:
        """Runs the best configurations again under new seeds; again, it runs what is missing.

        They go to :attr:`replicates`, measure the noise, and say how much of the best is chance: :meth:`optimism`.
        They are in no table of trials and no test.

        Args:
            top: How many configurations, by the value of their planned run.
            seeds: How many runs of each. The noise needs 5 more runs than configurations.
            objective: As in :meth:`run`.
            name: As in :meth:`run`.
            options: ``workers``, ``executor``, ``threads``, ``progress``, ``rerun``, ``timeout``, ``memory``, ``grace``: as in
                :meth:`run`.

        Raises:
            AnalysisError: No trial has finished that may be called best.
            DesignError: ``top`` or ``seeds`` is no whole number >= 1.

        Examples:
            >>> root.replicate(top=2, seeds=2, progress=False).replicates[["lr", "replicate", "value"]]
                lr  replicate   value
            0  1.5          1  0.9998
            1  1.0          1  0.9968
            2  1.5          2  0.9998
            3  1.0          2  0.9968
        """
        chosen = self.context.objective_of(self.node, objective, name)
        place = self.context.store, self._stored, chosen, self.goal
        run_replicates(*place, top, seeds, RunOptions(**options))
        return self

    def open_holdout(
        self,
        top: int = 1,
        seeds: int = 3,
        *,
        note: str = "",
        author: str | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        **resources: Unpack[ResourceKeywords],
    ) -> HoldoutResult:
        """Trains the best configurations again under new seeds and measures them on rows that no round has seen.

        Who opens is logged before anything is seen. The same opening again goes on where it was, or gives what it gave.

        Args:
            top: How many configurations: those that :meth:`recommend` ranks first.
            seeds: How many models of each.
            note: Why, in your words.
            author: Who opens; default the user name.
            objective: As in :meth:`run`.
            name: As in :meth:`run`.
            resources: ``workers``, ``executor``, ``threads``, ``timeout``, ``memory``, ``grace``: as in :meth:`run`.

        Raises:
            ObjectiveError: The objective has no hold-out.

        Warns:
            UserWarning: It was opened before on this branch, and what that costs.
        """
        check_times(top, seeds)
        who = Visit(check_note(note), check_author(author))

        def choose() -> list[str]:
            return ranked_keys(self.context.store, self._at_once()._judged_alike, self.id)[:top]

        return self._open_holdout(choose, seeds, who, (objective, name), Resources(**resources))

    def _open_holdout(
        self,
        choose: Callable[[], Sequence[str]],
        seeds: int,
        who: Visit,
        objective: tuple[Objective | None, str | None],
        options: Resources,
    ) -> HoldoutResult:
        """Opens the hold-out for the configurations whose hashes ``choose`` gives, once nobody else runs the round."""
        chosen = self.context.objective_of(self.node, *objective)
        branch = branch_of(self.node, self.context.nodes)
        place = self.context.store, branch[self.id], branch, chosen, self.goal
        return open_holdout(*place, choose, seeds, who, options)

    def replay(
        self,
        sample: int | None = 10,
        *,
        seed: int = 0,
        tolerance: float = 0.0,
        objective: Objective | None = None,
        name: str | None = None,
        **resources: Unpack[ResourceKeywords],
    ) -> Replay:
        """Runs stored trials again from their seeds and compares; the store is left as it is.

        On the same machine, versions and number of threads, every metric is equal to the bit where the objective is
        deterministic; else see what :attr:`Replay.environment` says has changed, and state a ``tolerance``.

        Args:
            sample: How many, drawn at random; ``None`` for every trial that has ended.
            seed: Of that draw.
            tolerance: Difference of a metric that counts as none.
            objective: As in :meth:`run`.
            name: As in :meth:`run`.
            resources: ``workers``, ``executor``, ``threads``, ``timeout``, ``memory``, ``grace``: as in :meth:`run`.

        Raises:
            AnalysisError: No trial has ended.
            DesignError: An option out of range.
        """
        options = Resources(**resources)
        chosen = self.context.objective_of(self.node, objective, name)
        place = self.context.store, self._stored, chosen, self._metric
        return replay(*place, sample, seed, tolerance, options)

    def best_model(
        self,
        folder: str | Path | None = None,
        *,
        rank: int = 1,
        threads: int = 1,
        objective: Objective | None = None,
        name: str | None = None,
    ) -> Any:
        """The model of the best trial, trained again in this process under the trial's seed: the same weights.

        Args:
            folder: Where models are kept, in a file named by round, configuration and seed: loaded if it is there,
                else written. Without it nothing is kept.
            rank: 1 for the best trial, 2 for the second, by the value of their planned run.
            threads: Threads, as in :meth:`run`; with another number than then floats differ.
            objective: See :meth:`run`.
            name: See :meth:`run`.

        Returns:
            What the objective's ``trained(params, trial)`` gives: a Keras model, from a ``KerasObjective``. It takes
            inputs as the model function got them: after ``objective.transformer.transform(x)``, with ``preprocess``.

        Raises:
            ObjectiveError: The objective gives no model, or can't keep one.
            AnalysisError: There are not so many finished trials that may be called best.

        Warns:
            RuntimeWarning: Trained again, it gives other metrics than were stored.
        """
        where = None if folder is None else check_folder(folder)
        chosen = self.context.objective_of(self.node, objective, name)
        return best_model(self.context.store, self._stored, chosen, self.goal, where, rank, threads)

    # What came of it.

    @property
    def holdout_results(self) -> tuple[HoldoutResult, ...]:
        """What the hold-out showed, each time it was opened at this round, oldest first."""
        reader, metric = self.context.reader, self._metric
        return tuple(
            holdout_result_of(reader, self.node, o, metric) for o in reader.openings(self._stored.pk)
        )

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: parameters, ``state, value, seconds, seed, cell, origin``, metrics.

        Examples:
            >>> root.trials[["lr", "dropout", "value"]].head(2)
                lr  dropout   value
            0  1.5      0.3  0.9398
            1  4.0      0.0  0.8648
        """
        records = self.context.reader.records([self._stored.pk], curves=self._metric.curves)
        return table(self.space, records, self._metric)

    def _tables(self) -> Iterator[pd.DataFrame]:
        """:attr:`trials` in parts, so that nobody has to hold all of it."""
        pk, metric, reader = self._stored.pk, self._metric, self.context.reader
        return tables(self.space, lambda: reader.record_blocks(pk, metric.curves), metric)

    @property
    def damaged(self) -> tuple[str, ...]:
        """What is wrong with stored trials that can't be read and are none of :attr:`trials`, a sentence for each."""
        return self.context.reader.records([self._stored.pk], curves=self._metric.curves).damaged

    @property
    def replicates(self) -> pd.DataFrame:
        """Runs again, as :attr:`trials`, with their numbers in ``replicate``."""
        metric = self._metric
        records = self.context.reader.records([self._stored.pk], curves=metric.curves, replicates=True)
        return replicate_table(self.space, records, metric)

    @property
    def failures(self) -> pd.DataFrame:
        """Trials that did not complete, with their tracebacks in ``error``."""
        records = self.context.reader.records([self._stored.pk])
        frame = table(self.space, records, self._metric).assign(error=records.columns["error"])
        return frame[~frame["state"].isin(("complete", "excluded"))].reset_index(drop=True)

    @property
    def marks(self) -> pd.DataFrame:
        """What people noted about trials: ``starred, note, excluded, author, time``, under the labels of :attr:`trials`.

        ``excluded`` is the reason, ``None`` where a trial is not left out. Trials that nothing holds of have no row.
        """
        here = self._at_once().context
        records = here.reader.records([self._stored.pk], curves=self._metric.curves)
        return marks_frame(here.reader.marks(self._stored.pk), records)

    @property
    def shown(self) -> pd.DataFrame:
        """What every trial of an adaptive or pruned round was shown of others, in the order of :attr:`trials`.

        For an adaptive trial its number among the asks (``ask``), how many trials of earlier rounds (``earlier``)
        and of this one (``told``) the sampler knew, which were ``running``, and whether it was drawn ``evenly``
        because the sampler kept asking for what can't be had. With a pruner how many ended trials are behind its
        ``threshold`` (``basis``), and that: what had to be reached by every epoch from the last of its warmup on, in
        the metric's own sign; ``None`` where it was measured by nothing. Other rounds have no columns here.
        """
        import pandas as pd

        rows = self.context.reader.shown(self._stored.pk)
        names = dict.fromkeys(name for row in rows for name in row if name != "rungs")
        return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, index=range(len(rows)))

    @property
    def _large(self) -> bool:
        """Whether it has so many trials that looking at it must not read them all."""
        return sum(self.context.counts.get(self._stored.pk, {}).values()) > LARGE

    @property
    def best(self) -> pd.Series | None:
        """The row of the best observed trial; ``None`` before the first has finished. See :meth:`recommend`.

        A degenerate trial is passed over, unless the round was added with ``allow_degenerate=True``.

        Examples:
            >>> root.best[["lr", "dropout", "value"]].to_dict()
            {'lr': 1.5, 'dropout': 0.0, 'value': 0.9998}
        """
        if self._large and self._metric.plain:
            found = self.context.reader.best_record(self._stored.pk, self.goal)
            if found is None:
                return None
            best: pd.Series = table(self.space, found[1], self._metric).iloc[0]
            return best.rename(found[0])
        records = self.context.reader.records([self._stored.pk], curves=self._metric.curves)
        return best_row(self.space, records, self.goal)

    @property
    def best_params(self) -> dict[str, Any] | None:
        """The configuration of the best observed trial as the objective got it: classes and functions themselves, where ``best`` has labels.

        Reading it imports what the space refers to.
        """
        records = self.context.reader.records([self._stored.pk], curves=self._metric.curves)
        frame = table(self.space, records, self._metric)
        ranked = best_first(frame, self.direction, self.space, self.node.allow_degenerate)
        if ranked.empty:
            return None
        return {name: thaw(decode(v)) for name, v in records.configurations[ranked.index[0]].items()}

    def recommend(self) -> Winner | None:
        """The configuration of this round to hand over; ``None`` before the first trial has finished.

        It has the best posterior mean of those that the round evaluated, of whatever origin, given the trials of this
        round and of those it came from. :attr:`best` is the best observed trial, which overstates its configuration.

        Examples:
            >>> root.recommend().params
            {'dropout': 0.0, 'lr': 1.5}
        """
        here = self._at_once()
        place = here.context.reader, here._judged_alike, f"round {self.id}"
        found = winner_of(*place, self.epsilon, self.id)
        return None if found is None else found.kept_in(self)

    @property
    def _judged_alike(self) -> list[tuple[StoredNode, Goal]]:
        """This round and those it came from that are judged by the same, oldest first."""
        path, above = [self], self.parent
        while above is not None:
            path, above = [above, *path], above.parent
        return [(r._stored, r.goal) for r in path if r._judged_by == self._judged_by]

    def to_optuna(self, storage: Any = None, study_name: str | None = None) -> optuna.Study:
        """All trials as an Optuna study, for ``optuna.visualization`` and optuna-dashboard.

        Replicates and failed trials are among them; of a trial that was run again, the last attempt. User attributes
        say ``round``, ``cell``, ``seed``, ``origin``, ``replicate``, ``attempt``, ``state``, the other metrics, and the
        last line of an error. Classes and functions stand there by their label. A round with several goals is a study with as
        many objectives, and a trial that lacks one of them a failed one.

        Args:
            storage: Optuna's storage or its URL; default in memory. Databases take about 10 ms per trial.
            study_name: Default the names of tree and round.

        Raises:
            StoreError: The storage can't be opened, or has a study of that name.
        """
        from refine.tree.exchange.optuna import to_study

        title = f"{self.context.name} {self.id}" if study_name is None else study_name
        where = (self.context.reader, self._stored.pk, self.space, self.goals, self.id)
        return to_study(*where, storage, title)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Everything decided on this round, oldest first."""
        return tuple(
            Decision.from_json(json.loads(c)) for c, _ in self.context.reader.decisions(self._stored.pk)
        )

    @property
    def _led_by(self) -> tuple[Decision, ...]:
        """The decisions that led to this round, from the first one of its branch on."""
        parent = self.parent
        if parent is None:
            return ()
        return (*parent._led_by, *[d for d in parent.decisions if d.child == self.id][-1:])

    # What it teaches.

    def analyze(
        self, metric: str | Score | None = None, direction: str | None = None, seed: int = 0
    ) -> Analysis:
        """Measures everything this round, and earlier ones inside its space, can teach.

        Args:
            metric: Another metric than the round's own. Without it further goals are analysed beside it, in ``others``.
            direction: Another direction.
            seed: Seed of every bootstrap and permutation test.

        Raises:
            AnalysisError: Fewer than 10 finished space-filling trials, or an unknown metric.

        Examples:
            >>> analysis = root.analyze()
            >>> analysis["lr"].correlation.estimate < -0.8, analysis["lr"].q < 0.01
            (True, True)
        """
        chosen = self._subject(Metric.parse(metric or self.metric, self.context.scores))
        direction = check_direction(direction or self.direction)
        here = self.context.at_once(self.node)
        place = here.reader, here.path(self.node)
        found = analysis_of(*place, chosen, direction, seed)
        if metric is not None:
            return found
        return found.beside([analysis_of(*place, g.metric, g.direction, seed) for g in self.goals[1:]])

    def checks(self, analysis: Analysis | None = None, proposal: Proposal | None = None) -> Checks:
        """Questions to ask before deciding: each with pass, warn or fail, its number and its picture.

        Args:
            analysis: Of this round, where it was made already.
            proposal: What is proposed on it; default what was proposed last on this evidence. :meth:`Review.checks` gives its own.

        Raises:
            AnalysisError: The round can't be analysed yet, or no trial may be called best.

        Examples:
            >>> [check.key for check in root.checks().checks if check.verdict == "warn"]
            ['goal', 'worth']
        """
        here = self._at_once()
        found = here.analyze() if analysis is None else analysis
        if proposal is None:
            proposal = next((p for p in reversed(here._proposals) if p.evidence == found.digest), None)
        if proposal is None:
            return here._checks(found, None, worth_of(found, here.epsilon, self.space, here.n))
        n = advised_size(found, proposal, proposal.space, here.n)
        return here._checks(found, proposal, worth_of(found, proposal.claim.epsilon, proposal.space, n))

    def _checks(self, analysis: Analysis, proposal: Proposal | None, worth: Worth | None) -> Checks:
        here = self._at_once()
        curves = read_curves(*here._judged, analysis.noise.sd)
        allow_degenerate = self.node.allow_degenerate
        known = Known(
            proposal, here.roles, self.node.note, curves, here._best_before(), allow_degenerate, worth
        )
        return checks_of(self.id, analysis, known)

    def _best_before(self) -> float:
        """Best value of the rounds that this one came from; NaN without one that is judged by the same."""
        values = []
        above = self.parent
        while above is not None:
            if above.node.judged_by == self._judged_by:
                values += [] if above.best is None else [float(above.best["value"])]
            above = above.parent
        return self.goal.best(values)

    def propose(
        self,
        risk: float = 0.05,
        epsilon: float | Mapping[str, float] | None = None,
        seed: int = 0,
        *,
        keep: bool = True,
    ) -> Review[Round]:
        """Proposes bounds for the next round and opens them for review; the proposal is stored.

        Args:
            risk: Accepted probability of losing the best value.
            epsilon: Loss that counts as none, in units of the metric; default the round's own (:meth:`set_epsilon`), else
                what its trials can tell apart. Of several goals one by the name of each metric.
            seed: Seed of every random draw of the analysis.
            keep: Whether to store the proposal now; else it is stored when it is decided upon.

        Examples:
            >>> review = root.propose(risk=0.05)
            >>> [(c.name, c.kind, c.new.low, c.new.high) for c in review.proposal.changes]
            [('lr', 'narrow', 1.5, 2.0), ('dropout', 'narrow', 0.0, 0.1)]
        """
        check_risk(risk, None if isinstance(epsilon, Mapping) else epsilon)
        analysis = self.analyze(seed=seed)
        # Audit trials of rounds on this very space count as well: they were drawn before it was narrowed to.
        outer = next((node.space for node in reversed(self.path) if node.space != self.space), None)
        epsilon = self.epsilon if epsilon is None else epsilon
        eligible = seen_earlier(self.context.reader, self.context.path(self.node))
        proposal = propose(analysis, risk=risk, epsilon=epsilon, outer=outer, eligible=eligible)
        if keep:
            self._keep_proposal(proposal, again=True)
        return Review(self, proposal, analysis)

    def rehearse(self, rounds: int = 4, n: int | None = None, **shares: float) -> Rehearsal:
        """What a plan of rounds would bring, before anything is paid for: see :meth:`Review.rehearse`.

        It goes on with what is proposed on this round.

        Args:
            rounds: How many rounds, at most 20.
            n: Trials of each; default as many as this round.
            shares: ``exploit`` and ``audit``, as in :meth:`Review.rehearse`.

        Raises:
            AnalysisError: Too few trials of this round have finished: nothing is known yet to simulate a plan on. Or nothing is left to
                run.
            DesignError: ``rounds`` or ``n`` is no whole number >= 1, or ``rounds`` is more than 20.
            ReviewError: A share out of range.
        """
        check_plan(rounds, self.n if n is None else n)
        try:
            review = self.propose(keep=False)
        except AnalysisError as error:
            raise AnalysisError(
                f"round {self.id}: a plan is simulated on what trials have shown, and there is too little of that yet: {error}"
            ) from error
        return review.rehearse(rounds, n, **shares)

    def review(self, proposal: Proposal) -> Review[Round]:
        """Opens a proposal that was stored for review again, as it was made, whichever version of refine made it.

        Args:
            proposal: The proposal.

        Raises:
            ReviewError: The evidence has changed since it was made.
        """
        given = proposal.claim.given(proposal.metric)
        drafted = self.propose(proposal.risk, given, keep=False)
        if drafted.proposal.evidence != proposal.evidence:
            raise ReviewError(
                f"round {self.id}: its evidence has changed since the proposal; look again",
                Action("round.propose", risk=proposal.risk),
            )
        return Review(self, proposal.judged_by(drafted.proposal), drafted.analysis)

    def optimism(self, seed: int = 0, analysis: Analysis | None = None) -> Optimism:
        """How much of the best value is chance: of seeds, by its replicates, and of the validation examples.

        Args:
            seed: Seed of every random draw.
            analysis: Of this round, where it was made already.

        Raises:
            AnalysisError: No trial has finished that may be called best.

        Examples:
            >>> root.optimism().expected  # no noise: the best is as good when trained again
            0.9998
        """
        here = self._at_once()
        if analysis is None:
            with contextlib.suppress(AnalysisError):  # too few trials: the noise isn't known
                analysis = here.analyze(seed=seed)
        return read_optimism(here.context.reader, here._stored.pk, here.goal, analysis, seed)

    # Deciding.

    def set_roles(self, roles: Mapping[str, str] | None = None, /, **named: str) -> Round:
        """Says what the round asks about: ``set_roles(dropout="scientific")``. Children made later take it over.

        A *scientific* parameter's effect is the question; it gets an isolation plot, and narrowing it is a conclusion.
        What varies else is *nuisance*: tuned, so that scientific values are compared at their best. What has one value
        is *fixed*. Roles change no trial, no test and no proposal.

        Args:
            roles: Parameter -> role; for names that are no Python identifiers.
            named: The same by keyword. Parameters that are not named keep their role.

        Raises:
            SpaceError: An unknown name or role, or one that the parameter's levels contradict.
        """
        given = {} if roles is None else roles
        scientific_of(given, self.space)  # no mapping is refused, as in add_round
        said = {**given, **named}
        asked = set(scientific_of(said, self.space))
        self.context.store.set_scientific(self.context.tree, self.id, {n: n in asked for n in said})
        return self

    def set_epsilon(self, epsilon: float | None) -> Round:
        """Says which loss makes no difference to you. Proposals on this round, and children made later, take it over.

        Args:
            epsilon: In units of the metric; ``None`` takes back what was said: then it is what the trials can tell apart.

        Raises:
            AnalysisError: No number >= 0.

        Examples:
            >>> root.set_epsilon(0.01).propose().claim.epsilon
            0.01
        """
        self.context.store.set_epsilon(self.context.tree, self.id, check_epsilon(epsilon))
        return self

    def exclude(self, rows: Any, reason: str, *, author: str | None = None) -> int:
        """Leaves trials out of every analysis, of this round and of those below: they are known to measure something else.

        They stay in the store and in :attr:`trials`, in the state ``"excluded"`` and without a value; reports and the log say
        who left them out and why. An excluded configuration is not run again unless asked: ``run(rerun="excluded")``.

        Args:
            rows: Which: some of :attr:`trials`, a True or False for each of them, or their labels there.
            reason: Why. A value that looks too good or too bad is no reason: whoever leaves out what does not please will see
                what they wish to see.
            author: Who says so; default the user's name.

        Returns:
            How many.

        Raises:
            ReviewError: There is no such trial, or no reason.

        Examples:
            >>> root.exclude(root.trials["lr"] > 4.5, "the clock ran wrong", author="mia")
            3
            >>> root.trials["state"].value_counts().to_dict()
            {'complete': 27, 'excluded': 3}
        """
        return self._mark(rows, excluded=True, note=reason, author=author)

    def include(self, rows: Any, reason: str = "", *, author: str | None = None) -> int:
        """Takes :meth:`exclude` back; the log keeps both.

        Args:
            rows: Which trials, as there.
            reason: Why.
            author: Who says so; default the user's name.

        Returns:
            How many.

        Raises:
            ReviewError: There is no such trial.
        """
        return self._mark(rows, excluded=False, note=reason, author=author)

    def star(self, rows: Any, starred: bool = True, *, author: str | None = None) -> int:
        """Gives trials a star, to find them again, or takes it away. Changes no analysis.

        Args:
            rows: Which trials, as :meth:`exclude` takes them.
            starred: Whether they have one from now on.
            author: Who says so; default the user's name.

        Returns:
            How many.

        Raises:
            ReviewError: There is no such trial.
        """
        return self._mark(rows, starred=bool(starred), author=author)

    def annotate(self, rows: Any, note: str, *, author: str | None = None) -> int:
        """Writes a note on trials, in place of an earlier one; an empty note takes it away. Changes no analysis.

        Args:
            rows: Which trials, as :meth:`exclude` takes them.
            note: The note.
            author: Who says so; default the user's name.

        Returns:
            How many.

        Raises:
            ReviewError: There is no such trial, or the note is no text.
        """
        return self._mark(rows, note=check_note(note), author=author)

    def _mark(self, rows: Any, **said: Any) -> int:
        records = self.context.store.records([self._stored.pk], curves=self._metric.curves)
        return mark_trials(self.context, self._stored, records, rows, **said)

    def choose(
        self, point: int | Mapping[str, Any], *, note: str = "", author: str | None = None
    ) -> Decision:
        """Records which point of the front of several goals is wanted, as a decision on this round.

        Args:
            point: A configuration on the front, or the label of its row in :attr:`front`.
            note: Why, in your words.
            author: Who decides; default the user name.

        Raises:
            ReviewError: The round has one goal, or this is no point of its front.
        """
        note, author = check_note(note), check_author(author)
        records = self.context.reader.records([self._stored.pk], curves=self._metric.curves)
        if len(self.goals) == 1:
            raise ReviewError(
                f"round {self.id} has one goal, so that its front is its best trial; of that one",
                Action("round.recommend"),
            )
        on = {int(i): dict(records.configurations[int(i)]) for i in self.front.index}
        if isinstance(point, Mapping):
            wanted = encode_configuration(given_configuration(self.space, point, "point"))
            on = {i: shown for i, shown in on.items() if shown == wanted}
        elif isinstance(point, int) and not isinstance(point, bool):
            on = {point: on[point]} if point in on else {}
        else:
            raise ReviewError(f"a point is a configuration, or a label of round.front, got {point!r:.60}")
        if not on:
            raise ReviewError(
                f"round {self.id}: {point!r:.100} is no point of its front; round.front has them, with their labels in front"
            )
        chosen = next(iter(on.values()))
        decision = Decision("chosen", "", None, {}, (), None, note, author, chosen=chosen)
        self._add_decision(decision)
        return decision

    def branch(
        self,
        space: Space | Mapping[str, Any],
        *,
        note: str = "",
        previous: Mapping[str, Any] | None = None,
        n: int | None = None,
        downsample: float | None = None,
        seed: int | None = None,
        exploit: float = 0.0,
        audit: float = 0.0,
        given: Sequence[Mapping[str, Any]] = (),
        belief: Mapping[str, Any] | None = None,
        design: Any = None,
        pruner: Any = None,
        author: str | None = None,
    ) -> Round:
        """Creates a child on any space, without regard to a proposal.

        Args:
            space: The new space; it may add or drop parameters.
            note: Why, in your words.
            previous: For added parameters the value that earlier trials had, such as ``{"l2": 0.0}``. Without it
                they are no evidence for the new space.
            n: How many configurations the child runs; without ``n`` and ``downsample`` as many as this round.
            downsample: The same as a share of what is left.
            seed: Default this round's.
            exploit: See :meth:`Review.accept`.
            audit: See :meth:`Review.accept`.
            given: See :meth:`Review.accept`.
            belief: See :meth:`Review.accept`.
            design: See :meth:`Review.accept`.
            pruner: See :meth:`Review.accept`.
            author: Who decides; default the user name.

        Raises:
            ReviewError: ``previous`` names a parameter that is not new.
            SpaceError: The space breaks a rule.

        Examples:
            >>> child = root.branch({"lr": (0.01, 1.0, 5), "dropout": 0.0}, note="smaller rates", n=4)
            >>> child.parent.id == root.id, len(child.run(progress=False).trials)
            (True, 4)
        """
        new = space if isinstance(space, Space) else Space(space)
        decision = Decision("branched", "", new, {}, (), None, check_note(note), check_author(author))
        added = check_previous({} if previous is None else previous, self.space, new)
        check_shares(exploit, audit)
        for text in mistyped(self.space, new, added):
            warn(text)
        shares = Shares(exploit, audit, self.analyze()) if exploit or audit else None
        first = given_configurations(new, given)
        return self._create_child(
            decision,
            n,
            downsample,
            added,
            seed,
            shares,
            given=first,
            belief=belief,
            design=design,
            pruner=pruner,
        )

    def _create_child(
        self,
        decision: Decision,
        n: int | None,
        downsample: float | None,
        previous: Mapping[str, Any] | None = None,
        seed: int | None = None,
        shares: Shares | None = None,
        *,
        given: Sequence[dict[str, Any]] = (),
        belief: Mapping[str, Any] | None = None,
        design: Any = None,
        pruner: Any = None,
        advised: int | None = None,
    ) -> Round:
        """Creates the child that a decision leads to."""
        # The child takes over what this handle calls its metric, not what the store does.
        now = self._stored.node
        parent = replace(
            self.node,
            metric=self.metric,
            direction=self.direction,
            scientific=now.scientific,
            epsilon=now.epsilon,
        )
        method, sampler = (None, None) if design is None else design_of(design)
        rule, tool = check_pruner(pruner, self._metric)
        assert decision.space is not None
        believed = None if belief is None else belief_of(belief, decision.space)
        node, _ = add_child(
            self.context.store,
            self.context.tree,
            parent,
            decision,
            n,
            downsample,
            previous or {},
            seed,
            shares,
            How(method, rule, believed, advised),
            given,
        )
        self.context.keep_tools(node, sampler, tool)
        return Round(self.context, node, self.metric, self.direction)

    @property
    def _proposals(self) -> list[Proposal]:
        """What was proposed on it and kept, the last one at the end."""
        kept = self.context.reader.proposals(self._stored.pk).values()
        return [Proposal.from_json(json.loads(content)) for content in kept]

    def _keep_proposal(self, proposal: Proposal, *, again: bool = False) -> None:
        """Stores a proposal on this round, unless it is; ``again`` makes it the last one made in any case."""
        self.context.store.add_proposal(self._stored.pk, proposal.digest, proposal.dumps(), again)

    def _add_decision(self, decision: Decision) -> None:
        """Stores a decision that leads to no child."""
        lost = loss(self.context.store, self._stored, decision)
        self.context.store.add_decision(
            StoredDecision(self._stored.pk, decision.digest, decision.dumps(), None)
        )
        if lost:
            warn(lost)

    # Showing.

    @property
    def plot(self) -> Any:
        """Figures: ``round.plot.correlation()``, ``.density("dropout")``, ...; see :class:`refine.report.plots.Plots`."""
        return provided("round.plot")(self)

    def report(
        self,
        folder: str | Path,
        *,
        proposal: Proposal | None = None,
        only_proposal: bool = False,
        html: bool = False,
    ) -> Path:
        """Writes the round as markdown with figures; the proposal and the decision once there are such.

        Args:
            folder: Created if need be; holds ``2-low-dropout.md``, by the round's number and note, and a folder of
                figures. What was written of it under another name before is removed.
            proposal: Which proposal; default the one decided upon, else the last one stored.
            only_proposal: Whether to leave out everything but the proposal.
            html: Whether to write one self-contained HTML file instead of markdown.

        Returns:
            The file.

        Raises:
            StoreError: A file stands where the folder is to be.

        Examples:
            >>> root.report("reports").name
            '1-root.md'
        """
        where = check_folder(folder)
        written: Path = provided("round.report")(self, where, proposal, only_proposal, html)
        return written

    def _data(self) -> dict[str, Any]:
        found = self._at_once()
        node, belief = found.node, found.belief
        return {
            "id": found.id,
            "path": paths_of({key: stored.node.parent for key, stored in found.context.nodes.items()})[
                found.id
            ],
            "tree": found.context.name,
            "parent": node.parent,
            "children": [c.id for c in found.children],
            "n": found.n,
            "states": found.context.counts.get(found._stored.pk, {}),
            "metric": found.metric,
            "direction": found.direction,
            "best": plain(found.best),
            "space": found.space.to_json(),
            "size": found.space.size,
            "roles": found.roles,
            "belief": None if belief is None else belief.to_json(),
            "design": node.method,
            "seed": node.seed,
            "objective": node.objective,
            "note": node.note,
            "author": node.author,
            "decisions": [d.to_json() for d in found.decisions],
        }

    def __repr__(self) -> str:
        return f"<Round {self.id} of {self.context.name}>"
