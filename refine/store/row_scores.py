"""Scores by validation row as compact bytes: a bit for 0 and 1, else a number in half or single precision."""

from __future__ import annotations

import zlib

import numpy as np

from refine.trials.trial import MOST_ROWS, RowScores
from refine.utils.arrays import Floats

_HALF_ERROR = 1e-3  # largest root mean squared error of half precision, in standard deviations of the scores


def pack(row_scores: RowScores) -> bytes:
    """The scores as compressed bytes."""
    scores = row_scores.scores
    if np.isin(scores, (0.0, 1.0)).all():
        raw = np.packbits(scores.astype(np.bool_)).tobytes()
    else:
        with np.errstate(over="ignore"):
            half = scores.astype("<f2")
            error = np.sqrt(np.mean((half.astype(np.float64) - scores) ** 2))
        if error <= _HALF_ERROR * scores.std():
            raw = half.tobytes()
        else:
            raw = scores.astype("<f4").tobytes()
    return zlib.compress(raw, 6)


def unpack(raw: bytes, total: int) -> Floats:
    """The scores of ``total`` validation rows, from decompressed bytes.

    Raises ValueError: the bytes hold another number of finite scores.
    """
    count = min(total, MOST_ROWS)
    sizes = {-(-count // 8): "bits", 2 * count: "<f2", 4 * count: "<f4"}
    kind = sizes.get(len(raw))
    if count < 1 or kind is None:
        raise ValueError(f"scores by row must be those of {total} rows, got {len(raw)} bytes")
    if kind == "bits":
        return np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=count).astype(np.float64)
    scores = np.frombuffer(raw, dtype=kind).astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("scores by row must be finite")
    return scores
