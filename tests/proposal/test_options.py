"""Consequences of a decision: proposals by risk next to each other, and a preview."""

import itertools
import math
from dataclasses import replace

import pytest

import refine
from refine import Float, Integer, Space
from refine.errors import DesignError, ReviewError
from refine.proposal.change import SURE
from refine.proposal.options import Option, risks_of
from refine.proposal.path import RISKS
from refine.report.pages.preview import leaves_text, risks_text
from refine.utils.format import CHANCE_STEPS
from tests.reading import facts_of

OLD = Space(
    {"lr": Float(0.1, 1.0, levels=10), "units": Integer(8, 64, levels=4, log=True), "act": ["a", "b", "c"]}
)


def option(leaves, new=(), up_to=0.15):
    space = OLD.replace(dict(new))
    return Option(
        risk=0.05,
        up_to=up_to,
        leaves=leaves,
        volume_kept=0.5,
        probability=0.9,
        top=10,
        top_kept=8,
        old=OLD,
        space=space,
    )


@pytest.mark.parametrize(
    ("leaves", "new", "text"),
    [
        ({}, {}, "nothing"),
        ({"lr": ("0.1", "1.0")}, {"lr": Float(0.2, 0.9, levels=8)}, "lr below 0.2 and above 0.9"),
        ({"lr": ("1.0",)}, {"lr": Float(0.05, 0.9, levels=8)}, "lr above 0.9 (extended: lr down to 0.05)"),
        ({}, {"units": Integer(8, 128, levels=5, log=True)}, "nothing (extended: units up to 128)"),
        ({"act": ("a",)}, {"act": refine.Categorical(["b", "c", "d"])}, "act a (extended: act by d)"),
    ],
)
def test_dropped_sides_and_widened_ends_are_named_separately(leaves, new, text):
    assert leaves_text(option(leaves, new)) == text


def test_an_option_says_which_ends_it_opens():
    assert option({}).opens == {}
    wider = option({"act": ("a",)}, {"lr": Float(0.05, 1.5, levels=8), "act": refine.Categorical(["b"])})
    assert wider.opens == {"lr": (0.05, 1.5)}
    assert wider.opens == option({}, {"lr": Float(0.05, 1.5, levels=8)}).opens


def test_risks_that_lead_to_the_same_are_one_row():
    assert risks_text(option({})) == "5 to 15 %"
    assert risks_text(option({}, up_to=0.05)) == "5 %"


def score(p):
    return 1 - (p["lr"] - 0.3) ** 2 - 0.4 * (p["act"] == "c")


def test_rows_differ_and_cover_every_risk(tree):
    round_ = tree.add_round(OLD, score, n=60, seed=1).run()
    review = round_.propose(risk=0.1, keep=False)
    options = review.options()
    spaces = [row.space for row in options.rows]
    assert all(a != b for a, b in itertools.pairwise(spaces))
    assert (options.rows[0].risk, options.rows[-1].up_to) == (min(RISKS), max(RISKS))
    assert all(a.up_to < b.risk for a, b in zip(options.rows, options.rows[1:], strict=False))
    assert options.now.space == review.proposal.space
    assert options.now.risk <= 0.1 <= options.now.up_to

    def at(risk):
        return replace(review, proposal=review.proposal.at(risk))

    for row in options.rows:
        assert at(row.risk).proposal.space == at(row.up_to).proposal.space == row.space
    # Chances in words cannot tell 3 % from 5 %, so the risk that was asked for is named.
    assert "1 in 20 (asked: 3 %)" in str(at(0.03))
    assert "(asked:" not in str(at(0.03).edit(act=["a", "b", "c"]))
    assert "(asked:" not in str(at(0.05))
    # The risk that was asked for stays listed, wherever one moves to.
    moved = at(0.3)
    assert risks_of(moved.proposal) == (0.05, 0.1, 0.15, 0.3)
    assert replace(moved.options(), chosen=0.1).rows == options.rows
    assert [row["up_to"] for row in options.to_json()] == [row.up_to for row in options.rows]


@pytest.mark.slow
def test_a_preview_counts_the_trials_of_the_table(review):
    edits = {"dropout": (0.0, 0.2), "lr": (0.5, 2.5), "optimizer": ["Adam", "Nadam"]}
    preview = review.preview(**edits, n=60, workers=2)
    ranked = review.round.trials.sort_values("value", ascending=False, kind="stable")
    inside = preview.space.contains(ranked)
    assert preview.top == 10
    assert preview.top_kept == inside[:10].sum()
    assert preview.lost == tuple(i + 1 for i in range(10) if not inside[i])
    assert preview.best == ranked["value"].iloc[0]
    assert preview.best_kept == ranked["value"][inside].iloc[0]
    assert preview.volume_kept == pytest.approx(review.proposal.old.volume_kept(preview.space))
    assert (preview.n, preview.workers) == (60, 2)
    assert preview.hit == pytest.approx(1 - 0.95**60)
    assert preview.seconds == pytest.approx(30 * ranked["seconds"][inside].mean())


@pytest.mark.slow
def test_a_preview_names_a_cut_of_the_best_trial(review):
    best = review.round.best
    decisions = review.round._decisions
    preview = review.preview(lr=(3.0, 5.0))
    assert 1 in preview.lost
    for shown in (preview, review.edit(lr=(3.0, 5.0))):  # an edit says so by itself
        assert f"({best['value']:.4f}) but " in facts_of(shown)["Kept"]
    assert 1 not in review.preview().lost
    edited = review.edit(dropout=(0.0, 0.2))  # the edits so far count
    assert edited.preview(lr=(0.5, 2.5)).space == edited.edit(lr=(0.5, 2.5)).space
    assert review.round._decisions == decisions
    empty_preview = review.preview(optimizer=["SGD"], lr=5.0, dropout=0.5, junk=7)
    assert math.isnan(empty_preview.best_kept)
    assert f"{best['value']:.4f}" in facts_of(empty_preview)["Kept"]


@pytest.mark.slow
def test_a_preview_of_a_small_space_runs_the_space_whole(review):
    preview = review.preview(lr=1.5, dropout=0.0, optimizer="Adam", junk=[1, 2])
    assert preview.n == preview.exist == 2
    with pytest.raises(ReviewError, match="did you mean 'dropout'"):
        review.preview(dropuot=(0, 0.2))
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        review.preview(n=0)
    with pytest.raises(DesignError, match="number >= 1"):
        review.preview(workers=1.5)


def test_the_mark_of_a_change_agrees_with_its_printed_chance():
    marks = {"sure": CHANCE_STEPS[0], "likely": CHANCE_STEPS[1]}
    assert {mark: step[0] for mark, step in marks.items()} == SURE
