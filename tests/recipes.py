"""Titled Python blocks of the docs for libraries that refine does not load; the test of pages skips them."""

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
