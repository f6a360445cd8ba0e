"""scikit-learn: the steps of a Pipeline, and parameters that only some steps read.

python examples/sklearn_pipeline.py 80
"""

import sys

from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import refine

X, y = load_wine(return_X_y=True)
STEPS = {
    "scale": {"no": "passthrough", "standard": StandardScaler(), "range": MinMaxScaler()},
    "reduce": {"no": "passthrough", "pca": PCA(random_state=0), "best": SelectKBest()},
    "model": {"svm": SVC(), "logistic": LogisticRegression(max_iter=2000)},
}
SPACE = refine.Space(
    {
        **{step: list(choices) for step, choices in STEPS.items()},
        # Names of Pipeline.set_params; a parameter exists if its step does.
        "reduce__n_components": refine.Integer(2, 12, step=2, when="reduce == 'pca'"),
        "reduce__k": refine.Integer(2, 12, step=2, when="reduce == 'best'"),
        "model__C": refine.Float(0.01, 100, log=True),
        "model__gamma": refine.Float(1e-3, 1, log=True, when="model == 'svm'"),
    }
)


def pipeline(params):
    chosen = {step: choices[params[step]] for step, choices in STEPS.items()}
    own = {name: value for name, value in params.items() if name not in STEPS}
    return Pipeline(list(chosen.items())).set_params(**own)


def wine(params):
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return {"accuracy": cross_val_score(pipeline(params), X, y, cv=folds).mean()}


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    tree = refine.Tree("wine", store="wine.db")
    root = tree.add_round(SPACE, wine, metric="accuracy", n=n, seed=1, note="which steps are worth having")
    print(root.run().propose())
    print(tree.winner())
