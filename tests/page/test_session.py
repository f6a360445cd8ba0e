"""The session: messages in, answers out; whatever is wrong is an answer in words, and nothing is written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import refine
from refine.page.content import MISSING
from refine.page.session import Session


@pytest.fixture
def session(root) -> Session:
    return Session(root)


def shown(session, root, **more):
    return session.handle({"type": "round", "round": root.id, **more})


def about(session, root, **more):
    return {"round": root.id, "proposal": shown(session, root)["review"]["proposal"], **more}


def test_everything_is_json(session, root, tree):
    for kind in ("start", "tree", "pulse"):
        json.dumps(session.handle({"type": kind}), allow_nan=False)
    json.dumps(shown(session, root), allow_nan=False)
    assert session.handle({"type": "start"})["shown"] == root.id
    assert session.handle({"type": "tree"})["rounds"][0]["note"] == "first look"
    assert session.handle({"type": "pulse"}) == {"states": {root.id: {"complete": 120}}}


def test_a_round_has_a_card_per_parameter_the_clearest_first(session, root):
    review = shown(session, root)["review"]
    analysis = root.analyze()
    assert [c["name"] for c in review["cards"]] == [e.name for e in analysis.ranked]
    by_name = {c["name"]: c for c in review["cards"]}
    proposal = root.propose().proposal
    assert review["proposal"] == proposal.digest
    assert by_name["dropout"]["proposed"] == [proposal.space["dropout"].low, proposal.space["dropout"].high]
    assert by_name["optimizer"]["proposed"] == [0, 1]
    assert by_name["units"]["log"] is True
    assert by_name["units"]["edges"] == [3.5, 64.5]
    # Stops: levels, what is proposed, and beyond ends that are no natural limit; 0 is one for a rate.
    assert set(by_name["dropout"]["grid"]) <= set(by_name["dropout"]["stops"])
    assert by_name["dropout"]["stops"][0] == 0
    assert by_name["lr"]["stops"][-1] == 5.5
    assert by_name["lr"]["reason"] == proposal["lr"].reason
    assert {c["key"] for c in review["gate"]} >= {"edges", "enough", "noise"}
    assert review["fixed"] == [{"name": "epochs", "value": "20"}]


def test_trials_column_by_column(session, root):
    review = shown(session, root)["review"]
    data = session.handle({"type": "trials", "round": root.id})
    n, names = review["trials"], [c["name"] for c in review["cards"]]
    assert len(data) == n * (2 * len(names) + 4 + 1)
    columns = {name: np.frombuffer(data, "<u2", n, 2 * n * i) for i, name in enumerate(names)}
    values = np.frombuffer(data, "<f4", n, 2 * n * len(names))
    flags = np.frombuffer(data, "u1", n, n * (2 * len(names) + 4))
    table = root.trials
    assert values == pytest.approx(table["value"].to_numpy(), rel=1e-6)
    at = columns["dropout"] / (MISSING - 1)
    assert at == pytest.approx(table["dropout"].to_numpy() / 0.5, abs=1e-4)
    label = np.asarray(["Adam", "Nadam", "SGD"])[
        np.floor(columns["optimizer"] / (MISSING - 1) * 3).astype(int)
    ]
    assert (label == table["optimizer"].to_numpy()).all()
    assert (flags & 1).sum() == 24
    assert values[flags & 1 == 1].min() >= np.sort(values)[-24]
    assert not (flags & 2).any()


def test_a_preview_says_what_python_says(session, root):
    edits = {
        "dropout": {"bounds": [0, 0.3]},
        "optimizer": {"keep": [0]},
        "lr": {"bounds": [0.5, 2.5], "levels": 5},
    }
    found = session.handle(
        {"type": "preview", **about(session, root, edits=edits, rejected=["units"], n=40, note="a note")}
    )
    review = root.propose().edit(dropout=(0, 0.3), optimizer=["Adam"], lr=(0.5, 2.5, 5)).reject("units")
    expected = review.preview(n=40)
    for name in ("kept", "retention", "top", "top_kept", "n", "exist", "hit", "warning"):
        assert found[name] == getattr(expected, name)
    assert found["bounds"]["dropout"] == "0 to 0.3"
    assert found["levels"]["lr"] == 5
    assert found["code"] == (
        f'review = tree["{root.id}"].propose(risk=0.05)\n'
        "review = review.edit(dropout=(0, 0.3), optimizer=['Adam'], lr=(0.5, 2.5, 5))\n"
        "review = review.reject('units')\n"
        "child = review.accept(note='a note', n=40)"
    )


def test_the_code_makes_the_same_child(session, root, tree):
    edits = {"dropout": {"bounds": [0, 0.3]}, "optimizer": {"keep": [0, 2]}, "units": {"value": 16}}
    message = about(session, root, edits=edits, rejected=["lr"], n=40, note='it\'s "low"')
    code = session.handle({"type": "preview", **message})["code"]
    answer = session.handle({"type": "decide", "kind": "accept", **message})
    namespace = {"tree": tree, "refine": refine}
    exec(code, namespace)
    assert namespace["child"].id == answer["child"] == session.child.id
    assert len(tree) == 2
    (decision,) = root.decisions
    assert (decision.kind, decision.note, decision.rejected) == ("edited", 'it\'s "low"', ("lr",))
    assert tree[answer["child"]].space["optimizer"].labels == ("Adam", "SGD")


def test_declining(session, root, tree):
    assert session.handle({"type": "decide", "kind": "decline", **about(session, root, note="no")}) == {
        "child": None
    }
    assert root.decisions[0].kind == "declined"
    assert len(tree) == 1


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"edits": {"drpout": {"bounds": [0, 1]}}},
            "edit: unknown parameter 'drpout'; did you mean 'dropout'?",
        ),
        (
            {"edits": {"dropout": {"bounds": [0.4, 0.1]}}},
            "edit: dropout: low must be < high, got (0.4, 0.1); swap them?",
        ),
        (
            {"edits": {"optimizer": {"keep": []}}},
            "edit: optimizer: keep must be numbers of its 3 levels, and not empty, got []",
        ),
        (
            {"edits": {"optimizer": {"keep": [7]}}},
            "edit: optimizer: keep must be numbers of its 3 levels, and not empty, got [7]",
        ),
        ({"edits": {"dropout": "0 to 1"}}, "edit: dropout: must be bounds, keep or value, got '0 to 1'"),
        ({"rejected": ["x"]}, "reject: unknown parameter 'x'; known: lr, dropout, units, optimizer, epochs"),
        ({"edits": [1]}, "edits must be an object and rejected a list"),
        ({"n": 0}, "n must be a whole number >= 1, got 0"),
        ({"n": "5"}, "n must be a whole number >= 1, got '5'"),
        ({"note": 5}, "a note must be a text of at most 10,000 letters"),
        ({"note": "x" * 10_001}, "a note must be a text of at most 10,000 letters"),
        ({"kind": "agree"}, "a decision is to 'accept' or to 'decline', got 'agree'"),
        ({"risk": "much"}, "risk must be a number, got 'much'"),
        (
            {"round": "abc"},
            "no round 'abc' in tree 'question'; it may have been removed since the page was opened",
        ),
        (
            {"round": None},
            "no round None in tree 'question'; it may have been removed since the page was opened",
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(session, root, tree, more, text):
    message = {"type": "decide", "kind": "accept", **about(session, root), **more}
    assert session.handle(message)["error"] == text
    assert len(tree) == 1
    assert root.decisions == ()


@pytest.mark.parametrize("message", [None, 5, [], "tree", {}, {"type": "delete"}])
def test_what_is_no_message(session, message):
    assert "error" in session.handle(message)


def test_a_decision_on_old_evidence_is_refused(session, root, tree):
    message = {"type": "decide", "kind": "accept", **about(session, root)}
    root.run(n=140, progress=False)
    assert "its evidence has changed since this page was drawn" in session.handle(message)["error"]
    assert len(tree) == 1
    assert session.handle({**message, **about(session, root)})["child"] is not None


def test_a_round_that_is_too_small_to_analyse(tree, root):
    small = tree.add_round(root.space, root.objective, n=5, seed=8).run(progress=False)
    found = shown(Session(small), small)
    assert found["review"] is None
    assert "an analysis needs at least 10" in found["why"]


def test_pairs_level_by_level(session, root):
    found = session.handle({"type": "pair", "round": root.id, "a": "dropout", "b": "optimizer"})
    table = root.trials
    here = table[(table["dropout"] == 0.1) & (table["optimizer"] == "Adam")]
    assert found["n"][0][1] == len(here)
    assert found["median"][0][1] == pytest.approx(here["value"].median())
    assert sum(map(sum, found["good"])) == 24
    assert (
        "did you mean 'dropout'"
        in session.handle({"type": "pair", "round": root.id, "a": "drpout", "b": "lr"})["error"]
    )


def test_a_review_begins_with_its_edits(root):
    review = root.propose(risk=0.1).edit(dropout=(0, 0.3), optimizer=["SGD"], units=16).reject("lr")
    found = Session(root, started=review).handle({"type": "start"})
    assert found["risk"] == 0.1
    assert found["rejected"] == ["lr"]
    assert found["edits"] == {
        "dropout": {"bounds": [0.0, 0.3]},
        "optimizer": {"keep": [2]},
        "units": {"value": 16},
    }


def test_many_ask_at_once(session, root, tree):
    message = {"type": "decide", "kind": "accept", **about(session, root, n=30)}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(session.handle, [message] * 16))
    assert len({a["child"] for a in answers}) == 1
    assert len(tree) == 2
