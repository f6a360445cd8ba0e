"""What the statistics see and what they imagine, on simulated rounds whose answer is known.

    python benchmarks/power.py                     about eight minutes on a quiet core
    python benchmarks/power.py --simulations 40    a look

Half of the parameters are ranges of ten levels, half are unordered choices of three or four. Everything is called as
`refine.analyze` calls it, at the same levels. Pure noise goes through `refine.analyze` and `refine.propose` themselves.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import refine
from refine import stats
from refine.analysis.evidence import ALPHA, GOOD

DIMENSIONS = (4, 8)
SIZES = (30, 60, 120, 240)
NOISE_SIZES = (30, 100, 300)
PAIR_SIZES = (120, 240)
MOST_CHANGED = 0.05
"""Share of the parameters of pure noise that proposals may change."""

WANTED = {"monotone effect": 65, "interior optimum": 35, "unordered choice": 50}
"""Least power at n = 60 with 8 parameters, in %."""

LOOKS = 9
"""At a round that grows from 30 to 300 trials."""

MOST_IMAGINED = 20
"""Share of such rounds of pure noise, in %, in which anything may be found to matter at any look."""

WEAK = 0.25
"""Deviation of an effect along a range, in that of the noise."""

COLUMNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rank": lambda p: p[:, 0],
    "PED-ANOVA": lambda p: p[:, 1],
    "additive": lambda p: p[:, 2],
    "3 x least": lambda p: np.minimum(1.0, 3 * p.min(axis=1)),
    "joined": lambda p: np.array([stats.joined(b, a, c).p for a, b, c in p]),
}
"""How p-values of the three tests become one; the last is what refine does."""

LEVELS = np.linspace(0.0, 1.0, 10)


class Problem(NamedTuple):
    """A truth in units of the noise.

    Attributes:
        effect: From (n, d) positions and codes to (n,) values without noise.
        real: Parameters that matter, by number, with what they are called.
    """

    effect: Callable[[np.ndarray], np.ndarray]
    real: dict[int, str]


# Every term has deviation 1 over the levels before its factor. Parameters 0 and 1 are ordered, 2 has 3 choices, 3 has 4.


def _line(x: np.ndarray) -> np.ndarray:
    return (x - 0.5) / LEVELS.std()


def _peak(x: np.ndarray, at: float = 0.5) -> np.ndarray:
    return -((x - at) ** 2) / ((LEVELS - at) ** 2).std()


def _choice(c: np.ndarray, k: int) -> np.ndarray:
    """The last choice is better."""
    return ((c == k - 1) - 1 / k) / np.sqrt((k - 1) / k**2)


DETECTION = {
    "three equal effects": Problem(
        lambda X: 0.4 * (_line(X[:, 0]) + _peak(X[:, 1]) + _choice(X[:, 2], 3)),
        {0: "monotone effect", 1: "interior optimum", 2: "unordered choice"},
    ),
    "strong and weak": Problem(
        lambda X: 2.0 * _line(X[:, 0]) + 0.4 * _line(X[:, 1]),
        {0: "effect of 2 sd", 1: "weak effect beside one of 2 sd"},
    ),
}

COUPLED = {
    "ridge": lambda X: -((X[:, 0] - X[:, 1]) ** 2) / 0.25,
    "choice turns a range around": lambda X: _line(X[:, 0]) * np.where(X[:, 2] == 2, 1, -1),
    "additive, slopes": lambda X: _line(X[:, 0]) + _line(X[:, 1]) + _choice(X[:, 2], 3),
    "additive, steps": lambda X: (X[:, 0] > 0.7) * 2.0 + (X[:, 1] > 0.3) * 2.0 + _choice(X[:, 2], 3),
}
"""Surfaces on which parameters 0 and 1, or 0 and 2, are coupled, and two without any coupling."""

PAIR = {"ridge": (0, 1), "choice turns a range around": (0, 2)}

VALUES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "accuracy on 171 rows": lambda rng, n: rng.binomial(171, 0.96, n) / 171,
}
"""Pure noise: normal, heavy-tailed, and with many ties."""


@cache
def space(d: int) -> refine.Space:
    """Two ranges of ten levels, then 3 and 4 choices, then the same again."""
    kinds = [(0.0, 1.0, 10), (0.0, 1.0, 10), ["a", "b", "c"], ["a", "b", "c", "d"]]
    return refine.Space({f"x{j}": kinds[j % 4] for j in range(d)})


def cardinalities(d: int) -> list[int]:
    """0 for a range, the number of choices for another."""
    return [(0, 0, 3, 4)[j % 4] for j in range(d)]


def cells(d: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Level numbers of an space-filling round, and its positions and codes."""
    rows = rng.integers(0, space(d).radices, size=(n, d))
    return rows, rows / [1 if k else 9 for k in cardinalities(d)]


def tests(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(d, 3) p-values of every parameter: rank test, PED-ANOVA, additive model."""
    order = np.lexsort((*X.T, y))
    X, y = X[order], y[order]
    sizes = cardinalities(X.shape[1])
    p = np.empty((len(sizes), 3))
    p[:, 2] = stats.AdditiveTest()(X, y, sizes)
    ped = stats.PedAnova(top=GOOD, permutations=stats.permutations_needed(len(sizes), ALPHA), resamples=1)
    for j, k in enumerate(sizes):
        x = X[:, j]
        p[j, 0] = (stats.KruskalWallis(resamples=1)(x, y, k) if k else stats.Spearman(resamples=1)(x, y)).p
        p[j, 1] = ped(x, y, k, None if k else LEVELS).p
    return p


def seen(p: np.ndarray) -> np.ndarray:
    """(columns, d) whether a parameter is found to matter, q <= 0.1, by each of `COLUMNS`."""
    return np.array([stats.benjamini_hochberg(one(p)) <= ALPHA for one in COLUMNS.values()])


def edges(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ranges, 2) p-values of the low and high ends, their q-values, and whether the end would be widened."""
    found = [
        stats.Boundary(top=GOOD)(X[:, j], y, LEVELS) for j, k in enumerate(cardinalities(X.shape[1])) if not k
    ]
    p = np.array([[edge.p for edge in pair] for pair in found])
    q = stats.benjamini_hochberg(p.ravel()).reshape(p.shape)
    return p, q, np.array([[edge.peak for edge in pair] for pair in found]) & (q <= ALPHA)


def done(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], Any]:
    """Job -> what `work` makes of it."""
    return {job: work(*job) for job in jobs}


def stream(*key: Any) -> np.random.Generator:
    """Random numbers of one job."""
    return np.random.default_rng(list(repr(key).encode()))


# What matters


def detect(name: str, d: int, n: int, simulations: int) -> np.ndarray:
    """(simulations, columns, d) what is seen."""
    rng, problem = stream("detect", name, d, n), DETECTION[name]
    found = np.empty((simulations, len(COLUMNS), d), bool)
    for i in range(simulations):
        _, X = cells(d, n, rng)
        found[i] = seen(tests(X, problem.effect(X) + rng.normal(size=n)))
    return found


def false_share(found: np.ndarray, real: Iterable[int]) -> np.ndarray:
    """(simulations, columns) share of what is seen that is not real; 0 where nothing is seen."""
    false = np.delete(found, list(real), axis=2).sum(axis=2)
    return false / np.maximum(found.sum(axis=2), 1)


def detection(simulations: int, noise: dict[tuple[Any, ...], Noise]) -> str:
    """Power and realised false discovery rate."""
    jobs = [(name, d, n, simulations) for name in DETECTION for n in SIZES for d in DIMENSIONS]
    found = done(detect, jobs)
    head = "| | n | " + " | ".join(COLUMNS) + " |\n|---|---:|" + "---:|" * len(COLUMNS)
    power, false, last = [head], [head], {}
    for name, problem in DETECTION.items():
        for j, called in problem.real.items():
            for n in SIZES:
                shares = [100 * found[name, d, n, simulations][:, :, j].mean(axis=0) for d in DIMENSIONS]
                power.append(f"| {called} | {n} | {_cells(shares, '.0f')} |")
    rates = {
        (name, n): [false_share(found[name, d, n, simulations], problem.real) for d in DIMENSIONS]
        for name, problem in DETECTION.items()
        for n in SIZES
    }
    for n in NOISE_SIZES:
        rounds = [[seen(p) for p in of.p] for key, of in noise.items() if key[2] == n]
        by_d = {d: [] for d in DIMENSIONS}
        for each in rounds:
            by_d[each[0].shape[1]] += each
        rates["pure noise", n] = [false_share(np.array(each), ()) for each in by_d.values()]
    for (name, n), parts in rates.items():
        means = [part.mean(axis=0) for part in parts]
        false.append(f"| {name} | {n} | {_cells([100 * m for m in means], '.1f')} |")
        for d, part in zip(DIMENSIONS, parts, strict=True):
            ours = part[:, -1]
            last[f"{name}, n = {n}, {d} parameters"] = (ours.mean(), ours.std(ddof=1) / np.sqrt(len(ours)))
    return "\n\n".join(
        [
            f"**Is the effect detected?** Share of {simulations} rounds in which q <= 0.1, in %, with {DIMENSIONS[0]} / {DIMENSIONS[1]} parameters. "
            "An effect has 0.4 deviations of the noise, unless it says otherwise. *Joined* is what refine does, *3 x least* what its first engine did.",
            "\n".join(power),
            f"**Realised false discovery rate**, in %, with {DIMENSIONS[0]} / {DIMENSIONS[1]} parameters. In pure noise it is the "
            "share of rounds in which any effect is reported.",
            "\n".join(false),
            f"- False discovery rate wanted at most {100 * ALPHA:.0f} %: {_judged(last)}.",
            f"- Power at n = 60 with 8 parameters: {_reached(found, simulations)}.",
        ]
    )


def _reached(found: dict[tuple[Any, ...], np.ndarray], simulations: int) -> str:
    """Power against what was wanted of it, with Wilson's intervals."""
    texts = []
    for j, called in DETECTION["three equal effects"].real.items():
        hits = int(found["three equal effects", 8, 60, simulations][:, -1, j].sum())
        low, high = stats.wilson(hits, simulations)
        got = f"{100 * hits / simulations:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
        texts.append(f"{called} wanted {WANTED[called]} %, got {got}")
    return "; ".join(texts)


def _judged(rates: dict[str, tuple[float, float]]) -> str:
    """Whether false discovery rates, given with their standard errors, stay under what was wanted."""
    over = {name: (rate, error) for name, (rate, error) in rates.items() if rate > ALPHA}
    certain = {name: rate - 1.96 * error > ALPHA for name, (rate, error) in over.items()}
    highest = 100 * max(rate for rate, _ in rates.values())
    texts = [
        f"{name} {100 * rate:.1f} % (± {196 * error:.1f}{'' if certain[name] else ', which may be chance'})"
        for name, (rate, error) in over.items()
    ]
    how = "missed" if any(certain.values()) else "exceeded" if over else "reached"
    return (
        f"{how}{' at ' + '; '.join(texts) if over else ''} ({len(rates)} rates, the highest {highest:.1f} %)"
    )


def _cells(parts: Sequence[np.ndarray], how: str) -> str:
    return " | ".join(" / ".join(format(v, how) for v in values) for values in zip(*parts, strict=True))


# Pure noise


class Noise(NamedTuple):
    """Rounds of nothing.

    Attributes:
        kinds: What proposals do to the parameters, with how many.
        touched: Rounds in which any parameter is changed.
        p: Per round the (d, 3) p-values of `tests`.
        edge_p: P-values of all ends.
        pair_p: P-values of all pairs; empty where too few trials are good.
        rounds: How many.
    """

    kinds: Counter[str]
    touched: int
    p: list[np.ndarray]
    edge_p: np.ndarray
    pair_p: np.ndarray
    rounds: int


def nothing(kind: str, d: int, n: int, rounds: int) -> Noise:
    """Proposals on pure noise.

    A parameter is changed only if a test lets it be, so that a round in which none does is a proposal to keep all
    and is not asked for.
    """
    rng = stream("nothing", kind, d, n)
    kinds: Counter[str] = Counter()
    touched, ps, edge_p, pair_p = 0, [], [], []
    for _ in range(rounds):
        rows, X = cells(d, n, rng)
        y = VALUES[kind](rng, n)
        p = tests(X, y)
        at_edge, _, widen = edges(X, y)
        order = np.lexsort((*X.T, y))
        pairs = stats.Interactions(top=GOOD)(X[order], y[order], cardinalities(d))
        changed = {}
        if seen(p)[-1].any() or widen.any() or any(pair.q <= ALPHA for pair in pairs):
            frame = pd.DataFrame(space(d).columns(rows)).assign(value=y)
            proposal = refine.propose(refine.analyze(space(d), frame))
            changed = {c.name: c.kind for c in proposal.changes if c.kind != "keep"}
        kinds.update(changed.values())
        kinds["keep"] += d - len(changed)
        touched += bool(changed)
        ps.append(p)
        edge_p.append(at_edge.ravel())
        pair_p += [pair.p for pair in pairs if np.isfinite(pair.statistic)]
    return Noise(kinds, touched, ps, np.concatenate(edge_p), np.array(pair_p), rounds)


def nothings(simulations: int) -> dict[tuple[Any, ...], Noise]:
    """Pure noise of every kind and size; half of the rounds have 4, half 8 parameters."""
    return done(
        nothing, [(k, d, n, simulations // 2) for n in NOISE_SIZES for k in VALUES for d in DIMENSIONS]
    )


def imagined(noise: dict[tuple[Any, ...], Noise]) -> str:
    """Share of the parameters of pure noise that are changed."""
    lines = [
        "| values | n | parameters | changed | narrowed | choices dropped | widened | rounds with any change |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    verdicts = []
    for n in NOISE_SIZES:
        lines += [
            _imagined(kind, n, [v for k, v in noise.items() if (k[0], k[2]) == (kind, n)]) for kind in VALUES
        ]
        of = [v for k, v in noise.items() if k[2] == n]
        lines.append(_imagined("**all**", n, of))
        hits, total = _changed(of)
        low, high = stats.wilson(hits, total)
        judged = "reached" if hits <= MOST_CHANGED * total else "missed"
        verdicts.append(
            f"- Pure noise, n = {n}: {100 * hits / total:.1f} % of the parameters are changed ({100 * low:.1f} to {100 * high:.1f}; "
            f"wanted: at most {100 * MOST_CHANGED:.0f} %): {judged}."
        )
    return "\n\n".join(
        [
            "**What is proposed if nothing matters?** Values that do not depend on any parameter, `refine.propose` at its "
            "defaults, shares with Wilson's 95 % interval.",
            "\n".join(lines),
            "\n".join(verdicts),
        ]
    )


def _changed(of: Sequence[Noise]) -> tuple[int, int]:
    total = sum(sum(v.kinds.values()) for v in of)
    return total - sum(v.kinds["keep"] for v in of), total


def _imagined(kind: str, n: int, of: Sequence[Noise]) -> str:
    hits, total = _changed(of)
    low, high = stats.wilson(hits, total)
    parts = [100 * sum(v.kinds[what] for v in of) / total for what in ("narrow", "drop", "widen")]
    rounds = 100 * sum(v.touched for v in of) / sum(v.rounds for v in of)
    return (
        f"| {kind} | {n} | {total:,} | {100 * hits / total:.1f} % ({100 * low:.1f} to {100 * high:.1f}) | "
        + " | ".join(f"{part:.1f} %" for part in parts)
        + f" | {rounds:.0f} % |"
    )


WAYS: dict[str, Callable[[list[int], int], int]] = {
    "by q alone": lambda sizes, n: 1,
    "nine plans, each run to its end": lambda sizes, n: stats.stage_of([m for m in sizes if m <= n], n),
    "one plan of 300, looked at on the way": lambda sizes, n: stats.stage_of(sizes[-1:], n),
}
"""How a round grew -> which stage a look at so many trials is."""


def look_again(effect: float, d: int, rounds: int) -> np.ndarray:
    """(rounds, ways, 2) whether something matters at any look at a growing round, and whether parameter 0 does."""
    rng = stream("looks", d)
    sizes = np.linspace(30, 300, LOOKS).astype(int).tolist()
    found = np.zeros((rounds, len(WAYS), 2), bool)
    for i in range(rounds):
        _, X = cells(d, sizes[-1], rng)
        y = effect * _line(X[:, 0]) + rng.normal(size=sizes[-1])
        for n in sizes:
            q = stats.benjamini_hochberg(COLUMNS["joined"](tests(X[:n], y[:n])))
            for way, stage in enumerate(WAYS.values()):
                seen_now = q * stats.looks_spent(stage(sizes, n)) <= ALPHA
                found[i, way] |= seen_now.any(), seen_now[0]
    return found


def looks(rounds: int) -> str:
    """What looking again and again at a growing round costs."""
    lines = [
        "| the round grew by | "
        + " | ".join(f"noise, {d} parameters" for d in DIMENSIONS)
        + f" | effect of {WEAK:g} sd seen |",
        "|---|" + "---:|" * (len(DIMENSIONS) + 1),
    ]
    shares = [look_again(0.0, d, rounds)[:, :, 0] for d in DIMENSIONS]
    shares.append(look_again(WEAK, DIMENSIONS[-1], rounds)[:, :, 1])
    for way, name in enumerate(WAYS):
        row = []
        for hits in (share[:, way].sum() for share in shares):
            low, high = stats.wilson(int(hits), rounds)
            row.append(f"{100 * hits / rounds:.0f} % ({100 * low:.0f} to {100 * high:.0f})")
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n\n".join(
        [
            f"**{LOOKS} looks at a growing round**, from 30 to 300 trials: share of {rounds} rounds of pure noise in which "
            f"anything matters at any look (wanted: at most {MOST_IMAGINED} %), and in which a weak effect is seen.",
            "\n".join(lines),
        ]
    )


# Pairs, edges, failures


def couple(name: str, d: int, n: int, simulations: int) -> tuple[float, float, float]:
    """Share of rounds that see the coupled pair; of other pairs that are called coupled; the false discovery rate."""
    rng, real = stream("couple", name, d, n), PAIR.get(name)
    hits, false, pairs, rate = 0, 0, 0, 0.0
    for _ in range(simulations):
        _, X = cells(d, n, rng)
        found = stats.Interactions(top=GOOD)(X, COUPLED[name](X) + rng.normal(size=n), cardinalities(d))
        called = {(pair.i, pair.j) for pair in found if pair.q <= ALPHA}
        others = called - {real}
        hits += real in called
        false += len(others)
        pairs += len(found) - (real is not None)
        rate += len(others) / max(len(called), 1)
    return hits / simulations, false / pairs, rate / simulations


def couplings(simulations: int) -> str:
    """Power and false alarms of pairs."""
    found = done(
        couple, [(name, d, n, simulations) for n in PAIR_SIZES for name in COUPLED for d in DIMENSIONS]
    )
    lines = [
        "| surface | n | the coupled pair is detected | other pairs called coupled | false discovery rate |",
        "|---|---:|---:|---:|---:|",
    ]
    rates = {}
    for name in COUPLED:
        for n in PAIR_SIZES:
            parts = [np.array(found[name, d, n, simulations]) * 100 for d in DIMENSIONS]
            power, pairs, rate = _cells(parts, ".1f").split(" | ")
            lines.append(f"| {name} | {n} | {power if name in PAIR else '-'} | {pairs} | {rate} |")
            for d, part in zip(DIMENSIONS, parts, strict=True):
                # No rate of shares spreads more than one of yes and no.
                error = np.sqrt(part[2] * (100 - part[2]) / simulations)
                rates[f"{name}, n = {n}, {d} parameters"] = (part[2] / 100, error / 100)
    return "\n\n".join(
        [
            f"**Couplings** (q <= 0.1), in % of {simulations} rounds, with {DIMENSIONS[0]} / {DIMENSIONS[1]} parameters; noise of deviation 1.",
            "\n".join(lines),
            f"- False discovery rate of pairs at most {100 * ALPHA:.0f} %: {_judged(rates)}. Without coupling it is the share of rounds in "
            "which any pair is called coupled.",
        ]
    )


OPTIMA = {
    "beyond the end, at 1.3": 1.3,
    "on the last level": 1.0,
    "inside, at 0.8": 0.8,
    "in the middle": 0.5,
}


def press(at: float, n: int, simulations: int) -> tuple[float, float]:
    """Share of rounds that would widen the end next to the optimum; share of all other ends that would be."""
    rng = stream("press", at, n)
    hits, false = 0, 0
    for _ in range(simulations):
        _, X = cells(8, n, rng)
        widen = edges(X, _peak(X[:, 0], at) + rng.normal(size=n))[2]
        hits += widen[0, 1]
        false += widen.sum() - widen[0, 1]
    return hits / simulations, false / (simulations * (widen.size - 1))


def boundaries(simulations: int) -> str:
    """Power and false alarms of edges."""
    found = done(press, [(at, n, simulations) for n in SIZES for at in OPTIMA.values()])
    lines = ["| optimum | " + " | ".join(f"n = {n}" for n in SIZES) + " |", "|---|" + "---:|" * len(SIZES)]
    for name, at in OPTIMA.items():
        shares = [found[at, n, simulations] for n in SIZES]
        lines.append(f"| {name} | " + " | ".join(f"{100 * a:.0f} ({100 * b:.1f})" for a, b in shares) + " |")
    return "\n\n".join(
        [
            f"**Ends**: share of {simulations} rounds that would widen the end of a range of 0 to 1 next to its optimum, in %, and in "
            "brackets the share of all other ends. Four ranges, an effect of one deviation of the noise.",
            "\n".join(lines),
        ]
    )


FAILING: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "one of 10 levels": (0, lambda codes: codes == 1),
    "the upper 6 of 20 levels": (0, lambda codes: codes >= 14),
    "one of 4 choices": (3, lambda codes: codes == 1),
    "none": (-1, lambda codes: np.zeros(len(codes), bool)),
}
"""Name -> the parameter with the levels at which trials fail more often, and which these are."""


def fail(name: str, n: int, simulations: int) -> tuple[float, float, float, np.ndarray, np.ndarray]:
    """Trials fail in 50 % at some levels of one parameter, and in 5 % elsewhere.

    Returns:
        Share of rounds that see the parameter to fail; share of the others that are called failing; share of rounds
        with any of these; the p-values of the levels, and of the trends, of parameters where nothing fails.
    """
    rng, sizes = stream("fail", name, n), [k or 10 for k in cardinalities(4)]
    column, at = FAILING[name]
    hits, false, rounds = 0, 0, 0
    null: tuple[list[float], list[float]] = [], []
    for _ in range(simulations):
        codes, _ = cells(4, n, rng)
        if "20" in name:
            sizes[0], codes[:, 0] = 20, rng.integers(0, 20, n)
        failed = rng.random(n) < np.where(at(codes[:, column]), 0.5, 0.05)
        of, p = [], []  # parameter, p-value
        for j, k in enumerate(sizes):
            rates = stats.LevelRates()(codes[:, j], failed, k)
            trends = [] if cardinalities(4)[j] else [stats.RateTrend()(codes[:, j] / (k - 1), failed).p]
            if j != column:
                null[0].extend(r.p for r in rates if r.n)
                null[1].extend(trends)
            p += [r.p if r.rate > failed.mean() else 1.0 for r in rates] + trends
            of += [j] * (k + len(trends))
        called = set(np.array(of)[stats.benjamini_hochberg(p) <= ALPHA].tolist())
        hits += column in called
        false += len(called - {column})
        rounds += bool(called - {column})
    others = len(sizes) - (column >= 0)
    levels, trend = (np.array(values) for values in null)
    return hits / simulations, false / simulations / others, rounds / simulations, levels, trend


def failures(found: dict[tuple[Any, ...], Any], simulations: int) -> str:
    """Power and false alarms of failing levels."""
    lines = [
        "| fails more often | " + " | ".join(f"n = {n}" for n in SIZES) + " |",
        "|---|" + "---:|" * len(SIZES),
    ]
    for name, (column, _) in FAILING.items():
        each = [found[name, n, simulations] for n in SIZES]
        lines.append(
            f"| {name} | "
            + " | ".join(
                (f"{100 * v[0]:.0f} " if column >= 0 else "") + f"({100 * v[1]:.1f}, {100 * v[2]:.1f})"
                for v in each
            )
            + " |"
        )
    return "\n\n".join(
        [
            f"**Failures**: share of {simulations} rounds in which a parameter is reported to fail (q <= 0.1 over all levels of four "
            "parameters, and the trends along two of them), in %, where trials fail in 50 % at some of its levels and in 5 % "
            "elsewhere; in brackets the share of the other parameters called failing, and of rounds with any of them.",
            "\n".join(lines),
        ]
    )


# Are p-values what they say


def uniform(noise: dict[tuple[Any, ...], Noise], failing: dict[tuple[Any, ...], Any]) -> str:
    """Share of p-values under 0.05 where there is nothing."""
    above: list[str] = []
    shares = 0

    def share(p: np.ndarray, called: str) -> str:
        nonlocal shares
        shares += bool(len(p))
        hits = int((p <= 0.05).sum())
        low, high = stats.wilson(hits, len(p))
        if low > 0.05:
            above.append(f"{called}: {100 * hits / len(p):.1f} %")
        return f"{100 * hits / len(p):.1f} ({100 * low:.1f} to {100 * high:.1f})" if len(p) else "-"

    lines = ["| test | values | " + " | ".join(f"n = {n}" for n in NOISE_SIZES) + " |"]
    lines.append("|---|---|" + "---:|" * len(NOISE_SIZES))
    tied = list(VALUES)[-1]
    for test, taken in _PARTS.items():
        for kind in ("without ties", tied):
            row = []
            for n in NOISE_SIZES:
                of = [v for k, v in noise.items() if k[2] == n and (k[0] == tied) == (kind == tied)]
                p = np.concatenate([taken(v) for v in of])
                row.append(share(p, f"{test}, {kind}, n = {n}"))
            lines.append(f"| {test} | {kind} | {' | '.join(row)} |")
    failures_ = {
        what: ", ".join(
            f"{share(np.concatenate([v[3 + i] for key, v in failing.items() if key[1] == n]), f'{what}, n = {n}')} at n = {n}"
            for n in SIZES
        )
        for i, what in enumerate(("Failures per level", "Failures along a range"))
    }
    judged = "none" if not above else "; ".join(above)
    return "\n\n".join(
        [
            "**Are p-values what they say?** Share of p <= 0.05 where nothing matters, in %, with Wilson's 95 % interval; it should "
            "be 5. Fewer is conservative: counts are small, and p-values of counts take few values.",
            "\n".join(lines),
            "\n".join(f"- {what}: {shares_}." for what, shares_ in failures_.items()),
            f"- P-values that are too small more often than they say, the whole interval over 5 %: {judged} (of {shares} shares; "
            "one in 40 is expected by chance).",
        ]
    )


def _column(test: int, unordered: bool) -> Callable[[Noise], np.ndarray]:
    def taken(of: Noise) -> np.ndarray:
        at = [j for j, k in enumerate(cardinalities(len(of.p[0]))) if bool(k) == unordered]
        return np.array([p[at, test] for p in of.p]).ravel()

    return taken


_PARTS: dict[str, Callable[[Noise], np.ndarray]] = {
    "Spearman": _column(0, False),
    "Kruskal-Wallis": _column(0, True),
    "PED-ANOVA, ranges": _column(1, False),
    "PED-ANOVA, choices": _column(1, True),
    "additive, ranges": _column(2, False),
    "additive, choices": _column(2, True),
    "ends": lambda of: of.edge_p,
    "pairs": lambda of: of.pair_p,
}


def report(simulations: int = 240) -> str:
    """The section for docs/benchmarks/proposals.md."""
    noise = nothings(simulations)
    failing = done(fail, [(name, n, simulations) for n in SIZES for name in FAILING])
    return "\n\n".join(
        [
            detection(simulations, noise),
            imagined(noise),
            looks(max(40, simulations // 2)),
            couplings(simulations),
            boundaries(simulations),
            failures(failing, simulations),
            uniform(noise, failing),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=240)
    parser.add_argument("--looks", action="store_true", help="that section only")
    given = parser.parse_args()
    print(looks(max(40, given.simulations // 2)) if given.looks else report(given.simulations))
