"""Roles of parameters: inherited by children, absent from ids, and refused if contradictory."""

import pytest

import refine
from objectives import bowl
from refine.errors import SpaceError

SPACE = {"x": (0.0, 1.0, 5), "kind": ["a", "b"], "epochs": 3}


def test_roles_follow_from_the_space_and_from_declarations(tmp_path):
    with refine.Tree("roles", store=tmp_path / "r.db") as tree:
        plain = tree.add_round(SPACE, bowl, n=10)
        assert plain.roles == {"x": "nuisance", "kind": "nuisance", "epochs": "fixed"}
        with_roles = tree.add_round(SPACE, bowl, n=10, roles={"kind": "scientific", "epochs": "fixed"})
        assert with_roles.id == plain.id  # no part of what a round is
        assert with_roles.roles == {"x": "nuisance", "kind": "scientific", "epochs": "fixed"}
        plain.set_roles(x="scientific").set_roles({"kind": "nuisance"})
        assert plain.roles == {"x": "scientific", "kind": "nuisance", "epochs": "fixed"}
    with refine.Tree("roles", store=tmp_path / "r.db") as tree:
        assert tree.rounds[0].roles["x"] == "scientific"


def test_children_take_roles_over(tree):
    root = tree.add_round(SPACE, bowl, n=10)
    root.set_roles(x="scientific", kind="scientific")
    child = root.branch({"x": (0.0, 0.5, 5), "depth": [1, 2]}, previous={"depth": 1}, n=4)
    assert child.roles == {"x": "scientific", "depth": "nuisance"}
    fixed = root.branch({"x": 0.5, "kind": ["a", "b"]}, n=2)
    assert fixed.roles == {"x": "fixed", "kind": "scientific"}


@pytest.mark.parametrize(
    ("roles", "text"),
    [
        ({"x": "science"}, "roles: x: 'science' is not a role; did you mean 'scientific'?"),
        ({"x": "fixed"}, "roles: x: a 'fixed' parameter has one value, got 5 levels; give one"),
        (
            {"epochs": "scientific"},
            "roles: epochs: a parameter with one value is 'fixed', got 'scientific'; give",
        ),
    ],
)
def test_wrong_roles_are_refused_before_anything_is_written(tree, roles, text):
    with pytest.raises(SpaceError) as caught:
        tree.add_round(SPACE, bowl, n=10, roles=roles)
    assert str(caught.value).startswith(text)
    assert len(tree) == 0


@pytest.mark.slow
def test_roles_travel_with_a_folder(tmp_path):
    with refine.Tree("roles", store=tmp_path / "r.db") as tree:
        tree.add_round(SPACE, bowl, n=10, roles={"kind": "scientific"})
        tree.export(tmp_path / "out")
    with refine.Tree.load(tmp_path / "out", tmp_path / "copy.db") as tree:
        assert tree.rounds[0].roles["kind"] == "scientific"
