"""Gradient boosting with a log rate, None among depths, a step, a condition and an `or` in the space.

python examples/gradient_boosting.py 60
"""

import sys

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

import refine

X, y = load_breast_cancer(return_X_y=True)
space = refine.Space(
    {
        "learning_rate": refine.Float(0.01, 0.5, log=True),
        "max_depth": [2, 3, 5, None],
        "max_leaf_nodes": refine.Integer(8, 64, step=8),
        "early_stopping": [False, True],
        "validation_fraction": refine.Float(0.05, 0.3, step=0.05, when="early_stopping"),
    },
    constraints=["max_depth is None or max_leaf_nodes <= 2 ** (max_depth + 2)"],
)


def boosting(params):
    return cross_val_score(
        HistGradientBoostingClassifier(max_iter=30, random_state=0, **params), X, y, cv=3
    ).mean()


root = refine.Tree("boosting", store="boosting.db").add_round(space, boosting, n=int(sys.argv[1]), seed=1)
root.run()
print(space, root.trials.head(), root.analyze(), root.propose(), sep="\n\n")
