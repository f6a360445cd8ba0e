"""Names of rounds: what is typed means one round, or an error says which ones it could mean."""

import pytest

import refine
from refine.errors import NotFoundError, StoreError
from refine.tree.names import round_named

# 1 ── 1.1 ── 1.1.1
#   └─ 1.2
# 2 ── 2.1
PARENTS = {"aa11": None, "ab22": "aa11", "12cd": "ab22", "1233": None, "bb44": "aa11", "cc55": "1233"}
TAGS = {"paper": "ab22", "again": "cc55"}


@pytest.mark.parametrize(
    ("key", "round_id"),
    [
        ("aa11", "aa11"),
        ("aa", "aa11"),
        ("last", "cc55"),
        ("paper", "ab22"),
        ("again", "cc55"),
        ("1", "aa11"),  # a path before the beginning of an id
        ("2", "1233"),
        ("1.2", "bb44"),
        ("12c", "12cd"),
        ("b", "bb44"),
    ],
)
def test_a_name_means_one_round(key, round_id):
    assert round_named(key, PARENTS, TAGS, "question") == round_id


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("a", "round 'a' is ambiguous: aa11 (1), ab22 (1.1); name one of them"),
        ("12", "round '12' is ambiguous: 12cd (1.1.1), 1233 (2); name one of them"),
        ("root", "round 'root' is ambiguous: aa11 (1), 1233 (2); name one of them"),
        ("papr", "no round or tag 'papr' in tree 'question'; did you mean 'paper'?"),
        (
            "3",
            "no round or tag '3' in tree 'question'; known: paper, again, 2.1 (cc55), 1.2 (bb44), 2 (1233), "
            "1.1.1 (12cd), 1.1 (ab22), 1 (aa11)",
        ),
        ("", "no round or tag '' in tree 'question'; known: "),
    ],
)
def test_an_unclear_name_is_refused_with_the_candidates(key, message):
    with pytest.raises(NotFoundError) as caught:
        round_named(key, PARENTS, TAGS, "question")
    assert str(caught.value).startswith(message)


def test_an_error_lists_no_more_than_one_can_read():
    parents = dict.fromkeys((f"f{i:03x}" for i in range(100)), None)
    with pytest.raises(NotFoundError, match="f00b \\(12\\) and 88 more;"):
        round_named("f", parents, {}, "question")
    with pytest.raises(NotFoundError, match="'last' in tree 'question'; known: none"):
        round_named("last", {}, {}, "question")


@pytest.mark.slow
def test_a_tree_finds_its_rounds_by_any_name(tree, tmp_path):
    root = tree.add_round({"x": (0.0, 1.0, 21)}, lambda p: -p["x"], name="x", n=12).run()
    first = root.branch({"x": (0.0, 0.5, 11)}, n=4)
    second = root.branch({"x": (0.0, 0.3, 7)}, n=2)
    tree.tag("1.1", "wide")
    assert [tree[key].id for key in ("root", "1", "1.1", "1.2", "last", "wide")] == [
        root.id,
        root.id,
        first.id,
        second.id,
        second.id,
        first.id,
    ]
    assert tree["last"].id == tree[second].id == second.id
    assert "1.2  " + second.id in str(tree)
    assert tree.diff("root", "last").space.changed
    plan = refine.Plan(belief=tree["1"])
    assert tree.add_round({"x": (0.0, 1.0, 11)}, lambda p: p["x"], name="y", n=4, plan=plan)._belief
    for name in ("last", "root", "1", "1.2"):
        with pytest.raises(StoreError, match="'last', 'root'"):
            tree.tag(root, name)
    # One tree in a store needs no name.
    with refine.Tree(store=tree._url) as reopened:
        assert reopened._name == "question"
    with refine.Tree("other", store=tree._url):
        pass
    text = r"holds 2 trees \(question, other\); name one: refine.Tree\('other', store=...\)"
    with pytest.raises(NotFoundError, match=text):
        refine.Tree(store=tree._url)
    with pytest.raises(NotFoundError, match="no such file"):
        refine.Tree(store=tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_add_round_names_the_objective_and_tags_the_round(tree):
    root = tree.add_round({"x": [1, 2, 3]}, lambda p: p["x"], n=3, name="slope", tag="first")
    assert tree["first"].id == root.id
    assert root._node.objective == "slope"
    other = tree.add_round({"x": [1, 2, 3]}, lambda p: p["x"], n=3, name="slope", seed=1, tag="first")
    assert tree["first"].id == other.id
    with pytest.raises(StoreError, match="^a tag must"):
        tree.add_round({"x": [1, 2]}, lambda p: p["x"], n=2, name="slope", tag="")
    assert len(tree) == 2


@pytest.mark.parametrize("call", [refine.Tree.add_round, refine.Tree.add_runs])
def test_objective_name_is_refused_with_the_arguments_that_replace_it(call):
    with pytest.raises(TypeError, match="name= names the objective, tag= names the round"):
        call(objective_name="first")
