"""What a merge of two trees shows of itself."""

from __future__ import annotations

from refine.store.merge import Merged
from refine.utils.display import Cell, Items, Page
from refine.utils.format import plural
from refine.utils.provided import page_for

_SHOWN = 20


@page_for(Merged)
def merged_page(found: Merged) -> Page:
    """How much is new, and what differs."""
    title = (
        f"{'would merge' if found.dry_run else 'merged'}: {plural(len(found.rounds), 'new round')}, {plural(found.trials, 'new trial')}, "
        f"{len(found.unequal)} unequal"
    )
    lines: list[str | Cell] = [str(each) for each in found.unequal[:_SHOWN]]
    if len(found.unequal) > _SHOWN:
        lines.append(f"and {len(found.unequal) - _SHOWN:,} more, in .unequal")
    lines += found.kept
    return Page(title, (Items(tuple(lines)),) if lines else ())
