"""XGBoost: boosting that stops early, a number of rounds that it reports, and a log loss to minimize.

pip install xgboost
python examples/xgboost_breast_cancer.py 60
"""

import sys

import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import refine

X, y = load_breast_cancer(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)
SPACE = refine.Space(
    {
        "booster": ["gbtree", "dart"],
        "learning_rate": refine.Float(0.01, 0.5, log=True),
        "max_depth": refine.Integer(1, 8),
        "subsample": refine.Float(0.4, 1.0, step=0.1),
        "rate_drop": refine.Float(0.0, 0.3, step=0.1, when="booster == 'dart'"),
    }
)


def boosting(params, trial):
    model = xgboost.XGBClassifier(
        n_estimators=100, early_stopping_rounds=10, random_state=trial.seed % 2**31, n_jobs=1, **params
    )
    model.fit(x_train, y_train, eval_set=[(x_val, y_val)], verbose=False)
    return {"val_logloss": model.best_score, "trees": model.best_iteration + 1}


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    tree = refine.Tree("boosting", store="xgboost.db")
    goal = refine.Goal("val_logloss", "minimize")
    root = tree.add_round(SPACE, boosting, metric=goal, n=n, seed=1, note="how fast, how deep, how random")
    print(root.run(workers=2).propose())
    print(tree.winner())
