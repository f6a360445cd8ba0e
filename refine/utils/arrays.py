"""Arrays: by the kind of what they hold, for annotations, and rows of them in order; and tables of any library as those of pandas."""

from __future__ import annotations

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

_MOST_CODES = 2**62


def row_codes(X: Floats) -> Ints:
    """A whole number per row that compares with others as the rows do, by their first column first.

    Sorting these takes a fraction of the time of sorting the rows, since a parameter has few levels.

    Args:
        X: (n, d) positions or codes.

    Returns:
        (n,) numbers >= 0, equal for equal rows.
    """
    code, most = np.zeros(len(X), dtype=np.int64), 1
    for j in range(X.shape[1]):
        values = np.ascontiguousarray(X[:, j])
        levels = np.unique(values)
        if most * max(1, levels.size) > _MOST_CODES:
            known, code = np.unique(code, return_inverse=True)
            code, most = code.reshape(-1).astype(np.int64), known.size
        code = code * levels.size + np.searchsorted(levels, values)
        most *= max(1, levels.size)
    return code


def order_of(X: Floats, y: Floats) -> Ints:
    """The order of trials by their values, of equal ones by their last column, then by the one before it, and so on.

    It does not depend on the order in which they are given, but for trials that are equal in everything.

    Args:
        X: (n, d) positions or codes.
        y: (n,) values.
    """
    return np.asarray(np.lexsort((row_codes(X[:, ::-1]), y)), dtype=np.int64)


def as_pandas(frame: IntoFrame, kind: type[RefineError]) -> pd.DataFrame:
    """A table of pandas, or of any library that narwhals reads, lazy ones too, as one of pandas.

    What is missing is NaN among numbers, else ``None``; a decimal is a float.

    Args:
        frame: The table.
        kind: The error.

    Raises:
        RefineError: It is no table, or two of its columns have one name; of the kind given.
    """
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame
    import narwhals.stable.v2 as nw

    try:
        read = nw.from_native(frame)
        read = read.collect() if isinstance(read, nw.LazyFrame) else read
        columns = [
            column.cast(nw.Float64) if column.dtype == nw.Decimal else column
            for column in read.iter_columns()
        ]
    except nw.exceptions.DuplicateError:
        raise kind(
            "columns of a frame must differ in name, but two are called the same; rename one"
        ) from None
    except TypeError:
        raise kind(
            f"a frame must be a table of pandas, polars, Arrow or what else narwhals reads, one row per run, got "
            f"{type(frame).__name__}; pd.DataFrame(rows) or pd.read_csv(path) makes one"
        ) from None
    return pd.DataFrame({c.name: c.to_numpy() if c.dtype.is_numeric() else c.to_list() for c in columns})
