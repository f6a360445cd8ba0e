"""What a report is made of, and how it is put in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.finding import MATTERS
from refine.trials.frame import best_first, degenerate_rows
from refine.trials.trial import ORIGINS, STATES
from refine.utils.format import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.analysis.learning_curves import TrialCurves
    from refine.analysis.optimism import Optimism
    from refine.analysis.winner import Winner
    from refine.proposal.options import Options
    from refine.proposal.proposal import Proposal
    from refine.review.checklist import Checks
    from refine.review.decision import Decision
    from refine.run.holdout import HoldoutResult
    from refine.space.parameters import Parameter
    from refine.trials.round_record import Node
    from refine.utils.display import Page

ORIGIN_WORDS = {
    "given": "given",
    "space_filling": "space-filling",
    "exploit": "exploit",
    "audit": "audit",
    "probe": "probe",
    "adaptive": "adaptive",
    "imported": "imported",
}
"""How a trial was drawn, by its origin: short enough for a column."""


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything a report says; whoever has it can write one, with or without a store.

    Attributes:
        tree: Name of the tree.
        node: The round.
        ancestors: Ids from the root to the parent; empty for a root.
        n: Configurations planned.
        analysis: Of the round's evidence; ``None`` where too few trials have finished.
        proposal: What is proposed; ``None`` where nothing was asked for.
        options: What more or less risk would buy; ``None`` without a proposal, or where trials have come since.
        decisions: What was decided, in the order taken.
        table: The round's own trials. A column ``error`` may hold their error texts.
        codes: Fingerprints of the code its trials ran.
        environment: Package -> version, of most of its trials.
        spread: What differs between the environments of its trials: name -> value -> number of trials.
        reproduce: Python code that makes the round again.
        store: Where the round is kept; shown without folders, user or password.
        parent: The parent's own trials, where it has the same metric and direction; ``None`` without such.
        optimism: How much of the best value is chance; ``None`` where there is no best.
        curves: Training curves of the best trials, best first; empty where none were reported.
        holdout_results: What the hold-out showed, each time it was opened at this round.
        checks: Questions to ask before deciding; ``None`` where too few trials have finished.
        before: Best value known before this round; NaN for a root.
        name: What its files are called; default the round's id.
        glance: The page of the review of the proposal, which is read first; ``None`` where there is none, and the analysis is.
        winner: The configuration of this round to hand over; ``None`` where no trial may be called best.
    """

    tree: str
    node: Node
    ancestors: tuple[str, ...]
    n: int
    analysis: Analysis | None
    proposal: Proposal | None
    decisions: tuple[Decision, ...]
    table: pd.DataFrame
    codes: tuple[str, ...]
    environment: Mapping[str, str]
    reproduce: str
    store: str
    options: Options | None = None
    parent: pd.DataFrame | None = None
    optimism: Optimism | None = None
    curves: tuple[TrialCurves, ...] = ()
    holdout_results: tuple[HoldoutResult, ...] = ()
    checks: Checks | None = None
    before: float = math.nan
    winner: Winner | None = None
    spread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    name: str = ""
    glance: Page | None = None

    @property
    def stem(self) -> str:
        """Name of its files, without an ending."""
        return self.name or self.node.id


def metric_of(facts: Facts) -> str:
    """Name of the metric."""
    return facts.analysis.metric if facts.analysis is not None else facts.node.metric


def direction_of(facts: Facts) -> str:
    """``"maximize"`` or ``"minimize"``."""
    return facts.analysis.direction if facts.analysis is not None else facts.node.direction


def finished(facts: Facts) -> pd.DataFrame:
    """Finished trials, best first; equal ones in the table's order. Degenerate ones only where they may be best."""
    return best_first(facts.table, direction_of(facts), facts.node.space, facts.node.allow_degenerate)


def passed_over(facts: Facts) -> int:
    """How many finished trials are degenerate and can't be called best."""
    if facts.node.allow_degenerate:
        return 0
    finite = np.isfinite(np.asarray(facts.table["value"], dtype=float))
    return int((finite & degenerate_rows(facts.table, facts.node.space)).sum())


def that_matter(facts: Facts) -> list[str]:
    """Parameters that matter, the clearest first; one that no trial read does not."""
    found = facts.analysis
    return [e.name for e in found.ranked if found.findings[e.name].verdict == MATTERS] if found else []


def states_text(facts: Facts) -> str:
    """``118 complete, 2 failed``."""
    if "state" not in facts.table:
        return f"{len(facts.table):,} complete"
    counts = facts.table["state"].value_counts()
    found = [f"{int(counts[s]):,} {s}" for s in STATES if int(counts.get(s, 0))]
    return ", ".join(found) or "no trial has run"


def origins_text(facts: Facts) -> str | None:
    """``72 space-filling, 4 audit``; ``None`` where all trials were drawn in one way."""
    if "origin" not in facts.table:
        return None
    counts = facts.table["origin"].value_counts()
    found = [f"{int(counts[o]):,} {ORIGIN_WORDS[o]}" for o in ORIGINS if int(counts.get(o, 0))]
    return ", ".join(found) if len(found) > 1 else None


def changed_bounds(facts: Facts) -> tuple[dict[str, Parameter], str]:
    """Parameters that get other bounds, by the last decision if there is one, else by the proposal.

    Returns:
        Name -> parameter after the change; and ``"decided"`` or ``"proposed"``.
    """
    decided = [d.space for d in facts.decisions if d.space is not None]
    space = decided[-1] if decided else facts.proposal.space if facts.proposal is not None else None
    if space is None:
        return {}, "proposed"
    changed = facts.node.space.diff(space).changed
    return {n: after for n, (_, after) in changed.items()}, "decided" if decided else "proposed"


def shown(value: Any) -> str:
    """A parameter's value as tables show it."""
    if isinstance(value, float | np.floating):
        return number(float(value), 6)
    return str(value)
