"""Whether a trial is behind, asked inside a graph of epochs, so that it trains none in vain.

The running trial is asked again afterwards, and decides: see `refine.run.objective.RunningTrial.watch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from refine.design.pruning import Bar


class Bars(NamedTuple):
    """A `Bar` as tensors, in double precision, as the trial compares.

    Attributes:
        column: Which of the logs is measured.
        sign: 1 to maximize, -1 to minimize.
        best: Best value so far, times the sign.
        thresholds: (epochs,) what it must reach.
    """

    column: Any
    sign: Any
    best: Any
    thresholds: Any

    def passed(self, value: Any, best: Any, at: Any) -> tuple[Any, Any]:
        """The best value after an epoch, and whether to go on.

        Args:
            value: What is measured, after this epoch.
            best: Before it.
            at: Which epoch, from 0.
        """
        here = self.sign * tf.cast(value, tf.float64)
        best = tf.where(tf.math.is_finite(here), tf.maximum(best, here), best)
        behind = tf.logical_and(tf.math.is_finite(best), best < self.thresholds[at])
        return best, tf.logical_not(behind)


SPEC = Bars(
    tf.TensorSpec((), tf.int32),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec([None], tf.float64),
)
"""What a graph is traced with."""


def bars(bar: Bar | None, names: Sequence[str], count: int) -> Bars:
    """A bar for a graph; one that everything passes where there is none, or where the metric is not logged."""
    if bar is None or bar.metric not in names:
        bar = Bar(names[0], 1.0, -math.inf, (-math.inf,) * count)
    return Bars(
        tf.constant(names.index(bar.metric), tf.int32),
        tf.constant(bar.sign, tf.float64),
        tf.constant(bar.best, tf.float64),
        tf.constant(bar.thresholds, tf.float64),
    )
