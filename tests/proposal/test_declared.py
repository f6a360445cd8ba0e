"""Parameters that exist only under what leaves, and what follows where the person decides otherwise."""

import re

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw
from refine.proposal.proposal import changes_given, proposal_from_json, proposal_to_json
from refine.report.pages.proposal import change_view
from refine.report.pages.review import followed_sentence
from refine.review.decision import Decision
from refine.review.review import edits_of
from refine.ui.web.content import panel
from tests.reading import codes_of

SPACE = refine.Space(
    {
        "c": ["good", "bad"],
        "x": refine.Float(0, 1, levels=11, when="c == 'bad'"),
        "y": refine.Float(0, 1, levels=11, when="c == 'good'"),
        "z": refine.Float(0, 1, levels=11),
    }
)


def _analysis(value, space=SPACE, seed=1, n=60):
    rows = draw(Sobol(), space, n, seed)
    frame = pd.DataFrame(space.columns(rows))
    masks = space.active(rows)
    for name, mask in masks.items():
        frame[name] = frame[name].astype(object).where(mask, None)
    return refine.analyze(space, frame.assign(value=value(frame)), read=masks)


def _two_regimes(frame):
    x, y = (pd.to_numeric(frame[name]).fillna(0.0) for name in "xy")
    return np.where(frame["c"] == "bad", -2 - 4 * (x - 0.5) ** 2, -4 * (y - 0.3) ** 2) - 0.3 * frame["z"]


@pytest.fixture(scope="module")
def analysis():
    return _analysis(_two_regimes)


@pytest.fixture(scope="module")
def proposal(analysis):
    return refine.propose(analysis)


def test_parameters_of_a_dropped_choice_are_neither_changed_nor_counted(analysis, proposal):
    assert proposal["c"].new.grid == ("good",)
    change = proposal["x"]
    assert (change.kind, change.new, change.volume_kept) == ("leave", SPACE["x"], 1.0)
    assert codes_of(change.reasons) == ["not_there_in_box"]
    assert proposal.volume_kept == pytest.approx(0.5 * proposal["y"].volume_kept * proposal["z"].volume_kept)
    assert "x" not in proposal.space.varied
    assert proposal.space.size == proposal.space["y"].size * proposal.space["z"].size
    assert proposal.advice is not None
    advised = proposal.advice.reason.to_json()["values"]
    assert advised["parameters"] == 3
    assert proposal_from_json(proposal_to_json(proposal)).digest == proposal.digest
    assert analysis["x"].matters  # within its own trials, which is why it was narrowed once


def test_a_parameter_that_no_kept_choice_has_reads_as_no_longer_used_in_reasons_and_page(analysis, proposal):
    (fold,) = [fold for fold in proposal._page().folds if fold.about == "x"]
    assert re.match("x: 0 to 1 -> .*used", fold.title)
    views = {e.name: change_view(proposal[e.name]) for e in analysis.ranked}
    unused = {e.name: panel(analysis, e, views[e.name], "")["unused"] for e in analysis.ranked}
    assert [name for name in unused if unused[name]] == ["x"]


def test_a_parameter_that_a_person_keeps_stays_with_its_conditions(proposal):
    changes = {c.name: c for c in changes_given(proposal, {"c": SPACE["c"]})}
    assert (changes["x"].kind, changes["x"].new) == ("keep", SPACE["x"])
    assert changes["y"].new == proposal["y"].new
    followed = changes_given(proposal, {"c": proposal["c"].new})
    assert list(followed) == [c for c in proposal.changes if c.name != "c"]


@pytest.mark.slow
def test_rejecting_a_change_undoes_changes_that_depend_on_the_rejected_one(tmp_path):
    """With a = 0 the best b is at the low end, with a = 1 at the high one; a = 1 is proposed to leave."""

    def objective(p):
        return {"value": 1.0 - 3.0 * p["b"] if p["a"] == "0" else p["b"] - 1.8}

    tree = refine.Tree("t", store=tmp_path / "t.db")
    space = {"a": ["0", "1"], "b": refine.Float(0, 1, levels=31)}
    root = tree.add_round(space, objective, n=50, metric="value", direction="maximize").run()
    review = root.propose(epsilon=0.02)  # less than one level
    assert review.space["a"].grid == ("0",)
    assert review.space["b"].high < 0.5
    assert not edits_of(review).relaxed
    # The best of a = 1 is far worse: b stays as it is proposed where both stay, and goes back where
    # only 1 does.
    assert review.reject("a").space["b"] == review.space["b"]
    only = review.edit(a=["1"])
    assert [c.name for c in edits_of(only).relaxed] == ["b"]
    assert " a," in followed_sentence(only)
    assert only.space["b"].low == 0.0  # no level goes that was to stay
    assert only.space["b"].high == 1.0
    child = only.accept(n=5)
    assert child.space == only.space
    (decision,) = root._decisions
    assert (decision.followed, decision.probability) == (("b",), pytest.approx(only.preview().probability))
    assert only.preview().probability < 0.05 < 0.9 < review.proposal.claim.probability
    assert decision.space == review.edit(a=["1"]).space  # the same evidence and edits give the same
    edited = review.edit(a=["1"], b=review.space["b"])
    assert edited.space["b"] == review.space["b"]  # the person's own word stays


def test_a_decision_read_back_is_equal():
    decision = Decision(
        kind="accepted",
        proposal="p",
        space=SPACE,
        edits={},
        rejected=(),
        child="c",
        note="",
        author="ann",
        probability=0.97,
        volume_kept=0.5,
        epsilon=0.01,
    )
    assert Decision.from_json(decision.to_json()) == decision
