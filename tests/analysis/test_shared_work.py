"""What is the same for every parameter is made once, and what is made faster is what it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis import evidence
from refine.stats.resolution import within_groups


@pytest.mark.parametrize("parameters", [2, 6])
def test_trials_are_sorted_once_for_all_parameters_that_read_them(monkeypatch, parameters):
    space = refine.Space({f"x{i}": (0.0, 1.0, 11) for i in range(parameters)})
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.integers(0, 11, 80) / 10 for name in space})
    frame["value"] = rng.normal(size=80)
    asked = []

    def counted(*args, once=evidence.once):
        asked.append(len(args[1]))
        return once(*args)

    monkeypatch.setattr(evidence, "once", counted)
    found = refine.analyze(space, frame)
    assert asked == [80]
    assert len(found.parameters) == parameters
    read = {name: rng.random(80) < 0.8 for name in list(space)[:1]}
    refine.analyze(space, frame, read=read)
    assert len(asked) == 3, "trials that did not read a parameter are another set"


def test_groups_by_text_are_those_by_number():
    rng = np.random.default_rng(1)
    numbers, y = rng.integers(0, 30, 90), rng.normal(size=90)
    assert within_groups(y, numbers) == within_groups(y, [f"group {9 * n % 31}" for n in numbers])


def test_choices_given_as_texts_have_the_places_of_the_same_choices_given_mixed():
    for choices in (["relu", "elu"], [1, 2, 8], [None, "a"], [True, False]):
        parameter = refine.Categorical(choices)
        texts = [*parameter.labels, "none of them", "1.0"] * 2
        one_by_one = [int(parameter.positions([text, 5])[0]) for text in texts]
        assert parameter.positions(texts).tolist() == one_by_one
