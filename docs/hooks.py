"""What the site adds to the pages: the tutorial with its outputs, the examples, the reference of the package.

On GitHub the files are read as they are, and links lead to files; on the site they lead to pages.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

# Link on a page, as GitHub follows it -> page of the site.
_ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "refine/report/glossary.md": "glossary.md",
}
_REFERENCE = re.compile(r"^<!-- api: (\S+)(?: \((.+)\))? -->$", re.MULTILINE)
_NAMES = re.compile(r"((?:^[|`].*\n)+)\n<!-- api: the names above -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from other files."""
    for name, page in _ELSEWHERE.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=_relinked((ROOT / name).read_text("utf-8"))))
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
    return _REFERENCE.sub(_reference, _NAMES.sub(_named, _relinked(markdown)))


def _named(match: re.Match[str]) -> str:
    """A table or a list of names, and below it the reference of each."""
    names = re.findall(
        r"^(?:\| )`([\w.]+)`" if match[1].startswith("|") else r"`([\w.]+)`", match[1], re.MULTILINE
    )
    return "\n".join([match[1], *(f"<!-- api: {name} -->" for name in names)])


def _reference(match: re.Match[str]) -> str:
    options = "".join(f"\n      {option.strip()}" for option in (match[2] or "").split(";") if option.strip())
    return f"::: {match[1]}" + (f"\n    options:{options}" if options else "")


def _relinked(markdown: str) -> str:
    def page(match: re.Match[str]) -> str:
        path, anchor = match[1], match[2] or ""
        plain = path.removeprefix("../").removeprefix("docs/")
        if plain in _ELSEWHERE:
            return f"]({_ELSEWHERE[plain]}{anchor})"
        if plain.startswith("examples/") and plain.endswith(".py"):
            return f"]({plain.removesuffix('.py')}.md{anchor})"
        if plain == "tutorial.ipynb":
            return f"](tutorial.md{anchor})"
        if plain in ("study.py", "data/digits"):
            return "](examples/study.md)"
        return f"]({plain if path.startswith('docs/') else path}{anchor})"

    return re.sub(r"\]\(([\w./-]+)(#[\w-]+)?\)", page, markdown)


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
            elif said := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
                text.append(f"```text\n{said}\n```")
    made[f"{path.stem}.md"] = "\n\n".join(text) + "\n"
    return made
