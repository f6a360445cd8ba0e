"""The article's experiment: Wisconsin breast cancer, with the article's model and dictionary, in two rounds.

Round 1 draws configurations from the 180,000 of the dictionary. If parameters can be fixed without a detected
loss, the proposal is edited to fix the one that saves the most time. Round 2 runs in the new space. A second
call resumes.

    python examples/breast_cancer.py             100 + 30 configurations of 50 epochs: a minute on two cores
    python examples/breast_cancer.py --full      the article's 1,800 + 600 of 150 epochs
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Literal

import refine.keras  # first, so that TensorFlow starts quietly

# isort: split
from keras.activations import elu, relu, sigmoid
from keras.layers import Dense, Dropout, Input
from keras.losses import binary_crossentropy, log_cosh
from keras.models import Sequential
from keras.optimizers import Adam, Nadam, RMSprop
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import refine
from refine.keras import KerasObjective, fit, fmeasure, hidden_layers, lr_normalizer
from refine.report import figures
from refine.run.workers.pool import workers_kept
from refine.utils.format import percent


def breast_cancer_model(x_train, y_train, x_val, y_val, params):
    """The article's model, with today's Keras names."""
    initializer = params.get(
        "kernel_initializer", "normal"
    )  # examples/four_rounds.py adds the initializer to the space
    model = Sequential()
    model.add(Input((x_train.shape[1],)))
    model.add(Dense(10, activation=params["activation"], kernel_initializer=initializer))
    model.add(Dropout(params["dropout"]))

    hidden_layers(model, params, 1)

    model.add(Dense(1, activation=params["last_activation"], kernel_initializer=initializer))
    model.compile(
        loss=params["losses"],
        optimizer=params["optimizer"](learning_rate=lr_normalizer(params["lr"], params["optimizer"])),
        metrics=["acc", fmeasure],
    )
    history = fit(  # model.fit works here too, several times slower
        model,
        x_train,
        y_train,
        validation_data=[x_val, y_val],
        batch_size=params["batch_size"],
        epochs=params["epochs"],
        verbose=0,
    )
    return history, model


p = {
    "lr": (0.5, 5, 10),
    "first_neuron": [4, 8, 16, 32, 64],
    "hidden_layers": [0, 1, 2],
    "batch_size": (2, 30, 10),
    "epochs": [150],
    "dropout": (0, 0.5, 5),
    "weight_regulizer": [None],
    "emb_output_dims": [None],
    "shape": ["brick", "long_funnel"],
    "optimizer": [Adam, Nadam, RMSprop],
    "losses": [log_cosh, binary_crossentropy],
    "activation": [relu, elu],
    "last_activation": [sigmoid],
}


def two_rounds(root, out, n, workers):
    """Runs a round, decides on its proposal, and runs the child. Returns the child."""
    root.run(workers=workers)
    review = root.propose()
    figures.save(review.plot(), out / "decision.png")
    print(f"{review}\n\nTrials and kept ranges: {out / 'decision.png'}")

    note = "as proposed"
    if review.proposal.offers:  # fix the parameter that saves the most time, of those without a detected loss
        best = max(review.proposal.offers, key=lambda offer: offer.saving)
        saving = percent(best.saving)
        note = f"{best.name} fixed at {best.value}: no loss detected, a trial takes {saving} less time"
        review = review.edit({best.name: best.value})
    size = min(n, review.preview().left)  # a bold proposal may leave fewer configurations than planned
    # Most of the next round fills the space evenly; the remaining trials go to the best expected values.
    child = review.accept(note=note, n=size, exploit=0.3)
    print(f"Decided: {note}. The next round has {size} configurations.")
    child.run(workers=workers)
    return child


def last_screen(tree, root, child, out):
    """Prints four answers: what the study taught, what was decided, what to use, and what to do next."""
    first = root.trials["value"]
    second = child.trials["value"]
    findings = root.analyze().findings.values()
    effects = [finding.name for finding in findings if finding.verdict == "matters"]
    rounds = str(tree).partition("\n\nNext")[0]  # the calls stand under the last question
    winner = tree.winner()
    calls = winner.to_dict()["page"]["next"]
    in_python = "".join(f"{call}    in Python, as the winner advises\n" for call in calls)
    print(
        f"\n--- What did I learn?\n"
        f"Parameters with an effect: {', '.join(effects) or 'none detected'}.\n"
        f"From the first space to the second, the median trial went from {first.median():.4f} to "
        f"{second.median():.4f}, the best from {first.max():.4f} to {second.max():.4f}.\n"
        f"\n--- What was decided?\n{rounds}\n"
        f"\n--- What do I hand over?\n{winner}\n"
        f"\n--- What next?\n{in_python}"
        f"refine review {out / 'refine.db'}    to decide on the next round in a browser\n"
        f"{out / 'reports'}/*.md    to read the study, from the first round to the winner"
    )


def main(
    out: Path, n: tuple[int, int], epochs: int, workers: int, accelerate: bool | Literal["compiled"] = False
) -> None:
    """Both rounds, their reports and the tree, written to the folder ``out``."""
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    x, y = load_breast_cancer(return_X_y=True)
    # Mean 0 and standard deviation 1, by the training rows alone.
    objective = KerasObjective(
        breast_cancer_model, x, y, val_split=0.3, preprocess=StandardScaler(), accelerate=accelerate
    )

    space = refine.Space.from_talos({**p, "epochs": [epochs]})
    tree = refine.Tree("breast_cancer", store=out / "refine.db")

    root = tree.add_round(space, objective, metric="val_acc", n=n[0], seed=7, note="the article's dictionary")
    with workers_kept():  # TensorFlow starts once per worker
        child = two_rounds(root, out, n[1], workers)

    tree.report(out / "reports")
    for round_ in (root, child):
        round_.report(out / "reports")
    last_screen(tree, root, child, out)
    print(f"\n{time.perf_counter() - started:.0f} s; everything is in {out}/: refine.db, reports/*.md")
    tree.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for store and reports")
    parser.add_argument(
        "--full", action="store_true", help="1,800 and 600 configurations of 150 epochs, as in the article"
    )
    parser.add_argument("--workers", type=int, default=2, help="how many configurations run at a time")
    parser.add_argument("-n", type=int, nargs=2, default=(100, 30), help="configurations of both rounds")
    parser.add_argument("--epochs", type=int, default=50, help="of every configuration")
    arguments = parser.parse_args()
    if arguments.full:  # enough trials to pay for compiling
        main(arguments.out, (1800, 600), 150, arguments.workers, "compiled")
    else:
        main(arguments.out, tuple(arguments.n), arguments.epochs, arguments.workers)
