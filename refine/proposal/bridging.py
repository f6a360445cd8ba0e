"""Choice of the cheap trials that run at the full level of the fidelity as well. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import level_axis
from refine.proposal.posterior import log_improvement, sampled_functions
from refine.space.fidelity import at_full
from refine.space.space import Indices, Space, configuration_key
from refine.trials.frame import CHEAP_VALUE

if TYPE_CHECKING:
    import pandas as pd

_SPREAD_EVERY = 4  # one of this number of full trainings is spread over the values of the cheap trials
_DRAWN_EVERY = 2  # one of this number of the others is the best of a function drawn from the posterior


def bridge_rows(
    space: Space,
    table: pd.DataFrame,
    sign: float,
    count: int,
    chosen: int,
    analysis: Analysis | None,
    seed: int,
    done: Collection[str],
) -> Indices:
    """Level numbers of at most ``count`` cheap trials to run at the full level.

    Most are those that promise the best full value; without an analysis, the best cheap ones. Every fourth is
    spread over the values of the cheap trials, so that the levels can be compared over their whole range.

    Args:
        space: Space of the round.
        table: Trials of the round.
        sign: 1 to maximize, -1 to minimize.
        count: Number of trials.
        chosen: Number of full trainings of the round so far.
        analysis: Analysis of the trials so far; ``None`` before the levels can be compared.
        seed: Of drawn functions.
        done: Keys of configurations that are planned at the full level already.
    """
    usable = np.zeros(len(table), dtype=np.bool_)
    if CHEAP_VALUE in table:
        usable = np.isfinite(table[CHEAP_VALUE].to_numpy(dtype=float)) & (table["cell"].notna().to_numpy())
    cheap = table[usable]
    cells = [int(cell) for cell in cheap["cell"]]
    values = sign * cheap[CHEAP_VALUE].to_numpy(dtype=float) if len(cheap) else np.zeros(0)
    rows = np.array([space.indices(cell) for cell in cells], dtype=np.int64).reshape(len(cells), len(space))
    keys = [configuration_key(at_full(space, space.frozen_at(row))) for row in rows]
    free = np.array([key not in done for key in keys], dtype=np.bool_)
    order = np.argsort(-values, kind="stable")
    places = np.empty(len(values))
    places[order] = (np.arange(len(values)) + 0.5) / max(1, len(values))
    picked: list[int] = []
    for number in range(chosen, chosen + count):
        candidates = np.flatnonzero(free)
        if not len(candidates):
            break
        if number % _SPREAD_EVERY == _SPREAD_EVERY - 1:
            ran = places[~free]
            score = np.abs(places[candidates][:, None] - ran[None, :]).min(axis=1)
        elif analysis is None:
            score = values[candidates]
        else:
            columns = [list(space).index(e.name) for e in analysis.parameters]
            positions = np.column_stack(
                [
                    level_axis(e.parameter).levels[rows[candidates, j]]
                    for e, j in zip(analysis.parameters, columns, strict=True)
                ]
            )
            if number % _DRAWN_EVERY:
                score = sampled_functions(analysis, positions, seed + number, 1)[0]
            else:
                score = log_improvement(analysis, positions)
        best = int(candidates[int(np.argmax(score))])
        picked.append(best)
        free[best] = False
    return rows[picked]
