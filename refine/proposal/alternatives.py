"""What else a round suggests: flat parameters that could be fixed where they are cheap, and the next round's size. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA, GOOD, ParameterEvidence, level_positions
from refine.design.space_filling import feasible
from refine.space.encoding import Reference, decode, encode, label
from refine.space.space import Space
from refine.utils.format import join, percent, plural, score

_LEAST_SAVING = 0.05
_LEAST_TRIALS = 5
_HIT, _SURE = 0.05, 0.95


@dataclass(frozen=True)
class Offer:
    """A parameter that could be fixed without loss where it costs least. Offered, never part of what is proposed.

    Attributes:
        name: The parameter's.
        value: The level offered.
        saving: Share of the typical time of a trial that it saves.
        retention: Stated probability that fixing it there keeps a value within epsilon of the best.
        reason: Why, in words.
    """

    name: str
    value: Any
    saving: float
    retention: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "value": encode(self.value),
            "saving": float(f"{self.saving:.6g}"),
            "retention": float(f"{self.retention:.6g}"),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Offer:
        """The offer of :meth:`to_json`'s output."""
        return cls(**{**data, "value": decode(data["value"])})


@dataclass(frozen=True)
class Advice:
    """How large the next round should be.

    Attributes:
        n: Configurations advised for the next round, no more than its space has.
        hit: How many of them, drawn evenly, hit the best 5 % of its space with probability 0.95.
        judge: How many, drawn evenly, bring enough good trials to judge every parameter.
        seconds: How long they take one after the other; NaN where no times are known.
        reason: Why, in words.
    """

    n: int
    hit: int
    judge: int
    seconds: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        seconds = float(f"{self.seconds:.6g}") if math.isfinite(self.seconds) else None
        return {"n": self.n, "hit": self.hit, "judge": self.judge, "seconds": seconds, "reason": self.reason}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Advice:
        """The advice of :meth:`to_json`'s output."""
        return cls(**{**data, "seconds": math.nan if data["seconds"] is None else data["seconds"]})


def offers(
    analysis: Analysis,
    draws: npt.NDArray[np.float64],
    levels: Sequence[npt.NDArray[np.intp]],
    epsilon: float,
    risk: float,
) -> tuple[Offer, ...]:
    """Flat parameters that could be fixed at their cheapest good level.

    Flat means equivalent, not just 'nothing seen': at every level the loss of fixing the parameter there, with the
    others free to make up for it, is within epsilon in all but a share ``risk`` of the surrogate's draws. And the
    time of a trial must depend on it.

    Source: Schuirmann (1987) for testing equivalence by intervals.

    Args:
        analysis: What was measured.
        draws: (g, c) values of the candidate cells in the surrogate's draws, higher is better.
        levels: Per parameter (c,) level numbers of the candidates.
        epsilon: Loss that counts as none.
        risk: Accepted probability of losing more.
    """
    coupled = {k for pair in analysis.pairs if pair.q <= ALPHA for k in (pair.i, pair.j)}
    best = draws.max(axis=1)
    out = []
    for j, e in enumerate(analysis.parameters):
        if e.matters or e.fails or j in coupled or e.cost_q > ALPHA or e.parameter.size < 2:
            continue
        cheapest, saving = _cheapest(e)
        if cheapest is None or saving < _LEAST_SAVING:
            continue
        kept = np.zeros(e.parameter.size)
        for level in range(e.parameter.size):
            here = levels[j] == level
            if here.any():
                kept[level] = (draws[:, here].max(axis=1) >= best - epsilon).mean()
        if kept.min() < 1 - risk:
            continue
        value, text = e.parameter.grid[cheapest], label(e.parameter.grid[cheapest])
        reason = (
            f"{e.name} makes no difference beyond {score(epsilon)} at any of its levels, and a trial with "
            f"{text} takes {percent(saving)} less time than the median one. To fix it: "
            f".edit({{{e.name!r}: {_code(value)}}})"
        )
        claim = (kept[cheapest] * len(draws) + 0.5) / (len(draws) + 1)
        out.append(Offer(e.name, value, saving, float(claim), reason))
    return tuple(out)


def _code(value: Any) -> str:
    """The value as it is typed."""
    return value.path.replace(":", ".") if isinstance(value, Reference) else repr(value)


def _cheapest(e: ParameterEvidence) -> tuple[int | None, float]:
    """The level whose trials take the least time, and the share of the median that it saves."""
    known = [
        (v.seconds, i) for i, v in enumerate(e.levels) if v.n >= _LEAST_TRIALS and math.isfinite(v.seconds)
    ]
    if len(known) < 2:
        return None, 0.0
    typical = float(np.median([s for s, _ in known]))
    seconds, level = min(known)
    return level, 1 - seconds / typical if typical > 0 else 0.0


def left_to_run(analysis: Analysis, space: Space) -> int:
    """How many configurations of a space have not been run, to judge by the evidence.

    Args:
        analysis: What was measured.
        space: A space; of one that lacks a parameter, or has another one, nothing has been run.
    """
    ran = np.ones(len(analysis.X), dtype=np.bool_)
    for j, e in enumerate(analysis.parameters):
        if e.name not in space:
            return feasible(space).high
        levels = np.empty(e.parameter.size, dtype=object)
        levels[:] = e.parameter.grid
        stay = level_positions(e.parameter)[space[e.name].contains(levels)]
        ran &= (np.abs(analysis.X[:, j, None] - stay) < 1e-9).any(axis=1)
    return max(0, feasible(space).high - int(np.unique(analysis.configurations[ran]).size))


def advice(analysis: Analysis, space: Space, left: int, audit: float = 0.05) -> Advice:
    """How large a round on a space should be.

    Args:
        analysis: What was measured.
        space: The space of the next round.
        left: How many configurations it has that have not been run.
        audit: Share of the round that is spent outside.
    """
    hit = math.ceil(math.log(1 - _SURE) / math.log(1 - _HIT))
    needed = max((e.needed for e in analysis.parameters), default=0)
    some = [e for e in analysis.parameters if 0 < e.read < 1]
    rarest = min(some, key=lambda e: e.read, default=None)
    judge = math.ceil(needed / GOOD / (rarest.read if rarest else 1))
    wanted = math.ceil(max(hit, judge) / (1 - audit) / 10) * 10
    n = min(wanted, left)
    times = np.asarray(analysis.table["seconds"], dtype=float) if "seconds" in analysis.table else np.zeros(0)
    times = times[np.isfinite(times)]
    seconds = n * float(np.median(times)) if times.size else math.nan
    parts = [
        f"{plural(hit, 'space-filling configuration')} hit the best {percent(_HIT)} of the proposed space with probability {_SURE}",
        f"{judge} bring the {needed} good trials that it takes to judge {plural(len(analysis.parameters), 'parameter')}"
        + (f", {rarest.name} among them, which {percent(rarest.read)} of the trials read" if rarest else ""),
    ]
    if not left:
        return Advice(n, hit, judge, seconds, f"{join(parts)}, but nothing is left to run of {space.size:,}.")
    text = f"{join(parts)}, so {plural(wanted, 'configuration')} would do"
    if n < wanted:
        text += f"; no more than {n:,} of {space.size:,} are left to run"
    return Advice(n, hit, judge, seconds, text + ".")
