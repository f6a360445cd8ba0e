"""What the statistics see and what they imagine, on simulated rounds whose answer is known.

    python benchmarks/proposals.py power           some minutes on a quiet core

Half of the parameters are ranges of ten levels, half are unordered choices of three or four. Everything is called as
`refine.analyze` calls it, at the same levels. Pure noise goes through `refine.analyze` and `refine.propose` themselves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from tables import markdown, share

import refine
from refine import stats
from refine.analysis.evidence import ALPHA, GOOD

DIMENSIONS = (4, 8)
SIZES = (30, 60, 120, 240)
NOISE_SIZES = (30, 100, 300)
MOST_CHANGED, MOST_IMAGINED = 5, 20
"""Share of the parameters of pure noise, in %, that proposals may change; and of rounds of it that grow from 30 to 300 trials in which anything
may be found to matter at any of nine looks."""

LEVELS = np.linspace(0.0, 1.0, 10)
EFFECTS = {"monotone effect": 65, "interior optimum": 35, "unordered choice": 50}
"""Of 0.4 deviations of the noise, in parameters 0 to 2 -> least power at n = 60 with 8 parameters, in %."""

VALUES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "accuracy on 171 rows": lambda rng, n: rng.binomial(171, 0.96, n) / 171,
}
"""Pure noise: normal, heavy-tailed, and with many ties."""


def space(d: int) -> refine.Space:
    """Two ranges of ten levels, then 3 and 4 choices, then the same again."""
    kinds = [(0.0, 1.0, 10), (0.0, 1.0, 10), ["a", "b", "c"], ["a", "b", "c", "d"]]
    return refine.Space({f"x{j}": kinds[j % 4] for j in range(d)})


def cardinalities(d: int) -> list[int]:
    """0 for a range, the number of choices for another."""
    return [(0, 0, 3, 4)[j % 4] for j in range(d)]


def cells(d: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Level numbers of a space-filling round, and its positions and codes."""
    rows = rng.integers(0, [k or 10 for k in cardinalities(d)], size=(n, d))
    return rows, rows / [1 if k else 9 for k in cardinalities(d)]


def effects(X: np.ndarray) -> np.ndarray:
    """Each of `EFFECTS`, of deviation 1 over the levels before its factor."""
    line = (X[:, 0] - 0.5) / LEVELS.std()
    peak = -((X[:, 1] - 0.5) ** 2) / ((LEVELS - 0.5) ** 2).std()
    choice = ((X[:, 2] == 2) - 1 / 3) / np.sqrt(2 / 9)
    return 0.4 * (line + peak + choice)


def q_values(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(d,) of the joined tests of every parameter: ranks, PED-ANOVA, additive model."""
    order = np.lexsort((*X.T, y))
    X, y = X[order], y[order]
    sizes = cardinalities(X.shape[1])
    ped = stats.PedAnova(top=GOOD, permutations=stats.permutations_needed(len(sizes), ALPHA), resamples=1)
    p = []
    for x, k, additive in zip(X.T, sizes, stats.AdditiveTest()(X, y, sizes), strict=True):
        rank = (stats.KruskalWallis(resamples=1)(x, y, k) if k else stats.Spearman(resamples=1)(x, y)).p
        p.append(stats.joined(ped(x, y, k, None if k else LEVELS).p, rank, additive).p)
    return stats.benjamini_hochberg(p)


def detection(simulations: int) -> str:
    """Power, and the realised false discovery rate."""
    rows: dict[str, list[str]] = {effect: [effect] for effect in EFFECTS}
    verdicts, rates = [], []
    for n in SIZES:
        seen = {}
        for d in DIMENSIONS:
            rng = np.random.default_rng([n, d])
            made = [cells(d, n, rng)[1] for _ in range(simulations)]
            seen[d] = np.array([q_values(X, effects(X) + rng.normal(size=n)) <= ALPHA for X in made])
            rates.append(np.mean(seen[d][:, 3:].sum(axis=1) / np.maximum(seen[d].sum(axis=1), 1)))
        for j, (effect, wanted) in enumerate(EFFECTS.items()):
            rows[effect].append(" / ".join(f"{100 * seen[d][:, j].mean():.0f}" for d in DIMENSIONS))
            if n == 60:
                verdicts.append(f"- {effect}: wanted {wanted} %, got {share(seen[8][:, j])}.")
    return "\n\n".join(
        [
            f"**Is the effect detected?** Share of {simulations} rounds in which q <= 0.1, in %, with "
            f"{' / '.join(map(str, DIMENSIONS))} parameters.\nAn effect has 0.4 deviations of the noise.",
            markdown(["", *(f"n = {n}" for n in SIZES)], list(rows.values())),
            "Power at n = 60 with 8 parameters:",
            "\n".join(verdicts),
            f"- False discovery rate wanted at most {100 * ALPHA:.0f} %: the highest of {len(rates)} is {100 * max(rates):.1f} %.",
        ]
    )


def edges(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each end of a range would be widened."""
    ranges = [j for j, k in enumerate(cardinalities(X.shape[1])) if not k]
    ends = [edge for j in ranges for edge in stats.Boundary(top=GOOD)(X[:, j], y, LEVELS)]
    return np.array([e.peak for e in ends]) & (stats.benjamini_hochberg([e.p for e in ends]) <= ALPHA)


def imagined(kind: str, d: int, n: int, rounds: int) -> list[bool]:
    """Whether each parameter of rounds of pure noise is changed; one is only if a test lets it be."""
    rng, changed = np.random.default_rng([n, d, list(VALUES).index(kind)]), []
    for _ in range(rounds):
        rows, X = cells(d, n, rng)
        y = VALUES[kind](rng, n)
        pairs = stats.Interactions(top=GOOD)(X, y, cardinalities(d))
        count = 0
        if (q_values(X, y) <= ALPHA).any() or edges(X, y).any() or any(pair.q <= ALPHA for pair in pairs):
            frame = pd.DataFrame(space(d).columns(rows)).assign(value=y)
            count = sum(c.kind != "keep" for c in refine.propose(refine.analyze(space(d), frame)).changes)
        changed += [i < count for i in range(d)]
    return changed


def noise(simulations: int) -> str:
    """Share of the parameters of pure noise that are changed."""
    made = {
        (kind, n): [hit for d in DIMENSIONS for hit in imagined(kind, d, n, simulations // 2)]
        for kind in VALUES
        for n in NOISE_SIZES
    }
    rows = [[kind, *(share(made[kind, n]) for n in NOISE_SIZES)] for kind in VALUES]
    whole = {n: [hit for kind in VALUES for hit in made[kind, n]] for n in NOISE_SIZES}
    return "\n\n".join(
        [
            "**What is proposed if nothing matters?** Values that do not depend on any parameter, `refine.propose` at its "
            "defaults: share of the parameters that are changed, in %, with Wilson's 95 % interval.",
            markdown(["values", *(f"n = {n}" for n in NOISE_SIZES)], rows),
            "\n".join(
                f"- Pure noise, n = {n}: {share(of)} % are changed (wanted: at most {MOST_CHANGED} %)."
                for n, of in whole.items()
            ),
        ]
    )


def looks(rounds: int) -> str:
    """What looking again and again at a growing round costs: by q alone, and with stages counted as refine does."""
    sizes = np.linspace(30, 300, 9).astype(int).tolist()
    rows = []
    for d in DIMENSIONS:
        rng, seen = np.random.default_rng(d), np.zeros((rounds, 2), bool)
        for i in range(rounds):
            X, y = cells(d, sizes[-1], rng)[1], rng.normal(size=sizes[-1])
            for n in sizes:
                least = q_values(X[:n], y[:n]).min()
                stage = stats.stage_of([m for m in sizes if m <= n], n)
                seen[i] |= least <= ALPHA, least * stats.looks_spent(stage) <= ALPHA
        rows.append([d, *(share(of) for of in seen.T)])
    return (
        f"**Nine looks at a growing round**, from 30 to 300 trials: share of {rounds} rounds of pure noise in which anything matters at "
        f"any look, in % (wanted: at most {MOST_IMAGINED}).\n\n"
        + markdown(["parameters", "by q alone", "with later looks multiplied"], rows, 0)
    )


def report(simulations: int = 240) -> str:
    """The section for docs/benchmarks/proposals.md."""
    return "\n\n".join([detection(simulations), noise(simulations), looks(max(4, simulations // 2))])
