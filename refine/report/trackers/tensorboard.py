"""TensorBoard: a folder of events per trial, as its HPARAMS tab reads them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from refine.errors import DesignError
from refine.report.trackers.tracker import RoundFacts, Tracker, curve_steps, named, plain
from refine.trials.trial import FAILED, FinishedTrial
from refine.utils.extras import load


class TensorBoard(Tracker):
    """Writes trials for TensorBoard: a folder per round, and in it one per trial with its curves and hyperparameters.

    ``tensorboard --logdir FOLDER`` shows them; the tab HPARAMS as a table and in parallel coordinates.

    Args:
        folder: Where to write.
        patience: As for :class:`refine.report.trackers.Tracker`.
        report: As for :class:`refine.report.trackers.Tracker`; it is put beside the trials.

    Raises:
        DesignError: TensorBoard is not installed.
    """

    name = "TensorBoard"

    def __init__(self, folder: str | Path, *, patience: float = 30.0, report: bool = True) -> None:
        super().__init__(patience=patience, report=report)
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

        place = self._round / named(trial)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        status = api_pb2.STATUS_FAILURE if trial.state in FAILED else api_pb2.STATUS_SUCCESS
        writer = EventFileWriter(str(place))
        try:
            writer.add_event(Event(summary=hparams_pb(plain(trial.params), trial_id=named(trial))))
            for step, row in enumerate(curve_steps(trial)):
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
