"""Markdown that people's own words can't break: escapes, tables, code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from refine.errors import shown
from refine.utils.display import Block, Branch, Cell, Facts, Fold, Grid, Items, Page


class Raw(str):
    """Markdown that is meant: it isn't escaped again."""

    __slots__ = ()


class Section(NamedTuple):
    """A part of a report that is folded under its title."""

    title: str
    parts: tuple[Part, ...]


class Picture(NamedTuple):
    """A figure of a report: what it shows, for those who can't see it, the name of its file, and what draws it."""

    description: str
    name: str
    draw: Callable[[], Any]


Part = str | Block | Page | Section | Picture | None
"""What a report is made of: a paragraph, a block, the page of a result, a section, a picture; ``None`` is left out."""


_SPECIAL = re.compile(r"([\\`*|~\[\]$#])")
_PIPE = r"\|"
_LONE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINE_START = re.compile(r"^(\s*)([-+=](?=\s|$|[-=])|\d+(?=[.)](?:\s|$)))")


def escape(value: object) -> Raw:
    """Text for a sentence or a table cell, shown as it is.

    Line breaks become spaces, and control characters are spelt out; everything that markdown, HTML, a table or a formula would take for its own
    is escaped. Underscores inside words mean nothing to GitHub and stay readable.
    """
    if isinstance(value, Raw):
        return value
    text = shown(" ".join(str(value).split()))
    text = _SPECIAL.sub(r"\\\1", text)
    text = _LONE_UNDERSCORE.sub(r"\\_", text)
    return Raw(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def code(value: object) -> Raw:
    """A code span, whatever backticks are in it."""
    text = shown(" ".join(str(value).split()))
    if not text:
        return Raw("-")
    if "|" in text:
        # In a table a pipe ends the cell even inside a code span; an entity doesn't.
        return Raw(f"<code>{escape(text).replace(_PIPE, '&#124;')}</code>")
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Raw(f"{ticks}{pad}{text}{pad}{ticks}")


def fence(text: str, language: str = "") -> Raw:
    """A code block, whatever backticks are in it."""
    body = "\n".join(shown(line.rstrip()) for line in str(text).strip("\n").splitlines())
    ticks = "`" * max(3, _longest_run(body) + 1)
    return Raw(f"{ticks}{language}\n{body}\n{ticks}")


def quote(text: str) -> Raw:
    """A person's words as a quotation that keeps their lines."""
    lines = [escape(line) for line in str(text).strip().splitlines()]
    said = "<br>".join(line for line in lines if line)
    return Raw(f"> {_LINE_START.sub(_escaped_start, said)}")


def values_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> Raw:
    """A table of values as markdown; those that are markdown stay such."""
    texts = [tuple(v if isinstance(v, str) else str(v) for v in row) for row in [head, *rows]]
    return table(Grid(texts[0], tuple(texts[1:])))


def table(found: Grid) -> Raw:
    """A table as markdown, its cells escaped."""
    rows = [found.head, *([c.text if isinstance(c, Cell) else c for c in row] for row in found.rows)]
    lines = [[escape(c) or "-" for c in row] for row in rows]
    rule = "|".join([" --- "] * len(found.head))
    body = [f"| {' | '.join(row)} |" for row in lines]
    return Raw("\n".join([body[0], f"|{rule}|", *body[1:]]))


def rendered(parts: Iterable[Part], draw: Callable[[Picture], Raw] = lambda _: Raw("")) -> Raw:
    """Parts of a report, one below the other; ``draw`` makes the files of pictures and links them."""
    return Raw("\n\n".join(filter(None, (_part(part, draw) for part in parts if part))))


def _part(part: str | Block | Page | Section | Picture, draw: Callable[[Picture], Raw]) -> Raw:
    if isinstance(part, Page):
        return rendered(_page_parts(part))
    if isinstance(part, Picture):
        return draw(part)
    if isinstance(part, Section):
        inside = rendered(part.parts, draw)
        return Raw(inside and f"<details><summary>{escape(part.title)}</summary>\n\n{inside}\n\n</details>")
    return escape(part) if isinstance(part, str) else _block(part)


def _page_parts(page: Page) -> list[Part]:
    """A page's glance, then why, then everything else, folded."""
    parts: list[Part] = [Raw(f"**{escape(page.title)}**")] if page.title else []
    parts += page.blocks
    for title, why in (("Why", True), ("Every number", False)):
        folds = [fold for fold in page.folds if fold.why == why]
        parts += [Section(title, tuple(opened(folds)))] if folds else []
    return parts


def opened(folds: Iterable[Fold]) -> list[Part]:
    """Folds of a page, each under its title."""
    return [part for fold in folds for part in (Raw(f"**{escape(fold.title)}**"), *fold.blocks)]


def _block(block: Block) -> Raw:
    if isinstance(block, Grid):
        title = f"{escape(block.title)}\n\n" if block.title else ""
        return Raw(f"{title}{table(block)}")
    if isinstance(block, Items):
        mark = "1." if block.numbered else "-"
        return Raw("\n".join(f"{mark} {_said(item)}" for item in block.items))
    if isinstance(block, Facts):
        return Raw(
            "\n".join(f"- {f'**{escape(word)}** ' if word else ''}{_said(said)}" for word, said in block.rows)
        )
    if isinstance(block, Branch):
        return Raw("\n".join(_branch(block, 0)))
    if block.lines:
        return fence(block.text)
    return _said(Cell(block.text, block.tone, block.call))


def _branch(branch: Branch, depth: int) -> list[str]:
    lines = "<br>".join(" ".join(escape(cell.text) for cell in cells) for cells in branch.lines)
    return [
        f"{'  ' * depth}- {lines}",
        *(line for child in branch.children for line in _branch(child, depth + 1)),
    ]


def _said(value: str | Cell) -> Raw:
    cell = value if isinstance(value, Cell) else Cell(value)
    return Raw(f"{escape(cell.text)}{f' {code(cell.call)}' if cell.call is not None else ''}")


def joined(items: Sequence[object], last: str = "and") -> Raw:
    """``a, b and c``, each escaped."""
    texts = [escape(i) for i in items]
    if len(texts) < 2:
        return Raw("".join(texts))
    return Raw(f"{', '.join(texts[:-1])} {last} {texts[-1]}")


def slug(name: str, taken: set[str]) -> str:
    """A file name's part for a parameter: plain letters, and not one of ``taken``, to which it is added.

    File systems may ignore case, so that names must differ in more than that.
    """
    base = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "parameter"
    found, count = base, 1
    while found.lower() in taken:
        count += 1
        found = f"{base}-{count}"
    taken.add(found.lower())
    return found


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _escaped_start(match: re.Match[str]) -> str:
    space, mark = match.groups()
    # A number is escaped behind its digits, where the point or bracket is.
    return f"{space}{mark}\\" if mark.isdigit() else f"{space}\\{mark}"
