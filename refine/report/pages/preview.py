"""What a preview shows of itself: what a decision would mean, beside what was proposed."""

from __future__ import annotations

import math

from refine.proposal.preview import Preview
from refine.report.pages.reasons import sentence
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Text
from refine.utils.format import chance, duration, percent, plural
from refine.utils.provided import page_for


@page_for(Preview)
def preview_page(found: Preview) -> Page:
    """Best trials kept, volume, risk, density and time of the next round, beside the proposal's."""
    stay = f"{found.top_kept} of the top {found.top} stay" + ("" if found.lost else ", the best among them")
    tone = "bad" if found.throws else "warn"
    kept, proposed = percent(found.volume_kept), percent(found.proposed_volume_kept)
    rows: tuple[tuple[str | Cell, ...], ...] = (
        ("best trials", Cell(stay, tone if found.lost else "good")),
        ("volume", f"{kept} of the present space (proposed: {proposed})"),
        ("risk", _risk(found.probability, found.proposed_probability)),
        ("next round", _next_round(found)),
        ("time", _time(found.seconds, found.workers)),
        *(("new", Cell(sentence(value), "warn")) for value in found.new_values),
    )
    warning = () if found.warning is None else (Text(sentence(found.warning), tone),)
    calls = (
        Action("review.edit", {"name": (Symbol("low"), Symbol("high"))}),
        Action("review.accept", note=..., n=...),
    )
    return Page("If you accept this", (Grid(("what", "what it would be"), rows), *warning), calls)


def _risk(mine: float, proposed: float) -> str:
    if math.isnan(mine):
        return "can't be stated: too few of the candidate configurations lie inside"
    then = "" if math.isnan(proposed) else f" (proposed: {chance(1 - proposed)})"
    return f"{chance(1 - mine)} chance to lose more than the difference that matters{then}"


def _next_round(found: Preview) -> str:
    if found.left:
        hit = f"includes one of the best 5 % with probability {percent(found.hit)}"
        return f"{found.n:,} of {found.left:,} left to run ({found.exist:,} exist), {hit}"
    if found.exist:
        return f"nothing is left to run: all {found.exist:,} configurations were run"
    return "no configuration exists: the constraints leave none"


def _time(seconds: float, workers: int) -> str:
    if math.isnan(seconds):
        return "not known: the trials don't record how long they took"
    return f"about {duration(seconds)} with {plural(workers, 'worker')}"
