"""The front of several goals, to draw and to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.conditions import as_read
from refine.errors import ReviewError
from refine.space.encoding import label
from refine.tree.overview import beaten
from refine.trials.frame import front_rows, infeasible_rows, metric_title
from refine.utils.action import Action
from refine.utils.format import plural, score

if TYPE_CHECKING:
    import pandas as pd

    from refine.review.review import Review
    from refine.tree.round import Round

_OTHERS = 2000
"""So many trials beside the front are drawn."""


def front_content(found: Round) -> dict[str, Any]:
    """The front of a round with two or three goals.

    Raises:
        ReviewError: It has one goal.
    """
    if len(found.goals) == 1:
        raise ReviewError(
            f"round {found.id} has one goal, so that its front is its best trial; of that one",
            Action("round.recommend"),
        )
    names = list(found.space)
    trials, best = found.trials, found.front
    titles = ["value", *(metric_title(goal.metric.name, names) for goal in found.goals[1:])]
    if not all(title in trials for title in titles):  # nothing has ended yet
        trials = trials[:0].reindex(columns=list(dict.fromkeys([*trials.columns, *titles])))
    values = np.asarray(trials[titles], dtype=float)
    finite, broken = np.isfinite(values).all(axis=1), infeasible_rows(trials)
    goals = [
        {"name": str(goal.metric), "direction": "maximize" if goal.sign > 0 else "minimize"}
        for goal in found.goals
    ]
    others = np.flatnonzero(finite & ~broken & ~trials.index.isin(best.index))
    shown = others[:: max(1, -(-len(others) // _OTHERS))]
    some = f" Of {len(others):,} other trials {len(shown):,} are drawn." if len(shown) < len(others) else ""
    n_broken = int((finite & broken).sum())
    wrong = f" ▽ {plural(n_broken, 'infeasible trial')}." if n_broken else ""
    lost = beaten(found._at_once())
    own = f" Other rounds beat {lost:,} of them." if lost else ""
    return {
        "goals": goals,
        "points": _points(found, best, goals),
        "others": values[shown].tolist(),
        "infeasible": values[finite & broken][:_OTHERS].tolist(),
        "about": (
            f"{plural(len(best), 'trial')} that no other one of this round beats: none is at least as good in every goal and better in "
            f"one.{own}{wrong}{some}"
        ),
    }


def front_kept(review: Review[Round]) -> tuple[int, int] | None:
    """How many points of the front lie inside the space under review, and of how many; ``None`` where there is one goal."""
    found, analysis = review.round, review.analysis
    if len(found.goals) == 1:
        return None
    best = front_rows(analysis.table, found.goals, analysis.space)
    inside = np.asarray(review.space.contains(as_read(review.space, analysis.parameters, best)), dtype=bool)
    return int(inside.sum()), len(best)


def _points(found: Round, best: pd.DataFrame, goals: list[dict[str, str]]) -> list[dict[str, Any]]:
    names = [name for name in found.space if name in best and not found.space[name].fixed]
    chosen, points = _chosen(found), []
    for at, row in best.iterrows():
        label_, values = (
            int(str(at)),
            [
                float(row[goal["name"]]) if goal["name"] in best else float(row.iloc[k])
                for k, goal in enumerate(goals)
            ],
        )
        said = [f"{goal['name']} {score(v)}" for goal, v in zip(goals, values, strict=True)]
        points.append(
            {
                "label": label_,
                "values": values,
                "text": ", ".join(said),
                "configuration": ", ".join(f"{n} {label(row[n])}" for n in names if row[n] == row[n]),
                "chosen": label_ == chosen,
            }
        )
    return points


def _chosen(found: Round) -> int | None:
    """The label of the point that was chosen last."""
    last: Any = next((d.chosen for d in reversed(found.decisions) if d.kind == "chosen"), None)
    if last is None:
        return None
    records = found.context.reader.records([found._stored.pk], curves=found._metric.curves)
    return next((i for i, c in enumerate(records.configurations) if dict(c) == dict(last)), None)
