"""Judging one configuration of a tree beside another, and running both again until it is decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from refine.analysis.evaluated import RanRound
from refine.analysis.judgement import CONFIRM, Judgement, judgement
from refine.analysis.winner import Field, Judged
from refine.errors import AnalysisError, ReviewError, did_you_mean
from refine.run.options import RunOptions
from refine.run.protocols import Objective
from refine.space.encoding import decode, freeze, label
from refine.tree.confirm import run_again, spent_on
from refine.tree.context import Context
from refine.tree.winner import Goals, field_in, ran
from refine.utils.action import Action
from refine.utils.format import plural

Which = str | Mapping[str, Any] | None
"""A configuration: id of a round, a word of ``WORDS``, its values by name, or ``None`` for the usual one."""

WORDS = ("winner", "best", "baseline")
"""Configurations by name: what would be handed over, the best observed one, the one to beat."""

_STAGES = 6


def judge(
    context: Context,
    rounds: Goals,
    of: str,
    pair: tuple[Which, Which],
    epsilon: float | None,
    budget: int,
    objective: tuple[Objective | None, str | None],
    options: RunOptions,
) -> Judgement:
    """Judges: see :meth:`refine.Tree.judge`.

    Args:
        context: Where trials are read and written.
        rounds: Whose trials are evidence, oldest first.
        of: What both are of, as it is shown.
        pair: The configuration that is asked about, and what it is compared with.
        epsilon: Difference that counts as none; ``None`` where nobody said it.
        budget: How many runs of the two under new seeds there shall be at most.
        objective: What to call where a round was reopened, and its name.
        options: What trials run on.

    Raises:
        AnalysisError: No trial has finished that may be called best, or one of both has no value.
        ReviewError: One of both isn't found, or both are the same.
    """
    reader = context.store if budget else context.reader
    found = ran(reader, rounds)
    also = [place for which in pair if isinstance(which, Mapping) for place in _places(found, which)]
    field = field_in(reader, rounds, found, also=also)
    if field is None:
        raise AnalysisError(
            f"{of}: no trial has finished that may be called best; run a round first", Action("round.run")
        )
    judged = field.judged(found)
    a = _number(found, judged, pair[0] or "winner")
    b, incumbent = _beside(found, judged, a, pair[1])
    if a == b:
        raise ReviewError(
            f"{of}: both are the same configuration in all that was read: {_shown(field.candidates[a].labels)}; name another one"
        )
    batch = max(2, options.workers, math.ceil(budget / _STAGES))
    before = -1
    while True:
        told = judgement(judged, a, b, of, incumbent, epsilon)
        spent = spent_on(judged, found)[0]
        runs = spent[a] + spent[b]
        if told.verdict != CONFIRM or runs >= budget or runs == before:
            return told
        before = runs
        shares = _shares(spent, a, b, min(batch, budget - runs))
        run_again(context, rounds, [(field.candidates[i], n) for i, n in shares if n], objective, options)
        found = ran(context.store, rounds)
        judged = field.judged(found)


def _shares(spent: Sequence[int], a: int, b: int, runs: int) -> list[tuple[int, int]]:
    """How many runs both get, so that they have as many as each other; an odd one goes to the one that is asked about."""
    given = [0, 0]
    for _ in range(runs):
        given[0 if spent[a] + given[0] <= spent[b] + given[1] else 1] += 1
    return [(a, given[0]), (b, given[1])]


def _places(rounds: Sequence[RanRound], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """``(round, key)`` of the planned runs whose configuration has these values.

    Raises:
        ReviewError: No round has such a parameter, or no run has these values.
    """
    names = dict.fromkeys(name for each in rounds for name in each.space)
    for name in values:
        if name not in names:
            raise ReviewError(f"unknown parameter {name!r}; {did_you_mean(name, names)}")
    places = []
    for each in rounds:
        columns = each.records.columns
        for i, configuration in enumerate(each.records.configurations):
            if not columns["replicate"][i] and _has(configuration, values):
                places.append((each.id, columns["key"][i]))
    if not places:
        raise ReviewError(
            f"no trial ran {_shown(values)}; run it first",
            Action("tree.add_round", ..., given=[dict(values)]),
        )
    return places


def _has(configuration: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether an encoded configuration has some values, given as such or by their labels."""
    return all(
        name in configuration and _plain(value) == _told(configuration[name])
        for name, value in values.items()
    )


def _told(encoded: Any) -> str:
    return label(decode(encoded))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else label(freeze(value))


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_plain(value)}" for name, value in values.items())


def _number(rounds: Sequence[RanRound], judged: Judged, which: Which) -> int:
    """Number of the candidate that is meant.

    Raises:
        AnalysisError: It has no value that may be called best.
        ReviewError: There is none.
    """
    field = judged.field
    if isinstance(which, Mapping):
        mine = {field.places[place] for place in _places(rounds, which) if place in field.places}
        if len(mine) > 1:
            raise ReviewError(
                f"{plural(len(mine), 'configuration')} have {_shown(which)}; name more of the values, so that it is one"
            )
        if not mine:
            raise AnalysisError(
                f"{_shown(which)}: has no value that may be called best, so that nothing can be compared"
            )
        return mine.pop()
    if which == "winner":
        return judged.ranked[0]
    if which == "best":
        return field.best
    if which == "baseline":
        if field.baseline is None:
            raise ReviewError(
                "no round has a baseline with a value; give one", Action("tree.add_round", ..., baseline={})
            )
        return field.baseline
    numbers = {number for (round_id, _), number in field.places.items() if round_id == which}
    found = _best_of(judged, numbers)
    if found is None:
        raise AnalysisError(
            f"round {which}: has no finished trial that may be called best; run it first", Action("round.run")
        )
    return found


def _best_of(judged: Judged, numbers: set[int]) -> int | None:
    """The best expected of some candidates."""
    return next((i for i in judged.ranked if i in numbers), None)


def _beside(rounds: Sequence[RanRound], judged: Judged, a: int, which: Which) -> tuple[int, str]:
    """Number of what one is compared with, and what that is: the baseline, else the best expected of earlier rounds."""
    if which is not None:
        return _number(rounds, judged, which), which if which in WORDS else "given"
    field: Field = judged.field
    if field.baseline is not None and field.baseline != a:
        return field.baseline, "baseline"
    order = [each.id for each in rounds]
    first = {number: order.index(round_id) for (round_id, _), number in reversed(list(field.places.items()))}
    found = _best_of(judged, {i for i, at in first.items() if at < first[a]})
    if found is None:
        raise ReviewError(
            "there is no baseline, and no configuration of an earlier round to compare with; name one",
            Action("tree.judge", ..., {"name": ...}),
        )
    return found, "incumbent"
