"""Trackers: each ended trial becomes a run of MLflow or TensorBoard, out of the round's way.

A tracker's server may be slow, or dead. So the round only puts what there is to say into a queue, and waits at its end
for a stated time at most. What was not sent is in the store all the same, and can be sent later.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import shutil
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.errors import DesignError, RefineError, did_you_mean
from refine.space.encoding import label
from refine.trials.metric import Metric
from refine.trials.trial import FAILED, FinishedTrial
from refine.utils.extras import load
from refine.utils.format import plural
from refine.utils.warning import warn

if TYPE_CHECKING:
    from refine.tree.round import Round

__all__ = ["MLflow", "RoundFacts", "TensorBoard", "Tracker", "tracker_of"]

_log = logging.getLogger(__name__)

_IN_A_ROW = 3  # errors one after the other, and a tracker tries no more in this call
_MOST = 1000  # metrics that MLflow takes at once


class RoundFacts(NamedTuple):
    """What a tracker is told of a round."""

    tree: str  # its name
    id: str  # of the round
    parent: str  # id of its parent, empty for a root
    decision: str  # digest of the proposal that it came from, empty where there was none
    author: str  # who decided it
    note: str  # why it exists
    metric: str  # what its value is
    direction: str  # "maximize" or "minimize"
    n: int  # configurations that are planned

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

    name: str  # in messages

    def __init__(self, *, patience: float = 30.0, report: bool = True) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int | float) or not 0 <= patience <= 86400:
            raise DesignError(f"patience must be a number of seconds between 0 and a day, got {patience!r}")
        self._patience, self._report = float(patience), report
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._asked, self._error = 0, ""
        self._arrived: list[FinishedTrial] = []

    @abstractmethod
    def opened(self, facts: RoundFacts) -> None:
        """A round begins, or goes on. This and what follows is called in the tracker's thread, one after the other."""

    @abstractmethod
    def ended(self, trial: FinishedTrial) -> None:
        """A trial has ended. Called again for a trial that was sent before, it adds nothing."""

    @abstractmethod
    def closed(self, folder: Path | None) -> None:
        """The round's call has ended; ``folder`` holds its report, where there is one."""

    def start(self, round_: Round) -> None:
        """Begins to send a round; called by :meth:`refine.Round.run`, as are :meth:`trial` and :meth:`end`."""
        # A thread that hung in an earlier call keeps its own queue and list.
        self._asked, self._arrived, self._error, self._jobs = 0, [], "", queue.SimpleQueue()
        given: dict[str, Any] = {"daemon": True, "name": f"refine-{self.name}"}
        self._thread = threading.Thread(target=self._serve, args=(self._jobs, self._arrived), **given)
        self._thread.start()
        self._jobs.put((self.opened, _facts_of(round_)))

    def trial(self, trial: FinishedTrial) -> None:
        """Sends a trial."""
        self._asked += 1
        self._jobs.put((self.ended, trial))

    def end(self, round_: Round) -> None:
        """Sends the round's report, and waits until all is sent, or as long as there is patience.

        Warns:
            RefineWarning: Something was not sent.
        """
        with tempfile.TemporaryDirectory(prefix="refine-") as place:
            folder: Path | None = Path(place)
            try:
                if self._report:
                    round_.report(place)
            except RefineError as error:  # such as too few trials
                _log.info("%s: no report: %s", self.name, error)
                folder = None
            self._jobs.put((self.closed, folder if self._report else None))
            self._jobs.put(None)
            if self._thread is not None:
                self._thread.join(self._patience)
                if self._thread.is_alive():
                    self._error = self._error or f"no answer within {self._patience:g} s"
                self._thread = None
        if self._error:
            warn(
                f"{self.name}: {plural(self._asked - len(self._arrived), 'trial')} of round {round_.id} may be missing there ({self._error}); all are in "
                "the store, and send(round) of the tracker sends them again"
            )

    def send(self, round_: Round) -> None:
        """Sends a round that has run: what was not sent, or was run before there was a tracker."""
        self.start(round_)
        for trial in _finished_trials(round_):
            self.trial(trial)
        self.end(round_)

    def _serve(self, jobs: queue.SimpleQueue[Any], arrived: list[FinishedTrial]) -> None:
        in_a_row = 0
        while (job := jobs.get()) is not None and self._thread is threading.current_thread():
            call, argument = job
            try:
                if in_a_row < _IN_A_ROW:
                    call(argument)
                    in_a_row = 0
                    arrived += [argument] * (call == self.ended)
            except Exception as error:  # noqa: BLE001  # whatever a server's client raises
                _log.warning("%s", self.name, exc_info=True)
                in_a_row += 1
                self._error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _facts_of(round_: Round) -> RoundFacts:
    node, parent = round_.node, round_.parent
    made = [] if parent is None else [d for d in parent.decisions if d.child == node.id]
    return RoundFacts(
        tree=round_.context.name,
        id=node.id,
        parent=node.parent or "",
        decision=made[-1].proposal if made else "",
        author=node.author,
        note=node.note,
        metric=round_.metric,
        direction=round_.direction,
        n=round_.n,
    )


def _finished_trials(round_: Round) -> list[FinishedTrial]:
    """All trials of a round that have ended, replicates among them, as its hooks saw them."""
    from refine.space.space import decode_configuration

    records = round_.context.reader.records([round_._stored.pk], curves=True, replicates=True)
    metric = Metric.parse(round_.metric, round_.context.scores)
    rows = records.columns
    trials = []
    for i, (configuration, metrics) in enumerate(zip(records.configurations, records.metrics, strict=True)):
        curve, seconds = records.curves[i] if records.curves else {}, rows["seconds"][i]
        value = metric.of(metrics, curve, seconds) if rows["state"][i] == "complete" else None
        columns = {name: rows[name][i] for name in ("key", "state", "seed", "replicate", "origin", "error")}
        facts = {"metrics": metrics, "curve": curve, "seconds": seconds, "ended": i + 1, "planned": round_.n}
        params = decode_configuration(configuration)
        trials.append(FinishedTrial(round=round_.id, params=params, value=value, **columns, **facts))
    return trials


def _plain(params: Any) -> dict[str, Any]:
    """Parameters as trackers take them: numbers, truth values and texts."""
    return {n: v if isinstance(v, bool | int | float | str) else label(v) for n, v in params.items()}


def _named(trial: FinishedTrial) -> str:
    """What a trial is called at a tracker: the same whenever it is sent."""
    again = f"-{trial.replicate}" if trial.replicate else ""
    return f"{trial.round}-{trial.key[:10]}{again}"


def _curve_steps(trial: FinishedTrial) -> list[dict[str, float]]:
    """A trial's numbers per epoch, its last values among the last of them."""
    length = max((len(values) for values in trial.curve.values()), default=1)
    rows = [{n: values[i] for n, values in trial.curve.items() if i < len(values)} for i in range(length)]
    value = {} if trial.value is None else {"refine.value": trial.value}
    rows[-1] |= {**trial.metrics, **value, "refine.seconds": trial.seconds}
    return rows


class MLflow(Tracker):
    """Sends trials to MLflow: a run per round with tags and report, and below it one run per trial.

    Args:
        uri: Of the tracking server or folder; default as MLflow itself has it, such as by ``MLFLOW_TRACKING_URI``.
        experiment: Name of the experiment; default that of the tree.
        options: ``patience`` and ``report``, as for :class:`Tracker`.

    Raises:
        DesignError: MLflow is not installed.
    """

    name = "MLflow"

    def __init__(self, uri: str | None = None, experiment: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        # A line for every run would go between those of the progress bar.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._library = load("mlflow", f"the tracker {self.name}", DesignError)
        self._client = self._library.MlflowClient(uri)
        self._experiment = experiment
        self._place = self._run = ""
        self._sent: set[str] = set()

    def opened(self, facts: RoundFacts) -> None:
        """Finds or makes experiment and run."""
        name = self._experiment or facts.tree
        known = self._client.get_experiment_by_name(name)
        self._place = self._client.create_experiment(name) if known is None else known.experiment_id
        runs = self._search(f"tags.`refine.id` = '{facts.id}'")
        run = runs[0] if runs else self._client.create_run(self._place, tags=facts.tags, run_name=facts.id)
        self._run = run.info.run_id
        below = self._search(f"tags.`mlflow.parentRunId` = '{self._run}'") if runs else []
        self._sent = {r.info.run_name for r in below if r.info.status != "RUNNING"}

    def _search(self, text: str) -> list[Any]:
        pages = [self._client.search_runs([self._place], text, 1, 1000)]
        while pages[-1].token:
            pages.append(self._client.search_runs([self._place], text, 1, 1000, page_token=pages[-1].token))
        return [run for page in pages for run in page]

    def ended(self, trial: FinishedTrial) -> None:
        """Makes a run of the trial."""
        if (name := _named(trial)) in self._sent:
            return
        entities, over = self._library.entities, int(1000 * time.time())
        tags = {
            "mlflow.parentRunId": self._run,
            "refine.round": trial.round,
            "refine.state": trial.state,
            "refine.origin": trial.origin,
            "refine.seed": str(trial.seed),
            **({"refine.error": trial.error[-2000:]} if trial.error else {}),
        }
        began = over - int(1000 * trial.seconds)
        run = self._client.create_run(self._place, start_time=began, tags=tags, run_name=name).info.run_id
        # MLflow refuses NaN in some stores; the state says that a trial diverged.
        numbers = [
            entities.Metric(k, float(v), over, step)
            for step, row in enumerate(_curve_steps(trial))
            for k, v in row.items()
            if math.isfinite(v)
        ]
        params = [entities.Param(k, str(v)) for k, v in _plain(trial.params).items()]
        for start in range(0, len(numbers), _MOST):
            self._client.log_batch(run, numbers[start : start + _MOST], [] if start else params)
        self._client.set_terminated(run, "FAILED" if trial.state in FAILED else "FINISHED", over)
        self._sent.add(name)

    def closed(self, folder: Path | None) -> None:
        """Adds the report and ends the round's run."""
        if folder is not None:
            self._client.log_artifacts(self._run, str(folder), "report")
        self._client.set_terminated(self._run, "FINISHED")


class TensorBoard(Tracker):
    """Writes trials for TensorBoard: a folder per round, and in it one per trial with its curves and hyperparameters.

    ``tensorboard --logdir FOLDER`` shows them; the tab HPARAMS as a table and in parallel coordinates.

    Args:
        folder: Where to write.
        options: ``patience`` and ``report``, as for :class:`Tracker`; the report is put beside the trials.

    Raises:
        DesignError: TensorBoard is not installed.
    """

    name = "TensorBoard"

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(**options)
        load("tensorboard", f"the tracker {self.name}", DesignError)
        self._folder = Path(folder).absolute()
        self._round = self._folder

    def opened(self, facts: RoundFacts) -> None:
        """Makes the round's folder. Which parameters and metrics there are, the trials say."""
        self._round = self._folder / facts.id
        self._round.mkdir(parents=True, exist_ok=True)

    def ended(self, trial: FinishedTrial) -> None:
        """Writes the trial's folder, anew if it is there."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import api_pb2, metadata
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        place = self._round / _named(trial)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        status = api_pb2.STATUS_FAILURE if trial.state in FAILED else api_pb2.STATUS_SUCCESS
        writer = EventFileWriter(str(place))
        try:
            writer.add_event(Event(summary=hparams_pb(_plain(trial.params), trial_id=_named(trial))))
            for step, row in enumerate(_curve_steps(trial)):
                values = [Summary.Value(tag=name, simple_value=float(v)) for name, v in row.items()]
                writer.add_event(Event(step=step, summary=Summary(value=values)))
            over = HParamsPluginData(
                session_end_info=SessionEndInfo(status=status, end_time_secs=time.time())
            )
            end = Summary.Value(
                tag=metadata.SESSION_END_INFO_TAG,
                metadata=metadata.create_summary_metadata(over),
                tensor=metadata.NULL_TENSOR,
            )
            writer.add_event(Event(summary=Summary(value=[end])))
        finally:
            writer.close()

    def closed(self, folder: Path | None) -> None:
        """Puts the report beside the trials."""
        if folder is not None:
            shutil.copytree(folder, self._round / "report", dirs_exist_ok=True)


_WORDS = {"mlflow": MLflow, "tensorboard": TensorBoard}


def tracker_of(text: str) -> Tracker:
    """A tracker as the shell names it: ``mlflow`` or ``tensorboard``; after ``=`` the address of the server, or the folder.

    Raises:
        DesignError: Another word, or a tracker that needs a folder without one.
    """
    word, _, where = text.partition("=")
    if word not in _WORDS:
        raise DesignError(
            f"a tracker must be one of {', '.join(_WORDS)}, got {word!r}; {did_you_mean(word, _WORDS)}"
        )
    if word == "tensorboard" and not where:
        raise DesignError("tensorboard needs a folder to write to: tensorboard=FOLDER")
    return _WORDS[word](*([where] if where else []))
