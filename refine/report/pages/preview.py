"""Pages of a preview of a decision, and of the proposals at other risks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from refine.analysis.reason import Reason
from refine.proposal.options import Option, Options
from refine.proposal.preview import Preview
from refine.report.pages.proposal import risk_view, short_bounds
from refine.report.pages.reasons import before_limits, fill, judged_text, sentence, top_trials_cut, values_cut
from refine.space.edits import level_text
from refine.space.encoding import label
from refine.space.parameters import Parameter, Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Fact, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import (
    about_duration,
    by_over,
    chance_cell,
    chance_words,
    join,
    percent,
    plural,
    risk_percent,
    score,
)
from refine.utils.provided import page_for


@page_for(Preview)
def preview_page(preview: Preview) -> Page:
    """The top trials kept, the risk, the size and the time of the next round, and possible slips."""
    time = "unknown: the trials don't record their times"
    if not math.isnan(preview.seconds):
        time = f"{about_duration(preview.seconds)} with {plural(preview.workers, 'worker')}"
    facts: list[Fact] = [
        ("Kept", kept_view(preview).cell),
        ("Risk", _risk(preview)),
        ("Round", _next_round(preview)),
        ("Time", time),
    ]
    facts += [("New", Cell(sentence(value), "warn")) for value in preview.new_values]
    if preview.edited:
        if bounds := _bounds(preview, preview.as_proposed):
            facts.insert(0, ("Proposed", bounds))
        facts.insert(0, ("Edited", _bounds(preview, preview.edited)))
    kept_share = percent(preview.volume_kept)
    proposed = ""
    if _proposes(preview):
        proposed = f" (proposed: {percent(preview.proposed_volume_kept)})"
    lines = [f"{kept_share} of the present space{before_limits(preview.space)} is kept{proposed}."]
    if preview.left:
        lines.append(
            f"{plural(preview.n, 'evenly drawn trial')} would hit the best 5 % of the space with probability "
            f"{percent(preview.hit)}; {preview.exist:,} configurations exist."
        )
    calls = []
    if preview.edited:
        edits_so_far = {name: _as_typed(preview.space[name]) for name in preview.edited}
        calls.append(Action("review.edit", edits_so_far))
    if preview.n:
        calls.append(Action("review.accept", n=preview.n))
    return Page("If you accept", [Facts(facts)], calls, [Fold("Space kept", [Items(lines)])])


def _bounds(preview: Preview, names: Sequence[str]) -> str:
    return "; ".join([f"{name} {short_bounds(preview.space[name])}" for name in names])


def _as_typed(parameter: Parameter) -> tuple[Symbol, ...] | list[object]:
    """The bounds or choices of a parameter, as an edit names them."""
    if isinstance(parameter, Range):
        return tuple(
            Symbol(level_text(parameter, value)) for value in (parameter.grid[0], parameter.grid[-1])
        )
    return list(parameter.grid)


class KeptView(NamedTuple):
    """The top trials kept: the whole fact, and its parts for a tile."""

    cell: Cell
    fraction: str  # ``3 of 10``
    brief: str  # ``including the best trial``
    sentence: str  # ``3 of the top 10, including the best trial``


def kept_view(preview: Preview) -> KeptView:
    """The top trials kept and cut off, with the expected values of retraining.

    Red if the best value is lost.
    """
    top = preview.top
    n_kept = top - len(preview.lost)
    fraction = f"{n_kept} of {top}"
    warning = preview.warning
    if warning is None:
        text = f"the best trial{f' and all of the top {top}' * (top > 1)}"
        return KeptView(Cell(text, "good"), fraction, "including the best trial", text)
    tone = "warn" * (warning.code != "some_outside")
    if preview.throws:
        tone = "bad"
    if math.isnan(preview.best_kept) and not preview.no_value:
        none_kept = f"no trial; the best had {score(preview.best)}"
        return KeptView(Cell(none_kept, tone), fraction, none_kept, none_kept)
    best = _best_text(preview, warning)
    lost = warning.code == "best_lost"
    cell = Cell(f"{best}. {top_trials_cut(warning.values, bare=lost)}", tone)
    if lost:
        return KeptView(cell, fraction, f"{best}{values_cut(warning.values, bare=True)}", cell.text)
    brief = f"including {best}"
    if preview.expected is None or preview.expected.loss <= 0:
        return KeptView(cell, fraction, brief, f"{n_kept} of the top {top}, {brief}")
    cut = f"; cut off{values_cut(warning.values, bare=True)}"
    return KeptView(cell, fraction, f"{brief}{cut}", cell.text)


def _best_text(preview: Preview, warning: Reason) -> str:
    """The best trial, or the loss of the best value."""
    if warning.code == "some_outside":
        return "the best trial"
    if warning.code == "best_outside":
        return f"a trial as good as the best ({score(preview.best)}), not the best one itself"
    inside = f"but {score(preview.best_kept)}"
    if math.isnan(preview.best_kept):
        inside = fill("and {inside_text}", warning.values)
    return f"not the best trial ({score(preview.best)}) {inside}"


def _risk(preview: Preview) -> Cell:
    text = risk_view(preview.claim, cuts=preview.volume_kept != 1).text
    if preview.volume_kept == 1:
        return Cell(text)
    if math.isnan(preview.probability):
        return Cell(text, "warn")
    if preview.claim.certain:
        return Cell(text, "bad" * preview.throws)
    proposed = chance_words(1 - preview.proposed_probability)
    compared = ""
    if _proposes(preview) and chance_words(1 - preview.probability) != proposed:
        compared = f" (proposed: {proposed})"
    return Cell(f"{text}{compared}", "bad" * preview.throws)


def _proposes(preview: Preview) -> bool:
    """True if the proposal cuts anything off."""
    return preview.proposed_volume_kept != 1


def _next_round(preview: Preview) -> str:
    if preview.left:
        return f"{preview.n:,} of the {plural(preview.left, 'configuration')} left to run"
    if preview.exist:
        return f"nothing is left to run: all {preview.exist:,} configurations were run"
    return "no configuration exists: the constraints exclude all"


def too_many_text(preview: Preview, wished: int | None) -> str:
    """A remark if more configurations are asked for than are left; else empty."""
    if preview.left == 0:
        return "Nothing is left to run in this space."
    if wished is not None and wished > preview.left:
        return f"Only {preview.left:,} are left to run in this space."
    return ""


_MOST_LABELS = 4


@page_for(Options)
def options_page(options: Options) -> Page:
    """A row per proposal."""
    loss = "a point of the front, by more than the tolerance in a goal"
    if not options.front:
        judged = judged_text(options.metric, options.subject_to)
        loss = f"something better{by_over(options.epsilon)} in {judged} is cut off"
    rows = []
    for option in options.rows:
        risks = Cell(risks_text(option), "strong" * (option is options.now))
        shares = percent(option.volume_kept), chance_cell(1 - option.probability)
        rows.append((risks, leaves_text(option), *shares, f"{option.top_kept} of {option.top}"))
    head = ("risk asked", "dropped", "space kept", "risk of a loss", "top trials kept")
    grid = Grid(head, rows, right=(0, 2, 4), wide=(1,))
    calls = [
        Action("round.propose", risk=option.risk) for option in options.rows if option is not options.now
    ]
    return Page("Proposals at other risks", [grid, Text(f"Loss: {loss}.", "faint")], calls[:1])


def risks_text(option: Option) -> str:
    """``5 %``, or ``5 to 15 %`` if all risks up to 15 % give the same proposal."""
    if option.up_to == option.risk:
        return risk_percent(option.risk)
    return f"{risk_percent(option.risk).removesuffix(' %')} to {risk_percent(option.up_to)}"


def leaves_text(option: Option) -> str:
    """The values dropped and the ends extended.

    For example ``dropout above 0.2; losses log_cosh (extended: lr up to 10)``.
    """
    dropped = [
        f"{name} {_dropped(option.old[name], option.space[name], labels)}"
        for name, labels in option.leaves.items()
    ]
    extended = [
        f"{name} {text}" for name in option.old if (text := _gained(option.old[name], option.space[name]))
    ]
    text = "; ".join(dropped) or "nothing"
    if extended:
        return f"{text} (extended: {', '.join(extended)})"
    return text


def _dropped(old: Parameter, new: Parameter, labels: Sequence[str]) -> str:
    if isinstance(old, Range) and isinstance(new, Range):
        low = [f"below {label(new.low)}"] * (new.low > old.low)
        return join(low + [f"above {label(new.high)}"] * (new.high < old.high))
    if len(labels) <= _MOST_LABELS:
        return join(labels)
    return f"{len(labels)} levels, {labels[0]} to {labels[-1]}"


def _gained(old: Parameter, new: Parameter) -> str:
    """The new ends of an extended range, or the choices restored; empty without changes."""
    if isinstance(old, Range) and isinstance(new, Range):
        low = [f"down to {label(new.low)}"] * (new.low < old.low)
        return join(low + [f"up to {label(new.high)}"] * (new.high > old.high))
    if added := [label(v) for v in new.grid if not old.contains([v])[0]]:
        return f"by {join(added)}"
    return ""
