"""What cheap trainings tell about full ones: values of cheap trials on the scale of the full level. Pure.

A configuration that ran at a cheap and at the full level is a bridge. Bridges give the scale of a cheap
level: the full value with the same rank. The posterior learns from them, by its kernel over the fidelity, how
far the levels agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.space.fidelity import fidelity_of
from refine.space.space import Space
from refine.trials.frame import CHEAP_VALUE
from refine.trials.trial import State
from refine.utils.arrays import Bools, Column, Floats, objects

if TYPE_CHECKING:
    import pandas as pd

FEWEST_BRIDGES = 3
"""Fewest bridges that give a scale; with fewer, all trials of either level do."""


class Scale(NamedTuple):
    """Values of a cheap level and of the full level with equal ranks, which translate one into the other."""

    level: float  # the cheap level
    cheap: Floats  # (k,) values of the cheap level, increasing; logarithms of them if ``log``
    full: Floats  # (k,) values of the full level with the same ranks, alike
    slope: float  # beyond the ends
    log: bool  # whether values are losses, which are matched by their logarithms

    def to_full(self, values: Floats) -> Floats:
        """Values of the cheap level on the scale of the full level."""
        x = np.log(values) if self.log else values
        inside = np.clip(x, self.cheap[0], self.cheap[-1])
        matched = np.interp(inside, self.cheap, self.full) + self.slope * (x - inside)
        if self.log:
            with np.errstate(over="ignore"):
                matched = np.exp(matched)
        return np.asarray(matched)


class Bridges(NamedTuple):
    """Configurations that ran at a cheap level and at the full level, and the scales of the levels."""

    name: str  # name of the fidelity
    full: float  # the full level
    scales: Mapping[float, Scale]  # cheap level -> its scale
    level: Floats  # (k,) cheap levels of the bridges
    cheap: Floats  # (k,) values at the cheap level, in the metric's own sign
    at_full: Floats  # (k,) values at the full level
    n_cheap: int  # number of cheap trials
    n_full: int  # number of trials at the full level

    @property
    def agreement(self) -> float:
        """Spearman's rank correlation of the two values of the bridges; NaN with fewer than three of them."""
        from scipy.stats import spearmanr

        if len(self.cheap) < FEWEST_BRIDGES or not (np.ptp(self.cheap) > 0 and np.ptp(self.at_full) > 0):
            return float("nan")
        return float(spearmanr(self.cheap, self.at_full).statistic)


def with_cheap_states(space: Space, frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """The table with its finished trials below the full level marked as cheap; unchanged without a fidelity.

    The values of these trials move to the column of cheap values.
    """
    named = fidelity_of(space)
    if named is None or named[0] not in frame:
        return frame
    name, fidelity = named
    number = fidelity.level_numbers(frame[name].to_numpy())
    values = np.asarray(frame[value], dtype=float)
    state = _states(frame)
    below = (number >= 0) & (number < len(fidelity.levels) - 1) & (state == State.COMPLETE)
    if not below.any():
        return frame
    columns = {
        CHEAP_VALUE: np.where(below, values, _column(frame, CHEAP_VALUE)),
        value: np.where(below, np.nan, values),
        "state": np.where(below, State.CHEAP, state),
    }
    return frame.assign(**columns)


def _states(frame: pd.DataFrame) -> Column:
    """(n,) states of trials; complete without such a column."""
    if "state" not in frame:
        return objects([State.COMPLETE] * len(frame))
    return frame["state"].to_numpy(dtype=object)


def _column(frame: pd.DataFrame, name: str) -> Floats:
    """(n,) numbers of a column; NaN without it."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return np.asarray(frame[name], dtype=float)


def bridged(space: Space, frames: Sequence[pd.DataFrame], value: str, sign: float) -> Bridges | None:
    """The bridges among tables of trials, and the scales of all cheap levels.

    ``None`` without a fidelity, or without a cheap trial or a finished trial at the full level.
    """
    named = fidelity_of(space)
    if named is None:
        return None
    import pandas as pd

    name, fidelity = named
    parts = []
    for frame in frames:
        cheap = _column(frame, CHEAP_VALUE)
        full = np.where(_states(frame) == State.COMPLETE, _column(frame, value), np.nan)
        keys = frame[[n for n in space if n != name and n in frame]].astype(str).agg("|".join, axis=1)
        level = np.asarray(frame[name], dtype=float)
        parts.append(pd.DataFrame({"key": keys, "level": level, "cheap": cheap, "full": full}))
    trials = pd.concat(parts, ignore_index=True)
    cheap_trials = trials[np.isfinite(trials["cheap"])]
    full_trials = trials[np.isfinite(trials["full"]) & (trials["level"] == float(fidelity.full))]
    if cheap_trials.empty or full_trials.empty:
        return None
    at_full = full_trials.groupby("key", sort=True)["full"].mean()
    scales = {}
    pairs = cheap_trials[cheap_trials["key"].isin(at_full.index)].sort_values(["level", "key"])
    pairs = pairs.drop_duplicates(["level", "key"])
    log = bool(sign < 0 and (cheap_trials["cheap"] > 0).all() and (full_trials["full"] > 0).all())
    for level, of_level in cheap_trials.groupby("level", sort=True):
        bridges = pairs[pairs["level"] == level]
        a = bridges["cheap"].to_numpy()
        b = at_full[bridges["key"]].to_numpy()
        if len(a) < FEWEST_BRIDGES:
            a = of_level["cheap"].to_numpy()
            b = full_trials["full"].to_numpy()
        scales[float(level)] = _scale(float(level), a, b, log)
    return Bridges(
        name=name,
        full=float(fidelity.full),
        scales=scales,
        level=pairs["level"].to_numpy(dtype=float),
        cheap=pairs["cheap"].to_numpy(dtype=float),
        at_full=at_full[pairs["key"]].to_numpy(dtype=float),
        n_cheap=len(cheap_trials),
        n_full=len(full_trials),
    )


def _scale(level: float, cheap: Floats, full: Floats, log: bool) -> Scale:
    """The scale of a cheap level by quantiles of cheap and of full values, which need not be pairs.

    A regression on noisy pairs would shrink the spread of the values, as if the cheap trials had less to tell
    about the best than about the middle.
    """
    shares = np.linspace(0, 1, min(len(cheap), len(full)))
    a, b = (np.quantile(np.log(v) if log else v, shares) for v in (cheap, full))
    width = float(a[-1] - a[0])
    slope = float(b[-1] - b[0]) / width if width > 0 else 0.0
    return Scale(level, a, b, slope, log)


def with_forecasts(frame: pd.DataFrame, bridges: Bridges | None) -> pd.DataFrame:
    """The table with forecasts of full values for its cheap trials, in the column ``forecast``."""
    if bridges is None or CHEAP_VALUE not in frame:
        return frame
    forecast = _column(frame, "forecast").copy()
    cheap = _column(frame, CHEAP_VALUE)
    level = _column(frame, bridges.name)
    for scale in bridges.scales.values():
        rows = (level == scale.level) & np.isfinite(cheap)
        forecast[rows] = scale.to_full(cheap[rows])
    return frame.assign(forecast=forecast)


def level_positions_of(space: Space, frame: pd.DataFrame) -> Floats | None:
    """(n,) positions of trials from the cheapest level, 0, to the full one, 1; ``None`` without one."""
    named = fidelity_of(space)
    if named is None:
        return None
    name, fidelity = named
    return fidelity.unit(frame[name].to_numpy())


def cheap_rows(frame: pd.DataFrame) -> Bools:
    """(n,) mask of cheap trials."""
    return np.asarray(_states(frame) == State.CHEAP, dtype=np.bool_)
