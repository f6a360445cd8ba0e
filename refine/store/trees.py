"""Which trees a store holds, without making one."""

from __future__ import annotations

import os
from pathlib import Path

from refine.errors import NotFoundError
from refine.store.engine import url_of
from refine.store.store import Store


def check_exists(store: str | os.PathLike[str]) -> None:
    """Opening a store creates it; who only looks must not leave an empty one behind.

    Raises:
        NotFoundError: It is a file, and there is none.
    """
    url = url_of(store)
    file = url.database if url.get_backend_name() == "sqlite" else None
    if file and not Path(file).is_file():
        raise NotFoundError(f"store {store}: no such file; give the path or URL of a store that exists")


def only_tree(
    store: str | os.PathLike[str],
    how: str = "refine.Tree({name!r}, store=...)",
    made_by: str = "refine.Tree('NAME', store=...)",
) -> str:
    """The name of a store's only tree.

    Args:
        store: URL of the store, or path of a SQLite file.
        how: How one names a tree, with ``{name}`` in it.
        made_by: What makes the first one.

    Raises:
        NotFoundError: There is no such store, or none or several trees in it.
    """
    check_exists(store)
    database = Store(store)
    try:
        names, shown = database.trees(), database.name
    finally:
        database.close()
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotFoundError(f"store {shown}: holds no tree yet; {made_by} makes one")
    raise NotFoundError(
        f"store {shown}: holds {len(names)} trees ({', '.join(names)}); name one: {how.format(name=names[-1])}"
    )
