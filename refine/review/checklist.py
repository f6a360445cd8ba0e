"""The checks before a decision: questions to ask of a round. They inform; only the person decides. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError, UnknownNameError, did_you_mean
from refine.review import checks
from refine.review.checks import VERDICTS, Check, Known
from refine.space.roles import SCIENTIFIC
from refine.trials.frame import best_first
from refine.utils.action import Action
from refine.utils.display import Shown


@dataclass(frozen=True, repr=False)
class Checks(Shown):
    """All checks of a round.

    Attributes:
        round: Id of the round.
        checks: The checks, in the order of asking.
    """

    round: str
    checks: tuple[Check, ...]

    def __getitem__(self, key: str) -> Check:
        for check in self.checks:
            if check.key == key:
                return check
        raise UnknownNameError(f"no check {key!r}; {did_you_mean(key, [c.key for c in self.checks])}")

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> number of checks."""
        return {v: sum(c.verdict == v for c in self.checks) for v in VERDICTS}


def checks_of(round_id: str, analysis: Analysis, known: Known) -> Checks:
    """The checks of a round.

    Args:
        round_id: Its id.
        analysis: What was measured.
        known: What else is known.

    Raises:
        AnalysisError: No trial may be called best.
    """
    ranked = best_first(analysis.table, analysis.direction, analysis.space, known.allow_degenerate)
    if ranked.empty:
        raise AnalysisError(
            "no trial has finished that may be called best; run the round first", Action("round.run")
        )
    values = analysis.sign * np.asarray(ranked["value"], dtype=float)
    scientific = [n for n, role in known.roles.items() if role == SCIENTIFIC]
    found = [
        checks.goal(known, scientific),
        checks.edges(analysis, known.proposal, ranked.iloc[0]),
        checks.enough(analysis),
        *([checks.code(analysis)] if len(analysis.codes) > 1 else []),
        checks.infeasible(analysis, known.allow_degenerate),
        checks.curves(known.curves),
        *(checks.isolation(analysis, name) for name in scientific),
        checks.noise(analysis, known),
        checks.optimism(analysis, values),
        checks.cost(analysis),
        checks.second(analysis, known.proposal),
        checks.worth(known.worth),
    ]
    return Checks(round_id, tuple(found))
