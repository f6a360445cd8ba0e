"""Escapes for text cells of CSV files that a spreadsheet would run as formulas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# A spreadsheet runs a cell as a formula if the cell begins with = + - @, a tab or a carriage return. A
# leading apostrophe marks text. A cell with apostrophes before such a character gets one more, so that
# reading restores
# the original text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def escaped(value: object) -> Any:
    """A cell; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value


def unescaped(value: object) -> Any:
    """A cell, without the apostrophe of :func:`escaped`."""
    if isinstance(value, str) and _ESCAPED.match(value):
        return value[1:]
    return value


def escaped_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table with escaped titles and text cells."""
    return _mapped(table, escaped)


def unescaped_table(table: pd.DataFrame) -> pd.DataFrame:
    """The original of a table from :func:`escaped_table`."""
    return _mapped(table, unescaped)


def _mapped(table: pd.DataFrame, function: Any) -> pd.DataFrame:
    changed = {}
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        if column.dtype.kind not in "biufcmM":
            cells = column.map(function, na_action="ignore")
            if not cells.equals(column):
                changed[name] = cells
    return table.assign(**changed).rename(columns=function)
