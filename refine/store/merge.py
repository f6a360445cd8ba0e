"""Union of two trees by key, in one transaction.

Rows of this tree never change, except for the numbers of attempts. If both trees have run a trial with
unequal outcomes, all outcomes become attempts: those with a value last, later ones after earlier ones. So the
counting outcome does not depend on the direction of the merge.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from refine.errors import StoreError, first_line
from refine.space.encoding import dumps
from refine.store.engine import inserted, lasting
from refine.store.rows import NodeBundle, Row, blocks, identity_of, sound_rows
from refine.store.schema import hanging_on, link, own_columns, t
from refine.store.store import Store
from refine.store.validity import unpacked
from refine.trials.round_record import BASELINE
from refine.utils.display import Shown
from refine.utils.format import plural, score

_WITH_NODE = {
    # These are written with the node; only the cells outside its design may grow later.
    "inherited": "what its ancestors had run when it was made",
    "target": "what is right for the validation examples",
}


class Unequal(NamedTuple):
    """A trial that two trees have run with unequal outcomes; both are kept as attempts."""

    round: str  # id of the round
    key: str  # hash of the configuration
    replicate: int  # number of the replicate
    ours: str  # content in this tree, in words
    theirs: str  # content in the other tree
    counts: str  # the one that counts now: ``"ours"`` or ``"theirs"``

    def __str__(self) -> str:
        if self.replicate:
            replicate_text = f", replicate {self.replicate}"
        else:
            replicate_text = ""
        return (
            f"round {self.round}, configuration {self.key}{replicate_text}: ours {self.ours}, theirs "
            f"{self.theirs}; {self.counts} counts now"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Merged(Shown):
    """The result of a merge.

    Attributes:
        rounds: Ids of the new rounds.
        trials: Number of new trials, without the unequal ones.
        unequal: Trials that both trees had run with unequal outcomes.
        kept: Other differences, in words; rows of this tree were kept.
        dry_run: Whether the merge was only tried, and nothing was written.
    """

    rounds: tuple[str, ...]
    trials: int
    unequal: tuple[Unequal, ...]
    kept: tuple[str, ...]
    dry_run: bool = False


def merge_into(
    store: Store, tree: int, theirs: Sequence[NodeBundle], strict: str = "", *, dry_run: bool = False
) -> Merged:
    """Adds the rounds of another tree to a tree.

    Args:
        store: The store of the tree.
        tree: Row of the tree.
        theirs: Rounds of the other tree, checked by :func:`refine.store.import_buffer.kept`, parents before
            children.
        strict: Beginning of an error: with it, a difference is an error, and nothing is written. Empty to
            allow differences.
        dry_run: Whether the transaction is undone at the end; rounds may then be running.

    Raises:
        StoreError: A difference, with ``strict``; or the store refuses.
        RoundBusyError: A round that both trees have is being run.
    """
    tries: list[Merged] = []

    def once() -> Merged:
        _merged(store, tree, theirs, strict, dry_run, tries)
        # An unconfirmed commit may have arrived at the server: the earlier try then brought the data.
        return max(tries, key=lambda merged: (len(merged.rounds), merged.trials, len(merged.unequal)))

    try:
        with suppress(sa.exc.IntegrityError):
            return lasting(store.engine, once)
        # Another process wrote some of the data in the meantime: now it is there.
        tries.clear()
        return lasting(store.engine, once)
    except sa.exc.SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", None) or error)
        raise StoreError(f"store {store.name}: can't be merged into: {reason}") from None


def _merged(
    store: Store, tree: int, theirs: Sequence[NodeBundle], strict: str, dry_run: bool, tries: list[Merged]
) -> None:
    node_rows = {i: s.pk for i, s in store.nodes(tree).items()}
    other_nodes = sorted(set(node_rows) - {p.id for p in theirs})
    if strict and other_nodes:
        raise StoreError(
            f"{strict}; it holds {plural(len(other_nodes), 'other round')}, such as {other_nodes[0]}"
        )
    with ExitStack() as stack:
        for part in theirs:
            if part.id in node_rows and not dry_run:
                stack.enter_context(store.lease(node_rows[part.id], f"round {part.id}"))
        with store.engine.connect() as connection, connection.begin() as transaction:
            union = _Union(connection, tree, node_rows)
            for part in theirs:
                if part.id in node_rows:
                    union.meet(part)
                else:
                    union.add(part)
            merged = Merged(
                tuple(union.rounds), union.trials, tuple(union.unequal), tuple(union.kept), dry_run
            )
            if strict and (merged.unequal or merged.kept):
                first = next(iter([*map(str, merged.unequal), *merged.kept]))
                raise StoreError(
                    f"{strict}, but {len(merged.unequal) + len(merged.kept)} differ; first: {first}"
                )
            if dry_run:
                transaction.rollback()
            tries.append(merged)


class _Union:
    """One merge, inside its transaction."""

    def __init__(self, connection: sa.Connection, tree: int, pks: dict[str, int]) -> None:
        self.connection = connection
        self.tree = tree
        self.pks = dict(pks)
        self.rounds: list[str] = []
        self.trials = 0
        self.unequal: list[Unequal] = []
        self.kept: list[str] = []

    def add(self, part: NodeBundle) -> None:
        """Adds a round that this tree lacks."""
        parent = part.node.parent
        if parent is not None and parent not in self.pks:
            raise StoreError(f"round {part.id}: its parent {parent} is in neither tree; merge the whole tree")
        row = {**part.row, "tree": self.tree}
        pk = inserted(self.connection, t.node, row)
        self.pks[part.id] = pk
        for table in hanging_on(t.node):
            for rows in blocks(part.rows.get(table.name, ())):
                self.insert(table, t.node, pk, self.free_tags(part.id, rows) if table is t.tag else rows)
                self.trials += len(rows) if table is t.trial else 0
        self.rounds.append(part.id)

    def meet(self, part: NodeBundle) -> None:
        """Merges a round that both trees have."""
        pk = self.pks[part.id]
        ours = self.connection.execute(sa.select(t.node).where(t.node.c.pk == pk)).mappings().one()
        for name in (
            c.name for c in own_columns(t.node) if c.name not in ("id", "content", "author", "created")
        ):
            if ours[name] != (theirs := part.row.get(name)):
                self.kept.append(f"round {part.id}: {name} is {ours[name]!r} here, {theirs!r} there")
        targets = _targets(self.ours(t.target, pk))
        comparable = targets in ([], _targets(part.rows.get("target", ())))
        for table in hanging_on(t.node):
            rows = part.rows.get(table.name, ())
            if table is t.trial:
                self.meet_trials(part.id, pk, rows, comparable)
            elif table is t.mark:
                continue  # later, when their trials have numbers
            elif table is t.tag:
                self.insert(table, t.node, pk, self.free_tags(part.id, list(rows)))
            elif table is t.cell_plan:
                self.meet_plans(part.id, pk, list(self.ours(table, pk)), list(rows))
            elif table is t.target and not targets:
                self.insert(table, t.node, pk, list(rows))
            elif table.name in _WITH_NODE:
                equal = _unordered(self.ours(table, pk)) == _unordered(rows)
                if not (equal if table is t.inherited else comparable or not _targets(rows)):
                    self.kept.append(f"round {part.id}: {_WITH_NODE[table.name]} differs; ours was kept")
            else:
                self.meet_rows(part.id, table, pk, list(self.ours(table, pk)), list(rows))
        marks = self.placed(pk, list(part.rows.get("mark", ())), part.rows.get("trial", ()))
        self.meet_rows(part.id, t.mark, pk, list(self.ours(t.mark, pk)), marks)

    def ours(self, table: sa.Table, pk: int) -> Iterable[Row]:
        """Rows of this tree in a table whose rows belong to a node."""
        return (row for _, row in sound_rows(self.connection, table, pk))

    def meet_rows(self, node: str, table: sa.Table, pk: int, ours: list[Row], theirs: list[Row]) -> None:
        names = identity_of(table)
        by_key = {_key(row, names): row for row in ours}
        inner = hanging_on(table)
        plain = [c.name for c in own_columns(table) if c.name not in ("created", *names)]
        for row in theirs:
            counterpart = by_key.get(_key(row, names))
            if counterpart is None:
                by_key[_key(row, names)] = row
                self.insert(table, t.node, pk, [row])
                continue
            for name in plain:
                # The content of a decision also holds its note and author.
                if counterpart[name] != row[name]:
                    self.kept.append(
                        f"round {node}: {table.name} {' '.join(map(str, _key(counterpart, names)))[:60]}: "
                        f"{name} differs; ours was kept"
                    )
            for below in inner:
                self.meet_inner(
                    node, table, pk=pk, below=below, counterpart=counterpart, row=row, names=names
                )

    def meet_plans(self, node: str, pk: int, ours: list[Row], theirs: list[Row]) -> None:
        """Merges the extra configurations of a round, drawn or given by a person.

        Both kinds may have grown.
        """

        def drawn(rows: list[Row]) -> list[tuple[str, str]]:
            rows_drawn = sorted(
                (r for r in rows if r["origin"] not in ("given", BASELINE)), key=lambda r: r["position"]
            )
            return [(row["origin"], row["configuration"]) for row in rows_drawn]

        drawn_here = drawn(ours)
        drawn_there = drawn(theirs)
        later = drawn_there[len(drawn_here) :]
        if drawn_here[: len(drawn_there)] != drawn_there[: len(drawn_here)]:
            self.kept.append(
                f"round {node}: its configurations from outside the design differ; this tree's were kept"
            )
            later = []
        counts = Counter(row["configuration"] for row in ours)
        last = max((row["position"] for row in ours), default=-1)
        new = [
            {"position": position, "origin": o, "configuration": c}
            for position, (o, c) in enumerate(later, last + 1)
        ]
        self.insert(t.cell_plan, t.node, pk, new)
        last += len(new)
        for row in theirs:
            if row["origin"] not in ("given", BASELINE):
                continue
            if counts[row["configuration"]] > 0:
                counts[row["configuration"]] -= 1
                continue
            last += 1
            # Of two baselines, the one of this tree stays the baseline.
            named = any(drawn_here["origin"] == BASELINE for drawn_here in ours)
            if named and row["configuration"] not in counts:
                origin = "given"
            else:
                origin = row["origin"]
            self.insert(t.cell_plan, t.node, pk, [{**row, "position": last, "origin": origin}])

    def meet_inner(
        self,
        node: str,
        table: sa.Table,
        pk: int,
        below: sa.Table,
        counterpart: Row,
        row: Row,
        names: list[str],
    ) -> None:
        """Merges rows nested in a row of both trees, for example the results of an opened hold-out."""
        missing = []
        keys = identity_of(below)
        by_key = {_key(r, keys): r for r in counterpart.get(below.name, [])}
        for inner_row in row.get(below.name, []):
            old = by_key.get(_key(inner_row, keys))
            if old is None:
                missing.append(inner_row)
            elif (old.get("state"), old.get("metrics")) != (inner_row.get("state"), inner_row.get("metrics")):
                self.kept.append(
                    f"round {node}: {below.name} {' '.join(map(str, _key(inner_row, keys)))[:60]} differs; "
                    "ours was kept"
                )
        if missing:
            conditions = [link(table, t.node) == pk, *(table.c[n] == counterpart[n] for n in names)]
            owner = self.connection.execute(sa.select(table.c.pk).where(*conditions)).scalar_one()
            self.insert(below, table, int(owner), missing)

    def free_tags(self, node: str, rows: list[Row]) -> list[Row]:
        """Tags not used by this tree; a used tag keeps its round."""
        c = t.tag.c
        query = sa.select(c.name, t.node.c.id).join(t.node, t.node.c.pk == c.node).where(c.tree == self.tree)
        used = {row[0]: row[1] for row in self.connection.execute(query)}
        for row in rows:
            owner = used.get(row["name"], node)
            if owner != node:
                self.kept.append(
                    f"tag {row['name']!r} is at round {owner} here, at {node} there; ours was kept"
                )
        return [{**row, "tree": self.tree} for row in rows if row["name"] not in used]

    def meet_trials(self, node: str, pk: int, theirs: Iterable[Row], comparable: bool) -> None:
        """Merges trials of a round of both trees: new trials first, then trials with unequal outcomes."""
        c = t.trial.c
        last = self.connection.execute(sa.select(sa.func.max(c.pk)).where(c.node == pk)).scalar() or 0
        unequal: dict[tuple[str, int], Unequal] = {}
        for clashing in (False, True):
            for block in blocks(theirs):
                rows = [r for r in block if not clashing or (r["key"], r["replicate"]) in unequal]
                if not comparable:
                    # Predictions for other examples would be read as predictions for the examples of this
                    # tree.
                    rows = [{k: v for k, v in r.items() if k != "prediction"} for r in rows]
                groups = self.groups(pk, rows)
                new_rows: list[Row] = []
                clashes: dict[tuple[str, int], list[Row]] = {}
                for row in rows:
                    key = (row["key"], row["replicate"])
                    stored_rows = groups.get(key, [])
                    if not any(number <= last for number, _ in stored_rows):
                        new_rows.append(row)
                    elif not any(
                        _same(row, other) for other in [*(r for _, r in stored_rows), *clashes.get(key, ())]
                    ):
                        clashes.setdefault(key, []).append(row)
                if clashing:
                    for key, some in clashes.items():
                        first_seen = unequal[key]
                        latest = self.clash(node, pk, last, groups[key], some)
                        unequal[key] = latest._replace(ours=first_seen.ours or latest.ours)
                else:
                    self.insert(t.trial, t.node, pk, new_rows)
                    self.trials += len(new_rows)
                    unequal |= dict.fromkeys(clashes, Unequal(node, "", 0, "", "", ""))
            if not unequal:
                return
        self.unequal += unequal.values()

    def placed(self, pk: int, marks: list[Row], trials: Iterable[Row]) -> list[Row]:
        """Notes of the other tree about trials, with the attempt numbers of this tree."""
        if not marks:
            return []
        keys = {mark["key"] for mark in marks}
        numbers = dict[tuple[str, int], int]()
        for rows in blocks(row for row in trials if row["key"] in keys and not row["replicate"]):
            groups = self.groups(pk, rows)
            for row in rows:
                attempts = [
                    other["attempt"] for _, other in groups.get((row["key"], 0), []) if _same(row, other)
                ]
                if attempts and row["attempt"] not in attempts:
                    numbers[row["key"], row["attempt"]] = attempts[0]
        return [
            {**mark, "attempt": numbers.get((mark["key"], mark["attempt"]), mark["attempt"])}
            for mark in marks
        ]

    def groups(self, pk: int, rows: list[Row]) -> dict[tuple[str, int], list[tuple[int, Row]]]:
        """Stored trials with the same configurations and replicates, with their row numbers."""
        grouped: dict[tuple[str, int], list[tuple[int, Row]]] = {}
        keys = sorted({row["key"] for row in rows})
        for number, row in list(sound_rows(self.connection, t.trial, pk, t.trial.c.key.in_(keys))):
            grouped.setdefault((row["key"], row["replicate"]), []).append((number, row))
        return grouped

    def clash(
        self, node: str, pk: int, last: int, stored_rows: list[tuple[int, Row]], theirs: list[Row]
    ) -> Unequal:
        """Numbers the attempts of a trial again: those without a value first, each kind by time."""
        ranked = sorted([*stored_rows, *((0, row) for row in theirs)], key=lambda pair: _rank(pair[1]))
        c = t.trial.c
        key = theirs[0]["key"]
        replicate = theirs[0]["replicate"]
        of_trial = (c.node == pk, c.key == key, c.replicate == replicate)
        # Numbers must differ at every moment, so negative numbers come first.
        self.connection.execute(t.trial.update().where(*of_trial).values(attempt=-1 - c.attempt))
        for attempt, (number, row) in enumerate(ranked):
            if number:
                place = t.trial.update().where(*of_trial, c.attempt == -1 - row["attempt"])
                self.connection.execute(place.values(attempt=attempt))
            else:
                self.insert(t.trial, t.node, pk, [{**row, "attempt": attempt}])
        if moved := {row["attempt"]: i for i, (number, row) in enumerate(ranked) if number and not replicate}:
            m = t.mark.c
            noted = t.mark.update().where(m.node == pk, m.key == key, m.attempt.in_(list(moved)))
            self.connection.execute(noted.values(attempt=sa.case(moved, value=m.attempt)))
        best_here = max((row for n, row in stored_rows if n <= last), key=lambda row: row["attempt"])
        more_rows = [*(row for n, row in stored_rows if n > last), *theirs]
        if 0 < ranked[-1][0] <= last:
            counts = "ours"
        else:
            counts = "theirs"
        return Unequal(node, key, replicate, _said(best_here), _said(max(more_rows, key=_rank)), counts)

    def insert(self, table: sa.Table, owner: sa.Table, pk: int, rows: list[Row]) -> None:
        """Inserts rows with their nested rows."""
        if not rows:
            return
        inner = hanging_on(table)
        names = [*(c.name for c in own_columns(table)), *(("tree",) if table is t.tag else ())]
        values = [{**{n: row[n] for n in names if n in row}, link(table, owner).name: pk} for row in rows]
        if not inner or not any(other.name in row for row in rows for other in inner):
            self.connection.execute(table.insert(), values)
            return
        returning = table.insert().returning(table.c.pk, sort_by_parameter_order=True)
        pks = [int(i) for i in self.connection.execute(returning, values).scalars()]
        for other in inner:
            column = link(other, table).name
            below = [
                {**nested_row, column: row_pk}
                for row, row_pk in zip(rows, pks, strict=True)
                for nested_row in row.get(other.name, [])
            ]
            if below:
                self.connection.execute(other.insert(), below)


def _key(row: Row, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(row[n] for n in names)


def _unordered(rows: Iterable[Row]) -> tuple[int, int]:
    """The number of rows and the sum of their digests: equal for equal rows in any order."""
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(repr(sorted(row.items())).encode()).digest())
    return count, total


def _targets(rows: Iterable[Row]) -> list[bytes]:
    """Targets of the validation examples, unpacked, since packing differs between versions of zlib."""
    return [unpacked(row["data"]) for row in rows]


def _rank(row: Row) -> tuple[bool, float, str]:
    return row["state"] == "complete", row["finished"], dumps([row["state"], row["metrics"], row["seed"]])


def _same(a: Row, b: Row) -> bool:
    """True if two runs of a trial have equal states, metrics and curves; their durations may differ."""
    alike = all(a[name] == b[name] for name in ("state", "metrics")) and a.get("curve") == b.get("curve")
    return alike or _outcome(a) == _outcome(b)


def _outcome(row: Row) -> str:
    curve = [json.loads(unpacked(curve_row["data"])) for curve_row in row.get("curve", [])]
    return repr(
        (row["state"], sorted(json.loads(row["metrics"]).items()), [sorted(c.items()) for c in curve])
    )


def _said(row: Row) -> str:
    metrics = json.loads(row["metrics"])
    shown = [f"{n} {score(v) if math.isfinite(v) else v}" for n, v in list(metrics.items())[:3]]
    if shown:
        return f"{row['state']} ({', '.join(shown)})"
    return str(row["state"])
