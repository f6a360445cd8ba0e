"""Texts that a user reads: string literals of the package, and strings and templates of the review page."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

FEWEST_WORDS = 3
"""Shorter literals are keys, codes and labels, which the glossary names."""


class UserText(NamedTuple):
    """One text and its place."""

    place: str  # file and line
    text: str  # the fields of a formatted string are ``{}``


def python_texts(folder):
    """String literals of three words or more, without docstrings, patterns, SQL and exempt lines."""
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text("utf-8")
        lines = source.splitlines()
        nodes = list(ast.walk(ast.parse(source)))
        documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        formatted = [part for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)]
        inside = {id(part) for part in formatted if not isinstance(part, ast.JoinedStr)}
        for node in nodes:
            if (
                id(node) in documentation
                or id(node) in inside
                or not isinstance(node, ast.Constant | ast.JoinedStr)
            ):
                continue
            text = _text_of(node)
            if text is None or len(re.findall(r"[A-Za-z]{2,}", text)) < FEWEST_WORDS:
                continue
            if "# language: ok" not in lines[node.lineno - 1]:
                yield UserText(f"{path.relative_to(ROOT)}:{node.lineno}", text)


def _text_of(node):
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node.value, str) else None


def page_texts(folder):
    """Quoted strings and templates with three words or more in the sources of the review page."""
    literal = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`")
    for path in sorted(folder.rglob("*.js")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.lstrip().startswith(("//", "*", "/*")):
                continue
            for match in literal.finditer(line):
                text = re.sub(r"\$\{[^}]*\}", "{}", match.group()[1:-1])
                if len(re.findall(r"[A-Za-z]{2,}", text)) >= FEWEST_WORDS:
                    yield UserText(f"{path.relative_to(ROOT)}:{number}", text)


def all_texts():
    """Every text that a user may read, of the package and of the review page."""
    return [*python_texts(ROOT / "refine"), *page_texts(ROOT / "frontend" / "src")]
