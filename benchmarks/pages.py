"""Tables that a benchmark puts into a page of the documentation."""

from __future__ import annotations

from pathlib import Path


def embed(page: Path, part: str, text: str, made_by: str) -> None:
    """Replaces what stands between a part's two marks on the page.

    Args:
        page: The page.
        part: Name of the part, which stands in both marks.
        text: What the command prints; its first table and its verdicts are to stand there.
        made_by: The command that makes it, which stands in the first mark.
    """
    content = page.read_text(encoding="utf-8")
    start, end = f"<!-- {part}: made by `{made_by}` -->", f"<!-- end of {part} -->"
    if content.count(start) != 1 or content.count(end) != 1:
        raise SystemExit(f"{page}: needs the lines {start!r} and {end!r} once each")
    head, rest = content.split(start)
    tail = rest.split(end)[1]
    page.write_text(f"{head}{start}\n\n{summary(text)}\n\n{end}{tail}", encoding="utf-8")


def summary(text: str) -> str:
    """Everything up to the first table, and the lists of verdicts after it: what a page has of a part that prints many tables."""
    blocks = text.strip().split("\n\n")
    first = next((i for i, block in enumerate(blocks) if block.startswith("|")), len(blocks))
    return "\n\n".join(blocks[: first + 1] + [b for b in blocks[first + 1 :] if b.startswith("- ")])
