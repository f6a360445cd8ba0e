"""A tree as plain text in a folder, for git: ``tree.json`` and a folder per round, in a stable order.

Reading executes nothing: import paths stay texts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from refine.errors import DesignError, NotFoundError, StoreError, first_line
from refine.store.engine import LONGEST, check_folder
from refine.store.import_buffer import kept
from refine.store.load import load_rounds
from refine.store.rows import (
    NODE_FIELDS,
    NODE_TABLES,
    NodeBundle,
    ReiterableQuery,
    Row,
    from_plain,
    parts_of,
    to_plain,
)
from refine.store.schema import SCHEMA_VERSION, known_version
from refine.store.store import Store
from refine.store.validity import BROKEN, said
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.trials.budget import Budget, checked_budget
from refine.trials.stored_answer import StoredAnswer
from refine.utils.action import Action, Symbol
from refine.utils.files import made_folder, possible_path, write_whole
from refine.utils.provided import provided
from refine.utils.spreadsheet import escaped_table

T = TypeVar("T", bound=TreeRecord)

# Version of the folder's layout.
FORMAT = 1

# Trials of a tree up to which the reports of an export read each round once.
_SHARED = 50_000

# Tables in ``node.json`` -> their names there; other tables have their own files.
_INSIDE = {"plan": "plan", "environments": "run", "tags": "tag", "decisions": "decision"}

_ID = re.compile(r"[0-9a-f]{12}")


def export(self: TreeRecord, folder: str | os.PathLike[str], *, reports: bool = True) -> Path:
    """Writes every round as plain text for git; a repeated export changes no byte.

    The folder of a round holds ``node.json`` (content and decisions), ``trials.csv`` (table of trials),
    ``trial.jsonl`` and further files (one JSON line per stored row), and a report.

    Args:
        folder: Created if missing.
        reports: Whether to write a report per round, with memory in proportion to the trials; the other files
            are written some thousand trials at a time.

    Returns:
        The folder.

    Raises:
        StoreError: A file or a link stands in the way, or the folder cannot be written. Existing files are
            replaced whole or stay unchanged.

    Examples:
        >>> folder = tree.export("study", reports=False)
        >>> [round.n for round in refine.Tree.load(folder, store="copy.db").rounds]
        [30]
    """
    target = check_folder(folder)
    context = self._context
    trials = sum(sum(states.values()) for states in context.counts.values())
    # Reports share the trials in memory, unless these are too many.
    if reports and trials <= _SHARED:
        shared = context.at_once()
    else:
        shared = context
    rounds = []
    for part in parts_of(context.store, context.tree):
        home = write_part(target, part)
        write_whole(home / "trials.csv", _csv(Round._of(context, part.node)))
        if reports:
            provided("round.report")(Round._of(shared, part.node), home, None, False, by_id=True)
        rounds.append(part.id)
    made_folder(target)
    answers = context.store.answers(context.tree)
    write_index(target, context.name, rounds, self._budget.limit, answers)
    return target


def loaded(
    make: Callable[[str, str | os.PathLike[str]], T],
    folder: str | os.PathLike[str],
    store: str | os.PathLike[str],
    name: str | None,
) -> T:
    """Reads an exported tree into one that ``make`` opens: see :meth:`refine.Tree.load`."""
    title, parts, budget, answers = read_folder(possible_path(folder, "folder", "study"))
    if name is not None:
        title = name
    with kept(parts) as sound:  # checks everything before creating a tree
        new = True  # no tree of this name in the store, or an empty one
        with contextlib.suppress(NotFoundError), contextlib.closing(Store(store, create=False)) as database:
            new = not database.nodes(database.tree(title, create=False))
        tree = make(title, store)
        context = tree._context
        try:
            load_rounds(context.store, context.tree, sound, "" if new else title)
            context.store.add_answers(context.tree, answers)
            if budget is not None and context.budget.limit is None:
                context.store.set_budget(context.tree, budget)
        except BaseException:
            context.store.close()
            raise
    return tree


def _csv(round_: Round) -> Iterator[str]:
    """The table of a round's trials as it is written, some thousand rows at a time."""
    head = True
    for table in round_._tables():
        yield escaped_table(table).to_csv(index=False, header=head, lineterminator="\n")
        head = False
    if head:  # no trial has ended
        yield escaped_table(round_.trials).to_csv(index=False, lineterminator="\n")


# A round's files.


def write_part(folder: Path, part: NodeBundle) -> Path:
    """Writes one round's files.

    Returns:
        The round's folder.

    Raises:
        StoreError: Something there is a link, which would be written through.
    """
    home = folder / part.id
    for place in (home, *(home.rglob("*") if home.is_dir() else ())):
        if place.is_symlink():
            raise StoreError(f"export: {place} must not be a link, which leads out of the folder; remove it")
    made_folder(home)
    row = to_plain("node", part.row)
    content = row.pop("content")
    inside = {title: [to_plain(n, r) for r in part.rows.get(n, ())] for title, n in _INSIDE.items()}
    data = {
        "id": row.pop("id"),
        "identity": content,
        **row,
        "n": max((r["n"] for r in inside["plan"]), default=0),
        **inside,
    }
    _write(home / "node.json", [json.dumps(data, indent=1, allow_nan=False)])
    for name, rows in part.rows.items():
        if name not in _INSIDE.values():
            lines = (json.dumps(to_plain(name, r), separators=(",", ":"), allow_nan=False) for r in rows)
            if (first := next(lines, None)) is not None:
                _write(home / f"{name}.jsonl", chain([first], lines))
    return home


def write_index(
    folder: Path,
    name: str,
    rounds: Iterable[str],
    budget: Budget,
    answers: Sequence[StoredAnswer],
) -> None:
    """Writes ``tree.json``, last: a folder without it was not finished."""
    path = folder / "tree.json"
    if path.is_symlink():
        raise StoreError(f"export: {path} must not be a link, which leads out of the folder; remove it")
    content = {"format": FORMAT, "schema": SCHEMA_VERSION, "name": name, "rounds": list(rounds)}
    if answers:
        content["questions"] = [answer.to_json() for answer in answers]
    if budget is not None:
        content["budget"] = budget
    _write(path, [json.dumps(content, indent=1)])


def _write(path: Path, lines: Iterable[str]) -> None:
    write_whole(path, (f"{line}\n" for line in lines))


def read_folder(folder: Path) -> tuple[str, Iterator[NodeBundle], Budget, list[StoredAnswer]]:
    """Reads an exported folder: name of the tree, its rounds lazily with parents first, budget and answers.

    Folders of older versions hold no answers.

    Raises:
        StoreError: There is no such folder, it is damaged, of a version that this refine does not know, or
            leads out of itself.
    """
    index = folder / "tree.json"
    if not index.is_file():
        text = f"{folder} is not an exported tree (tree.json is missing); "
        if folder.is_file():
            raise StoreError(f"{text}to open a store use", Action("refine.Tree", Symbol("name"), store=...))
        raise StoreError(f"{text}to write one use", Action("tree.export", Symbol("folder")))
    head = _json_file(index, folder)
    if not isinstance(head, dict) or not isinstance(head.get("format"), int):
        raise StoreError(f"{index}: must be an object with a format, as tree.export writes it")
    for field, newest in (("format", FORMAT), ("schema", SCHEMA_VERSION)):
        known_version(head.get(field), newest, f"{index}: its {field}", "export the tree again")
    name = head.get("name")
    rounds = head.get("rounds")
    if not isinstance(name, str) or not name.strip() or "\x00" in name:
        raise StoreError(f"{index}: name must be a text that is not empty, got {str(name)[:40]!r}")
    if not isinstance(rounds, list):
        raise StoreError(f"{index}: rounds must be a list of ids, got {type(rounds).__name__}")
    try:
        budget = checked_budget(head.get("budget"))
    except DesignError as error:
        raise StoreError(f"{index}: {error}") from None
    try:
        answers = [StoredAnswer.from_json(content) for content in head.get("questions", [])]
    except BROKEN as error:
        raise StoreError(f"{index}: questions must be as tree.export writes them: {said(error)}") from None
    return name, _parts(folder, index, rounds), budget, answers


def _parts(folder: Path, index: Path, rounds: list[Any]) -> Iterator[NodeBundle]:
    keys: set[str] = set()
    tags: set[str] = set()
    for key in rounds:
        if not isinstance(key, str) or not _ID.fullmatch(key):
            raise StoreError(f"{index}: a round is named by 12 hexadecimal digits, got {str(key)[:60]!r}")
        if key in keys:
            raise StoreError(f"{index}: round {key} stands there twice")
        part = _read_part(folder, key)
        parent = part.node.parent
        if parent is not None and parent not in keys:
            raise StoreError(f"{index}: the parent of round {key}, {parent}, must stand before it")
        for tag in part.rows.get("tag", []):
            if tag["name"] in tags:
                raise StoreError(f"{folder}: the tag {tag['name']!r} stands at two rounds; remove one")
            tags.add(tag["name"])
        keys.add(key)
        yield part


def _read_part(folder: Path, key: str) -> NodeBundle:
    path = folder / key / "node.json"
    data = _json_file(path, folder)
    if not isinstance(data, dict) or "identity" not in data or data.get("id") != key:
        raise StoreError(
            f"{path}: must be the object of round {key}, with its identity; the folder is damaged"
        )
    fields = NODE_FIELDS - {"content"}
    if unknown := sorted(set(data) - fields - set(_INSIDE) - {"identity", "n"}):
        raise StoreError(f"{path}: unknown field {unknown[0]!r}; the folder is damaged or of a newer refine")
    row = from_plain(
        "node", {"content": data["identity"], **{k: v for k, v in data.items() if k in fields}}, str(path)
    )
    rows: dict[str, Iterable[Row]] = {}
    for table in NODE_TABLES:
        if table not in _INSIDE.values():
            rows[table] = ReiterableQuery(partial(_lines, folder, key, table))
    for title, table in _INSIDE.items():
        entries = data.get(title) or []
        if not isinstance(entries, list):
            raise StoreError(f"{path}: {table} must be a list, got {type(entries).__name__}")
        rows[table] = [from_plain(table, r, f"{path}: {table} {i + 1}") for i, r in enumerate(entries)]
    if not rows["plan"] or any(r["n"] < 1 for r in rows["plan"]):
        raise StoreError(f"{path}: a round plans at least one configuration, got {rows['plan']}")
    return NodeBundle(row, rows)


def _lines(folder: Path, key: str, table: str) -> Iterator[Row]:
    path = folder / key / f"{table}.jsonl"
    if not path.exists() and not path.is_symlink():
        return
    _inside(path, folder)
    with path.open("rb") as file:
        for number, line in enumerate(iter(partial(file.readline, LONGEST + 1), b""), 1):
            place = f"{path}: line {number}"
            if len(line) > LONGEST:
                raise StoreError(f"{place}: holds more than {LONGEST:,} bytes; the folder is damaged")
            yield from_plain(table, _json(line, place), place)


def _inside(path: Path, folder: Path) -> None:
    """Refuses links that leave the folder, and entries that are no files: reading a pipe would never end."""
    try:
        out = not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        out = True
    if out:
        raise StoreError(f"{path}: leads out of the folder; an exported tree holds no links")
    if (path.exists() or path.is_symlink()) and not path.is_file():
        raise StoreError(f"{path}: is not a file; the folder is damaged")


def _json_file(path: Path, folder: Path) -> Any:
    _inside(path, folder)
    if not path.is_file():
        raise StoreError(f"{path}: is missing; the folder is damaged")
    if path.stat().st_size > LONGEST:
        raise StoreError(f"{path}: holds more than {LONGEST:,} bytes; the folder is damaged")
    return _json(path.read_bytes(), path)


def _json(data: bytes, place: Path | str) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            reason = first_line(error)
        else:
            reason = type(error).__name__
        raise StoreError(f"{place}: is not JSON: {reason}; the folder is damaged") from None


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
