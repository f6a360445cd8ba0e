"""Exploit trials of a child, chosen while the child runs, from all results so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from refine.analysis.analysis import Analysis
from refine.design.space_filling import Uniform, draw
from refine.proposal.allocation import batch_rows, durations_in, learning_from
from refine.run.plan import Learn, design_rows
from refine.space.encoding import seed_of
from refine.space.space import Space, configuration_key, encode_configuration
from refine.tree.lineage import analyze_until, declared_on
from refine.tree.round_record import RoundRecord
from refine.trials.frame import configuration_table
from refine.trials.round_record import Beside, Encoded, beside_of
from refine.trials.rows import JsonRows
from refine.utils.arrays import Column


def exploiting(space: Space, rows: Iterable[Column]) -> list[Encoded]:
    """Exploit configurations of a space by rows of level numbers."""
    return [("exploit", encode_configuration(space.frozen_at(row))) for row in rows]


def learner(round_: RoundRecord, workers: int, per: str = "trial") -> Learn:
    """Chooses the next exploit trials of a child, and stores them before the run.

    A batch is learned from all trials of the child that have ended, and from all trials of the tree inside
    the parent's space that had finished when the run began. If these trials are not informative about the
    space, the batch is drawn evenly. ``per="second"`` prefers short trials.
    """
    # the parent's, made when it is first needed
    space = round_.space
    parent_analysis = list[Analysis]()
    drawn = set[str]()  # keys of the design's cells, of which some may still run; likewise

    def learn() -> list[Beside]:
        store = round_.context.store
        stored = round_._stored
        planned = store.beside(stored.pk)
        n = min(workers, stored.off_design(planned) - len(planned))
        if n < 1:
            return []
        if not parent_analysis:
            parent = round_.parent
            assert parent is not None
            analysis = analyze_until(parent, math.inf, without={round_.id})
            parent_analysis.append(replace(analysis, declared_belief=declared_on(round_.path)))
            rows = design_rows(stored, store.inherited(stored.pk), planned)
            drawn.update(configuration_key(space.frozen_at(row)) for row in rows)
        ended = set(store.records([stored.pk]).columns["key"])
        running = JsonRows([b.configuration for b in planned if b.key not in ended])
        analysis = learning_from(parent_analysis[0], round_.trials, round_.node.allow_degenerate)
        skip = store.inherited(stored.pk).union(ended, drawn, (b.key for b in planned))
        seed = seed_of(round_.id, "exploit", len(planned))
        durations = None
        if per == "second":
            durations = durations_in(parent_analysis[0], round_.trials)
        running_table = configuration_table(space, running)
        rows = batch_rows(analysis, space, n, seed, skip, running=running_table, durations=durations)
        if not len(rows):
            rows = draw(Uniform(), space, n, seed, skip)
        chosen = exploiting(space, rows)
        store.extend(stored.pk, chosen)
        return beside_of(chosen)

    return learn
