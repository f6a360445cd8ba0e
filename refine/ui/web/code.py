"""The Python calls that make the same decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.space.literals import python_symbols
from refine.utils.action import Action

if TYPE_CHECKING:
    from refine.review.review import Review


def decision_code(review: Review, note: str, n: int | None) -> str:
    """Python that accepts a review: from the tree to the child.

    Args:
        review: With its edits and rejections.
        note: Why.
        n: Configurations of the next round; ``None`` for as many as this one.
    """
    claim = review.proposal.claim
    given = {"epsilon": claim.epsilon} if claim.epsilon_source == "given" else {}
    proposed = Action("propose", risk=review.proposal.risk, **given)
    lines = [f'review = tree["{review.round.id}"].{proposed}']
    if review.edits:
        lines.append(f"review = {Action('review.edit', python_symbols(review.edits))}")
    if review.rejected:
        lines.append(f"review = {Action('review.reject', *review.rejected)}")
    size = {} if n is None else {"n": n}
    lines.append(f"child = {Action('review.accept', note=note, **size)}")
    return "\n".join(lines)
