"""Opening the store that was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import refine


def opened(store: str, name: str | None) -> refine.Tree:
    """The tree of a store that exists.

    Raises:
        NotFoundError: There is no such store, or none or several trees in it and no name.
    """
    import refine
    from refine.store.trees import check_exists, only_tree
    from refine.ui.cli.spelling import in_shell
    from refine.utils.action import Action

    check_exists(store)
    only = name or only_tree(store, "--tree {name!r}", in_shell(Action("tree.add_round")))
    return refine.Tree(only, store, create=False)
