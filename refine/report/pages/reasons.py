"""Reasons in words: the sentence of every code of :data:`refine.analysis.reason.CODES`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from refine.analysis.evenness import LEVEL
from refine.analysis.reason import Reason
from refine.proposal.change import HARDLY, Change
from refine.utils.format import (
    coarse,
    difference,
    duration,
    join,
    number,
    p_value,
    percent,
    plural,
    score,
    signed,
)

Maker = Callable[[Any], str]


def sentence(reason: Reason) -> str:
    """What a reason says."""
    values = {name: math.nan if value is None else value for name, value in reason.values.items()}
    return _SENTENCES[reason.code](SimpleNamespace(**values))


def sentences(reasons: Iterable[Reason]) -> str:
    """What several reasons about one parameter say, one after the other."""
    return " ".join(sentence(reason) for reason in reasons)


def short_reason(change: Change) -> str:
    """Why a parameter changes, in a few words: ``falls with lr``, ``SGD 0.08 worse``."""
    by_code = {r.code: r for r in change.reasons}
    for code, say in _SHORT.items():
        if code in by_code:
            text = (
                say if isinstance(say, str) else say(SimpleNamespace(change=change, **by_code[code].values))
            )
            if text:
                return text
    return "best trials there"


def _choices_in_short(v: Any) -> str:
    """How much worse the choices that leave are, by their medians."""
    known = {label: median for label, median in v.medians if median is not None}
    stay = [m for label, m in known.items() if v.change.new.contains([label])[0]]
    leave = {label: m for label, m in known.items() if not v.change.new.contains([label])[0]}
    if not stay or not leave:
        return ""
    gaps = [min(abs(m - s) for s in stay) for m in leave.values()]
    low, high = difference(min(gaps)), difference(max(gaps))
    name = next(iter(leave)) if len(leave) == 1 else "the others"
    return f"{name} {low if low == high else f'{low} to {high}'} worse"


_SHORT: dict[str, str | Maker] = {
    "refuted": "an audit trial was better",
    "not_read_in_box": "nothing reads it",
    "not_there_in_box": "nothing has it",
    "piled_up": lambda v: f"best trials at its {v.side} end" if v.change.kind == "widen" else "",
    "improves_to_end": lambda v: f"best at its {v.side} end" if v.change.kind == "widen" else "",
    "model_only": "the model says so",
    "model_alone": "the model says so",
    "trend": lambda v: f"{v.way} with {v.parameter}",
    "choices": _choices_in_short,
    "fails_at": "trials fail elsewhere",
    "fails_towards": lambda v: f"trials fail the {v.way} it is",
    "coupled": lambda v: f"with {join(v.partners)}",
    "seen_earlier": "seen earlier",
}
"""Code -> the few words of a glance; the first that has some speaks."""


def times(ratio: float) -> str:
    """How often something is among the good trials: ``2.1 times`` as often as overall, or ``hardly ever``."""
    if ratio < HARDLY:
        return "hardly ever"
    return f"{ratio:.1f} times" if 0.95 <= ratio < 1.05 else f"{number(ratio, 2)} times"


def never_read(names: Sequence[str]) -> str:
    """About parameters that no trial read."""
    it, they = ("it", "it") if len(names) == 1 else ("them", "they")
    values = "its values" if len(names) == 1 else "their values"
    return (
        f"The objective never read {join(names)}, so {values} changed nothing: the model reads another name, or reads {it} "
        f"only under conditions that did not occur; otherwise {they} can be removed."
    )


def _trend(v: Any) -> str:
    but = f" over most of its range, but few of the best trials lie at its {v.few_at} end" if v.few_at else ""
    return f"{v.metric} {v.way} with {v.parameter}{but}: {_correlation(v)}, q {p_value(v.q)}."


def _correlation(v: Any) -> str:
    return f"rank correlation {signed(v.estimate)} (95 % interval {signed(v.low)} to {signed(v.high)})"


def _no_trend(v: Any) -> str:
    but = (
        "it has an effect once those of the other parameters are removed"
        if v.seen_by == "additive"
        else "the best trials are concentrated at some of its values"
    )
    return (
        f"{v.metric} does not rise or fall steadily with {v.parameter} (rank correlation {signed(v.estimate)}), but {but} "
        f"(q {p_value(v.q)})."
    )


def _choices(v: Any) -> str:
    known = [(label, _known(median)) for label, median in v.medians]
    # Of a choice whose median is a pruned or an infeasible trial there is none.
    shown = [f"{score(median)} with {label}" for label, median in known if median == median]
    medians = f": median {join(shown)}" if shown else ""
    if v.seen_by == "additive":
        return (
            f"The choices of {v.parameter} differ once the effects of the other parameters are removed (q {p_value(v.q)}); "
            f"by themselves they hardly do{medians}."
        )
    effect = f"epsilon squared {v.effect:.2f}"
    if v.seen_by == "importance":
        return (
            f"The choices of {v.parameter} are not equally frequent among the best fifth (q {p_value(v.q)}); over all trials "
            f"they hardly differ ({effect}){medians}."
        )
    return f"The choices of {v.parameter} differ ({effect}, q {p_value(v.q)}){medians}."


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _read_in(v: Any) -> str:
    where = f", those where {_condition(v)}" if _condition(v) else ""
    return (
        f"Tested on the {plural(v.n, 'space-filling trial')} that read it ({percent(v.share)} of all{where})."
    )


def _condition(v: Any) -> str:
    """``layers is 2 or 3``; empty where no condition is known."""
    if not isinstance(v.condition, Mapping):
        return v.condition if isinstance(v.condition, str) else ""  # a proposal may be stored with the text
    return f"{v.condition['parameter']} is {join(v.condition['levels'], 'or')}"


def _fail(v: Any) -> str:
    constrained = getattr(v, "constrained", False)
    ways = ["fail", *(["are degenerate"] * v.degenerate), *(["are infeasible"] * constrained)]
    what = join(ways, "or")
    if not v.apart:
        return what
    return f"{what}, apart from {plural(v.apart, 'trial')} at levels of others where everything fails,"


def _fails_at(v: Any) -> str:
    shares = join([f"{percent(share)} at {label}" for label, share in v.levels])
    return f"Trials {_fail(v)} more often at some levels of {v.parameter} than at the others: {shares} (q {p_value(v.q)})."


def _limited(v: Any) -> str:
    past = "It goes no further than" if v.widened else "It does not go beyond"
    if v.why == "declared":
        return f"{past} {v.limit}, its declared limit."
    inferred = (
        f"no value of {v.parameter} is on the other side of 0"
        if v.why == "sign"
        else "its name and its values are those of a share"
    )
    return f"{past} {v.limit}, a limit inferred ({inferred}); within= declares another one, or none."


def _effect_so_far(v: Any) -> str:
    if hasattr(v, "estimate"):
        return f"{_correlation(v)}, q {p_value(v.q)}"
    return f"epsilon squared {v.effect:.2f}, q {p_value(v.q)}"


def _untried(v: Any) -> str:
    where = _levels(v.go)
    return f"No trial at {where} gave a value." if v.no_value else f"No trial lies at {where}."


def _levels(labels: Sequence[str]) -> str:
    return join(labels) if len(labels) <= 4 else f"the other {len(labels)} levels"


def _stay(v: Any) -> str:
    if isinstance(v.bounds, list):
        return " to ".join(number(end, 6) for end in v.bounds)
    return join(v.stay)


def _contrast(v: Any) -> str:
    there = "hardly ever occur" if v.there < HARDLY else f"are {times(v.there)} as frequent"
    return (
        f"At {_stay(v)} the best {percent(v.share)} of trials are {times(v.here)} as frequent as overall ({v.n_here} trials); "
        f"at {_levels(v.go)} they {there} ({v.n_there} trials)."
    )


def _refuted(v: Any) -> str:
    by = f" by more than {score(v.epsilon)}" if v.epsilon else ""
    return (
        f"An audit trial outside this space, with {v.parameter} = {v.value}, reached {score(v.reached)}; the best inside is "
        f"{score(v.inside)}, worse{by}. The narrowing that left it out is refuted, so it is let in again."
    )


def _size(v: Any) -> str:
    rarest = (
        f", {v.rarest} among them, which {percent(v.read)} of the trials read" if v.rarest == v.rarest else ""
    )
    parts = (
        f"{plural(v.hit, 'space-filling configuration')} include one of the best {percent(v.hit_share)} of the proposed space "
        f"with probability {v.probability}",
        f"{v.judge:,} give the {v.needed} good trials needed to judge {plural(v.parameters, 'parameter')}{rarest}",
    )
    if not v.left:
        return f"{join(parts)}, but nothing is left to run of {v.size:,}."
    few = f"; no more than {v.n:,} of {v.size:,} are left to run" if v.n < v.wanted else ""
    return f"{join(parts)}, so {plural(v.wanted, 'configuration')} suffice{few}."


def _time(seconds: float) -> str:
    """How long it takes, as what stands between two commas; nothing where that is less than a second."""
    return f", about {duration(seconds)}," if seconds >= 1 else ""


def _decide(v: Any) -> str:
    time = (
        f"; the advised {plural(v.n, 'configuration')} of the next round take{_time(v.seconds).strip(',')}"
        if _time(v.seconds)
        else ""
    )
    return f"Decide about {join(v.parameters)}{time}."


def next_sentence(reasons: Sequence[Reason]) -> str:
    """What to do next in one paragraph, in front of the call that does it."""
    return f"Do this next: {sentences(reasons)}"


def _new_value(v: Any) -> str:
    meant = f"; did you mean {v.meant!r}?" if v.meant else "."
    return f"{v.value} of {v.parameter} is new to this space{meant}"


def _best_lost(v: Any) -> str:
    inside = f"the best inside is {score(v.best_kept)}"
    if math.isnan(v.best_kept):
        none = f"none of the {plural(v.no_value, 'trial')} inside gave a value"
        inside = none if v.no_value else "no trial lies inside"
    return f"The best trial ({v.metric} {score(v.best)}) leaves; {inside}.{_again(v)}"


def _again(v: Any) -> str:
    """What those that leave are expected to give again; empty where nothing is known of it."""
    if not hasattr(v, "inside"):
        return ""
    count = (
        f"{len(v.ranks)} of the best 10 leave"
        if len(v.ranks) > 1
        else "It leaves"
        if 1 in v.ranks
        else "1 of the best 10 leaves"
    )
    low, high, inside = coarse([v.low, v.high, v.inside])
    there = low if low == high else f"{low} to {high}"
    if v.exact:
        return f" {count}, with {there}; the best inside has {inside}."
    return f" {count}: {there} is expected of {'them' if len(v.ranks) > 1 else 'it'} again, {inside} of the best inside."


def _some_outside(v: Any) -> str:
    if hasattr(v, "inside"):
        return _again(v).strip()
    lie = "leaves" if len(v.ranks) == 1 else "leave"
    return f"{len(v.ranks)} of the best 10 {lie}: rank {join([str(r) for r in v.ranks])}."


# Several parameters in one sentence.


def together(reasons: Mapping[str, Sequence[Reason]]) -> list[str]:
    """One sentence for all parameters about which the same is to be said: nothing was seen, or too little is known.

    Args:
        reasons: Parameter -> the reasons about it.
    """
    by_code: dict[str, list[Reason]] = {}
    for found in reasons.values():
        for reason in found:
            by_code.setdefault(reason.code, []).append(reason)
    return [line for code, say in _TOGETHER.items() if (line := say(by_code.get(code, [])))]


def _names(reasons: Sequence[Reason]) -> list[str]:
    return [str(r.values["parameter"]) for r in reasons]


def _spread(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _all_not_seen(reasons: Sequence[Reason]) -> str:
    if not reasons:
        return ""
    least = min(_known(r.values["q"]) for r in reasons)
    q = f"q {p_value(least)}" if len(reasons) == 1 else f"smallest q {p_value(least)}"
    return f"No effect of {join(_names(reasons), 'or')} is seen ({q}), which is no proof that there is none."


def _all_too_few(reasons: Sequence[Reason]) -> str:
    if not reasons:
        return ""
    good, needed = [r.values["good"] for r in reasons], max(r.values["needed"] for r in reasons)
    return f"{join(_names(reasons))} can't be judged yet: {_spread(good)} good trials of {needed} needed."


def _all_constant(reasons: Sequence[Reason]) -> str:
    return sentence(reasons[0]) if reasons else ""


def _all_never_read(reasons: Sequence[Reason]) -> str:
    return never_read(_names(reasons)) if reasons else ""


_TOGETHER: dict[str, Callable[[Sequence[Reason]], str]] = {
    "not_seen": _all_not_seen,
    "too_few": _all_too_few,
    "constant": _all_constant,
    "never_read": _all_never_read,
}
QUIET = tuple(_TOGETHER)
"""Codes of what is said of several parameters in one sentence."""


def _uneven(v: Any) -> str:
    """Which values are not even, where that is known."""
    if not v.p <= LEVEL:
        return ""
    return f" ({f'the values of {v.parameter} are not even' if v.parameter else 'they improve one after the other'}, p {p_value(v.p)})"


_SENTENCES: dict[str, Maker] = {
    # What was seen of a parameter.
    "never_read": lambda v: never_read([v.parameter]),
    "trend": _trend,
    "no_trend": _no_trend,
    "choices": _choices,
    "coupled": lambda v: (
        f"No effect of {v.parameter} alone is seen (q {p_value(v.q)}), but among the best trials it is coupled with "
        f"{join(v.partners)}."
    ),
    "depends_on": lambda v: f"Its best value depends on {join(v.partners)}.",
    "read_in": _read_in,
    "rich": lambda v: (
        f"The best {percent(v.share)} of trials are concentrated at {join(v.levels)} (up to {number(v.times, 2)} times as "
        "frequent as overall)."
    ),
    "fails_at": _fails_at,
    "fails_towards": lambda v: (
        f"Trials {_fail(v)} more often the {v.way} {v.parameter} is: {percent(v.below)} up to the middle of its range, "
        f"{percent(v.above)} beyond (q {p_value(v.q)})."
    ),
    "piled_up": lambda v: (
        f"{v.count} of the {v.of} best trials lie at its {v.side} end, {v.level}, where {percent(v.share)} of all trials lie "
        f"(q {p_value(v.q)}): the optimum may be beyond."
    ),
    "improves_to_end": lambda v: (
        f"Its values improve up to its {v.side} end, {v.level} (q {p_value(v.q)}): the optimum may be beyond."
    ),
    "useless_beyond": lambda v: (
        f"{v.metric} is best at its {v.side} end, where the front is worse in {v.first} than half of the trials: it goes no further."
    ),
    "limited": _limited,
    "not_seen": lambda v: f"No effect of {v.parameter} is seen: {_effect_so_far(v)}.",
    "too_few": lambda v: (
        f"{v.parameter} can't be judged yet: {plural(v.good, 'good trial')} of {v.needed} needed. No effect is seen so far: "
        f"{_effect_so_far(v)}."
    ),
    "constant": lambda v: f"Every trial has the same {v.metric}, so no effect can be seen.",
    # What a change cuts off, or lets in.
    "all_plausible": lambda _: "At this risk the optimum may be at any of its levels, so all stay.",
    "untried": _untried,
    "contrast": _contrast,
    "model_only": lambda v: (
        f"The cut to {_stay(v)} rests on the model of all parameters together: the best {percent(v.share)} of trials alone do not show it "
        f"({times(v.here)} as frequent as overall there, {times(v.there)} at {_levels(v.go)})."
    ),
    "model_alone": lambda v: f"The model of all parameters together favours {_stay(v)}; this is untested.",
    "seen_earlier": lambda v: (
        f"{v.parameter} was seen to matter earlier in this branch, and all trials together show it; those of this round alone do not."
    ),
    "not_tried": lambda v: (
        f"{_levels(v.levels)[:1].upper()}{_levels(v.levels)[1:]} stay{'s' if len(v.levels) == 1 else ''}: not tried yet."
    ),
    "not_read_in_box": lambda v: (
        f"{v.parameter} was read only where {_condition(v)}, which leaves: it is fixed, since nothing that stays reads it."
    ),
    "not_there_in_box": lambda v: (
        f"{v.parameter} is no longer read: it exists only where {_condition(v)}, which leaves. It is neither changed nor counted."
    ),
    "refuted": _refuted,
    # What else is suggested.
    "flat": lambda v: (
        f"{v.parameter} makes no difference beyond {score(v.epsilon)} at any of its levels, and a trial with {v.level} takes "
        f"{percent(v.saving)} less time than the median one."
    ),
    "size": _size,
    # What to keep in mind.
    "imported": lambda v: (
        f"{plural(v.n, 'trial')} of {v.of:,} were imported and look drawn at random or on a grid, so that they are tested on. If "
        "results chose them, import them with space_filling=False; else with space_filling=True."
    ),
    "uneven": lambda v: (
        f"The trials are said to be drawn at random or on a grid, but do not look like it{_uneven(v)}: if results chose them, no "
        "p-value holds; import them with space_filling=False."
    ),
    "untested": lambda v: (
        f"Untested: results chose these {plural(v.n, 'trial')}{_uneven(v)}, so that p-values and densities would follow the choice. "
        "What is proposed is the model's alone."
    ),
    "sampled": lambda v: (
        f"{v.of:,} space-filling trials are more than an analysis needs: it was made on a sample of {v.n:,} of them, drawn by their "
        "configurations. What is counted, and the best trial, are of all."
    ),
    "damaged": lambda v: (
        f"{plural(v.n, 'stored trial')} of this round and those before it can't be read, and {'is' if v.n == 1 else 'are'} left "
        "out; tree.damage() says why."
    ),
    "code": lambda v: (
        f"The trials ran {len(v.codes)} versions of the objective's code ({', '.join(v.codes)}); differences between trials may "
        "come from the code."
    ),
    "other_metric": lambda v: f"{v.metric} is not computed from the predictions of the trained model alone.",
    "no_predictions": lambda _: "The trials stored no predictions: trial.predicted(predictions, targets).",
    "few_examples": lambda v: f"There are only {plural(v.n, 'validation example')}.",
    "no_formula": lambda v: f"How {v.metric} follows from predictions is not known.",
    "not_reproduced": lambda v: (
        f"{v.metric} as recorded does not follow from the predictions in the usual way."
    ),
    "decide": _decide,
    "more": lambda v: (
        f"{plural(v.more, 'more configuration')} of this round{_time(v.seconds)} would let {join(v.parameters)} be judged with power "
        f"{v.power:.2g} (to see an effect that explains {percent(v.effect)} of the differences between trials)."
    ),
    "settled": lambda v: (
        "Nothing is to be narrowed: an effect that explains "
        f"{percent(v.effect)} of the differences between trials would have been seen with power {v.power:.2g}. "
        f"{v.runs} runs again of the best{_time(v.seconds)} tell which of them is best."
    ),
    "exhausted": lambda v: (
        f"Every configuration was run: {v.runs} runs again of the best{_time(v.seconds)} tell which of them is best."
    ),
    "nothing_read": lambda v: (
        f"The objective reads none of {join(v.parameters)}: make it read them, or vary what it reads."
    ),
    "untested_yet": lambda v: (
        f"The model narrows nothing, and results chose the trials, so that nothing is tested: {plural(v.n, 'space-filling trial')}"
        f"{_time(v.seconds)} would tell what matters."
    ),
    "tried": lambda v: (
        f"Tested so far: {plural(v.n, 'space-filling trial')} on {plural(v.parameters, 'parameter')} that were read."
    ),
    "new_value": _new_value,
    "best_outside": lambda v: (
        f"The best trial leaves; others as good ({v.metric} {score(v.best)}) stay.{_again(v)}"
    ),
    "best_lost": _best_lost,
    "some_outside": _some_outside,
}
