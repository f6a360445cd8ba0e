"""Stored questions compared with later trials, and their scores by author. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from refine.trials.stored_answer import StoredAnswer

# Later trials on both sides of a question that decide it.
DECISIVE = 3


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
