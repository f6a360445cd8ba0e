"""Beliefs of people on rounds: which trials they choose, what they weigh, and what came of them."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import DesignError, ReviewError, SpaceError
from refine.proposal.posterior import posterior_of
from refine.report.markdown.script import reproduce
from refine.report.pages.reasons import belief_facts, belief_sentence
from refine.utils.action import Symbol

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-5, 1e-1, levels=9, log=True),
        "optimizer": ["adam", "sgd", "rmsprop"],
        "dropout": (0, 0.5, 6),
        "units": [8, 16, 32, 64],
    }
)
GOOD = {"lr": refine.Near(1e-3, within_factor=3), "optimizer": {"adam": 0.7}}
WRONG = {"lr": refine.Near(1e-1, within_factor=3), "optimizer": {"rmsprop": 0.7}}


def objective(params, trial):
    noise = 0.05 * np.random.default_rng(trial.seed).normal()
    away = (np.log10(params["lr"]) + 3) ** 2 + (params["optimizer"] != "adam") + params["dropout"]
    return noise - away + 0 * params["units"]


@pytest.mark.slow
def test_half_of_a_first_round_follows_a_belief_and_no_test_uses_it(tree):
    root = tree.add_round(SPACE, objective, n=40, plan=refine.Plan(belief=GOOD)).run()
    drawn = root.trials[root.trials["origin"] == "exploit"]
    assert len(drawn) == 20
    assert (drawn["optimizer"] == "adam").mean() > 0.5
    assert drawn["lr"].between(1e-4, 1e-2).mean() > 0.8
    assert len(root._cells()) == 20  # the others are drawn as ever
    assert tree.add_round(SPACE, objective, n=40, plan=refine.Plan(belief=GOOD)).id == root.id
    assert tree.add_round(SPACE, objective, n=40).id != root.id

    analysis = root.analyze()
    without = refine.analyze(SPACE, root.trials)
    assert [e.q for e in analysis.parameters] == [e.q for e in without.parameters]
    assert (without.belief, analysis.digest) == (None, without.digest)
    belief = analysis.belief
    assert (analysis.n_space_filling, belief.n) == (20, 40)
    assert belief.log_bayes_factor > 0
    assert belief.weight == pytest.approx(belief.probability / 3)  # 20 / (20 + 40)
    # Where it is dense more is expected of what nobody tried, and elsewhere less.
    rows = np.array([[4, 0, 5, 3], [0, 2, 5, 3]])
    positions = np.column_stack([SPACE[n].unit(c) for n, c in SPACE.columns(rows).items()])
    moved = posterior_of(analysis, positions).mean - posterior_of(without, positions).mean
    assert moved[0] > moved[1] + 0.02
    assert len(root.propose()._page().texts("belief")) == 1

    root.run(n=50)
    assert (root.trials["origin"] == "exploit").sum() == 20


@pytest.mark.slow
def test_a_belief_that_trials_contradict_is_dropped(tree, tmp_path):
    root = tree.add_round(SPACE, objective, n=40, plan=refine.Plan(belief=WRONG)).run()
    contradicted = root.analyze().belief
    assert (contradicted.dropped, contradicted.weight) == (True, 0)
    assert "40 configurations" in belief_sentence(contradicted)
    plain = refine.propose(refine.analyze(SPACE, root.trials))
    review = root.propose()
    assert review.proposal.claim.probability == plain.claim.probability
    assert "dropped" in root.report(tmp_path, proposal=review.proposal).read_text()
    assert "review.accept(plan=refine.Plan(belief={}))" in " ".join(str(review).split())

    partly = {"lr": refine.Near(1e-1, within_factor=2), "optimizer": GOOD["optimizer"]}
    half, good = (refine.analyze(SPACE, root.trials, belief=belief).belief for belief in (partly, GOOD))
    assert (half.contradicted, list(half.remaining), half.dropped) == (("lr",), ["optimizer"], False)
    assert belief_facts(half)[0][1].call.options["belief"] == Symbol("{'optimizer': {'adam': 0.7}}")
    assert belief_facts(good) == []


@pytest.mark.slow
def test_a_belief_is_inherited_until_it_is_replaced_or_removed(tree):
    root = tree.add_round(SPACE, objective, n=40, plan=refine.Plan(belief=GOOD)).run()
    review = root.propose()
    child = review.accept(n=20, exploit=0.5)
    other = review.accept(n=20, exploit=0.5, plan=refine.Plan(belief={"dropout": refine.Near(0, within=0.1)}))
    without_belief = review.accept(n=20, exploit=0.5, plan=refine.Plan(belief={}))
    assert (child._belief, child._node.belief) == (root._belief, None)
    assert (list(other._belief), without_belief._belief) == (["dropout"], None)
    assert len({child.id, other.id, without_belief.id}) == 3
    planned = [{b.key for b in tree._context.store.beside(r._stored.pk)} for r in (child, without_belief)]
    assert planned[0] != planned[1]
    assert root.branch({"units": [8, 16], "lr": (1e-4, 1e-2)}, n=5)._belief == root._belief


@pytest.mark.slow
def test_stored_exported_and_written_down_it_is_the_same(tree, tmp_path):
    root = tree.add_round(
        SPACE, objective, n=20, plan=refine.Plan(belief=GOOD, exploit=0.25), name="found"
    ).run()
    assert "believed by" in str(root)
    tree.export(tmp_path / "out", reports=False)
    with refine.Tree.load(tmp_path / "out", store="sqlite://") as back:
        assert back[root.id]._belief == root._belief
        assert str(back[root.id].trials) == str(root.trials)
    written = reproduce(root).replace("from your_script import found as objective", "")
    code = written.replace('"again.db"', '"sqlite://"').replace("round.run()", "")
    exec(code, {"objective": objective})  # it asserts that the ids are equal
    belief = "{'lr': refine.Near(0.001, within_factor=3.0), 'optimizer': {'adam': 0.7}}"
    assert f"belief={belief}, exploit=0.25" in code


def test_a_wrong_belief_is_refused(tree):
    with pytest.raises(DesignError, match="exploit"):
        tree.add_round(SPACE, objective, n=20, plan=refine.Plan(exploit=0.5))
    with pytest.raises(DesignError, match="'tpe'"):
        tree.add_round(SPACE, objective, n=20, plan=refine.Plan(belief=GOOD, design="tpe"))
    with pytest.raises(SpaceError, match="near 10"):
        tree.add_round(
            SPACE, objective, n=20, plan=refine.Plan(belief={"lr": refine.Near(10, within_factor=2)})
        )
    with pytest.raises(ReviewError, match="^exploit must"):
        tree.add_round(SPACE, objective, n=20, plan=refine.Plan(belief=GOOD, exploit=1.5))
    assert len(tree) == 0


@pytest.mark.nightly
def test_edits_and_beliefs_are_scored_against_the_proposal(tree, tmp_path):
    root = tree.add_round(SPACE, objective, n=40, plan=refine.Plan(belief=GOOD)).run()
    review = root.propose(risk=0.3)
    assert review.space["lr"].contains([1e-3]).all()
    wider = review.edit(lr=(1e-4, 1e-2)).accept(n=20, exploit=0.5, author="ann").run()
    astray = review.edit(lr=(1e-2, 1e-1)).accept(n=20, plan=refine.Plan(audit=0.3), author="bob").run()
    review.accept(n=20, author="cem").run()

    calibration = tree.calibration()
    frame = calibration.frame.set_index("author")
    assert frame.loc["ann", "bolder"] == "machine"
    assert (frame.loc["bob", "kept_best"], frame.loc["bob", "right"]) == (False, "machine")
    assert bool(frame.loc["cem", "kept_best"]) == bool(frame.loc["cem", "machine_kept_best"])
    assert pd.isna(frame.loc["cem", "right"])
    scores = {s.author: s for s in calibration.authors}
    bob = scores["bob"]
    assert (bob.edited, bob.machine_right, bob.kept, scores["cem"].edited) == (1, 1, 0, 0)
    contest = next(e.comparison for e in calibration.entries if e.child == astray.id)
    assert contest.best == max(r.best["value"] for r in tree.rounds)
    lows = [r.trials.loc[r.trials["lr"] >= 1e-2, "value"].max() for r in tree.rounds]
    assert contest.decided.best <= np.nanmax(lows)
    assert wider.id in frame.loc["ann", "child"]

    text = str(calibration.why())
    assert "edited 1 proposal" in text
    details = tree.report(tmp_path).with_suffix("") / "details.md"
    assert "People and proposals" in details.read_text()


@pytest.mark.slow
def test_an_earlier_study_suggests_a_belief_that_is_stored_and_weighed_as_one(tree, tmp_path):
    with refine.Tree("last year", store="sqlite://") as old:
        old.add_round(SPACE, objective, n=40).run()
        new = refine.Space(
            {
                "lr": refine.Float(1e-4, 1e-1, levels=7, log=True),
                "optimizer": ["adam", "sgd", "lion"],
                "units": [8, 16],
                "decay": (0.0, 1.0),
            }
        )
        plan = refine.Plan(belief=[old])
        root = tree.add_round(new, lambda p: -p["lr"], n=20, plan=plan, name="new")
        assert tree.add_round(new, lambda p: -p["lr"], n=20, plan=plan, name="new").id == root.id
    assert list(root._belief) == ["lr", "optimizer", "units"]
    suggested = dict(root._belief.of)
    assert 3e-4 <= suggested["lr"].value <= 3e-3
    assert suggested["lr"].within_factor > 2.5  # another study: 15 % of the range at least
    assert dict(suggested["optimizer"])["adam"] > 0.6
    assert old._name in str(root)
    tree.export(tmp_path / "out", reports=False)
    with refine.Tree.load(tmp_path / "out", store="sqlite://") as back:
        assert back[root.id]._belief == root._belief
    with pytest.raises(refine.errors.AnalysisError, match="to learn from"):
        tree.add_round(new, lambda p: 0.0, n=20, plan=refine.Plan(belief=[root]), name="new")
    with pytest.raises(refine.errors.AnalysisError, match="^belief must"):
        tree.add_round(new, lambda p: 0.0, n=20, plan=refine.Plan(belief=[1]), name="new")
