"""Outcomes of decisions, read from the store for the calibration."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from refine.proposal.proposal import Proposal, proposal_from_json, volume_of
from refine.review.asked import DECISIVE, ScoredQuestion
from refine.review.calibration import Calibration, ChildOutcome, DecisionComparison, Entry, SpaceResult
from refine.review.decision import Decision
from refine.space.constraints import Constraint
from refine.space.space import Space
from refine.tree.lineage import BestFirstTrials, MetricCache, best_inside
from refine.tree.round_record import RoundRecord
from refine.tree.tree_record import TreeRecord
from refine.trials.frame import Records, barred_rows, configuration_table, space_filling
from refine.trials.goal import Goal
from refine.trials.stored_answer import StoredAnswer
from refine.trials.trial import AUDITS
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


def calibration(self: TreeRecord) -> Calibration:
    """Forecasts of proposals, results of their children, and refuted narrowings.

    One entry per decision that led to a child, one per suggestion, accepted or not, and one per question.
    The space-filling trials that were planned at the decision count for its forecast; later additions to the
    child do not.

    Examples:
        >>> child = root.propose().accept(n=10).run()
        >>> [entry.decision.kind for entry in tree.calibration().scored]
        ['accepted']
    """
    rounds = self._at_once().rounds
    answers = self._context.store.answers(self._context.tree)
    return Calibration(
        self._name, entries_of(rounds), suggestions_of(rounds), scored_questions(rounds, answers)
    )


def entries_of(rounds: Sequence[RoundRecord]) -> tuple[Entry, ...]:
    """One entry of the calibration per decision that led to a child."""
    rounds_by_id = {r.id: r for r in rounds}
    index = _RoundIndex(rounds)
    entries = []
    for parent in rounds:
        proposals = parent._context.reader.proposals(parent._stored.pk)
        for decision in parent._decisions:
            if decision.child in rounds_by_id:
                text = proposals.get(decision.proposal)
                if text is None:
                    proposal = None
                else:
                    proposal = proposal_from_json(json.loads(text))
                child = rounds_by_id[decision.child]
                outcome = seen(child, decision, index.values)
                comparison = None
                if proposal is not None and proposal.claim.others:
                    # A better value in one goal does not refute a claim about a front.
                    outcome = outcome._replace(audit=())
                elif proposal is not None:
                    comparison = comparison_of(index, parent, index.from_on(child), proposal, decision)
                entries.append(Entry(parent.id, decision, proposal, outcome, comparison))
    return tuple(entries)


def suggestions_of(rounds: Sequence[RoundRecord]) -> tuple[Entry, ...]:
    """One entry of the calibration per suggestion, adopted or not."""
    index = _RoundIndex(rounds)
    entries = []
    for parent in rounds:
        reader = parent._context.reader
        pk = parent._stored.pk
        decided = [
            (Decision.from_json(json.loads(text)), decided_at) for text, decided_at in reader.decisions(pk)
        ]
        proposals = reader.proposals(pk)
        for decision, decided_at in decided:
            if decision.kind == "suggested" and decision.proposal in proposals:
                proposal = proposal_from_json(json.loads(proposals[decision.proposal]))
                adopted = tuple(d.child for d, _ in decided if d.child and d.space == decision.space)
                no_outcome = ChildOutcome(0, 0, (), math.nan, (), parent._direction)
                comparison = None
                if not proposal.claim.others:
                    comparison = comparison_of(
                        index, parent, index.alike(parent), proposal, decision, ended_after=decided_at
                    )
                entries.append(Entry(parent.id, decision, proposal, no_outcome, comparison, adopted))
    return tuple(entries)


def scored_questions(
    rounds: Sequence[RoundRecord], answers: Sequence[StoredAnswer]
) -> tuple[ScoredQuestion, ...]:
    """The questions of a tree, compared with the trials after the answers."""
    index = _RoundIndex(rounds)
    rounds_by_id = {r.id: r for r in rounds}
    known_rounds = [answer for answer in answers if answer.round in rounds_by_id]
    return tuple(_scored(index, rounds_by_id[answer.round], answer) for answer in known_rounds)


def _scored(index: _RoundIndex, answering: RoundRecord, answer: StoredAnswer) -> ScoredQuestion:
    """A question, decided by the best values of the trials in the space of the question."""
    if answer.goals > 1:
        return ScoredQuestion(answer, 0, 0, None)
    space = answering.space
    region = Constraint(answer.question)
    best = [-math.inf, -math.inf]
    later = [0, 0]
    for round_ in index.alike(answering):
        records = round_._context.reader.records([round_._stored.pk], curves=round_._goal.metric.curves)
        if not records.metrics:
            continue
        table = configuration_table(space, records.configurations)
        values = index.values_of(round_)
        compared = space.contains(table) & np.isfinite(values)
        if answer.given is not None:
            compared &= space.meets(Constraint(answer.given), table)
        inside = compared & space.meets(region, table)
        outside = compared & ~inside
        if answer.better is not None:
            outside = compared & space.meets(Constraint(answer.better), table)
        new = _ended(records) > answer.created
        for side, part in enumerate((inside, outside)):
            best[side] = max(best[side], values[part].max(initial=-math.inf))
            later[side] += int((part & new).sum())
    lead = best[0] - best[1]
    outcome = None
    if min(later) >= DECISIVE:
        if answer.better is None:
            outcome = bool(lead >= -answer.epsilon)
        elif abs(lead) > answer.epsilon:
            outcome = bool(lead > 0)
    return ScoredQuestion(answer, later[0], later[1], outcome)


def _ended(records: Records) -> Floats:
    """(n,) times at which trials ended, in seconds since 1970; -inf for running trials."""
    return np.array([-math.inf if t is None else t for t in records.columns["finished"]], dtype=float)


class _RoundIndex:
    """All rounds of a tree by parameters and goals, read once for all decisions."""

    def __init__(self, rounds: Sequence[RoundRecord]) -> None:
        self.values = MetricCache()  # values of the rounds read so far
        self._alike: dict[tuple[frozenset[str], Goal], list[RoundRecord]] = {}
        self._ranked: dict[tuple[frozenset[str], Goal], BestFirstTrials] = {}
        for round_ in rounds:
            self._alike.setdefault(self._key(round_), []).append(round_)

    @staticmethod
    def _key(round_: RoundRecord) -> tuple[frozenset[str], Goal]:
        return frozenset(round_.space), round_._goal

    def values_of(self, round_: RoundRecord) -> Floats:
        """(n,) values of a round's trials, larger is better; -inf where a trial has none."""
        return self.values.of(round_._context.reader, round_._stored.pk, round_._goal)

    def alike(self, round_: RoundRecord) -> list[RoundRecord]:
        """Comparable rounds over equal parameters, the round included."""
        return self._alike[self._key(round_)]

    def from_on(self, round_: RoundRecord) -> list[RoundRecord]:
        """Comparable rounds that are not older than the round."""
        return [r for r in self.alike(round_) if r._stored.order >= round_._stored.order]

    def ranked(self, round_: RoundRecord) -> BestFirstTrials:
        """Their trials, best first."""
        key = self._key(round_)
        if key not in self._ranked:
            used: list[tuple[int, dict[str, object]]] = [(r._stored.pk, {}) for r in self._alike[key]]
            self._ranked[key] = BestFirstTrials(round_._context.reader, used, round_._goal, self.values)
        return self._ranked[key]


def comparison_of(
    index: _RoundIndex,
    parent: RoundRecord,
    later: Sequence[RoundRecord],
    proposal: Proposal,
    decision: Decision,
    ended_after: float = -math.inf,
) -> DecisionComparison:
    """Comparison of a proposal with the decision, on all trials over equal parameters.

    Trials of ``later`` rounds count that ended after ``ended_after``, in seconds since 1970.
    """
    assert decision.space is not None
    ranked = index.ranked(parent)
    decided = decision.space
    edited = decided != proposal.space
    anywhere, machine = (_value(ranked.best_in(space)) for space in (proposal.old, proposal.space))
    if edited:
        person = _value(ranked.best_in(decided))
    else:
        person = machine
    best_values = [value for value in (anywhere, machine, person) if not math.isnan(value)]
    return DecisionComparison(
        max(best_values) if best_values else math.nan,
        SpaceResult(proposal.volume_kept, machine),
        SpaceResult(volume_of(proposal, decided), person),
        _later(index, later, proposal, decided, ended_after) if edited else 0,
        proposal.claim.epsilon,
    )


def _value(best: tuple[float, pd.DataFrame] | None) -> float:
    if best is None:
        return math.nan
    return best[0]


def _later(
    index: _RoundIndex, rounds: Sequence[RoundRecord], proposal: Proposal, decided: Space, ended_after: float
) -> int:
    """Number of finished later trials in exactly one of the proposed and decided spaces."""
    count = 0
    for later in rounds:
        value = index.values_of(later)
        reader = later._context.reader
        pk = later._stored.pk
        records = reader.records([pk], curves=later._goal.metric.curves)
        if records.metrics:
            table = configuration_table(proposal.old, records.configurations)
            in_one = proposal.space.contains(table) != decided.contains(table)
            count += int((in_one & np.isfinite(value) & (_ended(records) > ended_after)).sum())
    return count


def seen(child: RoundRecord, decision: Decision, values: MetricCache) -> ChildOutcome:
    """Results of a child as planned at the decision, without later extensions."""
    stored = child._stored
    off_design = child._context.reader.beside(stored.pk)
    if decision.n is None:
        n = stored.n
    else:
        n = decision.n
    planned = n - stored.off_design(off_design, n)
    frame = _judged(child, child.trials)
    if frame.empty:
        return ChildOutcome(planned, 0, (), math.nan, (), child._direction)
    drawn = frame[space_filling(frame) & (frame["state"] != "running")]
    if n < stored.n and not child._node.adaptive:
        if planned > 0:
            first = child._cells(planned)
        else:
            first = []
        drawn = drawn[drawn["cell"].isin([str(cell) for cell in first])]
    # A repeated configuration counts as one trial.
    finished = drawn[np.isfinite(drawn["value"])].drop_duplicates("cell")["value"]
    audit, probes = (_finite(frame.loc[frame["origin"] == origin, "value"]) for origin in AUDITS)
    return ChildOutcome(
        planned=planned,
        ended=int(drawn["cell"].nunique()),
        space_filling=tuple(_finite(finished)),
        inside=best_inside(child._context.reader, child._context.path(child._node), child._goal, values),
        audit=tuple(audit),
        direction=child._direction,
        probes=tuple(probes),
    )


def _judged(child: RoundRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """A table without the values of trials that cannot be best."""
    if frame.empty:
        return frame
    barred = barred_rows(frame, child.space, child._node.allow_degenerate)
    return frame.assign(value=frame["value"].where(~barred))


def _finite(values: Iterable[float]) -> list[float]:
    return [float(v) for v in values if math.isfinite(v)]
