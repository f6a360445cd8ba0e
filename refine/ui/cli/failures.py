"""The command that says why trials did not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    LOOK,
    JsonOption,
    RoundArgument,
    StoreArgument,
    TreeOption,
    app,
    chosen,
    put,
    typed,
)

if TYPE_CHECKING:
    import pandas as pd

    from refine.tree.round import Round
    from refine.utils.display import Block, Page

_KINDS = 10
"""So many kinds of failure are listed, the most frequent first."""


@app.command(rich_help_panel=LOOK)
def failures(
    store: StoreArgument, which: RoundArgument, name: TreeOption = None, as_json: JsonOption = False
) -> None:
    """Print why trials did not complete: errors by frequency, and the first traceback."""
    from refine.design.space_filling import IMPORTED

    with opened(store, name) as opened_tree:
        found = chosen(opened_tree[which])
        rows = found.failures
        # What was finished elsewhere can't be run again.
        states = [] if found.node.method == IMPORTED else dict.fromkeys(rows["state"])
        again = [str(state) for state in states if state != "running"]
        calls = [typed(store, "run", found, f"--rerun {state}") for state in again]
        put(rows, as_json, *calls, page=lambda: _page(found, rows))


def _page(found: Round, rows: pd.DataFrame) -> Page:
    from refine.utils.display import Items, Page, Text
    from refine.utils.format import plural

    title = f"round {found.id} of {found.context.name}: {len(rows):,} of {plural(len(found.trials), 'trial')} did not complete"
    if rows.empty:
        return Page(title)
    said = rows["error"].map(lambda text: str(text).strip().splitlines()[-1] if text else "-")
    kinds = sorted(rows.groupby([rows["state"], said], sort=False), key=lambda kind: -len(kind[1]))
    lines = []
    for (state, last), trials in kinds[:_KINDS]:
        first = trials.iloc[0]
        at = ", ".join(f"{p} = {_text(first[p])}" for p in found.space.varied)
        lines.append(f"{state}, {plural(len(trials), 'trial')}: {last}{f' (first at {at})' if at else ''}")
    blocks: list[Block] = [Items(tuple(lines))]
    if len(kinds) > _KINDS:
        blocks.append(Text(f"and {len(kinds) - _KINDS:,} more kinds; --json has every trial", "faint"))
    told = next(
        (text for _, trials in kinds for text in trials["error"] if text and "\n" in text.strip()), None
    )
    if told:
        blocks.append(Text(f"The first traceback:\n\n{told.rstrip()}", lines=True))
    return Page(title, tuple(blocks))


def _text(value: object) -> str:
    from refine.utils.format import number

    return number(value, 6) if isinstance(value, float) else str(value)
