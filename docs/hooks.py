"""What the site adds to the pages: the tutorial with its outputs, the examples, the reference of the package.

On GitHub the files are read as they are, and links lead to files; on the site they lead to pages.
"""

from __future__ import annotations

import ast
import base64
import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

# File of the repository -> page of the site; examples and the pages of docs/ are added by rule.
_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "docs/study.py": "examples/study.md",
    "docs/tutorial.ipynb": "tutorial.md",
    "examples/README.md": "examples/index.md",
    "refine/report/glossary.md": "glossary.md",
}
_GENERATED = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "examples/README.md",
    "refine/report/glossary.md",
)
_NOT_ON_SITE = ("docs/design.md",)

# Sources, tables and records would hide the guides in the search; names of the API come after the guides.
_NOT_SEARCHED = ("benchmarks/", "changelog.md", "examples/")
_SEARCHED_LAST = ("api.md", "contributing.md", "security.md", "statistics.md", "benchmarks.md")
_GUIDE = {"boost": 4}
_REFERENCE_PAGE = {"boost": 0.5}

_LINK = re.compile(r"\[([^\[\]]*(?:`[^`]*`)?[^\[\]]*)\]\(([\w./-]+)(#[\w.-]+)?\)")
_REFERENCE = re.compile(r"^<!-- api: (\S+)(?: \((.+)\))? -->$", re.MULTILINE)
_NAMES = re.compile(r"((?:^[|`].*\n)+)\n<!-- api: the names above -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from other files."""
    for name in _GENERATED:
        source = (
            "docs/glossary.md" if name.endswith("glossary.md") else name
        )  # its links are those of the site
        content = _relinked((ROOT / name).read_text("utf-8"), source, _PAGES[name])
        files.append(File.generated(config, _PAGES[name], content=content))
    for path in sorted((ROOT / "examples").rglob("*.py")):
        name = path.relative_to(ROOT).with_suffix(".md").as_posix()
        files.append(File.generated(config, name, content=_example(path)))
    study = ROOT / "docs" / "study.py"
    files.append(File.generated(config, "examples/study.md", content=_example(study)))
    for name, content in _notebook(ROOT / "docs" / "tutorial.ipynb").items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turns links to files into links to pages, and marks of the reference into the reference."""
    name = page.file.src_uri
    if name.startswith(_NOT_SEARCHED):
        page.meta["search"] = {"exclude": True}
    else:
        page.meta["search"] = _REFERENCE_PAGE if name in _SEARCHED_LAST else _GUIDE
    return _REFERENCE.sub(_reference, _NAMES.sub(_named, _relinked(markdown, f"docs/{name}", name)))


def _named(match: re.Match[str]) -> str:
    """A table or a list of names, followed by the reference of each name."""
    names = re.findall(
        r"^(?:\| )`([\w.]+)`" if match[1].startswith("|") else r"`([\w.]+)`", match[1], re.MULTILINE
    )
    return "\n".join([match[1], *(f"<!-- api: {name} -->" for name in names)])


def _reference(match: re.Match[str]) -> str:
    options = "".join(f"\n      {option.strip()}" for option in (match[2] or "").split(";") if option.strip())
    return f"::: {match[1]}" + (f"\n    options:{options}" if options else "")


def _page_of(path: str) -> str | None:
    """The page of the site that shows a file of the repository; ``None`` if no page does."""
    if path in _PAGES:
        return _PAGES[path]
    if path in _NOT_ON_SITE:
        return None
    if path.startswith("examples/") and path.endswith(".py"):
        return path.removesuffix(".py") + ".md"
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def _relinked(markdown: str, source: str, page: str) -> str:
    """Text of a file with links that work on its page; links to files without a page become text."""

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if not (ROOT / path).exists():
            return match[0]  # a page that exists on the site only
        target = _page_of(path)
        if target is None:
            return match[1]
        return f"[{match[1]}]({posixpath.relpath(target, posixpath.dirname(page) or '.')}{match[3] or ''})"

    return _LINK.sub(link, markdown)


def _example(path: Path) -> str:
    code = path.read_text("utf-8")
    first, _, rest = (ast.get_docstring(ast.parse(code)) or path.stem).partition("\n")
    body = code.split('"""', 2)[2].strip() if code.startswith('"""') else code
    return f"# {first.rstrip('.')}\n\n`{path.relative_to(ROOT)}`\n{rest}\n\n```python\n{body}\n```\n"


def _notebook(path: Path) -> dict[str, str | bytes]:
    """The pages and pictures of an executed notebook: name -> content."""
    made: dict[str, str | bytes] = {}
    text: list[str] = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            text.append(source)
            continue
        text.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data: dict[str, Any] = output.get("data", {})
            if "image/png" in data:
                name = f"tutorial/{len(made) + 1}.png"
                made[name] = base64.b64decode("".join(data["image/png"]))
                text.append(f"![What the call above draws]({name})")
            elif "text/html" in data:
                flat = " ".join("".join(data["text/html"]).split())
                text.append(f'<div class="shown">{flat}</div>')
            elif shown := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
                text.append(f"```text\n{shown}\n```")
    made[f"{path.stem}.md"] = "\n\n".join(text) + "\n"
    return made
