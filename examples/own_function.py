"""Your own function: a log rate, None among widths, a step of 8, a momentum only for SGD, an `or`.

python examples/own_function.py 60
"""

import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

import refine

X, y = load_digits(return_X_y=True)
space = refine.Space(
    {
        "solver": ["sgd", "adam"],
        "learning_rate_init": refine.Float(1e-4, 0.3, log=True),
        "momentum": refine.Float(0, 0.9, step=0.1, when="solver == 'sgd'"),
        "width": refine.Integer(8, 64, step=8),
        "second": [None, 8, 16, 32],
    },
    constraints=["second is None or second <= width"],
)


def digits(params):
    own = {name: value for name, value in params.items() if name not in ("width", "second")}
    widths = [n for n in (params["width"], params["second"]) if n]
    model = MLPClassifier(widths, tol=0.01, n_iter_no_change=3, random_state=0, **own)
    return cross_val_score(model, X / 16, y, cv=3).mean()


root = refine.Tree("own", store="own.db").add_round(space, digits, n=int(sys.argv[1]), seed=1)
print(root.run(workers=2).propose())
