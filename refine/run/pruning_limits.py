"""The limits of refine's own pruner in a round under way, made from the trials that have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refine.design.pruning import Limit, Pruner
from refine.run.outcome import Task
from refine.trials.metric import Metric
from refine.trials.trial import State
from refine.utils.format import plural, score
from refine.utils.warning import warn

_CURVES_TO_JUDGE = 10  # complete trials after which a pruner that cannot stop any is reported


class PruningLimits:
    """Limits for the trials of a round; ended trials are passed to :meth:`add`.

    Args:
        pruner: The pruner of the round.
        round_id: Id of the round, for warnings.
        metric: The metric that trials report by epoch.
        sign: 1 to maximize, -1 to minimize.
    """

    def __init__(self, pruner: Pruner, round_id: str, metric: Metric, sign: float) -> None:
        # writes a curve into the store and returns the digest
        self.keep_curve: Callable[[Sequence[float]], str] | None = None
        self._pruner = pruner
        self._round_id = round_id
        self._metric = metric
        self._sign = sign
        self._curves: list[Any] = []  # values of ended trials, larger is better
        self._ends: list[float] = []  # their final values; NaN if they were stopped
        self._basis = 0  # ended trials that the current limit was made from
        self._limit: Limit | None = None
        self._limit_digest: str | None = None
        self._limit_of_audited: dict[str, Limit | None] = {}  # for audited trials, which are not stopped
        self._warned_of_no_stop = False
        self._warned_of_short_curves = False

    def add(self, state: str, curve: Sequence[float], value: float | None) -> None:
        """Takes in the curve of an ended trial; later limits compare with complete trials."""
        if state not in (State.COMPLETE, State.PRUNED) or not len(curve):
            return
        self._curves.append(self._sign * np.asarray(curve, dtype=float))
        end = np.nan
        if state == State.COMPLETE and value is not None:
            end = self._sign * value
        self._ends.append(end)

    def limited(self, task: Task, shown: dict[str, Any]) -> Task:
        """The task with its limit, which ``shown`` records; an audited task runs without a limit."""
        self._update_limit()
        audited = self._pruner.audits(task.seed)
        shown.update(
            {"basis": self._basis, "threshold": self._limit_digest, "audited": audited, "behind": None}
        )
        if not audited:
            return task._replace(limit=self._limit)
        self._limit_of_audited[task.key] = self._limit
        return task

    def _update_limit(self) -> None:
        """Makes a new limit if enough further trials have ended."""
        basis = self._pruner.basis(np.isfinite(self._ends).tolist())
        if basis == self._basis:
            return
        self._basis = basis
        ends = np.array(self._ends[:basis])
        self._limit = self._pruner.limit(self._metric.name, self._sign, self._curves[:basis], ends)
        self._limit_digest = None
        if self._limit is not None:
            assert self.keep_curve is not None
            self._limit_digest = self.keep_curve([self._sign * value for value in self._limit.thresholds])

    def behind(self, task: Task, curve: Sequence[float], state: str) -> int | None:
        """The epoch, from 1, at which the pruner stopped an ended trial or would have; ``None`` if never.

        Warns once if a trial was behind and ran to its end, since its objective never asks whether to stop.
        """
        limit = task.limit or self._limit_of_audited.pop(task.key, None)
        if limit is None or state not in (State.COMPLETE, State.PRUNED):
            return None
        session = limit.session()
        if state == State.PRUNED:
            before_end = curve
        else:
            before_end = curve[:-1]
        behind = next((epoch for epoch, value in enumerate(before_end, 1) if session.behind(value)), None)
        not_stopped = behind is not None and state == State.COMPLETE and task.limit is not None
        if not_stopped and not self._warned_of_no_stop:
            self._warned_of_no_stop = True
            warn(
                f"round {self._round_id}: a trial that was behind, with {self._metric.name} "
                f"{score(curve[-1])} at its end, ran on: its objective never stops; ask trial.should_prune() "
                "after every report and return, train by refine.keras.fit, or give model.fit a "
                "refine.keras.PruningCallback()"
            )
        return behind

    def warn_of_short_curves(self) -> None:
        """Warns once if the trials so far end before the pruner may stop one."""
        if self._warned_of_short_curves:
            return
        if np.isfinite(self._ends).sum() < min(_CURVES_TO_JUDGE, self._pruner.min_trials):
            return
        self._warned_of_short_curves = True
        longest = max(len(curve) for curve in self._curves)
        if longest > self._pruner.first:
            return
        earlier = max(1, longest // 3)
        option = f"warmup={self._pruner.warmup}"
        setting = f"warmup={earlier}"
        if self._pruner.rungs:
            option = f"rungs={self._pruner.rungs}"
            setting = f"rungs=({earlier},)"
        fix = "report more epochs"
        if longest > 1:
            fix = f"make the round with plan=refine.Plan(pruner=refine.Pruner({setting}))"
        warn(
            f"round {self._round_id}: the pruner cannot stop any trial: they report "
            f"{plural(longest, 'epoch')}, and {option} lets every trial run "
            f"{plural(self._pruner.first, 'epoch')}; {fix}, or leave the pruner out"
        )
