"""Advice after a round, with reasons and cost: size and shares of the next round, or another step. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from refine import stats
from refine.analysis.analysis import LEAST, Analysis
from refine.analysis.evidence import ALPHA, ParameterEvidence
from refine.analysis.finding import CANNOT_BE_JUDGED, NOT_SEEN
from refine.analysis.reason import Reason
from refine.design.space_filling import check_size
from refine.proposal.allocation import check_shares
from refine.proposal.alternatives import advice, left_to_run, trial_seconds
from refine.proposal.expected_time import slowest_parameter
from refine.proposal.proposal import Proposal, claim_for
from refine.space.fidelity import Fidelity, fidelity_of
from refine.space.space import Space
from refine.trials.budget import NO_BUDGET, BudgetState
from refine.trials.trial import FAILED
from refine.utils.action import Action, Symbol
from refine.utils.types import JsonObject

POWER = 0.8  # a parameter can be judged if an effect of :data:`EFFECT` would be found with this probability
EFFECT = 0.1  # share of the differences between trials that such an effect explains
# Advised share of exploit trials in the next round. On tables, 0.56 left as much regret, and the proposal
# after it narrowed less often; 0.9 left a fifth less regret, and no even trials to test the next proposal on.
LEARNED = 0.3

# The same under a budget of trials, which leaves few rounds. Regret of 60 trials, of which the first 20 were
# even, on pipelines, smooth functions and surrogates: 31, 31 and 8 % with a share of at most 0.3 and 20 even
# trials a round, 2, 12 and 4 % with 0.8, 3, 11 and 3 % with 1.
LEARNED_IN_BUDGET = 0.9

# Fewest even trials in an advised round without a budget: with fewer, the noise is unknown, and the next
# proposal narrows nothing.
EVEN = 20

# Share of the cost of a later round with a fidelity that cheap trials take.
CHEAP_IN_LATER_ROUNDS = 0.15

# Advised share of audit trials.
AUDIT = 0.05

# Configurations that a settled round repeats, and seeds of each.
REPEATED = 5
SEEDS = 3

_GROWTH = (1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8)
_COMBINED = 2.0  # joining three tests takes a p-value smaller by about this factor than one test


@dataclass(frozen=True)
class NextStep:
    """One step to take next."""

    action: Action  # the call
    # the first reason is the advice, the others are its grounds
    reasons: tuple[Reason, ...]
    n: int  # number of trials
    seconds: float  # duration, one trial at a time; NaN without measured times

    def to_json(self) -> JsonObject:
        """Plain data."""
        return {
            "action": str(self.action),
            "reasons": [reason.to_json() for reason in self.reasons],
            "n": self.n,
            "seconds": float(f"{self.seconds:.6g}") if math.isfinite(self.seconds) else None,
        }


DECIDED = NextStep(Action("tree.winner"), (Reason("decided", {}),), 0, 0.0)
"""The step after repeats have decided the winner."""


@dataclass(frozen=True)
class NextRound:
    """Size and shares of the next round: options of :meth:`refine.Review.accept` with advised defaults."""

    n: int  # configurations; 0 if the budget leaves none
    exploit: float  # share placed by the model as results arrive, in [0, 1]
    audit: float  # share outside the new space, which tests the claim, in [0, 1]; 0 if nothing is cut off

    @property
    def even(self) -> int:
        """Configurations drawn evenly over the new space."""
        return self.n - round(self.exploit * self.n) - round(self.audit * self.n)


def advised_round(
    proposal: Proposal,
    space: Space,
    planned: int,
    *,
    budget: BudgetState = NO_BUDGET,
    n: int | None = None,
    exploit: float | None = None,
    audit: float | None = None,
) -> NextRound:
    """The one advice on the next round.

    The default of ``accept``, ``worth`` and ``preview``, and the printed call.

    Size: enough trials to judge by, at most ``planned``. Exploit: 0.3, or less, so that 20 even trials
    remain; fewer do not show the noise. Audit: 0.05, or less if ``exploit`` leaves no room; 0 if the space
    cuts nothing off.

    With a budget, the size is at most the trials left for rounds, without the reserve for confirming the
    winner. If fewer than ten trials would remain afterwards, the round takes all of them. Exploit: 0.8.

    Args:
        proposal: The proposal made on the evidence.
        space: Space of the next round: the proposed one, or an edited one.
        planned: Configurations of the present round; with a fidelity, their cost in full trainings.
        budget: The budget of the tree.
        n: Size set by the person; the advised shares follow from the size.
        exploit: Share set by the person.
        audit: Share set by the person.

    Returns:
        The advice, with the values that the person set.

    Raises:
        DesignError: ``n`` is not a whole number >= 1.
        ReviewError: A share outside [0, 1], or a sum of shares above 1.
    """
    analysis = proposal.analysis
    check_shares(exploit, audit)
    named = fidelity_of(space)
    if named is not None:
        return _cheap_round(analysis, space, named[1], planned, budget, n=n, exploit=exploit)
    if n is not None:
        check_size(n)
    else:
        size = proposal.advice
        if size is None or space != proposal.space:
            failing = claim_for(proposal, space).failing_inside
            size = advice(analysis, space, left_to_run(analysis, space), failing)
        n = max(1, min(planned, size.n))
        available = trials_for_rounds(analysis, budget)
        if available is not None:
            n = min(n, available)
            if available - n < LEAST:
                n = max(n, min(available, left_to_run(analysis, space)))
    if n == 0:
        return NextRound(0, exploit or 0.0, audit or 0.0)
    if audit is None:
        audit = 0.0
        if proposal.old.volume_kept(space) < 1:
            audit = min(AUDIT, math.floor(1e9 * (1 - (exploit or 0.0))) / 1e9)
    if exploit is None and budget.left is not None:
        exploit = LEARNED_IN_BUDGET
    elif exploit is None:
        exploit = LEARNED
        room = n - round(audit * n) - EVEN
        if round(LEARNED * n) > room:
            exploit = max(0, math.floor(100 * room / n)) / 100
    return NextRound(n, exploit, audit)


def _cheap_round(
    analysis: Analysis,
    space: Space,
    fidelity: Fidelity,
    planned: int,
    budget: BudgetState,
    *,
    n: int | None,
    exploit: float | None,
) -> NextRound:
    """The advice on a round of cheap trials, of which a share runs at the full level: exploit trials.

    Without audit trials: cheap ones outside the space could not refute a claim about full trainings.
    """
    if exploit is None:
        exploit = math.ceil(1000 * fidelity.full_share_at(CHEAP_IN_LATER_ROUNDS)) / 1000
    if n is not None:
        check_size(n)
        return NextRound(n, exploit, 0.0)
    cost = float(planned)
    if budget.full_left is not None:
        available = budget.full_left - budget.reserve(noisy=not analysis.noise.deterministic)
        cost = min(cost, available)
        if available - cost < LEAST:
            cost = available
    n = math.floor(cost / fidelity.mean_cost_of(exploit) + 1e-9)
    return NextRound(min(n, left_to_run(analysis, space)), exploit, 0.0)


def trials_for_rounds(analysis: Analysis, budget: BudgetState) -> int | None:
    """Trials left for rounds; ``None`` without a limit. Deterministic values need no reserve."""
    return budget.for_rounds(noisy=not analysis.noise.deterministic)


def accept_action(advised: NextRound) -> Action:
    """The call that creates the advised round; its audit share is the default."""
    options: dict[str, float] = {"n": advised.n}
    if advised.exploit > 0:
        options["exploit"] = advised.exploit
    return Action("review.accept", **options)


def next_step_of(
    proposal: Proposal, planned: int, exploit: float = 0.0, budget: BudgetState = NO_BUDGET
) -> NextStep:
    """The next step after a round of ``planned`` configurations, a share ``exploit`` of them exploit trials.

    A proposal with changes needs a decision, unless every configuration was run and values are noisy. Without
    changes, a budget pays for a round on the same space:
    its exploit trials search on. Without a budget, more configurations of the same round would settle open
    parameters; if every parameter can be judged, or nothing is left to run, the best configurations need
    repeats, unless repeats are identical or all values are equal. If the budget leaves no trial for
    a round, the winner is confirmed, or handed over.
    """
    analysis = proposal.analysis
    changed = [c.name for c in proposal.changes if c.kind not in ("keep", "leave")]
    trial_time = trial_seconds(analysis, proposal.space)
    available = trials_for_rounds(analysis, budget)
    if available == 0:
        return _last_step(analysis, budget, trial_time)
    read = [e for e in analysis.parameters if e.read != 0]
    remaining = left_to_run(analysis, analysis.space)
    decidable = changed and (remaining or analysis.noise.deterministic)
    if decidable or (available is not None and read and remaining):
        return _round_step(proposal, planned, budget, changed)
    if not analysis.tested and read and remaining:
        n = planned
        if proposal.advice is not None:
            n = proposal.advice.n
        reason = Reason("untested_yet", {"n": n, "seconds": n * trial_time})
        return NextStep(Action("round.branch", Symbol("round.space"), n=n), (reason,), n, n * trial_time)
    tried = Reason("tried", {"n": analysis.n_space_filling, "parameters": len(read)})
    if not read and analysis.parameters:
        reason = Reason("nothing_read", {"parameters": [e.name for e in analysis.parameters]})
        return NextStep(Action("round.analyze"), (reason, tried), 0, 0.0)
    unsettled = [e for e in read if analysis.findings[e.name].verdict in (CANNOT_BE_JUDGED, NOT_SEEN)]
    if unsettled and remaining and np.ptp(analysis.y) > 0:
        further, power, settled = _more(analysis, unsettled, remaining)
        if further:
            total = planned + further
            values = {"parameters": settled, "more": further, "n": total, "power": power, "effect": EFFECT}
            reason = Reason("more", {**values, "seconds": further * trial_time})
            # More of a round with exploit trials would mostly be exploit trials, and an imported round has
            # nothing to run; a new round on the same space counts with it.
            action = Action("round.run", n=total)
            if exploit or analysis.drawn:
                action = Action("round.branch", Symbol("round.space"), n=further)
            return NextStep(action, (reason, tried), further, further * trial_time)
    if not np.ptp(analysis.y) > 0:
        reason = Reason(
            "all_equal", {"metric": analysis.metric, "value": float(analysis.sign * analysis.y[0])}
        )
        return NextStep(Action("round.analyze"), (reason, tried), 0, 0.0)
    if analysis.noise.deterministic:
        reason = Reason("all_known", {})
        if remaining:
            reason = Reason("settled_exactly", {"effect": EFFECT, "power": POWER})
        return NextStep(Action("tree.winner"), (reason,), 0, 0.0)
    code = "exhausted"
    if remaining:
        code = "settled"
    runs = REPEATED * SEEDS
    if budget.full_left is not None and budget.full_left < runs:
        return _last_step(analysis, budget, trial_time)
    reason = Reason(code, {"runs": runs, "seconds": runs * trial_time, "effect": EFFECT, "power": POWER})
    action = Action("round.add", repeat=REPEATED, seeds=SEEDS)
    return NextStep(action, (reason, tried), runs, runs * trial_time)


def _round_step(proposal: Proposal, planned: int, budget: BudgetState, changed: list[str]) -> NextStep:
    """A round on the proposed space, or the winner if every configuration of that space was run."""
    if changed and proposal.advice is not None and not proposal.advice.n:
        reason = Reason("decide", {"parameters": changed, "n": 0})
        return NextStep(Action("tree.winner"), (reason,), 0, 0.0)
    advised = advised_round(proposal, proposal.space, planned, budget=budget)
    n = advised.n
    analysis = proposal.analysis
    seconds = n * trial_seconds(analysis, proposal.space, advised.exploit)
    values: dict[str, object] = {
        "n": n,
        "seconds": seconds,
        "learned": round(advised.exploit * n),
        "even": advised.even,
        "outside": round(advised.audit * n),
    }
    reasons = [Reason("search_on", values)]
    if changed:
        reasons = [Reason("decide", {"parameters": changed, **values})]
    slowest = slowest_parameter(analysis)
    if slowest is not None:  # a search by the hour would pay
        reasons.append(Reason("durations", {"parameter": slowest[0], "factor": slowest[1]}))
    return NextStep(accept_action(advised), tuple(reasons), n, seconds)


def _last_step(analysis: Analysis, budget: BudgetState, trial_time: float) -> NextStep:
    """The last step under a budget: the trials left confirm the winner, or the winner is handed over."""
    runs = budget.full_left or 0
    values = {"runs": runs, "seconds": runs * trial_time, "spent": budget.spent, "budget": str(budget.limit)}
    if runs and not analysis.noise.deterministic:
        return NextStep(Action("tree.confirm"), (Reason("last_repeats", values),), runs, runs * trial_time)
    return NextStep(Action("tree.winner"), (Reason("spent", values),), 0, 0.0)


def _more(analysis: Analysis, open_: list[ParameterEvidence], remaining: int) -> tuple[int, float, list[str]]:
    """Configurations to add before open parameters can be judged, the smallest power then, and the names.

    0 if no parameter is open: a powerful test found no effect.
    """
    live = sum(e.read != 0 for e in analysis.parameters)
    alpha = ALPHA / (analysis.stage * (analysis.stage + 1) / 2) / live / _COMBINED
    finished = max(1, analysis.n_space_filling)
    yields = _usable(analysis)
    sizes = [math.ceil(finished * (growth - 1) / yields / 10) * 10 for growth in _GROWTH]
    sizes = sorted({min(size, remaining) for size in sizes})
    names = [e.name for e in analysis.parameters]
    measure = stats.Power(effect=EFFECT, seed=analysis.seed)

    def power(e: ParameterEvidence, size: int) -> float:
        share = 1.0
        if 0 < e.read < 1:
            share = e.read
        count = max(2, round((finished + size * yields) * share))
        cardinality = e.parameter.size * (not e.parameter.ordered)
        column = analysis.X[:, names.index(e.name)]
        return float(measure(column, analysis.y, cardinality, [count], alpha)[0])

    weak = [e for e in open_ if power(e, 0) < POWER]
    if not weak:
        return 0, POWER, []
    for size in sizes:
        smallest_power = min(power(e, size) for e in weak)
        if smallest_power >= POWER:
            break
    return size, smallest_power, [e.name for e in weak]


def _usable(analysis: Analysis) -> float:
    """Share of the ended trials with a value."""
    lost = sum(count for state, count in analysis.states.items() if state in FAILED)
    ended = lost + analysis.states.get("complete", 0) + analysis.states.get("pruned", 0)
    if ended:
        return max(0.1, 1 - lost / ended)
    return 1.0
