"""Reports as one HTML file fit the screen: wide tables scroll inside their frame, the page does not."""

import pytest

import refine

pytestmark = pytest.mark.browser

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"], "epochs": 20}
LINK = f"see https://example.org/{'a' * 90}"


def score(p):
    return 1 - 0.05 * (p["lr"] - 1.23) ** 2 - 0.2 * p["dropout"] - 0.1 * (p["optimizer"] == "SGD")


@pytest.fixture(scope="module")
def reports(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("reports")
    with refine.Tree("question", store=folder / "t.db") as tree:
        root = tree.add_round(SPACE, score, n=60, seed=1, note=LINK).run()
        child = root.propose().edit(dropout=(0, 0.3)).accept(LINK, n=20).run()
        tree.ask("lr <= 1")
        paths = [
            tree.report(folder, html=True),
            root.report(folder, html=True),
            tree.diff(root, child).report(folder, html=True),
        ]
    return [*paths, *folder.glob("*-winner.html")]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_report_is_wider_than_the_screen(browser, reports, width):
    widths = {}
    for path in reports:
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto(f"file://{path}")
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        widths[path.name] = page.evaluate("document.documentElement.scrollWidth")
        page.close()
    assert len(widths) == 4
    assert set(widths.values()) == {width}, widths
