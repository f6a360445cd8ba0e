"""A round that another process removed: every call says who removed it and when."""

import pytest

import objectives
import refine
from refine.errors import NotFoundError
from refine.tree.exchange.optuna import to_study

PROPERTIES = ["trials", "best", "n", "children", "_path", "_decisions", "note", "_holdout_results"]
METHODS = [
    "replay",
    "analyze",
    "propose",
    "checks",
    "_recommend",
    "optimism",
    "_repr_mimebundle_",
]
CALLS = {
    **{name: lambda tree, round_, name=name: getattr(round_, name) for name in PROPERTIES},
    **{name: lambda tree, round_, name=name: getattr(round_, name)() for name in METHODS},
    "notebook": lambda tree, round_: round_._repr_mimebundle_(),
    "open_holdout": lambda tree, round_: tree.open_holdout(at=round_),
    "to_study": lambda tree, round_: to_study(round_),
    "print": lambda tree, round_: str(round_),
    "run": lambda tree, round_: round_.run(n=40),
    "add": lambda tree, round_: round_.add(repeat=5),
    "branch": lambda tree, round_: round_.branch(round_.space, n=5),
    "exclude": lambda tree, round_: round_.exclude([0], "broken"),
    "set_epsilon": lambda tree, round_: setattr(round_, "_epsilon", 0.1),
    "change_note": lambda tree, round_: setattr(round_, "note", "late"),
    "autopilot": lambda tree, round_: refine.autopilot(round_, rounds=1),
    "tag": lambda tree, round_: tree.tag(round_, "paper"),
    "diff": lambda tree, round_: tree.diff("root", round_),
    "round": lambda tree, round_: tree[round_],
    "id": lambda tree, round_: tree[round_.id],
    "delete_trials": lambda tree, round_: tree.delete(round_, [0]),
    "delete_round": lambda tree, round_: tree.delete(round_),
}


@pytest.fixture(scope="module")
def removed(tmp_path_factory):
    """A tree, and a child in it that was open while another connection removed it."""
    store = tmp_path_factory.mktemp("store") / "r.db"
    space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"], "junk": [1, 2, 3]}
    with refine.Tree("question", store=store) as tree, refine.Tree("question", store=store) as other:
        root = tree.add_round(space, objectives.bowl, n=30, seed=7).run()
        child = root.branch(space, n=12, seed=1).run()
        other.delete(child.id, author="ann", note="by mistake")
        yield tree, child


@pytest.mark.parametrize("call", CALLS)
def test_a_call_on_a_removed_round_names_the_author_and_time_of_the_removal(removed, call):
    tree, child = removed
    text = rf"round {child.id} was removed by ann on \d{{4}}-\d\d-\d\d \d\d:\d\d UTC \(by mistake\)"
    with pytest.raises(NotFoundError, match=text):
        CALLS[call](tree, child)


@pytest.mark.slow
def test_tree_without_the_removed_round_is_whole(removed, tmp_path):
    tree, _ = removed
    assert len(tree.rounds) == 1
    assert "removed" in set(tree.log()["event"].str.rpartition(" ")[2])
    tree.export(tmp_path / "out")
