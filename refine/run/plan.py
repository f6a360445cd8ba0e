"""The remaining tasks of a round's plan, and tasks to repeat stored trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from refine.design.space_filling import design_named, draw, how_many
from refine.errors import DesignError
from refine.run.outcome import Task
from refine.space.encoding import encode, freeze
from refine.space.space import Indices, configuration_key, encode_configuration
from refine.store.reader import Reader
from refine.trials.frame import Records
from refine.trials.round_record import Beside, Node, StoredNode

# Chooses the next exploit trials of a round from the trials that have ended; empty if all have been chosen.
Learn = Callable[[], Sequence[Beside]]


def beside_task(node: Node, extra: Beside, replicate: int = 0, attempt: int = 0) -> Task:
    """A task for an extra configuration of a round, not drawn by its design."""
    seed = node.trial_seed(extra.key, replicate)
    return Task(
        extra.key,
        extra.configuration,
        cell=None,
        replicate=replicate,
        attempt=attempt,
        origin=extra.origin,
        seed=seed,
    )


def stored_task(records: Records, i: int, **changes: object) -> Task:
    """The task of a stored trial, with changes."""
    names = ("key", "cell", "replicate", "attempt", "origin", "seed")
    stored = {name: records.columns[name][i] for name in names}
    return Task(**{**stored, "configuration": records.configurations[i], **changes})


def attempts(records: Records, rerun: frozenset[str]) -> Callable[[str, int], int | None]:
    """A function from key and replicate to the number of the next attempt.

    The function returns None for an ended replicate, except in a state of ``rerun``.
    """
    columns = (records.columns[name] for name in ("key", "replicate", "state", "attempt"))
    ended = {
        (key, replicate): (state, attempt) for key, replicate, state, attempt in zip(*columns, strict=True)
    }

    def next_attempt(key: str, replicate: int) -> int | None:
        state, attempt = ended.get((key, replicate), ("", -1))
        if not state or state in rerun:
            return attempt + 1
        return None

    return next_attempt


def plan(
    stored: StoredNode,
    inherited: frozenset[str],
    extra: Sequence[Beside],
    records: Records,
    rerun: frozenset[str] = frozenset(),
    learn: Learn = list,
) -> tuple[int, Iterator[Task]]:
    """The remaining tasks of a round.

    First come configurations given by a person, under all their seeds, then the cells of the design, then the
    other extra configurations. At the end ``learn`` chooses more from the ended trials, until it returns an
    empty list.

    Args:
        stored: The round.
        inherited: Keys of configurations completed by ancestors.
        extra: Configurations of the round not drawn by its design.
        records: Ended trials, with replicates if some configurations run under several seeds.
        rerun: States whose trials run again.
        learn: Chooses exploit trials.

    Returns:
        The number of tasks (at least 1) and an iterator of tasks made on demand: a million tasks would take
        gigabytes.
    """
    node = stored.node
    space = node.space
    next_attempt = attempts(records, rerun)
    # Drawn before any trial runs, so that a design with too few cells is an error and not half a round.
    rows = design_rows(stored, inherited, extra)
    states = zip(records.columns["replicate"], records.columns["state"], strict=True)
    ended = sum(state not in rerun for replicate, state in states if not replicate)
    replicates = [(b.key, replicate) for b in extra for replicate in range(1, b.seeds)]
    to_repeat = sum(next_attempt(key, replicate) is not None for key, replicate in replicates)

    def extra_tasks(from_person: bool) -> Iterator[Task]:
        for configuration in extra:
            if (configuration.origin == "given") == from_person:
                for replicate in range(configuration.seeds):
                    attempt = next_attempt(configuration.key, replicate)
                    if attempt is not None:
                        yield beside_task(node, configuration, replicate, attempt)

    def tasks() -> Iterator[Task]:
        yield from extra_tasks(from_person=True)
        encoded = [[encode(v) for v in p.grid] for p in space.values()]
        for row in rows:
            if space.conditions:
                frozen = space.frozen_at(row)
            else:
                frozen = {name: freeze(p.grid[i]) for (name, p), i in zip(space.items(), row, strict=True)}
            key = configuration_key(frozen)
            attempt = next_attempt(key, 0)
            if attempt is None:
                continue
            if space.conditions:
                configuration = encode_configuration(frozen)
            else:
                configuration = {
                    name: encoded[j][i] for j, (name, i) in enumerate(zip(space, row, strict=True))
                }
            cell = str(space.number(row))
            seed = node.trial_seed(key, 0)
            yield Task(
                key, configuration, cell=cell, replicate=0, attempt=attempt, origin="space_filling", seed=seed
            )
        yield from extra_tasks(from_person=False)
        while chosen := learn():
            for exploit in chosen:
                yield beside_task(node, exploit)

    return max(1, stored.n - ended + to_repeat), tasks()


def design_rows(
    stored: StoredNode, inherited: frozenset[str], extra: Sequence[Beside], n: int | None = None
) -> Indices | tuple[()]:
    """The first ``n`` cells of a round's design, by default the planned number.

    Returns (n, parameters) level numbers. An adaptive round has no cells: its sampler chooses while the
    round runs.
    """
    node = stored.node
    if n is None:
        if node.adaptive:
            n = 0
        else:
            n = stored.n - stored.off_design(extra)
    skip = inherited | {b.key for b in extra}
    if n:
        return draw(design_named(node.method), node.space, n, node.design_seed, skip)
    return ()


def planned_cells(reader: Reader, stored: StoredNode, n: int | None) -> list[int]:
    """Numbers of the first ``n`` cells of a round's design, by default all that are planned.

    Raises DesignError: more cells than exist, or an adaptive round.
    """
    space = stored.node.space
    if stored.node.adaptive:
        raise DesignError(
            f"round {stored.node.id}: design {stored.node.method!r} chooses each configuration by the "
            "results so far, so none is planned; see the configurations run in round.trials"
        )
    extra = reader.beside(stored.pk)
    if n is None:
        count = None
    else:
        count = how_many(space, n, None)
    return [space.number(row) for row in design_rows(stored, reader.inherited(stored.pk), extra, count)]
