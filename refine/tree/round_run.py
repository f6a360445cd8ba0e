"""A round as it can be run: its trials, replicates, replays, its hold-out and its best model."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Self, Unpack

from refine.design.samplers import how_many_asked
from refine.design.space_filling import design_named, how_many
from refine.run.best_model import best_model
from refine.run.holdout import HoldoutResult, Visit, branch_of, open_holdout
from refine.run.identity import Objective
from refine.run.replay import Replay, replay
from refine.run.retrain import HowOptions, RunOptions, run_replicates
from refine.run.runner import check_options, check_rerun, run_round
from refine.run.steering import Steered, check_place
from refine.store.engine import check_folder
from refine.tree.apply import check_author, check_note
from refine.tree.round_view import RoundView
from refine.trials.trials import Records, Score


class RoundRun(RoundView):
    """A round as it can be run; :class:`refine.Round` can be decided upon as well."""

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
        objective: Objective | None = None,
        name: str | None = None,
        metric: Score | None = None,
        design: Any = None,
        pruner: Any = None,
    ) -> Self:
        """Runs what is left of the round; a script that is run again goes on where it was.

        Every finished trial is in the store at once. An exception of the objective becomes a ``failed`` trial,
        NaN or infinity a ``diverged`` one. With subprocesses, one that dies is replaced; the trial that it ran is
        tried once more, alone, and is ``crashed`` if its process dies again.

        Ctrl-C once hands out nothing new and ends when what runs has ended and is stored; twice stops at once.

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
            KeyboardInterrupt: Ctrl-C was pressed; run again to go on.
        """
        if not self.node.adaptive:
            design_named(self.node.method)
        chosen = self.home.objective_of(self.node, objective, name)
        self.home.know_score(self.id, self.metric, metric)
        self.home.know_tools(self.node, design, pruner)
        check_options(workers, executor, threads, progress, rerun, timeout, memory)
        check_place(self.node, chosen, workers, executor, timeout is not None or memory is not None)
        if n is not None:
            taken = len(self.home.store.inherited(self._stored.pk))
            sized = how_many_asked if self.node.adaptive else how_many
            self.home.store.add_node(self.home.tree, self.node, sized(self.space, n, None, taken))
        planned = self._stored.n

        def steer(records: Records) -> Steered:
            return Steered(self.home, self.path, planned, self._metric, records, check_rerun(rerun))

        run_round(
            self.home.store,
            self._stored,
            chosen,
            self._metric,
            self.direction,
            workers=workers,
            executor=executor,
            threads=threads,
            progress=progress,
            rerun=rerun,
            steer=steer if self.node.steered else None,
            timeout=timeout,
            memory=memory,
        )
        return self

    def replicate(self, top: int = 5, seeds: int = 3, **options: Unpack[RunOptions]) -> Self:
        """Runs the best configurations again under new seeds; again, it runs what is missing.

        They go to :attr:`replicates`, measure the noise, and say how much of the best is luck: :meth:`optimism`.
        They are in no table of trials and no test.

        Args:
            top: How many configurations, by the value of their planned run.
            seeds: How many runs of each. The noise needs 5 more runs than configurations.
            options: ``workers``, ``executor``, ``threads``, ``progress``, ``rerun``, ``timeout``, ``memory``,
                ``objective``, ``name``: as in :meth:`run`.

        Raises:
            AnalysisError: No trial has finished that may be called best.
            DesignError: ``top`` or ``seeds`` is no whole number >= 1.
        """
        run_replicates(self.home, self.node, self._metric, self.direction, top, seeds, **options)
        return self

    def open_holdout(
        self,
        top: int = 1,
        seeds: int = 3,
        *,
        note: str = "",
        author: str | None = None,
        **options: Unpack[HowOptions],
    ) -> HoldoutResult:
        """Trains the best configurations again under new seeds and measures them on rows that no round has seen.

        Who opens is logged before anything is seen. The same opening again goes on where it was, or gives what it gave.

        Args:
            top: How many configurations: by the mean of their replicates where there are such, else by their value.
            seeds: How many models of each.
            note: Why, in your words.
            author: Who opens; default the user name.
            options: ``workers``, ``executor``, ``threads``, ``timeout``, ``memory``, ``objective``, ``name``: as in
                :meth:`run`.

        Raises:
            ObjectiveError: The objective has no hold-out.

        Warns:
            UserWarning: It was opened before on this branch, and what that costs.
        """
        who = Visit(check_note(note), check_author(author))
        nodes = branch_of(self.node, self.home.store.nodes(self.home.tree))
        return open_holdout(
            self.home, self.node, nodes, self._metric, self.direction, top, seeds, who, **options
        )

    def replay(
        self,
        sample: int | None = 10,
        *,
        seed: int = 0,
        tolerance: float = 0.0,
        **options: Unpack[HowOptions],
    ) -> Replay:
        """Runs stored trials again from their seeds and compares; the store is left as it is.

        On the same machine, versions and number of threads, every metric is equal to the bit where the objective is
        deterministic; else see what :attr:`Replay.environment` says has changed, and state a ``tolerance``.

        Args:
            sample: How many, drawn at random; ``None`` for every trial that has ended.
            seed: Of that draw.
            tolerance: Difference of a metric that counts as none.
            options: ``workers``, ``executor``, ``threads``, ``objective``, ``name``: as in :meth:`run`.

        Raises:
            AnalysisError: No trial has ended.
            DesignError: An option out of range.
        """
        return replay(self.home, self.node, self._metric, sample, seed, tolerance, **options)

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
        return best_model(
            self.home,
            self.node,
            self._metric,
            self.direction,
            where,
            rank=rank,
            threads=threads,
            objective=objective,
            name=name,
        )
