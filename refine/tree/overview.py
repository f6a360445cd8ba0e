"""A tree as a whole: which of its rounds has the best trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from refine.tree.round import Round
from refine.trials.goal import sign_of

if TYPE_CHECKING:
    import pandas as pd


def best_of(
    rounds: Sequence[Round], known: Mapping[str, pd.Series | None] | None = None
) -> tuple[Round, pd.Series] | None:
    """The round with the best trial, and that trial's row; ``None`` before the first one.

    Args:
        rounds: Oldest first. Those that differ in metric or direction from the oldest can't be compared and are left out.
        known: Best trials by id, where they were read already.
    """
    comparable = [r for r in rounds if (r.metric, r.direction) == (rounds[0].metric, rounds[0].direction)]
    rows = [(r, b) for r in comparable if (b := r.best if known is None else known[r.id]) is not None]
    if not rows:
        return None
    sign = sign_of(rows[0][0].direction)
    return max(rows, key=lambda pair: sign * pair[1]["value"])
