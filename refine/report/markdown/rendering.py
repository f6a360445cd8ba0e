"""From parts to a file: markdown, or one HTML file that holds its pictures."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from contextvars import ContextVar
from html import escape as html_escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from refine.report import figures
from refine.report.figures import themed
from refine.report.glossary import terms_section
from refine.report.markdown.names import first_line
from refine.report.markdown.text import Part, Raw, escape, picture, rendered
from refine.utils.files import made_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #222; --line: #8884; --soft: #8881; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --ink: #e6e8eb; } }
body { font: 16px/1.55 system-ui, sans-serif; background: var(--ground); color: var(--ink); margin: 1.5rem auto; padding: 0 clamp(1rem, 3vw, 3rem); }
p, li, blockquote, pre, h1 { max-width: 54rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; font-size: .88rem; display: block; overflow-x: auto;
  margin: .6rem 0 1.2rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
p:has(> picture) { display: inline-block; vertical-align: top; width: min(100%, 42rem); max-width: none; margin: .4rem 1.2rem .8rem 0; }
img { width: 100%; height: auto; }
pre { background: var(--soft); padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 4px; } code { font-size: .92em; }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 3px solid var(--line); }
summary { cursor: pointer; } summary > h2 { display: inline; }
body > details { border-top: 1px solid var(--line); padding: .7rem 0; }
body > details > summary { margin-bottom: .3rem; }
@media print { body { margin: 0; } body > details { break-inside: auto; } }
"""

_VECTORS: ContextVar[bool] = ContextVar("refine_vectors", default=False)
_OF_A_ROUND = re.compile(r"(\d+|compare-\d+|[0-9a-f]{12})[a-z0-9-]*")
_OF_A_PROPOSAL = re.compile(r"-proposal-[0-9a-f]+$")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def drawn(description: str, where: Path, path: str, draw: Callable[[], Any]) -> Raw:
    """Draws a figure of a report, and links it.

    It looks the same for everybody, whatever matplotlib's present style is. A report in markdown has it as PNG, one in
    HTML as SVG for a light and for a dark page.

    Args:
        description: What it shows, for those who can't see it.
        where: The report's folder.
        path: Of the picture in it, which ends in ``.png``; its folder exists.
        draw: Draws it.
    """
    if not _VECTORS.get():
        with themed(theme="light", plain=True):
            figures.save(draw(), where / path)
        return picture(description, path)
    stem = path.removesuffix(".png")
    for theme, name in (("light", f"{stem}.svg"), ("dark", f"{stem}-dark.svg")):
        with themed(theme=theme, plain=True):  # type: ignore[arg-type]
            figures.save(draw(), where / name)
    return picture(description, f"{stem}.svg")


def published(path: Path, title: str, head: Iterable[Part], evidence: Iterable[Part] = ()) -> Path:
    """Writes a report as a markdown file, which explains at its end the terms that it uses.

    Args:
        path: Of the file; its folder exists.
        title: Of the report.
        head: What is read first.
        evidence: Sections, which are folded.

    Returns:
        The file.
    """
    folded = [part for part in evidence if part]
    below = [Raw("## Evidence"), *folded] if folded else []
    text = rendered([Raw(f"# {escape(title)}"), *head, *below]) + "\n"
    written = write_whole(path, [text + terms_section(text)])
    _drop_older(written)
    return written


def _drop_older(path: Path) -> None:
    """Removes what was written of the same round under another name, as before its note was changed.

    The first line of a report names the round by its id; of its proposals, which share that line, each has a report.
    """
    if not _OF_A_ROUND.fullmatch(path.stem):
        return
    head = first_line(path)
    for other in sorted(path.parent.glob(f"*{path.suffix}")):
        if other.name == path.name or other.is_symlink() or not _OF_A_ROUND.fullmatch(other.stem):
            continue
        if first_line(other) != head or _proposal_in(other) != _proposal_in(path):
            continue
        for linked in re.findall(rf"\]\(({re.escape(other.stem)}/[\w.-]+\.png)\)", other.read_text("utf-8")):
            (path.parent / linked).unlink(missing_ok=True)
        other.unlink()
        with suppress(OSError):  # something else is in it
            (path.parent / other.stem).rmdir()


def _proposal_in(path: Path) -> str:
    """Which proposal a file is the report of; empty where it is of a round."""
    found = _OF_A_PROPOSAL.search(path.stem)
    return found[0] if found else ""


def in_one_file(write: Callable[[Path], Path], folder: str | Path) -> Path:
    """A report as one HTML file that holds its pictures.

    Args:
        write: Writes the report as markdown into a folder and returns its file.
        folder: Where the HTML file goes; created if need be.

    Returns:
        The file.
    """
    where = made_folder(folder)
    with TemporaryDirectory() as scratch:
        token = _VECTORS.set(True)
        try:
            markdown = write(Path(scratch))
        finally:
            _VECTORS.reset(token)
        path = where / markdown.with_suffix(".html").name
        text = to_html(markdown.read_text(encoding="utf-8"), markdown.parent)
    written = write_whole(path, [text])
    _drop_older(written)
    return written


def to_html(markdown: str, folder: Path) -> str:
    """A report's markdown as one HTML file that needs no other: pictures are in it.

    Args:
        markdown: Of a report of this package: people's words in it are escaped.
        folder: Where its relative pictures lie.
    """
    from markdown_it import MarkdownIt

    found: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    title = re.search(r"<h1>(.*?)</h1>", found)
    plain = re.sub(r"<[^>]+>", "", title[1]) if title else "Report"

    def inlined(match: re.Match[str]) -> str:
        light = folder / unquote(match[1])
        dark = light.with_name(f"{light.stem}-dark.svg")
        return (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_data(dark)}">'
            f'<img src="{_data(light)}"{match[2]}></picture>'
        )

    body = _folded(re.sub(r'<img src="([^":]+\.svg)"(.*?)>', inlined, found))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html_escape(policy, quote=True)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{plain}</title><style>{_STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )


def _data(path: Path) -> str:
    """A vector picture as a link that holds it, its numbers to a hundredth of a point."""

    def shorter(match: re.Match[str]) -> str:
        return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")

    def outline(match: re.Match[str]) -> str:
        return f' d="{_NUMBER.sub(shorter, " ".join(match[1].split()))}"'

    text = re.sub(r' d="([^"]*)"', outline, path.read_text(encoding="utf-8"))
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def _folded(body: str) -> str:
    """Every section in a block that can be folded."""
    head, *sections = re.split(r"(?=<h2>)", body)
    made = [
        re.sub(
            r"<h2>(.*?)</h2>", r"<details open><summary><h2>\1</h2></summary>", part, count=1, flags=re.DOTALL
        )
        for part in sections
    ]
    return "".join([head, *(f"{part}</details>\n" for part in made)])
