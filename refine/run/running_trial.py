"""The running trial, an objective's optional second argument."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

from refine.design.pruning import Limit
from refine.errors import ObjectiveError
from refine.run.outcome import as_float, by_text
from refine.trials.trial import Examples
from refine.utils.arrays import spaced_rows

MOST_EXAMPLES = 2_000
MOST_NUMBERS = 20_000  # predictions that are kept of one trial: examples times outputs
_LARGEST = 6e4  # half precision holds numbers up to 65,504


class RunningTrial:
    """The second argument of an objective, if the parameter is required or called ``trial``.

    ``random``, NumPy and Keras were seeded with its ``seed`` before the call.

    Attributes:
        seed: The trial's seed.
        pruned: Whether the trial stops because it is behind: ``should_prune()`` said so, and no epoch was
            reported since.
        examples: Predictions that were noted by :meth:`predicted`.
    """

    def __init__(self, seed: int, limit: Limit | None = None) -> None:
        self.seed = seed
        self.pruned = False
        self.examples: Examples | None = None
        self._curve: dict[str, list[float]] = {}
        self._epochs: list[int] = []
        self._limit = limit
        if limit is None:
            self._session = None
        else:
            self._session = limit.session()
        self._watched = 0  # epochs that a training loop has passed to ``watch``
        self._behind = False

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes the metrics of an epoch.

        Args:
            epoch: 0, 1, 2, ..., in order.
            metrics: Name -> number.

        Raises:
            ObjectiveError: Epochs out of order, or a non-numeric value.
        """
        if not hasattr(epoch, "__index__") or not isinstance(metrics, Mapping):
            raise ObjectiveError(
                "report takes the number of an epoch and its metrics by name, trial.report(0, {'loss': "
                f"0.5}}), got {epoch!r:.40} and {metrics!r:.40}"
            )
        if self._epochs and epoch <= self._epochs[-1]:
            raise ObjectiveError(
                f"epochs must be reported in ascending order, got {epoch} after {self._epochs[-1]}"
            )
        for name, value in by_text(metrics).items():
            series = self._curve.setdefault(name, [math.nan] * len(self._epochs))
            series.append(as_float(name, value, "report takes numbers by name"))
        self._epochs.append(int(epoch))
        for series in self._curve.values():
            series.extend([math.nan] * (len(self._epochs) - len(series)))
        if self._session is not None and not self._watched:
            value = float(metrics.get(self._session.metric, math.nan))
            self._behind = self._session.behind(value)
            self.pruned = False  # an objective that reports another epoch has not stopped

    @property
    def watched(self) -> bool:
        """True if a pruner may stop the trial."""
        return self._limit is not None

    def watch(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """True to stop after an epoch, for a training loop such as :func:`refine.keras.fit`.

        The curve stays as reported by :meth:`report`. An epoch passed twice gets an equal answer; an earlier
        epoch begins another training.
        """
        if self._limit is None:
            return False
        if epoch + 1 < self._watched or self._session is None:
            self._session = self._limit.session()
            self._watched = 0
        if epoch + 1 > self._watched and self._session.metric in metrics:
            self._watched = epoch + 1
            self._behind = self._session.behind(float(metrics[self._session.metric]))
        self.pruned = self.pruned or self._behind
        return self.pruned

    def predicted(self, predictions: npt.ArrayLike, targets: npt.ArrayLike, total: int | None = None) -> None:
        """Stores the predictions for the validation examples, to separate luck from skill.

        At most 2,000 examples and 20,000 numbers are kept, evenly spaced over the rows, in half precision.

        Args:
            predictions: (n,) or (n, outputs).
            targets: (n,) numbers of classes, or quantities; the same for every trial.
            total: Number of validation examples, if ``targets`` has only a part.

        Raises:
            ObjectiveError: Shapes do not fit, or numbers exceed half precision.
        """
        correct = np.asarray(targets, dtype=np.float32)
        outputs = np.asarray(predictions, dtype=np.float32)
        if outputs.ndim == 1:
            outputs = outputs[:, None]
        if correct.ndim != 1 or outputs.ndim != 2 or len(outputs) != len(correct) or outputs.size == 0:
            raise ObjectiveError(
                f"predicted: needs predictions (n,) or (n, outputs) and targets (n,), got shapes "
                f"{np.shape(predictions)} and {np.shape(targets)}"
            )
        count = min(len(outputs), MOST_EXAMPLES, max(1, MOST_NUMBERS // outputs.shape[1]))
        rows = spaced_rows(len(outputs), count)
        if not np.abs(outputs[rows]).max() < _LARGEST:
            raise ObjectiveError(
                "predicted: predictions must be finite and below 60,000, which half precision holds"
            )
        self.examples = Examples(outputs[rows].astype(np.float16), correct[rows], total or len(outputs))

    def should_prune(self) -> bool:
        """True to stop: the last epoch held NaN or infinity, or the trial is behind.

        In a round with a pruner, a trial is behind if its value is worse than the pruner's threshold for this
        epoch. Ask only while there is more to do: a trial that stops has no final value.
        """
        if self._behind:
            self.pruned = True
            return True
        return any(not math.isfinite(series[-1]) for series in self._curve.values() if series)

    @property
    def curve(self) -> dict[str, list[float]]:
        """Metric name -> one value per reported epoch."""
        return self._curve


_running: ContextVar[RunningTrial | None] = ContextVar("refine_running_trial", default=None)


def running_trial() -> RunningTrial | None:
    """The running trial of the context, for functions called by an objective; empty outside of a trial."""
    return _running.get()
