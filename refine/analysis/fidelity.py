"""What cheap trainings tell about full ones: values of cheap trials on the scale of the full level. Pure.

A configuration that ran at a cheap and at the full level is a bridge. Bridges give the line between the
values of the two levels. The posterior learns from them, by its kernel over the fidelity, how far the levels
agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.space.fidelity import fidelity_of
from refine.space.space import Space
from refine.trials.frame import CHEAP_VALUE
from refine.trials.trial import State
from refine.utils.arrays import Bools, Floats, objects

if TYPE_CHECKING:
    import pandas as pd

FEWEST_BRIDGES = 3
"""Fewest bridges for a line of their own; with fewer, all trials of either level give it."""

_MOST_SLOPE = 20.0


class Line(NamedTuple):
    """The line between the values of a cheap level and those of the full level."""

    level: float  # the cheap level
    intercept: float
    slope: float
    log: bool  # whether the line is between logarithms of losses

    def to_full(self, values: Floats) -> Floats:
        """Values of the cheap level on the scale of the full level."""
        if self.log:
            with np.errstate(over="ignore"):
                return np.asarray(np.exp(self.intercept + self.slope * np.log(values)))
        return np.asarray(self.intercept + self.slope * values)


class Bridges(NamedTuple):
    """Configurations that ran at a cheap level and at the full level, and the lines between the levels."""

    name: str  # name of the fidelity
    full: float  # the full level
    lines: Mapping[float, Line]  # cheap level -> its line
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
    state = (
        objects(["complete"] * len(frame)) if "state" not in frame else frame["state"].to_numpy(dtype=object)
    )
    below = (number >= 0) & (number < len(fidelity.levels) - 1) & (state == State.COMPLETE)
    if not below.any():
        return frame
    cheap = np.full(len(frame), np.nan)
    if CHEAP_VALUE in frame:
        cheap = frame[CHEAP_VALUE].to_numpy(dtype=float)
    state = np.where(below, State.CHEAP, state)
    return frame.assign(
        **{
            CHEAP_VALUE: np.where(below, values, cheap),
            value: np.where(below, np.nan, values),
            "state": state,
        }
    )


def bridged(space: Space, frames: Sequence[pd.DataFrame], value: str, sign: float) -> Bridges | None:
    """The bridges among tables of trials, and the lines of all cheap levels.

    ``None`` without a fidelity, or without a cheap trial or a finished trial at the full level.
    """
    named = fidelity_of(space)
    if named is None:
        return None
    import pandas as pd

    name, fidelity = named
    parts = []
    for frame in frames:
        cheap = (
            frame[CHEAP_VALUE].to_numpy(dtype=float) if CHEAP_VALUE in frame else np.full(len(frame), np.nan)
        )
        state = (
            frame["state"].to_numpy(dtype=object) if "state" in frame else objects(["complete"] * len(frame))
        )
        full = np.where(state == State.COMPLETE, np.asarray(frame[value], dtype=float), np.nan)
        keys = frame[[n for n in space if n != name and n in frame]].astype(str).agg("|".join, axis=1)
        level = np.asarray(frame[name], dtype=float)
        parts.append(pd.DataFrame({"key": keys, "level": level, "cheap": cheap, "full": full}))
    trials = pd.concat(parts, ignore_index=True)
    cheap_trials = trials[np.isfinite(trials["cheap"])]
    full_trials = trials[np.isfinite(trials["full"]) & (trials["level"] == float(fidelity.full))]
    if cheap_trials.empty or full_trials.empty:
        return None
    at_full = full_trials.groupby("key", sort=True)["full"].mean()
    lines = {}
    pairs = cheap_trials[cheap_trials["key"].isin(at_full.index)].sort_values(["level", "key"])
    pairs = pairs.drop_duplicates(["level", "key"])
    log = bool(sign < 0 and (cheap_trials["cheap"] > 0).all() and (full_trials["full"] > 0).all())
    for level, of_level in cheap_trials.groupby("level", sort=True):
        bridges = pairs[pairs["level"] == level]
        a, b = bridges["cheap"].to_numpy(), at_full[bridges["key"]].to_numpy()
        if len(a) < FEWEST_BRIDGES:
            a, b = of_level["cheap"].to_numpy(), full_trials["full"].to_numpy()
        lines[float(level)] = _line(float(level), a, b, log)
    return Bridges(
        name=name,
        full=float(fidelity.full),
        lines=lines,
        level=pairs["level"].to_numpy(dtype=float),
        cheap=pairs["cheap"].to_numpy(dtype=float),
        at_full=at_full[pairs["key"]].to_numpy(dtype=float),
        n_cheap=len(cheap_trials),
        n_full=len(full_trials),
    )


def _line(level: float, cheap: Floats, full: Floats, log: bool) -> Line:
    """The line through quantiles of cheap and of full values, which need not be pairs.

    A regression on noisy pairs would shrink the spread of the values, as if the cheap trials had less to tell
    about the best than about the middle.
    """
    shares = np.linspace(0, 1, min(len(cheap), len(full)))
    a, b = (np.quantile(np.log(v) if log else v, shares) for v in (cheap, full))
    spread = float(np.sum((a - a.mean()) ** 2))
    slope = float(np.sum((a - a.mean()) * (b - b.mean()))) / spread if spread > 0 else 0.0
    slope = min(max(slope, 0.0), _MOST_SLOPE)
    return Line(level, float(b.mean() - slope * a.mean()), slope, log)


def with_forecasts(frame: pd.DataFrame, bridges: Bridges | None) -> pd.DataFrame:
    """The table with forecasts of full values for its cheap trials, in the column ``forecast``."""
    if bridges is None or CHEAP_VALUE not in frame:
        return frame
    forecast = np.full(len(frame), np.nan)
    if "forecast" in frame:
        forecast = frame["forecast"].to_numpy(dtype=float)
    cheap = frame[CHEAP_VALUE].to_numpy(dtype=float)
    level = np.asarray(frame[bridges.name], dtype=float)
    for line in bridges.lines.values():
        rows = (level == line.level) & np.isfinite(cheap)
        forecast[rows] = line.to_full(cheap[rows])
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
    if "state" not in frame:
        return np.zeros(len(frame), dtype=np.bool_)
    return np.asarray(frame["state"] == State.CHEAP, dtype=np.bool_)
