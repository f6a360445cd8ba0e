"""The page of an analysis: parameters with an effect, their good ranges, and the limits of the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from refine.analysis import finding as f
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA, ParameterEvidence
from refine.analysis.levels import LevelShares
from refine.proposal.change import Change
from refine.report.pages.reasons import (
    QUIET,
    belief_block,
    feasible_sentence,
    judged_text,
    noise_text,
    sentence,
    sentences,
    source_text,
    together,
    trend_mark,
)
from refine.space.edits import level_text
from refine.space.encoding import label
from refine.space.parameters import Parameter
from refine.stats import Pair
from refine.trials.trial import FAILED
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Items, Page, Row, Text
from refine.utils.format import difference, join, number, p_value, percent, plural, score, signed
from refine.utils.provided import page_for

VERDICTS = {
    f.MATTERS: Cell("has an effect", "good"),
    f.FAILS: Cell("trials fail", "warn"),
    f.COUPLED: Cell("effect with others", "good"),
    f.NOT_SEEN: Cell("no effect detected", "faint"),
    f.CANNOT_BE_JUDGED: Cell("too few trials", "faint"),
    f.NEVER_READ: Cell("never read", "warn"),
    f.UNTESTED: Cell("untested", "faint"),
}
"""Finding about a parameter -> its words."""


def weak_text(analysis: Analysis, change: Change) -> str:
    """The basis of a change of a parameter without a tested effect; empty for other changes."""
    if change.kind not in ("narrow", "drop") or change.name not in analysis.findings:
        return ""
    finding = analysis.findings[change.name]
    if finding.verdict == f.CANNOT_BE_JUDGED:
        tested = f"Too few trials to see an effect of {change.name} alone"
    elif finding.verdict == f.NOT_SEEN:
        tested = f"No test shows an effect of {change.name} alone"
    else:
        return ""
    return f"{tested}, so the change rests on the model of all parameters together."


# Finding without a known effect -> label of the names of such parameters, and a remark on the finding.
_NO_EFFECT = {
    f.NOT_SEEN: ("No effect", " (none detected)"),
    f.CANNOT_BE_JUDGED: ("Too few trials", ""),
    f.NEVER_READ: ("Never read", ""),
    f.UNTESTED: ("Untested", ""),
}

_MOST = 9  # parameters that a summary has a line for
_LONGEST = 28  # letters of the best configuration in a headline
_LEAST_AGREEMENT = 0.3  # smallest rank correlation of levels that is no caution
_STRONG = 0.01  # largest q of strong evidence


@page_for(Analysis)
def analysis_page(analysis: Analysis) -> Page:
    """The best trial, the parameters with and without an effect, the tolerance and the coverage."""
    ranked = analysis.ranked
    findings = analysis.findings
    effective = [e for e in ranked if findings[e.name].verdict not in _NO_EFFECT]
    blocks: list[Block] = []
    if effective:
        rows = [_short_row(analysis, e) for e in effective[:_MOST]]
        if len(effective) > _MOST:
            rows.append((Cell(f"and {len(effective) - _MOST} more", "faint"), "", "", ""))
        head = ("parameter", "effect", "best at", "evidence")
        blocks = [Grid(head, rows, title="Parameters with an effect:")]
    facts: list[Fact] = [("", "No parameter varies.")] * (not ranked)
    for verdict, (title, remark) in _NO_EFFECT.items():
        if names := [e.name for e in ranked if findings[e.name].verdict == verdict]:
            facts.append((title, f"{', '.join(names)}{remark}"))
    if analysis.feasibility is not None:
        facts.append(("Feasible", feasible_sentence(analysis.feasibility).removesuffix(".")))
    facts += [
        ("Tolerance", tolerance_text(analysis)),
        ("Coverage", _coverage(analysis)),
        *fidelity_facts(analysis),
        *shared_facts(analysis),
    ]
    calls = [Action("round.propose", risk=0.05), Action("analysis.why")]
    if ranked and analysis.tested:
        calls.insert(1, Action("round.plot.density", [*effective, *ranked][0].name))
    title = f"{trials_clause(analysis)}, {best_clause(analysis)}."
    return Page(title, [*blocks, Facts(facts)], calls, _folds(analysis))


def tolerance_text(analysis: Analysis) -> str:
    """The tolerance with its source: ``differences up to 0.017 count as ties (5 % of best - median)``."""
    epsilon, source = analysis.noise.tolerance()
    if not np.isfinite(epsilon):
        return "unknown: too few repeats"
    text = "every difference counts"
    if epsilon:
        text = f"differences up to {difference(epsilon)} count as ties"
    return text + source_text(source, epsilon, analysis.validation_rows)


_CAUTIONS = {
    "imported": "the imported trials look like a random or grid sample; tests assume so",
    "uneven": "the trials were declared a random or grid sample, and do not look like one",
    "untested": "the trials are not an even sample, so no test is possible",
    "few_even": "{even}: too few for a test",
    "code": "the trials ran {count} versions of the objective's code",
}


def fidelity_facts(analysis: Analysis) -> list[Fact]:
    """Agreement of cheap trials with full ones; empty without a fidelity."""
    bridges = analysis.bridges
    if bridges is None:
        return []
    levels = join([label(level) for level in bridges.scales])
    cheap = f"{bridges.name} {levels}"
    full = label(bridges.full)
    n = len(bridges.cheap)
    agreement = bridges.agreement
    text = f"{plural(bridges.n_cheap, 'trial')} at {cheap}, {n} of them also at {full}"
    if math.isnan(agreement):
        return [("Fidelity", f"{text}: too few to compare the ranks")]
    if agreement < _LEAST_AGREEMENT:
        text = (
            f"{cheap} says little about {full} here: ranks of {plural(n, 'trial')} agree by {agreement:.2f}"
        )
        return [("Fidelity", Cell(text, "warn"))]
    return [("Fidelity", f"{text}: ranks agree by {agreement:.2f}")]


def shared_facts(analysis: Analysis, without: Sequence[str] = ()) -> list[Fact]:
    """The facts of an analysis that its review states too: the cautions, in short if possible.

    ``without`` lists codes of cautions to leave out.
    """
    facts: list[Fact] = []
    for caution in analysis.cautions:
        if caution.code not in ("sampled", *without):
            even = plural(caution.values.get("n", 0), "evenly drawn trial")
            count = len(caution.values.get("codes", ()))
            short = _CAUTIONS.get(caution.code, "").format(count=count, even=even)
            facts.append(("Caution", Cell(short or sentence(caution), "warn")))
    return facts


def trials_clause(analysis: Analysis) -> str:
    """The trials of the round, audits outside its space included: ``11 trials (2 failed, 1 timeout)``."""
    trials = plural(sum(analysis.states.values()) + analysis.n_outside, "trial")
    failures = [f"{count:,} {state}" for state, count in analysis.states.items() if count and state in FAILED]
    if failures:
        return f"{trials} ({', '.join(failures)})"
    return trials


def best_clause(analysis: Analysis) -> str:
    """The best observed trial: ``best value 0.9998 (lr 1.5, dropout 0, Adam)``."""
    return f"best {analysis.metric} {best_value_text(analysis)}"


def best_value_text(analysis: Analysis) -> str:
    """The best observed value with its configuration: ``0.9998 (lr 1.5, dropout 0, Adam)``."""
    best = analysis.best
    varied = [(e, best[e.name]) for e in analysis.parameters if e.name in best.index]
    present = [(e, v) for e, v in varied if v is not None and v == v]
    values = [_at(e.name, e.parameter, v) for e, v in present]
    while len(", ".join(values)) > _LONGEST and values[1:]:
        values = [*values[: -2 if values[-1] == "..." else -1], "..."]
    if not all(e.parameter.contains([v])[0] for e, v in present):
        values += ["an audit trial"]
    text = judged_text(score(best["value"]), analysis.subject_to)
    if values:
        text += f" ({', '.join(values)})"
    return text


def _at(name: str, parameter: Parameter, value: object) -> str:
    """A value, with the parameter's name unless the value is a word: ``Adam``, ``lr 1.5``."""
    text = level_text(parameter, value)
    speaks = not parameter.numeric and len(text) > 1 and text not in ("True", "False", "None")
    if speaks:
        return text
    return f"{name} {text}"


def _short_row(analysis: Analysis, e: ParameterEvidence) -> Row:
    """A parameter's name, effect, best range, and the strength of the evidence."""
    finding = analysis.findings[e.name]
    evidence = Cell("")
    if finding.verdict == f.MATTERS:
        evidence = Cell("some evidence")
    if e.q <= _STRONG:
        evidence = Cell("strong evidence", "good")
    best_value = analysis.best.get(e.name)
    used = best_value is not None and best_value == best_value
    best = ""
    if finding.rich:
        levels = [e.parameter.grid[i] for i in (finding.rich[0], finding.rich[-1])]
        ends = [level_text(e.parameter, level) for level in levels]
        low, position, high = e.parameter.unit([levels[0], best_value, levels[1]])
        place = "best"
        if used and not low <= position <= high:
            place = "top trials"  # the best one is a narrow peak elsewhere
        best = f"{place} at {' to '.join(dict.fromkeys(ends))}"
    best_label = level_text(e.parameter, best_value) if used else ""
    return Cell(e.name, "strong"), _effect(finding, best_label), best, evidence


def _effect(finding: f.Finding, best_label: str) -> str:
    """The effect in a few words; ``best_label`` is the value of the best trial, if it has one.

    For example ``val_acc rises with lr``, ``Adam best, SGD 0.08 worse``, ``failures at some values``.
    """
    by_code = {r.code: r.values for r in finding.reasons}
    if "trend" in by_code:
        trend = by_code["trend"]
        return f"{trend['metric']} {finding.shape} with {finding.name}{trend_mark(trend)}"
    if "no_trend" in by_code:
        return "no steady rise or fall"
    medians = [(label, m) for label, m in by_code.get("choices", {}).get("medians", ()) if m is not None]
    if len(medians) > 1:
        best, high = medians[0]
        worst, low = medians[-1]
        if best_label and best != best_label:  # the best trial may have a choice that is bad on average
            return f"{best} best by the median, {worst} {difference(abs(high - low))} worse"
        return f"{best} best, {worst} {difference(abs(high - low))} worse"
    if finding.verdict == f.FAILS:
        return "failures at some values"
    if finding.partners:
        return f"interacts with {join(finding.partners)}"
    return VERDICTS[finding.verdict].text


def _folds(analysis: Analysis) -> list[Fold]:
    folds = []
    for e in analysis.ranked:
        finding = analysis.findings[e.name]
        evidence = [Text(sentences(finding.reasons))] * bool(finding.reasons)
        title = f"{e.name}: {VERDICTS[finding.verdict].text}"
        folds.append(Fold(title, evidence, e.name, finding.verdict not in _NO_EFFECT))
    if shared := together({name: finding.reasons for name, finding in analysis.findings.items()}):
        folds.append(Fold("No effect", [Items([Cell(line, "faint") for line in shared])]))
    coupled = _coupled_grid(analysis)
    if coupled.rows:
        folds.append(Fold("Coupled parameters", [Text(COUPLED), coupled], "coupled"))
    if analysis.belief is not None:
        folds.append(Fold("Belief", [belief_block(analysis.belief)], "belief"))
    folds += [Fold("Caution", [Text(sentence(c), "warn")], "caution") for c in analysis.cautions]
    blocks: list[Block] = [Text(_facts(analysis))]
    if analysis.ranked:
        head = ("parameter", "finding", "effect", "95 % interval", "q", "importance")
        blocks.append(Grid(head, [_row(analysis, e) for e in analysis.ranked], right=(5,)))
    return [*folds, Fold("Every parameter", blocks, "table", why=False)]


COUPLED = (
    "Among the top trials, the best value of one parameter depends on the other. Look at both before you "
    "change one."
)
"""Advice on coupled parameters, as in ``frontend/src/checks.js``."""


def coupled_pairs(analysis: Analysis) -> list[Pair]:
    """The pairs of parameters with a detected coupling, the clearest first."""
    coupled = [pair for pair in analysis.pairs if pair.q <= ALPHA]
    return sorted(coupled, key=lambda pair: (round(pair.q, 3), -abs(pair.statistic)))


def _coupled_grid(analysis: Analysis) -> Grid:
    """A row per coupled pair: its measure among the top trials."""
    rows = []
    for pair in coupled_pairs(analysis):
        first = analysis.parameters[pair.i]
        second = analysis.parameters[pair.j]
        measure = "Cramér's V"
        size = f"{pair.statistic:.2f}"
        if first.parameter.ordered and second.parameter.ordered:
            measure = "rank correlation"
            size = signed(pair.statistic)
        rows.append((first.name, second.name, measure, size, p_value(pair.q).removeprefix("= ")))
    return Grid(("parameter", "and", "measure", "among the top trials", "q"), rows, right=(3,))


def effect_sentences(analysis: Analysis) -> list[str]:
    """The sentences about parameters with an effect, the strongest one first."""
    loud = [[r for r in finding.reasons if r.code not in QUIET] for finding in analysis.findings.values()]
    return [sentences(reasons) for reasons in loud if any(r.code != "read_in" for r in reasons)]


def _coverage(analysis: Analysis) -> str:
    """The chance that a trial hit the best 1 %; of a space without 1 %, the number of configurations."""
    if analysis.space.size < 100 and not analysis.n_imported:  # imported trials lie between levels
        even = analysis.n_space_filling or analysis.n_few_even
        trials = plural(even, "evenly drawn trial")
        return f"{trials}, in a space of {plural(analysis.space.size, 'configuration')}"
    if not analysis.covered:
        return "unknown: no trial was drawn evenly"
    return f"{percent(analysis.covered)} chance that a trial hit the best 1 % of configurations"


def _facts(analysis: Analysis) -> str:
    states = ", ".join(f"{count} {state}" for state, count in analysis.states.items())
    earlier = ""
    if analysis.n_pooled:
        earlier = f", {analysis.n_pooled} of them of earlier rounds on this space"
    if analysis.n_earlier:
        earlier += f", {plural(analysis.n_earlier, 'trial')} of earlier rounds inside"
    if analysis.n_elsewhere:
        earlier += f", {plural(analysis.n_elsewhere, 'trial')} of later rounds and other branches inside"
    trials = "untested"
    hit = ""
    if analysis.tested:
        trials = plural(analysis.n_space_filling, "finished evenly drawn trial")
        hit = f"; {_coverage(analysis)}"
    best = f"best observed {score(analysis.best['value'])}; noise: {noise_text(analysis.noise)}"
    return f"{trials} ({states}{earlier}); {analysis.metric}, {analysis.direction}; {best}{hit}"


def _row(analysis: Analysis, e: ParameterEvidence) -> Row:
    effect = interval = "-"
    if e.correlation is None:
        assert e.association is not None
        if np.isfinite((a := e.association).effect):
            effect = f"eps2 {a.effect:.2f}"
            interval = f"{a.low:.2f} to {a.high:.2f}"
    elif analysis.tested:
        c = e.correlation
        effect = f"rho {signed(c.estimate)}"
        interval = f"{signed(c.low)} to {signed(c.high)}"
    verdict = VERDICTS[analysis.findings[e.name].verdict]
    q = p_value(e.q).removeprefix("= ")
    return Cell(e.name, "strong"), verdict, effect, interval, q, number(e.importance.estimate)


def share_text(label: str, share: LevelShares, *, tested: bool) -> str:
    """The share of a level among the good trials, and among all."""
    if not tested:
        return f"{label}: untested"
    return f"{label}: {percent(share.good)} of the good trials, {percent(share.everyone)} of all"
