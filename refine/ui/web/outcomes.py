"""A round's results on the review page: trials as they end, its forecast, and the claims that held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.errors import AnalysisError
from refine.report.pages.calibration import (
    calibration_page,
    held_count_text,
    held_in_benchmarks,
    held_text,
)
from refine.report.pages.winner import confirm_call, winner_page
from refine.review.calibration import Calibration
from refine.space.edits import bounds_text
from refine.tree import judging
from refine.tree.track_record import entries_of
from refine.ui.web.messages import Content
from refine.utils.display import Grid, Text, as_cell
from refine.utils.format import plural, score
from refine.utils.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from refine.analysis.winner import Winner
    from refine.review.decision import Decision
    from refine.tree.round import Round
    from refine.tree.tree_record import TreeRecord
    from refine.ui.web.trials import Sheet
    from refine.utils.action import Action

# Central interval of a forecast that the page states.
_NOMINAL = 0.9
# Largest number of rounds of a tree whose claims are counted: the count reads every round.
_MOST_ROUNDS = 100


def points_content(sheet: Sheet) -> Content:
    """Values of a round's trials in the order of their end; ``None`` for a trial without a value."""
    values = plain(sheet.scores.tolist())
    return {"values": values, "usable": [bool(usable) for usable in sheet.usable], "sign": sheet.goal.sign}


def decision_behind(round_: Round) -> Decision | None:
    """The decision that led to a round; ``None`` for a first round."""
    parent = round_.parent
    if parent is None:
        return None
    return next((d for d in reversed(parent._decisions) if d.child == round_.id), None)


def expected_content(round_: Round, parent_best: pd.Series | None) -> Content:
    """The best values that were forecast for a round and that its parent had, as numbers and as text.

    ``forecast`` is a tile with the forecast; ``None`` without one.
    """
    decision = decision_behind(round_)
    content: Content = {"low": None, "high": None, "before": None}
    texts = []
    interval = ""
    even = ""
    parent_text = ""
    if decision is not None and decision.forecast is not None:
        low, high = decision.forecast.interval("best", _NOMINAL)
        content["low"] = float(low)
        content["high"] = float(high)
        interval = f"{score(low)} to {score(high)}"
        even = "of evenly drawn trials" * bool(round_._node.exploit)
        texts.append(" ".join(filter(None, ("forecast", even, interval))))
    if parent_best is not None:
        before = float(parent_best["value"])
        content["before"] = before
        parent_text = f"its parent had {score(before)}"
        texts.append(parent_text)
    forecast = None
    if interval:
        forecast = {"number": interval, "text": "; ".join(filter(None, (even, parent_text)))}
    return {**content, "text": "; ".join(texts), "forecast": forecast}


def space_content(round_: Round) -> list[Content]:
    """Parameters of a round: bounds now and, if they differ, those of its parent; changed ones first."""
    parent = round_.parent
    rows = []
    for name, p in round_.space.items():
        before = ""
        if parent is not None and name in parent.space and parent.space[name] != p:
            before = bounds_text(parent.space[name])
        rows.append({"name": name, "value": bounds_text(p), "before": before, "fixed": p.fixed})
    return sorted(rows, key=lambda row: (row["before"] == "", row["fixed"]))


def winner_content(tree: TreeRecord) -> Content:
    """The configuration to use, with its facts, the Python to copy, and the next call."""
    winner = judging.winner(tree)
    if winner is None:
        raise AnalysisError("no finished trial may be best; run trials first")
    page = winner_page(winner)
    code = next(block.text for block in page.blocks if isinstance(block, Text))
    about = "the configuration to use so far"
    if winner.is_decided:
        about = "confirmed by repeats"
    step = step_content(confirm_call(winner))
    if "budget" in step and (repeats := _further_repeats(winner, step["budget"])):
        step["label"] += f", at most {plural(repeats, 'repeat')}"
    return {
        "title": page.title,
        "about": about,
        "round": winner.round,
        "values": [{"name": name, "value": value} for name, value in winner.candidates[0].labels.items()],
        "facts": [{"name": name, "text": cell.text, "tone": cell.tone} for name, cell in page.facts],
        "code": code,
        "step": step,
    }


def _further_repeats(winner: Winner, total: int | None) -> int:
    """Repeats that a race of ``total`` repeats may still run; 0 without a total."""
    if total is None:
        return 0
    ran = winner.budget.repeats
    if winner.race is not None:
        ran = winner.race.runs
    elif winner.standing is not None:
        ran = winner.standing.runs
    return max(0, total - ran)


def step_content(action: Action | None) -> Content:
    """The button of an advised call on the winner; ``do`` is empty for any other call."""
    if action is None:
        return {"do": ""}
    if action.name == "tree.winner":
        title = "The configuration to use, and its doubt"
        return {"do": "winner", "label": "show the winner", "title": title}
    if action.name == "tree.confirm":
        title = f"Repeats the plausible winners in the background, as: {action}"
        budget = action.options.get("budget")
        return {"do": "confirm", "budget": budget, "label": "confirm the winner", "title": title}
    return {"do": ""}


def track_content(name: str, rounds: Sequence[Round]) -> Content:
    """The claims of a study that held, those of the benchmarks, and every decision as a table."""
    if len(rounds) > _MOST_ROUNDS:
        return {
            "text": "",
            "held": "",
            "elsewhere": held_in_benchmarks(),
            "facts": [],
            "head": [],
            "rows": [],
        }
    calibration = Calibration(name, entries_of(rounds))
    page = calibration_page(calibration)
    tables = [block for fold in page.folds for block in fold.blocks if isinstance(block, Grid)]
    first = next(iter(tables), Grid((), ()))
    return {
        "text": held_text(calibration),
        "held": held_count_text(calibration),
        "elsewhere": held_in_benchmarks(),
        "facts": [{"name": label, "text": cell.text} for label, cell in page.facts],
        "head": list(first.head),
        "rows": [[as_cell(value).text for value in row] for row in first.rows],
    }
