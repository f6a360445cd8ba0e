"""Who decided, as a person at this screen reads it."""

from __future__ import annotations

from collections.abc import Collection

from refine.review.decision import user


def whom(author: str, authors: Collection[str]) -> str:
    """An author's name; *you* where nobody else decided in the tree.

    Args:
        author: Who decided.
        authors: Everybody who did.
    """
    return "you" if set(authors) == {author} == {user()} else author
