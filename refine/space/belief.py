"""What somebody believes about where the best value lies: a density over the levels of some parameters. Pure.

Source: Hvarfner et al. (2022), 'piBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization', for
beliefs about the optimum as a density that is a product over parameters; the share of doubt is ours.
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

DOUBT = 0.1  # share of every parameter's density that is spread evenly: no belief rules a level out


@final
@helped
@dataclass(frozen=True)
class Near:
    """The best value of a parameter is thought to lie near a number.

    Args:
        value: The number.
        within_factor: It lies within this factor of it in about two cases of three: a normal bell over the logarithm.
        within: It lies within this distance of it in about two cases of three: a normal bell.

    Raises:
        SpaceError: Not exactly one width, a width that is not positive (a factor of 1 or less), or no finite number.

    Examples:
        >>> belief = {"lr": refine.Near(1.5, within_factor=2), "dropout": refine.Near(0.1, within=0.1)}
        >>> believed = tree.add_round({"lr": (0.1, 5.0), "dropout": (0.0, 0.5)}, score, n=20, belief=belief)
        >>> believed.run(progress=False).trials["origin"].value_counts().to_dict()
        {'space_filling': 10, 'exploit': 10}
    """

    value: float
    within_factor: float | None = field(default=None, kw_only=True)
    within: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("value", "within_factor", "within"):
            given = getattr(self, name)
            if given is None and name != "value":
                continue
            if not is_finite(given):
                raise SpaceError(f"Near: {name} must be a finite number, got {given!r}")
            object.__setattr__(self, name, round_significant(float(given)))
        if (self.within_factor is None) == (self.within is None):
            raise SpaceError(
                f"Near: needs one width, a factor or a distance; such as Near({self.value:g}, within_factor=3) or "
                f"Near({self.value:g}, within=0.1)"
            )
        if self.within_factor is not None and not self.within_factor > 1:
            raise SpaceError(
                f"Near: within_factor must be > 1, got {self.within_factor:g}; 3 means from a third to three times the value"
            )
        if self.within_factor is not None and not self.value > 0:
            raise SpaceError(
                f"Near: a factor needs a value > 0, got {self.value:g}; give a distance with within="
            )
        if self.within is not None and not self.within > 0:
            raise SpaceError(f"Near: within must be a distance > 0, got {self.within:g}")

    def bell(self, x: npt.ArrayLike) -> Floats:
        """Logarithms of the density at some values, up to a constant; -inf where a logarithm doesn't exist."""
        at, (name, width) = np.asarray(x, dtype=float), self.width
        if name == "within":
            return np.asarray(-0.5 * ((at - self.value) / width) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.log(np.where(at > 0, at, np.nan) / self.value) / math.log(width)
        return np.asarray(np.where(at > 0, -0.5 * away**2, -np.inf))

    @property
    def width(self) -> tuple[str, float]:
        """Which width is given, and how much it is."""
        if self.within is not None:
            return "within", self.within
        assert self.within_factor is not None
        return "within_factor", self.within_factor

    def to_json(self) -> dict[str, float]:
        """``{"near": 0.001, "within_factor": 3.0}``."""
        return {"near": self.value, **dict([self.width])}

    def __str__(self) -> str:
        """``near 0.001 (within a factor of 3)``."""
        return f"near {label(self.value)} (within {'a factor of ' * (self.within is None)}{label(self.width[1])})"

    def __repr__(self) -> str:
        name, width = self.width
        return f"Near({self.value!r}, {name}={width!r})"


Weights = tuple[tuple[Any, float], ...]
"""``(choice, probability)`` of every choice that was named; the others share what is left."""


@final
@dataclass(frozen=True)
class Belief:
    """What is believed of some parameters, each by itself; made by :func:`belief_of`."""

    of: tuple[tuple[str, Near | Weights], ...]  # `(name, what is believed of it)`, by name
    # names of the earlier studies that it was made of; empty where a person said it
    like: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.of)

    def __str__(self) -> str:
        """``lr near 0.001 (within a factor of 3) and optimizer Adam (0.7)``."""
        said = {
            name: of if isinstance(of, Near) else join([f"{label(choice)} ({number(w)})" for choice, w in of])
            for name, of in self.of
        }
        text = join([f"{name} {of}" for name, of in said.items()]) or "nothing"
        return f"{text}, from {join(self.like)}" if self.like else text

    def __iter__(self) -> Any:
        return iter(name for name, _ in self.of)

    def ratio(self, name: str, parameter: Parameter, values: npt.ArrayLike) -> Floats:
        """How many times as likely as by an even density the best value is at each of some values, (n,), of a parameter.

        The density is one over the parameter's levels, as they are now, narrower or wider than when the belief was said;
        between levels it is read off the bell. A tenth of it is spread evenly, so that no ratio is below 0.1.
        """
        said = dict(self.of)[name]
        if isinstance(said, Near):
            levels = said.bell(np.asarray(parameter.grid, dtype=float))
            top = float(levels.max())
            if not math.isfinite(top):
                return np.ones(np.shape(values))
            times = np.exp(np.minimum(said.bell(values) - top, 0.0)) / float(np.exp(levels - top).mean())
        else:
            assert isinstance(parameter, Categorical)
            times = _shares(parameter, said)[parameter.positions(values)] * parameter.size
        return np.asarray((1 - DOUBT) * times + DOUBT)

    def level_shares(self, space: Space) -> list[Floats]:
        """Per parameter of a space the probability of every level; even where nothing is believed."""
        said = dict(self.among(space).of)
        shares = []
        for name, parameter in space.items():
            share = np.ones(parameter.size)
            if name in said:
                share = self.ratio(name, parameter, parameter.column(np.arange(parameter.size)))
            shares.append(share / share.sum())
        return shares

    def among(self, space: Space) -> Belief:
        """What of it can be said of another space: of parameters that still vary there and are of the same kind."""
        said = tuple(
            (n, of) for n, of in self.of if n in space and not space[n].fixed and speaks_of(space[n], of)
        )
        return Belief(said, self.like)

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is the inverse."""
        return {
            name: said.to_json()
            if isinstance(said, Near)
            else {"weights": [[encode(choice), weight] for choice, weight in said]}
            for name, said in self.of
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], like: Sequence[str] = ()) -> Belief:
        """The belief of :meth:`to_json`'s output, made of the earlier studies ``like``; SpaceError where it is another one's."""
        said = tuple((name, _said_from_json(name, data[name])) for name in sorted(data))
        return cls(said, tuple(str(name) for name in like))

    def code(self, value: Callable[[Any], str] = repr) -> str:
        """The mapping that makes it, as Python; ``value`` spells a frozen choice."""
        return "{" + ", ".join(f"{name!r}: {_code(said, value)}" for name, said in self.of) + "}"


def belief_of(given: Any, space: Space) -> Belief:
    """A belief as somebody gives it: ``{"lr": Near(1e-3, within_factor=3), "optimizer": {"adam": 0.7}}``.

    Weights of choices are probabilities: each is that of its choice being the best one, and the choices that aren't named
    share what is left evenly. Raises SpaceError: an unknown or fixed parameter, a value outside its range, an unknown
    choice, or weights that are no probabilities.
    """
    like = given.like if isinstance(given, Belief) else ()
    if isinstance(given, Belief):
        given = {name: said if isinstance(said, Near) else dict(said) for name, said in given.of}
    if not isinstance(given, Mapping):
        raise SpaceError(
            f"belief maps parameters to what you believe of them, belief={{'lr': refine.Near(0.001, within_factor=3)}}, got {given!r}"
        )
    believed: dict[str, Near | Weights] = {}
    for name, said in given.items():
        if name not in space:
            raise SpaceError(f"belief: unknown parameter {name!r}; {did_you_mean(str(name), space)}")
        if space[name].fixed:
            raise SpaceError(f"belief: {name}: has one value, so there is nothing to believe; leave it out")
        try:
            believed[name] = _checked(space[name], said)
        except SpaceError as error:
            raise SpaceError(f"belief: {name}: {error}") from None
    return Belief(tuple(sorted(believed.items())), like)


def speaks_of(parameter: Parameter, said: Near | Weights) -> bool:
    """Whether what was believed can be said of a parameter, which may have changed since."""
    if isinstance(said, Near):
        return parameter.numeric
    if not isinstance(parameter, Categorical):
        return False
    known = {value_key(v) for v in parameter.grid}
    return any(value_key(choice) in known for choice, _ in said)


def _checked(parameter: Parameter, said: Any) -> Near | Weights:
    if isinstance(said, Near):
        if not parameter.numeric:
            raise SpaceError(
                f"its choices are no numbers, got {said!r}; give weights of choices, such as "
                f"{{{parameter.describe().rpartition(': ')[2].split(', ')[0]!r}: 0.7}}"
            )
        low, high = float(min(parameter.grid)), float(max(parameter.grid))
        if not low <= said.value <= high:
            raise SpaceError(
                f"near {label(said.value)} lies outside {label(low)} to {label(high)}; widen the range if you mean it"
            )
        return said
    if not isinstance(said, Mapping) or not said:
        raise SpaceError(
            f"must be refine.Near(...) for numbers, or weights of choices such as {{'adam': 0.7}}, got {said!r}"
        )
    if isinstance(parameter, Range):
        raise SpaceError(
            f"is a range, which has no choices to weigh, got {dict(said)!r}; such as refine.Near({label(parameter.grid[0])}, within=...)"
        )
    assert isinstance(parameter, Categorical)
    return _weights(parameter, said)


def _weights(parameter: Categorical, said: Mapping[Any, Any]) -> Weights:
    found: dict[int, float] = {}
    for choice, weight in said.items():
        at = parameter.index(choice)
        if at in found:
            raise SpaceError(f"weighs {parameter.labels[at]} twice; leave one out")
        if not is_finite(weight) or not 0 <= weight <= 1:
            raise SpaceError(
                f"the weight of {parameter.labels[at]} must be a probability from 0 to 1, got {weight!r}"
            )
        found[at] = round_significant(float(weight))
    total = sum(found.values())
    if total > 1 + 1e-9:
        raise SpaceError(
            f"weights are probabilities and must not sum to more than 1, got {total:g}; choices that aren't named share "
            "what is left"
        )
    if len(found) == parameter.size and abs(total - 1) > 1e-9:
        raise SpaceError(
            f"weights of all choices must sum to 1, got {total:g}; leave one out, and it takes what is left"
        )
    return tuple((parameter.grid[at], found[at]) for at in sorted(found))


def _shares(parameter: Categorical, said: Weights) -> Floats:
    """(size,) probabilities of a parameter's choices; what was said of choices that are gone is spread over the rest."""
    named = {value_key(choice): weight for choice, weight in said}
    keys = [value_key(v) for v in parameter.grid]
    rest = max(0.0, 1.0 - sum(named.values())) / max(1, sum(k not in named for k in keys))
    shares = np.array([named.get(k, rest) for k in keys])
    total = float(shares.sum())
    return shares / total if total > 0 else np.full(parameter.size, 1.0 / parameter.size)


def _said_from_json(name: str, data: Any) -> Near | Weights:
    if isinstance(data, Mapping) and "near" in data:
        return Near(data["near"], **{k: v for k, v in data.items() if k != "near"})
    if isinstance(data, Mapping) and set(data) == {"weights"}:
        return tuple((decode(choice), float(weight)) for choice, weight in data["weights"])
    raise SpaceError(f"belief: {name}: must be a number that it is near, or weights of choices, got {data!r}")


def _code(said: Near | Weights, value: Callable[[Any], str]) -> str:
    if isinstance(said, Near):
        return f"refine.{said!r}"
    return "{" + ", ".join(f"{value(choice)}: {weight!r}" for choice, weight in said) + "}"


# As it is typed.

_FORMS = "'lr=near 1e-3 x3' (within a factor of 3), 'dropout=near 0.2 +-0.1', or 'optimizer=adam:0.7,sgd:0.2'"


def typed_belief(texts: Sequence[str], option: str) -> dict[str, Any]:
    """The belief that somebody types, a parameter at a time; ``option`` is what errors call them.

    Each is ``NAME=near VALUE xFACTOR``, ``NAME=near VALUE +-WIDTH`` or ``NAME=CHOICE:WEIGHT,CHOICE:WEIGHT``. ``none`` alone
    takes back what was believed. Raises SpaceError: another form, or a parameter twice.
    """
    said: dict[str, Any] = {}
    for text in [] if list(texts) == ["none"] else texts:
        name, _, form = (part.strip() for part in text.partition("="))
        try:
            what = _typed(form) if name else None
        except SpaceError as error:
            raise SpaceError(f"{option}: {name}: {error}") from None
        if what is None:
            raise SpaceError(f"{option}: got {text!r}; write {_FORMS}")
        if name in said:
            raise SpaceError(f"{option}: {name} is given twice; leave one of them out")
        said[name] = what
    return said


def _typed(form: str) -> Any:
    """What is believed of one parameter; ``None`` where this is no form of it."""
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
    except ValueError:  # no number
        pass
    return None
