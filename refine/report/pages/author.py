"""Who decided, as a person at this screen reads it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from refine.review.decision import user

if TYPE_CHECKING:
    from refine.tree.round import Round


def whom(author: str, authors: Collection[str]) -> str:
    """An author's name; *you* where nobody else decided in the tree.

    Args:
        author: Who decided.
        authors: Everybody who did.
    """
    return "you" if set(authors) == {author} == {user()} else author


def everybody(found: Round) -> set[str]:
    """All who made a round or decided on one, as far as a round's tree tells."""
    return {each.node.author for each in found.context.nodes.values()} | {d.author for d in found.decisions}
