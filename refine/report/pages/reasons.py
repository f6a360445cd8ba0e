"""Reasons in words: the sentence of every code of :data:`refine.analysis.reason.CODES`; and what several pages say alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from string import Formatter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from refine.analysis.analysis import Feasibility
from refine.analysis.believed import Believed
from refine.analysis.evenness import LEVEL
from refine.analysis.reason import Reason
from refine.proposal.change import HARDLY, Change
from refine.review.decision import user
from refine.stats import Resolution
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Text
from refine.utils.format import (
    coarse,
    difference,
    duration,
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

Say = str | Callable[[Any], str]  # a sentence: a template of values by name, or a function of them

# How a value of a template is written; another word is what is counted: ``{n:trial}`` gives ``3 trials``.
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
    "is": lambda count: "is" if count == 1 else "are",
    "number": lambda value: number(value, 2),
    "about": lambda seconds: f", about {duration(seconds)}," if seconds >= 1 else "",
    "levels": lambda labels: _levels(labels),
}


class _Template(Formatter):
    def get_value(self, key: int | str, _: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A value by its name; another name is made of all values."""
        return kwargs[str(key)] if key in kwargs else _MADE[str(key)](SimpleNamespace(**kwargs))

    def format_field(self, value: Any, spec: str) -> str:
        if spec in _FORMATS:
            return _FORMATS[spec](value)
        return plural(value, spec) if spec[:1].isalpha() else format(value, spec)


def fill(say: Say, values: Mapping[str, Any]) -> str:
    """A sentence with its values, those that are missing as NaN.

    Examples:
        >>> fill("{n:trial} of {share:percent}", {"n": 3, "share": 0.25})
        '3 trials of 25 %'
    """
    known = {name: math.nan if value is None else value for name, value in values.items()}
    return _Template().vformat(say, (), known) if isinstance(say, str) else say(SimpleNamespace(**known))


def upper(text: str) -> str:
    """A text as a sentence begins."""
    return text[:1].upper() + text[1:]


def sentence(reason: Reason) -> str:
    """What a reason says."""
    return fill(_SENTENCES[reason.code], reason.values)


def sentences(reasons: Iterable[Reason]) -> str:
    """What several reasons about one parameter say, one after the other."""
    return " ".join(sentence(reason) for reason in reasons)


def short_reason(change: Change) -> str:
    """Why a parameter changes, in a few words: ``falls with lr``, ``SGD 0.08 worse``."""
    by_code = {r.code: r.values for r in change.reasons}
    texts = (
        fill(say, {"change": change, **by_code[code]}) for code, say in _SHORT.items() if code in by_code
    )
    return next(filter(None, texts), "best trials there")


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


# Code -> the few words of a glance; the first that has some speaks.
_SHORT: dict[str, Say] = {
    "refuted": "an audit trial was better",
    "not_read_in_box": "nothing reads it",
    "not_there_in_box": "nothing has it",
    "piled_up": lambda v: f"best trials at its {v.side} end" if v.change.kind == "widen" else "",
    "improves_to_end": lambda v: f"best at its {v.side} end" if v.change.kind == "widen" else "",
    "model_only": "the model says so",
    "model_alone": "the model says so",
    # A trend explains no box that keeps neither end: the best lies inside.
    "trend": lambda v: (
        f"{v.way} with {v.parameter}"
        if any(v.change.new.contains([v.change.old.grid[end]])[0] for end in (0, -1))
        else ""
    ),
    "choices": _choices_in_short,
    # Failures at a few of the levels that go don't explain why the others go.
    "fails_at": lambda v: "trials fail elsewhere" if 2 * len(v.levels) >= min(_gone(v.change), 8) else "",
    "fails_towards": lambda v: (
        f"trials fail the {v.way} it is"
        if v.change.new.contains([v.change.old.grid[0 if v.way == "higher" else -1]])[0]
        else ""
    ),
    "coupled": "with {partners:and}",
    "seen_earlier": "seen earlier",
}


def _gone(change: Change) -> int:
    """How many levels go."""
    return sum(not change.new.contains([level])[0] for level in change.old.grid)


def times(ratio: float) -> str:
    """How often something is among the good trials: ``2.1 times`` as often as overall, or ``hardly ever``."""
    if ratio < HARDLY:
        return "hardly ever"
    return f"{ratio:.1f} times" if 0.95 <= ratio < 1.05 else f"{number(ratio, 2)} times"


def _never_read(names: Sequence[str]) -> str:
    it, they, its = ("it", "it", "its") if len(names) == 1 else ("them", "they", "their")
    return (
        f"The objective never read {join(names)}, so {its} values changed nothing: the model reads another name, or reads {it} "
        f"only under conditions that did not occur; otherwise {they} can be removed."
    )


_CORRELATION = "rank correlation {estimate:signed} (95 % interval {low:signed} to {high:signed})"


def _no_trend(v: Any) -> str:
    alone = v.seen_by != "additive"
    effect = "it has an effect once those of the other parameters are removed"
    but = "the best trials are concentrated at some of its values" if alone else effect
    return f"{v.metric} does not rise or fall steadily with {v.parameter} (rank correlation {signed(v.estimate)}), but {but} (q {p_value(v.q)})."


def _choices(v: Any) -> str:
    # Of a choice whose median is a pruned or an infeasible trial there is none.
    shown = [f"{score(m)} with {label}" for label, m in v.medians if m is not None and m == m]
    medians = f": median {join(shown)}" if shown else ""
    q, effect = f"q {p_value(v.q)}", f"epsilon squared {v.effect:.2f}"
    if v.seen_by == "additive":
        return f"The choices of {v.parameter} differ once the effects of the other parameters are removed ({q}); by themselves they hardly do{medians}."
    if v.seen_by == "importance":
        return f"The choices of {v.parameter} are not equally frequent among the best fifth ({q}); over all trials they hardly differ ({effect}){medians}."
    return f"The choices of {v.parameter} differ ({effect}, {q}){medians}."


def _where(v: Any) -> str:
    return f", those where {_condition(v)}" if _condition(v) else ""


def _condition(v: Any) -> str:
    """``layers is 2 or 3``; empty where no condition is known."""
    if isinstance(v.condition, Mapping):
        return f"{v.condition['parameter']} is {join(v.condition['levels'], 'or')}"
    return v.condition if isinstance(v.condition, str) else ""


def _fail(v: Any) -> str:
    ways = [
        "fail",
        *["are degenerate"] * v.degenerate,
        *["are infeasible"] * getattr(v, "constrained", False),
    ]
    apart = f", apart from {plural(v.apart, 'trial')} at levels of others where everything fails,"
    return join(ways, "or") + (apart if v.apart else "")


def _limited(v: Any) -> str:
    past = "It goes no further than" if v.widened else "It does not go beyond"
    if v.why == "declared":
        return f"{past} {v.limit}, its declared limit."
    inferred = "its name and its values are those of a share"
    if v.why == "sign":
        inferred = f"no value of {v.parameter} is on the other side of 0"
    return f"{past} {v.limit}, a limit inferred ({inferred}); within= declares another one, or none."


def _levels(labels: Sequence[str]) -> str:
    return join(labels) if len(labels) <= 4 else f"the other {len(labels)} levels"


def _refuted(v: Any) -> str:
    by = f" by more than {score(v.epsilon)}" if v.epsilon else ""
    return (
        f"An audit trial outside this space, with {v.parameter} = {v.value}, reached {score(v.reached)}; the best inside is "
        f"{score(v.inside)}, worse{by}. The narrowing that left it out is refuted, so it is let in again."
    )


def _size(v: Any) -> str:
    rare = v.rarest == v.rarest
    rarest = f", {v.rarest} among them, which {percent(v.read)} of the trials read" if rare else ""
    parts = (
        f"{plural(v.hit, 'space-filling configuration')} include one of the best {percent(v.hit_share)} of the proposed space "
        f"with probability {v.probability}",
        f"{v.judge:,} give the {v.needed} good trials needed to judge {plural(v.parameters, 'parameter')}{rarest}",
    )
    if not v.left:
        return f"{join(parts)}, but nothing is left to run of {v.size:,}."
    few = f"; no more than {v.n:,} of {v.size:,} are left to run" if v.n < v.wanted else ""
    return f"{join(parts)}, so {plural(v.wanted, 'configuration')} suffice{few}."


def _decide(v: Any) -> str:
    time = f", which take about {duration(v.seconds)}" if v.seconds >= 1 else ""
    even = f"{v.even:,} are even" + (f" and {v.outside:,} outside" if v.outside else "")
    shares = (
        f"{v.learned:,} look where the best is likely and learn as they run, {even}" if v.learned else even
    )
    return f"Decide about {join(v.parameters)}. Of the advised {plural(v.n, 'configuration')} of the next round{time}, {shares}."


def _inside(v: Any) -> str:
    if not math.isnan(v.best_kept):
        return f"the best inside is {score(v.best_kept)}"
    return (
        f"none of the {plural(v.no_value, 'trial')} inside gave a value"
        if v.no_value
        else "no trial lies inside"
    )


def _again(v: Any) -> str:
    """What those that leave are expected to give again; empty where nothing is known of it."""
    if not hasattr(v, "inside"):
        return ""
    several, lost = len(v.ranks) > 1, "It leaves" if 1 in v.ranks else "1 of the best 10 leaves"
    count = f"{len(v.ranks)} of the best 10 leave" if several else lost
    low, high, inside = coarse([v.low, v.high, v.inside])
    there = low if low == high else f"{low} to {high}"
    if v.exact:
        return f" {count}, with {there}; the best inside has {inside}."
    return (
        f" {count}: {there} is expected of {'them' if several else 'it'} again, {inside} of the best inside."
    )


def _some_outside(v: Any) -> str:
    if hasattr(v, "inside"):
        return _again(v).strip()
    lie = "leaves" if len(v.ranks) == 1 else "leave"
    return f"{len(v.ranks)} of the best 10 {lie}: rank {join([str(r) for r in v.ranks])}."


def _uneven(v: Any) -> str:
    """Which values are not even, where that is known."""
    if not v.p <= LEVEL:
        return ""
    return f" ({f'the values of {v.parameter} are not even' if v.parameter else 'they improve one after the other'}, p {p_value(v.p)})"


def next_sentence(reasons: Sequence[Reason]) -> str:
    """What to do next in one paragraph, in front of the call that does it."""
    return f"Do this next: {sentences(reasons)}"


# Several parameters in one sentence.


def together(reasons: Mapping[str, Sequence[Reason]]) -> list[str]:
    """One sentence for all parameters (name -> reasons) of which the same is said: nothing was seen, or too little is known."""
    of_code = {
        code: [r.values for rs in reasons.values() for r in rs if r.code == code] for code in _TOGETHER
    }
    return [_TOGETHER[code](values) for code, values in of_code.items() if values]


def _names(values: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(v["parameter"]) for v in values]


def _all_not_seen(values: Sequence[Mapping[str, Any]]) -> str:
    least = p_value(min(math.nan if v["q"] is None else v["q"] for v in values))
    smallest = "" if len(values) == 1 else "smallest "
    return f"No effect of {join(_names(values), 'or')} is seen ({smallest}q {least}), which is no proof that there is none."


def _all_too_few(values: Sequence[Mapping[str, Any]]) -> str:
    good, needed = [v["good"] for v in values], max(v["needed"] for v in values)
    spread = " to ".join(dict.fromkeys(map(str, (min(good), max(good)))))
    return f"{join(_names(values))} can't be judged yet: {spread} good trials of {needed} needed."


_TOGETHER: dict[str, Callable[[Sequence[Mapping[str, Any]]], str]] = {
    "not_seen": _all_not_seen,
    "too_few": _all_too_few,
    "constant": lambda values: fill(_SENTENCES["constant"], values[0]),
    "never_read": lambda values: _never_read(_names(values)),
}
QUIET = tuple(_TOGETHER)  # codes of what is said of several parameters in one sentence


# What a template may name that is made of several values.
_MADE: dict[str, Callable[[Any], str]] = {
    "again": _again,
    "at": lambda v: (
        " to ".join(number(end, 6) for end in v.bounds) if isinstance(v.bounds, list) else join(v.stay)
    ),
    "condition_text": _condition,
    "fail": _fail,
    "few_text": lambda v: (
        f" over most of its range, but few of the best trials lie at its {v.few_at} end" if v.few_at else ""
    ),
    "inside_text": _inside,
    "rare": lambda v: "hardly ever occur" if v.there < HARDLY else f"are {times(v.there)} as frequent",
    "shares": lambda v: join([f"{percent(share)} at {label}" for label, share in v.levels]),
    "so_far": lambda v: fill(
        (_CORRELATION if hasattr(v, "estimate") else "epsilon squared {effect:.2f}") + ", {q:q}", vars(v)
    ),
    "uneven": _uneven,
    "where": _where,
}

_SENTENCES: dict[str, Say] = {
    # What was seen of a parameter.
    "never_read": lambda v: _never_read([v.parameter]),
    "trend": "{metric} {way} with {parameter}{few_text}: " + _CORRELATION + ", {q:q}.",
    "no_trend": _no_trend,
    "choices": _choices,
    "coupled": "No effect of {parameter} alone is seen ({q:q}), but among the best trials it is coupled with {partners:and}.",
    "depends_on": "Its best value depends on {partners:and}.",
    "read_in": "Tested on the {n:space-filling trial} that read it ({share:percent} of all{where}).",
    "rich": "The best {share:percent} of trials are concentrated at {levels:and} (up to {times:number} times as frequent as overall).",
    "fails_at": "Trials {fail} more often at some levels of {parameter} than at the others: {shares} ({q:q}).",
    "fails_towards": "Trials {fail} more often the {way} {parameter} is: {below:percent} up to the middle of its range, {above:percent} beyond ({q:q}).",
    "piled_up": "{count} of the {of} best trials lie at its {side} end, {level}, where {share:percent} of all trials lie ({q:q}): the optimum may be beyond.",
    "improves_to_end": "Its values improve up to its {side} end, {level} ({q:q}): the optimum may be beyond.",
    "useless_beyond": "{metric} is best at its {side} end, where the front is worse in {first} than half of the trials: it goes no further.",
    "limited": _limited,
    "not_seen": "No effect of {parameter} is seen: {so_far}.",
    "too_few": "{parameter} can't be judged yet: {good:good trial} of {needed} needed. No effect is seen so far: {so_far}.",
    "constant": "Every trial has the same {metric}, so no effect can be seen.",
    # What a change cuts off, or lets in.
    "all_plausible": "At this risk the optimum may be at any of its levels, so all stay.",
    "untried": lambda v: (
        f"No trial {'at' if v.no_value else 'lies at'} {_levels(v.go)}{' gave a value' if v.no_value else ''}."
    ),
    "contrast": "At {at} the best {share:percent} of trials are {here:times} as frequent as overall ({n_here} trials); at {go:levels} they {rare} ({n_there} trials).",
    "model_only": "The cut to {at} rests on the model of all parameters together: the best {share:percent} of trials alone do not show it ({here:times} as frequent as overall there, {there:times} at {go:levels}).",
    "model_alone": "The model of all parameters together favours {at}; this is untested.",
    "seen_earlier": "{parameter} was seen to matter earlier in this branch, and all trials together show it; those of this round alone do not.",
    "not_tried": lambda v: upper(
        f"{_levels(v.levels)} stay{'s' if len(v.levels) == 1 else ''}: not tried yet."
    ),
    "as_good": lambda v: (
        f"{join(v.levels)} cannot be told from {join(v.others, 'or')}: either will do, so all of these are kept."
    ),
    "opened": "Nothing was tried beyond {end}; the new end is {to}.",
    "not_read_in_box": "{parameter} was read only where {condition_text}, which leaves: it is fixed, since nothing that stays reads it.",
    "not_there_in_box": "{parameter} is no longer read: it exists only where {condition_text}, which leaves. It is neither changed nor counted.",
    "refuted": _refuted,
    # What else is suggested.
    "flat": "{parameter} makes no difference beyond {epsilon:score} at any of its levels, and a trial with {level} takes {saving:percent} less time than the median one.",
    "size": _size,
    # What to keep in mind.
    "imported": "{n:trial} of {of:,} were imported and look drawn at random or on a grid, so that they are tested on. If results chose them, import them with space_filling=False; else with space_filling=True.",
    "uneven": "The trials are said to be drawn at random or on a grid, but do not look like it{uneven}: if results chose them, no p-value holds; import them with space_filling=False.",
    "untested": "Untested: results chose these {n:trial}{uneven}, so that p-values and densities would follow the choice. What is proposed is the model's alone.",
    "sampled": "{of:,} space-filling trials are more than an analysis needs: it was made on a sample of {n:,} of them, drawn by their configurations. What is counted, and the best trial, are of all.",
    "exploded": lambda v: (
        f"{plural(v.n, 'trial')} of this round {'counts' if v.n == 1 else 'count'} as diverged: "
        f"{v.metric} {v.way} {v.limit:.3g}, far beyond the others."
    ),
    "damaged": "{n:stored trial} of this round and those before it can't be read, and {n:is} left out; tree.damage() says why.",
    "code": lambda v: (
        f"The trials ran {len(v.codes)} versions of the objective's code ({', '.join(v.codes)}); differences between trials may come from the code."
    ),
    "other_metric": "{metric} is not computed from the predictions of the trained model alone.",
    "no_predictions": "The trials stored no predictions: trial.predicted(predictions, targets).",
    "few_examples": "There are only {n:validation example}.",
    "no_formula": "How {metric} follows from predictions is not known.",
    "not_reproduced": "{metric} as recorded does not follow from the predictions in the usual way.",
    "decide": _decide,
    "more": "{more:more configuration} of this round{seconds:about} would let {parameters:and} be judged with power {power:.2g} (to see an effect that explains {effect:percent} of the differences between trials).",
    "settled": "Nothing is to be narrowed: an effect that explains {effect:percent} of the differences between trials would have been seen with power {power:.2g}. {runs} runs again of the best{seconds:about} tell which of them is best.",
    "exhausted": "Every configuration was run: {runs} runs again of the best{seconds:about} tell which of them is best.",
    "nothing_read": "The objective reads none of {parameters:and}: make it read them, or vary what it reads.",
    "untested_yet": "The model narrows nothing, and results chose the trials, so that nothing is tested: {n:space-filling trial}{seconds:about} would tell what matters.",
    "tried": "Tested so far: {n:space-filling trial} on {parameters:parameter} that were read.",
    "new_value": lambda v: (
        f"{v.value} of {v.parameter} is new to this space{f'; did you mean {v.meant!r}?' if v.meant else '.'}"
    ),
    "best_outside": "The best trial leaves; others as good ({metric} {best:score}) stay.{again}",
    "best_lost": "The best trial ({metric} {best:score}) leaves; {inside_text}.{again}",
    "some_outside": _some_outside,
}


def judged_text(metric: str, subject_to: Sequence[object]) -> str:
    """``val_acc``, or ``val_acc with latency_ms <= 5``."""
    return f"{metric} with {join([str(c) for c in subject_to])}" if subject_to else metric


def feasible_sentence(feasibility: Feasibility) -> str:
    """How many trials meet the metric constraints."""
    meet = f"{feasibility.feasible} of {plural(feasibility.finished, 'finished trial')} {'meets' if feasibility.feasible == 1 else 'meet'}"
    if len(feasibility.constraints) == 1:
        return f"{meet} {feasibility.constraints[0]}."
    each = join([f"{c} ({n})" for c, n in zip(feasibility.constraints, feasibility.met, strict=True)])
    return f"{meet} all constraints: {each}."


_SOURCES = {
    "given": "as you said",
    "folds": "noise of folds",
    "replicates": "noise of runs again",
    "residuals": "noise, estimated",
    "step": "one step",
    "range": "a twentieth of the spread",
    "deterministic": "no noise",
}


def source_text(source: str, epsilon: float, rows: int = 0) -> str:
    """Where the difference that matters comes from, in a bracket; nothing where that is not known.

    ``source`` is as in :class:`refine.proposal.proposal.Claim`; ``rows`` are those of a validation set of which the metric is a
    share, 0 where that can't be told.
    """
    said = (
        f"about {max(1, round(epsilon * rows))} of {rows:,} rows"
        if rows and epsilon
        else _SOURCES.get(source)
    )
    return f" ({said})" if said else ""


def noise_clause(noise: Resolution, metric: str = "a value") -> str:
    """How much a value of a metric changes when its configuration runs again, and how that is known."""
    if noise.deterministic:
        return "the same value to the last bit when run again: no noise"
    if not (noise.measured and math.isfinite(noise.sd)):
        return f"how much {metric} changes when run again is not known"
    source = {
        "replicates": f"by {plural(noise.n, 'run')} again",
        "neighbours": "at most: so much do runs one after the other differ, and nothing ran again",
    }.get(noise.source, "by what a smooth model leaves over")
    return f"{metric} changes by {score(noise.sd)} when run again (standard deviation, {source})"


def by(author: str) -> str:
    """`` by Ann``, or nothing."""
    return f" by {author}" if author.strip() else ""


def belief_sentence(believed: Believed) -> str:
    """What is believed, and what it weighs after these trials, or that they contradict it."""
    says, trials = (
        f"Believed{by(believed.said.author)}: {believed.said.belief}.",
        plural(believed.n, "configuration"),
    )
    times = _times(abs(believed.log_ratio))
    if believed.contradicted:
        return f"{says} It is dropped: what {trials} showed is {times} as probable with the opposite as with it. Proposals and exploit trials go by the trials alone."
    likelier = "it as with the opposite" if believed.log_ratio >= 0 else "the opposite as with it"
    against = f" What it says of {join(believed.against)} they contradict." if believed.against else ""
    return (
        f"{says} After {trials}, which are {times} as probable with {likelier}, it weighs {percent(believed.weight)} of what it weighed "
        f"before the first.{against} It shapes proposals and exploit trials, and is in no test."
    )


def belief_facts(believed: Believed | None) -> list[tuple[str, Cell]]:
    """The question that trials raise which contradict a belief, and what takes it back; nothing where none do."""
    if believed is None or not (believed.against or believed.contradicted):
        return []
    names = tuple(believed.said.belief) if believed.contradicted else believed.against
    text = f"What is believed of {join(names)} contradicts {plural(believed.n, 'configuration')}. Still so? If not:"
    call = Action("review.accept", belief=Symbol(believed.rest.code()))
    return [("Believed", Cell(text, "warn", call=call))]


def belief_block(believed: Believed) -> Text:
    """The same as a block of a page."""
    return Text(belief_sentence(believed), "warn" if believed.contradicted else "")


def _times(log_ratio: float) -> str:
    if log_ratio > math.log(1000):
        return "more than 1,000 times"
    times = math.exp(log_ratio)
    return f"{times:.2g} times" if times < 99.5 else f"{times:,.0f} times"


def whom(author: str, authors: Collection[str]) -> str:
    """An author's name; *you* where nobody else of ``authors``, all who decided, did so in the tree."""
    return "you" if set(authors) == {author} == {user()} else author


def everybody(round_: Round) -> set[str]:
    """All who made a round or decided on one, as far as a round's tree tells."""
    return {each.node.author for each in round_.context.nodes.values()} | {d.author for d in round_.decisions}
