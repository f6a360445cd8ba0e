"""Trackers: every ended trial becomes a run of MLflow or TensorBoard, sent outside the round's thread.

A tracker's server may be slow or dead. So the round only fills a queue and, at its end, waits for a limited
time. Unsent trials are in the store and can be sent later.
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

import pandas as pd

from refine.errors import DesignError, RefineError, did_you_mean
from refine.space.encoding import label
from refine.trials.metric import Curve, Metric
from refine.trials.trial import FAILED, FinishedTrial
from refine.utils.extras import load
from refine.utils.files import write_whole
from refine.utils.format import plural
from refine.utils.warning import warn

if TYPE_CHECKING:
    from refine.tree.round import Round

__all__ = ["MLflow", "RoundFacts", "TensorBoard", "Tracker", "tracker_of"]

_log = logging.getLogger(__name__)

IMPORTANCE = "importance.csv"
"""Name of the table of parameters that is sent with the report, in the printed order of importance."""

_IN_A_ROW = 3  # consecutive errors after which a tracker gives up for this call
_MOST = 1000  # largest number of metrics per request to MLflow


class RoundFacts(NamedTuple):
    """The facts of a round for a tracker."""

    tree: str  # name of the tree
    id: str  # of the round
    parent: str  # id of its parent, empty for a root
    decision: str  # digest of the round's proposal; empty without one
    author: str  # of the decision
    note: str  # reason of the decision
    metric: str  # whose value is optimised
    direction: str  # "maximize" or "minimize"
    n: int  # planned configurations

    @property
    def tags(self) -> dict[str, str]:
        """The facts as texts, under names with the prefix ``refine.``."""
        return {f"refine.{name}": str(value) for name, value in self._asdict().items() if value != ""}


class Tracker(ABC):
    """Sends ended trials to a service: ``track=`` of :meth:`refine.Round.run`, or :meth:`send`.

    Args:
        patience: Seconds that a round waits at its end for unsent trials.
        report: Whether to send the round's report too, with :data:`IMPORTANCE`, if the tracker takes files.

    Raises:
        DesignError: ``patience`` is not a number of seconds.
    """

    name: str  # in messages

    def __init__(self, *, patience: float = 30.0, report: bool = True) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int | float) or not 0 <= patience <= 86400:
            raise DesignError(f"patience must be a number of seconds between 0 and a day, got {patience!r}")
        self._patience = float(patience)
        self._report = report
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._asked = 0
        self._error = ""
        self._arrived: list[FinishedTrial] = []

    @abstractmethod
    def opened(self, facts: RoundFacts) -> None:
        """Called when a round starts or resumes; calls run one by one in the tracker's thread."""

    @abstractmethod
    def ended(self, trial: FinishedTrial) -> None:
        """Called for an ended trial; a trial sent before adds no run."""

    @abstractmethod
    def closed(self, folder: Path | None) -> None:
        """Called at the end of the round's call; ``folder`` holds the report, if any."""

    def start(self, round_: Round) -> None:
        """Starts to send a round; called by :meth:`refine.Round.run`, like :meth:`trial` and :meth:`end`."""
        # A thread that hung in an earlier call keeps its old queue and list.
        self._asked = 0
        self._arrived = []
        self._error = ""
        self._jobs = queue.SimpleQueue()
        arguments = self._jobs, self._arrived
        name = f"refine-{self.name}"
        self._thread = threading.Thread(target=self._serve, args=arguments, daemon=True, name=name)
        self._thread.start()
        self._jobs.put((self.opened, _facts_of(round_)))

    def trial(self, trial: FinishedTrial) -> None:
        """Sends a trial."""
        self._asked += 1
        self._jobs.put((self.ended, trial))

    def end(self, round_: Round) -> None:
        """Sends the round's report with :data:`IMPORTANCE`, and waits up to ``patience`` seconds for it.

        Warns:
            RefineWarning: Some trials or files were not sent.
        """
        with tempfile.TemporaryDirectory(prefix="refine-") as place:
            folder: Path | None = Path(place)
            try:
                if self._report:
                    round_.report(place)
                    write_whole(Path(place) / IMPORTANCE, _importance_table(round_))
            except RefineError as error:  # for example too few trials
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
                f"{self.name}: {plural(self._asked - len(self._arrived), 'trial')} of round {round_.id} "
                "may be missing "
                f"({self._error}); the store has all trials, and the tracker's send(round) sends them again"
            )

    def send(self, round_: Round) -> None:
        """Sends a round that has run, for example before a tracker existed, or after a failure."""
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
            except Exception as error:  # noqa: BLE001  # a server's client may raise any error
                _log.warning("%s", self.name, exc_info=True)
                in_a_row += 1
                self._error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _importance_table(round_: Round) -> bytes:
    """The parameters of a round as CSV, in the printed order of importance."""
    analysis = round_.analyze()
    rows = [
        (rank, e.name, analysis.findings[e.name].verdict, e.effect, e.q)
        for rank, e in enumerate(analysis.ranked, 1)
    ]
    table = pd.DataFrame(rows, columns=["rank", "parameter", "verdict", "effect", "q"])
    return table.to_csv(index=False).encode()


def _facts_of(round_: Round) -> RoundFacts:
    node = round_._node
    decision = ""
    if round_.parent is not None:
        decision = ["", *(d.proposal for d in round_.parent._decisions if d.child == node.id)][-1]
    return RoundFacts(
        tree=round_._context.name,
        id=node.id,
        parent=node.parent or "",
        decision=decision,
        author=node.author,
        note=round_.note,
        metric=round_._value,
        direction=round_._direction,
        n=round_.n,
    )


def _finished_trials(round_: Round) -> list[FinishedTrial]:
    """The ended trials of a round, replicates included, as passed to hooks."""
    from refine.space.space import decode_configuration

    records = round_._context.reader.records([round_._stored.pk], curves=True, replicates=True)
    metric = Metric.parse(round_._value, round_._context.scores)
    rows = records.columns
    trials = []
    for i, (configuration, metrics) in enumerate(zip(records.configurations, records.metrics, strict=True)):
        curve: Curve = {}
        if records.curves:
            curve = records.curves[i]
        value = None
        if rows["state"][i] == "complete":
            value = metric.of(metrics, curve, rows["seconds"][i])
        names = ("key", "state", "seconds", "seed", "replicate", "origin", "error")
        trial = FinishedTrial(
            round=round_.id,
            params=decode_configuration(configuration),
            value=value,
            metrics=metrics,
            curve=curve,
            ended=i + 1,
            planned=round_.n,
            **{name: rows[name][i] for name in names},
        )
        trials.append(trial)
    return trials


def _plain(params: Any) -> dict[str, object]:
    """Parameters as trackers take them: numbers, booleans and strings."""
    return {n: v if isinstance(v, bool | int | float | str) else label(v) for n, v in params.items()}


def _named(trial: FinishedTrial) -> str:
    """The name of a trial at a tracker, equal whenever it is sent."""
    name = f"{trial.round}-{trial.key[:10]}"
    if trial.replicate:
        return f"{name}-{trial.replicate}"
    return name


def _curve_steps(trial: FinishedTrial) -> list[dict[str, float]]:
    """A trial's numbers per epoch; final values join the last epoch."""
    length = max((len(values) for values in trial.curve.values()), default=1)
    rows = [{n: values[i] for n, values in trial.curve.items() if i < len(values)} for i in range(length)]
    rows[-1] |= {**trial.metrics, "refine.seconds": trial.seconds}
    if trial.value is not None:
        rows[-1]["refine.value"] = trial.value
    return rows


class MLflow(Tracker):
    """Sends trials to MLflow: a run per round with tags and report, and child runs per trial.

    Args:
        uri: Of the tracking server or folder; default that of MLflow, for example ``MLFLOW_TRACKING_URI``.
        experiment: Name of the experiment; default the tree's name.
        options: ``patience`` and ``report``, as for :class:`Tracker`.

    Raises:
        DesignError: MLflow is not installed.
    """

    name = "MLflow"

    def __init__(self, uri: str | None = None, experiment: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        # A line per run would break the progress bar.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._library = load("mlflow", f"the tracker {self.name}", DesignError)
        self._client = self._library.MlflowClient(uri)
        self._experiment = experiment
        self._place = self._run = ""
        self._sent: set[str] = set()

    def opened(self, facts: RoundFacts) -> None:
        """Finds or creates experiment and run."""
        name = self._experiment or facts.tree
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            self._place = self._client.create_experiment(name)
        else:
            self._place = experiment.experiment_id
        runs = self._search(f"tags.`refine.id` = '{facts.id}'")
        if not runs:
            runs = [self._client.create_run(self._place, tags=facts.tags, run_name=facts.id)]
        self._run = runs[0].info.run_id
        below = self._search(f"tags.`mlflow.parentRunId` = '{self._run}'")
        self._sent = {run.info.run_name for run in below if run.info.status != "RUNNING"}

    def _search(self, text: str) -> list[Any]:
        pages = [self._client.search_runs([self._place], text, 1, 1000)]
        while pages[-1].token:
            pages.append(self._client.search_runs([self._place], text, 1, 1000, page_token=pages[-1].token))
        return [run for page in pages for run in page]

    def ended(self, trial: FinishedTrial) -> None:
        """Creates the run of the trial."""
        if (name := _named(trial)) in self._sent:
            return
        entities = self._library.entities
        over = int(1000 * time.time())
        tags = {
            "mlflow.parentRunId": self._run,
            "refine.round": trial.round,
            "refine.state": trial.state,
            "refine.origin": trial.origin,
            "refine.seed": str(trial.seed),
        }
        if trial.error:
            tags["refine.error"] = trial.error[-2000:]
        began = over - int(1000 * trial.seconds)
        run = self._client.create_run(self._place, start_time=began, tags=tags, run_name=name).info.run_id
        # Some MLflow stores refuse NaN; the state records that a trial diverged.
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
    """Writes trials for TensorBoard: a folder per round with a folder per trial.

    ``tensorboard --logdir FOLDER`` shows the trials; the tab HPARAMS as a table and in parallel coordinates.

    Args:
        folder: The folder to write to.
        options: ``patience`` and ``report``, as for :class:`Tracker`; the report goes next to the trials.

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
        """Creates the round's folder. Trials declare their parameters and metrics."""
        self._round = self._folder / facts.id
        self._round.mkdir(parents=True, exist_ok=True)

    def ended(self, trial: FinishedTrial) -> None:
        """Writes the trial's folder, replacing an old one."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import api_pb2, metadata
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        place = self._round / _named(trial)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        status = api_pb2.STATUS_SUCCESS
        if trial.state in FAILED:
            status = api_pb2.STATUS_FAILURE
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
        """Puts the report next to the trials."""
        if folder is not None:
            shutil.copytree(folder, self._round / "report", dirs_exist_ok=True)


_WORDS = {"mlflow": MLflow, "tensorboard": TensorBoard}


def tracker_of(text: str) -> Tracker:
    """The tracker of a shell option: ``mlflow``, ``mlflow=ADDRESS`` or ``tensorboard=FOLDER``.

    Raises:
        DesignError: Another word, or ``tensorboard`` without a folder.
    """
    word, _, address = text.partition("=")
    if word not in _WORDS:
        raise DesignError(
            f"a tracker must be one of {', '.join(_WORDS)}, got {word!r}; {did_you_mean(word, _WORDS)}"
        )
    if word == "tensorboard" and not address:
        raise DesignError("tensorboard needs a folder to write to: tensorboard=FOLDER")
    return _WORDS[word](*([address] if address else []))
