"""Results on the page: trials as they end with forecasts, held claims, questions and own configurations."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from pages import SPACE, score

import refine
from refine.proposal.chance import judged
from refine.report.pages.calibration import held_count_text, held_in_benchmarks, record_text
from refine.review.calibration import Calibration
from refine.ui.web.session import Session

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A round with a tag, and its child that has run."""
    with refine.Tree("question", store=tmp_path_factory.mktemp("family") / "refine.db") as tree:
        root = tree.add_round(
            SPACE, score, n=50, seed=3, tag="wide", metric=refine.Goal("value", noise="retraining")
        ).run()
        child = root.propose().accept(n=10, exploit=0.3).run()
        yield tree, root, child


@pytest.fixture
def session(family):
    return Session(family[1])


def test_rounds_are_named_by_tag_or_place(session):
    assert [r["name"] for r in session.handle({"type": "tree"})["rounds"]] == ["wide", "1.1"]


def test_a_child_is_compared_with_its_forecast_and_its_parent(session, family):
    _, root, child = family
    expected = session.handle({"type": "round", "round": child.id})["expected"]
    low, high = root._decisions[-1].forecast.interval("best", 0.9)
    assert (expected["low"], expected["high"]) == (low, high)
    assert expected["before"] == root.best["value"]
    assert expected["text"].startswith("forecast ")
    assert "parent" in expected["text"]
    first = session.handle({"type": "round", "round": root.id})["expected"]
    assert (first["text"], first["forecast"]) == ("", None)


@pytest.mark.parametrize("exploit", [0.0, 0.5])
def test_a_forecast_is_that_of_evenly_drawn_trials(family, session, exploit):
    tree, root, _ = family
    child = root.propose().accept(n=12, exploit=exploit)
    expected = session.handle({"type": "round", "round": child.id})["expected"]
    assert ("evenly" in expected["text"].split()) == (exploit > 0)
    low, high = root._decisions[-1].forecast.interval("best", 0.9)
    assert expected["forecast"]["number"] == f"{low:.4f} to {high:.4f}"
    assert ("evenly" in expected["forecast"]["text"].split()) == (exploit > 0)
    tree.delete(child)


def test_trials_are_sent_in_the_order_of_their_end(session, family):
    child = family[2]
    points = session.handle({"type": "points", "round": child.id})
    assert points["values"] == list(child.trials["value"])
    assert points["sign"] == 1


def test_changed_parameters_come_first_in_the_table_of_a_round(family):
    from refine.ui.web.outcomes import space_content

    _, root, child = family
    rows = space_content(child)
    changed = {name for name, p in child.space.items() if p != root.space[name]}
    assert {row["name"] for row in rows if row["before"]} == changed
    assert {row["name"] for row in rows[: len(changed)]} == changed


def test_the_track_record_counts_tested_claims(session, family):
    tree, root, _ = family
    track = session.handle({"type": "track", "round": root.id})
    tested = [e.refuted for e in tree.calibration().entries if e.refuted is not None]
    assert track["held"] == ""  # fewer than ten claims are no record
    assert track["text"] == record_text(tested.count(False), len(tested))
    assert track["rows"][0][:2] == [root.id, family[2].id]


@pytest.mark.parametrize(
    ("confirmed", "checked", "text"),
    [
        (0, 0, "no claim checked yet"),
        (1, 1, "1 claim checked so far: it held; too few to judge"),
        (0, 1, "1 claim checked so far: it failed; too few to judge"),
        (9, 9, "9 claims checked so far: all held; too few to judge"),
        (1, 2, "2 claims checked so far: 1 held; too few to judge"),
        (9, 10, "9 of 10 claims held"),
    ],
)
def test_a_track_record_begins_with_ten_claims(confirmed, checked, text):
    assert record_text(confirmed, checked) == text


@pytest.mark.parametrize(("confirmed", "text"), [(8, ""), (9, "9 of 10")])
def test_a_tile_counts_the_claims_that_held_from_ten_checked_claims_on(confirmed, text):
    outcomes = [True, None, *[False] * confirmed]  # a refuted claim, and one that no trial tested
    entries = tuple(SimpleNamespace(refuted=refuted) for refuted in outcomes)
    assert held_count_text(Calibration("study", entries)) == text


def test_the_share_of_claims_that_held_is_that_of_the_benchmarks():
    lost, claims = judged()[0].lost, judged()[0].claims
    text = (DOCS / "benchmarks" / "said.md").read_text(encoding="utf-8")
    row = re.search(r"^\| 0 to 0\.05 \| (\d+) \| [\d.]+ \| ([\d.]+) ", text, re.MULTILINE)
    assert int(row.group(1)) == claims
    assert 100 * lost / claims == pytest.approx(float(row.group(2)), abs=0.05)
    assert held_in_benchmarks() == f"{claims - lost} of {claims}"


def test_a_question_is_answered_and_settled(tree, root):
    n = root.n
    session = Session(root)
    request = {"round": root.id, "question": "units <= 8"}
    answer = session.handle({"type": "ask", **request})
    assert answer["title"] == "Question: units <= 8"
    assert {"Inside", "Outside", "Evidence"} <= {fact["name"] for fact in answer["facts"]}
    listed = session.handle({"type": "questions", "round": root.id, "suggest": True})
    assert [q["question"] for q in listed["asked"]] == ["units <= 8"]
    wrong = session.handle({"type": "ask", "round": root.id, "question": "unit <= 8"})
    assert "'units'" in wrong["error"]
    settled = session.handle({"type": "settle", **request})
    assert ("error" in settled) == (not answer["needed"])
    if answer["needed"]:
        assert tree[settled["round"]].n == n + answer["needed"]


def test_a_question_on_the_page_keeps_its_tolerance_and_its_second_region(root):
    session = Session(root)
    question = {"question": "units == 8", "better": "units == 16", "epsilon": 0.25}
    answer = session.handle({"type": "ask", "round": root.id, **question})
    facts = {fact["name"]: fact["text"] for fact in answer["facts"]}
    assert facts["Tolerance"].startswith("0.25")
    assert answer["epsilon"] == 0.25
    (listed,) = session.handle({"type": "questions", "round": root.id})["asked"]
    assert listed["text"].startswith(question["question"])
    assert listed["text"].endswith(question["better"])
    assert listed.items() >= question.items()


def test_a_question_on_the_page_keeps_its_tolerances_of_several_goals(tree):
    def both(p):
        return {"gain": p["x"], "cost": p["x"] ** 2 + 0.1 * p["y"]}

    goals = [refine.Goal("gain"), refine.Goal("cost", "minimize")]
    space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 5)}
    root = tree.add_round(space, both, metric=goals, n=20, seed=1, name="f").run()
    session = Session(root)
    question = {"question": "x <= 0.5", "epsilon": {"gain": 0.25, "cost": 0.5}}
    answer = session.handle({"type": "ask", "round": root.id, **question})
    assert answer["epsilon"] == question["epsilon"]
    (listed,) = session.handle({"type": "questions", "round": root.id})["asked"]
    assert listed.items() >= question.items()
    repeated = {name: listed[name] for name in ("question", "given", "better", "epsilon")}
    assert session.handle({"type": "ask", "round": root.id, **repeated})["facts"] == answer["facts"]
    wrong = session.handle({"type": "ask", "round": root.id, **question, "epsilon": {"gain": "0.1"}})
    assert "epsilon.gain" in wrong["error"]


def test_own_configurations_are_checked_before_they_run(session, family):
    root = family[1]
    start = session.handle({"type": "round", "round": root.id})["start"]
    assert start["optimizer"] == root.best["optimizer"]
    assert float(start["lr"]) == root.best["lr"]
    wrong = session.handle({"type": "add", "round": root.id, "rows": [start, {**start, "lr": "fast"}]})
    assert wrong["error"].startswith("configuration 2: lr: ")
    alone = session.handle({"type": "add", "round": root.id, "rows": [{**start, "lr": "1.23"}]})
    assert f'tree["{root.id}"].add' in alone["error"]  # a notebook's page runs nothing
