"""Which part of a metric's values is shown, and on which scale. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refine.trials.goal import sign_of
from refine.utils.arrays import Floats

_DECADES = 30.0  # of a loss's 90 % to its 10 % quantile, from which on the axis is logarithmic


class MetricView:
    """The part of a metric's values that is worth showing, from ``low`` to ``high``.

    A few trials that never learned would squeeze all others into a line; they are left outside, on the ``side`` ``"below"`` or
    ``"above"``, and counted as ``hidden``. A loss that spans decades gets a logarithmic axis (``log``). ``bounds`` are what the
    metric can't leave, as :meth:`forward` gives it: 0 and 1 where all values lie between, 0 where none is negative.
    """

    def __init__(self, y: Floats, direction: str) -> None:
        sign = sign_of(direction)
        # Of more is better the small values are the bad ones: a logarithm would magnify those.
        few, most = np.quantile(y, [0.1, 0.9])
        self.log = bool(sign < 0 and y.min() > 0 and most > _DECADES * few)
        v = np.sort(sign * self.forward(y))
        worst, best = float(v[0]), float(v[-1])
        tenth = float(v[int(0.1 * len(v))])
        # Never closer than 2 % of the best value: ties at the top are no reason to magnify rounding.
        reach = max(1.4 * (best - tenth), 0.02 if self.log else 0.02 * abs(best))
        if 0 < reach < 0.5 * (best - worst):
            worst = best - reach
        self.hidden = int(np.sum(v < worst))
        self.side = "below" if sign > 0 else "above"
        pad = 0.05 * (best - worst) or 0.05 * (abs(best) or 1.0)
        ends = sorted((sign * (worst - (0.02 if self.hidden else 1.0) * pad), sign * (best + pad)))
        self.low, self.high = (float(v) for v in self.back(np.array(ends)))
        lower = 0.0 if y.min() >= 0 and not self.log else -np.inf
        self.bounds = (lower, 1.0 if lower == 0 and y.max() <= 1 else np.inf)

    def cut(self, y: Floats, at: float) -> None:
        """Leaves out what is worse than ``at`` as well, of the (n,) values that the view was made of; nothing where that lies outside."""
        if not self.low < at < self.high:
            return
        if self.side == "below":
            self.low, self.hidden = at, int(np.sum(y < at))
        else:
            self.high, self.hidden = at, int(np.sum(y > at))

    def forward(self, y: npt.ArrayLike) -> Floats:
        """Values as the axis spaces them: themselves, or their decimal logarithms."""
        values = np.asarray(y, dtype=float)
        return np.log10(values) if self.log else values

    def back(self, place: npt.ArrayLike) -> Floats:
        """The inverse of :meth:`forward`."""
        places = np.asarray(place, dtype=float)
        return np.asarray(10.0**places if self.log else places)

    def grid(self, count: int = 240) -> Floats:
        """Positions across the view that the metric can take, as :meth:`forward` gives them."""
        low, high = (float(v) for v in self.forward([self.low, self.high]))
        return np.linspace(max(low, self.bounds[0]), min(high, self.bounds[1]), count)

    def inside(self, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which values are in view."""
        values = np.asarray(y, dtype=float)
        return np.asarray((values >= self.low) & (values <= self.high))

    def smoothing(self, width: float) -> float:
        """A bandwidth for the metric that shows: neither spikes on ties nor one flat band."""
        low, high = (float(v) for v in self.forward([self.low, self.high]))
        return float(np.clip(width, 0.015 * (high - low), 0.1 * (high - low)))
