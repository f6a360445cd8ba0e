"""Pages of the winner, of the optimism of its value, and of the comparison of two configurations."""

from __future__ import annotations

import math
from statistics import mean

from refine import stats
from refine.analysis.judgement import CONFIRM, KEEP, MOST, SEEN, SURE, Judgement
from refine.analysis.new_data import OnNewData
from refine.analysis.optimism import Optimism
from refine.analysis.winner import Candidate, Winner
from refine.report.pages.proposal import factor_text
from refine.report.pages.reasons import noise_text, sentence
from refine.space.encoding import decode
from refine.space.literals import python_text
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import by_over, chance_words, coarse, difference, join, percent, plural, score
from refine.utils.provided import page_for

_WIDTH = 76  # columns of code to copy
_PLAUSIBLE = 0.1  # model probability of being the best from which on a runner-up is printed
_AS_LIKELY = (
    0.7  # share of the winner's probability from which on a runner-up is about as likely to be the best
)

_PROBABLE_ON_NEW_DATA = (
    "Model probabilities are for new data. A worse configuration can have a larger one if its scores by row "
    "or fold differ more from those of the others."
)

_PROBABLY = 0.95  # model probability from which on a gain that the interval leaves open is probable

# Below this model probability of being the best, a winner with repeats needs more repeats.
_DOUBTFUL = 0.85
_CLOSE = 0.97  # model probability below which a race is narrowly decided; 0.95 decides


@page_for(Winner)
def winner_page(winner: Winner) -> Page:
    """The winner as code to copy, its expected value, the doubt, and a plausible runner-up."""
    best, *rivals = winner.candidates
    noisy = not winner.noise.deterministic
    facts: list[Fact] = [("Expected", _expected_text(winner))]
    if winner.new_data is not None:
        facts.append(("New data", new_data_text(winner.new_data)))
    elif not noisy and winner.noise.paired > 0:
        source = "validation rows"
        if winner.noise.paired_source == "folds":
            source = "folds"
        pairs = f"configurations that differ by less than {difference(winner.noise.paired)}"
        facts.append(("New data", f"on other {source}, {pairs} may change places"))
    if math.isfinite(winner.within):
        doubt = f"{chance_words(1 - winner.within)} that another of the {winner.evaluated:,} configurations"
        better = "is better"
        if winner.new_data is not None:
            better = "is better on new data"
        margin = by_over(winner.epsilon, "more than")
        if math.isfinite(winner.factor) and winner.epsilon:
            margin = f" by more than {factor_text(winner.factor)}"
        facts.append(("Doubt", f"{doubt} {better}{margin}"))
    if winner.gain is not None:
        facts.append(("Gain", _gain(winner)))
    if not winner.is_best_observed:
        lucky = winner.best_observed
        text = (
            f"{score(winner.best_value)} in round {lucky.round} with {join(_instead(best, lucky))}; "
            f"{score(lucky.expected)} expected when retrained"
        )
        facts.append(("Best observed", text))
    if rivals and rivals[0].probability >= _PLAUSIBLE:
        facts.append(("Runner-up", _runner_up(best, rivals[0], math.isfinite(winner.factor))))
    if winner.goals:
        chosen = f"chosen by {winner.metric} alone, of {join([winner.metric, *winner.goals])}"
        facts.append(("Goals", f"{chosen}; tree.front lists the trials that none beats"))
    if math.isfinite(winner.factor):
        facts.append(("Scale", f"{winner.metric} is compared by factors, on log10"))
    if winner.race is not None:
        facts.append(("Race", _race(winner)))
    calls = [call for call in (confirm_call(winner),) if call]
    if winner.is_decided:
        calls = [Action("tree.report", "reports")]
    if noisy and best.replicates:
        times = 1 + len(best.replicates)
        facts.append(("Runs", f"{times:,}: the planned run and {plural(len(best.replicates), 'repeat')}"))
    elif noisy:
        once = f"not confirmed: {winner.budget}"
        if calls and not winner.is_decided:
            once = "confirm it first: the value of a single run is partly luck"
        facts.append(("Ran once", Cell(once, "warn")))
    title = f"Winner of {winner.of}, out of {plural(winner.evaluated, 'configuration')}"
    code = Text(_as_code(best), "code", lines=True)
    return Page(title, [code, Facts(facts)], calls, _folds(winner))


def _folds(winner: Winner) -> list[Fold]:
    """The evidence for the value, the configurations compared, and the values used."""
    best, *rivals = winner.candidates
    of_goal = f" of {winner.metric}" if winner.goals else ""
    notes = [Text(f"Noise{of_goal}: {noise_text(winner.noise)}.", "faint")]
    if math.isfinite(best.low):
        notes.append(Text("Intervals: nominal 95 %, covered 90 to 98 % in benchmarks.", "faint"))
    folds = [Fold("Evidence", [known_grid(winner), *notes])]
    if rivals:
        order = "expected values"
        if winner.noise.deterministic:
            order = "observed values"
        compared: list[Block] = [_candidates(winner)]
        if winner.new_data is not None:
            compared.append(Text(_PROBABLE_ON_NEW_DATA, "faint"))
        folds.append(Fold(f"The configurations with the best {order}", compared, "candidates"))
    used = [(Cell(name, "strong"), value) for name, value in best.labels.items()]
    folds.append(Fold("Values used", [Grid(("parameter", "value"), used)], why=False))
    return folds


def confirm_call(winner: Winner) -> Action | None:
    """The call to repeat the plausible winners; ``None`` if repeats are useless or the budget is spent."""
    remaining = winner.budget.left
    if winner.noise.deterministic or remaining == 0:
        return None
    if winner.race is not None and winner.race.verdict == "budget":
        total = 2 * winner.race.runs  # existing repeats included, as always in this call
        if remaining is not None:
            total = min(total, winner.race.runs + remaining)
        return Action("tree.confirm", budget=total, **winner.needs)
    if winner.race is not None or (winner.candidates[0].replicates and not winner.within_rows < _DOUBTFUL):
        return None
    if winner.is_decided:
        return None
    standing = winner.standing
    options: dict[str, int] = {}
    if remaining is None:
        options["budget"] = 20
        if standing is not None:
            options["budget"] = max(20, 2 * standing.runs)
    elif winner.budget.for_rounds() and winner.budget.reserve():
        options["budget"] = winner.budget.reserve() + winner.budget.repeats
    return Action("tree.confirm", **options, **winner.needs)


def _expected_text(winner: Winner) -> str:
    """The value expected when retrained, with its interval and the observed value."""
    if winner.noise.deterministic and not winner.noise.n:
        return f"{score(winner.observed)}; the objective is declared deterministic"
    if winner.noise.deterministic:
        return (
            f"{score(winner.observed)}; no noise seen: {plural(winner.noise.n, 'repeat')} gave "
            "identical values"
        )
    best = winner.candidates[0]
    numbers = [winner.expected, best.low, best.high]
    if math.isfinite(winner.factor):
        expected, *interval = [f"{value:.2g}" for value in numbers]
    else:
        expected, *interval = coarse(numbers, gap=best.high - best.low)
    text = f"{expected} when retrained"
    if math.isfinite(best.low):
        text += f" ({' to '.join(interval)})"
    return f"{text}; observed {score(winner.observed)}"


def new_data_text(new_data: OnNewData) -> str:
    """The value expected on new data, with its interval."""
    low, high = sorted((new_data.low, new_data.high))
    expected, *interval = coarse([new_data.value, low, high], gap=high - low)
    source = f"rows like the {plural(new_data.n, 'validation row')}"
    if new_data.source == "folds":
        source = f"data like the {plural(new_data.n, 'fold')}"
    return f"{expected} expected ({' to '.join(interval)}) on {source}"


def _runner_up(best: Candidate, other: Candidate, on_log: bool) -> str:
    """A runner-up: difference, expected value, and chance compared with the winner's."""
    expected = coarse([other.expected], gap=best.high - best.low)[0]
    if on_log:
        expected = f"{other.expected:.2g}"
    likely = "about as likely to be the best"
    if other.probability < _AS_LIKELY * best.probability:
        likely = "less likely to be the best"
    return f"{', '.join(_instead(best, other))}: {expected} expected, {likely}"


def _as_code(candidate: Candidate) -> str:
    """A configuration as a mapping to copy, with values that were not read as well.

    For example ``{"lr": 1.5, "epochs": 150}``.
    """
    parts = [f"{name!r}: {python_text(decode(value))}, " for name, value in candidate.configuration.items()]
    lines = []
    line = "{"
    for part in parts:
        if len(line) + len(part.rstrip()) > _WIDTH and line.strip(" {"):
            lines.append(line.rstrip())
            line = " "
        line += part
    return "\n".join([*lines, f"{line.removesuffix(', ')}}}"])


def differing(a: Candidate, b: Candidate) -> list[str]:
    """Names of the parameters that ``b`` uses and that differ, or are missing, in ``a``."""
    return [name for name, shown in b.labels.items() if name not in b.unread and a.labels.get(name) != shown]


def _instead(best: Candidate, other: Candidate) -> list[str]:
    """The differing values of ``other``: ``lr 1``."""
    return [f"{name} {other.labels[name]}" for name in differing(best, other)]


def between(low: float, high: float) -> str:
    """An interval of values; ``-`` without an interval."""
    if math.isfinite(low) and math.isfinite(high):
        return f"{score(low)} to {score(high)}"
    return "-"


def known_grid(winner: Winner) -> Grid:
    """The values of the winner (expected, observed, of replicates), the best observed trial, and the gain."""
    best = winner.candidates[0]
    gain = winner.gain
    expected = "expected" + " when retrained" * (not winner.noise.deterministic)
    source = "the model, from all runs"
    if winner.noise.deterministic:
        source = "its observed value: repeats are identical"
    elif not math.isfinite(best.low):
        source = "mean of its runs; too few configurations for an interval"
    rows = [
        (expected, score(best.expected), between(best.low, best.high), source),
        ("observed in its planned run", score(best.observed), "-", "one training, part of the choice"),
    ]
    if best.replicates:
        spread = "a single one"
        if len(best.replicates) > 1:
            spread = between(min(best.replicates), max(best.replicates))
        runs = f"mean of {plural(len(best.replicates), 'run')}, {spread}"
        rows.append(("replicates", score(float(mean(best.replicates))), "-", runs))
    place = "another one, expected to be worse"
    if winner.is_best_observed:
        place = "the same configuration"
    elif best.observed == winner.best_value:
        place = "another one has the same value"
    rows.append(("best observed trial", score(winner.best_value), "-", place))
    if gain is not None and not gain.same:
        interval = between(gain.low, gain.high)
        source = "the model"
        if gain.low == gain.high:
            interval = "-"
            source = "difference of the observed values"
        rows.append(("gain over the baseline", score(gain.expected), interval, source))
    return Grid(("value", winner.metric, "95 % interval", "source"), rows)


def _gain(winner: Winner) -> str:
    """The gain of the winner over the baseline, in one sentence."""
    gain = winner.gain
    assert gain is not None
    runs = plural(1 + len(gain.baseline.replicates), "run")
    if gain.same:
        return f"none: the winner is the baseline ({runs}); no other configuration is expected to be better"
    baseline = f"baseline: {score(gain.baseline.expected)} expected after {runs}"
    amount = score(abs(gain.expected))
    if math.isnan(gain.low):
        amount += f" {_better_or_worse(gain.expected)} than the baseline"
        return f"{amount}; too few configurations for an interval; {baseline}"
    if gain.low == gain.high and gain.verdict == "better":
        return f"beats the baseline by {amount}; {baseline}"
    interval = f"({score(gain.low)} to {score(gain.high)})"
    if gain.verdict == "better":
        return f"beats the baseline by {amount} {interval}; {baseline}"
    if gain.verdict == "worse":
        return f"does not beat the baseline: {score(gain.expected)} {interval}; {baseline}"
    worse = f"{chance_words(1 - gain.probability)} that it is no better"
    if gain.probability >= _PROBABLY:
        return f"probably beats the baseline by {amount} {interval}, {worse}; {baseline}"
    return f"not shown to beat the baseline: {score(gain.expected)} {interval}, {worse}; {baseline}"


def _compared(gain: float) -> str:
    """``0.0071 better``, ``0.02 worse``."""
    return f"{difference(abs(gain))} {_better_or_worse(gain)}"


def _better_or_worse(gain: float) -> str:
    if gain > 0:
        return "better"
    return "worse"


def _race(winner: Winner) -> str:
    race = winner.race
    assert race is not None
    if winner.noise.deterministic and not winner.noise.n:
        return "nothing to confirm: the objective is declared deterministic"
    if winner.noise.deterministic:
        return "nothing to confirm: repeats gave identical values"
    runs = f"{plural(race.runs, 'repeat')} among {plural(len(race.racers), 'configuration')}"
    if race.copies:
        runs += f" ({plural(race.copies, 'near-copy', 'near-copies')} left out: noise hides the difference)"
    stand = {
        "decided": f"decided after {runs}",
        "noise": f"ended after {runs}: repeats differ by no more than the tolerance",
        "budget": f"undecided after {runs}",
        "open": f"not finished: {runs} so far",
    }[race.verdict]
    if race.verdict == "decided" and race.probability < _CLOSE:
        stand = f"narrowly {stand}"
    if race.overtaken:
        stand += "; the last repeats changed the winner, so more repeats may change it again"
    if not math.isfinite(race.probability):
        return stand
    doubt = f"{chance_words(1 - race.probability)} that another of these {len(race.racers)} is better"
    if race.tolerance > 0:
        doubt += f" by more than {difference(race.tolerance)}"
    if winner.new_data is not None:
        doubt += " on the same validation rows"
    return f"{stand}: {doubt}"


def _candidates(winner: Winner) -> Grid:
    rows = []
    for rank, candidate in enumerate(winner.candidates, 1):
        probability = "-"
        if math.isfinite(candidate.probability):
            probability = f"{candidate.probability:.2f}"
        instead = ", ".join(_instead(winner.candidates[0], candidate)) or "the winner"
        values = score(candidate.expected), between(candidate.low, candidate.high), score(candidate.observed)
        repeats = str(len(candidate.replicates) or "-")
        rows.append((str(rank), *values, repeats, probability, candidate.round, instead))
    head = [
        "",
        "expected",
        "95 % interval",
        "observed",
        "replicates",
        "model probability of best",
        "round",
        "difference",
    ]
    shown = [j for j in range(len(head)) if any(row[j] != "-" for row in rows)]
    right = tuple(i for i, j in enumerate(shown) if j in (1, 3, 4, 5))
    kept_rows = [tuple(row[j] for j in shown) for row in rows]
    return Grid([head[j] for j in shown], kept_rows, right=right, wide=(len(shown) - 1,))


_NAMES = {
    "baseline": "the baseline",
    "incumbent": "the best expected of earlier rounds",
    "winner": "the winner",
    "best": "the best observed one",
    "given": "the other",
}


@page_for(Judgement)
def judgement_page(judgement: Judgement) -> Page:
    """The verdict on two configurations, their difference, and the parameters in which they differ."""
    rows = [
        (name, score(c.observed), str(len(c.replicates)), score(c.expected), between(c.low, c.high))
        for name, c in (("asked", judgement.a), (_NAMES[judgement.incumbent], judgement.b))
    ]
    head = ("", "observed first", "new seeds", "expected", "95 % interval")
    needed = runs_needed(judgement)
    calls = [Action("judgement.why")]
    if needed and (judgement.affordable is None or needed <= judgement.affordable):
        calls.insert(0, Action("tree.judge", ..., budget=needed))
    values_text = join(_instead(judgement.b, judgement.a)) or "the same in all values used"
    if compared := join(_instead(judgement.a, judgement.b)):
        values_text += f", instead of {compared}"
    return Page(
        f"{judgement.verdict}: {_verdict(judgement)}",
        [Facts([("Difference", _difference(judgement)), ("Values", values_text)])],
        calls,
        [
            Fold("Both configurations", [Grid(head, rows, right=(1, 2, 3))], "table"),
            Fold("Basis", [Items(_basis(judgement))], "basis"),
        ],
    )


def runs_needed(judgement: Judgement) -> int:
    """Expected number of runs under new seeds at the decision, existing runs included.

    0 if no decision is expected.
    """
    if judgement.verdict != CONFIRM or not judgement.seeds:
        return 0
    return len(judgement.a.replicates) + len(judgement.b.replicates) + 2 * judgement.seeds


def _verdict(judgement: Judgement) -> str:
    than = _NAMES[judgement.incumbent]
    if judgement.verdict == KEEP:
        return f"the configuration is better than {than}"
    if judgement.verdict != CONFIRM:
        return f"the configuration is not better than {than}{by_over(judgement.epsilon, 'more than')}"
    if judgement.seeds and judgement.probability >= SURE and judgement.matters > 1 - SURE:
        return (
            f"better than {than} so far; a verdict takes {SEEN} runs under new seeds, so run "
            f"{plural(judgement.seeds, 'more seed')} of each"
        )
    undecided = f"not decided whether the configuration is better than {than}"
    if judgement.seeds is None:
        return f"{undecided}; more than {MOST:,} new seeds of each would be needed, so treat both as equal"
    return (
        f"{undecided}; about {plural(judgement.seeds, 'new seed')} of each would decide, if the "
        "difference stays the same"
    )


def _difference(judgement: Judgement) -> str:
    magnitude = f"{judgement.metric} {_compared(judgement.difference)} expected"
    if math.isnan(judgement.probability):
        return f"{magnitude}; too few repeats for an interval"
    if judgement.basis == "noiseless":
        return f"{magnitude}; no noise seen, so this is the difference"
    return f"{magnitude} (95 % interval: {_compared(judgement.low)} to {_compared(judgement.high)})"


_BASIS = {
    "posterior": "the model of all configurations that ran, which corrects for lucky runs",
    "runs": "runs of both under new seeds alone: too few configurations ran for the model",
    "table": "runs of both (a first run only if it is the only one), and the spread of all runs of the table",
    "noiseless": "single runs, since repeats gave identical values",
}


def _basis(judgement: Judgement) -> list[str]:
    lines = [_BASIS[judgement.basis]]
    if math.isfinite(judgement.probability) and judgement.basis != "noiseless":
        better = f"model probability that it is better: {judgement.probability:.2f}"
        if judgement.epsilon:
            better += f", better{by_over(judgement.epsilon, 'more than')}: {judgement.matters:.2f}"
        lines.append(better)
    if judgement.verdict != CONFIRM and judgement.basis == "posterior":
        right = "97 %"
        if judgement.verdict == KEEP:
            right = "95 %"
        lines.append(f"{judgement.verdict} was right in {right} of the cases counted on tables")
    if math.isfinite(judgement.noise.sd):
        lines.append(f"noise: {noise_text(judgement.noise)}")
    fewest = min(len(judgement.a.replicates), len(judgement.b.replicates))
    if judgement.verdict == CONFIRM and fewest < SEEN and judgement.basis != "noiseless":
        lines.append(
            f"no KEEP before {SEEN} runs under new seeds, and no DISCARD on fewer once there are any"
        )
    return lines


_CORRECTS = (
    "The best of many noisy values is biased upwards: a repeat of the best configuration is expected to be "
    "worse. Repeats correct for the noise of training, resampled examples or folds for the noise of the "
    "validation data. No single correction covers both."
)


_BY_MODEL = "the winner's expected value comes from a model of all runs"


@page_for(Optimism)
def optimism_page(optimism: Optimism) -> Page:
    """The best observed value, and the value expected by each correction."""
    facts = []
    rows = [("best observed", score(optimism.best), "-", "chosen because it was the best")]
    if math.isfinite(optimism.expected):
        text = f"{score(optimism.expected)} expected when the best observed trial is retrained; {_BY_MODEL}"
        facts.append(("Noise alone", text))
        source = "simulated: new noise on values that share their mean"
        rows.append(("noise alone", score(optimism.expected), "-", source))
    calls = []
    noise = optimism.noise
    if (seeds := optimism.seeds) is None and noise is not None and noise.deterministic:
        facts.append(("Noise", noise_text(noise)))
    elif seeds is None:
        facts.append(("Replicates", "none yet"))
        calls = [Action("round.add", repeat=5, seeds=3)]
    else:
        runs = plural(seeds.runs, "repeat")
        if optimism.failed:
            runs += f"; {plural(optimism.failed, 'other')} gave no usable model"
        facts.append(("Replicates", f"{score(seeds.value)} in {runs}"))
        rows.append(("replicates", score(seeds.value), between(seeds.low, seeds.high), f"mean of {runs}"))
    if (e := optimism.examples) is not None:
        facts.append(("Other data", f"{score(e.value)} on resampled examples"))
        source = (
            f"chosen among {plural(e.models, 'model')} on {plural(e.examples, 'example')} drawn "
            f"again; observed {score(e.best)}"
        )
        rows.append(("resampled examples", score(e.value), between(e.low, e.high), source))
    if (new_data := optimism.folds) is not None:
        facts.append(("New data", new_data_text(new_data)))
        interval = between(new_data.low, new_data.high)
        rows.append(("folds", score(new_data.value), interval, "chosen on folds drawn again"))
    elif optimism.why_not is not None:
        facts.append(("Other data", f"unknown. {sentence(optimism.why_not)}"))
    grid = Grid(("value", optimism.metric, "95 % interval", "source"), rows, right=(1,))
    folds = [Fold("Every correction", [grid, Text(_CORRECTS)], "table")]
    if optimism.components is not None and math.isfinite(optimism.components.configuration):
        folds.append(Fold("Seed and configuration", [Text(_components(optimism.components))], "components"))
    return Page(f"Best observed {optimism.metric} {score(optimism.best)}", [Facts(facts)], calls, folds)


def _components(c: stats.Components) -> str:
    """The shares of seed and configuration in the spread of runs."""
    total = c.configuration**2 + c.seed**2
    if total == 0:
        return f"Repeats of all {c.groups} repeated configurations gave identical values."
    text = (
        f"Among the {c.groups} repeated configurations, configurations differ by {score(c.configuration)} "
        f"and seeds of one configuration by {score(c.seed)} (standard deviations): "
        f"{percent(c.seed**2 / total)} of the variance of single runs comes from the seed."
    )
    if math.isfinite(c.split):
        text += f" Another choice of splits would move configurations against each other by {score(c.split)}."
    return text
