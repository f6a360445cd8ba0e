"""Calibration: what proposals forecast, what their children showed, which narrowings were refuted, and who was right. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.proposal.forecast import WHAT
from refine.proposal.proposal import Proposal
from refine.review.decision import Decision
from refine.trials.goal import best_of, sign_of
from refine.utils.display import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

# Share of what was cut off that a better region is taken to hold where the power of audit trials is stated.
SHARE = 0.1

NOMINAL = (0.5, 0.9)  # central intervals whose coverage is counted
PERSON, MACHINE, EVEN, UNTESTED = "person", "machine", "even", "untested"


class ChildOutcome(NamedTuple):
    """What a child showed."""

    planned: int  # space-filling trials that were planned when it was decided upon
    ended: int  # how many of those have ended, in whatever way
    space_filling: tuple[float, ...]  # finite values of those that completed, in the metric's own sign
    inside: float  # best value of all evidence inside the child's space; NaN where there is none
    audit: tuple[float, ...]  # finite values of its even audit trials that completed
    direction: str  # ``"maximize"`` or ``"minimize"``
    # the same of audit trials where the posterior found a better value plausible
    probes: tuple[float, ...] = ()

    @property
    def outside(self) -> tuple[float, ...]:
        """Values of all audit trials, any of which can refute."""
        return self.audit + self.probes


class SpaceResult(NamedTuple):
    """A space: the share that it keeps of the one decided upon, and the best value inside of all trials of the tree.

    Larger is better; NaN without a trial over the same parameters.
    """

    volume_kept: float
    best: float


class DecisionComparison(NamedTuple):
    """What was proposed beside what was decided."""

    best: float  # best value of all trials in the space decided upon, larger is better; NaN without one
    proposed: SpaceResult  # the space that was proposed
    decided: SpaceResult  # the space that was decided
    # trials since the decision that lie in exactly one of both: without one nothing tells them apart
    deciding_trials: int
    epsilon: float  # loss that counts as none

    def kept(self, cut: SpaceResult) -> bool:
        """Whether a space kept the best value, to within what counts as no loss."""
        return cut.best >= self.best - self.epsilon

    @property
    def smaller(self) -> str:
        """Who cut off more: ``"person"``, ``"machine"`` or ``"even"``."""
        mine, theirs = self.decided.volume_kept, self.proposed.volume_kept
        if math.isclose(mine, theirs, rel_tol=1e-6):
            return EVEN
        return PERSON if mine < theirs else MACHINE

    @property
    def right(self) -> str:
        """Who was right: ``"person"``, ``"machine"``, ``"even"`` or ``"untested"``.

        Who alone kept the best; of two that kept it the bolder one, who got as much for less; of two that lost it the one with
        the better best.
        """
        if math.isnan(self.best) or not self.deciding_trials:
            return UNTESTED
        mine, theirs = self.kept(self.decided), self.kept(self.proposed)
        if mine != theirs:
            return PERSON if mine else MACHINE
        if mine:
            return self.smaller
        mine_best, their_best = (
            -math.inf if math.isnan(c.best) else c.best for c in (self.decided, self.proposed)
        )
        return EVEN if mine_best == their_best else PERSON if mine_best > their_best else MACHINE


@dataclass(frozen=True)
class Entry:
    """One decision that led to a child, or a suggestion."""

    round: str  # id of the round decided upon
    decision: Decision  # the decision, with the forecast
    proposal: Proposal | None  # the proposal decided upon; ``None`` for a branch
    outcome: ChildOutcome  # what the child showed; nothing of a suggestion
    # what was proposed beside what was decided, on all that is known by now; ``None`` for a branch, and with several goals
    comparison: DecisionComparison | None = None
    # ids of rounds that came of the same bounds, decided on the same round: of a suggestion that was taken over
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
        return self.outcome.ended >= self.outcome.planned > 0

    @property
    def scored(self) -> bool:
        """Whether the forecast is held against what was seen: see :attr:`state`."""
        return self.state == "scored"

    @property
    def state(self) -> str:
        """Whether the forecast is scored: ``"scored"``, or ``"unfinished"``, ``"no_forecast"``, ``"too_few_values"``.

        There must be one, every planned space-filling trial must have ended, and at least half of them with a value: the
        forecast is of values, and says nothing about failures.
        """
        if not self.finished:
            return "unfinished"
        if self.decision.forecast is None:
            return "no_forecast"
        return "scored" if 2 * len(self.outcome.space_filling) >= self.outcome.planned else "too_few_values"

    def realised(self, what: str) -> float:
        """The space-filling trials' ``"median"`` or ``"best"``; NaN while the child is unfinished or without a value."""
        if not self.finished or not self.outcome.space_filling:
            return math.nan
        if what == "median":
            return float(np.median(self.outcome.space_filling))
        return best_of(self.outcome.space_filling, self.outcome.direction)

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
        if not self.outcome.outside or math.isnan(self.outcome.inside):
            return math.nan
        sign = sign_of(self.outcome.direction)
        return sign * (best_of(self.outcome.outside, self.outcome.direction) - self.outcome.inside)

    @property
    def refuted(self) -> bool | None:
        """Whether an audit trial beats the best inside by more than epsilon; ``None`` where none tested it."""
        if self.proposal is None or math.isnan(self.excess):
            return None
        return self.excess > self.proposal.claim.epsilon

    def power(self, share: float = SHARE) -> float:
        """Probability that the even audit trials would have hit a region that holds ``share`` of what was cut off."""
        return stats.hit_probability(len(self.outcome.audit), share)

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


class AuthorScore(NamedTuple):
    """What came of the decisions and suggestions of one author, beside the proposals that they were taken on."""

    author: str  # who decided
    decisions: int  # decisions on proposals that led to a child
    edited: int  # how many of them decided something else than was proposed
    volume_kept: float  # geometric mean of the shares kept by the decisions
    machine_volume_kept: float  # the same of the proposals
    kept: int  # how many decided spaces hold the best value known by now, of those with a trial
    machine_kept: int  # the same of the proposed ones
    judged: int  # of how many
    bolder: int  # how many edits cut off more than was proposed
    right: int  # how many edits turned out better than the proposal
    machine_right: int  # how many turned out worse
    even: int  # how many turned out as good
    untested: int  # how many edits no later trial tells anything of
    # how many suggestions there were, whether or not anybody took them over. They count like edits: in ``bolder``, ``right``,
    # ``machine_right``, ``even`` and ``untested``, in the means and in ``judged``
    suggested: int = 0


def _score(author: str, entries: Sequence[Entry]) -> AuthorScore:
    """The score of one author's decisions and suggestions, all with a comparison."""
    from scipy.stats import gmean

    comparisons = [e.comparison for e in entries if e.comparison is not None]
    edits = [e.comparison for e in entries if e.comparison is not None and (e.edited or e.suggested)]
    suggested = sum(e.suggested for e in entries)
    known = [c for c in comparisons if not math.isnan(c.best)]
    right = [c.right for c in edits]
    kept = [[c.decided.volume_kept, c.proposed.volume_kept] for c in comparisons]
    decided_volume, proposed_volume = map(
        float, gmean(np.maximum(kept, 1e-6))
    )  # a share of 0 counts as one in a million
    return AuthorScore(
        author,
        len(comparisons) - suggested,
        len(edits) - suggested,
        decided_volume,
        proposed_volume,
        sum(c.kept(c.decided) for c in known),
        sum(c.kept(c.proposed) for c in known),
        len(known),
        sum(c.smaller == PERSON for c in edits),
        right.count(PERSON),
        right.count(MACHINE),
        right.count(EVEN),
        right.count(UNTESTED),
        suggested,
    )


class Coverage(NamedTuple):
    """How often forecasts held."""

    what: str  # ``"median"`` or ``"best"``
    nominal: float  # probability of the central interval
    share: float  # share of scored forecasts whose interval held what was seen; NaN where none is scored
    low: float  # lower end of the 95 % Wilson interval of that share
    high: float  # upper end
    hits: int  # number that held
    n: int  # number scored


@dataclass(frozen=True, repr=False)
class Calibration(Shown):
    """Every decision that led to a child, oldest round first, with what came of it."""

    tree: str  # name of the tree
    entries: tuple[Entry, ...]  # one per decision
    # what was suggested, one per suggestion, whether or not anybody took it over
    suggestions: tuple[Entry, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def scored(self) -> tuple[Entry, ...]:
        """Entries whose forecast is held against what was seen."""
        return tuple(e for e in self.entries if e.scored)

    @cached_property
    def authors(self) -> tuple[AuthorScore, ...]:
        """What came of every author's decisions and suggestions, in the order of their first ones, beside the proposals.

        What an author suggested and then decided counts once, as the decision.
        """
        decided = {(e.round, e.decision.author, e.decision.space) for e in self.entries}
        once = [e for e in self.suggestions if (e.round, e.decision.author, e.decision.space) not in decided]
        by_author: dict[str, list[Entry]] = {}
        for e in (*self.entries, *once):
            if e.comparison is not None:
                by_author.setdefault(e.decision.author, []).append(e)
        return tuple(_score(author, entries) for author, entries in by_author.items())

    def coverage(self, nominal: Sequence[float] = NOMINAL) -> tuple[Coverage, ...]:
        """How often central intervals held, for median and best.

        Source: Wilson (1927) for the interval of the share.

        Args:
            nominal: Probabilities of the intervals; both ends must be among the forecasts' levels.
        """
        scored = self.scored
        coverages = []
        for what, level in ((what, level) for what in WHAT for level in nominal):
            hits, n = sum(e.covers(what, level) for e in scored), len(scored)
            share = low = high = math.nan
            if n:
                ends = stats.wilson(hits, n)
                share, low, high = hits / n, float(ends.low), float(ends.high)
            coverages.append(Coverage(what, float(level), share, low, high, hits, n))
        return tuple(coverages)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per entry, and then one per suggestion, which has no child and no forecast.

        Columns: ``round, child, decision, author, risk, probability`` (claimed), ``volume_kept, epsilon, planned, ended,
        space_filling`` (with a value), for median and best ``<what>_q05, <what>_q50, <what>_q95`` (forecast),
        ``<what>`` (realised) and ``<what>_pit`` (percentile in the forecast), ``scored, audit, probe`` (audit trials with
        a value: even ones, and those where a better value was plausible), ``refuted`` (missing where not tested), ``power`` (against a region that holds 10 % of what
        was cut off), ``machine_volume_kept`` (of the proposal), ``kept_best`` and ``machine_kept_best`` (whether what was
        decided, and what was proposed, holds the best value known by now; missing where nothing is known), and of an edit or a
        suggestion ``bolder`` (who cut off more) and ``right``: see :attr:`refine.review.calibration.DecisionComparison.right`.
        """
        import pandas as pd

        every = (*self.entries, *self.suggestions)
        frame = pd.DataFrame({name: [column(e) for e in every] for name, column in _COLUMNS.items()})
        return frame.astype(dict.fromkeys(("refuted", "kept_best", "machine_kept_best"), "boolean"))


def _missing(value: float | None) -> float:
    return math.nan if value is None else value


def _quantile(what: str, level: float, e: Entry) -> float:
    made = e.decision.forecast
    return math.nan if made is None else made.quantile(what, level)


def _kept(machine: bool, e: Entry) -> bool | None:
    """Whether what was decided, or proposed, holds the best value known; ``None`` where nothing is known."""
    if e.comparison is None or math.isnan(e.comparison.best):
        return None
    return e.comparison.kept(e.comparison.proposed if machine else e.comparison.decided)


def _of_edit(name: str, e: Entry) -> str | None:
    return getattr(e.comparison, name) if e.comparison is not None and (e.edited or e.suggested) else None


_COLUMNS: dict[str, Callable[[Entry], object]] = {
    "round": lambda e: e.round,
    "child": lambda e: e.child,
    "decision": lambda e: e.decision.kind,
    "author": lambda e: e.decision.author,
    "risk": lambda e: math.nan if e.proposal is None else e.proposal.risk,
    "probability": lambda e: _missing(e.decision.probability),
    "volume_kept": lambda e: _missing(e.decision.volume_kept),
    "epsilon": lambda e: math.nan if e.proposal is None else e.proposal.claim.epsilon,
    "planned": lambda e: e.outcome.planned,
    "ended": lambda e: e.outcome.ended,
    "space_filling": lambda e: len(e.outcome.space_filling),
    **{
        f"{what}{ending}": column
        for what in WHAT
        for ending, column in (
            ("_q05", partial(_quantile, what, 0.05)),
            ("_q50", partial(_quantile, what, 0.5)),
            ("_q95", partial(_quantile, what, 0.95)),
            ("", lambda e, what=what: e.realised(what)),
            ("_pit", lambda e, what=what: e.percentile(what)),
        )
    },
    "scored": lambda e: e.scored,
    "audit": lambda e: len(e.outcome.audit),
    "probe": lambda e: len(e.outcome.probes),
    "refuted": lambda e: e.refuted,
    "power": lambda e: e.power(),
    "machine_volume_kept": lambda e: math.nan if e.comparison is None else e.comparison.proposed.volume_kept,
    "kept_best": partial(_kept, False),
    "machine_kept_best": partial(_kept, True),
    "bolder": partial(_of_edit, "bolder"),
    "right": partial(_of_edit, "right"),
}
