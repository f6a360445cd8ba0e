"""Levels at which everything fails; they would hide where else trials fail. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refine import stats
from refine.analysis.evidence import Rows, level_axis
from refine.space.parameters import Parameter
from refine.utils.arrays import Bools

_LEAST = 5
"""Trials at a level before it is ruled out."""
_ALPHA = 0.01


def without_ruled_out(
    rows: Rows, columns: Sequence[tuple[Parameter, int]], absent: Sequence[Bools | None]
) -> list[Rows]:
    """Rows for every parameter, in which trials at levels of the others that are ruled out don't count as failures.

    A level is ruled out where 5 or more trials ended and none gave a usable model, Fisher's p <= 0.01. What fails there
    fails whatever the other parameters are, and would drown what they have to do with it.

    Args:
        rows: All trials.
        columns: Parameter and its column in ``rows.X``, of all that vary.
        absent: For each of them which trials have it not by its condition; ``None`` for none.
    """
    ended = rows.ended
    lost = [
        _ruled_out(rows._replace(absent=gone), *column) for column, gone in zip(columns, absent, strict=True)
    ]
    out = []
    for mine in range(len(columns)):
        others = np.zeros(len(ended), dtype=np.bool_)
        for j, mask in enumerate(lost):
            if j != mine:
                others |= mask
        out.append(rows._replace(lost=others, absent=absent[mine]))
    return out


def _ruled_out(rows: Rows, parameter: Parameter, column: int) -> Bools:
    axis = level_axis(parameter)
    codes, ended = axis.index(rows.X[:, column]), rows.ended
    rates = stats.LevelRates()(codes[ended], rows.bad[ended], parameter.size)
    levels = [r.level for r in rates if r.n >= _LEAST and r.hits == r.n and r.p <= _ALPHA]
    return np.asarray(np.isin(codes, levels) & rows.there, dtype=np.bool_)
