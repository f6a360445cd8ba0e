"""Reports of a training to the running trial, epoch by epoch, so that a pruner can stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from refine.run.running_trial import running_trial


def watched() -> bool:
    """True if a trial that may be stopped runs here."""
    trial = running_trial()
    return trial is not None and trial.watched


def is_stopped(epoch: int, logs: Mapping[str, Any] | None, last: int) -> bool:
    """True if the pruner stops training after this epoch, counted from 0, of ``last``."""
    trial = running_trial()
    if trial is None or not trial.watched or not logs or epoch + 1 >= last:
        return False
    return trial.watch(epoch, {n: float(v) for n, v in logs.items() if getattr(v, "ndim", 0) == 0})


class PruningCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops ``model.fit`` in a round with a pruner once the trial is behind.

    Outside such a round the callback has no effect. `refine.keras.fit` does not need the callback. If a model
    function trains several times, each training is compared by its own epochs.
    """

    def on_epoch_end(self, epoch: int, logs: Mapping[str, object] | None = None) -> None:
        """Reports the epoch, and stops training if the trial is behind."""
        if is_stopped(epoch, logs, int((self.params or {}).get("epochs") or epoch + 2)):
            self.model.stop_training = True
