"""Proposals stored by earlier versions: readable, under their own digests, and acceptable; sentences are no part of any id."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

import refine
from refine.analysis.reason import CODES
from refine.proposal.proposal import Proposal
from refine.report.pages import reasons
from refine.report.pages.proposal import claim_sentence, why

FIXTURES = Path(__file__).parents[1] / "fixtures"
STORES = sorted((FIXTURES / "stores").glob("*.sql"))


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.stem)
def test_a_proposal_of_version_1_keeps_its_digest_and_its_sentences(path):
    connection = sqlite3.connect(":memory:")
    connection.executescript(path.read_text(encoding="utf-8"))
    rows = connection.execute("SELECT digest, content FROM proposal").fetchall()
    assert rows
    for digest, text in rows:
        content = json.loads(text)
        proposal = Proposal.from_json(content)
        assert (proposal.digest, proposal.dumps()) == (digest, text)
        assert proposal.volume_kept == content["kept"]
        assert [why(c) for c in proposal.changes] == [c["reason"] for c in content["changes"]]
        again = Proposal.from_json(json.loads(json.dumps(proposal.to_json())))
        assert again.same_as(proposal)
        assert claim_sentence(proposal)


def opened(tmp_path: Path, version: str) -> refine.Tree:
    path = tmp_path / f"{version}.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((FIXTURES / "stores" / f"{version}.sql").read_text(encoding="utf-8"))
    return refine.Tree("question", store=path, create=False)


def read_back(found: refine.Round, digest: str) -> Proposal:
    return Proposal.from_json(json.loads(found.context.store.proposals(found._stored.pk)[digest]))


@pytest.mark.parametrize("version", ["version2", "version4"])
def test_a_stored_proposal_is_accepted_and_gives_the_recorded_child(tmp_path, version):
    recorded = json.loads((FIXTURES / "recorded" / f"{version}.json").read_text())["trees"]["question"][
        "rounds"
    ]
    tree = opened(tmp_path, version)
    done = 0
    for node_id, found in recorded.items():
        known = {p["digest"]: p for p in found["stored_proposals"]}
        for case in found.get("accepting", ()):
            if set(case["options"]) != {"n", "note"}:
                continue
            kept = known[case["proposal"]]
            review = tree[node_id].review(read_back(tree[node_id], kept["digest"]))
            assert review.proposal.digest == kept["digest"]
            child = review.accept(author="cat", **case["options"])
            assert child.id == case["child"]
            assert tree[node_id].decisions[-1].proposal == kept["digest"]
            done += 1
    assert done > 2


def test_accepting_again_what_an_earlier_version_accepted_writes_nothing(tmp_path):
    tree = opened(tmp_path, "version4")
    root = tree.rounds[0]
    first = next(d for d in root.decisions if d.kind == "accepted")
    count, node = len(root.decisions), tree[first.child].node
    review = root.review(read_back(root, first.proposal))
    child = review.accept(first.note, author=first.author, n=first.n, exploit=node.exploit, audit=node.audit)
    assert (child.id, len(root.decisions)) == (first.child, count)


def test_a_sentence_is_part_of_no_digest(tmp_path, monkeypatch):
    tree = opened(tmp_path, "version4")
    root = tree.rounds[0]
    before = root.propose(0.07).proposal
    assert before.to_json()["version"] == 2
    for code in CODES:
        monkeypatch.setitem(reasons._SENTENCES, code, lambda v: "Because.")
    after = root.propose(0.07).proposal
    assert set(why(after.changes[0]).split()) == {"Because."}
    assert (after.digest, after.dumps()) == (before.digest, before.dumps())


def test_every_code_has_a_sentence():
    assert set(reasons._SENTENCES) == set(CODES)
