"""Declared facts about the values of a study: their noise, limits and scale. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from refine.errors import AnalysisError
from refine.utils.numbers import is_real
from refine.utils.types import JsonObject

NOISE = ("none", "retraining")  # declarations about the noise of an objective
SCALES = ("log", "linear")  # declarations about the scale of a metric

Limits = tuple[float | None, float | None]
"""Lowest and highest possible value of a metric; ``None`` for an open end, for both if there is no limit."""


class Declared(NamedTuple):
    """Facts that a person declared about the values of a round; ``None`` for a fact that trials must show.

    Limits and scale are about the metric of the round, the noise about its objective.
    """

    noise: str | None = None  # one of :data:`NOISE`
    limits: Limits | None = None  # values that the metric cannot pass
    scale: str | None = None  # one of :data:`SCALES`

    @classmethod
    def checked(cls, noise: Any = None, limits: Any = None, scale: Any = None) -> Declared:
        """The declarations, checked.

        Raises:
            AnalysisError: An unknown noise or scale, or limits that are not two ends, the first one lower.
        """
        check_noise(noise)
        check_scale(scale)
        return cls(noise, checked_limits(limits), scale)

    @classmethod
    def nearest(cls, path: Iterable[Declared]) -> Declared:
        """The declarations that hold on the last round of a path, root first: the nearest of each kind."""
        nearest = cls()
        for declared in path:
            stated = {name: value for name, value in declared._asdict().items() if value is not None}
            nearest = nearest._replace(**stated)
        return nearest

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Declared:
        """The declarations of :meth:`to_json`; errors are those of :meth:`checked`."""
        return cls.checked(content.get("noise"), content.get("limits"), content.get("scale"))

    def to_json(self) -> JsonObject:
        """The declarations as plain data; undeclared facts are left out."""
        stated = {name: value for name, value in self._asdict().items() if value is not None}
        return {name: list(value) if name == "limits" else value for name, value in stated.items()}


NOTHING = Declared()
"""No declaration."""


def check_noise(noise: object) -> None:
    """Raises AnalysisError for an unknown declaration of noise."""
    if noise is not None and not (isinstance(noise, str) and noise in NOISE):
        raise AnalysisError(f"noise must be 'none', 'retraining' or None (estimate it), got {noise!r}")


def check_scale(scale: object) -> None:
    """Raises AnalysisError for an unknown declaration of a scale."""
    if scale is not None and not (isinstance(scale, str) and scale in SCALES):
        raise AnalysisError(f"scale must be 'log', 'linear' or None (decide by the values), got {scale!r}")


def typed_limits(text: str) -> Limits:
    """Limits typed as ``LOW:HIGH``, either of them empty. Raises AnalysisError: other text."""
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        ends = tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        raise AnalysisError(
            f"limits must be the lowest and the highest possible value, got {text!r}; write 0:1, or 0: for "
            "an open end"
        ) from None
    return ends[0], ends[1]


def checked_limits(limits: object) -> Limits | None:
    """Declared limits of a metric, checked; AnalysisError unless they are two ends, the first one lower."""
    if limits is None:
        return None
    if isinstance(limits, tuple | list):
        ends = tuple(limits)
    else:
        ends = ()
    numbers = [end for end in ends if end is not None]
    real = all(map(is_real, numbers))
    if len(ends) != 2 or not real or (len(numbers) == 2 and not numbers[0] < numbers[1]):
        raise AnalysisError(
            f"limits must be the lowest and the highest possible value of the metric, got {limits!r}; "
            "for example limits=(0, None) for a metric that cannot be negative"
        )
    low, high = (None if end is None else float(end) for end in ends)
    return low, high
