"""A support vector machine on handwritten digits: any library, as a plain function of a configuration.

Two rounds; then the winner is measured once on rows that no round used.

    python examples/digits_sklearn.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

import refine

X, X_TEST, Y, Y_TEST = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)


def classifier(params):
    """The classifier of a configuration; ``gamma`` and ``degree`` are read only by kernels that use them."""
    options = {"C": params["C"], "kernel": params["kernel"], "shrinking": params["shrinking"]}
    if params["kernel"] != "linear":
        options["gamma"] = params["gamma"]
    if params["kernel"] == "poly":
        options["degree"] = params["degree"]
    return make_pipeline(MinMaxScaler(), SVC(**options))


def digits(params):
    """The objective: metrics of a three-fold cross-validation."""
    found = cross_validate(
        classifier(params), X, Y, cv=3, scoring=["accuracy", "f1_macro"], error_score="raise"
    )
    return {
        "accuracy": found["test_accuracy"].mean(),
        "f1_macro": found["test_f1_macro"].mean(),
        "fit_seconds": found["fit_time"].mean(),
    }


SPACE = refine.Space(
    {
        "kernel": ["linear", "poly", "rbf"],
        "C": refine.Float(0.01, 1000, levels=11, log=True),
        "gamma": refine.Float(1e-4, 10, levels=11, log=True),
        "degree": refine.Integer(2, 5),
        "shrinking": [True, False],
    }
)


def main(out: Path, n: int, workers: int) -> None:
    """Both rounds and their reports, written to the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    with refine.Tree("digits", store=out / "digits.db") as tree:
        root = tree.add_round(
            SPACE, digits, metric="accuracy", n=n, seed=7, note="which kernel, roughly where"
        )
        root.run(workers=workers)
        review = root.propose(risk=0.05)
        print(review, end="\n\n")

        child = review.accept("as proposed, half exploit trials", n=n // 2, exploit=0.5)
        child.run(workers=workers)
        print(child.analyze(), end="\n\n")
        for found in tree.rounds:
            print("report:", found.report(out / "reports"))
        print(f"\n{tree}\n")

        won = tree.winner()
        assert won is not None
        print(won, end="\n\n")
        accuracy = classifier(won.params).fit(X, Y).score(X_TEST, Y_TEST)
        print(f"expected {won.expected:.4f}; on {len(Y_TEST)} rows that no round used {accuracy:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("digits-output"), help="folder for store and reports"
    )
    parser.add_argument("-n", type=int, default=120, help="configurations of the first round")
    parser.add_argument("--workers", type=int, default=2, help="how many configurations run at a time")
    arguments = parser.parse_args()
    main(arguments.out, arguments.n, arguments.workers)
