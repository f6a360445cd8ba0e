"""The page of a small budget: rounds that results chose, failed checks, and no trial for another round."""

import pytest
from pages import SPACE, noisy, served, settled, visit

import refine
from refine.review.review import advised_round_of
from refine.ui.web.session import Session


@pytest.fixture(scope="module")
def spent(tmp_path_factory):
    """A tree whose budget is spent but for the repeats that confirm its winner."""
    with refine.Tree("small", store=tmp_path_factory.mktemp("small") / "refine.db") as tree:
        last = tree.add_round(
            SPACE, noisy, budget=36, seed=3, metric=refine.Goal("value", noise="retraining")
        ).run()
        while advised_round_of(review := last.propose(keep=False)).n:
            last = review.accept(n=advised_round_of(review).n, exploit=1.0, plan=refine.Plan(audit=0.0))
            last.run()
        yield tree


def asked(round_, **typed):
    """The content of the page of a round, and its preview without edits but for ``typed`` fields."""
    session = Session(round_)
    review = session.handle({"type": "round", "round": round_.id})["review"]
    drawn = {"round": round_.id, "risk": review["risk"], "proposal": review["proposal"], **typed}
    return review, session.handle({"type": "preview", **drawn, "edits": {}, "rejected": [], "note": ""})


@pytest.mark.slow
def test_a_spent_budget_refuses_another_round_and_still_states_the_risk(spent):
    _, preview = asked(spent["last"])
    assert preview["refused"]
    assert preview["plan"]["n"] == 0
    assert "budget" in preview["warning"]
    assert "Risk" in [fact["name"] for fact in preview["risks"]]
    assert preview["code"].endswith("tree.confirm()") or preview["code"].endswith("tree.winner()")


@pytest.mark.slow
def test_more_trials_than_the_budget_has_are_refused_before_they_are_accepted(spent):
    left = spent["last"]._budget.left
    _, too_many = asked(spent["last"], n=left + 1, sized=True)
    assert too_many["refused"]
    assert str(left) in too_many["warning"]
    _, payable = asked(spent["last"], n=left, sized=True)
    assert not payable["refused"]


@pytest.mark.slow
def test_the_recommendation_does_not_blame_the_space_for_a_spent_budget(spent):
    review, _ = asked(spent["last"])
    text = review["outlook"]["reason"]
    assert ("left" in text, "run" in text.split()) == (True, False)


@pytest.mark.slow
def test_a_round_chosen_by_results_shows_where_its_best_trials_lie(spent):
    last = spent["last"]
    assert not last.analyze().tested
    review, _ = asked(last)
    for panel in review["panels"]:
        if panel["kind"] == "range":
            assert max(panel["density"]["best"]) > 0
        else:
            assert sum(level["good"] for level in panel["levels"]) == pytest.approx(1)


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_head_states_the_blind_spot(browser, spent, size):
    root = spent["root"]
    viewport = {"width": size[0], "height": size[1]}
    with served(root) as running, visit(browser, running.url, folds=(), viewport=viewport) as page:
        settled(page)
        blind_spot = page.locator('[data-fact="Blind spot"]').first
        assert "missed" in blind_spot.inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390, 320])
def test_names_of_choices_are_whole_on_every_screen(browser, spent, width):
    root = spent["root"]
    viewport = {"width": width, "height": 844}
    with served(root) as running, visit(browser, running.url, viewport=viewport) as page:
        settled(page)
        for chip in page.locator('[data-parameter="optimizer"] .refine-chip').all():
            for _ in range(2):  # pressed and not pressed
                assert chip.evaluate("e => e.scrollWidth <= e.clientWidth")
                chip.click()
