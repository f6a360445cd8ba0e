"""Early stopping across trials: the value that a trial must have reached by an epoch.

Workers have no channel between them. The limit that a trial is compared with travels with its task, and the
trial stops itself. Pure functions of values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from refine.errors import DesignError
from refine.utils.arrays import Floats
from refine.utils.format import join
from refine.utils.keywords import helped
from refine.utils.numbers import is_real, is_whole
from refine.utils.types import JsonObject

_AUDIT = 0x61756469  # stream of random numbers that no trial draws from its own seed
_NEAREST = 5  # trials with the nearest curves, from which a forecast is made
_MOST_CURVES = 100  # curves that travel with a task: those of the last trials that ran to their end
_GROWTH = (
    1.05  # a new limit is made when the ended trials have grown by this factor, or by one if that is more
)


def forecasts(series: Sequence[Floats], values: Floats) -> Floats:
    """Forecast final values of trials without one, larger is better.

    A forecast is the mean of the final values of the 5 trials with the nearest curves so far, weighted by the
    inverse squared distance, and moved by half of the difference at the last epoch. It lies within the known
    final values.

    Args:
        series: (n,) values per epoch of each trial.
        values: (n,) final values; NaN of a trial that was stopped.

    Returns:
        (n,) forecasts; NaN of trials with a value, or with too few trials of the same length.
    """
    forecast = np.full(len(values), np.nan)
    lengths = np.array([len(curve) for curve in series], dtype=int)
    ended = np.flatnonzero(np.isfinite(values))
    for epoch in np.unique(lengths[np.isnan(values) & (lengths > 0)]).tolist():
        stopped = np.flatnonzero(np.isnan(values) & (lengths == epoch))
        longer = ended[lengths[ended] >= epoch]
        rows = [*stopped.tolist(), *longer.tolist()]
        curves = np.nan_to_num(np.stack([series[row][:epoch] for row in rows]))  # (rows, epoch)
        of_others = curves[stopped.size :]
        # Differences instead of a matrix product, whose last digits depend on the machine: trials of a grid
        # are often equally near.
        for row, curve in zip(stopped.tolist(), curves[: stopped.size], strict=True):
            distances = ((of_others - curve) ** 2).mean(axis=1)
            forecast[row] = _forecast(curve[-1], of_others[:, -1], distances, values[longer], values[ended])
    return forecast


def _forecast(
    value: float, others_now: Floats, distances: Floats, others_end: Floats, known_ends: Floats
) -> float:
    """Forecast final value of a trial; NaN if too few trials have reached its epoch.

    Args:
        value: The trial's value at the epoch.
        others_now: (n,) values of other trials at the epoch.
        distances: (n,) mean squared distances between their curves and the trial's; NaN of shorter curves.
        others_end: (n,) final values of the other trials.
        known_ends: Final values that bound the forecast.
    """
    nearest = np.argsort(distances, kind="stable")[:_NEAREST]
    if nearest.size < _NEAREST or np.isnan(distances[nearest[-1]]):
        return math.nan
    smallest = max(1e-6 * float(distances[nearest[-1]]), 1e-300)
    weights = 1 / np.maximum(distances[nearest], smallest)
    ends = others_end[nearest] + (value - others_now[nearest]) / 2
    mean = (weights * ends).sum() / weights.sum()
    return min(max(float(mean), float(known_ends.min())), float(known_ends.max()))


@helped
@dataclass(frozen=True)
class Pruner:
    """Stops trials whose forecast final value is worse than the round's ended trials.

    The final value is forecast from the nearest curves of ended trials, so a trial with a slow start and a
    good end is not stopped. A trial runs on if its forecast is among the best ``keep`` of the ended trials.
    Ended trials count with their final value, stopped ones with their forecast. With ``rungs`` trials are
    compared only after these epochs: at the first rung a trial must be among the best ``keep``, at the next
    among the best ``keep`` of the remaining trials, as in successive halving. A trial is compared with trials
    that ended before its start.

    Args:
        keep: Share of the ended trials to be among, in (0, 1). 0.5 is the median.
        warmup: Epochs without stopping; not given with ``rungs``.
        min_trials: Number of trials to run to their end before any is stopped.
        audit: Share of trials, drawn by their seeds, to always run to their end, in [0, 1). They show how
            many good trials stopping loses.
        rungs: Epochs, from 1 and growing, for example ``(10, 50, 150)``; empty for every epoch.

    Raises:
        DesignError: A value out of range.

    Source: the median rule of Golovin et al. (2017), 'Google Vizier', with forecasts instead of running
    means; for rungs Li et al. (2020), 'A System for Massively Parallel Hyperparameter Tuning'. The forecast
    is our own.

    Examples:
        >>> def train(p, trial):
        ...     for epoch in range(20):
        ...         trial.report(epoch, {"acc": p["lr"] * epoch})
        ...         if trial.should_prune():
        ...             break
        ...     return {"acc": p["lr"] * epoch}
        >>> plan = refine.Plan(pruner=refine.Pruner(keep=0.5, warmup=5, min_trials=5))
        >>> pruned = tree.add_round({"lr": (0.1, 1.0, 30)}, train, metric="acc", n=20, plan=plan)
        >>> pruned.run().trials["state"].value_counts().to_dict()
        {'complete': 12, 'pruned': 8}
    """

    keep: float = 0.5
    warmup: int = 10
    min_trials: int = 20
    audit: float = 0.1
    rungs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not is_real(self.keep) or not 0 < self.keep < 1:
            raise DesignError(
                f"pruner: keep must be a share > 0 and < 1, got {self.keep!r}; 0.5 stops what is behind the "
                "median"
            )
        if not is_real(self.audit) or not 0 <= self.audit < 1:
            raise DesignError(
                f"pruner: audit must be a share >= 0 and < 1, got {self.audit!r}; 0 audits nothing"
            )
        for name in ("warmup", "min_trials"):
            value = getattr(self, name)
            if not is_whole(value):
                raise DesignError(f"pruner: {name} must be a whole number >= 1, got {value!r}")
        rungs = tuple(self.rungs) if isinstance(self.rungs, Sequence) else (self.rungs,)
        whole_numbers = all(type(rung) is int for rung in rungs)
        if not whole_numbers or list(rungs) != sorted({rung for rung in rungs if rung > 0}):
            raise DesignError(
                f"pruner: rungs must be whole numbers of epochs >= 1 that grow, got {self.rungs!r}"
            )
        if rungs and self.warmup != Pruner.warmup:
            raise DesignError(
                f"pruner: with rungs trials run to the first of them, got warmup={self.warmup} too; leave it "
                "out"
            )
        object.__setattr__(self, "rungs", rungs)

    def to_json(self) -> JsonObject:
        """Plain data, part of a node's identity."""
        rungs = {"rungs": list(self.rungs)} if self.rungs else {"warmup": self.warmup}
        return {"keep": float(self.keep), "min_trials": self.min_trials, "audit": float(self.audit), **rungs}

    def audits(self, seed: int) -> bool:
        """True if the trial of a seed runs to its end, regardless of reports."""
        return bool(np.random.default_rng([seed, _AUDIT]).random() < self.audit)

    @property
    def first(self) -> int:
        """The first epoch, from 1, after which a trial may be stopped."""
        if self.rungs:
            return self.rungs[0]
        return self.warmup

    def basis(self, complete: Sequence[bool]) -> int:
        """Number of ended trials that a trial starting now is compared with; 0 for none.

        Args:
            complete: Whether each ended trial ran to its end, in the order of ending.
        """
        ended = np.flatnonzero(np.asarray(complete, dtype=np.bool_))
        if len(ended) < self.min_trials:
            return 0
        size = following = int(ended[self.min_trials - 1]) + 1
        while following <= len(complete):
            size = following
            following = max(size + 1, math.ceil(size * _GROWTH))
        return size

    def limit(self, metric: str, sign: float, series: Sequence[Floats], ends: Floats) -> Limit | None:
        """The limit for a trial that starts now; ``None`` if nothing can be compared yet.

        Args:
            metric: Name of the metric.
            sign: 1 to maximize, -1 to minimize.
            series: (n,) values per epoch of the ended trials, times the sign.
            ends: (n,) their final values, times the sign; NaN if they were stopped.
        """
        longest = max((len(curve) for curve in series), default=0)
        reached = np.where(np.isnan(ends), forecasts(series, ends), ends)
        reached = reached[np.isfinite(reached)]
        if longest <= self.first or not reached.size:
            return None
        epochs = range(self.first, longest)
        if self.rungs:
            shares = {rung: self.keep ** (k + 1) for k, rung in enumerate(self.rungs)}
        else:
            shares = dict.fromkeys(epochs, self.keep)
        thresholds = []
        for epoch in epochs:
            threshold = math.nan
            if epoch in shares:
                threshold = float(np.quantile(reached, 1 - shares[epoch], method="lower"))
            thresholds.append(threshold)
        complete = np.flatnonzero(np.isfinite(ends))[-_MOST_CURVES:]
        curves = tuple(series[row] for row in complete.tolist())
        return Limit(metric, sign, self.first, tuple(thresholds), curves, ends[complete])


class PruningSession(Protocol):
    """Compares a running trial with a limit, epoch by epoch."""

    metric: str

    def behind(self, value: float) -> bool:
        """True to stop after this epoch; ``value`` is the metric in its own sign, or NaN without one."""


class Limit(NamedTuple):
    """Values for comparison with a trial; travels with the task."""

    metric: str  # name of the metric reported
    sign: float  # 1 to maximize, -1 to minimize
    first: int  # epoch of the first threshold, from 1
    thresholds: tuple[float, ...]  # values to be reached, times the sign; NaN for epochs without comparison
    # curves of ended trials, from which the final value is forecast; without any, the value itself is
    # compared
    curves: tuple[Floats, ...] = ()
    ends: Floats = np.zeros(0)  # their final values

    def session(self) -> PruningSession:
        """A session for one trial."""
        return _LimitSession(self)


class _LimitSession:
    def __init__(self, limit: Limit) -> None:
        self.metric = limit.metric
        self._limit = limit
        self._epoch = 0
        # Squared distances to every curve are summed up, so that a late epoch costs no more than the first.
        self._squares = np.zeros(len(limit.curves))

    def behind(self, value: float) -> bool:
        limit = self._limit
        reached = limit.sign * value
        self._epoch += 1
        if not math.isfinite(reached):  # a trial that diverges is not behind
            return False
        others_now = np.array(
            [curve[self._epoch - 1] if self._epoch <= len(curve) else math.nan for curve in limit.curves]
        )
        self._squares += (others_now - reached) ** 2
        position = self._epoch - limit.first
        if not 0 <= position < len(limit.thresholds) or math.isnan(limit.thresholds[position]):
            return False
        if limit.curves:
            distances = self._squares / self._epoch
            reached = _forecast(reached, others_now, distances, limit.ends, limit.ends)
        return reached < limit.thresholds[position]


def code_of(pruner: Mapping[str, object]) -> str:
    """A node's pruner as an argument of a call."""
    if "optuna" in pruner:
        return f"pruner={pruner['optuna']}"
    return f"pruner=refine.Pruner({', '.join(f'{k}={v!r}' for k, v in pruner.items())})"


def words_of(pruner: Mapping[str, Any]) -> str:
    """A node's pruner in words."""
    if "optuna" in pruner:
        return f"stopped early by {pruner['optuna']}"
    if "warmup" in pruner:
        epochs = f"every epoch from {pruner['warmup']} on"
    else:
        epochs = join([f"epoch {rung}" for rung in pruner["rungs"]])
    return (
        f"stopped early unless forecast to end among the best {pruner['keep']:.0%} at {epochs}, "
        f"once {pruner['min_trials']} have ended, or one of the {pruner['audit']:.0%} that are let through"
    )
