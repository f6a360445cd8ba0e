"""Stores of every schema and exported folders open, can be accepted upon and reported, and the same calls give the same ids."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import recorded_objectives as objectives
import refine
from recorded import FIXTURES, STORES, differences, opened, recorded, store_of
from refine.proposal.proposal import Proposal
from refine.report import figures
from refine.space.space import configuration_key
from refine.ui.cli import app
from refine.utils.format import score

OBJECTIVES = {
    found.name: found
    for found in vars(objectives).values()
    if callable(found) and not isinstance(found, type) and isinstance(getattr(found, "name", None), str)
}
ROUNDS = [
    (store, tree, found, content)
    for store in STORES
    for tree, trees in recorded(store)["trees"].items()
    for found, content in trees["rounds"].items()
]
ACCEPTED = [
    case
    for case in ROUNDS
    if case[3]["accepting"] and case[0] not in ("version2", "version3", "conditional", "refuted")
]
STORED = [
    (store, tree, found, kept["risk"])
    for store, tree, found, content in ROUNDS
    if store.startswith("version")
    for kept in content["stored_proposals"]
    if not kept["decided"] or store == "version1"
]


def ids(cases):
    return ["-".join(map(str, case[:3])) for case in cases]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::refine.errors.RefineWarning")
@pytest.mark.parametrize("case", ACCEPTED, ids=ids(ACCEPTED))
def test_accepting_makes_the_same_child(case, tmp_path):
    store, tree, found, then = case
    last = then["accepting"][-1]["proposal"]
    with opened(store, tree, tmp_path) as copy:
        kept = copy[found].context.store.proposals(copy[found]._stored.pk)[last]
        review = copy[found].review(Proposal.from_json(json.loads(kept)))
        for was in [a for a in then["accepting"] if a["proposal"] == last]:
            options = {
                {"focus": "exploit", "counter": "audit"}.get(k, k): v for k, v in was["options"].items()
            }
            child = review.accept(author="cat", **options)
            assert (child.id, child.n, child.node.design_seed) == (was["child"], was["n"], was["design_seed"])
            chosen = options.get("exploit")
            if was["cells"] is not None and not chosen:
                assert [str(cell) for cell in child.cells()] == was["cells"]
            note = was["decision"]["note"]
            decision = next((d for d in copy[found].decisions if (d.child, d.note) == (child.id, note)), None)
            # Where exploit trials go, and what is forecast, is today's posterior's to say.
            today = ("digest", "proposal", "space", "edits", "created", "forecast", "interval_90")
            old = {k: v for k, v in was["decision"].items() if k not in today}
            if decision is None:  # it had been taken before, and is written once
                assert child.id in [d["child"] for d in then["decisions"]]
            else:
                assert differences(decision, old) == []
            if was["trials"] is not None and not chosen:
                child.run(objective=OBJECTIVES[child.node.objective], progress=False)
                columns = ("cell", "seed", "origin", "state", "value")
                assert (
                    differences(child.trials, [{k: row[k] for k in columns} for row in was["trials"]]) == []
                )


@pytest.mark.parametrize("case", STORED, ids=["-".join(map(str, case)) for case in STORED])
def test_a_stored_proposal_is_accepted(case, tmp_path):
    store, tree, found, risk = case
    place = str(store_of(store, tmp_path))
    done = CliRunner().invoke(
        app, ["accept", place, found, "--tree", tree, "--risk", str(risk), "-n", "6", "--author", "cat"]
    )
    assert done.exit_code == 0, done.output
    with opened(store, tree, tmp_path) as copy:
        decision = copy[found].decisions[-1]
        assert decision.author == "cat" or store == "version1"  # which had taken it already
        assert decision.child in [child.id for child in copy[found].children]


NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def telling(numbers):
    """Those of three digits and more: which others there are hangs on sentences."""
    return {
        n
        for n in (n.rstrip(",").replace(",", "") for n in numbers)
        if len(re.sub(r"\D", "", n).lstrip("0")) > 2
    }


@pytest.fixture
def no_pictures(monkeypatch):
    for name in figures.__all__:
        if not isinstance(getattr(figures, name), type):
            monkeypatch.setattr(figures, name, lambda *args, **options: None)


REPORTED = {}
for store_, tree_, round_, _ in ROUNDS:
    if store_ not in ("version2", "version3"):
        REPORTED[store_, tree_] = round_  # the last one of each


@pytest.mark.slow
@pytest.mark.parametrize("case", REPORTED, ids="-".join)
def test_reports_say_the_same_numbers(case, tmp_path, no_pictures):
    store, tree = case
    then = recorded(store)["trees"][tree]
    with opened(store, tree, tmp_path) as copy:
        for what, old in ((copy[REPORTED[case]], then["rounds"][REPORTED[case]]), (copy, then)):
            text = what.report(tmp_path / "reports").read_text(encoding="utf-8")
            missing = telling(old["report"]["numbers"]) - telling(NUMBER.findall(text))
            assert not missing - by_the_engine(then)


def by_the_engine(then):
    """Printed numbers that rest on the noise or on a posterior, which have changed: expected bests and probabilities."""
    bests = [found["optimism"]["expected"] for found in then["rounds"].values() if "optimism" in found]
    drafts = [found["proposal"]["retention"] for found in then["rounds"].values() if "proposal" in found]
    return {score(v) for v in bests if v is not None} | {f"{v:.2f}" for v in drafts if v is not None}


@pytest.mark.parametrize("name", ["three_rounds", "imported"])
def test_an_exported_folder_loads(name, tmp_path):
    with (
        opened(name, name, tmp_path) as then,
        refine.Tree.load(FIXTURES / "exported" / name, store="sqlite://") as now,
    ):
        assert [r.id for r in now.rounds] == [r.id for r in then.rounds]
        for a, b in zip(now.rounds, then.rounds, strict=True):
            pd.testing.assert_frame_equal(a.trials, b.trials)
            assert [d.digest for d in a.decisions] == [d.digest for d in b.decisions]


def test_the_same_calls_give_the_same_ids():
    then, frame = recorded("identities"), pd.read_csv(FIXTURES / "frame.csv")
    origins = frame.assign(origin=["even", "focus", "counter", "adaptive", "imported"] * 5)
    given = {
        "even=None": (frame, {}),
        "even=True": (frame, {"space_filling": True}),
        "even=False": (frame, {"space_filling": False}),
        "origin column": (origins, {}),
        "objective": (frame, {"objective": objectives.imported}),
    }
    for name, (rows, options) in given.items():
        with refine.Tree("frames", store="sqlite://") as tree:
            root = tree.add_frame(rows, value="acc", **options)
            assert (
                differences(
                    {"id": root.id, "objective": root.node.objective, "rows": root.node.rows},
                    then["frames"][name],
                )
                == []
            )
    spaces = {name: refine.Space.from_json(space["json"]) for name, space in then["spaces"].items()}
    assert {n: (s.digest, str(s.size)) for n, s in spaces.items()} == {
        n: (s["digest"], s["size"]) for n, s in then["spaces"].items()
    }
    for was in then["rounds"]:
        with refine.Tree("ids", store="sqlite://") as tree:
            if "parent" in was:
                parent = tree.add_round(spaces["small"], objectives.bowl, name="a name", n=12, seed=3)
                child = parent.branch(
                    {**spaces["small"], "l2": [0.0, 0.01]}, previous={"l2": 0.0}, n=was["n"], seed=was["seed"]
                )
                found = child
            else:
                options = dict(was["options"])
                if "degenerate" in options:
                    options["allow_degenerate"] = options.pop("degenerate")
                if isinstance(options.get("pruner"), dict):
                    options["pruner"] = refine.Pruner(**options["pruner"])
                called = objectives.bowl if "name" in options else objectives.small
                found = tree.add_round(spaces[was["space"]], called, n=was["n"], seed=was["seed"], **options)
            assert (found.id, found.node.design_seed) == (was["id"], was["design_seed"])
            assert found.node.trial_seed("0" * 16, 1) == was["trial_seed"]
            chosen = options.get("exploit")
            if was["cells"] is not None and not chosen:
                assert [str(c) for c in found.cells()[:10]] == was["cells"]
    mixed = spaces["mixed"]
    for was in then["keys of mixed"]:
        assert configuration_key(mixed.frozen(mixed.configuration(was["cell"]))) == was["key"]
