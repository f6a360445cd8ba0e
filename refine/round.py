"""The round: a node of the tree that can be run, analysed and decided upon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from refine.child import How, Shares, add_child, check_note, check_was
from refine.decision import Decision
from refine.design import design_named, how_many
from refine.environment import user
from refine.holdout import Opening, Visit, branch_of, open_holdout
from refine.luck import Luck
from refine.naming import Objective
from refine.proposal import Proposal, propose
from refine.replay import Replay, replay
from refine.retrain import HowOptions, RunOptions, run_replicates
from refine.review import Review
from refine.round_view import RoundView
from refine.runner import check_rerun, run_round
from refine.sampling import design_of, how_many_asked
from refine.space import Space
from refine.steering import Steered, check_place, check_pruner
from refine.store import StoredDecision
from refine.trials import Records, Score
from refine.winner import best_model

if TYPE_CHECKING:
    from refine.plots import Plots


class Round(RoundView):
    """A node of the refinement tree that can be run.

    Made by :meth:`Tree.add_round`, :meth:`Review.accept` and :meth:`branch`; never by hand.

    Attributes:
        home: Where it lives.
        node: Its frozen content.
        metric: Which metric is its value.
        direction: ``"maximize"`` or ``"minimize"``.
    """

    # Running.

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
    ) -> Round:
        """Runs what is left of the round; a script that is run again goes on where it was.

        Every finished trial is in the store at once. An exception of the objective becomes a ``failed`` trial,
        NaN or infinity a ``diverged`` one. With subprocesses, one that dies is replaced; the trial that it ran is
        tried once more, alone, and is ``crashed`` if its process dies again.

        Ctrl-C once hands out nothing new and ends when what runs has ended and is stored; twice stops at once.

        Args:
            workers: 1 runs in this process, more on a local cluster of subprocesses.
            n: Extends the round to so many permutations.
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
            RoundStopped: The first trials all failed in the same way, or an executor or all workers broke.
            RoundBusy: Another process is running this round.
            StoreError: The disk is full, or the store locked; what had finished is stored.
            KeyboardInterrupt: Ctrl-C was pressed; run again to go on.
        """
        if not self.node.adaptive:
            design_named(self.node.method)
        chosen = self.home.objective_of(self.node, objective, name)
        self.home.know_score(self.id, self.metric, metric)
        self.home.know_tools(self.node, design, pruner)
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

    def replicate(self, top: int = 5, seeds: int = 3, **options: Unpack[RunOptions]) -> Round:
        """Runs the best permutations again under new seeds; again, it runs what is missing.

        They go to :attr:`replicates`, measure the noise, and say how much of the best is luck: :meth:`optimism`.
        They are in no table of trials and no test.

        Args:
            top: How many permutations, by the value of their planned run.
            seeds: How many runs of each. The noise needs 5 more runs than permutations.
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
    ) -> Opening:
        """Trains the best permutations again under new seeds and measures them on rows that no round has seen.

        Who opens is logged before anything is seen. The same opening again goes on where it was, or gives what it gave.

        Args:
            top: How many permutations: by the mean of their replicates where there are such, else by their value.
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
        who = Visit(check_note(note), author or user())
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
            folder: Where models are kept, in a file named by round, permutation and seed: loaded if it is there,
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
        where = None if folder is None else Path(folder)
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

    # What it teaches.

    def propose(self, risk: float = 0.05, epsilon: float | None = None, seed: int = 0) -> Review:
        """Proposes bounds for the next round and opens them for review; the proposal is stored.

        Args:
            risk: Accepted probability of losing the best value.
            epsilon: Loss that counts as none, in units of the metric; default the retraining noise.
            seed: Seed of every random draw of the analysis.
        """
        analysis = self.analyze(seed=seed)
        # Counter-samples of rounds on this very space count as well: they were drawn before it was narrowed to.
        outer = next((node.space for node in reversed(self.path) if node.space != self.space), None)
        proposal = propose(analysis, risk=risk, epsilon=epsilon, outer=outer)
        self.home.store.add_proposal(self._stored.pk, proposal.digest, proposal.dumps())
        return Review(self, proposal, analysis)

    def optimism(self, seed: int = 0) -> Luck:
        """How much of the best value is luck: of seeds, by its replicates, and of the validation examples.

        Raises:
            AnalysisError: No trial has finished that may be called best.
        """
        from refine.report.gather import luck_here

        return luck_here(self, seed)

    # Deciding.

    def branch(
        self,
        space: Space | Mapping[str, Any],
        *,
        note: str = "",
        was: Mapping[str, Any] | None = None,
        n: int | None = None,
        downsample: float | None = None,
        seed: int | None = None,
        focus: float = 0.0,
        counter: float = 0.0,
        design: Any = None,
        pruner: Any = None,
        author: str | None = None,
    ) -> Round:
        """Creates a child on any space, without regard to a proposal.

        Args:
            space: The new space; it may add or drop parameters.
            note: Why, in your words.
            was: For added parameters the value that earlier trials had, such as ``{"l2": 0.0}``. Without it
                they are no evidence for the new space.
            n: How many permutations the child runs; without ``n`` and ``downsample`` as many as this round.
            downsample: The same as a share of what is left.
            seed: Default this round's.
            focus: See :meth:`Review.accept`.
            counter: See :meth:`Review.accept`.
            design: See :meth:`Review.accept`.
            pruner: See :meth:`Review.accept`.
            author: Who decides; default the user name.

        Raises:
            ReviewError: ``was`` names a parameter that is not new.
            SpaceError: The space breaks a rule.
        """
        new = space if isinstance(space, Space) else Space(space)
        decision = Decision("branched", "", new, {}, (), None, check_note(note), author or user())
        shares = Shares(focus, counter, self.analyze()) if focus or counter else None
        added = check_was(was or {}, self.space, new)
        return self.child(decision, n, downsample, added, seed, shares, design=design, pruner=pruner)

    def child(
        self,
        decision: Decision,
        n: int | None,
        downsample: float | None,
        was: Mapping[str, Any] | None = None,
        seed: int | None = None,
        shares: Shares | None = None,
        *,
        design: Any = None,
        pruner: Any = None,
    ) -> Round:
        """Creates the child that a decision leads to; call :meth:`Review.accept` or :meth:`branch`."""
        # The child takes over what this handle calls its metric, not what the store does.
        parent = replace(self.node, metric=self.metric, direction=self.direction)
        method, sampler = (None, None) if design is None else design_of(design)
        rule, tool = check_pruner(pruner, self._metric)
        node, _ = add_child(
            self.home.store,
            self.home.tree,
            parent,
            decision,
            n,
            downsample,
            was or {},
            seed,
            shares,
            How(method, rule),
        )
        self.home.keep_tools(node, sampler, tool)
        return Round(self.home, node, self.metric, self.direction)

    def note_decision(self, decision: Decision) -> None:
        """Stores a decision that leads to no child; call :meth:`Review.decline`."""
        self.home.store.add_decision(StoredDecision(self._stored.pk, decision.digest, decision.dumps(), None))

    # Showing.

    @property
    def plot(self) -> Plots:
        """Figures: ``round.plot.correlation()``, ``.density("dropout")``, ..."""
        from refine.plots import Plots

        return Plots(self)

    def report(
        self, folder: str | Path, *, proposal: Proposal | None = None, only_proposal: bool = False
    ) -> Path:
        """Writes the round as markdown with figures; the proposal and the decision once there are such.

        Args:
            folder: Created if need be; holds ``<id>.md`` and a folder of figures.
            proposal: Which proposal; default the one decided upon, else the last one stored.
            only_proposal: Whether to leave out everything but the proposal.

        Returns:
            The markdown file.
        """
        from refine.report import proposal_report, round_report
        from refine.report.gather import gather

        facts = gather(self, proposal)
        return proposal_report(facts, folder) if only_proposal else round_report(facts, folder)

    def __str__(self) -> str:
        from refine.report.gather import in_short

        return in_short(self)

    def __repr__(self) -> str:
        return f"<Round {self.id} of {self.home.name}>"
