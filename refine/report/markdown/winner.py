"""Section of a report about the configuration to hand over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from refine.report.markdown.text import escape, joined
from refine.report.pages.noise import noise_clause
from refine.report.pages.winner import differing, gain_line
from refine.utils.format import score

if TYPE_CHECKING:
    from refine.analysis.winner import Winner


def winner_sentence(found: Winner | None) -> str:
    """The sentence that names it beside the best observed trial; empty without one.

    Args:
        found: The winner.
    """
    if found is None:
        return ""
    best, (low, high) = found.candidates[0], found.interval
    differ = [f"{name} = {best.labels[name]}" for name in differing(found.best_observed, best)]
    which = "the same one" if found.is_best_observed else f"another one, with {joined(differ)}"
    interval = f" ({score(low)} to {score(high)})" if math.isfinite(low) else ""
    expected = f"{score(found.expected)}{interval} when it is trained again"
    if found.noise.deterministic:
        expected = f"{score(found.observed)}, {noise_clause(found.noise)}"
    sentence = f"The configuration to hand over is {which}: expect {expected}."
    return " ".join(
        [sentence, *(f"{escape(line[0].upper() + line[1:])}." for line in map(_with_it, gain_line(found)))]
    )


def _with_it(line: str) -> str:
    """The line about the baseline as a sentence."""
    return (
        line
        if line.startswith("it ")
        else f"it {line}"
        if line.startswith(("beats", "does"))
        else f"it is {line}"
    )
