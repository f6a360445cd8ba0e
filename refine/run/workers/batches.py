"""Trials that run together: how many an objective gets at once, where it offers to run several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from refine.errors import ObjectiveError
from refine.run.outcome import Outcome, Task
from refine.run.protocols import Objective, offers
from refine.run.resources import is_whole

MOST = 256  # trials that run together at most, where the objective doesn't say how many
_FIRST = 8
_SECONDS = 30.0  # what runs together should end within so long: it is what a killed process loses


def runs_many(objective: Objective) -> bool:
    """Whether the objective offers to run several trials at once."""
    return offers(objective, "run_many")


def most_together(objective: Objective) -> int:
    """How many trials an objective runs at once at most. Raises ObjectiveError: what it says is no number of trials."""
    most = getattr(objective, "most_together", None)
    if most is not None and not is_whole(most):
        raise ObjectiveError(
            f"most_together must be a whole number >= 1, got {most!r}; leave it out for {MOST}, the default"
        )
    return MOST if most is None else most


class Batches:
    """Takes tasks in batches that are as large as a time allows, by what earlier ones took; no worker gets what another could run."""

    def __init__(self, objective: Objective, count: int, workers: int, *, wanted: bool) -> None:
        self.together = wanted and runs_many(objective)
        self._most = most_together(objective) if self.together else 1
        self._size = min(_FIRST, self._most)
        self._left, self._workers = count, workers

    def take(self, next_task: Callable[[], Task | None]) -> tuple[Task, ...]:
        """The next tasks to run together; none where none is left."""
        share = max(1, math.ceil(self._left / self._workers))
        batch: list[Task] = []
        while len(batch) < min(self._size, share) and (task := next_task()) is not None:
            batch.append(task)
        self._left -= len(batch)
        return tuple(batch)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Takes in what a batch gave."""
        each = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
        fits = _SECONDS / each if each > 0 else math.inf
        self._size = max(1, int(min(2 * self._size, fits, self._most)))
