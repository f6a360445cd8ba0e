"""From parts to a file: its name, its markdown, or one HTML file that holds its pictures."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from html import escape as html_escape
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote

from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures import themed
from refine.report.glossary import terms_section
from refine.report.markdown.text import Part, Picture, Raw, escape, rendered
from refine.utils.files import made_folder, write_whole

if TYPE_CHECKING:
    from refine.tree.round import Round

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


def published(path: Path, title: str, head: Iterable[Part], evidence: Iterable[Part] = ()) -> Path:
    """Writes a report as a markdown file, its pictures in a folder of its name, and at its end the terms that it uses.

    The file's folder is made if need be; ``head`` is read first, ``evidence`` is folded.
    """
    made_folder(path.parent)
    folded = [part for part in evidence if part]
    below = [Raw("## Evidence"), *folded] if folded else []
    text = rendered([Raw(f"# {escape(title)}"), *head, *below], partial(_drawn, path)) + "\n"
    whole = write_whole(path, [text + terms_section(text)])
    _drop_older(whole)
    return whole


def _drawn(report: Path, figure: Picture) -> Raw:
    """Draws a figure of a report, and links it; nothing where there is nothing to draw.

    It looks the same for everybody, whatever matplotlib's present style is. A report in markdown has it as PNG, one in
    HTML as SVG for a light and for a dark page.
    """
    files = {"": "light", "-dark": "dark"} if _VECTORS.get() else {"": "light"}
    ending = "svg" if _VECTORS.get() else "png"
    for suffix, theme in files.items():
        with themed(theme=theme, plain=True):  # type: ignore[arg-type]
            try:
                made = figure.draw()
            except AnalysisError:
                return Raw("")
            folder = made_folder(report.with_suffix(""))
            figures.save(made, folder / f"{figure.name}{suffix}.{ending}")
    return Raw(f"![{escape(figure.description)}]({report.stem}/{figure.name}.{ending})")


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


def written(write: Callable[[Path], Path], folder: str | Path, html: bool) -> Path:
    """Writes a report by a function that does so as markdown into a folder, with ``html`` as one file that holds its pictures."""
    if not html:
        return write(Path(folder))
    where = made_folder(folder)
    with TemporaryDirectory() as scratch:
        token = _VECTORS.set(True)
        try:
            markdown = write(Path(scratch))
        finally:
            _VECTORS.reset(token)
        text = to_html(markdown.read_text(encoding="utf-8"), markdown.parent)
    whole = write_whole(where / f"{markdown.stem}.html", [text])
    _drop_older(whole)
    return whole


def to_html(markdown: str, folder: Path) -> str:
    """A report's markdown, in which people's words are escaped, as one HTML file that holds the pictures of ``folder``."""
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
    opened = r"<details open><summary><h2>\1</h2></summary>"
    made = (re.sub(r"<h2>(.*?)</h2>", opened, part, count=1, flags=re.DOTALL) for part in sections)
    return "".join([head, *(f"{part}</details>\n" for part in made)])


_LETTERS = 24  # of the words, at most
_CLAUSE = re.compile(r"[.:;,!?](?=\s|$)|\n")


def file_name(found: Round, folder: Path, ending: str = ".md") -> str:
    """``2-low-dropout``: its number in the tree, and words of the round's note, else the parameters whose bounds changed.

    So no two rounds of a tree share it, and files stand in the order in which rounds were made. Where the folder has that file
    of another tree's round, the beginning of the id is added.
    """
    parent = found.parent
    words = _slug_of(found.node.note)
    if not words and parent is not None:
        words = _slug_of(" ".join(parent.space.diff(found.space).changed)) or "same-space"
    return _free(f"{_number(found)}-{words or 'root'}", [found], folder, ending)


def comparison_name(first: Round, second: Round, folder: Path) -> str:
    """``compare-1-2``, by the rounds' numbers; with the beginnings of their ids where the folder has that of another tree."""
    return _free(f"compare-{_number(first)}-{_number(second)}", [first, second], folder, ".md")


def _number(found: Round) -> int:
    """Which round of its tree it is, the oldest being 1."""
    return list(found.context.nodes).index(found.id) + 1


def _free(name: str, rounds: Sequence[Round], folder: Path, ending: str) -> str:
    there = first_line(folder / f"{name}{ending}")
    return name if not there or rounds[0].id in there else "-".join([name, *(r.id[:6] for r in rounds)])


def first_line(path: Path) -> str:
    """The first line of a report, with that of its title where it is HTML; empty where there is none."""
    try:
        with path.open(encoding="utf-8") as lines:
            return "".join(islice(lines, 2 if path.suffix == ".html" else 1))
    except (OSError, UnicodeDecodeError):  # nothing is there, or nothing of ours
        return ""


def _slug_of(text: str) -> str:
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
