"""Callbacks for training loops: report each epoch to the running trial, which may stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.run.running_trial import RunningTrial, running_trial
from refine.utils.files import made_folder, write_whole

_TIMES = ("_runtime", "_per_second")


class Epochs:
    """Reports of a training loop to the running trial; without effect outside a round.

    Args:
        trial: The trial; default the one that runs here.
        checkpoints: A folder for checkpoints of all trials. The folder also keeps the reports, so that a
            training that continues from a checkpoint reports its earlier epochs again.

    Attributes:
        folder: Folder of this trial's checkpoints; its name is the seed of the trial, so a repeated trial
            finds it. None without ``checkpoints``.
        metrics: Metrics of the last epoch.
    """

    def __init__(self, trial: RunningTrial | None = None, checkpoints: str | Path | None = None) -> None:
        super().__init__()
        if trial is None:
            self.trial = running_trial()
        else:
            self.trial = trial
        self.folder: Path | None = None
        if checkpoints is not None and self.trial is not None:
            self.folder = Path(checkpoints) / str(self.trial.seed)
        self.metrics: dict[str, float] = {}
        self._reported: list[tuple[int, dict[str, float]]] = []

    def ended(self, epoch: int, metrics: Mapping[str, Any], more: bool) -> bool:
        """Reports an epoch, from 0; whether to stop after it, where there would be more."""
        self.metrics = {name: float(value) for name, value in metrics.items()}
        if self.trial is None:
            return False
        if self.folder is None:
            file = None
        else:
            file = self.folder / "reported.json"
        epochs = [(epoch, self.metrics)]
        if file and epoch and not self._reported and file.exists():  # it goes on from a checkpoint
            epochs = [*(report for report in json.loads(file.read_text()) if report[0] < epoch), *epochs]
        for report in epochs:
            self.trial.report(*report)
        self._reported += epochs
        if file:
            write_whole(made_folder(file.parent) / file.name, [json.dumps(self._reported)])
        return more and self.trial.should_prune()


def keras_callback(trial: RunningTrial | None = None, checkpoints: str | Path | None = None) -> Any:
    """A callback for ``model.fit``; with ``BackupAndRestore(callback.folder)`` a killed trial resumes.

    :class:`refine.keras.KerasObjective` reports by itself, and :func:`refine.keras.fit` stops by itself.

    Args:
        trial: As ``checkpoints``: see :class:`Epochs`, which the callback is.
        checkpoints: A folder.
    """
    import keras

    class Reporting(Epochs, keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Mapping[str, object] | None = None) -> None:
            self.model.stop_training |= self.ended(epoch, logs or {}, epoch + 1 < self.params["epochs"])

    return Reporting(trial, checkpoints)


def lightning_callback(trial: RunningTrial | None = None, checkpoints: str | Path | None = None) -> Any:
    """A callback for a ``Trainer`` of Lightning that reports the logged metrics.

    Args:
        trial: As ``checkpoints``: see :class:`Epochs`, which the callback is.
            ``ModelCheckpoint(callback.folder, save_last=True)`` saves there.
        checkpoints: A folder.
    """
    from lightning.pytorch.callbacks import Callback

    class Reporting(Epochs, Callback):  # type: ignore[misc]
        def on_train_epoch_end(self, trainer: Any, *_: object) -> None:
            continues = trainer.current_epoch + 1 < (trainer.max_epochs or 0)
            trainer.should_stop |= self.ended(trainer.current_epoch, trainer.callback_metrics, continues)

    return Reporting(trial, checkpoints)


def trainer_callback(trial: RunningTrial | None = None, checkpoints: str | Path | None = None) -> Any:
    """A callback for a ``Trainer`` of Hugging Face: each evaluation counts as an epoch.

    Args:
        trial: As ``checkpoints``: see :class:`Epochs`, which the callback is.
            ``TrainingArguments(callback.folder, save_strategy="epoch")`` saves there.
        checkpoints: A folder.
    """
    from transformers import TrainerCallback

    class Reporting(Epochs, TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, _: object, state: Any, control: Any, metrics: Any, **_keywords: object) -> None:
            evaluations = sum("eval_runtime" in entry for entry in state.log_history)
            values = {n: v for n, v in metrics.items() if n != "epoch" and not n.endswith(_TIMES)}
            stop = self.ended(evaluations - 1, values, state.global_step < state.max_steps)
            control.should_training_stop |= stop

    return Reporting(trial, checkpoints)
