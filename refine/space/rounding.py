"""Round levels between two ends. Pure functions.

Default levels are 0.05 and 0.001, not 0.0756346: people read, type and compare levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from refine.space.encoding import round_significant

ABOUT = 10  # approximate number of levels of a range without stated levels

_STEPS = (1, 2, 2.5, 5)
_DECADES: tuple[tuple[float, ...], ...] = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
)
# Largest deviation from even spacing, as a share of a gap; below one half, so that levels keep their order.
_NEAR = 1 / 3

_SHORT = 4  # significant digits of a number that needs no further rounding


def round_levels(
    low: float, high: float, log: bool, integral: bool = False, about: int = ABOUT
) -> list[float]:
    """About ``about`` round numbers from ``low`` to ``high``, with both ends unrounded.

    On a linear scale, multiples of 1, 2, 2.5 or 5 times a power of ten. On a logarithmic scale, the same
    numbers in every decade: 1; 1 and 3; 1, 2 and 5; or more. Of these candidates the one nearest to ``about``
    by ratio is used. With ``integral`` all levels are integers.
    """
    ladders = [_between_ends(low, high, inner, log) for inner in _ladders(low, high, log, integral, about)]
    fitting = [levels for levels in ladders if about / 2 <= len(levels) <= 2 * about]
    if fitting:
        return min(fitting, key=lambda levels: abs(math.log(len(levels) / about)))
    return [low, *cut(low, high, about - 1, log, integral), high]


def cut(low: float, high: float, parts: int, log: bool, integral: bool = False) -> list[float]:
    """Round numbers that cut a gap into ``parts`` about equal parts (by ratio if ``log``), without its ends.

    With ``integral`` there may be fewer numbers, since all are integers.
    """
    if log:
        a = math.log(low)
        b = math.log(high)
    else:
        a = low
        b = high
    tolerance = _NEAR * (b - a) / parts
    out: list[float] = []
    for i in range(1, parts):
        target = a + (b - a) * (i / parts)
        ends = (target - tolerance, target, target + tolerance)
        if log:
            lower, nearest, upper = (math.exp(e) for e in ends)
        else:
            lower, nearest, upper = ends
        number = round_between(lower, nearest, upper, integral)
        if (out[-1] if out else low) < number < high:
            out.append(number)
    return out


def round_between(lower: float, target: float, upper: float, integral: bool) -> float:
    """The roundest number from ``lower`` to ``upper``: fewest digits, then nearest to ``target``.

    A ``target`` of at most four digits is returned as it is. With ``integral`` the result is an integer, the
    nearest one if none lies between.
    """
    if integral and round(target) == target:
        return target
    if not integral and round_significant(target) == float(f"{target:.{_SHORT}g}"):
        return round_significant(target)
    if lower <= 0 <= upper:
        return 0.0
    if integral and math.ceil(lower) > math.floor(upper):
        return float(math.floor(target + 0.5))
    for digits in range(1, 13):
        numbers = [v for v in _of_digits(lower, upper, digits) if not integral or v == math.floor(v)]
        if numbers:
            return min(numbers, key=lambda v: (_roughness(v, digits), abs(v - target)))
        if digits >= _SHORT and not integral:
            break
    if integral:
        return float(math.floor(target + 0.5))
    return round_significant(target)


def _of_digits(lower: float, upper: float, digits: int) -> list[float]:
    """The numbers with ``digits`` significant digits between two ends of the same sign."""
    if upper <= 0:
        return [-v for v in _of_digits(-upper, -lower, digits)]
    numbers: list[float] = []
    for decade in range(math.floor(math.log10(lower)), math.floor(math.log10(upper)) + 1):
        unit = decade - digits + 1
        first = max(math.ceil(lower / 10.0**unit - 1e-9), 10 ** (digits - 1))
        last = min(math.floor(upper / 10.0**unit + 1e-9), 10**digits - 1)
        numbers += [float(f"{m}e{unit}") for m in range(first, last + 1)]
    return numbers


def _roughness(number: float, digits: int) -> int:
    """Rank of a number among those with as many digits: 1 before 2 and 5 before 3; a last digit 5 first."""
    last = f"{abs(number):.{digits - 1}e}".partition("e")[0][-1]
    order = ("1", "25", "3") if digits == 1 else ("5",)
    return next((i for i, digits_of_rank in enumerate(order) if last in digits_of_rank), len(order))


def _ladders(low: float, high: float, log: bool, integral: bool, about: int) -> Iterator[list[float]]:
    """Sequences of round numbers between two ends, coarse ones first."""
    if log:
        decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        if len(decades) <= 4 * about:
            for numbers in _DECADES:
                levels = [round_significant(m * 10.0**e) for e in decades for m in numbers]
                yield [v for v in levels if not integral or v == int(v)]
        return
    width = high - low
    exponent = math.floor(math.log10(width / (2 * about)))
    for e in (exponent + 2, exponent + 1, exponent):
        for m in sorted(_STEPS, reverse=True):
            step = m * 10.0**e
            if width / step <= 4 * about and not (integral and (step < 1 or step != int(step))):
                first = math.floor(low / step)
                last = math.ceil(high / step)
                yield [round_significant(k * step) for k in range(first, last + 1)]


def _between_ends(low: float, high: float, inner: Sequence[float], log: bool) -> list[float]:
    """Both ends, and the numbers between that keep a distance from the ends."""

    def scale(v: float) -> float:
        if log:
            return math.log(v)
        return v

    between = [v for v in inner if low < v < high]
    if not between:
        return [low, high]
    gap = (scale(high) - scale(low)) / (len(between) + 1)
    if scale(between[0]) - scale(low) < _NEAR * gap:
        between = between[1:]
    if between and scale(high) - scale(between[-1]) < _NEAR * gap:
        between = between[:-1]
    return [low, *between, high]
