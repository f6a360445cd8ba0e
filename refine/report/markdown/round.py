"""The report of a round: the result and the decisions, then, folded, the evidence."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refine.analysis.conditions import read_at
from refine.analysis.finding import MATTERS
from refine.design.pruning import words_of
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError, ReviewError
from refine.proposal.proposal import Claim, Proposal, proposal_from_json
from refine.report import figures
from refine.report.figures.canvas import clipped
from refine.report.figures.checks import MOST
from refine.report.markdown.facts import (
    ORIGIN_WORDS,
    counted,
    decision_parts,
    fingerprints,
    store_name,
)
from refine.report.markdown.rendering import (
    Figure,
    Part,
    Raw,
    Section,
    code,
    escape,
    fence,
    joined,
    numbered,
    opened,
    published,
    quote,
    slug,
    summary_of,
    values_table,
)
from refine.report.markdown.script import configuration_code, reproduce
from refine.report.pages.analysis import COUPLED, coupled_pairs
from refine.report.pages.checks import curves_page, question
from refine.report.pages.proposal import claim_text, next_text
from refine.report.pages.reasons import before_limits, feasible_sentence
from refine.report.pages.records import spread_text
from refine.report.pages.space import CAUTION, front_text, space_grid
from refine.report.pages.tree import declared_text, value_text
from refine.report.plots import populations
from refine.run.environment import spread
from refine.run.fingerprint import versions_of
from refine.space.edits import bounds_text
from refine.space.fidelity import Fidelity
from refine.tree.comparison import Comparison, difference
from refine.tree.excluding import exclusions_of
from refine.tree.lineage import read_curves, read_optimism
from refine.tree.round import Round
from refine.trials.declared import NOTHING, Declared
from refine.trials.frame import (
    best_first,
    degenerate_rows,
    front_rows,
    infeasible_rows,
    metric_title,
)
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.metric_constraint import metric_constraints
from refine.trials.round_record import OPTUNA, Node
from refine.trials.trial import STATES, error_line
from refine.utils.format import chance_words, duration, join, percent, plural, score, without_numbers
from refine.utils.provided import provides

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.analysis.learning_curves import TrialCurves
    from refine.analysis.optimism import Optimism
    from refine.analysis.winner import Winner
    from refine.proposal.options import Options
    from refine.proposal.proposal import Proposal
    from refine.review.checks import Check, Checks
    from refine.review.decision import Decision
    from refine.run.holdout import HoldoutResult
    from refine.space.parameters import Parameter
    from refine.utils.display import Page

_BEST = 5  # trials in the table of the best
_ERRORS = 5  # different errors listed per state
_FRONT = 20  # trials of the front that are listed
_PAIRS = 3  # pairs that are drawn, the clearest
_STATE_WORDS = {
    "running": "not finished yet",
    "failed": "an error was raised",
    "diverged": "the value was NaN or infinite",
    "crashed": "the process died",
    "timeout": "time ran out",
    "pruned": "stopped early",
    "excluded": "excluded by a person",
}


@dataclass(frozen=True, eq=False)
class RoundReportInputs:
    """The contents of a round's report, sufficient to write a report with or without a store."""

    tree: str  # name of the tree
    node: Node
    ancestors: tuple[str, ...]  # ids from the root to the parent; empty for a root
    n: int  # configurations planned
    analysis: Analysis | None  # ``None`` if too few trials have finished
    proposal: Proposal | None  # ``None`` before the first proposal
    decisions: tuple[Decision, ...]  # the earliest first
    table: pd.DataFrame  # trials of the round; a column ``error`` may hold error texts
    codes: tuple[str, ...]  # fingerprints of the code of the trials
    environment: Mapping[str, str]  # package -> version, of most trials
    reproduce: str  # Python code to make the round again
    store: str  # name of the store; printed without folders, user or password
    options: Options | None = None  # ``None`` without a proposal, or if trials have come since
    comparison: Comparison | None = None  # with the parent; ``None`` for a root
    optimism: Optimism | None = None  # luck in the best value; ``None`` without a best value
    curves: tuple[TrialCurves, ...] = ()  # training curves of the best trials, best first
    holdout_results: tuple[HoldoutResult, ...] = ()  # a result per opening at this round
    checks: Checks | None = None
    winner: Winner | None = None  # winner of this round; ``None`` if no trial may be best
    # differences between the environments of trials: name -> value -> number of trials
    spread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    name: str = ""  # name of the files; default the round's id
    glance: Page | None = None  # first page of the report: the review of the proposal; default the analysis
    declared: Declared = NOTHING  # facts declared on the round or an ancestor

    @property
    def metric(self) -> str:
        """Name of the metric."""
        if self.analysis is not None:
            return self.analysis.metric
        return self.node.metric

    @cached_property
    def finished(self) -> pd.DataFrame:
        """Finished trials, best first.

        Equal trials in the table's order. Degenerate trials only if they may be best.
        """
        return best_first(self.table, self.node.direction, self.node.space, self.node.allow_degenerate)

    @property
    def states(self) -> str:
        """``118 complete, 2 failed``."""
        if "state" not in self.table:
            return f"{len(self.table):,} complete"
        return (
            counted(self.table["state"].value_counts().to_dict(), {s: s for s in STATES})
            or "no trial has run"
        )

    @property
    def origins(self) -> str:
        """``72 evenly drawn, 4 audit``; empty if the trials were drawn in one way."""
        if "origin" not in self.table or self.table["origin"].nunique() < 2:
            return ""
        return counted(self.table["origin"].value_counts().to_dict(), ORIGIN_WORDS)

    @property
    def planned(self) -> str:
        """Number of configurations planned, and size of the grid."""
        if self.node.method == IMPORTED:
            return f"{self.n:,} imported, not necessarily on these levels"
        if self.node.adaptive:
            return f"{self.n:,} planned, between these levels too"
        before = " before constraints" * bool(self.node.space.constraints)
        return f"{self.n:,} planned of {self.node.space.size:,}{before}"

    @property
    def changed(self) -> tuple[dict[str, Parameter], str]:
        """New bounds by parameter, and their source: ``"decided"`` or ``"proposed"``."""
        source = "proposed"
        space = self.node.space
        if self.proposal is not None:
            space = self.proposal.space
        for d in self.decisions:
            if d.space is not None:
                source = "decided"
                space = d.space
        changed = self.node.space.diff(space).changed
        return {n: after for n, (_, after) in changed.items()}, source


def round_report(facts: RoundReportInputs, folder: str | Path, *, html: bool = False) -> Path:
    """Writes ``<folder>/<name>.md``, with figures, details and trials in ``<folder>/<name>/``.

    With ``html`` one file holds everything but the trials.
    """
    head: list[Part] = [*_header(facts), decision_figure(facts)]
    details: list[Part] = []
    if facts.analysis is not None and facts.glance is not None:
        details.append(Section("The proposal", [facts.glance]))
    if facts.winner is not None:
        head += [Raw("## Winner"), summary_of(facts.winner._page())]
        details.append(Section("The winner", [facts.winner._page()]))
    head += [Raw("## The decision"), *decisions_parts(facts)]
    details += [section(facts) for section in DETAILED]
    if facts.glance is None and facts.proposal is not None:
        details.append(Section("The proposal", [facts.proposal._page()]))
    if facts.options is not None:
        details.append(Section("Other risks", [facts.options._page()]))
    evidence = [section(facts) for section in EVIDENCE]
    evidence.append(Section("Reproduce", [fence(facts.reproduce, "python")]))
    title = Raw(f"Round {code(facts.node.id)} of {escape(facts.tree)}")
    path = Path(folder) / f"{facts.name or facts.node.id}.md"
    tables = {"trials.csv": facts.table.to_csv(lineterminator="\n")}
    return published(path, title, head, evidence, details, tables, html=html)


def _header(facts: RoundReportInputs) -> list[Part]:
    """The beginning of the report: the page of the review, else of the analysis, else counts of trials."""
    best = "No trial has a value yet."
    if len(facts.finished):
        best = f"The best observed {facts.metric} is {score(facts.finished['value'].iloc[0])}."
    head: list[Part] = [f"Configurations: {facts.planned}; trials: {facts.states}. {best}"]
    if facts.analysis is not None:
        head = [summary_of(facts.glance or facts.analysis._page())]
    if facts.node.note.strip():
        head.append(quote(facts.node.note))
    return head


def decisions_parts(facts: RoundReportInputs) -> list[Part]:
    """The decisions on the round, the earliest first."""
    if not facts.decisions:
        return [f"Nothing has been {'decided yet' if facts.proposal is not None else 'proposed'}."]
    parts: list[Part] = []
    for i, d in enumerate(facts.decisions, 1):
        about = None
        if facts.proposal is not None and d.proposal == facts.proposal.digest:
            about = facts.proposal
        lines = []
        if d.edits:
            edited = [
                f"{n} (proposed {bounds_text(a)}, decided {bounds_text(b)})" for n, (a, b) in d.edits.items()
            ]
            lines.append(f"Edited: {joined(edited)}.")
        if d.rejected:
            lines.append(f"Rejected, so unchanged: {joined(d.rejected)}.")
        if d.followed:
            lines.append(f"Relaxed with it: {joined(d.followed)}.")
        if d.chosen is not None:
            lines.append(f"The configuration: {code(configuration_code(d.chosen))}.")
        if d.kind == "declined":
            lines.append("The space is unchanged. No child round was created.")
        if d.child:
            size_text = ""
            if d.n is not None:
                size_text = f", with {plural(d.n, 'configuration')} asked for"
            lines.append(f"The next round is {code(d.child)}{size_text}.")
        if d.space is not None:
            lines.append(escape(_claimed(facts, d, about)))
        parts += decision_parts(d, facts.node.space, about, i if len(facts.decisions) > 1 else 0)
        parts.append(Raw("\n".join(f"- {line}" for line in lines)))
    return parts


def _claimed(facts: RoundReportInputs, d: Decision, about: Proposal | None) -> str:
    """Space kept and risk claimed by a decision; for a suggestion also by the proposal."""
    adjective = "decided"
    if d.kind == "suggested":
        adjective = "suggested"
    region = f"the {adjective} space"
    if d.volume_kept is not None:
        region = f"the {adjective} {percent(d.volume_kept)} of this space{before_limits(facts.node.space)}"
    if d.probability is None:
        return f"No risk is stated for {region}."
    claim = Claim(d.probability, d.epsilon or 0.0, "none")
    if about is not None:
        claim = replace(about.claim, probability=d.probability)
    claimed = claim_text(claim, facts.metric, facts.node.subject_to, region)
    if about is None or d.kind != "suggested":
        return claimed
    proposed_risk = chance_words(1 - about.claim.probability)
    return f"{claimed} The proposed one keeps {percent(about.volume_kept)}, risk {proposed_risk}."


def what_ran(facts: RoundReportInputs) -> Section:
    """Space, constraints, design and fingerprints."""
    node = facts.node
    analysis = facts.analysis
    parts: list[Part] = ["The space, with every level:", space_grid(node.space)]
    if analysis is not None and analysis.feasibility is not None:
        feasible = feasible_sentence(analysis.feasibility)
        feasible_only = "The best trial, the winner and the proposal are those of feasible trials."
        parts.append(f"Subject to {join(list(node.subject_to))}: {feasible} {feasible_only}")
    rows: list[tuple[str, object]] = [
        ("tree", facts.tree),
        ("lineage", Raw(" → ".join(code(i) for i in (*facts.ancestors, node.id)))),
        ("objective", code(node.objective)),
        ("metric", f"{facts.metric}, {node.direction}"),
        ("declared", declared_text(facts.declared, node.metric)),
        ("design", _design_text(node)),
        ("design seed", node.seed),
        ("configurations", facts.planned),
        ("trials", facts.states),
        ("drawn", facts.origins),
    ]
    if "seconds" in facts.table and len(facts.table):
        total = float(np.nansum(np.asarray(facts.table["seconds"], dtype=float)))
        if total or node.method != IMPORTED:  # imported trials may have no times
            rows.append(("time of all trials", duration(total)))
    rows += [*fingerprints(node.data, facts.codes), ("store", code(store_name(facts.store)))]
    if node.belief is not None:
        rows.append(("believed", str(node.belief) if node.belief else "withdrawn"))
    if node.previous:
        previous = [f"{n} = {value_text(v)}" for n, v in sorted(node.previous.items())]
        rows.append(("earlier trials count as", joined(previous)))
    parts.append(values_table(["item", "value"], [row for row in rows if row[1] != ""]))
    if len(facts.codes) > 1:
        parts.append(
            Raw(
                f"> **A mixed round**: its trials ran {len(facts.codes)} versions of the code. Differences "
                "between trials may come from the code and not from the parameters."
            )
        )
    if spread_words := spread_text(facts.spread):
        warning = escape(f"{spread_words}. Differences between trials may come from these too.")
        parts.append(Raw(f"> **Several environments**: {warning}"))
    return Section("Setup", parts)


def environment(facts: RoundReportInputs) -> Section | None:
    """Versions of the packages; ``None`` if unknown."""
    if not facts.environment:
        return None
    return Section("Environment", [values_table(["package", "version"], sorted(facts.environment.items()))])


def _design_text(node: Node) -> str:
    if node.method == IMPORTED:
        return "imported: finished elsewhere"
    method_text = f"{node.method}, without replacement"
    if node.adaptive:
        method_text = (
            f"adaptive: {node.method.removeprefix(OPTUNA)} asks for one configuration at a time, none twice"
        )
    exploit = "where the belief places it"
    if node.parent:
        exploit = "where the optimum is plausible"
    shares = {exploit: node.exploit, "outside this space but inside its parent's": node.audit}
    share_texts = [f"{percent(share)} {region}" for region, share in shares.items() if share]
    if node.pruner is not None:
        share_texts.append(words_of(node.pruner))
    return "; ".join(filter(None, (method_text, ", ".join(share_texts))))


def best_trials(facts: RoundReportInputs) -> Section:
    """The best trials as a table, and the best so far as a figure."""
    done = facts.finished
    node = facts.node
    constant = 0
    if not node.allow_degenerate:
        finite = np.isfinite(np.asarray(facts.table["value"], dtype=float))
        constant = int((finite & degenerate_rows(facts.table, node.space)).sum())
    if not len(done):
        no_trial = "No trial has a value yet."
        if constant:
            no_trial = "Every finished trial is degenerate: its model predicts a constant."
        return Section("Best trials", [no_trial])
    names = [n for n in node.space.varied if n in done.columns]
    read = {}
    if facts.analysis is not None:
        read = read_at(facts.analysis.parameters, {n: done[n].to_numpy() for n in names})
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
    extra_columns = ["drawn"] * bool(facts.origins) + ["time"] * ("seconds" in done.columns)
    equal = int((done["value"] == done["value"].iloc[0]).sum())
    intro = f"The best {len(rows)} trials by observed value. Parameters that do not vary are not listed."
    if equal > 1:
        intro = f"{plural(equal, 'trial')} share the best observed value, so their order has no meaning."
    parts: list[Part] = [intro, values_table(["rank", facts.metric, *names, *extra_columns], rows)]
    if constant:
        degenerate_text = f"{plural(constant, 'trial')} gave a model that predicts a constant (`degenerate`)."
        parts.append(Raw(f"{degenerate_text} They are not listed, and the figure marks them as unusable."))
    if barred := int(infeasible_rows(facts.table).sum()):
        parts.append(
            f"{plural(barred, 'trial')} finished without meeting every metric constraint and are left out."
        )
    fixed_parameters = {n: p for n, p in node.space.items() if p.fixed and not isinstance(p, Fidelity)}
    if fixed := [f"{n} = {bounds_text(p)}" for n, p in fixed_parameters.items()]:
        parts.append(f"The same in every trial: {join(fixed)}.")
    values = facts.table["value"].astype(float).where(facts.table.index.isin(done.index))
    round_values = [figures.RoundValues(node.id, None, values.to_numpy())]
    draw = partial(figures.best_so_far, round_values, node.direction, facts.metric)
    parts.append(Figure("Value of every trial and the best so far", "best-so-far", draw))
    return Section("Best trials", parts)


def what_mattered(facts: RoundReportInputs) -> Section:
    """The analysis, unless the report begins with the analysis, and the parameters' correlations.

    The reason, if the round has no analysis.
    """
    analysis = facts.analysis
    if analysis is None:
        return Section("Parameters with an effect", ["Too few trials have finished for an analysis."])
    parts: list[Part] = []
    if facts.glance is not None:
        parts = [analysis._page()]
    if analysis.tested:
        title = "Correlation of every parameter with the metric"
        parts.append(Figure(title, "correlation", partial(figures.correlation, analysis)))
    return Section("Parameters with an effect", parts)


def decision_figure(facts: RoundReportInputs) -> Figure | None:
    """Space kept of the most changed parameters; ``None`` without changes or tests."""
    analysis = facts.analysis
    new, word = facts.changed
    if analysis is None or not analysis.tested or not any(e.name in new for e in analysis.parameters):
        return None
    texts = {name: next_text(facts.node.space[name], parameter) for name, parameter in new.items()}
    title = (
        f"Ranges kept of the parameters that change, as {word}, over the trials and the density of "
        "good trials"
    )
    return Figure(title, "decision", partial(figures.decision, analysis, new, word, texts))


def densities(facts: RoundReportInputs) -> Section | None:
    """Figures of the parameters that matter or change; ``None`` without an analysis with tests."""
    analysis = facts.analysis
    new, word = facts.changed
    if analysis is None or not analysis.tested:
        return None
    matter = {name for name, finding in analysis.findings.items() if finding.verdict == MATTERS}
    # A rejected proposal is shown as well: the decision was about its evidence.
    if facts.proposal:
        matter |= {c.name for c in facts.proposal.changes if c.kind != "keep"}
    relevant = [e.name for e in analysis.ranked if e.name in matter or e.name in new]
    shown = relevant or [e.name for e in analysis.ranked[:2]]
    intro = "No effect was detected and no parameter is to change. These two parameters have the smallest q."
    if relevant:
        intro = (
            "Density of good trials and spread of the metric, for parameters that have an effect or "
            f"change. The {word} range is shaded."
        )
    parts: list[Part] = [intro]
    slugs: set[str] = set()
    for name in shown:
        part = slug(name, slugs)
        target = new.get(name)
        heading = name
        if target is not None:
            heading += f": {word} {bounds_text(target)}"
        density = partial(figures.density, analysis, name, target, word)
        metric = partial(figures.density_2d, analysis, name, target, word)
        parts += [
            Raw(f"### {escape(heading)}"),
            Figure(f"{name}: density of good trials and of all", f"density-{part}", density),
            Figure(f"{name} against the metric", f"metric-{part}", metric),
        ]
    if left_out := [e.name for e in analysis.parameters if e.name not in shown]:
        parts.append(f"Not shown, since they have no detected effect and do not change: {join(left_out)}.")
    return Section("Densities", parts)


def failures(facts: RoundReportInputs) -> Section | None:
    """States other than complete with their errors, or ``None``."""
    if "state" not in facts.table:
        return None
    errors = np.full(len(facts.table), "", dtype=object)
    if "error" in facts.table and "error" not in facts.node.space:
        errors = facts.table["error"].to_numpy()
    rows: list[list[object]] = []
    for state, cause in _STATE_WORDS.items():
        lines = [clipped(error_line(error), 160) for error in errors[facts.table["state"] == state]]
        kinds = Counter(map(without_numbers, lines)).most_common()
        examples = {without_numbers(line): line for line in reversed(lines)}
        rows += [[state, count, cause, code(examples[kind])] for kind, count in kinds[:_ERRORS]]
        if other_count := sum(count for _, count in kinds[_ERRORS:]):
            rows.append([state, other_count, cause, "other errors"])
    if not rows:
        return None
    intro = "These trials gave no value and are not part of the statistics above."
    return Section("Failures", [intro, values_table(["state", "trials", "cause", "error"], rows)])


def optimism_section(facts: RoundReportInputs) -> Section | None:
    """Share of luck in the best value, and the hold-out's values; ``None`` without a best value."""
    if facts.optimism is None:
        return None
    results = (facts.optimism, *facts.holdout_results)
    return Section("Optimism of the best value", [result._page() for result in results])


def curves_section(facts: RoundReportInputs) -> Section | None:
    """The curves of the best four trials as a figure, and flags on all curves; ``None`` without curves."""
    if not facts.curves:
        return None
    metric = Metric.parse(facts.metric)
    draw = partial(figures.curves, facts.curves[:MOST], metric.name, facts.node.direction)
    figure = Figure("Training curves of the best trials", "curves", draw)
    return Section("Training curves", (figure, curves_page(facts.curves, metric, facts.node.direction)))


def checks_section(facts: RoundReportInputs) -> Section | None:
    """The checks with figures; figures of checks that pass are folded. ``None`` without checks."""
    if facts.checks is None:
        return None
    slugs: set[str] = set()
    shown: dict[tuple[str, str], Check] = {}
    for check in facts.checks.checks:
        shown.setdefault((check.picture, check.about), check)
    drawn: dict[bool, list[Part]] = {True: [], False: []}
    for check in shown.values():
        name = f"check-{slug(f'{check.key} {check.about}', slugs)}"
        if facts.analysis is not None and check.picture in ("failing", "cost"):
            draw = partial(getattr(figures, check.picture), facts.analysis)
            drawn[check.verdict == "pass"].append(Figure(question(check), name, draw))
    passed = Section("Figures of the checks that passed", drawn[True])
    return Section("Checks", [facts.checks._page(), *drawn[False], passed])


def front_section(facts: RoundReportInputs) -> Section | None:
    """The trials on the front; ``None`` with a single goal, or without a trial with a value in all goals."""
    node = facts.node
    if not node.goals:
        return None
    constraints = metric_constraints(node.subject_to)
    goals = [
        Goal(Metric.parse(metric)._replace(subject_to=constraints), direction, node.allow_degenerate)
        for metric, direction in [(node.metric, node.direction), *node.goals]
    ]
    front = front_rows(facts.table, goals, node.space)
    if not len(front):
        return None
    titles = [str(goals[0].metric), *(metric_title(goal.metric.name, node.space) for goal in goals[1:])]
    names = [n for n in node.space.varied if n in front.columns]
    rows = [
        [*(score(float(front[t].iloc[i])) for t in titles), *(value_text(front[n].iloc[i]) for n in names)]
        for i in range(min(_FRONT, len(front)))
    ]
    head = [*(f"{goal.metric} ({goal.direction})" for goal in goals), *names]
    intro = f"{front_text(len(front))} Below, the best trial is the best in the first goal."
    parts: list[Part] = [intro, values_table(head, rows)]
    if len(front) > _FRONT:
        parts.append(f"{len(front) - _FRONT} more are on the front.")
    draw = partial(figures.front, facts.table, goals, node.space)
    parts.append(Figure("Trials by two goals, with the front", "front", draw))
    return Section("The front", parts)


def against_parent(facts: RoundReportInputs) -> Section | None:
    """Differences from the parent, in words and as a figure of both populations; ``None`` for a root."""
    if (comparison := facts.comparison) is None:
        return None
    parts: list[Part] = [comparison._page()]
    if comparison.populations is not None:
        parts += [populations_figure(comparison), CAUTION]
    return Section("Compared with its parent", parts)


def populations_figure(comparison: Comparison) -> Figure | None:
    """Both populations of a comparison; ``None`` where they can't be compared."""
    if comparison.populations is None:
        return None
    first = comparison.rounds[0]
    draw = partial(figures.edf, populations(comparison.rounds), first._value, first._direction)
    return Figure(f"Distribution of {first._value} in both rounds", "populations", draw)


def pairs(facts: RoundReportInputs) -> Section | None:
    """Figures of the clearest coupled parameters; ``None`` without any."""
    analysis = facts.analysis
    new, word = facts.changed
    if analysis is None or not (coupled := coupled_pairs(analysis)):
        return None
    slugs: set[str] = set()
    drawn = []
    frame = ""
    for pair in coupled[:_PAIRS]:
        a = analysis.parameters[pair.i].name
        b = analysis.parameters[pair.j].name
        if a in new or b in new:
            frame = f" The {word} part is framed."
        title = f"{a} and {b}: median {analysis.metric} by level"
        name = f"pair-{slug(f'{a}-{b}', slugs)}"
        drawn.append(Figure(title, name, partial(figures.pair, analysis, a, b, new, word)))
    undrawn_text = ""
    if len(coupled) > _PAIRS:
        undrawn_text = f" {plural(len(coupled) - _PAIRS, 'more pair')} of the analysis: not drawn."
    legend = (
        f"The figures show the median {analysis.metric} of the finished evenly drawn trials at every "
        "two levels, lighter for better, and the places of the best trials. One or two trials at a place are "
        f"weak evidence.{frame}{undrawn_text}"
    )
    return Section("Coupled parameters", (COUPLED, legend, *drawn))


def reasons_section(facts: RoundReportInputs) -> Section | None:
    """The evidence on the parameters that change, and the claim; ``None`` without a change."""
    if facts.glance is None or not facts.changed[0]:
        return None
    about = {*facts.changed[0], "claim"}
    return Section("Why", opened([fold for fold in facts.glance.folds if fold.about in about]))


def effects_summary(facts: RoundReportInputs) -> Section | None:
    """The parameters with an effect, unless the report begins with them."""
    if facts.analysis is None or facts.glance is None:
        return None
    return Section("Parameters with an effect", [summary_of(facts.analysis._page())])


def checks_summary(facts: RoundReportInputs) -> Section | None:
    """The checks that did not pass; ``None`` without checks."""
    if facts.checks is None:
        return None
    return Section("Checks", [summary_of(facts.checks._page())])


# Sections of the evidence in printed order; a section without content is ``None``.
EVIDENCE = (
    reasons_section,
    what_ran,
    best_trials,
    front_section,
    effects_summary,
    failures,
    checks_summary,
)

# Sections of the details in printed order.
DETAILED = (
    environment,
    optimism_section,
    curves_section,
    against_parent,
    what_mattered,
    densities,
    pairs,
    checks_section,
)


@provides("round.report")
def write_round(
    round_: Round,
    folder: Path,
    proposal: Proposal | None,
    html: bool,
    by_id: bool = False,
) -> Path:
    """Writes the report of a round: see :meth:`refine.Round.report`.

    With ``by_id`` the files are named after the round's id, as in an exported tree. Then the names do not
    depend on the round's number.
    """
    facts = gather(round_, proposal)
    if not by_id:
        facts = replace(facts, name=numbered(round_))
    return round_report(facts, folder, html=html)


def gather(round_: Round, proposal: Proposal | None = None) -> RoundReportInputs:
    """The contents of the report of a round.

    The proposal is by default the one decided upon last, else the last stored one, else none.
    """
    round_ = round_._at_once()
    home = round_._context
    stored = round_._stored
    decisions = round_._decisions
    if proposal is None:
        proposals = home.reader.proposals(stored.pk)
        digests = [*proposals, *(d.proposal for d in decisions if d.proposal in proposals)]
        if digests:
            proposal = proposal_from_json(json.loads(proposals[digests[-1]]))
    analysis = optimism = checks = review = None
    if proposal is not None:
        with contextlib.suppress(AnalysisError, ReviewError):  # its trials have changed
            review = round_._review(proposal)
    with contextlib.suppress(AnalysisError):  # too few trials yet, or no trial may be called best
        if review is None:
            analysis = round_.analyze()
            checks = round_.checks(analysis, proposal)
        else:
            analysis = review.proposal.analysis
            checks = review.checks()
    with contextlib.suppress(AnalysisError):  # no trial may be called best yet
        optimism = read_optimism(home.reader, stored.pk, round_._goal, analysis, 0)
    records = home.reader.records([stored.pk])
    trials = round_.trials.assign(error=records.columns["error"])
    for i, exclusion in exclusions_of(home.reader.marks(stored.pk), records.columns).items():
        trials.loc[i, "error"] = f"{exclusion.reason} ({exclusion.author})"
    ran_on = home.reader.ran_on(stored.pk)
    environments = [packages for packages, _ in ran_on] or home.reader.environments(stored.pk)[-1:]
    return RoundReportInputs(
        tree=home.name,
        node=replace(round_._node, note=round_.note),
        ancestors=tuple(n.id for n in round_._path[:-1]),
        n=stored.n,
        analysis=analysis,
        proposal=proposal,
        options=None if review is None else review.options(),
        decisions=decisions,
        table=trials,
        codes=versions_of(records.columns["code"]),
        environment=environments[0] if environments else {},
        spread=spread(ran_on),
        reproduce=reproduce(round_),
        store=home.store.name,
        comparison=None if round_.parent is None else difference(round_.parent, round_),
        optimism=optimism,
        curves=read_curves(*round_._judged, None if analysis is None else analysis.noise.sd),
        holdout_results=round_._holdout_results,
        checks=checks,
        winner=round_._recommend(),
        glance=None if review is None else review._page(),
        declared=round_._declared,
    )
