"""Pages of a round and of a tree: progress, best values, decisions, and the next calls."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from refine.analysis.analysis import LEAST
from refine.analysis.evenness import drawn_reason, evenness
from refine.design.space_filling import IMPORTED
from refine.report.pages.proposal import short_bounds
from refine.report.pages.reasons import by, everybody, judged_text, sentence, upper, whom
from refine.report.pages.records import spread_text
from refine.report.pages.space import difference_line, space_grid
from refine.report.pages.winner import confirm_call
from refine.review.decision import Decision
from refine.run.environment import spread
from refine.run.steering import how_text
from refine.space.encoding import decode, label
from refine.space.space import Space
from refine.tree.lineage import declared_on
from refine.tree.overview import Overview, RoundOverview, beaten, overview_of
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.declared import Declared
from refine.trials.frame import table
from refine.trials.metric_constraint import FEASIBLE
from refine.trials.trial import AUDITS, FAILED
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Branch, Cell, Fact, Facts, Items, Page, Text
from refine.utils.format import about_duration, inflected, join, number, percent, plural, score
from refine.utils.provided import page_for

_BAR = 20
_MANY_FAILED = 0.05  # share of failed trials above which a look at the failures comes first


@page_for(Tree)
def tree_page(tree: Tree, *, named: bool = False) -> Page:
    """The rounds as a tree, with a star at the round of the best observed trial.

    The current user is *you*, unless authors are to be ``named`` for other readers.
    """
    tree = tree._at_once()
    overview = overview_of(tree.rounds)
    add = Action("tree.add_round", Symbol("space"), Symbol("objective"), n=100)
    if not overview.rounds:
        return Page(tree._name, [Text("No round yet."), *_damaged(tree, overview)], [add])
    authors: set[str] = set()
    if not named:
        authors = {sibling.round._node.author for sibling in overview.rounds}

    def grow(siblings: Iterable[RoundOverview]) -> list[Branch]:
        branches = []
        for sibling in siblings:
            lines = [_line(sibling, sibling.id == overview.winner)]
            if story := _story(sibling, authors):
                lines.append([Cell(story, "faint")])
            branches.append(Branch(lines, grow(overview.below(sibling.id))))
        return branches

    last = overview.rounds[-1]
    round_call = Action("tree[]", last.id)
    first = run = Action(f"{round_call}.run", workers=2, **tree._needs(last.id))
    complete = last.states.get("complete", 0)
    if complete:
        first = _call_in_budget(tree, Action(f"{round_call}.propose", risk=0.05))
    elif last.states:
        first = Action(f"{round_call}.failures")
    calls = [first, Action("tree.report", "reports")]
    if overview.winner and first.name != "tree.winner":
        calls.insert(1, Action("tree.winner"))
    if complete and sum(last.states.values()) < last.n:  # stopped in between
        if complete < LEAST:  # too few trials for a proposal
            calls.remove(first)
        calls.insert(0, run)
    first_line = [Cell(tree._name, "strong")]
    if tree._budget.limit is not None:
        first_line.append(Cell(f"  {tree._budget}", "faint"))
    root = Branch([first_line], grow(overview.below(None)))
    return Page("", [root, *_damaged(tree, overview)], calls)


def _call_in_budget(tree: Tree, propose: Action) -> Action:
    """The call after finished trials: a proposal, or the winner if the budget leaves no trial for a round."""
    budget = tree._budget
    if budget.for_rounds() != 0:
        return propose
    hand_over = Action("tree.winner")
    if budget.left == 0:
        return hand_over
    winner = tree.winner()
    if winner is None or winner.noise.deterministic:
        return propose
    return confirm_call(winner) or hand_over


def _damaged(tree: Tree, overview: Overview) -> list[Text]:
    """The rounds and trials that can't be read, as far as drawing the tree has shown."""
    nodes = tree._context.reader.damaged_nodes(tree._context.tree)
    messages = [f"round {key} can't be read and is left out: {text}" for key, text in nodes.items()]
    messages += [
        f"round {entry.id}: {plural(len(bad), 'stored trial')} can't be read"
        for entry in overview.rounds
        if not entry.round._large and (bad := entry.round._damaged)
    ]
    if messages:
        return [Text("; ".join(messages), "bad", Action("tree.repair", dry_run=True))]
    return []


def _line(overview: RoundOverview, wins: bool) -> list[Cell]:
    """A round in a line: path, id, tags, progress, best value, a star for the best, and a root's note."""
    metric = overview.round._value
    best = "no value yet"
    if overview.best is not None:
        best = f"best {metric} {score(overview.best['value'])}"
    count = f"{sum(overview.states.values()):,} of {plural(overview.n, 'trial')}"
    trials = f"{count}{how_text(overview.round._node, overview.states)}"
    cells = [Cell(overview.path, "strong"), Cell(f"  {overview.id}")]
    if overview.tags:
        cells.append(Cell(f" [{', '.join(overview.tags)}]", "code"))
    cells.append(Cell(f"  {trials}, {best}"))
    if wins:
        cells.append(Cell("  ★ best observed", "good"))
    if overview.change is None and overview.round._node.note:
        cells.append(Cell(f' · "{overview.round._node.note}"', "faint"))
    return cells


def _story(overview: RoundOverview, authors: Collection[str]) -> str:
    """The change from the parent, its author, and the note; empty for a root."""
    if overview.change is None:
        return ""
    node = overview.round._node
    story = difference_line(overview.change)
    if overview.kinds:
        kinds = ", ".join(dict.fromkeys(overview.kinds))
        story = f"{story}. {upper(kinds)} by {whom(node.author, authors)}"
    if node.note:
        return f'{story}: "{node.note}"'
    return story


@page_for(Round)
def round_page(round_: Round) -> Page:
    """Progress and best trial of a round, its space, decisions, and the next calls."""
    round_ = round_._at_once()
    node = round_._node
    pk = round_._stored.pk
    trials = round_.trials
    counts = round_._context.counts.get(pk, {})
    ended = sum(counts.values()) - counts.get("running", 0)
    # Failed trials of a finished round have ended; those of an unfinished round may be repeated.
    remaining = 0
    if node.method != IMPORTED:
        remaining = max(0, round_.n - ended)
    lines = [_progress(round_, counts, ended, remaining), _best(round_)]
    if node.goals:
        goals = join([f"{g.metric}, {g.direction}" for g in round_._goals[1:]])
        lines.append(f"further goals: {goals}; {_front(round_)}")
    lines += [_baseline(round_), _believed(round_)]
    if declared := declared_text(round_._declared, node.metric):
        lines.append(f"declared: {declared}")
    if node.method == IMPORTED and not trials.empty:
        origin = str(trials["origin"].iloc[0])
        n = int((trials["state"] == "complete").sum())
        reason = drawn_reason(origin, n, n, evenness(round_.space, trials, round_._goal.sign))
        if reason is not None:
            lines.append(sentence(reason))
    blocks: list[Block] = [Text(line) for line in lines if line]
    if bad := round_._damaged:
        unread = f"{plural(len(bad), 'stored trial')} can't be read and {inflected(len(bad), 'is', 'are')}"
        text = f"{unread} left out: {bad[0]}{', ...' * (len(bad) > 1)}"
        blocks.append(Text(text, "bad", Action("tree.repair")))
    if spread_words := spread_text(spread(round_._context.reader.ran_on(pk))):
        blocks.append(Text(spread_words))
    blocks.append(space_grid(round_.space))
    authors = everybody(round_)
    decided = []
    for d in round_._decisions:
        text = decision_text(d, authors)
        if d.note:
            text += f', "{d.note}"'
        decided.append(text)
    blocks.append(Items(decided))
    size = f"{plural(round_.n, 'configuration')} of {round_.space.size:,}"
    if round_.space.constraints:
        size += " before constraints"
    if node.method == IMPORTED:  # rows of a table may repeat a configuration
        size = f"{plural(round_.n, 'trial')} in a space of {round_.space.size:,}"
    title = f"round {round_.id} of {round_._context.name}: {size}{how_text(node, counts)}"
    failed = sum(counts.get(state, 0) for state in FAILED)
    return Page(title, blocks, _calls(round_, ended, remaining, failed))


def declared_text(declared: Declared, metric: str) -> str:
    """The declared facts: ``repeats give identical values; loss at least 0, compared by factors``."""
    parts = []
    about = []
    if declared.noise is not None:
        parts.append(f"repeats give {_DECLARED_NOISE[declared.noise]} values")
    low, high = declared.limits or (None, None)
    if low is not None:
        about.append(f"at least {low:g}")
    if high is not None:
        about.append(f"at most {high:g}")
    if declared.scale is not None:
        about.append(f"compared by {_DECLARED_SCALE[declared.scale]}")
    if about:
        parts.append(f"{metric} {', '.join(about)}")
    return "; ".join(parts)


_DECLARED_NOISE = {"none": "identical", "retraining": "other"}
_DECLARED_SCALE = {"log": "factors", "linear": "differences"}


def decision_text(d: Decision, authors: Collection[str]) -> str:
    """The kind of a decision, its author, and the next round: ``edited by you: round e4cfb869``."""
    text = f"{d.kind} by {whom(d.author, authors)}"
    if d.child:
        text += f": round {d.child}"
    return text


@page_for(Decision)
def decision_page(d: Decision) -> Page:
    """The kind of a decision, its author and child, the chosen or edited values, and the note."""
    facts: list[Fact] = []
    if d.chosen is not None:
        facts.append(("Chosen", join([f"{name} {label(decode(value))}" for name, value in d.chosen.items()])))
    if d.edits:
        facts.append(("Edited", join([f"{name} {short_bounds(new)}" for name, (_, new) in d.edits.items()])))
    if d.rejected:
        facts.append(("Rejected", join(d.rejected)))
    if d.note:
        facts.append(("Note", d.note))
    return Page(f"Decision: {decision_text(d, [d.author])}", [Facts(facts)])


def _believed(round_: Round) -> str:
    """The declared belief with its author; empty without a belief."""
    declared = declared_on(round_._path)
    if declared is None:
        return ""
    text = f"believed{by(declared.author)}"
    if declared.round != round_.id:
        text += f", on round {declared.round}"
    return f"{text}: {declared.belief}"


def _progress(round_: Round, counts: dict[str, int], ended: int, remaining: int) -> str:
    if not counts:
        return f"{'□' * _BAR} not run"
    share = 1.0
    if round_.n:
        share = min(1.0, ended / round_.n)
    full = math.floor(share * _BAR)
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    line = f"{'■' * full}{'□' * (_BAR - full)} {percent(share)}: {states}"
    if round_._node.subject_to and FEASIBLE in round_.trials:
        line += f"; {int(round_.trials[FEASIBLE].sum()):,} feasible"
    seconds = np.asarray(round_.trials["seconds"], dtype=float)
    seconds = seconds[np.isfinite(seconds)]
    if remaining and seconds.size:
        line += f"; {remaining:,} left, {about_duration(remaining * float(seconds.mean()))} one at a time"
    return line


def _best(round_: Round) -> str:
    """The metric with its direction, and the best observed trial.

    A trial outside the space is marked as such.
    """
    best = round_.best
    line = f"{judged_text(round_._value, round_._node.subject_to)}, {round_._direction}; best observed"
    if best is None:
        return f"{line} -"
    line += f" {score(best['value'])}"
    # A trial has no value of a parameter whose condition did not hold; a choice that is None is the text
    # None.
    values = {n: best[n] for n in round_.space.varied if n in best.index}
    finite = {n: v for n, v in values.items() if v is not None and v == v}
    if finite:
        line += f" with {join([f'{n} = {value_text(v)}' for n, v in finite.items()])}"
    if outside(round_.space, finite):
        kind = ""
        if best["origin"] in AUDITS:
            kind = "an audit trial, "
        line += f" ({kind}outside this space)"
    return line


def outside(space: Space, values: Mapping[str, Any]) -> bool:
    """True if a value lies outside the parameter's range or choices."""
    return any(not space[name].contains([value])[0] for name, value in values.items() if name in space)


def value_text(value: object, digits: int = 6) -> str:
    """A parameter's value in the form of tables."""
    if isinstance(value, float | np.floating):
        return number(float(value), digits)
    return str(value)


def _front(round_: Round) -> str:
    """The number of trials on the round's front, and the number beaten by other rounds."""
    on = plural(len(round_.front), "trial")
    lost = beaten(round_)
    if not lost:
        return f"{on} on the front"
    return (
        f"{on} on the round's own front, {lost:,} beaten by other rounds; tree.front lists trials "
        "that none beats"
    )


def _baseline(round_: Round) -> str:
    """The mean value of the baseline; empty without a baseline, or before it has run."""
    reader = round_._context.reader
    pk = round_._stored.pk
    key = next((b.key for b in reader.beside(pk) if b.baseline), None)
    if key is None:
        return ""
    metric = round_._goal.metric
    records = reader.records([pk], curves=metric.curves, replicates=True)
    baseline_rows = [i for i, k in enumerate(records.columns["key"]) if k == key]
    values = np.asarray(table(round_.space, records, metric)["value"], dtype=float)[baseline_rows]
    good = values[np.isfinite(values)]
    runs = plural(len(baseline_rows), "run")
    if good.size:
        return f"baseline: {score(float(good.mean()))}, mean of {runs}"
    if baseline_rows:
        return f"baseline: no value, {runs} ended without one"
    return ""


def _calls(round_: Round, ended: int, remaining: int, failed: int) -> list[Action]:
    calls = []
    if remaining:
        calls.append(Action("round.run", workers=2, **round_._needs(round_.id)))
    many_failed = failed > _MANY_FAILED * ended
    if many_failed:
        calls.append(Action("round.failures"))
    too_few = round_.parent is None and ended - failed < LEAST  # too few trials for an analysis
    if too_few and not remaining and round_.space.size > ended:
        missing = LEAST - (ended - failed)
        calls.append(Action("round.run", n=min(round_.n + missing, round_.space.size)))
    if failed < ended or not (failed or remaining):
        if not too_few:
            calls += [Action("round.propose", risk=0.05), Action("round.analyze")]
        calls += [Action("tree.winner"), Action("round.report", "reports")]
    if failed and not many_failed:
        calls.append(Action("round.failures"))
    if not remaining:
        calls += [Action("tree[]", d.child) for d in round_._decisions if d.child][-1:]
    return calls
