"""A narrow peak beside a broad one: how often claims lose it, by how many trials lie on it, and what more caution costs.

    python benchmarks/peaks.py --seeds 6 --noise unknown

The best value of a grid lies on the narrow peak, or, as a control, on the broad one. Boxes are those of the model behind claims and
`RiskPath`, without tests; epsilon is at least 5 % of (best observed - median). Noise is unknown, or there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tables import markdown, parser

from refine import stats
from refine.proposal.posterior import CLAIMED

RISKS = (0.05, 0.15, 0.3)
GRID = np.arange(10) / 9
BROAD = 0.35  # width of the broad peak, and least distance of the two
SETTINGS = (  # dimension, width of the narrow peak, by how much it is higher, trials, noise
    (2, 0.2, 0.15, 60, 0.03), (2, 0.16, 0.3, 60, 0.1), (2, 0.08, 0.3, 60, 0.03),
    (3, 0.2, 0.15, 100, 0.03), (3, 0.25, 0.15, 60, 0.1), (3, 0.2, 0.3, 120, 0.1), (3, 0.12, 0.15, 100, 0.03),
    (4, 0.25, 0.15, 100, 0.03), (4, 0.25, 0.3, 60, 0.03), (4, 0.16, 0.15, 100, 0.03),
    (5, 0.3, 0.15, 120, 0.03),
)  # fmt: skip
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


def judged(t: Round) -> list[tuple[float, float]]:
    """For every risk whether the box lost more than epsilon, and the volume that it keeps."""
    d = t.X.shape[1]
    cells, axes = t.cells[:1500], [stats.Axis(GRID)] * d
    if not t.noise:  # every cell has one deviation
        cells = np.unique(np.concatenate([cells, t.X]), axis=0)
    drawn = CLAIMED(t.X, t.y, cells, [0] * d, exact=not t.noise)
    floor = 0.05 * (t.y.max() - np.median(t.y))
    epsilon = max(stats.TopNoise()(t.X, t.y, [0] * d).epsilon, floor) if t.noise else floor
    path = stats.RiskPath()(drawn, cells, axes, epsilon, keep=t.X[drawn.best_known(1)])
    at, found = np.rint(t.cells * 9).astype(int), []
    for box in map(path.at, RISKS):
        inside = np.all([mask[at[:, j]] for j, mask in enumerate(box.keep)], axis=0)
        loss = t.truth.max() - t.truth[inside].max(initial=-np.inf)
        found.append((float(loss > epsilon), box.kept))
    return found


def main() -> None:
    """Print the table."""
    options = parser(__doc__, seeds=4)
    options.add_argument("--noise", choices=("unknown", "none"), default="unknown")
    a = options.parse_args()
    results = [(t.hits, t.control, judged(t)) for t in rounds(a.seeds, a.noise == "none")]
    groups = {
        "none": lambda hits, control: hits == 0 and not control,
        "1 or 2": lambda hits, control: 0 < hits < 3 and not control,
        "3 or more": lambda hits, control: hits >= 3 and not control,
        "any, and it is the lower one": lambda _, control: control,
    }
    rows = []
    for group, belongs in groups.items():
        chosen = [found for hits, control, found in results if belongs(hits, control)]
        means = np.mean(chosen, axis=0) if chosen else ()
        rows.append([group, len(chosen), *(f"{lost:.2f}, {kept:.3f}" for lost, kept in means)])
    print(markdown(["trials on the narrow peak", "rounds", *(f"lost, kept at {r:g}" for r in RISKS)], rows))


if __name__ == "__main__":
    main()
