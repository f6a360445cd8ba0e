"""Wrong uses of trees, stores, folders and imports: each is refused, and nothing is written or created."""

from __future__ import annotations

import pytest
from wrong import check

import refine
from refine.tree.exchange.dataframe import read_table


def opening(store, **options):
    return lambda place: refine.Tree(
        "question", store=store if store is None else place.folder / store, **options
    )


def framing(*given, **options):
    return lambda place: place.tree.add_frame(place.frame, *given, **options)


def walking(tree, *given):
    return lambda place: refine.guide(getattr(place, tree), *given, ask=lambda _: "q", tell=lambda _: None)


TREES = {
    "a tree without a name": lambda p: refine.Tree("", store=p.folder / "new.db"),
    "a store in no folder": opening("none/refine.db"),
    "a store that is a folder": opening(""),
    "a store that is no database": opening("text.db"),
    "no store": opening(None),
    "another database": lambda p: refine.Tree("question", store="mysql://host/db"),
    "two slashes": lambda p: refine.Tree("question", store="sqlite://refine.db"),
    "a store that is to exist": opening("new.db", create=False),
    "an id that is none": lambda p: p.tree["nothing"],
    "a round by number": lambda p: p.tree[0],
    "a tree gone through": lambda p: list(p.tree),
    "a tag that is an id": lambda p: p.tree.tag(p.root, p.empty.id),
    "a tag before its round": lambda p: p.tree.tag("paper", p.root),
    "a tag for another tree's round": lambda p: p.tree.tag(p.foreign, "paper"),
    "a story of another tree's round": lambda p: p.tree.report(p.folder / "story", winner=p.foreign),
    "a difference from nothing": lambda p: p.tree.diff(p.root, None),
    "a report into a file": lambda p: p.root.report(p.folder / "file"),
    "an export below a file": lambda p: p.tree.export(p.folder / "file" / "bundle"),
    "a report nowhere": lambda p: p.root.report(None),
    "a store merged": lambda p: p.tree.merge(p.folder / "other.db"),
    "a guide through a round": walking("root"),
    "a guide to another tree's round": lambda p: walking("tree", p.foreign)(p),
    "autopilot on a name": lambda p: refine.autopilot("question"),
    "autopilot that would fail after its first round": lambda p: refine.autopilot(
        p.empty, n="5", progress=False
    ),
    "autopilot with a risk in percent": lambda p: refine.autopilot(p.empty, risk=5, progress=False),
    "replay before run": lambda p: p.empty.replay(),
    "a model of no model": lambda p: p.root.best_model(),
}

IMPORTS = {
    "a path as a frame": lambda p: p.tree.add_frame("runs.csv"),
    "a column that is missing": framing(value="accu"),
    "a column by number": framing(value=2),
    "a parameter that is missing": framing({"lrr": (0.0, 2.0)}, value="acc"),
    "rows outside": framing({"lr": (0.15, 2.0, 3), "act": ["relu", "elu"]}, value="acc"),
    "a parameter that is nowhere": lambda p: p.tree.add_frame(p.frame.assign(lr=float("nan")), value="acc"),
    "a name that is a number": framing(value="acc", name=3),
    "a file that is missing": lambda p: read_table(str(p.folder / "runs.csv")),
    "a file with semicolons": lambda p: read_table(str(p.folder / "semicolons.csv")),
}


USES = TREES | IMPORTS


@pytest.mark.parametrize("name", USES)
def test_it_is_refused_before_anything_happens(place, name):
    check(place, __name__, name, USES[name])
