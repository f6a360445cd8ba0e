"""Numbers as text."""

import math

import pytest

from refine.utils.format import about_duration, bytes_text, chance_cell, chance_words, coarse, number, score


@pytest.mark.parametrize(
    ("probability", "words", "cell"),
    [
        (0.0, "at most about 1 in 20", "none"),  # of a certain claim
        (0.049, "at most about 1 in 20", "<= 1 in 20"),
        (0.05, "about 1 in 8", "1 in 8"),
        (0.15, "about 1 in 5", "1 in 5"),
        (0.35, "more than 1 in 3", "> 1 in 3"),
        (1.0, "more than 1 in 3", "> 1 in 3"),
        (math.nan, "unknown", "-"),
        (None, "unknown", "-"),
    ],
)
def test_a_model_probability_is_printed_in_one_of_four_steps_and_certainty_apart(probability, words, cell):
    assert chance_words(probability) == words
    assert chance_cell(probability) == cell


@pytest.mark.parametrize(("seconds", "text"), [(12.2, "about 12 s"), (0.004, "under 0.01 s")])
def test_a_time_too_short_to_name_is_not_called_about(seconds, text):
    assert about_duration(seconds) == text


def test_large_values_of_a_metric_show_a_difference_of_a_hundredth():
    values = 1e9, 1e9 + 0.01, -1e9 - 0.02, 999_999.01, 12_345.678, 1e20
    assert [score(v) for v in values] == [
        "1000000000",
        "1000000000.01",
        "-1000000000.02",
        "999999.01",
        "12345.68",
        "1e+20",
    ]
    assert [number(v) for v in (1e9, 1e9 + 0.1, 1_000_010)] == ["1e+09", "1000000000.1", "1000010"]
    assert coarse([1e9 + 0.03, math.nan], gap=0.0035) == ["1000000000.0300", "-"]
    assert coarse([1e9, 2e9]) == ["1000000000", "2000000000"]
    assert coarse([1e20, 1e20]) == ["1e+20", "1e+20"]


def test_small_values_of_a_metric_keep_three_digits():
    assert [score(v) for v in (0.00023, 3.14159e-6, -1e-10, 1e-15)] == [
        "0.00023",
        "3.14e-06",
        "-1e-10",
        "0.0000",
    ]
    assert coarse([1e-10, 9e-11]) == ["1e-10", "9e-11"]
    assert coarse([1e-10, 9e-11, math.inf]) == ["1e-10", "9e-11", "-"]
    assert coarse([math.nan], gap=1e-9) == ["-"]
    assert coarse([0.5, 0.5 + 1e-9]) == ["0.500000", "0.500000"]


def test_sizes_have_units_from_bytes_to_terabytes():
    sizes = 12, 4_096, 999_000_000, 2_130_000_000, 1.5e12
    assert [bytes_text(size) for size in sizes] == ["12 bytes", "4 kB", "999 MB", "2.13 GB", "1.5 TB"]
    assert [bytes_text(size) for size in (999_900, 999_900_000, 999_900_000_000)] == ["1 MB", "1 GB", "1 TB"]
