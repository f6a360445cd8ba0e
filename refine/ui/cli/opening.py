"""Opening the store that was typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from refine.errors import NotFoundError

if TYPE_CHECKING:
    import refine


def opened(store: str, name: str | None) -> refine.Tree:
    """The tree of a store that exists.

    Raises:
        NotFoundError: There is no such store, or none or several trees in it and no name.
    """
    import refine
    from refine.store.engine import url_of
    from refine.store.store import Store

    url = url_of(store)
    file = url.database if url.get_backend_name() == "sqlite" else None
    # Opening creates; who only looks must not leave an empty store behind.
    if file is not None and not Path(file).is_file():
        raise NotFoundError(f"store {store}: no such file; give the path or URL of a store that exists")
    if name is None:
        database = Store(store)
        names, shown = database.trees(), database.name
        database.close()
        if len(names) != 1:
            known = ", ".join(names) or "none"
            raise NotFoundError(f"store {shown}: holds {len(names)} trees ({known}); name one with --tree")
        name = names[0]
    return refine.Tree(name, store, create=False)
