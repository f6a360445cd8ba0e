"""The surrogate behind box and residual noise: a forest whose members are asked one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.stats._common import FloatArray, matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def encode(X: ArrayLike, cardinalities: Sequence[int]) -> NDArray[np.float32]:
    """Columns as trees want them: ordered ones as they are, unordered ones one-hot.

    Args:
        X: (n, d) positions or codes.
        cardinalities: d numbers, 0 for an ordered column, k for an unordered one.

    Returns:
        (n, d') floats in the trees' own precision.

    Raises:
        AnalysisError: if shapes differ or a code is out of range.
    """
    table = matrix(X, cardinalities)
    blocks = []
    for j, k in enumerate(cardinalities):
        # Two choices need one column only.
        if k > 2:
            blocks.append(np.eye(k)[table[:, j].astype(np.int64)])
        else:
            blocks.append(table[:, j : j + 1])
    return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Members:
    """A fitted forest as its separate trees.

    Attributes:
        trees: the low-level trees, which skip the per-call checks that would cost more than
            predicting.
    """

    trees: tuple[Any, ...]

    def predict(self, features: NDArray[np.float32]) -> FloatArray:
        """Every tree's prediction.

        Args:
            features: (c, d') encoded rows.

        Returns:
            (trees, c) predictions in units of the target.
        """
        return np.stack([tree.predict(features)[:, 0] for tree in self.trees])


def fit_forest(
    features: NDArray[np.float32],
    target: FloatArray,
    weights: FloatArray | None,
    trees: int,
    seed: int,
    leaf: int = 1,
) -> Members:
    """Fit bootstrapped, extremely randomised trees.

    Source: Geurts, Ernst and Wehenkel (2006), with Breiman's bootstrap, which makes members differ.

    Args:
        features: (n, d') encoded rows.
        target: (n,) what to predict.
        weights: (n,) row weights, None for equal ones.
        trees: number of members.
        seed: of bootstrap and splits.
        leaf: fewest rows of a leaf.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(
        n_estimators=trees,
        bootstrap=True,
        min_samples_leaf=leaf,
        max_features=0.7,
        random_state=seed,
        n_jobs=1,
    )
    forest.fit(features, target, sample_weight=weights)
    members = tuple(member.tree_ for member in forest.estimators_)
    return Members(members)
