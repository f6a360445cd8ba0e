"""Suggestions: beside the proposal for whoever decides, and scored like anybody's cuts, taken over or not."""

import json
import math

import pytest

import objectives
import refine
from refine.errors import ReviewError
from refine.review.decision import Decision
from refine.review.review import suggestions_of
from refine.ui.web.session import Session

pytestmark = pytest.mark.slow


@pytest.fixture
def review(root):
    return root.propose()


def bold(review):
    """Cuts off low rates that the proposal keeps, and so loses nothing: 1.4 is best."""
    return review.edit(lr=(1.25, 1.5))


def wrong(review):
    return review.edit(lr=(3.0, 5.0), optimizer=["SGD"])


def test_every_suggestion_is_scored_whether_or_not_it_is_accepted(tree, root, review):
    bold(review).suggest("rates below 1.25 never won", author="agent:ann")
    decision = root._decisions[0]
    assert Decision.from_json(json.loads(decision.dumps())) == decision
    wrong(review).suggest("slow and steady", author="agent:bob")
    before = tree.calibration()
    assert len(before) == 0
    assert [e.comparison.right for e in before.suggestions] == ["untested", "untested"]
    root.propose().accept(n=60, author="eve").run()

    calibration = tree.calibration()
    assert [e.decision.author for e in calibration.entries] == ["eve"]
    ann, bob = calibration.suggestions
    best = max(r.trials["value"].max() for r in tree.rounds)
    for e, space in ((ann, bold(review).space), (bob, wrong(review).space)):
        inside = max(r.trials.loc[space.contains(r.trials), "value"].max() for r in tree.rounds)
        assert (e.comparison.best, e.comparison.decided.best) == pytest.approx((best, inside))
        assert e.comparison.deciding_trials > 0
        assert e.taken == ()
    assert ann.comparison.kept(ann.comparison.decided)
    assert (ann.comparison.smaller, ann.comparison.right, bob.comparison.right) == (
        "person",
        "person",
        "machine",
    )
    scores = {s.author: s for s in calibration.authors}
    assert list(scores) == ["eve", "agent:ann", "agent:bob"]
    of_ann = scores["agent:ann"]
    of_bob = scores["agent:bob"]
    assert (of_ann.suggested, of_ann.decisions, of_ann.right) == (1, 0, 1)
    assert (of_bob.kept, of_bob.machine_right, scores["eve"].suggested) == (0, 1, 0)
    text = str(calibration.why())
    assert "agent:ann: Keeps" in text
    assert "1 suggestion" in text
    rows = calibration.frame.set_index("author")
    assert list(rows.loc["agent:ann", ["decision", "right"]]) == ["suggested", "person"]
    assert not rows.loc["agent:bob", "kept_best"]


def test_only_trials_that_ended_after_it_test_a_suggestion(tree, space):
    root = tree.add_round(space, objectives.bowl, n=100, seed=7).run(trials=60)
    wrong(root.propose()).suggest("enough seen", author="agent:ann")
    assert tree.calibration().suggestions[0].comparison.deciding_trials == 0
    root.run()
    assert 0 < tree.calibration().suggestions[0].comparison.deciding_trials <= 40


def test_a_suggestion_is_shown_next_to_the_proposal_and_can_be_adopted(tree, root, review, tmp_path):
    bold(review).suggest("rates below 1.25 never won", author="agent:ann")
    (suggestion,) = suggestions_of(review)
    assert suggestion.probability == pytest.approx(bold(review).preview().probability)
    assert suggestion.volume_kept == pytest.approx(bold(review).preview().volume_kept)
    text = str(review.why())
    assert suggestion.decision.author in text
    assert suggestion.decision.note in text
    report = root.report(tmp_path / "reports", proposal=review.proposal).read_text()
    for phrase in ("Suggested by agent:ann", " in the suggested ", "The proposed one keeps"):
        assert phrase in report
    adopted = review.edit(junk=(1, 3)).edit(1)
    assert adopted.space == bold(review).space
    assert review.edit(1).space == adopted.space
    with pytest.raises(ReviewError, match="number 2"):
        review.edit(2)

    session = Session(root)
    content = session.handle({"type": "round", "round": root.id})["review"]
    (shown,) = content["suggestions"]
    assert (shown["by"], shown["why"]) == ("agent:ann", suggestion.decision.note)
    assert "(proposed: keeps" in shown["text"]
    message = {"round": root.id, "risk": 0.05, "proposal": content["proposal"], "edits": shown["edits"]}
    answer = session.handle({"type": "decide", "kind": "accept", "note": "ann is right", "n": 30, **message})
    child = tree[answer["child"]]
    assert child.space == adopted.space
    assert suggestions_of(root.propose()) == ()
    assert tree.calibration().suggestions[0].taken == (child.id,)
    assert child.id in str(tree.calibration().why())


def test_the_page_takes_over_what_it_has_no_form_for(tree, root, review):
    for author in ("agent:ann", "agent:bob"):  # two may suggest the same
        review.edit(lr=refine.Float(0.6, 3.3, levels=4)).suggest("my levels", author=author)
    assert [d.author for d in root._decisions] == ["agent:ann", "agent:bob"]
    session = Session(root)
    content = session.handle({"type": "round", "round": root.id})["review"]
    shown = content["suggestions"][0]
    message = {"round": root.id, "risk": 0.05, "proposal": content["proposal"], "edits": shown["edits"]}
    answer = session.handle({"type": "decide", "kind": "accept", "n": 30, **message})
    assert tree[answer["child"]].space["lr"] == refine.Float(0.6, 3.3, levels=4)
    broken = {"lr": {**shown["edits"]["lr"], "of": "nobody"}}
    refused = session.handle({"type": "preview", **message, "edits": broken})
    assert refused["error"].startswith("edit: lr: ")


def test_a_suggestion_that_its_author_decided_counts_once(tree, root, review):
    bold(review).suggest("rates below 1.25 never won", author="ann")
    bold(review).accept(n=30, author="ann").run()
    (score,) = tree.calibration().authors
    assert (score.decisions, score.edited, score.suggested) == (1, 1, 0)
    assert not math.isnan(score.volume_kept)
