"""Ablation: the changes from a baseline to a winner, one at a time, by posterior mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from refine.analysis.evaluated import Evaluated, RanRound, evaluated
from refine.analysis.winner import FEWEST, POSTERIOR, Candidate
from refine.space.constraints import Constraint, joined
from refine.space.encoding import decode, label
from refine.utils.arrays import Bools, Floats
from refine.utils.threads import one_thread

_MOST = 7  # parameters whose combinations are all evaluated; the other ones change together in one last step


class Change(NamedTuple):
    """One step from a baseline to a winner. Values in the metric's own sign."""

    names: tuple[str, ...]  # parameters of the step: one, with those of its condition; or all remaining ones
    before: tuple[str, ...]  # their values in the baseline, as tables show them
    after: tuple[str, ...]  # their values in the winner
    expected: float  # expected value after the step
    gain: float  # expected gain of the step; below 0 for a loss
    low: float  # ends of the 95 % interval of the gain
    high: float
    # whether a trial ran the configuration after the step; otherwise the posterior alone predicts it
    evaluated: bool


@one_thread
def ablation_of(rounds: Sequence[RanRound], baseline: Candidate, winner: Candidate) -> tuple[Change, ...]:
    """The changes from a baseline to a winner, one parameter at a time, the largest gain first.

    A conditional parameter changes together with the parameters of its condition. Values are posterior means
    given the rounds' planned runs, oldest first, mostly at configurations without a run. Empty if baseline
    and winner agree on the values read, or with too few configurations for a posterior.

    Source: Fawcett and Hoos (2016), 'Analysing differences between algorithm configurations through
    ablation', with a posterior in place of runs.
    """
    evidence = evaluated(rounds)
    if evidence is None or evidence.group.max() + 1 < FEWEST:
        return ()
    row_of = {(run.round, run.key): i for i, run in enumerate(evidence.runs)}
    a = row_of[baseline.round, baseline.key]
    b = row_of[winner.round, winner.key]
    differ = np.flatnonzero(
        (evidence.read[a] | evidence.read[b])
        & ((evidence.X[a] != evidence.X[b]) | (evidence.read[a] != evidence.read[b]))
    )
    if not len(differ):
        return ()
    conditions = {name: c for ran in rounds for name, c in ran.space.conditions.items()}
    sets = _most_important(evidence, a, b, _together(evidence, a, b, differ, conditions))
    codes = np.array(list(product((False, True), repeat=len(sets))))
    from_winner = np.zeros((len(codes), evidence.X.shape[1]), dtype=np.bool_)
    for j, columns in enumerate(sets):
        from_winner[:, columns] = codes[:, j, None]
    draws = _draws(evidence, *_mixed(evidence, a, b, from_winner))
    place = {tuple(code): i for i, code in enumerate(codes.tolist())}
    expected = draws.mean(axis=0)
    sign = rounds[0].goal.sign
    current = (False,) * len(sets)
    steps = []
    for _ in sets:
        after = [(*current[:j], True, *current[j + 1 :]) for j in range(len(sets)) if not current[j]]
        chosen = max(after, key=lambda code: expected[place[code]])
        j = next(j for j in range(len(sets)) if chosen[j] != current[j])
        drawn = draws[:, place[chosen]] - draws[:, place[current]]
        low, high = np.quantile(drawn, (0.025, 0.975))
        row, read = _mixed(evidence, a, b, from_winner[place[chosen]])
        alike = (evidence.read == read) & ((row == evidence.X) | ~read)
        steps.append(
            Change(
                *_said(evidence, a, b, sets[j]),
                expected=sign * float(expected[place[chosen]]),
                gain=float(drawn.mean()),
                low=float(low),
                high=float(high),
                evaluated=bool(alike[evidence.good].all(axis=1).any()),
            )
        )
        current = chosen
    return tuple(steps)


def _together(
    evidence: Evaluated, a: int, b: int, differ: Iterable[int], conditions: Mapping[str, Constraint]
) -> list[list[int]]:
    """Sets of columns that differ between two runs and change together.

    A parameter that only one of the runs has changes together with the parameters of its condition: no
    trial could run the configuration in between.
    """
    place = {evidence.names[j]: int(j) for j in differ}
    of_one = {name for name, j in place.items() if evidence.read[a, j] != evidence.read[b, j]}
    groups = joined({name: c for name, c in conditions.items() if name in of_one})
    alone = [{name} for name in place if not any(name in group for group in groups)]
    return [[j for name, j in place.items() if name in group] for group in [*groups, *alone]]


def _most_important(evidence: Evaluated, a: int, b: int, sets: list[list[int]]) -> list[list[int]]:
    """Sets that change one at a time; beyond seven, the least important sets change together."""
    if len(sets) <= _MOST:
        return sets
    # The loss if one set alone returns to the baseline's values.
    from_winner = np.ones((len(sets) + 1, evidence.X.shape[1]), dtype=np.bool_)
    for i, columns in enumerate(sets):
        from_winner[i, columns] = False
    draws = _draws(evidence, *_mixed(evidence, a, b, from_winner))
    lost = draws[:, -1].mean() - draws[:, :-1].mean(axis=0)
    order = [sets[i] for i in np.argsort(-lost, kind="stable")]
    return [*order[: _MOST - 1], [j for columns in order[_MOST - 1 :] for j in columns]]


def _mixed(evidence: Evaluated, a: int, b: int, from_winner: Bools) -> tuple[Floats, Bools]:
    """Configurations with some values of one run and the rest of another, and masks of values read."""
    return np.where(from_winner, evidence.X[b], evidence.X[a]), np.where(
        from_winner, evidence.read[b], evidence.read[a]
    )


def _draws(evidence: Evaluated, X: Floats, read: Bools) -> Floats:
    masks = (None, None) if evidence.read.all() and read.all() else (evidence.read, read)
    posterior = POSTERIOR(evidence.X, evidence.y, X, evidence.cardinalities, *masks)
    return np.asarray(posterior.value(posterior.scores))


def _said(
    evidence: Evaluated, a: int, b: int, columns: Sequence[int]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    names = tuple(evidence.names[j] for j in columns)

    def values(i: int) -> tuple[str, ...]:
        run = evidence.runs[i]
        return tuple(
            label(decode(run.known[n])) if n in run.known and evidence.read[i, j] else "-"
            for n, j in zip(names, columns, strict=True)
        )

    return names, values(a), values(b)
