"""How a wrong use is tried: it is refused with just this text, and nothing was written, run or created."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from refine.errors import RefineError


class Wrong(NamedTuple):
    """One wrong use.

    Attributes:
        use: Gets the place; see ``conftest.py``.
        error: The class of error.
        text: The whole text, with the words in capitals that :meth:`Place.said` fills in.
    """

    use: object
    error: type
    text: str


def tries(table):
    """A parametrised test over a table of name -> (use, error, text)."""
    return pytest.mark.parametrize(
        "wrong", [pytest.param(Wrong(*row), id=name) for name, row in table.items()]
    )


def check(place, wrong):
    rows, files = place.rows(), place.files()
    with pytest.raises(wrong.error) as caught:
        wrong.use(place)
    assert str(caught.value) == place.said(wrong.text)
    assert type(caught.value) is wrong.error
    # Python's own error is right where Python checks: an argument that is missing or that nobody knows.
    assert isinstance(caught.value, RefineError) or wrong.error is TypeError
    assert place.rows() == rows
    assert place.files() == files
