"""Linear algebra on one thread: sums in one order, and no threads waiting over small matrices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Runs a function with BLAS on one thread.

    With several threads, floats (and so a proposal) differ between machines, and threads wait for each other
    if other processes work.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> Any:
    """The loaded BLAS libraries; an import may load another library, so the number of modules is the key."""
    import scipy.linalg  # noqa: F401  # SciPy has a BLAS library of its own, loaded with this module
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
