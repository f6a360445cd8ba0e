"""What an analysis shows of itself: what mattered, where the good trials lie, and what can't be seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from refine.analysis import finding as f
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ParameterEvidence
from refine.analysis.levels import LevelShares
from refine.report.pages.reasons import (
    QUIET,
    belief_block,
    feasible_sentence,
    judged_text,
    noise_clause,
    sentence,
    sentences,
    source_text,
    together,
)
from refine.space.edits import level_text
from refine.space.parameters import Parameter
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import chance, difference, join, number, p_value, percent, plural, score, signed
from refine.utils.provided import page_for

# How every verdict is called.
VERDICTS = {
    f.MATTERS: Cell("matters", "good"),
    f.FAILS: Cell("trials fail", "warn"),
    f.COUPLED: Cell("matters with others", "good"),
    f.NOT_SEEN: Cell("no effect seen", "faint"),
    f.CANNOT_BE_JUDGED: Cell("can't be judged yet", "faint"),
    f.NEVER_READ: Cell("never read", "warn"),
    f.UNTESTED: Cell("untested", "faint"),
}


# Verdict that says that nothing is known -> the word before the names of those parameters.
_OTHERS = {
    f.NOT_SEEN: "Unseen",
    f.CANNOT_BE_JUDGED: "Unclear",
    f.NEVER_READ: "Unread",
    f.UNTESTED: "Untested",
}

_MOST = 9  # parameters that a glance has a line for
_LONGEST = 32  # letters of the best configuration in a headline
_CLEAR = 0.01  # q up to which a glance calls an effect clear


@page_for(Analysis)
def analysis_page(analysis: Analysis) -> Page:
    """The best, what matters and where its good trials lie, and of what nothing can be said."""
    ranked, findings = analysis.ranked, analysis.findings
    matter = [e for e in ranked if findings[e.name].verdict not in _OTHERS]
    rows = [_short_row(e, findings[e.name]) for e in matter[:_MOST]]
    if len(matter) > _MOST:
        rows.append((Cell(f"and {len(matter) - _MOST} more", "faint"), "", "", ""))
    head = ("parameter", "effect", "good at", "how clear")
    blocks: list[Block] = [Grid(head, tuple(rows), title="What matters:")] if rows else []
    facts: list[tuple[str, str | Cell]] = [] if ranked else [("", "No parameter varies.")]
    for verdict, word in _OTHERS.items():
        if names := [e.name for e in ranked if findings[e.name].verdict == verdict]:
            facts.append((word, join(names)))
    if analysis.feasibility is not None:
        facts.append(("Feasible", feasible_sentence(analysis.feasibility)))
    epsilon, source = analysis.noise.tolerance()
    where = source_text(source, epsilon, analysis.validation_rows)
    least = f"{difference(epsilon)} is no difference{where}" if np.isfinite(epsilon) else "not known"
    hit = f"{chance(analysis.covered).capitalize()} chance that one of the best 1 % was run."
    facts += [("Noise", f"{least}. {hit}"), *caution_facts(analysis)]
    first = next((e.name for e in (*matter, *ranked)), None)
    plots = (Action("round.plot.density", first),) if first and analysis.tested else ()
    calls = (Action("round.propose", risk=0.05), *plots, Action("analysis.why"))
    trials = plural(sum(analysis.states.values()), "trial")
    return Page(f"{trials}. {best_text(analysis)}", (*blocks, Facts(tuple(facts))), calls, _folds(analysis))


_CAUTIONS = {
    "imported": "nobody said how the imported trials were drawn; they look even.",
    "uneven": "the trials are said to be even, and are not.",
    "untested": "a search chose the trials, so that nothing is tested on them.",
    "code": "the trials ran {count} versions of the objective's code.",
}


def caution_facts(analysis: Analysis) -> list[tuple[str, Cell]]:
    """What to keep in mind, in short where there are few words for it."""
    told = [c for c in analysis.cautions if c.code != "sampled"]
    short = [_CAUTIONS.get(c.code, "").format(count=len(c.values.get("codes", ()))) for c in told]
    return [("Caution", Cell(s or sentence(c), "warn")) for s, c in zip(short, told, strict=True)]


def best_text(analysis: Analysis) -> str:
    """The best observed trial: ``Best 0.9998 (lr 1.5, dropout 0, Adam)``."""
    best, metric = analysis.best, judged_text(analysis.metric, analysis.subject_to)
    there = [(e, best[e.name]) for e in analysis.parameters if e.name in best.index]
    at = [_at(e.name, e.parameter, v) for e, v in there if v is not None and v == v]
    while len(", ".join(at)) > _LONGEST and at[1:]:
        at = [*at[: -2 if at[-1] == "..." else -1], "..."]
    where = f" ({', '.join(at)})" if at else ""
    return f"Best {'' if metric == 'value' else f'{metric} '}{score(best['value'])}{where}."


def _at(name: str, parameter: Parameter, value: Any) -> str:
    """A value by its word where that speaks for itself, else with its name."""
    text = level_text(parameter, value)
    speaks = not parameter.numeric and len(text) > 1 and text not in ("True", "False", "None")
    return text if speaks else f"{name} {text}"


def _short_row(e: ParameterEvidence, finding: f.Finding) -> tuple[str | Cell, ...]:
    """What a parameter does, where its good trials are frequent, and how clear that is."""
    clear = Cell("clear", "good") if e.q <= _CLEAR else "seen" if finding.verdict == f.MATTERS else ""
    ends = [level_text(e.parameter, e.parameter.grid[i]) for i in finding.rich[:1] + finding.rich[-1:]]
    good = f"good at {' to '.join(dict.fromkeys(ends))}" if ends else ""
    return Cell(e.name, "strong"), _effect(finding), good, clear


def _effect(finding: f.Finding) -> str:
    """What a parameter does, in a few words: ``falls with it``, ``SGD 0.08 below Adam``, ``trials fail``."""
    by_code = {r.code: r.values for r in finding.reasons}
    if "trend" in by_code:
        return f"{by_code['trend']['metric']} {finding.shape} with it"
    if "no_trend" in by_code:
        return "best inside its range"
    medians = [(label, m) for label, m in by_code.get("choices", {}).get("medians", ()) if m is not None]
    if len(medians) > 1:
        (best, high), (worst, low) = medians[0], medians[-1]
        return f"{best} best, {worst} {difference(abs(high - low))} worse"
    if finding.verdict == f.FAILS:
        return "trials fail at some values"
    return f"with {join(finding.partners)}" if finding.partners else VERDICTS[finding.verdict].text


def _folds(analysis: Analysis) -> tuple[Fold, ...]:
    folds = []
    for e in analysis.ranked:
        finding = analysis.findings[e.name]
        said = (Text(sentences(finding.reasons)),) if finding.reasons else ()
        folds.append(
            Fold(f"{e.name}: {VERDICTS[finding.verdict].text}", said, e.name, finding.verdict not in _OTHERS)
        )
    if rest := together({name: finding.reasons for name, finding in analysis.findings.items()}):
        folds.append(Fold("What can't be seen", (Items(tuple(Cell(line, "faint") for line in rest)),)))
    if analysis.belief is not None:
        folds.append(Fold("What is believed", (belief_block(analysis.belief),), "belief"))
    folds += [Fold("Caution", (Text(sentence(c), "warn"),), "caution") for c in analysis.cautions]
    head = ("parameter", "verdict", "effect", "95 % interval", "q", "importance")
    grid = Grid(head, tuple(_row(analysis, e) for e in analysis.ranked), right=(5,))
    every: list[Block] = [Text(_facts(analysis)), *([grid] if analysis.ranked else [])]
    return (*folds, Fold("Every parameter", tuple(every), "table", why=False))


def seen(analysis: Analysis) -> list[str]:
    """One entry for every parameter of which something was seen, the clearest first."""
    loud = [[r for r in finding.reasons if r.code not in QUIET] for finding in analysis.findings.values()]
    return [sentences(reasons) for reasons in loud if any(r.code != "read_in" for r in reasons)]


def _facts(analysis: Analysis) -> str:
    states = ", ".join(f"{count} {state}" for state, count in analysis.states.items())
    earlier = f", {analysis.n_pooled} of them of earlier rounds on this space" if analysis.n_pooled else ""
    if analysis.n_earlier:
        earlier += f", {plural(analysis.n_earlier, 'trial')} of earlier rounds inside"
    trials, hit = "untested", ""
    if analysis.tested:
        trials = plural(analysis.n_space_filling, "finished space-filling trial")
        hit = f"; one of the best 1 % of configurations was run with probability {percent(analysis.covered)}"
    best = f"best observed {score(analysis.best['value'])}, {noise_clause(analysis.noise)}"
    return f"{trials} ({states}{earlier}); {analysis.metric}, {analysis.direction}; {best}{hit}"


def _row(analysis: Analysis, e: ParameterEvidence) -> tuple[str | Cell, ...]:
    effect = interval = "-"
    if e.correlation is None:
        assert e.association is not None
        if np.isfinite((a := e.association).effect):
            effect, interval = f"eps2 {a.effect:.2f}", f"{a.low:.2f} to {a.high:.2f}"
    elif analysis.tested:
        c = e.correlation
        effect, interval = f"rho {signed(c.estimate)}", f"{signed(c.low)} to {signed(c.high)}"
    verdict, q = VERDICTS[analysis.findings[e.name].verdict], p_value(e.q).removeprefix("= ")
    return Cell(e.name, "strong"), verdict, effect, interval, q, number(e.importance.estimate)


def share_text(label: str, share: LevelShares, *, tested: bool) -> str:
    """How often a level is among the good trials, and among all."""
    if not tested:
        return f"{label}: untested"
    return f"{label}: {percent(share.good)} of the good trials, {percent(share.everyone)} of all"
