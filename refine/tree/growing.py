"""Adds trials to an existing round, evenly drawn or chosen by the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from refine.analysis.analysis import Analysis
from refine.design.space_filling import Uniform, draw
from refine.errors import DesignError
from refine.proposal.allocation import batch_rows, check_shares, durations_in, learning_from
from refine.proposal.expected_time import Durations
from refine.review.round_spec import check_per
from refine.run.machine import Machine
from refine.run.progress_bar import ProgressBar
from refine.run.protocols import Objective
from refine.run.runner import TaskSource
from refine.space.encoding import seed_of
from refine.tree.learning import exploiting
from refine.tree.lineage import analyze
from refine.tree.round_record import RoundRecord
from refine.tree.running import extended_size, run_extended
from refine.trials.round_record import StoredNode
from refine.utils.numbers import is_whole

R = TypeVar("R", bound=RoundRecord)


def grow(
    self: R,
    n: int,
    *,
    exploit: float | None = None,
    per: str = "trial",
    objective: Objective | None = None,
    machine: Machine | None = None,
) -> R:
    """Adds ``n`` configurations to the round and runs them now, without a child.

    Even configurations continue the design of the round. Exploit configurations are chosen one after another
    where the best value is plausible, from all trials of the tree inside the space. Decisions taken so far
    stay; the next :meth:`propose` counts the new trials.

    Args:
        n: Number of configurations, at least 1; a repeated call adds as many again.
        exploit: Share chosen by the model, from 0 to 1; default the round's own share. A child that was
            created with a larger share keeps its share.
        per: ``"second"`` divides the expected improvement of exploit trials by their expected duration.
        objective: As ``machine``: see :meth:`run`.

    Returns:
        This round.

    Raises:
        DesignError: ``n`` is not a whole number >= 1, fewer configurations or a smaller budget are left, or
            the design of the round chooses every configuration itself.
        ReviewError: ``exploit`` is out of range.
        RoundBusyError: The round is being run; nothing was planned.
        AnalysisError: Exploit trials are asked for, and fewer than 10 trials lie inside the space.

    Examples:
        >>> root.grow(6, exploit=1.0).trials["origin"].value_counts().to_dict()
        {'space_filling': 30, 'exploit': 6}
    """
    check_per(per)
    n_by_model = check_growth(self, n, exploit)
    chosen = self.context.machine(machine)
    with ProgressBar(f"round {self.id}", self.n + n, len(self.trials), show=chosen.progress) as bar:
        run_with = partial(
            run_extended, self, machine=chosen, objective=objective, bar=bar, per=per, check_noise=False
        )
        if n > n_by_model:
            run_with(TaskSource(extend=partial(_plan_evenly, self, n - n_by_model)))
        if n_by_model:
            _grow_by_model(self, n_by_model, chosen, per, run_with)
    return self


def _grow_by_model(
    round_: RoundRecord, count: int, machine: Machine, per: str, run_with: Callable[[TaskSource], object]
) -> None:
    """Adds ``count`` configurations chosen by the model, batch by batch; ``run_with`` plans and runs a batch.

    Raises:
        AnalysisError: Fewer than 10 trials lie inside the space.
    """
    analysis = analyze(round_)
    before = len(round_.trials)
    while count:
        recent = round_.trials.iloc[before:]
        learned = learning_from(analysis, recent, round_.node.allow_degenerate)
        durations = None
        if per == "second":
            durations = durations_in(analysis, recent)
        batch = min(machine.workers, count)
        run_with(TaskSource(extend=partial(_plan_exploit, round_, learned, batch, durations)))
        count -= batch


def check_growth(round_: RoundRecord, n: int, exploit: float | None) -> int:
    """Checks an addition to a round; returns the number of its configurations that the model chooses.

    Raises:
        DesignError: As :func:`grow`.
        ReviewError: ``exploit`` is out of range.
    """
    if not is_whole(n):
        raise DesignError(f"n must be a whole number >= 1 of configurations to add, got {n!r}; write n=6")
    check_shares(exploit)
    n_by_model = round((exploit or 0.0) * n)
    if n_by_model and round_.node.adaptive:
        raise DesignError(
            f"exploit= does not go with the design {round_.node.method!r}, which chooses every configuration "
            "itself; leave exploit out"
        )
    extended_size(round_, n, planned=round_.n)
    round_._budget.check(n, f"round {round_.id}", "ask for n={left} or fewer")
    return n_by_model


def _plan_evenly(round_: RoundRecord, count: int) -> StoredNode:
    """Adds ``count`` configurations of its design to the plan of a round.

    Raises:
        DesignError: Fewer configurations are left.
    """
    size = extended_size(round_, round_.n + count)
    round_.context.store.add_node(round_.context.tree, round_.node, size)
    return round_._stored


def _plan_exploit(
    round_: RoundRecord, analysis: Analysis, count: int, durations: Durations | None
) -> StoredNode:
    """Adds configurations to the plan of a round, chosen by the posterior of an analysis.

    With ``durations``, improvements count per expected second.

    Raises:
        DesignError: Fewer configurations are left.
    """
    store = round_.context.store
    space = round_.space
    stored = round_._stored
    planned = store.beside(stored.pk)
    skip = store.inherited(stored.pk).union(
        store.records([stored.pk]).columns["key"], (extra.key for extra in planned)
    )
    seed = seed_of(round_.id, "grow", len(planned))
    rows = batch_rows(analysis, space, count, seed, skip, running=round_.trials.iloc[:0], durations=durations)
    if len(rows) < count:
        evenly = draw(Uniform(), space, count - len(rows), seed, skip)
        rows = np.concatenate([rows, evenly])
    store.add_node(round_.context.tree, stored.node, stored.n + count)
    store.extend(stored.pk, exploiting(space, rows))
    return round_._stored
