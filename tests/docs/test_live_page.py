"""The review page in the docs is the page of this version; ``REFINE_GOLDEN=1`` writes the page again."""

import os
import re
import sys
from pathlib import Path

import pytest

from refine import datasets

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "digits.html"
STATIC = Path(datasets.__file__).parents[1] / "ui" / "web" / "static"


@pytest.fixture(scope="module", autouse=True)
def golden():
    if os.environ.get("REFINE_GOLDEN"):
        sys.path.insert(0, str(DOCS))
        import pictures

        with datasets.digits() as tree:
            pictures.live_page(tree)


def test_live_page_has_the_script_of_this_version():
    page = PAGE.read_text("utf-8")
    script = (STATIC / "review.js").read_text("utf-8")
    assert script[: script.rindex("export{")].rstrip() in page, "REFINE_GOLDEN=1 writes the page again"
    assert len(page) < 400_000


def test_live_page_is_linked_from_the_first_pages():
    assert "](digits.html)" in (DOCS / "index.md").read_text()
    assert "](docs/digits.html)" in (DOCS.parent / "README.md").read_text()


@pytest.mark.browser
def test_live_page_shows_a_proposal_without_a_server(browser):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(PAGE.as_uri())
        page.locator(".refine-panel").first.wait_for(timeout=60_000)
        names = page.eval_on_selector_all(".refine-panel", "all => all.map((e) => e.dataset.parameter)")
        title = page.title()
    finally:
        page.close()
    assert not errors
    assert {"lr", "units"} <= set(names)
    assert re.search("digits", title)
