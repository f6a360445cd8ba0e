"""Calibration: what proposals forecast, what their children showed, and which narrowings were refuted. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.proposal.forecast import WHAT
from refine.proposal.proposal import Proposal
from refine.review.authors import AuthorScore, BeliefScore, Contest, Judged, author_scores
from refine.review.decision import Decision
from refine.trials.goal import best_of, sign_of
from refine.utils.display import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

SHARE = 0.1
"""Share of what was cut off that a better region is taken to hold where the power of audit trials is stated."""

NOMINAL = (0.5, 0.9)
"""Central intervals whose coverage is counted."""


class Seen(NamedTuple):
    """What a child showed.

    Attributes:
        planned: Space-filling trials that were planned when it was decided upon.
        ended: How many of those have ended, in whatever way.
        space_filling: Finite values of those that completed, in the metric's own sign.
        inside: Best value of all evidence inside the child's space; NaN where there is none.
        audit: Finite values of its even audit trials that completed.
        direction: ``"maximize"`` or ``"minimize"``.
        probes: The same of audit trials where the posterior found a better value plausible.
    """

    planned: int
    ended: int
    space_filling: tuple[float, ...]
    inside: float
    audit: tuple[float, ...]
    direction: str
    probes: tuple[float, ...] = ()

    @property
    def outside(self) -> tuple[float, ...]:
        """Values of all audit trials, any of which can refute."""
        return self.audit + self.probes


@dataclass(frozen=True)
class Entry:
    """One decision that led to a child, or a suggestion.

    Attributes:
        round: Id of the round decided upon.
        decision: The decision, with the forecast.
        proposal: The proposal decided upon; ``None`` for a branch.
        seen: What the child showed; nothing of a suggestion.
        contest: What was proposed beside what was decided, on all that is known by now; ``None`` for a branch, and with several
            goals.
        taken: Ids of rounds that came of the same bounds, decided on the same round: of a suggestion that was taken over.
    """

    round: str
    decision: Decision
    proposal: Proposal | None
    seen: Seen
    contest: Contest | None = None
    taken: tuple[str, ...] = ()

    @property
    def child(self) -> str:
        """Id of the child; empty of a suggestion."""
        return self.decision.child or ""

    @property
    def edited(self) -> bool:
        """Whether something else was decided than was proposed."""
        return self.decision.kind == "edited"

    @property
    def suggested(self) -> bool:
        """Whether it was only suggested."""
        return self.decision.kind == "suggested"

    @property
    def finished(self) -> bool:
        """Whether every planned space-filling trial has ended."""
        return self.seen.ended >= self.seen.planned > 0

    @property
    def scored(self) -> bool:
        """Whether the forecast is held against what was seen.

        There must be one, every planned space-filling trial must have ended, and at least half of them with a value: the
        forecast is of values, and says nothing about failures.
        """
        made = self.decision.forecast
        return made is not None and self.finished and 2 * len(self.seen.space_filling) >= self.seen.planned

    def realised(self, what: str) -> float:
        """The space-filling trials' ``"median"`` or ``"best"``; NaN while the child is unfinished or without a value."""
        if not self.finished or not self.seen.space_filling:
            return math.nan
        if what == "median":
            return float(np.median(self.seen.space_filling))
        return best_of(self.seen.space_filling, self.seen.direction)

    def percentile(self, what: str) -> float:
        """Where in its forecast the realised value lies, in [0, 1]; NaN where it is not scored."""
        made = self.decision.forecast
        return made.percentile(what, self.realised(what)) if made is not None and self.scored else math.nan

    def covers(self, what: str, nominal: float) -> bool:
        """Whether the central interval of that probability holds the realised value. Of scored entries only."""
        assert self.decision.forecast is not None
        return self.decision.forecast.holds(what, nominal, self.realised(what))

    @property
    def excess(self) -> float:
        """By how much the best audit trial beats the best inside, in units of the metric; NaN without one."""
        if not self.seen.outside or math.isnan(self.seen.inside):
            return math.nan
        sign = sign_of(self.seen.direction)
        return sign * (best_of(self.seen.outside, self.seen.direction) - self.seen.inside)

    @property
    def refuted(self) -> bool | None:
        """Whether an audit trial beats the best inside by more than epsilon; ``None`` where none tested it."""
        if self.proposal is None or math.isnan(self.excess):
            return None
        return self.excess > self.proposal.claim.epsilon

    def power(self, share: float = SHARE) -> float:
        """Probability that the even audit trials would have hit a region that holds ``share`` of what was cut off."""
        return stats.hit_probability(len(self.seen.audit), share)

    @property
    def verdict(self) -> str:
        """What the audit trials say of the claim about the outside.

        ``"no_claim"`` (a branch), ``"nothing_cut"``, ``"not_tested"`` (no audit trial has finished), ``"refuted"`` or
        ``"not_refuted"``.
        """
        if self.proposal is None:
            return "no_claim"
        if self.refuted is None:
            kept = self.decision.volume_kept
            return "nothing_cut" if kept is not None and kept >= 1 else "not_tested"
        return "refuted" if self.refuted else "not_refuted"

    @property
    def state(self) -> str:
        """Whether the forecast is scored: ``"scored"``, or ``"unfinished"``, ``"no_forecast"``, ``"too_few_values"``."""
        if not self.finished:
            return "unfinished"
        if self.decision.forecast is None:
            return "no_forecast"
        return "scored" if self.scored else "too_few_values"


class Coverage(NamedTuple):
    """How often forecasts held.

    Attributes:
        what: ``"median"`` or ``"best"``.
        nominal: Probability of the central interval.
        share: Share of scored forecasts whose interval held what was seen; NaN where none is scored.
        low: Lower end of the 95 % Wilson interval of that share.
        high: Upper end.
        hits: Number that held.
        n: Number scored.
    """

    what: str
    nominal: float
    share: float
    low: float
    high: float
    hits: int
    n: int


@dataclass(frozen=True, repr=False)
class Calibration(Shown):
    """Every decision that led to a child, oldest round first, with what came of it.

    Attributes:
        tree: Name of the tree.
        entries: One per decision.
        beliefs: What people believed, one per round that something was said on.
        suggestions: What was suggested, one per suggestion, whether or not anybody took it over.
    """

    tree: str
    entries: tuple[Entry, ...]
    beliefs: tuple[BeliefScore, ...] = ()
    suggestions: tuple[Entry, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def scored(self) -> tuple[Entry, ...]:
        """Entries whose forecast is held against what was seen."""
        return tuple(e for e in self.entries if e.scored)

    @cached_property
    def authors(self) -> tuple[AuthorScore, ...]:
        """What came of every author's decisions and suggestions, beside the proposals that they were made on.

        What an author suggested and then decided counts once, as the decision.
        """
        decided = {(e.round, e.decision.author, e.decision.space) for e in self.entries}
        once = [e for e in self.suggestions if (e.round, e.decision.author, e.decision.space) not in decided]
        return author_scores(
            [
                Judged(e.decision.author, e.edited, e.contest, e.suggested)
                for e in (*self.entries, *once)
                if e.contest is not None
            ]
        )

    def coverage(self, nominal: Sequence[float] = NOMINAL) -> tuple[Coverage, ...]:
        """How often central intervals held, for median and best.

        Source: Wilson (1927) for the interval of the share.

        Args:
            nominal: Probabilities of the intervals; both ends must be among the forecasts' levels.
        """
        found = self.scored
        out = []
        for what in WHAT:
            for level in nominal:
                hits = sum(e.covers(what, level) for e in found)
                ends = stats.wilson(hits, len(found))
                share = hits / len(found) if found else math.nan
                low, high = (float(ends.low), float(ends.high)) if found else (math.nan, math.nan)
                out.append(Coverage(what, float(level), share, low, high, hits, len(found)))
        return tuple(out)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per entry, and then one per suggestion, which has no child and no forecast.

        Columns: ``round, child, decision, author, risk, probability`` (claimed), ``volume_kept, epsilon, planned, ended,
        space_filling`` (with a value), for median and best ``<what>_q05, <what>_q50, <what>_q95`` (forecast),
        ``<what>`` (realised) and ``<what>_pit`` (percentile in the forecast), ``scored, audit, probe`` (audit trials with
        a value: even ones, and those where a better value was plausible), ``refuted`` (missing where not tested), ``power`` (against a region that holds 10 % of what
        was cut off), ``machine_volume_kept`` (of the proposal), ``kept_best`` and ``machine_kept_best`` (whether what was
        decided, and what was proposed, holds the best value known by now; missing where nothing is known), and of an edit or a
        suggestion ``bolder`` (who cut off more) and ``right``: see :attr:`refine.review.authors.Contest.right`.
        """
        import pandas as pd

        frame = pd.DataFrame([_row(e) for e in (*self.entries, *self.suggestions)], columns=list(_COLUMNS))
        return frame.astype(dict.fromkeys(("refuted", "kept_best", "machine_kept_best"), "boolean"))


_COLUMNS = (
    *(
        "round",
        "child",
        "decision",
        "author",
        "risk",
        "probability",
        "volume_kept",
        "epsilon",
        "planned",
        "ended",
        "space_filling",
    ),
    *(f"{what}{part}" for what in WHAT for part in ("_q05", "_q50", "_q95", "", "_pit")),
    *("scored", "audit", "probe", "refuted", "power"),
    *("machine_volume_kept", "kept_best", "machine_kept_best", "bolder", "right"),
)


def _row(e: Entry) -> dict[str, object]:
    d = e.decision
    row: dict[str, object] = {
        "round": e.round,
        "child": e.child,
        "decision": d.kind,
        "author": d.author,
        "risk": math.nan if e.proposal is None else e.proposal.risk,
        "probability": math.nan if d.probability is None else d.probability,
        "volume_kept": math.nan if d.volume_kept is None else d.volume_kept,
        "epsilon": math.nan if e.proposal is None else e.proposal.claim.epsilon,
        "planned": e.seen.planned,
        "ended": e.seen.ended,
        "space_filling": len(e.seen.space_filling),
        "scored": e.scored,
        "audit": len(e.seen.audit),
        "probe": len(e.seen.probes),
        "refuted": e.refuted,
        "power": e.power(),
    }
    for what in WHAT:
        for level in (0.05, 0.5, 0.95):
            at = math.nan if d.forecast is None else d.forecast.quantile(what, level)
            row[f"{what}_q{round(100 * level):02d}"] = at
        row[what], row[f"{what}_pit"] = e.realised(what), e.percentile(what)
    return {**row, **_beside(e)}


def _beside(e: Entry) -> dict[str, object]:
    """What was decided beside what was proposed."""
    found = e.contest
    if found is None:
        return {
            "machine_volume_kept": math.nan,
            **dict.fromkeys(("kept_best", "machine_kept_best", "bolder", "right")),
        }
    known, edited = not math.isnan(found.best), e.edited or e.suggested
    return {
        "machine_volume_kept": found.machine.volume_kept,
        "kept_best": found.kept(found.person) if known else None,
        "machine_kept_best": found.kept(found.machine) if known else None,
        "bolder": found.bolder if edited else None,
        "right": found.right if edited else None,
    }
