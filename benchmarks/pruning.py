"""What stopping trials early would have saved and cost in a round that was run to its end.

Replays a stored round, trial by trial in the order of ending, against ``refine.Pruner``: which trials would have been
stopped, after which epoch, and whether the best were among them. Same trials, same seeds, no noise between the two.

    python examples/breast_cancer.py --full --out full
    python benchmarks/pruning.py full/refine.db

Opens a copy: the store itself is not written to.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

import refine
from refine.design.pruning import Limit, best_so_far


def replayed(pruner: refine.Pruner, curves: list[list[float]]) -> list[int]:
    """After how many epochs each trial would have ended."""
    ended: list[bool] = []
    reached: list[np.ndarray] = []
    basis, limit, lengths = 0, None, []
    for series in curves:
        now = pruner.basis(ended)
        if now != basis:
            basis = now
            limit = Limit("value", 1.0, pruner.warmup, pruner.thresholds(reached[:basis]))
        race = None if limit is None else limit.race()
        behind = (e for e, v in enumerate(series[:-1], 1) if race is not None and race.behind(v))
        lengths.append(next(behind, len(series)))
        ended.append(lengths[-1] == len(series))
        reached.append(best_so_far(series[: lengths[-1]], 1.0))
    return lengths


def main(store: Path, tree: str, n: int | None) -> None:
    """A table: one row per pruner."""
    with tempfile.TemporaryDirectory() as folder:
        for file in store.parent.glob(store.name + "*"):
            shutil.copy(file, folder)
        with refine.Tree(tree, store=Path(folder) / store.name, create=False) as opened:
            found = opened.rounds[0]
            frame = found.trials
            curves = found.context.store.records([found._stored.pk], curves=True).curves
    name = found.metric.rpartition(":")[2]
    series = [c[name] for c, s in zip(curves, frame["state"], strict=True) if s == "complete"][:n]
    seconds = frame.loc[frame["state"] == "complete", "seconds"].to_numpy()[:n]
    values = frame.loc[frame["state"] == "complete", "value"].to_numpy()[:n]
    top = set(np.argsort(-values, kind="stable")[:10])
    print(f"{len(series):,} trials of round {found.id}, {name}; best {values.max():.4f}\n")
    print("| keep | warmup | stopped | epochs saved | seconds saved | best | of the best 10, finished |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for keep, warmup in ((0.5, 10), (0.5, 30), (0.75, 10), (0.25, 10), (0.25, 30)):
        lengths = replayed(refine.Pruner(keep=keep, warmup=warmup), series)
        whole = np.array([len(s) for s in series])
        share = np.array(lengths) / whole
        stopped = share < 1
        print(
            f"| {keep} | {warmup} | {stopped.mean():.0%} | {1 - sum(lengths) / whole.sum():.0%} "
            f"| {1 - (share * seconds).sum() / seconds.sum():.0%} | {values[~stopped].max():.4f} "
            f"| {sum(not stopped[i] for i in top)} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--tree", default="breast_cancer")
    parser.add_argument("--n", type=int, default=None, help="only the first so many trials")
    a = parser.parse_args()
    main(a.store, a.tree, a.n)
