"""Progress of a running round, and an early end if all trials fail."""

from __future__ import annotations

import json
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from refine.errors import ObjectiveError, RoundStoppedError, did_you_mean
from refine.run.hooks import log
from refine.run.outcome import Outcome, returned_nothing
from refine.run.progress_bar import ProgressBar
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import Metric, is_bare_nan
from refine.trials.metric_constraint import SECONDS, all_met
from refine.trials.round_record import Node
from refine.trials.trial import FAILED, State, error_line
from refine.utils.action import Action, Symbol
from refine.utils.display import line
from refine.utils.format import score
from refine.utils.standard_streams import print_error
from refine.utils.warning import warn

_TRIALS_FOR_UNREAD = (
    10  # complete trials after which the progress names varied parameters that none of them has read
)
_SAME_FAILURES = 5  # a round stops if its first trials, this many, all fail in the same way

# State of failed trials -> its word in the progress: one trial, several.
_FAILURES = {
    State.FAILED: ("failed", "failed"),
    State.DIVERGED: ("diverged", "diverged"),
    State.CRASHED: ("crashed", "crashed"),
    State.TIMEOUT: ("timeout", "timeouts"),
}


class ProgressMonitor:
    """Shows the progress of a round, and ends the round early if its trials cannot be used.

    Args:
        node: The round.
        total: Trials of the round, those that have ended included.
        todo: Trials that are left to run.
        records: Trials that have ended.
        goal: Metric and direction, by which the best value is shown.
        bar: Shows the progress.
        trials: Noun for the running items in messages, such as trials.
        stops: Whether the round stops if its first trials fail alike, or if the first one returns None.
    """

    def __init__(
        self,
        node: Node,
        total: int,
        todo: int,
        records: Records,
        goal: Goal,
        *,
        bar: ProgressBar,
        trials: str = "trials",
        stops: bool = True,
    ) -> None:
        self.node = node
        self.goal = goal
        self.metric = goal.metric
        self.sign = goal.sign
        self.total = total
        self.ended_before = total - todo
        self._bar = bar
        self.ended = 0  # trials of this run
        self.failures = Counter[State]()
        self._trials = trials
        self._repeats = trials == "repeats"
        if stops:
            self._first = min(_SAME_FAILURES, todo)
        else:
            self._first = 0
        self._failure_kinds = Counter[str]()
        values = self._values(records)
        self.metric_seen = any(value is not None for value in values)
        usable = [
            self.sign * value
            for value, metrics, seconds in zip(
                values, records.metrics, records.columns["seconds"], strict=True
            )
            if value is not None and math.isfinite(value) and goal.counts(metrics, seconds)
        ]
        self.best = max(usable, default=-math.inf)
        self._unread = set(node.space.varied)
        self._complete = 0
        for read, state in zip(records.columns["read"], records.columns["state"], strict=True):
            self._note_reads(json.loads(read) if read else None, state)

    def _values(self, records: Records) -> list[float | None]:
        """The metric's value of every stored trial; ``None`` for excluded trials, and without a value."""
        seconds = records.columns["seconds"]
        states = records.columns["state"]
        curves = records.curves or [{}] * len(records.metrics)
        values: list[float | None] = []
        for metrics, curve, duration, state in zip(records.metrics, curves, seconds, states, strict=True):
            if state == State.EXCLUDED:
                values.append(None)
            else:
                values.append(self.metric.of(metrics, curve, duration if state == State.COMPLETE else None))
        return values

    def _note_reads(self, read: Sequence[str] | None, state: str) -> None:
        """Notes the parameters read by a complete trial, all of them without a list.

        An incomplete trial may have stopped early.
        """
        if state != State.COMPLETE:
            return
        self._complete += 1
        if read is None:
            self._unread = set()
        else:
            self._unread = self._unread - set(read)

    def say(self, text: str) -> None:
        """Logs a line, and shows the line above the bar."""
        log(logging.INFO, "round %s: %s", self.node.id, text)
        self._bar.say(text)

    def say_left(self, reason: str, remaining: int, fix: str) -> None:
        """Shows, below the bar, that the run ended before its plan, how many trials are left, and a fix."""
        if self._bar.show:
            self._bar.close()
            print_error(f"round {self.node.id}: stopped {reason}, {remaining} left; {fix}")

    def add(self, outcome: Outcome, value: float | None) -> None:
        """Takes in a stored trial; ``value`` is the metric of a complete trial.

        Raises ObjectiveError: the trial lacks the metric, or a metric of a constraint; RoundStoppedError: the
        first trials all failed in the same way, or the objective returned None in the first trial.
        """
        self._count(outcome, value)
        self._bar.advance(self._summary())
        if outcome.state in (State.COMPLETE, State.CHEAP):
            self._check_metrics(outcome, value)
        if outcome.error and self.ended <= self._first:
            self._check_failures(outcome)
        if self._first > 1 and self.ended == self._first == self.failures[State.DIVERGED]:
            warn(
                f"round {self.node.id}: the first {self._first} {self._trials} all returned NaN or infinity; "
                "stop the round if the metric is wrong"
            )

    def _count(self, outcome: Outcome, value: float | None) -> None:
        self.ended += 1
        failed = outcome.state in FAILED
        self.failures[outcome.state] += failed
        self._bar.failures[outcome.state] += failed
        self._bar.pruned += outcome.state == State.PRUNED
        if value is not None:
            self.metric_seen = True
            full = outcome.state == State.COMPLETE
            if full and math.isfinite(value) and self.goal.counts(outcome.metrics, outcome.seconds):
                self.best = max(self.best, self.sign * value)
        if outcome.state == State.COMPLETE:
            feasible = all_met(self.metric.subject_to, outcome.metrics, outcome.seconds)
            self._bar.infeasible += not feasible
        self._note_reads(outcome.read, outcome.state)

    def _summary(self) -> str:
        """The best value so far, and how many trials failed, by their state.

        Repeats have no best: the luckiest repeat of a configuration is not a result of the round.
        """
        parts: list[str] = []
        if not self._repeats:
            parts = [f"best {score(self.sign * self.best)}" if math.isfinite(self.best) else "best -"]
        failures = [f"{n} {_FAILURES[state][n > 1]}" for state, n in self._bar.failures.items() if n]
        parts += failures or ["0 failed"]
        if self._bar.pruned:
            parts.append(f"{self._bar.pruned} pruned")
        if self._bar.infeasible:
            parts.append(f"{self._bar.infeasible} infeasible")
        unread = [name for name in self.node.space if name in self._unread]
        if unread and self._complete >= _TRIALS_FOR_UNREAD:
            parts.append(f"never read: {line(', '.join(unread))}")
        return ", ".join(parts)

    def _check_metrics(self, outcome: Outcome, value: float | None) -> None:
        round_name = f"round {self.node.id}"
        if value is None:
            raise _metric_missing(round_name, self.metric, outcome.metrics)
        if is_bare_nan(outcome.metrics):
            return
        names = {SECONDS, *outcome.metrics}
        for constraint in self.metric.subject_to:
            if constraint.name not in names:
                raise ObjectiveError(
                    f"{round_name}: metric constraint '{constraint}' is about {constraint.name!r}, which is "
                    f"not among the metrics of the objective ({did_you_mean(constraint.name, names)}); the "
                    "trial is stored with all its metrics"
                )

    def _check_failures(self, outcome: Outcome) -> None:
        assert outcome.error is not None
        if self.ended == 1 and not self.metric_seen and returned_nothing(outcome):
            raise RoundStoppedError(
                f"round {self.node.id}: stopped after its first trial: the objective must return a number "
                "or a mapping of metrics to numbers, got None; add the missing return and run again",
                Action("round.run", rerun=str(outcome.state)),
            )
        # The kind of an error and the line that raised it are equal for two tracebacks of the same failure.
        places = re.findall(r"^\s*(File \".*\", line \d+.*)", outcome.error, re.MULTILINE)
        reason = error_line(outcome.error)
        kind = f"{''.join(places[-1:])} {reason.split(':')[0]}"
        self._failure_kinds[kind] += 1
        if self._first < 2 or self._failure_kinds[kind] < self._first:
            return
        fix = "a re-run fails too until you fix the cause; see the whole error, or re-run after the fix"
        if outcome.state == State.TIMEOUT:
            fix = "raise timeout=, or make the trials shorter, and run again"
        raise RoundStoppedError(
            f"round {self.node.id}: stopped, its first {self._first} {self._trials} all failed alike: "
            f"{reason}; {fix}",
            Action("round.failures"),
            Action("round.run", rerun=str(outcome.state)),
        )


def _metric_missing(round_name: str, metric: Metric, returned: Mapping[str, float]) -> ObjectiveError:
    """The error about a metric that the objective does not return, with its fix."""
    problem = f"{round_name}: metric {str(metric)!r} is not among what the objective returned"
    stored = "the trial is stored with all its metrics"
    of_validation = [name for name in returned if name.startswith("val_")]
    trained = "loss" in returned and not of_validation  # fit without validation data
    if metric.name.startswith("val_") and trained:
        names = ", ".join(returned)
        fix = f"known: {names}, all of training; give fit validation_data=(x_val, y_val) and run again"
        return ObjectiveError(f"{problem}; {fix}; {stored}")
    hint = did_you_mean(metric.name, returned)
    if hint.startswith("did"):
        suggestion = hint.split("'")[1]
    else:
        suggestion = [*of_validation, *returned][0]
    judged_by = str(metric._replace(name=suggestion))
    call = Action("tree.add_round", Symbol("space"), Symbol("objective"), metric=judged_by)
    return ObjectiveError(f"{problem}; {hint}; {stored}; run again with it", call)
