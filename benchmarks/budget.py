"""Autopilot with a budget beside automatic searches by others, read after 15 to 60 evaluations.

    pip install scikit-learn pyarrow optuna torch smac cmaes confopt
    python benchmarks/budget.py --seeds 3
    python benchmarks/budget.py --seeds 3 --families functions trees process mixed network --tables FOLDER
    python benchmarks/budget.py --seeds 10 --methods SMAC3 CatCMA confopt --families functions pipelines failing

A first round of ten space-filling trials, then a budget that grows to each of `AT`. Regret is that of what is handed
over, as a share of (best - median): refine's winner, and the best observed value of the others.

- Functions are smooth. Trees, processes, networks and mixtures of trees and a process are fitted to recorded tables.
- Pipelines have conditional parameters. A quarter of the cells of `failing` functions fail, near the best ones.
- Truths of `mlp`, `fcnet` and `nb201` are recorded grids, with the noise of repeated trainings.
- The noise of the other truths goes in turn through `--noise`, from seed to seed; it begins anywhere.
- `--develop` shows truths for choosing: earlier tasks, and other functions and seeds.

Finished runs are kept under `.cache/`, so a second call resumes. `--minutes` ends the runs; what is there is shown.
"""

from __future__ import annotations

import copy
import os
import time
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from boxes import digest
from grids import FAMILIES, Grid, grid, names
from peers import PEERS, run
from sixty import level, ratio, typical
from surrogates import (
    FAILING,
    FUNCTIONS,
    KINDS,
    NOISE,
    PIPELINE,
    failing,
    functions,
    last,
    pipeline,
    random_function,
    surrogate,
)
from tables import kept, known_by, markdown, parser, share

import refine

QUIET = refine.Machine(progress=False)

AT = (15, 20, 30, 45, 60)
"""Evaluations after which regret is read; *anytime* is the mean over them."""
LATER = (100, 150)
"""Evaluations after which regret is read as well if `--most` allows."""
FIRST = 10
OURS = "refine, autopilot"
ANYTIME = "anytime"
SEARCH = ("tree/autopilot.py", "tree/learning.py")
SOURCES = (*SEARCH, "analysis/*.py", "design/*.py", "proposal/*.py", "stats/*.py")
RIVALS = ("Optuna GPSampler", "Optuna TPE")
"""The better of these two by kind of truth is the rival of the aims."""
QUICK = (OURS, *RIVALS, "random search")
WANTED = {ANYTIME: 0.85, "30": 0.9, "60": 0.8}
"""Point of reading -> the most regret that is wanted, as a multiple of the better rival's."""
WANTED_CONDITIONAL = 0.7  # the same for pipelines, as a multiple of TPE's
HIGH, LITTLE = (
    0.05,
    0.02,
)  # a search stalls above this regret, with less than this gained by 30 more evaluations
NOISES = (0.0, NOISE, 0.1)
"""Standard deviations of the noise, as shares of best - median."""
UNSEEN = 20  # number of the first function and pipeline that nobody chose by
DEVELOPED_SEED = 100  # first seed for choosing
FAMILY_NAMES = (FUNCTIONS, *KINDS, PIPELINE, FAILING, *FAMILIES)

Table = tuple[str, str]
"""(kind of truth, name)."""
Tables = dict[Table, Callable[[], Grid]]
"""Table -> what opens it."""
Runs = dict[str, dict[Table, dict[int, dict[str, float]]]]
"""Method -> table -> seed -> evaluations -> regret."""


def by_refine(on: Grid, seed: int, most: int) -> dict[str, float]:
    """Evaluations -> regret of the winner of a tree on autopilot, whose budget grows."""
    regret = {}
    with refine.Tree("bench", store="sqlite://") as tree:
        first = tree.add_round(on.space, on.objective, n=FIRST, seed=seed, name="recorded training")
        for budget in budgets(most):
            refine.autopilot(first, budget=budget, machine=QUIET)
            ran = sum(len(r.trials) + len(r.replicates) for r in tree.rounds)
            assert ran <= budget, f"{ran} evaluations of {budget}"
            regret[str(budget)] = on.regret(on.cell(on.index(tree.winner().params)))
    return regret


def by_rival(method: str, on: Grid, seed: int, most: int) -> dict[str, float]:
    """Evaluations -> regret of the best observed value of a rival."""
    chosen = on.traces(run(method, on, seed, most))[1]
    return {str(budget): chosen[budget - 1] for budget in budgets(most)}


def budgets(most: int) -> list[int]:
    """Evaluations after which regret is read, up to a number."""
    return [budget for budget in (*AT, *LATER) if budget <= most]


def tables_of(families: Sequence[str], folder: Path | None, count: int, develop: bool) -> Tables:
    """Truths by family: those that nobody chose by, or those for choosing."""
    tables: Tables = {}
    start = 0 if develop else UNSEEN
    for family in families:
        if family in (FUNCTIONS, FAILING):
            make = random_function if family == FUNCTIONS else failing
            tables |= {(family, name): partial(make, name) for name in functions(count, start)}
        elif family == PIPELINE:
            tables |= {(family, str(start + k)): partial(pipeline, str(start + k)) for k in range(4 * count)}
        elif family in KINDS:
            assert folder is not None
            chosen = last(folder, before=int(develop))
            tables |= {(family, name): partial(surrogate, folder, family, name) for name in chosen}
        else:
            tables |= {(family, name): partial(grid, family, name) for name in names(family)}
    return tables


def noise_of(table: Table, seed: int, noises: Sequence[float]) -> float | None:
    """The noise of a run, as a share of best - median; ``None`` for that of recorded trainings."""
    if table[0] in FAMILIES:
        return None
    return noises[(number_of(table) + seed) % len(noises)]


def number_of(table: Table) -> int:
    """A number that looks random."""
    return zlib.crc32("/".join(table).encode())


def with_noise(on: Grid, part: float | None) -> Grid:
    """A truth with another noise."""
    noisy = copy.copy(on)
    if part is not None:
        noisy.noise = part * (on.best - on.median)
    return noisy


def results(
    tables: Tables,
    seeds: range,
    methods: Sequence[str],
    most: int,
    noises: Sequence[float] = NOISES,
    ends: float = np.inf,
) -> Runs:
    """Runs the methods, and returns all runs of the tables that are kept, those of other calls included."""
    stores = dict.fromkeys(PEERS, "budget-rivals")
    stores[OURS] = f"budget-{digest(by_refine, SOURCES)}"
    mingled = sorted(tables, key=number_of)  # an early end leaves some tables of every kind
    for seed, table, method in product(seeds, mingled, methods):
        if time.monotonic() > ends:
            break
        noise = noise_of(table, seed, noises)

        def make() -> dict[str, float]:
            on = with_noise(tables[table](), noise)  # noqa: B023
            if method == OURS:  # noqa: B023
                return by_refine(on, seed, most)  # noqa: B023
            return by_rival(method, on, seed, most)  # noqa: B023

        regret = kept(stores[method], key_of(method, table, seed, noise, most), make)
        print(method, *table, seed, noise, *(f"{value:.3f}" for value in regret.values()), flush=True)
    runs: Runs = defaultdict(lambda: defaultdict(dict))
    for method, store in stores.items():
        known = known_by(store)
        for table, seed in product(tables, seeds):
            noise = noise_of(table, seed, noises)
            found = [known.get(key_of(method, table, seed, noise, count)) for count in (max(AT), *LATER)]
            for regret in filter(None, found):
                mean = float(np.mean([regret[str(n)] for n in AT]))
                runs[method][table][seed] = {ANYTIME: mean, **regret}
    return runs


def key_of(method: str, table: Table, seed: int, noise: float | None, most: int) -> str:
    """Name of a run in the cache."""
    return "/".join(map(str, (method, *table, seed, noise, most)))


def paired(runs: Runs) -> Runs:
    """The runs of tables and seeds on which refine and the rivals of the aims ran."""
    found: Runs = defaultdict(lambda: defaultdict(dict))
    for method, tables in list(runs.items()):
        for table, seeds in list(tables.items()):
            whole = [s for s in seeds if all(s in runs[m][table] for m in (OURS, *RIVALS))]
            if whole:
                found[method][table] = {s: seeds[s] for s in whole}
    return found


def common(
    runs: Runs, methods: Sequence[str], at: str, tables: Sequence[Table], seeds: Sequence[int]
) -> dict[str, dict[Table, list[float]]]:
    """Method -> table -> regret by seed, of the tables and seeds on which all of the methods ran."""
    regret: dict[str, dict[Table, list[float]]] = {method: {} for method in methods}
    for table in tables:
        both = [s for s in seeds if all(at in runs[method][table].get(s, {}) for method in methods)]
        for method in methods if both else ():
            regret[method][table] = [runs[method][table][seed][at] for seed in both]
    return regret


def report(runs: Runs, tables: Tables, seeds: range, noises: Sequence[float] = NOISES) -> str:
    """The section for docs/benchmarks/search.md, on the runs that refine and the rivals of the aims all have."""
    runs = paired(runs)
    points = [ANYTIME, *map(str, (*AT, *LATER))]
    methods = [method for method in (OURS, *PEERS) if any(runs[method].values())]
    shown = []
    for method in methods:
        cells = [common(runs, [method], at, list(tables), seeds)[method] for at in points]
        values = [typical(percent) if percent else "-" for percent in cells]
        shown.append([method, *values, sum(map(len, cells[0].values())), stalled(runs[method])])
    blocks = [
        "Regret, %, geometric mean over tables of (regret + 1 point) - 1 point:",
        markdown(["method", *points, "runs", "stalled, %"], shown),
        f"Stalled: more than {100 * HIGH:g} % after 60 evaluations, and less than {100 * LITTLE:g} points gained since 30.",
        "Refine's regret, %, by kind of truth:",
        markdown(["truth", *points, "stalled, %"], by_truth(runs, tables, points, seeds)),
        "Refine's regret plus one point as a multiple of the rival's, geometric mean over the tables of a kind:",
        markdown(["truth", "read", *RIVALS, "runs", "wanted", ""], by_kind(runs, tables, seeds), 2),
        "The same of all rivals, and by noise (share of best - median):",
    ]
    lines = []
    own_noise = [table for table in tables if table[0] in FAMILIES]
    others = [table for table in tables if table[0] not in FAMILIES]
    for method in methods[1:]:
        cells = [beside(runs, method, at, list(tables), seeds) for at in (ANYTIME, "30", "60")]
        for part in noises:
            cells.append(beside(with_share(runs, part, noises), method, ANYTIME, others, seeds))
        cells.append(beside(runs, method, ANYTIME, own_noise, seeds))
        lines.append([method, *cells])
    head = [ANYTIME, "30", "60", *(f"anytime, noise {part:g}" for part in noises), "anytime, recorded"]
    return "\n\n".join([*blocks, markdown(["rival", *head], lines)])


def stalled(of_method: dict[Table, dict[int, dict[str, float]]]) -> str:
    """Share of the runs of a method that gained little, far from the best."""
    found = [run for of_table in of_method.values() for run in of_table.values()]
    return share([run["60"] > HIGH and run["30"] - run["60"] < LITTLE for run in found])


def by_truth(runs: Runs, tables: Tables, points: Sequence[str], seeds: range) -> list[list[object]]:
    """Rows of refine's regret by kind of truth."""
    rows: list[list[object]] = []
    for family in dict.fromkeys(family for family, _ in tables):
        of_family = [table for table in tables if table[0] == family]
        cells = [common(runs, [OURS], at, of_family, seeds)[OURS] for at in points]
        values = [typical(percent) if percent else "-" for percent in cells]
        rows.append([family, *values, stalled({table: runs[OURS][table] for table in of_family})])
    return rows


def with_share(runs: Runs, part: float, noises: Sequence[float]) -> Runs:
    """The runs with one noise."""
    chosen: Runs = defaultdict(lambda: defaultdict(dict))
    for method, tables in runs.items():
        for table, seeds in tables.items():
            chosen[method][table] = {s: run for s, run in seeds.items() if noise_of(table, s, noises) == part}
    return chosen


def beside(runs: Runs, method: str, at: str, tables: Sequence[Table], seeds: Sequence[int]) -> str:
    """The ratio to a rival, with an interval over tables."""
    regret = common(runs, [OURS, method], at, tables, seeds)
    return ratio(regret[OURS], regret[method]) if regret[OURS] else "-"


def by_kind(runs: Runs, tables: Tables, seeds: range) -> list[list[object]]:
    """Rows of the ratios to the two rivals of the aims, by kind of truth."""
    rows = []
    for family, at in product(dict.fromkeys(family for family, _ in tables), WANTED):
        of_family = [table for table in tables if table[0] == family]
        regret = common(runs, [OURS, *RIVALS], at, of_family, seeds)
        if not regret[OURS]:
            continue
        ratios = [ratio(regret[OURS], regret[rival]) for rival in RIVALS]
        mean = {
            rival: np.mean([np.log(level(values)) for values in regret[rival].values()]) for rival in RIVALS
        }
        wanted = WANTED[at]
        decisive = ratios[RIVALS.index(min(RIVALS, key=mean.__getitem__))]
        if family == PIPELINE and at == ANYTIME:
            wanted = WANTED_CONDITIONAL
            decisive = ratios[RIVALS.index("Optuna TPE")]
        reached = "reached" if float(decisive.split()[0]) <= wanted else "missed"
        rows.append([family, at, *ratios, sum(map(len, regret[OURS].values())), wanted, reached])
    return rows


def within(of: np.ndarray, times: float = 1.0) -> str:
    """A number with its 95 % bootstrap interval."""
    low, high = times * np.quantile(of[1:], [0.025, 0.975])
    return f"{times * of[0]:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    options = parser(__doc__, seeds=3, most=max(AT), functions=1)
    options.add_argument("--methods", nargs="*", default=QUICK, choices=[OURS, *PEERS], help="run anew")
    options.add_argument(
        "--families", nargs="+", default=[FUNCTIONS, PIPELINE, FAILING], choices=FAMILY_NAMES
    )
    options.add_argument("--tables", type=Path, metavar="FOLDER", help="tables that the models are fitted to")
    options.add_argument(
        "--noise", nargs="+", type=float, default=list(NOISES), help="shares of best - median"
    )
    options.add_argument("--minutes", type=float, default=np.inf, help="no run starts later")
    options.add_argument("--develop", action="store_true", help="the truths for choosing")
    a = options.parse_args()
    if set(KINDS) & set(a.families) and a.tables is None:
        options.error(f"{', '.join(KINDS)} need --tables FOLDER")
    start = DEVELOPED_SEED if a.develop else 0
    chosen = tables_of(a.families, a.tables, a.functions, a.develop)
    of_seeds = range(start, start + a.seeds)
    ends = time.monotonic() + 60 * a.minutes
    made = results(chosen, of_seeds, a.methods, a.most, a.noise, ends)
    print(report(made, chosen, of_seeds, a.noise))
