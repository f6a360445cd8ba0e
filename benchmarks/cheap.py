"""Cheap trainings first, beside full trainings only, at the cost of 60 full trainings or another budget.

    pip install optuna torch
    python benchmarks/recorded_levels.py
    python benchmarks/cheap.py --seeds 5
    python benchmarks/cheap.py --seeds 2 --part development
    python benchmarks/cheap.py --seeds 3 --rounds 1 --methods "refine, cheap first"
    python benchmarks/cheap.py --seeds 3 --cheapest 1 --methods "refine, cheap first"
    python benchmarks/cheap.py --seeds 3 --budget 20 --methods "refine, cheap first" "refine, full only"

Truths are models of recorded trainings at three levels: epochs of small networks, shares of the data. A training at
a cheap level costs its share of a full one. `cheap` is refine with a fidelity, `full` refine without one: both type
the printed calls until the budget is spent. Optuna's TPE stops trials by Hyperband, which compares them at the three
levels; its GPSampler runs full trainings. Claims are lost if the best full value inside is worse than the best before
by more than the stated tolerance.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from recorded_levels import FAMILIES, record
from sixty import answered, level, printed_call
from surrogates import MODELS, Searched
from tables import markdown, parser, share

import refine
from refine.errors import RefineError

BUDGET = 60  # --budget
MOST_ROUNDS = 100  # --rounds
CHEAPEST = 0  # --cheapest: number of the level of cheap trials
NOISE = 0.05
PARTS = {
    "development": ("moons", "cancer", "kernel"),
    "judged": ("wine", "shares", "noisy_labels", "classification", "digits"),
}
KINDS = ("trees", "process")


def between_levels(parameter: refine.Parameter, value: float) -> float:
    """The level number of a value of an ordered parameter, between two numbers for a value between two levels."""
    grid = np.asarray(parameter.grid, dtype=float)
    if getattr(parameter, "log", False) or getattr(parameter, "base", None):
        grid, value = np.log(grid), math.log(value)
    return float(np.interp(value, grid, np.arange(len(grid))))


class Levels(Searched):
    """Models of the logarithms of recorded losses, one for every level of the fidelity."""

    def __init__(self, name: str, kind: str) -> None:
        self.of = FAMILIES[name]
        configurations, losses = record(name)
        levels = {
            key: [str(v) for v in p.grid] if p.cardinality else list(range(p.size))
            for key, p in self.of.space.items()
        }
        rows = np.array([self.row(p) for p in configurations])
        self.choices = [p.cardinality for p in self.of.space.values()]
        X = self.encoded(rows)
        self.models = [[fit(X, -np.log(column)) for fit in MODELS[kind]] for column in losses.T]
        Searched.__init__(self, name, kind, levels)
        self.relative = min(0.1, self.noise / -self.best)

    def row(self, p: dict[str, Any]) -> list[float]:
        """Level numbers of a configuration; between two numbers for the finer levels of a narrowed space."""
        return [float(self.numbers(key, [p[key]])[0]) for key in self.of.space]

    def numbers(self, key: str, values: Sequence[Any]) -> np.ndarray:
        """Level numbers of values of a parameter, as in :meth:`row`."""
        parameter = self.of.space[key]
        if parameter.cardinality:
            return np.array([parameter.index(value) for value in values])
        return np.array([between_levels(parameter, value) for value in values])

    def encoded(self, rows: np.ndarray) -> np.ndarray:
        """(n, columns) inputs of the models."""
        columns = [
            column[:, None] == np.arange(count) if count else column[:, None] / max(1, p.size - 1)
            for column, count, p in zip(rows.T, self.choices, self.of.space.values(), strict=True)
        ]
        return np.concatenate(columns, axis=1).astype(float)

    def losses(self, rows: np.ndarray, number: int) -> np.ndarray:
        """(n,) losses at a level of the fidelity, by its number."""
        X = self.encoded(rows)
        return np.exp(-np.mean([model.predict(X) for model in self.models[number]], axis=0))

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) losses at the full level, with a minus."""
        return -self.losses(np.asarray(rows), len(self.models) - 1)

    def measured(self, p: dict[str, Any], number: int, seed: int) -> float:
        """A loss at a level, with noise."""
        noise = self.relative * np.random.default_rng([seed, number]).normal()
        return float(self.losses(np.array([self.row(p)]), number)[0] * np.exp(noise))

    def best_inside(self, space: refine.Space) -> float:
        """The best mean inside a space."""
        return self.best_of([self.numbers(key, space[key].grid) for key in self.of.space])

    def regret_of(self, p: dict[str, Any]) -> float:
        """Regret of a configuration, as a share of median - best."""
        return float((self.best - self.expected(np.array([self.row(p)]))[0]) / (self.best - self.median))


@lru_cache(maxsize=2)
def opened(name: str, kind: str) -> Levels:
    """A truth, made once."""
    return Levels(name, kind)


def typed(on: Levels, seed: int, cheap: bool) -> dict[str, Any]:
    """Regret and claims of a person who types the printed calls, for at most ``MOST_ROUNDS`` rounds."""
    fidelity, levels = on.of.fidelity, on.of.levels
    space: Any = on.of.space
    if cheap:
        space = refine.Space({**space, fidelity: refine.Fidelity(levels[CHEAPEST], levels[-1])})

    def train(p: Any, trial: Any) -> dict[str, float]:
        number = levels.index(p[fidelity]) if cheap else len(levels) - 1
        return {"val_loss": on.measured({key: p[key] for key in on.of.space}, number, trial.seed)}

    reviews = []
    with refine.Tree("bench", store="sqlite://") as tree:
        round_: refine.Round | None = tree.add_round(
            space,
            train,
            metric="val_loss",
            direction="minimize",
            budget=BUDGET,
            seed=seed,
            name="recorded training",
        )
        round_.run(machine=refine.Machine(progress=False))
        while round_ is not None:
            try:
                review = round_.propose()
            except RefineError:
                break
            loss = on.best_inside(round_.space) - on.best_inside(review.space)
            bridges = review.proposal.analysis.bridges
            reviews.append(
                {
                    "changed": any(c.kind not in ("keep", "leave") for c in review.proposal.changes),
                    "kept": review.proposal.volume_kept,
                    "stated": 1 - review.proposal.claim.probability,
                    "lost": bool(loss > review.proposal.claim.epsilon + 1e-9),
                    "agreement": bridges.agreement if bridges else math.nan,
                }
            )
            if len(reviews) == MOST_ROUNDS:
                break
            round_ = answered(printed_call(review), review, tree)
        regret = on.regret_of({key: tree.winner().params[key] for key in on.of.space})
        states = [
            trial for r in tree.rounds for trial in (*r.trials["state"], *["complete"] * len(r.replicates))
        ]
    cost = sum(levels[CHEAPEST] / levels[-1] if state == "cheap" else 1.0 for state in states)
    return {"regret": regret, "cost": cost, "reviews": reviews}


def by_optuna(on: Levels, seed: int, hyperband: bool) -> dict[str, Any]:
    """Regret of Optuna: TPE with Hyperband, or the Gaussian process on full trainings."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    levels = on.of.levels
    shares = [value / levels[-1] for value in levels]
    if hyperband:
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
            study_name="bench",
        )
    else:
        study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=seed))
    cost = 0.0
    while cost <= BUDGET - 1 + 1e-9:
        trial = study.ask()
        p = {}
        for key, parameter in on.of.space.items():
            if parameter.cardinality:
                p[key] = trial.suggest_categorical(key, list(parameter.grid))
            else:
                p[key] = parameter.grid[trial.suggest_int(key, 0, parameter.size - 1)]
        stopped = False
        if hyperband:
            for number, step in enumerate((1, 3)):
                trial.report(on.measured(p, number, seed * 10_000 + trial.number), step)
                if trial.should_prune():
                    stopped = True
                    cost += shares[number]
                    break
        if stopped:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        cost += 1.0
        study.tell(trial, on.measured(p, len(levels) - 1, seed * 10_000 + trial.number))
    best = study.best_trial.params
    chosen = {
        key: best[key] if parameter.cardinality else parameter.grid[best[key]]
        for key, parameter in on.of.space.items()
    }
    return {"regret": on.regret_of(chosen), "cost": cost, "reviews": []}


METHODS: dict[str, Callable[[Levels, int], dict[str, Any]]] = {
    "refine, cheap first": lambda on, seed: typed(on, seed, cheap=True),
    "refine, full only": lambda on, seed: typed(on, seed, cheap=False),
    "Optuna TPE with Hyperband": lambda on, seed: by_optuna(on, seed, hyperband=True),
    "Optuna GPSampler, full only": lambda on, seed: by_optuna(on, seed, hyperband=False),
}


class Study(NamedTuple):
    """A finished study."""

    method: str
    truth: tuple[str, str]
    result: dict[str, Any]


def studies(part: str, seeds: range, methods: list[str], only: tuple[int, int]) -> list[Study]:
    """Studies of all truths of a part; ``only`` is the number of a share and the number of shares."""
    done = []
    tasks = [
        (name, kind, seed, m) for name in PARTS[part] for kind in KINDS for seed in seeds for m in methods
    ]
    for name, kind, seed, method in tasks[only[0] :: only[1]]:
        on = opened(name, kind)
        result = METHODS[method](on, seed)
        print(
            f"{name} {kind} {seed} {method}: {100 * result['regret']:.1f} %, cost {result['cost']:.1f}",
            flush=True,
        )
        done.append(Study(method, (name, kind), result))
    return done


def report(done: list[Study]) -> str:
    """The tables."""
    rows = []
    names = list(dict.fromkeys(s.truth[0] for s in done))
    for method in dict.fromkeys(s.method for s in done):
        of_method = [s for s in done if s.method == method]

        def typical(part: list[Study]) -> str:
            return (
                f"{math.exp(np.mean([math.log(level([s.result['regret']])) for s in part])) - 1:.1f}"
                if part
                else "-"
            )

        rows.append(
            [method, len(of_method), typical(of_method)]
            + [typical([s for s in of_method if s.truth[0] == name]) for name in names]
        )
    claims = []
    for method in dict.fromkeys(s.method for s in done):
        reviews = [r for s in done if s.method == method for r in s.result["reviews"]]
        changed = [r for r in reviews if r["changed"]]
        if changed:
            stated = f"{100 * np.mean([r['stated'] for r in changed]):.1f}"
            kept_share = f"{np.mean([r['kept'] for r in changed]):.2f}"
            lost = share([r["lost"] for r in changed])
            claims.append([method, len(reviews), len(changed), kept_share, stated, lost])
    return "\n\n".join(
        [
            markdown(["regret, %", "studies", "all", *names], rows),
            markdown(["claims", "rounds", "that propose", "space kept", "stated, %", "lost, %"], claims),
        ]
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=5, first=0)
    options.add_argument("--part", default="judged", choices=list(PARTS))
    options.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    options.add_argument(
        "--share", nargs=2, type=int, default=(0, 1), metavar=("I", "N"), help="every n-th study"
    )
    options.add_argument("--rounds", type=int, default=MOST_ROUNDS, help="most rounds of refine in a study")
    options.add_argument("--cheapest", type=int, default=0, help="number of the level of cheap trials")
    options.add_argument("--budget", type=int, default=60, help="full trainings of a study")
    a = options.parse_args()
    MOST_ROUNDS, CHEAPEST, BUDGET = a.rounds, a.cheapest, a.budget
    finished = studies(a.part, range(a.first, a.first + a.seeds), a.methods, tuple(a.share))
    print(f"\n{report(finished)}")
