"""What benchmarks share: options, tables in Markdown, what was computed before, and pages of the documentation that tables are put into."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from refine.stats import wilson

DOCS = Path(__file__).parent.parent / "docs"
CACHE = Path(__file__).parent / ".cache"


def parser(doc: str | None, **numbers: int) -> argparse.ArgumentParser:
    """Options of a benchmark: its docstring as help, and whole numbers with their defaults."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in numbers.items():
        made.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    return made


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]], texts: int = 1) -> str:
    """A table, of which the first columns are texts and the others numbers."""
    rule = "|" + "---|" * texts + "---:|" * (len(head) - texts)
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints Markdown, each row once it is there: what takes long may be broken off."""
    print(markdown(head, ()), flush=True)
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print(flush=True)


def share(hits: Sequence[bool]) -> str:
    """A share in % with Wilson's 95 % interval."""
    if not len(hits):
        return "-"
    low, high = wilson(int(sum(hits)), len(hits))
    return f"{100 * sum(hits) / len(hits):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def known_by(name: str) -> dict[str, Any]:
    """All that `kept` has under a name."""
    path = CACHE / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def kept(name: str, key: str, make: Callable[[], Any]) -> Any:
    """What was made before under this name and key, else made now; several processes may share the file."""
    path, known = CACHE / f"{name}.json", known_by(name)
    if key not in known:
        result = make()
        known = {**known_by(name), key: result}
        path.parent.mkdir(exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(known))
        scratch.replace(path)
    return known[key]


def embed(page: Path, part: str, text: str, made_by: str, *, whole: bool = False) -> None:
    """Replaces the text between a part's two marks on a page by the output of a command.

    Without ``whole`` only the first table and the verdicts of the output are kept.
    """
    content = page.read_text(encoding="utf-8")
    start, end = f"<!-- {part}: made by `{made_by}` -->", f"<!-- end of {part} -->"
    if content.count(start) != 1 or content.count(end) != 1:
        raise SystemExit(f"{page}: needs the lines {start!r} and {end!r} once each")
    head, rest = content.split(start)
    blocks = text.strip().split("\n\n")
    first = next((i for i, block in enumerate(blocks) if block.startswith("|")), len(blocks))
    if not whole:
        blocks = blocks[: first + 1] + [b for b in blocks[first + 1 :] if b.startswith("- ")]
    summary = "\n\n".join(blocks)
    page.write_text(f"{head}{start}\n\n{summary}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
