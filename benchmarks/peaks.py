"""A narrow peak beside a broad one: how often claims lose it, by how many trials lie on it, and what more caution costs.

    python benchmarks/peaks.py --seeds 6

The best value of a grid lies on the narrow peak, or, as a control, on the broad one. Boxes are those of `MixedPosterior` and
`RiskPath`, without tests; epsilon is at least 5 % of (best observed - median). `VARIANTS` change the draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from refine import stats
from refine.stats.kernel import embed, fit_kernel
from refine.stats.posterior import evidence

RISKS = (0.05, 0.15, 0.3)
GRID = np.arange(10) / 9
BROAD = 0.35  # width of the broad peak, and least distance of the two
SETTINGS = (  # dimension, width of the narrow peak, by how much it is higher, trials, noise
    *((2, 0.2, 0.15, 60, 0.03), (2, 0.16, 0.3, 60, 0.1), (2, 0.08, 0.3, 60, 0.03)),
    *(
        (3, 0.2, 0.15, 100, 0.03),
        (3, 0.25, 0.15, 60, 0.1),
        (3, 0.2, 0.3, 120, 0.1),
        (3, 0.12, 0.15, 100, 0.03),
    ),
    *((4, 0.25, 0.15, 100, 0.03), (4, 0.25, 0.3, 60, 0.03), (4, 0.16, 0.15, 100, 0.03)),
    (5, 0.3, 0.15, 120, 0.03),
)
CONTROLS = ((3, 0.2, -0.3, 100, 0.03), (4, 0.25, -0.3, 60, 0.1), (2, 0.2, -0.3, 60, 0.03))


class Round(NamedTuple):
    """Trials, candidates with the truth, and how many trials lie on the upper three fifths of the narrow peak."""

    X: np.ndarray
    y: np.ndarray
    cells: np.ndarray
    truth: np.ndarray
    hits: int
    control: bool


def rounds(seeds: int) -> Iterator[Round]:
    """Every setting with some seeds."""
    for d, width, higher, n, noise in (*SETTINGS, *CONTROLS):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, d, n, int(100 * width), int(100 * higher) + 100])
            one, other = rng.uniform(0.1, 0.9, (2, d))
            while np.sqrt(np.mean((one - other) ** 2)) < BROAD:
                one, other = rng.uniform(0.1, 0.9, (2, d))

            def heights(x, centre, deviation, d=d):
                return np.exp(-((x - centre) ** 2).sum(axis=1) / (2 * deviation**2 * d / 3))

            X, cells = GRID[rng.integers(0, 10, (n, d))], GRID[rng.integers(0, 10, (20_000, d))]
            broad, narrow = ((heights(x, one, BROAD), heights(x, other, width)) for x in (X, cells))
            top = 1 + higher
            y = np.maximum(broad[0], top * broad[1]) + noise * rng.normal(size=n)
            hits = int(np.sum((top * broad[1] > broad[0]) & (broad[1] > 0.4)))
            yield Round(X, y, cells, np.maximum(narrow[0], top * narrow[1]), hits, higher < 0)


def local(
    posterior: stats.Posterior, t: Round, cells: np.ndarray, times: float, only_signal: bool
) -> stats.Posterior:
    """Draws with a rough part where trials were left out and came out better than expected.

    Left-out residuals of the most probable Gaussian process follow in closed form (Rasmussen and Williams 2006, section
    5.4.2). What those above 0 have beyond their variance is averaged over neighbours, and is the variance of a process of a third of
    the lengths, `times` of its deviation, that is added to every draw.
    """
    rng, d = np.random.default_rng(3), t.X.shape[1]
    known = evidence(t.X, t.y)
    kernel = embed(t.X[known.rows], np.ones((known.rows.size, d), bool), [0] * d, [])
    fitted = fit_kernel(kernel, known.score, 1, rng)[0]
    x, c = kernel.scaled(fitted.lengths), cells / fitted.lengths
    inverse = np.linalg.inv(fitted.covariance(x, x) + (fitted.noise + 1e-6) * np.eye(len(x)))
    variance = 1 / np.diag(inverse)
    residual = (inverse @ (known.score - known.score.mean())) * variance
    share = (1 - fitted.noise / variance) ** 2 if only_signal else 1.0
    excess = share * (2 * np.maximum(residual, 0) ** 2 - variance)
    weight = np.exp(-0.5 * ((c[:, None] - x[None]) ** 2).sum(axis=2) / 0.4**2)
    deviation = times * np.sqrt(np.maximum(weight @ excess / (weight.sum(axis=1) + 1), 0))
    omega = rng.standard_normal((d, 300)) * np.sqrt(5 / rng.chisquare(5, 300)) / 0.35
    wave = np.cos(c @ omega + rng.uniform(0, 2 * np.pi, 300)) * np.sqrt(2 / 300)
    rough = (deviation[:, None] * (wave @ rng.standard_normal((300, len(posterior.scores))))).T
    return posterior._replace(scores=np.clip(posterior.scores + rough, -4, 4).astype(np.float32))


VARIANTS: dict[str, Callable[..., stats.Posterior]] = {
    "as it is": lambda posterior, *_: posterior,
    "local residuals, signal only, twice": partial(local, times=2.0, only_signal=True),
    "local residuals, one and a half times": partial(local, times=1.5, only_signal=False),
    "local residuals, twice": partial(local, times=2.0, only_signal=False),
    "local residuals, three times": partial(local, times=3.0, only_signal=False),
}


def judged(t: Round) -> dict[str, list[tuple[float, float]]]:
    """By variant, for every risk whether the box lost more than epsilon, and the volume that it keeps."""
    d = t.X.shape[1]
    cells, axes = t.cells[:1500], [stats.Axis(GRID)] * d
    posterior = stats.MixedPosterior()(t.X, t.y, cells, [0] * d)
    floor = 0.05 * (t.y.max() - np.median(t.y))
    epsilon = max(stats.TopNoise()(t.X, t.y, [0] * d).epsilon, floor)
    at, found = np.rint(t.cells * 9).astype(int), {}
    for name, change in VARIANTS.items():
        path = stats.RiskPath()(
            change(posterior, t, cells), cells, axes, epsilon, keep=t.X[posterior.best_known(1)]
        )
        found[name] = []
        for box in map(path.at, RISKS):
            inside = np.all([mask[at[:, j]] for j, mask in enumerate(box.keep)], axis=0)
            loss = t.truth.max() - t.truth[inside].max(initial=-np.inf)
            found[name].append((float(loss > epsilon), box.kept))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    results = [(t.hits, t.control, judged(t)) for t in rounds(parser.parse_args().seeds)]
    print(
        f"| trials on the narrow peak | draws | rounds | {' | '.join(f'lost, kept at {r:g}' for r in RISKS)} |"
    )
    print("|---|---|---:|" + "---:|" * len(RISKS))
    groups = {
        "none": lambda hits, control: hits == 0 and not control,
        "1 or 2": lambda hits, control: 0 < hits < 3 and not control,
        "3 or more": lambda hits, control: hits >= 3 and not control,
        "any, and it is the lower one": lambda _, control: control,
    }
    for group, belongs in groups.items():
        chosen = [found for hits, control, found in results if belongs(hits, control)]
        for name in VARIANTS if chosen else ():
            means = np.mean([found[name] for found in chosen], axis=0)
            cells = " | ".join(f"{lost:.2f}, {kept:.3f}" for lost, kept in means)
            print(f"| {group} | {name} | {len(chosen)} | {cells} |")


if __name__ == "__main__":
    main()
