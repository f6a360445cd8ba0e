"""Numbers as people write them: round levels between two ends. Pure.

Levels that nobody stated are 0.05 and 0.001, not 0.0756346: they are read, typed and compared by people.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from refine.space.encoding import round_significant

ABOUT = 10  # so many levels, nearly, a range has whose levels nobody stated

_STEPS = (1, 2, 2.5, 5)
_DECADES: tuple[tuple[float, ...], ...] = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
)
# Share of a gap by which a level may lie off even spacing; below one half, so that levels keep their order.
_NEAR = 1 / 3

_SHORT = 4  # a number of so many digits is round enough to stay as it is


def round_levels(low: float, high: float, log: bool, whole: bool = False, about: int = ABOUT) -> list[float]:
    """About as many round numbers from one end to the other, both ends included as they are.

    On a linear scale multiples of 1, 2, 2.5 or 5 times a power of ten; on a logarithmic one the same few numbers in every
    decade: 1; 1 and 3; 1, 2 and 5; or finer. Of these the ones whose number is nearest to ``about`` by ratio. With ``whole``
    they are integers.
    """
    ladders = [_between_ends(low, high, inner, log) for inner in _ladders(low, high, log, whole, about)]
    fitting = [levels for levels in ladders if about / 2 <= len(levels) <= 2 * about]
    if fitting:
        return min(fitting, key=lambda levels: abs(math.log(len(levels) / about)))
    return [low, *cut(low, high, about - 1, log, whole), high]


def cut(low: float, high: float, parts: int, log: bool, whole: bool = False) -> list[float]:
    """Round numbers that cut a gap into parts as equal (by ratio if ``log``) as that allows, without its ends.

    There are fewer where integers, which ``whole`` asks for, don't do.
    """
    a, b = (math.log(low), math.log(high)) if log else (low, high)
    off = _NEAR * (b - a) / parts
    out: list[float] = []
    for i in range(1, parts):
        at = a + (b - a) * (i / parts)
        ends = (at - off, at, at + off)
        least, near, most = (math.exp(e) for e in ends) if log else ends
        number = round_between(least, near, most, whole)
        if (out[-1] if out else low) < number < high:
            out.append(number)
    return out


def round_between(least: float, near: float, most: float, whole: bool = False) -> float:
    """The roundest number from ``least`` to ``most``: that of the fewest digits, then the nearest to ``near``.

    ``near`` stays where it has four digits or fewer. With ``whole`` it is an integer, the nearest one where there is none
    between.
    """
    if whole and round(near) == near:
        return near
    if not whole and round_significant(near) == float(f"{near:.{_SHORT}g}"):
        return round_significant(near)
    if least <= 0 <= most:
        return 0.0
    if whole and math.ceil(least) > math.floor(most):
        return float(math.floor(near + 0.5))
    for digits in range(1, 13):
        numbers = [v for v in _of_digits(least, most, digits) if not whole or v == math.floor(v)]
        if numbers:
            return min(numbers, key=lambda v: (_roughness(v, digits), abs(v - near)))
        if digits >= _SHORT and not whole:
            break
    return float(math.floor(near + 0.5)) if whole else round_significant(near)


def _of_digits(least: float, most: float, digits: int) -> list[float]:
    """The numbers of so many significant digits between two ends of one sign."""
    if most <= 0:
        return [-v for v in _of_digits(-most, -least, digits)]
    found: list[float] = []
    for decade in range(math.floor(math.log10(least)), math.floor(math.log10(most)) + 1):
        unit = decade - digits + 1
        first = max(math.ceil(least / 10.0**unit - 1e-9), 10 ** (digits - 1))
        last = min(math.floor(most / 10.0**unit + 1e-9), 10**digits - 1)
        found += [float(f"{m}e{unit}") for m in range(first, last + 1)]
    return found


def _roughness(number: float, digits: int) -> int:
    """How a number reads beside others of as many digits: 1 before 2 and 5 before 3, and ...5 before others."""
    last = f"{abs(number):.{digits - 1}e}".partition("e")[0][-1]
    order = ("1", "25", "3") if digits == 1 else ("5",)
    return next((i for i, ones in enumerate(order) if last in ones), len(order))


def _ladders(low: float, high: float, log: bool, whole: bool, about: int) -> Iterator[list[float]]:
    """Round numbers between two ends, coarse ones first."""
    if log:
        decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        if len(decades) <= 4 * about:
            for numbers in _DECADES:
                levels = [round_significant(m * 10.0**e) for e in decades for m in numbers]
                yield [v for v in levels if not whole or v == int(v)]
        return
    width = high - low
    least = math.floor(math.log10(width / (2 * about)))
    for e in (least + 2, least + 1, least):
        for m in sorted(_STEPS, reverse=True):
            step = m * 10.0**e
            if width / step <= 4 * about and not (whole and (step < 1 or step != int(step))):
                first, last = math.floor(low / step), math.ceil(high / step)
                yield [round_significant(k * step) for k in range(first, last + 1)]


def _between_ends(low: float, high: float, inner: Sequence[float], log: bool) -> list[float]:
    """Both ends and the numbers between that don't crowd them."""

    def scale(v: float) -> float:
        return math.log(v) if log else v

    between = [v for v in inner if low < v < high]
    if not between:
        return [low, high]
    gap = (scale(high) - scale(low)) / (len(between) + 1)
    if scale(between[0]) - scale(low) < _NEAR * gap:
        between = between[1:]
    if between and scale(high) - scale(between[-1]) < _NEAR * gap:
        between = between[:-1]
    return [low, *between, high]
