"""The training curves of a round's best trials, and their flags. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from refine import stats
from refine.trials.goal import sign_of
from refine.trials.metric import FUNCTION, Curve, Metric

LEAST = 20  # number of best trials whose curves are read
SHARE = 0.1  # or this share of the finished trials, if more
MOST = 100  # but never more, so that reading stays cheap


ALIKE = 0.9  # Kendall's tau from which the ranks of an earlier epoch are those of the last


# Flags of curves: see :class:`refine.stats.CurveFlags`.
FLAGS = ("overfitting", "unsteady", "improving", "saturated", "rising")


class Pair(NamedTuple):
    """One quantity by epoch; empty if not reported."""

    training: tuple[float, ...] = ()  # on the training rows
    validation: tuple[float, ...] = ()  # on the validation rows


class TrialCurves(NamedTuple):
    """The curves of one trial."""

    rank: int  # its rank by value, from 1
    value: float  # its value by the goal
    loss: Pair  # ``loss`` and ``val_loss``
    # the metric and its partner, in the metric's own sign; empty if the metric is one of the losses or was
    # not reported by epoch
    score: Pair
    flags: stats.CurveFlags  # flags of the curves

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the raised flags."""
        return tuple(name for name, flag in self.flags._asdict().items() if flag.seen)

    @property
    def judged(self) -> bool:
        """Whether the curves are long enough for a judgement."""
        return any(math.isfinite(flag.size) for flag in self.flags)


class Epochs(NamedTuple):
    """The fewest epochs after which trials rank as at their end."""

    epochs: int
    of: int  # epochs of the trials
    tau: float  # Kendall's tau between the values at that epoch and at the end
    trials: int  # number of trials compared


def enough_epochs(series: Sequence[Sequence[float]], values: Sequence[float]) -> Epochs | None:
    """The first eighth of the epochs, up to half of them, after which tau is 0.9; ``None`` without one.

    ``series`` are the values per epoch of trials that ran to their end, ``values`` their results. The trials
    with most epochs count; 20 are needed.
    """
    from scipy.stats import kendalltau

    last = max(map(len, series), default=0)
    rows = [i for i, s in enumerate(series) if len(s) == last > 1]
    if len(rows) < LEAST:
        return None
    for eighths in (1, 2, 3, 4):
        epoch = math.ceil(eighths * last / 8)
        tau = float(kendalltau([series[i][epoch - 1] for i in rows], [values[i] for i in rows]).statistic)
        if tau >= ALIKE:
            return Epochs(epoch, last, tau, len(rows))
    return None


def trial_curves(
    rank: int, value: float, curve: Curve, metric: Metric, direction: str, noise: float | None = None
) -> TrialCurves | None:
    """One trial's curves with their flags; ``None`` without a reported loss or metric.

    The metric ``val_x`` belongs to the validation rows and ``x`` to the training rows. ``noise`` is the
    standard deviation between repeats; ``None`` if unknown.
    """
    loss = Pair(*(tuple(curve.get(name, ())) for name in ("loss", "val_loss")))
    plain = metric.name.removeprefix("val_")
    pair = Pair(*(tuple(curve.get(name, ())) for name in (plain, f"val_{plain}")))
    if metric.reduction != FUNCTION:
        judged = tuple(curve.get(metric.name, ()))
    else:
        judged = ()
    if judged and plain != "loss":
        score = pair
    else:
        score = Pair()
    if not any((*loss, *score)):
        return None
    flags = stats.CurveCheck()(*loss, [sign_of(direction) * v for v in judged], noise)
    return TrialCurves(rank, value, loss, score, flags)


def how_many(finished: int, top: int | None = None) -> int:
    """Number of best trials to read.

    ``top``, or the best 20, or the best tenth of the finished trials if more, at most 100.
    """
    return top or min(MOST, max(LEAST, math.ceil(SHARE * finished)))


def curves_of(
    ranked: Sequence[tuple[str, float]],
    curves: Mapping[str, Curve],
    metric: Metric,
    direction: str,
    noise: float | None = None,
) -> tuple[TrialCurves, ...]:
    """Curves of the best trials, best first; trials without any are left out.

    ``ranked`` is key and value of the trials, best first; ``curves`` is key -> reported curves.
    """
    curves_found = (
        trial_curves(rank, value, curves[key], metric, direction, noise)
        for rank, (key, value) in enumerate(ranked, 1)
        if key in curves
    )
    return tuple(curve for curve in curves_found if curve is not None)
