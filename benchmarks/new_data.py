"""Claims about new data: grids of scikit-learn models with scores by validation row and a large second set.

    python benchmarks/new_data.py --seeds 10
    python benchmarks/new_data.py --seeds 10 --folds

Every grid is evaluated in full first, and kept under `.cache/`. Then rounds of 60 trials are drawn on it. A claim is false on the
validation rows, or on new rows, if the best inside is worse there than the best anywhere by more than epsilon. `before` knows the
mean of the validation rows alone, `after` their scores. With `--folds` a trial has the scores of five folds instead, and new rows
are predicted by a model trained on all folds. Nothing in refine was chosen on these grids.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from deterministic import TASKS
from sklearn import datasets
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import CACHE, markdown, parser, share

import refine
from refine.design.space_filling import Sobol, draw

QUIET = refine.Machine(progress=False)

RISKS = (0.05, 0.15, 0.3)
TRIALS = 60
FOLDS = 5


class Task(NamedTuple):
    """A grid of models, and the rows on which they are trained and compared."""

    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    model: Callable[..., Any]
    levels: dict[str, list[Any]]
    train: int
    validation: int
    score: str = "accuracy"  # also "log" (log likelihood) or "square" (squared error, negated)


def _drawn(kind: Callable[..., Any], **options: Any) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return partial(kind, n_samples=8000, random_state=0, **options)


def _loaded(name: str) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return partial(getattr(datasets, f"load_{name}"), return_X_y=True)


_mixed = _drawn(
    datasets.make_classification, n_features=20, n_informative=8, n_redundant=4, flip_y=0.1, n_classes=3
)
_faint = _drawn(datasets.make_classification, n_features=30, n_informative=5, class_sep=0.5, flip_y=0.2)
_moons = _drawn(datasets.make_moons, noise=0.4)
_rings = _drawn(datasets.make_circles, noise=0.2, factor=0.6)
_shells = _drawn(datasets.make_gaussian_quantiles, n_features=6, n_classes=3)
_friedman = _drawn(datasets.make_friedman1, noise=2.0)
_sparse = _drawn(datasets.make_sparse_uncorrelated, n_features=15)


def _of(name: str) -> dict[str, Any]:
    """Model and levels of a grid of the benchmark of exact values."""
    return {"model": TASKS[name].model, "levels": TASKS[name].levels}


NEW = {
    "vectors, digits": Task(_loaded("digits"), **_of("vectors, accuracy"), train=300, validation=150),
    "tree, digits": Task(_loaded("digits"), **_of("tree, accuracy"), train=400, validation=200),
    "forest, digits": Task(_loaded("digits"), **_of("forest, accuracy"), train=300, validation=150),
    "network, digits": Task(_loaded("digits"), **_of("network, accuracy"), train=300, validation=150),
    "vectors, mixed": Task(_mixed, **_of("vectors, accuracy"), train=400, validation=200),
    "neighbors, mixed": Task(_mixed, **_of("neighbors, accuracy"), train=400, validation=200),
    "boosting, faint": Task(_faint, **_of("boosting, accuracy"), train=300, validation=100),
    "linear, faint": Task(_faint, **_of("linear, accuracy"), train=150, validation=100),
    "neighbors, moons": Task(_moons, **_of("neighbors, accuracy"), train=200, validation=100),
    "vectors, rings": Task(_rings, **_of("vectors, accuracy"), train=200, validation=100),
    "tree, shells": Task(_shells, **_of("tree, accuracy"), train=400, validation=200),
    "neighbors, shells, log": Task(_shells, **_of("neighbors, log loss"), train=300, validation=100, score="log"),
    "forest, mixed, log": Task(_mixed, **_of("forest, log loss"), train=300, validation=150, score="log"),
    "kernel, friedman": Task(_friedman, **_of("kernel, R2"), train=150, validation=80, score="square"),
    "network, friedman": Task(_friedman, **_of("network, R2"), train=200, validation=100, score="square"),
    "linear, sparse": Task(_sparse, **_of("linear, R2"), train=100, validation=60, score="square"),
}  # fmt: skip


class Table(NamedTuple):
    """A grid, evaluated in full."""

    cells: pd.DataFrame
    levels: dict[str, list[Any]]
    scores: np.ndarray  # (cells, validation rows or folds) scores, larger is better
    new: np.ndarray  # (cells,) mean scores on rows that nothing was chosen on


def row_scores(task: Task, model: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) scores of a model by row, larger is better."""
    if task.score == "log":
        chance = model.predict_proba(x)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
        return np.log(np.clip(chance, 0.01, 1.0))
    if task.score == "square":
        return -((model.predict(x) - y) ** 2)
    return (model.predict(x) == y).astype(float)


@lru_cache(maxsize=2)
def table(name: str, folds: bool = False) -> Table:
    """A grid; what was evaluated before is read."""
    task = NEW[name]
    cells = pd.DataFrame(
        list(itertools.product(*task.levels.values())), columns=list(task.levels), dtype=object
    )
    path = CACHE / f"new-data-{name.replace(', ', '-')}{'-folds' * folds}.npz"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        scores, new = zip(*_evaluated(task, cells, folds), strict=True)
        np.savez_compressed(path, scores=np.array(scores), new=np.array(new))
    with np.load(path) as stored:
        return Table(cells, task.levels, stored["scores"], stored["new"])


def _evaluated(task: Task, cells: pd.DataFrame, folds: bool) -> Iterator[tuple[np.ndarray, float]]:
    """Per cell the scores by validation row, or by fold, and the mean score on new rows."""
    X, y = task.data()
    order = np.random.default_rng(1).permutation(len(y))
    train, validation = order[: task.train], order[task.train : task.train + task.validation]
    both, new = order[: task.train + task.validation], order[task.train + task.validation :][:1500]
    for cell in cells.itertuples(index=False):
        pipeline = make_pipeline(StandardScaler(), task.model(**cell._asdict()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if folds:
                split = KFold(FOLDS).split(both)
                parts = [(both[a], both[b]) for a, b in split]
                scores = [row_scores(task, pipeline.fit(X[a], y[a]), X[b], y[b]).mean() for a, b in parts]
                model = pipeline.fit(X[both], y[both])
            else:
                model = pipeline.fit(X[train], y[train])
                scores = row_scores(task, model, X[validation], y[validation])
        yield np.array(scores), float(row_scores(task, model, X[new], y[new]).mean())


class Box(NamedTuple):
    """A box that was proposed, judged on the validation rows and on new rows."""

    grid: str
    noise: str  # `DECLARED` as none, or `ESTIMATED`
    method: str
    risk: float  # the risk asked for
    stated: float  # the stated probability of a loss
    lost: bool  # on the validation rows, or on the folds
    lost_new: bool
    kept: float  # share of the cells


class Winner(NamedTuple):
    """A winner, judged on new rows."""

    observed: float
    expected: float  # on new data
    truth: float
    low: float
    high: float


BEFORE, SAME, AFTER = "before", "after, epsilon as before", "after"
DECLARED, ESTIMATED = "declared none", "estimated"


def boxes(name: str, seed: int, folds: bool) -> Iterator[Box]:
    """The boxes of one round, with and without scores by row or fold."""
    t = table(name, folds)
    space = refine.Space(t.levels)
    rows = draw(Sobol(), space, TRIALS, seed).astype(int)
    cell = np.ravel_multi_index(rows.T, [len(v) for v in t.levels.values()])
    frame = t.cells.iloc[cell].reset_index(drop=True).infer_objects()
    frame["value"] = t.scores[cell].mean(axis=1)
    if folds:
        by_fold = {f"value@{k}": t.scores[cell, k - 1] for k in range(1, FOLDS + 1)}
        scored, options = frame.assign(**by_fold), {}
    else:
        scored, options = frame, {"by_row": t.scores[cell]}
    every = t.cells.infer_objects()
    for noise, declared in ((ESTIMATED, None), (DECLARED, "none")):
        plain = refine.propose(
            refine.analyze(space, frame, refine.Goal("value", noise=declared)), risk=max(RISKS)
        )
        analysis = refine.analyze(space, scored, refine.Goal("value", noise=declared), **options)
        same = refine.propose(analysis, risk=max(RISKS), epsilon=plain.claim.epsilon)
        proposals = {BEFORE: plain, SAME: same, AFTER: refine.propose(analysis, risk=max(RISKS))}
        for method, proposal in proposals.items():
            for risk in RISKS:
                asked = proposal.at(risk)
                inside = asked.space.contains(every)
                lost, lost_new = (
                    bool(v.max() - v[inside].max() > asked.claim.epsilon)
                    for v in (t.scores.mean(axis=1), t.new)
                )
                stated = 1 - asked.claim.probability
                yield Box(name, noise, method, risk, stated, lost, lost_new, float(inside.mean()))


def winners(name: str, seed: int, folds: bool) -> Iterator[Winner]:
    """The winner of one round."""
    t = table(name, folds)
    number = {key: i for i, key in enumerate(t.cells.itertuples(index=False, name=None))}

    def objective(params: Any) -> np.ndarray:
        scores = t.scores[number[tuple(params[n] for n in t.levels)]]
        return scores.astype(bool) if set(np.unique(t.scores)) <= {0.0, 1.0} else scores

    with refine.Tree(name, store="sqlite://") as study:
        root = study.add_round(
            t.levels, objective, name=name, n=TRIALS, seed=seed, metric=refine.Goal("value", noise="none")
        )
        won = root.run(machine=QUIET)._recommend()
        if won.new_data is not None:
            truth = t.new[number[tuple(won.params[n] for n in t.levels)]]
            yield Winner(won.observed, won.new_data.value, truth, won.new_data.low, won.new_data.high)


def main() -> None:
    """Print the tables."""
    options = parser(__doc__, seeds=10)
    options.add_argument("--folds", action="store_true", help="scores of five folds instead of scores by row")
    options.add_argument("--only", nargs="*", default=list(NEW), help="names of grids")
    asked = options.parse_args()
    warnings.simplefilter("ignore")
    found, won = [], []
    for name in asked.only:
        for seed in range(asked.seeds):
            found += boxes(name, seed, asked.folds)
            won += winners(name, seed, asked.folds)
        print(f"{name}: done", file=sys.stderr, flush=True)
    frame = pd.DataFrame(found, columns=Box._fields)
    head = [
        "noise",
        "method",
        "risk",
        "stated, %",
        "lost on these rows, %",
        "lost on new rows, %",
        "space kept",
    ]
    lines = []
    for (noise, method, risk), part in frame.groupby(["noise", "method", "risk"], sort=False):
        counted = [f"{100 * part['stated'].mean():.1f}", share(part["lost"]), share(part["lost_new"])]
        lines.append((noise, method, risk, *counted, f"{part['kept'].mean():.3f}"))
    print(markdown(head, lines, texts=2) + "\n")
    held = [w.low <= w.truth <= w.high for w in won]
    spread = np.median([w.high - w.low for w in won])
    luck = np.mean([(w.observed - w.truth) / (w.high - w.low) for w in won])
    left = np.mean([(w.expected - w.truth) / (w.high - w.low) for w in won])
    print(f"Winner's interval on new data held the value on new rows in {share(held)} % of {len(won)}.")
    print(
        f"Observed - new, in widths of the interval: {luck:.2f}; expected - new: {left:.2f} (width {spread:.3g})."
    )
    by_grid = frame[frame["risk"] == RISKS[0]]
    shown = by_grid.pivot_table(
        index="grid", columns=["noise", "method"], values=["lost_new", "kept"], sort=False
    )
    print(shown.round(2).to_string())


if __name__ == "__main__":
    main()
