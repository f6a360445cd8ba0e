"""What the configuration to hand over shows of itself."""

from __future__ import annotations

import math

from refine.analysis.winner import Candidate, Winner
from refine.report.pages.noise import noise_clause
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Grid, Items, Page, Text
from refine.utils.format import join, plural, probability, score
from refine.utils.provided import page_for


@page_for(Winner)
def winner_page(found: Winner) -> Page:
    """The configuration with what to expect of it, the best observed beside it, and those that come next."""
    best = found.candidates[0]
    about = f"Of {join([found.metric, *found.goals])}, by {found.metric} alone; tree.front has what no trial beats."
    rows = tuple((Cell(name, "strong"), value) for name, value in best.labels.items())
    blocks: list[Block] = [Text(about)] if found.goals else []
    blocks += [
        Text(
            f"The configuration with the best posterior mean of {plural(found.evaluated, 'evaluated one')}:"
        ),
        Grid(("parameter", "value"), rows),
        Items(worth_lines(found)),
    ]
    if len(found.candidates) > 1:
        blocks.append(candidates_grid(found))
    calls: tuple[Action, ...] = ()
    if found.race is None and not best.fresh:
        calls = (Action("tree.confirm", budget=20),)
    elif found.race is not None and found.race.verdict == "budget":
        calls = (Action("tree.confirm", budget=2 * found.race.runs),)
    return Page(
        f"winner of {found.of}: {found.metric} {score(found.expected)} expected", tuple(blocks), calls
    )


def worth_lines(found: Winner) -> tuple[str | Cell, ...]:
    """What to expect of the winner when it is trained again, and of what it was not chosen by.

    Args:
        found: The winner.
    """
    lines = expected_line(found), *gain_line(found), observed_line(found)
    return (*lines, *within_line(found), *race_line(found))


def expected_line(found: Winner) -> str:
    """What to expect of the winner, with its interval and what that rests on."""
    best = found.candidates[0]
    if found.noise.deterministic:
        return f"value: {score(best.observed)}; {noise_clause(found.noise)}"
    runs = (
        f"{plural(len(best.fresh), 'run')} under new seeds"
        if best.fresh
        else "it was not run under new seeds"
    )
    if not math.isfinite(best.low):
        return f"expected when trained again: {score(best.expected)}; too few configurations for an interval ({runs})"
    return (
        f"expected when trained again: {score(best.expected)} "
        f"(95 % interval of its mean {score(best.low)} to {score(best.high)}; {runs})"
    )


def gain_line(found: Winner) -> tuple[str, ...]:
    """What the winner is worth beside the baseline, in one sentence; none without a baseline.

    Args:
        found: The winner.
    """
    gain = found.gain
    if gain is None:
        return ()
    runs = plural(1 + len(gain.baseline.fresh), "run")
    beside = f"{score(gain.baseline.expected)} is expected of the baseline after {runs}"
    if gain.same:
        return (f"it is the baseline: nothing that was evaluated is expected to beat it ({runs} of it)",)
    apart = score(abs(gain.expected))
    if math.isnan(gain.low):
        word = "better" if gain.expected > 0 else "worse"
        return (
            f"{apart} {word} than the baseline; {beside}, and too few configurations were evaluated for an interval",
        )
    interval = f"({score(gain.low)} to {score(gain.high)})"
    if gain.verdict == "better":
        return (f"beats the baseline by {apart} {interval}; {beside}",)
    if gain.verdict == "worse":
        return (f"does not beat the baseline: the gain is {score(gain.expected)} {interval}; {beside}",)
    return (
        f"not shown to beat the baseline: the gain is {score(gain.expected)} {interval}, more than 0 with probability "
        f"{probability(gain.probability)}; {beside}",
    )


def observed_line(found: Winner) -> str:
    """What was observed of the winner, and which trial is the best observed."""
    mine, other = found.candidates[0], found.best_observed
    seen = f"observed: {score(mine.observed)} in round {mine.round}"
    if found.is_best_observed:
        return f"{seen}, the best observed value too"
    at = [f"{name} = {other.labels[name]}" for name in differing(mine, other)]
    return (
        f"{seen}; the best observed trial, of round {other.round}, has {score(found.best_value)} with {join(at)}, and "
        f"{score(other.expected)} is expected of it"
    )


def differing(a: Candidate, b: Candidate) -> list[str]:
    """Names of the parameters that one configuration reads and that are different, or missing, in another.

    Args:
        a: The other one.
        b: The one whose names are given.
    """
    return [name for name, shown in b.labels.items() if name not in b.unread and a.labels.get(name) != shown]


def within_line(found: Winner) -> tuple[str, ...]:
    """How sure it is that the winner is the best of those evaluated; nothing without a posterior.

    Args:
        found: The winner.
    """
    if not math.isfinite(found.within):
        return ()
    less = f" or loses no more than {score(found.epsilon)}" if found.epsilon > 0 else ""
    return (f"probability that it is the best of those evaluated{less}: {probability(found.within)}",)


_VERDICTS = {
    "decided": "decided",
    "noise": "ended, since runs again change no more than what counts as no loss",
    "budget": "not decided when the budget was spent",
    "open": "not decided yet",
}


def race_line(found: Winner) -> tuple[str, ...]:
    """How the race stood that confirmed it; nothing without one.

    Args:
        found: The winner.
    """
    race = found.race
    if race is None:
        return ()
    sure = ""
    if math.isfinite(race.probability):
        loss = f" or loses no more than {score(race.tolerance)}" if race.tolerance > 0 else ""
        sure = f"; that it is the best of them{loss} has probability {probability(race.probability)}"
    runs = f"{plural(race.runs, 'run')} under new seeds"
    return (
        f"race of {plural(len(race.racers), 'configuration')} with {runs}: {_VERDICTS[race.verdict]}{sure}",
    )


def candidates_grid(found: Winner) -> Grid:
    """The configurations with the best posterior means.

    Args:
        found: The winner.
    """
    first = found.candidates[0]
    rows = []
    for each in found.candidates:
        at = ", ".join(f"{name} = {each.labels[name]}" for name in differing(first, each))
        interval = f"{score(each.low)} to {score(each.high)}" if math.isfinite(each.low) else "-"
        runs = str(len(each.fresh)) if each.fresh else "-"
        values = score(each.expected), interval, score(each.observed), runs, probability(each.probability)
        rows.append((each.round, *values, at or "the winner"))
    head = ("round", "expected", "95 % interval", "observed", "new runs", "best with probability", "instead")
    return Grid(head, tuple(rows), right=(1, 3, 4), wide=(6,))
