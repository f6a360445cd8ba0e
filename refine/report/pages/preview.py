"""What a decision would mean beside what was proposed, and what more or less risk would buy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from refine.proposal.options import Option, Options
from refine.proposal.preview import Preview
from refine.proposal.proposal import Proposal
from refine.report.glossary import terms
from refine.report.pages.phrases import judged_text
from refine.report.pages.reasons import sentence
from refine.space.encoding import label
from refine.space.parameters import Parameter, Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import (
    chance,
    difference,
    duration,
    join,
    percent,
    plural,
    probability,
    risk_percent,
    score,
)
from refine.utils.provided import page_for

TOP_KEPT, VOLUME_KEPT, PROBABILITY, FRONT_PROBABILITY = (
    "best trials that stay",
    "share of the space that stays",
    "chance that the best stays",
    "chance that the front stays",
)
"""Names of numbers in the header that a proposal of another risk has as well; the last one where there are several goals."""


@page_for(Preview)
def preview_page(found: Preview) -> Page:
    """Best trials kept, risk, size and time of the next round, and what may be a slip; folded, volume and density."""
    said = f"{found.top_kept} of the best {found.top} stay{'' if found.lost else ', the best among them'}."
    if found.warning is not None:
        said = sentence(found.warning)
    tone = "bad" if found.throws else "warn"
    time = "not known: the trials don't record how long they took"
    if not math.isnan(found.seconds):
        time = f"about {duration(found.seconds)} with {plural(found.workers, 'worker')}"
    facts: tuple[tuple[str, str | Cell], ...] = (
        ("Best", Cell(said, tone if found.lost else "good")),
        ("Safe?", f"{_risk(found.probability, found.proposed_probability)}."),
        ("Round", f"{_next_round(found)}."),
        ("Time", f"{time}."),
        *(("New", Cell(sentence(value), "warn")) for value in found.new_values),
    )
    kept, proposed = percent(found.volume_kept), percent(found.proposed_volume_kept)
    more = [f"{kept} of the present space is kept (proposed: {proposed})."]
    if found.left:
        hit = f"One of the best 5 % is in the round with probability {percent(found.hit)}"
        more.append(f"{hit}; {found.exist:,} configurations exist.")
    edit = Action("review.edit", {"name": (Symbol("low"), Symbol("high"))})
    calls = (edit, Action("review.accept", note=..., n=...))
    folds = (Fold("How much of the space", (Items(tuple(more)),)),)
    return Page("If you accept this", (Facts(facts),), calls, folds)


def _risk(mine: float, proposed: float) -> str:
    if math.isnan(mine):
        return "The risk can't be stated: too few of the candidate configurations lie inside"
    then = "" if math.isnan(proposed) else f" (proposed: {chance(1 - proposed)})"
    return f"{chance(1 - mine).capitalize()} chance to lose more than the difference that matters{then}"


def _next_round(found: Preview) -> str:
    if found.left:
        return f"{found.n:,} of the {plural(found.left, 'configuration')} left to run"
    if found.exist:
        return f"nothing is left to run: all {found.exist:,} configurations were run"
    return "no configuration exists: the constraints leave none"


class DecisionNumber(NamedTuple):
    """A number of a decision, as it is shown beside its name."""

    name: str  # what it is called
    value: str  # the number as text
    title: str  # what it means
    tone: str = ""  # ``"bad"`` where it is trouble, else empty


def decision_numbers(
    found: Preview, proposal: Proposal, front: tuple[int, int] | None = None
) -> list[DecisionNumber]:
    """What accepting would mean, number by number.

    ``front`` is how many points of the front lie inside, and of how many; ``None`` where there is one goal.
    """
    means, judged = terms(), judged_text(found.metric, proposal.subject_to)
    first = f", by the first goal, {found.metric}" if proposal.claim.others else ""
    of = f"Probability that the best {judged} inside is within ε = {score(found.epsilon)} of the best in the present space."
    if proposal.claim.others:
        losses = [(found.metric, found.epsilon), *((t.metric, t.epsilon) for t in proposal.claim.others)]
        worse = ", ".join(f"{score(epsilon)} in {metric}" for metric, epsilon in losses)
        of = f"Probability that every point of the front in the present space has a configuration inside that is at most ε worse in each goal: {worse}."
    numbers = [
        DecisionNumber(
            TOP_KEPT,
            f"{found.top_kept} of {found.top}",
            f"How many of the best tenth of this round's trials (at least 10){first} lie inside",
            tone="bad" if found.throws else "",
        ),
        DecisionNumber(
            VOLUME_KEPT,
            _beside(percent(found.volume_kept), percent(found.proposed_volume_kept)),
            means["Volume kept"].plain,
        ),
        DecisionNumber(
            probability_name(proposal),
            _beside(short_probability(found.probability), short_probability(found.proposed_probability)),
            f"{of} {means['Epsilon'].plain}",
        ),
        DecisionNumber(
            "configurations",
            f"{found.n:,} of {found.left:,} left",
            "How many configurations the next round runs, of those inside that were not run yet",
        ),
        DecisionNumber(
            "chance to hit the best 5 %",
            short_probability(found.hit),
            "Probability that the next round, drawn evenly, includes one of the best 5 % of configurations",
        ),
        DecisionNumber(
            "time",
            "not known" if math.isnan(found.seconds) else f"about {duration(found.seconds)}",
            "How long the next round would take with so many workers, by the trials so far",
        ),
    ]
    if front is not None:
        about = "How many points of the front, the trials that no other one beats in every goal, lie inside"
        numbers.insert(0, DecisionNumber("front kept", f"{front[0]:,} of {front[1]:,}", about))
    return numbers


def probability_name(proposal: Proposal) -> str:
    """What the header calls the probability of the claim: with several goals the claim is about their front."""
    return FRONT_PROBABILITY if proposal.claim.others else PROBABILITY


def _beside(mine: str, proposed: str) -> str:
    return mine if mine == proposed or proposed == "-" else f"{mine} (proposed {proposed})"


def short_probability(value: float) -> str:
    """A probability in as little room as there is, no finer than it is known."""
    return probability(value).removeprefix("about ") if math.isfinite(value) else "-"


def too_many_text(found: Preview, asked: int | None) -> str:
    """What is wrong with the number of configurations that was asked for; empty where nothing is."""
    if found.left == 0:
        return "Nothing is left to run there."
    return f"Only {found.left:,} are left to run there." if asked is not None and asked > found.left else ""


_MOST_LABELS = 4


@page_for(Options)
def options_page(found: Options) -> Page:
    """A row per proposal."""
    loss = f"more than {difference(found.epsilon)}" if found.epsilon else "anything"
    what = f"{loss} of the best {judged_text(found.metric, found.subject_to)}"
    if found.front:
        what = "a point of the front, by more than epsilon in a goal"
    rows = []
    for option in found.rows:
        risks = Cell(risks_text(option), "strong" if option is found.now else "")
        kept = (
            percent(option.volume_kept),
            chance(1 - option.probability),
            f"{option.top_kept} of {option.top}",
        )
        rows.append((risks, leaves_text(option), *kept))
    head = ("risk", "what leaves", "keeps", "chance of a loss", "best trials kept")
    grid = Grid(head, tuple(rows), right=(0, 2, 4), wide=(1,))
    call = Action("review.at", risk=Symbol("risk"))
    return Page("What more or less risk would buy", (grid, Text(f"loss: {what}.", "faint")), (call,))


def risks_text(option: Option) -> str:
    """``5 %``, or ``5 to 15 %`` where more risk up to there buys nothing more."""
    if option.up_to == option.risk:
        return risk_percent(option.risk)
    return f"{risk_percent(option.risk).removesuffix(' %')} to {risk_percent(option.up_to)}"


def leaves_text(option: Option) -> str:
    """``dropout above 0.2; losses log_cosh (widened: lr up to 10)``."""
    leaves = [
        f"{name} {_gone(option.old[name], option.space[name], labels)}"
        for name, labels in option.leaves.items()
    ]
    wider = [
        f"{name} {text}" for name in option.old if (text := _gained(option.old[name], option.space[name]))
    ]
    return "; ".join(leaves or ["nothing"]) + (f" (widened: {', '.join(wider)})" if wider else "")


def _gone(old: Parameter, new: Parameter, labels: Sequence[str]) -> str:
    if isinstance(old, Range) and isinstance(new, Range):
        below = f"below {label(new.low)}" if new.low > old.low else ""
        above = f"above {label(new.high)}" if new.high < old.high else ""
        return join([text for text in (below, above) if text])
    return (
        join(labels) if len(labels) <= _MOST_LABELS else f"{len(labels)} levels, {labels[0]} to {labels[-1]}"
    )


def _gained(old: Parameter, new: Parameter) -> str:
    """How far a range goes beyond its present ends, or which choices come back; empty where none does."""
    if not (isinstance(old, Range) and isinstance(new, Range)):
        added = [label(v) for v in new.grid if not old.contains([v])[0]]
        return f"by {join(added)}" if added else ""
    below = f"down to {label(new.low)}" if new.low < old.low else ""
    above = f"up to {label(new.high)}" if new.high > old.high else ""
    return join([text for text in (below, above) if text])


def option_numbers(option: Option, probable: str = PROBABILITY) -> dict[str, str]:
    """What is kept at a risk, under the names of :func:`decision_numbers`; ``probable`` is what its probability is called."""
    return {
        VOLUME_KEPT: percent(option.volume_kept),
        probable: short_probability(option.probability),
        TOP_KEPT: f"{option.top_kept} of {option.top}",
    }
