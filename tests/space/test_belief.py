"""Beliefs: what they say of levels, what is refused, and that they come back as they were."""

import json
import re

import numpy as np
import pytest

import refine
from refine.space.belief import Belief, belief_of, typed_belief

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-5, 1e-1, levels=9, log=True),
        "dropout": (0, 0.5, 6),
        "units": [8, 16, 32, 64],
        "optimizer": ["adam", "sgd", "rmsprop"],
        "epochs": 10,
    }
)


def test_a_bell_is_highest_at_its_centre_and_two_thirds_lie_within_its_factor():
    fine = refine.Space({"lr": refine.Float(1e-7, 1e1, levels=801, log=True)})
    belief = belief_of({"lr": refine.Near(1e-3, within_factor=10)}, fine)
    (share,) = belief.level_shares(fine)
    levels = np.array(fine["lr"].grid)
    assert levels[share.argmax()] == pytest.approx(1e-3)
    inside = share[(levels >= 1e-4) & (levels <= 1e-2)].sum()
    assert inside == pytest.approx(0.9 * 0.683 + 0.1 * 0.25, abs=0.01)  # a tenth is spread evenly
    assert share.min() > 0


def test_weights_are_probabilities_and_unnamed_choices_share_the_rest():
    shares = belief_of({"optimizer": {"adam": 0.7}, "units": {8: 0.5, 16: 0.5}}, SPACE).level_shares(SPACE)
    even = np.full(3, 0.1 / 3)
    assert shares[3] == pytest.approx(0.9 * np.array([0.7, 0.15, 0.15]) + even)
    assert shares[2] == pytest.approx([0.475, 0.475, 0.025, 0.025])
    assert shares[0] == pytest.approx(np.full(9, 1 / 9))
    assert all(s.sum() == pytest.approx(1) for s in shares)


def test_a_belief_on_a_narrower_space_keeps_its_proportions():
    belief = belief_of(
        {"optimizer": {"adam": 0.7, "sgd": 0.2}, "lr": refine.Near(1e-4, within_factor=2)}, SPACE
    )
    narrower = refine.Space(
        {"lr": refine.Float(1e-3, 1e-1, levels=5, log=True), "optimizer": ["sgd", "rmsprop"]}
    )
    assert list(belief.among(narrower)) == ["lr", "optimizer"]
    assert belief.level_shares(narrower)[0].argmax() == 0
    assert belief.level_shares(narrower)[1] == pytest.approx(0.9 * np.array([2 / 3, 1 / 3]) + 0.05)
    assert not belief.among(refine.Space({"optimizer": ["a", "b"], "momentum": (0, 1)}))


def test_a_belief_survives_json_and_its_python_code():
    beliefs = {
        "lr": refine.Near(1e-3, within_factor=3),
        "dropout": refine.Near(0.2, within=0.1),
        "units": {64: 0.6},
    }
    belief = belief_of(beliefs, SPACE)
    assert Belief.from_json(json.loads(json.dumps(belief.to_json()))) == belief
    assert belief_of(eval(belief.code(), {"refine": refine}), SPACE) == belief
    assert belief_of(belief, SPACE) == belief


@pytest.mark.parametrize(
    ("beliefs", "message"),
    [
        ({"drop": refine.Near(0.1, within=1)}, "belief: unknown parameter 'drop'; did you mean 'dropout'?"),
        ({"epochs": refine.Near(10, within=1)}, "belief: epochs: is fixed to one value"),
        ({"lr": refine.Near(3, within_factor=2)}, "lr: near 3 lies outside 1e-05 to 0.1; widen the range"),
        ({"lr": {"adam": 1}}, "lr: weights need choices, but this parameter is a range"),
        ({"lr": 0.1}, "lr: must be refine.Near(...) for numbers, or weights of choices"),
        ({"optimizer": refine.Near(1, within=1)}, "optimizer: its choices are not numbers"),
        (
            {"optimizer": {"adm": 0.5}},
            "optimizer: 'adm' is not a choice of this parameter; did you mean 'adam'?",
        ),
        ({"optimizer": {"adam": -0.5}}, "the weight of adam must be a probability from 0 to 1, got -0.5"),
        ({"optimizer": {"adam": 0.8, "sgd": 0.5}}, "must not sum to more than 1, got 1.3"),
        ({"optimizer": {"adam": 0.5, "sgd": 0.1, "rmsprop": 0.1}}, "of all choices must sum to 1, got 0.7"),
        (["lr"], "belief must map parameters to beliefs"),
    ],
)
def test_a_belief_that_breaks_a_rule_is_refused(beliefs, message):
    with pytest.raises(refine.errors.SpaceError, match=re.escape(message)):
        belief_of(beliefs, SPACE)


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (1, {}, "needs one width, a factor or a distance; for example Near(1, within_factor=3)"),
        (1, {"within": 1, "within_factor": 3}, "needs one width"),
        (1, {"within_factor": 1}, "within_factor must be > 1, got 1; 3 means from a third to three times"),
        (1, {"within": -1}, "within must be a distance > 0, got -1"),
        (1, {"within": float("nan")}, "within must be a finite number"),
        (0, {"within_factor": 3}, "a factor needs a value > 0"),
    ],
)
def test_a_bell_has_one_width(value, options, message):
    with pytest.raises(refine.errors.SpaceError, match=re.escape(message)):
        refine.Near(value, **options)


def test_typed_text_says_the_same_as_python():
    expected = {"lr": refine.Near(1e-3, within_factor=3), "optimizer": {"adam": 0.7}}
    assert typed_belief(["lr=near 1e-3 x3", "optimizer=adam:0.7"]) == expected
    typed = typed_belief(["dropout = near 0.2 +-0.1", "units=8:0.5, 16:0.2"])
    assert belief_of(typed, SPACE) == belief_of(
        {"dropout": refine.Near(0.2, within=0.1), "units": {8: 0.5, 16: 0.2}}, SPACE
    )
    assert typed_belief(["none"]) == {}


@pytest.mark.parametrize(
    "text", ["lr", "lr=near", "lr=near 1e-3 3", "lr=near x x3", "lr=near 1 x0.5", "optimizer=adam"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(refine.errors.SpaceError, match="belief: "):
        typed_belief([text])
