"""Plain writing as rates per folder, which may only fall."""

import plainness
import pytest

SLOW = ("tests",)  # many files: over 2 s of CPU on a slow machine


@pytest.mark.parametrize(
    "folder",
    [pytest.param(p, marks=[pytest.mark.slow] if p in SLOW else []) for p in plainness.places()],
)
def test_no_rate_of_a_folder_rises(folder):
    record = plainness.recorded()
    assert folder in record, f"{folder} is new: python tests/language/plainness.py --write records its rates"
    risen = {
        measure: f"{record[folder][measure]:g} -> {rate:g}"
        for measure, rate in plainness.rates_of(folder).items()
        if rate > record[folder][measure]
    }
    assert not risen, f"{folder}: {risen}; rewrite by the rules in CONTRIBUTING.md, or shorten the addition"


def test_each_rate_counts_its_own_pattern(tmp_path):
    (tmp_path / "module.py").write_text(
        '"""What it is that it does."""\n\n\n'
        "def total(found, values):\n"
        "    a, b = 1, 2\n"
        "    return a if found else b if values else 0\n",
        encoding="utf-8",
    )
    measured = plainness.rates_of_code(tmp_path)
    assert measured["pronouns per 1,000 docstring words"] == pytest.approx(1000 * 4 / 6, abs=0.1)
    assert measured["docstrings that open with a relative clause"] == 1
    assert measured["vague names, % of bindings"] == 25
    assert measured["nested conditional expressions"] == 1
    assert measured["parallel assignments per 1,000 statements"] == pytest.approx(1000 / 4)


def test_assertions_that_compare_prose_count_as_wording(tmp_path):
    (tmp_path / "module.py").write_text(
        'assert code == "none_left"\n'
        'assert "refine run study.db" in text\n'
        'assert text == f"{n} trials are left"\n',
        encoding="utf-8",
    )
    assert plainness.wording_rate(tmp_path) == {"assertions on wording, %": pytest.approx(33.3)}


def test_an_exempt_line_is_not_counted(tmp_path):
    (tmp_path / "module.py").write_text(
        "found = 1  # language: ok, a column of an old file\n", encoding="utf-8"
    )
    assert plainness.rates_of_code(tmp_path)["vague names, % of bindings"] == 0


def test_prose_is_measured_without_code_and_tables(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        f"# Title\n\nRun a round first.\n\n```python\nit = that\n```\n\n| {'it ' * 60} |\n", encoding="utf-8"
    )
    assert plainness.rates_of_prose([page]) == {
        "pronouns per 1,000 words": 0.0,
        "words a sentence": 4.0,
        "sentences over 30 words, %": 0.0,
        "lines over 120 columns": 0,
    }
