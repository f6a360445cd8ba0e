"""What an analysis and a proposal show of themselves: a ranked story, and a table to decide by. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from refine.analysis.evidence import ALPHA, GOOD, ParameterEvidence
from refine.report.pages.cautions import of_code
from refine.report.pages.reasons import coupled_with, failing, join_sentences, pile_up, seen, when_read
from refine.space.edits import bounds_text, strip, widened
from refine.space.parameters import Range
from refine.utils.display import Block, Cell, Grid, Items, Page, Text
from refine.utils.format import join, number, p_value, percent, plural, score, signed

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis
    from refine.proposal.change import Change
    from refine.proposal.proposal import Proposal

_LEAST = 5  # trials that a level must have before it is called the place where the good ones lie


def analysis_page(analysis: Analysis) -> Page:
    """A ranked story: what mattered, where the good trials lie, and what could not be seen.

    Args:
        analysis: What was measured.
    """
    ranked = analysis.ranked
    rows = tuple(_row(e) for e in ranked)
    head = ("parameter", "verdict", "effect", "95 % interval", "q", "importance")
    blocks: list[Block] = [Text(_facts(analysis)), *(Text(line, "warn") for line in of_code(analysis.codes))]
    if rows:
        blocks.append(Grid(head, rows, right=(5,)))
        blocks.append(Items(tuple(sentences(analysis)), numbered=True))
    else:
        blocks.append(Text("No parameter varies."))
    rest = _rest(analysis)
    if rest:
        blocks.append(Items(tuple(rest)))
    if analysis.caution:
        blocks.append(Text(f"Caution: {analysis.caution}", "warn"))
    telling = next((e.name for e in ranked if e.matters), ranked[0].name if ranked else None)
    calls = [f".plot.density({telling!r})", ".plot.correlation()"] if telling else []
    title = f"What {plural(analysis.n_space_filling, 'trial')} say about {analysis.metric}"
    return Page(title, tuple(blocks), (*(f"round{call}" for call in calls), "round.propose(risk=0.05)"))


def _facts(analysis: Analysis) -> str:
    states = ", ".join(f"{count} {state}" for state, count in analysis.states.items())
    earlier = f", {analysis.n_pooled} of them of earlier rounds on this space" if analysis.n_pooled else ""
    if analysis.n_earlier:
        earlier += f", {plural(analysis.n_earlier, 'trial')} of earlier rounds inside"
    return (
        f"{plural(analysis.n_space_filling, 'finished space-filling trial')} ({states}{earlier}); "
        f"{analysis.metric}, {analysis.direction}; best {score(analysis.best['value'])}, "
        f"noise {score(analysis.noise.sd)} ({analysis.noise.source}); "
        f"hit the best 1 % with probability {percent(analysis.covered)}"
    )


def _row(e: ParameterEvidence) -> tuple[str | Cell, ...]:
    if e.correlation is not None:
        c = e.correlation
        effect, interval = f"rho {signed(c.estimate)}", f"{signed(c.low)} to {signed(c.high)}"
    else:
        assert e.association is not None
        a, known = e.association, np.isfinite(e.association.effect)
        effect = f"eps2 {a.effect:.2f}" if known else "-"
        interval = f"{a.low:.2f} to {a.high:.2f}" if known else "-"
    tone = "warn" if e.read == 0 else "good" if e.matters else "faint"
    verdict = "never read" if e.read == 0 else "matters" if e.matters else "not seen to matter"
    q = p_value(e.q).removeprefix("= ")
    return Cell(e.name, "strong"), Cell(verdict, tone), effect, interval, q, number(e.importance.estimate)


def sentences(analysis: Analysis) -> list[str]:
    """One entry for every parameter that was seen to matter or to fail, the clearest first."""
    out = []
    for e in analysis.ranked:
        if e.read != 0 and (e.matters or e.fails or _beyond(e) or coupled_with(analysis, e.name)):
            said = (
                seen(analysis, e),
                when_read(e),
                _where(e),
                failing(analysis, e),
                _beyond(e),
                _partners(analysis, e),
            )
            out.append(join_sentences(*said))
    return out or ["No parameter was seen to matter on this evidence."]


def _where(e: ParameterEvidence) -> str:
    """At which levels the good trials crowd."""
    if not e.matters or not e.parameter.ordered:
        return ""
    rich = [v for v in e.levels if v.n >= _LEAST and v.ratio_low > 1]
    if not rich:
        return ""
    most = max(rich, key=lambda v: v.ratio)
    return f"The best {percent(GOOD)} crowd at {join([v.label for v in rich])} (up to {number(most.ratio, 2)} times as frequent)."


def _beyond(e: ParameterEvidence) -> str:
    """At which ends the best trials pile up; a natural limit, such as a rate of 0, is none to look beyond."""
    p = e.parameter
    open_ends = [
        (edge, q) for edge, q in e.piled_up if isinstance(p, Range) and widened(p, p, edge.side) is not None
    ]
    return pile_up(e, open_ends)


def _partners(analysis: Analysis, e: ParameterEvidence) -> str:
    partners = coupled_with(analysis, e.name)
    if not partners or not e.matters:  # where it does not matter alone, `seen` speaks of them
        return ""
    return f"What is good for it depends on {join(partners)}."


def _rest(analysis: Analysis) -> list[str | Cell]:
    """What was not seen, in a line each."""
    quiet = [e for e in analysis.ranked if e.read != 0 and not (e.matters or e.fails)]
    young = [e.name for e in quiet if e.good < e.needed]
    flat = [e.name for e in quiet if e.good >= e.needed]
    out: list[str | Cell] = []
    if flat:
        out.append(
            Cell(
                f"Nothing seen: {join(flat)} (q above {ALPHA}). That is no proof that they do not matter.",
                "faint",
            )
        )
    if young:
        needed = max(e.needed for e in quiet)
        counts = sorted({e.good for e in quiet if e.good < e.needed})
        have = (
            plural(counts[-1], "trial")
            if len(counts) == 1
            else f"{counts[0]} to {plural(counts[-1], 'trial')}"
        )
        out.append(
            Cell(
                f"Can't be judged yet: {join(young)}; {have} in the good region and {needed} needed.",
                "faint",
            )
        )
    if analysis.never_read:
        out.append(
            Cell(
                f"Never read by the objective: {join(analysis.never_read)}. The model reads another name, or reads "
                f"{'it' if len(analysis.never_read) == 1 else 'them'} only at values that others don't have here, or "
                f"{'it' if len(analysis.never_read) == 1 else 'they'} can go.",
                "warn",
            )
        )
    return out


def proposal_page(proposal: Proposal) -> Page:
    """The table to decide by: parameter, now, proposed, kept, risk, why; changes first.

    Args:
        proposal: What is proposed.
    """
    order = sorted(proposal.changes, key=lambda c: c.kind == "keep")
    grid = Grid(
        ("parameter", "now", "proposed", "levels", "kept", "risk", "why"),
        tuple(_change_row(c) for c in order),
        right=(4, 5),
        wide=(6,),
    )
    rest: list[str | Cell] = [f"could be fixed: {offer.reason}" for offer in proposal.offers]
    if proposal.advice is not None:
        rest.append(f"next round: {proposal.advice.reason}")
    blocks: list[Block] = [Text(proposal.claim), grid]
    if any(math.isfinite(c.risk) for c in order):
        blocks.append(
            Text(
                "risk: probability that this change alone loses more than what counts as none; they do not add up.",
                "faint",
            )
        )
    return Page("", (*blocks, *([Items(tuple(rest))] if rest else [])))


def _change_row(c: Change) -> tuple[str | Cell, ...]:
    kept = c.kind == "keep"
    risk = "-" if kept or not math.isfinite(c.risk) else percent(c.risk)
    return (
        Cell(c.name, "strong"),
        bounds_text(c.old),
        Cell("-", "faint") if kept else Cell(f"{bounds_text(c.new)} ({c.kind})", "good"),
        strip(c.old, c.new),
        percent(c.kept),
        risk,
        Cell(c.reason, "faint" if kept else ""),
    )
