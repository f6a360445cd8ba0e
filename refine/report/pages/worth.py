"""Whether another round is worth it, in words; and plans that were rehearsed."""

from __future__ import annotations

import math
from typing import Any

from refine.review.checks import worth
from refine.review.rehearsal import Plan, Rehearsal
from refine.review.worth import CONFIRM, RUNS, Worth
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import chance, difference, duration, plural, risk_percent, score
from refine.utils.provided import page_for

TONES = {"CONTINUE": "good", "CONFIRM": "warn", "STOP": "warn"}
"""Verdict -> tone."""

_REASONABLE = {"CONTINUE": "going on", "CONFIRM": "running the best again", "STOP": "stopping"}


@page_for(Worth)
def worth_page(found: Worth) -> Page:
    """The chance that another round is worth it, what follows, and what it rests on."""
    lines = [gain_text(found), again_text(found), noise_text(found)]
    action = worth_action(found)
    calls = () if action is None else (action,)
    rests = Fold("What that rests on", (Items(tuple(filter(None, lines))),), "worth")
    expected = f"{_bare(found.gain)} ({_bare(found.low)} to {_bare(found.high)} with a chance of 90 %)"
    if math.isfinite(found.cost):
        expected += f", where {difference(found.cost)} is the price"
    facts = (("Expect", expected), ("Or", again_text(found)))
    return Page(f"{found.verdict}: {short_worth(found)}", (Facts(facts),), calls, (rests,))


def short_worth(found: Worth, gain: str = "") -> str:
    """The chance that another round is worth it, and what follows.

    Args:
        found: The verdict.
        gain: How much is a gain, where that was said before; default by its number.
    """
    if not found.n:
        return "Every configuration of the proposed space was run."
    cost = f" ({duration(found.seconds)})" if found.seconds >= 1 else ""
    more = f"more than {difference(found.epsilon)}" if found.epsilon > 0 else "anything"
    trials = f"{plural(found.n, 'trial')}{cost}"
    return f"{chance(found.probability).capitalize()} chance to gain {gain or more} in {trials}: {_FOLLOWS[found.verdict]}."


_FOLLOWS = {
    "CONTINUE": "worth it",
    "CONFIRM": "run the best again",
    "STOP": "you may stop",
}


def worth_sentence(found: Any) -> str:
    """The verdict and what it rests on.

    Args:
        found: A :class:`Worth`, or an object with the same names.
    """
    beside = again_text(found) if found.verdict == CONFIRM else ""
    return f"{found.verdict}: {gain_text(found)}{'; ' + beside if beside else ''}."


def gain_text(found: Any) -> str:
    """What another round brings.

    Args:
        found: See :func:`worth_sentence`.
    """
    if not found.n:
        return "every configuration of the proposed space was run"
    cost = f" ({duration(found.seconds)} one at a time)" if found.seconds >= 1 else ""
    more = f"gain more than {difference(found.epsilon)}" if found.epsilon > 0 else "gain"
    price = f" where {difference(found.cost)} is the price" if math.isfinite(found.cost) else ""
    return (
        f"{risk_percent(found.probability)} chance to {more} by another round of {plural(found.n, 'trial')}{cost}: "
        f"{_REASONABLE[found.verdict]} is reasonable; {_bare(found.gain)} is expected{price} "
        f"(90 % interval {_bare(found.low)} to {_bare(found.high)})"
    )


def again_text(found: Any) -> str:
    """What runs of the best again bring.

    Args:
        found: See :func:`worth_sentence`.
    """
    runs = "as many" if found.n else str(RUNS)
    return f"{runs} runs of the best again bring {_bare(found.again)}"


def noise_text(found: Any) -> str:
    """What running a configuration again changes; empty where it is not known.

    Args:
        found: See :func:`worth_sentence`.
    """
    if not math.isfinite(found.noise):
        return ""
    return (
        f"running it again changes {found.metric} by {score(found.noise)}"
        if found.noise
        else "a run again gives the same value"
    )


def worth_action(found: Worth) -> Action | None:
    """What the verdict asks for; ``None`` where it is to go on.

    Args:
        found: The verdict.
    """
    return worth(found).action


def _bare(value: float) -> str:
    return difference(value)


@page_for(Rehearsal)
def rehearsal_page(found: Rehearsal) -> Page:
    """A row per plan, and a row per round of the one that was asked for."""
    about = (
        f"What is handed over now is expected to have {found.metric} {score(found.now)}. Every plan was simulated on "
        f"{plural(found.simulated, 'draw')} of the posterior; values are expected ones when trained again."
    )
    head = ("plan", "after it", "50 % interval", "90 % interval", f"better {_by(found)}", "time")
    rows = tuple(_row(plan, i == 0) for i, plan in enumerate(found.plans))
    asked = found.plans[0]
    steps = tuple(
        (str(k + 1), str((k + 1) * asked.n), score(asked.mean[k]), *_intervals(asked, k))
        for k in range(asked.rounds)
    )
    blocks = (
        Text(about),
        Grid(head, rows, right=(1, 4, 5)),
        Text(f"{plan_name(asked).capitalize()}, round by round:"),
        Grid(("round", "trials", "after it", "50 % interval", "90 % interval"), steps, right=(0, 1, 2)),
    )
    call = Action("review.accept", n=asked.n, exploit=0.5)
    return Page(f"Plans after round {found.round}, before anything is run", blocks, (call,))


def plan_name(plan: Plan) -> str:
    """``4 rounds of 30 trials``.

    Args:
        plan: The plan.
    """
    return f"{plural(plan.rounds, 'round')} of {plural(plan.n, 'trial')}"


def _coarse(share: float) -> str:
    """A probability counted in some tens of draws."""
    if not 0.05 <= share <= 0.95:
        return "more than 0.95" if share > 0.5 else "less than 0.05"
    return f"about {share:.1f}"


def _by(found: Rehearsal) -> str:
    return f"by more than {score(found.epsilon)}" if found.epsilon > 0 else "than now"


def _row(plan: Plan, asked: bool) -> tuple[str | Cell, ...]:
    name = Cell(plan_name(plan), "strong" if asked else "")
    time = duration(plan.seconds) if math.isfinite(plan.seconds) else "-"
    likely = _coarse(plan.likely)
    return (name, score(plan.mean[-1]), *_intervals(plan, -1), likely, time)


def _intervals(plan: Plan, k: int) -> tuple[str, str]:
    low, lower, _, upper, high = plan.quantiles[k]
    return f"{score(lower)} to {score(upper)}", f"{score(low)} to {score(high)}"
