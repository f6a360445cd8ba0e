"""The site builds without a warning, asks for nothing from elsewhere, and has the whole public surface."""

import importlib
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from test_docstrings import METHODS

ROOT = Path(__file__).parents[2]

MODULES = (
    "refine",
    "refine.datasets",
    "refine.keras",
    "refine.report.figures",
    "refine.stats",
    "refine.testing",
)
"""Modules whose names the page API lists."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # Warnings that packages raise about themselves or each other don't concern the pages.
    surroundings = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    process = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=surroundings
    )
    assert process.returncode == 0, process.stderr[-4000:]
    assert "WARNING" not in process.stderr, process.stderr[-4000:]
    return folder


def pages(site):
    return [(str(path.relative_to(site)), path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))]


def body(text):
    """The text of paragraphs, without headings, scripts, code or tags."""
    inside = text.partition("<article")[2].partition("</article>")[0]
    inside = re.sub(r"<(script|style|pre|code|h[1-6])\b.*?</\1>", " ", inside, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "\n", inside))


def test_every_page_of_the_docs_is_on_the_site(site):
    page_names = {name for name, _ in pages(site)}
    for path in (ROOT / "docs").glob("*.md"):
        assert (f"{path.stem}.html" in page_names) == (path.name != "design.md")
    assert {
        "tutorial.html",
        "changelog.html",
        "examples/four_rounds.html",
        "examples/study.html",
    } <= page_names


def test_the_site_loads_nothing_from_elsewhere(site):
    for path in [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]:
        text = path.read_text("utf-8")
        for tag in re.findall(r"<(?:script|link|img|iframe|source|image|use)\b[^>]*>", text):
            assert not re.search(r"(?:src|href|srcset)=[\"']?(?:https?:)?//", tag), f"{path.name}: {tag}"
        assert not re.search(r"url\([\"']?(?:https?:)?//", text), path.name
        assert not re.search(r"@import", text), path.name


def test_pages_of_the_site_show_no_notation(site):
    for name, text in pages(site):
        visible = body(text)
        assert not re.search(r"^\s*(?:- |\* |\d+\. )\S", visible, re.MULTILINE), (
            f"{name}: a list that is none"
        )
        assert not re.search(r"\|\s?-{3}|^\s*\|", visible, re.MULTILINE), f"{name}: a table that is none"
        for notation in (":::", "<!-- ", ":meth:", ":class:", "``", "]("):
            assert notation not in visible, f"{name}: {notation}"


@pytest.mark.parametrize("module", MODULES)
def test_the_whole_public_surface_is_in_the_reference(site, module):
    text = (site / "api.html").read_text("utf-8")
    markdown = (ROOT / "docs" / "api.md").read_text("utf-8")
    for name in importlib.import_module(module).__all__:
        if (module, name) == ("refine", "errors"):
            assert "`refine.errors`" in markdown
            continue
        assert f'id="{module}.{name}"' in text, f"{module}.{name} is missing in the site"
        assert f"`{module}.{name}`" in markdown, f"{module}.{name} is missing where there is no site"


def test_methods_are_in_the_reference_those_of_base_classes_too(site):
    text = (site / "api.html").read_text("utf-8")
    methods = [f"{kind}.{name}" for kind, names in METHODS.items() for name in names.split()]
    for name in [
        *methods,
        "Round.replay",
        "Space.from_talos",
        "errors.RoundBusyError",
        "errors.NotFoundError",
    ]:
        assert f'id="refine.{name}"' in text, name


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_line_of_a_code_block_is_cut(site, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    cut = """() => [...document.querySelectorAll("article pre > code")]
        .filter((code) => code.scrollWidth > code.clientWidth + 1)
        .map((code) => code.textContent.slice(0, 80))"""
    try:
        for path in sorted(site.glob("*.html")):
            if path.name != "digits.html":
                page.goto(path.as_uri())
                assert page.evaluate(cut) == [], path.name
    finally:
        page.close()


FOUND_FIRST = {
    "stop a study": {"running.html", "tools.html"},
    "fix a parameter": {"space.html"},
    "add a parameter": {"space.html"},
    "lower is better": {"round.html"},
    "share": {"teams.html"},
    "another machine": {"teams.html"},
    "resume": {"running.html"},
    "csv": {"tools.html"},
}
"""A reader's words -> the guides of which the search should name one first."""


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.parametrize("words", FOUND_FIRST)
def test_the_search_finds_a_guide_by_a_reader_s_words(site, browser, words):
    page = browser.new_page()
    try:
        page.goto((site / "index.html").as_uri())
        query = page.locator('[data-md-component="search-query"]')
        query.focus()
        query.press_sequentially(words)
        # Results follow the typing: a result marks the last word once the search has all of them.
        page.locator(".md-search-result__item mark", has_text=words.split()[-1][:4]).first.wait_for(
            timeout=60_000
        )
        links = page.eval_on_selector_all(".md-search-result__item a", "all => all.map((a) => a.href)")
    finally:
        page.close()
    pages = [re.search(r"([\w/-]+\.html)", link.removeprefix(site.as_uri()))[1].lstrip("/") for link in links]
    assert pages[0] in FOUND_FIRST[words], pages
    assert not any(name.startswith(("examples/", "benchmarks/")) for name in pages)
