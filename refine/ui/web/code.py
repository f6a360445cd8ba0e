"""The Python call that makes the same decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.space.categorical import Categorical
from refine.space.encoding import Reference
from refine.space.parameters import Range
from refine.utils.calls import arguments

if TYPE_CHECKING:
    from refine.review.review import Review


def decision_code(review: Review, note: str, n: int | None) -> str:
    """Python that accepts a review: from the tree to the child.

    Args:
        review: With its edits and rejections.
        note: Why.
        n: Configurations of the next round; ``None`` for as many as this one.
    """
    proposal = review.proposal
    epsilon = f", epsilon={proposal.claim.epsilon!r}" if proposal.claim.epsilon_source == "given" else ""
    lines = [f'review = tree["{review.round.id}"].propose(risk={proposal.risk!r}{epsilon})']
    edits = {name: _notation(value) for name, value in review.edits.items()}
    if edits:
        lines.append(f"review = review.edit({arguments(edits)})")
    if review.rejected:
        lines.append(f"review = review.reject({', '.join(repr(name) for name in review.rejected)})")
    size = "" if n is None else f", n={n}"
    lines.append(f"child = review.accept(note={note!r}{size})")
    return "\n".join(lines)


def _notation(edit: Any) -> str:
    """An edit as one would type it."""
    if isinstance(edit, Range):
        return f"refine.{edit!r}"
    if isinstance(edit, Categorical):
        edit = list(edit.grid)
    if isinstance(edit, list):
        edit = [v.label if isinstance(v, Reference) else v for v in edit]
    return repr(edit.label if isinstance(edit, Reference) else edit)
