"""A copy of a study whose names, notes and questions hold markup: nothing in it runs, in a real Chromium."""

import pytest
from pages import FOLDS, visit

import refine
from refine.tree.questions import questions as questions_of

pytestmark = pytest.mark.browser

EVIL = """</script><img src=x onerror="document.title=1"><script>document.title=1</script>\
<svg/onload=document.title=1><!--\"'`${7*7}{{7*7}}]]>\u202e\u2028javascript:document.title=1"""


def test_nothing_runs_on_a_copy_with_hostile_names_notes_and_questions(browser, tmp_path):
    def score(p):
        return p[EVIL] * (1 + (p["kind"] == EVIL)) - p["x"] / 9

    space = {EVIL: (0.0, 1.0, 6), "kind": [EVIL, "b"], "x": (0, 9)}
    with refine.Tree("study", store=tmp_path / "refine.db") as tree:
        root = tree.add_round(space, score, n=30, seed=1, name="f", note=EVIL)
        root.run()
        answer = tree.ask("x >= 5", given=f"kind == {EVIL!r}", author=EVIL)
        assert "<script>" in answer.given
        child = root.branch(space, n=4, note=EVIL, author=EVIL).run()
        root.add(4, settle=answer).run()
        tree.ask("x <= 4")
        tree.ask("kind == 'b'", better=f"kind == {EVIL!r}", author=EVIL)
        assert len(questions_of(tree, suggest=False).asked) == 3
        written = tree.report(tmp_path / "study.html")
        with visit(browser, written.as_uri(), offline=True, folds=(*FOLDS, "trials", "ask")) as page:
            for round_ in (root, child):
                page.locator(f'[data-round="{round_.id}"]').click()
                page.wait_for_selector(f"text={round_.id}")
                page.wait_for_selector(".refine-list tbody tr[data-number]")
                page.wait_for_timeout(200)
                assert page.locator("main img, main script, main svg svg, nav img").count() == 0
                assert page.locator('[data-fold="ask"]').is_hidden()
            assert page.title() == "study · refine"
            shown = page.locator("body").inner_text()
            assert "\u202e" not in shown
            assert "{{7*7}}]]>\\u202e" in shown
