"""What to do next after a round, with its reasons and what it costs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA, ParameterEvidence
from refine.analysis.finding import CANNOT_BE_JUDGED, NOT_SEEN
from refine.analysis.reason import Reason
from refine.proposal.alternatives import advice, left_to_run, trial_seconds
from refine.proposal.proposal import Proposal
from refine.space.space import Space
from refine.trials.trial import FAILED
from refine.utils.action import Action, Symbol

POWER = 0.8  # a parameter can be judged where an effect of :data:`EFFECT` would be seen with this probability
EFFECT = (
    0.1  # share of the differences between trials that an effect explains which a round should be able to see
)
# Share of the next round's trials that is advised to look where the best is likely. On tables 0.56 left no less regret, and the proposal after it
# narrowed less often; 0.9 left a fifth less, and nothing to test the proposal after it on.
LEARNED = 0.3

# Even trials that stay where so many are advised: with fewer the noise isn't known, and the round after it narrows nothing.
EVEN = 20

# Share of an accepted round outside its space, by default.
AUDIT = 0.05

_GROWTH = (1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8)
_COMBINED = (
    2.0  # the combination of three tests asks for a p-value about so many times smaller than one test would
)


@dataclass(frozen=True)
class NextStep:
    """One thing to do."""

    action: Action  # what to call
    # why: the first one says what is to be done, the others what was tried and found
    reasons: tuple[Reason, ...]
    n: int  # trials that it takes
    seconds: float  # how long they take one after the other; NaN where no times are known

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "action": str(self.action),
            "reasons": [reason.to_json() for reason in self.reasons],
            "n": self.n,
            "seconds": float(f"{self.seconds:.6g}") if math.isfinite(self.seconds) else None,
        }


def advised_size(analysis: Analysis, proposal: Proposal, space: Space, planned: int) -> int:
    """How many configurations the next round on a space, the proposed one or an edited one, is advised to run, at most ``planned``."""
    advised = proposal.advice
    if advised is None or space != proposal.space:
        advised = advice(analysis, space, left_to_run(analysis, space))
    return max(1, min(planned, advised.n))


def accept_action(n: int) -> Action:
    """Accepting as advised: no more of the next round's trials look where the best is likely than leave enough even ones to propose by."""
    left = n - round(AUDIT * n) - EVEN
    share = LEARNED if round(LEARNED * n) <= left else math.floor(100 * left / n) / 100
    return Action("review.accept", n=n, **({"exploit": share} if share > 0 else {}))


def next_step_of(analysis: Analysis, proposal: Proposal, planned: int, exploit: float = 0.0) -> NextStep:
    """What a round with so many ``planned`` configurations, of which a share were exploit trials, asks for next.

    A proposal that changes something is to be decided. Where none does, more configurations of the same round would
    settle what can't be judged yet; where everything can be judged, or nothing is left to run, the best are to be run
    again.
    """
    changed = [c.name for c in proposal.changes if c.kind not in ("keep", "leave")]
    each = trial_seconds(analysis, proposal.space)
    if changed:
        n = advised_size(analysis, proposal, proposal.space, planned)
        action = accept_action(n)
        learned = round(action.options.get("exploit", 0) * n)
        outside = round(AUDIT * n) if proposal.volume_kept < 1 else 0
        shares = {"learned": learned, "even": n - learned - outside, "outside": outside}
        reason = Reason("decide", {"parameters": changed, "n": n, "seconds": n * each, **shares})
        return NextStep(action, (reason,), n, n * each)
    read = [e for e in analysis.parameters if e.read != 0]
    if not analysis.tested and read:
        n = proposal.advice.n if proposal.advice is not None else planned
        reason = Reason("untested_yet", {"n": n, "seconds": n * each})
        return NextStep(Action("round.branch", Symbol("round.space"), n=n), (reason,), n, n * each)
    tried = Reason("tried", {"n": analysis.n_space_filling, "parameters": len(read)})
    if not read and analysis.parameters:
        names = [e.name for e in analysis.parameters]
        return NextStep(
            Action("round.analyze"), (Reason("nothing_read", {"parameters": names}), tried), 0, 0.0
        )
    unsettled = [e for e in read if analysis.findings[e.name].verdict in (CANNOT_BE_JUDGED, NOT_SEEN)]
    left = left_to_run(analysis, analysis.space)
    if unsettled and left and np.ptp(analysis.y) > 0:
        more, power, settled = _more(analysis, unsettled, left)
        if more:
            total = planned + more
            values = {"parameters": settled, "more": more, "n": total, "power": power, "effect": EFFECT}
            reason = Reason("more", {**values, "seconds": more * each})
            # More of a round that learns would mostly be exploit trials, and an imported one has nothing to run; a round on
            # the very same space counts with it.
            again = Action("round.branch", Symbol("round.space"), n=more)
            action = again if exploit or analysis.drawn else Action("round.run", n=total)
            return NextStep(action, (reason, tried), more, more * each)
    runs = 15
    reason = Reason(
        "settled" if left else "exhausted",
        {"runs": runs, "seconds": runs * each, "effect": EFFECT, "power": POWER},
    )
    return NextStep(Action("round.replicate", top=5, seeds=3), (reason, tried), runs, runs * each)


def _more(analysis: Analysis, open_: list[ParameterEvidence], left: int) -> tuple[int, float, list[str]]:
    """How many more configurations bring what is open to be judged, with the smallest power then and their names.

    0 where everything can be judged already: a test that would have seen an effect saw none.
    """
    live = sum(e.read != 0 for e in analysis.parameters)
    alpha = ALPHA / (analysis.look * (analysis.look + 1) / 2) / live / _COMBINED
    finished = max(1, analysis.n_space_filling)
    yields = _usable(analysis)
    sizes = [math.ceil(finished * (growth - 1) / yields / 10) * 10 for growth in _GROWTH]
    sizes = sorted({min(size, left) for size in sizes})
    names = [e.name for e in analysis.parameters]
    measure = stats.Power(effect=EFFECT, seed=analysis.seed)

    def power(e: ParameterEvidence, size: int) -> float:
        share = e.read if 0 < e.read < 1 else 1.0
        count = max(2, round((finished + size * yields) * share))
        cardinality = 0 if e.parameter.ordered else e.parameter.size
        column = analysis.X[:, names.index(e.name)]
        return float(measure(column, analysis.y, cardinality, [count], alpha)[0])

    weak = [e for e in open_ if power(e, 0) < POWER]
    if not weak:
        return 0, POWER, []
    for size in sizes:
        least = min(power(e, size) for e in weak)
        if least >= POWER:
            break
    return size, least, [e.name for e in weak]


def _usable(analysis: Analysis) -> float:
    """Share of the ended trials that gave a value."""
    lost = sum(count for state, count in analysis.states.items() if state in FAILED)
    ended = lost + analysis.states.get("complete", 0) + analysis.states.get("pruned", 0)
    return max(0.1, 1 - lost / ended) if ended else 1.0
