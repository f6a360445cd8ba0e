"""What somebody believes, in words: what it is, and what it weighs after the trials."""

from __future__ import annotations

import math

from refine.analysis.believed import Believed
from refine.utils.display import Text
from refine.utils.format import percent, plural


def belief_sentence(held: Believed) -> str:
    """What is believed, and what it weighs after these trials, or that they contradict it."""
    by = f" by {held.said.author}" if held.said.author.strip() else ""
    says = f"Believed{by}: {held.said.belief}."
    trials = plural(held.n, "configuration")
    if held.contradicted:
        return (
            f"{says} It is dropped: what {trials} showed is {_times(-held.log_ratio)} as probable with the opposite as with it. "
            "Proposals and exploit trials go by the trials alone."
        )
    way = (
        f"{_times(held.log_ratio)} as probable with it as with the opposite"
        if held.log_ratio >= 0
        else f"{_times(-held.log_ratio)} as probable with the opposite as with it"
    )
    return (
        f"{says} After {trials}, which are {way}, it weighs {percent(held.weight)} of what it weighed before the first. It "
        "shapes proposals and exploit trials, and is in no test."
    )


def belief_block(held: Believed) -> Text:
    """The same as a block of a page."""
    return Text(belief_sentence(held), "warn" if held.contradicted else "")


def _times(log_ratio: float) -> str:
    if log_ratio > math.log(1000):
        return "more than 1,000 times"
    times = math.exp(log_ratio)
    return f"{times:.2g} times" if times < 99.5 else f"{times:,.0f} times"
