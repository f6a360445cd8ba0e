"""Stores, folders and proposals written by 0.1.0 open, give the same tree, and continue. Kept for ever.

``REFINE_GOLDEN=1`` writes them anew, which nobody does once the release is out.
"""

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

import refine
from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.space.encoding import dumps

pytestmark = pytest.mark.slow

HOME = Path(__file__).parents[1] / "fixtures" / "release"
SPACE = {
    "lr": refine.Float(1e-4, 1e-1, levels=4, log=True),
    "units": refine.Integer(8, 32, step=8),
    "optimizer": ["sgd", "adam", None],
    "momentum": refine.Float(0.0, 0.9, 4, when="optimizer == 'sgd'"),
    "epochs": 3,
}


def score(params):
    return params["units"] / 32 - abs(params["lr"] - 0.01) + (params["optimizer"] == "adam")


score.name = "score"


def study(store, proposal=None, edits=None):
    """A root, the child of an edited stored proposal, a branch and a tag; new proposals may improve."""
    tree = refine.Tree("study", store=store)
    root = tree.add_round(
        SPACE, score, n=12, seed=2, note="first", metric=refine.Goal("value", noise="retraining")
    )
    root.run()
    review = root.propose(risk=0.1) if proposal is None else root._review(proposal)
    child = review.edit(edits or {"units": (16, 32)}).accept(
        "units from 16", n=4, exploit=0, plan=refine.Plan(audit=0), author="ann"
    )
    child.run()
    wider = {**SPACE, "dropout": (0.0, 0.5, 3)}
    root.branch(wider, previous={"dropout": 0.0}, n=4, note="dropout", author="ann")
    tree.tag(child, "paper")
    return tree


@pytest.fixture
def released(tmp_path):
    if os.environ.get("REFINE_GOLDEN"):
        write(tmp_path / "new.db")
    path = tmp_path / "release.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((HOME / "store.sql").read_text(encoding="utf-8"))
    with refine.Tree("study", store=path, create=False) as tree:
        yield tree


def write(path):
    with study(path) as tree:
        tree.export(path.parent / "study", reports=False)
    shutil.make_archive(str(HOME / "study"), "zip", path.parent / "study")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (HOME / "store.sql").write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")


def stored_proposal(tree):
    """The one that is kept, and the digest and text that it is kept under."""
    root = tree["1"]
    ((digest, text),) = root._context.store.proposals(root._stored.pk).items()
    return proposal_from_json(json.loads(text)), digest, text


def identities(tree):
    """Ids, cells, keys and seeds of every round, and the digests of its decisions."""
    identified = []
    for round_ in tree.rounds:
        store = round_._context.store
        pk = round_._stored.pk
        columns = store.records([pk]).columns
        trials = sorted(zip(columns["key"], columns["seed"], columns["cell"], columns["origin"], strict=True))
        digests = [decision.digest for decision in round_._decisions]
        identified.append((round_.id, round_._cells(), sorted(store.inherited(pk)), digests, trials))
    return identified


def without_decisions(identity):
    round_id, cells, inherited, _, trials = identity
    return round_id, cells, inherited, trials


def test_a_store_of_a_release_opens_prints_and_continues(released, tmp_path):
    text = str(released)
    assert all(round_.id in text for round_ in released.rounds)
    assert "12 of 12 trials," in text
    assert 'ann: "units from 16"' in text
    proposal, digest, stored = stored_proposal(released)
    assert proposal.digest == digest
    written = json.loads(dumps(proposal_to_json(proposal)))
    written["advice"].pop("judge", None)  # a number of trials that no proposal states any more
    content = json.loads(stored)
    content["advice"].pop("judge")
    assert written == content
    shutil.unpack_archive(HOME / "study.zip", tmp_path / "unpacked")
    with refine.Tree.load(tmp_path / "unpacked", tmp_path / "loaded.db") as loaded:
        assert identities(loaded) == identities(released)
        assert all(a.trials.equals(b.trials) for a, b in zip(loaded.rounds, released.rounds, strict=True))
    child = released["1"]._review(proposal).accept("as proposed", n=3, author="ann")
    assert len(child.run(objective=score).trials) == 3


def test_the_same_calls_give_the_same_ids_cells_keys_and_seeds(released, tmp_path):
    # An edit judges the other changes anew, by the present posterior: the edit is the whole space here.
    space = dict(released.rounds[1].space)
    with study(tmp_path / "again.db", stored_proposal(released)[0], space) as tree:
        assert [without_decisions(i) for i in identities(tree)] == [
            without_decisions(i) for i in identities(released)
        ]
