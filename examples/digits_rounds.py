"""Rounds on a harder task: handwritten digits from 299 rows, with validation far from saturation.

Three ways to spend the same number of trainings: all at once; in four rounds, each on the range of the
previous round's ten best trials, as people often decide; and by autopilot. Half of the rows are a hold-out,
measured at the end, so that nothing was selected by the hold-out. Keras' defaults are the baseline.

    python examples/digits_rounds.py             200 trainings a way, three splits: 15 minutes on two cores
    python examples/digits_rounds.py --quick     two rounds of 12 trainings, one split, few epochs, as a short
    test

A second call resumes. Prints the table as markdown.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import refine.keras  # first, so that TensorFlow starts quietly

# isort: split
import numpy as np
from keras import layers, models, optimizers, regularizers
from sklearn.datasets import load_digits

import refine
from refine.keras import KerasObjective, fit

OPTIMIZERS = {"adam": optimizers.Adam, "sgd": optimizers.SGD, "rmsprop": optimizers.RMSprop}


def network(x_train, y_train, x_val, y_val, params):
    """A dense network with input noise, dropout and weight decay."""
    decay = regularizers.L2(params["l2"])
    model = models.Sequential([layers.Input((x_train.shape[1],)), layers.GaussianNoise(params["noise"])])
    for _ in range(params["layers"]):
        model.add(layers.Dense(params["units"], params["activation"], kernel_regularizer=decay))
        model.add(layers.Dropout(params["dropout"]))
    model.add(layers.Dense(10, "softmax"))
    optimizer = OPTIMIZERS[params["optimizer"]](params["learning_rate"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = fit(
        model,
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        batch_size=params["batch_size"],
        epochs=params["epochs"],
        verbose=0,
    )
    return history, model


def space(epochs: int) -> refine.Space:
    """The search space."""
    return refine.Space(
        {
            "learning_rate": refine.Float(1e-4, 1e-1, levels=13, log=True),
            # Ranges may be widened; three layers of thousands of units would take minutes per training.
            "units": refine.Integer(8, 128, levels=9, log=True, within=(4, 256)),
            "layers": [1, 2, 3],
            "dropout": (0.0, 0.6, 7),
            "noise": (0.0, 0.6, 7),
            "l2": refine.Float(1e-6, 1e-1, levels=6, log=True),
            "batch_size": [8, 16, 32, 64, 128],
            "optimizer": ["adam", "sgd", "rmsprop"],
            "activation": ["relu", "elu", "tanh"],
            "epochs": epochs,
        }
    )


def by_people(root: refine.Round, rounds: int, n: int, workers: int) -> list[refine.Round]:
    """Each round searches the range of the previous round's ten best trials."""
    found = [root.run(workers=workers)]
    while len(found) < rounds:
        last = found[-1]
        best = last.trials.nlargest(10, "value")
        edits = {}
        for name in last.space.varied:
            parameter, seen = last.space[name], best[name]
            if parameter.numeric and parameter.ordered:
                if seen.min() < seen.max():
                    edits[name] = (seen.min().item(), seen.max().item())
            else:
                edits[name] = [choice for choice in parameter.grid if choice in set(seen)]
        review = last.propose().edit(edits)
        others = [change.name for change in review.proposal.changes if change.name not in edits]
        review = review.reject(*others) if others else review
        child = review.accept("what the ten best span", n=n, plan=refine.Plan(audit=0), author="people")
        found.append(child.run(workers=workers))
    return found


def by_autopilot(root: refine.Round, budget: int, workers: int) -> list[refine.Round]:
    """The remaining budget in one round of learning trials."""
    last: refine.Round | None = refine.autopilot(root, budget=budget, machine=refine.Machine(workers=workers))
    found: list[refine.Round] = []
    while last is not None:
        found.insert(0, last)
        last = last.parent
    return found


class Row(NamedTuple):
    """A round of a way to search. The winner's values are in the last row; NaN in the others.

    Attributes:
        way: Name of the way.
        number: Of the round.
        trainings: Number of trainings.
        median: Median of the space-filling trials, on validation.
        best: Best observed value, on validation.
        expected: Expected value of the winner of all rounds, on validation.
        holdout: The winner's value on the hold-out.
        gain: Expected advantage of the winner over the baseline.
    """

    way: str
    number: int
    trainings: int
    median: float
    best: float
    expected: float
    holdout: float
    gain: float


def rows_of(tree: refine.Tree, way: str, rounds: list[refine.Round], seeds: int, workers: int) -> list[Row]:
    """The quality of every round, and the winner at the end, measured on the hold-out."""
    won = tree.winner()
    assert won is not None
    opening = tree.open_holdout(seeds, note="after all rounds", machine=refine.Machine(workers=workers))
    found = []
    for number, each in enumerate(rounds, 1):
        trials = each.trials
        drawn = trials.loc[trials["origin"] == "space_filling", "value"]
        last = number == len(rounds)
        found.append(
            Row(
                way,
                number,
                len(trials),
                float(drawn.median()),
                float(trials["value"].max()),
                won.expected if last else float("nan"),
                float(opening.table["holdout"].iloc[0]) if last else float("nan"),
                won.gain.expected if last and won.gain else float("nan"),
            )
        )
    return found


def table(rows: list[Row]) -> str:
    """Means over the splits, as markdown."""
    lines = [
        "| decided by | round | trainings | median | best observed | winner, expected "
        "| beats the baseline by | winner on the hold-out |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way, number in dict.fromkeys((row.way, row.number) for row in rows):
        mine = np.array([row[2:] for row in rows if row[:2] == (way, number)])
        trainings, median, best, expected, holdout, gain = mine.mean(axis=0)
        spread = f" ({mine[:, 4].min():.3f} to {mine[:, 4].max():.3f})"
        end = np.isfinite(holdout)
        cells = [f"{expected:.3f}", f"{gain:.3f}", f"{holdout:.3f}{spread}"] if end else ["", "", ""]
        lines.append(
            f"| {way} | {number} | {trainings:.0f} | {median:.3f} | {best:.3f} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main(out: Path, rounds: int, n: int, epochs: int, splits: int, workers: int) -> None:
    """All ways on every split, and the table, written to the folder ``out``."""
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    x, y = load_digits(return_X_y=True)
    searched = space(epochs)
    baseline = {
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "batch_size": 32,
        "dropout": 0.0,
        "epochs": epochs,
    }
    baseline |= {"units": 64, "layers": 2, "activation": "relu", "noise": 0.0, "l2": 1e-6}
    ways = {
        "nobody, one round": lambda root: [root.run(workers=workers)],
        "people, what the ten best span": lambda root: by_people(root, rounds, n, workers),
        "autopilot": lambda root: by_autopilot(root, rounds * n, workers),
    }
    rows = []
    for split in range(splits):
        # Half of the rows are the hold-out, two thirds of the others validate, and 299 train.
        objective = KerasObjective(
            network, x / 16, y, val_split=2 / 3, holdout=0.5, split_seed=split, holdout_seed=0
        )
        for way, go in ways.items():
            with refine.Tree(f"{way}, split {split}", store=out / "digits_rounds.db") as tree:
                size = rounds * n if way.startswith("nobody") else n
                root = tree.add_round(
                    searched, objective, metric="val_accuracy", n=size, seed=split, baseline=baseline
                )
                rows += rows_of(tree, way, go(root), 5, workers)
                tree.report(out / "reports")
    print(table(rows))
    print(f"\n{time.perf_counter() - started:.0f} s; everything is in {out}/: digits_rounds.db, reports/*.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("digits-rounds-output"), help="folder for store and reports"
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of 12, one split, few epochs")
    parser.add_argument("--workers", type=int, default=2, help="how many trainings run at a time")
    arguments = parser.parse_args()
    sizes = (2, 12, 3, 1) if arguments.quick else (4, 50, 30, 3)
    main(arguments.out, *sizes, arguments.workers)
