"""Arrays: by the kind of what they hold, for annotations, and rows of them in order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
