"""Content of the review page as plain data: numbers to draw, texts and figures.

The front end formats no number and takes no statistical decision: it draws the content of reports.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.analysis.conditions import as_read
from refine.analysis.densities import density_curves
from refine.analysis.evidence import ALPHA, ParameterEvidence
from refine.analysis.finding import MATTERS
from refine.analysis.levels import level_shares
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import good_rows, unusable
from refine.errors import ReviewError, did_you_mean
from refine.report.figures.canvas import svg
from refine.report.glossary import meanings, terms
from refine.report.pages.analysis import (
    VERDICTS,
    best_text,
    caution_facts,
    share_text,
    weak_text,
)
from refine.report.pages.checks import (
    ADVICE_WORDS,
    TONES,
    failed_text,
    figure,
    passed_text,
    question,
    says,
    verdict_parts,
    verdict_sentence,
)
from refine.report.pages.preview import leaves_text, preview_page, risks_text, too_many_text
from refine.report.pages.proposal import (
    claim_sentence,
    evidence_numbers,
    kept_text,
    next_text,
    risk_cell,
    why,
    why_heading,
)
from refine.report.pages.reasons import next_sentence, sentence, sentences, upper
from refine.report.pages.review import budget_facts, risk_facts, suggestion_text
from refine.report.pages.space import beats_sentence, comparison_page
from refine.report.plots import Plots
from refine.review.checks import worth as worth_check
from refine.space.edits import bounds_text
from refine.space.encoding import label, round_significant
from refine.space.limits import widened
from refine.space.literals import page_form
from refine.space.parameters import Integer, Parameter, Range
from refine.tree.comparison import difference as rounds_difference
from refine.tree.overview import beaten
from refine.trials.frame import front_rows, infeasible_rows, metric_title
from refine.trials.goal import sign_of
from refine.utils.action import Action
from refine.utils.display import Cell
from refine.utils.format import chance_cell, difference, duration, join, number, plural, score
from refine.utils.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.proposal.change import Change
    from refine.proposal.options import Option
    from refine.proposal.preview import Preview
    from refine.review.checks import Check
    from refine.review.next_step import NextRound, NextStep
    from refine.review.review import Review
    from refine.review.worth import Worth
    from refine.space.space import Space
    from refine.tree.round import Round
    from refine.utils.arrays import Floats

# Position of a trial that has none, such as one outside the range.
MISSING = 0xFFFF

_VIEW_TICKS = 4
_MOST = 5  # ticks of an axis, about
_MOST_OUTSIDE = 40  # stops beyond an end of a range
_LONGEST_TICK = 6  # letters of a level that is a label of its axis
_POINTS = 120  # of a density: as many as a panel is wide enough for
# Sign of "at most" on the page.
AT_MOST = "\N{LESS-THAN OR EQUAL TO}"
_ONE_LINE = 76  # letters of a headline that fits in a line
_ORDER = ("fail", "warn", "unknown", "pass")


def review_content(review: Review[Round]) -> dict[str, Any]:
    """A round under review, without edits: panels by parameter, proposals by risk, checks."""
    checks = review.checks()
    options = review.options()
    analysis = review.analysis
    proposal = review.proposal
    claim = review.proposal.claim
    roles = review.round.roles
    changes = {c.name: c for c in proposal.changes}
    names = [e.name for e in analysis.parameters]
    step = review.next_step
    return {
        "proposal": proposal.digest,
        "next": next_sentence(step.reasons[:1]),
        "best": best_text(analysis),
        "facts": _other_facts(review),
        "call": str(step.action),
        "first_call": first_call(review),
        "plan": plan_content(review.advised_round),
        "outlook": outlook_content(review, review.advised_round, review._worth),
        "budget": _facts(budget_facts(review)),
        "step": _button(step),
        "claim": " ".join(
            [
                claim_sentence(proposal),
                *map(sentence, step.reasons[1:]),
            ]
        ),
        "risk": proposal.risk,
        "epsilon": plain(claim.epsilon),
        "epsilon_given": plain(claim.epsilon) if claim.epsilon_source == "given" else None,
        "epsilon_text": score(claim.epsilon),
        "options": [option_content(option) for option in options.rows],
        "option": options.rows.index(options.now),
        "constraints": [str(c) for c in proposal.subject_to],
        "trials": len(analysis.table),
        "view": _view(analysis, review.round.node.allow_degenerate),
        "panels": [
            panel(
                analysis,
                e,
                changes[e.name],
                roles[e.name],
                [option.space[e.name] for option in options.rows],
            )
            for e in analysis.ranked
        ],
        "fixed": [{"name": n, "value": bounds_text(p)} for n, p in analysis.space.items() if p.fixed],
        "pairs": [
            {"a": names[p.i], "b": names[p.j]}
            for p in sorted(analysis.pairs, key=lambda p: p.q)
            if p.q <= ALPHA
        ],
        "failed": failed_text(checks),
        "checks_text": passed_text(checks),
        "checks": [
            {
                "key": c.key,
                "question": question(c),
                "verdict": c.verdict,
                "number": _figure_of(c),
                "says": says(c),
                "call": "" if c.call is None else str(c.call),
                "picture": {"name": c.picture, "about": [c.about] if c.about else []} if c.picture else None,
            }
            for c in sorted(checks.checks, key=lambda c: _ORDER.index(c.verdict))
        ],
    }


def change_sentence(old: Space, new: Space) -> str:
    """Changes of the next round in one line, with bounds, else by kind, else as counts; empty without any.

    For example ``Next round: lr 1 to 1.5 and optimizer without SGD.`` or
    ``Extend lr, narrow units and optimizer.``
    """
    changed = {name: p for name, p in new.items() if name not in old or p != old[name]}
    if not changed:
        return ""
    named = [f"{n} {next_text(old[n], p) if n in old else bounds_text(p)}" for n, p in changed.items()]
    by_kind: dict[str, list[str]] = {"extend": [], "narrow": []}
    for name, p in changed.items():
        if name not in old or _reaches_beyond(old[name], p):
            by_kind["extend"].append(name)
        else:
            by_kind["narrow"].append(name)
    kinds = {kind: names for kind, names in by_kind.items() if names}
    clauses = [f"{kind} {join(names)}" for kind, names in kinds.items()]
    counts = [f"{kind} {plural(len(names), 'parameter')}" for kind, names in kinds.items()]
    texts = [f"Next round: {join(named)}.", f"{upper(', '.join(clauses))}.", f"{upper(', '.join(counts))}."]
    return next((text for text in texts if len(text) <= _ONE_LINE), texts[-1])


def _reaches_beyond(old: Parameter, new: Parameter) -> bool:
    """True if a parameter has values that it did not have before."""
    if isinstance(old, Range) and isinstance(new, Range):
        return bool(new.low < old.low or new.high > old.high)
    return not bool(np.all(old.contains(np.asarray([*new.grid, None], dtype=object)[:-1])))


def deciding_content(review: Review[Any]) -> dict[str, str]:
    """The chance to lose by accepting a review as it stands: number, explanation and tone."""
    (risk, *_) = _facts(risk_facts(review))
    claim = review.claim
    loss = "something better"
    if claim.epsilon > 0 and not claim.others and not math.isfinite(claim.factor):
        loss = f"something better by over {difference(claim.epsilon)}"
    old = review.proposal.old
    if not any(_cuts_off(old[name], p) for name, p in review.space.items() if name in old):
        return {"number": "none", "text": "nothing is cut off", "full": risk["text"], "tone": ""}
    chance = chance_cell(1 - claim.probability).replace("<=", AT_MOST)
    text = f"that {loss} is cut off"
    if math.isnan(claim.probability):
        chance = "unknown"
        text = "the model can't state it for this space"
    return {"number": chance, "text": text, "full": risk["text"], "tone": risk["tone"]}


def _cuts_off(old: Parameter, new: Parameter) -> bool:
    """True if a parameter loses values."""
    return not bool(np.all(new.contains(np.asarray([*old.grid, None], dtype=object)[:-1])))


def _figure_of(check: Check) -> str:
    """The number behind a check; a verdict on another round as words."""
    number_text = figure(check)
    if check.key == "worth":
        return ADVICE_WORDS.get(number_text, number_text)
    return number_text


def risk_facts_content(review: Review[Any]) -> list[dict[str, str]]:
    """The facts on the risk of accepting a review as it stands."""
    return _facts(risk_facts(review))


def plan_content(planned: NextRound) -> dict[str, Any]:
    """Size and shares of the next round; shares also as percentages for the form."""
    return {
        "n": planned.n,
        "exploit": planned.exploit,
        "audit": planned.audit,
        "percent": {name: f"{100 * getattr(planned, name):.6g}" for name in ("exploit", "audit")},
    }


def outlook_key(review: Review[Any], planned: NextRound) -> str:
    """Key of a recommendation, from space and plan: the page shows only the recommendation for its edits."""
    return f"{review.space.digest} {planned.n} {planned.exploit:.6g} {planned.audit:.6g}"


def outlook_content(review: Review[Any], planned: NextRound, worth: Worth | None) -> dict[str, Any]:
    """The recommendation on a planned round with its verdict; no fact if the evidence misses the space."""
    if worth is None:
        return {"key": outlook_key(review, planned), "verdict": "", "fact": None, "number": "", "text": ""}
    advice, gain = verdict_parts(worth)
    (fact,) = _facts([("Recommendation", Cell(verdict_sentence(worth), TONES[worth.verdict]))])
    action = worth_check(worth).action  # none if the advice is to go on: the button accepts
    if action is None:
        call = ""
    else:
        call = str(action)
    return {
        "key": outlook_key(review, planned),
        "verdict": worth.verdict,
        "fact": {**fact, "call": call},
        "number": advice,
        "text": gain,
    }


def first_call(review: Review[Any]) -> str:
    """The first advised call."""
    return next(map(str, review.page().calls), "")


def _other_facts(review: Review[Any]) -> list[dict[str, str]]:
    """Cautions of the analysis."""
    return _facts(caution_facts(review.analysis))


def _facts(facts: Iterable[tuple[str, str | Cell]]) -> list[dict[str, str]]:
    """Facts of a page with their texts and tones."""
    cells = [(name, fact if isinstance(fact, Cell) else Cell(fact)) for name, fact in facts]
    return [{"name": name, "text": cell.text, "tone": cell.tone} for name, cell in cells]


def _button(step: NextStep) -> dict[str, Any]:
    """The button of a next step, with its numbers and label; empty if no button can take the step."""
    name = step.action.name
    options = step.action.options
    if name == "review.accept":
        return {"do": "accept"}
    if name == "round.run":
        n = int(options["n"])
        title = f"Extends this round to {plural(n, 'configuration')} and runs them in the background"
        return {"do": "run", "n": n, "label": f"run {step.n:,} more", "title": title}
    if name == "round.replicate":
        top = int(options["top"])
        seeds = int(options["seeds"])
        title = f"{terms()['Replicate'].plain} Runs the best {top} {seeds} times each, in the background."
        return {
            "do": name.removeprefix("round."),
            "top": top,
            "seeds": seeds,
            "label": f"repeat the best {top}",
            "title": title,
        }
    return {"do": ""}


# Form of a suggested edit that bounds or levels cannot express.
SUGGESTED = "suggested"


def suggestions_content(review: Review[Round]) -> list[dict[str, Any]]:
    """The suggestions of people and programs, with the edits that adopt them."""
    content = []
    for suggestion in review.suggestions:
        decision = suggestion.decision
        edits = {}
        for name, (proposed, suggested) in suggestion.differs.items():
            form = page_form(review.proposal.old[name], suggested, proposed)
            if "as" in form:
                edits[name] = {**form, "as": SUGGESTED, "of": decision.digest}
            else:
                edits[name] = form
        content.append(
            {
                "by": decision.author,
                "why": decision.note,
                "text": suggestion_text(suggestion, review.proposal),
                "edits": edits,
            }
        )
    return content


def option_content(option: Option) -> dict[str, Any]:
    """The proposal at a risk, or at all risks with the same proposal."""
    risk = risks_text(option)
    leaves = leaves_text(option)
    return {
        "risk": option.risk,
        "up_to": option.up_to,
        "name": risk,
        "leaves": leaves,
        "text": f"{risk}; drops {leaves}",
        "proposed": {name: _proposed(option.old[name], option.space[name]) for name in option.old},
    }


def _proposed(old: Parameter, new: Parameter) -> list[Any] | None:
    """Bounds of a range, or numbers of the kept levels; ``None`` if a range becomes one value."""
    if isinstance(old, Range):
        if isinstance(new, Range):
            return [float(new.low), float(new.high)]
        return None
    inside = new.contains(np.asarray([*old.grid, None], dtype=object)[:-1])
    return [i for i, is_inside in enumerate(inside) if is_inside]


def page_terms() -> dict[str, str]:
    """Meanings of the words on the page, from the glossary."""
    words = {
        "risk": "Risk",
        "epsilon": "Tolerance",
        "best": "Good trial",
        "checks": "Check",
        "coupled": "Coupled",
        "exploit": "Exploit trial",
        "audit": "Audit trial",
        "claim": "Claim",
        "space_filling": "Space-filling trial",
    }
    return {word: terms()[name].plain for word, name in words.items()}


def panel(
    analysis: Analysis,
    e: ParameterEvidence,
    change: Change,
    role: str,
    listed: Sequence[Parameter] = (),
) -> dict[str, Any]:
    """One parameter: axis, proposed change with reasons, and density of the good trials.

    Args:
        analysis: Analysis of the round.
        e: Evidence on the parameter.
        change: Proposed change of the parameter.
        role: Role of the parameter.
        listed: The parameter in proposals of other risks: the page can show their bounds too.
    """
    p = e.parameter
    content: dict[str, Any] = {
        "name": e.name,
        "role": {"name": role, "title": meanings("Role")[role]},
        "badge": _badge(analysis, change),
        "change": "keep" if change.kind == "leave" else change.kind,
        "unused": change.kind == "leave",
        "summary": why_heading(change),
        "reason": " ".join(filter(None, [weak_text(analysis, change), why(change)])) + kept_text(change),
        "numbers": [
            {"name": label, "text": text.replace("<=", AT_MOST), "note": note}
            for label, text, note in evidence_numbers(change)
        ],
        "now": bounds_text(p),
        "when": "" if p.when is None else f"only where {p.when}",
    }
    if isinstance(p, Range):
        return {**content, **_range(e.name, p, change.new, listed), "density": _densities(analysis, e.name)}
    levels = [
        {
            "label": v.label,
            "share": s.everyone,
            "good": s.good if math.isfinite(s.good) else 0.0,
            "text": share_text(v.label, s, tested=analysis.tested),
        }
        for v, s in zip(e.levels, level_shares(analysis, e.name), strict=True)
    ]
    return {**content, "kind": "choice", "levels": levels, "proposed": _proposed(p, change.new)}


def _badge(analysis: Analysis, change: Change) -> dict[str, str]:
    """The pill of a card: the risk of a change; for unchanged parameters without an effect the verdict."""
    if change.kind not in ("keep", "leave"):
        cell = risk_cell(change)
        return {"text": cell.text, "tone": cell.tone, "title": terms()["Risk"].plain}
    verdict = analysis.findings[change.name].verdict
    if verdict == MATTERS:
        text = ""
    else:
        text = VERDICTS[verdict].text
    return {"text": text, "tone": VERDICTS[verdict].tone, "title": meanings("Verdict")[text] if text else ""}


def _range(name: str, p: Range, new: Parameter, listed: Sequence[Parameter]) -> dict[str, Any]:
    low, high = p.edges()
    stops = {float(v) for v in p.grid}
    for side in ("low", "high"):
        farthest = _farthest(name, p, side)
        if farthest is not None:
            stops |= _outside(p, farthest)
    stops |= {
        float(v) for bounds in (new, *listed) if isinstance(bounds, Range) for v in (bounds.low, bounds.high)
    }
    return {
        "kind": "range",
        "log": p.log,
        "edges": [float(low), float(high)],
        "grid": [float(v) for v in p.grid],
        "stops": sorted(stops),
        "labels": _labels(sorted(stops)),
        "ticks": _ticks(p),
        "proposed": _proposed(p, new),
    }


def _farthest(name: str, p: Range, side: str) -> float | None:
    """The farthest bound beyond an end: one width of the range further, or a limit before."""
    width = float(p.scale(p.high) - p.scale(p.low))
    wider = p
    for _ in range(p.size):
        further = widened(name, wider, wider, side)
        if further is None or float(p.scale(wider.high) - p.scale(wider.low)) >= 2 * width:
            break
        wider = further
    if wider is p:
        return None
    return float(wider.high if side == "high" else wider.low)


def _labels(stops: Sequence[float]) -> list[str]:
    """Stops with the fewest digits that distinguish them."""
    for digits in range(3, 7):
        labels = [number(v, digits) for v in stops]
        if len(set(labels)) == len(labels):
            break
    return labels


def _ticks(p: Range) -> list[dict[str, Any]]:
    """The levels of a range if their labels fit, else round numbers between its ends."""
    ticks = [{"value": float(v), "label": number(float(v), 6)} for v in p.grid]
    if max(len(str(tick["label"])) for tick in ticks) <= _LONGEST_TICK:
        return ticks
    return axis(float(p.low), float(p.high), log=p.log)


def _outside(p: Range, farthest: float) -> set[float]:
    """Stops beyond an end of a range, on its spacing, up to the farthest one."""
    levels = [float(v) for v in (p.grid if farthest > p.high else p.grid[::-1])]
    edge = levels[-1]
    before = levels[-2]
    if p.log:
        steps = math.log(farthest / edge) / math.log(edge / before)
    else:
        steps = (farthest - edge) / (edge - before)
    if not p.log and abs(farthest) < 1e-6 * abs(edge - before):  # a limit that itself is no value, such as 0
        farthest_stops = set[float]()
    else:
        farthest_stops = {farthest}
    if steps > _MOST_OUTSIDE:  # listed levels that lie close together at this end
        return farthest_stops
    stops = farthest_stops
    for step in range(1, math.ceil(steps)):
        if p.log:
            value = edge * (edge / before) ** step
        else:
            value = edge + step * (edge - before)
        stops.add(float(round(value)) if isinstance(p, Integer) else round_significant(value))
    return stops


def _densities(analysis: Analysis, name: str) -> dict[str, list[float]]:
    if not analysis.tested:  # curves describe only trials that no search chose
        return {"everyone": [0.0] * _POINTS, "best": [0.0] * _POINTS}
    curves = density_curves(analysis, name, _POINTS)
    return {"everyone": np.round(curves.everyone, 4).tolist(), "best": np.round(curves.best, 4).tolist()}


def _view(analysis: Analysis, allow_degenerate: bool) -> dict[str, Any]:
    """The range of values that figures show, and whether its scale is logarithmic."""
    values = np.asarray(analysis.table["value"], dtype=float)
    usable = values[np.isfinite(values) & ~unusable(analysis.table, analysis.space, allow_degenerate)]
    return view_of(usable, analysis.metric, analysis.direction)


def trials_content(analysis: Analysis, allow_degenerate: bool = False) -> bytes:
    """Every trial of the round, column by column, little-endian.

    In this order:

    - a uint16 column per panel: position on the parameter's axis from 0 to 65534; 65535 if missing;
    - a uint16 column of ranks by value, the lowest first; 65535 if missing or infeasible;
    - a float64 column of values; NaN if missing;
    - a byte of flags: 1 good, 2 failed or unusable, 4 infeasible.
    """
    table = analysis.table
    columns = [_positions(e.parameter, table[e.name].to_numpy()) for e in analysis.ranked]
    values = np.array(table["value"], dtype="<f8")
    bad = unusable(table, analysis.space, allow_degenerate)
    good = good_rows(analysis, np.isfinite(values) & ~bad)
    broken = infeasible_rows(table) & np.isfinite(values)
    values[(bad & ~broken) | ~np.isfinite(values)] = np.nan
    flags = (good.astype("u1") * 1) | (bad.astype("u1") * 2) | (broken.astype("u1") * 4)
    columns.append(rank_column(np.where(broken, np.nan, values)))
    return b"".join([*(c.tobytes() for c in columns), values.tobytes(), flags.tobytes()])


def _positions(p: Parameter, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    positions = p.unit(values)
    if not p.ordered:
        positions = (positions + 0.5) / p.size
    finite = np.isfinite(positions)
    out = np.full(len(positions), MISSING, dtype="<u2")
    out[finite] = np.rint(np.clip(positions[finite], 0, 1) * (MISSING - 1))
    return out


def preview_content(
    preview: Preview, asked_n: int | None, front: tuple[int, int] | None = None
) -> dict[str, Any]:
    """The consequences of accepting, worded as on the preview's page.

    Args:
        preview: The preview.
        asked_n: Configurations that the person asked for; ``None`` if the page decides.
        front: Number of kept points of the front, and of all its points; ``None`` with one goal.
    """
    page = preview_page(preview).to_dict()
    if front is None:
        front_fact = []
    else:
        front_fact = [("Front", f"{front[0]:,} of its {front[1]:,} points are kept")]
    space = " ".join(page["folds"][0]["blocks"][0]["items"])
    # The review's own facts state risk and top trials.
    other_facts = [(name, fact) for name, fact in page["blocks"][0]["facts"] if name not in ("Kept", "Risk")]
    facts = [*front_fact, *other_facts, ("Space", space)]
    return {
        "n": preview.n,
        "left": preview.left,
        "takes": "" if not preview.seconds >= 1 else f"about {duration(preview.seconds)}",
        "facts": [{"name": n, "tone": "", **(f if isinstance(f, dict) else {"text": f})} for n, f in facts],
        "refused": preview.left == 0 or (asked_n is not None and asked_n > preview.left),
        "warning": " ".join(filter(None, [too_many_text(preview, asked_n), sentences(preview.new_values)])),
    }


# Axes: ticks with labels, and the drawn part of the values.


def axis(low: float, high: float, *, log: bool = False, max_ticks: int = _MOST) -> list[dict[str, Any]]:
    """Ticks at round numbers between two ends: ``value`` and ``label``, all different.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic; then both ends are positive.
        max_ticks: Largest number of ticks, about.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    # Within a decade a logarithmic axis has room for what lies between.
    marks = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)) if log else ()
    places = [LogLocator(subs=subs, numticks=max_ticks) for subs in marks]
    values = [low]
    for place in [*places, MaxNLocator(max_ticks, steps=[1, 2, 2.5, 5, 10])] if high > low else []:
        values = [float(v) for v in place.tick_values(low, high) if low <= v <= high]
        if 2 <= len(values) <= max_ticks + 1:
            break
    for digits in range(3, 16):
        labels = [number(v, digits) for v in values]
        if all(math.isclose(float(text), v) for text, v in zip(labels, values, strict=True)):
            break
    return [{"value": v, "label": text} for v, text in zip(values, labels, strict=True)]


def view_of(values: Floats, metric: str, direction: str) -> dict[str, Any]:
    """The scale of drawn values, by value and by rank.

    Returns:
        ``low``, ``high``, ``log`` and ``ticks`` of the scale; ``beyond``, the number of values outside;
        ``middle``, the median from which cards show values to scale (``None`` if the better half cannot be
        spread), with ``middle_ticks``; ``text`` and ``middle_text``, the captions of both scales.
    """
    low = 0.0
    high = 1.0
    log = False
    beyond = 0
    side = ""
    middle = 0.5
    if len(values):
        middle = float(np.median(values))
        view = MetricView(values, direction)
        low = view.low
        high = view.high
        log = view.log
        beyond = view.hidden
        side = view.side
    if side == "below":
        end = low
    else:
        end = high
    if beyond:
        hidden_text = f"; {plural(beyond, 'trial')} {side} {number(end)} at the edge"
    else:
        hidden_text = ""
    sign = sign_of(direction)
    return {
        "low": low,
        "high": high,
        "log": log,
        "ticks": axis(low, high, log=log, max_ticks=_VIEW_TICKS),
        "beyond": beyond,
        "middle": middle if low < middle < high else None,
        "middle_ticks": axis(*sorted((middle, high if sign > 0 else low)), log=log, max_ticks=_VIEW_TICKS),
        "title": metric,
        "text": f"height: {metric}, best at the top{', on a logarithmic scale' if log else ''}{hidden_text}",
        "middle_text": "grey strip: the worse half of the trials, squeezed",
    }


def rank_column(values: Floats) -> npt.NDArray[np.uint16]:
    """(n,) ranks of values from 0, the lowest, to 65534; equal values share a rank; 65535 if missing."""
    from scipy.stats import rankdata

    column = np.full(len(values), MISSING, dtype="<u2")
    finite = np.isfinite(values)
    if finite.any():
        ranks = rankdata(values[finite])
        column[finite] = np.rint((ranks - 0.5) / len(ranks) * (MISSING - 1))
    return column


# The front of several goals.

# Largest number of drawn trials that are not on the front.
_OTHERS = 2000


def front_content(round_: Round) -> dict[str, Any]:
    """The front of a round with two or three goals.

    Raises:
        ReviewError: The round has one goal.
    """
    if len(round_.goals) == 1:
        raise ReviewError(
            f"a front needs two or three goals, round {round_.id} has one; for its best configuration",
            Action("round.recommend"),
        )
    names = list(round_.space)
    trials = round_.trials
    best = round_.front
    titles = ["value", *(metric_title(goal.metric.name, names) for goal in round_.goals[1:])]
    if not all(title in trials for title in titles):  # nothing has ended yet
        trials = trials[:0].reindex(columns=list(dict.fromkeys([*trials.columns, *titles])))
    values = np.asarray(trials[titles], dtype=float)
    finite = np.isfinite(values).all(axis=1)
    broken = infeasible_rows(trials)
    goals = [
        {"name": str(goal.metric), "direction": "maximize" if goal.sign > 0 else "minimize"}
        for goal in round_.goals
    ]
    off_front = np.flatnonzero(finite & ~broken & ~trials.index.isin(best.index))
    shown = off_front[:: max(1, -(-len(off_front) // _OTHERS))]
    if len(shown) < len(off_front):
        some = f" {len(shown):,} of {len(off_front):,} other trials are drawn."
    else:
        some = ""
    n_broken = int((finite & broken).sum())
    if n_broken:
        wrong = f" ▽ {plural(n_broken, 'infeasible trial')}."
    else:
        wrong = ""
    lost = beaten(round_._at_once())
    if lost:
        beaten_text = f" Trials of other rounds beat {lost:,} of them."
    else:
        beaten_text = ""
    return {
        "goals": goals,
        "points": _points(round_, best, goals),
        "others": values[shown].tolist(),
        "infeasible": values[finite & broken][:_OTHERS].tolist(),
        "about": (
            f"{plural(len(best), 'trial')} on the front: no other trial of this round is at least as good in "
            f"every goal and better in one.{beaten_text}{wrong}{some}"
        ),
    }


def front_kept(review: Review[Round]) -> tuple[int, int] | None:
    """Number of points of the front inside the space under review, and in total; ``None`` with one goal."""
    round_ = review.round
    analysis = review.analysis
    if len(round_.goals) == 1:
        return None
    best = front_rows(analysis.table, round_.goals, analysis.space)
    inside = np.asarray(review.space.contains(as_read(review.space, analysis.parameters, best)), dtype=bool)
    return int(inside.sum()), len(best)


def _points(round_: Round, best: pd.DataFrame, goals: list[dict[str, str]]) -> list[dict[str, Any]]:
    names = [name for name in round_.space if name in best and not round_.space[name].fixed]
    chosen = _chosen(round_)
    points = []
    for index, row in best.iterrows():
        label_ = int(str(index))
        values = [
            float(row[goal["name"]]) if goal["name"] in best else float(row.iloc[k])
            for k, goal in enumerate(goals)
        ]
        texts = [f"{goal['name']} {score(v)}" for goal, v in zip(goals, values, strict=True)]
        points.append(
            {
                "label": label_,
                "values": values,
                "text": ", ".join(texts),
                "configuration": ", ".join(f"{n} {label(row[n])}" for n in names if row[n] == row[n]),
                "chosen": label_ == chosen,
            }
        )
    return points


def _chosen(round_: Round) -> int | None:
    """The label of the last chosen point."""
    last: Any = next((d.chosen for d in reversed(round_.decisions) if d.kind == "chosen"), None)
    if last is None:
        return None
    records = round_.context.reader.records([round_._stored.pk], curves=round_._metric.curves)
    return next((i for i, c in enumerate(records.configurations) if dict(c) == dict(last)), None)


# Figures, and rounds beside each other.

# Figures that need no analysis.
WITHOUT_ANALYSIS = ("best_so_far",)

# Figures that the page may ask for -> their number of parameters.
PICTURES = {
    **dict.fromkeys((*WITHOUT_ANALYSIS, "correlation", "failing", "cost", "front", "edf", "curves"), 0),
    **dict.fromkeys(("isolation", "density", "levels"), 1),
    "pair": 2,
}

# Theme by whether the page is dark, and width by whether it has room.
_THEMES = ("light", "dark")
_WIDTHS = ("text", "wide")

_ALONE = threading.Lock()  # settings of matplotlib are global to the process


def picture(round_: Round, analysis: Analysis | None, message: Mapping[str, Any]) -> dict[str, Any]:
    """A figure as SVG with its caption.

    Raises:
        ReviewError: An unknown figure, or a wrong number of parameters.
        AnalysisError: The round has no data for the figure.
    """
    name = message["name"]
    about = message.get("about", [])
    if name not in PICTURES:
        raise ReviewError(f"no figure {name!r}; {did_you_mean(name, PICTURES)}")
    if len(about) != PICTURES[name]:
        raise ReviewError(f"figure {name!r} is about {plural(PICTURES[name], 'parameter')}, got {len(about)}")
    draw = getattr(Plots(round_, analysis), name)
    with _ALONE:
        theme = _THEMES[bool(message.get("dark"))]
        width = _WIDTHS[bool(message.get("wide"))]
        axes = draw(*about, theme=theme, width=width)
        return {
            "svg": svg(axes).decode(),
            "text": " ".join((draw.__doc__ or name).partition("\n\n")[0].split()),
        }


def beside_content(round_: Round, other: Round | None, across: bool = False) -> dict[str, Any]:
    """Differences between a round and a second round, default the parent, as a table and sentences.

    ``across`` compares rounds of two studies, which have no common tree.

    Raises:
        ReviewError: The round has no parent, and ``other`` is missing.
    """
    if other is None:
        other = round_.parent
    if other is None:
        raise ReviewError(
            f"round {round_.id} is a first round without a parent; name another round to compare with"
        )
    if across:
        compared = rounds_difference(round_, other)
    else:
        compared = rounds_difference(other, round_)
    page = comparison_page(compared).to_dict()
    table, *paragraphs = (fold["blocks"][0] for fold in page["folds"])
    rows = [[c if isinstance(c, str) else c["text"] for c in row] for row in table["rows"]]
    texts = [f"{word}: {text}" for word, text in page["blocks"][0]["facts"]]
    texts += [block["text"] for block in paragraphs]
    if across:
        texts = [beats_sentence(c, "the second study", "the first") for c in [compared.populations] if c]
    return {"head": table["head"], "rows": rows, "texts": texts}
