"""The ledger: what proposals forecast, what their children showed, and which narrowings were refuted. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.proposal.forecast import WHAT
from refine.proposal.proposal import Proposal
from refine.review.decision import Decision
from refine.trials.goal import sign_of
from refine.utils.display import Block, Cell, Grid, Items, Page, Shown, Text
from refine.utils.format import number, percent, plural, score

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
        audit: Finite values of its audit trials that completed.
        direction: ``"maximize"`` or ``"minimize"``.
    """

    planned: int
    ended: int
    space_filling: tuple[float, ...]
    inside: float
    audit: tuple[float, ...]
    direction: str


@dataclass(frozen=True)
class Entry:
    """One decision that led to a child.

    Attributes:
        round: Id of the round decided upon.
        decision: The decision, with the forecast.
        proposal: The proposal decided upon; ``None`` for a branch.
        seen: What the child showed.
    """

    round: str
    decision: Decision
    proposal: Proposal | None
    seen: Seen

    @property
    def child(self) -> str:
        """Id of the child."""
        return self.decision.child or ""

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
        return float(
            max(self.seen.space_filling)
            if self.seen.direction == "maximize"
            else min(self.seen.space_filling)
        )

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
        if not self.seen.audit or math.isnan(self.seen.inside):
            return math.nan
        sign = sign_of(self.seen.direction)
        return max(sign * v for v in self.seen.audit) - sign * self.seen.inside

    @property
    def refuted(self) -> bool | None:
        """Whether a audit trial beats the best inside by more than epsilon; ``None`` where none tested it."""
        if self.proposal is None or math.isnan(self.excess):
            return None
        return self.excess > self.proposal.claim.epsilon

    def power(self, share: float = SHARE) -> float:
        """Probability that the audit trials would have hit a region that holds ``share`` of what was cut off."""
        return stats.hit_probability(len(self.seen.audit), share)

    @property
    def verdict(self) -> str:
        """What the audit trials say of the claim about the outside, in a sentence."""
        k = len(self.seen.audit)
        if self.proposal is None:
            return "No claim: a branch narrows without a proposal."
        if self.refuted is None:
            if self.decision.volume_kept is not None and self.decision.volume_kept >= 1:
                return "Nothing to refute: nothing was cut off."
            return "Not tested: no audit trial has finished."
        if self.refuted:
            sign = sign_of(self.seen.direction)
            best = sign * max(sign * v for v in self.seen.audit)
            more = (
                f" by more than {number(self.proposal.claim.epsilon)}" if self.proposal.claim.epsilon else ""
            )
            return (
                f"Refuted: a audit trial reached {score(best)}; the best inside is {score(self.seen.inside)}, "
                f"worse{more}."
            )
        better = (
            f"better by more than {number(self.proposal.claim.epsilon)}"
            if self.proposal.claim.epsilon
            else "better"
        )
        return (
            f"Not refuted: {plural(k, 'audit trial')} found nothing {better}. "
            f"{'It' if k == 1 else 'They'} would have found a better region that holds {percent(SHARE)} of what was "
            f"cut off with probability {self.power():.2f}."
        )

    @property
    def state(self) -> str:
        """Why the forecast is scored or not, in a sentence."""
        made, seen = self.decision.forecast, self.seen
        if not self.finished:
            return f"Unfinished, not scored: {seen.ended:,} of {plural(seen.planned, 'space-filling trial')} have ended."
        if made is None:
            return "No forecast was made, so none is scored."
        if not self.scored:
            return f"Not scored: only {len(seen.space_filling):,} of {plural(seen.planned, 'space-filling trial')} have a value."
        places = ", ".join(f"{what} at the {_ordinal(self.percentile(what))}" for what in WHAT)
        return f"Scored on {plural(len(seen.space_filling), 'space-filling trial')}: {places} percentile of its forecast."


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


@dataclass(frozen=True)
class Calibration(Shown):
    """Every decision that led to a child, oldest round first, with what came of it.

    Attributes:
        tree: Name of the tree.
        entries: One per decision.
    """

    tree: str
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def scored(self) -> tuple[Entry, ...]:
        """Entries whose forecast is held against what was seen."""
        return tuple(e for e in self.entries if e.scored)

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
        """One row per entry.

        Columns: ``round, child, decision, author, risk, probability`` (claimed), ``volume_kept, epsilon, planned, ended,
        space_filling`` (with a value), for median and best ``<what>_q05, <what>_q50, <what>_q95`` (forecast),
        ``<what>`` (realised) and ``<what>_pit`` (percentile in the forecast), ``scored, audit`` (trials with
        a value), ``refuted`` (missing where not tested), ``power`` (against a region that holds 10 % of what
        was cut off).
        """
        import pandas as pd

        frame = pd.DataFrame([_row(e) for e in self.entries], columns=list(_COLUMNS))
        return frame.astype({"refuted": "boolean"})

    def page(self) -> Page:
        """Every decision: what was forecast, what was seen, whether it was refuted; and how often forecasts held."""
        title = f"Ledger of {self.tree}"
        if not self.entries:
            return Page(
                title, (Text("No decision has led to a child yet."),), ("round.propose().accept(n=100)",)
            )
        head = (
            "round",
            "child",
            "decision",
            "kept",
            "claimed",
            "median: forecast",
            "seen",
            "best: forecast",
            "seen",
        )
        blocks: list[Block] = [
            Grid(head, tuple(tuple(_cells(e)) for e in self.entries), right=(3, 4, 6, 8)),
            Items(
                tuple(Cell(f"{e.round} -> {e.child}: {e.state} {e.verdict}", _tone(e)) for e in self.entries)
            ),
        ]
        held = [
            f"{percent(c.nominal)} intervals of the {c.what} held in {c.hits} of {c.n} "
            f"({percent(c.share)}; 95 % interval {percent(c.low)} to {percent(c.high)})"
            for c in (self.coverage() if self.scored else ())
        ]
        return Page(title, (*blocks, *([Items(tuple(held))] if held else [])), ("tree.plot.reliability()",))

    def __repr__(self) -> str:
        return str(self)


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
    *("scored", "audit", "refuted", "power"),
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
        "refuted": e.refuted,
        "power": e.power(),
    }
    for what in WHAT:
        for level in (0.05, 0.5, 0.95):
            at = math.nan if d.forecast is None else d.forecast.quantile(what, level)
            row[f"{what}_q{round(100 * level):02d}"] = at
        row[what], row[f"{what}_pit"] = e.realised(what), e.percentile(what)
    return row


def _cells(e: Entry) -> list[str]:
    d = e.decision
    cells = [
        e.round,
        e.child,
        d.kind,
        percent(d.volume_kept),
        "-" if d.probability is None else f"{d.probability:.2f}",
    ]
    for what in WHAT:
        made = "-"
        if d.forecast is not None:
            low, high = d.forecast.interval(what, 0.9)
            made = f"{score(d.forecast.quantile(what, 0.5))} ({score(low)} to {score(high)})"
        cells += [made, score(e.realised(what))]
    return cells


def _tone(e: Entry) -> str:
    return "bad" if e.refuted else ""


def _ordinal(share: float) -> str:
    whole = round(100 * share)
    ending = "th" if 10 <= whole % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{ending}"
