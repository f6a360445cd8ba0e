"""What is left to run of a round: its plan less what has ended, and stored trials once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from refine.design.space_filling import design_named, draw, how_many
from refine.errors import DesignError
from refine.run.outcome import Task
from refine.space.encoding import encode, freeze
from refine.space.space import Indices, configuration_key, encode_configuration
from refine.store.reader import Reader
from refine.trials.frame import Records
from refine.trials.round_record import Beside, Node, StoredNode

# Plans the next exploit trials of a round, from all that is known by now; none where all have been chosen.
Learn = Callable[[], Sequence[Beside]]


def beside_task(node: Node, each: Beside, replicate: int = 0, attempt: int = 0) -> Task:
    """A run of a configuration beside the design's."""
    seed = node.trial_seed(each.key, replicate)
    return Task(each.key, each.configuration, None, replicate, attempt, each.origin, seed)


def stored_task(records: Records, i: int, **changes: Any) -> Task:
    """What a stored trial ran, with changes."""
    names = ("key", "cell", "replicate", "attempt", "origin", "seed")
    stored = {name: records.columns[name][i] for name in names}
    return Task(**{**stored, "configuration": records.configurations[i], **changes})


def attempts(records: Records, again: frozenset[str]) -> Callable[[str, int], int | None]:
    """Which attempt of a configuration's replicate is to be run; ``None`` where it has ended, in no state that runs again."""
    columns = (records.columns[name] for name in ("key", "replicate", "state", "attempt"))
    ended = {(key, r): (state, attempt) for key, r, state, attempt in zip(*columns, strict=True)}

    def attempt(key: str, replicate: int) -> int | None:
        state, last = ended.get((key, replicate), ("", -1))
        return last + 1 if not state or state in again else None

    return attempt


def plan(
    stored: StoredNode,
    inherited: frozenset[str],
    extra: Sequence[Beside],
    records: Records,
    again: frozenset[str] = frozenset(),
    learn: Learn = list,
) -> tuple[int, Iterator[Task]]:
    """What is left to run, less what has ended: what was given, under all its seeds; the design's first cells; the rest.

    ``extra`` are what it runs beside the design's cells; ``inherited`` are keys that ancestors had completed; ``records``
    hold replicates of what runs under several seeds; trials that ended in a state of ``again`` come again. At the end
    ``learn`` chooses more from what has ended by then, until it has no more. Returns how many tasks (1 where there is none),
    and the tasks, made when they are taken: a million of them would take gigabytes.
    """
    node, n = stored.node, stored.n
    attempt_of, space = attempts(records, again), node.space
    # Before anything runs, so that a design with too few cells is an error and not half a round.
    rows = design_rows(stored, inherited, extra)
    states = zip(records.columns["replicate"], records.columns["state"], strict=True)
    left = n - sum(state not in again for replicate, state in states if not replicate)
    left += sum(attempt_of(b.key, r) is not None for b in extra for r in range(1, b.seeds))

    def beside(given: bool) -> Iterator[Task]:
        for each in extra:
            for replicate in range(each.seeds) if (each.origin == "given") == given else ():
                if (attempt := attempt_of(each.key, replicate)) is not None:
                    yield beside_task(node, each, replicate, attempt)

    def tasks() -> Iterator[Task]:
        yield from beside(given=True)
        encoded = [[encode(v) for v in p.grid] for p in space.values()]
        for row in rows:
            if space.conditions:
                frozen = space.frozen(space.at(row))
            else:
                frozen = {name: freeze(p.grid[i]) for (name, p), i in zip(space.items(), row, strict=True)}
            key = configuration_key(frozen)
            if (attempt := attempt_of(key, 0)) is None:
                continue
            if space.conditions:
                configuration = encode_configuration(frozen)
            else:
                configuration = {
                    name: encoded[j][i] for j, (name, i) in enumerate(zip(space, row, strict=True))
                }
            cell, seed = str(space.number(row)), node.trial_seed(key, 0)
            yield Task(key, configuration, cell, 0, attempt, "space_filling", seed)
        yield from beside(given=False)
        while chosen := learn():
            yield from (beside_task(node, each) for each in chosen)

    return max(1, left), tasks()


def design_rows(
    stored: StoredNode, inherited: frozenset[str], extra: Sequence[Beside], n: int | None = None
) -> Indices | tuple[()]:
    """The first ``n`` cells that a round's design draws, default all that are planned, as level numbers.

    What a sampler asks for is not known beforehand, so none of it.
    """
    node = stored.node
    if n is None:
        n = 0 if node.adaptive else stored.n - stored.off_design(extra)
    skip = inherited | {b.key for b in extra}
    return draw(design_named(node.method), node.space, n, node.design_seed, skip) if n else ()


def planned_cells(reader: Reader, stored: StoredNode, n: int | None) -> list[int]:
    """Numbers of the first ``n`` cells of a round's design; default all that are planned evenly.

    Raises DesignError: more than exist.
    """
    space = stored.node.space
    if stored.node.adaptive:
        raise DesignError(
            f"round {stored.node.id}: design {stored.node.method!r} asks for one configuration after the other, so that "
            "no cells are planned; what it asked for is in round.trials"
        )
    extra = reader.beside(stored.pk)
    count = None if n is None else how_many(space, n, None)
    return [space.number(row) for row in design_rows(stored, reader.inherited(stored.pk), extra, count)]
