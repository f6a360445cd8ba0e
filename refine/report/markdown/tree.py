"""Reports of a whole tree, from the question to the winner, and of a comparison of two rounds."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote as quote_url

from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.markdown.facts import cost_text, counted, decision_parts
from refine.report.markdown.rendering import (
    Figure,
    Part,
    Raw,
    Section,
    code,
    escape,
    fence,
    opened,
    published,
    quote,
    slug,
    summary_of,
)
from refine.report.markdown.round import populations_figure
from refine.report.markdown.script import reproduce
from refine.report.pages.analysis import effect_sentences
from refine.report.pages.answer import HOW_TO_READ, answers_grid
from refine.report.pages.calibration import calibration_page, entry_sentences
from refine.report.pages.reasons import before_limits, by
from refine.report.pages.tree import tree_page, value_text
from refine.report.plots import nodes_of, populations, values_of
from refine.review.calibration import Entry
from refine.tree.comparison import Comparison
from refine.tree.overview import RoundOverview, overview_of
from refine.tree.questions import asked_questions
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.utils.display import Fold, Items, Text
from refine.utils.format import join, percent, plural, score
from refine.utils.provided import provides

TOLD = 20  # rounds with findings in the report of a larger tree: each round takes an analysis
_FEW = 12  # most rounds that a report prints before its folds
_SEEN = 3  # findings per round; the others are in the report of the round


@provides("tree.report")
def write_tree(tree: Tree, folder: Path, winner: Round | None, html: bool) -> Path:
    """Writes the report of a tree up to ``winner``, and the certificate: see :meth:`refine.Tree.report`."""
    tree = tree._at_once()
    won = tree.winner()
    overview = overview_of(tree.rounds)
    calibration = tree.calibration()
    chosen = overview.winner
    if winner is not None:
        chosen = winner.id
    by_id = {r.id: r for r in overview.rounds}
    last = None
    way: list[str] = []
    if chosen in by_id:
        last = by_id[chosen].round
        way = [node.id for node in last._path]
    narrated = set(way[-TOLD:])
    if len(by_id) <= 2 * TOLD:
        narrated = set(by_id)
    entries = {e.child: e for e in calibration.entries}
    questions = asked_questions(tree)
    glance = tree_page(tree, named=True)
    small = len(overview.rounds) <= _FEW
    figure, *figures_below = _figures(overview.rounds, chosen)
    head: list[Part] = [_summary(overview.rounds, way, len(narrated))]
    details: list[Part] = []
    if won is not None:
        link = f"[certificate]({quote_url(won.report(folder, html=html).name)})"
        winner_note = Raw(f"Evidence, search history and how to retrain the winner: its {link}.")
        head += [Raw("## Winner"), summary_of(won._page()), winner_note]
        details.append(Section("The winner", [won._page()]))
    head += [Raw("## The decisions"), figure, glance if small else None]
    on_way = [
        _step(by_id[key], entries.get(key), key in narrated, f"{number}. Round {key}")
        for number, key in enumerate(way, 1)
    ]
    other_parts = [
        _step(ran, entries.get(key), key in narrated, f"Round {key}")
        for key, ran in by_id.items()
        if key not in way
    ]
    evidence = [
        Section("From the root to the best round", on_way),
        Section("Other branches" if on_way else "Rounds", other_parts),
        Section("The rounds", (None if small else glance, *figures_below)),
    ]
    details += [
        Section(f"Evidence of the proposal for round {key}", opened(_proposal_folds(ran.round, entries[key])))
        for key, ran in by_id.items()
        if key in entries and entries[key].proposal is not None
    ]
    if last is not None:
        opened_pages: list[Part] = [opening._page() for r in tree.rounds for opening in r._holdout_results]
        with contextlib.suppress(AnalysisError):
            opened_pages.insert(0, last.optimism()._page())
        details.append(Section("Optimism of the best value", opened_pages))
    record = calibration_page(calibration, named=True)
    evidence.append(Section("Forecasts, claims and people", [summary_of(record)]))
    details.append(Section("Forecasts, claims and people", [record]))
    if questions:
        evidence.append(Section("Questions", [Text(HOW_TO_READ), answers_grid(questions)]))
    if last is not None:
        evidence.append(Section("Reproduce the best round", [fence(reproduce(last), "python")]))
    name = f"{slug(tree._name, set())}.md"
    title = f"The refinement of {tree._name}"
    return published(Path(folder) / name, title, head, evidence, details, html=html)


def _summary(rounds: Sequence[RoundOverview], way: list[str], narrated: int) -> str:
    by_id = {r.id: r for r in rounds}
    cost = cost_text([r.round.trials for r in rounds], [r.round.replicates for r in rounds])
    parts = [f"{plural(len(rounds), 'round')} with {cost}."]
    if not way:
        return f"{parts[0]} No trial has a value yet."
    last = by_id[way[-1]]
    decisions = len(way) - 1
    after = "the first round"
    if decisions:
        after = f"after {plural(decisions, 'decision')}"
    best = score(None if last.best is None else last.best["value"])
    parts.append(f"The best observed {last.round._value} is {best}, in round {last.id}, {after}.")
    if decisions:
        first_space = by_id[way[0]].round.space
        kept_share = percent(first_space.volume_kept(last.round.space))
        parts.append(f"Its space keeps {kept_share} of the first one{before_limits(first_space)}.")
    if narrated < len(rounds):
        only = f"Only the last {narrated} rounds on the way list their findings here"
        parts.append(f"{only}; for any other, read its own report.")
    openings = sum(len(r.round._holdout_results) for r in rounds)
    opened_text = "No hold-out was opened."
    if openings:
        opened_text = f"The hold-out was opened {plural(openings, 'time')}."
    return " ".join([*parts, opened_text])


def _figures(rounds: Sequence[RoundOverview], winner: str | None) -> list[Figure]:
    alike = [r.round for r in rounds if r.comparable]
    direction = alike[0]._direction
    metric = alike[0]._value
    curves = populations(alike)
    title = "The rounds, their best values, and the decisions between them"
    figure_list = [Figure(title, "tree", partial(figures.tree, nodes_of(rounds), direction, metric, winner))]
    if winner is not None:
        draw = partial(figures.best_so_far, values_of(alike), direction, metric, winner)
        figure_list.append(
            Figure("Every trial, and the best so far along every branch", "best-by-round", draw)
        )
    if len(curves) > 1:
        draw = partial(figures.edf, curves, metric, direction)
        figure_list.append(Figure("Distribution of the values, round by round", "edf", draw))
    return figure_list


def _step(overview: RoundOverview, entry: Entry | None, narrated: bool, title: str) -> Section:
    """A round: the decision before it, its trials, the outcome of the claim, and its findings."""
    round_ = overview.round
    node = overview.round._node
    parts: list[Part] = []
    if entry is not None and round_.parent is not None:
        parts += decision_parts(entry.decision, round_.parent.space, entry.proposal)
    elif node.note.strip():
        parts.append(quote(node.note))
    size_text = f"of {node.space.size:,} configurations"
    if node.method == IMPORTED:
        size_text = "finished elsewhere"
    line = f"{counted(overview.states) or 'not run'}, {size_text}"
    if overview.states:
        line += f"; {cost_text([round_.trials], [round_.replicates])}"
    if overview.comparable and overview.best is not None:
        line += f". The best observed {round_._value} is {score(overview.best['value'])}"
        shown = {n: value_text(overview.best[n]) for n in node.space.varied}
        if values_text := join([f"{n} = {text}" for n, text in shown.items() if text != "-"]):
            line += f", with {values_text}"
    parts.append(f"{line}.")
    if entry is not None:
        parts.append(f"Outcome: {entry_sentences(entry)}")
    with contextlib.suppress(AnalysisError):  # too few trials yet
        if narrated:
            parts.append(Items(effect_sentences(round_.analyze())[:_SEEN], numbered=True))
    for d in round_._decisions:
        if d.kind == "declined":
            note = "."
            if d.note.strip():
                note = f": {d.note}"
            parts.append(f"A proposal on it was declined{by(d.author)}{note}")
    return Section(title, parts)


def _proposal_folds(round_: Round, entry: Entry) -> list[Fold]:
    """The evidence of the proposal behind a round; under a budget without a size that ignores the budget."""
    if entry.proposal is None:
        return []
    budgeted = round_._budget.limit is not None
    folds = entry.proposal._page().folds
    return [fold for fold in folds if fold.why and not (budgeted and fold.about == "n")]


@provides("comparison.report")
def write_comparison(comparison: Comparison, folder: Path, html: bool) -> Path:
    """Writes the report of a comparison: see :meth:`refine.tree.comparison.Comparison.report`."""
    tree_name = comparison.rounds[0]._context.name
    title = Raw(f"Rounds {code(comparison.a)} and {code(comparison.b)} of {escape(tree_name)}")
    head: list[Part] = [comparison._page(), populations_figure(comparison)]
    name = f"compare-{comparison.a}-{comparison.b}.md"
    return published(Path(folder) / name, title, head, html=html)
