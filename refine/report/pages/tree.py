"""What a tree shows of itself: its rounds with best values, branches, tags, and what was decided."""

from __future__ import annotations

from collections.abc import Iterable

from refine.run.steering import how_text
from refine.space.edits import bounds_text
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.utils.display import Branch, Cell, Page, Text
from refine.utils.format import score
from refine.utils.provided import page_for


@page_for(Tree)
def tree_page(tree: Tree) -> Page:
    """The rounds as a tree; the one with the best trial is marked.

    Args:
        tree: The tree.
    """
    tree = tree._at_once()
    rounds = tree.rounds
    if not rounds:
        return Page(tree.name, (Text("No round yet."),), ("tree.add_round(space, objective, n=100)",))
    tags: dict[str, list[str]] = {}
    for tag, node_id in tree.tags.items():
        tags.setdefault(node_id, []).append(tag)
    counts = tree._context.counts
    best = tree.best()
    winner = None if best is None else str(best["round"])

    def line(found: Round) -> tuple[Cell, ...]:
        states = counts.get(found._stored.pk, {})
        top = found.best
        cells = [
            Cell(found.id, "strong"),
            Cell(f"  {sum(states.values())}/{found.n}{how_text(found.node, states)}"),
            Cell(f"  best {found.metric} {score(None if top is None else top['value'])}"),
        ]
        if found.id in tags:
            cells.append(Cell(f"  [{', '.join(tags[found.id])}]", "code"))
        if found.id == winner:
            cells.append(Cell("  ★", "good"))
        return tuple(cells)

    def grow(siblings: Iterable[Round]) -> tuple[Branch, ...]:
        found = []
        for each in siblings:
            said = story_of(each, rounds)
            below = grow(r for r in rounds if r.node.parent == each.id)
            found.append(Branch((line(each), *([(Cell(said, "faint"),)] if said else [])), below))
        return tuple(found)

    roots = grow(r for r in rounds if r.node.parent is None)
    last = rounds[-1]
    states = counts.get(last._stored.pk, {})
    next_ = "propose(risk=0.05)" if states.get("complete") else "failures" if states else "run(workers=2)"
    calls = (f'tree["{last.id}"].{next_}', 'tree.report("reports")', "refine.guide(tree)")
    return Page("", (Branch(((Cell(tree.name, "strong"),),), roots),), calls)


def story_of(found: Round, rounds: tuple[Round, ...]) -> str:
    """What changed from the parent and who says why.

    Args:
        found: The round.
        rounds: All rounds of its tree.
    """
    if found.node.parent is None:
        return found.node.note and f'"{found.node.note}"'
    parent = next(r for r in rounds if r.id == found.node.parent)
    diff = parent.space.diff(found.space)
    parts = [f"{name} {bounds_text(b)}" for name, (_, b) in diff.changed.items() if bounds_text(b)]
    parts += [f"+{name} {bounds_text(p)}" for name, p in diff.added.items()]
    parts += [f"-{name}" for name in diff.removed]
    kinds = [d.kind for d in parent.decisions if d.child == found.id]
    said = f'"{found.node.note}"' if found.node.note else ""
    who = f"({', '.join(dict.fromkeys(kinds))} by {found.node.author})" if kinds else ""
    what = ", ".join(parts) or "same space"
    return " ".join(s for s in (f"{what};" if said else what, said, who) if s)
