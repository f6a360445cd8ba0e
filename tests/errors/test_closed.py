"""After ``tree.close()`` every read and write is refused, and nothing reopens the store."""

from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from wrong import recorded

import refine
from refine.errors import StoreError

FOLDER = "reports"
SWEEP = Path(__file__).parents[1] / "fixtures" / "imports" / "talos.zip"

CALLS = {
    "Tree.delete": lambda t, p: t.delete(p.gone),
    "Tree with trials to delete": lambda t, p: t.delete(p.gone, [0]),
    "Tree.add_runs": lambda t, p: t.add_runs(p.frame, value="acc"),
    "Tree.add_round": lambda t, p: t.add_round(p.space, p.objective, n=5),
    "Tree.confirm": lambda t, p: t.confirm(),
    "Tree.diff": lambda t, p: t.diff(p.gone, p.gone),
    "Tree.export": lambda t, p: t.export(FOLDER),
    "Tree with a page to report": lambda t, p: t.report("study.html"),
    "Tree.plot": lambda t, p: t.plot.tree(),
    "Tree.report": lambda t, p: t.report(FOLDER),
    "Tree.tag": lambda t, p: t.tag(p.gone, "paper"),
    "Tree by len": lambda t, p: len(t),
    "Tree by item": lambda t, p: t[p.gone.id],
    "Tree in autopilot": lambda t, p: refine.autopilot(t),
    "Round.best_model": lambda r, p: r.best_model(objective=_WithModel()),
    "Round.exclude": lambda r, p: r.exclude([0], "why"),
    "Round with trials to include": lambda r, p: r.exclude([0], undo=True),
    "Round.note": lambda r, p: setattr(r, "note", "late"),
    "Round.branch": lambda r, p: r.branch(p.space, n=3),
    "Round.plot": lambda r, p: r.plot.density("lr"),
    "Round.add": lambda r, p: r.add(1),
    "Round.report": lambda r, p: r.report(FOLDER),
    "Round with a proposal to review": lambda r, p: r._review(p.proposal),
    "Round.run": lambda r, p: r.run(),
    "Round with a tolerance": lambda r, p: setattr(r, "_epsilon", 0.1),
    "Round with more": lambda r, p: r.run(n=40),
    "Review.accept": lambda v, p: v.accept(n=5),
    "Review.decline": lambda v, p: v.decline(),
    "Review.checks": lambda v, p: v.checks(),
    "Review.preview": lambda v, p: v.preview(),
}
"""Members called with arguments, or absent as attributes; other public members are read or called bare."""

KNOWN = {
    "Tree": "name machine why close load",
    "Round": "id why goal goals choose objective parent space",  # of a root, and of one goal
}
"""What is known without the store."""

READ = [
    f"{kind}.{name}"
    for kind in KNOWN
    for name in dir(getattr(refine, kind))
    if name[0] != "_" and name not in KNOWN[kind].split()
]


class _WithModel:
    name = "conftest.objective"

    def __call__(self, params):
        return 1.0

    def trained(self, params, trial):
        return "model", {}


def _search():
    return GridSearchCV(DummyClassifier(), {"constant": [0, 1]}, cv=2).fit([[0]] * 4, [0, 1] * 2)


def _study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    return study


@pytest.fixture(scope="module")
def closed(tmp_path_factory, place):
    """A tree with one round and its proposal, closed; and what is given to calls."""
    tree = refine.Tree("gone", store=tmp_path_factory.mktemp("closed") / "refine.db")
    root = tree.add_round(place.space, place.objective, n=30, seed=1).run()
    review = root.propose()
    tree.close()
    arguments = SimpleNamespace(**vars(place), gone=root, proposal=review.proposal)
    return {"Tree": tree, "Round": root, "Review": review}, arguments


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*READ, *CALLS}))
def test_calls_on_a_closed_tree_say_that_it_is_closed(closed, monkeypatch, tmp_path, name):
    objects, arguments = closed
    kind, _, attribute = name.replace(" ", ".").partition(".")
    monkeypatch.chdir(tmp_path)
    call = CALLS.get(name, lambda value, _: getattr(value, attribute)())
    with pytest.raises(StoreError) as caught:
        call(objects[kind], arguments)
    message = str(caught.value).replace(objects["Tree"]._url, "STORE")
    assert message == recorded(__name__, "a closed store", message)
    assert not list(tmp_path.iterdir())


def test_calls_that_need_no_store_work_on_a_closed_tree(closed):
    tree, root, review = closed[0].values()
    tree.close()
    assert (tree._name, repr(tree)) == ("gone", f"<Tree gone: closed in {tree._url}>")
    assert (repr(root), list(root.space)) == (
        f"<Round {root.id} of gone>",
        ["lr", "dropout", "optimizer", "epochs"],
    )
    assert review.edit(dropout=(0, 0.2)).space["dropout"].high == 0.2


def test_a_store_in_memory_is_gone():
    tree = refine.Tree("gone", store="sqlite://")
    tree.close()
    with pytest.raises(StoreError, match="was closed"):
        len(tree)
