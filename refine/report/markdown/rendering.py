"""From a template to a file: markdown, or one HTML file that holds its pictures."""

from __future__ import annotations

import base64
import re
from html import escape as html_escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from refine.report.glossary import terms_section
from refine.report.markdown.text import escape
from refine.utils.files import made_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOOK = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 74rem; margin: 2rem auto; padding: 0 1rem; }
p, li, blockquote, pre, h1 { max-width: 54rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; font-size: .88rem; display: block; overflow-x: auto;
  margin: .6rem 0 1.2rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
img { max-width: 100%; height: auto; background: white; border-radius: 4px; }
pre { background: var(--soft); padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 4px; } code { font-size: .92em; }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 3px solid var(--line); }
summary { cursor: pointer; }
@media print { body { max-width: none; } }
"""


def published(path: Path, template: str, context: Mapping[str, Any]) -> Path:
    """Renders a template to a markdown file, and explains at its end the terms that it uses.

    Args:
        path: Of the file; its folder exists.
        template: Name of the template.
        context: What it says; whatever isn't :class:`refine.report.markdown.text.Raw` is escaped.

    Returns:
        The file.
    """
    text = rendered(template, context)
    return write_whole(path, [text + terms_section(text)])


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
        markdown = write(Path(scratch))
        path = where / markdown.with_suffix(".html").name
        text = to_html(markdown.read_text(encoding="utf-8"), markdown.parent)
    return write_whole(path, [text])


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """The markdown of a template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("refine.report.markdown", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # this is markdown; `finalize` escapes whatever isn't Raw
        finalize=escape,
    )
    return environment.get_template(template).render(context)


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
        data = base64.b64encode((folder / unquote(match[1])).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    body = re.sub(r'src="([^":]+\.png)"', inlined, found)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html_escape(policy, quote=True)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{plain}</title><style>{_LOOK}</style></head>\n<body>\n{body}</body></html>\n"
    )
