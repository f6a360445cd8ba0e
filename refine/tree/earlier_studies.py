"""Beliefs from earlier studies."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from refine.errors import AnalysisError
from refine.proposal.posterior import surrogate_of
from refine.space.belief import Belief, Near, belief_of
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.tree.lineage import analyze
from refine.tree.round_record import RoundRecord
from refine.utils.action import Action
from refine.utils.arrays import Column

# By how much of the new range the best values of two studies are taken to lie apart in any case: another
# data set.
OTHER = 0.15

# Probability that is left to choices of which earlier studies say nothing, and to all others evenly.
NEW = 0.2


@runtime_checkable
class Rounds(Protocol):
    """A tree of rounds."""

    @property
    def _name(self) -> str:
        """Its name."""

    @property
    def rounds(self) -> Sequence[RoundRecord]:
        """Its rounds, oldest first."""


Study = Rounds | RoundRecord


def stated_belief(belief: object, space: Space) -> Belief | None:
    """The belief of a plan: by parameter, or by earlier studies; ``None`` without one.

    Raises:
        AnalysisError: Earlier studies that tell nothing about the space.
        SpaceError: A belief about a parameter that the space does not have, or in the wrong form.
    """
    if belief is None:
        return None
    if isinstance(belief, Study):
        return belief_like([belief], space)
    if isinstance(belief, list | tuple):
        return belief_like(belief, space)
    return belief_of(belief, space)


def _best_of(study: Study) -> dict[str, Column]:
    """Parameter -> its value in the best candidate of each draw of the posterior of a round."""
    rounds: Sequence[RoundRecord] = [study] if isinstance(study, RoundRecord) else study.rounds[::-1]
    for round_ in rounds:
        with contextlib.suppress(AnalysisError):
            analysis = analyze(round_)
            if (surrogate := surrogate_of(analysis)) is not None:
                best = surrogate.posterior.scores.argmax(axis=1)
                return {e.name: np.asarray(surrogate.columns[e.name])[best] for e in analysis.parameters}
    raise AnalysisError(
        f"belief: {_name(study)} has no round with enough trials to learn from; run one first",
        Action("round.run"),
    )


def _name(study: Study) -> str:
    if isinstance(study, RoundRecord):
        return f"round {study.id}"
    return f"tree {study._name}"


def belief_like(sources: Sequence[Study], space: Space) -> Belief:
    """Belief about shared parameters from the latest posteriors of earlier studies, equally weighted.

    A number is believed near the median of their draws, as widely as these spread and 15 % of the new range
    wider; a choice has the share of draws with it, less a fifth that is left to all.

    Args:
        sources: Trees, of which the latest round that can be analysed speaks, or rounds.
        space: The new space.

    Raises:
        AnalysisError: No source, one without enough trials, or none that shares a parameter with the space.
    """
    listed = isinstance(sources, list | tuple) and len(sources) > 0
    if not listed or not all(isinstance(source, Study) for source in sources):
        raise AnalysisError(
            f"belief must be a mapping by parameter, or a list of trees or rounds, got {sources!r}; for "
            "example belief=[tree]"
        )
    studies = [_best_of(source) for source in sources]
    beliefs = {}
    for name in space.varied:
        drawn = [best[name] for best in studies if name in best]
        if drawn and (suggestion := _suggested(space[name], drawn)) is not None:
            beliefs[name] = suggestion
    if not beliefs:
        raise AnalysisError(
            "belief: earlier studies share no parameter with this space whose values they know; leave belief "
            "out, or state it by parameter"
        )
    names = tuple(dict.fromkeys(_name(source) for source in sources))
    return replace(belief_of(beliefs, space), like=names)


def _suggested(parameter: Parameter, drawn: list[Column]) -> Near | dict[str, float] | None:
    """Belief about one parameter from the draws of several studies; ``None`` without common values."""
    import pandas as pd

    if isinstance(parameter, Categorical) and not parameter.numeric:
        shares_by_study = []
        for values in drawn:
            positions = parameter.positions(values)
            positions = positions[positions >= 0]
            if len(positions):
                shares_by_study.append(np.bincount(positions, minlength=parameter.size) / len(positions))
        if not shares_by_study:
            return None
        shares = (1 - NEW) * np.mean(shares_by_study, axis=0) + NEW / parameter.size
        rounded = [float(s) for s in np.round(shares[:-1], 3)]  # the last choice has the rest
        return dict(zip(parameter.labels[:-1], rounded, strict=True))
    log = isinstance(parameter, Range) and parameter.log
    low = float(min(parameter.grid))
    high = float(max(parameter.grid))
    scaled = np.log if log else np.asarray
    numbers = [np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float) for values in drawn]
    clipped = [np.clip(n[n > (0 if log else -np.inf)], low, high) for n in numbers]
    # The same number from every study, so that studies count equally.
    quantiles = [np.quantile(scaled(n), np.linspace(0.01, 0.99, 50)) for n in clipped if len(n)]
    if not quantiles:
        return None
    width = math.hypot(float(np.std(quantiles)), OTHER * float(np.ptp(scaled([low, high]))))
    middle = float(np.median(quantiles))
    centre = min(high, max(low, float(f"{math.exp(middle) if log else middle:.3g}")))
    if log:
        return Near(centre, within_factor=float(f"{math.exp(width):.3g}"))
    return Near(centre, within=float(f"{width:.3g}"))
