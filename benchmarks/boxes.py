"""Ways to narrow a space to a box after one round of trials: refine's, others', and what a box is worth.

Every method gets the same trials and says which levels of every axis stay. `found` keeps the answers under `.cache/`,
by the sources that they rest on, so that a benchmark that is run again costs little.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from grids import FAMILIES, Grid, grid, names
from scipy.stats import rankdata
from synthetic import COUNT, KINDS, synthetic

import refine
import refine.proposal.proposal
from refine import stats
from refine.design.space_filling import design_named, draw
from refine.stats.kernel import embed, fit_kernel
from refine.stats.posterior import evidence

RISKS = (0.01, 0.05, 0.15, 0.30)
BOLD = (0.5, 0.8)
"""Risks beyond the menu, for boxes whose claims often fail."""

VOLUMES = (0.3, 0.2, 0.1, 0.05, 0.02)
REFINE, QUARTER = "refine", "refine, epsilon / 4"
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
    """A box: for every axis the level numbers that stay; where it makes a claim, the claim, and the noise it assumes."""

    method: str
    setting: str
    levels: list[list[int]]
    claim: float = float("nan")
    epsilon: float = float("nan")
    noise: float = float("nan")


def trials(table: Grid, n: int, seed: int) -> Trials:
    """A round of Sobol' points; every table has its own."""
    own = 1000 * seed + zlib.crc32(f"{table.family}-{table.name}".encode()) % 1000
    rows = draw(design_named("sobol"), table.space, n, own).astype(int)
    rng = np.random.default_rng([own, n])
    return Trials(table, rows, np.array([table.draw(table.cell(row), rng) for row in rows]), seed)


# refine


def by_refine(t: Trials) -> Iterator[Found]:
    """The product: `refine.analyze` and `refine.propose`, by risk, with its own epsilon and with a quarter of that.

    One posterior serves them all. Beside the boxes of risks stand those of the path by their volume, whatever they risk.
    """
    analysis, grids = analysis_of(t)
    plain = refine.proposal.proposal.surrogate_of
    try:
        refine.proposal.proposal.surrogate_of = lru_cache(maxsize=1)(plain)
        noise = analysis.noise
        # The menu's boxes come from one path, the bolder ones from another.
        for method, epsilon, risks in (
            (REFINE, None, RISKS),
            (REFINE, None, BOLD),
            (QUARTER, noise.epsilon / 4, RISKS),
            (QUARTER, noise.epsilon / 4, BOLD),
        ):
            proposal = refine.propose(analysis, risk=risks[-1], epsilon=epsilon)
            for risk in risks:
                p = proposal.at(risk)
                keep = [np.flatnonzero(p.space[k].contains(v)).tolist() for k, v in grids.items()]
                yield Found(method, f"risk {risk:g}", keep, p.claim.probability, p.claim.epsilon, noise.sd)
            if risks == RISKS:
                yield from _by_volume(method, proposal._made_of.menu.frontier)
    finally:
        refine.proposal.proposal.surrogate_of = plain


def _by_volume(method: str, path: stats.Frontier) -> Iterator[Found]:
    """The smallest boxes of a path that keep at least these volumes."""
    for volume in VOLUMES:
        box = [box for box in path.boxes if box.kept >= volume][-1]
        yield Found(f"{method}, path", f"volume {volume:g}", _levels(box.keep), 1 - box.risk, path.epsilon)


def analysis_of(t: Trials) -> tuple[refine.Analysis, dict[str, np.ndarray]]:
    """What refine makes of a round, and the values of every axis."""
    grids = {
        k: np.array(v) if k in t.table.unordered else np.arange(len(v)) for k, v in t.table.levels.items()
    }
    frame = pd.DataFrame({k: grids[k][t.rows[:, j]] for j, k in enumerate(grids)}).assign(value=t.y)
    return refine.analyze(t.table.space, frame, seed=t.seed), grids


def by_posterior(t: Trials) -> Iterator[Found]:
    """Paths of boxes by the forest's draws alone, by the Gaussian process's alone, and by both.

    No test decides which parameters may be narrowed.
    """
    cells = _candidates(t)
    X = t.unit(t.rows)
    noise = stats.TopNoise()(X, t.y, t.cardinalities)
    posterior = stats.MixedPosterior()(X, t.y, t.unit(cells), t.cardinalities)
    half = posterior.forest
    for method, part in (
        ("forest alone", np.s_[:half]),
        ("Gaussian process alone", np.s_[half:]),
        ("both, no tests", np.s_[:]),
    ):
        drawn = posterior._replace(scores=posterior.scores[part])
        path = stats.RiskPath()(drawn, cells, t.axes, noise.epsilon, keep=t.rows[posterior.best_known(1)])
        for risk in RISKS:
            box = path.at(risk)
            yield Found(method, f"risk {risk:g}", _levels(box.keep), 1 - box.risk, noise.epsilon, noise.sd)
        yield from _by_volume(method, path)


def by_first_engine(t: Trials) -> Iterator[Found]:
    """The boxes of refine before its engine was rebuilt, as recorded on these very rounds."""
    key = f"{t.table.family}-{t.table.name}-{len(t.y)}-{t.seed}"
    for line in _first_engine().get(key, ()):
        if line["rows"] != _crc(t):
            raise SystemExit(f"{key}: the recorded boxes are of another round")
        levels = [[i for i, kept in enumerate(axis) if kept == "1"] for axis in line["keep"]]
        yield Found("the first engine", f"risk {line['risk']:g}", levels, line["claim"], line["epsilon"])


@cache
def _first_engine() -> dict[str, list[dict]]:
    lines: dict[str, list[dict]] = {}
    for line in map(json.loads, (_HERE / "recorded" / "first-engine.jsonl").read_text().splitlines()):
        lines.setdefault(line["round"], []).append(line)
    return lines


def _crc(t: Trials) -> int:
    return zlib.crc32(np.r_[t.rows.ravel(), t.y].tobytes())


def _candidates(t: Trials) -> np.ndarray:
    """Level numbers of cells all over the grid."""
    count = min(_CANDIDATES, len(t.table.truth))
    return draw(design_named("uniform"), t.table.space, count, t.seed).astype(int)


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
            stats.PedAnova(top=0.1, permutations=19, resamples=20)(x, t.y, k).raw
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


def by_trust_region(t: Trials) -> Iterator[Found]:
    """TuRBO's region (Eriksson et al. 2019): around the trial with the best expectation, longer along flat axes.

    Sides are L times a Gaussian process's lengths, whose geometric mean is 1; L is 0.8 at first, 1.6 at most and halved
    after failures. Choices stay: the method has none.
    """
    X = t.unit(t.rows)
    known = evidence(X, t.y)
    features = embed(X[known.rows], np.ones(X[known.rows].shape, bool), t.cardinalities, ())
    fitted = fit_kernel(features, known.score, 1, np.random.default_rng(t.seed))[0]
    x = features.scaled(fitted.lengths)
    covariance = fitted.covariance(x, x)
    mean = covariance @ np.linalg.solve(covariance + (fitted.noise + 1e-6) * np.eye(len(x)), known.score)
    centre = t.rows[known.rows[np.argmax(mean)]]
    ordered = np.array([k == 0 for k in t.cardinalities])
    weight = fitted.lengths / np.exp(np.log(fitted.lengths[ordered]).mean()) if ordered.any() else np.ones(1)
    for side in (1.6, 0.8, 0.4):
        keep = [
            np.abs(np.arange(size) - centre[j]) <= side * weight[j] * (size - 1) / 2.0 + 1e-9
            if ordered[j]
            else np.ones(size, bool)
            for j, size in enumerate(t.table.shape)
        ]
        yield Found("TuRBO", f"side {side:g}", _levels(keep))


def by_partition(t: Trials) -> Iterator[Found]:
    """LA-MCTS's partition (Wang, Fonseca and Tian 2020): the better part of the better part, and the box around it.

    Two means of positions and value split a node's trials; a support vector machine on the positions is the border, and
    the part with the better mean goes on, as without exploration. Of every axis stay the levels that hold cells of the
    part, 5 % trimmed at each end; of choices those with half of what would be their share.
    """
    from sklearn.cluster import KMeans
    from sklearn.svm import SVC

    sizes = list(zip(t.table.shape, t.cardinalities, strict=True))

    def features(rows: np.ndarray) -> np.ndarray:
        columns = [
            np.eye(n)[rows[:, j]] / np.sqrt(2) if k else rows[:, [j]] / max(n - 1, 1)
            for j, (n, k) in enumerate(sizes)
        ]
        return np.concatenate(columns, axis=1)

    rows, score, cells = t.rows, (rankdata(t.y) - 0.5) / len(t.y), _candidates(t)
    keep = [np.ones(n, bool) for n in t.table.shape]
    for depth in range(1, 5):
        points = features(rows)
        part = KMeans(2, n_init=5, random_state=t.seed).fit_predict(np.c_[points, 2.0 * score])
        border = SVC(kernel="rbf", gamma="scale").fit(points, part) if len(set(part)) == 2 else None
        if border is not None:
            better = int(score[part == 1].mean() > score[part == 0].mean())
            inside, there = border.predict(points) == better, border.predict(features(cells)) == better
            # A part of few trials is not divided further.
            if inside.sum() >= 5 and there.any():
                rows, score, cells = rows[inside], score[inside], cells[there]
                keep = [_spanned(cells[:, j], n, k) for j, (n, k) in enumerate(sizes)]
        yield Found("LA-MCTS", f"depth {depth}", _levels(keep))


def _spanned(x: np.ndarray, size: int, unordered: int) -> np.ndarray:
    if unordered:
        return np.bincount(x, minlength=size) * size > 0.5 * len(x)
    low, high = np.quantile(x, [0.05, 0.95], method="nearest")
    return (np.arange(size) >= low) & (np.arange(size) <= high)


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


METHODS: dict[str, tuple[Callable[[Trials], Iterator[Found]], tuple[str, ...]]] = {
    "refine": (by_refine, ("stats/*.py", "analysis/*.py", "proposal/*.py")),
    "first engine": (by_first_engine, ()),
    "posterior": (by_posterior, ("stats/posterior.py", "stats/box_path.py", "stats/kernel.py")),
    "density ratio": (by_ratio, ("stats/density.py",)),
    "top boxes": (by_top, ()),
    "domain reduction": (by_domain_reduction, ()),
    "irace": (by_irace, ()),
    "PED-ANOVA": (by_pedanova, ("stats/importance.py",)),
    "TuRBO": (by_trust_region, ("stats/kernel.py",)),
    "LA-MCTS": (by_partition, ()),
}
"""Group -> what gives its boxes, and the sources of refine that they depend on."""


def found(group: str, table: Grid, n: int, seed: int) -> list[Found]:
    """The boxes of a group of methods on one round, from the cache if they are there."""
    return [Found(*f) for f in cached(group, *METHODS[group], table, n, seed)]


def cached(
    group: str,
    make: Callable[[Trials], Iterator[tuple]],
    sources: Sequence[str],
    table: Grid,
    n: int,
    seed: int,
) -> list[list]:
    """What is made of one round, kept by what it rests on."""
    data = zlib.crc32(np.append(table.truth, table.noise).tobytes())
    key = f"{table.family}-{table.name}-{data:08x}-{n}-{seed}-{digest(make, tuple(sources))}"
    path = _CACHE / f"{group.replace(' ', '-')}.jsonl"
    known = _known(path)
    if key not in known:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known[key] = [list(row) for row in make(trials(table, n, seed))]
        path.parent.mkdir(exist_ok=True)
        with path.open("ab", buffering=0) as file:  # one write a line: several processes share the file
            file.write((json.dumps({"key": key, "found": known[key]}) + "\n").encode())
    return known[key]


@cache
def _known(path: Path) -> dict[str, list]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["key"]: entry["found"] for entry in map(json.loads, lines)}


@cache
def digest(make: Callable, sources: tuple[str, ...]) -> str:
    """Of a function here and of the parts of refine that it rests on."""
    home = Path(refine.__file__).parent
    files = [f.read_text() for pattern in sources for f in sorted(home.glob(pattern))]
    here = [ast.dump(ast.parse(inspect.getsource(function))) for function in (make, trials)]
    text = "".join([*here, *files])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# What a box is worth


class Worth(NamedTuple):
    """A box against the whole grid's truth.

    Attributes:
        kept: Share of the cells inside.
        regret: (best - best mean inside) / (best - median).
        top: Share of the grid's best 1 % that is inside.
        loss: best - best mean inside, in units of the metric.
        luck: the same of one training a cell.
    """

    kept: float
    regret: float
    top: float
    loss: float
    luck: float


def worth(table: Grid, levels: Sequence[Sequence[int]]) -> Worth:
    """Measures a box."""
    top, single = _judges(table)
    inside = np.ix_(*levels)
    loss = table.best - float(table.truth.reshape(table.shape)[inside].max())
    luck = float(single.max() - single[inside].max())
    share = float(top[inside].sum() / top.sum())
    return Worth(top[inside].size / top.size, loss / (table.best - table.median), share, loss, luck)


@lru_cache(maxsize=32)
def _judges(table: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Which cells are the best 1 %, and one training of each."""
    rank = (rankdata(table.truth) - 1) / (table.truth.size - 1)
    return (rank >= 0.99).reshape(table.shape), table.single(0).reshape(table.shape)


def measured(
    seeds: int, families: Sequence[str], sizes: Sequence[int], groups: Sequence[str] = tuple(METHODS)
) -> pd.DataFrame:
    """Every box of these methods with what it is worth, one row each; synthetic grids have half of the seeds."""
    lines = []
    for family in families:
        for table in tables(family):
            for n in sizes:
                for seed in range(seeds if family in FAMILIES else -(-seeds // 2)):
                    for group in groups:
                        for box in found(group, table, n, seed):
                            about = (family, table.name, n, seed, box.method, box.setting)
                            said = (box.claim, box.epsilon, box.noise / table.noise)
                            lines.append((*about, *said, *worth(table, box.levels)))
    columns = ["family", "table", "n", "seed", "method", "setting", "claim", "epsilon", "noise"]
    return pd.DataFrame(lines, columns=[*columns, *Worth._fields])


def tables(family: str) -> Iterator[Grid]:
    """The grids of a family."""
    if family in KINDS:
        yield from (synthetic(family, i) for i in range(COUNT))
    else:
        yield from (grid(family, name) for name in names(family))
