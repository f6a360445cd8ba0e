"""Pages of objects: texts, tables and calls, as plain text, in a terminal's colours, or as HTML.

A page is plain data in three depths: a summary that is printed, folds with evidence, and folds with details.
Printable objects derive from :class:`Shown`; upper layers register a page for each class
(:mod:`refine.utils.provided`). Printing, notebooks, reports, the command line and the review page render the
same page. Nothing in a page is markup, so notes of users are printed literally.
"""

from __future__ import annotations

import html
import io
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.errors import AnalysisError, did_you_mean, shown
from refine.utils.action import Action
from refine.utils.provided import page_maker
from refine.utils.types import JsonObject

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text as RichText
    from rich.tree import Tree as RichTree

WIDTH = 100
"""Columns of a table where no terminal says how many there are."""

_ENDLESS = 100_000
_SHORT = 16  # letters of a cell that is never broken
_SENTENCE = 56  # columns from which a column of sentences can be read

# Tone -> a terminal's style, and a style in HTML that reads on white and on black.
_TONES = {
    "": ("", ""),
    "strong": ("bold", "font-weight:600"),
    "faint": ("dim", "opacity:.62"),
    "good": ("green", "color:#118a5b"),
    "warn": ("yellow", "color:#b36b00"),
    "bad": ("red", "color:#cc3d3d"),
    "code": ("cyan", "font-family:ui-monospace,monospace"),
}
_LINE = "1px solid rgba(128,128,128,.35)"


class Cell(NamedTuple):
    """A text with a tone: ``"strong"``, ``"faint"``, ``"good"``, ``"warn"``, ``"bad"``, ``"code"`` or none.

    Attributes:
        text: The text.
        tone: Its tone.
        call: A call, or a command to type, that follows the text.
    """

    text: str
    tone: str = ""
    call: Action | str | None = None


def as_cell(value: str | Cell) -> Cell:
    """A text as a cell without a tone; a cell as it is."""
    if isinstance(value, Cell):
        return value
    return Cell(value)


Fact = tuple[str, str | Cell]  # a label and a text
Row = tuple[str | Cell, ...]  # of a table


class _Part:
    """A part of a page: lists become tuples, so a part cannot change."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))


@dataclass(frozen=True)
class Text:
    """A paragraph: like a :class:`Cell`; ``lines`` keeps its line breaks, as a traceback's."""

    text: str
    tone: str = ""
    call: Action | str | None = None
    lines: bool = False


@dataclass(frozen=True)
class Grid(_Part):
    """A table.

    Attributes:
        head: One title per column.
        rows: Texts, or cells with a tone, as many to a row as there are titles.
        right: Columns of figures, which stand at the right.
        wide: Columns of sentences: they take the remaining width, or follow the table if it is too small.
        title: A line above the table. A table with a title is printed without column titles.
        bare: Whether a table without a title is printed without column titles too.
    """

    head: Sequence[str]
    rows: Sequence[Row]
    right: Sequence[int] = ()
    wide: Sequence[int] = ()
    title: str = ""
    bare: bool = False

    @property
    def plain(self) -> bool:
        """True if the rows are printed without column titles."""
        return bool(self.title) or self.bare


def without_sentences(grid: Grid) -> Grid:
    """The table without its columns of sentences."""
    keep = [j for j in range(len(grid.head)) if j not in grid.wide]
    rows = [tuple(row[j] for j in keep) for row in grid.rows]
    return Grid([grid.head[j] for j in keep], rows, [i for i, j in enumerate(keep) if j in grid.right])


@dataclass(frozen=True)
class Items(_Part):
    """A list of sentences, numbered or not."""

    items: Sequence[str | Cell]
    numbered: bool = False

    def __bool__(self) -> bool:
        return bool(self.items)


@dataclass(frozen=True)
class Facts(_Part):
    """Labelled facts: a noun and a text each, such as ``Kept`` and ``the best trial``."""

    rows: Sequence[Fact]

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True)
class Branch(_Part):
    """A node of a tree with its lines and its children."""

    lines: Sequence[Sequence[Cell]]
    children: Sequence[Branch] = ()


Block = Text | Grid | Items | Facts | Branch


@dataclass(frozen=True)
class Fold(_Part):
    """A part of a page that is printed on request.

    Attributes:
        title: Its heading.
        blocks: Its content.
        about: Topic for :meth:`Shown.why`, for example a parameter's name; empty without one.
        why: Whether the fold is evidence; otherwise it is among the details.
    """

    title: str
    blocks: Sequence[Block]
    about: str = ""
    why: bool = True

    @property
    def texts(self) -> list[str]:
        """Its paragraphs."""
        return [block.text for block in self.blocks if isinstance(block, Text)]


@dataclass(frozen=True)
class Page(_Part):
    """The summary of an object, its next calls, and its evidence in folds.

    Attributes:
        title: First line of the summary.
        blocks: The other parts of the summary; lists and facts without a line are left out.
        calls: Next calls, the most useful one first; commands as texts if a shell prints the page.
        folds: Evidence and details, printed on request.
        lead: The decision, printed right below the title; ``None`` if nothing is to be decided.
    """

    title: str
    blocks: Sequence[Block] = ()
    calls: Sequence[Action | str] = ()
    folds: Sequence[Fold] = ()
    lead: Cell | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "blocks", tuple(filter(None, self.blocks)))

    def why(self, about: str = "") -> Page:
        """The title with all evidence, or the evidence of one topic: see :meth:`Shown.why`.

        Raises:
            AnalysisError: No fold is about the topic.
        """
        if not about:
            blocks = _opened([fold for fold in self.folds if fold.why]) or self.blocks
            return replace(self, lead=None, blocks=blocks, calls=(), folds=())
        evidence = [fold for fold in self.folds if fold.about == about]
        if not evidence:
            topics = list(dict.fromkeys(fold.about for fold in self.folds if fold.about))
            raise AnalysisError(f"why() knows no topic {about!r}; {did_you_mean(about, topics)}")
        return Page("", _opened(evidence))

    @property
    def details(self) -> Page:
        """The summary and all folds."""
        return replace(self, blocks=(*self.blocks, *_opened(self.folds)), folds=())

    @property
    def facts(self) -> list[tuple[str, Cell]]:
        """The labelled facts of the summary."""
        rows = [row for block in self.blocks if isinstance(block, Facts) for row in block.rows]
        return [(label, as_cell(value)) for label, value in rows]

    def texts(self, about: str) -> list[str]:
        """The paragraphs of the folds about a topic."""
        return [text for fold in self.folds if fold.about == about for text in fold.texts]

    def to_dict(self) -> JsonObject:
        """The page as plain data: texts, tables and calls of the summary, and the folds."""
        return {
            "title": self.title,
            **({} if self.lead is None else {"lead": _plain(self.lead)}),
            "blocks": [_plain(block) for block in self.blocks],
            "next": [str(call) for call in self.calls],
            "folds": [
                {"title": f.title, "about": f.about, "why": f.why, "blocks": [_plain(b) for b in f.blocks]}
                for f in self.folds
            ],
        }


def _opened(folds: Sequence[Fold]) -> tuple[Block, ...]:
    return tuple(block for fold in folds for block in (Text(fold.title, "strong"), *fold.blocks))


def _plain(value: object) -> Any:
    match value:
        case Cell() | Text():
            data = {"text": value.text}
            if value.tone:
                data["tone"] = value.tone
            if value.call is not None:
                data["call"] = str(value.call)
            if isinstance(value, Cell) and len(data) == 1:
                return value.text
            return data
        case Grid():
            table = {"head": list(value.head), "rows": _plain(value.rows), "right": list(value.right)}
            if value.title:
                return {"title": value.title, **table}
            return table
        case Items():
            return {"items": _plain(value.items), "numbered": value.numbered}
        case Facts():
            return {"facts": _plain(value.rows)}
        case Branch():
            return {"lines": _plain(value.lines), "children": _plain(value.children)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


SCHEMA = 1
"""Schema version of :meth:`Shown.to_dict`: raised if a key is removed or changes its meaning."""


class Shown:
    """A printable object: ``print`` gives text, a notebook HTML, rich colours."""

    __slots__ = ()

    def _page(self) -> Page:
        """The page of the object, made by the function registered for its class."""
        return page_maker(type(self))(self)  # type: ignore[no-any-return]

    def to_dict(self) -> JsonObject:
        """The result for programs: the version of its schema, its numbers as JSON has them, and its page."""
        return {"schema": SCHEMA, **self._data(), "page": self._page().to_dict()}

    def _data(self) -> JsonObject:
        from refine.utils.plain import plain

        return plain(self)  # type: ignore[no-any-return]

    def why(self, about: str = "") -> Opened:
        """The summary with all evidence and every number; with a topic, only the evidence on the topic.

        Args:
            about: A topic, for example a parameter's name.

        Raises:
            AnalysisError: An unknown topic.
        """
        page = self._page()
        return Opened(page.why(about) if about else page.details)

    def __str__(self) -> str:
        return to_text(self._page())

    def __repr__(self) -> str:
        return str(self)

    def __rich__(self) -> RenderableType:
        return to_rich(self._page())

    def _repr_html_(self) -> str:
        return to_html(self._page())

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        # IPython shows the value of a line or cell by this method: colours in a terminal, HTML in a notebook.
        page = self._page()
        return {"text/plain": to_terminal(page), "text/html": to_html(page)}


@dataclass(frozen=True, repr=False)
class Opened(Shown):
    """A page with open folds."""

    page: Page

    def _page(self) -> Page:
        return self.page


def respelled(part: object, spell: Callable[[Action], str]) -> Any:
    """Part of a page with its calls written by ``spell``; a call spelled as an empty text is removed."""
    if isinstance(part, Action):
        return spell(part) or None
    if isinstance(part, Cell):
        return part._replace(call=respelled(part.call, spell))
    if isinstance(part, Text | Facts | Items):
        return replace(part, **{f.name: respelled(getattr(part, f.name), spell) for f in fields(part)})
    if isinstance(part, tuple):
        return tuple(respelled(item, spell) for item in part)
    return part


def to_text(page: Page, width: int | None = None) -> str:
    """The page as plain text.

    Args:
        page: The page.
        width: Columns of the text; default the terminal's. Without a terminal, tables take 100 columns and
            sentences are not broken.
    """
    at_terminal = width is None and _at_terminal()
    return _printed(page, width or _columns(), endless=width is None and not at_terminal)


def to_terminal(page: Page) -> str:
    """The page for standard output: with colours in a terminal, else plain."""
    from rich.console import Console

    if not Console(force_jupyter=False).is_terminal:
        return to_text(page)
    return _printed(page, _columns(), color=True)


def to_rich(page: Page) -> RenderableType:
    """The page as rich prints it, as wide as rich says."""
    return _Rich(page)


# Text and terminal.


def _at_terminal() -> bool:
    """True if standard output is a terminal; a daemon has no standard output at all."""
    return sys.stdout is not None and sys.stdout.isatty()


def _columns() -> int:
    if _at_terminal():
        return shutil.get_terminal_size((WIDTH, 24)).columns
    return WIDTH


def _printed(page: Page, width: int, *, endless: bool = False, color: bool = False) -> str:
    from rich.console import Console

    file = io.StringIO()
    options: dict[str, Any] = {"color_system": "auto" if color else None, "force_terminal": color}
    options |= {"highlight": False, "markup": False, "emoji": False, "force_jupyter": False}
    # Lines of a file or a log are not broken; a table still needs a width.
    Console(width=_ENDLESS if endless else width, file=file, **options).print(_Rich(page, width), crop=False)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


class _Rich:
    """A page for rich; tables take ``width`` columns, by default the width of the console."""

    def __init__(self, page: Page, width: int | None = None) -> None:
        self._page = page
        self._width = width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        page = self._page
        width = self._width or options.max_width
        if page.title:
            yield _styled(line(page.title), "strong")
        if page.lead is not None:
            yield _called(page.lead)[0]
        labels = max(_LABEL, *(len(line(label)) + 2 for label, _ in page.facts), 0)
        for number, block in enumerate(page.blocks):
            if number or page.title:
                yield ""
            yield from _lines(block, console, width, labels)
        if page.calls:
            command = any(isinstance(call, str) for call in page.calls)
            facts = bool(page.blocks) and isinstance(page.blocks[-1], Facts)
            if (page.blocks or page.title) and not (facts and not isinstance(page.calls[0], str)):
                yield ""
            if command:
                yield _styled("next:", "faint")
                yield from (_command(str(call)) for call in page.calls)
            else:
                yield from _facts(_next_facts(page.calls), labels)


def _lines(block: Block, console: Console, width: int, labels: int) -> Iterator[RenderableType]:
    """A block as rich prints it; labels of facts take ``labels`` columns."""
    match block:
        case Text():
            yield from _called(block)
        case Grid():
            yield from _grid(block, console, width)
        case Items():
            yield from _items(block)
        case Facts():
            yield from _facts(block, labels)
        case Branch():
            yield _branch(block)


def _styled(text: str, tone: str, **options: Any) -> RichText:
    from rich.text import Text as RichText

    return RichText(text, style=_TONES[tone][0], **options)


def _called(part: Text | Cell) -> list[RichText]:
    """A text with the call behind it; a command stands on a line of its own and is never broken."""
    styled_text = _styled(_said(part), part.tone)
    if isinstance(part.call, str):
        return [styled_text, _command(part.call)]
    if part.call is not None:
        styled_text.append(f" {line(str(part.call))}", style=_TONES["code"][0])
    return [styled_text]


def _command(text: str) -> RichText:
    """A command to copy: on a single line, however long."""
    return _styled(f"  {line(text)}", "code", no_wrap=True, overflow="ignore")


def _said(block: Text | Cell) -> str:
    if isinstance(block, Text) and block.lines:
        return shown(block.text)
    return line(block.text)


_LABEL = 12  # columns of the labels of facts, at least


def _next_facts(calls: Sequence[Action | str]) -> Facts:
    """Calls as facts: the likeliest, and the others."""
    first, *further = (line(_typed_call(call)) for call in calls)
    rows = [("Next", Cell(first, "code"))]
    if further:
        rows.append(("Or", Cell(" · ".join(further), "code")))
    return Facts(rows)


_NEW_REVIEW = ("review.edit", "review.reject")


def _typed_call(call: Action | str) -> str:
    """A call as typed: the result of a call that changes a review gets the name ``review``."""
    changed = isinstance(call, Action) and call.name in _NEW_REVIEW
    if changed:
        return f"review = {call}"
    return str(call)


def _cell(value: str | Cell) -> Cell:
    cell = as_cell(value)
    return cell._replace(text=line(cell.text))


def line(text: str) -> str:
    """A text on one line: line breaks in a note could fake other lines, for example a round of a tree."""
    return shown(text).replace("\n", "\\n")


def _grid(block: Grid, console: Console, width: int) -> Iterator[RenderableType]:
    """A table with sentences in a column if there is room, else below the table, row by row."""
    from rich.constrain import Constrain
    from rich.padding import Padding

    if block.plain:  # set off from the margin
        if block.title:
            yield _styled(line(block.title), "")
        yield Padding(_table(block, width), (0, 0, 0, 2))
        return
    short = _table(without_sentences(block), width)
    columns = console.measure(short, options=console.options.update(width=_ENDLESS)).maximum
    if not block.wide or width - columns >= _SENTENCE * len(block.wide):
        yield Constrain(_table(block, width), width)
        return
    yield Constrain(short, width)
    sentences = [
        Cell(f"{_cell(row[0]).text}: {_cell(row[j]).text}", _cell(row[j]).tone)
        for row in block.rows
        for j in block.wide
        if _cell(row[j]).text
    ]
    if sentences:
        yield ""
        yield from _items(Items(sentences))


def _table(block: Grid, width: int) -> Table:
    """A table whose short cells stay on one line if all columns of short cells fit the width."""
    from rich import box
    from rich.table import Table

    longest = [
        max((len(_cell(row[j]).text) for row in block.rows), default=0) for j in range(len(block.head))
    ]
    short = [length <= _SHORT for length in longest]
    columns = zip(block.head, longest, short, strict=True)
    fits = sum(max(len(head), length) + 3 for head, length, one_line in columns if one_line) <= width + 3

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    if block.plain:
        table = Table.grid(padding=(0, 1, 0, 0))
    for j, head in enumerate(block.head):
        side: Any = "right" if j in block.right else "left"
        ratio = int(j in block.wide and not block.title) or None
        table.add_column(line(head), justify=side, ratio=ratio, overflow="fold", no_wrap=short[j] and fits)
    for row in block.rows:
        cells = [*map(_cell, row)]
        # A table without column titles has two spaces between columns, but one before an arrow.
        spaces = [" " if block.plain and not c.text.startswith("->") else "" for c in cells[1:]] + [""]
        table.add_row(*(_styled(c.text + s, c.tone) for c, s in zip(cells, spaces, strict=True)))
    return table


def _facts(block: Facts, labels: int) -> Iterator[RenderableType]:
    """Facts as tables without lines; labels take ``labels`` columns, a command stands below the fact."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for word, value in block.rows:
        if not table.row_count:
            table.add_column(min_width=labels - 2, no_wrap=True)
            table.add_column()
        text, *command = _called(_cell(value))
        table.add_row(_styled(line(word), "strong"), text)
        if command:
            yield table
            yield from command
            table = Table.grid(padding=(0, 2, 0, 0))
    if table.row_count:
        yield table


def _items(block: Items) -> Iterator[RenderableType]:
    from rich.table import Table

    rows = Table.grid(padding=(0, 1, 0, 0))
    for number, item in enumerate(map(_cell, block.items), 1):
        text, *command = _called(item)
        rows.add_row(f"{number}." if block.numbered else "-", text)
        if command:  # a table would cut it
            yield rows
            yield from command
            rows = Table.grid(padding=(0, 1, 0, 0))
    if rows.row_count or not block.items:
        yield rows


def _branch(block: Branch) -> RichTree:
    from rich.console import Group
    from rich.tree import Tree

    lines = []
    for cells in block.lines:
        joined = _styled("", "")
        for cell in cells:
            joined.append(line(cell.text), style=_TONES[cell.tone][0])
        lines.append(joined)
    tree = Tree(Group(*lines), guide_style="dim")
    tree.children = [_branch(child) for child in block.children]
    return tree


# HTML.


def to_html(page: Page) -> str:
    """The page as HTML without further files, in the colours of the surrounding page."""
    parts = []
    if page.title:
        parts.append(_paragraph(_escaped(line(page.title)), ".2em 0;font-weight:600"))
    if page.lead is not None:
        parts.append(_paragraph(_html_called(page.lead), ".2em 0"))
    parts += map(_html, page.blocks)
    if page.calls:
        parts.append(_html(_next_facts(page.calls)))
    parts += [
        f'<details style="margin:.3em 0"><summary>{_escaped(line(fold.title))}</summary>'
        f"{''.join(map(_html, fold.blocks))}</details>"
        for fold in page.folds
    ]
    return f'<div style="line-height:1.4;max-width:64em;overflow-x:auto">{"".join(parts)}</div>'


def _html(block: Block) -> str:
    match block:
        case Text():
            return _paragraph(_html_called(block))
        case Grid():
            return _html_grid(block)
        case Items():
            tag = "ul"
            if block.numbered:
                tag = "ol"
            items = "".join(f"<li>{_html_called(_cell(item))}</li>" for item in block.items)
            return f'<{tag} style="margin:.4em 0;padding-left:1.6em">{items}</{tag}>'
        case Facts():
            style = "text-align:left;vertical-align:top;padding:.15em 1em .15em 0;border:0;"
            named = f"{style}opacity:.62;min-width:4em"
            return _html_table([_row([(word, named), (value, style)]) for word, value in block.rows], size="")
        case Branch():
            lines = "<br>".join("".join(map(_html_called, cells)) for cells in block.lines)
            items = "".join(f'<li style="margin:.2em 0">{_html(child)}</li>' for child in block.children)
            if items:
                lines += f'<ul style="margin:.1em 0;padding-left:1.4em">{items}</ul>'
            return f"<div>{lines}</div>"


def _html_grid(block: Grid) -> str:
    styles = []
    for j in range(len(block.head)):
        side = "left"
        if j in block.right:
            side = "right"
        wrap = "white-space:nowrap;" * (j not in block.wide)
        styles.append(
            f"text-align:{side};vertical-align:top;{wrap}padding:.15em .6em;border:0;border-bottom:{_LINE}"
        )
    rows = [_row(zip(cells, styles, strict=True)) for cells in block.rows]
    if block.title:
        return _paragraph(_escaped(line(block.title))) + _html_table(rows)
    if block.bare:
        return _html_table(rows)
    return _html_table(rows, f"<thead>{_row(zip(block.head, styles, strict=True), 'th')}</thead>")


def _html_table(rows: Sequence[str], head: str = "", size: str = "font-size:.95em;") -> str:
    style = f"border-collapse:collapse;{size}margin:.4em 0"
    return f'<table style="{style}">{head}<tbody>{"".join(rows)}</tbody></table>'


def _row(cells: Iterable[tuple[str | Cell, str]], tag: str = "td") -> str:
    """A row of cells with their styles."""
    out = (f'<{tag} style="{style}">{_html_called(_cell(cell))}</{tag}>' for cell, style in cells)
    return f'<tr style="background:transparent">{"".join(out)}</tr>'


def _paragraph(text: str, style: str = ".4em 0") -> str:
    return f'<p style="margin:{style}">{text}</p>'


def _html_called(part: Text | Cell) -> str:
    text = _span(_said(part), part.tone)
    if part.call is None:
        return text
    return f"{text} {_span(line(str(part.call)), 'code')}"


def _span(text: str, tone: str) -> str:
    style = _TONES[tone][1]
    if style:
        return f'<span style="{style}">{_escaped(text)}</span>'
    return _escaped(text)


def _escaped(text: str) -> str:
    return html.escape(shown(text)).replace("\n", "<br>")
