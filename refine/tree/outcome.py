"""What the children of decisions showed, read from the store for the calibration."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from refine.proposal.proposal import Proposal
from refine.review.calibration import Entry, Seen
from refine.review.decision import Decision
from refine.tree.lineage import Values, best_inside
from refine.tree.round import Round
from refine.trials.frame import barred_rows, space_filling

if TYPE_CHECKING:
    import pandas as pd


def entries_of(rounds: Sequence[Round]) -> tuple[Entry, ...]:
    """One entry of the calibration per decision that led to a child.

    Args:
        rounds: All rounds of a tree.
    """
    known = {r.id: r for r in rounds}
    values = Values()
    entries = []
    for found in rounds:
        kept = found.context.reader.proposals(found._stored.pk)
        for decision in found.decisions:
            if decision.child in known:
                text = kept.get(decision.proposal)
                proposal = None if text is None else Proposal.from_json(json.loads(text))
                shown = seen(known[decision.child], decision, values)
                if proposal is not None and proposal.claim.others:
                    shown = shown._replace(
                        audit=()
                    )  # a better value in one goal refutes no claim about a front
                entries.append(Entry(found.id, decision, proposal, shown))
    return tuple(entries)


def seen(child: Round, decision: Decision, values: Values) -> Seen:
    """What a child showed of what was planned at a decision; what was added to it later is left out.

    Args:
        child: The round that came of it.
        decision: The decision.
        values: Of the rounds that were looked at before.
    """
    stored = child._stored
    extra = len(child.context.reader.beside(stored.pk))
    planned = (stored.n if decision.n is None else decision.n) - extra
    frame = _judged(child, child.trials)
    if frame.empty:
        return Seen(planned, 0, (), math.nan, (), child.direction)
    drawn = frame[space_filling(frame) & (frame["state"] != "running")]
    if planned < stored.n - extra and not child.node.adaptive:
        first = child.cells(planned) if planned > 0 else []
        drawn = drawn[drawn["cell"].isin([str(cell) for cell in first])]
    # A configuration that was run again is one trial.
    finished = drawn[np.isfinite(drawn["value"])].drop_duplicates("cell")["value"]
    audit = frame.loc[frame["origin"] == "audit", "value"]
    return Seen(
        planned=planned,
        ended=int(drawn["cell"].nunique()),
        space_filling=tuple(_finite(finished)),
        inside=best_inside(child.context.reader, child.context.path(child.node), child.goal, values),
        audit=tuple(_finite(audit)),
        direction=child.direction,
    )


def _judged(child: Round, frame: pd.DataFrame) -> pd.DataFrame:
    """A table in which trials that can't be called best have no value, as failed ones."""
    if frame.empty:
        return frame
    barred = barred_rows(frame, child.space, child.node.allow_degenerate)
    return frame.assign(value=frame["value"].where(~barred))


def _finite(values: Iterable[float]) -> list[float]:
    return [float(v) for v in values if math.isfinite(v)]
