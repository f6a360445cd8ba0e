"""Blocks of the docs that tests run: titled Python for libraries, and the calls of the first hour."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def recipe(page, title, **names):
    """The names that a block defines, after it has run with some names given."""
    text = (DOCS / page).read_text()
    block = re.search(rf'^```python title="{title}"\n(.*?)^```$', text, flags=re.MULTILINE | re.DOTALL)
    assert block, f"{page} has no block titled {title}"
    exec(compile(block[1], f"{page}: {title}", "exec"), names)
    return names


def first_hour():
    """The calls of README from the installation to the first decision with a program."""
    text = (DOCS.parent / "README.md").read_text()
    block = re.search(r"<!-- first hour -->\n+```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return block[1].splitlines()
