"""The analysis: everything measured on a round's evidence. A pure function of a space and a table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refine import stats
from refine.errors import AnalysisError, did_you_mean
from refine.parameter_evidence import ALPHA, GOOD, Floats, ParameterEvidence, Rows, evidence_of
from refine.space import Space
from refine.trials import STATES, check_direction
from refine.words import number, p_value, percent, plural, score, signed, text_table

if TYPE_CHECKING:
    import pandas as pd

LEAST = 10
"""Fewest finished even trials that are analysed."""


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
        table: The round's own trials inside the space.
        outside: Its finished counter-samples, which lie outside.
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
    outside: pd.DataFrame = field(repr=False)
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
    if not np.isfinite(a.effect):
        return "-", "-"
    return f"eps2 {a.effect:.2f}", f"{a.low:.2f} to {a.high:.2f}"


def analyze(
    space: Space | Mapping[str, Any],
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
        space: The space, or its mapping; rows outside are left out.
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
    space = space if isinstance(space, Space) else Space(space)
    if value not in frame.columns:
        columns = [str(c) for c in frame.columns]
        raise AnalysisError(f"value {value!r} is no column of the table; {did_you_mean(value, columns)}")
    sign = 1.0 if direction == "maximize" else -1.0
    own = _inside(space, frame, value, groups)
    past = None if earlier is None else _inside(space, earlier, value, None)
    even = own.finished & own.even
    earlier_n = 0 if past is None else int(past.finished.sum())
    if (
        int(even.sum()) < (LEAST if not earlier_n else LEAST // 2)
        or int(own.finished.sum()) + earlier_n < LEAST
    ):
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
    permutations = stats.permutations_needed(max(1, len(names)), ALPHA)
    parameters = tuple(
        evidence_of(
            space[n], n, j, X_even, y_even, own, at[j], sign, (read or {}).get(n, np.nan), seed, permutations
        )
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
        outside=_outside(space, frame, value),
        X=X,
        y=y,
        digest=digest[:16],
    )


def _outside(space: Space, frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Finished counter-samples of a table."""
    found = frame.assign(value=frame[value])
    if "origin" not in found:
        return found.iloc[:0]
    keep = (found["origin"] == "counter") & np.isfinite(np.asarray(found["value"], dtype=float))
    if "state" in found:
        keep &= found["state"] == "complete"
    found = found[keep]
    return found[~space.contains(found)].reset_index(drop=True)


def _inside(space: Space, frame: pd.DataFrame, value: str, groups: Sequence[Any] | None) -> Rows:
    mask = space.contains(frame)
    table = frame[mask].reset_index(drop=True)
    if value != "value":
        table = table.assign(value=table[value])
    try:
        y = np.asarray(table["value"], dtype=float)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"value {value!r} must be a column of numbers, got text in it; convert it first"
        ) from None
    finished = np.isfinite(y)
    if "state" in table:
        finished &= (table["state"] == "complete").to_numpy()
    even = np.ones(len(table), dtype=np.bool_)
    if "origin" in table:
        # Somebody's table of finished runs is all there is: it is analysed as if drawn evenly.
        even = table["origin"].isin(["even", "imported"]).to_numpy()
    labels = None if groups is None else np.asarray(groups, dtype=object)[mask]
    return Rows(table, space.unit(table), y, finished, even, labels)
