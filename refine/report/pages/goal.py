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


def _meet(count: int) -> str:
    return "meets" if count == 1 else "meet"
