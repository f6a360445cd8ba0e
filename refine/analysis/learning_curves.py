"""The training curves of a round's best trials, and what they show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from refine import stats
from refine.trials.frame import best_first, table
from refine.trials.goal import sign_of
from refine.trials.metric import FUNCTION, Curve, Metric

if TYPE_CHECKING:
    from refine.space.space import Space
    from refine.store.store import Store

LEAST = 20
"""The best so many are looked at, where there are as many."""

SHARE = 0.1
"""Or this share of those that finished, where that is more."""

MOST = 100
"""But never more, so that reading stays cheap."""


WORDS = {
    "overfitting": "overfits",
    "unsteady": "unsteady end",
    "improving": "still improving",
    "saturated": "saturated early",
    "rising": "loss rises",
}
"""Short words for the flags."""


class Pair(NamedTuple):
    """One quantity by epoch; empty where it was not reported.

    Attributes:
        training: On the training rows.
        validation: On the validation rows.
    """

    training: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()


class TrialCurves(NamedTuple):
    """The curves of one trial.

    Attributes:
        rank: Its rank by value, from 1.
        value: What it is judged by.
        loss: ``loss`` and ``val_loss``.
        score: The metric and its partner, in the metric's own sign; empty where the metric is one of the losses or
            was not reported by epoch.
        flags: What they show.
    """

    rank: int
    value: float
    loss: Pair
    score: Pair
    flags: stats.CurveFlags

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the flags that are raised."""
        return tuple(name for name, flag in self.flags._asdict().items() if flag.seen)

    @property
    def told(self) -> bool:
        """Whether the curves are long enough to say anything."""
        return any(math.isfinite(flag.size) for flag in self.flags)


def trial_curves(
    rank: int, value: float, curve: Curve, metric: Metric, direction: str, noise: float | None = None
) -> TrialCurves | None:
    """What one trial's curves show; ``None`` where it reported neither a loss nor its metric.

    Args:
        rank: Its rank.
        value: Its value.
        curve: What it reported.
        metric: What it is judged by: ``val_x`` is of the validation rows and ``x`` of the training rows.
        direction: ``"maximize"`` or ``"minimize"``.
        noise: Standard deviation of the value when trained again; ``None`` where it is unknown.
    """
    loss = Pair(*(tuple(curve.get(name, ())) for name in ("loss", "val_loss")))
    plain = metric.name.removeprefix("val_")
    pair = Pair(*(tuple(curve.get(name, ())) for name in (plain, f"val_{plain}")))
    judged = tuple(curve.get(metric.name, ())) if metric.reduction != FUNCTION else ()
    score = pair if judged and plain != "loss" else Pair()
    if not any((*loss, *score)):
        return None
    sign = sign_of(direction)
    flags = stats.CurveCheck()(*loss, [sign * v for v in judged], noise)
    return TrialCurves(rank, value, loss, score, flags)


def best_curves(
    store: Store,
    pk: int,
    space: Space,
    metric: Metric,
    direction: str,
    allow_degenerate: bool,
    noise: float | None = None,
    top: int | None = None,
) -> tuple[TrialCurves, ...]:
    """The curves of a round's best trials, best first; those that reported none are left out.

    Args:
        store: The store.
        pk: Row of the round.
        space: Its space.
        metric: Which metric is the value.
        direction: ``"maximize"`` or ``"minimize"``.
        allow_degenerate: Whether degenerate trials may be best.
        noise: See :func:`trial_curves`.
        top: How many trials; default the best 20 or the best tenth, whichever is more, but at most 100.
    """
    records = store.records([pk], curves=metric.curves)
    ranked = best_first(table(space, records, metric), direction, space, allow_degenerate)
    count = top or min(MOST, max(LEAST, math.ceil(SHARE * len(ranked))))
    keys = [records.columns["key"][i] for i in ranked.index[:count]]
    known = store.curves(pk, keys)
    found = (
        trial_curves(rank, float(value), known[key], metric, direction, noise)
        for rank, (key, value) in enumerate(zip(keys, ranked["value"], strict=False), 1)
        if key in known
    )
    return tuple(each for each in found if each is not None)
