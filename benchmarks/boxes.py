"""Ways to narrow a space to a box after one round of trials: refine's, others', and what a box is worth.

Every method gets the same trials and says which levels of every axis stay. `found` keeps the answers under `.cache/`,
by the sources that they rest on, so that a benchmark that is run again costs little.
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from grids import Grid
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import ndtri
from scipy.stats import rankdata

import refine
from refine import stats
from refine.design.space_filling import design_named, draw

RISKS = (0.01, 0.05, 0.10, 0.15, 0.30)
REFINE = ("refine", "refine, noise known", "refine, quarter of the noise")
_HERE = Path(__file__).parent
_CACHE = _HERE / ".cache"
_CANDIDATES = 4000


class Trials(NamedTuple):
    """A round on a grid: level numbers (n, parameters) and one recorded value each."""

    table: Grid
    rows: np.ndarray
    y: np.ndarray
    seed: int

    @property
    def cardinalities(self) -> list[int]:
        """0 for an ordered axis, the number of choices for another."""
        return [len(v) if k in self.table.unordered else 0 for k, v in self.table.levels.items()]

    @property
    def axes(self) -> list[stats.Axis]:
        """The grid's axes, by level number."""
        return [
            stats.Axis(np.arange(n), unordered=k > 0)
            for n, k in zip(self.table.shape, self.cardinalities, strict=True)
        ]

    def unit(self, rows: np.ndarray) -> np.ndarray:
        """Ordered level numbers on [0, 1], codes as they are."""
        return rows / [
            1 if k else max(n - 1, 1) for n, k in zip(self.table.shape, self.cardinalities, strict=True)
        ]

    def best(self, count: int) -> np.ndarray:
        """Level numbers of the best trials, best first."""
        return self.rows[np.argsort(-self.y, kind="stable")[:count]]


class Found(NamedTuple):
    """A box: for every axis the level numbers that stay; where it makes a claim, the claim."""

    method: str
    setting: str
    levels: list[list[int]]
    claim: float = float("nan")
    epsilon: float = float("nan")


def trials(table: Grid, n: int, seed: int, design: str = "sobol") -> Trials:
    """A round in one of refine's designs; every table has its own."""
    own = 1000 * seed + zlib.crc32(f"{table.family}-{table.name}".encode()) % 1000
    rows = draw(design_named(design), table.space, n, own).astype(int)
    rng = np.random.default_rng([own, n])
    return Trials(table, rows, np.array([table.draw(table.cell(row), rng) for row in rows]), seed)


# refine


def by_refine(t: Trials) -> Iterator[Found]:
    """The product: `refine.analyze` and `refine.propose`, epsilon estimated, the true noise, or a quarter of that."""
    import pandas as pd

    import refine.proposal.proposal

    memo, plain = (
        lru_cache(maxsize=1)(refine.proposal.proposal._surrogate),
        refine.proposal.proposal._surrogate,
    )
    grids = {
        k: np.array(v) if k in t.table.unordered else np.arange(len(v)) for k, v in t.table.levels.items()
    }
    frame = pd.DataFrame({k: grids[k][t.rows[:, j]] for j, k in enumerate(grids)}).assign(value=t.y)
    analysis = refine.analyze(t.table.space, frame, seed=t.seed)
    try:
        refine.proposal.proposal._surrogate = memo  # one forest serves all risks
        for method, epsilon in zip(REFINE, (None, t.table.noise, t.table.noise / 4), strict=True):
            for risk in RISKS:
                p = refine.propose(analysis, risk=risk, epsilon=epsilon)
                keep = [np.flatnonzero(p.space[k].contains(v)).tolist() for k, v in grids.items()]
                yield Found(method, f"risk {risk:g}", keep, p.retention, p.epsilon)
    finally:
        refine.proposal.proposal._surrogate = plain


def by_votes(t: Trials) -> Iterator[Found]:
    """Smallest boxes around what forest draws, Gaussian process paths, or both, take for the optimum.

    No test decides which parameters may be narrowed. The three best trials stay inside.
    """
    cells = draw(design_named("uniform"), t.table.space, min(_CANDIDATES, len(t.table.truth)), t.seed).astype(
        int
    )
    X, C = t.unit(t.rows), t.unit(cells)
    epsilon = stats.RetrainingNoise(seed=t.seed)(X, t.y, t.cardinalities).sd
    forest = stats.Forest(seed=t.seed)(X, t.y, C, t.cardinalities)
    process = gaussian_process(X, t.y, C, t.cardinalities, t.seed)
    both = stats.Plausible(*(np.concatenate(pair) for pair in zip(forest, process, strict=True)))
    narrow = process._replace(votes=process.votes[:, :1])
    for method, plausible in (
        ("forest", forest),
        ("Gaussian process", process),
        ("Gaussian process, argmax", narrow),
        ("forest and Gaussian process", both),
    ):
        for risk in RISKS:
            box, claim = stats.box_for_risk(plausible, cells, t.axes, epsilon, risk, keep=t.best(3))
            yield Found(method, f"risk {risk:g}", _levels(box.keep), claim.probability, epsilon)


def gaussian_process(
    X: np.ndarray, y: np.ndarray, C: np.ndarray, cardinalities: Sequence[int], seed: int, paths: int = 60
) -> stats.Plausible:
    """Posterior paths of a Gaussian process: ARD Matern 5/2 plus noise on normal scores of the values.

    Choices are as far apart as they differ (one-hot with one length per parameter). Lengths, scale and noise are the
    best of three starts, under wide log-normal priors; paths are prior ones from 2,000 random Fourier features,
    conditioned on the trials (Wilson et al. 2020, 'Efficiently sampling functions from Gaussian process posteriors').
    """
    rng = np.random.default_rng(seed)
    n, d = X.shape
    score = ndtri((rankdata(y) - 0.5) / n)
    apart = np.stack([_apart(X[:, j], X[:, j], k) for j, k in enumerate(cardinalities)])
    centre, spread = (
        np.r_[np.full(d, np.log(0.5 * np.sqrt(d))), 0.0, np.log(0.4)],
        np.r_[np.ones(d), 0.7, 1.0],
    )

    def matern(theta: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r = np.sqrt(5.0 * np.tensordot(np.exp(-2.0 * theta[:d]), gaps, 1))
        fall = np.exp(2.0 * theta[d] - r)
        return fall * (1.0 + r + r * r / 3.0), fall * (1.0 + r)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        k, slope = matern(theta, apart)
        noise = np.exp(2.0 * theta[d + 1])
        factor = cho_factor(k + (noise + 1e-6) * np.eye(n), lower=True)
        inverse = cho_solve(factor, np.eye(n))
        weight = inverse @ score
        z = (theta - centre) / spread
        M = inverse - np.outer(weight, weight)
        lengths = 5.0 / 6.0 * np.exp(-2.0 * theta[:d]) * np.tensordot(apart, M * slope, 2)
        gradient = np.r_[lengths, np.sum(M * k), noise * np.trace(M)] + z / spread
        return 0.5 * score @ weight + np.log(np.diag(factor[0])).sum() + 0.5 * z @ z, gradient

    starts = [centre, centre - np.r_[np.ones(d), 0.0, 1.0], centre + np.r_[np.ones(d), 0.0, 0.5]]
    bounds = list(zip(centre - 4.0 * spread, centre + 4.0 * spread, strict=True))
    fits = [
        minimize(loss, s, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100})
        for s in starts
    ]
    theta = min(fits, key=lambda fit: fit.fun).x
    blocks = [np.eye(k) / np.sqrt(2.0) if k else None for k in cardinalities]

    def embed(Z: np.ndarray) -> np.ndarray:
        parts = [(Z[:, [j]] if b is None else b[Z[:, j].astype(int)]) for j, b in enumerate(blocks)]
        return np.concatenate([p / np.exp(theta[j]) for j, p in enumerate(parts)], axis=1)

    x, c = embed(X), embed(C)
    omega = rng.normal(size=(x.shape[1], 2000)) * np.sqrt(5.0 / rng.chisquare(5.0, 2000))
    phase = rng.uniform(0.0, 2.0 * np.pi, 2000)
    weights = np.exp(theta[d]) * np.sqrt(2.0 / 2000) * rng.normal(size=(2000, paths))
    noise = np.exp(theta[d + 1])
    missing = score[:, None] - np.cos(x @ omega + phase) @ weights - noise * rng.normal(size=(n, paths))
    factor = cho_factor(matern(theta, apart)[0] + (noise**2 + 1e-6) * np.eye(n))
    across = matern(theta, np.stack([_apart(C[:, j], X[:, j], k) for j, k in enumerate(cardinalities)]))[0]
    draws = (np.cos(c @ omega + phase) @ weights + across @ cho_solve(factor, missing)).T
    votes = np.argsort(-draws, axis=1)[:, : max(1, round(0.002 * len(C)))]
    # Back to the metric; over the best trial it goes on as steeply as through the best tenth.
    at, values = ndtri((np.arange(n) + 0.5) / n), np.sort(y)
    rise = (values[-1] - values[-n // 10]) / (at[-1] - at[-n // 10])
    return stats.Plausible(votes, np.interp(draws, at, values) + rise * np.maximum(draws - at[-1], 0.0))


def _apart(a: np.ndarray, b: np.ndarray, cardinality: int) -> np.ndarray:
    gap = a[:, None] - b[None, :]
    return (gap != 0).astype(float) if cardinality else gap * gap


# Rivals


def ratio_bounds(
    ratio: stats.Ratio, threshold: float = 1.0, keep_doubtful: bool = False
) -> tuple[int, int] | None:
    """The contiguous run of levels around the best one that stays over a threshold.

    Args:
        ratio: of an ordered parameter.
        threshold: 1 asks for places where good trials are over-represented.
        keep_doubtful: False asks every level to be over the threshold for certain (its lower end);
            True only leaves out what is under it for certain (its upper end).

    Returns:
        First and last index into `ratio.levels`, both included; None if no level passes.
    """
    passes = (ratio.high if keep_doubtful else ratio.low) > threshold
    if not passes.any():
        return None
    score = np.where(passes, np.nan_to_num(ratio.ratio, nan=0.0), -1.0)
    first = last = int(np.argmax(score))
    while first > 0 and passes[first - 1]:
        first -= 1
    while last < passes.size - 1 and passes[last + 1]:
        last += 1
    return first, last


def by_ratio(t: Trials) -> Iterator[Found]:
    """Levels where the best fifth is over-represented: l/g of Bergstra et al. (2011), one axis at a time.

    For certain (the 90 % interval is over 1), or not certainly under-represented.
    """
    good = stats.top_mask(t.y, 0.2)
    for setting, doubtful in (("certain", False), ("doubtful stay", True)):
        keep = []
        for j, (axis, unordered) in enumerate(zip(t.axes, t.cardinalities, strict=True)):
            places = axis.levels if unordered else axis.levels / max(len(axis.levels) - 1, 1)
            ratio = stats.DensityRatio()(t.unit(t.rows)[:, j], good, places, unordered=bool(unordered))
            run = ratio_bounds(ratio, keep_doubtful=doubtful)
            passes = (ratio.high if doubtful else ratio.low) > 1.0
            if run and not unordered:
                passes = np.isin(np.arange(len(places)), np.arange(run[0], run[1] + 1))
            keep.append(passes if passes.any() else np.ones(len(places), bool))
        yield Found("density ratio", setting, _levels(keep))


def by_top(t: Trials) -> Iterator[Found]:
    """The box of the best 5, 10 or 20 %: between least and most, or with 5 % trimmed at each end.

    As in Perrone et al. (2019), 'Learning search spaces for Bayesian optimization', from one task's own trials. Of
    choices those stay that occur, or that make up 5 %.
    """
    for share in (0.05, 0.1, 0.2):
        best = t.best(max(2, round(share * len(t.y))))
        for name, trim in (("min-max box", 0.0), ("quantile box", 0.05)):
            yield Found(
                name, f"top {100 * share:g} %", [_run(best, t, j, trim) for j in range(best.shape[1])]
            )


def by_domain_reduction(t: Trials) -> Iterator[Found]:
    """Stander and Craig (2002), the successive response surface method's first step.

    The new range is centred on the best point, its length is the old one times eta + |d| (1 - eta), d being the
    point's distance from the old centre over half the range (LS-OPT: eta = 0.6). Choices stay.
    """
    best = t.best(1)[0]
    for eta in (0.4, 0.6, 0.8):
        keep = []
        for x, size, unordered in zip(best, t.table.shape, t.cardinalities, strict=True):
            half = 0.5 * size
            length = size * (eta + (1.0 - eta) * abs(x + 0.5 - half) / half)
            start = min(max(x + 0.5 - length / 2.0, 0.0), size - length)
            middle = np.arange(size) + 0.5
            keep.append(
                np.ones(size, bool)
                if unordered
                else (middle > start - 1e-9) & (middle < start + length + 1e-9)
            )
        yield Found("domain reduction", f"eta {eta:g}", _levels(keep))


def by_irace(t: Trials) -> Iterator[Found]:
    """Where irace's second iteration would mostly sample (Lopez-Ibanez et al. 2016).

    Four elites, each a normal distribution of deviation (range / 2) (1 / n)^(1 / d): one or two deviations around
    each, all that lies between included. Choices that are as probable as chance, or that an elite has.
    """
    elites = t.best(4)
    for width in (1.0, 2.0):
        keep = []
        for j, (size, unordered) in enumerate(zip(t.table.shape, t.cardinalities, strict=True)):
            x, levels = elites[:, j], np.arange(size)
            if unordered:
                share = np.bincount(x, minlength=size) / len(x)
                keep.append(share >= 1.0 / size if width < 2.0 else share > 0)
                continue
            reach = width * size / 2.0 * len(t.y) ** (-1.0 / len(t.axes))
            keep.append((levels >= x.min() - reach) & (levels <= x.max() + reach))
        yield Found("irace", f"{width:g} sd", _levels(keep))


def by_pedanova(t: Trials) -> Iterator[Found]:
    """Parameters that PED-ANOVA finds important keep the range of the best tenth, 5 % trimmed at each end.

    Watanabe et al. (2023). Important: the first ones that add up to 50, 80 or 95 % of the summed importance.
    """
    weight = np.array(
        [
            stats.PedAnova(top=0.1, configurations=19, resamples=20)(x, t.y, k).raw
            for x, k in zip(t.unit(t.rows).T, t.cardinalities, strict=True)
        ]
    )
    order = np.argsort(-weight)
    before = np.cumsum(weight[order]) - weight[order]
    best = t.best(max(2, round(0.1 * len(t.y))))
    for share in (0.5, 0.8, 0.95):
        chosen = set(order[before < share * weight.sum()])
        keep = [
            _run(best, t, j, 0.05) if j in chosen else list(range(n)) for j, n in enumerate(t.table.shape)
        ]
        yield Found("PED-ANOVA", f"{100 * share:g} %", keep)


def _run(best: np.ndarray, t: Trials, j: int, trim: float) -> list[int]:
    """Levels that some of the best trials span, after trimming."""
    x = best[:, j]
    if t.cardinalities[j]:
        share = np.bincount(x, minlength=t.table.shape[j]) / len(x)
        return np.flatnonzero(share > trim).tolist()
    low, high = np.quantile(x, [trim, 1.0 - trim], method="nearest")
    return list(range(int(low), int(high) + 1))


def _levels(keep: Sequence[np.ndarray]) -> list[list[int]]:
    return [np.flatnonzero(mask).tolist() for mask in keep]


_STATS = ("stats/box.py", "stats/optimum.py", "stats/forest.py", "stats/noise.py")
_REFINE = ("analysis.py", "proposal.py", "parameter_evidence.py", "edits.py", "change.py", "stats/*.py")
METHODS: dict[str, tuple[Callable[[Trials], Iterator[Found]], tuple[str, ...]]] = {
    "refine": (by_refine, _REFINE),
    "votes": (by_votes, _STATS),
    "density ratio": (by_ratio, ("stats/density.py",)),
    "top boxes": (by_top, ()),
    "domain reduction": (by_domain_reduction, ()),
    "irace": (by_irace, ()),
    "PED-ANOVA": (by_pedanova, ("stats/importance.py",)),
}
"""Group -> what gives its boxes, and the sources of refine that they depend on."""


def found(group: str, table: Grid, n: int, seed: int, design: str = "sobol") -> list[Found]:
    """The boxes of a group of methods on one round, from the cache if they are there."""
    data = zlib.crc32(np.append(table.truth, table.noise).tobytes())
    key = f"{table.family}-{table.name}-{data:08x}-{n}-{seed}-{design}-{_digest(group)}"
    path = _CACHE / f"{group.replace(' ', '-')}.jsonl"
    known = _known(path)
    if key not in known:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known[key] = [list(f) for f in METHODS[group][0](trials(table, n, seed, design))]
        path.parent.mkdir(exist_ok=True)
        with path.open("ab", buffering=0) as file:  # one write a line: several processes share the file
            file.write((json.dumps({"key": key, "found": known[key]}) + "\n").encode())
    return [Found(*f) for f in known[key]]


@cache
def _known(path: Path) -> dict[str, list]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["key"]: entry["found"] for entry in map(json.loads, lines)}


@cache
def _digest(group: str) -> str:
    """Of the sources that a group's boxes rest on."""
    home = Path(refine.__file__).parent
    files = [_HERE / "boxes.py", *(f for pattern in METHODS[group][1] for f in sorted(home.glob(pattern)))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


@cache
def sources() -> str:
    """Digest of all of refine and of what runs it here."""
    home = Path(refine.__file__).parent
    files = [
        *sorted(home.glob("*.py")),
        *sorted(home.glob("stats/*.py")),
        _HERE / "grids.py",
        _HERE / "search.py",
    ]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


# What a box is worth


class Worth(NamedTuple):
    """A box against the whole grid's truth.

    Attributes:
        kept: Share of the cells inside.
        regret: (best - best mean inside) / (best - median).
        rank: Mean rank inside, 1 for the best of the grid and 0 for its worst.
        top: Share of the grid's best 1 % that is inside.
        loss: best - best mean inside, in units of the metric.
    """

    kept: float
    regret: float
    rank: float
    top: float
    loss: float


def worth(table: Grid, levels: Sequence[Sequence[int]]) -> Worth:
    """Measures a box."""
    ranks, top = _ranks(table)
    inside = np.ix_(*levels)
    part = ranks[inside]
    loss = table.best - float(table.truth.reshape(table.shape)[inside].max())
    kept = part.size / table.truth.size
    share = float(top[inside].sum() / top.sum())
    return Worth(kept, loss / (table.best - table.median), float(part.mean()), share, loss)


@lru_cache(maxsize=32)
def _ranks(table: Grid) -> tuple[np.ndarray, np.ndarray]:
    rank = (rankdata(table.truth) - 1) / (table.truth.size - 1)
    return rank.reshape(table.shape), (rank >= 0.99).reshape(table.shape)
