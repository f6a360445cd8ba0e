"""What stopping trials early saves and costs, on the document's experiment: the same permutations with and without.

Every round runs the same number of permutations of the document's dictionary, once to the end and once with
``refine.Pruner``; seeds of trials differ between the two, since a pruner is part of a round's identity, so the best
values differ by the noise of retraining as well.

    python benchmarks/pruning.py [--n 60] [--seeds 3] [--keep 0.5] [--warmup 10]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import refine.keras  # first, so that TensorFlow starts quietly

# isort: split
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import refine
from refine.keras import KerasObjective

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from breast_cancer import breast_cancer_model, p


def main(n: int, seeds: int, keep: float, warmup: int) -> None:
    """One line per seed and kind of round."""
    objective = KerasObjective(
        breast_cancer_model, *load_breast_cancer(return_X_y=True), preprocess=StandardScaler()
    )
    space = refine.Space.from_talos(p)
    pruner = refine.Pruner(keep=keep, warmup=warmup)
    rows: dict[str, list[tuple[float, float]]] = {"whole": [], "pruned": []}
    with tempfile.TemporaryDirectory() as folder, refine.Tree("pruning", store=f"{folder}/refine.db") as tree:
        # Whatever TensorFlow does once is no part of either.
        tree.add_round(space, objective, metric="val_acc", n=3, seed=999).run(progress=False)
        for seed in range(seeds):
            for kind, rule in (("whole", None), ("pruned", pruner)):
                found = tree.add_round(space, objective, metric="val_acc", n=n, seed=seed, pruner=rule)
                started = time.perf_counter()
                found.run(progress=False)
                took = time.perf_counter() - started
                best = float(found.best["value"])
                rows[kind].append((took, best))
                stopped = int((found.trials["state"] == "pruned").sum())
                print(f"seed {seed} {kind:<6} {took:6.1f} s  best {best:.4f}  {stopped} of {n} stopped")
    for kind, found in rows.items():
        times, bests = zip(*found, strict=True)
        print(f"mean   {kind:<6} {statistics.mean(times):6.1f} s  best {statistics.mean(bests):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--warmup", type=int, default=10)
    a = parser.parse_args()
    main(a.n, a.seeds, a.keep, a.warmup)
