"""Where else to look: cells where the optimum is plausible, and cells outside a box that could refute it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.design.space_filling import Uniform, Weighted, draw, feasible
from refine.errors import DesignError, ReviewError
from refine.proposal.posterior import cardinalities_of, known_enough, posterior_of
from refine.space.belief import Belief
from refine.space.parameters import Range
from refine.space.space import Indices, Space, configuration_key
from refine.stats.forest import encode, fit_forest
from refine.trials.frame import may_be_best, metric_title, slacks
from refine.trials.trial import EXCLUDED
from refine.utils.arrays import Bools

if TYPE_CHECKING:
    import pandas as pd

_CANDIDATES = 4000
_FEWER = 1000  # where a few probes are drawn with every decision
_CENTRES = 15
_LEARNED = 1500


BELIEVED = 0.5
"""Share of a first round that is drawn by a belief, where nothing else is said."""


class Shares(NamedTuple):
    """What a child spends beside its space-filling design."""

    exploit: float  # share of its configurations where the optimum is plausible, in [0, 1)
    audit: float  # share outside its space but inside the parent's, in [0, 1)
    analysis: Analysis  # evidence of where the optimum may be


def check_shares(exploit: float, audit: float) -> None:
    """Raises ReviewError unless a child can spend such shares beside its space-filling design."""
    for name, share in (("exploit", exploit), ("audit", audit)):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise ReviewError(
                f"{name} must be a share >= 0 and < 1 of the configurations, got {share!r}; such as {name}=0.5"
            )
    if exploit + audit >= 1:
        raise ReviewError(
            f"exploit and audit must leave something for the space-filling design, got {exploit} and {audit}; make one smaller"
        )


def first_batch(size: int, batch: int, exploit: float, audit: float) -> tuple[float, float]:
    """Shares of exploit and audit trials in the first batch of a child that grows batch by batch: all that is not exploit runs first.

    ``exploit`` and ``audit`` are shares of all configurations of the child; later batches are exploit trials only.
    """
    outside = round(audit * size)
    left = batch - outside - round((1 - exploit - audit) * size)
    return (left / batch, outside / batch) if left >= 0 else (exploit, audit)


def learning_from(analysis: Analysis, frame: pd.DataFrame, allow_degenerate: bool = False) -> Analysis:
    """The same analysis, whose posterior learns from trials of a later round as well, inside or outside; nothing is tested on them."""
    columns = [_extended(analysis, e.name, frame[e.name].to_numpy()) for e in analysis.parameters]
    X = np.column_stack(columns)
    ended = ~frame["state"].isin(("running", EXCLUDED)).to_numpy() & np.isfinite(X).all(axis=1)
    good = may_be_best(frame, analysis.space, allow_degenerate)[ended]
    values = analysis.sign * frame["value"].to_numpy(dtype=float)[ended]
    # As in the analysis, what tells where not to look counts as the worst value seen.
    worst = np.append(values[good], analysis.y.min()).min()
    y = np.concatenate([analysis.y, np.where(good, values, worst)])
    feasibility = analysis.feasibility
    if feasibility is not None:
        shown = slacks(frame[ended], analysis.space, feasibility.constraints)
        feasibility = feasibility.with_more(np.where(np.isfinite(values), values, np.nan), shown)
    titles = (metric_title(other.metric, analysis.space) for other in analysis.others)
    tables = (frame.assign(value=frame[title]) for title in titles)
    others = tuple(
        learning_from(goal, table, allow_degenerate)
        for goal, table in zip(analysis.others, tables, strict=True)
    )
    return replace(
        analysis, X=np.concatenate([analysis.X, X[ended]]), y=y, feasibility=feasibility, others=others
    )


def exploit_rows(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Indices:
    """Cells of a space where the optimum is plausible: level numbers, (at most n, parameters).

    Each is the best candidate of one draw of the posterior that is not chosen yet (Thompson 1933); half of the draws are
    the forest's, half those of Gaussian processes. Candidates are space-filling draws, and neighbours of the trials that
    a forest thinks best, which chance alone did not make look good. Keys of configurations in ``skip`` are passed over.
    """
    rows, positions = _candidates(analysis, space, n, seed, skip)
    if not len(rows):
        return rows
    n = min(n, len(rows))
    posterior = posterior_of(analysis, positions)
    further = [posterior_of(other, positions) for other in analysis.others]
    rng = np.random.default_rng(seed)
    process = len(posterior.scores) - posterior.forest
    smooth = rng.permutation(process)[: n // 2] + posterior.forest
    trees = rng.permutation(posterior.forest)[: n - n // 2]
    chosen: dict[int, None] = {}
    for draw_ in [*smooth, *trees]:
        order = np.argsort(-posterior.scores[draw_], kind="stable")
        if further:
            order = _front_first(np.stack([p.scores[draw_] for p in (posterior, *further)], axis=-1), rng)
        chosen[next(int(i) for i in order if int(i) not in chosen)] = None
    return rows[list(chosen)]


def _front_first(scores: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Candidates of one draw of several goals: its front in random order, then the others by a random weighing of goals."""
    weights = rng.dirichlet(np.ones(scores.shape[1]))
    order = np.argsort(-(scores @ weights), kind="stable")
    on = stats.non_dominated(scores)
    return np.concatenate([rng.permutation(np.flatnonzero(on)), order[~on[order]]])


def believed_rows(
    belief: Belief, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Indices:
    """Cells of a space drawn by what somebody believes, where no trial tells anything yet; DesignError where there are not so many."""
    return draw(Weighted(belief.level_shares(space)), space, n, seed, skip)


def batch_rows(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Indices:
    """Cells of a space that a search runs next, before it learns again; as of :func:`exploit_rows`.

    Half of them promise the most together: one after the other, each is the candidate by which the best of a joint draw is
    expected to rise the most above what is known and chosen by then, where what is known has the noise taken off
    (Letham et al. 2019, 'Constrained Bayesian optimization with noisy experiments'). The other half has the best
    posterior means: what lies beside the best tells as well which of them is the best, which noise hides.
    """
    if analysis.others:
        return exploit_rows(analysis, space, n, seed, skip)  # whose draws spread along the front
    rows, positions = _candidates(analysis, space, n, seed, skip)
    if not len(rows):
        return rows
    known = np.unique(analysis.X, axis=0)
    posterior = posterior_of(analysis, np.concatenate([positions, known]))
    scores = posterior.scores[:, : len(rows)]
    best = posterior.scores[:, len(rows) :].max(axis=1)
    chosen: list[int] = []
    for _ in range(min(n - n // 2, len(rows))):
        gain = np.maximum(scores - best[:, None], 0.0).mean(axis=0)
        gain[chosen] = 0.0
        if not gain.max() > 0:
            break  # no draw is better anywhere
        chosen.append(int(gain.argmax()))
        best = np.maximum(best, scores[:, chosen[-1]])
    order = np.argsort(-posterior.mean[: len(rows)], kind="stable").tolist()
    return rows[list(dict.fromkeys([*chosen, *order]))[:n]]


def _candidates(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str], most: int = _CANDIDATES
) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Cells that may be chosen, and where they lie on the analysed axes; none where nothing can be told of them."""
    nothing = np.zeros((0, len(space)), dtype=np.int32), np.zeros((0, len(analysis.parameters)))
    if n < 1 or not known_enough(analysis):
        return nothing
    try:
        rows = draw(Uniform(), space, max(1, min(most, feasible(space).low - len(skip))), seed, skip)
    except DesignError:
        return nothing
    cardinalities = cardinalities_of(analysis)
    neighbours = _neighbours(analysis, space, cardinalities, seed, skip, most // 2)
    rows = np.unique(np.concatenate([rows, neighbours]), axis=0)
    positions = _positions(analysis, space, rows)
    known = np.isfinite(positions).all(axis=1)
    return rows[known], positions[known]


def _neighbours(
    analysis: Analysis, space: Space, cardinalities: list[int], seed: int, skip: frozenset[str], count: int
) -> Indices:
    """Cells one or two levels away from the trials of which the forest expects most."""
    rng = np.random.default_rng(seed)
    features = encode(analysis.X, cardinalities)
    ranks = np.argsort(np.argsort(analysis.y, kind="stable"), kind="stable") / len(analysis.y)
    thinned = np.argsort(-analysis.y, kind="stable")[:_LEARNED]
    expected = fit_forest(features[thinned], ranks[thinned], None, 100, seed, leaf=3).predict(
        features[thinned]
    )
    best = thinned[np.argsort(-expected.mean(axis=0), kind="stable")[:_CENTRES]]
    rows = rng.integers(0, space.radices, size=(count, len(space)))
    centres = rng.choice(best, size=count)
    moved = rng.random((count, len(space)))
    # One level changes, or two.
    few = np.sort(moved, axis=1)[np.arange(count), rng.integers(0, min(2, len(space)), count)]
    names = [e.name for e in analysis.parameters]
    for j, (name, parameter) in enumerate(space.items()):
        if name not in names or parameter.fixed:
            continue
        at = _extended(analysis, name, space[name].column(np.arange(parameter.size)))
        if np.isfinite(at).all():
            nearest = np.abs(analysis.X[best, names.index(name)][:, None] - at[None, :]).argmin(axis=1)
            level = dict(zip(best.tolist(), nearest.tolist(), strict=True))
            stays = moved[:, j] > few
            rows[stays, j] = [level[int(c)] for c in centres[stays]]
    rows = np.asarray(space.canonical(rows), dtype=np.int64)
    rows = np.unique(rows[space.valid(rows)], axis=0).astype(np.int32)
    fresh = (
        [configuration_key(space.frozen(space.at(row))) not in skip for row in rows] if skip else slice(None)
    )
    return np.asarray(rows[fresh])


def _positions(analysis: Analysis, space: Space, rows: Indices) -> npt.NDArray[np.float64]:
    """Unit-scale positions of cells on the analysed axes; NaN where a choice is unknown there."""
    columns = space.columns(rows)
    positions = np.zeros((len(rows), len(analysis.parameters)))
    for j, e in enumerate(analysis.parameters):
        if e.name in space:
            positions[:, j] = _extended(analysis, e.name, columns[e.name])
    return positions


def audit_configurations(
    outer: Space, inner: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """At most ``n`` configurations inside ``outer`` but outside ``inner``, drawn evenly; keys in ``skip`` are passed over."""
    if n < 1 or outer.volume_kept(inner) >= 1:
        return []

    def cells() -> Iterator[Indices]:
        looked = 0
        for block in Uniform().blocks(outer, seed):
            rows, looked = block[outer.valid(block)], looked + len(block)
            yield from rows[_outside(outer, inner, rows)]
            if looked >= 1_000_000:
                return

    fresh = (c for c in map(outer.at, cells()) if configuration_key(outer.frozen(c)) not in skip)
    return list(islice(fresh, n))


def _outside(outer: Space, inner: Space, rows: Indices) -> Bools:
    """Which cells of a space lie outside another one."""
    columns, there = outer.columns(rows), outer.active(rows) if outer.conditions else {}
    inside = np.ones(len(rows), dtype=np.bool_)
    for name in outer:
        if name in inner:
            within = inner[name].contains(columns[name])
            inside &= within | ~there[name] if name in there else within
    return np.asarray(~inside)


def probe_configurations(
    analysis: Analysis, outer: Space, inner: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """At most ``n`` configurations inside ``outer`` but outside ``inner`` where a better value than any inside is plausible.

    Each is the best candidate of one draw of the posterior whose best lies outside. Draws are taken in proportion to
    what their best is above all inside, in units of the metric: not where it is nearly as good just beside the box.
    """
    if n < 1 or outer.volume_kept(inner) >= 1:
        return []
    rows, positions = _candidates(analysis, outer, n, seed, frozenset(), _FEWER)
    left_out = _outside(outer, inner, rows)
    rows, positions = rows[left_out], positions[left_out]
    _, inside = _candidates(analysis, inner, n, seed, frozenset(), _FEWER)
    if not (len(rows) and len(inside)):
        return []
    posterior = posterior_of(analysis, np.concatenate([positions, inside]))
    best = posterior.scores[:, : len(rows)].argmax(axis=1)
    reached = posterior.scores[np.arange(len(best)), best]
    excess = posterior.value(reached) - posterior.value(posterior.scores[:, len(rows) :].max(axis=1))
    better = np.flatnonzero(excess > 0)
    wait = np.random.default_rng(seed).exponential(size=len(better)) / excess[better]
    found: dict[str, dict[str, Any]] = {}
    for cell in best[better[np.argsort(wait)]]:
        configuration = outer.at(rows[cell])
        key = configuration_key(outer.frozen(configuration))
        if key not in skip:
            found[key] = configuration
        if len(found) == n:
            break
    return list(found.values())


def _extended(analysis: Analysis, name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Unit-scale positions on the analysed axis; a widened range lies below 0 or above 1."""
    parameter = analysis[name].parameter
    if not isinstance(parameter, Range):
        return parameter.unit(values)
    low, high = parameter.ends()
    x = np.asarray(values, dtype=float)
    return np.asarray((parameter.scale(x) - low) / (high - low), dtype=float)
