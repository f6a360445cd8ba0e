"""Two studies side by side in a real Chromium, each acted on in its own store."""

import contextlib

import pytest
from pages import SPACE, noisy, score, settled, until, visit

import refine
from refine.errors import NotFoundError, ReviewError
from refine.ui.project import Source
from refine.ui.web.background import Background
from refine.ui.web.server import Server
from refine.ui.web.session import Session

HOSTILE = "question<img src=x onerror=alert(1)>\u202e"
SHOWN = HOSTILE.replace("\u202e", "\\u202e")


def other_code(p, trial):
    return noisy(p, trial) - 0.05


@pytest.fixture
def studies(tmp_path):
    """Two trees with the same root id; the second ran other code and has a child with one more parameter."""
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(refine.Tree(HOSTILE, store=tmp_path / f"question{i}.db")) for i in range(2)
        )
        first.add_round(SPACE, noisy, n=100, seed=5, name="f").run()
        root = second.add_round(SPACE, other_code, n=100, seed=5, name="f").run()
        assert root.id == first["root"].id
        wider = {**SPACE, "lr": (0.5, 2.0, 4), "momentum": (0.0, 0.9, 10)}
        root.branch(wider, previous={"momentum": 0.0}, n=60).run()
        yield first, second


def rows(page):
    cells = "e => [...e.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    table = page.locator(".refine-studies").evaluate(cells)
    return {name: texts for name, *texts in table}


def compare(page, first, second):
    """Both are there with their names as texts, the first on the left whichever is shown."""
    page.wait_for_selector(".refine-studies tbody")
    until(page, "document.querySelectorAll('.refine-top').length > 4")
    row_texts = rows(page)
    assert [text.split(" (")[0][2:] for text in row_texts[""][:2]] == [SHOWN, SHOWN]
    assert row_texts["trials"][:2] == ["100", "60"]
    assert ["%" in text for text in row_texts["kept"]] == [False, True, False]  # only a child keeps a share
    bests = [f"{tree['last'].best['value']:.4f}" for tree in (first, second)]
    assert [text.split(" ")[0] for text in row_texts["best"][:2]] == bests
    assert (row_texts["momentum"][0], row_texts["momentum"][2]) == ("–", "only ◇")
    assert row_texts["epochs"][0] == row_texts["epochs"][1]
    assert page.locator(".refine-side h2").count() == 2
    drawn = page.locator("figure .refine-name").all_text_contents()
    assert sorted(drawn) == ["dropout", "lr", "optimizer", "units"]
    assert page.locator(".refine-marks").count() == 8
    # The page asks for this comparison after it has drawn the table and the marks.
    until(page, "document.querySelector('[data-fold=studies]').textContent.includes('second study')")


@pytest.mark.nightly
@pytest.mark.browser
def test_two_studies_are_side_by_side_and_each_is_acted_on_in_its_store(browser, studies, tmp_path):
    first, second = studies
    written = first.report(tmp_path / "study.html", beside=second)
    with visit(browser, written.as_uri(), offline=True) as page:
        assert page.title() == f"{SHOWN} and {SHOWN} · refine"
        compare(page, first, second)
    session = Session(
        first["last"], other=Session(second["last"], background=Background(Source("nowhere:score")))
    )
    with Server(session).running() as server, visit(browser, server.url) as page:
        compare(page, first, second)
        page.locator('[data-fold="studies"] details summary').click()
        assert "added" in page.locator('[data-fold="studies"] details').text_content()
        # The other study's round of the same id is another one.
        of_first, of_second = page.locator(f'[data-round$="{second["root"].id}"]').all()
        for study_heading, mark in ((of_second, "◇"), (of_first, "●"), (of_second, "◇")):
            study_heading.click()
            heading = f"Round 1 of {mark} {SHOWN} (question{int(mark == '◇')}.db)"
            until(page, f"document.querySelector('h1').textContent === {heading!r}")
        until(page, "document.querySelector('.refine-studies').rows[1].cells[2].textContent === '100'")
        rates = [tree["root"].propose(keep=False).space["lr"] for tree in studies]
        low = max(p.low for p in rates)
        high = min(p.high for p in rates)
        assert f"{low:g} to {high:g}" in rows(page)["lr"][2] or rates[0] == rates[1]
        page.get_by_label("round of ◇").select_option(index=1)
        until(page, f"document.querySelector('.refine-head code').textContent === '{second['last'].id}'")
        settled(page)
        page.locator(".refine-accept").click()
        page.wait_for_selector("text=Accepted: this is the next round.")
        assert (len(first), len(second)) == (1, 3)
        until(page, f"document.querySelector('.refine-head code').textContent === '{second['last'].id}'")
        until(page, "/to run\\./.test(document.querySelector('.refine-studies').textContent)")
        page.locator(".refine-run").click()
        job = f" of ◇ {SHOWN} (question1.db): stopped"
        until(page, f"document.querySelector('.refine-runs').textContent.includes({job!r})")
        for round_ in second.rounds[::-1]:
            second.delete(round_)
        until(page, "document.querySelector('[data-fold=studies]').hidden")


def test_studies_that_cannot_be_compared_are_refused(studies, tmp_path):
    first, _ = studies
    with contextlib.ExitStack() as stack:
        tree = lambda name: stack.enter_context(refine.Tree(name, store=tmp_path / "other.db"))  # noqa: E731
        same_name = stack.enter_context(refine.Tree(HOSTILE, store=tmp_path / "question0.db"))
        loss_tree = tree("loss")
        far_tree = tree("far")
        loss_tree.add_round(SPACE, score, direction="minimize", n=5)
        far_tree.add_round({"depth": [1, 2]}, score, n=2)
        for other, text in (
            ("other.db", "the second study must be a tree, got str; for example refine.Tree"),
            (same_name, "two different studies can be compared, got tree .* twice"),
            (
                loss_tree,
                (
                    r"by one metric in one direction, got value \(maximize\) in tree .* and value "
                    r"\(minimize\) in tree"
                ),
            ),
            (
                far_tree,
                (
                    "must have a parameter in common, got dropout, epochs, lr, optimizer and units in "
                    "tree .* and depth in"
                ),
            ),
        ):
            with pytest.raises(ReviewError, match=text):
                first.report(tmp_path / "no.html", beside=other)
        with pytest.raises(NotFoundError, match="'empty'"):
            first.report(tmp_path / "no.html", beside=tree("empty"))
    assert not (tmp_path / "no.html").exists()
    refused = Session(first["last"]).handle({"type": "tree", "study": "other"})
    assert refused.keys() == {"error"}
    assert "study='other'" in refused["error"]
