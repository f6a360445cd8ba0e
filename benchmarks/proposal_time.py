"""Processor time of `round.propose(risk=.05)` in this version over the time in another checkout.

    git worktree add ../audited 86f6daeb
    python benchmarks/proposal_time.py --against ../audited

Rounds of 60 and 120 even trials on three truths: a bowl of 5 parameters, a smooth wave of 7, and steps of 8, with
noise of 5 % of the deviation of values. Both versions get the same trials, and run alternately, each time in a new
process on one core. The time is that of the processor in user mode, which other programs hardly change.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tables import markdown, parser

import refine

QUIET = refine.Machine(progress=False)

SIZES = (60, 120)
LEVELS = 10
NOISE = 0.05
Truth = Callable[[np.ndarray], float]


def bowl(rng: np.random.Generator, dimensions: int) -> Truth:
    """A bowl with a random centre and random weights."""
    centre, weights = rng.random(dimensions), rng.exponential(size=dimensions)
    return lambda x: -float((x - centre) ** 2 @ weights)


def wave(rng: np.random.Generator, dimensions: int) -> Truth:
    """A sum of waves in random directions."""
    waves, phases = rng.normal(0, 2.5, (dimensions, 40)), rng.uniform(0, 2 * np.pi, 40)
    return lambda x: float(np.cos(x @ waves + phases).mean())


def steps(rng: np.random.Generator, dimensions: int) -> Truth:
    """A sum of steps, each of two parameters."""
    pairs, ends, heights = rng.integers(dimensions, size=(60, 2)), rng.random((60, 2)), rng.normal(size=60)
    return lambda x: float((x[pairs] > ends).all(axis=1) @ heights)


TRUTHS: dict[str, tuple[Callable[[np.random.Generator, int], Truth], int]] = {
    "bowl, 5 parameters": (bowl, 5),
    "wave, 7 parameters": (wave, 7),
    "steps, 8 parameters": (steps, 8),
}


def round_on(name: str, n: int) -> refine.Round:
    """A finished round; its values depend on the configurations alone."""
    make, dimensions = TRUTHS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    truth = make(rng, dimensions)
    spread = np.std([truth(x) for x in rng.random((500, dimensions))])

    def objective(params: dict[str, int]) -> float:
        levels = np.array(list(params.values()))
        chance = np.random.default_rng(levels).normal()
        return truth(levels / (LEVELS - 1)) + NOISE * spread * chance

    space = {f"x{j}": (0, LEVELS - 1) for j in range(dimensions)}
    tree = refine.Tree("time", store="sqlite://")
    return tree.add_round(space, objective, n=n, seed=n, metric=refine.Goal("value", noise="retraining")).run(
        machine=QUIET
    )


def seconds() -> float:
    """Processor time of this process in user mode."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def measured() -> list[tuple[float, float]]:
    """Seconds of a proposal and the sum of the values, by truth and number of trials."""
    round_on(next(iter(TRUTHS)), 20).propose(risk=0.05)  # imports and caches are not counted
    results = []
    for name in TRUTHS:
        for n in SIZES:
            round_ = round_on(name, n)
            started = seconds()
            round_.propose(risk=0.05)
            results.append((seconds() - started, float(round_.trials["value"].sum())))
    return results


def measured_in(checkout: Path) -> np.ndarray:
    """(cases, 2) results of a new process with the version of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, __file__, "--measure"], env=environment, capture_output=True, text=True
    )
    if run.returncode:
        raise SystemExit(run.stderr)
    return np.array(json.loads(run.stdout.splitlines()[-1]))


def compared(against: Path, pairs: int) -> str:
    """Median seconds of both versions, and the median and the range of their ratio."""
    here = Path(refine.__file__).parent.parent
    runs = np.array([[measured_in(checkout.resolve()) for checkout in (against, here)] for _ in range(pairs)])
    assert np.allclose(runs[:, 0, :, 1], runs[:, 1, :, 1]), "the two versions ran different trials"
    times = runs[..., 0]
    ratios = times[:, 1] / times[:, 0]
    rows = []
    for case, (name, n) in enumerate((name, n) for name in TRUTHS for n in SIZES):
        before, now = np.median(times[..., case], axis=0)
        ratio = ratios[:, case]
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        rows.append([name, n, f"{before:.2f}", f"{now:.2f}", spread])
    whole = times[:, 1].sum(axis=1) / times[:, 0].sum(axis=1)
    rows.append(["all", "", "", "", f"{np.median(whole):.2f} ({whole.min():.2f} to {whole.max():.2f})"])
    return markdown(["truth", "trials", "before, s", "now, s", "ratio: median (range)"], rows)


if __name__ == "__main__":
    options = parser(__doc__, pairs=5)
    options.add_argument("--against", type=Path, help="folder of the other checkout")
    options.add_argument("--measure", action="store_true", help="measure this version once, as JSON")
    a = options.parse_args()
    warnings.simplefilter("ignore")
    if a.measure:
        print(json.dumps(measured()))
    else:
        print(compared(a.against, a.pairs))
