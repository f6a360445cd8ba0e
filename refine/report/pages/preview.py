"""What a decision would mean beside what was proposed, and what more or less risk would buy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from refine.proposal.options import Option, Options
from refine.proposal.preview import Preview
from refine.report.pages.reasons import judged_text, sentence
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
    risk_percent,
)
from refine.utils.provided import page_for


@page_for(Preview)
def preview_page(preview: Preview) -> Page:
    """Best trials kept, risk, size and time of the next round, and what may be a slip; folded, volume and density."""
    said = (
        f"{preview.top_kept} of the best {preview.top} stay{'' if preview.lost else ', the best among them'}."
    )
    if preview.warning is not None:
        said = sentence(preview.warning)
    tone = "bad" if preview.throws else "warn"
    time = "not known: the trials don't record how long they took"
    if not math.isnan(preview.seconds):
        time = f"about {duration(preview.seconds)} with {plural(preview.workers, 'worker')}"
    facts: tuple[tuple[str, str | Cell], ...] = (
        ("Best", Cell(said, tone if preview.lost else "good")),
        ("Safe?", f"{_risk(preview.probability, preview.proposed_probability)}."),
        ("Round", f"{_next_round(preview)}."),
        ("Time", f"{time}."),
        *(("New", Cell(sentence(value), "warn")) for value in preview.new_values),
    )
    kept, proposed = percent(preview.volume_kept), percent(preview.proposed_volume_kept)
    more = [f"{kept} of the present space is kept (proposed: {proposed})."]
    if preview.left:
        hit = f"One of the best 5 % is in the round with probability {percent(preview.hit)}"
        more.append(f"{hit}; {preview.exist:,} configurations exist.")
    edit = Action("review.edit", {"name": (Symbol("low"), Symbol("high"))})
    calls = (edit, Action("review.accept", note=..., n=...))
    folds = (Fold("How much of the space", (Items(tuple(more)),)),)
    return Page("If you accept this", (Facts(facts),), calls, folds)


def _risk(mine: float, proposed: float) -> str:
    if math.isnan(mine):
        return "The risk can't be stated: too few of the candidate configurations lie inside"
    then = "" if math.isnan(proposed) else f" (proposed: {chance(1 - proposed)})"
    return f"{chance(1 - mine).capitalize()} chance to lose more than the difference that matters{then}"


def _next_round(preview: Preview) -> str:
    if preview.left:
        return f"{preview.n:,} of the {plural(preview.left, 'configuration')} left to run"
    if preview.exist:
        return f"nothing is left to run: all {preview.exist:,} configurations were run"
    return "no configuration exists: the constraints leave none"


def too_many_text(preview: Preview, asked: int | None) -> str:
    """What is wrong with the number of configurations that was asked for; empty where nothing is."""
    if preview.left == 0:
        return "Nothing is left to run there."
    return (
        f"Only {preview.left:,} are left to run there." if asked is not None and asked > preview.left else ""
    )


_MOST_LABELS = 4


@page_for(Options)
def options_page(options: Options) -> Page:
    """A row per proposal."""
    loss = f"more than {difference(options.epsilon)}" if options.epsilon else "anything"
    what = f"{loss} of the best {judged_text(options.metric, options.subject_to)}"
    if options.front:
        what = "a point of the front, by more than epsilon in a goal"
    rows = []
    for option in options.rows:
        risks = Cell(risks_text(option), "strong" if option is options.now else "")
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
