"""Races and judgements: which configuration is better, by replicates under new seeds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from refine import stats
from refine.analysis.winner import Candidate, Judged, Race
from refine.utils.arrays import Floats
from refine.utils.display import Shown
from refine.utils.types import JsonObject

KEEP = "KEEP"
CONFIRM = "CONFIRM"
DISCARD = "DISCARD"

SURE = 0.95  # probability that decides: of the leader of a race, or of the better of two

# Replicates that a configuration has before a KEEP, or before it counts as the best: its planned run may be
# the reason for its choice, and the posterior alone may be wrong. Once there are replicates, no fewer lead to
# a DISCARD.
SEEN = 3

MOST = 1000  # most further seeds that are predicted
_AGAIN = 3  # repeats after which an objective may count as free of noise

_POINTS = 2001
_Z = 1.6448536269514722  # 0.95 quantile of the normal distribution


def race_of(
    judged: Judged,
    spent: Sequence[int],
    top: int,
    budget: int,
    batch: int,
    epsilon: float | None,
    planned: int,
    near: Callable[[int, int], bool],
) -> Race:
    """The state of a race, and the next replicates.

    The racers are the ``top`` candidates with the best posterior means by the planned runs alone, so a
    resumed race keeps its racers; a candidate that overtakes the racers joins. Observed values play no role.

    Args:
        judged: The candidates, given their runs.
        spent: Number of ended replicates per candidate, in any state.
        top: Number of racers.
        budget: Most replicates in all.
        batch: Most replicates in the next step.
        epsilon: Tolerance given by the person; ``None`` for the tolerance of the study.
        planned: Replicates planned by rounds, such as those of a baseline; free for the race.
        near: Tells if two candidates are neighbours. A neighbour of a better racer does not race if noise
            hides the difference of the expected values.
    """
    racers, copies = _differing(judged, top, near)
    leader = int(np.argmax(judged.expected[: judged.field.eligible]))
    racers += [leader] if leader not in racers else []
    runs = sum(spent) - planned
    tolerance = judged.tolerance(epsilon)
    share = judged.within(judged.draws, racers, leader, tolerance)
    if noiseless(judged, racers, max(judged.noise.step, epsilon or 0.0)):
        verdict = "noise"
    elif (sure := share >= SURE or len(racers) == 1) and spent[leader] >= SEEN:
        verdict = "decided"
    elif runs >= budget:
        verdict = "budget"
    else:
        verdict = "open"
    following = (0,) * len(racers)
    if verdict == "open" and sure:
        following = tuple(min(batch, budget - runs, SEEN - spent[i]) if i == leader else 0 for i in racers)
    elif verdict == "open":
        following = _following(judged, racers, spent, min(batch, budget - runs))
    return Race(tuple(racers), runs, verdict, share, tolerance, following=following, copies=copies)


def _differing(judged: Judged, top: int, near: Callable[[int, int], bool]) -> tuple[list[int], int]:
    """The racers, best first, and the number of near-copies among the ``top`` plausible candidates."""
    field = judged.field
    if field.draws is None or not math.isfinite(judged.noise.sd):
        return field.plausible(top), 0
    draws = field.scaled(field.draws)
    expected = draws.mean(axis=0)
    noise = field.unit * field.scaled_sd(judged.noise, draws / field.unit)
    racers: list[int] = []
    candidates = field.plausible(field.eligible)
    for i in candidates:
        if not any(abs(expected[i] - expected[j]) <= noise and near(j, i) for j in racers):
            racers.append(i)
        if len(racers) == top:
            break
    return racers, len(set(candidates[:top]) - set(racers))


def noiseless(judged: Judged, racers: Sequence[int], tolerated: float) -> bool:
    """Whether repeats show that retraining changes values by no more than the tolerance.

    Three equal repeats of any configuration show noise below one step of the metric. The planned runs alone
    are not enough: they underestimate the noise at times.
    """
    if judged.noise.deterministic or (judged.noise.source == "below_step" and judged.noise.sd <= tolerated):
        return True
    planned = judged.field.candidates
    unit = judged.field.unit
    differences = np.array([(v - planned[i].observed) / unit for i in racers for v in judged.replicates[i]])
    if differences.size < _AGAIN:
        return False
    noise = judged.noise
    if noise.source == "replicates":
        sd = noise.sd
    else:
        sd = unit * float(np.sqrt(np.mean(differences**2) / 2))
    rounding = 1e-9 * max(abs(planned[i].observed) for i in racers)
    return sd <= max(tolerated, rounding)


def evened(spent: Sequence[int], runs: int) -> tuple[int, ...]:
    """Further runs per candidate that even out the numbers of runs so far; ties go to the first candidate."""
    shares = [0] * len(spent)
    for _ in range(runs):
        behind = min(range(len(spent)), key=lambda i: spent[i] + shares[i])
        shares[behind] += 1
    return tuple(shares)


def _following(judged: Judged, racers: Sequence[int], spent: Sequence[int], runs: int) -> tuple[int, ...]:
    if judged.draws is None or not math.isfinite(judged.noise.sd):  # turn by turn, until the noise is known
        return evened([spent[i] for i in racers], runs)
    draws = judged.field.scaled(judged.draws[:, racers]) / judged.field.unit
    shared = stats.KnowledgeGradient()(draws.mean(axis=0), draws.var(axis=0), judged.variance, runs)
    return tuple(map(int, shared.runs))


@dataclass(frozen=True, eq=False, repr=False)
class Judgement(Shown):
    """The comparison of configuration ``a`` with configuration ``b``.

    Differences are positive if ``a`` is better, in units of the metric, and between means over seeds:
    expected values, not single results.
    """

    of: str  # name of the tree
    metric: str  # name of the metric
    direction: str  # ``"maximize"`` or ``"minimize"``
    # ``"DISCARD"``: ``a`` is better by more than ``epsilon`` with probability 0.05 or less, and each has
    # three replicates or none (a baseline's first run counts). ``"KEEP"``: it is better with probability 0.95
    # or more, by more than ``epsilon`` with more than 0.05, and has three replicates. Else ``"CONFIRM"``: run
    # more seeds of both.
    verdict: str
    a: Candidate  # the configuration in question
    b: Candidate  # the configuration compared with it
    # role of ``b``: ``"baseline"``, ``"incumbent"`` (the best expected of earlier rounds), or ``"given"``
    incumbent: str
    difference: float  # posterior mean of the difference
    low: float  # ends of its 95 % interval; NaN if the noise is unknown
    high: float
    probability: float  # model probability that ``a`` is better; NaN if the noise is unknown
    matters: float  # model probability that ``a`` is better by more than ``epsilon``; NaN likewise
    epsilon: float  # the tolerance
    noise: stats.NoiseEstimate  # noise between repeats, and the smallest step of the metric
    # ``"posterior"``: all trials of the tree, by the winner's posterior; ``"runs"``: replicates of both
    # alone, with too few configurations for a posterior; ``"table"``: the runs of both, and the noise of all
    # runs of a table; ``"noiseless"``: repeats showed no noise
    basis: str
    # further seeds of each that would decide, if the difference is as expected now; 0 if decided, ``None``
    # for more than 1,000
    seeds: int | None
    affordable: int | None = None  # repeats of both in total that the budget allows; ``None`` without a limit

    def to_json(self) -> JsonObject:
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
    judged: Judged, a: int, b: int, label: str, incumbent: str, epsilon: float | None = None
) -> Judgement:
    """Judges candidate ``a`` against ``b``, in the tree ``label``; ``incumbent`` is the role of ``b``.

    ``epsilon`` is the tolerance in units of the metric; default the study's.
    """
    field = judged.field
    noise = judged.noise
    expected = judged.expected
    tolerated = judged.tolerance(epsilon)
    # The baseline was not chosen for its first run, so that run counts like a replicate.
    runs = [len(judged.replicates[i]) + (i == field.baseline) for i in (a, b)]
    drawn, basis = _differences(judged, a, b, noiseless(judged, (a, b), 0.0))
    mean = float(expected[a] - expected[b])
    low = math.nan
    high = math.nan
    spread = math.nan
    if len(drawn):
        mean = float(drawn.mean())
        low, high = map(float, np.quantile(drawn, (0.025, 0.975)))
        spread = float((drawn / field.unit).var())
    better = _share(drawn, 0.0)
    matters = _share(drawn, tolerated)
    settled = basis == "noiseless"
    enough_runs = settled or runs[0] >= SEEN, settled or all(n == 0 or n >= SEEN for n in runs)
    verdict = verdict_of(better, matters, *enough_runs)
    further_seeds: int | None = 0
    if verdict == CONFIRM:
        unit = field.unit
        error = 0.0
        if math.isfinite(noise.sd):
            error = 2 * (noise.sd / unit) ** 2
        further_seeds = seeds_needed(mean / unit, spread, error, tolerated / unit, max(1, SEEN - min(runs)))
    return Judgement(
        of=label,
        metric=str(field.goal.metric),
        direction=field.goal.direction,
        verdict=verdict,
        a=judged.told(a, expected),
        b=judged.told(b, expected),
        incumbent=incumbent,
        difference=mean,
        low=low,
        high=high,
        probability=better,
        matters=matters,
        epsilon=tolerated,
        noise=noise,
        basis=basis,
        seeds=further_seeds,
    )


def verdict_of(better: float, matters: float, keep: bool, discard: bool) -> str:
    """The verdict, by the probabilities of being better, and of being better by more than epsilon.

    NaN if unknown.

    ``keep`` says whether ``a`` has enough replicates for a KEEP, ``discard`` whether both have enough, or
    none: one or two runs are luck.
    """
    if matters <= 1 - SURE:
        if discard:
            return DISCARD
        return CONFIRM
    if better >= SURE and keep:
        return KEEP
    return CONFIRM


def seeds_needed(mean: float, spread: float, error: float, epsilon: float, minimum: int = 1) -> int | None:
    """Further seeds per configuration after which the verdict should be KEEP or DISCARD.

    ``None`` for more than 1,000.

    With ``m`` further seeds of both, the variance of their difference shrinks to ``spread * error / (m *
    spread + error)``, as for a normal mean under known noise; the mean is assumed to stay constant.

    Args:
        mean: Posterior mean of the difference, in units of the metric.
        spread: Posterior variance of the difference; NaN if the noise is unknown.
        error: Variance of the difference between one run of each.
        epsilon: Tolerance.
        minimum: Smallest number to return.
    """
    if not math.isfinite(spread):
        return minimum
    further = np.arange(minimum, MOST + 1)
    after = spread * error / np.maximum(spread * further + error, 1e-300)
    sure = _Z * np.sqrt(after)
    decided = (mean >= sure) & (mean + sure > epsilon) | (epsilon - mean >= sure)
    if decided.any():
        return int(further[np.argmax(decided)])
    return None


def _differences(judged: Judged, a: int, b: int, settled: bool) -> tuple[Floats, str]:
    """Draws, or even quantiles, of the difference of two means over seeds; empty if the noise is unknown."""
    sign = judged.field.goal.sign
    if settled:
        planned = [sign * judged.field.candidates[i].observed for i in (a, b)]
        return np.array([planned[0] - planned[1]]), "noiseless"
    if judged.draws is not None:
        return np.asarray(judged.draws[:, a] - judged.draws[:, b]), "posterior"
    repeats_a, repeats_b = (sign * np.array(judged.replicates[i], dtype=float) for i in (a, b))
    freedom = len(repeats_a) + len(repeats_b) - 2
    if not len(repeats_a) or not len(repeats_b) or freedom < 1:
        return np.zeros(0), "runs"
    from scipy.special import stdtrit

    unit = judged.field.unit
    repeats_a = repeats_a / unit
    repeats_b = repeats_b / unit
    within = (
        float(np.sum((repeats_a - repeats_a.mean()) ** 2) + np.sum((repeats_b - repeats_b.mean()) ** 2))
        / freedom
    )
    scale = math.sqrt(within * (1 / len(repeats_a) + 1 / len(repeats_b)))
    quantiles = stdtrit(freedom, (np.arange(_POINTS) + 0.5) / _POINTS)
    return np.asarray(unit * (repeats_a.mean() - repeats_b.mean() + scale * quantiles)), "runs"


def _share(drawn: Floats, above: float) -> float:
    """Share of the draws above a difference, smoothed by half a draw.

    So a finite sample never gives 0 or 1; a single value does.
    """
    if not len(drawn):
        return math.nan
    count = np.count_nonzero(drawn > above)
    if len(drawn) == 1:
        return float(count)
    return stats.share_of_draws(count, len(drawn))


def _known(value: float, digits: int | None = None) -> float | None:
    if not math.isfinite(value):
        return None
    if digits is None:
        return value
    return round(value, digits)


def _json(candidate: Candidate) -> dict[str, object]:
    return {
        "round": candidate.round,
        "configuration": candidate.labels,
        "observed": candidate.observed,
        "expected": candidate.expected,
        "new_seeds": list(candidate.replicates),
    }
