"""What a decision would mean, before it is taken."""

from __future__ import annotations

import math

import pytest

import objectives
from refine.errors import DesignError, ReviewError

pytestmark = pytest.mark.slow


@pytest.fixture
def review(tree, space):
    return tree.add_round(space, objectives.bowl, n=150, seed=7).run(progress=False).propose()


def test_it_counts_what_the_table_has(review):
    edits = {"dropout": (0.0, 0.2), "lr": (0.5, 2.5), "optimizer": ["Adam", "Nadam"]}
    look = review.preview(**edits, n=60, workers=2)
    ranked = review.round.trials.sort_values("value", ascending=False, kind="stable")
    inside = look.space.contains(ranked)
    assert look.top == 15
    assert look.top_kept == inside[:15].sum()
    assert look.lost == tuple(i + 1 for i in range(10) if not inside[i])
    assert look.best == ranked["value"].iloc[0]
    assert look.best_kept == ranked["value"][inside].iloc[0]
    assert look.volume_kept == pytest.approx(review.edit(**edits).volume_kept)
    assert look.probability == pytest.approx(review.edit(**edits).claim.probability)
    assert (look.n, look.workers) == (60, 2)
    assert look.hit == pytest.approx(1 - 0.95**60)
    assert look.seconds == pytest.approx(30 * ranked["seconds"][inside].mean())


def test_nothing_is_decided_and_the_edits_so_far_count(review):
    edited = review.edit(dropout=(0.0, 0.2))
    assert edited.preview().space == edited.space
    assert edited.preview(lr=(0.5, 2.5)).space == edited.edit(lr=(0.5, 2.5)).space
    assert review.edits == {}
    assert not review.round.children
    assert not review.round.decisions


def test_throwing_the_best_away_is_said(review):
    best = review.round.best
    look = review.preview(lr=(3.0, 5.0))
    assert 1 in look.lost
    leaves = f"The best trial (value {best['value']:.4f}) leaves"
    assert leaves in str(look)
    assert leaves in str(review.edit(lr=(3.0, 5.0)))  # an edit says so by itself
    assert "The best trial (value" not in str(review.preview())
    none = review.preview(optimizer=["SGD"], lr=5.0, dropout=0.5, junk=8)
    assert math.isnan(none.best_kept)
    assert "no trial lies inside" in str(none)


def test_a_small_space_is_run_whole(review):
    look = review.preview(lr=1.5, dropout=0.0, optimizer="Adam", junk=[1, 2])
    assert look.n == look.exist == 2


def test_what_cannot_work_is_said(review):
    with pytest.raises(ReviewError, match="did you mean 'dropout'"):
        review.preview(dropuot=(0, 0.2))
    with pytest.raises(DesignError, match="n must be a whole number >= 1, got 0"):
        review.preview(n=0)
    with pytest.raises(DesignError, match="workers must be a whole number >= 1"):
        review.preview(workers=1.5)
