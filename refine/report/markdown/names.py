"""What the files of a round are called: its number in the tree, and a few words of its note or of what changed."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from refine.tree.round import Round

_LETTERS = 24  # of the words, at most
_CLAUSE = re.compile(r"[.:;,!?](?=\s|$)|\n")


def number_of_round(found: Round) -> int:
    """Which round of its tree it is, the oldest being 1."""
    return list(found.context.nodes).index(found.id) + 1


def file_name(found: Round, folder: Path, ending: str = ".md") -> str:
    """``2-low-dropout``: of the round's note, else of the parameters whose bounds changed.

    It begins with the round's number, so that no two rounds of a tree share it, and files stand in the order in which
    rounds were made. Where the folder has that file of another tree's round, the beginning of the id is added.

    Args:
        found: The round.
        folder: Where the file goes.
        ending: What follows the name.
    """
    parent = found.parent
    words = slug_of(found.node.note)
    if not words and parent is not None:
        words = slug_of(" ".join(parent.space.diff(found.space).changed)) or "same-space"
    name = f"{number_of_round(found)}-{words or 'root'}"
    there = first_line(folder / f"{name}{ending}")
    return f"{name}-{found.id[:6]}" if there and found.id not in there else name


def comparison_name(first: Round, second: Round, folder: Path) -> str:
    """``compare-1-2``, by the rounds' numbers; with the beginnings of their ids where the folder has that of another tree.

    Args:
        first: One round.
        second: The other one.
        folder: Where the file goes.
    """
    name = f"compare-{number_of_round(first)}-{number_of_round(second)}"
    there = first_line(folder / f"{name}.md")
    return f"{name}-{first.id[:6]}-{second.id[:6]}" if there and first.id not in there else name


def first_line(path: Path) -> str:
    """The first line of a report, with that of its title where it is HTML; empty where there is none."""
    try:
        with path.open(encoding="utf-8") as lines:
            return "".join(islice(lines, 2 if path.suffix == ".html" else 1))
    except (OSError, UnicodeDecodeError):  # nothing is there, or nothing of ours
        return ""


def slug_of(text: str) -> str:
    """The first words of a text as part of a file's name: plain lower-case letters, digits and hyphens.

    They end with the first clause.
    """
    text = next((part for part in _CLAUSE.split(text) if part.strip()), "")
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    made = ""
    for word in re.findall(r"[a-z0-9]+", plain):
        if made and len(made) + 1 + len(word) > _LETTERS:
            break
        made = f"{made}-{word}".strip("-")[:_LETTERS]
    return made
