"""The page saved to a file opens offline in a real Chromium and spells edits as Python."""

import re

import pytest
from pages import SPACE, drag, noisy, python, settled, visit

import refine
from nightly import nightly
from refine.errors import NotFoundError

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)><!--"


@pytest.mark.parametrize("n", [60, nightly(500)])
def test_a_copy_opens_offline_and_spells_edits(browser, tmp_path, n):
    with refine.Tree(HOSTILE, store=tmp_path / "refine.db") as tree:
        with pytest.raises(NotFoundError, match="no round"):
            tree.report(tmp_path / "study.html")
        root = tree.add_round(SPACE, noisy, n=n, seed=5, note=HOSTILE).run()
        root.propose().accept(n=n).run()
        written = tree.report(tmp_path / "study.html")
        assert written.stat().st_size < 2_000_000
        with visit(browser, written.as_uri(), offline=True) as page:
            assert page.title() == f"{HOSTILE} · refine"
            page.locator(f'[data-round="{root.id}"]').click()
            page.wait_for_selector(f"text={root.id}")
            settled(page)
            decisions = page.get_by_role("button", name=re.compile("^(accept|decline)"))
            assert decisions.count() == 0
            deciding = page.locator(".refine-strip dd:first-of-type")
            of_the_proposal = deciding.all_inner_texts()
            headline_of_the_proposal = page.locator(".refine-next").inner_text()
            assert page.locator(".refine-unjudged").is_hidden()
            assert page.locator('[data-fold="more"] input').count() == 0
            risk_level = page.locator('[data-fold="sure"] > summary > span')
            text_of_the_proposal = risk_level.text_content()
            drag(page, "dropout", "upper", 60)
            page.locator('[data-parameter="optimizer"] .refine-chip').nth(0).click()
            page.get_by_label("Note", exact=True).fill('it\'s "low"')
            settled(page)
            namespace = {"tree": tree}
            exec(python(page), namespace)
            assert set(namespace["review"].preview().edited) == {"dropout", "optimizer"}
            assert deciding.all_inner_texts() == of_the_proposal
            assert page.locator(".refine-next").inner_text() == headline_of_the_proposal
            assert page.locator(".refine-unjudged").is_visible()
            assert risk_level.text_content() != text_of_the_proposal
            copy = page.get_by_role("button", name="copy Python")
            assert copy.bounding_box()["y"] < page.viewport_size["height"]
            child = namespace["child"]
            pressed_names = page.locator(
                '[data-parameter="optimizer"] .refine-chip[aria-pressed="true"]'
            ).all_inner_texts()
            assert (child.space["optimizer"].labels, child._node.note) == (
                tuple(pressed_names),
                'it\'s "low"',
            )
            page.locator(".refine-risk input[type=range]").press("ArrowRight")
            settled(page)
            page.locator('[data-fold="trials"] > summary').click()
            page.locator("th button:has-text('seconds')").click()
            best = root.trials.sort_values("seconds", kind="stable").index[0]
            page.wait_for_selector(f'tr[data-at="0"][data-number="{best}"]')
            page.locator('tr[data-at="0"] th button').click()
            title = page.locator(".refine-card.pinned strong")
            assert title.inner_text() == f"Trial {best}"
