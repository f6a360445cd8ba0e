"""One value, one view: a sentence of a proposal reaches every surface that shows the proposal."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import refine
from refine.analysis.reason import Reason
from refine.proposal.alternatives import Offer
from refine.proposal.preview import Expected
from refine.proposal.proposal import Claim, on_evidence
from refine.report.markdown.rendering import rendered
from refine.report.markdown.round import _header, gather
from refine.report.pages.analysis import COUPLED, shared_facts
from refine.report.pages.headline import headline_of
from refine.report.pages.preview import kept_view
from refine.report.pages.proposal import risk_view
from refine.report.pages.review import risk_of, short_facts
from refine.review.review import edits_of
from refine.ui.web.content import decision_content
from refine.ui.web.session import Session
from refine.utils.display import as_cell
from tests.reading import facts_of, numbers_in

pytestmark = pytest.mark.slow

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}


def score(p):
    return 1 - 0.05 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - 0.1 * (p["optimizer"] == "SGD")


@pytest.fixture(scope="module")
def round_():
    with refine.Tree("views", store="sqlite://") as tree:
        yield tree.add_round(SPACE, score, n=80, seed=3).run()


@pytest.fixture(scope="module")
def review(round_):
    return round_.propose(keep=False)


def terminal(review):
    console = Console(width=300, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(review)
    return re.sub(r"\x1b\[[0-9;]*m", "", capture.get())


def report(review):
    facts = replace(gather(review.round), glance=review._page(), analysis=review.proposal.analysis)
    return rendered([*_header(facts), facts.glance])  # the glance with its folds is in the details


def review_page(review):
    """Everything that the review page writes when a round is opened and its decision is drawn."""
    session = Session(review.round, started=review)
    round_ = session.handle({"type": "round", "round": review.round.id, "risk": review.proposal.risk})
    drawn = {"round": review.round.id, "proposal": round_["review"]["proposal"]}
    decided = {"risk": review.proposal.risk, "rejected": list(edits_of(review).rejected)}
    preview = session.handle({"type": "preview", **decided, **drawn})
    return json.dumps([round_, preview], ensure_ascii=False)


SURFACES = {
    "print of the value": lambda review: str(review.proposal),
    "print of the review": str,
    "details": lambda review: str(review.why()),
    "terminal": terminal,
    "HTML": lambda review: html.unescape(review._repr_html_()),
    "report": lambda review: html.unescape(report(review)).replace("\\", ""),
    "JSON": lambda review: json.dumps(review.to_dict(), ensure_ascii=False),
    "review page": review_page,
}


@pytest.fixture(scope="module")
def changed(review):
    """The review with another claim, another reason and risk of one change, an offer and a shared fact."""
    proposal = review.proposal
    coupled = Reason("coupled", {"parameter": "lr", "q": 0.01, "partners": ["humidity"]})
    flat = Reason("flat", {"parameter": "dropout", "level": "0.1", "epsilon": 0.01, "saving": 0.4})
    proposal = replace(
        proposal,
        claim=replace(proposal.claim, epsilon=0.0321, epsilon_source="given", scope=0.0777),
        changes=tuple(
            replace(change, reasons=(coupled,), risk=0.9) if change.name == "lr" else change
            for change in proposal.changes
        ),
        offers=(Offer("dropout", 0.1, 0.4, 0.9, flat),),
    )
    analysis = replace(proposal.analysis, codes=("a", "b"))
    return replace(review, proposal=on_evidence(proposal, analysis))


@pytest.fixture(scope="module", params=SURFACES)
def texts(request, review, changed):
    """Name of a surface, and its texts of the review and of the changed review."""
    draw = SURFACES[request.param]
    return request.param, draw(review), draw(changed)


def parts(proposal):
    """The texts of all cells of the summary."""
    return {as_cell(text).text for block in proposal._page().blocks for row in block.rows for text in row}


def new_texts(review, changed, topic):
    """The paragraphs about a topic that a change of a review has added."""
    known_texts = review._page().texts(topic)
    return [text for text in changed._page().texts(topic) if text not in known_texts]


def test_every_changed_part_of_a_proposal_reaches_every_surface(review, changed, texts):
    _, before, after = texts
    changed_parts = parts(changed.proposal) - parts(review.proposal)
    for word in ("0.032", "7.8 %", "humidity", "high"):
        assert any(word in part for part in changed_parts), word
    for part in changed_parts:
        assert after.count(part) > before.count(part)


def test_evidence_claim_and_offer_reach_every_surface_that_unfolds(review, changed, texts):
    surface, _, after = texts
    (reason,) = [text for text in new_texts(review, changed, "lr") if "humidity" in text]
    claim, tolerance = new_texts(review, changed, "claim")
    (offer,) = new_texts(review, changed, "dropout")
    assert "0.032" in claim
    assert "0.032" in tolerance
    if surface in ("details", "HTML", "report", "JSON", "review page"):
        for text in (reason, claim, tolerance, offer, "review.edit(dropout=0.1)"):
            assert text in after


def test_a_shared_fact_of_an_analysis_reaches_every_surface_of_its_review(review, changed, texts):
    surface, before, after = texts
    ((_, fact),) = set(shared_facts(changed.proposal.analysis)) - set(shared_facts(review.proposal.analysis))
    assert fact.text not in before
    assert (fact.text in after) == (surface != "print of the value")


def test_the_review_page_shows_every_fact_of_the_printed_review(review):
    text = review_page(review)
    for label, cell in review._page().facts:
        if label not in ("Unchanged", ""):
            assert json.dumps(cell.text, ensure_ascii=False) in text, label
    headline = headline_of(review)
    assert headline.text in text
    assert headline.reason in text


def test_a_space_that_loses_no_value_has_no_risk(review):
    changed = [change.name for change in review.proposal.changes if change.kind != "keep"]
    unchanged = review.reject(*changed)
    risk = risk_of(unchanged)
    assert risk.chance == "none"
    assert facts_of(unchanged)["Risk"] == risk.text
    assert risk.text in review_page(unchanged)


def test_with_several_goals_every_view_is_about_points_of_the_front(tree):
    def network(p):
        return {"val_acc": 0.9 - 0.01 * (p["lr"] - 1) ** 2 + 0.001 * p["units"], "latency_ms": p["units"] / 8}

    goals = [refine.Goal("val_acc"), refine.Goal("latency_ms", "minimize")]
    space = {"lr": (0.1, 3.0, 12), "units": [8, 16, 32, 64]}
    round_ = tree.add_round(space, network, metric=goals, n=48, seed=1, name="f")
    review = round_.run().propose(keep=False)
    texts = [str(review), str(review.preview()), review_page(review)]
    kept_points = facts_of(review)["Front"]
    risk = risk_of(review)
    assert "front" in risk.loss.split()
    assert all(risk.loss in text for text in texts)
    assert re.match(r"\d+ of \d+\b", kept_points)
    assert kept_points in texts[0]
    assert kept_points in texts[2]


def test_coupled_parameters_are_in_the_printed_evidence_and_worded_as_on_the_page():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.uniform(0, 1, 150), "b": rng.uniform(0, 1, 150)})
    frame["value"] = -np.abs(frame["a"] - frame["b"]) + rng.normal(0, 0.02, 150)
    analysis = refine.analyze({"a": (0.0, 1.0, 11), "b": (0.0, 1.0, 11)}, frame)
    evidence = str(analysis.why("coupled"))
    assert COUPLED in " ".join(evidence.split())
    (row,) = next(fold for fold in analysis._page().folds if fold.about == "coupled").blocks[1].rows
    assert row[:2] == ("a", "b")
    assert float(row[3]) > 0
    script = Path(__file__).parents[2] / "frontend" / "src" / "checks.js"
    assert COUPLED in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("lost", [(1,), (1, 3), (3,), (2, 3)])
def test_a_tile_shortens_the_printed_top_trials(review, lost):
    """The best trial lost is stated without a verb; the tile has the count, so the text has none."""
    expected = Expected(low=0.71, high=0.79, inside=0.68, loss=0.1, exact=False)
    preview = replace(review.preview(), lost=lost, best=0.8, best_kept=0.7, expected=expected)
    cell, fraction, brief, _ = kept_view(preview)
    best = ["0.8000", "0.7000"] if 1 in lost else []
    values = ["0.71", "0.79", "0.68"]
    assert numbers_in(cell.text) == [*best, "10", str(len(lost)), *values]
    assert numbers_in(brief) == [*best, *values]
    assert len(brief) < len(cell.text)
    assert (fraction, cell.tone) == (f"{10 - len(lost)} of 10", "bad" if 1 in lost else "")


def test_the_top_trials_are_counted_if_fewer_than_ten_may_be_best(review):
    preview = replace(review.preview(), top=4, lost=(2, 3), expected=None)
    cell, fraction, *_ = kept_view(preview)
    assert numbers_in(cell.text) == ["4", "2", "2", "3"]
    assert fraction == "2 of 4"


def test_the_tiles_of_the_page_are_the_short_facts_of_the_review(review):
    for edited in (review, review.edit(lr=(0.5, 5.0), dropout=(0.0, 0.5)), review.edit(lr=4.0)):
        shown = decision_content(edited)
        tiles = shown["tiles"]
        short = short_facts(edited)
        assert [tile["text"] for tile in tiles] == [fact.text for fact in short]
        facts = {fact["name"]: fact["text"] for fact in shown["risks"]}
        assert [facts[tile["about"]] for tile in tiles] == [fact.full.text for fact in short]
        assert tiles[0]["number"].replace("\N{LESS-THAN OR EQUAL TO}", "<=") == short[0].number


@pytest.mark.parametrize(
    ("claim", "cuts", "chance", "loss"),
    [
        (
            Claim(0.99, 0.01, "given"),
            True,
            "<= 1 in 20",
            "that something better by over 0.01 is cut off",
        ),
        (
            Claim(0.9, 0.02, "range", data="split"),
            True,
            "1 in 8",
            "that something better by over 0.02 is cut off, on these validation rows",
        ),
        (Claim(0.99, 0.01, "given"), False, "none", "nothing is cut off"),
        (
            Claim(float("nan"), 0.02, "range"),
            True,
            "not known",
            "too few of the candidate configurations lie inside",
        ),
    ],
)
def test_a_risk_has_short_parts_without_sources(claim, cuts, chance, loss):
    view = risk_view(claim, cuts=cuts)
    assert view.chance == chance
    assert view.loss == loss
    assert view.text.startswith(view.headline)
