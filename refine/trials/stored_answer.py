"""A question to a tree with its answer, as stored. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from refine.space.encoding import digest, dumps
from refine.utils.numbers import is_real
from refine.utils.types import JsonObject


@dataclass(frozen=True)
class StoredAnswer:
    """A question with an answer, as stored.

    Probabilities are model probabilities of a yes: see :class:`refine.tree.asking.Answer`.
    """

    created: float  # time in seconds since 1970
    author: str  # the person or program that asked
    round: str  # id of the round that answered
    question: str  # the expression, in its canonical spelling
    # condition within which the question was asked; ``None`` without one
    given: str | None  # language: ok, a key of stored answers
    better: str | None  # the other region; ``None`` if the question is about everything outside
    tolerance: Any  # epsilon as asked, a number or a mapping by metric; ``None`` for the default
    verdict: str  # see :attr:`refine.tree.asking.Answer.verdict`
    probability: float  # NaN if it could not be stated
    guess: float | None  # the author's own chance of a yes; ``None`` without one
    cost: float  # expected best outside minus best inside; NaN if unknown
    epsilon: float  # loss that counted as none, in units of the metric
    goals: int  # number of goals
    trials: int  # finished trials behind the answer
    inside: int  # of those, trials inside the asked region
    evidence: str  # digest of the evidence

    @property
    def key(self) -> tuple[Any, ...]:
        """The question without the answer: equal for repeated questions."""
        return self.question, self.given, self.better, dumps(self.tolerance)

    @property
    def digest(self) -> str:
        """Hash without the time: a repeated question on equal evidence has one answer."""
        content = self.to_json()
        content.pop("created")
        return digest(content, 16)

    def to_json(self) -> JsonObject:
        """Plain data, with null for NaN."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StoredAnswer:
        """The answer of :meth:`to_json`'s output.

        Raises:
            ValueError: A field is missing, or has a value of another type.
        """
        values = {f.name: data[f.name] for f in fields(cls)}
        for name in ("probability", "cost"):
            if values[name] is None:
                values[name] = math.nan
        texts = [values[name] for name in ("author", "round", "question", "verdict", "evidence")]
        texts += [values[name] for name in ("given", "better") if values[name] is not None]
        numbers = [values[name] for name in ("created", "probability", "cost", "epsilon", "goals", "trials")]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a stored question must have texts for its author, round and expressions")
        if not all(map(is_real, numbers)):
            raise ValueError("a stored answer must have numbers for its time, probability and trials")
        return cls(**values)
