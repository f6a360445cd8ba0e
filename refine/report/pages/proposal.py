"""The page of a proposal: its changes and risk; in folds the evidence, the claim and further suggestions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from refine.proposal.alternatives import Offer
from refine.proposal.change import Change
from refine.proposal.proposal import Claim, Proposal
from refine.report.pages.reasons import (
    QUIET,
    judged_text,
    sentence,
    sentences,
    short_reason,
    source_text,
    times,
    together,
    upper,
)
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text, strip
from refine.space.encoding import Reference
from refine.space.parameters import Parameter, Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import (
    CHANCE_STEPS,
    chance_cell,
    chance_words,
    difference,
    duration,
    join,
    number,
    percent,
    plural,
    risk_percent,
    score,
    signed,
)
from refine.utils.provided import page_for

MOST = 6  # changes that a summary lists in a line each
_COLUMNS = 80  # of a terminal
_MEDIANS = 3  # medians of choices among the numbers behind a change
_LONGEST = 20  # letters of a list of choices in a summary
# Risk of a change alone, by Change.sure -> its words.
_RISK_WORDS = {
    "sure": Cell("low risk", "good"),
    "likely": Cell("some risk"),
    "open": Cell("high risk", "warn"),
}


@page_for(Proposal)
def proposal_page(proposal: Proposal) -> Page:
    """The changes of a proposal and their risk."""
    changed = [c for c in proposal.changes if c.kind != "keep"]
    blocks: list[Block] = []
    if changed:
        rows = [change_row(c, proposal.claim.epsilon) for c in changed]
        blocks.append(changes_grid(rows, "Search next:"))
    facts: list[tuple[str, str | Cell]] = [
        *unchanged_facts(proposal, changed),
        *claim_facts(proposal.claim, asked=proposal.risk),
    ]
    if not proposal.tested:
        facts.append(("Caution", Cell("untested: the model alone proposes", "warn")))
    blocks.append(Facts(tuple(facts)))
    if proposal.metric == "value":
        judged = ""
    else:
        judged = f" by {proposal.metric}"
    title = (
        f"Proposal from {plural(proposal.n, 'trial')}{judged}: keeps "
        f"{percent(proposal.volume_kept)} of the space."
    )
    return Page(title if changed else NOTHING, tuple(blocks), proposal.calls, proposal_folds(proposal))


def changes_grid(rows: Sequence[tuple[str | Cell, ...]], heading: str) -> Grid:
    """The first changes, one a line, and a line with the number of other changes."""
    lines = tuple(rows[:MOST])
    if _width(lines) > _COLUMNS:
        lines = tuple(map(_briefly, lines))
    if hidden := len(rows) - len(lines):
        lines += ((Cell(f"and {hidden} more", "faint"), "", "", "", ""),)
    head = ("parameter", "now", "next", "main reason", "risk")
    return Grid(head, lines, title=heading)


def _width(rows: Sequence[tuple[str | Cell, ...]]) -> int:
    """Width of rows in columns, with two between cells and at the left."""
    texts = [[cell.text if isinstance(cell, Cell) else cell for cell in row] for row in rows]
    return sum(2 + max(map(len, column)) for column in zip(*texts, strict=True)) - 1  # one before the arrow


def _briefly(row: tuple[str | Cell, ...]) -> tuple[str | Cell, ...]:
    """A row with a shorter reason, for a table too wide for a terminal."""
    name = row[0]
    reason = row[3]
    if not (isinstance(name, Cell) and isinstance(reason, str)):
        return row
    brief = reason.replace(" as many top trials", " the top trials").replace(f" with {name.text}", " with it")
    return (*row[:3], brief, *row[4:])


def change_row(change: Change, epsilon: float = math.nan, weak: bool = False) -> tuple[str | Cell, ...]:
    """A change as cells: name, range now, range proposed, main reason, risk of this change alone.

    ``epsilon`` is the tolerance of the claim; ``weak`` marks a parameter without a tested effect.
    """
    return (
        Cell(change.name, "strong"),
        short_bounds(change.old),
        arrow_cell("no longer used" if change.kind == "leave" else next_text(change.old, change.new), "good"),
        Cell("weak evidence (model)", "warn") if weak else short_reason(change, epsilon),
        risk_cell(change),
    )


def arrow_cell(text: str, tone: str) -> Cell:
    """The next range of a parameter behind an arrow."""
    return Cell(f"-> {text}", tone)


def risk_cell(change: Change) -> Cell:
    """The risk of a change alone, in a word or two: ``low risk``, ``extended``.

    Empty if nothing is cut off.
    """
    if change.kind in ("leave", "fix", "keep"):
        return Cell("")
    if change.kind in ("widen", "reopen"):
        return Cell("extended")
    if any(reason.code == "model_alone" for reason in change.reasons):
        return Cell("untested", "warn")
    if math.isnan(change.risk):
        return Cell("risk unknown", "warn")
    return _RISK_WORDS[change.sure]


def short_bounds(parameter: Parameter) -> str:
    """The bounds of a range, or the choices of a short list, else their number."""
    text = bounds_text(parameter)
    if isinstance(parameter, Range) or len(text) <= _LONGEST:
        return text
    return f"{parameter.size} choices"


def next_text(old: Parameter, new: Parameter, longest: int = _LONGEST) -> str:
    """The values kept, or the values dropped if they are fewer.

    For example ``1 to 1.5``, ``only log_cosh``, ``without SGD``.
    """
    if isinstance(new, Range):
        return bounds_text(new)
    choices = bounds_text(new)
    if isinstance(old, Range):
        return f"only {choices}"
    assert isinstance(old, Categorical)
    if new.size == 1 and len(choices) <= longest:
        return f"only {choices}"
    dropped = [
        label for label, value in zip(old.labels, old.grid, strict=True) if not new.contains([value])[0]
    ]
    if dropped and len(choices) > longest:
        without = join(dropped)
        if len(without) <= longest:
            return f"without {without}"
        return f"{new.size} of {old.size} choices"
    return choices


def unchanged_facts(proposal: Proposal, changed: Sequence[Change]) -> list[tuple[str, str]]:
    """The names of unchanged parameters, in a line; empty if all change or none does."""
    names = [c.name for c in proposal.changes if c not in changed]
    if len(names) > MOST + 1:
        names = [*names[:MOST], f"{len(names) - MOST} more"]
    if names and changed:
        return [("Unchanged", ", ".join(names))]
    return []


NOTHING = "Nothing is proposed: on this evidence every part of the space may hold the optimum."


def risk_text(claim: Claim, one_split: bool = False, asked: float = math.nan) -> str:
    """The chance that something better is cut off, and the tolerance.

    For example ``about 1 in 8 that something better ...``. With ``one_split`` all values come from one set of
    validation rows, and the claim speaks of these rows alone. A risk ``asked`` for is named if the words of
    chances cannot tell it from a larger one.
    """
    loss = 1 - claim.probability
    if math.isnan(loss):
        return "unknown: the model can't state it for this space"
    if one_split:
        scope = ", on these validation rows"
    else:
        scope = ""
    asked_text = ""
    if asked < CHANCE_STEPS[0][0]:
        asked_text = f" (asked: {risk_percent(asked)})"
    return f"{chance_words(loss)}{asked_text} that {_loss_text(claim)} is cut off{scope}"


def _loss_text(claim: Claim) -> str:
    if claim.others:
        return "a point of the front"
    if not claim.epsilon or math.isnan(claim.epsilon):
        return "something better"
    if math.isfinite(claim.factor):
        return f"something better by over {factor_text(claim.factor)}"
    source = source_text(claim.epsilon_source, claim.epsilon, claim.rows)
    return f"something better by over {difference(claim.epsilon)}{source}"


def factor_text(factor: float) -> str:
    """A tolerance as a factor: ``a factor of 1.3``; at least three digits are needed near 1."""
    if factor >= 1.01:
        return f"a factor of {factor:.3g}"
    return f"a factor of 1 + {factor - 1:.2g}"


_FAILING = 0.05  # expected share of failures from which on it is stated


def blind_spot_text(claim: Claim) -> str:
    """The largest better region that no trial would have hit; empty if unknown."""
    if math.isnan(claim.scope):
        return ""
    if claim.even == 0:
        return "no trial was drawn evenly, so a better region of any size may have been missed"
    if claim.scope == 0:
        return ""
    return f"a better region smaller than {number(100 * claim.scope, 2)} % of the space may have been missed"


def failures_text(claim: Claim) -> str:
    """The expected share of failures, inside and now; empty if hardly any trial inside should fail."""
    if not claim.failing_inside >= _FAILING:
        return ""
    if claim.failing_now >= _FAILING:
        present = f" (now {percent(claim.failing_now)})"
    else:
        present = ""
    return (
        f"about {percent(claim.failing_inside)} of evenly drawn trials inside are expected to fail{present}"
    )


def claim_facts(
    claim: Claim, kept_cell: Cell | None = None, one_split: bool = False, asked: float = math.nan
) -> list[tuple[str, str | Cell]]:
    """The facts Risk, Kept (if given) and Blind spot; ``asked`` is the risk asked for, if it applies."""
    risk = Cell(risk_text(claim, one_split, asked), kept_cell.tone if kept_cell else "")
    facts: list[tuple[str, str | Cell]] = [("Risk", risk)]
    if kept_cell is not None:
        facts.append(("Kept", kept_cell))
    if blind := blind_spot_text(claim):
        facts.append(("Blind spot", blind))
    if failures := failures_text(claim):
        facts.append(("Failures", Cell(failures, "warn")))
    return facts


def safe_text(claim: Claim) -> str:
    """Risk and blind spot of a claim as sentences."""
    blind = blind_spot_text(claim)
    return f"{upper(risk_text(claim))}.{f' {upper(blind)}.' if blind else ''}"


def proposal_folds(
    proposal: Proposal, cautions: Mapping[str, str] | None = None, about_claim: Sequence[str] = ()
) -> tuple[Fold, ...]:
    """Folds of a proposal: evidence by parameter, claim, size of the next round, offers, and a table.

    ``cautions`` has a sentence by parameter for changes with weak evidence, ``about_claim`` sentences that
    follow the claim.
    """
    changed = [c for c in proposal.changes if c.kind != "keep"]
    unchanged = [c for c in proposal.changes if c.kind == "keep"]
    cautions = cautions or {}
    folds = [_change_fold(c, caution=cautions.get(c.name, "")) for c in changed]
    # Sentences about several parameters are not repeated for each one.
    own_reasons = {
        c.name: sentences(r for r in c.reasons if r.code not in (*QUIET, "read_in")) for c in unchanged
    }
    lines: list[str | Cell] = [f"{name}: {text}" for name, text in own_reasons.items() if text]
    lines += [Cell(text, "faint") for text in together({c.name: c.reasons for c in unchanged})]
    if lines:
        folds.append(Fold("Unchanged", (Items(tuple(lines)),)))
    folds += [_change_fold(c, with_reasons=False) for c in unchanged]
    folds.append(Fold("Claim", tuple(map(Text, [*claim_texts(proposal), *about_claim])), "claim"))
    if proposal.advice is not None:
        seconds = proposal.advice.seconds
        if seconds >= 1:
            time = f" One at a time: about {duration(seconds)}."
        else:
            time = ""
        folds.append(Fold("Size", (Text(f"{sentence(proposal.advice.reason)}{time}"),), "n"))
    if proposal.offers:
        fixed = tuple(Cell(f"{sentence(o.reason)} To fix it:", call=offer_action(o)) for o in proposal.offers)
        folds.append(Fold("Parameters to fix", (Items(fixed),), "offers"))
    origin = (
        f"Proposed at a risk of {percent(proposal.risk)} on {plural(proposal.n, 'trial')}; "
        f"{percent(proposal.volume_kept)} "
        f"of the space is kept. Proposal {proposal.digest}, on evidence {proposal.evidence}."
    )
    legend = (
        "risk: model probability that this change alone loses more than the tolerance; the risks "
        "do not add up."
    )
    stated = any(math.isfinite(c.risk) for c in proposal.changes)
    if stated:
        notes = [Text(legend, "faint")]
    else:
        notes = []
    head = ("parameter", "now", "proposed", "levels", "kept", "risk")
    grid = Grid(head, tuple(map(_row, (*changed, *unchanged))), right=(4, 5))
    return (*folds, Fold("Every parameter", (grid, *notes, Text(origin, "faint")), "table", why=False))


def claim_texts(proposal: Proposal) -> list[str]:
    """The claim of a proposal and, if the metric has one, the tolerance with its source."""
    texts = [claim_sentence(proposal)]
    claim = proposal.claim
    if math.isfinite(claim.epsilon) and claim.epsilon:
        tolerance = _epsilon_text(claim)
        source = EPSILON_SOURCES[claim.epsilon_source]
        if math.isfinite(claim.factor):
            unit = ""
        else:
            unit = f" {proposal.metric}"
        texts.append(f"Tolerance (epsilon): {tolerance}{unit}, {source}.")
    return texts


def _change_fold(c: Change, with_reasons: bool = True, caution: str = "") -> Fold:
    after = {"keep": "unchanged", "leave": "-> no longer used"}.get(c.kind) or f"-> {bounds_text(c.new)}"
    title = f"{c.name}: {bounds_text(c.old)} {after}"
    texts = [caution, sentences(c.reasons)]
    if c.kind not in ("keep", "leave"):
        alone = ""
        if math.isfinite(c.risk):
            alone = f"; risk of this change alone: {chance_words(c.risk)}"
        texts.append(f"{strip(c.old, c.new)} {percent(c.volume_kept)} kept{alone}.")
    return Fold(title, tuple(Text(text) for text in texts if text), c.name, with_reasons)


def _row(c: Change) -> tuple[str | Cell, ...]:
    unchanged = c.kind == "keep"
    unused = c.kind == "leave"
    proposed = Cell(f"{bounds_text(c.new)} ({c.kind})", "good")
    if unchanged:
        proposed = Cell("unchanged", "faint")
    if unused:
        proposed = Cell("no longer used", "good")
    return (
        Cell(c.name, "strong"),
        bounds_text(c.old),
        proposed,
        strip(c.old, c.new),
        "-" if unused else percent(c.volume_kept),
        "-" if unchanged or unused else chance_cell(c.risk),
    )


def claim_sentence(proposal: Proposal) -> str:
    """The claim, the regions that the claim does not cover, and a caution if nothing was tested."""
    if proposal.tested:
        untested = ""
    else:
        untested = "Untested: the model alone proposes."
    return " ".join(filter(None, (_claimed(proposal), _scope_sentence(proposal), untested)))


def _scope_sentence(proposal: Proposal) -> str:
    """The regions that the claim does not cover, since no trial hit them; empty without a claim."""
    claim = proposal.claim
    if math.isnan(claim.scope) or math.isnan(claim.probability) or not proposal.old.diff(proposal.space):
        return ""
    if claim.even == 0:
        return "No trial was drawn evenly: a better region of any size may have been missed."
    if claim.scope == 0:
        return "Every configuration was tried, so no region is unseen."
    return (
        f"{plural(claim.even, 'evenly drawn trial')} would hit any region of {percent(claim.scope)} of "
        "the present space with "
        "probability 0.95; a better smaller region may have been missed."
    )


def _claimed(proposal: Proposal) -> str:
    if not proposal.old.diff(proposal.space):
        return NOTHING
    claim = proposal.claim
    kept_text = f"the {percent(proposal.volume_kept)} of the space kept"
    if math.isnan(claim.probability):
        return f"No claim: the model can't state the risk of keeping only {kept_text}."
    extended = any(c.kind in ("widen", "reopen") for c in proposal.changes)
    if extended:
        beyond = " The proposal also looks beyond the present space."
    else:
        beyond = ""
    judged = judged_text(join([proposal.metric, *(t.metric for t in claim.others)]), proposal.subject_to)
    wrong = f"wrong in {_one_in(1 - claim.probability)}"
    if not claim.others:
        return f"The best {judged} in {kept_text} is {within_text(claim)} the best anywhere; {wrong}.{beyond}"
    losses = [(proposal.metric, claim.epsilon), *((t.metric, t.epsilon) for t in claim.others)]
    worse = join([f"{score(epsilon)} worse in {metric}" for metric, epsilon in losses])
    return (
        f"For every point on the front of {judged}, a configuration in {kept_text} is at most {worse}; "
        f"{wrong}.{beyond}"
    )


def _one_in(probability: float) -> str:
    """A model probability as a share of cases: ``at most about 1 in 20 cases``."""
    return f"{chance_words(probability)} cases"


_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
# Source of the tolerance -> its explanation.
EPSILON_SOURCES = {
    "replicates": "a low estimate of the spread between repeats of one configuration",
    "residuals": "a low estimate of the noise by a Gaussian process: few configurations were repeated",
    "examples": "the standard error of the difference of two good models on the same validation rows",
    "folds": "the standard error of the difference of two good configurations over the same folds",
    "step": "the smallest difference that the metric shows",
    "range": "5 % of best - median",
    "decades": "5 % of the decades between best and median, since the metric spans orders of magnitude",
    "deterministic": "no noise seen: repeats gave identical values",
    "none": "the noise could not be measured, so every loss counts",
    "given": "as you asked",
}


def within_text(claim: Claim) -> str:
    """The tolerance in a comparison with the best.

    For example ``within 0.01 of``, or ``as good as`` if every loss counts.
    """
    if claim.epsilon:
        return f"within {_epsilon_text(claim)} of"
    return "as good as"


def _epsilon_text(claim: Claim) -> str:
    """The tolerance; also in validation rows if the metric is a share of them, or as a factor of the best."""
    if math.isfinite(claim.factor):
        return factor_text(claim.factor)
    if not (claim.rows and claim.epsilon):
        return difference(claim.epsilon)
    row_count = claim.epsilon * claim.rows
    rounded = round(row_count)
    count = f"about {row_count:.2g}"
    if abs(row_count - rounded) < 0.01 and rounded > 0:
        if rounded < len(_NUMBERS):
            count = _NUMBERS[rounded]
        else:
            count = f"{rounded:,}"
    return f"{difference(claim.epsilon)} ({count} of {plural(claim.rows, 'validation row')})"


def why(change: Change) -> str:
    """The evidence for a change, or for keeping a parameter unchanged."""
    return sentences(change.reasons)


def evidence_numbers(change: Change) -> list[tuple[str, str, str]]:
    """The numbers behind a change: label, number, and a note on the number.

    For example ``("rank correlation", "-0.70", "-0.77 to -0.62")``.
    """
    values_by_code = {reason.code: reason.values for reason in change.reasons}
    numbers: list[tuple[str, str, str]] = []
    for code in ("trend", "not_seen", "no_trend"):
        values = values_by_code.get(code)
        if values is None or not isinstance(values.get("estimate"), float):
            continue
        interval = ""
        if {"low", "high"} <= values.keys():
            interval = f"{signed(values['low'])} to {signed(values['high'])}"
        numbers.append(("rank correlation", signed(values["estimate"]), interval))
        break
    if choices := values_by_code.get("choices"):
        medians = [(label, median) for label, median in choices["medians"] if median is not None]
        numbers += [(f"median, {label}", score(median), "") for label, median in medians[:_MEDIANS]]
    if piled := values_by_code.get("piled_up"):
        numbers.append(
            (f"top trials at {piled['level']}", f"{piled['count']} of {piled['of']}", "at its end")
        )
    if contrast := values_by_code.get("contrast"):
        inside = plural(contrast["n_here"], "trial")
        outside = plural(contrast["n_there"], "trial")
        numbers.append(("in the kept part", times(contrast["here"]), f"as many top trials; {inside}"))
        numbers.append(("in the dropped part", times(contrast["there"]), f"as many top trials; {outside}"))
    if change.kind not in ("keep", "leave") and math.isfinite(change.risk):
        numbers.append(("risk of this change", chance_cell(change.risk), "alone"))
    return numbers


def offer_action(offer: Offer) -> Action:
    """The edit for an offer."""
    value = offer.value
    if isinstance(value, Reference):
        typed = Symbol(value.path.replace(":", "."))
    else:
        typed = value
    return Action("review.edit", {offer.name: typed})


def why_heading(change: Change) -> str:
    """The main reason for a change as a heading: ``Reason: val_acc rises with lr``."""
    fixed = {"keep": "Why it is unchanged", "leave": "Why it is no longer used"}
    return fixed.get(change.kind) or f"Reason: {short_reason(change)}"


def kept_text(change: Change) -> str:
    """The kept share of a parameter, and the risk of this change alone.

    Empty if nothing is cut off.
    """
    if change.kind in ("keep", "leave"):
        return ""
    if math.isfinite(change.risk):
        risk = f"; risk of this change alone: {chance_words(change.risk)}"
    else:
        risk = ""
    return f" {percent(change.volume_kept)} of it is kept{risk}."
