"""What a tree shows of itself: its rounds with best values, branches, tags, and what was decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from refine.report.pages.author import whom
from refine.report.pages.difference import difference_line
from refine.report.pages.proposal import branch_sentence
from refine.run.steering import how_text
from refine.tree.overview import Overview, RoundOverview, overview_of
from refine.tree.tree import Tree
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Branch, Cell, Page, Text
from refine.utils.format import plural, score
from refine.utils.provided import page_for


@page_for(Tree)
def tree_page(tree: Tree, *, named: bool = False) -> Page:
    """The rounds as a tree; the one with the best observed trial is marked.

    Args:
        tree: The tree.
        named: Whether whoever decided is named, for others to read, where else it is *you*.
    """
    tree = tree._at_once()
    seen = overview_of(tree.rounds)
    if not seen.rounds:
        return Page(
            tree.name,
            (Text("No round yet."), *_damaged(tree, seen)),
            (Action("tree.add_round", Symbol("space"), Symbol("objective"), n=100),),
        )

    authors = set() if named else {each.round.node.author for each in seen.rounds}

    def grow(siblings: Iterable[RoundOverview]) -> tuple[Branch, ...]:
        found = []
        for each in siblings:
            total = branch_sentence(each.claim) if each.claim and each.claim.claims > 1 else ""
            said = [(Cell(text, "faint"),) for text in (story_of(each, authors), total) if text]
            lines = (_line(each, each.id == seen.winner), *said)
            found.append(Branch(lines, grow(seen.below(each.id))))
        return tuple(found)

    last = seen.rounds[-1]
    at = Action("tree[]", last.id)
    if last.states.get("complete"):
        first = Action(f"{at}.propose", risk=0.05)
    else:
        first = Action(f"{at}.failures") if last.states else Action(f"{at}.run", workers=2)
    hand_over = (Action("tree.winner"),) if seen.winner else ()
    calls = (first, *hand_over, Action("tree.report", "reports"), Action("refine.guide", Symbol("tree")))
    blocks: list[Block] = [
        Branch(((Cell(tree.name, "strong"),),), grow(seen.below(None))),
        *_damaged(tree, seen),
    ]
    return Page("", tuple(blocks), calls)


def _damaged(tree: Tree, seen: Overview) -> list[Text]:
    """What of it can't be read, as far as drawing it has shown."""
    nodes = tree._context.reader.damaged_nodes(tree._context.tree)
    told = [f"round {key} can't be read and is left out: {text}" for key, text in nodes.items()]
    told += [
        f"round {each.id}: {plural(len(bad), 'stored trial')} can't be read"
        for each in seen.rounds
        if not each.round._large and (bad := each.round.damaged)
    ]
    return [Text("; ".join(told), "bad", Action("tree.damage"))] if told else []


def _line(each: RoundOverview, wins: bool) -> tuple[Cell, ...]:
    best = score(None if each.best is None else each.best["value"])
    cells = [
        Cell(each.path, "strong"),
        Cell(f"  {each.id}"),
        Cell(f"  {sum(each.states.values())}/{each.n}{how_text(each.round.node, each.states)}"),
        Cell(f"  best observed {each.round.metric} {best}"),
    ]
    if each.tags:
        cells.append(Cell(f"  [{', '.join(each.tags)}]", "code"))
    if wins:
        cells.append(Cell("  ★", "good"))
    return tuple(cells)


def story_of(each: RoundOverview, authors: Collection[str]) -> str:
    """What changed from the parent and who says why.

    Args:
        each: The round.
        authors: Everybody who decided in the tree.
    """
    node = each.round.node
    said = f'"{node.note}"' if node.note else ""
    if each.change is None:
        return said
    who = f"({', '.join(dict.fromkeys(each.kinds))} by {whom(node.author, authors)})" if each.kinds else ""
    what = difference_line(each.change)
    return " ".join(s for s in (f"{what};" if said else what, said, who) if s)
