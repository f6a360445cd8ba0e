"""Runs a round: ``round.run()`` and related calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from refine.design.samplers import how_many_asked
from refine.design.space_filling import IMPORTED, design_named, how_many
from refine.errors import DesignError
from refine.run.best_model import best_model as model_of
from refine.run.holdout import HoldoutResult, Visit, branch_of
from refine.run.holdout import open_holdout as opened
from refine.run.hooks import Hooks, callables, trackers_of
from refine.run.machine import Machine, rest_of
from refine.run.options import RunOptions
from refine.run.protocols import Objective
from refine.run.replay import Replay
from refine.run.replay import replay as replayed
from refine.run.replicates import measure_noise, run_repeats
from refine.run.runner import TaskSource, run_round
from refine.run.steering import AdaptiveTasks, check_place
from refine.run.workers.pool import workers_kept
from refine.store.engine import check_folder
from refine.tree.children import off_grid
from refine.tree.learning import learner
from refine.tree.round_record import RoundRecord
from refine.trials.frame import Records
from refine.trials.round_record import StoredNode, repeats_of

R = TypeVar("R", bound=RoundRecord)


def run(
    self: R,
    n: int | None = None,
    *,
    objective: Objective | None = None,
    rerun: str | Collection[str] | None = None,
    trials: int | None = None,
    workers: int | None = None,
    machine: Machine | None = None,
) -> R:
    """Runs the rest of the plan, repeats of :meth:`add` last; a repeated call resumes.

    Every finished trial is stored at once. An exception of the objective becomes a ``failed`` trial, NaN or
    infinity a ``diverged`` trial. If a worker dies, refine repeats the trial once, alone; a second death
    makes a ``crashed`` trial.

    Ctrl-C starts no new trials and ends after the running ones; a second Ctrl-C stops at once. SIGTERM and
    SIGHUP do the same, and stop running trials after the ``grace`` of the machine.

    After the last trial of a round of ten or more, refine repeats the best configuration under a new seed,
    and twice more if the value is identical; the repeats join :attr:`replicates`. The repeats are skipped
    with ``trials``, if earlier repeats show the noise, or if the noise is declared: see
    :meth:`Tree.add_round`.

    Args:
        n: New size of the round, to extend the round.
        objective: The objective, for a reopened round whose objective is not importable.
        rerun: A state, such as ``"failed"``, or several: every call repeats all trials in these states, under
            their seeds. Repair the cause first.
        trials: Start no new trials after this many; a repeated call resumes.
        workers: Trials at a time, instead of the number of the machine.
        machine: Workers, limits and callbacks; default :attr:`Tree.machine`.

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
        >>> root.run(n=40, workers=1).trials["state"].value_counts().to_dict()
        {'complete': 40}
    """
    chosen = self._context.machine(machine, workers)
    source = resized(self, n)
    return run_extended(self, source, chosen, objective=objective, rerun=rerun, trials=trials)


def resized(round_: RoundRecord, n: int | None) -> TaskSource:
    """The tasks of a round of ``n`` configurations; ``None`` for the planned number.

    Raises DesignError: fewer configurations are left, or the round was imported.
    """
    if n is None:
        return TaskSource()
    if callable(n):
        raise DesignError(
            f"n must be a whole number of configurations, got {n!r}; an objective is given by name: "
            "run(objective=...)"
        )
    size = extended_size(round_, n)

    def extend() -> StoredNode:
        round_._context.store.add_node(round_._context.tree, round_._node, size)
        return round_._stored

    return TaskSource(extend=extend)


def run_extended(
    self: R,
    source: TaskSource,
    machine: Machine,
    *,
    objective: Objective | None = None,
    rerun: str | Collection[str] | None = None,
    trials: int | None = None,
    per: str = "trial",
    check_noise: bool = True,
) -> R:
    """Adds to the plan of a round with ``source.extend``, and runs the rest of the round: see :func:`run`.

    If another call runs the round, nothing is planned. ``per="second"`` prefers short exploit trials.
    ``check_noise=False`` measures no noise at the end.
    """
    stored = self._context.path(self._node)[-1]
    repeats = bool(repeats_of(stored.additions))
    only_repeats = repeats and self._node.method == IMPORTED
    if not (self._node.adaptive or only_repeats):
        design_named(self._node.method)
    trackers = trackers_of(machine.track)
    running = RunOptions(
        machine=machine,
        rerun=rerun,
        trials=trials,
        further_hooks=tuple(tracker.trial for tracker in trackers),
    )
    listeners = callables(machine.on_round, "on_round")
    hooks_at_end = Hooks([*listeners, *(t.end for t in trackers)], "on_round")
    context = self._context
    node = self._node
    chosen = context.objective_of(node, objective)
    check_place(node, chosen, machine)
    begun = False

    def begin() -> None:
        nonlocal begun
        begun = True
        Hooks([t.start for t in trackers], "track").call(self)

    source = replace(_of_round(self, source, running, per), begin=begin, continues=repeats)
    started = time.monotonic()
    try:
        with workers_kept():
            ended = 0
            if only_repeats:
                begin()
            else:
                ended = run_round(context.store, stored, chosen, self._goal, running, source=source)
            if repeats and (trials is None or ended < trials):
                limit = None if trials is None else trials - ended
                remaining = replace(running, machine=rest_of(machine, started), trials=limit)
                run_repeats(context.store, stored, chosen, self._goal, remaining, after_run=ended > 0)
            if check_noise and not only_repeats and trials is None and self._declared.noise is None:
                measure_noise(context.store, context.path(node), chosen, self._goal, running)
    finally:
        if begun:
            hooks_at_end.call(self)
    return self


def _of_round(round_: RoundRecord, source: TaskSource, running: RunOptions, per: str) -> TaskSource:
    """The source with the parts that depend on the round: its sampler, its model, and equal rounds."""
    context = round_._context
    node = round_._node
    if source.extend is None:
        source = replace(source, extend=partial(context.stored, node.id))
    source = replace(source, learn=learner(round_, running.machine.workers, per))

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
    if round_._declared.noise == "none":
        source = replace(source, equal=equal_rounds(round_))
    return source


def extended_size(self: RoundRecord, n: int, planned: int = 0) -> int:
    """A new size of a round, checked; with ``planned``, ``n`` is an addition to that many configurations.

    Raises DesignError: fewer configurations are left, or the round was imported.
    """
    store = self._context.store
    pk = self._stored.pk
    given = [(b.origin, b.configuration) for b in store.beside(pk) if b.origin == "given"]
    unavailable = len(store.inherited(pk)) - off_grid(self.space, given) + planned
    if self._node.adaptive:
        return how_many_asked(self.space, n, None, unavailable)
    design_named(self._node.method)
    return how_many(self.space, n, None, unavailable)


def equal_rounds(round_: RoundRecord) -> list[int]:
    """Rows of the other rounds of the tree with the same objective on the same data."""
    nodes = round_._context.nodes.values()
    objective_and_data = (round_._node.objective, round_._node.data)
    return [
        s.pk
        for s in nodes
        if (s.node.objective, s.node.data) == objective_and_data and s.node.id != round_.id
    ]


def holdout_opened(
    round_: RoundRecord,
    choose: Callable[[], Sequence[str]],
    visit: Visit,
    objective: Objective | None,
    machine: Machine,
) -> HoldoutResult:
    """Opens the hold-out for the hashes from ``choose``, under the lease of the round."""
    chosen = round_._context.objective_of(round_._node, objective)
    round_._context.stored(round_._node.id)  # raises NotFoundError if another process removed the round
    branch = branch_of(round_._node, round_._context.nodes)
    return opened(
        round_._context.store,
        branch[round_.id],
        branch,
        chosen,
        round_._goal,
        choose=choose,
        visit=visit,
        machine=machine,
    )


def replay(
    self: RoundRecord,
    sample: int | None = 10,
    *,
    seed: int = 0,
    tolerance: float = 0.0,
    objective: Objective | None = None,
    machine: Machine | None = None,
) -> Replay:
    """Repeats stored trials from their seeds and compares the results; the store stays unchanged.

    With an equal machine, versions and threads, a deterministic objective gives every metric to the last bit.
    Otherwise :attr:`Replay.environment` lists the changes, and ``tolerance`` allows for them.

    Args:
        sample: Number of trials, drawn at random; ``None`` for every ended trial.
        seed: Seed of the sample.
        tolerance: Difference of a metric that counts as none.
        objective: As ``machine``: see :meth:`run`.

    Raises:
        AnalysisError: No trial has ended.
        DesignError: An option out of range.
    """
    chosen_machine = self._context.machine(machine)
    chosen = self._context.objective_of(self._node, objective)
    return replayed(
        self._context.store,
        self._stored,
        chosen,
        self._metric,
        sample=sample,
        seed=seed,
        tolerance=tolerance,
        machine=chosen_machine,
    )


def best_model(
    self: RoundRecord,
    folder: str | Path | None = None,
    *,
    rank: int = 1,
    objective: Objective | None = None,
    machine: Machine | None = None,
) -> Any:
    """The model of the best observed trial, which need not be the configuration of :meth:`Tree.winner`.

    Retrained in your process under the seed of the trial, so that the weights are equal. The best of many
    noisy values is partly luck; ``rank`` gives the model of another trial.

    Args:
        folder: Folder for models, in files named by round, configuration and seed; an existing file is
            loaded. Without a folder, no model is kept.
        rank: 1 for the best trial, 2 for the second, by the value of the planned run.
        objective: See :meth:`run`.
        machine: Its number of threads counts: another number than in the round changes floats.

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
    chosen = self._context.objective_of(self._node, objective)
    return model_of(
        self._context.store,
        self._stored,
        chosen,
        self._goal,
        folder=target,
        rank=rank,
        machine=self._context.machine(machine),
    )
