"""Exploit trials of a round, chosen while the round runs, from all results so far."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.fidelity import FEWEST_BRIDGES
from refine.design.space_filling import Uniform, draw
from refine.errors import AnalysisError
from refine.proposal.allocation import batch_rows, durations_in, learning_from
from refine.proposal.bridging import bridge_rows
from refine.run.plan import Learn, design_rows
from refine.space.encoding import seed_of
from refine.space.fidelity import at_full
from refine.space.space import Indices, Space, configuration_key, encode_configuration
from refine.tree.lineage import analyze, analyze_until, declared_on
from refine.tree.round_record import RoundRecord
from refine.trials.frame import configuration_table
from refine.trials.replicates import planned as planned_runs
from refine.trials.round_record import Beside, Encoded, StoredNode, beside_of
from refine.trials.rows import JsonRows
from refine.utils.arrays import Column


def exploiting(space: Space, rows: Iterable[Column]) -> list[Encoded]:
    """Exploit configurations of a space by rows of level numbers."""
    return [("exploit", encode_configuration(at_full(space, space.frozen_at(row)))) for row in rows]


def learner(round_: RoundRecord, workers: int, per: str = "trial") -> Learn:
    """Chooses the next exploit trials of a round, and stores them before the run.

    The share of a child is learned from all trials of the child that have ended, and from all trials of the
    tree inside the parent's space that had finished when the run began. Added exploit trials are learned from
    all trials of the tree inside the space of the round. If these trials are not informative about the space,
    a batch is drawn evenly. ``per="second"`` prefers short trials.
    """
    return _Learner(round_, workers, per)


@dataclass
class _Learner:
    """See :func:`learner`."""

    round_: RoundRecord
    workers: int
    per: str
    # made when they are first needed
    of_parent: Analysis | None = None
    of_round: Analysis | None = None
    trials_before: int = 0  # trials of the round behind ``of_round``
    drawn: set[str] = field(default_factory=set)  # keys of the design's cells, of which some may still run

    def __call__(self) -> list[Beside]:
        round_ = self.round_
        stored = round_._stored
        planned = round_._context.store.beside(stored.pk)
        missing = min(stored.off_design(planned), stored.n - self.evenly_run) - len(planned)
        if missing < 1:
            return []
        chosen = sum(b.origin == "exploit" for b in planned)
        addition = stored.exploit_addition(chosen)
        if addition is None and stored.node.cheap_first and stored.node.parent is None:
            rows = self._at_full(stored, planned, min(self.workers, missing), chosen)
        elif addition is None:
            rows = self._of_child(stored, planned, min(self.workers, missing))
        else:
            count = min(self.workers, missing, addition.total - chosen)
            rows = self._added(stored, planned, count, addition.per)
        exploit = exploiting(round_.space, rows)
        round_._context.store.extend(stored.pk, exploit)
        return beside_of(exploit)

    @cached_property
    def evenly_run(self) -> int:
        """Number of the design's cells that ran before: an addition may leave the design fewer of them."""
        records = planned_runs(self.round_._records())
        return int(np.count_nonzero(np.asarray(records.columns["origin"]) == "space_filling"))

    def _of_child(self, stored: StoredNode, planned: list[Beside], count: int) -> Indices:
        """Rows of level numbers of exploit trials in the share of a child."""
        round_ = self.round_
        if self.of_parent is None:
            parent = round_.parent
            assert parent is not None
            analysis = analyze_until(parent, math.inf, without={round_.id})
            self.of_parent = replace(analysis, declared_belief=declared_on(round_._path))
        seed = seed_of(round_.id, "exploit", len(planned))
        learned = learning_from(self.of_parent, round_.trials, round_._node.allow_degenerate)
        rows = self._batch(stored, planned, learned, count, seed, self.per)
        if len(rows):
            return rows
        return draw(Uniform(), round_.space, count, seed, self._skipped(stored, planned))

    def _at_full(self, stored: StoredNode, planned: list[Beside], count: int, chosen: int) -> Indices:
        """Rows of level numbers of cheap trials to run at the full level as well."""
        round_ = self.round_
        table = round_.trials
        analysis = None
        if chosen >= FEWEST_BRIDGES:
            with contextlib.suppress(AnalysisError):  # too few trials have a value
                analysis = analyze(round_)
        done = {b.key for b in planned}
        seed = seed_of(round_.id, "exploit", len(planned))
        sign = round_._goal.sign
        rows = bridge_rows(
            round_.space, table, sign, count, chosen=chosen, analysis=analysis, seed=seed, done=done
        )
        if len(rows) < count:
            evenly = draw(Uniform(), round_.space, count - len(rows), seed, self._skipped(stored, planned))
            rows = np.concatenate([rows, evenly])
        return rows

    def _added(self, stored: StoredNode, planned: list[Beside], count: int, per: str) -> Indices:
        """Rows of level numbers of exploit trials that a person added."""
        round_ = self.round_
        if self.of_round is None:
            self.trials_before = len(round_.trials)
            try:
                self.of_round = analyze(round_)
            except AnalysisError:  # too few trials have a value
                self.of_round = None
        seed = seed_of(round_.id, "grow", len(planned))
        rows: Indices = np.zeros((0, len(round_.space)), dtype=np.int64)
        if self.of_round is not None:
            recent = round_.trials.iloc[self.trials_before :]
            learned = learning_from(self.of_round, recent, round_._node.allow_degenerate)
            rows = self._batch(stored, planned, learned, count, seed, per)
        if len(rows) < count:
            evenly = draw(Uniform(), round_.space, count - len(rows), seed, self._skipped(stored, planned))
            rows = np.concatenate([rows, evenly])
        return rows

    def _batch(
        self,
        stored: StoredNode,
        planned: list[Beside],
        learned: Analysis,
        count: int,
        seed: int,
        per: str,
    ) -> Indices:
        """Rows that promise the largest improvement, by an analysis with the latest trials."""
        round_ = self.round_
        space = round_.space
        ended = set(round_._context.store.records([stored.pk]).columns["key"])
        running = configuration_table(
            space, JsonRows([b.configuration for b in planned if b.key not in ended])
        )
        durations = None
        if per == "second":
            durations = durations_in(self.of_parent or learned, round_.trials)
        skipped = self._skipped(stored, planned)
        return batch_rows(learned, space, count, seed, skipped, running=running, durations=durations)

    def _skipped(self, stored: StoredNode, planned: list[Beside]) -> frozenset[str]:
        """Keys of configurations that have a trial already, or will have one."""
        store = self.round_._context.store
        space = self.round_.space
        if not self.drawn and not stored.node.adaptive:
            rows = design_rows(stored, store.inherited(stored.pk), planned)
            self.drawn.update(configuration_key(space.frozen_at(row)) for row in rows)
        ended = store.records([stored.pk]).columns["key"]
        if stored.node.cheap_first:  # what a child inherits are cells of its design, which is cheap
            ended = store.records(
                [earlier.pk for earlier in self.round_._context.path(self.round_._node)]
            ).columns["key"]
        return store.inherited(stored.pk).union(ended, self.drawn, (b.key for b in planned))
