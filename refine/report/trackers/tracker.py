"""What every tracker does: it takes what has ended and sends it from a thread of its own.

A tracker's server may be slow, or dead. So the round only puts what there is to say into a queue, and waits at its end
for a stated time at most. What was not sent is in the store all the same, and can be sent later.
"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.errors import DesignError, RefineError
from refine.space.encoding import label
from refine.trials.metric import Metric
from refine.trials.trial import FinishedTrial
from refine.utils.format import plural
from refine.utils.warning import warn

if TYPE_CHECKING:
    from refine.tree.round import Round

_log = logging.getLogger(__name__)

_IN_A_ROW = 3
"""So many errors one after the other, and a tracker tries no more in this call."""


class RoundFacts(NamedTuple):
    """What a tracker is told of a round.

    Attributes:
        tree: Name of the tree.
        id: Id of the round.
        parent: Id of its parent, empty for a root.
        decision: Digest of the proposal that it came from, empty where there was none.
        author: Who decided it.
        note: Why it exists.
        metric: What its value is.
        direction: ``"maximize"`` or ``"minimize"``.
        n: How many configurations are planned.
    """

    tree: str
    id: str
    parent: str
    decision: str
    author: str
    note: str
    metric: str
    direction: str
    n: int

    @property
    def tags(self) -> dict[str, str]:
        """All of it as texts, by names that begin with ``refine.``."""
        return {f"refine.{name}": str(value) for name, value in self._asdict().items() if value != ""}


class Tracker(ABC):
    """Sends ended trials somewhere. Give it to :meth:`refine.Round.run` as ``track=``, or call :meth:`send`.

    Args:
        patience: Seconds that a round waits at its end until all is sent.
        report: Whether the report of the round is sent with it, where the tracker takes files.

    Raises:
        DesignError: ``patience`` is no number of seconds.
    """

    name: str
    """What it is called in messages."""

    def __init__(self, *, patience: float = 30.0, report: bool = True) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int | float) or not 0 <= patience <= 86400:
            raise DesignError(f"patience must be a number of seconds between 0 and a day, got {patience!r}")
        self._patience, self._report = float(patience), report
        self._jobs: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._unsent = self._in_a_row = 0
        self._over = False
        self._error = ""

    # What a tracker does; called one after the other in its thread.

    @abstractmethod
    def opened(self, facts: RoundFacts) -> None:
        """A round begins, or goes on."""

    @abstractmethod
    def ended(self, trial: FinishedTrial) -> None:
        """A trial has ended. Called again for a trial that was sent before, it adds nothing."""

    @abstractmethod
    def closed(self, folder: Path | None) -> None:
        """The round's call has ended; ``folder`` holds its report, where there is one."""

    # What rounds call.

    def start(self, found: Round) -> None:
        """Begins to send a round."""
        self._unsent = self._in_a_row = 0
        self._over, self._error = False, ""
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"refine-{self.name}")
        self._thread.start()
        self._jobs.put((self.opened, (facts_of(found),)))

    def trial(self, trial: FinishedTrial) -> None:
        """Sends a trial."""
        self._jobs.put((self.ended, (trial,)))

    def end(self, found: Round) -> None:
        """Sends the round's report, and waits until all is sent, or as long as there is patience.

        Warns:
            RefineWarning: Something was not sent.
        """
        with tempfile.TemporaryDirectory(prefix="refine-") as place:
            folder = self._written(found, Path(place)) if self._report else None
            self._jobs.put((self.closed, (folder,)))
            self._jobs.put(None)
            if self._thread is not None:
                self._thread.join(self._patience)
                late = self._thread.is_alive()
                self._over = True
                while late and (left := self._left()) is not None:
                    self._unsent += left
                self._thread = None
                if late:
                    self._error = self._error or f"no answer within {self._patience:g} s"
        if self._error:
            warn(
                f"{self.name}: {plural(self._unsent, 'trial')} of round {found.id} may be missing there ({self._error}); all are in "
                "the store, and send(round) of the tracker sends them again"
            )

    def send(self, found: Round) -> None:
        """Sends a round that has run: what was not sent, or was run before there was a tracker.

        Args:
            found: The round.
        """
        self.start(found)
        for trial in finished_trials(found):
            self.trial(trial)
        self.end(found)

    def _left(self) -> int | None:
        """Takes the next of what is not sent: 1 for a trial, 0 for anything else, ``None`` where nothing is left."""
        try:
            job = self._jobs.get_nowait()
        except queue.Empty:
            return None
        return int(job is not None and job[0] == self.ended)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, arguments = job
            try:
                if self._over or self._in_a_row >= _IN_A_ROW:
                    self._unsent += call == self.ended
                    continue
                call(*arguments)
                self._in_a_row = 0
            except Exception as error:  # noqa: BLE001  # whatever a server's client raises
                _log.warning("%s", self.name, exc_info=True)
                self._in_a_row += 1
                self._unsent += call == self.ended
                self._error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

    def _written(self, found: Round, place: Path) -> Path | None:
        try:
            found.report(place)
        except RefineError as error:  # such as too few trials
            _log.info("%s: no report: %s", self.name, error)
            return None
        return place


def facts_of(found: Round) -> RoundFacts:
    """What a tracker is told of a round."""
    node = found.node
    parent = found.parent
    made = [] if parent is None else [d for d in parent.decisions if d.child == node.id]
    return RoundFacts(
        tree=found.context.name,
        id=node.id,
        parent=node.parent or "",
        decision=made[-1].proposal if made else "",
        author=node.author,
        note=node.note,
        metric=found.metric,
        direction=found.direction,
        n=found.n,
    )


def finished_trials(found: Round) -> list[FinishedTrial]:
    """All trials of a round that have ended, replicates among them, as its hooks saw them."""
    from refine.space.space import decode_configuration

    records = found.context.reader.records([found._stored.pk], curves=True, replicates=True)
    metric = Metric.parse(found.metric, found.context.scores)
    trials = []
    columns = records.columns
    for i, (configuration, metrics) in enumerate(zip(records.configurations, records.metrics, strict=True)):
        curve = records.curves[i] if records.curves else {}
        state, seconds = columns["state"][i], columns["seconds"][i]
        trials.append(
            FinishedTrial(
                round=found.id,
                key=columns["key"][i],
                params=decode_configuration(configuration),
                state=state,
                value=metric.of(metrics, curve, seconds) if state == "complete" else None,
                metrics=metrics,
                curve=curve,
                seconds=seconds,
                seed=columns["seed"][i],
                replicate=columns["replicate"][i],
                origin=columns["origin"][i],
                error=columns["error"][i],
                ended=i + 1,
                planned=found.n,
            )
        )
    return trials


def plain(params: Any) -> dict[str, Any]:
    """Parameters as trackers take them: numbers, truth values and texts."""
    return {
        name: value if isinstance(value, bool | int | float | str) else label(value)
        for name, value in params.items()
    }


def named(trial: FinishedTrial) -> str:
    """What a trial is called at a tracker: the same whenever it is sent."""
    again = f"-{trial.replicate}" if trial.replicate else ""
    return f"{trial.round}-{trial.key[:10]}{again}"


def curve_steps(trial: FinishedTrial) -> list[dict[str, float]]:
    """A trial's numbers per epoch, its last values among the last of them."""
    length = max((len(values) for values in trial.curve.values()), default=0)
    rows: list[dict[str, float]] = [
        {name: values[i] for name, values in trial.curve.items() if i < len(values)} for i in range(length)
    ]
    last = {**trial.metrics, **({} if trial.value is None else {"refine.value": trial.value})}
    last["refine.seconds"] = trial.seconds
    if not rows:
        return [last]
    rows[-1] = {**rows[-1], **last}
    return rows


def now_ms(ago: float = 0.0) -> int:
    """Milliseconds since the epoch, so many seconds ago."""
    return int(1000 * (time.time() - ago))
