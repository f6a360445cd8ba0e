"""How what trials are judged by is said."""

from __future__ import annotations

from collections.abc import Sequence

from refine.analysis.analysis import Feasibility
from refine.utils.format import join, plural


def judged_text(metric: str, subject_to: Sequence[object]) -> str:
    """``val_acc``, or ``val_acc with latency_ms <= 5``."""
    return f"{metric} with {join([str(c) for c in subject_to])}" if subject_to else metric


def feasible_sentence(found: Feasibility) -> str:
    """How many trials meet the metric constraints."""
    these = plural(found.finished, "finished trial")
    if len(found.constraints) == 1:
        return f"{found.feasible} of {these} {_meet(found.feasible)} {found.constraints[0]}."
    each = join([f"{c} ({n})" for c, n in zip(found.constraints, found.met, strict=True)])
    return f"{found.feasible} of {these} {_meet(found.feasible)} all constraints: {each}."


_SOURCES = {
    "given": "as you said",
    "folds": "noise of folds",
    "replicates": "noise of runs again",
    "residuals": "noise, estimated",
    "step": "one step",
    "range": "a twentieth of the spread",
    "deterministic": "no noise",
}


def source_text(source: str, epsilon: float, rows: int = 0) -> str:
    """Where the difference that matters comes from, in a bracket; nothing where that is not known.

    Args:
        source: As in :class:`refine.proposal.proposal.Claim`.
        epsilon: The difference.
        rows: Of how many rows of a validation set the metric is a share; 0 where that can't be told.
    """
    said = _SOURCES.get(source, "")
    if rows and epsilon:
        said = f"about {max(1, round(epsilon * rows))} of {rows:,} rows"
    return f" ({said})" if said else ""


def _meet(count: int) -> str:
    return "meets" if count == 1 else "meet"
