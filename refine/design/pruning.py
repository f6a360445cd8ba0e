"""Early stopping across trials: what a trial must have reached by an epoch in order to go on.

There is no channel between workers. The curve that a trial is measured by travels with its task, and the trial stops
itself. Pure functions of values.
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

_AUDIT = 0x61756469  # no stream that a trial draws from its seed
_NEAR = 5  # trials with the nearest curves, from which a forecast is made
_MOST = 100  # curves that travel with a task, the last ones that ran to their end
# The curve is drawn anew when the trials behind it are so many times as many, or one more where that is more.
_GROWTH = 1.05


def forecasts(series: Sequence[Floats], values: Floats) -> Floats:
    """What trials without a value would have reached at their end, larger is better; NaN where too few others tell.

    The mean of what the 5 with the nearest curves up to there reached, weighted by one over the squared distance, and moved by
    half of what lies between at the last epoch; within the values that are known.

    Args:
        series: (n,) values per epoch of each trial.
        values: (n,) final values; NaN of a trial that was stopped.
    """
    out, lengths = np.full(len(values), np.nan), np.array(list(map(len, series)), dtype=int)
    ended = np.flatnonzero(np.isfinite(values))
    for epoch in np.unique(lengths[np.isnan(values) & (lengths > 0)]).tolist():
        here, others = np.flatnonzero(np.isnan(values) & (lengths == epoch)), ended[lengths[ended] >= epoch]
        curves = np.nan_to_num(np.stack([series[i][:epoch] for i in (*here.tolist(), *others.tolist())]))
        mine, known = curves[: here.size], curves[here.size :]
        # Differences, not products of matrices, whose last digits go by the machine: trials of a grid are equally near.
        for i, one in zip(here.tolist(), mine, strict=True):
            out[i] = _forecast(
                one[-1], known[:, -1], ((known - one) ** 2).mean(axis=1), values[others], values[ended]
            )
    return out


def _forecast(value: float, at: Floats, far: Floats, reached: Floats, known: Floats) -> float:
    """What a trial of this value would reach, within what is ``known``; NaN where too few others tell.

    Of (n,) others it takes the values ``at`` this epoch, how ``far`` their curves are so far (NaN: not that long) and what they
    ``reached``.
    """
    near = np.argsort(far, kind="stable")[:_NEAR]
    if near.size < _NEAR or np.isnan(far[near[-1]]):
        return math.nan
    weights = 1 / np.maximum(far[near], max(1e-6 * float(far[near[-1]]), 1e-300))
    told = (weights * (reached[near] + (value - at[near]) / 2)).sum() / weights.sum()
    return min(max(float(told), float(known.min())), float(known.max()))


@helped
@dataclass(frozen=True)
class Pruner:
    """Stops trials that are behind: whose forecast end is worse than that of the round's ended trials.

    The end is forecast from the curves of ended trials that are nearest so far, so that who starts slowly and ends well goes
    on. A trial goes on while it is no worse than what the best ``keep`` of the ended ones reached, or were forecast to
    where they were stopped. With ``rungs`` it is asked after these epochs alone: it must be among the best ``keep`` at the
    first, of which again ``keep`` at the next, as in successive halving, by what is known when the trial starts.

    Args:
        keep: Share of the ended trials that a trial must be among, in (0, 1). 0.5 is the median.
        warmup: Epochs that every trial may run, whatever it reports; not given with ``rungs``.
        min_trials: How many trials run to their end before any is stopped.
        audit: Share of the trials, drawn by their seeds, that run to their end even where they are behind, in [0, 1). They
            tell what stopping the others lost.
        rungs: Epochs, from 1 and growing, such as ``(10, 50, 150)``; empty for every epoch.

    Raises:
        DesignError: A value out of range.

    Source: the median rule of Golovin et al. (2017), 'Google Vizier', on forecasts in place of running means; for rungs
    Li et al. (2020), 'A System for Massively Parallel Hyperparameter Tuning'. The forecast is our own.

    Examples:
        >>> def train(p, trial):
        ...     for epoch in range(20):
        ...         trial.report(epoch, {"acc": p["lr"] * epoch})
        ...         if trial.should_prune():
        ...             break
        ...     return {"acc": p["lr"] * epoch}
        >>> pruner = refine.Pruner(keep=0.5, warmup=5, min_trials=5)
        >>> pruned = tree.add_round({"lr": (0.1, 1.0, 30)}, train, metric="acc", n=20, pruner=pruner)
        >>> pruned.run(progress=False).trials["state"].value_counts().to_dict()
        {'complete': 12, 'pruned': 8}
    """

    keep: float = 0.5
    warmup: int = 10
    min_trials: int = 20
    audit: float = 0.1
    rungs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.keep, bool) or not isinstance(self.keep, int | float) or not 0 < self.keep < 1:
            raise DesignError(
                f"pruner: keep must be a share > 0 and < 1, got {self.keep!r}; 0.5 stops what is behind the median"
            )
        if isinstance(self.audit, bool) or not isinstance(self.audit, int | float) or not 0 <= self.audit < 1:
            raise DesignError(
                f"pruner: audit must be a share >= 0 and < 1, got {self.audit!r}; 0 audits nothing"
            )
        for name in ("warmup", "min_trials"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DesignError(f"pruner: {name} must be a whole number >= 1, got {value!r}")

        rungs = tuple(self.rungs) if isinstance(self.rungs, Sequence) else (self.rungs,)
        if not all(type(r) is int for r in rungs) or list(rungs) != sorted({r for r in rungs if r > 0}):
            raise DesignError(
                f"pruner: rungs must be whole numbers of epochs >= 1 that grow, got {self.rungs!r}"
            )
        if rungs and self.warmup != Pruner.warmup:
            raise DesignError(
                f"pruner: with rungs trials run to the first of them, got warmup={self.warmup} too; leave it out"
            )
        object.__setattr__(self, "rungs", rungs)

    def to_json(self) -> dict[str, Any]:
        """Plain data, part of a node's identity."""
        rungs = {"rungs": list(self.rungs)} if self.rungs else {"warmup": self.warmup}
        return {"keep": float(self.keep), "min_trials": self.min_trials, "audit": float(self.audit), **rungs}

    def audits(self, seed: int) -> bool:
        """Whether the trial of this seed runs to its end, whatever it reports."""
        return bool(np.random.default_rng([seed, _AUDIT]).random() < self.audit)

    @property
    def first(self) -> int:
        """The first epoch, from 1, after which a trial may be stopped."""
        return self.rungs[0] if self.rungs else self.warmup

    def basis(self, complete: Sequence[bool]) -> int:
        """How many of the trials, in the order of ending, one that starts now is measured by; 0 for none."""
        done = np.flatnonzero(np.asarray(complete, dtype=np.bool_))
        if len(done) < self.min_trials:
            return 0
        found = following = int(done[self.min_trials - 1]) + 1
        while following <= len(complete):
            found, following = following, max(following + 1, math.ceil(following * _GROWTH))
        return found

    def limit(self, metric: str, sign: float, series: Sequence[Floats], ends: Floats) -> Limit | None:
        """What a trial that starts now is measured by; ``None`` where that is nothing.

        ``series`` are the (epochs,) values of the ended trials, ``ends`` (n,) what they are judged by, NaN where they were
        stopped; both times the sign, larger is better.
        """
        longest = max(map(len, series), default=0)
        told = np.where(np.isnan(ends), forecasts(series, ends), ends)
        told = told[np.isfinite(told)]
        if longest <= self.first or not told.size:
            return None
        epochs = range(self.first, longest)
        shares = {rung: self.keep ** (k + 1) for k, rung in enumerate(self.rungs)} or dict.fromkeys(
            epochs, self.keep
        )
        asked = [
            float(np.quantile(told, 1 - shares[e], method="lower")) if e in shares else math.nan
            for e in epochs
        ]
        done = np.flatnonzero(np.isfinite(ends))[-_MOST:]
        return Limit(
            metric, sign, self.first, tuple(asked), tuple(series[i] for i in done.tolist()), ends[done]
        )


class PruningSession(Protocol):
    """Hears a trial's metric epoch by epoch."""

    metric: str

    def behind(self, value: float) -> bool:
        """Whether to stop after this epoch, of this value of the metric in its own sign; NaN where it has none."""


class Limit(NamedTuple):
    """What a trial is measured by; it travels with the task."""

    metric: str  # name of the metric reported
    sign: float  # 1 to maximize, -1 to minimize
    first: int  # number of the epoch of the first threshold, from 1
    thresholds: tuple[float, ...]  # what must be reached, higher is better; NaN where nothing is asked
    # ended trials, from which the end is forecast; without any the value itself counts in its place
    curves: tuple[Floats, ...] = ()
    ends: Floats = np.zeros(0)  # what they reached

    def session(self) -> PruningSession:
        """A trial's run against it."""
        return _Session(self)


class _Session:
    def __init__(self, limit: Limit) -> None:
        self.metric, self._limit = limit.metric, limit
        # Squares of the distances are summed up, so that a late epoch costs no more than the first.
        self._epoch, self._squares = 0, np.zeros(len(limit.curves))

    def behind(self, value: float) -> bool:
        limit, told = self._limit, self._limit.sign * value
        self._epoch += 1
        # A trial that reports nothing finite diverges; that is no matter of being behind.
        if not math.isfinite(told):
            return False
        at = np.array([c[self._epoch - 1] if self._epoch <= len(c) else math.nan for c in limit.curves])
        self._squares += (at - told) ** 2
        asked = self._epoch - limit.first
        if not 0 <= asked < len(limit.thresholds) or math.isnan(limit.thresholds[asked]):
            return False
        if limit.curves:
            told = _forecast(told, at, self._squares / self._epoch, limit.ends, limit.ends)
        return told < limit.thresholds[asked]


def code_of(pruner: Mapping[str, Any]) -> str:
    """A node's pruner as the argument that makes it."""
    if "optuna" in pruner:
        return f", pruner={pruner['optuna']}"
    return f", pruner=refine.Pruner({', '.join(f'{k}={v!r}' for k, v in pruner.items())})"


def words_of(pruner: Mapping[str, Any]) -> str:
    """A node's pruner in words."""
    if "optuna" in pruner:
        return f"stopped early by {pruner['optuna']}"
    at = (
        f"every epoch from {pruner['warmup']} on"
        if "warmup" in pruner
        else join([f"epoch {r}" for r in pruner["rungs"]])
    )
    return (
        f"stopped early unless forecast to end among the best {pruner['keep']:.0%} at {at}, "
        f"once {pruner['min_trials']} have ended, or one of the {pruner['audit']:.0%} that are let through"
    )
