"""The configuration to hand over, the optimism of its value, and one configuration beside another."""

from __future__ import annotations

import math
from statistics import fmean

from refine import stats
from refine.analysis.judgement import CONFIRM, KEEP, MOST, SEEN, Judgement
from refine.analysis.optimism import Optimism
from refine.analysis.winner import Candidate, Winner
from refine.report.pages.reasons import noise_text, sentence
from refine.space.encoding import decode
from refine.space.literals import python_text
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import chance, coarse, difference, join, percent, plural, probability, score
from refine.utils.provided import page_for

_WIDTH = 76  # columns of code to copy
_MATTERS = 0.1  # chance of being the best from which on a runner-up is worth a word

Fact = tuple[str, str | Cell]


@page_for(Winner)
def winner_page(winner: Winner) -> Page:
    """The configuration as code to copy, what to expect of it, how sure it is, and the runner-up where that may be better."""
    best, others = winner.candidates[0], winner.candidates[1:]
    apart, noisy = best.high - best.low, not winner.noise.deterministic
    expected, *interval = coarse([winner.expected, best.low, best.high], apart=apart)
    sure = f" ({' to '.join(interval)} with a chance of 95 %)" if math.isfinite(best.low) else ""
    told = f"{expected} when trained again{sure}; observed {score(winner.observed)}."
    if not noisy:
        told = f"{score(winner.observed)}, the same to the last bit when run again: no noise."
    facts: list[Fact] = [("Expect", told)]
    if not noisy and winner.noise.paired > 0:
        what = "folds" if winner.noise.paired_source == "folds" else "validation rows"
        least = difference(winner.noise.paired)
        facts.append(
            ("New data", f"the {what} tell apart no good configurations less than {least} from each other.")
        )
    if math.isfinite(winner.within):
        less = f" by more than {difference(winner.epsilon)}" if winner.epsilon > 0 else ""
        facts.append(
            ("Sure?", f"{chance(1 - winner.within).capitalize()} chance that another one is better{less}.")
        )
    if winner.gain is not None:
        facts.append(("Gain", _gain(winner)))
    if not winner.is_best_observed:
        lucky = winner.best_observed
        facts.append(
            (
                "Beside",
                f"the best observed trial, of round {lucky.round}, has {score(winner.best_value)} with "
                f"{join(_instead(best, lucky))}, and {score(lucky.expected)} is expected of it.",
            )
        )
    if others and others[0].probability >= _MATTERS:
        there = f"{', '.join(_instead(best, others[0]))}: {coarse([others[0].expected], apart=apart)[0]} expected, "
        facts.append(("Or", f"{there}{chance(others[0].probability)} chance to be the best."))
    if winner.goals:
        goals = join([winner.metric, *winner.goals])
        facts.append(
            ("Goals", f"chosen by {winner.metric} alone, of {goals}; tree.front has what no trial beats.")
        )
    if winner.race is not None:
        facts.append(("Race", _race(winner)))
    budget = 20 if winner.race is None and not best.fresh else 0
    if winner.race is not None and winner.race.verdict == "budget":
        budget = 2 * winner.race.runs
    calls = (Action("tree.confirm", budget=budget),) if budget and noisy else ()
    title = f"Hand over, of {winner.of} ({plural(winner.evaluated, 'configuration')}):"
    code = Text(_as_code(best), "code", lines=True)
    folds = [
        Fold("How that is known", (known_grid(winner), Text(f"Noise: {noise_text(winner.noise)}.", "faint")))
    ]
    if others:
        by = "posterior means" if noisy else "observed values"
        folds.append(Fold(f"The configurations with the best {by}", (_candidates(winner),), "candidates"))
    rows = tuple((Cell(name, "strong"), value) for name, value in best.labels.items())
    folds.append(Fold("What was read", (Grid(("parameter", "value"), rows),), why=False))
    return Page(title, (code, Facts(tuple(facts))), calls, tuple(folds))


def _as_code(candidate: Candidate) -> str:
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


def differing(a: Candidate, b: Candidate) -> list[str]:
    """Names of the parameters that ``b`` reads and that are different, or missing, in ``a``."""
    return [name for name, shown in b.labels.items() if name not in b.unread and a.labels.get(name) != shown]


def _instead(best: Candidate, other: Candidate) -> list[str]:
    """What differs: ``lr = 1``."""
    return [f"{name} = {other.labels[name]}" for name in differing(best, other)]


def between(low: float, high: float) -> str:
    """An interval of values; ``-`` where there is none."""
    return f"{score(low)} to {score(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def known_grid(winner: Winner) -> Grid:
    """What is known of the winner's value: expected, observed, under new seeds, beside the best observed and the baseline."""
    best, gain = winner.candidates[0], winner.gain
    again = "" if winner.noise.deterministic else " when trained again"
    how = "posterior mean over all runs"
    if not math.isfinite(best.low):
        how = "mean of its runs; too few configurations for an interval"
    rows = [
        (f"expected{again}", score(best.expected), between(best.low, best.high), how),
        (
            "observed in its planned run",
            score(best.observed),
            "-",
            "one training, part of what it was chosen by",
        ),
    ]
    if best.fresh:
        spread = between(min(best.fresh), max(best.fresh)) if len(best.fresh) > 1 else "a single one"
        runs = f"mean of {plural(len(best.fresh), 'run')}, {spread}"
        rows.append(("under new seeds", score(fmean(best.fresh)), "-", runs))
    lucky = "the same configuration" if winner.is_best_observed else "another configuration, a lucky draw"
    rows.append(("best observed trial of all", score(winner.best_value), "-", lucky))
    if gain is not None and not gain.same:
        interval = between(gain.low, gain.high)
        rows.append(("gain over the baseline", score(gain.expected), interval, "posterior of the difference"))
    return Grid(("what", winner.metric, "95 % interval", "how it is known"), tuple(rows))


def _gain(winner: Winner) -> str:
    """What the winner is worth beside the baseline, in one sentence."""
    gain = winner.gain
    assert gain is not None
    runs = plural(1 + len(gain.baseline.fresh), "run")
    if gain.same:
        return f"it is the baseline: nothing that was evaluated is expected to beat it ({runs} of it)"
    beside = f"{score(gain.baseline.expected)} is expected of the baseline after {runs}"
    apart = score(abs(gain.expected))
    if math.isnan(gain.low):
        word = "better" if gain.expected > 0 else "worse"
        return f"{apart} {word} than the baseline; {beside}, and too few configurations were evaluated for an interval"
    interval = f"({score(gain.low)} to {score(gain.high)})"
    if gain.verdict == "better":
        return f"beats the baseline by {apart} {interval}; {beside}"
    if gain.verdict == "worse":
        return f"does not beat the baseline: the gain is {score(gain.expected)} {interval}; {beside}"
    return f"not shown to beat the baseline: the gain is {score(gain.expected)} {interval}, more than 0 with probability {probability(gain.probability)}; {beside}"


_RACES = {
    "decided": "decided",
    "noise": "ended, since runs again change no more than what counts as no loss",
    "budget": "not decided when the budget was spent",
    "open": "not decided yet",
}


def _race(winner: Winner) -> str:
    race = winner.race
    assert race is not None
    if winner.noise.deterministic:
        return "there is nothing to confirm: every run again gives the same value."
    sure = ""
    if math.isfinite(race.probability):
        loss = f" or loses no more than {score(race.tolerance)}" if race.tolerance > 0 else ""
        sure = f"; that it is the best of them{loss} has probability {probability(race.probability)}"
    runs = f"{plural(race.runs, 'run')} under new seeds"
    return f"race of {plural(len(race.racers), 'configuration')} with {runs}: {_RACES[race.verdict]}{sure}"


def _candidates(winner: Winner) -> Grid:
    rows = []
    for each in winner.candidates:
        interval, runs = between(each.low, each.high), str(len(each.fresh) or "-")
        values = score(each.expected), interval, score(each.observed), runs, probability(each.probability)
        rows.append((each.round, *values, ", ".join(_instead(winner.candidates[0], each)) or "the winner"))
    head = ("round", "expected", "95 % interval", "observed", "new runs", "best with probability", "instead")
    return Grid(head, tuple(rows), right=(1, 3, 4), wide=(6,))


_NAMES = {
    "baseline": "the baseline",
    "incumbent": "the best expected of earlier rounds",
    "winner": "the winner",
    "best": "the best observed one",
    "given": "the other",
}


@page_for(Judgement)
def judgement_page(judgement: Judgement) -> Page:
    """The verdict in a sentence, how far apart they are and where they differ; folded, both beside each other and what it rests on."""
    pair = ("asked", judgement.a), (_NAMES[judgement.incumbent], judgement.b)
    rows = tuple(
        (name, score(c.observed), str(len(c.fresh)), score(c.expected), between(c.low, c.high))
        for name, c in pair
    )
    head = ("", "observed first", "new seeds", "expected", "95 % interval")
    needed = runs_needed(judgement)
    calls = (Action("tree.judge", ..., budget=needed),) if needed else ()
    at, instead = (
        join(_instead(b, a)) or "nowhere that was read"
        for a, b in ((judgement.a, judgement.b), (judgement.b, judgement.a))
    )
    return Page(
        f"{judgement.verdict}: {_verdict(judgement)}",
        (Facts((("Apart", _evidence(judgement)), ("Where", f"{at}, instead of {instead}"))),),
        (*calls, Action("judgement.why")),
        (
            Fold("Both beside each other", (Grid(head, rows, right=(1, 2, 3)),), "table"),
            Fold("What it rests on", (Items(tuple(_basis(judgement))),), "basis"),
        ),
    )


def runs_needed(judgement: Judgement) -> int:
    """Runs of both under new seeds after which it is expected to be decided, those that there are among them; 0 without any."""
    if judgement.verdict != CONFIRM or not judgement.seeds:
        return 0
    return len(judgement.a.fresh) + len(judgement.b.fresh) + 2 * judgement.seeds


def _verdict(judgement: Judgement) -> str:
    than = _NAMES[judgement.incumbent]
    if judgement.verdict == KEEP:
        return f"it is better than {than}"
    if judgement.verdict != CONFIRM:
        more = f" by more than {difference(judgement.epsilon)}" if judgement.epsilon > 0 else ""
        return f"it is not better than {than}{more}"
    seeds = f"more than {MOST:,} new seeds of each would be needed, so take them for equal"
    if judgement.seeds is not None:
        seeds = f"about {plural(judgement.seeds, 'new seed')} of each would decide, if the difference is what it seems now"
    return f"it is not decided whether it is better than {than}; {seeds}"


def _evidence(judgement: Judgement) -> str:
    word = "better" if judgement.difference > 0 else "worse"
    apart = f"{judgement.metric}: {difference(abs(judgement.difference))} {word} expected"
    if math.isnan(judgement.probability):
        return f"{apart}. Neither ran under new seeds often enough to tell how far off that is."
    if judgement.basis == "noiseless":
        return f"{apart}. Runs again showed no noise, so that this is the difference."
    beyond = f", and by more than {difference(judgement.epsilon)} with probability {probability(judgement.matters)}"
    return (
        f"{apart} (95 % interval of the difference {difference(judgement.low)} to {difference(judgement.high)}). It is better with "
        f"probability {probability(judgement.probability)}{beyond if judgement.epsilon else ''}."
    )


_BASIS = {
    "posterior": "by the posterior of all configurations that were run, in which a lucky run counts for no more than it should",
    "runs": "by the runs of both under new seeds alone: too few configurations were run for more",
    "table": "by the runs of both, a first one only where it is the only one, and by how far all runs of the table vary",
    "noiseless": "by single runs, since runs again give the same value",
}


def _basis(judgement: Judgement) -> list[str]:
    lines = [_BASIS[judgement.basis]]
    if math.isfinite(judgement.noise.sd):
        lines.append(f"noise: {noise_text(judgement.noise)}")
    few = min(len(judgement.a.fresh), len(judgement.b.fresh))
    if judgement.verdict == CONFIRM and few < SEEN and judgement.basis != "noiseless":
        lines.append(
            f"nothing is kept before it ran {SEEN} times under new seeds, or discarded on fewer once it ran"
        )
    return lines


_CORRECTS = (
    "The best of many noisy values is biased upwards: a new run of the same configuration is expected to be worse. Runs under new seeds "
    "correct for the noise of training, and resampled examples for that of the validation set. Neither corrects for both."
)


@page_for(Optimism)
def optimism_page(optimism: Optimism) -> Page:
    """The best value, and what it is worth by each correction."""
    facts: list[Fact] = []
    rows = [("best observed", score(optimism.best), "-", "chosen because it was the best")]
    if math.isfinite(optimism.expected):
        facts.append(("Expect", f"{score(optimism.expected)} when trained again, by the noise alone."))
        rows.append(
            ("noise alone", score(optimism.expected), "-", "simulated: new noise on values drawn together")
        )
    if (seeds := optimism.seeds) is None:
        facts.append(("Seeds", "new seeds: not run again yet."))
    else:
        lost = f"; {plural(optimism.failed, 'other')} gave no usable model" if optimism.failed else ""
        runs = f"{plural(seeds.runs, 'new run')}{lost}"
        facts.append(("Seeds", f"{score(seeds.value)} in {runs}."))
        rows.append(("new seeds", score(seeds.value), between(seeds.low, seeds.high), f"mean of its {runs}"))
    if (e := optimism.examples) is not None:
        facts.append(("Data", f"{score(e.value)} on other examples."))
        how = f"chosen among {plural(e.models, 'model')} on {plural(e.examples, 'example')} drawn again; here {score(e.best)}"
        rows.append(("other examples", score(e.value), between(e.low, e.high), how))
    elif optimism.why_not is not None:
        unknown = f"What other validation examples would show is not known. {sentence(optimism.why_not)}"
        facts.append(("Data", unknown))
    calls = (Action("round.replicate", top=5, seeds=3),) if optimism.seeds is None else ()
    grid = Grid(("what", optimism.metric, "95 % interval", "how"), tuple(rows), right=(1,))
    folds = [Fold("Every correction", (grid, Text(_CORRECTS)), "table")]
    if optimism.components is not None and math.isfinite(optimism.components.configuration):
        folds.append(Fold("Seed and configuration", (Text(_components(optimism.components)),), "components"))
    return Page(
        f"Best observed {optimism.metric} {score(optimism.best)}", (Facts(tuple(facts)),), calls, tuple(folds)
    )


def _components(c: stats.Components) -> str:
    """What seed and configuration contribute to the spread of runs."""
    total = c.configuration**2 + c.seed**2
    if total == 0:
        return f"The {c.groups} configurations that were run again all gave the same value."
    split = f" Another choice of splits would move configurations against each other by {score(c.split)}."
    return (
        f"Among the {c.groups} configurations that were run again, configurations differ by {score(c.configuration)} and "
        f"seeds of one configuration by {score(c.seed)} (standard deviations): {percent(c.seed**2 / total)} of the "
        f"variance of single runs comes from the seed.{split if math.isfinite(c.split) else ''}"
    )
