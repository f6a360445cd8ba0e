"""Where else to look: cells where the optimum is plausible, and cells outside a box that could refute it. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import DesignError, ReviewError
from refine.proposal.surrogate import cardinalities_of, known_enough, posterior_of
from refine.space.parameters import Range
from refine.space.space import Indices, Space, configuration_key
from refine.stats.forest import encode, fit_forest

_CANDIDATES = 4000
_NEIGHBOURS = 2000
_CENTRES = 15
_LEARNED = 1500


class Shares(NamedTuple):
    """What a child spends beside its space-filling design.

    Attributes:
        exploit: Share of its configurations where the optimum is plausible, in [0, 1).
        audit: Share outside its space but inside the parent's, in [0, 1).
        analysis: Evidence of where the optimum may be.
    """

    exploit: float
    audit: float
    analysis: Analysis


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


def exploit_rows(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Indices:
    """Cells of a space where the optimum is plausible.

    Each is the best candidate of one draw of the posterior that is not chosen yet (Thompson 1933); half of the draws are
    the forest's, half those of Gaussian processes. Candidates are space-filling draws, and neighbours of the trials that
    a forest thinks best, which chance alone did not make look good.

    Args:
        analysis: Evidence to learn from.
        space: The space to draw from, usually a narrower or wider one than was analysed.
        n: How many cells.
        seed: Of candidates, and of which draws.
        skip: Keys of configurations to pass over.

    Returns:
        Level numbers in ``space``, shape (at most n, parameters): fewer where no more cells are left.
    """
    nothing = np.zeros((0, len(space)), dtype=np.int32)
    if n < 1 or not known_enough(analysis):
        return nothing
    try:
        rows = draw(Uniform(), space, max(1, min(_CANDIDATES, feasible(space).low - len(skip))), seed, skip)
    except DesignError:
        return nothing
    cardinalities = cardinalities_of(analysis)
    rows = np.unique(np.concatenate([rows, _neighbours(analysis, space, cardinalities, seed, skip)]), axis=0)
    positions = _positions(analysis, space, rows)
    known = np.isfinite(positions).all(axis=1)
    rows, positions = rows[known], positions[known]
    if not len(rows):
        return rows
    n = min(n, len(rows))
    posterior = posterior_of(analysis, positions)
    rng = np.random.default_rng(seed)
    process = len(posterior.scores) - posterior.forest
    smooth = rng.permutation(process)[: n // 2] + posterior.forest
    trees = rng.permutation(posterior.forest)[: n - n // 2]
    chosen: dict[int, None] = {}
    for draw_ in [*smooth, *trees]:
        order = np.argsort(-posterior.scores[draw_], kind="stable")
        chosen[next(int(i) for i in order if int(i) not in chosen)] = None
    return rows[list(chosen)]


def _neighbours(
    analysis: Analysis, space: Space, cardinalities: list[int], seed: int, skip: frozenset[str]
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
    rows = rng.integers(0, space.radices, size=(_NEIGHBOURS, len(space)))
    centres = rng.choice(best, size=_NEIGHBOURS)
    moved = rng.random((_NEIGHBOURS, len(space)))
    # One level changes, or two.
    few = np.sort(moved, axis=1)[np.arange(_NEIGHBOURS), rng.integers(0, min(2, len(space)), _NEIGHBOURS)]
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
    """Configurations inside ``outer`` but outside ``inner``, drawn evenly.

    Args:
        outer: The space a round ran on.
        inner: The space accepted for the next.
        n: How many.
        seed: Of the order.
        skip: Keys of configurations to pass over.

    Returns:
        At most ``n`` configurations of ``outer``; none where ``inner`` leaves nothing out.
    """
    import pandas as pd

    if n < 1 or outer.volume_kept(inner) >= 1:
        return []
    found: list[dict[str, Any]] = []
    shared = [name for name in outer if name in inner]
    looked = 0
    for block in Uniform().blocks(outer, seed):
        looked += len(block)
        rows = block[outer.valid(block)]
        frame = pd.DataFrame(outer.columns(rows))
        inside = np.ones(len(frame), dtype=np.bool_)
        for name in shared:
            inside &= inner[name].contains(frame[name].to_numpy())
        for row in rows[~inside]:
            configuration = outer.at(row)
            if configuration_key(outer.frozen(configuration)) not in skip:
                found.append(configuration)
                if len(found) == n:
                    return found
        if looked >= 1_000_000:
            break
    return found


def _extended(analysis: Analysis, name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Unit-scale positions on the analysed axis; a widened range lies below 0 or above 1."""
    parameter = analysis[name].parameter
    if not isinstance(parameter, Range):
        return parameter.unit(values)
    low, high = parameter.ends()
    x = np.asarray(values, dtype=float)
    return np.asarray((parameter.scale(x) - low) / (high - low), dtype=float)
