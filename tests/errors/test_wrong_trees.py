"""Wrong uses of trees, stores, folders and imports: each is refused, and nothing is written or created."""

from __future__ import annotations

from wrong import check, tries

import refine
from refine.errors import (
    AnalysisError,
    DesignError,
    NotFoundError,
    ObjectiveError,
    ReviewError,
    SpaceError,
    StoreError,
)
from refine.tree.exchange.dataframe import read_table

RISK = "it is the accepted probability of losing the best value, 0.05 for 5 %, and smaller ones can't be told from none"
FOUND_BY = (
    "a round is found by its id, the beginning of one, a tag, its path in the printed tree such as '1.2', 'last' or 'root', "
    "as a text, got"
)
ANOTHER = (
    "round FOREIGN is one of tree 'other', and tree 'question' has none like it; use that tree, or take its rounds over: "
    "tree.merge(other)"
)


def opening(store, **options):
    return lambda place: refine.Tree(
        "question", store=store if store is None else place.folder / store, **options
    )


def framing(*given, **options):
    return lambda place: place.tree.add_frame(place.frame, *given, **options)


def walking(tree, *given):
    return lambda place: refine.guide(getattr(place, tree), *given, ask=lambda _: "q", tell=lambda _: None)


TREES = {
    "a tree without a name": (
        lambda p: refine.Tree("", store=p.folder / "new.db"),
        StoreError,
        "a tree needs a name, got ''; such as refine.Tree('digits', store='refine.db')",
    ),
    "a store in no folder": (
        opening("none/refine.db"),
        StoreError,
        "store sqlite:///FOLDER/none/refine.db: the folder must exist, but FOLDER/none does not; create it, or check the "
        "path",
    ),
    "a store that is a folder": (
        opening(""),
        StoreError,
        "store sqlite:///FOLDER: is a folder; name a file in it, such as FOLDER/refine.db",
    ),
    "a store that is no database": (
        opening("text.db"),
        StoreError,
        "store sqlite:///FOLDER/text.db: can't be opened: file is not a database; check the path or URL",
    ),
    "no store": (
        opening(None),
        StoreError,
        "a store is a URL or the path of a SQLite file, got None; such as store='refine.db'",
    ),
    "another database": (
        lambda p: refine.Tree("question", store="mysql://host/db"),
        StoreError,
        "store mysql://host/db: must be SQLite or PostgreSQL, got mysql; a path such as 'refine.db' is a SQLite file",
    ),
    "two slashes": (
        lambda p: refine.Tree("question", store="sqlite://refine.db"),
        StoreError,
        "store sqlite://refine.db: a SQLite URL has three slashes before a path, and a fourth where the path starts with "
        "one; write sqlite:///refine.db",
    ),
    "a store that is to exist": (
        opening("new.db", create=False),
        NotFoundError,
        "store sqlite:///FOLDER/new.db: no such file; check the path, or leave create=False out to create it",
    ),
    "an id that is none": (
        lambda p: p.tree["nothing"],
        NotFoundError,
        "no round or tag 'nothing' in tree 'question'; known: 2 (EMPTY), 1 (ROOT)",
    ),
    "a round by number": (lambda p: p.tree[0], NotFoundError, f"{FOUND_BY} 0; tree.rounds has all in order"),
    "a tree gone through": (
        lambda p: list(p.tree),
        NotFoundError,
        f"{FOUND_BY} 0; tree.rounds has all in order",
    ),
    "a tag that is an id": (
        lambda p: p.tree.tag(p.root, p.empty.id),
        StoreError,
        "a tag must be a text that is no round's id, got 'EMPTY'; such as: tree.tag(round, 'paper')",
    ),
    "a tag before its round": (
        lambda p: p.tree.tag("paper", p.root),
        StoreError,
        "a tag must be a text that is no round's id, got <Round ROOT of question>; such as: tree.tag(round, 'paper')",
    ),
    "a tag for another tree's round": (lambda p: p.tree.tag(p.foreign, "paper"), NotFoundError, ANOTHER),
    "a story of another tree's round": (
        lambda p: p.tree.report(p.folder / "story", winner=p.foreign),
        NotFoundError,
        ANOTHER,
    ),
    "a difference from nothing": (
        lambda p: p.tree.diff(p.root, None),
        NotFoundError,
        f"{FOUND_BY} None; tree.rounds has all in order",
    ),
    "a report into a file": (
        lambda p: p.root.report(p.folder / "file"),
        StoreError,
        "folder FOLDER/file: FOLDER/file is a file; give a folder, which is created if need be",
    ),
    "an export below a file": (
        lambda p: p.tree.export(p.folder / "file" / "bundle"),
        StoreError,
        "folder FOLDER/file/bundle: FOLDER/file is a file; give a folder, which is created if need be",
    ),
    "a report nowhere": (
        lambda p: p.root.report(None),
        StoreError,
        "a folder is given by its path, got None; such as 'reports'",
    ),
    "a store merged": (
        lambda p: p.tree.merge(p.folder / "other.db"),
        StoreError,
        "FOLDER/other.db: is no exported tree, tree.json is not there; of a store open the tree: refine.Tree(name, "
        "store=...)",
    ),
    "a guide through a round": (
        walking("root"),
        ReviewError,
        "guide walks through a tree, got Round; write refine.guide(tree, round)",
    ),
    "a guide to another tree's round": (
        lambda p: walking("tree", p.foreign)(p),
        NotFoundError,
        ANOTHER,
    ),
    "autopilot on a name": (
        lambda p: refine.autopilot("question"),
        ReviewError,
        "autopilot starts from a tree or a round, got str; such as refine.autopilot(tree.add_round(space, objective, "
        "n=100))",
    ),
    "autopilot that would fail after its first round": (
        lambda p: refine.autopilot(p.empty, n="5", progress=False),
        DesignError,
        "n must be a whole number >= 1, got '5'; such as n=5",
    ),
    "autopilot with a risk in percent": (
        lambda p: refine.autopilot(p.empty, risk=5, progress=False),
        AnalysisError,
        f"risk must be >= 0.01 and < 1, got 5; {RISK}",
    ),
    "replay before run": (
        lambda p: p.empty.replay(),
        AnalysisError,
        "round EMPTY: no trial has ended that could be run again; run it first: round.run()",
    ),
    "a model of no model": (
        lambda p: p.root.best_model(),
        ObjectiveError,
        "round ROOT: the objective 'conftest.objective' gives no model; use refine.keras.KerasObjective, or give it a "
        "method trained(params, trial) that returns (model, metrics)",
    ),
}

IMPORTS = {
    "a path as a frame": (
        lambda p: p.tree.add_frame("runs.csv"),
        AnalysisError,
        "a frame must be a pandas DataFrame, one row per run, got str; pd.DataFrame(rows) or pd.read_csv(path) makes one",
    ),
    "a column that is missing": (
        framing(value="accu"),
        AnalysisError,
        "value 'accu' is no column of the frame; did you mean 'acc'?",
    ),
    "a column by number": (
        framing(value=2),
        AnalysisError,
        "value must be the name of a column as text, got 2; such as value='acc'",
    ),
    "a parameter that is missing": (
        framing({"lrr": (0.0, 2.0)}, value="acc"),
        SpaceError,
        "the frame needs a column for every parameter, missing: lrr; did you mean 'lr'?",
    ),
    "rows outside": (
        framing({"lr": (0.15, 2.0, 3), "act": ["relu", "elu"]}, value="acc"),
        SpaceError,
        "lr: 1 row of the frame outside the space, first in row 0: 0.1, but it is float: 0.15, 1.075, 2; widen the space, "
        "or leave such rows out: frame[space.contains(frame)]",
    ),
    "a parameter that is nowhere": (
        lambda p: p.tree.add_frame(p.frame.assign(lr=float("nan")), value="acc"),
        SpaceError,
        "lr: the column holds no value; give space=, or parameters=[...] without it",
    ),
    "a name that is a number": (
        framing(value="acc", name=3),
        ObjectiveError,
        "an objective's name must be a text that is not empty, got 3; leave it out for the function's own",
    ),
    "a file that is missing": (
        lambda p: read_table(str(p.folder / "runs.csv")),
        AnalysisError,
        "FOLDER/runs.csv: can't be read: No such file or directory; check the path",
    ),
    "a file with semicolons": (
        lambda p: read_table(str(p.folder / "semicolons.csv")),
        AnalysisError,
        "FOLDER/semicolons.csv: is no table with commas between columns: they are separated by ';'; save it with commas, or "
        "in Python tree.add_frame(pd.read_csv(path, sep=';'), ...)",
    ),
}


@tries(TREES | IMPORTS)
def test_it_is_refused_before_anything_happens(place, wrong):
    check(place, wrong)
