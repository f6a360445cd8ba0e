"""A small network on handwritten digits, by scikit-learn: 0.1 s a trial. Replace it with your objective."""

import warnings
from typing import Any

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=0.4, random_state=0, stratify=y)


def score(params: dict[str, Any], trial: Any) -> dict[str, float]:
    """Validation accuracy of one configuration, trained under the trial's seed."""
    model = MLPClassifier(
        (params["units"],),
        activation=params["activation"],
        learning_rate_init=params["lr"],
        alpha=params["alpha"],
        batch_size=params["batch_size"],
        max_iter=10,
        random_state=trial.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ten epochs are meant
        model.fit(x_train, y_train)
    return {"val_acc": model.score(x_val, y_val)}
