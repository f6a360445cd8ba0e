"""What an analysis shows of itself: what mattered, where the good trials lie, and what can't be seen."""

from __future__ import annotations

import numpy as np

from refine.analysis import finding as f
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ParameterEvidence
from refine.report.pages.belief import belief_block
from refine.report.pages.goal import feasible_sentence
from refine.report.pages.noise import noise_clause
from refine.report.pages.reasons import QUIET, sentence, sentences, together
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Grid, Items, Page, Text
from refine.utils.format import number, p_value, percent, plural, score, signed
from refine.utils.provided import page_for

VERDICTS = {
    f.MATTERS: Cell("matters", "good"),
    f.FAILS: Cell("trials fail", "warn"),
    f.COUPLED: Cell("matters with others", "good"),
    f.NOT_SEEN: Cell("no effect seen", "faint"),
    f.CANNOT_BE_JUDGED: Cell("can't be judged yet", "faint"),
    f.NEVER_READ: Cell("never read", "warn"),
    f.UNTESTED: Cell("untested", "faint"),
}
"""How every verdict is called."""


@page_for(Analysis)
def analysis_page(analysis: Analysis) -> Page:
    """What mattered, where the good trials lie, and what can't be seen."""
    ranked = analysis.ranked
    blocks: list[Block] = [Text(_facts(analysis))]
    if analysis.feasibility is not None:
        blocks.append(Text(feasible_sentence(analysis.feasibility)))
    if ranked:
        head = ("parameter", "verdict", "effect", "95 % interval", "q", "importance")
        blocks.append(Grid(head, tuple(_row(analysis, e) for e in ranked), right=(5,)))
        found = seen(analysis)
        if found:
            blocks.append(Items(tuple(found), numbered=True))
        elif analysis.tested:
            blocks.append(Text("No parameter was seen to matter."))
    else:
        blocks.append(Text("No parameter varies."))
    rest = together({name: found.reasons for name, found in analysis.findings.items()})
    if rest:
        blocks.append(Items(tuple(Cell(line, "faint") for line in rest)))
    if analysis.belief is not None:
        blocks.append(belief_block(analysis.belief))
    blocks += [Text(f"Caution: {sentence(caution)}", "warn") for caution in analysis.cautions]
    first = next(
        (e.name for e in ranked if analysis.findings[e.name].verdict == f.MATTERS),
        ranked[0].name if ranked else None,
    )
    shown = first is not None and analysis.tested
    plots = (Action("round.plot.density", first), Action("round.plot.correlation")) if shown else ()
    trials = analysis.n_space_filling if analysis.tested else len(analysis.y)
    title = f"What {plural(trials, 'trial')} say about {analysis.metric}"
    return Page(title, tuple(blocks), (*plots, Action("round.propose", risk=0.05)))


def seen(analysis: Analysis) -> list[str]:
    """One entry for every parameter of which something was seen, the clearest first."""
    told = (
        sentences(r for r in found.reasons if r.code not in QUIET)
        for found in analysis.findings.values()
        if any(r.code not in (*QUIET, "read_in") for r in found.reasons)
    )
    return list(told)


def _facts(analysis: Analysis) -> str:
    states = ", ".join(f"{count} {state}" for state, count in analysis.states.items())
    earlier = f", {analysis.n_pooled} of them of earlier rounds on this space" if analysis.n_pooled else ""
    if analysis.n_earlier:
        earlier += f", {plural(analysis.n_earlier, 'trial')} of earlier rounds inside"
    trials = (
        plural(analysis.n_space_filling, "finished space-filling trial") if analysis.tested else "untested"
    )
    hit = f"; one of the best 1 % of configurations was run with probability {percent(analysis.covered)}"
    return (
        f"{trials} ({states}{earlier}); "
        f"{analysis.metric}, {analysis.direction}; best observed {score(analysis.best['value'])}, "
        f"{noise_clause(analysis.noise)}"
        f"{hit if analysis.tested else ''}"
    )


def _row(analysis: Analysis, e: ParameterEvidence) -> tuple[str | Cell, ...]:
    if e.correlation is not None:
        c = e.correlation
        effect, interval = f"rho {signed(c.estimate)}", f"{signed(c.low)} to {signed(c.high)}"
        if not analysis.tested:
            effect = interval = "-"
    else:
        assert e.association is not None
        a, known = e.association, np.isfinite(e.association.effect)
        effect = f"eps2 {a.effect:.2f}" if known else "-"
        interval = f"{a.low:.2f} to {a.high:.2f}" if known else "-"
    verdict = VERDICTS[analysis.findings[e.name].verdict]
    q = p_value(e.q).removeprefix("= ")
    return Cell(e.name, "strong"), verdict, effect, interval, q, number(e.importance.estimate)
