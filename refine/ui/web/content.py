"""What the review page shows, as plain data. Pure: reads values, writes nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.densities import density_curves
from refine.analysis.evidence import ALPHA, GOOD, ParameterEvidence, level_positions
from refine.analysis.metric_view import MetricView
from refine.analysis.population import space_filling_rows
from refine.report.pages.checks import figure, question, says
from refine.report.pages.proposal import claim_sentence, why
from refine.report.pages.reasons import sentence, sentences
from refine.space.edits import bounds_text, widened
from refine.space.parameters import Integer, Parameter, Range
from refine.trials.frame import degenerate_rows
from refine.trials.trial import FAILED

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis
    from refine.proposal.change import Change
    from refine.proposal.preview import Preview
    from refine.proposal.proposal import Proposal
    from refine.review.checklist import Checks
    from refine.review.checks import Check
    from refine.review.review import Review

MISSING = 0xFFFF
"""Position of a trial that has none, such as one outside the range."""

_POINTS = 120  # of a density: as many as a card is wide enough for


def number(value: float) -> float | None:
    """A figure as JSON has it: ``None`` where it is not known."""
    return float(value) if math.isfinite(value) else None


def review_content(review: Review, checks: Checks) -> dict[str, Any]:
    """A round under review: a card per parameter, the proposal, what to ask.

    Args:
        review: The review, without edits.
        checks: The cards of its round.
    """
    analysis, proposal = review.analysis, review.proposal
    roles = review.round.roles
    changes = {c.name: c for c in proposal.changes}
    names = [e.name for e in analysis.parameters]
    panels = [parameter_card(analysis, e, changes[e.name], roles[e.name]) for e in analysis.ranked]
    return {
        "proposal": proposal.digest,
        "claim": claim_sentence(proposal),
        "risk": proposal.risk,
        "epsilon": number(proposal.claim.epsilon),
        "metric": analysis.metric,
        "direction": analysis.direction,
        "trials": len(analysis.table),
        "view": _view(analysis, review.round.node.allow_degenerate),
        "good": GOOD,
        "caution": " ".join(sentence(c) for c in analysis.cautions if c.code == "imported"),
        "cards": panels,
        "fixed": [{"name": n, "value": bounds_text(p)} for n, p in analysis.space.items() if p.fixed],
        "pairs": [
            {"a": names[p.i], "b": names[p.j], "q": number(p.q), "statistic": number(p.statistic)}
            for p in sorted(analysis.pairs, key=lambda p: p.q)
            if p.q <= ALPHA
        ],
        "checks": [_check(c) for c in checks.checks],
        "advice": None
        if proposal.advice is None
        else {"n": proposal.advice.n, "reason": sentence(proposal.advice.reason)},
    }


def _check(check: Check) -> dict[str, Any]:
    """A check as the page shows it."""
    return {
        **{name: getattr(check, name) for name in ("key", "verdict", "code", "values", "picture", "about")},
        "value": number(check.value),
        "question": question(check),
        "number": figure(check),
        "says": says(check),
        "call": "" if check.call is None else str(check.call),
    }


def parameter_card(analysis: Analysis, e: ParameterEvidence, change: Change, role: str) -> dict[str, Any]:
    """One parameter: its axis, what is proposed and why, and where the good trials lie."""
    p = e.parameter
    check: dict[str, Any] = {
        "name": e.name,
        "role": role,
        "matters": bool(e.matters),
        "read": number(e.read),
        "q": number(e.q),
        "effect": number(e.effect),
        "change": change.kind,
        "reason": why(change),
        "kept": number(change.volume_kept),
        "risk": number(change.risk),
        "now": bounds_text(p),
        "ordered": p.ordered,
        "levels": [
            {
                "label": v.label,
                "n": v.n,
                "median": number(v.median),
                "ratio": number(v.ratio),
                "low": number(v.ratio_low),
                "high": number(v.ratio_high),
                "bad": number(v.bad),
            }
            for v in e.levels
        ],
    }
    if isinstance(p, Range):
        return {**check, **_range(p, change.new), **_densities(analysis, e.name)}
    inside = [bool(v) for v in change.new.contains(np.asarray([*p.grid, None], dtype=object)[:-1])]
    return {**check, "kind": "choice", "proposed": [i for i, stay in enumerate(inside) if stay]}


def _range(p: Range, new: Parameter) -> dict[str, Any]:
    low, high = p.edges()
    stops = {float(v) for v in p.grid}
    for side in ("low", "high"):
        wider = widened(p, p, side, steps=1)
        stops |= set() if wider is None else {float(v) for v in wider.grid}
    bounds = [float(new.low), float(new.high)] if isinstance(new, Range) else None
    if isinstance(new, Range):
        stops |= {float(v) for v in new.grid}
    return {
        "kind": "range",
        "whole": isinstance(p, Integer),
        "log": p.log,
        "edges": [float(low), float(high)],
        "grid": [float(v) for v in p.grid],
        "stops": sorted(stops),
        "proposed": bounds,
    }


def _densities(analysis: Analysis, name: str) -> dict[str, Any]:
    found = density_curves(analysis, name, _POINTS)
    return {
        "density": {
            "everyone": [round(float(v), 4) for v in found.everyone],
            "best": [round(float(v), 4) for v in found.best],
        }
    }


def _bad(analysis: Analysis, allow_degenerate: bool) -> npt.NDArray[np.bool_]:
    """Which trials gave no usable model."""
    table = analysis.table
    bad = np.zeros(len(table), dtype=bool) if allow_degenerate else degenerate_rows(table, analysis.space)
    return bad | table["state"].isin(FAILED).to_numpy() if "state" in table else bad


def _view(analysis: Analysis, allow_degenerate: bool) -> dict[str, Any]:
    """The part of the values that figures show as well, and whether on a logarithmic scale."""
    values = np.asarray(analysis.table["value"], dtype=float)
    usable = values[np.isfinite(values) & ~_bad(analysis, allow_degenerate)]
    if not len(usable):
        return {"low": 0.0, "high": 1.0, "log": False}
    view = MetricView(usable, analysis.direction)
    return {"low": view.low, "high": view.high, "log": view.log}


def trials_content(analysis: Analysis, allow_degenerate: bool = False) -> bytes:
    """Every trial of the round, column by column, little-endian.

    For every card in their order a column of uint16: the position on the parameter's axis from 0 to 65534, 65535 where
    there is none. Then values as float64, NaN where a trial has none. Then a byte of flags: 1 among the good, 2 without
    a usable model.

    Args:
        analysis: Of the round.
        allow_degenerate: Whether degenerate trials may be called best.
    """
    table, sign = analysis.table, analysis.sign
    columns = [_positions(e.parameter, table[e.name].to_numpy()) for e in analysis.ranked]
    values = np.array(table["value"], dtype="<f8")
    bad = _bad(analysis, allow_degenerate)
    finite = np.isfinite(values) & ~bad
    space_filling = space_filling_rows(table) & finite
    good = np.zeros(len(table), dtype=bool)
    if space_filling.any():
        good[np.flatnonzero(space_filling)[stats.top_mask(sign * values[space_filling], GOOD)]] = True
    values[~finite] = np.nan
    flags = (good.astype("u1") * 1) | (bad.astype("u1") * 2)
    return b"".join([*(c.tobytes() for c in columns), values.tobytes(), flags.tobytes()])


def _positions(p: Parameter, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    at = p.unit(values)
    if not p.ordered:
        at = (at + 0.5) / p.size
    known = np.isfinite(at)
    out = np.full(len(at), MISSING, dtype="<u2")
    out[known] = np.rint(np.clip(at[known], 0, 1) * (MISSING - 1))
    return out


def pair_content(analysis: Analysis, a: str, b: str) -> dict[str, Any]:
    """Two parameters level by level: median of the metric, trials, and good trials in every cell.

    Returns:
        ``a`` and ``b`` with labels, and per cell (row = level of ``b``, column = level of ``a``) ``median``, ``n``, ``good``.
    """
    table = analysis.table[space_filling_rows(analysis.table)]
    values = np.asarray(table["value"], dtype=float)
    good = stats.top_mask(analysis.sign * values, GOOD)
    found = [analysis[name] for name in (a, b)]
    index = [
        stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered).index(
            e.parameter.unit(table[e.name].to_numpy())
        )
        for e in found
    ]
    shape = len(found[1].levels), len(found[0].levels)
    n, best = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    np.add.at(n, (index[1], index[0]), 1)
    np.add.at(best, (index[1][good], index[0][good]), 1)
    medians: list[list[float | None]] = [[None] * shape[1] for _ in range(shape[0])]
    for i, j in zip(*np.nonzero(n), strict=True):
        medians[i][j] = float(np.median(values[(index[1] == i) & (index[0] == j)]))
    return {
        "a": {"name": a, "labels": [v.label for v in found[0].levels]},
        "b": {"name": b, "labels": [v.label for v in found[1].levels]},
        "median": medians,
        "n": n.tolist(),
        "good": best.tolist(),
    }


def preview_content(found: Preview, proposal: Proposal) -> dict[str, Any]:
    """What accepting would mean, for the header."""
    bounds = {name: bounds_text(found.space[name]) for name in proposal.old if name in found.space}
    return {
        "kept": number(found.volume_kept),
        "proposed_kept": number(found.proposed_volume_kept),
        "retention": number(found.probability),
        "proposed_retention": number(found.proposed_probability),
        "top": found.top,
        "top_kept": found.top_kept,
        "best": number(found.best),
        "best_kept": number(found.best_kept),
        "lost": list(found.lost),
        "throws": found.throws,
        "n": found.n,
        "exist": found.exist,
        "left": found.left,
        "hit": number(found.hit),
        "seconds": number(found.seconds),
        "warning": sentences([*found.new_values, *([found.warning] if found.warning else [])]),
        "bounds": bounds,
        "levels": {name: found.space[name].size for name in bounds},
    }
