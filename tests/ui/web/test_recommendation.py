"""The recommendation on the page follows every edit, and is pending until it is computed."""

import pytest
from pages import SPACE, bounds, handle, python, score, served, settled, until, visit

from refine.report.pages.headline import headline_of
from refine.report.pages.winner import winner_page
from refine.review.review import advised_round_of

pytestmark = pytest.mark.browser

ROW = '.refine-header [data-fact="Recommendation"]'
TEXT = f"document.querySelector('{ROW}').textContent"


def test_an_old_recommendation_is_never_shown_next_to_a_new_risk(viewed_page, viewed_round):
    risk = viewed_page.locator('.refine-header [data-fact="Risk"] dd').first
    before = viewed_page.locator(ROW).text_content()
    risk_before = risk.inner_text()
    assert before == headline_of(viewed_round.propose()).reason
    held_routes = []
    holding = [True]

    def hold(route):
        if holding and '"outlook"' in (route.request.post_data or ""):
            held_routes.append(route)
        else:
            route.continue_()

    viewed_page.route("**/ask", hold)
    handle(viewed_page, "dropout", "upper").press("End")
    for _ in range(8):
        handle(viewed_page, "dropout", "lower").press("ArrowRight")
    settled(viewed_page)
    assert risk.inner_text() != risk_before
    assert "computing" in viewed_page.locator(ROW).inner_text()
    viewed_page.wait_for_timeout(200)
    holding.clear()
    for route in held_routes:
        route.continue_()
    until(viewed_page, f"!{TEXT}.includes('computing')")
    edited = viewed_round.propose().edit(dropout=tuple(bounds(viewed_page, "dropout")))
    assert viewed_page.locator(ROW).text_content() == headline_of(edited).reason
    viewed_page.unroute("**/ask")
    viewed_page.get_by_role("button", name="reset to proposal").click()
    settled(viewed_page)
    assert viewed_page.locator(ROW).text_content() == before


def test_the_advice_to_stop_comes_first_and_leads_to_the_winner(browser, tree):
    root = tree.add_round(SPACE, score, n=120, seed=3).run()
    review = root.propose(keep=False)
    assert review.worth().verdict == "STOP"
    with served(root) as running, visit(browser, running.url) as page:
        settled(page)
        text = page.locator(".refine-next").text_content()
        assert text == headline_of(review).text
        assert "plain" in page.locator(".refine-accept").get_attribute("class")
        page.get_by_role("button", name="show the winner").click()
        winner = tree.winner()
        page.wait_for_selector(f".refine-fold >> text={winner_page(winner).title}")
        shown = page.locator(".refine-values").inner_text().split("\n")
        assert dict(zip(shown[::2], shown[1::2], strict=True)) == dict(winner.candidates[0].labels)
        page.locator('[data-parameter="optimizer"]').get_by_role("button", name="leave unchanged").click()
        edited = headline_of(review.reject("optimizer"))
        until(page, f"{TEXT} === {edited.reason!r}")
        assert page.locator(".refine-next").text_content() == edited.text


def test_the_accept_button_and_python_make_the_advised_round(opened, root, tree):
    settled(opened)
    advised = advised_round_of(root.propose(keep=False))
    last = python(opened).splitlines()[-1]
    assert last == f"child = review.accept(n={advised.n}, exploit={advised.exploit})"
    exploit = opened.get_by_label("Share of exploit trials")
    assert exploit.input_value() == f"{100 * advised.exploit:g}"
    opened.locator(".refine-accept").click()
    opened.wait_for_selector(".refine-said.good")
    child = tree.rounds[-1]
    assert (child.n, child._node.exploit, child._node.audit) == (advised.n, advised.exploit, advised.audit)
