"""Calibration: forecasts against results, refuted narrowings, and decisions against proposals. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.proposal.forecast import WHAT
from refine.proposal.proposal import Proposal
from refine.review.asked import QuestionScore, ScoredQuestion, question_scores
from refine.review.decision import Decision
from refine.trials.goal import best_of, sign_of
from refine.utils.display import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

# Share of the space cut off that a better region is assumed to occupy when the power of audit trials is
# stated.
SHARE = 0.1

NOMINAL = (0.5, 0.9)  # central intervals whose coverage is counted
PERSON = "person"
MACHINE = "machine"
EVEN = "even"
UNTESTED = "untested"


class ChildOutcome(NamedTuple):
    """The results of a child round."""

    planned: int  # space-filling trials planned at the decision
    ended: int  # planned trials that have ended in any state
    space_filling: tuple[float, ...]  # finite values of the completed ones, in the metric's own sign
    inside: float  # best value of all evidence inside the child's space; NaN without one
    audit: tuple[float, ...]  # finite values of its even audit trials that completed
    direction: str  # ``"maximize"`` or ``"minimize"``
    # finite values of its audit trials placed where the posterior found a better value plausible
    probes: tuple[float, ...] = ()

    @property
    def outside(self) -> tuple[float, ...]:
        """Values of all audit trials; any of them can refute the narrowing."""
        return self.audit + self.probes


class SpaceResult(NamedTuple):
    """A space: the share kept of the parent's space, and the best value inside over all trials of the tree.

    Larger is better; NaN without a trial over the same parameters.
    """

    volume_kept: float
    best: float


class DecisionComparison(NamedTuple):
    """A proposal compared with the decision on it."""

    best: float  # best value of all trials in the parent's space, larger is better; NaN without a trial
    proposed: SpaceResult  # the proposed space
    decided: SpaceResult  # the decided space
    # trials since the decision that lie in exactly one of the two spaces; without any, they cannot be told
    # apart
    deciding_trials: int
    epsilon: float  # loss that counts as none

    def kept(self, cut: SpaceResult) -> bool:
        """True if a space keeps the best value within epsilon."""
        return cut.best >= self.best - self.epsilon

    @property
    def smaller(self) -> str:
        """The side with the smaller space: ``"person"``, ``"machine"`` or ``"even"``."""
        decided_volume = self.decided.volume_kept
        proposed_volume = self.proposed.volume_kept
        if math.isclose(decided_volume, proposed_volume, rel_tol=1e-6):
            return EVEN
        if decided_volume < proposed_volume:
            return PERSON
        return MACHINE

    @property
    def right(self) -> str:
        """The side that turned out better: ``"person"``, ``"machine"``, ``"even"`` or ``"untested"``.

        The side that alone kept the best value. If both sides did, the side with the smaller space; if
        neither did, the side with the better best value.
        """
        if math.isnan(self.best) or not self.deciding_trials:
            return UNTESTED
        decided_kept = self.kept(self.decided)
        proposed_kept = self.kept(self.proposed)
        if decided_kept != proposed_kept:
            if decided_kept:
                return PERSON
            return MACHINE
        if decided_kept:
            return self.smaller
        mine_best, their_best = (
            -math.inf if math.isnan(c.best) else c.best for c in (self.decided, self.proposed)
        )
        if mine_best == their_best:
            return EVEN
        if mine_best > their_best:
            return PERSON
        return MACHINE


@dataclass(frozen=True)
class Entry:
    """A decision that led to a child, or a suggestion."""

    round: str  # id of the parent round
    decision: Decision  # the decision, with the forecast
    proposal: Proposal | None  # the proposal; ``None`` for a branch
    outcome: ChildOutcome  # results of the child; empty for a suggestion
    # proposal and decision compared on all trials so far; ``None`` for a branch, and with several goals
    comparison: DecisionComparison | None = None
    # ids of rounds with the bounds of a suggestion, created from the same round: the suggestion was taken
    # over
    taken: tuple[str, ...] = ()

    @property
    def child(self) -> str:
        """Id of the child; empty for a suggestion."""
        return self.decision.child or ""

    @property
    def edited(self) -> bool:
        """True if the decision differs from the proposal."""
        return self.decision.kind == "edited"

    @property
    def suggested(self) -> bool:
        """True if the entry is a suggestion."""
        return self.decision.kind == "suggested"

    @property
    def finished(self) -> bool:
        """True if every planned space-filling trial has ended."""
        return self.outcome.ended >= self.outcome.planned > 0

    @property
    def scored(self) -> bool:
        """True if the forecast is compared with results: see :attr:`state`."""
        return self.state == "scored"

    @property
    def state(self) -> str:
        """State of the forecast.

        ``"scored"``, ``"unfinished"``, ``"no_forecast"`` or ``"too_few_values"``.

        A forecast is scored after every planned space-filling trial has ended, at least half of them with a
        value: forecasts are of values, not of failures.
        """
        if not self.finished:
            return "unfinished"
        if self.decision.forecast is None:
            return "no_forecast"
        if 2 * len(self.outcome.space_filling) >= self.outcome.planned:
            return "scored"
        return "too_few_values"

    def realised(self, quantity: str) -> float:
        """The space-filling trials' ``"median"`` or ``"best"``.

        NaN while the child is unfinished or has no value.
        """
        if not self.finished or not self.outcome.space_filling:
            return math.nan
        if quantity == "median":
            return float(np.median(self.outcome.space_filling))
        return best_of(self.outcome.space_filling, self.outcome.direction)

    def percentile(self, quantity: str) -> float:
        """Position of the realised value in its forecast, in [0, 1]; NaN if the forecast is not scored."""
        forecast = self.decision.forecast
        if forecast is not None and self.scored:
            return forecast.percentile(quantity, self.realised(quantity))
        return math.nan

    def covers(self, quantity: str, nominal: float) -> bool:
        """True if the central interval of a probability holds the realised value. For scored entries only."""
        assert self.decision.forecast is not None
        return self.decision.forecast.holds(quantity, nominal, self.realised(quantity))

    @property
    def excess(self) -> float:
        """Lead of the best audit trial over the best value inside, in units of the metric.

        NaN without an audit trial.
        """
        if not self.outcome.outside or math.isnan(self.outcome.inside):
            return math.nan
        sign = sign_of(self.outcome.direction)
        return sign * (best_of(self.outcome.outside, self.outcome.direction) - self.outcome.inside)

    @property
    def refuted(self) -> bool | None:
        """True if an audit trial beats the best value inside by more than epsilon.

        ``None`` without an audit trial.
        """
        if self.proposal is None or math.isnan(self.excess):
            return None
        return self.excess > self.proposal.claim.epsilon

    def power(self, share: float = SHARE) -> float:
        """Probability that the even audit trials hit a region of ``share`` of the space cut off."""
        return stats.hit_probability(len(self.outcome.audit), share)

    @property
    def verdict(self) -> str:
        """The audit trials' verdict on the narrowing.

        ``"no_claim"`` (a branch), ``"nothing_cut"``, ``"not_tested"`` (no audit trial has finished),
        ``"refuted"`` or ``"not_refuted"``.
        """
        if self.proposal is None:
            return "no_claim"
        if self.refuted is None:
            volume = self.decision.volume_kept
            if volume is not None and volume >= 1:
                return "nothing_cut"
            return "not_tested"
        if self.refuted:
            return "refuted"
        return "not_refuted"


class AuthorScore(NamedTuple):
    """Decisions and suggestions of one author, compared with the proposals."""

    author: str  # the author
    decisions: int  # decisions on proposals that led to a child
    edited: int  # decisions that differ from the proposal
    volume_kept: float  # geometric mean of the shares kept by the decisions
    machine_volume_kept: float  # geometric mean of the shares kept by the proposals
    kept: int  # decided spaces that hold the best value so far, of those with a trial
    machine_kept: int  # proposed spaces that hold the best value
    judged: int  # spaces compared
    bolder: int  # edits with a smaller space than the proposal's
    right: int  # edits that turned out better than the proposal
    machine_right: int  # edits that turned out worse
    even: int  # edits that turned out equally good
    untested: int  # edits that no later trial tests
    # suggestions, taken over or not. They count like edits: in ``bolder``, ``right``, ``machine_right``,
    # ``even`` and ``untested``, in the means and in ``judged``
    suggested: int = 0


def _score(author: str, entries: Sequence[Entry]) -> AuthorScore:
    """The score of one author's decisions and suggestions, each with a comparison."""
    from scipy.stats import gmean

    comparisons = [e.comparison for e in entries if e.comparison is not None]
    edits = [e.comparison for e in entries if e.comparison is not None and (e.edited or e.suggested)]
    suggested = sum(e.suggested for e in entries)
    compared = [c for c in comparisons if not math.isnan(c.best)]
    right = [c.right for c in edits]
    volumes = [[c.decided.volume_kept, c.proposed.volume_kept] for c in comparisons]
    means = gmean(np.maximum(volumes, 1e-6))  # a share of 0 counts as one in a million
    decided_volume, proposed_volume = np.where(np.any(volumes, axis=0), means, 0.0).tolist()
    return AuthorScore(
        author,
        len(comparisons) - suggested,
        edited=len(edits) - suggested,
        volume_kept=decided_volume,
        machine_volume_kept=proposed_volume,
        kept=sum(c.kept(c.decided) for c in compared),
        machine_kept=sum(c.kept(c.proposed) for c in compared),
        judged=len(compared),
        bolder=sum(c.smaller == PERSON for c in edits),
        right=right.count(PERSON),
        machine_right=right.count(MACHINE),
        even=right.count(EVEN),
        untested=right.count(UNTESTED),
        suggested=suggested,
    )


class Coverage(NamedTuple):
    """The hit rate of forecast intervals."""

    what: str  # ``"median"`` or ``"best"``
    nominal: float  # probability of the central interval
    share: float  # share of scored forecasts whose interval held the result; NaN without a scored one
    low: float  # lower end of the share's 95 % Wilson interval
    high: float  # upper end
    hits: int  # intervals that held
    n: int  # scored forecasts


@dataclass(frozen=True, repr=False)
class Calibration(Shown):
    """Every decision that led to a child, oldest round first, with its results."""

    tree: str  # name of the tree
    entries: tuple[Entry, ...]  # one per decision
    # one per suggestion, taken over or not
    suggestions: tuple[Entry, ...] = ()
    questions: tuple[ScoredQuestion, ...] = ()  # one per stored answer, oldest first

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def scored(self) -> tuple[Entry, ...]:
        """Entries whose forecast is compared with results."""
        return tuple(e for e in self.entries if e.scored)

    @cached_property
    def authors(self) -> tuple[AuthorScore, ...]:
        """Scores of the authors' decisions and suggestions, in the order of the first ones.

        A suggestion that its author then decided counts once, as the decision.
        """
        decided = {(e.round, e.decision.author, e.decision.space) for e in self.entries}
        once = [e for e in self.suggestions if (e.round, e.decision.author, e.decision.space) not in decided]
        by_author: dict[str, list[Entry]] = {}
        for e in (*self.entries, *once):
            if e.comparison is not None:
                by_author.setdefault(e.decision.author, []).append(e)
        return tuple(_score(author, entries) for author, entries in by_author.items())

    @cached_property
    def question_scores(self) -> tuple[QuestionScore, ...]:
        """Answers and guesses scored by later trials, by the author who asked."""
        return question_scores(self.questions)

    def coverage(self, nominal: Sequence[float] = NOMINAL) -> tuple[Coverage, ...]:
        """Hit rates of central intervals, for median and best.

        Source: Wilson (1927) for the interval of the share.

        Args:
            nominal: Probabilities of the intervals; both ends must be among the forecasts' levels.
        """
        scored = self.scored
        coverages = []
        for quantity, level in ((quantity, level) for quantity in WHAT for level in nominal):
            hits = sum(e.covers(quantity, level) for e in scored)
            n = len(scored)
            share = low = high = math.nan
            if n:
                ends = stats.wilson(hits, n)
                share = hits / n
                low = float(ends.low)
                high = float(ends.high)
            coverages.append(
                Coverage(quantity, float(level), share=share, low=low, high=high, hits=hits, n=n)
            )
        return tuple(coverages)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per entry, then one per suggestion; a suggestion has no child and no forecast.

        Columns:

        - ``round, child, decision, author, risk, probability`` (claimed), ``volume_kept, epsilon``;
        - ``planned, ended, space_filling`` (trials; the last count has a value);
        - for median and best ``<name>_q05, <name>_q50, <name>_q95`` (forecast), ``<name>`` (realised) and
          ``<name>_pit`` (percentile in the forecast), and ``scored``;
        - ``audit, probe`` (audit trials with a value: even trials, and trials placed where a better value was
          plausible), ``refuted`` (missing if not tested), ``power`` (for a cut region of 10 % of the space);
        - ``machine_volume_kept`` (of the proposal), ``kept_best`` and ``machine_kept_best`` (whether the
          decided and the proposed space hold the best value so far; missing if unknown);
        - for edits and suggestions ``bolder`` (the side with the smaller space) and ``right``: see
          :attr:`refine.review.calibration.DecisionComparison.right`.
        """
        import pandas as pd

        entries = (*self.entries, *self.suggestions)
        frame = pd.DataFrame({name: [column(e) for e in entries] for name, column in _COLUMNS.items()})
        return frame.astype(dict.fromkeys(("refuted", "kept_best", "machine_kept_best"), "boolean"))


def _missing(value: float | None) -> float:
    if value is None:
        return math.nan
    return value


def _quantile(quantity: str, level: float, e: Entry) -> float:
    forecast = e.decision.forecast
    if forecast is None:
        return math.nan
    return forecast.quantile(quantity, level)


def _kept(machine: bool, e: Entry) -> bool | None:
    """True if the decided or the proposed space holds the best value so far; ``None`` if unknown."""
    if e.comparison is None or math.isnan(e.comparison.best):
        return None
    return e.comparison.kept(e.comparison.proposed if machine else e.comparison.decided)


def _of_edit(name: str, e: Entry) -> str | None:
    if e.comparison is not None and (e.edited or e.suggested):
        return getattr(e.comparison, name)
    return None


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
        f"{quantity}{ending}": column
        for quantity in WHAT
        for ending, column in (
            ("_q05", partial(_quantile, quantity, 0.05)),
            ("_q50", partial(_quantile, quantity, 0.5)),
            ("_q95", partial(_quantile, quantity, 0.95)),
            ("", lambda e, quantity=quantity: e.realised(quantity)),
            ("_pit", lambda e, quantity=quantity: e.percentile(quantity)),
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
    "bolder": partial(_of_edit, "smaller"),
    "right": partial(_of_edit, "right"),
}
