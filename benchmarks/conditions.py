"""Conditional grids: are claims true where parameters exist only under others, and does what a person keeps stay whole?

    python benchmarks/conditions.py

Every seed draws an objective over a grid that is evaluated in full: a choice of two or three regimes, of which each has one or two
parameters of its own with the best anywhere, and a parameter that all share. *Lost* is the share of rounds whose box has no value within
epsilon of the best; *kept regime lost* that of rounds in which a regime that was to leave, and is rejected, has none
within epsilon of its own best any more; *unread changed* that of rounds in which a parameter is narrowed or widened that nothing reads
that stays.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from tables import parser

import refine
from refine.design.space_filling import Sobol, draw
from refine.proposal.proposal import changes_given

RISKS = (0.05, 0.15, 0.3)
NOISE = 0.02


def problem(seed: int) -> tuple[refine.Space, np.ndarray, np.ndarray]:
    """A space, all rows of its grid, and the expected value of each."""
    rng = np.random.default_rng(seed)
    regimes = [f"r{i}" for i in range(rng.integers(2, 4))]
    parameters: dict[str, object] = {"regime": regimes, "shared": refine.Float(0, 1, levels=5)}
    own = {r: [f"{r}_{k}" for k in range(rng.integers(1, 3))] for r in regimes}
    for regime, names in own.items():
        parameters |= {n: refine.Float(0, 1, levels=9, when=f"regime == '{regime}'") for n in names}
    space = refine.Space(parameters)
    rows = np.concatenate([_rows(space, i, own[r]) for i, r in enumerate(regimes)])
    columns = space.columns(rows)
    value = -rng.uniform(0, 0.5) * np.abs(columns["shared"] - rng.random())
    for i, regime in enumerate(regimes):
        mine = rows[:, 0] == i
        worse = rng.uniform(0, 1.5) * (i > 0)
        for name in own[regime]:
            value[mine] -= rng.uniform(0.5, 3) * (columns[name][mine] - rng.random()) ** 2
        value[mine] -= worse
    return space, rows, value


def _rows(space: refine.Space, regime: int, names: list[str]) -> np.ndarray:
    sizes = [space["shared"].size, *(space[n].size for n in names)]
    levels = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)
    rows = np.zeros((len(levels), len(space)), dtype=np.int64)
    rows[:, [0, 1, *(list(space).index(n) for n in names)]] = np.c_[np.full(len(levels), regime), levels]
    return rows


def table(space: refine.Space, rows: np.ndarray) -> pd.DataFrame:
    """The configurations of some rows; what a row has not is missing."""
    frame = pd.DataFrame(space.columns(rows))
    for name, there in space.active(rows).items():
        frame[name] = frame[name].where(there)
    return frame


def outcomes(seed: int, n: int) -> list[dict[str, float]]:
    """One row per risk."""
    space, rows, value = problem(seed)
    grid, number = table(space, rows), {tuple(r): i for i, r in enumerate(rows.tolist())}
    drawn = draw(Sobol(), space, n, seed)
    noise = NOISE * np.random.default_rng(seed + 1000).normal(size=n)
    observed = value[[number[tuple(r)] for r in drawn.tolist()]] + noise
    frame = table(space, drawn).assign(value=observed)
    proposal = refine.propose(refine.analyze(space, frame, read=space.active(drawn)), risk=max(RISKS))
    found = []
    for risk in RISKS:
        made = proposal.at(risk)
        epsilon, inside = made.claim.epsilon, made.space.contains(grid)
        left = [r for r in space["regime"].grid if not made.space["regime"].contains([r])[0]]
        whole = {"regime": space["regime"]}
        kept = made.space.replace({**whole, **{c.name: c.new for c in changes_given(made, whole)}}).contains(
            grid
        )
        own = [(grid["regime"] == r).to_numpy() for r in left]
        gone = [value[kept & mine].max(initial=-np.inf) < value[mine].max() - epsilon for mine in own]
        unread = [c.kind not in ("keep", "leave") for c in made.changes if c.name.split("_")[0] in left]
        found.append(
            {
                "asked": risk,
                "stated": 1 - made.claim.probability,
                "lost": value[inside].max(initial=-np.inf) < value.max() - epsilon,
                "volume kept": inside.mean(),
                "kept regime lost": any(gone) if left else np.nan,
                "unread changed": any(unread) if left else np.nan,
            }
        )
    return found


def main() -> None:
    """Prints a row per risk."""
    asked = parser(__doc__, seeds=24, n=60).parse_args()
    warnings.simplefilter("ignore")
    rows = [row for seed in range(asked.seeds) for row in outcomes(seed, asked.n)]
    print(f"{asked.seeds} conditional grids, n = {asked.n}")
    print(pd.DataFrame(rows).astype(float).groupby("asked").mean().round(3).to_string())


if __name__ == "__main__":
    main()
