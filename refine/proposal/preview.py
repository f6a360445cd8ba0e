"""What a decision would mean, before it is taken: best trials kept, volume, risk, density and time of the next round. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.design.space_filling import feasible
from refine.errors import did_you_mean
from refine.proposal.alternatives import left_to_run
from refine.proposal.proposal import Proposal
from refine.space.categorical import Categorical
from refine.space.encoding import value_key
from refine.space.space import Space
from refine.trials.frame import best_first
from refine.utils.display import Cell, Grid, Page, Shown, Text
from refine.utils.format import duration, join, percent, plural, score

_TOP = 0.1
_LEAST_TOP = 10
_LEAST_TIMED = 5


@dataclass(frozen=True)
class Preview(Shown):
    """What a space would mean for the next round.

    Attributes:
        space: The space looked at.
        kept: Volume kept of the present space.
        proposed_kept: The same of what was proposed.
        retention: Probability that the best value inside is within epsilon of the best in the present space; NaN where
            it can't be told.
        proposed_retention: The same of what was proposed.
        epsilon: Loss that counts as none.
        metric: Name of the metric.
        top: How many of the round's trials are its top: a tenth, at least 10.
        top_kept: How many of those lie inside.
        best: The best value of the round, and
        best_kept: of its trials inside; NaN without one.
        lost: Ranks of the trials among the best 10 that lie outside; 1 is the best.
        n: Configurations of the next round: as many as asked for, or as are left.
        exist: Configurations that the space has, or the best estimate.
        left: How many of them have not been run, to judge by the evidence.
        hit: Probability that the next round hits the best 5 % of the space.
        seconds: Estimated time of the next round; NaN where trials say nothing of it.
        workers: How many trials run at a time.
        unknown: What of the choices is new to the present space.
        vain: How many trials inside ended without a value.
    """

    space: Space
    kept: float
    proposed_kept: float
    retention: float
    proposed_retention: float
    epsilon: float
    metric: str
    top: int
    top_kept: int
    best: float
    best_kept: float
    lost: tuple[int, ...]
    n: int
    exist: int
    left: int
    hit: float
    seconds: float
    workers: int
    unknown: tuple[str, ...] = ()
    vain: int = 0

    def page(self) -> Page:
        """Best trials kept, volume, risk, density and time of the next round, beside the proposal's."""
        stay = f"{self.top_kept} of the top {self.top} stay" + ("" if self.lost else ", the best among them")
        rows: tuple[tuple[str | Cell, ...], ...] = (
            ("best trials", Cell(stay, "bad" if self.throws else "warn" if self.lost else "good")),
            (
                "volume",
                f"{percent(self.kept)} of the present space (proposed: {percent(self.proposed_kept)})",
            ),
            ("risk", _risk(self.retention, self.proposed_retention)),
            (
                "next round",
                f"{self.n:,} of {self.left:,} left to run ({self.exist:,} exist), hits the best 5 % "
                f"with probability {percent(self.hit)}"
                if self.left
                else f"nothing is left to run: all {self.exist:,} configurations were"
                if self.exist
                else "no configuration exists: the constraints leave none",
            ),
            ("time", _time(self.seconds, self.workers)),
            *(("new", Cell(text, "warn")) for text in self.unknown),
        )
        warning = (Text(self.warning, "bad" if self.throws else "warn"),) if self.warning else ()
        calls = (".edit(name=(low, high))", ".accept(note=..., n=...)")
        return Page("If you accept this", (Grid(("what", "comes of it"), rows), *warning), calls)

    @property
    def throws(self) -> bool:
        """Whether the best value is lost: the best trial lies outside, and none inside is as good."""
        return 1 in self.lost and self.best_kept != self.best

    @property
    def warning(self) -> str:
        """What of the best would be thrown away; empty where nothing."""
        if 1 in self.lost and not self.throws:
            return f"The best trial lies outside; others as good ({self.metric} {score(self.best)}) stay."
        if self.throws:
            inside = f"the best inside is {score(self.best_kept)}"
            if math.isnan(self.best_kept):
                inside = (
                    f"of the {plural(self.vain, 'trial')} inside none gave a value"
                    if self.vain
                    else "no trial lies inside"
                )
            return f"Careful: this throws away the best trial ({self.metric} {score(self.best)}); {inside}."
        if self.lost:
            ranks = join([str(rank) for rank in self.lost])
            lie = "lies" if len(self.lost) == 1 else "lie"
            return f"{plural(len(self.lost), 'trial')} of the best 10 {lie} outside: rank {ranks}."
        return ""

    def __repr__(self) -> str:
        return str(self)


def _risk(mine: float, proposed: float) -> str:
    if math.isnan(mine):
        return "can't be told: too few of the candidate cells lie inside"
    then = "" if math.isnan(proposed) else f" (proposed: {proposed:.2f})"
    return f"nothing that matters is lost with probability {mine:.2f}{then}"


def _time(seconds: float, workers: int) -> str:
    if math.isnan(seconds):
        return "not known: the trials don't say how long they took"
    return f"about {duration(seconds)} with {plural(workers, 'worker')}"


def preview_of(
    proposal: Proposal, analysis: Analysis, space: Space, n: int, workers: int, allow_degenerate: bool = False
) -> Preview:
    """What a space would mean for the next round.

    Args:
        proposal: What was proposed on the round.
        analysis: Of the round.
        space: The space to look at.
        n: Configurations of the next round; as many as exist where there are fewer.
        workers: How many trials run at a time.
        allow_degenerate: Whether degenerate trials may be called best.
    """
    ranked = best_first(analysis.table, analysis.direction, analysis.space, allow_degenerate)
    top = min(len(ranked), max(_LEAST_TOP, math.ceil(_TOP * len(ranked))))
    inside = np.asarray(space.contains(ranked), dtype=bool) if _comparable(space, analysis.space) else None
    if inside is None:  # a branch that adds parameters: no trial says where it lies
        inside = np.zeros(len(ranked), dtype=bool)
    values = np.asarray(ranked["value"], dtype=float)
    exist, left = feasible(space), left_to_run(analysis, space)
    n = min(n, left)
    seconds = (
        np.asarray(ranked["seconds"], dtype=float) if "seconds" in ranked else np.full(len(ranked), np.nan)
    )
    timed = np.isfinite(seconds)
    similar = timed & inside if (timed & inside).sum() >= _LEAST_TIMED else timed
    each = float(seconds[similar].mean()) if similar.any() else math.nan
    return Preview(
        space=space,
        kept=proposal.old.volume_kept(space),
        proposed_kept=proposal.kept,
        retention=proposal.retention_of(space),
        proposed_retention=proposal.retention,
        epsilon=proposal.epsilon,
        metric=analysis.metric,
        top=top,
        top_kept=int(inside[:top].sum()),
        best=float(values[0]) if len(values) else math.nan,
        best_kept=float(values[inside][0]) if inside.any() else math.nan,
        lost=tuple(int(i) + 1 for i in np.flatnonzero(~inside[:10])),
        n=n,
        exist=exist.count,
        left=left,
        hit=float(stats.hit_probability(n, 0.05)),
        seconds=each * math.ceil(n / workers) if workers else math.nan,
        workers=workers,
        unknown=new_values(proposal.old, space, proposal.space),
        vain=_vain(analysis, space),
    )


def _vain(analysis: Analysis, space: Space) -> int:
    """How many trials inside ended without a value."""
    if not _comparable(space, analysis.space):
        return 0
    table = analysis.table[~np.isfinite(np.asarray(analysis.table["value"], dtype=float))]
    return int(np.asarray(space.contains(table), dtype=bool).sum()) if len(table) else 0


def new_values(old: Space, new: Space, proposed: Space | None = None) -> tuple[str, ...]:
    """Values of choices that the old space does not have: they may be meant, or typing errors.

    Args:
        old: The present space.
        new: The space looked at.
        proposed: What a proposal let in is no typing error.
    """
    found = []
    for name, parameter in new.items():
        previous = old.get(name)
        if not isinstance(previous, Categorical) or not isinstance(parameter, Categorical):
            continue
        let_in = proposed.get(name) if proposed is not None else None
        known = {value_key(v) for p in (previous, let_in) if isinstance(p, Categorical) for v in p.grid}
        for label, value in zip(parameter.labels, parameter.grid, strict=True):
            if value_key(value) not in known:
                found.append(f"{label} of {name} is new to this space{_meant(label, previous)}")
    return tuple(found)


def _meant(label: str, previous: Categorical) -> str:
    hint = did_you_mean(label, previous.labels)
    return f"; {hint}" if hint.startswith("did you mean") else ""


def _comparable(space: Space, old: Space) -> bool:
    return all(name in old for name in space)
