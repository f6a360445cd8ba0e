"""The line of an error in tables, on the page of a trial and in the shell."""

import pytest

from refine.trials.trial import error_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            "Traceback (most recent call last):\n  File 'a.py', line 3\nValueError: too large\n",
            "ValueError: too large",
        ),
        ("the process of this trial died; details below\nkilled by the system\n\n", "killed by the system"),
        ("  + Exception Group Traceback\n    | KeyError: 'x'\n    +--------------", "| KeyError: 'x'"),
        ("???\n", "???"),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_the_line_of_an_error_is_its_last_one_with_words(error, line):
    assert error_line(error) == line
