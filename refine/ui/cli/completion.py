"""What the shell completes: names of trees, rounds and parameters, read from the store that was typed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from refine.ui.cli.opening import opened

if TYPE_CHECKING:
    import refine


def complete_trees(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the trees in the store."""
    store = _store(ctx)
    if store is None:
        return []
    from refine.store.store import Store

    with _quiet():
        database = Store(store)
        try:
            return [name for name in database.trees() if name.startswith(incomplete)]
        finally:
            database.close()
    return []


def complete_rounds(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids and tags of the tree's rounds, with what they are."""
    found: list[tuple[str, str]] = []
    with _quiet():
        for tree in _tree(ctx):
            for name, node_id in tree.tags.items():
                found.append((name, f"round {node_id}"))
            found += [(r.id, f"{r.n} configurations, {r.node.note or 'no note'}") for r in tree.rounds]
    return [pair for pair in found if pair[0].startswith(incomplete)]


def complete_parameters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the round's parameters, for ``name=value``."""
    found: list[str] = []
    with _quiet():
        for tree in _tree(ctx):
            found = [f"{name}=" for name in tree[_typed(ctx, "which", 3)].space]
    return [name for name in found if name.startswith(incomplete)]


def _store(ctx: typer.Context) -> str | None:
    """The store that was typed, if it exists: completing must make none."""
    store = _typed(ctx, "store", 2)
    if not store:
        return None
    if "://" not in store and not Path(store).is_file():
        return None
    return store


def _typed(ctx: typer.Context, name: str, place: int) -> str:
    """An argument that was typed. Behind an option without its value nothing has been parsed: then its place tells."""
    found = ctx.params.get(name)
    if isinstance(found, str):
        return found
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    words = line.split()
    return words[place] if len(words) > place and not words[place].startswith("-") else ""


def _tree(ctx: typer.Context) -> Iterator[refine.Tree]:
    store = _store(ctx)
    if store is not None:
        with opened(store, ctx.params.get("name")) as tree:
            yield tree


def _quiet() -> Any:
    """A completion that fails completes nothing."""
    import contextlib

    return contextlib.suppress(Exception)
