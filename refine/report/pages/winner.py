"""What the configuration to hand over shows of itself."""

from __future__ import annotations

import math

from refine.analysis.winner import Candidate, Winner
from refine.report.pages.noise import noise_clause
from refine.space.encoding import decode
from refine.space.literals import python_text
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import chance, coarse, difference, join, plural, probability, score
from refine.utils.provided import page_for

_WIDTH = 76  # columns of code to copy
_MATTERS = 0.1  # chance of being the best from which on a runner-up is worth a word


@page_for(Winner)
def winner_page(found: Winner) -> Page:
    """The configuration as code to copy, what to expect of it, how sure it is, and the runner-up where that may be better."""
    best = found.candidates[0]
    expected, *interval = coarse([found.expected, best.low, best.high], apart=best.high - best.low)
    facts: list[tuple[str, str | Cell]] = []
    again = f"{expected} when trained again"
    if math.isfinite(best.low):
        again += f" ({' to '.join(interval)} with a chance of 95 %)"
    told = f"{again}; observed {score(found.observed)}."
    if found.noise.deterministic:
        told = f"{score(found.observed)}, the same to the last bit when run again: no noise."
    facts.append(("Expect", told))
    facts += [("New data", line) for line in _new_data(found)]
    if math.isfinite(found.within):
        facts.append(("Sure?", _sure_text(found)))
    facts += [("Gain", line) for line in gain_line(found)]
    if not found.is_best_observed:
        facts.append(("Beside", f"{observed_line(found).partition('; ')[2]}."))
    runner = found.candidates[1] if len(found.candidates) > 1 else None
    if runner is not None and runner.probability >= _MATTERS:
        facts.append(
            (
                "Or",
                f"{_instead(best, runner)}: {coarse([runner.expected], apart=best.high - best.low)[0]} expected, "
                f"{chance(runner.probability)} chance to be the best.",
            )
        )
    if found.goals:
        facts.append(
            (
                "Goals",
                f"chosen by {found.metric} alone, of {join([found.metric, *found.goals])}; tree.front has what no trial beats.",
            )
        )
    facts += [("Race", line) for line in race_line(found)]
    calls: tuple[Action, ...] = ()
    if found.noise.deterministic:
        pass  # nothing to confirm
    elif found.race is None and not best.fresh:
        calls = (Action("tree.confirm", budget=20),)
    elif found.race is not None and found.race.verdict == "budget":
        calls = (Action("tree.confirm", budget=2 * found.race.runs),)
    title = f"Hand over, of {found.of} ({plural(found.evaluated, 'configuration')}):"
    code = Text(as_code(best), "code", lines=True)
    return Page(title, (code, Facts(tuple(facts))), calls, _folds(found))


def conclusion(found: Winner) -> str:
    """What a person can conclude from the best value of a search, in a sentence."""
    best = found.candidates[0]
    if found.noise.deterministic:
        return (
            f"What to conclude: {score(found.best_value)} is what this configuration gives, whenever it runs."
        )
    expected = coarse([found.expected], apart=best.high - best.low)[0]
    apart = (
        f", and differences below {difference(found.epsilon)} can't be told apart on this evidence"
        if found.epsilon
        else ""
    )
    return (
        f"What to conclude: {score(found.best_value)} is the best of {plural(found.evaluated, 'configuration')}, and partly luck; expect "
        f"{expected} of the winner{apart}."
    )


def _new_data(found: Winner) -> tuple[str, ...]:
    """What its value is worth on other data, where folds or validation rows tell."""
    if not found.noise.deterministic or not found.noise.paired > 0:
        return ()
    what = "folds" if found.noise.paired_source == "folds" else "validation rows"
    return (
        f"the {what} tell apart no good configurations less than {difference(found.noise.paired)} from each other.",
    )


def _sure_text(found: Winner) -> str:
    """The chance that nothing that was evaluated is better."""
    less = f" by more than {difference(found.epsilon)}" if found.epsilon > 0 else ""
    return f"{chance(1 - found.within).capitalize()} chance that another one is better{less}."


def as_code(candidate: Candidate) -> str:
    """A configuration as a mapping to copy, with what was not read as well: ``{"lr": 1.5, "epochs": 150}``."""
    parts = [f"{name!r}: {python_text(decode(value))}" for name, value in candidate.configuration.items()]
    lines, now = [], "{"
    for i, part in enumerate(parts):
        part += "}" if i == len(parts) - 1 else ", "
        if len(now) + len(part.rstrip()) > _WIDTH and now.strip(" {"):
            lines.append(now.rstrip())
            now = " "
        now += part
    return "\n".join([*lines, now])


def _instead(best: Candidate, other: Candidate) -> str:
    """What differs: ``lr = 1``."""
    return ", ".join(f"{name} = {other.labels[name]}" for name in differing(best, other))


def _folds(found: Winner) -> tuple[Fold, ...]:
    best = found.candidates[0]
    rows = tuple((Cell(name, "strong"), value) for name, value in best.labels.items())
    folds = [Fold("How that is known", (Items(worth_lines(found)),))]
    if len(found.candidates) > 1:
        best_by = "observed values" if found.noise.deterministic else "posterior means"
        folds.append(
            Fold(f"The configurations with the best {best_by}", (candidates_grid(found),), "candidates")
        )
    return (*folds, Fold("What was read", (Grid(("parameter", "value"), rows),), why=False))


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
    if found.noise.deterministic:
        return ("there is nothing to confirm: every run again gives the same value.",)
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
