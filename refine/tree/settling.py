"""Trials to settle a question."""

from __future__ import annotations

from refine.errors import AnalysisError
from refine.proposal.settling import SIZES, Outlook, contenders, level_rows, outlook_of, ran_candidates
from refine.space.space import configuration_key
from refine.tree.question_evidence import Basis
from refine.tree.tree_record import TreeRecord


def settling_trials(tree: TreeRecord, basis: Basis, n: int) -> list[dict[str, object]]:
    """New configurations, at most ``n``, from the two sides of a question.

    Raises:
        AnalysisError: No configuration is left to run on either side.
    """
    inside = basis.parts.inside.candidates
    outside = basis.parts.outside.candidates
    ran = {key for round_ in tree.rounds for key in round_._records().columns["key"]}
    chosen: dict[str, dict[str, object]] = {}
    if inside.any() and outside.any():
        # Some cells may have run in rounds outside the evidence, so more are chosen than are needed.
        count = n + len(ran)
        tried = ran_candidates(basis.evidence)
        cells = contenders(basis.evidence, inside, outside, count, basis.epsilons[0], tried)
        space = basis.round.space
        for row in level_rows(basis.evidence.surrogate, cells):
            configuration = space.frozen_at(row)
            chosen[configuration_key(configuration)] = configuration
    new = [configuration for key, configuration in chosen.items() if key not in ran]
    if not new:
        raise AnalysisError(
            f"question {str(basis.conditions.region)!r}: no configuration is left to run near the bests of "
            "both sides; ask about larger regions"
        )
    return new[:n]


def outlook_about(basis: Basis, available: int | None) -> Outlook | None:
    """The outlook of ``available`` trials; ``None`` with several goals, or with no cell left to run."""
    parts = basis.parts
    sides = parts.inside.candidates, parts.outside.candidates
    if len(basis.epsilons) > 1:
        return None
    epsilon = basis.epsilons[0]
    tried = ran_candidates(basis.evidence)
    cells = contenders(basis.evidence, *sides, SIZES[-1], epsilon, tried)
    if not cells:
        return None
    of_two = basis.conditions.rival is not None
    return outlook_of(basis.evidence, sides, cells, epsilon, of_two=of_two, available=available)
