"""The article's experiment over four rounds: once with the published decisions, once on autopilot.

Both paths start from the same round on the article's dictionary. The published decisions are written below;
autopilot accepts every proposal. A fifth of the rows is a hold-out, measured after all rounds, so that
nothing was selected by the hold-out.

    python examples/four_rounds.py             1,800 configurations, then 200 a round: an hour on two cores
    python examples/four_rounds.py --quick     20, then 10 a round, and a twentieth of the epochs, as a short
    test

A second call resumes. Prints the table as markdown.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import refine.keras  # first, so that TensorFlow starts quietly

# isort: split
from breast_cancer import breast_cancer_model, p
from keras.losses import binary_crossentropy
from keras.optimizers import Adam, Nadam
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import refine
from refine import stats
from refine.keras import KerasObjective

# Best validation accuracy reported in the article, on the article's split.
REPORTED = (0.941, 0.960, 0.971, 0.977)


def by_people(root: refine.Round, n: int, scale: float, workers: int) -> list[refine.Round]:
    """Three more rounds with the published decisions."""

    def epochs(*counts: int) -> list[int]:
        return sorted({max(1, round(scale * count)) for count in counts})

    # A proposal can't add a parameter, so this is a branch. Earlier trials mixed two initialisers, so they
    # are no evidence for the new parameter.
    second = root.branch(
        refine.Space(
            {
                **root.space,
                "lr": (0.8, 1.2, 3),
                "batch_size": (1, 5, 5),
                "dropout": (0.0, 0.2, 3),
                "epochs": epochs(50, 100, 150),
                "losses": [binary_crossentropy],
                "kernel_initializer": ["normal", "uniform"],
            }
        ),
        note="small rates, few rows a batch, low dropout; binary cross-entropy is better at every rate; "
        "try initialisers",
        n=n,
        author="people",
    ).run(workers=workers)

    edits = {"optimizer": [Adam, Nadam], "batch_size": (1, 4), "epochs": epochs(100, 125, 150, 175)}
    third = only_edits(second.propose(), edits).accept(
        "more epochs help, RMSprop is weak at many", n=n, plan=refine.Plan(audit=0), author="people"
    )
    third.run(workers=workers)

    edits = {"batch_size": [2, 4, 26, 28, 30, 32], "epochs": epochs(100, 150, 200, 250)}
    fourth = only_edits(third.propose(), edits).accept(
        "losses of training and validation agree, accuracies don't: more epochs, and batches near 30",
        n=n,
        plan=refine.Plan(audit=0),
        author="people",
    )
    return [second, third, fourth.run(workers=workers)]


def only_edits(review: refine.Review, edits: dict[str, object]) -> refine.Review:
    """The person's edits, without other changes of the proposal."""
    others = [change.name for change in review.proposal.changes if change.name not in edits]
    return (review.reject(*others) if others else review).edit(edits)


def by_autopilot(root: refine.Round, n: int, workers: int) -> list[refine.Round]:
    """Three more rounds with unchanged proposals; a second call resumes."""
    at, left = root, 4
    while made := [child for child in at.children if child._node.author == "autopilot"]:
        at, left = made[-1], left - 1
    last = refine.autopilot(at, rounds=left, n=n, machine=refine.Machine(workers=workers))
    found = []
    while last.id != root.id:
        found.insert(0, last)
        assert last.parent is not None
        last = last.parent
    return found


def row(
    tree: refine.Tree, who: str, number: int, found: refine.Round, workers: int, sealed: int, seeds: int
) -> str:
    """The best trial of a round: observed, under new seeds, and on the hold-out."""
    found.add(repeat=3, seeds=seeds).run(machine=refine.Machine(workers=workers, progress=False))
    optimism = found.optimism()
    again = (
        f"{optimism.seeds.value:.3f} ({optimism.seeds.low:.3f} to {optimism.seeds.high:.3f})"
        if optimism.seeds
        else "-"
    )
    with warnings.catch_warnings():
        # Every opening of the hold-out after the first warns. No selection is made by these values.
        warnings.simplefilter("ignore", UserWarning)
        opening = tree.open_holdout(
            at=found, top=1, seeds=seeds, note="after all rounds", machine=refine.Machine(workers=workers)
        )
    value = float(opening.table["holdout"].iloc[0])
    interval = stats.wilson(value * sealed, sealed)
    reported = f"{REPORTED[number - 1]:.3f}" if who != "autopilot" else ""
    return (
        f"| {who} | {number} | {len(found.trials):,} | {reported} | {optimism.best:.4f} | {again} | "
        f"{value:.3f} ({float(interval.low):.3f} to {float(interval.high):.3f}) |"
    )


def main(out: Path, n: tuple[int, int], scale: float, workers: int) -> None:
    """Both paths, their reports and the table, written to the folder ``out``."""
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    x, y = load_breast_cancer(return_X_y=True)
    objective = KerasObjective(
        breast_cancer_model, x, y, val_split=0.3, preprocess=StandardScaler(), holdout=0.2
    )
    space = refine.Space.from_talos({**p, "epochs": [max(1, round(scale * e)) for e in p["epochs"]]})
    with refine.Tree("four_rounds", store=out / "four_rounds.db") as tree:
        root = tree.add_round(
            space, objective, metric="val_acc", n=n[0], seed=7, note="the article's dictionary"
        )
        root.run(workers=workers)
        paths = {
            "people": by_people(root, n[1], scale, workers),
            "autopilot": by_autopilot(root, n[1], workers),
        }
        sealed, seeds = round(0.2 * len(y)), 5 if scale == 1 else 2
        lines = [
            "| decided by | round | configurations | reported | best validation | its mean under new seeds "
            "| hold-out |",
            "|---|---:|---:|---:|---:|---:|---:|",
            row(tree, "both", 1, root, workers, sealed, seeds),
        ]
        for who, rounds in paths.items():
            lines += [row(tree, who, i, found, workers, sealed, seeds) for i, found in enumerate(rounds, 2)]
        # The article ends with its last round, although all rounds have equal values.
        print("the tree's report:", tree.report(out / "reports", winner=paths["people"][-1]))
        for found in tree.rounds:
            found.report(out / "reports")
        print(f"\n{tree}\n\n{tree.calibration()}\n")
        print("\n".join(lines))
    print(f"\n{time.perf_counter() - started:.0f} s; everything is in {out}/: four_rounds.db, reports/*.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("four-rounds-output"), help="folder for store and reports"
    )
    parser.add_argument(
        "--quick", action="store_true", help="20, then 10 configurations a round, a twentieth of the epochs"
    )
    parser.add_argument("--workers", type=int, default=2, help="how many configurations run at a time")
    arguments = parser.parse_args()
    sizes, scale = ((20, 10), 0.05) if arguments.quick else ((1800, 200), 1.0)
    main(arguments.out, sizes, scale, arguments.workers)
