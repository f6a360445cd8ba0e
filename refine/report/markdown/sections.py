"""Sections of a round's report about what was run and measured."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.conditions import read_at
from refine.analysis.evidence import ALPHA
from refine.analysis.finding import MATTERS
from refine.analysis.population import LEAST_COMPARED, compare_rounds, space_filling_values
from refine.design.pruning import words_of
from refine.design.space_filling import IMPORTED
from refine.report import figures
from refine.report.figures.checks import MOST
from refine.report.markdown.facts import ORIGIN_WORDS, Facts, fingerprints, store_name
from refine.report.markdown.text import Part, Picture, Raw, Section, code, escape, joined, slug, values_table
from refine.report.pages.checks import curves_page, question
from refine.report.pages.comparison import CAUTION, population_sentence
from refine.report.pages.phrases import feasible_sentence
from refine.report.pages.proposal import next_text
from refine.report.pages.records import spread_text
from refine.report.pages.space import space_grid
from refine.report.pages.tree import value_text
from refine.space.edits import bounds_text
from refine.trials.frame import barred_rows, degenerate_rows, front_rows, infeasible_rows, metric_title
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.metric_constraint import metric_constraints
from refine.trials.round_record import OPTUNA, Node
from refine.trials.trial import STATES
from refine.utils.format import duration, join, p_value, percent, plural, score, signed

if TYPE_CHECKING:
    from refine.review.checks import Check

_BEST = 10  # trials in the table of the best
_SHOWN = 6  # parameters whose densities are shown at once; the others can be unfolded
_ERRORS = 5  # different errors listed per state
_FRONT = 20  # trials of the front that are listed
_PAIRS = 3  # pairs that are drawn, the clearest
_STATE_WORDS = {
    "failed": "an error was raised",
    "diverged": "the value was NaN or infinite",
    "crashed": "the process went down",
    "timeout": "time ran out",
    "pruned": "stopped early",
    "excluded": "somebody left it out",
    "running": "not finished yet",
}


def what_ran(facts: Facts) -> Section:
    """Space, constraints, design, fingerprints and versions."""
    node, analysis = facts.node, facts.analysis
    parts: list[Part] = ["The space, with every level:", space_grid(node.space)]
    if analysis is not None and analysis.feasibility is not None:
        feasible = feasible_sentence(analysis.feasibility)
        of = "What is said of the best, the winner and the proposal is about feasible trials."
        parts.append(f"Subject to {join(list(node.subject_to))}: {feasible} {of}")
    rows: list[tuple[str, object]] = [
        ("tree", facts.tree),
        ("lineage", Raw(" → ".join(code(i) for i in (*facts.ancestors, node.id)))),
        ("objective", code(node.objective)),
        ("metric", f"{facts.metric}, {facts.direction}"),
        ("design", _design_text(node)),
        ("design seed", node.seed),
        ("configurations", facts.planned),
        ("trials", facts.states),
    ]
    if facts.origins:
        rows.append(("drawn", facts.origins))
    if "seconds" in facts.table and len(facts.table):
        total = float(np.nansum(np.asarray(facts.table["seconds"], dtype=float)))
        if total or node.method != IMPORTED:  # what was imported may not say how long it took
            rows.append(("time of all trials", duration(total)))
    rows += [*fingerprints(node.data, facts.codes), ("store", code(store_name(facts.store)))]
    if node.belief is not None:
        rows.append(("believed", str(node.belief) if node.belief else "nothing any more"))
    if node.previous:
        previous = [f"{n} = {value_text(v)}" for n, v in sorted(node.previous.items())]
        rows.append(("earlier trials count as", joined(previous)))
    parts.append(values_table(["what", "value"], rows))
    if len(facts.codes) > 1:
        mixed = f"its trials ran {len(facts.codes)} versions of the code. Differences between trials may come from the code and not from the parameters."
        parts.append(Raw(f"> **A mixed round**: {mixed}"))
    if spread := spread_text(facts.spread):
        said = escape(f"{spread}. Differences between trials may come from these too.")
        parts.append(Raw(f"> **Several environments**: {said}"))
    if facts.environment:
        versions = values_table(["what", "version"], sorted(facts.environment.items()))
        parts.append(Section("Environment", (versions,)))
    return Section("What ran", tuple(parts))


def _design_text(node: Node) -> str:
    exploit = "where the optimum is plausible" if node.parent else "where somebody believes it to be"
    shares = {exploit: node.exploit, "outside this space but inside its parent's": node.audit}
    said = [f"{percent(share)} {where}" for where, share in shares.items() if share]
    if node.pruner is not None:
        said.append(words_of(node.pruner))
    how = f"{node.method}, without replacement"
    if node.adaptive:
        how = f"adaptive: {node.method.removeprefix(OPTUNA)} asks for one after the other, none twice"
    if node.method == IMPORTED:
        return "imported: finished elsewhere"
    return "; ".join([how, *([", ".join(said)] if said else [])])


def best_trials(facts: Facts) -> Section:
    """The best trials as a table, and the best so far as a picture."""
    done, node = facts.finished, facts.node
    constant = 0
    if not node.allow_degenerate:
        finite = np.isfinite(np.asarray(facts.table["value"], dtype=float))
        constant = int((finite & degenerate_rows(facts.table, node.space)).sum())
    if not len(done):
        gone = "Every finished trial is degenerate: its model predicts a constant."
        return Section("Best trials", (gone if constant else "No trial has a value yet.",))
    names = [n for n in node.space.varied if n in done.columns]
    evidence = facts.analysis.parameters if facts.analysis is not None else ()
    read = read_at(evidence, {n: done[n].to_numpy() for n in names})
    rows = []
    for i in range(min(_BEST, len(done))):
        # Cell by cell, since a whole row would turn integers into floats.
        cells = ["-" if n in read and not read[n][i] else value_text(done[n].iloc[i]) for n in names]
        if facts.origins:
            cells.append(ORIGIN_WORDS[done["origin"].iloc[i]])
        if "seconds" in done.columns:
            seconds = float(done["seconds"].iloc[i])
            cells.append(duration(seconds) if np.isfinite(seconds) else "-")
        rows.append([i + 1, score(float(done["value"].iloc[i])), *cells])
    more = [*(["drawn"] if facts.origins else []), *(["time"] if "seconds" in done.columns else [])]
    equal = int((done["value"] == done["value"].iloc[0]).sum())
    told = f"The best {len(rows)} by observed value; parameters that do not vary are left out of the table."
    if equal > 1:
        told = f"{plural(equal, 'trial')} share the best observed value, so their order has no meaning."
    parts: list[Part] = [told, values_table(["rank", facts.metric, *names, *more], rows)]
    if constant:
        gave = f"{plural(constant, 'trial')} gave a model that predicts a constant (`degenerate`)."
        parts.append(Raw(f"{gave} They are left out here and in the picture."))
    if barred := int(infeasible_rows(facts.table).sum()):
        parts.append(
            f"{plural(barred, 'trial')} finished without meeting every metric constraint and are left out."
        )
    if fixed := [f"{n} = {bounds_text(p)}" for n, p in node.space.items() if p.fixed]:
        parts.append(f"The same in every trial: {join(fixed)}.")
    values = np.where(
        facts.table.index.isin(done.index), np.asarray(facts.table["value"], dtype=float), np.nan
    )
    one = [figures.RoundValues(node.id, None, values)]
    draw = partial(figures.best_so_far, one, facts.direction, facts.metric)
    parts.append(Picture("Value of every trial and the best so far", "best-so-far", draw))
    return Section("Best trials", tuple(parts))


def what_mattered(facts: Facts) -> Section:
    """The analysis, where it is not what is read first, and every parameter's correlation; else why there is none."""
    analysis = facts.analysis
    if analysis is None:
        return Section("What matters", ("Too few trials have finished for an analysis.",))
    parts: list[Part] = [analysis.page()] if facts.glance is not None else []
    if analysis.tested:
        title = "Correlation of every parameter with the metric"
        parts.append(Picture(title, "correlation", partial(figures.correlation, analysis)))
    return Section("What matters", tuple(parts))


def decision_picture(facts: Facts) -> Picture | None:
    """What stays of the parameters that change most; ``None`` where none does, or nothing was tested."""
    analysis, (new, word) = facts.analysis, facts.changed
    if analysis is None or not analysis.tested or not any(e.name in new for e in analysis.parameters):
        return None
    texts = {name: next_text(facts.node.space[name], parameter) for name, parameter in new.items()}
    title = (
        f"What stays of the parameters that change, as {word}, over the trials and where the good ones lie"
    )
    return Picture(title, "decision", partial(figures.decision, analysis, new, word, texts))


def densities(facts: Facts) -> Section | None:
    """Pictures of the parameters that matter or change; ``None`` without an analysis that tested anything."""
    analysis, (new, word) = facts.analysis, facts.changed
    if analysis is None or not analysis.tested:
        return None
    # What was proposed and turned down is shown as well: its evidence is what the decision was about.
    proposed = {c.name for c in facts.proposal.changes if c.kind != "keep"} if facts.proposal else set()
    matter = {name for name, found in analysis.findings.items() if found.verdict == MATTERS}
    relevant = [e.name for e in analysis.ranked if e.name in {*matter, *new, *proposed}]
    shown = relevant or [e.name for e in analysis.ranked[:2]]
    taken: set[str] = set()
    panels: list[tuple[Part, ...]] = []
    for name in shown:
        part, target = slug(name, taken), new.get(name)
        about = (analysis, name, target, word)
        panels.append(
            (
                Raw(f"### {escape(name if target is None else f'{name}: {word} {bounds_text(target)}')}"),
                Picture(
                    f"{name}: density of good trials and of all",
                    f"density-{part}",
                    partial(figures.density, *about),
                ),
                Picture(f"{name} against the metric", f"metric-{part}", partial(figures.density_2d, *about)),
            )
        )
    told = "No parameter has a visible effect and none is to change. These two have the smallest q."
    if relevant:
        told = f"Where the best trials lie, and how the metric spreads, for the parameters that matter or change. The shaded part is what is {word}."
    parts: list[Part] = [told, *(part for panel in panels[:_SHOWN] for part in panel)]
    if panels[_SHOWN:]:
        parts.append(Section("More parameters", tuple(part for panel in panels[_SHOWN:] for part in panel)))
    if left_out := [e.name for e in analysis.parameters if e.name not in shown]:
        parts.append(f"Not shown, since they have no visible effect and do not change: {join(left_out)}.")
    return Section("Densities", tuple(parts))


def failures(facts: Facts) -> Section | None:
    """States other than complete with their errors, or ``None``."""
    if "state" not in facts.table:
        return None
    texts = facts.table["error"] if "error" in facts.table and "error" not in facts.node.space else None
    rows: list[list[object]] = []
    for state in (s for s in STATES if s != "complete"):
        there, what = (facts.table["state"] == state).to_numpy(), _STATE_WORDS[state]
        if not there.any():
            continue
        lines = Counter(
            "" if texts is None else _last_line(text) for text in (there if texts is None else texts)[there]
        )
        rows += [[state, count, what, code(line)] for line, count in lines.most_common(_ERRORS)]
        if others := sum(count for _, count in lines.most_common()[_ERRORS:]):
            rows.append([state, others, what, "other errors"])
    told = "These trials gave no value. The statistics above leave them out."
    table = values_table(["state", "trials", "what happened", "error"], rows)
    return Section("Failures", (told, table)) if rows else None


def _last_line(error: Any) -> str:
    """The line of a traceback that names the error; a plain message's only line."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] if isinstance(error, str) else []
    if not lines:
        return ""
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return line if len(line) <= 160 else f"{line[:159]}…"


def optimism_section(facts: Facts) -> Section | None:
    """How much of the best value is chance, and what the hold-out showed; ``None`` without a best."""
    if facts.optimism is None:
        return None
    pages = (facts.optimism, *facts.holdout_results)
    return Section("How optimistic the best value is", tuple(each.page() for each in pages))


def curves_section(facts: Facts) -> Section | None:
    """The curves of the best four as a picture, and what those of all that were looked at show; ``None`` without any."""
    if not facts.curves:
        return None
    metric = Metric.parse(facts.metric)
    draw = partial(figures.curves, facts.curves[:MOST], metric.name, facts.direction)
    picture = Picture("Training curves of the best trials", "curves", draw)
    return Section("Training curves", (picture, curves_page(facts.curves, metric, facts.direction)))


def checks_section(facts: Facts) -> Section | None:
    """The checks, with the pictures that stand nowhere else in the report, those of checks that pass folded; ``None`` without checks."""
    if facts.checks is None:
        return None
    taken: set[str] = set()
    shown: dict[tuple[str, str], Check] = {}
    for check in facts.checks.checks:
        shown.setdefault((check.picture, check.about), check)
    pictures: dict[bool, list[Part]] = {True: [], False: []}
    for check in shown.values():
        name = f"check-{slug(f'{check.key} {check.about}', taken)}"
        if facts.analysis is not None and check.picture in ("failing", "isolation", "gain", "cost"):
            draw = partial(getattr(figures, check.picture), facts.analysis, *_given(facts, check))
            pictures[check.verdict == "pass"].append(Picture(question(check), name, draw))
    passed = Section("Pictures of the checks that pass", tuple(pictures[True]))
    return Section("Before deciding", (facts.checks.page(), *pictures[False], passed))


def _given(facts: Facts, check: Check) -> list[Any]:
    """What a check's figure takes beside the analysis."""
    given: dict[str, list[Any]] = {"isolation": [check.about], "gain": [facts.before]}
    return given.get(check.picture, [])


def front_section(facts: Facts) -> Section | None:
    """The trials that no other one beats; ``None`` with one goal, or before a trial has a value in every one."""
    node = facts.node
    if not node.goals:
        return None
    constraints = metric_constraints(node.subject_to)
    goals = [
        Goal(Metric.parse(metric)._replace(subject_to=constraints), direction, node.allow_degenerate)
        for metric, direction in [(node.metric, node.direction), *node.goals]
    ]
    found = front_rows(facts.table, goals, node.space)
    if not len(found):
        return None
    titles = [str(goals[0].metric), *(metric_title(goal.metric.name, node.space) for goal in goals[1:])]
    names = [n for n in node.space.varied if n in found.columns]
    rows = [
        [*(score(float(found[t].iloc[i])) for t in titles), *(value_text(found[n].iloc[i]) for n in names)]
        for i in range(min(_FRONT, len(found)))
    ]
    head = [*(f"{goal.metric} ({goal.direction})" for goal in goals), *names]
    told = f"{plural(len(found), 'trial')}, none of which another one of this round beats in every goal. What follows about the best is about the first goal."
    rest = f"{len(found) - _FRONT} more are on the front." if len(found) > _FRONT else None
    draw = partial(figures.front, facts.table, goals, node.space)
    picture = Picture("Trials by two goals, with the front", "front", draw)
    return Section("The front", (told, values_table(head, rows), rest, picture))


def against_parent(facts: Facts) -> Section | None:
    """The comparison in words, as a table and as a picture; ``None`` without enough trials of both."""
    if facts.parent is None or not facts.ancestors:
        return None
    # Degenerate trials that can't be called best are like failed ones: in no population.
    space, allowed = facts.node.space, facts.node.allow_degenerate
    before, now = (table[~barred_rows(table, space, allowed)] for table in (facts.parent, facts.table))
    if any("state" in part and (part["state"] == "pruned").any() for part in (before, now)):
        return None  # those that were not stopped are the better ones, and no population
    old, new = space_filling_values(before), space_filling_values(now)
    if min(len(old), len(new)) < LEAST_COMPARED:
        return None
    found, metric = compare_rounds(before, now, facts.direction), facts.metric
    names = f"parent {facts.ancestors[-1]}", f"this round {facts.node.id}"
    rows = [
        [names[0], len(old), score(found.parent_median), score(found.parent_best)],
        [names[1], len(new), score(found.child_median), score(found.child_best)],
    ]
    head = ["round", "finished space-filling trials", f"median {metric}", "best of these"]
    draw = partial(figures.edf, dict(zip(names, (old, new), strict=True)), metric, facts.direction)
    picture = Picture(f"Distribution of {metric} in this round and its parent", "against-parent", draw)
    return Section(
        "Against its parent", (population_sentence(found), values_table(head, rows), picture, CAUTION)
    )


def pairs(facts: Facts) -> Section | None:
    """Coupled parameters as a table and pictures of the clearest; ``None`` without any."""
    analysis, (new, word) = facts.analysis, facts.changed
    coupled = [] if analysis is None else [p for p in analysis.pairs if p.q <= ALPHA]
    if analysis is None or not coupled:
        return None
    coupled.sort(key=lambda p: (round(p.q, 3), -abs(p.statistic)))
    taken: set[str] = set()
    rows, pictures, framed = [], [], False
    for k, p in enumerate(coupled):
        first, second = analysis.parameters[p.i], analysis.parameters[p.j]
        a, b = first.name, second.name
        measure, size = "Cramér's V", f"{p.statistic:.2f}"
        if first.parameter.ordered and second.parameter.ordered:
            measure, size = "rank correlation", signed(p.statistic)
        rows.append([a, b, measure, size, p_value(p.q).removeprefix("= ")])
        if k < _PAIRS:
            framed = framed or a in new or b in new
            title, name = f"{a} and {b}: median {analysis.metric} by level", f"pair-{slug(f'{a}-{b}', taken)}"
            pictures.append(Picture(title, name, partial(figures.pair, analysis, a, b, new, word)))
    frame = f" What is {word} is framed." if framed else ""
    rest = len(coupled) - _PAIRS
    more = f" {plural(rest, 'more pair')} of the table: not drawn." if rest > 0 else ""
    legend = (
        f"The pictures show the median {analysis.metric} of the finished space-filling trials at every two levels, the lighter "
        f"the better, and where the best ones lie. One or two trials at a place say little.{frame}{more}"
    )
    told = "Among the best trials, what is good for one of these depends on the other, so choose their bounds together."
    table = values_table(["parameter", "and", "measure", "among the best", "q"], rows)
    return Section("Coupled parameters", (told, table, legend, *pictures))


EVIDENCE = (
    what_ran,
    best_trials,
    front_section,
    optimism_section,
    curves_section,
    against_parent,
    what_mattered,
    densities,
    pairs,
    failures,
    checks_section,
)
"""Sections of the evidence, in their order; one that has nothing to say gives ``None``."""
