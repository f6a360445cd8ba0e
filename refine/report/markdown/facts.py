"""What the report of a round says, and what reports say of decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from refine.design.space_filling import IMPORTED
from refine.report.markdown.script import configuration_code
from refine.report.markdown.text import Part, Raw, code, escape, joined, quote
from refine.report.pages.phrases import by, judged_text
from refine.report.pages.proposal import within_text
from refine.report.pages.space import decision_grid
from refine.space.edits import bounds_text
from refine.trials.frame import best_first
from refine.trials.trial import STATES
from refine.utils.format import percent, plural, probability

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.analysis.learning_curves import TrialCurves
    from refine.analysis.optimism import Optimism
    from refine.analysis.winner import Winner
    from refine.proposal.options import Options
    from refine.proposal.proposal import Proposal
    from refine.review.checks import Checks
    from refine.review.decision import Decision
    from refine.run.holdout import HoldoutResult
    from refine.space.parameters import Parameter
    from refine.space.space import Space
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

KIND_WORDS = {
    "accepted": "Accepted as proposed",
    "edited": "Accepted with changes",
    "declined": "Declined",
    "branched": "Branched without regard to the proposal",
    "suggested": "Suggested",
    "chosen": "A point of the front was chosen",
}
"""How every kind of decision is called."""


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything a round's report says; whoever has it can write one, with or without a store."""

    tree: str
    node: Node
    ancestors: tuple[str, ...]  # ids from the root to the parent; empty for a root
    n: int  # configurations planned
    analysis: Analysis | None  # of the round's evidence; ``None`` where too few trials have finished
    proposal: Proposal | None  # what is proposed; ``None`` where nothing was asked for
    decisions: tuple[Decision, ...]  # what was decided, in the order taken
    table: pd.DataFrame  # the round's own trials. A column ``error`` may hold their error texts
    codes: tuple[str, ...]  # fingerprints of the code its trials ran
    environment: Mapping[str, str]  # package -> version, of most of its trials
    reproduce: str  # python code that makes the round again
    store: str  # where the round is kept; shown without folders, user or password
    # what more or less risk would buy; ``None`` without a proposal, or where trials have come since
    options: Options | None = None
    # the parent's own trials, where it has the same metric and direction; ``None`` without such
    parent: pd.DataFrame | None = None
    optimism: Optimism | None = None  # how much of the best value is chance; ``None`` where there is no best
    # training curves of the best trials, best first; empty where none were reported
    curves: tuple[TrialCurves, ...] = ()
    # what the hold-out showed, each time it was opened at this round
    holdout_results: tuple[HoldoutResult, ...] = ()
    checks: Checks | None = None
    before: float = math.nan  # best value known before this round; NaN for a root
    # the configuration of this round to hand over; ``None`` where no trial may be called best
    winner: Winner | None = None
    # what differs between the environments of its trials: name -> value -> number of trials
    spread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    name: str = ""  # what its files are called; default the round's id
    # the page of the review of the proposal, which is read first; ``None`` where there is none, and the analysis is
    glance: Page | None = None

    @property
    def stem(self) -> str:
        """Name of its files, without an ending."""
        return self.name or self.node.id

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self.analysis.metric if self.analysis is not None else self.node.metric

    @property
    def direction(self) -> str:
        """``"maximize"`` or ``"minimize"``."""
        return self.analysis.direction if self.analysis is not None else self.node.direction

    @cached_property
    def finished(self) -> pd.DataFrame:
        """Finished trials, best first; equal ones in the table's order. Degenerate ones only where they may be best."""
        return best_first(self.table, self.direction, self.node.space, self.node.allow_degenerate)

    @property
    def states(self) -> str:
        """``118 complete, 2 failed``."""
        if "state" not in self.table:
            return f"{len(self.table):,} complete"
        return (
            counted(self.table["state"].value_counts().to_dict(), {s: s for s in STATES})
            or "no trial has run"
        )

    @property
    def origins(self) -> str:
        """``72 space-filling, 4 audit``; empty where all trials were drawn in one way."""
        counts = self.table["origin"].value_counts().to_dict() if "origin" in self.table else {}
        return counted(counts, ORIGIN_WORDS) if len(counts) > 1 else ""

    @property
    def planned(self) -> str:
        """How many configurations were planned, and of how many."""
        if self.node.method == IMPORTED:
            return f"{self.n:,} imported, not necessarily on these levels"
        if self.node.adaptive:
            return f"{self.n:,} planned, between these levels too"
        before = " before constraints" if self.node.space.constraints else ""
        return f"{self.n:,} planned of {self.node.space.size:,}{before}"

    @property
    def changed(self) -> tuple[dict[str, Parameter], str]:
        """Parameters that get other bounds, by the last decision (``"decided"``), without one by the proposal (``"proposed"``)."""
        decided = [d.space for d in self.decisions if d.space is not None]
        space = decided[-1] if decided else self.proposal.space if self.proposal is not None else None
        changed = {} if space is None else self.node.space.diff(space).changed
        return {n: after for n, (_, after) in changed.items()}, "decided" if decided else "proposed"


def counted(counts: Mapping[Any, int], words: Mapping[str, str] | None = None) -> str:
    """``118 complete, 2 failed``: counts by their names, or in the order of some words for these."""
    words = {name: name for name in counts} if words is None else words
    return ", ".join(f"{int(counts[name]):,} {word}" for name, word in words.items() if counts.get(name))


def fingerprints(data: str | None, codes: Sequence[str]) -> list[tuple[str, str]]:
    """Rows of a table: which data and which code."""
    none = "no fingerprint: the objective names no data"
    known = joined([code(c[:12]) for c in codes]) if codes else "no fingerprint"
    return [("data", code(data[:12]) if data else none), ("code", known)]


def store_name(store: str) -> str:
    """A store's name without folders, user, password or options."""
    if "://" not in store:
        return Path(store.replace("\\", "/")).name or store
    parts = urlsplit(store)
    name = parts.path.rstrip("/").rpartition("/")[2]
    if parts.scheme.startswith("sqlite"):
        return name or "in memory"
    return f"{parts.hostname or ''}/{name}"


def decision_parts(d: Decision, old: Space, proposal: Proposal | None, number: int = 0) -> list[Part]:
    """Who decided, why, and what was decided beside the proposal that it was about; ``number`` heads one of several."""
    title = escape(f"{KIND_WORDS.get(d.kind, d.kind)}{by(d.author)}")
    note = quote(d.note) if d.note.strip() else None
    return [
        Raw(f"### {number}. {title}" if number else f"**{title}.**"),
        note,
        decision_grid(old, d, proposal),
    ]


def decisions_parts(facts: Facts) -> list[Part]:
    """Every decision on the round, the earliest first."""
    if not facts.decisions:
        return [f"Nothing has been {'decided yet' if facts.proposal is not None else 'proposed'}."]
    parts: list[Part] = []
    for i, d in enumerate(facts.decisions, 1):
        proposal = facts.proposal
        about = proposal if proposal is not None and d.proposal == proposal.digest else None
        edited = [
            f"{n} (proposed {bounds_text(a)}, decided {bounds_text(b)})" for n, (a, b) in d.edits.items()
        ]
        asked = "" if d.n is None else f", with {plural(d.n, 'configuration')} asked for"
        lines = [
            f"Edited: {joined(edited)}." if edited else "",
            f"Rejected, so unchanged: {joined(d.rejected)}." if d.rejected else "",
            f"Went back with it, wholly or in part: {joined(d.followed)}." if d.followed else "",
            f"The configuration: {code(configuration_code(d.chosen))}." if d.chosen is not None else "",
            "The space stays as it is. No child round was made." if d.kind == "declined" else "",
            f"The next round is {code(d.child)}{asked}." if d.child else "",
            "" if d.space is None else _claimed(facts, d, about),
        ]
        parts += decision_parts(d, facts.node.space, about, i if len(facts.decisions) > 1 else 0)
        parts.append(Raw("\n".join(f"- {line}" for line in lines if line)))
    return parts


def _claimed(facts: Facts, d: Decision, about: Proposal | None) -> str:
    """What a decision keeps and claims; of a suggestion also what the proposal did that it was made on."""
    what = "suggested" if d.kind == "suggested" else "decided"
    kept = "" if d.volume_kept is None else f"The {what} space keeps {percent(d.volume_kept)} of this one"
    if d.probability is None:
        return f"{kept or 'The space was decided without a proposal'}; no probability is stated for it."
    within = "at least as good as" if about is None else within_text(about.claim)
    judged = escape(judged_text(facts.metric, facts.node.subject_to))
    beside = ""
    if about is not None and d.kind == "suggested":
        claimed = probability(about.claim.probability)
        beside = f" The proposed one keeps {percent(about.volume_kept)}, with probability {claimed}."
    return (
        f"{kept + '; ' if kept else ''}with probability {probability(d.probability)} the best {judged} inside is {within} the best "
        f"anywhere in this round's space.{beside}"
    )
