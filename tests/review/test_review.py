"""Reviews, decisions, branches and the tree."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import pandas as pd
import pytest

import objectives
import refine
from refine.errors import AnalysisError, DesignError, NotFoundError, ReviewError, SpaceError, StoreError
from refine.report.pages.proposal import why


@pytest.fixture
def root(tree, space):
    return tree.add_round(space, objectives.bowl, n=150, seed=7).run(progress=False)


def test_a_proposal_narrows_what_matters_and_says_why(root):
    proposal = root.propose(risk=0.05).proposal
    assert proposal["lr"].kind == "narrow"
    assert proposal["lr"].new.contains([1.4])[0]
    assert proposal["junk"].kind == "keep"
    assert "never read" in why(proposal["junk"])
    assert "rank correlation" in why(proposal["lr"])
    assert 0 < proposal.volume_kept < 0.5
    assert 0.9 < proposal.claim.probability <= 1
    assert all(root.space[n].contains(list(p.grid)).all() for n, p in proposal.space.items())
    assert proposal.volume_kept == pytest.approx(root.space.volume_kept(proposal.space))


@pytest.mark.slow
def test_a_proposal_is_stored_once_and_reads_back_equal(root):
    first, again = root.propose(), root.propose()
    kept = root.context.store.proposals(root._stored.pk)
    assert list(kept) == [first.proposal.digest]
    read = refine.Proposal.from_json(json.loads(kept[again.proposal.digest]))
    assert read.digest == first.proposal.digest
    assert read.space == first.proposal.space


@pytest.mark.slow
def test_edit_reject_accept(root, tree):
    review = root.propose()
    changed = review.edit(dropout=(0, 0.2)).reject("lr")
    assert review.edits == {}  # a review is never changed in place
    # The round's levels between the bounds, and no fewer than the proposal has there.
    assert {0.0, 0.1, 0.2} <= set(changed.space["dropout"].grid)
    assert (changed.space["dropout"].low, changed.space["dropout"].high) == (0.0, 0.2)
    assert changed.space["lr"] == root.space["lr"]
    child = changed.accept(note="low dropout only", n=40, author="ann")
    assert child.space == changed.space
    assert child.parent.id == root.id
    assert [c.id for c in root.children] == [child.id]
    (decision,) = root.decisions
    assert (decision.kind, decision.author, decision.note) == ("edited", "ann", "low dropout only")
    assert decision.rejected == ("lr",)
    assert decision.edits["dropout"][1] == changed.space["dropout"]
    assert decision.child == child.id
    assert decision.probability == pytest.approx(changed.claim.probability)


@pytest.mark.slow
def test_accepting_the_same_again_writes_nothing(root, tree):
    review = root.propose().edit(dropout=(0, 0.2))
    child = review.accept(note="a", n=40)
    before = len(tree.log())
    again = review.accept(note="a", n=40)
    assert again.id == child.id
    assert len(tree.log()) == before
    with pytest.warns(RuntimeWarning) as said:
        review.accept(note="b", n=30)
    assert str(said[0].message) == (
        f"round {root.id}: this was decided before: its note stays 'a' and round {child.id} keeps its 40 configurations"
    )
    assert said[0].filename == __file__
    assert (len(tree.log()), root.decisions[-1].note) == (before, "a")
    review.accept(n=40)  # no note, nothing lost
    with pytest.warns(RuntimeWarning) as said:
        assert review.accept(note="b", n=44).n == 44
    assert str(said[0].message) == f"round {root.id}: this was decided before: its note stays 'a'"
    with pytest.warns(
        RuntimeWarning
    ) as said:  # another proposal that leads to the same round is another decision
        root.propose(risk=0.3).edit({n: review.space[n] for n in review.space}).accept(note="c", n=20)
    assert str(said[0].message) == f"round {root.id}: round {child.id} keeps its 44 configurations"
    assert root.decisions[-1].note == "c"
    before = len(tree.log())
    other = root.propose().edit(dropout=(0, 0.3)).accept(n=40)
    assert other.id != child.id
    assert len(root.children) == 2


@pytest.mark.slow
def test_extending_the_parent_changes_no_child(root):
    child = root.propose().accept(n=30)
    cells = child.cells()
    root.run(n=250, progress=False)
    assert child.cells() == cells


@pytest.mark.slow
def test_a_child_does_not_run_again_what_its_ancestors_ran(root):
    child = root.propose().edit(lr=root.space["lr"]).accept(n=30)
    child.run(progress=False)
    ran = {tuple(row) for row in root.trials[list(root.space)].to_numpy()}
    mine = {tuple(row) for row in child.trials[list(child.space)].to_numpy()}
    assert len(mine) == 30
    assert not ran & mine
    assert child.analyze().n_earlier > 0


@pytest.mark.slow
def test_decline_is_kept(root, tree):
    root.propose().decline(note="not yet", author="bo")
    (decision,) = root.decisions
    assert (decision.kind, decision.child, decision.note) == ("declined", None, "not yet")
    assert list(tree.log()["event"]) == ["root", "declined"]
    root.propose().decline(note="not yet")
    with pytest.warns(RuntimeWarning, match="this was decided before: its note stays 'not yet'") as said:
        root.propose().decline(note="after all")
    assert said[0].filename == __file__
    assert len(root.decisions) == 1


@pytest.mark.slow
def test_values_that_no_trial_has_had_are_named(root):
    review = root.propose().edit(optimizer=["Adam", "Nadamm", "Lion"])
    told = (
        "Nadamm of optimizer is new to this space; did you mean 'Nadam'?",
        "Lion of optimizer is new to this space",
    )
    assert [v.to_json()["values"]["meant"] for v in review.preview().new_values] == [
        "Nadam",
        "",
    ]
    assert all(text in str(review) and text in str(review.preview()) for text in told)
    assert root.propose().preview(dropout=(0, 0.9), optimizer=["Adam"]).new_values == ()
    other = type(review)(root, replace(review.proposal, space=review.space), review.analysis)
    assert other.preview().new_values == ()  # what is proposed is no typing error


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"drop_out": (0, 0.2)}, r"edit: unknown parameter 'drop_out'; did you mean 'dropout'\?"),
        ({"dropout": (0.5, 0.2)}, r"edit: dropout: low must be < high, got \(0.5, 0.2\); swap them\?"),
        ({"dropout": ()}, r"edit: dropout: a tuple is a range"),
        ({"optimizer": []}, r"edit: optimizer: choices must not be empty"),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused_at_once(root, edit, text):
    with pytest.raises(ReviewError, match=text):
        root.propose().edit(**edit)


def test_other_misuse_is_refused(root):
    review = root.propose()
    with pytest.raises(ReviewError, match=r"reject: unknown parameter 'rl'"):
        review.reject("rl")
    with pytest.raises(ReviewError, match="a note must be text, got 3"):
        review.accept(note=3)
    with pytest.raises(DesignError, match="n must be <= the number of configurations left"):
        review.accept(n=10**9)
    with pytest.raises(AnalysisError, match="risk must be >= 0.01 and < 1, got 5"):
        root.propose(risk=5)
    with pytest.raises(AnalysisError, match="epsilon must be a number >= 0 in units of the metric, got -1"):
        root.propose(epsilon=-1)
    with pytest.raises(AnalysisError, match="unknown metric 'val_acc'"):
        root.analyze(metric="val_acc")
    assert root.decisions == ()


def test_too_few_trials_are_no_evidence(tree, space):
    found = tree.add_round(space, objectives.bowl, n=5).run(progress=False)
    with pytest.raises(
        AnalysisError, match="needs at least 10 finished space-filling trials inside the space, got 5"
    ):
        found.propose()


@pytest.mark.slow
def test_a_branch_may_add_a_parameter_and_say_what_it_was(root):
    wider = {**root.space, "l2": (0.0, 0.1, 3)}
    known = root.branch(wider, previous={"l2": 0.0}, note="try weight decay", n=20)
    unknown = root.branch(wider, note="try weight decay", n=20)
    assert known.id != unknown.id
    for child in (known, unknown):
        child.run(progress=False)
    assert known.analyze().n_earlier == 150
    assert unknown.analyze().n_earlier == 0
    with pytest.raises(ReviewError, match="previous: 'lr' must be a parameter that this branch adds"):
        root.branch(wider, previous={"lr": 1.0}, n=20)
    with pytest.raises(SpaceError, match="needs at least one parameter"):
        root.branch({}, n=20)


@pytest.mark.slow
def test_two_parents_with_the_same_space_give_two_nodes(root, tree):
    one = root.propose().accept(n=20)
    two = root.branch(root.space, n=20)
    same = refine.Space({"lr": (1.0, 2.0, 3)})
    fixed = {n: p for n, p in root.space.items() if n != "lr"}
    a = one.branch({**same, **fixed}, n=5)
    b = two.branch({**same, **fixed}, n=5)
    assert a.space == b.space
    assert a.id != b.id


@pytest.mark.slow
def test_tags_lookup_diff_log_best_and_print(root, tree):
    child = root.propose().edit(dropout=(0, 0.2)).accept(note="low dropout", n=40).run(progress=False)
    tree.tag(child, "paper")
    assert tree["paper"].id == child.id
    assert tree[child.id[:6]].id == child.id
    with pytest.raises(
        NotFoundError, match="no round or tag 'papers' in tree 'question'; did you mean 'paper'"
    ):
        tree["papers"]
    with pytest.raises(StoreError, match="a tag must be a text that is no round's id"):
        tree.tag(child, root.id)
    diff = tree.diff(root, "paper")
    assert set(diff.space.changed) >= {"lr", "dropout"}
    assert diff.best[1] == child.best["value"]
    assert "dropout" in str(diff)
    best = tree.best()
    assert best["value"] == max(root.best["value"], child.best["value"])
    log = tree.log()
    assert list(log["event"]) == ["root", "edited"]
    assert isinstance(log["time"].iloc[0], pd.Timestamp)
    text = str(tree)
    assert f"└── 1  {root.id}  150/150" in text
    assert "[paper]" in text
    assert "low dropout" in text


@pytest.mark.slow
def test_export_is_plain_text(root, tree, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree.export(tmp_path / "out")
    folder = tmp_path / "out" / root.id
    content = json.loads((folder / "node.json").read_text())
    assert refine.Space.from_json(content["identity"]["space"]) == root.space
    frame = pd.read_csv(folder / "trials.csv")
    assert root.space.contains(frame).all()
    assert frame["value"].tolist() == root.trials["value"].tolist()
    assert (folder / f"{root.id}.md").is_file()


@pytest.mark.slow
def test_the_last_word_on_a_parameter_counts(root):
    review = root.propose()
    assert review.edit(dropout=(0, 0.2)).reject("dropout").space["dropout"] == root.space["dropout"]
    assert review.reject("dropout").edit(dropout=(0, 0.2)).space["dropout"].high == 0.2
    one = review.reject("lr", "dropout").accept(n=20)
    two = review.reject("dropout").reject("lr").accept(n=20)
    assert one.id == two.id
    assert len(root.decisions) == 1
    swapped = [review.edit(optimizer=names).accept(n=20).id for names in (["Adam", "SGD"], ["SGD", "Adam"])]
    assert len(set(swapped)) == 1
    with pytest.raises(ReviewError, match=r"reject takes names as text, reject\('lr', 'dropout'\)"):
        review.reject(["lr"])
    with pytest.raises(ReviewError, match="dropout: a range takes numbers, got the text '0-0.2'"):
        review.edit(dropout="0-0.2")


def test_a_box_that_is_used_up_says_so(tree):
    space = refine.Space({"x": (0, 21, 22), "fixed": 1})
    found = tree.add_round(space, lambda p: p["x"] % 7, n=22).run(progress=False)
    review = found.propose()
    with pytest.raises(
        DesignError, match="nothing is left to run: all 22 configurations of this space were run"
    ):
        review.reject("x").accept()


@pytest.mark.slow
def test_no_risk_is_taken_that_cannot_be_stated(tree, tmp_path):
    space = refine.Space({"x": (0, 21, 22), "y": (0.0, 1.0, 3)})
    found = tree.add_round(space, lambda p: -abs(p["x"] - 4) - p["y"], n=40).run(progress=False)
    proposal = found.propose(risk=0.1).proposal
    assert proposal.claim.probability >= 0.9  # of a small grid every cell is a candidate
    assert "nan" not in str(proposal)
    text = found.report(tmp_path).read_text()
    assert "probability 0.00" not in text
    assert "nan" not in text


@pytest.mark.slow
def test_the_code_under_reproduce_makes_the_same_rounds(root, tmp_path):
    child = root.propose().accept(n=12)
    grown = child.branch({**child.space, "l2": (0.0, 0.1, 3)}, previous={"l2": 0.0}, n=6)
    grown.run(progress=False)
    text = grown.report(tmp_path).read_text()
    code = text.split("```python\n")[1].split("```")[0]
    code = code.replace(
        "from your_script import bowl as objective", "from objectives import bowl as objective"
    )
    code = code.replace(
        "refine.Tree('question')", f"refine.Tree('question', store={str(tmp_path / 'again.db')!r})"
    )
    scope: dict[str, object] = {}
    exec(code.replace("round.run()", "round.run(progress=False)"), scope)  # it asserts the ids itself
    assert scope["round"].id == grown.id
    scope["tree"].close()


def test_a_bound_typed_far_too_large_is_refused_before_it_takes_all_memory(tree):
    root = tree.add_round({"x": (0.0, 9.0, 10)}, lambda p: p["x"], n=10).run(progress=False)
    review = root.propose()
    for far in (1e30, 2e9):
        with pytest.raises(ReviewError, match="levels must be <= 100,000"):
            review.edit(x=(0, far))
