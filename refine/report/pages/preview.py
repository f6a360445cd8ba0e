"""What a preview shows of itself: what a decision would mean, beside what was proposed."""

from __future__ import annotations

import math
from typing import NamedTuple

from refine.proposal.preview import Preview
from refine.proposal.proposal import Proposal
from refine.report.glossary import terms
from refine.report.pages.goal import judged_text
from refine.report.pages.reasons import sentence
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Facts, Fold, Items, Page
from refine.utils.format import chance, duration, percent, plural, probability, score
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
    stay = f"{found.top_kept} of the best {found.top} stay{'' if found.lost else ', the best among them'}."
    said = stay if found.warning is None else sentence(found.warning)
    tone = "bad" if found.throws else "warn"
    facts: tuple[tuple[str, str | Cell], ...] = (
        ("Best", Cell(said, tone if found.lost else "good")),
        ("Safe?", f"{_risk(found.probability, found.proposed_probability)}."),
        ("Round", f"{_next_round(found)}."),
        ("Time", f"{_time(found.seconds, found.workers)}."),
        *(("New", Cell(sentence(value), "warn")) for value in found.new_values),
    )
    kept, proposed = percent(found.volume_kept), percent(found.proposed_volume_kept)
    more = [f"{kept} of the present space is kept (proposed: {proposed})."]
    if found.left:
        more.append(
            f"One of the best 5 % is in the round with probability {percent(found.hit)}; {found.exist:,} configurations exist."
        )
    calls = (
        Action("review.edit", {"name": (Symbol("low"), Symbol("high"))}),
        Action("review.accept", note=..., n=...),
    )
    return Page(
        "If you accept this", (Facts(facts),), calls, (Fold("How much of the space", (Items(tuple(more)),)),)
    )


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


def _time(seconds: float, workers: int) -> str:
    if math.isnan(seconds):
        return "not known: the trials don't record how long they took"
    return f"about {duration(seconds)} with {plural(workers, 'worker')}"


class DecisionNumber(NamedTuple):
    """A number of a decision, as it is shown beside its name.

    Attributes:
        name: What it is called.
        value: The number as text.
        title: What it means.
        tone: ``"bad"`` where it is trouble, else empty.
    """

    name: str
    value: str
    title: str
    tone: str = ""


def decision_numbers(
    found: Preview, proposal: Proposal, front: tuple[int, int] | None = None
) -> list[DecisionNumber]:
    """What accepting would mean, number by number.

    Args:
        found: The preview.
        proposal: The proposal that is edited.
        front: How many points of the front lie inside, and of how many; ``None`` where there is one goal.
    """
    means = terms()
    judged = judged_text(found.metric, proposal.subject_to)
    several = bool(proposal.claim.others)
    first = f", by the first goal, {found.metric}" if several else ""
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
            f"{_probable_of(proposal, found, judged)} {means['Epsilon'].plain}",
        ),
        DecisionNumber(
            "configurations",
            f"{found.n:,} of {found.left:,} left",
            "How many configurations the next round runs, of those inside that were not run yet",
        ),
        DecisionNumber(
            "chance to hit the best 5 %",
            probability(found.hit).removeprefix("about "),
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


def _probable_of(proposal: Proposal, found: Preview, judged: str) -> str:
    """What the probability in the header is of."""
    if not proposal.claim.others:
        return f"Probability that the best {judged} inside is within ε = {score(found.epsilon)} of the best in the present space."
    losses = [(found.metric, found.epsilon), *((t.metric, t.epsilon) for t in proposal.claim.others)]
    worse = ", ".join(f"{score(epsilon)} in {metric}" for metric, epsilon in losses)
    return (
        "Probability that every point of the front in the present space has a configuration inside that is at most ε worse in each "
        f"goal: {worse}."
    )


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
