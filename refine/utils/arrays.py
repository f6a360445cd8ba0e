"""Array types for annotations, order of rows, and tables of any library as pandas tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refine.errors import RefineError

if TYPE_CHECKING:
    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Column = npt.NDArray[np.generic]  # values of one kind, such as floats, or objects

_MOST_CODES = 2**62
_SCORE_STEP = 2.0**-17  # a power of two: single precision holds multiples up to 128


def objects(values: Sequence[object]) -> Column:
    """(n,) array of n values of any kind; a tuple or list stays a single value."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def row_codes(X: Floats) -> Ints:
    """A whole number per row, in the order of the rows by their first column, then the second, and so on.

    Sorting the numbers takes a fraction of the time of sorting the rows, since a parameter has few levels.

    Args:
        X: (n, d) positions or codes.

    Returns:
        (n,) numbers >= 0, equal for equal rows.
    """
    code = np.zeros(len(X), dtype=np.int64)
    count = 1
    for j in range(X.shape[1]):
        values = np.ascontiguousarray(X[:, j])
        levels = np.unique(values)
        if count * max(1, levels.size) > _MOST_CODES:
            distinct, code = np.unique(code, return_inverse=True)
            code = code.reshape(-1).astype(np.int64)
            count = distinct.size
        code = code * levels.size + np.searchsorted(levels, values)
        count *= max(1, levels.size)
    return code


def order_of(X: Floats, y: Floats) -> Ints:
    """The order of trials by value; equal values by the last column, then by the one before, and so on.

    Independent of the order of input, except for trials equal in all columns.

    Args:
        X: (n, d) positions or codes.
        y: (n,) values.
    """
    return np.asarray(np.lexsort((row_codes(X[:, ::-1]), y)), dtype=np.int64)


def rounded(values: Floats) -> Floats:
    """Numbers rounded to nine decimals, so that equal numbers compare as equal on every processor.

    The last bits of a sum depend on the width of a processor's registers, and decided between equals.
    """
    return np.asarray(np.round(values, 9) + 0.0)


def rounded_scores(scores: Floats) -> npt.NDArray[np.float32]:
    """Scores rounded to multiples of :data:`_SCORE_STEP`, as :func:`rounded` does."""
    return np.asarray(np.rint(scores / _SCORE_STEP) * _SCORE_STEP, dtype=np.float32)


def spaced_rows(total: int, count: int) -> Ints:
    """Numbers of ``count`` evenly spaced rows of a table of ``total`` rows, first and last row included."""
    return np.linspace(0, total - 1, count).round().astype(np.int64)


def as_pandas(frame: IntoFrame, kind: type[RefineError]) -> pd.DataFrame:
    """A table of pandas, or of any library that narwhals reads, lazy or not, as a pandas table.

    Missing values are NaN among numbers, else ``None``; decimals become floats.

    Args:
        frame: The table.
        kind: Class of the error.

    Raises:
        RefineError: Not a table, or two columns have one name; of class ``kind``.
    """
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame
    import narwhals.stable.v2 as nw

    try:
        read = nw.from_native(frame)
        if isinstance(read, nw.LazyFrame):
            read = read.collect()
        columns = [
            column.cast(nw.Float64) if column.dtype == nw.Decimal else column
            for column in read.iter_columns()
        ]
    except nw.exceptions.DuplicateError:
        raise kind("columns of a frame must have distinct names, got two equal ones; rename one") from None
    except TypeError:
        raise kind(
            "a frame must be a table of pandas, polars, Arrow or another library that narwhals reads, "
            f"one row per run, got {type(frame).__name__}; use pd.DataFrame(rows) or pd.read_csv(path)"
        ) from None
    return pd.DataFrame({c.name: c.to_numpy() if c.dtype.is_numeric() else c.to_list() for c in columns})
