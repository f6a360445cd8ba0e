"""Reasons in words: one or two sentences per parameter that a researcher would sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refine.analysis.evidence import ALPHA, GOOD, LevelEvidence, ParameterEvidence
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter, Range
from refine.trials.frame import degenerate_rows
from refine.utils.format import join, number, p_value, percent, plural, score, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refine import stats
    from refine.analysis.analysis import Analysis


def reason(analysis: Analysis, evidence: ParameterEvidence, kind: str, new: Parameter) -> str:
    """Why a parameter is proposed to change, or to stay.

    Args:
        analysis: What was measured.
        evidence: The part about this parameter.
        kind: The kind of change.
        new: The parameter after it.
    """
    if evidence.read == 0:
        return (
            f"The objective never read {evidence.name}, so its values changed nothing; the model reads another name, or "
            "reads it only at values that others don't have here, or the parameter can go."
        )
    if kind == "keep":
        return _why_kept(analysis, evidence)
    parts = [seen(analysis, evidence), when_read(evidence), failing(analysis, evidence)]
    if kind == "widen":
        parts.append(pile_up(evidence, evidence.piled_up))
    if kind in ("narrow", "drop") or (kind == "widen" and new.size and _drops(evidence.parameter, new)):
        parts.append(_contrast(evidence, new))
    return " ".join(p for p in parts if p)


def _why_kept(analysis: Analysis, e: ParameterEvidence) -> str:
    if e.matters or e.fails:
        return join_sentences(
            seen(analysis, e) if e.matters else "",
            failing(analysis, e),
            "The optimum may still be at any of its levels at this risk, so all stay.",
        )
    if np.ptp(analysis.y) == 0:
        return f"Every trial has the same {analysis.metric}: nothing can be seen."
    if e.correlation is not None:
        c = e.correlation
        saw = f"rank correlation {signed(c.estimate)} (95 % interval {signed(c.low)} to {signed(c.high)})"
    else:
        assert e.association is not None
        saw = f"its choices differ by no more than chance would have it (epsilon squared {e.association.effect:.2f})"
    head = "Nothing seen"
    if e.good < e.needed:
        trials = plural(e.good, "trial")
        head = f"Can't be judged yet, {trials} in the good region and {e.needed} needed; nothing seen so far"
    return join_sentences(
        f"{head}: {saw}, q {p_value(e.q)}, which is above {ALPHA}.", when_read(e), "All of it stays."
    )


def join_sentences(*parts: str) -> str:
    """Sentences with single spaces between them; empty ones are left out."""
    return " ".join(part for part in parts if part)


def when_read(e: ParameterEvidence) -> str:
    """On which trials it was tested, where not all of them read it."""
    if not 0 < e.read < 1:
        return ""
    where = f", those where {e.condition}" if e.condition else ""
    return (
        f"Tested on the {plural(e.n, 'space-filling trial')} that read it ({percent(e.read)} of all{where})."
    )


def failing(analysis: Analysis, e: ParameterEvidence) -> str:
    """Where trials fail, or are degenerate, more often than elsewhere."""
    if not e.fails:
        return ""
    what = "fail or are degenerate" if degenerate_rows(analysis.table, analysis.space).any() else "fail"
    what += (
        f", apart from {plural(e.apart, 'trial')} at levels of others where everything fails,"
        if e.apart
        else ""
    )
    bad = [v for v in e.levels if v.bad_q <= ALPHA]
    if not bad and e.bad is not None:  # every level has too few trials, all together tell
        way = "higher" if e.bad.higher > 0.5 else "lower"
        return (
            f"Trials {what} more often the {way} {e.name} is: {percent(e.bad.below)} up to the middle of its range, "
            f"{percent(e.bad.above)} beyond (q {p_value(e.bad.p)})."
        )
    worst = sorted(bad, key=lambda v: -v.bad)[:4]
    shares = join([f"{percent(v.bad)} at {v.label}" for v in worst])
    return f"Trials {what} more often at some levels of {e.name} than at the others: {shares} (q {p_value(worst[0].bad_q)})."


def seen(analysis: Analysis, e: ParameterEvidence) -> str:
    """What was seen of a parameter that matters, alone or by what it is coupled with; empty where nothing was."""
    if not e.matters:
        partners = coupled_with(analysis, e.name)
        if not partners:
            return ""
        return (
            f"Alone {e.name} is not seen to matter (q {p_value(e.q)}), but among the best trials it is coupled with "
            f"{join(partners)}, so they are narrowed together."
        )
    if e.correlation is not None:
        c = e.correlation
        # A correlation that is nearly nil while q is small means an optimum inside the range.
        if c.low < 0 < c.high:
            but = (
                "it matters once the effects of the other parameters are taken off"
                if e.seen_by == "additive"
                else "the best trials crowd at some of its values"
            )
            return (
                f"{analysis.metric} does not rise or fall steadily with {e.name} (rank correlation "
                f"{signed(c.estimate)}), but {but} (q {p_value(e.q)})."
            )
        way = "rises" if c.estimate > 0 else "falls"
        high = (c.estimate > 0) == (analysis.sign > 0)
        far = list(e.levels[-(len(e.levels) // 5) :] if high else e.levels[: len(e.levels) // 5])
        turns = len(e.levels) >= 5 and sum(v.n for v in far) >= 5 and _mean_ratio(far) < 0.5
        but = (
            f" over most of its range, but few of the best lie at its {'high' if high else 'low'} end"
            if turns
            else ""
        )
        return (
            f"{analysis.metric} {way} with {e.name}{but}: rank correlation {signed(c.estimate)} (95 % interval "
            f"{signed(c.low)} to {signed(c.high)}), q {p_value(e.q)}."
        )
    a = e.association
    assert a is not None
    judged = sorted((v for v in e.levels if v.n), key=lambda v: -analysis.sign * v.median)
    shown = judged if len(judged) <= 4 else [judged[0], judged[-1]]
    medians = join([f"{score(v.median)} with {v.label}" for v in shown])
    if e.seen_by == "additive":
        return (
            f"The choices of {e.name} differ once the effects of the other parameters are taken off (q {p_value(e.q)}); "
            f"alone they hardly do: median {medians}."
        )
    if e.seen_by == "importance" and 3 * a.p > ALPHA:
        return (
            f"The choices of {e.name} are not equally frequent among the best fifth (q {p_value(e.q)}); over all trials they "
            f"hardly differ (epsilon squared {a.effect:.2f}): median {medians}."
        )
    return f"The choices of {e.name} differ (epsilon squared {a.effect:.2f}, q {p_value(e.q)}): median {medians}."


def coupled_with(analysis: Analysis, name: str) -> list[str]:
    """Parameters that depend on this one among the best trials (q <= 0.1)."""
    names = [e.name for e in analysis.parameters]
    pairs = [{names[pair.i], names[pair.j]} for pair in analysis.pairs if pair.q <= ALPHA]
    return sorted(other for pair in pairs if name in pair for other in pair - {name})


def pile_up(e: ParameterEvidence, ends: Sequence[tuple[stats.Edge, float]]) -> str:
    """At which ends the best trials pile up.

    Args:
        e: The parameter's evidence.
        ends: Those to speak of, each with its q; see :attr:`ParameterEvidence.piled_up`.
    """
    out = []
    for edge, q in ends:
        level = e.levels[-1 if edge.side == "high" else 0].label
        out.append(
            f"{edge.top_count} of the {edge.top_n} best trials lie at its {edge.side} end, {level}, where "
            f"{percent(edge.share)} of all trials lie (q {p_value(q)}): the optimum may be beyond."
        )
    return " ".join(out)


def _contrast(e: ParameterEvidence, new: Parameter) -> str:
    stay = [v for v, i in zip(e.levels, _inside(e.parameter, new), strict=True) if i]
    go = [v for v, i in zip(e.levels, _inside(e.parameter, new), strict=True) if not i]
    if not stay or not go:
        return ""
    if not any(v.n for v in go):
        where = f"the other {len(go)} levels" if len(go) > 4 else join([v.label for v in go])
        tried = e.apart or any(v.bad == v.bad for v in go)  # true in either case, where some were left out
        return f"No trial at {where} finished." if tried else f"No trial lies at {where}."
    n_stay, n_go = sum(v.n for v in stay), sum(v.n for v in go)
    best = f"the best {percent(GOOD)} of trials"
    what = bounds_text(new) if isinstance(e.parameter, Range) else join([v.label for v in stay])
    left = join([v.label for v in go]) if len(go) <= 4 else f"the other {len(go)} levels"
    here, there = _mean_ratio(stay), _mean_ratio(go)
    if here <= there or times(here) == times(there):
        return (
            f"Alone, the share of {best} does not speak for {what} ({times(here)} as frequent as overall there, "
            f"{times(there)} at {left}); the model of all parameters together does."
        )
    return (
        f"At {what} {best} are {times(here)} as frequent as overall ({n_stay} trials), and "
        f"{times(there)} at {left} ({n_go} trials)."
    )


def times(ratio: float) -> str:
    """How often something is among the good trials: ``2.1 times`` as often as overall, or ``hardly ever``."""
    if ratio < 0.05:
        return "hardly ever"
    return f"{ratio:.1f} times" if 0.95 <= ratio < 1.05 else f"{number(ratio, 2)} times"


def _mean_ratio(levels: list[LevelEvidence]) -> float:
    known = [(v.ratio, v.n) for v in levels if v.n and v.ratio == v.ratio]
    total = sum(n for _, n in known)
    return sum(r * n for r, n in known) / total if total else float("nan")


def _inside(old: Parameter, new: Parameter) -> list[bool]:
    return [bool(new.contains([v])[0]) for v in old.grid]


def _drops(old: Parameter, new: Parameter) -> bool:
    return not all(_inside(old, new))
