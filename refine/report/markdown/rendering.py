"""Reports as files: parts, markdown with escaped notes, and a single HTML file with its figures."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from html import escape as html_escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from refine.errors import AnalysisError, shown
from refine.report import figures
from refine.report.glossary import terms_section
from refine.utils.display import Block, Branch, Cell, Facts, Fold, Grid, Items, Page, as_cell
from refine.utils.files import made_folder, write_whole
from refine.utils.format import join

if TYPE_CHECKING:
    from refine.tree.round import Round

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #222; --line: #8884; --soft: #8881; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --ink: #e6e8eb; } }
body { font: 16px/1.55 system-ui, sans-serif; background: var(--ground); color: var(--ink);
  margin: 1.5rem auto; padding: 0 clamp(1rem, 3vw, 3rem); overflow-wrap: break-word; }
p, li, blockquote, pre, h1 { max-width: 54rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; font-size: .88rem; display: block; overflow-x: auto;
  margin: .6rem 0 1.2rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
p:has(> img) { display: inline-block; vertical-align: top; width: min(100%, 42rem); max-width: none;
  margin: .4rem 1.2rem .8rem 0; }
@media (max-width: 48rem) { p:has(> img) { margin-right: 0; } }
img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
pre { background: var(--soft); padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere;
  border-radius: 4px; } code { font-size: .92em; }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 3px solid var(--line); }
summary { cursor: pointer; } summary > h2 { display: inline; }
body > details { border-top: 1px solid var(--line); padding: .7rem 0; }
body > details > summary { margin-bottom: .3rem; }
@media print { body { margin: 0; } body > details { break-inside: auto; } }
"""


class Raw(str):
    """Intended markdown: not escaped again."""

    __slots__ = ()


class Section(NamedTuple):
    """A part of a report, folded under the title."""

    title: str
    parts: Sequence[Part]


class Figure(NamedTuple):
    """A figure of a report: description (alternative text), file name, and drawing function."""

    description: str
    name: str
    draw: Callable[[], Any]


DETAILS = "details.md"  # file name of the details of a report

# A part of a report: a paragraph, a block, the page of a result, a section or a figure; ``None`` is left out.
Part = str | Block | Page | Section | Figure | None


_SPECIAL = re.compile(r"([\\`*|~\[\]$#])")
_NO_ARROW = re.compile(r"(?<!-)>")  # arrows stay readable; without < no other > opens anything
_PIPE = r"\|"
_LONE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BULLET = re.compile(r"^(\s*)(?=[-+=](?:\s|$|[-=]))")
_NUMBER = re.compile(r"^(\s*\d+)(?=[.)](?:\s|$))")  # escaped behind its digits, before the point or bracket


def escape(value: object) -> Raw:
    """Text for a sentence or a table cell, shown as it is.

    Line breaks become spaces, control characters are spelt out, and the syntax of markdown, HTML, tables and
    formulas is escaped. Underscores inside words have no meaning on GitHub and stay readable.
    """
    if isinstance(value, Raw):
        return value
    text = shown(" ".join(str(value).split()))
    text = _SPECIAL.sub(r"\\\1", text)
    text = _LONE_UNDERSCORE.sub(r"\\_", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return Raw(_NO_ARROW.sub("&gt;", text))


def code(value: object) -> Raw:
    """A code span; the text may have backticks."""
    text = shown(" ".join(str(value).split()))
    if not text:
        return Raw("-")
    if "|" in text:
        # In a table a pipe ends the cell even inside a code span; an entity doesn't.
        return Raw(f"<code>{escape(text).replace(_PIPE, '&#124;')}</code>")
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " * (text.startswith("`") or text.endswith("`"))
    return Raw(f"{ticks}{pad}{text}{pad}{ticks}")


def fence(text: str, language: str = "") -> Raw:
    """A code block; the text may have backticks."""
    body = "\n".join(shown(line.rstrip()) for line in str(text).strip("\n").splitlines())
    ticks = "`" * max(3, _longest_run(body) + 1)
    return Raw(f"{ticks}{language}\n{body}\n{ticks}")


def quote(text: str) -> Raw:
    """A person's words as a quotation with the same lines."""
    lines = [escape(line) for line in str(text).strip().splitlines()]
    quotation = "<br>".join(line for line in lines if line)
    for start in (_BULLET, _NUMBER):
        quotation = start.sub(r"\1\\", quotation)
    return Raw(f"> {quotation}")


def values_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> Raw:
    """A table of values as markdown; markdown values are not escaped."""
    texts = [tuple(v if isinstance(v, str) else str(v) for v in row) for row in [head, *rows]]
    return table(Grid(texts[0], texts[1:]))


def table(grid: Grid) -> Raw:
    """A table as markdown, with escaped cells."""
    lines = [[escape(title) for title in grid.head]]
    lines += [[escape(as_cell(value).text) or Raw("-") for value in row] for row in grid.rows]
    rule = "|".join([" --- "] * len(grid.head))
    body = [f"| {' | '.join(row)} |" for row in lines]
    return Raw("\n".join([body[0], f"|{rule}|", *body[1:]]))


def rendered(parts: Iterable[Part], draw: Callable[[Figure], Raw] = lambda _: Raw("")) -> Raw:
    """Parts of a report, one below the other; ``draw`` makes the files of figures and links them."""
    return Raw("\n\n".join(filter(None, (_part(part, draw) for part in parts if part))))


def _part(part: str | Block | Page | Section | Figure, draw: Callable[[Figure], Raw]) -> Raw:
    if isinstance(part, Page):
        return rendered(_page_parts(part))
    if isinstance(part, Figure):
        return draw(part)
    if isinstance(part, Section):
        inside = rendered(part.parts, draw)
        return Raw(inside and f"<details><summary>{escape(part.title)}</summary>\n\n{inside}\n\n</details>")
    if isinstance(part, str):
        return escape(part)
    return _block(part)


def _page_parts(page: Page) -> list[Part]:
    """A page's glance, then the evidence, then the other folds."""
    parts: list[Part] = []
    if page.title:
        parts.append(Raw(f"**{escape(page.title)}**"))
    if page.lead is not None:
        parts.append(_called(page.lead))
    parts += page.blocks
    for title, evidence_only in (("Why", True), ("Every number", False)):
        folds = [fold for fold in page.folds if fold.why == evidence_only]
        if folds:
            parts.append(Section(title, opened(folds)))
    return parts


def opened(folds: Iterable[Fold]) -> list[Part]:
    """Folds of a page under their titles."""
    return [part for fold in folds for part in (Raw(f"**{escape(fold.title)}**"), *fold.blocks)]


def _block(block: Block) -> Raw:
    if isinstance(block, Grid):
        return Raw(f"{escape(block.title)}\n\n{table(block)}".strip())
    if isinstance(block, Items):
        mark = "-"
        if block.numbered:
            mark = "1."
        return Raw("\n".join(f"{mark} {_called(item)}" for item in block.items))
    if isinstance(block, Facts):
        rows = ((f"**{escape(label)}** " * bool(label), _called(value)) for label, value in block.rows)
        return Raw("\n".join(f"- {label}{value}" for label, value in rows))
    if isinstance(block, Branch):
        return Raw("\n".join(_branch(block, 0)))
    if block.lines:
        return fence(block.text)
    return _called(Cell(block.text, block.tone, block.call))


def _branch(branch: Branch, depth: int) -> list[str]:
    lines = "<br>".join(" ".join(escape(cell.text) for cell in cells) for cells in branch.lines)
    return [
        f"{'  ' * depth}- {lines}",
        *(line for child in branch.children for line in _branch(child, depth + 1)),
    ]


def _called(value: str | Cell) -> Raw:
    """A text, followed by its call."""
    cell = as_cell(value)
    if cell.call is None:
        return escape(cell.text)
    return Raw(f"{escape(cell.text)} {code(cell.call)}")


def joined(items: Sequence[object], last: str = "and") -> Raw:
    """``a, b and c``, each escaped."""
    return Raw(join([escape(item) for item in items], last))


def slug(name: str, used: set[str]) -> str:
    """A file name's part for a parameter: plain letters, and new to ``used``; adds the part to ``used``.

    File systems may ignore case: names must differ in more than case.
    """
    base = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "parameter"
    name_part = base
    number = 1
    while name_part.lower() in used:
        number += 1
        name_part = f"{base}-{number}"
    used.add(name_part.lower())
    return name_part


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def published(
    path: Path,
    title: str,
    head: Iterable[Part],
    evidence: Iterable[Part] = (),
    details: Iterable[Part] = (),
    tables: Mapping[str, str] | None = None,
    *,
    html: bool = False,
) -> Path:
    """Writes a report as a markdown file; figures, tables and details go to a folder of the same name.

    Args:
        path: The file; its folder is made if need be.
        title: The title.
        head: Parts that are read first.
        evidence: Folded parts.
        details: Parts for ``details.md`` in the folder of the report, with the terms. Without details the
            terms are at the end of the report.
        tables: Name -> content of files for programs in the same folder.
        html: Whether everything but the tables is in one HTML file.
    """
    made_folder(path.parent)
    if html:
        with TemporaryDirectory() as scratch:
            draft = Path(scratch) / path.name
            text = to_html(_report_text(draft, title, head, evidence, details, html=True), draft.parent)
        return write_whole(path.with_suffix(".html"), [text])
    for name, content in (tables or {}).items():
        write_whole(made_folder(path.with_suffix("")) / name, [content])
    return write_whole(path, [_report_text(path, title, head, evidence, details, html=False)])


def _report_text(
    path: Path,
    title: str,
    head: Iterable[Part],
    evidence: Iterable[Part],
    details: Iterable[Part],
    *,
    html: bool,
) -> str:
    """The text of a report as markdown; writes its details, unless they are in the same file."""
    draw = partial(_drawn, path, {})
    parts = [Raw(f"# {escape(title)}"), *head]
    if folded := [part for part in evidence if part]:
        parts += [Raw("## Evidence"), *folded]
    text = rendered(parts, draw) + "\n"
    numbers = rendered(details, draw)
    terms = terms_section(text + numbers)
    if not numbers:
        return text + terms
    if html:
        return f"{text}\n<details><summary>Details</summary>\n\n{numbers}\n{terms}\n</details>\n"
    links = numbers.replace(f"]({path.stem}/", "](")  # the details are in the folder of the figures
    heading = f"# Details: {escape(title)}\n\n"
    write_whole(made_folder(path.with_suffix("")) / DETAILS, [f"{heading}{links}\n{terms}"])
    return f"{text}\n[Every number, the evidence and the terms]({path.stem}/{DETAILS})\n"


def summary_of(page: Page) -> Page:
    """A page without its folds."""
    return replace(page, folds=())


def _drawn(report: Path, drawn: dict[str, Raw], figure: Figure) -> Raw:
    """Draws a figure of a report, once for each name in ``drawn``, and returns the link."""
    if figure.name not in drawn:
        drawn[figure.name] = _link_to(report, figure)
    return drawn[figure.name]


def _link_to(report: Path, figure: Figure) -> Raw:
    """Draws a figure of a report and returns the link; empty without a figure.

    matplotlib's present style has no influence.
    """
    with figures.themed(theme="light", plain=True):
        try:
            drawing = figure.draw()
            figures.save(drawing, made_folder(report.with_suffix("")) / f"{figure.name}.png")
        except AnalysisError:
            return Raw("")
        except (OverflowError, ValueError) as error:
            # matplotlib has no axis for values near the largest float: the report must not end there.
            return Raw(
                f"*Figure {figure.name} cannot be drawn: {escape(str(error))}. Its values are too large.*"
            )
    return Raw(f"![{escape(figure.description)}]({report.stem}/{figure.name}.png)")


def numbered(round_: Round) -> str:
    """File name of a round, without a suffix: its number in the tree, from 1 for the oldest, and its id."""
    return f"{list(round_._context.nodes).index(round_.id) + 1}-{round_.id}"


def to_html(markdown: str, folder: Path) -> str:
    """The escaped markdown of a report as one HTML file with the figures of ``folder``."""
    from markdown_it import MarkdownIt

    page: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    title = "Report"
    if heading := re.search(r"<h1>(.*?)</h1>", page):
        title = re.sub(r"<[^>]+>", "", heading[1])

    def inlined(match: re.Match[str]) -> str:
        data = base64.b64encode((folder / unquote(match[1])).read_bytes()).decode()
        return f'<img src="data:image/png;base64,{data}"'

    head, *sections = re.split(r"(?=<h2>)", re.sub(r'<img src="([^":]+\.png)"', inlined, page))
    opened = r"<details open><summary><h2>\1</h2></summary>"
    folds = (re.sub(r"<h2>(.*?)</h2>", opened, part, count=1, flags=re.DOTALL) for part in sections)
    body = "".join([head, *(f"{part}</details>\n" for part in folds)])
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html_escape(policy, quote=True)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
