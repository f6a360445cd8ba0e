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
import numpy.typing as npt

from refine.errors import DesignError
from refine.utils.format import join
from refine.utils.keywords import helped

_AUDIT = 0x61756469  # no stream that a trial draws from its seed
# The curve is drawn anew when the trials behind it are so many times as many, or one more where that is more.
_GROWTH = 1.05


@helped
@dataclass(frozen=True)
class Pruner:
    """Stops trials that are behind the round's earlier ones at the same epoch.

    A trial goes on while the best value it has reported is no worse than what the best ``keep`` of the round's ended
    trials had reached by that epoch. A trial that was stopped counts with the best it had reached, at all later
    epochs as well; so does one that ended early by itself. With ``rungs`` it is asked after these epochs alone, and must
    be among the best ``keep`` of those that got there: successive halving, by what is known when the trial starts.

    Args:
        keep: Share of the ended trials that a trial must be among, in (0, 1). 0.5 is the median.
        warmup: Epochs that every trial may run, whatever it reports; with ``rungs`` it means nothing.
        min_trials: How many trials run to their end before any is stopped.
        audit: Share of the trials, drawn by their seeds, that run to their end even where they are behind, in [0, 1). They
            tell what stopping the others lost.
        rungs: Epochs, from 1 and growing, such as ``(10, 50, 150)``; empty for every epoch.

    Raises:
        DesignError: A value out of range.

    Source: the median rule of Golovin et al. (2017), 'Google Vizier', on the best values so far in place of running
    means; for rungs Li et al. (2020), 'A System for Massively Parallel Hyperparameter Tuning'.

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
        {'complete': 14, 'pruned': 6}
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

    def thresholds(self, reached: Sequence[npt.NDArray[np.float64]]) -> tuple[float, ...]:
        """What must be reached by every epoch from number :attr:`first` on, counted from 1; NaN where nothing is asked.

        ``reached`` are the ended trials' :func:`best_so_far`. There is a number for every epoch up to the last but one of the
        longest trial: who got to the last has ended.
        """
        longest = max((len(r) for r in reached), default=0)
        if longest <= self.first:
            return ()
        if self.rungs:
            there = [
                [r[rung - 1] for r in reached if len(r) >= rung] for rung in self.rungs if rung < longest
            ]
            known = {
                rung: np.quantile(v, 1 - self.keep, method="lower")
                for rung, v in zip(self.rungs, there, strict=False)
            }
            return tuple(float(known.get(epoch, np.nan)) for epoch in range(self.first, max(known) + 1))
        rows = np.stack([np.pad(r, (0, longest - len(r)), mode="edge") for r in reached if len(r)])
        asked = np.quantile(rows, 1 - self.keep, axis=0, method="lower")
        return tuple(float(v) for v in asked[self.first - 1 : longest - 1])


def best_so_far(series: Sequence[float], sign: float) -> npt.NDArray[np.float64]:
    """The best value so far at every epoch, times the sign; minus infinity before the first finite one."""
    values = sign * np.asarray(series, dtype=float)
    return np.maximum.accumulate(np.where(np.isfinite(values), values, -np.inf))


class Race(Protocol):
    """Hears a trial's metric epoch by epoch."""

    metric: str

    def behind(self, value: float) -> bool:
        """Whether to stop after this epoch, of this value of the metric in its own sign; NaN where it has none."""


class Limit(NamedTuple):
    """What a trial is measured by; it travels with the task."""

    metric: str  # name of the metric reported
    sign: float  # 1 to maximize, -1 to minimize
    first: int  # number of the epoch of the first threshold, from 1
    thresholds: tuple[float, ...]  # what must be reached, higher is better

    def race(self) -> Race:
        """A trial's run against it."""
        return _Race(self)


class _Race:
    def __init__(self, limit: Limit) -> None:
        self.metric, self._limit = limit.metric, limit
        self._best, self._epoch = -math.inf, 0

    def behind(self, value: float) -> bool:
        self._epoch += 1
        if math.isfinite(value):
            self._best = max(self._best, self._limit.sign * value)
        at = self._epoch - self._limit.first
        # A trial that has reported nothing finite diverges; that is no matter of being behind.
        known = 0 <= at < len(self._limit.thresholds) and math.isfinite(self._best)
        return known and self._best < self._limit.thresholds[at]


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
        f"stopped early unless among the best {pruner['keep']:.0%} at {at}, "
        f"once {pruner['min_trials']} have ended, or one of the {pruner['audit']:.0%} that are let through"
    )
