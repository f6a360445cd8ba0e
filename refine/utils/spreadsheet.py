"""Text cells of CSV files that a spreadsheet would run as formulas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Spreadsheets take a cell for a formula if it begins with one of = + - @, a tab or a carriage return. An
# apostrophe before it marks text. Cells that begin with apostrophes and then such a character get one more,
# so that reading back gives every text as it was.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def escaped(value: Any) -> Any:
    """A cell, with an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def unescaped(value: Any) -> Any:
    """A cell, without the apostrophe of :func:`escaped`."""
    return value[1:] if isinstance(value, str) and _ESCAPED.match(value) else value


def escaped_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its titles and text cells escaped."""
    return _mapped(table, escaped)


def unescaped_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table that :func:`escaped_table` gave, as it was."""
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
