"""Trials of a round besides its even design.

Exploit trials, audit trials, and trials that learn as they run. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis, origin_words
from refine.analysis.fidelity import cheap_rows, level_positions_of, with_cheap_states, with_forecasts
from refine.design.space_filling import Uniform, Weighted, draw, feasible
from refine.errors import DesignError, ReviewError
from refine.proposal.expected_time import Durations, durations_of
from refine.proposal.indistinct import indistinct
from refine.proposal.posterior import known_enough, log_improvement, posterior_of, sampled_functions
from refine.space.belief import Belief
from refine.space.fidelity import at_full
from refine.space.parameters import Range
from refine.space.space import Indices, Space, configuration_key, inside_bounds
from refine.trials.explosion import exploded
from refine.trials.frame import infeasible_rows, may_be_best, metric_title, slacks
from refine.trials.trial import EXCLUDED
from refine.utils.arrays import Bools, Column, Floats, rounded
from refine.utils.numbers import is_real

if TYPE_CHECKING:
    import pandas as pd

_CANDIDATES = 4000
_FEWER = 1000  # where a few probes are drawn with every decision
_CENTRES = 10
_STARTS = 1000  # even draws that a search for what runs next begins with
_LITTLE = 1e-3  # what a step of it has to gain, in scores or in the logarithm of the expected improvement
_DRAWN_EVERY = 3  # one of this number of cells is the best of a function drawn from the posterior
# Trials before the first such cell that is chosen alone. With fewer trials, a drawn function is mostly luck.
_FIRST_DRAWN = 30
_FUNCTIONS = 256  # functions drawn for the joint choice of several cells
_JOINT_CHOICES = 3  # joint choices; all but the last find neighbours to look at
_LEVELS = 16  # most levels of a parameter that are all looked at beside a cell

# Share of a first round that is drawn by a belief, where nothing else is said.
BELIEVED = 0.5


def check_shares(exploit: float | None, audit: float | None = None) -> None:
    """Raise ReviewError if a share is not from 0 to 1, or the sum is above 1; ``None`` counts as 0."""
    shares = {name: share for name, share in (("exploit", exploit), ("audit", audit)) if share is not None}
    for name, share in shares.items():
        if not is_real(share) or not 0 <= share <= 1:
            raise ReviewError(
                f"{name} must be a share of the configurations, from 0 to 1, got {share!r}; "
                f"for example {name}=0.5"
            )
    if sum(shares.values()) > 1:
        raise ReviewError(
            f"exploit and audit together must be at most 1, got {exploit} and {audit}; make one smaller"
        )


def learning_from(analysis: Analysis, frame: pd.DataFrame, allow_degenerate: bool = False) -> Analysis:
    """The analysis with the trials of a later round added to the evidence of its posterior.

    They are not tested.

    Args:
        analysis: The evidence so far.
        frame: Trials of the later round, inside or outside the analysed space; running and excluded trials
            are skipped.
        allow_degenerate: Whether degenerate models count as usable.
    """
    frame = with_forecasts(with_cheap_states(analysis.space, frame, "value"), analysis.bridges)
    X = _frame_positions(analysis, frame)
    at_cheap = cheap_rows(frame)
    value = np.where(at_cheap, frame.get("forecast", np.nan), frame["value"].to_numpy(dtype=float))
    told = ~at_cheap | np.isfinite(value)  # without a bridge yet, a cheap trial tells nothing about full ones
    ended = told & ~frame["state"].isin(("running", EXCLUDED)).to_numpy() & np.isfinite(X).all(axis=1)
    good = (may_be_best(frame, analysis.space, allow_degenerate) | at_cheap)[ended]
    values = analysis.sign * value[ended]
    good &= ~exploded(values, analysis.explosion_limit)
    # As in the analysis, what tells where not to look counts as the worst value seen.
    levels = level_positions_of(analysis.space, frame)
    worst = np.append(values[good], analysis.y.min()).min()
    y = np.concatenate([analysis.y, np.where(good, values, worst)])
    pruned = (frame["state"] == "pruned").to_numpy()[ended]
    infeasible = infeasible_rows(frame)[ended]
    feasibility = analysis.feasibility
    if feasibility is not None:
        shown = slacks(frame[ended], analysis.space, feasibility.constraints)
        feasibility = feasibility.with_more(np.where(np.isfinite(values), values, np.nan), shown)
    titles = (metric_title(other.metric, analysis.space) for other in analysis.others)
    tables = (frame.assign(value=frame[title]) for title in titles)
    further = tuple(
        learning_from(goal, table, allow_degenerate)
        for goal, table in zip(analysis.others, tables, strict=True)
    )
    return replace(
        analysis,
        X=np.concatenate([analysis.X, X[ended]]),
        y=y,
        levels=None if levels is None else np.concatenate([analysis.levels, levels[ended]]),
        origins=np.concatenate([analysis.origins, origin_words(frame)[ended]]),
        from_branches=None,
        failed=_with_more(analysis, ~(good | pruned | infeasible)),
        own=None,
        feasibility=feasibility,
        others=further,
    )


def durations_in(analysis: Analysis, frame: pd.DataFrame) -> Durations:
    """Durations of the analysed trials and of the trials of a later round."""
    tables = [table for table in (analysis.table, frame) if "seconds" in table]
    positions = [_frame_positions(analysis, table) for table in tables]
    seconds = [table["seconds"].to_numpy(dtype=float) for table in tables]
    no_positions = np.zeros((0, len(analysis.parameters)))
    return durations_of(np.concatenate([no_positions, *positions]), np.concatenate([np.zeros(0), *seconds]))


def _with_more(analysis: Analysis, failed: Bools) -> Bools | None:
    """(n + m,) mask of failed trials, with ``m`` further trials appended; ``None`` without failures."""
    if analysis.failed is None:
        before = np.zeros(len(analysis.y), dtype=np.bool_)
    else:
        before = analysis.failed
    all_failed = np.concatenate([before, failed])
    if all_failed.any():
        return all_failed
    return None


def believed_rows(
    belief: Belief, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Indices:
    """Cells drawn by a declared belief, before any trial is informative.

    DesignError if there are fewer than ``n`` cells.
    """
    return draw(Weighted(belief.level_shares(space)), space, n, seed, skip)


def batch_rows(
    analysis: Analysis,
    space: Space,
    n: int,
    seed: int,
    skip: frozenset[str],
    running: pd.DataFrame,
    durations: Durations | None = None,
) -> Indices:
    """Cells to run next, before further results arrive: level numbers, at most (n, parameters).

    One cell at a time, cells have the largest expected improvement on the best posterior mean, times the
    chance to finish. From 30 trials on, every third cell is the best of a function drawn from the posterior.
    Drawn functions disagree about what is unknown, so the search cannot stay in a corner of equal values.
    With the third cell at the best mean, searches of smooth truths did stay there. The search for a cell
    begins at even draws and at neighbours of the best trials, and moves to better neighbours until the best
    is reached.

    Several cells, or cells beside running trials, are chosen jointly: see :func:`_joint_rows`.

    Args:
        analysis: The evidence.
        space: Space to draw from.
        n: Number of cells.
        seed: Of the candidates.
        skip: Keys of configurations to pass over.
        running: Trials without a result yet.
        durations: Durations of finished trials: improvements count per expected second. ``None`` for
            improvements per trial. Ignored with several goals.

    Source: Thompson (1933) for drawn functions; Snoek, Larochelle and Adams (2012), 'Practical Bayesian
    optimization of machine learning algorithms', for improvements per second; the mixture is our own.
    """

    def seconds(cells: Floats) -> Floats:
        if durations is None:
            return np.ones(len(cells))
        return durations.expected(analysis, cells)

    start = _candidates(analysis, space, n, seed, _CANDIDATES if analysis.others else _STARTS)
    rows, positions = start

    def new(row: Indices) -> bool:
        return configuration_key(at_full(space, space.frozen_at(row))) not in skip

    if not len(rows):
        return rows
    if analysis.others:
        return rows[_along_front(analysis, positions, n, seed, lambda i: new(rows[i]))]
    if n > 1 or len(running):
        reference = _frame_positions(analysis, running)
        return _joint_rows(analysis, space, start, n, seed, new=new, seconds=seconds, running=reference)
    if len(analysis.y) >= _FIRST_DRAWN and _is_drawn(analysis, 0):
        places = np.concatenate([positions, _best_positions(analysis)])
        scores = sampled_functions(analysis, places, seed, 1)[0]
        order = _order_of_draw(scores[: len(rows)], scores[len(rows) :].max(), seconds(positions))
    else:
        rows, order = _climbed(analysis, space, start, seed, seconds)
    return next((rows[[i]] for i in order if new(rows[i])), rows[:0])


def _is_drawn(analysis: Analysis, number: int) -> bool:
    """True if the next cell but ``number`` is the best of a drawn function."""
    return (len(analysis.y) + number) % _DRAWN_EVERY == _DRAWN_EVERY - 1


def _best_positions(analysis: Analysis) -> Floats:
    """Positions of the best trials."""
    return analysis.X[np.argsort(-analysis.y, kind="stable")[:_CENTRES]]


def _order_of_draw(scores: Floats, reached: float, seconds: Floats) -> npt.NDArray[np.intp]:
    """Cells by the improvement of one drawn function on a score, per second; the others by their scores."""
    improvement = np.maximum(scores - reached, 0.0) / seconds
    return np.lexsort((-scores, -improvement))


def _joint_rows(
    analysis: Analysis,
    space: Space,
    start: tuple[Indices, Floats],
    n: int,
    seed: int,
    new: Callable[[Indices], bool],
    seconds: Callable[[Floats], Floats],
    running: Floats,
) -> Indices:
    """Cells with the largest expected improvement of the best among them, chosen one after the other.

    The improvement is that on the best trials and the running trials, averaged over functions drawn from the
    posterior. A cell next to a chosen cell improves on it in few of the functions, so the cells differ. One
    of three cells is the best of a function of its own. A further choice looks at the neighbours of the
    choice before, too.

    Source: Ginsbourger, Le Riche and Carraro (2010) for the joint improvement; Wilson, Hutter and Deisenroth
    (2018), 'Maximizing acquisition functions for Bayesian optimization', for the choice in turn.
    """
    reference = np.concatenate([_best_positions(analysis), running])
    rows, positions = start
    chosen = rows[:0]
    for _ in range(_JOINT_CHOICES):
        scores = sampled_functions(analysis, np.concatenate([positions, reference]), seed, _FUNCTIONS)
        reached = scores[:, len(rows) :].max(axis=1)
        expected_seconds = seconds(positions)
        scores = scores[:, : len(rows)]
        numbers: list[int] = []
        for i in range(n):
            if _is_drawn(analysis, i):
                order = _order_of_draw(scores[i], reached[i], expected_seconds)
            else:
                improvement = np.maximum(scores - reached[:, None], 0.0).mean(axis=0)
                order = np.argsort(-improvement / expected_seconds, kind="stable")
            number = next((int(k) for k in order if k not in numbers and new(rows[k])), None)
            if number is None:
                break
            numbers.append(number)
            reached = np.maximum(reached, scores[:, number])
        chosen = rows[numbers]
        rows, positions = _placed(analysis, space, [start[0], neighbours(space, chosen, seed)])
    return chosen


def _climbed(
    analysis: Analysis,
    space: Space,
    start: tuple[Indices, Floats],
    seed: int,
    seconds: Callable[[Floats], Floats],
) -> tuple[Indices, npt.NDArray[np.intp]]:
    """The cells around the largest expected improvement that can be reached, and their order, best first."""
    rows, positions = start
    best = -np.inf
    while True:
        improvement = rounded(log_improvement(analysis, positions) - np.log(seconds(positions)))
        order = np.argsort(-improvement, kind="stable")
        if improvement[order[0]] <= best + _LITTLE:
            return rows, order
        best = improvement[order[0]]
        rows, positions = _placed(analysis, space, [neighbours(space, rows[order[:_CENTRES]], seed)])


def _along_front(
    analysis: Analysis, positions: Floats, n: int, seed: int, new: Callable[[np.intp], bool]
) -> list[np.intp]:
    """Candidates for several goals.

    Each is the first new candidate of one joint draw (Thompson 1933) of forest or process.
    """
    posteriors = [posterior_of(goal, positions) for goal in (analysis, *analysis.others)]
    rng = np.random.default_rng(seed)
    chosen = list[np.intp]()
    for i in rng.permutation(len(posteriors[0].scores))[:n]:
        # The front in random order, then the rest by a random weighting of goals.
        scores = np.stack([p.scores[i] for p in posteriors], axis=-1)
        weights = rng.dirichlet(np.ones(len(posteriors)))
        on_front = stats.non_dominated(scores)
        by_weight = np.argsort(-(scores @ weights), kind="stable")
        order = np.concatenate([rng.permutation(np.flatnonzero(on_front)), by_weight[~on_front[by_weight]]])
        chosen += islice((j for j in order if j not in chosen and new(j)), 1)
    return chosen


def _candidates(
    analysis: Analysis, space: Space, n: int, seed: int, size: int = _CANDIDATES
) -> tuple[Indices, Floats]:
    """Cells that may be chosen, and their positions on the analysed axes.

    Empty if the evidence does not reach the space.
    """
    no_cells = np.zeros((0, len(space)), dtype=np.int32), np.zeros((0, len(analysis.parameters)))
    if n < 1 or not known_enough(analysis):
        return no_cells
    rows = space.canonical(np.random.default_rng(seed).integers(0, space.radices, (size, len(space))))
    rows = rows[space.valid(rows)]
    if len(rows) < size // 2:  # constraints leave a small part
        try:
            rows = draw(Uniform(), space, max(1, min(size, feasible(space).low)), seed)
        except DesignError:
            return no_cells
    best = _best_trials(analysis, space, seed)
    return _placed(analysis, space, [rows, neighbours(space, best, seed)])


def _placed(analysis: Analysis, space: Space, parts: list[Indices]) -> tuple[Indices, Floats]:
    """Distinct cells and their unit-scale positions on the analysed axes.

    Without cells whose choice is unknown to the analysis, and without cells whose result is known.
    """
    rows = np.unique(np.concatenate(parts), axis=0)
    columns = space.columns(rows)
    positions = np.zeros((len(rows), len(analysis.parameters)))
    for j, e in enumerate(analysis.parameters):
        if e.name in space:
            positions[:, j] = _extended(analysis, e.name, columns[e.name])
    usable = np.isfinite(positions).all(axis=1)
    rows = rows[usable]
    positions = positions[usable]
    untried = ~indistinct(analysis, positions)
    if untried.any():
        return rows[untried], positions[untried]
    return rows, positions


def _best_trials(analysis: Analysis, space: Space, seed: int) -> Indices:
    """The cells nearest to the best trials; levels of parameters that were not analysed are random."""
    best = _best_positions(analysis)
    rows = np.random.default_rng(seed).integers(0, space.radices, size=(len(best), len(space)))
    for k, e in enumerate(analysis.parameters):
        if e.name in space:
            level_positions = _extended(analysis, e.name, space[e.name].column(np.arange(space[e.name].size)))
            if np.isfinite(level_positions).all():
                rows[:, list(space).index(e.name)] = np.abs(best[:, [k]] - level_positions).argmin(axis=1)
    return rows


def neighbours(space: Space, centres: Indices, seed: int) -> Indices:
    """Some cells and their neighbours, which differ in a single parameter.

    All levels, or near and random levels of many.
    """
    rng = np.random.default_rng(seed)
    parts = [centres]
    for j, size in enumerate(space.radices):
        levels = np.tile(np.arange(size), (len(centres), 1))
        if size > _LEVELS:
            near = centres[:, [j]] + np.array([-4, -2, -1, 1, 2, 4])
            distant = rng.integers(0, size, (len(centres), _LEVELS - near.shape[1]))
            levels = np.clip(np.concatenate([near, distant], axis=1), 0, size - 1)
        rows = np.repeat(centres, levels.shape[1], axis=0)
        rows[:, j] = levels.ravel()
        parts.append(rows)
    rows = np.asarray(space.canonical(np.unique(np.concatenate(parts), axis=0)))
    return np.unique(rows[space.valid(rows)], axis=0).astype(np.int32)


def audit_configurations(
    outer: Space, inner: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> list[dict[str, object]]:
    """At most ``n`` configurations inside ``outer`` but outside ``inner``, drawn evenly.

    Keys in ``skip`` are passed over.
    """
    if n < 1 or outer.volume_kept(inner) >= 1:
        return []

    def cells() -> Iterator[Indices]:
        examined = 0
        for block in Uniform().blocks(outer, seed):
            rows = block[outer.valid(block)]
            examined = examined + len(block)
            yield from rows[_outside(outer, inner, rows)]
            if examined >= 1_000_000:
                return

    not_run = (c for c in map(outer.at, cells()) if configuration_key(outer.frozen(c)) not in skip)
    return list(islice(not_run, n))


def _outside(outer: Space, inner: Space, rows: Indices) -> Bools:
    """(c,) mask of the cells outside a second space."""
    return np.asarray(~inside_bounds(inner, outer, outer.columns(rows), outer.active(rows)))


def probe_configurations(
    analysis: Analysis, outer: Space, inner: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> list[dict[str, object]]:
    """At most ``n`` configurations of ``outer`` outside ``inner`` that plausibly beat the best inside.

    A probe is the best candidate of a draw of the posterior with its best outside. Draws are taken in
    proportion to the lead of their best over the best inside, in units of the metric, and rarely for a tie
    right next to the box.
    """
    if n < 1 or outer.volume_kept(inner) >= 1:
        return []
    rows, positions = _candidates(analysis, outer, n, seed, _FEWER)
    left_out = _outside(outer, inner, rows)
    rows = rows[left_out]
    positions = positions[left_out]
    _, inside = _candidates(analysis, inner, n, seed, _FEWER)
    if not (len(rows) and len(inside)):
        return []
    posterior = posterior_of(analysis, np.concatenate([positions, inside]))
    best = posterior.scores[:, : len(rows)].argmax(axis=1)
    reached = posterior.scores[np.arange(len(best)), best]
    excess = posterior.value(reached) - posterior.value(posterior.scores[:, len(rows) :].max(axis=1))
    better = np.flatnonzero(excess > 0)
    wait = np.random.default_rng(seed).exponential(size=len(better)) / excess[better]
    probes: dict[str, dict[str, object]] = {}
    for cell in dict.fromkeys(best[better[np.argsort(wait)]].tolist()):
        configuration = outer.at(rows[cell])
        key = configuration_key(outer.frozen(configuration))
        if key not in skip:
            probes[key] = configuration
        if len(probes) == n:
            break
    return list(probes.values())


def _frame_positions(analysis: Analysis, frame: pd.DataFrame) -> Floats:
    """(rows, parameters) unit-scale positions of trials on the analysed axes.

    0 for a parameter that a trial lacks.
    """
    positions = np.zeros((len(frame), len(analysis.parameters)))
    for j, e in enumerate(analysis.parameters):
        if e.name in frame:
            present = frame[e.name].notna().to_numpy()
            positions[present, j] = _extended(analysis, e.name, frame[e.name].to_numpy()[present])
    return positions


def _extended(analysis: Analysis, name: str, values: Column) -> Floats:
    """Unit-scale positions on the analysed axis; values beyond a widened range lie below 0 or above 1."""
    parameter = analysis[name].parameter
    if not isinstance(parameter, Range):
        return parameter.unit(values)
    low, high = parameter.ends()
    x = np.asarray(values, dtype=float)
    return np.asarray((parameter.scale(x) - low) / (high - low), dtype=float)
