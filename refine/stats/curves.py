"""Training curves of a trial: overfitting, unrest at the end, too few epochs or too many.

The questions are those of Godbole, Dahl, Gilmer, Shallue and Nado (2023), 'Deep Learning Tuning Playbook',
'Examine the training curves'; the answers are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, checked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_HALF = 8  # fewest epochs for the scatter: eight, less the three of a parabola, leave five degrees of freedom
_QUARTER = 6  # fewest epochs for a trend
_WINDOW = 3  # fewest epochs in a running mean
_WEIGHTS = 3  # coefficients of a parabola
_DOUBT = 0.2  # one-sided error of the scatter's lower bound; the noise beside it is only an estimate
_SHARE = 0.5  # share of the variance between trainings that the last epoch alone must explain
_STICKY = 0.9  # largest autocorrelation used; nearer to 1, no number of epochs would suffice


class Flag(NamedTuple):
    """A possible property of curves."""

    seen: bool  # the curves clearly have the property
    size: float  # its size, in the units named in :class:`CurveFlags`; NaN if unknown


class CurveFlags(NamedTuple):
    """Flags of the curves of a trial."""

    # the validation loss ends above its smoothed minimum while the training loss falls; size: the rise
    overfitting: Flag
    unsteady: Flag  # the score jumps between late epochs; size: deviation of an epoch
    improving: Flag  # the score still rises at the end; size: rise in the last quarter
    # the score reached its best level in the first quarter of the epochs; size: that epoch, from 1
    saturated: Flag
    rising: Flag  # the training loss ends above its smoothed minimum; size: the rise


_UNKNOWN = Flag(False, np.nan)


class _End(NamedTuple):
    """The end of a curve."""

    gain: float  # rise of the line through the last quarter
    error: float  # standard error of the gain
    scatter: float  # deviation of the second half from its parabola
    sticky: float  # factor on the error of a mean, because neighbouring epochs are correlated
    freedom: int


@dataclass(frozen=True, slots=True)
@checked("level", "little", least=_HALF)
class CurveCheck:
    """Looks for five properties of the curves of one trial.

    Curves are smoothed by running means over a tenth of the epochs, at least 3. The scatter is the deviation
    of the second half, at least 8 epochs, from its own parabola. Errors of means and trends follow from the
    scatter and from the correlation of neighbouring epochs. A change of less than `little` counts as none,
    however significant.

    - *overfitting*: the rise above the minimum is significant, at a level divided by twice the number of
      windows searched for the minimum; it is more than `little` of the loss's fall or of its least value,
      whichever is less; and more than `little` of the training loss's significant fall meanwhile.
    - *unsteady*: the scatter explains more than half of the noise's variance, by the lower 80 % bound and by
      the last quarter alone: the choice of the last epoch is then most of the change on retraining. Without
      the noise the scatter must exceed `little` of the smoothed score's range.
    - *improving*: the last quarter rises significantly, by more than the scatter and more than the noise
      (without it: `little` of the smoothed score's range), and the smoothed score is best in the last window.
    - *saturated*: within the first quarter the smoothed score came nearer to the best quarter than the
      scatter, or than the noise if larger; and the curve is not improving.
    - *rising*: as overfitting, of the training loss alone.

    Rates of false alarms and of hits on simulated curves are printed by `tests/stats/test_curve_flags.py`.

    Source: Godbole et al. (2023), 'Deep Learning Tuning Playbook', for the questions.
    """

    least: int = 8  # fewest epochs; shorter curves have no flags
    level: float = 0.01  # level of every test, one-sided
    little: float = 0.1  # share of a change that counts as none

    def __call__(
        self,
        training: ArrayLike | None = None,
        validation: ArrayLike | None = None,
        score: ArrayLike | None = None,
        noise: float | None = None,
    ) -> CurveFlags:
        """Check the curves of a trial; a missing curve leaves its flags unknown.

        Epochs without a finite value count as not measured, and are left out.

        Args:
            training: (n,) training loss per epoch, lower is better.
            validation: (n,) validation loss.
            score: (n,) the metric of the trial; without it the validation loss stands in for *improving* and
                *saturated*.
            noise: Standard deviation of the score of a configuration on retraining, in its units; None, NaN
                or 0 if unknown.
        """
        curves = [
            np.zeros(0) if c is None else np.asarray(c, dtype=np.float64)
            for c in (training, validation, score)
        ]
        sizes = {c.size for c in curves if c.size}
        if len(sizes) > 1 or any(c.ndim != 1 for c in curves):
            raise AnalysisError(
                "curves: every curve needs one value per epoch, got shapes "
                f"{', '.join(str(c.shape) for c in curves)}; fill epochs that were not measured with NaN"
            )
        loss, held_out, judged = curves
        if noise is not None and np.isfinite(noise) and noise > 0:
            deviation = float(noise)
        else:
            deviation = 0.0
        improving, saturated = self._gains(
            judged if judged.size else -held_out, deviation if judged.size else 0.0
        )
        return CurveFlags(
            self._overfitting(loss, held_out),
            self._unsteady(judged, deviation),
            improving,
            saturated,
            self._rising(loss),
        )

    def _overfitting(self, training: FloatArray, validation: FloatArray) -> Flag:
        if not training.size or not validation.size:
            return _UNKNOWN
        finite = np.isfinite(training) & np.isfinite(validation)
        if finite.sum() < self.least:
            return _UNKNOWN
        start, rise, clear = self._rise(validation[finite])
        smooth = _smoothed(training[finite])
        fit = _evened(training[finite])
        even = _smoothed(fit)
        sure = even[start] - even[-1] > _quantile(_end(fit).freedom, self.level) * _error(fit, start)
        return Flag(bool(clear and sure and rise > self.little * (smooth[start] - smooth[-1])), rise)

    def _rising(self, training: FloatArray) -> Flag:
        values = training[np.isfinite(training)]
        if values.size < self.least:
            return _UNKNOWN
        _, rise, clear = self._rise(values)
        return Flag(clear, rise)

    def _rise(self, values: FloatArray) -> tuple[int, float, bool]:
        """Place of the smoothed minimum, rise of the end above it, and whether the rise is significant."""
        even = _evened(values)
        window = _window(values.size)
        smooth = _smoothed(values)
        level = _smoothed(even)
        start = int(np.argmin(level))
        rise = float(smooth[-1] - smooth[start])
        lowest = float(smooth[start])
        if start + window >= level.size:  # the windows overlap
            return start, rise, False
        # The minimum was chosen among many windows, so the level is divided by twice their number.
        paid = self.level * window / (2 * values.size)
        sure = level[-1] - level[start] > _quantile(_end(even).freedom, paid) * _error(even, start)
        fallen = float(values[: start + window].max()) - lowest
        threshold = max(self.little * min(fallen, abs(lowest)), _rounding(values))
        return start, rise, bool(sure and rise > threshold)

    def _unsteady(self, score: FloatArray, noise: float) -> Flag:
        from scipy.special import chdtri

        values = score[np.isfinite(score)]
        if values.size < self.least:
            return _UNKNOWN
        end = _end(values)
        sure = end.scatter * np.sqrt(end.freedom / chdtri(end.freedom, _DOUBT))
        if noise:
            bound = np.sqrt(_SHARE) * noise
        else:
            bound = self.little * float(np.ptp(_smoothed(values)))
        bound = max(bound, _rounding(values))
        # A jump earlier in the second half does not make the end unsteady: the last quarter counts too.
        last = _deviation(_rest(values[-_quarter(values.size) :]))
        return Flag(bool(min(sure, last) > bound), min(end.scatter, last))

    def _gains(self, score: FloatArray, noise: float) -> tuple[Flag, Flag]:
        """Improving and saturated."""
        measured = np.flatnonzero(np.isfinite(score))
        values = score[measured]
        if values.size < self.least:
            return _UNKNOWN, _UNKNOWN
        if np.ptp(values) == 0:
            return Flag(False, 0.0), _UNKNOWN
        end = _end(values)
        smooth = _smoothed(values)
        window = _window(values.size)
        threshold = max(end.scatter, noise or self.little * float(np.ptp(smooth)), _rounding(values))
        sure = end.gain > _quantile(end.freedom, self.level) * end.error
        latest = int(np.argmax(smooth)) >= smooth.size - window
        improving = bool(sure and latest and end.gain > threshold)
        best = _means(values, _quarter(values.size)).max()
        near = int(np.argmax(smooth >= min(best, smooth.max()) - max(end.scatter, noise)))
        epoch = int(measured[near + window // 2]) + 1
        return Flag(improving, end.gain), Flag(bool(not improving and epoch <= score.size / 4), float(epoch))


def _evened(loss: FloatArray) -> FloatArray:
    """A loss with noise in proportion to it, as over decades, evened by logarithms if positive."""
    even: FloatArray = np.log(loss) if loss.min() > 0 else loss
    return even


def _window(n: int) -> int:
    return max(_WINDOW, n // 10)


def _quarter(n: int) -> int:
    return max(_QUARTER, n // 4)


def _rounding(values: FloatArray) -> float:
    """Largest difference caused by rounding: curves come from single precision."""
    return 1e-6 * float(np.median(np.abs(values)))


def _means(values: FloatArray, width: int) -> FloatArray:
    """(n - width + 1,) running means."""
    return np.convolve(values, np.full(width, 1.0 / width), mode="valid")


def _smoothed(values: FloatArray) -> FloatArray:
    return _means(values, _window(values.size))


def _end(values: FloatArray) -> _End:
    residuals = _rest(values[-max(_HALF, values.size // 2) :])
    quarter = values[-_quarter(values.size) :]
    scatter = _deviation(residuals)
    squares = float(residuals @ residuals)
    # Fitting three coefficients lowers the autocorrelation of the residuals by about 4 / n.
    if squares > 0:
        alike = float(residuals[1:] @ residuals[:-1]) / squares + 4.0 / residuals.size
    else:
        alike = 0.0
    alike = float(np.clip(alike, 0.0, _STICKY))
    sticky = float(np.sqrt((1.0 + alike) / (1.0 - alike)))
    epochs = _centred(quarter.size)
    length = quarter.size / float(epochs @ epochs)
    error = scatter * sticky * length * float(np.sqrt(epochs @ epochs))
    return _End(float(epochs @ quarter) * length, error, scatter, sticky, residuals.size - _WEIGHTS)


def _rest(part: FloatArray) -> FloatArray:
    """Residuals of a parabola, which keeps a bend from passing for scatter."""
    epochs = _centred(part.size)
    basis = np.stack([np.ones(part.size), epochs, epochs**2 - np.mean(epochs**2)])
    residual: FloatArray = part - (basis @ part / np.sum(basis**2, axis=1)) @ basis
    return residual


def _deviation(residual: FloatArray) -> float:
    return float(np.sqrt(residual @ residual / (residual.size - _WEIGHTS)))


def _centred(n: int) -> FloatArray:
    return np.arange(n, dtype=np.float64) - (n - 1) / 2.0


def _error(values: FloatArray, start: int) -> float:
    """Standard error of the difference of two window means, the earlier of which begins at `start`."""
    end = _end(values)
    # With a decaying learning rate, the end is calmer than the epochs around the minimum.
    bends = np.diff(values[start:], 2)
    scatter = max(end.scatter, float(np.sqrt(np.mean(bends**2) / 6.0)))
    return scatter * end.sticky * float(np.sqrt(2.0 / _window(values.size)))


def _quantile(freedom: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1.0 - level))
