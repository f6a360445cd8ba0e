"""What earlier studies suggest for a new one: a belief made of their posteriors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError
from refine.proposal.surrogate import Surrogate, surrogate_of
from refine.space.belief import Belief, Near, belief_of
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.tree.round import Round
from refine.utils.action import Action


class Study(Protocol):
    """A tree, as far as it is asked here."""

    @property
    def name(self) -> str:
        """Name of the question."""

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds, oldest first."""


OTHER = 0.15
"""By how much of the new range the best values of two studies are taken to lie apart in any case: another data set."""

NEW = 0.2
"""Probability that is left to choices of which earlier studies say nothing, and to all others evenly."""


def belief_like(sources: Sequence[Study | Round], space: Space) -> Belief:
    """What earlier studies suggest for a new space, of parameters that they share with it.

    Of every study the draws of its latest posterior say where its best value may lie. The studies count equally. A number
    is believed near the median of their draws, as widely as these spread and 15 % of the new range wider; a choice has the
    share of draws with it, less a fifth that is left to all.

    Args:
        sources: Trees, of which the latest round that can be analysed speaks, or rounds.
        space: The new space.

    Raises:
        AnalysisError: No source, one without enough trials, or none that shares a parameter with the space.
    """
    if not isinstance(sources, list | tuple) or not sources:
        raise AnalysisError(f"like must be a list of trees or rounds, got {sources!r}; such as like=[tree]")
    found = [best_of(*analysed(source, "like")) for source in sources]
    said = {}
    for name, parameter in ((name, space[name]) for name in space.varied):
        drawn = [of[name] for of in found if name in of]
        if drawn and (what := _suggested(parameter, drawn)) is not None:
            said[name] = what
    if not said:
        raise AnalysisError(
            "like: earlier studies share no parameter with this space whose values they know; leave like out, or say a belief"
        )
    names = tuple(dict.fromkeys(_name(source) for source in sources))
    return replace(belief_of(said, space), like=names)


def _name(source: Study | Round) -> str:
    return f"round {source.id}" if isinstance(source, Round) else f"tree {source.name}"


def best_of(analysis: Analysis, surrogate: Surrogate) -> dict[str, npt.NDArray[Any]]:
    """Parameter -> its value in the best candidate of every draw of a study's posterior."""
    best = surrogate.posterior.scores.argmax(axis=1)
    return {e.name: np.asarray(surrogate.columns[e.name])[best] for e in analysis.parameters}


def analysed(source: Study | Round, what: str, *, oldest: bool = False) -> tuple[Analysis, Surrogate]:
    """A study's analysis, with its posterior: of a round, or of a tree's latest, or oldest, round that can be analysed.

    Args:
        source: The study.
        what: What it is asked for, which an error begins with.
        oldest: Whether the widest space is wanted instead of what is known last.

    Raises:
        AnalysisError: It has no round with enough trials.
    """
    rounds = (
        [source] if isinstance(source, Round) else list(source.rounds if oldest else reversed(source.rounds))
    )
    for each in rounds:
        try:
            analysis: Analysis = each.analyze()
        except AnalysisError:
            continue
        surrogate = surrogate_of(analysis)
        if surrogate is not None:
            return analysis, surrogate
    raise AnalysisError(
        f"{what}: {_name(source)} has no round with enough trials to learn from; run one first",
        Action("round.run"),
    )


def _suggested(parameter: Parameter, drawn: list[npt.NDArray[Any]]) -> Near | dict[str, float] | None:
    """What the draws of several studies say of one parameter; ``None`` where they know none of its values."""
    if isinstance(parameter, Categorical) and not parameter.numeric:
        shares = np.zeros(parameter.size)
        for values in drawn:
            at = parameter.positions(values)
            known = at[at >= 0]
            if len(known):
                shares += np.bincount(known, minlength=parameter.size) / len(known)
        if not shares.sum():
            return None
        shares = (1 - NEW) * shares / shares.sum() + NEW / parameter.size
        rounded = [float(s) for s in np.round(shares[:-1], 3)]  # the last choice has what is left
        return dict(zip(parameter.labels[:-1], rounded, strict=True))
    log = isinstance(parameter, Range) and parameter.log
    numbers = []
    for values in drawn:
        try:
            found = np.asarray(values, dtype=float)
        except ValueError:
            continue
        numbers.append(found[found > 0] if log else found)
    if not any(len(n) for n in numbers):
        return None
    low, high = float(min(parameter.grid)), float(max(parameter.grid))

    def scaled(x: Any) -> npt.NDArray[np.float64]:
        return np.asarray(np.log(x) if log else x, dtype=float)

    clipped = [scaled(np.clip(n, low, high)) for n in numbers if len(n)]
    every = np.concatenate(
        [np.quantile(n, np.linspace(0.01, 0.99, 50)) for n in clipped]
    )  # studies count equally
    ends = scaled([low, high])
    width = math.hypot(float(every.std()), OTHER * float(ends[1] - ends[0]))
    middle = float(np.median(every))
    centre = min(high, max(low, float(f"{math.exp(middle) if log else middle:.3g}")))
    if log:
        return Near(centre, within_factor=float(f"{math.exp(width):.3g}"))
    return Near(centre, within=float(f"{width:.3g}"))
