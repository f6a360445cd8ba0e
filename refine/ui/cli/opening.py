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

    check_exists(store)
    return refine.Tree(name or only_tree(store, "--tree {name!r}"), store, create=False)
