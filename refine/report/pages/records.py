"""Pages of damage, of an opened hold-out and of a replay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from refine.run.holdout import HoldoutResult
from refine.run.replay import Replay
from refine.tree.removal import Damage
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Items, Page, Text
from refine.utils.format import inflected, join, plural, score
from refine.utils.provided import page_for

_ROWS = 50  # damaged rows


@page_for(Damage)
def damage_page(damage: Damage) -> Page:
    """The first fifty damaged rows with their faults."""
    count = len(damage.rows)
    if not count:
        return Page(f"{damage.tree}: nothing is damaged")
    state = "removed"
    calls = []
    if not damage.removed:
        state = f"can't be read and {inflected(count, 'is', 'are')} left out"
        calls = [Action("tree.repair")]
    blocks: list[Block] = [Items(list(map(str, damage.rows[:_ROWS])))]
    if count > _ROWS:
        blocks.append(Text(f"and {count - _ROWS:,} more", "faint"))
    return Page(f"{damage.tree}: {plural(count, 'stored row')} {state}", blocks, calls)


def spread_text(differs: Mapping[str, Mapping[str, int]]) -> str:
    """Differences between the environments of a round's trials (name -> value -> trials) in one sentence.

    Empty without differences.
    """
    parts = []
    for name, values in differs.items():
        counts = ", ".join(f"{value}: {plural(count, 'trial')}" for value, count in values.items())
        parts.append(f"{name} ({counts})")
    if parts:
        return f"trials ran in environments that differ in {join(parts)}"
    return ""


@page_for(HoldoutResult)
def holdout_page(result: HoldoutResult) -> Page:
    """The hold-out value of every configuration next to its validation value."""
    day = datetime.fromtimestamp(result.created, UTC).date().isoformat()
    lines = []
    for _, row in result.table.iterrows():
        models = plural(int(row["runs"]), "model")
        measured = f"hold-out {score(row['holdout'])} (mean of {models}, sd {score(row['sd'])})"
        line = f"validation {score(row['validation'])}, {measured}"
        if row["removed"]:
            line = f"{measured}; its trial was removed since"
        lines.append(line)
    title = f"hold-out of round {result.round}, opened by {result.author} on {day}; {result.metric}"
    return Page(title, [Items(lines, numbered=True)])


@page_for(Replay)
def replay_page(replay: Replay) -> Page:
    """The number of trials that gave the stored values, and changes of code and environment."""
    n = len(replay.table)
    equal = int((replay.table["difference"] == 0).sum())
    title = f"round {replay.round}: {plural(n, 'trial')} replayed, {equal} equal to the bit"
    lines: list[str | Cell] = []
    if equal < n:
        within = int(replay.table["same"].sum())
        worst = score(float(replay.table["difference"].max()))
        title += f", {within} within {replay.tolerance:g} in every metric; largest difference {worst}"
    if not replay.planned:
        lines.append(Cell("the design gives other configurations or seeds than those stored", "bad"))
    old_code, new_code = replay.code
    if old_code != (new_code,):
        lines.append(f"code then {', '.join(old_code) or '-'}, now {new_code}")
    lines += [f"{name} then {a}, now {b}" for name, (a, b) in replay.environment.items()]
    return Page(title, [Items(lines)])
