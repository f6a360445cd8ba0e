"""A child against its parent by their space-filling trials."""

import numpy as np
import pandas as pd
import pytest

from refine.analysis.population import compare_rounds, space_filling_rows, space_filling_values
from refine.errors import AnalysisError
from refine.report.pages.space import population_sentence
from tests.reading import numbers_in


def rounds(parent, child):
    return pd.DataFrame({"value": parent}), pd.DataFrame({"value": child})


def test_every_trial_is_better():
    populations = compare_rounds(*rounds([1, 2, 3, 4], [5, 6, 7, 9]), "maximize")
    comparison = populations.comparison
    assert (comparison.better, comparison.ks, comparison.n_parent, comparison.n_child) == (1, 1, 4, 4)
    assert populations[2:] == (2.5, 6.5, 4, 9)  # medians and bests
    assert populations.verdict == "better"
    back = compare_rounds(*rounds([5, 6, 7, 9], [1, 2, 3, 4]), "maximize")
    assert (back.comparison.better, back.verdict) == (0, "worse")
    assert "worse" in population_sentence(back)
    mirrored = compare_rounds(*rounds([-1, -2, -3, -4], [-5, -6, -7, -9]), "minimize")
    assert (mirrored.comparison, mirrored.verdict, mirrored.child_best, mirrored.child_median) == (
        comparison,
        "better",
        -9,
        -6.5,
    )


def test_the_sentence_names_the_population_that_is_better():
    values = np.arange(100.0)
    populations = compare_rounds(*rounds(values, values[:50] + 60), "maximize")
    text = population_sentence(populations)
    assert numbers_in(text) == ["0.84", "95", "0.77", "0.89", "0.60", "0.001"]
    assert "improved" in text


def test_only_finished_even_trials_count():
    rows = [
        (1.0, "complete", "space_filling"),
        (2.0, "complete", "space_filling"),
        (np.nan, "diverged", "space_filling"),
        (9.0, "complete", "exploit"),
        (8.0, "complete", "audit"),
        (3.0, "complete", "imported"),
        (7.0, "failed", "space_filling"),
    ]
    table = pd.DataFrame(rows, columns=["value", "state", "origin"])
    assert space_filling_rows(table).tolist() == [True, True, False, False, False, True, False]
    assert space_filling_values(table).tolist() == [1, 2, 3]
    populations = compare_rounds(table[["value"]].dropna(), table, "maximize")
    assert (populations.comparison.n_parent, populations.comparison.n_child, populations.child_best) == (
        6,
        3,
        3,
    )


def test_too_little_is_an_error():
    with pytest.raises(AnalysisError, match="got 3 and 1; run"):
        compare_rounds(*rounds([1, 2, 3], [4]), "maximize")
    with pytest.raises(AnalysisError, match="direction"):
        compare_rounds(*rounds([1, 2, 3], [4, 5]), "up")
    with pytest.raises(AnalysisError, match="needs a column 'value'; did you mean 'values'"):
        space_filling_values(pd.DataFrame({"values": [1]}))
