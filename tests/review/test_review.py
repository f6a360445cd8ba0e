"""Reviews, decisions and branches."""

import json
import math
import warnings
from dataclasses import astuple, replace

import numpy as np
import pytest

import refine
from refine.errors import DesignError, ReviewError, SpaceError
from refine.proposal.proposal import proposal_from_json
from refine.report.markdown.rendering import rendered
from refine.report.markdown.round import EVIDENCE, decisions_parts, gather
from refine.review.next_step import accept_action
from refine.review.review import advised_outlook, advised_round_of, edits_of
from tests.reading import facts_of, reasons_of, warnings_of


def test_a_proposal_narrows_what_matters_and_says_why(root):
    proposal = root.propose(risk=0.05).proposal
    assert proposal["lr"].kind == "narrow"
    assert proposal["lr"].new.contains([1.4])[0]
    assert proposal["junk"].kind == "keep"
    assert "never_read" in reasons_of(proposal["junk"])
    assert "trend" in reasons_of(proposal["lr"])
    assert 0 < proposal.volume_kept < 0.5
    assert 0.9 < proposal.claim.probability <= 1
    assert all(root.space[n].contains(list(p.grid)).all() for n, p in proposal.space.items())
    assert proposal.volume_kept == pytest.approx(root.space.volume_kept(proposal.space))
    second_proposal = root.propose().proposal
    stored = root._context.store.proposals(root._stored.pk)
    assert list(stored) == [proposal.digest] == [second_proposal.digest]
    read = proposal_from_json(json.loads(stored[second_proposal.digest]))
    assert (read.digest, read.space) == (proposal.digest, proposal.space)


@pytest.mark.slow
def test_accept_creates_the_round_that_the_printed_call_creates(root, tree):
    review = root.propose().edit(dropout=(0, 0.3))
    call = accept_action(advised_round_of(review))
    assert str(call) in " ".join(str(review).split())
    typed = eval(str(call), {"review": review})
    accepted = review.accept()
    assert (accepted.id, accepted.n, len(tree)) == (typed.id, typed.n, 2)
    advised = advised_round_of(review)
    assert (typed._node.exploit, typed._node.audit, typed.n) == (advised.exploit, advised.audit, advised.n)


def test_a_choice_that_no_round_ran_is_named_with_the_nearest_old_one(tree):
    space = {"optimizer": ["adam", "sgd"], "lr": (0.0, 1.0)}
    first = tree.add_round(space, lambda p: p["lr"] - (p["optimizer"] == "sgd"), n=12, seed=2)
    first.run()
    review = first.propose()
    with pytest.warns(refine.errors.RefineWarning) as caught:
        edited = review.edit(optimizer=["adam", "sdg"])
    (text,) = [str(warning.message) for warning in caught]
    assert text == "optimizer: 'sdg' is a new choice, which no round has run; did you mean 'sgd'?"
    assert edited.space["optimizer"].labels == ("adam", "sdg")
    with warnings.catch_warnings(action="error"):
        review.edit(optimizer=["sgd"])
        review.edit(optimizer=refine.Categorical(["adam", "lion"]))


def test_worth_simulates_the_round_that_accept_creates(root):
    review = root.propose().edit(dropout=(0, 0.3))
    n, exploit, audit = astuple(advised_round_of(review))
    assert review.worth() == advised_outlook(review)
    explicit = review.worth(n, exploit=exploit, audit=audit)
    assert explicit.to_json() == review.worth().to_json()
    assert review.worth(exploit=1.0).n == n  # the advised audit share gives way


def test_an_adaptive_design_learns_by_itself(root):
    pytest.importorskip("optuna")
    assert root.propose().accept(plan=refine.Plan(design="tpe"), n=40)._node.exploit == 0.0


def test_edit_reject_accept(root):
    review = root.propose()
    changed = review.edit(dropout=(0, 0.2)).reject("lr")
    assert edits_of(review).typed == {}  # a review is never changed in place
    # The round's levels between the bounds, and no fewer than the proposal has there.
    assert {0.0, 0.1, 0.2} <= set(changed.space["dropout"].grid)
    assert (changed.space["dropout"].low, changed.space["dropout"].high) == (0.0, 0.2)
    assert changed.space["lr"] == root.space["lr"]
    child = changed.accept(note="low dropout only", n=40, author="ann")
    assert (child.space, child.parent.id) == (changed.space, root.id)
    assert [c.id for c in root.children] == [child.id]
    (decision,) = root._decisions
    assert (decision.kind, decision.author, decision.note) == ("edited", "ann", "low dropout only")
    assert decision.rejected == ("lr",)
    assert decision.edits["dropout"][1] == changed.space["dropout"]
    assert decision.child == child.id
    assert decision.probability == pytest.approx(changed.preview().probability)
    cells = child._cells()
    root.run(n=250)
    assert child._cells() == cells  # extending the parent changes no child


@pytest.mark.slow
def test_accepting_the_same_again_writes_nothing(root, tree):
    review = root.propose().edit(dropout=(0, 0.2))
    child = review.accept(note="a", n=40, exploit=0.3)
    before = len(tree.log())
    assert review.accept(note="a", n=40, exploit=0.3).id == child.id
    note_sentence = "'a'"
    size_sentence = f"round {child.id} keeps its 40"
    with pytest.warns(RuntimeWarning) as warned:
        review.accept(note="b", n=30, exploit=0.3)
    assert all(part in str(warned[0].message) for part in (root.id, note_sentence, size_sentence))
    assert warned[0].filename == __file__
    assert (len(tree.log()), root._decisions[-1].note) == (before, "a")
    review.accept(n=40, exploit=0.3)  # no note, nothing lost
    with pytest.warns(RuntimeWarning) as warned:
        assert review.accept(note="b", n=44, exploit=0.3).n == 44
    assert note_sentence in str(warned[0].message)
    assert "configurations" not in str(warned[0].message)
    # Another proposal that leads to the same round is another decision.
    with pytest.warns(RuntimeWarning) as warned:
        root.propose(risk=0.3).edit({n: review.space[n] for n in review.space}).accept(
            note="c", n=20, exploit=0.3
        )
    assert size_sentence.replace("its 40", "its 44") in str(warned[0].message)
    assert root._decisions[-1].note == "c"
    assert root.propose().edit(dropout=(0, 0.3)).accept(n=40, exploit=0.3).id != child.id
    assert len(root.children) == 2


@pytest.mark.slow
def test_decline_is_kept(root, tree):
    root.propose().decline(note="not yet", author="bo")
    (decision,) = root._decisions
    assert (decision.kind, decision.child, decision.note) == ("declined", None, "not yet")
    assert list(tree.log()["event"]) == ["root", "declined"]
    root.propose().decline(note="not yet")
    with pytest.warns(RuntimeWarning, match="'not yet'") as warned:
        root.propose().decline(note="after all")
    assert warned[0].filename == __file__
    assert len(root._decisions) == 1


@pytest.mark.slow
def test_values_that_no_trial_has_had_are_named(root):
    review = root.propose().edit(optimizer=refine.Categorical(["Adam", "Nadamm", "Lion"]))
    message = (
        "Nadamm of optimizer is new to this space; did you mean 'Nadam'?",
        "Lion of optimizer is new to this space",
    )
    assert [v.to_json()["values"]["meant"] for v in review.preview().new_values] == ["Nadam", ""]
    assert all(text in str(review) and text in str(review.preview()) for text in message)
    assert root.propose().preview(dropout=(0, 0.9), optimizer=["Adam"]).new_values == ()
    other = type(review)(root, replace(review.proposal, space=review.space))
    assert other.preview().new_values == ()  # what is proposed is no typing error


@pytest.mark.slow
def test_a_branch_may_add_a_parameter_and_say_what_it_was(root):
    wider = {**root.space, "l2": (0.0, 0.1, 3)}
    with_previous = root.branch(wider, previous={"l2": 0.0}, note="try weight decay", n=20)
    unknown = root.branch(wider, note="try weight decay", n=20)
    assert with_previous.id != unknown.id
    assert with_previous.run().analyze().n_earlier == 60
    assert unknown.run().analyze().n_earlier == 0
    with pytest.raises(ReviewError, match="'lr'"):
        root.branch(wider, previous={"lr": 1.0}, n=20)
    with pytest.raises(SpaceError, match="at least one parameter"):
        root.branch({}, n=20)


@pytest.mark.slow
def test_the_last_word_on_a_parameter_counts(root):
    review = root.propose()
    assert review.edit(dropout=(0, 0.2)).reject("dropout").space["dropout"] == root.space["dropout"]
    assert review.reject("dropout").edit(dropout=(0, 0.2)).space["dropout"].high == 0.2
    child = review.reject("lr", "dropout").accept(n=20)
    assert review.reject("dropout").reject("lr").accept(n=20).id == child.id
    assert len(root._decisions) == 1
    swapped = [review.edit(optimizer=names).accept(n=20).id for names in (["Adam", "SGD"], ["SGD", "Adam"])]
    assert len(set(swapped)) == 1


def test_a_box_that_is_used_up_says_so(tree, root):
    round_ = tree.add_round({"x": (0, 21, 22), "fixed": 1}, lambda p: p["x"] % 7, n=22, name="mod")
    review = round_.run().propose()
    used = "nothing is left to run: all 22 configurations of this space were run"
    with pytest.raises(DesignError, match=used):
        review.reject("x").accept()
    with pytest.raises(DesignError, match="left"):
        root.propose().accept(n=10**9)


@pytest.mark.slow
def test_no_risk_is_taken_that_cannot_be_stated(tree):
    space = refine.Space({"x": (0, 21, 22), "y": (0.0, 1.0, 3)})
    round_ = tree.add_round(space, lambda p: -abs(p["x"] - 4) - p["y"], n=40, name="hat").run()
    proposal = round_.propose(risk=0.1).proposal
    assert proposal.claim.probability >= 0.9  # of a small grid every cell is a candidate
    assert "nan" not in str(proposal)
    facts = gather(round_)
    text = rendered([*decisions_parts(facts), *(section(facts) for section in EVIDENCE)])
    assert "probability 0.00" not in text
    assert "nan" not in text


def test_an_edit_that_brings_a_choice_back_shows_its_parameters_as_used(tree):
    space = {
        "model": ["good", "bad"],
        "x": refine.Float(0, 1, levels=41, when="model == 'bad'"),
        "y": refine.Float(0, 1, levels=41, when="model == 'good'"),
    }

    def score(p):
        if p["model"] == "bad":
            return -2 - 4 * (p["x"] - 0.5) ** 2
        return -4 * (p["y"] - 0.3) ** 2

    review = tree.add_round(space, score, n=20).run().propose()
    assert review.proposal["x"].kind == "leave"
    assert "x" in [row[0].text for row in review._page().blocks[0].rows]
    edited = review.edit(model=["good", "bad"])._page()
    assert "x" not in [row[0].text for row in edited.blocks[0].rows]
    assert "x" not in [fold.about for fold in edited.folds]
    assert "reject('x')" not in str(review)
    notes = warnings_of(review.edit(x=(0.2, 0.4)))
    assert any(text.startswith("x ") and "model == 'bad'" in text for text in notes)
    assert "reject(" not in str(review.reject("model", "x"))


def test_a_preview_of_an_unchanged_space_has_no_risk(root):
    review = root.propose()
    unchanged = review.reject(*review.proposal.old)
    risks = [facts_of(shown.preview())["Risk"] for shown in (unchanged, review)]
    assert [risk.startswith("none") for risk in risks] == [True, False]


def test_a_preview_of_an_edit_shows_the_range_and_calls_that_can_be_typed(root):
    edited = root.propose().edit(dropout=(0, 0.2))
    page = edited.preview(n=9)._page()
    facts = dict(page.blocks[0].rows)
    assert facts["Edited"] == "dropout 0 to 0.2"
    proposed = [change.name for change in edited.proposal.changes if change.kind != "keep"]
    assert [text.split()[0] for text in facts["Proposed"].split("; ")] == [
        name for name in proposed if name != "dropout"
    ]
    assert [str(call) for call in page.calls] == ["review.edit(dropout=(0, 0.2))", "review.accept(n=9)"]
    assert "Edited" not in dict(root.propose().preview(n=9)._page().blocks[0].rows)


def test_an_edit_that_keeps_no_trial_says_so(root):
    review = root.propose().edit(optimizer=refine.Categorical(["Lion"]))
    assert math.isnan(review.preview().best_kept)
    top_trials = dict(review._page().facts)["Kept"]
    assert (top_trials.tone, f"{root.best['value']:.4f}" in top_trials.text) == ("bad", True)


def test_the_preview_of_an_edited_review_has_the_edits_and_the_proposal_has_not(root):
    review = root.propose()
    edited = review.edit(dropout=(0, 0.3)).reject("lr")
    preview = edited.preview()
    assert preview.claim.probability != review.proposal.claim.probability
    assert (preview.space, preview.edited) == (edited.space, ("dropout",))
    assert preview.volume_kept == pytest.approx(review.proposal.old.volume_kept(edited.space))
    assert edited.proposal is review.proposal
    assert edited.accept("mine").parent._decisions[-1].proposal == review.proposal.digest


def test_a_review_as_data_names_its_round_and_holds_no_address_of_memory(root):
    root.run()
    text = json.dumps(root.propose().to_dict(), allow_nan=False)
    assert " at 0x" not in text
    assert json.loads(text)["round"]["id"] == root.id


def test_a_preview_compares_an_edit_with_a_proposal_only_where_one_was_made(tree):
    space = {"a": (0.0, 1.0, 6), "b": (0.0, 1.0, 6)}
    values = np.random.default_rng(0).normal(size=(6, 6))

    def flat(params):
        return float(values[round(5 * params["a"]), round(5 * params["b"])])

    root = tree.add_round(space, flat, n=16, seed=3, metric=refine.Goal("value", noise="none")).run()
    review = root.propose(risk=0.01)
    assert review.proposal.volume_kept == 1
    preview = review.edit(a=(0.0, 0.4)).preview()
    assert preview.probability < preview.proposed_probability == 1
    assert "proposed" not in str(preview.why())
