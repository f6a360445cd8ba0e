"""Wrong uses of analyses, proposals and branches: each is refused, and nothing is decided or written."""

from __future__ import annotations

import pytest
from wrong import check

import refine


def editing(*given, **named):
    return lambda place: place.review.edit(*given, **named)


def accepting(**options):
    return lambda place: place.review.accept(**options)


def with_l2(**options):
    return lambda place: place.root.branch({**place.space, "l2": [0.0, 0.01]}, n=5, **options)


REVIEWS = {
    "edit of a typo": editing(drpout=(0, 0.2)),
    "edit of a name alone": editing("dropout"),
    "edit in the wrong order": editing(dropout=(0.2, 0)),
    "edit of a range to None": editing({"dropout": None}),
    "edit of a range to text": editing(dropout="0-0.2"),
    "edit of a choice to bounds": editing(optimizer=(0, 1)),
    "edit of a choice in other capitals": editing(optimizer="adam"),
    "reject of nothing": lambda p: p.review.reject(),
    "reject of a typo": lambda p: p.review.reject("drpout"),
    "reject of a list": lambda p: p.review.reject(["lr", "dropout"]),
    "preview of a typo": lambda p: p.review.preview(drpout=(0, 0.1)),
    "accept with a number first": accepting(note=40),
    "accept without a note": accepting(note=None),
    "accept by a number": accepting(author=3),
    "accept with too large an exploit share": accepting(exploit=1.5),
    "accept with shares that leave nothing": accepting(exploit=0.6, audit=0.5),
    "accept with a downsample in percent": accepting(downsample=10),
    "decline with a number": lambda p: p.review.decline(3),
    "risk in percent": lambda p: p.root.propose(risk=5),
    "no risk": lambda p: p.root.propose(risk=0),
    "a negative epsilon": lambda p: p.root.propose(epsilon=-1),
    "a seed as text": lambda p: p.root.propose(seed="1"),
    "propose before run": lambda p: p.empty.propose(),
    "analysis of a typo": lambda p: p.review.analysis["drpout"],
    "figure of a typo": lambda p: p.root.plot.density("drpout"),
    "figure of a fixed parameter": lambda p: p.root.plot.levels("epochs"),
    "branch with a typo": with_l2(previous={"l_2": 0.0}),
    "branch with a value alone": with_l2(previous=0.0),
    "branch with a seed as text": with_l2(seed="a"),
    "a frame proposed on": lambda p: refine.propose(p.frame),
    "a frame of another space": lambda p: refine.analyze(
        {"lr": (5.0, 6.0), "act": ["relu"]}, p.frame, value="acc"
    ),
    "frame and space swapped": lambda p: refine.analyze(p.frame, p.root.space),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REVIEWS)
def test_it_is_refused_before_anything_happens(place, name):
    check(place, __name__, name, REVIEWS[name])


def test_a_range_edited_to_two_choices_says_so(place):
    said = "dropout: a list is choices, here 0 and 0.2 alone; a range is written (0, 0.2)"
    assert said in str(place.review.edit(dropout=[0, 0.2]))
    assert "a list is choices" not in str(place.review.edit(dropout=(0, 0.2), epochs=[100, 200]))


@pytest.mark.slow
def test_accepting_twice_is_one_child(tmp_path, place):
    with refine.Tree("question", store=tmp_path / "refine.db") as tree:
        review = tree.add_round(place.space, place.objective, n=60, seed=7).run(progress=False).propose()
        first, again = review.accept(note="once", n=10), review.accept(note="once", n=10)
        assert first.id == again.id
        assert len(tree) == 2
        assert len(tree.rounds[0].decisions) == 1


@pytest.mark.parametrize("name", ["drpout", 0, None])
def test_a_name_that_is_looked_up_in_vain_is_a_key_error_too(place, name):
    with pytest.raises(KeyError):
        place.root.space[name]
    assert place.root.space.get(name) is None
    assert name not in place.root.space
