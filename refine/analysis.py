"""The analysis: everything measured on a round's evidence. A pure function of a space and a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.choices import Choice
from refine.errors import AnalysisError, did_you_mean
from refine.parameters import Parameter
from refine.space import Space
from refine.trials import STATES, check_direction
from refine.words import number, p_value, percent, plural, score, signed, text_table

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

GOOD = 0.2
"""Share of the trials that counts as good in densities, edges and pairs."""

ALPHA = 0.1
"""False discovery rate below which a parameter may be narrowed."""

LEAST = 10
"""Fewest finished even trials that are analysed."""


class LevelEvidence(NamedTuple):
    """What is known about one level of one parameter.

    Attributes:
        label: The level as shown.
        n: Finished even trials at the level.
        median: Median value there, in the metric's own sign; NaN without trials.
        low: Lower end of its 95 % interval.
        high: Upper end.
        ratio: Density of good trials over density of all; above 1 means over-represented.
        ratio_low: Lower end of its 90 % interval.
        ratio_high: Upper end.
        bad: Share of trials there that did not complete.
        seconds: Median time of a finished trial there.
    """

    label: str
    n: int
    median: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    bad: float
    seconds: float


class ParameterEvidence(NamedTuple):
    """What a round taught about one parameter.

    Attributes:
        name: The parameter's.
        parameter: The parameter.
        correlation: Spearman's rank correlation with the metric, in the metric's own sign; ``None`` where
            the parameter has no order.
        association: Kruskal-Wallis over its choices; ``None`` where it has an order.
        importance: PED-ANOVA importance for being among the best fifth.
        p: P-value of 'does not matter': twice the smaller of the rank test's and the importance's.
        q: The same after Benjamini-Hochberg over all parameters of the round.
        edges: Pile-up tests at the low and the high end; empty where there is no order.
        edge_q: Their p-values after Benjamini-Hochberg over all edges of the round.
        levels: Evidence per level.
        read: Share of trials in which the objective read the parameter; NaN where it wasn't noted.
    """

    name: str
    parameter: Parameter
    correlation: stats.Correlation | None
    association: stats.Association | None
    importance: stats.Importance
    p: float
    q: float
    edges: tuple[stats.Edge, ...]
    edge_q: tuple[float, ...]
    levels: tuple[LevelEvidence, ...]
    read: float

    @property
    def matters(self) -> bool:
        """Whether the parameter may be narrowed on this evidence: q <= 0.1."""
        return self.q <= ALPHA

    @property
    def effect(self) -> float:
        """Size of the effect in [0, 1]: ``|rho|``, or the square root of epsilon squared."""
        if self.correlation is not None:
            return abs(self.correlation.estimate) if np.isfinite(self.correlation.estimate) else 0.0
        effect = self.association.effect if self.association is not None else np.nan
        return float(np.sqrt(max(0.0, effect))) if np.isfinite(effect) else 0.0


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything measured on a round's evidence.

    P-values, intervals and levels use the round's own even trials only; the evidence for where the optimum
    may be (``X``, ``y``) also holds focused trials and those of earlier rounds inside the space.

    Attributes:
        space: The space analysed.
        metric: Name of the metric, for display.
        direction: ``"maximize"`` or ``"minimize"``.
        seed: Seed of every bootstrap and permutation.
        states: State -> number of the round's own trials.
        n_even: The round's own finished even trials.
        n_earlier: Finished trials of earlier rounds inside the space.
        parameters: Evidence for every parameter that is not fixed, in the space's order.
        pairs: Couplings among the best trials; ``i`` and ``j`` count within ``parameters``.
        noise: Retraining noise, with its source.
        covered: Probability that the round hit the best 1 % of the grid.
        best: The table row of the best trial of the round.
        table: The round's own trials.
        X: Unit-scale positions of all evidence, shape (n, parameters).
        y: Values of all evidence, higher is better, shape (n,).
        digest: Hash of the evidence.
    """

    space: Space
    metric: str
    direction: str
    seed: int
    states: dict[str, int]
    n_even: int
    n_earlier: int
    parameters: tuple[ParameterEvidence, ...]
    pairs: tuple[stats.Pair, ...]
    noise: stats.Noise
    covered: float
    best: pd.Series
    table: pd.DataFrame = field(repr=False)
    X: Floats = field(repr=False)
    y: Floats = field(repr=False)
    digest: str

    def __getitem__(self, name: str) -> ParameterEvidence:
        for evidence in self.parameters:
            if evidence.name == name:
                return evidence
        names = [e.name for e in self.parameters]
        raise KeyError(f"no evidence for parameter {name!r}; {did_you_mean(name, names)}")

    @property
    def sign(self) -> float:
        """1 to maximize, -1 to minimize."""
        return 1.0 if self.direction == "maximize" else -1.0

    @property
    def ranked(self) -> tuple[ParameterEvidence, ...]:
        """Parameters by what is known of them: smallest q first, larger effects first among equals."""
        return tuple(sorted(self.parameters, key=lambda e: (round(e.q, 3), -e.effect)))

    @property
    def never_read(self) -> tuple[str, ...]:
        """Parameters that the objective read in no trial."""
        return tuple(e.name for e in self.parameters if e.read == 0)

    def __str__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in self.states.items())
        earlier = f", {plural(self.n_earlier, 'trial')} of earlier rounds inside" if self.n_earlier else ""
        rows = [
            [
                e.name,
                "rank correlation" if e.correlation else "Kruskal-Wallis",
                *_effect_text(e),
                f"q {p_value(e.q)}",
                number(e.importance.estimate),
                "never read" if e.read == 0 else "matters" if e.matters else "not seen to matter",
            ]
            for e in self.ranked
        ]
        head = ("parameter", "measure", "effect", "95 % interval", "q", "importance", "verdict")
        return "\n".join(
            [
                f"{plural(self.n_even, 'finished even trial')} ({states}{earlier}); "
                f"{self.metric}, {self.direction}; best {score(self.best['value'])}, "
                f"noise {score(self.noise.sd)} ({self.noise.source}); "
                f"hit the best 1 % with probability {percent(self.covered)}",
                "",
                text_table(head, rows),
            ]
        )


def _effect_text(e: ParameterEvidence) -> tuple[str, str]:
    if e.correlation is not None:
        c = e.correlation
        return signed(c.estimate), f"{signed(c.low)} to {signed(c.high)}"
    a = e.association
    assert a is not None
    return f"eps2 {a.effect:.2f}", f"{a.low:.2f} to {a.high:.2f}"


def analyze(
    space: Space,
    frame: pd.DataFrame,
    value: str = "value",
    direction: str = "maximize",
    seed: int = 0,
    *,
    metric: str | None = None,
    earlier: pd.DataFrame | None = None,
    read: dict[str, float] | None = None,
    groups: Sequence[Any] | None = None,
) -> Analysis:
    """Measures everything a table of finished runs can teach about a space.

    Pure: equal arguments give equal results.

    Args:
        space: The space; rows outside are left out.
        frame: One row per trial: a column per parameter, one for the value and, optionally, ``state``
            (default: complete), ``origin`` (default: even) and ``seconds``.
        value: Name of the value's column.
        direction: ``"maximize"`` or ``"minimize"``.
        seed: Seed of every bootstrap and permutation.
        metric: How to call the value; default ``value``.
        earlier: Trials of earlier rounds, in the same columns. They help to find where the optimum may be
            and are never tested on.
        read: Parameter -> share of trials in which the objective read it.
        groups: One label per row of ``frame``, equal for replicates of one permutation.

    Raises:
        AnalysisError: A column is missing, or fewer than 10 finished even trials lie inside the space.
    """
    check_direction(direction)
    if value not in frame.columns:
        columns = [str(c) for c in frame.columns]
        raise AnalysisError(f"value {value!r} is no column of the table; {did_you_mean(value, columns)}")
    sign = 1.0 if direction == "maximize" else -1.0
    own = _inside(space, frame, value, groups)
    past = None if earlier is None else _inside(space, earlier, value, None)
    even = own.finished & own.even
    if int(even.sum()) < LEAST:
        raise AnalysisError(
            f"an analysis needs at least {LEAST} finished even trials inside the space, got {int(even.sum())} of "
            f"{plural(len(frame), 'row')}; run more permutations"
        )
    names = list(space.varied)
    at = [list(space).index(n) for n in names]
    cardinalities = [0 if space[n].ordered else space[n].size for n in names]
    X_own, y_own = own.X[:, at], sign * own.y
    X, y = X_own[own.finished], y_own[own.finished]
    if past is not None:
        X = np.concatenate([X, past.X[past.finished][:, at]])
        y = np.concatenate([y, sign * past.y[past.finished]])
    order = np.lexsort((*X.T, y))  # the digest, and every draw below, must not depend on the order of rows
    X, y = X[order], y[order]
    digest = hashlib.sha256(
        np.round(np.column_stack([X, y]), 12).tobytes() + space.digest.encode()
    ).hexdigest()
    X_even, y_even = X_own[even], y_own[even]
    rows = np.lexsort((*X_even.T, y_even))
    X_even, y_even = X_even[rows], y_even[rows]
    labels = None if own.groups is None else own.groups[even][rows]
    parameters = tuple(
        _evidence(space[n], n, j, X_even, y_even, own, at[j], sign, (read or {}).get(n, np.nan), seed)
        for j, n in enumerate(names)
    )
    q = stats.benjamini_hochberg([e.p for e in parameters]) if parameters else np.zeros(0)
    edge_q = stats.benjamini_hochberg([edge.p for e in parameters for edge in e.edges])
    adjusted, start = [], 0
    for e, q_e in zip(parameters, q, strict=True):
        part = tuple(float(v) for v in edge_q[start : start + len(e.edges)])
        start += len(e.edges)
        adjusted.append(e._replace(q=float(q_e), edge_q=part))
    found = own.table.get("state")
    counts = {"complete": int(own.finished.sum())} if found is None else found.value_counts().to_dict()
    finite = np.where(own.finished, y_own, -np.inf)
    return Analysis(
        space=space,
        metric=metric or value,
        direction=direction,
        seed=seed,
        states={s: int(counts[s]) for s in STATES if s in counts},
        n_even=int(even.sum()),
        n_earlier=0 if past is None else int(past.finished.sum()),
        parameters=tuple(adjusted),
        pairs=stats.Interactions(top=GOOD, seed=seed)(X_even, y_even, cardinalities) if names else (),
        noise=stats.RetrainingNoise(seed=seed)(X_even, y_even, cardinalities, labels),
        covered=stats.hit_probability(int(even.sum()), 0.01),
        best=own.table.iloc[int(np.argmax(finite))],
        table=own.table,
        X=X,
        y=y,
        digest=digest[:16],
    )


class _Rows(NamedTuple):
    table: pd.DataFrame
    X: Floats
    y: Floats
    finished: npt.NDArray[np.bool_]
    even: npt.NDArray[np.bool_]
    groups: npt.NDArray[Any] | None


def _inside(space: Space, frame: pd.DataFrame, value: str, groups: Sequence[Any] | None) -> _Rows:
    mask = space.contains(frame)
    table = frame[mask].reset_index(drop=True)
    if value != "value":
        table = table.assign(value=table[value])
    y = np.asarray(table["value"], dtype=float)
    finished = np.isfinite(y)
    if "state" in table:
        finished &= (table["state"] == "complete").to_numpy()
    even = np.ones(len(table), dtype=np.bool_)
    if "origin" in table:
        # Somebody's table of finished runs is all there is: it is analysed as if drawn evenly.
        even = table["origin"].isin(["even", "imported"]).to_numpy()
    labels = None if groups is None else np.asarray(groups, dtype=object)[mask]
    return _Rows(table, space.unit(table), y, finished, even, labels)


def _evidence(
    parameter: Parameter,
    name: str,
    j: int,
    X: Floats,
    y: Floats,
    own: _Rows,
    column: int,
    sign: float,
    read: float,
    seed: int,
) -> ParameterEvidence:
    x = X[:, j]
    k = parameter.size
    positions = level_positions(parameter)
    grid = None if not parameter.ordered else positions
    importance = stats.PedAnova(top=GOOD, seed=seed)(x, y, 0 if parameter.ordered else k, grid)
    correlation = association = None
    edges: tuple[stats.Edge, ...] = ()
    if parameter.ordered:
        found = stats.Spearman(seed=seed)(x, y)
        low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
        correlation = found._replace(estimate=sign * found.estimate, low=low, high=high)
        edges = stats.Boundary(top=GOOD)(x, y, positions)
        p = stats.combine(importance.p, found.p).p
    else:
        association = stats.KruskalWallis(seed=seed)(x, y, k)
        p = stats.combine(importance.p, association.p).p
    good = stats.top_mask(y, GOOD)
    ratio = stats.DensityRatio()(x, good, positions, unordered=not parameter.ordered)
    nearest = stats.Axis(positions, unordered=not parameter.ordered)
    levels = stats.LevelSummary()(nearest.index(x), sign * y, k)
    everyone = nearest.index(own.X[:, column])
    labels = parameter.labels if isinstance(parameter, Choice) else [number(v, 6) for v in parameter.grid]
    seconds = (
        np.asarray(own.table["seconds"], dtype=float)
        if "seconds" in own.table
        else np.full(len(everyone), np.nan)
    )
    rows = []
    for i, level in enumerate(levels):
        here = everyone == i
        time = seconds[here & own.finished]
        rows.append(
            LevelEvidence(
                str(labels[i]),
                level.n,
                level.median,
                level.low,
                level.high,
                float(ratio.ratio[i]),
                float(ratio.low[i]),
                float(ratio.high[i]),
                float(1 - own.finished[here].mean()) if here.any() else np.nan,
                float(np.median(time)) if time.size and np.isfinite(time).all() else np.nan,
            )
        )
    return ParameterEvidence(
        name, parameter, correlation, association, importance, p, np.nan, edges, (), tuple(rows), read
    )


def level_positions(parameter: Parameter) -> Floats:
    """Unit-scale positions of the levels, or the codes of an unordered choice."""
    values = np.empty(parameter.size, dtype=object)
    values[:] = parameter.grid
    return parameter.unit(values)
