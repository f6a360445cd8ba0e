"""Proposals by risk beside each other, and what their table says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

import refine
from refine import Float, Integer, Space
from refine.proposal.options import Option, Options
from refine.proposal.surrogate import MENU
from refine.report.pages.options import leaves_text, risks_text

OLD = Space(
    {"lr": Float(0.1, 1.0, levels=10), "units": Integer(8, 64, levels=4, log=True), "act": ["a", "b", "c"]}
)


def option(leaves, new=(), up_to=0.15):
    space = OLD.replace(dict(new))
    return Option(0.05, up_to, leaves, 0.5, 0.9, 10, 8, OLD, space)


@pytest.mark.parametrize(
    ("leaves", "new", "text"),
    [
        ({}, {}, "nothing"),
        ({"lr": ("0.1", "1.0")}, {"lr": Float(0.2, 0.9, levels=8)}, "lr below 0.2 and above 0.9"),
        (
            {"lr": ("0.8", "0.9", "1.0")},
            {"lr": Float(0.05, 0.7, levels=8)},
            "lr above 0.7 (widened: lr down to 0.05)",
        ),
        ({}, {"units": Integer(8, 128, levels=5, log=True)}, "nothing (widened: units up to 128)"),
        ({"act": ("a",)}, {"act": refine.Categorical(["b", "c", "d"])}, "act a (widened: act by d)"),
    ],
)
def test_what_leaves_is_a_side_and_what_is_widened_is_said_apart(leaves, new, text):
    assert leaves_text(option(leaves, new)) == text


def test_risks_that_lead_to_the_same_are_one_row():
    assert risks_text(option({})) == "5 to 15 %"
    assert risks_text(option({}, up_to=0.05)) == "5 %"


def score(p):
    return 1 - (p["lr"] - 0.3) ** 2 - 0.4 * (p["act"] == "c")


def test_rows_differ_and_cover_every_risk(tmp_path):
    with refine.Tree("options", store=tmp_path / "s.db") as tree:
        found = tree.add_round(OLD, score, n=60, seed=1).run(progress=False)
        review = found.propose(risk=0.1, keep=False)
        options = review.options()
        assert isinstance(options, Options)
        spaces = [row.space for row in options.rows]
        assert all(a != b for a, b in itertools.pairwise(spaces))
        assert (options.rows[0].risk, options.rows[-1].up_to) == (min(MENU), max(MENU))
        assert all(a.up_to < b.risk for a, b in zip(options.rows, options.rows[1:], strict=False))
        assert options.now.space == review.proposal.space
        assert options.now.risk <= 0.1 <= options.now.up_to
        for row in options.rows:
            assert review.at(row.risk).proposal.space == review.at(row.up_to).proposal.space == row.space
        # The risk that was asked for stays listed, wherever one moves to.
        moved = review.at(0.3)
        assert moved.proposal.risks == (0.01, 0.05, 0.1, 0.15, 0.3)
        assert replace(moved.options(), chosen=0.1).rows == options.rows
        assert [row["up_to"] for row in options.to_json()] == [row.up_to for row in options.rows]
