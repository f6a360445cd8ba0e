"""How long analysis and proposal take, beside Optuna's importances of the same trials.

    python benchmarks/speed.py          a minute or two
    python benchmarks/speed.py --long   also fANOVA of 20,000 trials, which takes minutes

All in one process, one after the other. CPU seconds count all threads, so that other load on the machine shows up in
the wall clock only.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

import refine

SIZES = ((2_000, 8), (20_000, 8), (100_000, 12))
TARGETS = {(2_000, 8): 2.0, (20_000, 8): 4.0, (100_000, 12): 10.0}
"""Trials and parameters -> most wall seconds of analysis and proposal together, on 2 cores."""


class Seconds(NamedTuple):
    """What a call took: by the clock, and of all threads."""

    wall: float
    cpu: float


def table(n: int, d: int, seed: int = 0) -> tuple[refine.Space, pd.DataFrame]:
    """A space of ranges, logarithmic ranges, ordered and unordered choices, and n random trials of it."""
    kinds = [(0.0, 1.0, 10), refine.Float(1e-4, 1, levels=9, log=True), [4, 8, 16, 32, 64], ["a", "b", "c"]]
    space = refine.Space({f"x{j}": kinds[j % 4] for j in range(d)})
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(space.columns(rng.integers(0, space.radices, size=(n, d))))
    x = space.unit(frame)
    value = -((x[:, 0] - 0.6) ** 2) - 0.5 * x[:, 1] * x[:, 2] + 0.1 * (x[:, 3] == 1) + 0.3 * x[:, 4]
    return space, frame.assign(value=value + rng.normal(0, 0.1, n), seconds=rng.exponential(1, n))


def study_of(frame: pd.DataFrame):
    """The same trials as an Optuna study in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    d = optuna.distributions
    kinds = [
        d.FloatDistribution(0.0, 1.0),
        d.FloatDistribution(1e-4, 1.0, log=True),
        d.CategoricalDistribution([4, 8, 16, 32, 64]),
        d.CategoricalDistribution(["a", "b", "c"]),
    ]
    names = [name for name in frame if str(name).startswith("x")]
    where = {name: kinds[j % 4] for j, name in enumerate(names)}
    trials = [
        optuna.trial.create_trial(params=params, distributions=where, value=value)
        for params, value in zip(frame[names].to_dict("records"), frame["value"], strict=True)
    ]
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return study


def timed(call: Callable[[], object]) -> Seconds:
    """Seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def best(found: Sequence[Seconds]) -> Seconds:
    """The least of several repetitions."""
    return Seconds(min(s.wall for s in found), min(s.cpu for s in found))


def ours(n: int, d: int, repetitions: int) -> tuple[Seconds, Seconds, Seconds]:
    """Analysis, proposal and both together, each the best of several repetitions."""
    space, frame = table(n, d)
    found: list[tuple[Seconds, Seconds]] = []
    for _ in range(repetitions):
        kept: list[refine.Analysis] = []
        first = timed(lambda kept=kept: kept.append(refine.analyze(space, frame)))
        found.append((first, timed(lambda kept=kept: refine.propose(kept[0]))))
    both = [Seconds(a.wall + p.wall, a.cpu + p.cpu) for a, p in found]
    return best([a for a, _ in found]), best([p for _, p in found]), best(both)


def optunas(kind: str, n: int, d: int) -> Seconds:
    """One of Optuna's importance evaluators, once."""
    import optuna

    study = study_of(table(n, d)[1])
    # fANOVA draws at random; PED-ANOVA does not and takes no seed.
    evaluator = getattr(optuna.importance, kind)(**({"seed": 0} if "Fanova" in kind else {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(lambda: optuna.importance.get_param_importances(study, evaluator=evaluator))


def report(long: bool = False, repetitions: int = 3) -> str:
    """The section for docs/benchmarks/proposals.md."""
    ours(200, 8, 1)  # what is imported on the way is not timed
    found = {size: ours(*size, repetitions) for size in SIZES}
    rivals = [("PedAnovaImportanceEvaluator", 20_000), ("FanovaImportanceEvaluator", 2_000)]
    rivals += [("FanovaImportanceEvaluator", 20_000)] if long else []
    optunas("PedAnovaImportanceEvaluator", 200, 8)
    optunas("FanovaImportanceEvaluator", 200, 8)
    took = {(kind, n): optunas(kind, n, 8) for kind, n in rivals}
    lines = [
        "| trials | parameters | what | wall, s | CPU, s | CPU, times refine's |",
        "|---:|---:|---|---:|---:|---:|",
    ]
    for (n, d), (analysis, proposal, both) in found.items():
        for what, s in (("`analyze`", analysis), ("`propose`", proposal), ("**both**", both)):
            lines.append(_line(n, d, what, s, both))
        lines += [
            _line(n, d, f"Optuna, {kind}", s, both) for (kind, m), s in took.items() if (m, d) == (n, 8)
        ]
    return "\n\n".join(
        [
            f"refine: best of {repetitions} repetitions. Optuna: once, importances only, on the same trials in memory.",
            "\n".join(lines),
            verdict({size: both for size, (_, _, both) in found.items()}),
        ]
    )


def _line(n: int, d: int, what: str, s: Seconds, both: Seconds) -> str:
    return f"| {n:,} | {d} | {what} | {s.wall:.2f} | {s.cpu:.2f} | {s.cpu / both.cpu:.2f} |"


def verdict(both: dict[tuple[int, int], Seconds]) -> str:
    """Seconds against what was wanted, and how they grow."""
    lines = []
    for (n, d), most in TARGETS.items():
        s = both[n, d]
        # On a busy machine the clock says little. Nothing here waits, so that a quiet one takes the CPU seconds at most.
        judged = (
            "reached"
            if s.wall <= most
            else "reached by CPU seconds, missed by the clock"
            if s.cpu <= most
            else "missed"
        )
        lines.append(
            f"- {n:,} trials of {d} parameters: {s.wall:.1f} s, CPU {s.cpu:.1f} s (wanted: at most {most:g} s): {judged}."
        )
    small, middle, large = (both[size] for size in SIZES)
    rows = np.log(SIZES[1][0] / SIZES[0][0])
    cells = np.log(SIZES[2][0] * SIZES[2][1] / (SIZES[1][0] * SIZES[1][1]))
    lines.append(
        f"- CPU seconds grow as trials to the power {np.log(middle.cpu / small.cpu) / rows:.2f} from {SIZES[0][0]:,} to "
        f"{SIZES[1][0]:,}, and as trials x parameters to the power {np.log(large.cpu / middle.cpu) / cells:.2f} from there to "
        f"{SIZES[2][0]:,} x {SIZES[2][1]}; 1 is linear."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="also fANOVA of 20,000 trials")
    parser.add_argument("--repetitions", type=int, default=3)
    a = parser.parse_args()
    print(report(a.long, a.repetitions))
