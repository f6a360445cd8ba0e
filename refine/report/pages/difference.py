"""The difference of two spaces: one table and one line, which pages, reports, shell and guide all show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.space.edits import bounds_text, strip
from refine.utils.display import Cell, Grid

if TYPE_CHECKING:
    from refine.proposal.proposal import Proposal
    from refine.review.decision import Decision
    from refine.space.space import Space, SpaceDiff

Row = tuple[str | Cell, ...]

_NOTHING = Cell("-", "faint")


def difference_grid(diff: SpaceDiff, before: str, after: str, more: tuple[Row, ...] = ()) -> Grid:
    """What changes from one space to another: parameters side by side with their levels, then constraints.

    Args:
        diff: The difference.
        before: Title of the first space's column.
        after: Title of the second's.
        more: Further rows of what differs.
    """
    rows: list[Row] = [
        (Cell(n, "strong"), bounds_text(p), bounds_text(q), strip(p, q)) for n, (p, q) in diff.changed.items()
    ]
    rows += [(Cell(n, "strong"), _NOTHING, bounds_text(p), "added") for n, p in diff.added.items()]
    rows += [(Cell(n, "strong"), bounds_text(p), _NOTHING, "removed") for n, p in diff.removed.items()]
    rows += [("constraint", _NOTHING, c, "added") for c in diff.constraints_added]
    rows += [("constraint", c, _NOTHING, "removed") for c in diff.constraints_removed]
    return Grid(("parameter", before, after, "levels"), (*rows, *more))


def difference_line(diff: SpaceDiff) -> str:
    """The same in a line: ``dropout 0 to 0.2, +l2 0 to 0.1, -epochs``."""
    parts = [f"{name} {text}" for name, (_, p) in diff.changed.items() if (text := bounds_text(p))]
    parts += [f"+{name} {bounds_text(p)}" for name, p in diff.added.items()]
    parts += [f"-{name}" for name in diff.removed]
    return ", ".join(parts) or "same space"


def decision_grid(old: Space, decision: Decision, proposal: Proposal | None) -> Grid | None:
    """What was proposed and what was decided, of all that either changes; ``None`` where nothing is.

    Args:
        old: The space before.
        decision: The decision; a declined one decides no space.
        proposal: What it was about; ``None`` where it was made without regard to one.
    """
    new = decision.space
    if new is None:
        return None
    rows: list[Row] = []
    for name in [*old, *(n for n in new if n not in old)]:
        before, after = old.get(name), new.get(name)
        proposed = None if proposal is None else proposal.space.get(name)
        if before == after and proposed in (None, before):
            continue
        how = (
            "edited" if name in decision.edits else "rejected" if name in decision.rejected else "as proposed"
        )
        if proposal is None:
            how = "added" if before is None else "removed" if after is None else "changed"
        rows.append(
            (
                Cell(name, "strong"),
                _NOTHING if before is None else bounds_text(before),
                _NOTHING if proposed is None or proposed == before else bounds_text(proposed),
                "removed" if after is None else bounds_text(after),
                "" if before is None or after is None else strip(before, after),
                how,
            )
        )
    return (
        Grid(("parameter", "before", "proposed", "decided", "levels", "how"), tuple(rows)) if rows else None
    )
