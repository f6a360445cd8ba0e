"""Wrong uses of analyses, proposals and branches: each is refused, and nothing is decided or written."""

from __future__ import annotations

import pytest
from wrong import check, tries

import refine
from refine.errors import (
    AnalysisError,
    DesignError,
    ReviewError,
    UnknownNameError,
)

ADD = "to add a parameter: round.branch(space, previous=...)"
NUMBERS = "write (low, high), [numbers] or a number"
RISK = "it is the accepted probability of losing the best value, 0.05 for 5 %, and smaller ones can't be told from none"
TEN = "an analysis needs at least 10 finished space-filling trials inside the space, got"


def editing(*given, **named):
    return lambda place: place.review.edit(*given, **named)


def accepting(**options):
    return lambda place: place.review.accept(**options)


def with_l2(**options):
    return lambda place: place.root.branch({**place.space, "l2": [0.0, 0.01]}, n=5, **options)


REVIEWS = {
    "edit of a typo": (
        editing(drpout=(0, 0.2)),
        ReviewError,
        f"edit: unknown parameter 'drpout'; did you mean 'dropout'?; {ADD}",
    ),
    "edit of a name alone": (
        editing("dropout"),
        ReviewError,
        "edit takes parameters by name, edit(dropout=(0, 0.2)), got 'dropout'",
    ),
    "edit in the wrong order": (
        editing(dropout=(0.2, 0)),
        ReviewError,
        "edit: dropout: low must be < high, got (0.2, 0); swap them?",
    ),
    "edit of a range to None": (
        editing({"dropout": None}),
        ReviewError,
        f"edit: dropout: a range takes numbers, got None; {NUMBERS}",
    ),
    "edit of a range to text": (
        editing(dropout="0-0.2"),
        ReviewError,
        f"edit: dropout: a range takes numbers, got the text '0-0.2'; {NUMBERS}",
    ),
    "edit of a choice to bounds": (
        editing(optimizer=(0, 1)),
        ReviewError,
        "edit: optimizer: a choice has no bounds, got (0, 1); write a list of some of Adam, Nadam, SGD",
    ),
    "edit of a choice in other capitals": (
        editing(optimizer="adam"),
        ReviewError,
        "edit: optimizer: 'adam' is none of the choices; did you mean 'Adam'? else write refine.Categorical(['adam'])",
    ),
    "reject of nothing": (
        lambda p: p.review.reject(),
        ReviewError,
        "reject takes the names of parameters; to turn everything down: review.decline()",
    ),
    "reject of a typo": (
        lambda p: p.review.reject("drpout"),
        ReviewError,
        "reject: unknown parameter 'drpout'; did you mean 'dropout'?",
    ),
    "reject of a list": (
        lambda p: p.review.reject(["lr", "dropout"]),
        ReviewError,
        "reject takes names as text, reject('lr', 'dropout'), got (['lr', 'dropout'],)",
    ),
    "preview of a typo": (
        lambda p: p.review.preview(drpout=(0, 0.1)),
        ReviewError,
        f"edit: unknown parameter 'drpout'; did you mean 'dropout'?; {ADD}",
    ),
    "accept with a number first": (
        accepting(note=40),
        ReviewError,
        "a note must be text, got 40; write note='...'",
    ),
    "accept without a note": (
        accepting(note=None),
        ReviewError,
        "a note must be text, got None; write note='...'",
    ),
    "accept by a number": (
        accepting(author=3),
        ReviewError,
        "an author must be text, got 3; leave it out for the user's name",
    ),
    "accept with too large an exploit share": (
        accepting(exploit=1.5),
        ReviewError,
        "exploit must be a share >= 0 and < 1 of the configurations, got 1.5; such as exploit=0.5",
    ),
    "accept with shares that leave nothing": (
        accepting(exploit=0.6, audit=0.5),
        ReviewError,
        "exploit and audit must leave something for the space-filling design, got 0.6 and 0.5; make one smaller",
    ),
    "accept with a downsample in percent": (
        accepting(downsample=10),
        DesignError,
        "downsample must be a share > 0 and <= 1, got 10; 0.01 runs one in a hundred, n= takes a number",
    ),
    "decline with a number": (
        lambda p: p.review.decline(3),
        ReviewError,
        "a note must be text, got 3; write note='...'",
    ),
    "risk in percent": (
        lambda p: p.root.propose(risk=5),
        AnalysisError,
        f"risk must be >= 0.01 and < 1, got 5; {RISK}",
    ),
    "no risk": (
        lambda p: p.root.propose(risk=0),
        AnalysisError,
        f"risk must be >= 0.01 and < 1, got 0; {RISK}",
    ),
    "a negative epsilon": (
        lambda p: p.root.propose(epsilon=-1),
        AnalysisError,
        "epsilon must be a number >= 0 in units of the metric, got -1; left out it is what the trials can tell apart",
    ),
    "a seed as text": (
        lambda p: p.root.propose(seed="1"),
        DesignError,
        "seed must be a whole number >= 0, got '1'; such as seed=7",
    ),
    "propose before run": (
        lambda p: p.empty.propose(),
        AnalysisError,
        f"{TEN} 0 of 0 rows; run more configurations",
    ),
    "analysis of a typo": (
        lambda p: p.review.analysis["drpout"],
        UnknownNameError,
        "no evidence for parameter 'drpout'; did you mean 'dropout'?",
    ),
    "figure of a typo": (
        lambda p: p.root.plot.density("drpout"),
        UnknownNameError,
        "no evidence for parameter 'drpout'; did you mean 'dropout'?",
    ),
    "figure of a fixed parameter": (
        lambda p: p.root.plot.levels("epochs"),
        UnknownNameError,
        "no evidence for parameter 'epochs', which has one value; known: lr, dropout, optimizer",
    ),
    "branch with a typo": (
        with_l2(previous={"l_2": 0.0}),
        ReviewError,
        "previous: 'l_2' must be a parameter that this branch adds; did you mean 'l2'?",
    ),
    "branch with a value alone": (
        with_l2(previous=0.0),
        ReviewError,
        "previous maps added parameters to values, previous={'l2': 0.0}, got 0.0",
    ),
    "branch with a seed as text": (
        with_l2(seed="a"),
        DesignError,
        "seed must be a whole number, got 'a'; such as seed=7",
    ),
    "a frame proposed on": (
        lambda p: refine.propose(p.frame),
        AnalysisError,
        "propose needs an analysis, got DataFrame; refine.propose(refine.analyze(space, frame)), or round.propose()",
    ),
    "a frame of another space": (
        lambda p: refine.analyze({"lr": (5.0, 6.0), "act": ["relu"]}, p.frame, value="acc"),
        AnalysisError,
        f"{TEN} 0 of 20 rows (20 outside); run more configurations",
    ),
    "frame and space swapped": (
        lambda p: refine.analyze(p.frame, p.root.space),
        AnalysisError,
        "a frame must be a pandas DataFrame, one row per run, got Space; pd.DataFrame(rows) or pd.read_csv(path) makes one",
    ),
}


@pytest.mark.slow
@tries(REVIEWS)
def test_it_is_refused_before_anything_happens(place, wrong):
    check(place, wrong)


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
