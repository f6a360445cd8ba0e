"""Watching a round go by: progress for the person, and an early end where all goes wrong."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from refine.errors import ObjectiveError, RoundStoppedError, did_you_mean
from refine.run.outcome import Outcome
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import Metric, is_bare_nan
from refine.trials.metric_constraint import SECONDS, all_met
from refine.trials.round_record import Node
from refine.trials.trial import FAILED, State
from refine.utils.action import Action
from refine.utils.display import line
from refine.utils.format import plural, score

_READ_BY = 10  # after so many trials the progress bar names varied parameters that none of them has read
_ALIKE = 5  # a round stops when its first trials, so many, all failed in the same way


_LOG_SECONDS = 10
"""Where the progress is no line of a terminal that is overwritten, at most one line in so many seconds."""


class _Lines:
    """Progress in a log: a line whenever the bar would be drawn anew."""

    def __init__(self) -> None:
        self.last = ""

    def write(self, text: str) -> None:
        said = text.strip()
        if said and said != self.last:
            sys.stderr.write(f"{said}\n")
        self.last = said or self.last

    def flush(self) -> None:
        sys.stderr.flush()


class Watch:
    """Watches a round go by: progress for the person, and an early end where all goes wrong."""

    def __init__(self, node: Node, n: int, todo: int, records: Records, goal: Goal, show: bool) -> None:
        metric = goal.metric
        self.node, self.goal, self.metric, self.sign = node, goal, metric, goal.sign
        self.total, self.done, self.show = n, n - todo, show
        self.alike: dict[str, int] = {}
        self.seen = self.failed = self.pruned = self.infeasible = 0
        self.first = min(_ALIKE, todo)
        seconds = records.columns["seconds"]
        curves = records.curves or [{}] * len(records.metrics)
        known = [
            None if state == "excluded" else metric.of(m, c, s if state == "complete" else None)
            for m, c, s, state in zip(records.metrics, curves, seconds, records.columns["state"], strict=True)
        ]
        self.metric_seen = any(v is not None for v in known)
        finite = [
            self.sign * v
            for v, m, s in zip(known, records.metrics, seconds, strict=True)
            if v is not None and math.isfinite(v) and goal.counts(m, s)
        ]
        self.best = max(finite, default=-math.inf)
        # A trial that read everything is recorded as None, and one that ended without a value may not have got there.
        rows = zip(records.columns["read"], records.columns["state"], strict=True)
        self.unread = set(node.space.varied)
        self.ended = 0
        for read, state in rows:
            self._notice(json.loads(read) if read else None, state)

    def _notice(self, read: Sequence[str] | None, state: str) -> None:
        if state == "complete":
            self.ended += 1
            self.unread = self.unread - set(read) if read is not None else set()

    def __enter__(self) -> Watch:
        from tqdm.auto import tqdm

        log = not sys.stderr.isatty() and "ipykernel" not in sys.modules
        self.bar: Any = tqdm(
            total=self.total,
            initial=self.done,
            desc=f"round {self.node.id}",
            unit="trial",
            disable=not self.show,
            mininterval=_LOG_SECONDS if log else 0.2,
            dynamic_ncols=not log,
            file=_Lines() if log else None,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self.bar.close()

    def ended_here(self) -> int:
        """How many trials of the round have ended by now."""
        return self.done + self.seen

    def say_left(self, why: str, left: int) -> None:
        """Says, below the bar, that the run ended in order and what is left."""
        if not self.show:
            return
        self.bar.close()
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            print(  # noqa: T201
                f"round {self.node.id}: ended {why}, {plural(left, 'trial')} left; {Action('round.run')} goes on",
                file=sys.stderr,
                flush=True,
            )

    def see(self, outcome: Outcome, value: float | None) -> None:
        """Takes in one ended trial, which is stored already."""
        state = outcome.state
        self.seen += 1
        self.failed += state in FAILED
        self.pruned += state == State.PRUNED
        counts = (
            value is not None and math.isfinite(value) and self.goal.counts(outcome.metrics, outcome.seconds)
        )
        if value is not None and counts:
            self.best = max(self.best, self.sign * value)
        self.infeasible += state == "complete" and not all_met(
            self.metric.subject_to, outcome.metrics, outcome.seconds
        )
        best = score(self.sign * self.best) if math.isfinite(self.best) else "-"
        self._notice(outcome.read, state)
        unread = [name for name in self.node.space if name in self.unread] if self.ended >= _READ_BY else []
        never = f", never read: {line(', '.join(unread))}" if unread else ""
        stopped = f", {self.pruned} pruned" if self.pruned else ""
        stopped += f", {self.infeasible} infeasible" if self.infeasible else ""
        with contextlib.suppress(OSError):  # a terminal that is gone ends no round
            self.bar.set_postfix_str(f"best {best}, {self.failed} failed{stopped}{never}", refresh=False)
            self.bar.update()
        self.metric_seen |= value is not None
        if state == "complete" and value is None:
            raise ObjectiveError(
                f"round {self.node.id}: metric {str(self.metric)!r} is not among what the objective returned; "
                f"{_instead(self.metric, outcome.metrics)}; the trial is stored with all its metrics"
            )
        if state == "complete" and not is_bare_nan(outcome.metrics):
            known = {SECONDS, *outcome.metrics}
            for constraint in self.metric.subject_to:
                if constraint.name not in known:
                    raise ObjectiveError(
                        f"round {self.node.id}: metric constraint '{constraint}' is about {constraint.name!r}, which is not "
                        f"among what the objective returned; {did_you_mean(constraint.name, known)}; the trial is stored with "
                        "all its metrics"
                    )
        if self.seen <= self.first and outcome.error:
            how = _signature(outcome.error)
            self.alike[how] = self.alike.get(how, 0) + 1
            if self.alike[how] == self.first > 1:
                raise RoundStoppedError(
                    f"round {self.node.id}: stopped, its first {self.first} trials all failed alike: "
                    f"{outcome.error.strip().splitlines()[-1]}; look at the tracebacks, fix "
                    "it and run again",
                    Action("round.failures"),
                    Action("round.run", rerun=str(state)),
                )


def _instead(metric: Metric, returned: Mapping[str, float]) -> str:
    """What to do where a metric is missing."""
    if metric.name.startswith("val_") and not any(n.startswith("val_") for n in returned):
        return f"known: {', '.join(returned)}, all of training; give fit validation_data=(x_val, y_val) and run again"
    hint = did_you_mean(metric.name, returned)
    of_validation = [n for n in returned if n.startswith("val_")]
    close = hint.split("'")[1] if hint.startswith("did") else [*of_validation, *returned][0]
    return f"{hint}; add the round with metric={str(metric._replace(name=close))!r} and run again"


def _signature(error: str) -> str:
    """What makes two tracebacks the same failure: the kind of error and where it arose."""
    lines = error.strip().splitlines()
    where = [line.strip() for line in lines if re.match(r"\s*File \".*\", line \d+", line)]
    return f"{where[-1] if where else ''} {lines[-1].split(':')[0]}"
