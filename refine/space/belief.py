"""Beliefs on the place of the best value: a density over the levels of some parameters. Pure functions.

Source: Hvarfner et al. (2022), 'piBO: Augmenting Acquisition Functions with User Beliefs for Bayesian
    Optimization', for
beliefs on the optimum as a density that is a product over parameters. The share of doubt is our own addition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import decode, encode, label, round_significant, value_key
from refine.space.parameters import Parameter, Range, is_finite
from refine.space.space import Space
from refine.utils.arrays import Floats
from refine.utils.format import join, number
from refine.utils.keywords import helped
from refine.utils.types import JsonObject

DOUBT = 0.1  # share of a belief's density spread evenly over all levels, so that no level is excluded


@final
@helped
@dataclass(frozen=True)
class Near:
    """The belief that the best value of a parameter lies near a number.

    Args:
        value: The number.
        within_factor: The best value lies within this factor of ``value`` in about 2 of 3 cases: a normal
            density of the logarithm.
        within: The best value lies within this distance of ``value`` in about 2 of 3 cases: a normal density.

    Raises:
        SpaceError: Not exactly one width, a width that is not positive (a factor of 1 or less), or a number
            that is not finite.

    Examples:
        >>> belief = {"lr": refine.Near(1.5, within_factor=2), "dropout": refine.Near(0.1, within=0.1)}
        >>> space = {"lr": (0.1, 5.0), "dropout": (0.0, 0.5)}
        >>> believed = tree.add_round(space, score, n=20, plan=refine.Plan(belief=belief))
        >>> believed.run().trials["origin"].value_counts().to_dict()
        {'space_filling': 10, 'exploit': 10}
    """

    value: float
    within_factor: float | None = field(default=None, kw_only=True)
    within: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("value", "within_factor", "within"):
            number_given = getattr(self, name)
            if number_given is None and name != "value":
                continue
            if not is_finite(number_given):
                raise SpaceError(f"Near: {name} must be a finite number, got {number_given!r}")
            object.__setattr__(self, name, round_significant(float(number_given)))
        if (self.within_factor is None) == (self.within is None):
            raise SpaceError(
                f"Near: needs one width, a factor or a distance; for example Near({self.value:g}, "
                f"within_factor=3) or Near({self.value:g}, within=0.1)"
            )
        if self.within_factor is not None and not self.within_factor > 1:
            raise SpaceError(
                f"Near: within_factor must be > 1, got {self.within_factor:g}; 3 means from a third to three "
                "times the value"
            )
        if self.within_factor is not None and not self.value > 0:
            raise SpaceError(
                f"Near: a factor needs a value > 0, got {self.value:g}; give a distance with within="
            )
        if self.within is not None and not self.within > 0:
            raise SpaceError(f"Near: within must be a distance > 0, got {self.within:g}")

    def bell(self, x: npt.ArrayLike) -> Floats:
        """Logarithms of the density at some values, up to a constant; -inf if a logarithm does not exist."""
        positions = np.asarray(x, dtype=float)
        (name, width) = self.width
        if name == "within":
            return np.asarray(-0.5 * ((positions - self.value) / width) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.log(np.where(positions > 0, positions, np.nan) / self.value) / math.log(width)
        return np.asarray(np.where(positions > 0, -0.5 * distance**2, -np.inf))

    @property
    def width(self) -> tuple[str, float]:
        """Name and value of the width that was given."""
        if self.within is not None:
            return "within", self.within
        assert self.within_factor is not None
        return "within_factor", self.within_factor

    def to_json(self) -> dict[str, float]:
        """``{"near": 0.001, "within_factor": 3.0}``."""
        return {"near": self.value, **dict([self.width])}

    def __str__(self) -> str:
        """``near 0.001 (within a factor of 3)``."""
        if self.within is None:
            factor = "a factor of "
        else:
            factor = ""
        return f"near {label(self.value)} (within {factor}{label(self.width[1])})"

    def __repr__(self) -> str:
        name, width = self.width
        return f"Near({self.value!r}, {name}={width!r})"


Weights = tuple[tuple[Any, float], ...]
"""``(choice, probability)`` per named choice; the remaining probability is shared by the unnamed choices."""


@final
@dataclass(frozen=True)
class Belief:
    """Beliefs on some parameters, independent of each other; made by :func:`belief_of`."""

    of: tuple[tuple[str, Near | Weights], ...]  # `(name, belief)` pairs, sorted by name
    # names of the earlier studies that gave the belief; empty if a person did
    like: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.of)

    def __str__(self) -> str:
        """``lr near 0.001 (within a factor of 3) and optimizer Adam (0.7)``."""
        texts = {
            name: belief
            if isinstance(belief, Near)
            else join([f"{label(choice)} ({number(w)})" for choice, w in belief])
            for name, belief in self.of
        }
        text = join([f"{name} {belief}" for name, belief in texts.items()]) or "nothing"
        if self.like:
            return f"{text}, from {join(self.like)}"
        return text

    def __iter__(self) -> Any:
        return iter(name for name, _ in self.of)

    def ratio(self, name: str, parameter: Parameter, values: npt.ArrayLike) -> Floats:
        """Density of the best value at each of some values, (n,), relative to an even density.

        The density is taken over the parameter's present levels, even if the range has changed since the
        belief was stated. Between levels it follows the bell. A tenth of the density is spread evenly, so no
        ratio is below 0.1.
        """
        belief = dict(self.of)[name]
        if isinstance(belief, Near):
            levels = belief.bell(np.asarray(parameter.grid, dtype=float))
            top = float(levels.max())
            if not math.isfinite(top):
                return np.ones(np.shape(values))
            ratio = np.exp(np.minimum(belief.bell(values) - top, 0.0)) / float(np.exp(levels - top).mean())
        else:
            assert isinstance(parameter, Categorical)
            ratio = _shares(parameter, belief)[parameter.positions(values)] * parameter.size
        return np.asarray((1 - DOUBT) * ratio + DOUBT)

    def level_shares(self, space: Space) -> list[Floats]:
        """Per parameter of a space, the probability of each level; even without a belief."""
        beliefs = dict(self.among(space).of)
        shares = []
        for name, parameter in space.items():
            share = np.ones(parameter.size)
            if name in beliefs:
                share = self.ratio(name, parameter, parameter.column(np.arange(parameter.size)))
            shares.append(share / share.sum())
        return shares

    def among(self, space: Space) -> Belief:
        """The beliefs that apply to another space: on parameters of the same kind that still vary."""
        remaining = tuple(
            (n, belief)
            for n, belief in self.of
            if n in space and not space[n].fixed and speaks_of(space[n], belief)
        )
        return Belief(remaining, self.like)

    def to_json(self) -> JsonObject:
        """Plain data; :meth:`from_json` is the inverse."""
        return {
            name: belief.to_json()
            if isinstance(belief, Near)
            else {"weights": [[encode(choice), weight] for choice, weight in belief]}
            for name, belief in self.of
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object], like: Sequence[str] = ()) -> Belief:
        """The belief of :meth:`to_json`'s output, made from the earlier studies ``like``.

        Raises:
            SpaceError: The data are not of this form.
        """
        beliefs = tuple((name, _said_from_json(name, data[name])) for name in sorted(data))
        return cls(beliefs, tuple(str(name) for name in like))

    def code(self, value: Callable[[Any], str] = repr) -> str:
        """The Python mapping that makes this belief; ``value`` spells a frozen choice."""
        return "{" + ", ".join(f"{name!r}: {_code(belief, value)}" for name, belief in self.of) + "}"


def belief_of(user_value: object, space: Space) -> Belief:
    """A user's belief, checked: ``{"lr": Near(1e-3, within_factor=3), "optimizer": {"adam": 0.7}}``.

    The weight of a choice is the probability that this choice is the best one. Unnamed choices share the
    remaining probability evenly.

    Raises:
        SpaceError: An unknown or fixed parameter, a value outside its range, an unknown choice, or weights
            that are not probabilities.
    """
    like: tuple[str, ...] = ()
    if isinstance(user_value, Belief):
        like = user_value.like
        user_value = {
            name: belief if isinstance(belief, Near) else dict(belief) for name, belief in user_value.of
        }
    if not isinstance(user_value, Mapping):
        raise SpaceError(
            f"belief must map parameters to beliefs, got {user_value!r}; for example "
            "belief={'lr': refine.Near(0.001, within_factor=3)}"
        )
    checked: dict[str, Near | Weights] = {}
    for name, belief in user_value.items():
        if name not in space:
            raise SpaceError(f"belief: unknown parameter {name!r}; {did_you_mean(str(name), space)}")
        if space[name].fixed:
            raise SpaceError(
                f"belief: {name}: is fixed to one value, so a belief changes no trial; leave it out"
            )
        try:
            checked[name] = _checked(space[name], belief)
        except SpaceError as error:
            raise SpaceError(f"belief: {name}: {error}") from None
    return Belief(tuple(sorted(checked.items())), like)


def speaks_of(parameter: Parameter, belief: Near | Weights) -> bool:
    """True if a belief applies to a parameter, which may have changed since the belief was stated."""
    if isinstance(belief, Near):
        return parameter.numeric
    if not isinstance(parameter, Categorical):
        return False
    choices = {value_key(v) for v in parameter.grid}
    return any(value_key(choice) in choices for choice, _ in belief)


def _checked(parameter: Parameter, belief: object) -> Near | Weights:
    if isinstance(belief, Near):
        if not parameter.numeric:
            raise SpaceError(
                f"its choices are not numbers, got {belief!r}; give weights of choices, for example "
                f"{{{parameter.describe().rpartition(': ')[2].split(', ')[0]!r}: 0.7}}"
            )
        low = float(min(parameter.grid))
        high = float(max(parameter.grid))
        if not low <= belief.value <= high:
            raise SpaceError(
                f"near {label(belief.value)} lies outside {label(low)} to {label(high)}; widen the range or "
                "move the belief"
            )
        return belief
    if not isinstance(belief, Mapping) or not belief:
        raise SpaceError(
            "must be refine.Near(...) for numbers, or weights of choices like {'adam': 0.7}, got "
            f"{belief!r}"
        )
    if isinstance(parameter, Range):
        raise SpaceError(
            f"weights need choices, but this parameter is a range, got {dict(belief)!r}; for example "
            f"refine.Near({label(parameter.grid[0])}, within=...)"
        )
    assert isinstance(parameter, Categorical)
    return _weights(parameter, belief)


def _weights(parameter: Categorical, weights: Mapping[Any, Any]) -> Weights:
    probabilities: dict[int, float] = {}
    for choice, weight in weights.items():
        position = parameter.index(choice)
        if position in probabilities:
            raise SpaceError(f"weighs {parameter.labels[position]} twice; leave one out")
        if not is_finite(weight) or not 0 <= weight <= 1:
            raise SpaceError(
                f"the weight of {parameter.labels[position]} must be a probability from 0 to 1, got "
                f"{weight!r}"
            )
        probabilities[position] = round_significant(float(weight))
    total = sum(probabilities.values())
    if total > 1 + 1e-9:
        raise SpaceError(
            f"weights are probabilities and must not sum to more than 1, got {total:g}; unnamed choices "
            "share the remaining probability"
        )
    if len(probabilities) == parameter.size and abs(total - 1) > 1e-9:
        raise SpaceError(
            f"weights of all choices must sum to 1, got {total:g}; leave one choice out to give it the "
            "remaining probability"
        )
    return tuple((parameter.grid[position], probabilities[position]) for position in sorted(probabilities))


def _shares(parameter: Categorical, weights: Weights) -> Floats:
    """(size,) probabilities of a parameter's choices; those of choices no longer there are spread evenly."""
    named = {value_key(choice): weight for choice, weight in weights}
    keys = [value_key(v) for v in parameter.grid]
    each_unnamed = max(0.0, 1.0 - sum(named.values())) / max(1, sum(k not in named for k in keys))
    shares = np.array([named.get(k, each_unnamed) for k in keys])
    total = float(shares.sum())
    if total > 0:
        return shares / total
    return np.full(parameter.size, 1.0 / parameter.size)


def _said_from_json(name: str, data: object) -> Near | Weights:
    if isinstance(data, Mapping) and "near" in data:
        return Near(data["near"], **{k: v for k, v in data.items() if k != "near"})
    if isinstance(data, Mapping) and set(data) == {"weights"}:
        return tuple((decode(choice), float(weight)) for choice, weight in data["weights"])
    raise SpaceError(f"belief: {name}: must be a Near belief or weights of choices, got {data!r}")


def _code(belief: Near | Weights, value: Callable[[Any], str]) -> str:
    if isinstance(belief, Near):
        return f"refine.{belief!r}"
    return "{" + ", ".join(f"{value(choice)}: {weight!r}" for choice, weight in belief) + "}"


# Beliefs typed in a shell.

_FORMS = "'lr=near 1e-3 x3' (within a factor of 3), 'dropout=near 0.2 +-0.1', or 'optimizer=adam:0.7,sgd:0.2'"


def typed_belief(texts: Sequence[str]) -> dict[str, object]:
    """A belief typed in a shell, one text per parameter.

    Args:
        texts: ``NAME=near VALUE xFACTOR``, ``NAME=near VALUE +-WIDTH`` or
            ``NAME=CHOICE:WEIGHT,CHOICE:WEIGHT``; ``none`` alone withdraws the belief.

    Raises:
        SpaceError: Another form, or a parameter that is given twice.
    """
    beliefs: dict[str, object] = {}
    for text in [] if list(texts) == ["none"] else texts:
        name, _, form = (part.strip() for part in text.partition("="))
        try:
            if name:
                belief = _typed(form)
            else:
                belief = None
        except SpaceError as error:
            raise SpaceError(f"belief: {name}: {error}") from None
        if belief is None:
            raise SpaceError(f"belief: got {text!r}; write {_FORMS}")
        if name in beliefs:
            raise SpaceError(f"belief: {name} is given twice; give it once")
        beliefs[name] = belief
    return beliefs


def _typed(form: str) -> Any:
    """The belief on one parameter; ``None`` for another form."""
    words = form.split()
    try:
        if words[:1] == ["near"] and len(words) == 3:
            for mark, width in (("+-", "within"), ("x", "within_factor")):
                if words[2].startswith(mark):
                    return Near(float(words[1]), **{width: float(words[2].removeprefix(mark))})
        elif ":" in form:
            pairs = [part.rpartition(":") for part in form.split(",")]
            return {choice.strip(): float(weight) for choice, _, weight in pairs}
    except SpaceError:
        raise
    except ValueError:  # not a number
        pass
    return None
