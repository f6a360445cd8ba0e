"""A dozen closed-form surfaces over small grids, with the best cell known by enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

import refine
from refine.design.space_filling import Sobol, draw
from refine.utils.format import chance_words

_AXES = dict.fromkeys("abcd", (0.0, 1.0, 9))
_CHOICES = ["u", "v", "w"]


class Surface(NamedTuple):
    """An objective over a space; larger is better."""

    space: refine.Space
    value: Callable[[pd.DataFrame], np.ndarray]  # (n,) expected values; NaN where a trial fails
    noise: float = 0.02  # standard deviation of the values, in multiples of (best - median)


class Claim(NamedTuple):
    """A printed claim, and whether it came true."""

    surface: str
    risk: float  # the risk asked for
    printed: str  # :func:`refine.utils.format.chance_words`
    probability: float  # the model probability behind it
    lost: bool  # whether the best cell inside is worse than the best cell by more than epsilon
    share_kept: float  # of the space


def _axes(frame):
    return frame[list("abcd")].to_numpy(float)


def _bowl(frame):
    return -((_axes(frame) - [0.3, 0.6, 0.8, 0.1]) ** 2 @ [4.0, 2.0, 1.0, 0.5])


def _ridge(frame):
    x = _axes(frame)
    return -6 * (x[:, 0] + x[:, 1] - 1.1) ** 2 - 0.5 * (x[:, 0] - 0.7) ** 2 - (x[:, 2] - 0.4) ** 2


def _plateau(frame):
    return -np.maximum(0.0, np.abs(_axes(frame) - [0.4, 0.6, 0.5, 0.5]) - 0.2) @ [3.0, 2.0, 1.0, 0.0]


def _bump(frame, centre, width):
    return np.exp(-((_axes(frame)[:, :3] - centre) ** 2).sum(axis=1) / (2 * width**2))


def _two_peaks(frame):
    return np.maximum(_bump(frame, [0.2, 0.25, 0.5], 0.25), 0.93 * _bump(frame, [0.8, 0.75, 0.5], 0.25))


def _narrow_beside_broad(frame):
    return np.maximum(1.05 * _bump(frame, [0.8, 0.2, 0.4], 0.13), _bump(frame, [0.25, 0.75, 0.5], 0.3))


def _corner(frame):
    return _axes(frame) @ [1.0, -0.7, 0.4, 0.0]


def _decades(frame):
    return -(10.0 ** (-3 + 3 * ((_axes(frame) - [0.4, 0.5, 0.6, 0.5]) ** 2 @ [5.0, 3.0, 1.0, 0.0])))


def _beside_failures(frame):
    x = _axes(frame)
    size = x[:, 0] + x[:, 1]
    return np.where(size > 1.3, np.nan, size - 0.6 * np.abs(x[:, 0] - x[:, 1]) - 0.4 * (x[:, 2] - 0.5) ** 2)


def _equal_choices(frame):
    return _bowl(frame) - 0.5 * (frame["e"] == "w")


def _conditional(frame):
    momentum = pd.to_numeric(frame["m"]).fillna(0.0).to_numpy(float)
    sgd = (frame["e"] == "w").to_numpy()
    return _bowl(frame) + np.where(sgd, -0.3 - 2.0 * (momentum - 0.75) ** 2, -0.2)


_PLAIN = refine.Space(_AXES)
_WITH_CHOICE = refine.Space({**_AXES, "e": _CHOICES})

SURFACES = {
    "smooth bowl off centre": Surface(_PLAIN, _bowl),
    "noisy bowl": Surface(_PLAIN, _bowl, 0.15),
    "bowl without noise": Surface(_PLAIN, _bowl, 0.0),
    "ridge": Surface(_PLAIN, _ridge),
    "plateau": Surface(_PLAIN, _plateau),
    "two peaks": Surface(_PLAIN, _two_peaks),
    "narrow peak beside a broad one": Surface(_PLAIN, _narrow_beside_broad),
    "optimum in a corner": Surface(_PLAIN, _corner),
    "loss over decades": Surface(_PLAIN, _decades),
    "failures beside the optimum": Surface(_PLAIN, _beside_failures),
    "equal choices": Surface(_WITH_CHOICE, _equal_choices),
    "inert parameters": Surface(refine.Space({**_AXES, "f": (0, 7), "e": _CHOICES}), _bowl),
    "conditional parameter": Surface(
        refine.Space({**_AXES, "e": _CHOICES, "m": refine.Float(0.0, 1.0, levels=5, when="e == 'w'")}),
        _conditional,
    ),
}


def _frame(space, rows):
    """Values of (n, parameters) level numbers; None for a parameter that a configuration does not have."""
    frame = pd.DataFrame(space.columns(rows))
    for name, mask in space.active(rows).items():
        frame[name] = frame[name].astype(object).where(mask, None)
    return frame


def claims(name, seed, n=60, risks=(0.05, 0.15, 0.3)):
    """The claims on a round of ``n`` even trials of a surface, judged by its expected values."""
    space, value, share = SURFACES[name]
    cells = np.stack(np.meshgrid(*(np.arange(space[p].size) for p in space), indexing="ij"), axis=-1)
    everywhere = _frame(space, cells.reshape(-1, len(space)))
    truth = value(everywhere)
    best = np.nanmax(truth)
    noise = share * (best - np.nanmedian(truth))
    rows = draw(Sobol(), space, n, seed)
    frame = _frame(space, rows)
    rng = np.random.default_rng(seed)
    frame["value"] = value(frame) + noise * rng.normal(size=n)
    frame["state"] = np.where(frame["value"].isna(), "failed", "complete")
    analysis = refine.analyze(space, frame, read=space.active(rows), seed=seed)
    proposal = refine.propose(analysis)
    for risk in risks:
        proposal_at_risk = proposal.at(risk)
        inside = np.ones(len(truth), dtype=bool)
        for parameter in space:
            column = everywhere[parameter]
            inside &= proposal_at_risk.space[parameter].contains(column.to_numpy()) | column.isna().to_numpy()
        loss = best - np.nanmax(truth[inside], initial=-np.inf)
        stated = 1 - proposal_at_risk.claim.probability
        lost = bool(loss > proposal_at_risk.claim.epsilon + 1e-9)
        yield Claim(name, risk, chance_words(stated), stated, lost, float(inside.mean()))
