"""Proposals with their tolerance and reviews, checks, and the share of luck in the best value."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import TypeVar

from refine.analysis.analysis import LEAST, Analysis
from refine.analysis.optimism import Optimism
from refine.errors import AnalysisError, ReviewError
from refine.proposal.proposal import Proposal, check_risk, on_evidence, proposal_from_json
from refine.proposal.proposal import propose as proposed
from refine.review.checks import Checks
from refine.review.next_step import trials_for_rounds
from refine.review.review import Review
from refine.review.worth import worth_of
from refine.space.space import Space
from refine.tree.children import DecidedRound
from refine.tree.lineage import analyze, analyze_until, read_optimism
from refine.tree.round_record import RoundRecord
from refine.utils.action import Action

R = TypeVar("R", bound=DecidedRound)


def optimism(self: RoundRecord, seed: int = 0, analysis: Analysis | None = None) -> Optimism:
    """Share of luck in the best value: of seeds, by replicates, and of validation examples.

    Args:
        seed: Seed of every random draw.
        analysis: The analysis of this round, if already made.

    Raises:
        AnalysisError: No finished trial may be called best.

    Examples:
        >>> root.optimism().expected  # no noise: the best is as good when trained again
        0.9998
    """
    snapshot = self._at_once()
    if analysis is None:
        with contextlib.suppress(AnalysisError):  # too few trials for an estimate of the noise
            analysis = analyze(snapshot, seed=seed)
    return read_optimism(snapshot._context.reader, snapshot._stored.pk, snapshot._goal, analysis, seed)


def checks(self: DecidedRound, analysis: Analysis | None = None, proposal: Proposal | None = None) -> Checks:
    """Questions to settle before a decision: pass, warn or fail for each, with a number and a figure.

    Args:
        analysis: The analysis of the round, if already made.
        proposal: The proposal; default the last one on the present evidence. :meth:`Review.checks` passes
            its own.

    Raises:
        AnalysisError: Too few trials to analyse, or no trial may be best.

    Examples:
        >>> [check.key for check in root.checks().checks if check.verdict == "warn"]
        ['goal', 'worth']
    """
    snapshot = self._at_once()
    if analysis is None:
        analysis = _analysis_to_propose_on(snapshot)
    if proposal is None:
        stored = (p for p in reversed(snapshot._proposals) if p.evidence.digest == analysis.digest)
        proposal = next((_judged_again(snapshot, p, analysis) for p in stored), None)
    if proposal is None:
        budget = snapshot._budget
        size = snapshot.n
        available = trials_for_rounds(analysis, budget)
        if available is not None:
            size = min(size, available)
        before, inside = snapshot._best_before()
        outlook = worth_of(
            analysis,
            snapshot._epsilon,
            self.space,
            size,
            budget=budget,
            before=math.nan if inside else before,
        )
        return snapshot._checks(analysis, None, outlook)
    return Review(snapshot, on_evidence(proposal, analysis)).checks()


def propose(
    self: R,
    risk: float = 0.05,
    epsilon: float | Mapping[str, float] | None = None,
    seed: int = 0,
    *,
    keep: bool = True,
    renew: bool = False,
) -> Review[R]:
    """Proposes bounds for the next round and opens them for review; the proposal is stored.

    The evidence is every finished trial of the tree inside the space: see :class:`refine.Analysis`. After a
    decision on a proposal of this round, a repeated call repeats that proposal: trials that other rounds
    finished later, for example the child of the decision, do not count. So a script that runs twice makes the
    same rounds. New trials of this round or of its ancestors, or ``renew=True``, give a new proposal.

    Args:
        risk: Accepted probability of losing more than the tolerance.
        epsilon: Loss that counts as none, in units of the metric; default that of the goal, else
            the smallest difference that the trials can resolve, at least 5 % of (best - median). With several
            goals, a mapping from metrics to losses.
        seed: Seed of every random draw of the analysis.
        keep: Whether to store the proposal now, or only with a decision on it.
        renew: Whether to propose on all finished trials, in spite of an earlier decision.

    Raises:
        AnalysisError: Fewer than 10 finished trials inside the space, or none of them of this round.

    Examples:
        >>> review = root.propose(risk=0.05)
        >>> [(c.name, c.kind, c.new.low, c.new.high) for c in review.proposal.changes]
        [('lr', 'narrow', 1.0, 2.0), ('dropout', 'narrow', 0.0, 0.1)]
    """
    check_risk(risk, None if isinstance(epsilon, Mapping) else epsilon)
    if renew:
        analysis = analyze(self, seed=seed)
    else:
        analysis = _analysis_to_propose_on(self, seed)
    if epsilon is None:
        epsilon = self._epsilon
    proposal = proposed(analysis, risk, epsilon, outer=_outer(self), room=_room(self, analysis))
    if keep:
        self._keep_proposal(proposal, again=True)
    return Review(self, proposal)


def _room(round_: RoundRecord, analysis: Analysis) -> int:
    """Fewest configurations left to run that a narrowing keeps: those the budget pays, or a short round."""
    return max(LEAST, trials_for_rounds(analysis, round_._budget) or 0)


def _outer(round_: DecidedRound) -> Space | None:
    """The space before the narrowing to the space of a round, in which audit trials were drawn."""
    # Audit trials of rounds on the same space count as well: they were drawn before the narrowing.
    return next((node.space for node in reversed(round_._path) if node.space != round_.space), None)


def _analysis_to_propose_on(round_: RoundRecord, seed: int = 0) -> Analysis:
    """The analysis behind the last decision on a round; that of all trials if its evidence has changed."""
    reader = round_._context.reader
    stored = reader.proposals(round_._stored.pk)
    decided = [d.proposal for d in round_._decisions if d.child and d.proposal in stored]
    if not decided:
        return analyze(round_, seed=seed)
    evidence = proposal_from_json(json.loads(stored[decided[-1]])).evidence
    analysis = analyze_until(round_, evidence.until, seed, branch_trials=evidence.branch_trials)
    if analysis.digest == evidence.digest:
        return analysis
    return analyze(round_, seed=seed)


def review(self: R, proposal: Proposal) -> Review[R]:
    """Opens a stored proposal for review, unchanged, from any version of refine.

    Its evidence is read again from the store: trials of other branches count if they were stored by then.

    Args:
        proposal: The proposal.

    Raises:
        ReviewError: Trials of the round or of its ancestors changed after the proposal, or trials of other
            branches in its evidence were removed.
    """
    check_risk(proposal.risk)
    evidence = proposal.evidence
    analysis = analyze_until(self, evidence.until, branch_trials=evidence.branch_trials)
    if analysis.digest != evidence.digest:
        raise ReviewError(
            f"round {self.id}: its trials changed after this proposal was made; propose again",
            Action("round.propose", risk=proposal.risk),
        )
    return Review(self, _judged_again(self, proposal, analysis))


def _judged_again(round_: DecidedRound, proposal: Proposal, analysis: Analysis) -> Proposal:
    """A proposal read back from a store, with the posterior of a draft on its evidence."""
    tolerances = proposal.claim.given(proposal.evidence.metric)
    room = _room(round_, analysis)
    drafted = proposed(analysis, proposal.risk, tolerances, outer=_outer(round_), room=room)
    return on_evidence(proposal, analysis, drafted)
