"""The gate before a decision: questions to ask of a round. The cards inform; only the person decides. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError, UnknownName, did_you_mean
from refine.review import checks as cards
from refine.review.checks import Card, Known
from refine.space.roles import SCIENTIFIC
from refine.trials.trials import best_first
from refine.utils.display import Cell, Grid, Page, Shown

VERDICTS = ("pass", "warn", "fail", "unknown")


@dataclass(frozen=True)
class Gate(Shown):
    """All cards of a round.

    Attributes:
        round: Id of the round.
        cards: The cards, in the order of asking.
    """

    round: str
    cards: tuple[Card, ...]

    def __getitem__(self, key: str) -> Card:
        for card in self.cards:
            if card.key == key:
                return card
        raise UnknownName(f"no card {key!r}; {did_you_mean(key, [c.key for c in self.cards])}")

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> number of cards."""
        return {v: sum(c.verdict == v for c in self.cards) for v in VERDICTS}

    def page(self) -> Page:
        """One row per question."""
        tones = {"pass": "good", "warn": "warn", "fail": "bad", "unknown": "faint"}
        rows = tuple((c.question, Cell(c.verdict, tones[c.verdict]), c.number, c.says) for c in self.cards)
        told = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items() if count)
        calls = tuple(c.call for c in self.cards if c.call and c.verdict in ("warn", "fail"))
        grid = Grid(("question", "verdict", "number", "what follows"), rows, wide=(3,))
        return Page(f"Before you decide on round {self.round}: {told}", (grid,), calls[:3])

    def __repr__(self) -> str:
        return str(self)


def gate_of(round_id: str, analysis: Analysis, known: Known) -> Gate:
    """The cards of a round.

    Args:
        round_id: Its id.
        analysis: What was measured.
        known: What else is known.

    Raises:
        AnalysisError: No trial may be called best.
    """
    ranked = best_first(analysis.table, analysis.direction, analysis.space, known.degenerate)
    if ranked.empty:
        raise AnalysisError("no trial has finished that may be called best; run the round first: .run()")
    values = analysis.sign * np.asarray(ranked["value"], dtype=float)
    scientific = [n for n, role in known.roles.items() if role == SCIENTIFIC]
    found = [
        cards.goal(known, scientific),
        cards.edges(analysis, known.proposal, ranked.iloc[0]),
        cards.enough(analysis),
        cards.infeasible(analysis, known.degenerate),
        cards.curves(known.curves),
        *(cards.isolation(analysis, name) for name in scientific),
        cards.noise(analysis, known, values),
        cards.luck(analysis, values),
        cards.cost(analysis, ranked),
    ]
    return Gate(round_id, tuple(found))
