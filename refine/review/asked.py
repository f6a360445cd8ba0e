"""Questions as stored with their answers, and their scores by author. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from refine.space.encoding import digest, dumps

# Later trials on both sides of a question that decide it.
DECISIVE = 3


@dataclass(frozen=True)
class StoredAnswer:
    """A question with an answer, as stored.

    Probabilities are model probabilities of a yes: see :class:`refine.tree.asking.Answer`.
    """

    created: float  # time in seconds since 1970
    author: str  # the person or program that asked
    round: str  # id of the round that answered
    question: str  # the expression, in its canonical spelling
    given: str | None  # condition within which the question was asked; ``None`` without one
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

    def to_json(self) -> dict[str, Any]:
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
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise ValueError("a stored answer must have numbers for its time, probability and trials")
        return cls(**values)


class ScoredQuestion(NamedTuple):
    """A question compared with later trials.

    After 3 later trials on either side, the best observed values decide the question.
    """

    answer: StoredAnswer  # the first answer after which these trials ended
    later_inside: int  # later trials with a value inside the asked region
    later_outside: int  # later trials with a value outside, or in the other region
    outcome: bool | None  # whether the answer was yes; ``None`` if it is not decided

    @property
    def loss(self) -> float:
        """Squared difference of the stated probability from the outcome; NaN if not decided."""
        return self._loss(self.answer.probability)

    @property
    def guess_loss(self) -> float:
        """The squared difference for the author's own chance; NaN without a guess."""
        if self.answer.guess is None:
            return math.nan
        return self._loss(self.answer.guess)

    def _loss(self, probability: float) -> float:
        if self.outcome is None:
            return math.nan
        return (probability - self.outcome) ** 2


class QuestionScore(NamedTuple):
    """The questions of an author, scored by later trials."""

    author: str  # the person or program that asked
    asked: int  # questions, each counted once per evidence
    decided: int  # questions that later trials decided
    brier: float  # mean squared error of the answers to the decided ones; NaN without one
    guessed: int  # decided questions with the author's own chance
    guess_brier: float  # mean squared error of those chances; NaN without one
    answer_brier: float  # mean squared error of the answers to the same questions; NaN without one


def question_scores(questions: Sequence[ScoredQuestion]) -> tuple[QuestionScore, ...]:
    """Scores by author, in the order of their first questions.

    Source: Brier (1950), 'Verification of forecasts expressed in terms of probability'.
    """
    by_author: dict[str, list[ScoredQuestion]] = {}
    for question in questions:
        by_author.setdefault(question.answer.author, []).append(question)
    scores = []
    for author, of_author in by_author.items():
        decided = [q for q in of_author if math.isfinite(q.loss)]
        guessed = [q for q in decided if math.isfinite(q.guess_loss)]
        scores.append(
            QuestionScore(
                author=author,
                asked=len(of_author),
                decided=len(decided),
                brier=_mean([q.loss for q in decided]),
                guessed=len(guessed),
                guess_brier=_mean([q.guess_loss for q in guessed]),
                answer_brier=_mean([q.loss for q in guessed]),
            )
        )
    return tuple(scores)


def _mean(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    return math.fsum(values) / len(values)
