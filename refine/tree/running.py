"""Runs a round, and repeats trials: ``round.run()`` and related calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, Unpack

from refine.design.samplers import how_many_asked
from refine.design.space_filling import design_named, how_many
from refine.review.decision import check_author, check_note
from refine.run.best_model import best_model as model_of
from refine.run.holdout import HoldoutResult, Visit, branch_of
from refine.run.holdout import open_holdout as opened
from refine.run.options import (
    Hooks,
    RoundKeywords,
    RunKeywords,
    RunOptions,
    callables,
    check_noise_option,
    trackers_of,
)
from refine.run.progress_bar import ProgressBar
from refine.run.protocols import Objective
from refine.run.replay import Replay
from refine.run.replay import replay as replayed
from refine.run.replicates import check_times, measure_noise, run_replicates
from refine.run.resources import ResourceKeywords, Resources
from refine.run.runner import TaskSource, run_round
from refine.run.steering import AdaptiveTasks, check_place
from refine.run.workers.pool import workers_kept
from refine.store.engine import check_folder
from refine.tree.children import off_grid
from refine.tree.learning import learner
from refine.tree.round_record import RoundRecord
from refine.tree.winner import ranked_keys
from refine.trials.frame import Records
from refine.trials.metric import Score
from refine.trials.round_record import StoredNode

R = TypeVar("R", bound=RoundRecord)


def run(  # type: ignore[misc]  # the number of workers may be given by its place
    self: R,
    workers: int = 1,
    *,
    n: int | None = None,
    objective: Objective | None = None,
    objective_name: str | None = None,
    metric: Score | None = None,
    design: object = None,
    pruner: object = None,
    **options: Unpack[RoundKeywords],
) -> R:
    """Runs the rest of the round; a repeated call resumes.

    Every finished trial is stored at once. An exception of the objective becomes a ``failed`` trial, NaN or
    infinity a ``diverged`` trial. If a worker dies, refine repeats the trial once, alone; a second death
    makes a ``crashed`` trial.

    Ctrl-C starts no new trials and ends after the running ones; a second Ctrl-C stops at once. SIGTERM and
    SIGHUP do the same, and stop running trials after ``grace`` seconds.

    Args:
        workers: 1 runs in this process; more run in as many subprocesses.
        n: New size of the round, to extend the round.
        executor: An executor of refine or of ``concurrent.futures`` instead of subprocesses; ``workers``
            limits the trials at a time.
        threads: Threads per trial; the default of one gives equal floats for any number of workers.
        progress: Whether to show a progress bar.
        rerun: A state, such as ``"failed"``, or several: every call repeats all trials in these states, under
            their seeds. Repair the cause first.
        timeout: Seconds per trial, counted from the start in the worker. Then refine kills the worker and
            records a ``timeout``. With ``timeout``, ``memory`` or ``gpus``, one worker is a subprocess too.
        memory: Limit on the resident memory of a worker, in bytes or as ``"2GB"``, checked ten times a
            second. Above the limit, refine kills the worker and repeats the trial once before ``crashed``.
        grace: Seconds for running trials after SIGTERM or SIGHUP. Slurm and Kubernetes kill after 30 seconds,
            ``docker stop`` after 10: choose fewer.
        gpus: Number or list of visible GPUs, handed to the workers in turn, one each; 0 hides all GPUs. More
            workers than GPUs share GPUs.
        hours: Start no new trials after this many hours.
        trials: Start no new trials after this many; a repeated call resumes.
        per: ``"second"`` divides the expected improvement of exploit trials by their expected duration;
            default ``"trial"``.
        check_noise: Whether to repeat the best of ten or more configurations under a new seed at the end, and
            twice more if the value is identical; the repeats join :attr:`replicates`. Skipped with
            ``trials``, if earlier repeats show the noise, or if the noise is declared as ``"none"``.
        on_trial: A function, or several, called in this process with every stored
            :class:`refine.trials.trial.FinishedTrial`. Exceptions give a warning and log entries.
        on_round: A function, or several, called with this round at the end of the call, unless the call is
            refused before its first trial.
        track: A tracker, such as :class:`refine.report.trackers.MLflow`, or several, for ended trials.
        objective: The objective, for a reopened round whose objective is not importable.
        objective_name: Name of the objective, if ``add_round`` was given one.
        metric: The function behind the metric, for a reopened round.
        design: The sampler of Optuna, for a reopened round.
        pruner: The pruner of Optuna, for a reopened round; another pruner is refused.

    Returns:
        This round.

    Raises:
        ObjectiveError: No objective, another objective, or one that is not callable.
        DesignError: An option out of range, a limit that the executor cannot keep, or an imported round.
        RoundStoppedError: The first trials failed alike, the objective returned None in the first trial, or
            the executor or all workers broke.
        RoundBusyError: Another process is running this round.
        StoreError: The disk is full, or the store is locked; finished trials are stored.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP; a repeated call resumes.

    Examples:
        >>> root.run(n=40, workers=1, progress=False).trials["state"].value_counts().to_dict()
        {'complete': 40}
    """
    source = TaskSource()
    if n is not None:
        size = extended_size(self, n)

        def extend() -> StoredNode:
            self.context.store.add_node(self.context.tree, self.node, size)
            return self._stored

        source = TaskSource(extend=extend)
    return run_extended(
        self,
        source,
        workers=workers,
        objective=objective,
        objective_name=objective_name,
        metric=metric,
        design=design,
        pruner=pruner,
        **options,
    )


def run_extended(  # type: ignore[misc]  # as in :func:`run`
    self: R,
    source: TaskSource,
    *,
    workers: int = 1,
    objective: Objective | None = None,
    objective_name: str | None = None,
    metric: Score | None = None,
    design: object = None,
    pruner: object = None,
    bar: ProgressBar | None = None,
    **options: Unpack[RoundKeywords],
) -> R:
    """Adds to the plan of a round with ``source.extend``, and runs the rest of the round: see :func:`run`.

    If another call runs the round, nothing is planned. The progress joins ``bar``, by default a bar of its
    own.
    """
    check_noise = options.pop("check_noise", True)
    check_noise_option(check_noise)
    if not self.node.adaptive:
        design_named(self.node.method)
    trackers = trackers_of(options.pop("track", None))
    hooks = [*callables(options.pop("on_trial", None), "on_trial"), *(t.trial for t in trackers)]
    listeners = callables(options.pop("on_round", None), "on_round")
    running = RunOptions(workers=workers, on_trial=hooks, bar=bar, **options)
    ended = Hooks([*listeners, *(t.end for t in trackers)], "on_round")
    context = self.context
    node = self.node
    chosen = context.objective_of(node, objective, objective_name)
    context.know_score(self.id, self.metric, metric)
    context.know_tools(node, design, pruner)
    check_place(node, chosen, running)
    stored = context.path(node)[-1]
    begun = False

    def begin() -> None:
        nonlocal begun
        begun = True
        Hooks([t.start for t in trackers], "track").call(self)

    source = replace(_of_round(self, source, running), begin=begin)
    try:
        with workers_kept():
            run_round(context.store, stored, chosen, self.goal, running, source=source)
            if check_noise and running.trials is None and self.declared.noise != "none":
                measure_noise(context.store, context.path(node), chosen, self.goal, running)
    finally:
        if begun:
            ended.call(self)
    return self


def _of_round(round_: RoundRecord, source: TaskSource, running: RunOptions) -> TaskSource:
    """The source with the parts that depend on the round: its sampler, its model, and equal rounds."""
    context = round_.context
    node = round_.node
    if source.extend is None:
        source = replace(source, extend=partial(context.stored, node.id))
    if node.parent and node.exploit:
        source = replace(source, learn=learner(round_, running.workers, running.per))

    def steer(records: Records) -> AdaptiveTasks:
        return AdaptiveTasks(
            context.store,
            context.path(node),
            metric=round_._metric,
            tools=context.tools,
            records=records,
            rerun=running.again,
            learn=source.learn,
        )

    if node.steered:
        source = replace(source, steer=steer)
    if round_.declared.noise == "none":
        source = replace(source, equal=equal_rounds(round_))
    return source


def extended_size(self: RoundRecord, n: int, planned: int = 0) -> int:
    """A new size of a round, checked; with ``planned``, ``n`` is an addition to that many configurations.

    Raises DesignError: fewer configurations are left, or the round was imported.
    """
    store = self.context.store
    pk = self._stored.pk
    given = [(b.origin, b.configuration) for b in store.beside(pk) if b.origin == "given"]
    unavailable = len(store.inherited(pk)) - off_grid(self.space, given) + planned
    if self.node.adaptive:
        return how_many_asked(self.space, n, None, unavailable)
    design_named(self.node.method)
    return how_many(self.space, n, None, unavailable)


def equal_rounds(round_: RoundRecord) -> list[int]:
    """Rows of the other rounds of the tree with the same objective on the same data."""
    nodes = round_.context.nodes.values()
    objective_and_data = (round_.node.objective, round_.node.data)
    return [
        s.pk
        for s in nodes
        if (s.node.objective, s.node.data) == objective_and_data and s.node.id != round_.id
    ]


def replicate(
    self: R,
    top: int = 5,
    seeds: int = 3,
    *,
    objective: Objective | None = None,
    objective_name: str | None = None,
    **options: Unpack[RunKeywords],
) -> R:
    """Repeats the best configurations under new seeds; a repeated call runs the missing repeats.

    The repeats join :attr:`replicates`, measure the noise, and show the share of luck in the best value:
    :meth:`optimism`. No table of trials and no test contains repeats.

    Args:
        top: Number of configurations, by the value of the planned run.
        seeds: Number of repeats per configuration. The noise needs 5 more repeats than configurations.
        objective: As ``objective_name``: see :meth:`run`.
        options: As in :meth:`run`: {keywords}.

    Raises:
        AnalysisError: No finished trial may be best.
        DesignError: ``top`` or ``seeds`` is not a whole number >= 1.

    Examples:
        >>> root.replicate(top=2, seeds=3, progress=False).replicates[["lr", "replicate", "value"]]
            lr  replicate   value
        0  1.5          1  0.9998
        1  1.5          2  0.9998
        2  1.5          3  0.9998
        3  2.0          1  0.9928
        4  2.0          2  0.9928
        5  2.0          3  0.9928
    """
    chosen = self.context.objective_of(self.node, objective, objective_name)
    run_replicates(
        self.context.store,
        self._stored,
        objective=chosen,
        goal=self.goal,
        top=top,
        seeds=seeds,
        options=RunOptions(**options),
    )
    return self


def open_holdout(
    self: RoundRecord,
    top: int = 1,
    seeds: int = 3,
    *,
    note: str = "",
    author: str | None = None,
    objective: Objective | None = None,
    objective_name: str | None = None,
    **resources: Unpack[ResourceKeywords],
) -> HoldoutResult:
    """Retrains the best configurations under new seeds and measures them on rows unseen by every round.

    The opening is logged first. A repeated call with equal arguments resumes, or returns the earlier result.

    Args:
        top: Number of configurations, in the order of :meth:`recommend`.
        seeds: Number of models per configuration.
        note: Reason, in your words.
        author: Default the user name.
        objective: As ``objective_name``: see :meth:`run`.
        resources: As in :meth:`run`: {keywords}.

    Raises:
        ObjectiveError: The objective has no hold-out.

    Warns:
        UserWarning: An earlier opening on the branch, with the bias of a second one.
    """
    check_times(top, seeds)
    visit = Visit(seeds, check_note(note), check_author(author))

    def choose() -> list[str]:
        return ranked_keys(self)[:top]

    return holdout_opened(self, choose, visit, (objective, objective_name), Resources(**resources))


def holdout_opened(
    round_: RoundRecord,
    choose: Callable[[], Sequence[str]],
    visit: Visit,
    objective: tuple[Objective | None, str | None],
    options: Resources,
) -> HoldoutResult:
    """Opens the hold-out for the hashes from ``choose``, under the lease of the round."""
    chosen = round_.context.objective_of(round_.node, *objective)
    round_.context.stored(round_.node.id)  # raises NotFoundError if another process removed the round
    branch = branch_of(round_.node, round_.context.nodes)
    return opened(
        round_.context.store,
        branch[round_.id],
        branch,
        chosen,
        round_.goal,
        choose=choose,
        visit=visit,
        resources=options,
    )


def replay(
    self: RoundRecord,
    sample: int | None = 10,
    *,
    seed: int = 0,
    tolerance: float = 0.0,
    objective: Objective | None = None,
    objective_name: str | None = None,
    **resources: Unpack[ResourceKeywords],
) -> Replay:
    """Repeats stored trials from their seeds and compares the results; the store stays unchanged.

    With an equal machine, versions and threads, a deterministic objective gives every metric to the last bit.
    Otherwise :attr:`Replay.environment` lists the changes, and ``tolerance`` allows for them.

    Args:
        sample: Number of trials, drawn at random; ``None`` for every ended trial.
        seed: Seed of the sample.
        tolerance: Difference of a metric that counts as none.
        objective: As ``objective_name``: see :meth:`run`.
        resources: As in :meth:`run`: {keywords}.

    Raises:
        AnalysisError: No trial has ended.
        DesignError: An option out of range.
    """
    options = Resources(**resources)
    chosen = self.context.objective_of(self.node, objective, objective_name)
    return replayed(
        self.context.store,
        self._stored,
        chosen,
        self._metric,
        sample=sample,
        seed=seed,
        tolerance=tolerance,
        resources=options,
    )


def best_model(
    self: RoundRecord,
    folder: str | Path | None = None,
    *,
    rank: int = 1,
    threads: int = 1,
    objective: Objective | None = None,
    objective_name: str | None = None,
) -> Any:
    """The model of the best observed trial, which need not be the configuration of :meth:`Tree.winner`.

    Retrained in your process under the seed of the trial, so that the weights are equal. The best of many
    noisy values is partly luck; ``rank`` gives the model of another trial.

    Args:
        folder: Folder for models, in files named by round, configuration and seed; an existing file is
            loaded. Without a folder, no model is kept.
        rank: 1 for the best trial, 2 for the second, by the value of the planned run.
        threads: As in :meth:`run`, like ``objective`` and ``objective_name``; another number than in the
            round changes floats.

    Returns:
        The result of the objective's ``trained(params, trial)``: a Keras model for a ``KerasObjective``. With
        ``preprocess``, inputs first go through ``objective.transformer.transform(x)``.

    Raises:
        ObjectiveError: The objective gives no model, or cannot keep one.
        AnalysisError: Fewer finished trials may be best than ``rank``.

    Warns:
        RuntimeWarning: Metrics of the retrained model differ from the stored ones.
    """
    if folder is None:
        target = None
    else:
        target = check_folder(folder)
    chosen = self.context.objective_of(self.node, objective, objective_name)
    return model_of(
        self.context.store,
        self._stored,
        chosen,
        self.goal,
        folder=target,
        rank=rank,
        threads=threads,
    )
