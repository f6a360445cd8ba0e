"""What of a tree can't be read, and what was removed for that."""

from __future__ import annotations

from refine.tree.removal import Damage
from refine.utils.action import Action
from refine.utils.display import Items, Page, Text
from refine.utils.format import plural
from refine.utils.provided import page_for

_SHOWN = 50


@page_for(Damage)
def damage_page(found: Damage) -> Page:
    """Every damaged row with what is wrong with it, the first fifty.

    Args:
        found: What :meth:`refine.Tree.damage` or :meth:`refine.Tree.repair` found.
    """
    if not found.rows:
        return Page(f"{found.tree}: nothing is damaged")
    left_out = "can't be read and is left out" if len(found.rows) == 1 else "can't be read and are left out"
    what = "removed" if found.removed else left_out
    rest = len(found.rows) - _SHOWN
    more = (Text(f"and {rest:,} more", "faint"),) if rest > 0 else ()
    return Page(
        f"{found.tree}: {plural(len(found.rows), 'stored row')} {what}",
        (Items(tuple(map(str, found.rows[:_SHOWN]))), *more),
        () if found.removed else (Action("tree.repair"),),
    )
