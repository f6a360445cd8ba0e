"""What the files of a round are called: its number in the tree, and a few words of its note or of what changed."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refine.tree.round import Round

_LETTERS = 24  # of the words, at most


def number_of_round(found: Round) -> int:
    """Which round of its tree it is, the oldest being 1."""
    return list(found.context.nodes).index(found.id) + 1


def file_name(found: Round) -> str:
    """``2-low-dropout``: of the round's note, else of the parameters whose bounds changed.

    It begins with the round's number, so that no two rounds of a tree share it, and files stand in the order in which
    rounds were made.
    """
    parent = found.parent
    words = slug_of(found.node.note)
    if not words and parent is not None:
        words = slug_of(" ".join(parent.space.diff(found.space).changed)) or "same-space"
    return f"{number_of_round(found)}-{words or 'root'}"


def slug_of(text: str) -> str:
    """The first words of a text as part of a file's name: plain lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    made = ""
    for word in re.findall(r"[a-z0-9]+", plain):
        if made and len(made) + 1 + len(word) > _LETTERS:
            break
        made = f"{made}-{word}".strip("-")[:_LETTERS]
    return made
