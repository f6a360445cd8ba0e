"""Whether another round is worth it, in words; and plans that were rehearsed."""

from __future__ import annotations

import math
from typing import Any

from refine.review.checks import worth
from refine.review.worth import RUNS, Plan, Rehearsal, Worth
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Grid, Page, Text
from refine.utils.format import chance, difference, duration, plural, score
from refine.utils.provided import page_for

TONES = {"CONTINUE": "good", "CONFIRM": "warn", "STOP": "warn"}  # verdict -> tone
_FOLLOWS = {"CONTINUE": "worth it", "CONFIRM": "run the best again", "STOP": "you may stop"}


@page_for(Worth)
def worth_page(found: Worth) -> Page:
    """The chance that another round is worth it, what follows, what is expected of it, and of runs again instead."""
    gain, low, high = difference(found.gain), difference(found.low), difference(found.high)
    price = f", where {difference(found.cost)} is the price" if math.isfinite(found.cost) else ""
    again = f"{'as many' if found.n else RUNS} runs of the best again bring {difference(found.again)}"
    facts = (("Expect", f"{gain} ({low} to {high} with a chance of 90 %){price}"), ("Or", again))
    action = worth(found).action
    return Page(worth_sentence(found), (Facts(facts),), () if action is None else (action,))


def short_worth(found: Any, gain: str = "") -> str:
    """The chance that another round is worth it, of a :class:`Worth` or an object with its names, and what follows.

    ``gain`` is how much is one, where that was said before; default by its number.
    """
    if not found.n:
        return "Every configuration of the proposed space was run."
    cost = f" ({duration(found.seconds)})" if found.seconds >= 1 else ""
    more = f"more than {difference(found.epsilon)}" if found.epsilon > 0 else "anything"
    trials = f"{plural(found.n, 'trial')}{cost}"
    return f"{chance(found.probability).capitalize()} chance to gain {gain or more} in {trials}: {_FOLLOWS[found.verdict]}."


def worth_sentence(found: Worth) -> str:
    """The verdict, and the chance that it rests on."""
    return f"{found.verdict}: {short_worth(found)}"


@page_for(Rehearsal)
def rehearsal_page(found: Rehearsal) -> Page:
    """A row per plan, and a row per round of the one that was asked for."""
    about = (
        f"What is handed over now is expected to have {found.metric} {score(found.now)}. Every plan was simulated on "
        f"{plural(found.simulated, 'draw')} of the posterior; values are expected ones when trained again."
    )
    better = f"by more than {score(found.epsilon)}" if found.epsilon > 0 else "than now"
    head = ("plan", "after it", "50 % interval", "90 % interval", f"better {better}", "time")
    rows = tuple(_plan_row(plan, i == 0) for i, plan in enumerate(found.plans))
    asked = found.plans[0]
    steps = tuple(
        (str(k + 1), str((k + 1) * asked.n), score(asked.mean[k]), *_intervals(asked, k))
        for k in range(asked.rounds)
    )
    blocks = (
        Text(about),
        Grid(head, rows, right=(1, 4, 5)),
        Text(f"{_plan_name(asked).capitalize()}, round by round:"),
        Grid(("round", "trials", "after it", "50 % interval", "90 % interval"), steps, right=(0, 1, 2)),
    )
    call = Action("review.accept", n=asked.n, exploit=0.5)
    return Page(f"Plans after round {found.round}, before anything is run", blocks, (call,))


def _plan_name(plan: Plan) -> str:
    """``4 rounds of 30 trials``."""
    return f"{plural(plan.rounds, 'round')} of {plural(plan.n, 'trial')}"


def _plan_row(plan: Plan, asked: bool) -> tuple[str | Cell, ...]:
    time = duration(plan.seconds) if math.isfinite(plan.seconds) else "-"
    # A probability counted in some tens of draws.
    likely = f"about {plan.likely:.1f}"
    if not 0.05 <= plan.likely <= 0.95:
        likely = "more than 0.95" if plan.likely > 0.5 else "less than 0.05"
    name = Cell(_plan_name(plan), "strong" if asked else "")
    return name, score(plan.mean[-1]), *_intervals(plan, -1), likely, time


def _intervals(plan: Plan, k: int) -> tuple[str, str]:
    low, lower, _, upper, high = plan.quantiles[k]
    return f"{score(lower)} to {score(upper)}", f"{score(low)} to {score(high)}"
