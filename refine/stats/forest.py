"""A forest with access to its individual trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.stats._common import FloatArray, matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def encode(X: ArrayLike, cardinalities: Sequence[int]) -> NDArray[np.float32]:
    """(n, d') columns as trees read them, in single precision.

    Ordered ones unchanged, unordered ones one-hot.
    """
    table = matrix(X, cardinalities)
    blocks = []
    for j, k in enumerate(cardinalities):
        # Two choices need a single column.
        if k > 2:
            blocks.append(np.eye(k)[table[:, j].astype(np.int64)])
        else:
            blocks.append(table[:, j : j + 1])
    return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Forest:
    """A fitted forest as separate low-level trees, without checks that cost more than the prediction."""

    trees: tuple[Any, ...]

    def predict(self, features: NDArray[np.float32]) -> FloatArray:
        """(trees, c) predictions of every tree for encoded rows, in units of the target."""
        return np.stack([tree.predict(features)[:, 0] for tree in self.trees])


def fit_forest(
    features: NDArray[np.float32],
    target: FloatArray,
    weights: FloatArray | None,
    trees: int,
    seed: int,
    leaf: int = 1,
) -> Forest:
    """Fit bootstrapped, extremely randomised trees to encoded rows; weights None for equal weights.

    Source: Geurts, Ernst and Wehenkel (2006), with Breiman's bootstrap to make members differ.
    """
    from sklearn import config_context
    from sklearn.tree import ExtraTreeRegressor

    # scikit-learn's ensemble clones and checks each tree, which takes longer than growing a tree on a hundred
    # rows. Its bootstrap of weighted rows has also changed between versions.
    n = features.shape[0]
    generator = np.random.RandomState(seed)
    if weights is None:
        chance = None
    else:
        chance = weights / weights.sum()
    seeds = [int(generator.randint(np.iinfo(np.int32).max)) for _ in range(trees)]
    # A new generator asks the system for randomness first, which takes longer than to seed one again.
    rng = np.random.RandomState()
    tree = ExtraTreeRegressor(min_samples_leaf=leaf, max_features=0.7, random_state=rng)
    members = []
    with config_context(skip_parameter_validation=True, assume_finite=True):
        for number in seeds:
            rng.seed(number)
            if chance is None:
                rows = rng.randint(0, n, n)
            else:
                rows = rng.choice(n, n, p=chance)
            rng.seed(number)
            tree.fit(features, target[:, None], np.bincount(rows, minlength=n), check_input=False)
            members.append(tree.tree_)
    return Forest(tuple(members))
