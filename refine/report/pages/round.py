"""What a round shows of itself: how far it is, its best, its space, what was decided, and what to do next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from refine.analysis.evenness import drawn_reason, evenness
from refine.design.space_filling import IMPORTED
from refine.report.pages.author import everybody, whom
from refine.report.pages.goal import judged_text
from refine.report.pages.reasons import sentence
from refine.report.pages.runs import spread_text
from refine.report.pages.space import space_grid
from refine.run.environment import spread
from refine.run.steering import how_text
from refine.space.roles import SCIENTIFIC
from refine.tree.lineage import said_on
from refine.tree.overview import beaten
from refine.tree.round import Round
from refine.trials.frame import table
from refine.trials.metric_constraint import FEASIBLE
from refine.trials.trial import FAILED
from refine.utils.action import Action
from refine.utils.display import Block, Items, Page, Text
from refine.utils.format import duration, join, number, percent, plural, score
from refine.utils.provided import page_for

if TYPE_CHECKING:
    import pandas as pd

_BAR = 20


@page_for(Round)
def round_page(found: Round) -> Page:
    """A round: progress, best configuration, space with levels and roles, decisions, and the next calls.

    Args:
        found: The round.
    """
    found = found._at_once()
    counts = found.context.counts.get(found._stored.pk, {})
    trials, best = found.trials, found.best
    ended = sum(counts.values()) - counts.get("running", 0)
    # In a finished round failed trials have ended as well; in one that goes on they may be run again.
    left = 0 if found.node.method == IMPORTED else max(0, found.n - ended)
    blocks: list[Block] = [Text(_progress(found, counts, ended, left, trials)), Text(_best(found, best))]
    if found.node.goals:
        goals = join([f"{g.metric}, {g.direction}" for g in found.goals[1:]])
        blocks.append(Text(f"beside it {goals}; {_front(found)}"))
    blocks += [Text(line) for line in (*_baseline(found), *_belief(found), *_drawn(found, trials))]
    if bad := found.damaged:
        told = f"{plural(len(bad), 'stored trial')} can't be read and {'is' if len(bad) == 1 else 'are'} left out: {bad[0]}"
        blocks.append(Text(told + (", ..." if len(bad) > 1 else ""), "bad", Action("tree.repair")))
    if told := spread_text(spread(found.context.reader.ran_on(found._stored.pk))):
        blocks.append(Text(told))
    blocks.append(space_grid(found.space, found.roles if SCIENTIFIC in found.roles.values() else None))
    authors = everybody(found)
    decided = [
        f"{d.kind} by {whom(d.author, authors)}"
        + (f": round {d.child}" if d.child else "")
        + (f', "{d.note}"' if d.note else "")
        for d in found.decisions
    ]
    if decided:
        blocks.append(Items(tuple(decided)))
    size = f"{plural(found.n, 'configuration')} of {found.space.size:,}"
    size += " before constraints" if found.space.constraints else ""
    if found.node.method == IMPORTED:  # rows of a table may repeat a configuration
        size = f"{plural(found.n, 'trial')} in a space of {found.space.size:,}"
    title = f"round {found.id} of {found.context.name}: {size}"
    return Page(
        f"{title}{how_text(found.node, counts)}",
        tuple(blocks),
        _calls(found, ended, left, sum(counts.get(state, 0) for state in FAILED)),
    )


def _progress(found: Round, counts: dict[str, int], ended: int, left: int, trials: pd.DataFrame) -> str:
    if not counts:
        return f"{'□' * _BAR} not run"
    share = min(1.0, ended / found.n) if found.n else 1.0
    full = math.floor(share * _BAR)
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    line = f"{'■' * full}{'□' * (_BAR - full)} {percent(share)}: {states}"
    if found.node.subject_to and FEASIBLE in trials:
        line += f"; {int(trials[FEASIBLE].sum()):,} feasible"
    seconds = np.asarray(trials["seconds"], dtype=float)
    seconds = seconds[np.isfinite(seconds)]
    if left and seconds.size:
        line += f"; {left:,} left, about {duration(left * float(seconds.mean()))} one at a time"
    return line


def _best(found: Round, best: pd.Series | None) -> str:
    judged = judged_text(found.metric, found.node.subject_to)
    line = f"{judged}, {found.direction}; best observed {score(None if best is None else best['value'])}"
    if best is None:
        return line
    read = [n for n in found.space.varied if n in best.index and not _absent(best[n])]
    at = [f"{n} = {_text(best[n])}" for n in read]
    return f"{line} with {join(at)}" if at else line


def _front(found: Round) -> str:
    """How many trials are on its front, and how many of those other rounds beat."""
    on, lost = plural(len(found.front), "trial"), beaten(found)
    if not lost:
        return f"{on} on the front"
    return f"{on} on the round's own front, {lost:,} of them beaten by other rounds: tree.front has what no trial beats"


def _baseline(found: Round) -> list[str]:
    """What the baseline's runs showed; nothing of a round without one, or before it has run."""
    reader, pk = found.context.reader, found._stored.pk
    key = next((b.key for b in reader.beside(pk) if b.baseline), None)
    if key is None:
        return []
    metric = found.goal.metric
    records = reader.records([pk], curves=metric.curves, replicates=True)
    mine = [i for i, k in enumerate(records.columns["key"]) if k == key]
    values = np.asarray(table(found.space, records, metric)["value"], dtype=float)[mine]
    good = values[np.isfinite(values)]
    runs = plural(len(mine), "run")
    if good.size:
        return [f"baseline: {score(float(good.mean()))} in the mean of {runs}"]
    return [f"baseline: no value, {runs} ended without one"] if mine else []


def _drawn(found: Round, trials: pd.DataFrame) -> list[str]:
    """How imported trials were drawn, where there is something to say of it."""
    if found.node.method != IMPORTED or trials.empty:
        return []
    origin, n = str(trials["origin"].iloc[0]), int((trials["state"] == "complete").sum())
    reason = drawn_reason(origin, n, n, evenness(found.space, trials, found.goal.sign))
    return [] if reason is None else [sentence(reason)]


def _belief(found: Round) -> list[str]:
    """What is believed, and on which round it was said; nothing where nothing is."""
    said = said_on(found.path)
    if said is None:
        return []
    where = "" if said.round == found.id else f", on round {said.round}"
    by = f" by {said.author}" if said.author.strip() else ""
    return [f"believed{by}{where}: {said.belief}"]


def _absent(value: object) -> bool:
    """Whether a trial has no value of a parameter: its condition did not hold. A choice that is None is the text None."""
    return value is None or value != value


def _text(value: object) -> str:
    return number(float(value), 6) if isinstance(value, float | np.floating) else str(value)


def _calls(found: Round, ended: int, left: int, failed: int) -> tuple[Action, ...]:
    run, failures = Action("round.run", workers=2), Action("round.failures")
    look: tuple[Action, ...] = (
        Action("round.propose", risk=0.05),
        Action("round.analyze"),
        Action("round.recommend"),
        Action("round.report", "reports"),
    )
    if left and not ended:
        return (run,)
    if failed:
        look = (failures, *look) if failed < ended else (failures,)
    if left:
        return (run, *look)
    children = [d.child for d in found.decisions if d.child]
    return (*look, *(Action("tree[]", child) for child in children[-1:]))
