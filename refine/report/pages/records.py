"""What a merge, damage, an opened hold-out and a replay show of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from refine.run.holdout import HoldoutResult
from refine.run.replay import Replay
from refine.store.merge import Merged
from refine.tree.removal import Damage
from refine.utils.action import Action
from refine.utils.display import Cell, Items, Page, Text
from refine.utils.format import join, plural, score
from refine.utils.provided import page_for

_UNEQUAL, _ROWS = 20, 50  # that are listed


@page_for(Merged)
def merged_page(found: Merged) -> Page:
    """How much is new, and what differs."""
    new = f"{plural(len(found.rounds), 'new round')}, {plural(found.trials, 'new trial')}"
    title = f"{'would merge' if found.dry_run else 'merged'}: {new}, {len(found.unequal)} unequal"
    lines: list[str | Cell] = [str(each) for each in found.unequal[:_UNEQUAL]]
    if len(found.unequal) > _UNEQUAL:
        lines.append(f"and {len(found.unequal) - _UNEQUAL:,} more, in .unequal")
    lines += found.kept
    return Page(title, (Items(tuple(lines)),) if lines else ())


@page_for(Damage)
def damage_page(found: Damage) -> Page:
    """Every damaged row with what is wrong with it, the first fifty; and whether they were removed."""
    count = len(found.rows)
    if not count:
        return Page(f"{found.tree}: nothing is damaged")
    what = "removed" if found.removed else f"can't be read and {'is' if count == 1 else 'are'} left out"
    more = (Text(f"and {count - _ROWS:,} more", "faint"),) if count > _ROWS else ()
    blocks = (Items(tuple(map(str, found.rows[:_ROWS]))), *more)
    calls = () if found.removed else (Action("tree.repair"),)
    return Page(f"{found.tree}: {plural(count, 'stored row')} {what}", blocks, calls)


def spread_text(differs: Mapping[str, Mapping[str, int]]) -> str:
    """What differs between the environments of a round's trials, name -> value -> trials, in one sentence; empty where nothing does."""
    parts = []
    for name, values in differs.items():
        counts = ", ".join(f"{value}: {plural(count, 'trial')}" for value, count in values.items())
        parts.append(f"{name} ({counts})")
    return f"trials ran on environments that differ in {join(parts)}" if parts else ""


@page_for(HoldoutResult)
def holdout_page(found: HoldoutResult) -> Page:
    """What it showed of every configuration, beside what validation had shown."""
    day = datetime.fromtimestamp(found.created, UTC).date().isoformat()
    lines = tuple(
        f"validation {score(row['validation'])}, hold-out {score(row['holdout'])} "
        f"(mean of {plural(int(row['runs']), 'model')}, sd {score(row['sd'])})"
        for _, row in found.table.iterrows()
    )
    title = f"hold-out of round {found.round}, opened by {found.author} on {day}; {found.metric}"
    return Page(title, (Items(lines, numbered=True),))


@page_for(Replay)
def replay_page(found: Replay) -> Page:
    """How many gave what is stored, and what has changed since."""
    n, equal = len(found.table), int((found.table["apart"] == 0).sum())
    title = f"round {found.round}: {plural(n, 'trial')} run again, {equal} equal to the bit"
    lines: list[str | Cell] = []
    if equal < n:
        within, worst = int(found.table["same"].sum()), score(float(found.table["apart"].max()))
        title += f", {within} within {found.tolerance:g} in every metric; largest difference {worst}"
    if not found.planned:
        lines.append(Cell("the design gives other configurations or seeds than are stored", "bad"))
    then, now = found.code
    if then != (now,):
        lines.append(f"code then {', '.join(then) or '-'}, now {now}")
    lines += [f"{name} then {a}, now {b}" for name, (a, b) in found.environment.items()]
    return Page(title, (Items(tuple(lines)),) if lines else ())
