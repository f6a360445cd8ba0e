"""Why a parameter is proposed to change, or to stay: what was found about it, and what the change cuts off. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.finding import mean_ratio
from refine.analysis.reason import Reason
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Bools

_EFFECTS = ("trend", "no_trend", "choices", "coupled")
_FAILS = ("fails_at", "fails_towards")
_QUIET = ("never_read", "not_seen", "too_few", "constant", "read_in")

HARDLY = 0.05
"""Relative frequency below which good trials are hardly ever found at a level."""


def reasons_of(
    analysis: Analysis,
    evidence: ParameterEvidence,
    kind: str,
    new: Parameter,
    ends: Sequence[Reason] = (),
    seen_earlier: bool = False,
    untried: Bools | None = None,
) -> tuple[Reason, ...]:
    """Why a parameter is proposed to change, or to stay.

    Args:
        analysis: What was measured.
        evidence: The part about this parameter.
        kind: The kind of change.
        new: The parameter after it.
        ends: Why it goes beyond an end, or does not.
        seen_earlier: Whether an earlier look saw it to matter.
        untried: (levels,) which levels stay because no trial tells anything of them.
    """
    found = analysis.findings[evidence.name]
    seen = found.of(*_EFFECTS, *_FAILS)
    earlier = [Reason("seen_earlier", {"parameter": evidence.name})] if seen_earlier and not seen else []
    levels = (
        [v.label for v, only in zip(evidence.levels, untried, strict=True) if only]
        if untried is not None
        else []
    )
    stays = [Reason("not_tried", {"parameter": evidence.name, "levels": levels})] if levels else []
    if kind == "keep":
        if not analysis.tested and evidence.read != 0:
            return (Reason("all_plausible"), *stays)
        if not seen and not earlier:
            return found.of(*_QUIET)
        return (*seen, *earlier, *ends, Reason("all_plausible"), *stays)
    out = [*found.of(*_EFFECTS, "read_in", *_FAILS), *earlier, *ends]
    return (*out, *_contrast(evidence, new, analysis.tested), *stays)


def _contrast(e: ParameterEvidence, new: Parameter, tested: bool) -> list[Reason]:
    """How frequent the good trials are in what stays, and in what goes; nothing where nothing goes."""
    inside = [bool(new.contains([v])[0]) for v in e.parameter.grid]
    stay = [v for v, i in zip(e.levels, inside, strict=True) if i]
    go = [v for v, i in zip(e.levels, inside, strict=True) if not i]
    if not stay or not go:
        return []
    left = [v.label for v in go]
    if tested and not any(v.n for v in go):
        no_value = bool(e.apart or any(v.bad == v.bad for v in go))  # also true where some were left out
        return [Reason("untried", {"go": left, "no_value": no_value})]
    here, there = mean_ratio(stay), mean_ratio(go)
    what = {
        "bounds": [new.low, new.high] if isinstance(new, Range) else None,
        "stay": [v.label for v in stay],
        "go": left,
    }
    if not tested:
        return [Reason("model_alone", what)]
    values = {
        "share": GOOD,
        **what,
        "here": here,
        "there": there,
        "n_here": sum(v.n for v in stay),
        "n_there": sum(v.n for v in go),
    }
    # Ratios are stated with two digits: what these don't tell apart is no contrast.
    level = here <= there or f"{here:.2g}" == f"{there:.2g}" or here < HARDLY
    return [Reason("model_only" if level else "contrast", values)]
