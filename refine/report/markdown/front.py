"""The front of several goals: a table, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refine.report import figures
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import Facts, shown
from refine.report.markdown.text import values_table
from refine.trials.front import front_rows, title_of
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.metric_constraint import metric_constraints
from refine.utils.format import plural, score

_MOST = 20


def front_section(facts: Facts, where: Path) -> dict[str, Any] | None:
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
    titles = [str(goals[0].metric), *(title_of(goal, node.space) for goal in goals[1:])]
    names = [n for n in node.space.varied if n in found.columns]
    rows = [
        [*(score(float(found[t].iloc[i])) for t in titles), *(shown(found[n].iloc[i]) for n in names)]
        for i in range(min(_MOST, len(found)))
    ]
    head = [f"{goal.metric} ({goal.direction})" for goal in goals]
    return {
        "count": plural(len(found), "trial"),
        "more": f"{len(found) - _MOST} more are on the front." if len(found) > _MOST else "",
        "table": values_table([*head, *names], rows),
        "picture": drawn(
            "Trials by two goals, with the front",
            where,
            f"{facts.stem}/front.png",
            lambda: figures.front(facts.table, goals, node.space),
        ),
    }
