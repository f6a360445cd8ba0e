"""Which of very many trials an analysis is made on: a sample by the configurations alone, the same in every process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from refine.utils.arrays import Bools

if TYPE_CHECKING:
    import pandas as pd

MOST = 200_000
"""Trials that an analysis is made on. A rank correlation is known to 0.004 from so many, and a share of the good ones at one of
ten levels to a hundredth of itself; more of them cost time and tell nothing else."""


def sample_of(frame: pd.DataFrame, parameters: Iterable[str], most: int) -> Bools | None:
    """Rows to keep of a table of trials; ``None`` where all are.

    Whether a row is kept follows from its configuration, so that replicates stay together, results decide nothing, and a table that
    grows keeps most of its sample.

    Args:
        frame: One row per trial.
        parameters: Names of the columns that make a configuration.
        most: How many rows to keep at most.
    """
    if len(frame) <= most:
        return None
    import pandas as pd

    names = [name for name in parameters if name in frame]
    mixed = pd.util.hash_pandas_object(frame[names], index=False).to_numpy()
    # Those of the smallest numbers: as many as that for whole groups of equal configurations.
    return np.asarray(mixed < np.partition(mixed, most)[most], dtype=np.bool_)
