"""The visible part of a metric's values, and its scale. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refine.trials.goal import sign_of
from refine.utils.arrays import Bools, Floats

_DECADES = 30.0  # ratio of a loss's 90 % to its 10 % quantile from which the axis is logarithmic


class MetricView:
    """The visible part of a metric's values, from ``low`` to ``high``.

    A few trials that never learned would squeeze the remaining trials into a line. Such trials are left
    outside, on the ``side`` ``"below"`` or ``"above"``, and counted as ``hidden``. A loss that spans decades
    gets a logarithmic axis (``log``). ``bounds`` are the ends of densities, as :meth:`forward` gives them: 0
    and 1 if all values lie between, 0 if none is negative.
    """

    def __init__(self, y: Floats, direction: str) -> None:
        sign = sign_of(direction)
        # If larger is better, small values are bad: a logarithm would magnify them.
        low_decile, high_decile = np.quantile(y, [0.1, 0.9])
        self.log = bool(sign < 0 and y.min() > 0 and high_decile > _DECADES * low_decile)
        v = np.sort(sign * self.forward(y))
        worst = float(v[0])
        best = float(v[-1])
        tenth = float(v[int(0.1 * len(v))])
        # Never closer than 2 % of the best value: ties at the top are no reason to magnify rounding.
        reach = max(1.4 * (best - tenth), 0.02 if self.log else 0.02 * abs(best))
        if 0 < reach < 0.5 * (best - worst):
            worst = best - reach
        self.hidden = int(np.sum(v < worst))
        if sign > 0:
            self.side = "below"
        else:
            self.side = "above"
        pad = 0.05 * (best - worst) or 0.05 * (abs(best) or 1.0)
        ends = sorted((sign * (worst - (0.02 if self.hidden else 1.0) * pad), sign * (best + pad)))
        self.low, self.high = (float(v) for v in self.back(np.array(ends)))
        if y.min() >= 0 and not self.log:
            lower = 0.0
        else:
            lower = -np.inf
        self.bounds = (lower, 1.0 if lower == 0 and y.max() <= 1 else np.inf)

    def cut(self, y: Floats, position: float) -> None:
        """Leaves out values worse than ``position`` as well, of the (n,) values behind the view.

        No effect if ``position`` lies outside.
        """
        if not self.low < position < self.high:
            return
        if self.side == "below":
            self.low = position
            self.hidden = int(np.sum(y < position))
        else:
            self.high = position
            self.hidden = int(np.sum(y > position))

    def forward(self, y: npt.ArrayLike) -> Floats:
        """Values as the axis spaces them: unchanged, or their decimal logarithms."""
        values = np.asarray(y, dtype=float)
        if self.log:
            return np.log10(values)
        return values

    def back(self, place: npt.ArrayLike) -> Floats:
        """The inverse of :meth:`forward`."""
        places = np.asarray(place, dtype=float)
        return np.asarray(10.0**places if self.log else places)

    def grid(self, count: int = 240) -> Floats:
        """Positions across the view that the metric can take, in the spacing of :meth:`forward`."""
        low, high = self.forward([self.low, self.high])
        return np.linspace(max(low, self.bounds[0]), min(high, self.bounds[1]), count)

    def inside(self, y: npt.ArrayLike) -> Bools:
        """Mask of the values in view."""
        values = np.asarray(y, dtype=float)
        return np.asarray((values >= self.low) & (values <= self.high))

    def smoothing(self, width: float) -> float:
        """A bandwidth for densities of the metric: without spikes on ties and without one flat band."""
        low, high = self.forward([self.low, self.high])
        return float(np.clip(width, 0.015 * (high - low), 0.1 * (high - low)))
