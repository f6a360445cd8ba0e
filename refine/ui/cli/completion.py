"""What the shell completes: names of trees, rounds and parameters, glanced at in the SQLite file that was typed.

Somebody waits with a finger on the key, so nothing is loaded for it; a completion that fails completes nothing.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from refine.store.completion import Glance


def complete_trees(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the trees in the store."""
    from refine.store.completion import trees_in

    with suppress(Exception):
        return [name for name in trees_in(_file(ctx)) if name.startswith(incomplete)]
    return []


def complete_rounds(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of the tree's rounds, with what they are: an id only where one was begun, since there are shorter ones."""
    from refine.tree.names import LAST, ROOT, paths_of

    names: list[tuple[str, str]] = []
    with suppress(Exception):
        tree = _glance(ctx)
        roots = [id_ for id_, parent in tree.parents.items() if parent not in tree.parents]
        names = [(name, f"round {id_}") for name, id_ in tree.tags.items()]
        names += [(LAST, f"round {list(tree.parents)[-1]}")]
        names += [(ROOT, f"round {roots[0]}")] if len(roots) == 1 else []
        for id_, path in paths_of(tree.parents).items():
            note = tree.notes[id_] or "no note"
            names += [(path, f"round {id_}, {note}")] + ([(id_, note)] if incomplete else [])
    return [pair for pair in names if pair[0].startswith(incomplete)]


def complete_parameters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the round's parameters, for ``name=value``."""
    from refine.tree.names import round_named

    with suppress(Exception):
        tree = _glance(ctx)
        names = tree.parameters[round_named(_typed(ctx, "which", 3), tree.parents, tree.tags, "")]
        return [f"{name}=" for name in names if name.startswith(incomplete)]
    return []


def _file(ctx: typer.Context) -> Path:
    from refine.store.completion import file_of

    if (file := file_of(_typed(ctx, "store", 2))) is None:
        raise FileNotFoundError
    return file


def _glance(ctx: typer.Context) -> Glance:
    """What the tree that was typed is made of, or the only one."""
    from refine.store.completion import glance_at, trees_in

    file, name = _file(ctx), ctx.params.get("name")
    if name is None:
        (name,) = trees_in(file)
    return glance_at(file, name)


def _typed(ctx: typer.Context, name: str, place: int) -> str:
    """An argument that was typed. Behind an option without its value nothing has been parsed: then its place tells."""
    value = ctx.params.get(name)
    if isinstance(value, str):
        return value
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    try:
        words = shlex.split(typed)
    except ValueError:  # a quote that is not closed yet
        words = typed.split()
    return words[place] if len(words) > place and not words[place].startswith("-") else ""
