"""How much a reader has to read: words of the pages, benchmarks apart, and entries of the glossary.

A word is a part of a page between blanks. Code blocks do not count, fenced or indented; tables do.
"""

import re
from pathlib import Path

import pytest

from refine.report.glossary import terms

DOCS = Path(__file__).parents[2] / "docs"
MOST_TERMS = 32
MOST_WORDS = {"docs": 22_000, "benchmarks": 10_000}
MOST_WORDS_OF_A_SCREEN = 400  # the first page of benchmarks


def words(text):
    fenced = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
    indented = re.compile(r"(?<=\n\n)(?:    .*\n)+")  # a paragraph of code, not the second line of an entry
    return len(indented.sub("", fenced.sub("", text)).split())


def words_of(part):
    benchmarks = {DOCS / "benchmarks.md", *(DOCS / "benchmarks").glob("*.md")}
    pages = benchmarks if part == "benchmarks" else set(DOCS.rglob("*.md")) - benchmarks
    return sum(words(page.read_text("utf-8")) for page in pages)


@pytest.mark.parametrize("part", MOST_WORDS)
def test_the_pages_have_at_most_so_many_words(part):
    assert words_of(part) <= MOST_WORDS[part], "delete what is said elsewhere, or is history"


def test_the_first_page_of_benchmarks_fits_a_screen():
    assert words((DOCS / "benchmarks.md").read_text("utf-8")) <= MOST_WORDS_OF_A_SCREEN


def test_the_glossary_is_short():
    assert len(terms()) <= MOST_TERMS


def test_code_does_not_count_and_tables_do():
    assert words("one two\n\n```python\nthree\n```\n\n    four five\n\n| six |\n") == 5
