"""Sentences of reasons, by the codes of :data:`refine.analysis.reason.CODES`, and shared phrases."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from string import Formatter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from refine.analysis.analysis import Analysis, Feasibility
from refine.analysis.believed import BeliefCheck
from refine.analysis.evenness import LEVEL
from refine.analysis.reason import Reason
from refine.proposal.change import HARDLY, Change
from refine.review.decision import user
from refine.space.space import Space
from refine.stats import NoiseEstimate
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Fact, Text
from refine.utils.format import (
    by_over,
    coarse,
    difference,
    duration,
    inflected,
    join,
    number,
    p_value,
    percent,
    plural,
    risk_percent,
    score,
    signed,
)

if TYPE_CHECKING:
    from refine.tree.round import Round

Values = Mapping[str, Any]  # of a reason, by name
Say = str | Callable[[Any], str]  # a sentence: a template with named values, or a function of the values

# Formats of values in a template. Any other word is a noun to count: ``{n:trial}`` gives ``3 trials``.
_FORMATS: dict[str, Callable[[Any], str]] = {
    "q": lambda q: f"q {p_value(q)}",
    "percent": percent,
    "risk": risk_percent,
    "score": score,
    "signed": signed,
    "difference": difference,
    "and": join,
    "or": lambda items: join(items, "or"),
    "times": lambda ratio: times(ratio),
    "is": lambda count: inflected(count, "is", "are"),
    "number": lambda value: number(value, 2),
    "about": lambda seconds: f", about {duration(seconds)}," if seconds >= 1 else "",
    "levels": lambda labels: _levels(labels),
}


class _Template(Formatter):
    def get_value(self, key: int | str, _: Sequence[object], kwargs: Mapping[str, object]) -> Any:
        """The value of a name, if need be computed by :data:`_DERIVED` from the other values."""
        if key in kwargs:
            return kwargs[str(key)]
        return _DERIVED[str(key)](SimpleNamespace(**kwargs))

    def format_field(self, value: Any, spec: str) -> str:
        if spec in _FORMATS:
            return _FORMATS[spec](value)
        if spec[:1].isalpha():
            return plural(value, spec)
        return format(value, spec)


def fill(say: Say, values: Values) -> str:
    """A sentence with values filled in; missing values are NaN.

    Examples:
        >>> fill("{n:trial} of {share:percent}", {"n": 3, "share": 0.25})
        '3 trials of 25 %'
    """
    numbers = {name: math.nan if value is None else value for name, value in values.items()}
    if isinstance(say, str):
        return _Template().vformat(say, (), numbers)
    return say(SimpleNamespace(**numbers))


def upper(text: str) -> str:
    """A text with a capital first letter."""
    return text[:1].upper() + text[1:]


def sentence(reason: Reason) -> str:
    """The sentence of a reason."""
    return fill(_SENTENCES[reason.code], reason.values)


def sentences(reasons: Iterable[Reason]) -> str:
    """The sentences of several reasons about one parameter."""
    return " ".join(sentence(reason) for reason in reasons)


def short_reason(change: Change, epsilon: float = math.nan) -> str:
    """The main reason for a change, in a few words.

    For example ``val_acc rises with units`` or ``2.4x as many top trials``.

    ``epsilon`` is the tolerance of the claim: choices whose medians differ by less are not called worse.
    """
    by_code = {reason.code: reason.values for reason in change.reasons}
    context = {"change": change, "epsilon_of_claim": epsilon}
    for code, say in _SHORT.items():
        if code in by_code and (text := fill(say, {**by_code[code], **context})):
            return text
    return "top trials there"


def _choices_in_short(v: SimpleNamespace) -> str:
    """The loss of a dropped choice, by its median; the density of top trials if several choices are dropped.

    A choice is worse if its median is more than the tolerance below that of every kept choice.
    """
    medians = {label: median for label, median in v.medians if median is not None and median == median}
    kept_medians = [median for label, median in medians.items() if v.change.new.contains([label])[0]]
    dropped = {label: m for label, m in medians.items() if not v.change.new.contains([label])[0]}
    if not kept_medians or not dropped:
        return ""
    # Medians are listed with the best one first, which tells the direction of the metric.
    sign = 1.0
    if v.medians[0][1] < v.medians[-1][1]:
        sign = -1.0
    # positive: worse than all kept
    losses = [min(sign * (k - m) for k in kept_medians) for m in dropped.values()]
    tolerance = 0.0
    if math.isfinite(v.epsilon_of_claim):
        tolerance = v.epsilon_of_claim
    all_worse = min(losses) > tolerance
    if all_worse and len(dropped) == 1:
        return f"{next(iter(dropped))} {difference(losses[0])} worse"
    if density := _density(v.change):
        return density
    if all_worse:
        return f"the others {difference(min(losses))} to {difference(max(losses))} worse"
    if max(losses) > tolerance:
        return ""
    if len(medians) == 2:
        return "either will do"
    return "any will do"


def _density(change: Change) -> str:
    """``2.4x as many top trials``; empty if the trials do not show it."""
    density = next((r.values["here"] for r in change.reasons if r.code == "contrast"), None)
    if density is None or number(density, 2) == "1":
        return ""
    return f"{number(density, 2)}x as many top trials"


def _trend_in_short(v: SimpleNamespace) -> str:
    """``val_acc rises with units``.

    Empty for a box that keeps neither end, which a trend does not explain.
    """
    ends = [v.change.old.grid[0], v.change.old.grid[-1]]
    if not any(v.change.new.contains([end])[0] for end in ends):
        return ""
    return f"{v.metric} {v.way} with {v.parameter}{trend_mark(vars(v))}"


def trend_mark(values: Values) -> str:
    """`` (better)`` or `` (worse)`` for a metric of which smaller values are better, else nothing."""
    if values.get("direction") != "minimize":
        return ""
    if values["way"] == "falls":
        return " (better)"
    return " (worse)"


# Code -> the few words of a summary; the first one that is not empty is printed.
_SHORT: dict[str, Say] = {
    "refuted": "an audit trial was better",
    "not_read_in_box": "no kept choice uses it",
    "not_there_in_box": "no kept choice has it",
    "piled_up": lambda v: f"top trials pile up at {v.side} end" if v.change.kind == "widen" else "",
    "improves_to_end": lambda v: f"improves to {v.side} end" if v.change.kind == "widen" else "",
    "model_only": "better values expected",
    "model_alone": "better values expected",
    "trend": _trend_in_short,
    "choices": _choices_in_short,
    # Failures at a few of the dropped levels do not explain why the other ones are dropped.
    "fails_at": lambda v: (
        "failures elsewhere" if 2 * len(v.levels) >= min(_dropped_count(v.change), 8) else ""
    ),
    "fails_towards": lambda v: (
        f"more failures at {v.way} values"
        if v.change.new.contains([v.change.old.grid[0 if v.way == "higher" else -1]])[0]
        else ""
    ),
    "contrast": lambda v: _density(v.change),
    "coupled": "interacts with {partners:and}",
    "seen_earlier": "effect seen in an earlier round",
}


def _dropped_count(change: Change) -> int:
    """Number of levels dropped by a change."""
    return sum(not change.new.contains([level])[0] for level in change.old.grid)


def times(ratio: float) -> str:
    """A frequency relative to all trials: ``2.1x``; ``hardly ever`` below 0.05."""
    if ratio < HARDLY:
        return "hardly ever"
    if 0.95 <= ratio < 1.05:
        return f"{ratio:.1f}x"
    return f"{number(ratio, 2)}x"


def _never_read(names: Sequence[str]) -> str:
    count = len(names)
    return (
        f"The objective never read {join(names)}. Check the spelling in the objective, or remove the "
        f"{inflected(count, 'parameter', 'parameters')} from the space if no model uses "
        f"{inflected(count, 'it', 'them')}."
    )


_CORRELATION = "rank correlation {estimate:signed} (95 % interval {low:signed} to {high:signed})"


def _trend(v: SimpleNamespace) -> str:
    text = f"{v.metric} {v.way} with {v.parameter}"
    if getattr(v, "direction", "") == "minimize":
        text += " (smaller is better)"
    if v.few_at:
        text += f" over most of its range, but few top trials lie at its {v.few_at} end"
    return f"{text}: {fill(_CORRELATION, vars(v))}, q {p_value(v.q)}."


def _no_trend(v: SimpleNamespace) -> str:
    but = "top trials concentrate at some of its values"
    if v.seen_by == "additive":
        but = f"{v.parameter} has an effect once the effects of the other parameters are removed"
    return (
        f"{v.metric} neither rises nor falls steadily with {v.parameter} (rank correlation "
        f"{signed(v.estimate)}), but {but} (q {p_value(v.q)})."
    )


def _choices(v: SimpleNamespace) -> str:
    # A choice whose median trial was pruned or infeasible has no median value.
    median_texts = [f"{score(m)} with {label}" for label, m in v.medians if m is not None and m == m]
    medians = ""
    if median_texts:
        medians = f": median {join(median_texts)}"
    q = f"q {p_value(v.q)}"
    effect = f"epsilon squared {v.effect:.2f}"
    if v.seen_by == "additive":
        return (
            f"The choices of {v.parameter} differ once the effects of the other parameters are removed "
            f"({q}); without that they hardly differ{medians}."
        )
    if v.seen_by == "importance":
        return (
            f"The choices of {v.parameter} are not equally frequent among the top fifth of trials ({q}); "
            f"over all trials they hardly differ ({effect}){medians}."
        )
    return f"The choices of {v.parameter} differ ({effect}, {q}){medians}."


def _condition(v: SimpleNamespace) -> str:
    """``layers = 2 or 3``; empty if no condition is known."""
    if isinstance(v.condition, Mapping):
        return f"{v.condition['parameter']} = {join(v.condition['levels'], 'or')}"
    if isinstance(v.condition, str):
        return v.condition
    return ""


def _failure_words(v: SimpleNamespace) -> str:
    """``Failed``, ``Failed or degenerate``, ``Failed, degenerate or infeasible``."""
    ways = ["Failed", *["degenerate"] * v.degenerate, *["infeasible"] * getattr(v, "constrained", False)]
    return join(ways, "or")


def _not_counted(v: SimpleNamespace) -> str:
    if not v.apart:
        return ""
    return f" Not counted: {plural(v.apart, 'trial')} at levels of other parameters where every trial fails."


def _fails_at(v: SimpleNamespace) -> str:
    (label, share), *other_levels = v.levels
    shares = [f"{percent(share)} of the trials at {v.parameter} = {label}"]
    shares += [f"{percent(share)} at {label}" for label, share in other_levels]
    return (
        f"{_failure_words(v)}: {join(shares)}, more than at the other levels (q "
        f"{p_value(v.q)}).{_not_counted(v)}"
    )


def _limited(v: SimpleNamespace) -> str:
    past = f"{v.parameter} is not extended beyond"
    if v.widened:
        past = f"{v.parameter} is extended no further than"
    if v.why == "declared":
        return f"{past} {v.limit}, its declared limit."
    inferred = "its name and values look like a share"
    if v.why == "sign":
        inferred = f"no value lies on the other side of {v.limit}"
    return f"{past} {v.limit}: {inferred}. Set within= to allow more."


_FEW_LEVELS = 4  # levels that a sentence names one by one


def _levels(labels: Sequence[str]) -> str:
    if len(labels) <= _FEW_LEVELS:
        return join(labels)
    return f"the other {len(labels)} levels"


def _dropped_levels(v: SimpleNamespace) -> str:
    if len(v.go) <= _FEW_LEVELS:
        return join(v.go)
    return f"the {len(v.go)} levels dropped"


def _size(v: SimpleNamespace) -> str:
    if not v.left:
        return f"Nothing is left to run: all {v.size:,} configurations of the new space were run."
    needs = f"{v.hit:,} hit the best {percent(v.hit_share)} of the new space with probability {v.probability}"
    failing = getattr(v, "failing", 0.0)  # reasons of older versions have none
    if failing >= 0.005:
        needs += f"; {percent(failing)} are expected to fail"
        if (counted := getattr(v, "counted", failing)) < failing:
            needs += f", and the size allows for {percent(counted)}"
    text = f"{plural(v.wanted, 'trial')} are enough ({needs})."
    if v.n < v.wanted:
        text += f" The new space has {plural(v.n, 'configuration')} left to run."
    return f"{text} An advised round is never larger than the present one."


def _decide(v: SimpleNamespace) -> str:
    decide = f"Decide about {join(v.parameters)}."
    if not v.n:
        return f"{decide} Every configuration of the new space was run."
    parts = [f"{v.even:,} evenly drawn"]
    if v.learned:
        parts.insert(0, f"{v.learned:,} exploit (chosen by the model as results arrive)")
    if v.outside:
        parts.append(f"{v.outside:,} audit (outside the new space)")
    shares = ", ".join(parts)
    if v.seconds >= 1:
        shares += f"; about {duration(v.seconds)}"
    return f"{decide} If you accept, {plural(v.n, 'trial')}: {shares}."


def _inside(v: SimpleNamespace) -> str:
    if not math.isnan(v.best_kept):
        return f"the best kept has {score(v.best_kept)}"
    if v.no_value:
        return f"none of the {plural(v.no_value, 'trial')} kept gave a value"
    return "no trial is kept"


def top_trials_cut(values: Values, *, bare: bool = False) -> str:
    """Top trials cut off, with their values if known: ``Of the top 10, 7 are cut off (0.964 to 0.997)``.

    ``values`` are those of a reason of a preview: ranks; low, high, inside, exact and tie if a prediction
    exists. ``bare`` leaves the verb out: ``retrained 0.964 to 0.997``.
    """
    count = len(values["ranks"])
    top = values.get("top", 10)  # reasons of older versions have none
    return f"Of the top {top}, {count} {inflected(count, 'is', 'are')} cut off{values_cut(values, bare=bare)}"


def values_cut(values: Values, *, bare: bool = False) -> str:
    """The end of :func:`top_trials_cut`: the values of the trials, or the ranks without values."""
    ranks = values["ranks"]
    if values.get("inside") is None:
        return f": {inflected(len(ranks), 'rank', 'ranks')} {join([str(rank) for rank in ranks])}"
    low, high, inside = coarse([values["low"], values["high"], values["inside"]])
    interval = " to ".join(dict.fromkeys((low, high)))
    compared = "the best kept"
    tied = bool(values.get("tie"))
    if tied:
        compared = "a tie with the best kept"
    if values["exact"]:
        return f" ({interval})" + f", {compared}" * tied
    verb = ""
    if not bare:
        verb = f" {inflected(len(ranks), 'it', 'they')} should reach"
    return f": retrained{verb} {interval}, {compared} {inside}"


def _uneven(v: SimpleNamespace) -> str:
    """The evidence that values are not even, if known."""
    if not v.p <= LEVEL:
        return ""
    pattern = "they improve one after the other"
    if v.parameter:
        pattern = f"the values of {v.parameter} are not even"
    return f" ({pattern}, p {p_value(v.p)})"


def _untested(v: SimpleNamespace) -> str:
    chosen = f"Untested: results chose these {plural(v.n, 'trial')}"
    fix = ""
    if uneven := _uneven(v):
        chosen = f"Untested: results seem to have chosen these {plural(v.n, 'trial')}{uneven}"
        fix = " If they are a random or grid sample, import them with space_filling=True (--space-filling)."
    return f"{chosen}, so p-values would mislead. The model alone proposes.{fix}"


# Several parameters in one sentence.


def together(reasons: Mapping[str, Sequence[Reason]]) -> list[str]:
    """One sentence for the parameters with the same finding and no effect.

    ``reasons`` by parameter name.
    """
    of_code = {
        code: [r.values for rs in reasons.values() for r in rs if r.code == code] for code in _TOGETHER
    }
    return [_TOGETHER[code](values) for code, values in of_code.items() if values]


def _names(values: Sequence[Mapping[str, object]]) -> list[str]:
    return [str(v["parameter"]) for v in values]


def _all_not_seen(values: Sequence[Values]) -> str:
    smallest = p_value(min(math.nan if v["q"] is None else v["q"] for v in values))
    q = inflected(len(values), "q", "smallest q")
    return (
        f"No effect detected for {join(_names(values), 'or')} ({q} {smallest}). That does not rule one out."
    )


def _all_too_few(values: Sequence[Values]) -> str:
    return f"Too few trials to see an effect of {join(_names(values), 'or')} alone."


_TOGETHER: dict[str, Callable[[Sequence[Values]], str]] = {
    "not_seen": _all_not_seen,
    "too_few": _all_too_few,
    "constant": lambda values: fill(_SENTENCES["constant"], values[0]),
    "steep": lambda values: fill(_SENTENCES["steep"], values[0]),
    "never_read": lambda values: _never_read(_names(values)),
}
QUIET = tuple(_TOGETHER)  # codes that several parameters share in one sentence


def _effect_template(v: SimpleNamespace) -> str:
    """The size of an effect before its q-value; empty if no size can be estimated."""
    if hasattr(v, "estimate"):
        return f"{_CORRELATION}, "
    if math.isfinite(v.effect):
        return "epsilon squared {effect:.2f}, "
    return ""


# Values of a template that are derived from other values.
_DERIVED: dict[str, Callable[[Any], str]] = {
    "cut": lambda v: top_trials_cut(vars(v)),
    "at": lambda v: (
        " to ".join(number(end, 6) for end in v.bounds) if isinstance(v.bounds, list) else join(v.stay)
    ),
    "condition_text": _condition,
    "dropped": _dropped_levels,
    "inside_text": _inside,
    "rare": lambda v: times(v.there),
    "so_far": lambda v: fill(f"{_effect_template(v)}{{q:q}}", vars(v)),
    "uneven": _uneven,
    "where": lambda v: f", those with {_condition(v)}" if _condition(v) else "",
}

_SENTENCES: dict[str, Say] = {
    # Evidence on one parameter.
    "never_read": lambda v: _never_read([v.parameter]),
    "trend": _trend,
    "no_trend": _no_trend,
    "only_spread": "{parameter} changes how much {metric} varies, not its middle: "
    "the best trials may only be lucky there.",
    "choices": _choices,
    "coupled": (
        "No effect of {parameter} alone was detected ({q:q}), but among the top trials it is "
        "coupled with {partners:and}."
    ),
    "depends_on": "The best value of {parameter} depends on {partners:and}.",
    "read_in": "Tested on the {n:evenly drawn trial} that used {parameter} ({share:percent} of all{where}).",
    "rich": (
        "Top {share:percent} of trials: concentrated at {levels:and} (up to {times:number}x as "
        "common as overall)."
    ),
    "fails_at": _fails_at,
    "fails_towards": lambda v: (
        f"{_failure_words(v)}: more often the {v.way} {v.parameter} is, {percent(v.below)} of the "
        f"trials up to the middle of its range and {percent(v.above)} above the middle "
        f"(q {p_value(v.q)}).{_not_counted(v)}"
    ),
    "piled_up": (
        "{count} of the {of} top trials lie at the {side} end of {parameter}, {level}, where "
        "{share:percent} of all "
        "trials lie ({q:q}): the optimum may lie beyond."
    ),
    "improves_to_end": (
        "{metric} improves up to the {side} end of {parameter}, {level} ({q:q}): the optimum may lie beyond."
    ),
    "useless_beyond": (
        "{metric} is best at the {side} end of {parameter}, but the front there is worse in {first} "
        "than half of the "
        "trials, so {parameter} is not extended."
    ),
    "limited": _limited,
    "not_seen": "No effect of {parameter} was detected: {so_far}.",
    "too_few": lambda v: fill(
        "Too few trials to see an effect of {parameter} alone: {so_far}.",
        vars(v),
    ),
    "constant": "Every finished trial has the same {metric}, so no effect can be detected.",
    # Evidence for dropped and added values.
    "all_plausible": "At this risk any level may hold the optimum, so all levels are kept.",
    "steep": (
        "The worst value lies {times:times} as far below the median as the best lies above it. Near such a "
        "fall, exploit trials say little about other places: fewer than 40 configurations cut nothing off."
    ),
    "untried": lambda v: (
        f"No trial at {_dropped_levels(v)} gave a value."
        if v.no_value
        else f"No trial was run at {_dropped_levels(v)}."
    ),
    "contrast": (
        "Top {share:percent} of trials: {here:times} as common at {at} ({n_here:trial}), {rare} at {dropped} "
        "({n_there:trial})."
    ),
    "model_only": (
        "The cut to {at} rests on the model of all parameters together: the top {share:percent} "
        "of trials alone do not show it ({here:times} as common at {at}, {there:times} at {dropped})."
    ),
    "model_alone": (
        "The model of all parameters together favours {at}. The trials were chosen, so no test was possible."
    ),
    "seen_earlier": (
        "{parameter} had a detected effect earlier in this branch. All trials together still show the "
        "effect; the trials "
        "of this round alone do not."
    ),
    "not_tried": lambda v: upper(
        f"{_levels(v.levels)} {inflected(len(v.levels), 'is', 'are')} kept: not tried yet."
    ),
    "as_good": lambda v: (
        f"{join(v.levels)} cannot be told from {join(v.others, 'or')}: either will do, so all of these "
        "are kept."
    ),
    "opened": "Nothing was tried beyond {end}; the new end is {to}.",
    "not_read_in_box": (
        "No kept choice uses {parameter}: the objective read it only with {condition_text}, which "
        "is dropped. "
        "The proposal fixes {parameter}."
    ),
    "not_there_in_box": (
        "No configuration contains {parameter} any more: it exists only with {condition_text}, which "
        "is dropped. "
        "An edit that restores the choice brings the parameter back."
    ),
    "refuted": lambda v: (
        f"An audit trial outside this space, with {v.parameter} = {v.value}, reached {score(v.reached)}; the "
        f"best trial inside has {score(v.inside)}, worse{by_over(v.epsilon, 'more than')}. This refutes the "
        "earlier narrowing, so the proposal restores the value."
    ),
    # Further suggestions.
    "flat": (
        "No level of {parameter} makes a difference beyond the tolerance ({epsilon:difference}), and a "
        "trial with {level} takes "
        "{saving:percent} less time than the median trial."
    ),
    "size": _size,
    # Cautions.
    "imported": (
        "{n:imported trial} of {of:,} look like a random or grid sample, so tests are valid. If results "
        "chose the trials, import them with space_filling=False (--not-space-filling); otherwise with "
        "space_filling=True (--space-filling)."
    ),
    "uneven": (
        "The trials were declared a random or grid sample, but do not look like one{uneven}. If "
        "results chose them, no "
        "p-value holds: import them with space_filling=False (--not-space-filling)."
    ),
    "untested": _untested,
    "few_even": ("Untested: {n:trial} drawn evenly, and a test needs {least}. The model alone proposes."),
    "sampled": (
        "{of:,} evenly drawn trials are more than an analysis needs, so a sample of {n:,} was tested. "
        "Counts and the best "
        "trial are those of all trials."
    ),
    "decades": (
        "{metric} is compared by factors: values within a factor of {factor:.3g} count as ties "
        "(scale='linear' compares differences)."
    ),
    "exploded": lambda v: (
        f"{plural(v.n, 'trial')} of this round {inflected(v.n, 'counts', 'count')} as diverged: "
        f"{v.metric} {v.way} {v.limit:.3g}, far beyond the others."
    ),
    "damaged": (
        "{n:stored trial} of this round and earlier ones can't be read and {n:is} left out; "
        "tree.repair(dry_run=True) gives the reasons."
    ),
    "code": lambda v: (
        f"The trials ran {len(v.codes)} versions of the objective's code ({', '.join(v.codes)}); differences "
        "between trials may come from the code."
    ),
    "other_metric": "{metric} is not computed from the predictions of the trained model alone.",
    "no_predictions": (
        "The trials stored no scores by validation row; return predictions == targets as the metric, or call "
        "trial.predicted(predictions, targets)."
    ),
    "few_examples": "There are only {n:validation example}.",
    "no_formula": "The formula of {metric} from predictions is not known.",
    "not_reproduced": "The recorded {metric} does not follow from the predictions by its usual formula.",
    # Next steps.
    "decide": _decide,
    "durations": (
        "Trials at the slowest level of {parameter} take {factor:.2g} times as long as at the fastest: "
        "per='second' looks for improvements per hour."
    ),
    "search_on": (
        "{n:further configuration} of the same space{seconds:about} with {learned} exploit trials (chosen by "
        "the model as results arrive) and {even} evenly drawn."
    ),
    "more": (
        "{more:more trial} in this round{seconds:about} would detect an effect of {parameters:or} that "
        "causes {effect:percent} of the differences, with probability {power:.2g}."
    ),
    "all_equal": (
        "Every finished trial has the same {metric}, {value:score}. Check what the objective returns, or "
        "vary other parameters."
    ),
    "settled_exactly": (
        "Nothing is left to narrow: an effect that causes {effect:percent} of the differences would have "
        "been detected with probability {power:.2g}. Repeats are identical."
    ),
    "settled": (
        "Nothing is left to narrow: an effect that causes {effect:percent} of the differences would have "
        "been detected with probability {power:.2g}. {runs} repeats of the best{seconds:about} show which of "
        "them is best."
    ),
    "exhausted": (
        "Every configuration was run: {runs} repeats of the best{seconds:about} show which of them is best."
    ),
    "all_known": "Every configuration was run, and repeats are identical: the best observed one wins.",
    "last_repeats": (
        "{spent} trials of the budget of {budget} are spent. The last {runs:trial}{seconds:about} are for "
        "repeats of the plausible winners."
    ),
    "spent": "{spent} trials of the budget of {budget} are spent.",
    "decided": "Repeats have decided the winner: more of them would not help.",
    "nothing_read": (
        "The objective uses none of the parameters {parameters:and}. Change the objective, or vary "
        "other parameters."
    ),
    "untested_yet": (
        "The model narrows nothing, and no test was possible, because results chose the trials. A round of "
        "{n:evenly drawn trial}{seconds:about} would be tested."
    ),
    "tried": "Tested so far: {n:evenly drawn trial} on {parameters:parameter} that the objective used.",
    "new_value": lambda v: (
        f"{v.value} of {v.parameter} is new to this space{f'; did you mean {v.meant!r}?' if v.meant else '.'}"
    ),
    "best_outside": "The best trial is cut off; another one as good ({metric} {best:score}) is kept. {cut}.",
    "best_lost": "The best trial ({metric} {best:score}) is cut off; {inside_text}. {cut}.",
    "some_outside": "{cut}.",
}


def before_limits(space: Space) -> str:
    """A limit of shares of a space: they multiply the shares of the parameters, one by one."""
    limits = ["constraints"] * bool(space.constraints) + ["conditions"] * bool(space.conditions)
    if not limits:
        return ""
    return f" before {join(limits)}"


def judged_text(metric: str, subject_to: Sequence[object]) -> str:
    """``val_acc``, or ``val_acc with latency_ms <= 5``."""
    if subject_to:
        return f"{metric} with {join([str(c) for c in subject_to])}"
    return metric


def feasible_sentence(feasibility: Feasibility) -> str:
    """The number of trials that meet the metric constraints."""
    meet = (
        f"{feasibility.feasible} of {plural(feasibility.finished, 'finished trial')} "
        f"{inflected(feasibility.feasible, 'meets', 'meet')}"
    )
    if len(feasibility.constraints) == 1:
        return f"{meet} {feasibility.constraints[0]}."
    counts = join([f"{c} ({n})" for c, n in zip(feasibility.constraints, feasibility.met, strict=True)])
    return f"{meet} all constraints: {counts}."


_SOURCES = {
    "given": "as you asked",
    "folds": "standard error over folds",
    "replicates": "low estimate of the noise, by repeats",
    "residuals": "low estimate of the noise",
    "step": "smallest step of the metric",
    "range": "5 % of best - median",
    "decades": "5 % of the decades between best and median",
    "deterministic": "no noise seen",
}


def source_text(source: str, epsilon: float, rows: int = 0) -> str:
    """The origin of the tolerance, in a bracket; empty if unknown.

    ``source`` is as in :class:`refine.proposal.proposal.Claim`; ``rows`` counts validation rows if the metric
    is a share of them, else 0.
    """
    origin = _SOURCES.get(source, "")
    if rows and epsilon:
        origin = f"about {max(1, round(epsilon * rows))} of {rows:,} validation rows"
    if origin:
        return f" ({origin})"
    return ""


_LIMIT_SOURCES = {"declared": "declared", "name": "known by its name", "steps": "a share of rows"}


def limit_texts(analysis: Analysis) -> list[str]:
    """The limit of the metric behind a claim, with the source; empty without a limit.

    For example ``val_acc cannot exceed 1 (known by its name).``
    """
    limits = analysis.limits
    end = limits.high
    verb = "exceed"
    if analysis.sign < 0:
        end = limits.low
        verb = "fall below"
    if not math.isfinite(end):
        return []
    return [f"{analysis.metric} cannot {verb} {end:g} ({_LIMIT_SOURCES[limits.source]})."]


def noise_text(noise: NoiseEstimate) -> str:
    """The spread of repeats of one configuration, with its source.

    For example ``0.0059 between repeats (standard deviation, ...)``.
    """
    if noise.deterministic and not noise.n:
        return "none, as declared"
    if noise.deterministic:
        return f"none seen: {plural(noise.n, 'repeat')} gave identical values"
    if noise.source == "below_step":
        return f"below one step of the metric: {plural(noise.n, 'repeat')} gave identical values"
    if not (noise.measured and math.isfinite(noise.sd)):
        return "not known"
    source = {
        "replicates": plural(noise.n, "degree of freedom", "degrees of freedom"),
        "neighbours": "an upper bound, from runs that follow one another; nothing was repeated",
    }.get(noise.source, "estimated from the residuals of a smooth model")
    return f"{difference(noise.sd)} between repeats (standard deviation, {source})"


def noise_of_goals(analysis: Analysis) -> str:
    """The spread of repeats; with several goals, of each goal under its name."""
    if not analysis.others:
        return noise_text(analysis.noise)
    return "; ".join(f"{goal.metric} {noise_text(goal.noise)}" for goal in (analysis, *analysis.others))


def by(author: str) -> str:
    """`` by Ann``, or an empty text."""
    if author.strip():
        return f" by {author}"
    return ""


def belief_sentence(believed: BeliefCheck) -> str:
    """A declared belief and its weight after the trials, or the contradiction between them."""
    declared = f"Believed{by(believed.source.author)}: {believed.source.belief}."
    trials = plural(believed.n, "configuration")
    ratio = _times(abs(believed.log_bayes_factor))
    if believed.dropped:
        return (
            f"{declared} The results of {trials} contradict the belief: they are {ratio} as probable under "
            "its opposite. The belief is dropped; proposals and exploit trials use the trials alone."
        )
    likelier = "under the belief than under its opposite"
    if believed.log_bayes_factor < 0:
        likelier = "under its opposite than under the belief"
    against = ""
    if believed.contradicted:
        against = f" The trials contradict the part about {join(believed.contradicted)}."
    return (
        f"{declared} The results of {trials} are {ratio} as probable {likelier}, so it keeps "
        f"{percent(believed.weight)} of its first weight.{against} The belief shapes proposals and "
        "exploit trials; no test uses it."
    )


def belief_facts(believed: BeliefCheck | None) -> list[Fact]:
    """The contradiction between a belief and the trials, with the call to withdraw the belief.

    Empty without a contradiction.
    """
    if believed is None or not (believed.contradicted or believed.dropped):
        return []
    names = believed.contradicted
    if believed.dropped:
        names = tuple(believed.source.belief)
    text = (
        f"the trials ({plural(believed.n, 'configuration')}) contradict the belief about "
        f"{join(names)}. To withdraw it:"
    )
    call = Action("review.accept", belief=Symbol(believed.remaining.code()))
    return [("Believed", Cell(text, "warn", call=call))]


def belief_block(believed: BeliefCheck) -> Text:
    """:func:`belief_sentence` as a block of a page."""
    return Text(belief_sentence(believed), "warn" * believed.dropped)


def _times(log_ratio: float) -> str:
    if log_ratio > math.log(1000):
        return "more than 1,000 times"
    times = math.exp(log_ratio)
    if times < 99.5:
        return f"{times:.2g} times"
    return f"{times:,.0f} times"


def whom(author: str, authors: Collection[str]) -> str:
    """An author's name, or *you* if the current user alone decided in the tree.

    ``authors`` are the names of all deciders.
    """
    if set(authors) == {author} == {user()}:
        return "you"
    return author


def everybody(round_: Round) -> set[str]:
    """The authors of all rounds and decisions in the tree of a round."""
    return {member.node.author for member in round_._context.nodes.values()} | {
        d.author for d in round_._decisions
    }
