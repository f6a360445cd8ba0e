"""The small study of the pages: a perceptron on handwritten digits, a tenth of a second per trial.

Real data, which come with scikit-learn, and real trainings with a curve. Some learning rates are large enough
for trainings to diverge, on purpose. ``refine.datasets.digits`` opens the finished study.

    python docs/study.py     runs the study and writes refine/datasets/digits.zip: about a minute on two cores
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import refine

DATA = Path(__file__).parents[1] / "refine" / "datasets" / "digits.zip"

_x, _y = load_digits(return_X_y=True)
X, X_REST, Y, Y_REST = train_test_split(_x / 16, _y, train_size=500, stratify=_y, random_state=0)
X_VAL, X_TEST, Y_VAL, Y_TEST = train_test_split(
    X_REST, Y_REST, train_size=600, stratify=Y_REST, random_state=0
)

SPACE = refine.Space(
    {
        "lr": refine.Float(0.001, 3.0, levels=9, log=True),
        "units": [4, 8, 16, 32, 64],
        "l2": refine.Float(1e-5, 1.0, levels=6, log=True),
        "batch_size": [16, 32, 64, 128],
        "momentum": (0.0, 0.9, 4),
        "activation": ["relu", "tanh", "logistic"],
        "epochs": 15,
    }
)


def digits(params: Mapping[str, Any], trial: Any) -> dict[str, float]:
    """Trains one perceptron on 500 digits and measures it on 600 others.

    Args:
        params: The configuration.
        trial: The running trial: its seed, and where the curve goes.
    """
    model = MLPClassifier(
        hidden_layer_sizes=(params["units"],),
        activation=params["activation"],
        solver="sgd",
        learning_rate_init=params["lr"],
        alpha=params["l2"],
        batch_size=params["batch_size"],
        momentum=params["momentum"],
        random_state=trial.seed,
    )
    found = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # overflowing numbers: the training diverges
        for epoch in range(params["epochs"]):
            try:
                model.partial_fit(X, Y, classes=np.arange(10))
                seen, new = model.predict_proba(X), model.predict_proba(X_VAL)
            except ValueError:  # weights are NaN
                return {"val_acc": math.nan}
            found = {**_scores(seen, Y), **{f"val_{k}": v for k, v in _scores(new, Y_VAL).items()}}
            trial.report(epoch, found)
    return {**found, "degenerate": float(len(np.unique(new.argmax(axis=1))) == 1)}


def _scores(shares: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> dict[str, float]:
    right = np.clip(shares[np.arange(len(truth)), truth], 1e-12, 1.0)
    return {
        "loss": round(float(-np.log(right).mean()), 5),
        "acc": round(float((shares.argmax(axis=1) == truth).mean()), 5),
    }


def main() -> None:
    """Two rounds, replicates of the best of both, packed into refine/datasets/digits.zip."""
    os.environ["LOGNAME"] = "ada"  # who decides
    with (
        tempfile.TemporaryDirectory() as scratch,
        refine.Tree("digits", store=Path(scratch) / "digits.db") as tree,
    ):
        first = tree.add_round(
            SPACE,
            digits,
            name="digits",
            metric="val_acc",
            n=150,
            seed=4,
            note="which rates train at all, and how wide",
        )
        first.run().add(repeat=5, seeds=3).run()
        tree.tag(first, "first")
        review = first.propose(risk=0.05)
        print(review)
        print(first.checks())
        second = review.edit(units=[8, 16, 32, 64]).accept(
            "small networks are cheap: keep 8", n=100, exploit=0.3
        )
        second.run().add(repeat=5, seeds=3).run()
        tree.tag(second, "second")
        print(second.analyze(), second.propose(), tree, tree.calibration(), sep="\n\n")
        folder = Path(scratch) / "exported"
        tree.export(folder, reports=False)
        pack(folder)


def pack(folder: Path) -> None:
    """Writes an exported tree into one file, the same bytes for the same tree."""
    with zipfile.ZipFile(DATA, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != "trials.csv":  # trials.csv repeats the other files, for people
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    main()
