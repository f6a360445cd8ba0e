"""What a preview shows of itself: what a decision would mean, beside what was proposed."""

from __future__ import annotations

import math

from refine.proposal.preview import Preview
from refine.report.pages.reasons import sentence
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Facts, Fold, Items, Page
from refine.utils.format import chance, duration, percent, plural
from refine.utils.provided import page_for


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
