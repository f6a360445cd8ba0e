"""Numbers and tables as text, the same way everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_ROUNDING = 1e-12  # smaller values are rounding errors of sums
_HUGE = 1e12  # larger values have an exponent
_UNITS = (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes")
_NUMBER = re.compile(r"0x[0-9a-f]+|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits, without an exponent if possible; ``-`` for a missing value.

    Up to 1e12, the digits and two decimals that tell a value of 1e6 or more from its neighbours.
    """
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    text = f"{value:.{digits}g}"
    if digits == 3 and 1e6 <= abs(value) < _HUGE and float(text) != value:
        return _hundredths(value)
    if "e" in text and 1e-4 <= abs(value) < 1e6:
        text = f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return text


def signed(value: float) -> str:
    """Two decimals with a sign."""
    if not math.isfinite(value):
        return "-"
    return f"{value:+z.2f}"


def score(value: float | None) -> str:
    """Four decimals below 1,000, for values of a metric that differ late; three digits below 0.001.

    Larger values have six digits, and two decimals up to 1e12: values near 1e9 may differ by 0.01.
    """
    if value is None or not math.isfinite(value):
        return "-"
    if _ROUNDING < abs(value) < 0.001:
        return f"{value:.3g}"
    if abs(value) < 1000:
        return f"{value:z.4f}"
    if abs(value) < _HUGE:
        return _hundredths(value)
    return f"{value:.6g}"


def _hundredths(value: float) -> str:
    """A value of 1,000 or more in six digits, or in as many as show two decimals."""
    return f"{value:.{max(6, 3 + math.floor(math.log10(abs(value))))}g}"


def difference(value: float | None) -> str:
    """A difference of two values in two digits: never ``0.0000``, but 0 for a difference below 1e-12.

    Smaller differences are rounding errors of sums.
    """
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) < _ROUNDING:
        return "0"
    return number(float(f"{value:.2g}"), 2)


def coarse(values: Sequence[float], gap: float = 0.0) -> list[str]:
    """Values in as few decimals as show two digits of their largest difference: ``0.94``, ``0.95``.

    ``gap`` is a further difference to show; 0 for none.
    """
    finite = [v for v in values if math.isfinite(v)]
    gaps = [gap, *(abs(a - b) for a in finite for b in finite)]
    # The difference of two huge values overflows.
    largest = max(size for size in (0.0, *gaps) if math.isfinite(size))
    decimals = 3
    if largest > _ROUNDING:
        decimals = max(0, 1 - math.floor(math.log10(largest)))
    if decimals > 6 and max(map(abs, finite), default=0.0) < 0.001:
        return [*map(score, values)]
    decimals = min(6, decimals)
    if max(map(abs, finite), default=0.0) >= _HUGE:
        return [score(v) for v in values]
    return [f"{v:z.{decimals}f}" if math.isfinite(v) else score(v) for v in values]


def by_over(tolerance: float, word: str = "over") -> str:
    """`` by over 0.01``, or `` by more than 0.01``; empty for a tolerance of 0."""
    if tolerance:
        return f" by {word} {difference(tolerance)}"
    return ""


CHANCE_STEPS = (
    (0.05, "at most about 1 in 20", "<= 1 in 20"),
    (0.15, "about 1 in 8", "1 in 8"),
    (0.35, "about 1 in 5", "1 in 5"),
    (math.inf, "more than 1 in 3", "> 1 in 3"),
)
"""Upper end of a model probability, words, table cell: steps that counts on unseen tables support."""


def chance_words(probability: float | None) -> str:
    """A model probability as one of four frequencies: ``at most about 1 in 20``; ``unknown`` for NaN."""
    if probability is None or not math.isfinite(probability):
        return "unknown"
    return next(words for end, words, _ in CHANCE_STEPS if probability < end)


def chance_cell(probability: float | None) -> str:
    """A model probability as one of four frequencies, for a table: ``<= 1 in 20``; ``-`` for NaN.

    ``none`` for 0, the probability of a certain claim: shares of draws are never 0.
    """
    if probability is None or not math.isfinite(probability):
        return "-"
    if probability == 0:
        return "none"
    return next(cell for end, _, cell in CHANCE_STEPS if probability < end)


def percent(share: float | None) -> str:
    """A share as a percentage with sensible digits."""
    if share is None or not math.isfinite(share):
        return "-"
    value = float(f"{100 * share:.10g}")  # equal shares print equal digits
    if math.isclose(value, round(value), abs_tol=1e-9):
        return f"{value:.0f} %"
    if 0 < value < 0.1 or 99.9 < value < 100:
        if value < 1:
            return f"{value:.2g} %"
        return f"{value:.4g} %"
    if value >= 9.95:
        return f"{value:.0f} %"
    return f"{value:.1f} %"


def risk_percent(share: float | None) -> str:
    """A risk counted in some hundreds of draws, in whole percent: ``5 %``, ``< 1 %``."""
    if share is None or not math.isfinite(share):
        return "-"
    if 0 < share < 0.005:
        return "< 1 %"
    return f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """``= 0.013``, ``< 0.001``, or ``untested`` without a p-value."""
    if not math.isfinite(p):
        return "untested"
    if p < 0.001:
        return "< 0.001"
    return f"= {p:.2g}"


def duration(seconds: float) -> str:
    """``12 s``, ``3 min 20 s``, ``2 h 5 min``; ``under 0.01 s``."""
    if seconds < 0.01:
        return "under 0.01 s"
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole_seconds = round(seconds)
    if whole_seconds < 60:
        return f"{whole_seconds} s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60} min {whole_seconds % 60} s"
    return f"{whole_seconds // 3600} h {whole_seconds % 3600 // 60} min"


def about_duration(seconds: float) -> str:
    """``about 12 s``; ``under 0.01 s``."""
    if seconds < 0.01:
        return duration(seconds)
    return f"about {duration(seconds)}"


def bytes_text(number: float) -> str:
    """``2.13 GB``, ``300 MB``, ``12 kB``."""
    # 999.9 GB rounds to 1 TB
    unit, name = next(((unit, name) for unit, name in _UNITS if number >= 0.9995 * unit), _UNITS[-1])
    if unit >= 1e9:
        return f"{number / unit:.3g} {name}"
    return f"{number / unit:.0f} {name}"


def join(items: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def plural(count: int, singular: str, plural_form: str | None = None) -> str:
    """``1 trial``, ``1,200 trials``."""
    return f"{count:,} {inflected(count, singular, plural_form or singular + 's')}"


def inflected(count: int, singular: str, plural_form: str) -> str:
    """The form of a word that agrees with a number: ``is`` or ``are``."""
    if count == 1:
        return singular
    return plural_form


def without_numbers(text: str) -> str:
    """A text with ``#`` for every number: errors of one cause often differ in their numbers alone."""
    return _NUMBER.sub("#", text)
