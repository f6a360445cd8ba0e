"""Small finished studies that ship with refine: real trials, for examples and for trying a call.

``digits`` opens a whole study of two rounds; ``breast_cancer`` is a plain table of finished runs.
Neither needs a network.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from refine.tree.tree import Tree

__all__ = ["breast_cancer", "digits"]


def digits(store: str | os.PathLike[str] = ":memory:", name: str | None = None) -> Tree:
    """Opens the finished digits study: 250 small networks for handwritten digits, in two rounds.

    Every network has one hidden layer, trains on 500 of scikit-learn's digits for 15 epochs and is validated
    on 600 other digits. The metric is ``val_acc``. Some learning rates are so large that trainings diverge.
    Round ``first`` has 150 trials on the whole space; round ``second`` has 100 trials on an edited proposal.
    Both have replicates of their five best configurations.

    Args:
        store: Store to copy the study into: a file, the URL of a database, or ``":memory:"``. A store that
            holds the study already is opened.
        name: Name of the tree; by default ``digits``.

    Returns:
        The tree, with rounds tagged ``first`` and ``second``. Close it, or use it in a ``with`` block.

    Raises:
        StoreError: The store has another tree of this name, or cannot be written.

    Example:
        >>> from refine import datasets
        >>> tree = datasets.digits()
        >>> tree["first"].n, tree["second"].n
        (150, 100)
    """
    from refine.tree.tree import Tree

    with tempfile.TemporaryDirectory() as folder:
        with files(__name__).joinpath("digits.zip").open("rb") as packed, zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
        return Tree.load(folder, store=store, name=name)


def breast_cancer() -> pd.DataFrame:
    """A table of 1,800 finished runs: small Keras networks on scikit-learn's breast cancer data.

    One row is one run: nine hyperparameters, the metrics ``val_acc`` and ``val_fmeasure``, ``degenerate`` (1
    if the network predicts one class only) and ``seconds``. The configurations were drawn by a Sobol' design,
    so ``tree.add_runs(runs, value="val_acc", space_filling=True)`` tests them. Networks without hidden
    layers have no ``first_neuron`` and no ``shape``.

    Returns:
        A new DataFrame of 13 columns at each call.

    Example:
        >>> from refine import datasets
        >>> runs = datasets.breast_cancer()
        >>> runs.shape
        (1800, 13)
    """
    import pandas as pd

    with files(__name__).joinpath("breast_cancer.csv.gz").open("rb") as packed:
        return pd.read_csv(packed, compression="gzip")
