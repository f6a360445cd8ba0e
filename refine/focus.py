"""Where else to look: cells where the optimum is plausible, and cells outside a box that could refute it. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis import Analysis
from refine.design import Uniform, draw, feasible
from refine.errors import DesignError
from refine.parameters import Range
from refine.space import Indices, Space, permutation_key

_CANDIDATES = 4000
_MEMBERS = 3


def focus_rows(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Indices:
    """Cells of a space where the optimum is plausible.

    Each cell is the best candidate, not chosen yet, of a group of three members of a bootstrapped forest
    (Thompson 1933).

    Args:
        analysis: Evidence that the forest learns from.
        space: The space to draw from, usually a narrower or wider one than was analysed.
        n: How many cells.
        seed: Of candidates and forest.
        skip: Keys of permutations to pass over.

    Returns:
        Level numbers in ``space``, shape (at most n, parameters): fewer where no more cells are left.
    """
    if n < 1 or not analysis.parameters:
        return np.zeros((0, len(space)), dtype=np.int32)
    try:
        rows = draw(Uniform(), space, max(1, min(_CANDIDATES, feasible(space).low - len(skip))), seed, skip)
    except DesignError:
        return np.zeros((0, len(space)), dtype=np.int32)
    names = [e.name for e in analysis.parameters]
    columns = space.columns(rows)
    known = np.ones(len(rows), dtype=np.bool_)
    positions = np.zeros((len(rows), len(names)))
    for j, name in enumerate(names):
        if name in space:
            positions[:, j] = _extended(analysis, name, columns[name])
            known &= np.isfinite(positions[:, j])
    rows, positions = rows[known], positions[known]
    if not len(rows):
        return rows
    cardinalities = [0 if e.parameter.ordered else e.parameter.size for e in analysis.parameters]
    share = min(0.5, (n + 1) / len(rows))
    forest = stats.Forest(groups=max(2, n), members=_MEMBERS, share=share, seed=seed)
    votes = forest(analysis.X, analysis.y, positions, cardinalities).votes
    chosen: dict[int, None] = {}
    for group in votes[:n]:
        fresh = next((int(i) for i in group if int(i) not in chosen), None)
        if fresh is not None:
            chosen[fresh] = None
    return rows[list(chosen)]


def counter_permutations(
    outer: Space, inner: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Permutations inside ``outer`` but outside ``inner``, drawn evenly.

    Args:
        outer: The space a round ran on.
        inner: The space accepted for the next.
        n: How many.
        seed: Of the order.
        skip: Keys of permutations to pass over.

    Returns:
        At most ``n`` permutations of ``outer``; none where ``inner`` leaves nothing out.
    """
    import pandas as pd

    if n < 1 or outer.share_kept(inner) >= 1:
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
            permutation = outer.at(row)
            if permutation_key(outer.frozen(permutation)) not in skip:
                found.append(permutation)
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
