"""Labels that fit: shortened, on several lines, told apart, and which of many don't touch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from refine.report.figures.theme import page_width, wide

if TYPE_CHECKING:
    from refine.utils.arrays import Floats

_JOINTS = re.compile(
    r"[^ _\-./]*[ _\-./]+|[^ _\-./]+"
)  # parts of a name, each with what joins it to the next


def shorten(text: str, most: int = 40) -> str:
    """One line of at most ``most`` letters; the middle goes, since names often differ at their ends."""
    line = " ".join(str(text).split())
    if len(line) <= most:
        return line
    head = (most - 1) * 3 // 5
    return f"{line[:head]}…{line[len(line) - (most - 1 - head) :]}"


def wrapped(text: str, width: int = 24, lines: int = 2) -> str:
    """A label on a few lines, which end where parts of it are joined; a part that is too long loses its middle."""
    rest = " ".join(str(text).split())
    made: list[str] = []
    while len(rest) > width and len(made) < lines - 1:
        cut = 0
        for part in _JOINTS.finditer(rest):
            if len(part[0].rstrip()) + part.start() > width:
                break
            cut = part.end()
        if not cut:  # its first part alone is too long
            break
        made.append(rest[:cut].rstrip())
        rest = rest[cut:].strip()
    return "\n".join([*made, shorten(rest, width)] if rest else made)


def fitted(
    text: str, inches: float, size: float, *, lines: int = 2, bold: bool = False, least: int = 6
) -> str:
    """A text on up to so many lines, each as wide as there is room; its middle goes where that is not enough.

    Line breaks in it stay; ``least`` letters a line has, whatever room there is.
    """
    if "\n" in text:
        return "\n".join(fitted(part, inches, size, bold=bold) for part in text.split("\n"))
    whole = wide(text, size, bold)
    if whole <= inches:
        return text
    letters = max(least, int(len(text) * inches / whole))
    while letters > least and wide(wrapped(text, letters, lines), size, bold) > inches:
        letters -= 1
    return wrapped(text, letters, lines)


def beside_rows(text: str, most: int = 26) -> str:
    """A name that fits beside the rows of a figure, on two lines at most."""
    return wrapped(text, min(most, int(4 * page_width())))


def fitting(centres: Sequence[float] | Floats, widths: Sequence[float], order: Iterable[int]) -> list[int]:
    """Numbers of labels, with centres and widths in inches, so that none touches another, the first in the order first."""
    shown: list[int] = []
    for i in order:
        if all(abs(centres[i] - centres[j]) >= (widths[i] + widths[j]) / 2 for j in shown):
            shown.append(i)
    return sorted(shown)


def short_ids(ids: Sequence[str]) -> list[str]:
    """The beginnings of ids, 6 letters or as many as tell them apart."""
    for letters in range(6, max((len(each) for each in ids), default=0)):
        if len({each[:letters] for each in ids}) == len(set(ids)):
            return [each[:letters] for each in ids]
    return list(ids)


def told_apart(texts: Sequence[str], most: int = 40) -> list[str]:
    """Labels of at most ``most`` letters; what all begin and end with goes where these would be alike."""
    short = [shorten(text, most) for text in texts]
    if len(set(short)) == len(short) or len(set(texts)) < len(texts):
        return short
    head = _common(texts)
    tail = _common([text[head:][::-1] for text in texts])
    return [shorten(f"…{text[head : len(text) - tail]}{'…' * bool(tail)}", most) for text in texts]


def _common(texts: Sequence[str]) -> int:
    """How many letters all begin with."""
    alike = (len(set(letters)) == 1 for letters in zip(*texts, strict=False))
    return sum(1 for _ in takewhile(bool, alike))
