"""Which configuration is better, by runs under new seeds: a race among several, a verdict on one beside another. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refine import stats
from refine.analysis.winner import Candidate, Judged, Race, best_within
from refine.utils.arrays import Floats
from refine.utils.display import Shown

KEEP, CONFIRM, DISCARD = "KEEP", "CONFIRM", "DISCARD"

SURE = 0.95  # probability from which on something is decided: the leader of a race, or which of two is better

# Runs under new seeds that a configuration has before it is kept, or called the best: its planned run may be why it was looked at,
# and the posterior alone could be wrong. Once there are such runs, nothing is discarded on fewer either.
SEEN = 3

MOST = 1000  # new seeds that are looked ahead to
_AGAIN = 3  # runs again after which retraining may be taken to change nothing

_POINTS = 2001
_Z = 1.6448536269514722  # of a normal distribution, 0.95 below


def race_of(
    judged: Judged,
    spent: Sequence[int],
    top: int,
    budget: int,
    batch: int,
    epsilon: float | None,
    planned: int = 0,
) -> Race:
    """How the race stands, and what runs next.

    The racers are the ``top`` candidates with the best posterior means by the planned runs alone, so that going on with a race
    goes on among the same ones; a candidate that overtakes all of them meanwhile joins. Observed values choose nothing.

    ``spent`` are each candidate's runs under new seeds that ended, in whatever way, of ``budget`` at most; ``planned`` of them
    the rounds had planned anyway, such as of a baseline: no race pays for them. At most ``batch`` come next. ``epsilon`` is a
    loss that counts as none; ``None`` where nobody said it.
    """
    racers = judged.field.plausible(top)
    leader = int(np.argmax(judged.expected[: judged.field.eligible]))
    racers += [leader] if leader not in racers else []
    runs, tolerance = sum(spent) - planned, judged.tolerance(epsilon)
    share = math.nan
    if judged.draws is not None:
        share = best_within(judged.draws[:, racers], racers.index(leader), tolerance)
    if noiseless(judged, racers, max(judged.noise.step, epsilon or 0.0)):
        verdict = "noise"
    elif (sure := share >= SURE or len(racers) == 1) and spent[leader] >= SEEN:
        verdict = "decided"
    else:
        verdict = "budget" if runs >= budget else "open"
    following = (0,) * len(racers)
    if verdict == "open" and sure:
        following = tuple(min(batch, budget - runs, SEEN - spent[i]) if i == leader else 0 for i in racers)
    elif verdict == "open":
        following = _following(judged, racers, spent, min(batch, budget - runs))
    return Race(tuple(racers), runs, verdict, share, tolerance, following)


def noiseless(judged: Judged, racers: Sequence[int], tolerated: float) -> bool:
    """Whether runs again show that retraining changes no more than what counts as no loss.

    What the planned runs alone say of the noise is not enough: it is too little at times.
    """
    if judged.noise.deterministic:
        return True
    planned = judged.field.candidates
    unit = judged.field.unit
    apart = np.array([(v - planned[i].observed) / unit for i in racers for v in judged.fresh[i]])
    if apart.size < _AGAIN:
        return False
    noise = judged.noise
    sd = noise.sd if noise.source == "replicates" else unit * float(np.sqrt(np.mean(apart**2) / 2))
    rounding = 1e-9 * max(abs(planned[i].observed) for i in racers)
    return sd <= max(tolerated, rounding)


def _following(judged: Judged, racers: Sequence[int], spent: Sequence[int], runs: int) -> tuple[int, ...]:
    if judged.draws is None or not math.isfinite(judged.noise.sd):  # turn by turn, until something is known
        given = [0] * len(racers)
        for _ in range(runs):
            i = min(range(len(racers)), key=lambda k: spent[racers[k]] + given[k])
            given[i] += 1
        return tuple(given)
    draws = judged.draws[:, racers] / judged.field.unit
    shared = stats.KnowledgeGradient()(draws.mean(axis=0), draws.var(axis=0), judged.variance, runs)
    return tuple(map(int, shared.runs))


@dataclass(frozen=True, eq=False, repr=False)
class Judgement(Shown):
    """Whether one configuration, ``a``, is better than another, ``b``.

    Differences are larger where ``a`` is better, in units of the metric, and of means over seeds: what a training is
    expected to give, not what one gave.
    """

    of: str  # name of the tree that both are of
    metric: str  # name of the metric
    direction: str  # ``"maximize"`` or ``"minimize"``
    # ``"DISCARD"``: ``a`` is better by more than ``epsilon`` with probability 0.05 or less, and each of both
    # ran three times or more under new seeds, or never (of the baseline its first run counts). ``"KEEP"``: it
    # is better with probability 0.95 or more, by more than ``epsilon`` with more than 0.05, and ran three
    # times or more under new seeds. Else ``"CONFIRM"``: run both under more new seeds.
    verdict: str
    a: Candidate  # the configuration that is asked about
    b: Candidate  # what it is compared with
    # what ``b`` is: ``"baseline"``, ``"incumbent"`` (the best expected of earlier rounds), or ``"given"``
    incumbent: str
    difference: float  # mean of what is known of the difference
    low: float  # ends of its 95 % interval; NaN where nothing is known of the noise
    high: float
    probability: float  # that ``a`` is better; NaN where nothing is known of the noise
    matters: float  # that ``a`` is better by more than ``epsilon``; NaN likewise
    epsilon: float  # difference that counts as none
    noise: stats.Resolution  # what retraining changes, and the smallest step of the metric
    # ``"posterior"``: all trials of the tree, by the posterior that the winner is chosen by; ``"runs"``: the
    # runs of both under new seeds alone, where there are too few configurations for that; ``"table"``: the
    # runs of both, and the noise of all runs of a plain table; ``"noiseless"``: runs again showed that
    # retraining changes nothing that counts
    basis: str
    # how many more new seeds of each would decide, if the difference is what is expected now; 0 where it is
    # decided, ``None`` for more than 1,000
    seeds: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "verdict": self.verdict,
            "metric": self.metric,
            "direction": self.direction,
            "a": _json(self.a),
            "b": {**_json(self.b), "is": self.incumbent},
            "difference": self.difference,
            "low": _known(self.low),
            "high": _known(self.high),
            "probability": _known(self.probability, 2),
            "probability_matters": _known(self.matters, 2),
            "epsilon": self.epsilon,
            "noise": _known(self.noise.sd),
            "noise_source": self.noise.source,
            "basis": self.basis,
            "seeds": self.seeds,
        }


def judgement(
    judged: Judged, a: int, b: int, of: str, incumbent: str, epsilon: float | None = None
) -> Judgement:
    """Judges candidate ``a`` beside ``b``, which is the ``incumbent`` (see :class:`Judgement`), of the tree ``of``.

    ``epsilon`` is the difference that counts as none, in units of the metric; by default what the runs can tell apart.
    """
    field, noise, expected = judged.field, judged.noise, judged.expected
    sd = noise.sd if math.isfinite(noise.sd) else 0.0
    tolerated = judged.tolerance(epsilon)
    # Nobody chose the baseline for its first run, so that it counts like those under new seeds.
    runs = [len(judged.fresh[i]) + (i == field.baseline) for i in (a, b)]
    drawn, basis = _differences(judged, a, b, noiseless(judged, (a, b), 0.0))
    known = len(drawn) > 0
    mean = float(drawn.mean()) if known else float(expected[a] - expected[b])
    low, high = map(float, np.quantile(drawn, (0.025, 0.975))) if known else (math.nan, math.nan)
    better, matters = _share(drawn, 0.0), _share(drawn, tolerated)
    settled = basis == "noiseless"
    seen = settled or runs[0] >= SEEN, settled or all(n == 0 or n >= SEEN for n in runs)
    verdict = verdict_of(better, matters, *seen)
    left: int | None = 0
    if verdict == CONFIRM:
        unit = field.unit
        spread = float((drawn / unit).var()) if known else math.nan
        error = 2 * (sd / unit) ** 2
        left = seeds_needed(mean / unit, spread, error, tolerated / unit, max(1, SEEN - min(runs)))
    return Judgement(
        of,
        str(field.goal.metric),
        field.goal.direction,
        verdict,
        judged.told(a, expected),
        judged.told(b, expected),
        incumbent,
        mean,
        low,
        high,
        better,
        matters,
        tolerated,
        noise,
        basis,
        left,
    )


def verdict_of(better: float, matters: float, keep: bool, discard: bool) -> str:
    """The verdict, by the probabilities that it is better, and better by more than what counts as none; NaN where unknown.

    ``keep`` says whether it ran often enough under new seeds to be kept, ``discard`` whether both did, or not at all: one or two
    runs are luck.
    """
    if matters <= 1 - SURE:
        return DISCARD if discard else CONFIRM
    return KEEP if better >= SURE and keep else CONFIRM


def seeds_needed(mean: float, spread: float, error: float, epsilon: float, least: int = 1) -> int | None:
    """How many more new seeds of each would decide, if the difference stays what it is; ``None`` for more than 1,000.

    The variance that is left of the difference, whose mean and variance (``spread``, NaN where unknown) are known, is that of a
    normal one after so many more differences of two runs, which vary by ``error``.
    """
    if not math.isfinite(spread):
        return least
    further = np.arange(least, MOST + 1)
    after = spread * error / np.maximum(spread * further + error, 1e-300)
    sure = _Z * np.sqrt(after)
    decided = (mean >= sure) & (mean + sure > epsilon) | (epsilon - mean >= sure)
    return int(further[np.argmax(decided)]) if decided.any() else None


def _differences(judged: Judged, a: int, b: int, settled: bool) -> tuple[Floats, str]:
    """Draws, or even quantiles, of the difference of two means over seeds; none where nothing is known of the noise."""
    sign = judged.field.goal.sign
    if settled:
        planned = [sign * judged.field.candidates[i].observed for i in (a, b)]
        return np.array([planned[0] - planned[1]]), "noiseless"
    if judged.draws is not None:
        return np.asarray(judged.draws[:, a] - judged.draws[:, b]), "posterior"
    mine, theirs = (sign * np.array(judged.fresh[i], dtype=float) for i in (a, b))
    freedom = len(mine) + len(theirs) - 2
    if not len(mine) or not len(theirs) or freedom < 1:
        return np.zeros(0), "runs"
    from scipy.special import stdtrit

    unit = judged.field.unit
    mine, theirs = mine / unit, theirs / unit
    within = float(np.sum((mine - mine.mean()) ** 2) + np.sum((theirs - theirs.mean()) ** 2)) / freedom
    scale = math.sqrt(within * (1 / len(mine) + 1 / len(theirs)))
    at = stdtrit(freedom, (np.arange(_POINTS) + 0.5) / _POINTS)
    return np.asarray(unit * (mine.mean() - theirs.mean() + scale * at)), "runs"


def _share(drawn: Floats, above: float) -> float:
    """Share of the draws above a difference, half a draw drawn in: draws never make anything certain, a single value does."""
    if not len(drawn):
        return math.nan
    count = np.count_nonzero(drawn > above)
    return float(count) if len(drawn) == 1 else stats.share_of_draws(count, len(drawn))


def _known(value: float, digits: int | None = None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)


def _json(found: Candidate) -> dict[str, Any]:
    return {
        "round": found.round,
        "configuration": found.labels,
        "observed": found.observed,
        "expected": found.expected,
        "new_seeds": list(found.fresh),
    }
