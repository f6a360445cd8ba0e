"""The page and its copy fit the screen, from a phone to a desk, also next to the list of rounds."""

import pytest
from pages import SPACE, noisy, served, settled, visit

import refine

pytestmark = pytest.mark.browser

WIDTHS = (320, 390, 768, 901, 1024, 1280)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    with refine.Tree("question", store=tmp_path_factory.mktemp("widths") / "refine.db") as tree:
        root = tree.add_round(SPACE, noisy, n=60, seed=5, note="first look").run()
        root.propose().accept("narrower", n=20).run()
        yield tree


def widths_of(page):
    widths = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate("new Promise(then => requestAnimationFrame(() => requestAnimationFrame(then)))")
        widths[width] = page.evaluate("document.documentElement.scrollWidth")
    return widths


def test_the_page_is_as_wide_as_the_screen_with_and_without_edits(browser, grown):
    with served(grown.rounds[0]) as running, visit(browser, running.url) as page:
        settled(page)
        assert widths_of(page) == {width: width for width in WIDTHS}
        page.locator('[data-parameter="optimizer"] .refine-chip').nth(0).click()
        settled(page)
        assert page.locator(".refine-reset").is_visible()
        assert widths_of(page) == {width: width for width in WIDTHS}


def test_long_names_make_no_page_wider_than_the_screen(browser, tmp_path):
    long = "a_parameter_of_a_framework.with_dots_and_underscores_in_a_name_of_80_letters"
    space = {long: (0.0, 1.0, 11), "units": (1, 8)}
    with refine.Tree("x" * 80, store=tmp_path / "refine.db") as tree:
        root = tree.add_round(space, lambda p: p[long], n=30, note="https://example.org/" + "a" * 80)
        root.run()
        last = tree.add_round({**space, "units": (1, 16)}, lambda p: p[long], n=30).run()
        tree.tag(last, "paper-final-version-of-the-study")
        written = tree.report(tmp_path / "study.html")
        with visit(browser, written.as_uri(), offline=True) as page:
            settled(page)
            assert widths_of(page) == {width: width for width in WIDTHS}


def test_a_copy_is_as_wide_as_the_screen(browser, grown, tmp_path):
    written = grown.report(tmp_path / "study.html")
    with visit(browser, written.as_uri(), offline=True) as page:
        settled(page)
        assert widths_of(page) == {width: width for width in WIDTHS}
