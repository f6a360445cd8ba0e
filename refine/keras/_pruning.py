"""Telling the running trial how training goes, epoch by epoch, so that a round with a pruner can stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from refine.run.running_trial import running_trial


def watched() -> bool:
    """Whether a trial runs here that may be stopped."""
    trial = running_trial()
    return trial is not None and trial.watched


def is_stopped(epoch: int, logs: Mapping[str, Any] | None, last: int) -> bool:
    """Whether training is to stop after an epoch, from 0, of ``last``, since the trial is behind."""
    trial = running_trial()
    if trial is None or not trial.watched or not logs or epoch + 1 >= last:
        return False
    return trial.watch(epoch, {n: float(v) for n, v in logs.items() if getattr(v, "ndim", 0) == 0})


class PruningCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops ``model.fit`` in a round with a pruner, once the trial is behind; elsewhere it does nothing.

    `refine.keras.fit` does this by itself. Where a model function trains several times, each training is compared by
    its own epochs.
    """

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Asks the running trial."""
        if is_stopped(epoch, logs, int((self.params or {}).get("epochs") or epoch + 2)):
            self.model.stop_training = True
