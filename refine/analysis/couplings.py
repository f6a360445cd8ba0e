"""Which parameters are coupled, each pair judged by the trials that read both. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refine import stats
from refine.analysis.evidence import GOOD, once
from refine.utils.arrays import Bools, Floats


def couplings(
    X: Floats, y: Floats, cardinalities: Sequence[int], read: Bools, seed: int
) -> tuple[stats.Pair, ...]:
    """Tests of all pairs that some trials read together; configurations that differ in what is not read count once.

    Args:
        X: (n, d) positions or codes.
        y: (n,) values, higher is better.
        cardinalities: d numbers, 0 for an ordered column, k for an unordered one.
        read: (n, d) whether the trial read the parameter.
        seed: Of the simulations.
    """
    test = stats.Interactions(top=GOOD, seed=seed)
    found: dict[tuple[int, int], stats.Pair] = {}

    def within(rows: Bools, columns: list[int]) -> list[stats.Pair]:
        kinds = [cardinalities[k] for k in columns]
        distinct, score = once(X[rows][:, columns], y[rows], kinds)
        pairs = test(X[rows][distinct][:, columns], score, kinds)
        return [p._replace(i=columns[p.i], j=columns[p.j]) for p in pairs]

    always = [j for j in range(len(cardinalities)) if read[:, j].all()]
    for pair in within(np.ones(len(y), dtype=np.bool_), always):
        found[pair.i, pair.j] = pair
    for j in (j for j in range(len(cardinalities)) if read[:, j].any() and j not in always):
        rows = read[:, j]
        beside = [k for k in range(len(cardinalities)) if read[rows, k].all() and np.ptp(X[rows, k]) > 0]
        for pair in within(rows, beside):
            if j in (pair.i, pair.j):
                found.setdefault((pair.i, pair.j), pair)
    ordered = [found[at] for at in sorted(found)]
    q = stats.benjamini_hochberg([p.p for p in ordered]) if ordered else ()
    return tuple(p._replace(q=float(adjusted)) for p, adjusted in zip(ordered, q, strict=True))
