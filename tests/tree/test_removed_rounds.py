"""A round that another process removed: every call says who removed it and when."""

import pytest

import objectives
import refine
from refine.errors import NotFoundError

CALLS = {
    "trials": lambda tree, found: found.trials,
    "best": lambda tree, found: found.best,
    "n": lambda tree, found: found.n,
    "children": lambda tree, found: found.children,
    "path": lambda tree, found: found.path,
    "decisions": lambda tree, found: found.decisions,
    "marks": lambda tree, found: found.marks,
    "holdout_results": lambda tree, found: found.holdout_results,
    "print": lambda tree, found: str(found),
    "notebook": lambda tree, found: found._repr_mimebundle_(),
    "run": lambda tree, found: found.run(n=40, progress=False),
    "replicate": lambda tree, found: found.replicate(progress=False),
    "open_holdout": lambda tree, found: found.open_holdout(),
    "replay": lambda tree, found: found.replay(),
    "analyze": lambda tree, found: found.analyze(),
    "propose": lambda tree, found: found.propose(),
    "checks": lambda tree, found: found.checks(),
    "recommend": lambda tree, found: found.recommend(),
    "optimism": lambda tree, found: found.optimism(),
    "branch": lambda tree, found: found.branch(found.space, n=5),
    "exclude": lambda tree, found: found.exclude([0], "broken"),
    "star": lambda tree, found: found.star([0]),
    "set_epsilon": lambda tree, found: found.set_epsilon(0.1),
    "set_roles": lambda tree, found: found.set_roles(lr="scientific"),
    "to_optuna": lambda tree, found: found.to_optuna(),
    "autopilot": lambda tree, found: refine.autopilot(found, rounds=1, progress=False),
    "tag": lambda tree, found: tree.tag(found, "paper"),
    "diff": lambda tree, found: tree.diff("root", found),
    "round": lambda tree, found: tree.round(found),
    "id": lambda tree, found: tree[found.id],
    "delete_trials": lambda tree, found: tree.delete_trials(found, [0]),
    "delete_round": lambda tree, found: tree.delete_round(found),
}


@pytest.fixture(scope="module")
def removed(tmp_path_factory):
    """A tree, and a child in it that was open while another connection removed it."""
    store = tmp_path_factory.mktemp("store") / "r.db"
    space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"], "junk": [1, 2, 3]}
    with refine.Tree("question", store=store) as tree, refine.Tree("question", store=store) as other:
        root = tree.add_round(space, objectives.bowl, n=30, seed=7).run(progress=False)
        child = root.branch(space, n=12, seed=1).run(progress=False)
        other.delete_round(child.id, author="ann", note="by mistake")
        yield tree, child


@pytest.mark.parametrize("call", CALLS)
def test_call_on_a_removed_round_names_who_removed_it_and_when(removed, call):
    tree, child = removed
    text = rf"round {child.id} was removed by ann on \d{{4}}-\d\d-\d\d \d\d:\d\d UTC \(by mistake\)"
    with pytest.raises(NotFoundError, match=text):
        CALLS[call](tree, child)


def test_tree_without_the_removed_round_is_whole(removed, tmp_path):
    tree, _ = removed
    assert len(tree.rounds) == 1
    assert "removed" in set(tree.log()["event"].str.rpartition(" ")[2])
    tree.export(tmp_path / "out")
