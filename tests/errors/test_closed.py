"""After ``tree.close()`` everything that would read or write says so; nothing opens the store again by itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import refine
from refine.errors import StoreError

FOLDER = "reports"
TREE = {
    "damage": lambda t, r, p: t.damage(),
    "round": lambda t, r, p: t.round("root"),
    "repair": lambda t, r, p: t.repair(),
    "delete_trials": lambda t, r, p: t.delete_trials(r, [0]),
    "delete_round": lambda t, r, p: t.delete_round(r),
    "unlock": lambda t, r, p: t.unlock(r),
    "add_frame": lambda t, r, p: t.add_frame(p.frame, value="acc"),
    "add_round": lambda t, r, p: t.add_round(p.space, p.objective, n=5),
    "add_runs": lambda t, r, p: t.add_runs(_runs()),
    "add_study": lambda t, r, p: t.add_study(_study()),
    "best": lambda t, r, p: t.best(),
    "confirm": lambda t, r, p: t.confirm(progress=False),
    "judge": lambda t, r, p: t.judge(),
    "diff": lambda t, r, p: t.diff(r, r),
    "compare": lambda t, r, p: t.compare(t),
    "export": lambda t, r, p: t.export(FOLDER),
    "calibration": lambda t, r, p: t.calibration(),
    "log": lambda t, r, p: t.log(),
    "open_holdout": lambda t, r, p: t.open_holdout(),
    "merge": lambda t, r, p: t.merge(p.other),
    "page": lambda t, r, p: t.page(),
    "to_dict": lambda t, r, p: t.to_dict(),
    "plot": lambda t, r, p: t.plot.tree(),
    "replay": lambda t, r, p: t.replay(r),
    "report": lambda t, r, p: t.report(FOLDER),
    "rounds": lambda t, r, p: t.rounds,
    "tag": lambda t, r, p: t.tag(r, "paper"),
    "tags": lambda t, r, p: t.tags,
    "winner": lambda t, r, p: t.winner(),
    "front": lambda t, r, p: t.front,
    "len": lambda t, r, p: len(t),
    "item": lambda t, r, p: t[r.id],
    "guide": lambda t, r, p: refine.guide(t, ask=lambda _: "q", tell=lambda _: None),
    "autopilot": lambda t, r, p: refine.autopilot(t, progress=False),
}
KNOWS_TREE = {"name", "why", "details", "store", "close", "load", "read_runs"}
ROUND = {
    "analyze": lambda r, p: r.analyze(),
    "to_dict": lambda r, p: r.to_dict(),
    "belief": lambda r, p: r.belief,
    "best": lambda r, p: r.best,
    "best_model": lambda r, p: r.best_model(objective=_WithModel()),
    "best_params": lambda r, p: r.best_params,
    "front": lambda r, p: r.front,
    "choose": lambda r, p: r.choose(0),
    "marks": lambda r, p: r.marks,
    "exclude": lambda r, p: r.exclude([0], "why"),
    "include": lambda r, p: r.include([0]),
    "star": lambda r, p: r.star([0]),
    "annotate": lambda r, p: r.annotate([0], "a note"),
    "recommend": lambda r, p: r.recommend(),
    "branch": lambda r, p: r.branch(p.space, n=3),
    "cells": lambda r, p: r.cells(),
    "children": lambda r, p: r.children,
    "damaged": lambda r, p: r.damaged,
    "decisions": lambda r, p: r.decisions,
    "epsilon": lambda r, p: r.epsilon,
    "failures": lambda r, p: r.failures,
    "checks": lambda r, p: r.checks(),
    "n": lambda r, p: r.n,
    "open_holdout": lambda r, p: r.open_holdout(),
    "holdout_results": lambda r, p: r.holdout_results,
    "optimism": lambda r, p: r.optimism(),
    "page": lambda r, p: r.page(),
    "path": lambda r, p: r.path,
    "plot": lambda r, p: r.plot.density("lr"),
    "propose": lambda r, p: r.propose(),
    "rehearse": lambda r, p: r.rehearse(),
    "replay": lambda r, p: r.replay(),
    "replicate": lambda r, p: r.replicate(progress=False),
    "replicates": lambda r, p: r.replicates,
    "report": lambda r, p: r.report(FOLDER),
    "review": lambda r, p: r.review(p.review.proposal),
    "roles": lambda r, p: r.roles,
    "run": lambda r, p: r.run(progress=False),
    "set_epsilon": lambda r, p: r.set_epsilon(0.1),
    "set_roles": lambda r, p: r.set_roles(lr="scientific"),
    "shown": lambda r, p: r.shown,
    "to_optuna": lambda r, p: r.to_optuna(),
    "trials": lambda r, p: r.trials,
    "more": lambda r, p: r.run(n=40, progress=False),
}
KNOWS_ROUND = {
    "id",
    "why",
    "details",
    "goal",
    "goals",
    "objective",
    "parent",
    "space",
}  # `parent` of a root is known without the store
REVIEW = {
    "accept": lambda v, p: v.accept(n=5),
    "decline": lambda v, p: v.decline(),
    "checks": lambda v, p: v.checks(),
    "preview": lambda v, p: v.preview(),
    "report": lambda v, p: v.report(FOLDER),
}


class _WithModel:
    name = "conftest.objective"

    def __call__(self, params):
        return 1.0

    def trained(self, params, trial):
        return "model", {}


def _runs():
    import pandas as pd

    frame = pd.DataFrame(
        {
            "run_id": ["a", "b"],
            "status": "FINISHED",
            "start_time": ["2024-05-01", "2024-05-02"],
            "end_time": "2024-05-03",
            "params.x": ["1.0", "2.0"],
            "metrics.acc": [1.0, 2.0],
        }
    )
    return refine.Tree.read_runs(frame, "mlflow")


def _study():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    return study


@pytest.fixture(scope="module")
def closed(tmp_path_factory, place):
    """A tree with one round and its proposal, closed."""
    tree = refine.Tree("gone", store=tmp_path_factory.mktemp("closed") / "refine.db")
    found = tree.add_round(place.space, place.objective, n=30, seed=1).run(progress=False)
    review = found.propose()
    tree.close()
    return tree, found, review


def _says_so(tree, call, monkeypatch, folder):
    monkeypatch.chdir(folder)
    with pytest.raises(StoreError) as caught:
        call()
    assert str(caught.value) == (
        f"store {tree.store}: was closed, by tree.close() or at the end of its with block; open it again: "
        "refine.Tree(name, store=...)"
    )
    assert not list(folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", TREE)
def test_a_tree(closed, place, monkeypatch, tmp_path, name):
    tree, found, _ = closed
    _says_so(tree, lambda: TREE[name](tree, found, place), monkeypatch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUND)
def test_a_round(closed, place, monkeypatch, tmp_path, name):
    tree, found, review = closed
    at = SimpleNamespace(review=review) if name == "review" else place
    _says_so(tree, lambda: ROUND[name](found, at), monkeypatch, tmp_path)


@pytest.mark.parametrize("name", REVIEW)
def test_a_review(closed, place, monkeypatch, tmp_path, name):
    tree, _, review = closed
    _says_so(tree, lambda: REVIEW[name](review, place), monkeypatch, tmp_path)


def test_nothing_public_is_forgotten():
    def public(kind):
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(refine.Tree) == {n for n in TREE if hasattr(refine.Tree, n)} | KNOWS_TREE
    assert public(refine.Round) == {n for n in ROUND if hasattr(refine.Round, n)} | KNOWS_ROUND


def test_what_needs_no_store_still_works(closed):
    tree, found, review = closed
    tree.close()
    assert (tree.name, repr(tree)) == ("gone", f"<Tree gone: closed in {tree.store}>")
    assert (repr(found), list(found.space)) == (
        f"<Round {found.id} of gone>",
        ["lr", "dropout", "optimizer", "epochs"],
    )
    assert review.edit(dropout=(0, 0.2)).space["dropout"].high == 0.2


def test_a_store_in_memory_is_gone(place):
    tree = refine.Tree("gone", store="sqlite://")
    tree.close()
    with pytest.raises(StoreError, match="was closed"):
        len(tree)
