"""What a database has to keep to so that trees can live in it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from refine.errors import NotFoundError, RefineError
from refine.tree.tree import Tree

SPACE = {"x": (0.0, 1.0, 11), "n": (1, 4), "act": ["relu", "elu"]}


def measured(params: Mapping[str, Any]) -> dict[str, float]:
    """An objective with every kind of outcome: a number, NaN, infinity, an error."""
    if params["x"] > 0.9:
        raise ValueError("ünstable \N{SNOWMAN}")
    other = math.inf if params["n"] == 2 else float(params["n"])
    return {"acc": math.nan if params["n"] == 4 else float(params["x"]), "other": other}


class StoreContract(ABC):
    """The contract of a store: a URL or path that ``Tree(name, store=...)`` opens."""

    @abstractmethod
    def url(self) -> str:
        """Where an empty store can be made, the same place for as long as one test runs."""

    def _grown(self) -> dict[str, Any]:
        with Tree("contract", store=self.url()) as tree:
            root = tree.add_round(SPACE, measured, metric="acc", n=40, seed=2, note="wörds").run(
                progress=False
            )
            child = root.propose().accept(note="next", n=5, author="ann")
            tree.tag(root, "först")
            return {"root": root.id, "child": child.id, "trials": root.trials, "cells": child.cells()}

    def test_what_was_written_is_read_again(self) -> None:
        """Trials with all their numbers and errors, decisions, notes, tags."""
        made = self._grown()
        with Tree("contract", store=self.url(), create=False) as tree:
            root, child = tree.rounds
            assert (root.id, child.id, tree.tags) == (made["root"], made["child"], {"först": made["root"]})
            assert root.trials.equals(made["trials"]), "trials read again are not those that were written"
            assert set(root.trials["state"]) == {"complete", "diverged", "failed"}
            assert root.failures["error"].str.contains("ünstable \N{SNOWMAN}").any()
            assert math.isinf(root.trials["other"].max())
            assert [d.child for d in root.decisions] == [child.id]
            assert (root.node.note, root.decisions[0].author) == ("wörds", "ann")
            assert child.cells() == made["cells"]

    def test_the_same_again_writes_nothing(self) -> None:
        """Adding a round, accepting and running once more finds what is there."""
        made = self._grown()
        again = self._grown()
        assert (again["root"], again["child"]) == (made["root"], made["child"])
        with Tree("contract", store=self.url(), create=False) as tree:
            assert len(tree.rounds) == 2
            assert len(tree.rounds[0].trials) == 40
            assert len(tree.rounds[0].decisions) == 1

    def test_two_handles_see_each_other(self) -> None:
        """What one wrote the other reads at once."""
        with Tree("contract", store=self.url()) as one, Tree("contract", store=self.url()) as other:
            root = one.add_round(SPACE, measured, metric="acc", n=6)
            assert [r.id for r in other.rounds] == [root.id]
            root.run(progress=False)
            assert len(other[root.id].trials) == 6

    def test_trees_are_apart(self) -> None:
        """Each has its own rounds, and one that is not there is said to be missing."""
        with Tree("one", store=self.url()) as one, Tree("other", store=self.url()) as other:
            one.add_round(SPACE, measured, metric="acc", n=3)
            assert not other.rounds
        try:
            Tree("third", store=self.url(), create=False)
        except NotFoundError:
            pass
        else:
            raise AssertionError("a tree that is not there was opened")

    def test_an_error_leaves_nothing_behind(self) -> None:
        """A call that is refused writes nothing."""
        with Tree("contract", store=self.url()) as tree:
            root = tree.add_round(SPACE, measured, metric="acc", n=3)
            try:
                root.branch({"x": (0.0, 1.0, 11)}, n=1_000_000)
            except RefineError:
                pass
            else:
                raise AssertionError("more configurations than exist were accepted")
            assert len(tree.rounds) == 1
            assert not root.decisions
