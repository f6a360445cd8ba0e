"""Running a round, and running its trials again: what ``round.run()`` and its like do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    Tracker,
    callables,
    check_flag,
    trackers_of,
)
from refine.run.plan import Learn
from refine.run.protocols import Objective
from refine.run.replay import Replay
from refine.run.replay import replay as replayed
from refine.run.replicates import check_times, measure_noise, run_replicates
from refine.run.resources import ResourceKeywords, Resources
from refine.run.runner import run_round
from refine.run.steering import AdaptiveTasks, check_place
from refine.run.workers.pool import workers_kept
from refine.store.engine import check_folder
from refine.tree.children import off_grid
from refine.tree.learning import learner
from refine.tree.round_record import RoundRecord
from refine.tree.winner import ranked_keys
from refine.trials.frame import Records
from refine.trials.metric import Score

R = TypeVar("R", bound=RoundRecord)
# What is called with a round.
RoundHook = Callable[[Any], object]


def run(  # type: ignore[misc]  # the number of workers may be given by its place
    self: R,
    workers: int = 1,
    *,
    n: int | None = None,
    check_noise: bool = True,
    on_round: RoundHook | Sequence[RoundHook] | None = None,
    track: Tracker | Sequence[Tracker] | None = None,
    objective: Objective | None = None,
    objective_name: str | None = None,
    metric: Score | None = None,
    design: Any = None,
    pruner: Any = None,
    **options: Unpack[RoundKeywords],
) -> R:
    """Runs what is left of the round; a script that is run again goes on where it was.

    Every finished trial is in the store at once. An exception of the objective becomes a ``failed`` trial,
    NaN or infinity a ``diverged`` one. The trial of a subprocess that dies is tried once more, alone, and
    is ``crashed`` if that dies again.

    Ctrl-C once hands out nothing new and ends when what runs has ended and is stored; twice stops at once.
    SIGTERM and SIGHUP do the same, and what still runs ``grace`` seconds later is stopped.

    Args:
        workers: 1 runs in this process, more on a local cluster of subprocesses.
        n: Extends the round to so many configurations.
        executor: A ``concurrent.futures`` executor to run on instead; ``workers`` says how many at a time.
        threads: Threads per trial; one by default, whatever the number of workers, or floats differ.
        progress: Whether to show a progress bar.
        rerun: A state, such as ``"failed"``, or several, such as ``["crashed", "timeout"]``: trials that
            ended so are run again.
        timeout: Seconds that a trial may run, counted from its start in its worker; then its worker is killed
            and the trial is a ``timeout``. With ``timeout``, ``memory`` or ``gpus`` one worker is a
            subprocess as well.
        memory: Resident memory that a worker may hold, in bytes or as ``"2GB"``, looked at ten times a
            second; then it is killed, and the trial is tried once more in a fresh one before it is
            ``crashed``.
        grace: Seconds that trials may still run after SIGTERM or SIGHUP; less than Slurm, Kubernetes (both
            30) or ``docker stop`` (10) wait before they kill.
        gpus: GPUs that workers get in turn, one each: how many of those that are visible, or which; 0 hides
            all. More workers than GPUs share them.
        hours: Ends in order after so many hours: what runs by then comes to its end, and nothing new begins.
        trials: Ends in order after so many trials of this call; run again, it goes on.
        check_noise: Whether the best of ten or more configurations runs again under a new seed at the end,
            as one of :attr:`replicates`, and twice more if its value is the same: three equal ones show
            that there is no noise. Not where earlier runs tell, or with ``trials``.
        on_trial: Called in this process with every stored :class:`refine.trials.trial.FinishedTrial`; a
            function, or several, whose exceptions are warned of and logged.
        on_round: Called with this round when the call ends, whatever ends it; likewise.
        track: A tracker, such as :class:`refine.report.trackers.MLflow`, or several, to which ended trials
            are sent.
        objective: What to call, for a round that was reopened from the store.
        objective_name: Name of the objective, if ``add_round`` was given one.
        metric: Its metric, for a round that was reopened and whose metric is a function.
        design: Its sampler, for a round that was reopened and whose design is an object of Optuna.
        pruner: Its pruner, likewise; another than the round's own is refused.

    Returns:
        This round.

    Raises:
        ObjectiveError: No objective, one of another name, or one that can't be called.
        DesignError: An option out of range, ``timeout`` or ``memory`` with an executor, or an imported
            round, which has nothing to run.
        RoundStoppedError: The first trials all failed in the same way, or an executor or all workers broke.
        RoundBusyError: Another process is running this round.
        StoreError: The disk is full, or the store locked; what had finished is stored.
        KeyboardInterrupt: Ctrl-C was pressed, or SIGTERM or SIGHUP came; run again to go on. An objective
            that raises KeyboardInterrupt itself fails its trial alone.

    Examples:
        >>> root.run(n=40, workers=1, progress=False).trials["state"].value_counts().to_dict()
        {'complete': 40}
    """
    check_flag("check_noise", check_noise)
    if not self.node.adaptive:
        design_named(self.node.method)
    trackers = trackers_of(track)
    hooks = [*callables(options.pop("on_trial", None), "on_trial"), *(t.trial for t in trackers)]
    running = RunOptions(workers=workers, on_trial=hooks, **options)
    ended = Hooks([*callables(on_round, "on_round"), *(t.end for t in trackers)], "on_round")
    context, node = self.context, self.node
    chosen = context.objective_of(node, objective, objective_name)
    context.know_score(self.id, self.metric, metric)
    context.know_tools(node, design, pruner)
    check_place(node, chosen, running)
    if n is not None:
        pk = self._stored.pk
        beside = [(b.origin, b.configuration) for b in context.store.beside(pk) if b.origin == "given"]
        taken = len(context.store.inherited(pk)) - off_grid(self.space, beside)
        sized = how_many_asked if node.adaptive else how_many
        context.store.add_node(context.tree, node, sized(self.space, n, None, taken))
    path = context.path(node)

    learn: Learn = learner(self, running.workers) if node.parent and node.exploit else list

    def steer(records: Records) -> AdaptiveTasks:
        return AdaptiveTasks(context.store, path, self._metric, context.tools, records, running.again, learn)

    Hooks([t.start for t in trackers], "track").call(self)
    try:
        with workers_kept():
            steering = steer if node.steered else None
            run_round(context.store, path[-1], chosen, self.goal, running, steer=steering, learn=learn)
            if check_noise and running.trials is None:
                measure_noise(context.store, path, chosen, self.goal, running)
    finally:
        ended.call(self)
    return self


def replicate(
    self: R,
    top: int = 5,
    seeds: int = 3,
    *,
    objective: Objective | None = None,
    objective_name: str | None = None,
    **options: Unpack[RunKeywords],
) -> R:
    """Runs the best configurations again under new seeds; again, it runs what is missing.

    They go to :attr:`replicates`, measure the noise, and say how much of the best is chance:
    :meth:`optimism`. They are in no table of trials and no test.

    Args:
        top: How many configurations, by the value of their planned run.
        seeds: How many runs of each. The noise needs 5 more runs than configurations.
        objective: As ``objective_name``: see :meth:`run`.
        options: As in :meth:`run`: ``workers``, ``executor``, ``threads``, ``progress``, ``rerun``,
            ``timeout``, ``memory``, ``grace``, ``gpus`` and ``on_trial``.

    Raises:
        AnalysisError: No trial has finished that may be called best.
        DesignError: ``top`` or ``seeds`` is no whole number >= 1.

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
    run_replicates(self.context.store, self._stored, chosen, self.goal, top, seeds, RunOptions(**options))
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
    """Trains the best configurations again under new seeds and measures them on rows that no round has seen.

    Who opens is logged before anything is seen. The same opening again goes on where it was, or gives what
    it gave.

    Args:
        top: How many configurations: those that :meth:`recommend` ranks first.
        seeds: How many models of each.
        note: Why, in your words.
        author: Who opens; default the user name.
        objective: As ``objective_name``: see :meth:`run`.
        resources: As in :meth:`run`: ``workers``, ``executor``, ``threads``, ``timeout``, ``memory``,
            ``grace`` and ``gpus``.

    Raises:
        ObjectiveError: The objective has no hold-out.

    Warns:
        UserWarning: It was opened before on this branch, and what that costs.
    """
    check_times(top, seeds)
    who = Visit(check_note(note), check_author(author))

    def choose() -> list[str]:
        return ranked_keys(self.context.store, self._at_once()._judged_alike, self.id)[:top]

    return holdout_opened(self, choose, seeds, who, (objective, objective_name), Resources(**resources))


def holdout_opened(
    of: RoundRecord,
    choose: Callable[[], Sequence[str]],
    seeds: int,
    who: Visit,
    objective: tuple[Objective | None, str | None],
    options: Resources,
) -> HoldoutResult:
    """Opens the hold-out for the configurations with the hashes from ``choose``, under the lease of the round."""
    chosen = of.context.objective_of(of.node, *objective)
    branch = branch_of(of.node, of.context.nodes)
    return opened(of.context.store, branch[of.id], branch, chosen, of.goal, choose, seeds, who, options)


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
    """Runs stored trials again from their seeds and compares; the store is left as it is.

    On the same machine, versions and number of threads, every metric is equal to the bit where the
    objective is deterministic; else see what :attr:`Replay.environment` says has changed, and state a
    ``tolerance``.

    Args:
        sample: How many, drawn at random; ``None`` for every trial that has ended.
        seed: Of that draw.
        tolerance: Difference of a metric that counts as none.
        objective: As ``objective_name``: see :meth:`run`.
        resources: As in :meth:`run`: ``workers``, ``executor``, ``threads``, ``timeout``, ``memory``,
            ``grace`` and ``gpus``.

    Raises:
        AnalysisError: No trial has ended.
        DesignError: An option out of range.
    """
    options = Resources(**resources)
    chosen = self.context.objective_of(self.node, objective, objective_name)
    return replayed(self.context.store, self._stored, chosen, self._metric, sample, seed, tolerance, options)


def best_model(
    self: RoundRecord,
    folder: str | Path | None = None,
    *,
    rank: int = 1,
    threads: int = 1,
    objective: Objective | None = None,
    objective_name: str | None = None,
) -> Any:
    """The model of the best trial, trained again in this process under the trial's seed: the same weights.

    Args:
        folder: Where models are kept, in a file named by round, configuration and seed: loaded if it is
            there, else written. Without it nothing is kept.
        rank: 1 for the best trial, 2 for the second, by the value of their planned run.
        threads: As in :meth:`run`, like ``objective`` and ``objective_name``; with another number than then
            floats differ.

    Returns:
        What the objective's ``trained(params, trial)`` gives: a Keras model, from a ``KerasObjective``. It
        takes inputs as the model function got them: after ``objective.transformer.transform(x)``, with
        ``preprocess``.

    Raises:
        ObjectiveError: The objective gives no model, or can't keep one.
        AnalysisError: There are not so many finished trials that may be called best.

    Warns:
        RuntimeWarning: Trained again, it gives other metrics than were stored.
    """
    where = None if folder is None else check_folder(folder)
    chosen = self.context.objective_of(self.node, objective, objective_name)
    return model_of(self.context.store, self._stored, chosen, self.goal, where, rank, threads)
