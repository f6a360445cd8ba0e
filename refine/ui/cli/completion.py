"""What the shell completes: names of trees, rounds and parameters, read from the store that was typed.

Somebody waits with a finger on the key: a SQLite file is glanced at without loading anything.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from refine.store.completion import Glance


def complete_trees(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the trees in the store."""
    found: list[str] = []
    with suppress(Exception):  # a completion that fails completes nothing
        found = _trees(_typed(ctx, "store", 2))
    return [name for name in found if name.startswith(incomplete)]


def complete_rounds(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of the tree's rounds, with what they are: an id only where one was begun, since there are shorter ones."""
    from refine.tree.names import LAST, ROOT, paths_of

    found: list[tuple[str, str]] = []
    with suppress(Exception):  # a completion that fails completes nothing
        seen = _glance(ctx)
        paths, ids = paths_of(seen.parents), list(seen.parents)
        roots = [id_ for id_ in ids if seen.parents[id_] not in seen.parents]
        found += [(name, f"round {id_}") for name, id_ in seen.tags.items()]
        found += [(LAST, f"round {ids[-1]}")] if ids else []
        found += [(ROOT, f"round {roots[0]}")] if len(roots) == 1 else []
        found += [(paths[id_], f"round {id_}, {seen.notes[id_] or 'no note'}") for id_ in ids]
        if incomplete:
            found += [(id_, seen.notes[id_] or "no note") for id_ in ids]
    return [pair for pair in found if pair[0].startswith(incomplete)]


def complete_parameters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the round's parameters, for ``name=value``."""
    from refine.tree.names import round_named

    found: list[str] = []
    with suppress(Exception):  # a completion that fails completes nothing
        seen = _glance(ctx)
        which = round_named(_typed(ctx, "which", 3), seen.parents, seen.tags, "")
        found = [f"{name}=" for name in seen.parameters[which]]
    return [name for name in found if name.startswith(incomplete)]


def _trees(store: str) -> list[str]:
    """Names of the trees in a store that exists: completing must make none."""
    from refine.store.completion import file_of, trees_in

    if (file := file_of(store)) is not None:
        return trees_in(file)
    if "://" not in store or store.startswith("sqlite"):
        return []
    from refine.store.store import Store

    database = Store(store)
    try:
        return database.trees()
    finally:
        database.close()


def _glance(ctx: typer.Context) -> Glance:
    """What the tree that was typed is made of, or the only one.

    Raises:
        Exception: There is none; nothing is completed then.
    """
    from refine.store.completion import Glance, file_of, glance_at

    store, name = _typed(ctx, "store", 2), ctx.params.get("name")
    if name is None:
        (name,) = _trees(store)
    if (file := file_of(store)) is not None:
        return glance_at(file, name)
    import refine

    with refine.Tree(name, store, create=False) as tree:
        nodes = {r.id: r.node for r in tree.rounds}
        return Glance(
            {id_: node.parent for id_, node in nodes.items()},
            {id_: node.note for id_, node in nodes.items()},
            tree.tags,
            {id_: list(node.space) for id_, node in nodes.items()},
        )


def _typed(ctx: typer.Context, name: str, place: int) -> str:
    """An argument that was typed. Behind an option without its value nothing has been parsed: then its place tells."""
    found = ctx.params.get(name)
    if isinstance(found, str):
        return found
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed yet
        words = line.split()
    return words[place] if len(words) > place and not words[place].startswith("-") else ""
