"""Questions about a part of a space, answered by draws of the posterior. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import level_axis
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import SpaceError, did_you_mean
from refine.proposal.posterior import Surrogate, further_candidates, known_difference
from refine.space.categorical import Categorical
from refine.space.constraints import Constraint, one_of
from refine.space.edits import edited
from refine.space.encoding import bare, label
from refine.space.literals import typed_value
from refine.space.parameters import Integer, Parameter, Range
from refine.space.space import Indices, Space
from refine.space.typed_condition import condition_text
from refine.utils.arrays import Bools, Floats
from refine.utils.format import join

if TYPE_CHECKING:
    import pandas as pd

THIN = 0.1
"""Share of the trials from which on a region does not count as thinly tried ..."""
FEW = 6
"""... if it holds this many trials as well."""

FEWEST_DRAWS = 20  # fewest draws with a usable cell on both sides, for a stated difference
_SMALL = 100  # number of candidates added inside a region that even candidates hardly hit
_DRAWN = 20_000  # number of even draws in which these candidates are searched
_EXACT = 1e-9  # largest distance of equal positions
_LONGEST = 2000  # largest number of characters of an expression
_SHOWN = 80  # characters of an expression in an error


def condition_in(
    space: Space, expression: str | None, bounds: Mapping[str, object] | None = None, role: str = "question"
) -> Constraint:
    """The condition of an expression together with bounds by name.

    Raises:
        SpaceError: The expression is not of the language of constraints or names an unknown parameter, or a
            bound breaks a rule of the notation.
    """
    if expression is None:
        parts = []
    else:
        parts = [expression]
    parts += [_bound_text(space, name, value, role) for name, value in (bounds or {}).items()]
    if not parts:
        raise SpaceError(
            f"a {role} must be an expression or bounds by name, got neither; for example "
            "tree.ask('units <= 8'), or tree.ask(units=(4, 8))"
        )
    conditions = [_parsed(space, part, role) for part in parts]
    for condition in conditions:
        for name in sorted(condition.names - set(space)):
            raise SpaceError(f"{role} {_shown(condition)}: {space.unknown_name(name)}")
        parameter = space.get(str(condition))
        if parameter is not None and not all(isinstance(value, bool) for value in parameter.grid):
            raise SpaceError(
                f"{role} {str(condition)!r} names a parameter without a value; "
                f"write {condition} == {bare(parameter.grid[0])!r}"
            )
    combined = _combined(conditions, "and")
    assert combined is not None
    return combined


def with_conditions(space: Space, question: Constraint, given: Constraint | None) -> Constraint | None:
    """The condition of a question about conditional parameters: the parameters exist.

    ``degree <= 2`` is about the configurations with a degree, unless the question names the parameter in the
    condition of the degree.
    """
    conditions: list[Constraint] = []
    for name in space:
        if name in question.names and name in space.conditions:
            condition = space.conditions[name]
            if not condition.names & question.names and condition not in (given, *conditions):
                conditions.append(condition)
    exist = _combined(conditions, "and")
    if exist is not None and len(conditions) > 1 and not space.tried(exist)[0].any():
        exist = _combined(conditions, "or")  # no configuration has these parameters together
    if given is None or exist is None:
        return given or exist
    return _combined([given, exist], "and")


def _combined(conditions: Sequence[Constraint], operator: str) -> Constraint | None:
    """Conditions joined by ``and`` or ``or``; ``None`` without conditions."""
    if len(conditions) > 1:
        return Constraint(f" {operator} ".join(f"({condition})" for condition in conditions))
    return next(iter(conditions), None)


def named_value(space: Space, name: str, value: str) -> tuple[str, str] | None:
    """The regions of a parameter with and without a value, for example ``"log_target"`` and ``"True"``.

    ``None`` for a ``value`` that is an expression over parameters.

    Raises:
        SpaceError: The parameter cannot have the value.
    """
    try:
        if Constraint(value).names <= set(space):
            return None
    except SpaceError:
        pass  # a number or a text is a value, not an expression
    parameter = space[name]
    typed = typed_value(value)
    if isinstance(parameter, Categorical):
        if value not in parameter.labels:
            raise SpaceError(
                f"better: {value!r} is not a choice of {name}; {did_you_mean(value, parameter.labels)}"
            )
        typed = parameter.grid[parameter.labels.index(value)]
    region = _bound_text(space, name, typed, "better")
    if f"{name} == " in region:
        return region, region.replace(f"{name} == ", f"{name} != ", 1)
    return region, f"not ({region})"


def _parsed(space: Space, expression: Any, role: str) -> Constraint:
    if isinstance(expression, str) and len(expression) > _LONGEST:
        raise SpaceError(
            f"a {role} must be an expression of at most {_LONGEST:,} characters, got {len(expression):,}; "
            "ask a shorter one"
        )
    typed = expression
    try:
        if isinstance(typed, str):
            expression = condition_text(space, typed)
        return Constraint(expression)
    except SpaceError as error:
        for name in space:
            if name in str(typed):
                _check_name(name, role)
        text, language, _ = _named(error, role, expression).partition("allowed: ")
        if language:
            text += f"for example {_examples(space)}"
        raise SpaceError(text) from None


def _examples(space: Space) -> str:
    """Two conditions as people type them, on parameters of a space."""
    names = [name for name in space.varied if askable(name)]
    ranges = [name for name in names if isinstance(space[name], Range)]
    choices = [name for name in names if name not in ranges]
    texts = [f"{name} {label(space[name].grid[0])}..{label(space[name].grid[-2])}" for name in ranges[:1]]
    texts += [f"{name} = {label(space[name].grid[0])}" for name in choices[:1]]
    return " or ".join(texts)


def askable(name: str) -> bool:
    """True if an expression can hold the name of a parameter."""
    return name.isidentifier() and not iskeyword(name)


def _check_name(name: str, role: str) -> None:
    """Raises SpaceError if an expression cannot hold the name of a parameter."""
    if not askable(name):
        raise SpaceError(
            f"{role}: a parameter in a {role} must have a name of letters, digits and _, not a keyword of "
            f"Python, got {name!r}; rename the parameter"
        )


def _named(error: SpaceError, role: str, expression: object) -> str:
    """The text of an error about a constraint, reworded for a question, with a long expression cut."""
    return str(error).replace("constraint", role, 1).replace(repr(str(expression)), _shown(expression))


def _shown(expression: object) -> str:
    """An expression in quotes, a long expression cut."""
    text = str(expression)
    if len(text) <= _SHOWN:
        return repr(text)
    return f"{text[:_SHOWN]!r}..."


def _bound_text(space: Space, name: str, value: object, role: str) -> str:
    """A bound as an expression: ``4 <= units <= 8``, ``model == 'svr'``."""
    if name not in space:
        raise SpaceError(f"{role}: unknown parameter {name!r}; {did_you_mean(name, space)}")
    _check_name(name, role)
    try:
        new = edited(space[name], value)
    except SpaceError as error:
        raise SpaceError(f"{role}: {name}: {error}") from None
    if isinstance(new, Range):
        return f"{new.low!r} <= {name} <= {new.high!r}"
    return one_of(name, new.grid)


def check_divides(
    space: Space, question: Constraint, given: Constraint | None, role: str = "question"
) -> None:
    """Raises SpaceError unless a question divides the configurations (within ``given``)."""
    conditions = [question]
    if given is not None:
        conditions.append(given)
    try:
        masks = space.tried(*conditions)
    except SpaceError as error:
        raise SpaceError(_named(error, role, question)) from None
    inside = masks[0]
    place = "of the space"
    if given is not None:
        if not masks[1].any():
            raise SpaceError(
                f"given {_shown(given)} is true for no configuration of the space; {_values(space, given)}"
            )
        inside = inside[masks[1]]
        place = f"with {str(given)[:_SHOWN]}"
    if inside.all() or not inside.any():
        if inside.all():
            share = "every"
        else:
            share = "no"
        raise SpaceError(
            f"{role} {_shown(question)} is true for {share} configuration {place}, so that there is nothing "
            f"to compare; {_values(space, question)}"
        )


def _values(space: Space, condition: Constraint | None) -> str:
    """The values of the parameters in a condition, as a hint."""
    if condition is None:
        names = []
    else:
        names = [name for name in space if name in condition.names]
    text = join([f"{name} is {space[name].describe()}" for name in names])
    pair = re.fullmatch(r"(\w+) in [\[(]([^,]+), ([^,]+)[\])]", str(condition))
    if pair and isinstance(space.get(pair[1]), Range):
        text += f"; for a range write {pair[2]} <= {pair[1]} <= {pair[3]}"
    return text


class Masks(NamedTuple):
    """A part of a space: masks of the candidates and of the trials inside."""

    candidates: Bools  # (c,) mask of the candidates
    trials: Bools  # (n,) mask of the rows of the evidence

    def outside(self, within: Masks) -> Masks:
        """The rest of a larger part."""
        return Masks(within.candidates & ~self.candidates, within.trials & ~self.trials)

    def inside(self, within: Masks) -> Masks:
        """The common part."""
        return Masks(within.candidates & self.candidates, within.trials & self.trials)


class Evidence:
    """The posterior of an analysis over candidates, and its trials as a table.

    Attributes:
        analysis: The analysis.
        surrogate: The posterior of the first goal, with those of further goals.
        trials: (n rows) values of the trials by parameter, as tables show them.
        usable: (n,) mask of the trials that may be best.
    """

    def __init__(self, analysis: Analysis, surrogate: Surrogate) -> None:
        import pandas as pd

        self.analysis = analysis
        self.surrogate = surrogate
        self.trials = trial_table(analysis)
        self._candidates = pd.DataFrame(surrogate.columns)
        self.usable = analysis.at_full
        if analysis.failed is not None:
            self.usable &= ~analysis.failed
        if analysis.feasibility is not None:
            self.usable &= (analysis.feasibility.slack >= 0).all(axis=0)

    def masks(self, condition: Constraint | None) -> Masks:
        """The part of the space with a true condition; the whole space for ``None``.

        A condition on an absent parameter is false.
        """
        if condition is None:
            n = len(self._candidates), len(self.trials)
            return Masks(np.ones(n[0], dtype=np.bool_), np.ones(n[1], dtype=np.bool_))
        # A value that the objective does not read is still a value of the configuration.
        space = self.analysis.space
        return Masks(*(space.meets(condition, frame) for frame in (self._candidates, self.trials)))

    def with_candidates(self, more: Indices) -> Evidence | None:
        """The evidence with further candidates, by the same draws; ``None`` if all must be drawn again.

        See :func:`refine.proposal.posterior.further_candidates`.
        """
        added = further_candidates(self.analysis, self.surrogate, more)
        if added is None:
            return None
        return Evidence(self.analysis, self.surrogate.with_candidates(added))

    @property
    def finished(self) -> Bools:
        """(n,) mask of the finished trials."""
        failed = self.analysis.failed
        if failed is None:
            return np.ones(len(self.analysis.y), dtype=np.bool_)
        return ~failed

    def conditional(self, *conditions: Constraint | None) -> dict[str, str]:
        """Conditional parameter -> its declared condition, for the parameters named by some conditions."""
        declared = self.analysis.space.conditions
        names = {name for condition in conditions if condition is not None for name in condition.names}
        return {name: str(condition) for name, condition in declared.items() if name in names}


def trial_table(analysis: Analysis) -> pd.DataFrame:
    """The evidence of an analysis as a table of values: parameters as columns, trials as rows."""
    import pandas as pd

    by_name = {e.name: j for j, e in enumerate(analysis.parameters)}
    columns = {}
    for name, parameter in analysis.space.items():
        if name in by_name:
            columns[name] = _values_at(parameter, analysis.X[:, by_name[name]])
        else:
            columns[name] = parameter.column(np.zeros(len(analysis.y), dtype=np.intp))
    return pd.DataFrame(columns)


def _values_at(parameter: Parameter, positions: Floats) -> Any:
    """(n,) values at unit-scale positions; positions on a level give the level."""
    axis = level_axis(parameter)
    level = axis.index(positions)
    values = parameter.column(level)
    if not isinstance(parameter, Range):
        return values
    level_positions = np.asarray(parameter.unit(parameter.grid), dtype=float)
    between = np.abs(level_positions[level] - positions) > _EXACT
    if not between.any():
        return values
    grid = np.asarray(parameter.grid, dtype=float)
    scaled = np.interp(positions, level_positions, np.log(grid) if parameter.log else grid)
    if parameter.log:
        exact = np.exp(scaled)
    else:
        exact = scaled
    if isinstance(parameter, Integer):
        exact = np.rint(exact)
    return np.where(between, exact, np.asarray(values, dtype=float))


# Factor by which the interval of a cost is stretched from the median: the draws are too sure. On 149
# development questions intervals held in 87 %, stretched in 92 %.
WIDER = 1.4


class Compared(NamedTuple):
    """The best values of two parts of a space under the posterior; NaN if a part has too few candidates.

    The chances are stated ones: see :mod:`refine.proposal.chance`.
    """

    within: float  # chance that the best value of the first part is within epsilon of the best of both
    better: float  # chance that the first part holds the better best
    ahead: float  # chance that the best of the first part is better by over epsilon
    behind: float  # chance that the best of the second part is better by over epsilon
    tie: float  # chance that the two bests differ by at most epsilon
    cost: float  # best of the second part minus that of the first, larger is better: the median
    low: float  # ends of the 90 % interval of the cost
    high: float


UNKNOWN = Compared(*[math.nan] * 8)


def compared(evidence: Evidence, first: Bools, second: Bools, epsilons: Sequence[float]) -> Compared:
    """Compares the best values of two parts of the candidates, (c,) masks.

    With several goals, ``within`` is the chance that the first part represents the front of the two parts:
    for a point of the front, a configuration at most epsilon worse in all goals. The cost is about the first
    goal.
    """
    surrogate = evidence.surrogate
    if surrogate.known is not None and first.any() and second.any():
        return _compared_exactly(known_difference(surrogate.known, first, second), epsilons[0])
    if min(int(first.sum()), int(second.sum())) < surrogate.fewest:
        return UNKNOWN
    within = surrogate.chance_of(first, second, epsilons)
    behind = 1.0 - within
    ahead = 1.0 - surrogate.chance_of(second, first, epsilons)
    total = max(1.0, ahead + behind)
    ahead /= total
    behind /= total
    tie = max(0.0, 1.0 - ahead - behind)
    stated = Compared(within, ahead + tie / 2, ahead, behind, tie, *[math.nan] * 3)
    difference = bests_of(surrogate, second) - bests_of(surrogate, first)
    difference = difference[np.isfinite(difference)]
    if len(difference) < FEWEST_DRAWS:
        return stated
    low, middle, high = np.quantile(difference, [0.05, 0.5, 0.95])
    low = middle + WIDER * (low - middle)
    high = middle + WIDER * (high - middle)
    return stated._replace(cost=float(middle), low=float(low), high=float(high))


def bests_of(surrogate: Surrogate, part: Bools) -> Floats:
    """(draws,) best values of a part of the candidates, (c,) mask, in the draws of the processes.

    -inf without a usable candidate. Draws of trees are means of trees, and their bests differ too little.
    """
    posterior = surrogate.posterior
    scores = posterior.scores[posterior.forest % len(posterior.scores) :]
    top = scores[:, part].max(axis=1).astype(float)
    # A candidate that fails in a draw has the worst score of the draw.
    return np.where(top > scores.min(axis=1), posterior.value(top), -np.inf)


def _compared_exactly(difference: float, epsilon: float) -> Compared:
    """The comparison of two known bests; ``difference`` is infinite or NaN if a side has no usable value."""
    within = float(not difference > epsilon)
    if math.isnan(difference):
        return UNKNOWN._replace(within=within)
    cost = difference
    if math.isinf(difference):
        cost = math.nan
    return Compared(
        within=within,
        better=(1.0 - float(np.sign(difference))) / 2,
        ahead=float(difference < -epsilon),
        behind=float(difference > epsilon),
        tie=float(abs(difference) <= epsilon),
        cost=cost,
        low=cost,
        high=cost,
    )


def expected_best(evidence: Evidence, part: Bools) -> float:
    """Expected best value of a part of the candidates, (c,) mask; larger is better.

    NaN if fewer than 20 draws have a usable candidate in the part.
    """
    top = bests_of(evidence.surrogate, part)
    top = top[np.isfinite(top)]
    if len(top) < FEWEST_DRAWS:
        return math.nan
    return float(top.mean())


def rows_inside(space: Space, question: Constraint, given: Constraint | None) -> Indices:
    """(k, parameters) level numbers of configurations inside a small region, by even draws; at most 100."""
    import pandas as pd

    rows = _even_rows(space)
    frame = pd.DataFrame(space.columns(rows))
    inside = space.meets(question, frame)
    if given is not None:
        inside &= space.meets(given, frame)
    return rows[inside][:_SMALL]


@lru_cache(maxsize=2)
def _even_rows(space: Space) -> Indices:
    """(n, parameters) level numbers of even draws, kept for the next small region of the space."""
    return draw(Uniform(), space, max(1, min(_DRAWN, feasible(space).low)), 0)
