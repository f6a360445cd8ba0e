"""Names of rounds, as people type them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence

from refine.errors import NotFoundError, StoreError, closest, unstorable
from refine.utils.action import Action, Symbol

# Words for the newest round and for the first round of a tree.
LAST = "last"
ROOT = "root"

_PATH = re.compile(r"[1-9]\d*(\.[1-9]\d*)*")
# Number of candidates in an error.
_SHOWN = 12

# Id of each round, oldest first -> id of its parent; ``None`` for a root.
Parents = Mapping[str, str | None]


def paths_of(parents: Parents) -> dict[str, str]:
    """Id of every round -> its path: ``"1"`` is the first root, ``"1.2"`` the second child of ``"1"``."""
    paths: dict[str, str] = {}
    below = Counter[str]()  # path -> number of its children so far
    for key, parent in parents.items():
        above = paths.get(parent or "", "")
        below[above] += 1
        paths[key] = f"{above}.{below[above]}".removeprefix(".")
    return paths


def names_of(parents: Parents, tags: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Names of rounds by id: the first tag, else the path."""
    paths = paths_of(parents)
    return {key: next(iter(tags.get(key, ())), path) for key, path in paths.items()}


def check_tag(tag: object, ids: Container[str]) -> None:
    """Raises StoreError if a text cannot name a round of a tree with these round ids."""
    if not isinstance(tag, str) or not tag.strip() or tag in ids:
        raise StoreError(
            f"a tag must be a non-empty string that is not a round id, got {tag!r}; for example",
            Action("tree.tag", Symbol("round"), "paper"),
        )
    if bad := unstorable(tag):
        raise StoreError(f"a tag {bad}")
    if tag in (LAST, ROOT) or _PATH.fullmatch(tag) is not None:
        raise StoreError(
            "a tag must not be 'last', 'root' or a path such as '1.2', which already name rounds, got "
            f"{tag!r}; for example",
            Action("tree.tag", Symbol("round"), f"v{tag}"),
        )


def round_named(key: str, parents: Parents, tags: Mapping[str, str], tree: str) -> str:
    """Id of the round that somebody means.

    A name that could mean several things is the first of these: a tag, an id, ``last``, ``root``, a path,
    the beginning of an id.

    Args:
        key: What was typed.
        parents: The tree's rounds.
        tags: Tag -> id.
        tree: Name of the tree, for errors.

    Raises:
        NotFoundError: No round is called so, or several are.
    """
    if key in tags:
        return tags[key]
    candidates = _meant(key, parents)
    if len(candidates) == 1:
        return candidates[0]
    paths = paths_of(parents)
    if candidates:
        raise NotFoundError(
            f"round {key!r} is ambiguous: {_listed([f'{id_} ({paths[id_]})' for id_ in candidates])}; name "
            "one of them"
        )
    close = closest(key, [*tags, *parents, *((LAST, ROOT) if parents else ())])
    listed = [*tags, *(f"{paths[id_]} ({id_})" for id_ in reversed(list(parents)))]
    if close:
        hint = f"did you mean {close!r}?"
    else:
        hint = f"known: {_listed(listed) if listed else 'none'}"
    raise NotFoundError(f"no round or tag {key!r} in tree {tree!r}; {hint}")


def _meant(key: str, parents: Parents) -> list[str]:
    if key in parents:
        return [key]
    if key == LAST:
        return list(parents)[-1:]
    if key == ROOT:
        return [id_ for id_, parent in parents.items() if parent not in parents]
    if _PATH.fullmatch(key) and (by_path := [id_ for id_, path in paths_of(parents).items() if path == key]):
        return by_path
    return [id_ for id_ in parents if key and id_.startswith(key)]


def _listed(names: list[str]) -> str:
    hidden = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {hidden:,} more" if hidden > 0 else "")
