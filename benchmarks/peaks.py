"""A narrow peak beside a broad one: how often claims lose it, by how many trials lie on it, and what more caution costs.

    python benchmarks/peaks.py --seeds 6 --noise unknown

The best value of a grid lies on the narrow peak, or, as a control, on the broad one. Boxes are those of `MixedPosterior` and
`RiskPath`, without tests; epsilon is at least 5 % of (best observed - median). `VARIANTS` change the draws. Noise is unknown, or
known, as by replicates, or there is none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from refine import stats
from refine.stats.frozen import FrozenResiduals
from refine.stats.kernel import embed, fit_kernel
from refine.stats.posterior import Evidence, evidence

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
    """Trials, cells with the truth, how many trials lie on the upper three fifths of the narrow peak, and the noise."""

    X: np.ndarray
    y: np.ndarray
    cells: np.ndarray
    truth: np.ndarray
    hits: int
    control: bool
    noise: float


def rounds(seeds: int, noiseless: bool) -> Iterator[Round]:
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
            deviation = 0.0 if noiseless else noise
            y = np.maximum(broad[0], top * broad[1]) + deviation * rng.normal(size=n)
            hits = int(np.sum((top * broad[1] > broad[0]) & (broad[1] > 0.4)))
            truth = np.maximum(narrow[0], top * narrow[1])
            if noiseless:  # what was run is known
                cells, truth = np.concatenate([cells, X]), np.concatenate([truth, y])
            yield Round(X, y, cells, truth, hits, higher < 0, deviation)


def local(
    posterior: stats.Posterior,
    t: Round,
    cells: np.ndarray,
    times: float,
    only_signal: bool,
    beyond: float = 0.0,
) -> stats.Posterior:
    """Draws with a rough part where trials were left out and came out better than expected.

    Left-out residuals of the most probable Gaussian process follow in closed form (Rasmussen and Williams 2006, section
    5.4.2). What those above 0 have beyond their variance is averaged over neighbours, and is the variance of a process of a third of
    the lengths, `times` of its deviation, that is added to every draw. Where the noise is known, it stands for the process's, and
    only residuals count that are larger than `beyond` deviations.
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
    if beyond:
        variance = variance - fitted.noise + in_scores(t.noise, known, known.score - residual) ** 2
        counts = residual > beyond * np.sqrt(variance)
        excess = np.where(counts, residual**2 - variance, 0)
    weight = np.exp(-0.5 * ((c[:, None] - x[None]) ** 2).sum(axis=2) / 0.4**2)
    deviation = times * np.sqrt(np.maximum(weight @ excess / (weight.sum(axis=1) + 1), 0))
    omega = rng.standard_normal((d, 300)) * np.sqrt(5 / rng.chisquare(5, 300)) / 0.35
    wave = np.cos(c @ omega + rng.uniform(0, 2 * np.pi, 300)) * np.sqrt(2 / 300)
    rough = (deviation[:, None] * (wave @ rng.standard_normal((300, len(posterior.scores))))).T
    return posterior._replace(scores=np.clip(posterior.scores + rough, -4, 4).astype(np.float32))


def in_scores(noise: float, known: Evidence, expected: np.ndarray) -> np.ndarray:
    """A deviation of the metric as one of scores, where it is larger: at what was measured, or at what was expected."""
    at = np.interp([known.score, expected], known.knots, known.values)
    ends = np.interp([at - noise, at + noise], known.values, known.knots)
    return (ends[1] - ends[0]).max(axis=0) / 2


def frozen(_: stats.Posterior, t: Round, cells: np.ndarray, times: float) -> stats.Posterior:
    """Draws of an objective without noise."""
    posterior = stats.MixedPosterior(frozen=FrozenResiduals(times=times))
    return posterior(t.X, t.y, cells, [0] * t.X.shape[1], exact=True)


VARIANTS: dict[str, Callable[..., stats.Posterior]] = {
    "as it is": lambda posterior, *_: posterior,
    "local residuals, signal only, twice": partial(local, times=2.0, only_signal=True),
    "local residuals, one and a half times": partial(local, times=1.5, only_signal=False),
    "local residuals, twice": partial(local, times=2.0, only_signal=False),
    "local residuals, three times": partial(local, times=3.0, only_signal=False),
}
KNOWN: dict[str, Callable[..., stats.Posterior]] = {
    "as it is": VARIANTS["as it is"],
    **{
        f"local residuals beyond {beyond:g} deviations, three times": partial(
            local, times=3.0, only_signal=False, beyond=beyond
        )
        for beyond in (2.0, 2.5, 3.0)
    },
}
NONE: dict[str, Callable[..., stats.Posterior]] = {
    "the same deviation everywhere": partial(frozen, times=0.0),
    "more near what was better than expected, twice": partial(frozen, times=2.0),
    "as it is: three times": partial(frozen, times=3.0),
}
NOISE = {"unknown": VARIANTS, "known": KNOWN, "none": NONE}


def judged(
    t: Round, variants: dict[str, Callable[..., stats.Posterior]]
) -> dict[str, list[tuple[float, float]]]:
    """By variant, for every risk whether the box lost more than epsilon, and the volume that it keeps."""
    d = t.X.shape[1]
    cells, axes = t.cells[:1500], [stats.Axis(GRID)] * d
    if not t.noise:  # every cell has one deviation
        cells = np.unique(np.concatenate([cells, t.X]), axis=0)
    posterior = stats.MixedPosterior()(t.X, t.y, cells, [0] * d)
    floor = 0.05 * (t.y.max() - np.median(t.y))
    epsilon = max(stats.TopNoise()(t.X, t.y, [0] * d).epsilon, floor) if t.noise else floor
    at, found = np.rint(t.cells * 9).astype(int), {}
    for name, change in variants.items():
        drawn = change(posterior, t, cells)
        path = stats.RiskPath()(drawn, cells, axes, epsilon, keep=t.X[drawn.best_known(1)])
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
    parser.add_argument("--noise", choices=list(NOISE), default="unknown")
    options = parser.parse_args()
    variants = NOISE[options.noise]
    results = [
        (t.hits, t.control, judged(t, variants)) for t in rounds(options.seeds, options.noise == "none")
    ]
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
        for name in variants if chosen else ():
            means = np.mean([found[name] for found in chosen], axis=0)
            cells = " | ".join(f"{lost:.2f}, {kept:.3f}" for lost, kept in means)
            print(f"| {group} | {name} | {len(chosen)} | {cells} |")


if __name__ == "__main__":
    main()
