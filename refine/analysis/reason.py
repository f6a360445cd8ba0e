"""Reasons as data: a code and numbers. Sentences are made in :mod:`refine.report.pages.reasons`.

Results hold reasons, never English: a better sentence changes no digest, and report, page, JSON and shell
speak of the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refine.utils.types import JsonObject

# All codes, with their meaning and the names of their values.
CODES = {
    # Of one parameter, from an analysis: see refine.analysis.finding.
    "never_read": "no trial read it: parameter",
    "trend": "the metric rises or falls with it: parameter, metric, direction, way, few_at (an end or "
    "empty), estimate, low, high, q",
    "no_trend": "it matters without rising or falling steadily: parameter, metric, estimate, q, seen_by",
    "only_spread": "it changes the spread of values, without an effect on their middle: parameter, metric",
    "choices": "its choices differ: parameter, effect, q, seen_by, medians (label, median)",
    "coupled": "it matters only together with others: parameter, q, partners",
    "depends_on": "it matters, and what is good for it depends on others: parameter, partners",
    "read_in": "it was tested on some trials only: parameter, n, share, condition (parameter, levels)",
    "rich": "levels where the best trials are over-represented: parameter, share, levels, times",
    "fails_at": "levels where trials fail more often: parameter, degenerate, constrained (if so), "
    "apart, levels (label, share), q",
    "fails_towards": "trials fail more often towards an end: parameter, degenerate, constrained (if so), "
    "apart, way, below, above, q",
    "piled_up": "the best trials pile up at an end: parameter, side, level, count, of, share, q",
    "improves_to_end": "values improve up to an end: parameter, metric, side, level, q",
    "opened": "the range is continued past an end without trials beyond: parameter, side, end, to (labels)",
    "useless_beyond": "a further goal leads beyond an end bad for the first: parameter, side, metric, first",
    "limited": "a hard limit ends the range: parameter, side, limit, why (declared, sign, share), widened",
    "not_seen": "no effect is seen: parameter, q, alpha, and estimate, low, high or effect",
    "too_few": "there are too few good trials to judge it: the same, good, needed",
    "constant": "every trial has the same value: parameter, metric",
    # Of a change, from a proposal: see refine.proposal.change.
    "all_plausible": "the optimum may be at any of its levels",
    "steep": "nothing is cut by few trials, learning ones among them, next to a steep fall: times",
    "contrast": (
        "good trials are commoner at kept levels: share, bounds, stay, go, here, there, n_here, n_there"
    ),
    "model_only": "the model cuts, not the frequencies alone: the same",
    "model_alone": "the model cuts, and nothing is tested: bounds, stay, go",
    "seen_earlier": "an earlier round, or look, saw it to matter: parameter",
    "not_tried": "levels stay because no trial tells anything of them: parameter, levels",
    "as_good": "choices are kept as equal to other kept ones: parameter, levels, others",
    "untried": "no trial lies at what goes: go; no_value: whether trials there ended without a value",
    "not_read_in_box": "nothing that stays reads it: parameter, condition (parameter, levels)",
    "not_there_in_box": "nothing that stays has it, by its condition: parameter, condition",
    "refuted": "an audit trial refutes an earlier narrowing: parameter, value, reached, inside, epsilon",
    "flat": "fixing it loses nothing and saves time: parameter, epsilon, level, saving, value (as typed)",
    "size": "how many configurations the next round needs: see refine.proposal.alternatives.advice",
    # Of an analysis as a whole.
    "imported": "imported trials of unknown origin look even: n, of, parameter, p",
    "uneven": "trials declared as even clearly are not: n, of, parameter (empty: their order), p",
    "untested": "a search chose the trials, so nothing is tested: n, of, parameter, p (of imported ones)",
    "few_even": "fewer trials were drawn evenly than a test needs: n, least",
    "code": "trials ran several versions of the objective's code: codes",
    "sampled": "a sample of the trials was tested, for speed: n, of",
    "decades": "a loss spans orders of magnitude, so the tolerance is a factor: metric, factor",
    "exploded": "huge but finite values count as diverged: n, metric, way (above, below), limit",
    "damaged": "stored trials can't be read and are left out: n",
    # Reasons for missing results on other validation examples.
    "other_metric": "the value is more than a metric of the last model's predictions: metric",
    "no_predictions": "trials stored no predictions",
    "few_examples": "there are too few validation examples: n",
    "no_formula": "how the metric follows from predictions is not known: metric",
    "not_reproduced": "the metric as recorded does not follow from the predictions in the usual way: metric",
    # Of what to do next: see refine.review.next_step.
    "decide": "a proposal is to be decided: parameters, n (0 if nothing is left to run), seconds",
    "durations": "trials take longer at some levels of a parameter: parameter, factor",
    "search_on": "a budget pays for a round on the same space: n, seconds, learned, even, outside",
    "more": "more configurations would let parameters be judged: parameters, more, n, power, effect, seconds",
    "settled": "whatever is read can be judged, and nothing is to be narrowed: runs, seconds, effect, power",
    "settled_exactly": "the same, and repeats are identical: effect, power",
    "all_equal": "every finished trial has the same value: metric, value",
    "exhausted": "every configuration was run: as for settled",
    "all_known": "every configuration was run, and repeats are identical",
    "last_repeats": "the budget leaves repeats, but no round: runs, seconds, spent, budget",
    "spent": "the budget leaves no trial that would help: the same",
    "decided": "repeats have decided the winner",
    "nothing_read": "the objective reads no parameter that varies: parameters",
    "untested_yet": "nothing is to be narrowed and nothing is tested: n, seconds",
    "tried": "what was tried: n, parameters",
    # Of a preview.
    "new_value": "a value that the present space does not have: parameter, value, meant",
    "best_outside": "the best trial lies outside, equally good ones inside: metric, best, ranks, top "
    "(number of ranks), low, high, inside (expected again)",
    "best_lost": "the best value is lost: the same, best_kept, no_value",
    "some_outside": "top trials lie outside: the same as of best_outside",
}


@dataclass(frozen=True)
class Reason:
    """A reason as data: one of :data:`CODES`, with numbers, texts and lists by name.

    Values are as JSON has them: floats of 9 digits, ``None`` if unknown.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", {name: plain(value) for name, value in self.values.items()})

    def to_json(self) -> JsonObject:
        """Plain data."""
        return {"code": self.code, "values": dict(self.values)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reason:
        """The reason of :meth:`to_json`'s output."""
        return cls(data["code"], data["values"])


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if hasattr(value, "item"):
        return plain(value.item())
    # Floats of statistics differ in their last digits between machines; stored data must not.
    if math.isfinite(value):
        return float(f"{value:.9g}")
    return None
