"""Sections of a report about what was run and measured."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from refine.analysis.conditions import read_at
from refine.analysis.evidence import ALPHA
from refine.analysis.population import LEAST_COMPARED, compare_rounds, space_filling_values
from refine.design.pruning import words_of
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures.curves import MOST
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import (
    ORIGIN_WORDS,
    Facts,
    changed_bounds,
    direction_of,
    finished,
    metric_of,
    origins_text,
    passed_over,
    shown,
    states_text,
    that_matter,
)
from refine.report.markdown.text import Part, Raw, Section, code, escape, joined, slug, values_table
from refine.report.pages.checks import question
from refine.report.pages.curves import curves_page
from refine.report.pages.goal import feasible_sentence
from refine.report.pages.population import CAUTION, population_sentence
from refine.report.pages.proposal import next_text
from refine.report.pages.runs import spread_text
from refine.space.edits import bounds_text
from refine.trials.frame import barred_rows, front_rows, infeasible_rows, metric_title
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.metric_constraint import metric_constraints
from refine.trials.round_record import OPTUNA, Node
from refine.trials.trial import STATES
from refine.utils.format import duration, join, p_value, percent, plural, score, signed

if TYPE_CHECKING:
    import pandas as pd

    from refine.review.checks import Check
    from refine.run.holdout import HoldoutResult

BEST = 10
"""Trials in the table of the best."""

SHOWN = 6
"""Parameters whose densities are shown at once; the others can be unfolded."""

ERRORS = 5
"""Different errors listed per state."""

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
    node, parts = facts.node, list[Part]()
    rows = []
    for name, parameter in node.space.items():
        kind, _, levels = parameter.describe().partition(": ")
        rows.append([name, kind, levels])
    parts += ["The space, with every level:", values_table(["parameter", "kind", "levels"], rows)]
    if node.space.constraints:
        items = "\n".join(f"- {code(c)}" for c in node.space.constraints)
        parts += ["Only configurations that meet these constraints exist:", Raw(items)]
    if facts.analysis is not None and facts.analysis.feasibility is not None:
        parts.append(
            f"Subject to {joined(node.subject_to)}: {feasible_sentence(facts.analysis.feasibility)} What is said of the best, the winner and the "
            "proposal is about feasible trials."
        )
    rest: list[list[object]] = [
        ["tree", facts.tree],
        ["lineage", Raw(" → ".join([*(code(a) for a in facts.ancestors), code(node.id)]))],
        ["objective", code(node.objective)],
        ["metric", f"{metric_of(facts)}, {direction_of(facts)}"],
        ["design", _design_text(facts)],
        ["design seed", node.seed],
        ["configurations", planned_text(facts)],
        ["trials", states_text(facts)],
    ]
    if origins := origins_text(facts):
        rest.append(["drawn", origins])
    if "seconds" in facts.table and len(facts.table):
        total = float(np.nansum(np.asarray(facts.table["seconds"], dtype=float)))
        if total or node.method != IMPORTED:  # what was imported may not say how long it took
            rest.append(["time of all trials", duration(total)])
    rest += [
        ["data", code(node.data[:12]) if node.data else "no fingerprint: the objective names no data"],
        ["code", joined([code(c[:12]) for c in facts.codes]) if facts.codes else "no fingerprint"],
        ["store", code(store_name(facts.store))],
    ]
    if node.belief is not None:
        rest.append(["believed", str(node.belief) if node.belief else "nothing any more"])
    previous = [f"{n} = {shown(v)}" for n, v in sorted(node.previous.items())]
    if previous:
        rest.append(["earlier trials count as", joined(previous)])
    parts.append(values_table(["what", "value"], rest))
    if len(facts.codes) > 1:
        parts.append(
            Raw(
                f"> **A mixed round**: its trials ran {len(facts.codes)} versions of the code. Differences between trials may come from the "
                "code and not from the parameters."
            )
        )
    if spread := spread_text(facts.spread):
        said = escape(f"{spread}. Differences between trials may come from these too.")
        parts.append(Raw(f"> **Several environments**: {said}"))
    if facts.environment:
        versions = values_table(["what", "version"], sorted(facts.environment.items()))
        parts.append(Section("Environment", (versions,)))
    return Section("What ran", tuple(parts))


def planned_text(facts: Facts) -> str:
    """How many configurations were planned, and of how many."""
    node = facts.node
    if node.method == IMPORTED:
        return f"{facts.n:,} imported, not necessarily on these levels"
    if node.adaptive:
        return f"{facts.n:,} planned, between these levels too"
    return (
        f"{facts.n:,} planned of {node.space.size:,}{' before constraints' if node.space.constraints else ''}"
    )


def _design_text(facts: Facts) -> str:
    node = facts.node
    shares = [
        f"{percent(share)} {what}"
        for share, what in (
            (node.exploit, _where(node)),
            (node.audit, "outside this space but inside its parent's"),
        )
        if share
    ]
    if node.pruner is not None:
        shares.append(words_of(node.pruner))
    if node.adaptive:
        sampler = node.method.removeprefix(OPTUNA)
        return f"adaptive: {sampler} asks for one after the other, none twice{'; ' + ', '.join(shares) if shares else ''}"
    if node.method == IMPORTED:
        return "imported: finished elsewhere"
    return f"{node.method}, without replacement{'; ' + ', '.join(shares) if shares else ''}"


def _where(node: Node) -> str:
    """Where the exploit trials of a round were drawn."""
    return "where the optimum is plausible" if node.parent else "where somebody believes it to be"


def store_name(store: str) -> str:
    """A store's name without folders, user, password or options."""
    if "://" not in store:
        return Path(store.replace("\\", "/")).name or store
    parts = urlsplit(store)
    name = parts.path.rstrip("/").rpartition("/")[2]
    if parts.scheme.startswith("sqlite"):
        return name or "in memory"
    return f"{parts.hostname or ''}/{name}"


def best_trials(facts: Facts, where: Path) -> Section | None:
    """The best trials as a table, and the best so far as a picture."""
    done, node = finished(facts), facts.node
    if not len(done):
        gone = "Every finished trial is degenerate: its model predicts a constant."
        return Section("Best trials", (gone if passed_over(facts) else "No trial has a value yet.",))
    names = [n for n in node.space.varied if n in done.columns]
    timed = "seconds" in done.columns
    mixed = origins_text(facts) is not None
    evidence = facts.analysis.parameters if facts.analysis is not None else ()
    read = read_at(evidence, {n: done[n].to_numpy() for n in names})
    rows = []
    for i in range(min(BEST, len(done))):
        # Cell by cell, since a whole row would turn integers into floats.
        cells = ["-" if n in read and not read[n][i] else shown(done[n].iloc[i]) for n in names]
        if mixed:
            cells.append(ORIGIN_WORDS.get(done["origin"].iloc[i], done["origin"].iloc[i]))
        if timed:
            seconds = float(done["seconds"].iloc[i])
            cells.append(duration(seconds) if math.isfinite(seconds) else "-")
        rows.append([i + 1, score(float(done["value"].iloc[i])), *cells])

    def so_far() -> Any:
        may_win = facts.table.index.isin(done.index)
        return figures.best_so_far(facts.table, direction_of(facts), metric_of(facts), candidates=may_win)

    equal = int((done["value"] == done["value"].iloc[0]).sum())
    constant, barred = passed_over(facts), int(infeasible_rows(facts.table).sum())
    fixed = [f"{n} = {bounds_text(p)}" for n, p in node.space.items() if p.fixed]
    head = ["rank", metric_of(facts), *names, *(["drawn"] if mixed else []), *(["time"] if timed else [])]
    return Section(
        "Best trials",
        (
            f"{plural(equal, 'trial')} share the best observed value, so their order has no meaning."
            if equal > 1
            else f"The best {len(rows)} by observed value; parameters that do not vary are left out of the table.",
            values_table(head, rows),
            Raw(
                f"{plural(constant, 'trial')} gave a model that predicts a constant (`degenerate`). They are left out here and in the "
                "picture."
            )
            if constant
            else None,
            f"{plural(barred, 'trial')} finished without meeting every metric constraint and are left out."
            if barred
            else None,
            f"The same in every trial: {join(fixed)}." if fixed else None,
            drawn("Value of every trial and the best so far", where, f"{facts.stem}/best-so-far.png", so_far),
        ),
    )


def what_mattered(facts: Facts, where: Path) -> Section:
    """The analysis, where it is not what is read first, and every parameter's correlation; else why there is none."""
    analysis = facts.analysis
    if analysis is None:
        return Section("What matters", ("Too few trials have finished for an analysis.",))
    parts: list[Part] = [analysis.page()] if facts.glance is not None else []
    if analysis.tested:
        path = f"{facts.stem}/correlation.png"
        title = "Correlation of every parameter with the metric"
        parts.append(drawn(title, where, path, lambda: figures.correlation(analysis)))
    return Section("What matters", tuple(parts))


def decision_picture(facts: Facts, where: Path) -> Raw | None:
    """What stays of the parameters that change most; ``None`` where none does, or nothing was tested."""
    analysis, (new, word) = facts.analysis, changed_bounds(facts)
    if analysis is None or not analysis.tested or not any(e.name in new for e in analysis.parameters):
        return None
    texts = {name: next_text(facts.node.space[name], parameter) for name, parameter in new.items()}
    return drawn(
        f"What stays of the parameters that change, as {word}, over the trials and where the good ones lie",
        where,
        f"{facts.stem}/decision.png",
        partial(figures.decision, analysis, new, word, texts),
    )


def densities(facts: Facts, where: Path) -> Section | None:
    """Pictures of the parameters that matter or change; ``None`` without an analysis that tested anything."""
    analysis = facts.analysis
    if analysis is None or not analysis.tested:
        return None
    new, word = changed_bounds(facts)
    # What was proposed and turned down is shown as well: its evidence is what the decision was about.
    proposed = {c.name for c in facts.proposal.changes if c.kind != "keep"} if facts.proposal else set()
    wanted = {*that_matter(facts), *new, *proposed}
    relevant = [e.name for e in analysis.ranked if e.name in wanted]
    shown = relevant or [e.name for e in analysis.ranked[:2]]
    taken: set[str] = set()
    panels: list[Part] = []
    for name in shown:
        part, target = slug(name, taken), new.get(name)
        panels += [
            Raw(f"### {escape(name if target is None else f'{name}: {word} {bounds_text(target)}')}"),
            drawn(
                f"{name}: density of good trials and of all",
                where,
                f"{facts.stem}/density-{part}.png",
                partial(figures.density, analysis, name, target, word),
            ),
            drawn(
                f"{name} against the metric",
                where,
                f"{facts.stem}/metric-{part}.png",
                partial(figures.density_2d, analysis, name, target, word),
            ),
        ]
    left_out = [e.name for e in analysis.parameters if e.name not in shown]
    return Section(
        "Densities",
        (
            "Where the best trials lie, and how the metric spreads, for the parameters that matter or change. The shaded part is what "
            f"is {word}."
            if relevant
            else "No parameter has a visible effect and none is to change. These two have the smallest q.",
            *panels[: 3 * SHOWN],
            Section("More parameters", tuple(panels[3 * SHOWN :])) if panels[3 * SHOWN :] else None,
            f"Not shown, since they have no visible effect and do not change: {join(left_out)}."
            if left_out
            else None,
        ),
    )


def failures(facts: Facts) -> Section | None:
    """States other than complete with their errors, or ``None``."""
    if "state" not in facts.table:
        return None
    counts = facts.table["state"].value_counts()
    bad = [s for s in STATES if s != "complete" and int(counts.get(s, 0))]
    if not bad:
        return None
    rows = []
    texts = facts.table["error"] if "error" in facts.table and "error" not in facts.node.space else None
    for state in bad:
        here = (facts.table["state"] == state).to_numpy()
        if texts is None:
            rows.append([state, int(here.sum()), _STATE_WORDS.get(state, state), "-"])
            continue
        lines = Counter(_last_line(t) for t in texts[here])
        for line, count in lines.most_common(ERRORS):
            rows.append([state, count, _STATE_WORDS.get(state, state), code(line)])
        others = sum(c for _, c in lines.most_common()[ERRORS:])
        if others:
            rows.append([state, others, _STATE_WORDS.get(state, state), "other errors"])
    told = "These trials gave no value. The statistics above leave them out."
    return Section("Failures", (told, values_table(["state", "trials", "what happened", "error"], rows)))


def _last_line(error: Any) -> str:
    """The line of a traceback that names the error; a plain message's only line."""
    lines = (
        [line.strip() for line in str(error).splitlines() if line.strip()] if isinstance(error, str) else []
    )
    if not lines:
        return ""
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return line if len(line) <= 160 else f"{line[:159]}…"


def optimism_section(facts: Facts) -> Section | None:
    """How much of the best value is chance, and what the hold-out showed; ``None`` without a best."""
    if facts.optimism is None:
        return None
    openings = [part for found in facts.holdout_results for part in _opening(facts, found)]
    return Section("How optimistic the best value is", (facts.optimism.page(), *openings))


def _opening(facts: Facts, found: HoldoutResult) -> tuple[Part, Part]:
    day = datetime.fromtimestamp(found.created, UTC).date().isoformat()
    names = [n for n in facts.node.space.varied if n in found.table]
    rows = [
        [
            *(row[n] for n in names),
            *(score(row[k]) for k in ("validation", "holdout", "sd")),
            int(row["runs"]),
        ]
        for row in found.table.to_dict("records")
    ]
    note = f": {found.note}" if found.note else ""
    head = [*names, "validation", "hold-out", "sd", "models"]
    return f"The hold-out was opened by {found.author} on {day}{note}.", values_table(head, rows)


def curves_section(facts: Facts, where: Path) -> Section | None:
    """The curves of the best four as a picture, and what those of all that were looked at show; ``None`` without any."""
    found = facts.curves
    if not found:
        return None
    metric, direction = Metric.parse(metric_of(facts)), direction_of(facts)
    path = f"{facts.stem}/curves.png"
    draw = partial(figures.curves, found[:MOST], metric.name, direction)
    picture = drawn("Training curves of the best trials", where, path, draw)
    return Section("Training curves", (picture, curves_page(found, metric, direction)))


def checks_section(facts: Facts, where: Path) -> Section | None:
    """The checks, with the pictures that stand nowhere else in the report; ``None`` without checks.

    Pictures of checks that pass can be unfolded.
    """
    if facts.checks is None:
        return None
    taken: set[str] = set()
    seen: set[tuple[str, str]] = set()
    parts: list[Part] = [facts.checks.page()]
    folded: list[Part] = []
    for check in facts.checks.checks:
        if (check.picture, check.about) in seen:
            continue
        seen.add((check.picture, check.about))
        path = f"{facts.stem}/check-{slug(f'{check.key} {check.about}', taken)}.png"
        (folded if check.verdict == "pass" else parts).append(_check_picture(facts, check, where, path))
    passed = Section("Pictures of the checks that pass", tuple(folded)) if any(folded) else None
    return Section("Before deciding", (*parts, passed))


def _check_picture(facts: Facts, check: Check, where: Path, path: str) -> Raw | None:
    """A check's picture, if it has one that the report's other sections don't show."""
    analysis = facts.analysis
    if analysis is None or check.picture not in ("edges", "failing", "isolation", "gain", "cost"):
        return None
    more: dict[str, list[Any]] = {"isolation": [check.about], "gain": [facts.before]}
    given = more.get(check.picture, [])
    try:
        return drawn(question(check), where, path, partial(getattr(figures, check.picture), analysis, *given))
    except AnalysisError:  # there is nothing to draw, which the check says in words
        return None


def front_section(facts: Facts, where: Path) -> Section | None:
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
        [*(score(float(found[t].iloc[i])) for t in titles), *(shown(found[n].iloc[i]) for n in names)]
        for i in range(min(_FRONT, len(found)))
    ]
    draw = partial(figures.front, facts.table, goals, node.space)
    return Section(
        "The front",
        (
            f"{plural(len(found), 'trial')}, none of which another one of this round beats in every goal. What follows about the best is "
            "about the first goal.",
            values_table([*(f"{goal.metric} ({goal.direction})" for goal in goals), *names], rows),
            f"{len(found) - _FRONT} more are on the front." if len(found) > _FRONT else None,
            drawn("Trials by two goals, with the front", where, f"{facts.stem}/front.png", draw),
        ),
    )


def _judged(facts: Facts, table: pd.DataFrame) -> pd.DataFrame:
    """Without degenerate trials where these can't be called best: like failed ones, they are in no population."""
    return table[~barred_rows(table, facts.node.space, facts.node.allow_degenerate)]


def against_parent(facts: Facts, where: Path) -> Section | None:
    """The comparison in words, as a table and as a picture; ``None`` without enough trials of both."""
    if facts.parent is None or not facts.ancestors:
        return None
    before, now = _judged(facts, facts.parent), _judged(facts, facts.table)
    if any("state" in part and (part["state"] == "pruned").any() for part in (before, now)):
        return None  # those that were not stopped are the better ones, and no population
    old, new = space_filling_values(before), space_filling_values(now)
    if min(len(old), len(new)) < LEAST_COMPARED:
        return None
    direction, metric = direction_of(facts), metric_of(facts)
    found = compare_rounds(before, now, direction)
    names = f"parent {facts.ancestors[-1]}", f"this round {facts.node.id}"
    rows = [
        [names[0], len(old), score(found.parent_median), score(found.parent_best)],
        [names[1], len(new), score(found.child_median), score(found.child_best)],
    ]
    draw = partial(figures.edf, dict(zip(names, (old, new), strict=True)), metric, direction)
    picture = f"Distribution of {metric} in this round and its parent"
    return Section(
        "Against its parent",
        (
            population_sentence(found),
            values_table(
                ["round", "finished space-filling trials", f"median {metric}", "best of these"], rows
            ),
            drawn(picture, where, f"{facts.stem}/against-parent.png", draw),
            CAUTION,
        ),
    )


def pairs(facts: Facts, where: Path) -> Section | None:
    """Coupled parameters as a table and pictures of the clearest; ``None`` without any."""
    analysis = facts.analysis
    if analysis is None:
        return None
    names = [e.name for e in analysis.parameters]
    found = sorted(
        (p for p in analysis.pairs if p.q <= ALPHA), key=lambda p: (round(p.q, 3), -abs(p.statistic))
    )
    if not found:
        return None
    rows = []
    for p in found:
        ordered = all(analysis.parameters[k].parameter.ordered for k in (p.i, p.j))
        measure = "rank correlation" if ordered else "Cramér's V"
        size = signed(p.statistic) if ordered else f"{p.statistic:.2f}"
        rows.append([names[p.i], names[p.j], measure, size, p_value(p.q).removeprefix("= ")])
    new, word = changed_bounds(facts)
    taken: set[str] = set()
    pictures = []
    for p in found[:_PAIRS]:
        a, b = names[p.i], names[p.j]
        path = f"{facts.stem}/pair-{slug(f'{a}-{b}', taken)}.png"
        draw = partial(figures.pair, analysis, a, b, new, word)
        pictures.append(drawn(f"{a} and {b}: median {analysis.metric} by level", where, path, draw))
    framed = any(names[k] in new for p in found[:_PAIRS] for k in (p.i, p.j))
    frame = f" What is {word} is framed." if framed else ""
    rest = len(found) - _PAIRS
    more = f" {plural(rest, 'more pair')} of the table: not drawn." if rest > 0 else ""
    legend = (
        f"The pictures show the median {analysis.metric} of the finished space-filling trials at every two levels, the lighter "
        f"the better, and where the best ones lie. One or two trials at a place say little.{frame}{more}"
    )
    told = "Among the best trials, what is good for one of these depends on the other, so choose their bounds together."
    table = values_table(["parameter", "and", "measure", "among the best", "q"], rows)
    return Section("Coupled parameters", (told, table, legend, *pictures))
