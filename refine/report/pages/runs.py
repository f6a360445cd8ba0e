"""What an opened hold-out and a replay show of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from refine.run.holdout import HoldoutResult
from refine.run.replay import Replay
from refine.utils.display import Cell, Items, Page
from refine.utils.format import join, plural, score
from refine.utils.provided import page_for


def spread_text(differs: Mapping[str, Mapping[str, int]]) -> str:
    """What differs between the environments of a round's trials, in one sentence; empty where nothing does.

    Args:
        differs: See :func:`refine.run.environment.spread`.
    """
    parts = []
    for name, values in differs.items():
        counts = ", ".join(f"{value}: {plural(count, 'trial')}" for value, count in values.items())
        parts.append(f"{name} ({counts})")
    return f"trials ran on environments that differ in {join(parts)}" if parts else ""


@page_for(HoldoutResult)
def holdout_page(found: HoldoutResult) -> Page:
    """What it showed of every configuration, beside what validation had shown."""
    day = datetime.fromtimestamp(found.created, UTC).date().isoformat()
    title = f"hold-out of round {found.round}, opened by {found.author} on {day}; {found.metric}"
    lines: list[str | Cell] = []
    for _, row in found.table.iterrows():
        lines.append(
            f"validation {score(row['validation'])}, hold-out {score(row['holdout'])} "
            f"(mean of {plural(int(row['runs']), 'model')}, sd {score(row['sd'])})"
        )
    return Page(title, (Items(tuple(lines), numbered=True),))


@page_for(Replay)
def replay_page(found: Replay) -> Page:
    """How many gave what is stored, and what has changed since."""
    n = len(found.table)
    equal = int((found.table["apart"] == 0).sum())
    title = f"round {found.round}: {plural(n, 'trial')} run again, {equal} equal to the bit"
    lines: list[str | Cell] = []
    if equal < n:
        within = int(found.table["same"].sum())
        worst = float(found.table["apart"].max())
        title += f", {within} within {found.tolerance:g} in every metric; largest difference {score(worst)}"
    if not found.planned:
        lines.append(Cell("the design gives other configurations or seeds than are stored", "bad"))
    then, now = found.code
    if then != (now,):
        lines.append(f"code then {', '.join(then) or '-'}, now {now}")
    lines += [f"{name} then {a}, now {b}" for name, (a, b) in found.environment.items()]
    return Page(title, (Items(tuple(lines)),) if lines else ())
