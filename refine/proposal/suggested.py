"""Questions worth asking, because the answer would change a decision on the proposal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from refine.analysis.evidence import level_axis
from refine.proposal.proposal import Proposal
from refine.proposal.question import FEW, THIN, Evidence, Masks, askable, compared, condition_in
from refine.space.categorical import Categorical
from refine.space.constraints import one_of
from refine.space.parameters import Parameter
from refine.utils.arrays import Bools

CUT = "cut"
THIN_REGION = "thin"
INTERACTION = "interaction"

MOST = 3
"""Most questions that are suggested at a time."""

# Chance of either answer below which a question is not worth asking.
_DOUBT = 0.05
# Risk of the bolder proposal whose cuts are asked about; the proposal itself makes those below its own risk.
_BOLD = 0.3
# Smallest chance of a value as good as the best at which a region is worth a question.
_PLAUSIBLE = 0.15
# Smallest fall of the chance of a cut, within a condition, that counts as an interaction.
_FALL = 0.2
# The search for interactions uses every fourth draw.
_STRIDE = 4
_CUTS = 4  # largest number of cuts checked for interactions


class SuggestedQuestion(NamedTuple):
    """A question with an answer that would change a decision.

    Attributes:
        kind: ``"cut"`` (a cut that the proposal is unsure of), ``"thin"`` (a region hardly tried that may
            hold the best) or ``"interaction"`` (a cut that may lose within a condition on another parameter).
        parameters: The parameters in it, that of the cut first.
        question: The expression.
        given: The condition within which to ask; ``None`` without one.
        probability: Probability of a yes, as :meth:`Tree.ask` states it.
        trials: Finished trials inside.
        considered: Finished trials that are compared.
    """

    kind: str
    parameters: tuple[str, ...]
    question: str
    given: str | None
    probability: float
    trials: int
    considered: int


class _Cut(NamedTuple):
    """A cut of a parameter."""

    name: str
    expression: str
    inside: Masks
    probability: float  # model probability that the best inside is within epsilon of the best


def suggested_questions(evidence: Evidence, proposal: Proposal) -> tuple[SuggestedQuestion, ...]:
    """At most three questions: the most doubtful cuts, a region hardly tried, an interaction."""
    cuts = _cuts(evidence, proposal)
    regions = (_thin_region(evidence, proposal), _interaction(evidence, proposal, cuts))
    questions = [question for question in regions if question is not None]
    asked = {question.question for question in questions if question.given is None}
    unsure = sorted(
        (cut for cut in cuts if _doubt(cut) >= _DOUBT and cut.expression not in asked),
        key=lambda cut: -_doubt(cut),
    )
    of_cuts = [
        _question(evidence, CUT, (cut.name,), cut.expression, cut.inside, cut.probability)
        for cut in unsure[: MOST - len(questions)]
    ]
    return (*of_cuts, *questions)


def region_text(name: str, old: Parameter, mask: Bools) -> str:
    """The region of some levels of a parameter as an expression: ``lr <= 0.1``, ``model in ['svr', 'gbt']``.

    Args:
        name: The name of the parameter.
        old: The parameter.
        mask: (levels,) mask of the levels inside; of an ordered parameter without a gap.
    """
    levels = np.flatnonzero(mask)
    if isinstance(old, Categorical):
        return one_of(name, [old.grid[i] for i in levels])
    if len(levels) == 1:
        return f"{name} == {old.grid[levels[0]]!r}"
    grid = np.asarray(old.grid, dtype=float)
    below = -math.inf
    above = math.inf
    if levels[0]:
        below = float(grid[levels[0] - 1])
    if not mask[-1]:
        above = float(grid[levels[-1] + 1])
    low = _number_text(float(grid[levels[0]]), below)
    high = _number_text(float(grid[levels[-1]]), above)
    if mask[0]:
        return f"{name} <= {high}"
    if mask[-1]:
        return f"{name} >= {low}"
    return f"{low} <= {name} <= {high}"


def _number_text(value: float, limit: float) -> str:
    """A bound of few digits between a level and the next level ``limit``: it divides the levels alike."""
    if value == float(f"{value:.3g}"):
        return f"{value:g}"
    for digits in range(2, 7):
        step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
        count = math.floor(value / step)
        if limit > value:
            count = math.ceil(value / step)
        bound = float(f"{count * step:.{digits}g}")
        if min(value, limit) <= bound <= max(value, limit) and bound != limit:
            return f"{bound:g}"
    return repr(value)


def _cuts(evidence: Evidence, proposal: Proposal) -> list[_Cut]:
    """The cuts of the proposal and of a bolder proposal, with the chance of no loss by the cut alone."""
    space = evidence.analysis.space
    whole_space = evidence.masks(None)
    cuts = {}
    for risk in (proposal.risk, max(proposal.risk, _BOLD)):
        for change in proposal.at(risk).changes:
            if change.kind not in ("narrow", "drop") or not askable(change.name):
                continue
            old = space[change.name]
            mask = np.array([change.new.contains(old.column(np.array([i])))[0] for i in range(old.size)])
            if mask.all() or not mask.any():
                continue
            expression = region_text(change.name, old, mask)
            if expression in cuts:
                continue
            inside = evidence.masks(condition_in(space, expression))
            probability = _chance(evidence, proposal, inside, whole_space)
            cuts[expression] = _Cut(change.name, expression, inside, probability)
    return [cut for cut in cuts.values() if math.isfinite(cut.probability)]


def _chance(evidence: Evidence, proposal: Proposal, inside: Masks, considered: Masks) -> float:
    """Model probability of a best value inside within epsilon of the best considered."""
    outside = inside.outside(considered)
    epsilons = [proposal.claim.epsilon, *(t.epsilon for t in proposal.claim.others)]
    return compared(evidence, inside.candidates, outside.candidates, epsilons).within


def _question(
    evidence: Evidence,
    kind: str,
    parameters: tuple[str, ...],
    question: str,
    inside: Masks,
    probability: float,
    *,
    given: str | None = None,
    considered: Masks | None = None,
) -> SuggestedQuestion:
    if considered is None:
        considered = evidence.masks(None)
    counts = [int((part.trials & evidence.finished).sum()) for part in (inside, considered)]
    return SuggestedQuestion(kind, parameters, question, given, probability, *counts)


def _doubt(cut: _Cut) -> float:
    return min(cut.probability, 1 - cut.probability)


def _thin_region(evidence: Evidence, proposal: Proposal) -> SuggestedQuestion | None:
    """The hardly tried region of a parameter with the largest chance of the best value."""
    whole_space = evidence.masks(None)
    space = evidence.analysis.space
    trials = int(evidence.finished.sum())
    largest = 0.0
    likeliest: SuggestedQuestion | None = None
    for j, e in enumerate(evidence.analysis.parameters):
        if not askable(e.name) or e.condition is not None:
            continue
        level_of_trials = level_axis(e.parameter).index(evidence.analysis.X[:, j])
        for mask in _windows(e.parameter):
            inside_trials = int((mask[level_of_trials] & evidence.finished).sum())
            if inside_trials >= FEW and inside_trials >= THIN * trials:
                continue
            expression = region_text(e.name, e.parameter, mask)
            inside = evidence.masks(condition_in(space, expression))
            probability = _chance(evidence, proposal, inside, whole_space)
            if not _PLAUSIBLE <= probability <= 1 - _DOUBT:
                continue
            if probability > largest:
                largest = probability
                likeliest = _question(evidence, THIN_REGION, (e.name,), expression, inside, probability)
    return likeliest


def _windows(parameter: Parameter) -> Iterator[Bools]:
    """Regions of one parameter to ask about: single choices, or a few neighbouring levels."""
    size = parameter.size
    if not parameter.ordered:
        width = 1
    else:
        width = max(2, size // 4)
    if width >= size:
        return
    for start in range(0, size - width + 1, max(1, width // 2)):
        mask = np.zeros(size, dtype=np.bool_)
        mask[start : start + width] = True
        yield mask


def _interaction(evidence: Evidence, proposal: Proposal, cuts: Sequence[_Cut]) -> SuggestedQuestion | None:
    """The cut with the largest fall of chance within a plausible condition on an uncut parameter."""
    if evidence.surrogate.others:
        return None
    scores = evidence.surrogate.posterior.scores[::_STRIDE]
    best = scores.max(axis=1).astype(float)
    epsilon = proposal.claim.epsilon
    lowest = evidence.surrogate.posterior.lowest_within(best, epsilon) - 1e-6
    space = evidence.analysis.space
    cut_names = {change.name for change in proposal.changes if change.kind != "keep"}
    conditions = {}
    for e in evidence.analysis.parameters:
        if e.name in cut_names or not askable(e.name) or e.condition is not None:
            continue
        for mask in _halves(e.parameter):
            expression = region_text(e.name, e.parameter, mask)
            part = evidence.masks(condition_in(space, expression))
            if part.candidates.sum() >= 2 * evidence.surrogate.fewest:
                plausible = float((scores[:, part.candidates].max(axis=1) >= lowest).mean())
                if plausible >= _PLAUSIBLE:
                    conditions[expression] = e.name, part
    falls = []
    for cut in sorted(cuts, key=lambda cut: -cut.probability)[:_CUTS]:
        for expression, (name, part) in conditions.items():
            inside = cut.inside.inside(part)
            if cut.name == name:
                continue
            if inside.candidates.sum() < evidence.surrogate.fewest:
                continue
            best_within = scores[:, part.candidates].max(axis=1).astype(float)
            bound = evidence.surrogate.posterior.lowest_within(best_within, epsilon) - 1e-6
            share = (scores[:, inside.candidates].max(axis=1) >= bound).mean()
            chance = float(evidence.surrogate.weights.chance(np.full(3, share)))
            falls.append((cut.probability - chance, cut, expression, name, part))
    if not falls:
        return None
    fall, cut, expression, name, part = max(falls, key=lambda row: row[0])
    inside = cut.inside.inside(part)
    probability = _chance(evidence, proposal, inside, part)
    if fall < _FALL or not math.isfinite(probability):
        return None
    return _question(
        evidence,
        INTERACTION,
        (cut.name, name),
        cut.expression,
        inside,
        probability,
        given=expression,
        considered=part,
    )


def _halves(parameter: Parameter) -> Iterator[Bools]:
    """The lower and the upper half of an ordered parameter, or every choice."""
    size = parameter.size
    if not parameter.ordered:
        yield from np.eye(size, dtype=np.bool_)
        return
    upper = np.arange(size) >= (size + 1) // 2
    yield ~upper
    yield upper
