"""The page of a proposal: its changes and risk; in folds the evidence, the claim and further suggestions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from refine.proposal.alternatives import Offer
from refine.proposal.chance import judged_like
from refine.proposal.change import Change
from refine.proposal.path import RISKS
from refine.proposal.proposal import Claim, Proposal, calls_of, spared, surrogate_behind
from refine.report.pages.reasons import (
    QUIET,
    before_limits,
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
from refine.space.fidelity import fidelity_of
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.utils.action import Action, Symbol
from refine.utils.arrays import objects
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Items, Page, Row, Text, as_cell
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

MOST = 6  # changes in a summary, a line each
_COLUMNS = 80  # of a terminal
_ONE_LINE = 76  # letters of a headline that fits in a line
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
    views = {c.name: change_view(c, proposal.claim.epsilon) for c in proposal.changes}
    facts: list[Fact] = [
        *unchanged_facts(proposal, changed),
        ("Risk", risk_view(proposal.claim, proposal.risk, cuts_off(proposal.old, proposal.space)).text),
        *unseen_facts(proposal.claim),
    ]
    if not proposal.evidence.tested:
        facts.append(("Caution", Cell("untested: the model alone proposes", "warn")))
    cell = nothing_cell(proposal)
    title = cell.text.removesuffix(":") + "." * (cell.call is not None)
    blocks: list[Block] = [Facts(facts)]
    if changed:
        judged = f" by {proposal.evidence.metric}".removesuffix(" by value")
        share = f"{percent(proposal.volume_kept)} of the space{before_limits(proposal.old)}"
        title = f"Proposal from {plural(proposal.evidence.n, 'trial')}{judged}: keeps {share}."
        blocks.insert(0, changes_grid([views[c.name].row for c in changed], "Search next:"))
    return Page(title, blocks, calls_of(proposal), proposal_folds(proposal, views))


class ChangeView(NamedTuple):
    """The view of a change: its row in a summary, and the fold with its evidence."""

    change: Change
    row: Row  # name, range now, range proposed, main reason, risk of this change alone
    fold: Fold
    texts: Sequence[str]  # the paragraphs of the fold, without the levels kept as squares


def change_view(change: Change, epsilon: float = math.nan, caution: str = "") -> ChangeView:
    """The view of a change.

    ``epsilon`` is the tolerance of the claim; ``caution`` is a sentence on a change without a tested effect.
    """
    reason = short_reason(change, epsilon)
    bounds = next_text(change.old, change.new)
    if change.kind == "leave":
        bounds = "no longer used"
    name = Cell(change.name, "strong")
    row = (name, short_bounds(change.old), arrow_cell(bounds, "good"), reason, _risk_cell(change))
    after = {"keep": "unchanged", "leave": "-> no longer used"}.get(change.kind)
    title = f"{change.name}: {bounds_text(change.old)} {after or f'-> {bounds_text(change.new)}'}"
    texts = [text for text in (caution, sentences(change.reasons)) if text]
    blocks = [Text(text) for text in texts]
    if change.kind not in ("keep", "leave", "fix"):  # kinds of changes that lose no configuration
        alone = ""
        if math.isfinite(change.risk):
            risk = chance_words(change.risk)
            if not change.risk:  # every configuration was run
                risk = "none"
            alone = f"; risk of this change alone: {risk}"
        texts.append(f"{percent(change.volume_kept)} kept{alone}.")
        blocks.append(Text(f"{strip(change.old, change.new)} {texts[-1]}"))
    return ChangeView(change, row, Fold(title, blocks, change.name, change.kind != "keep"), texts)


def changes_grid(rows: Sequence[Row], heading: str) -> Grid:
    """The first changes, one a line, and a line with the number of other changes; without column titles."""
    lines = list(rows[:MOST])
    widths = [max(len(as_cell(cell).text) for cell in column) for column in zip(*lines, strict=True)]
    # Two columns between cells and at the left, one before the arrow.
    if sum(widths) + 2 * len(widths) - 1 > _COLUMNS:
        lines = [_briefly(line) for line in lines]
    if hidden := len(rows) - len(lines):
        lines.append((Cell(f"and {hidden} more", "faint"), "", "", "", ""))
    head = ("parameter", "now", "next", "main reason", "risk")
    return Grid(head, lines, title=heading, bare=True)


def _briefly(row: Row) -> Row:
    """A row with a shorter reason, for a table too wide for a terminal."""
    name, before, after, reason, risk = row
    if isinstance(reason, Cell):
        return row
    brief = reason.replace(" as many top trials", " the top trials")
    return name, before, after, brief.replace(f" with {as_cell(name).text}", " with it"), risk


def arrow_cell(text: str, tone: str) -> Cell:
    """The next range of a parameter behind an arrow."""
    return Cell(f"-> {text}", tone)


def _risk_cell(change: Change) -> Cell:
    """The risk of a change alone, in a few words: ``low risk``, ``extended``, ``extended, low risk``.

    Empty if nothing is cut off.
    """
    if change.kind in ("leave", "fix", "keep"):
        return Cell("")
    extended = change.kind in ("widen", "reopen")
    if extended and not change.volume_kept < 1:
        return Cell("extended")
    risk = _RISK_WORDS[change.sure]
    if change.risk == 0:  # every configuration was run
        risk = Cell("no risk", "good")
    elif math.isnan(change.risk):
        risk = Cell("risk unknown", "warn")
    if extended:
        return Cell(f"extended, {risk.text}", risk.tone)
    return risk


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


def _loses_values(old: Parameter, new: Parameter) -> bool:
    return not np.all(new.contains(objects(old.grid)))


def unchanged_facts(proposal: Proposal, changed: Sequence[Change]) -> list[Fact]:
    """The names of unchanged parameters, in a line; empty if all change or none does."""
    names = [c.name for c in proposal.changes if c not in changed]
    if len(names) > MOST + 1:
        names = [*names[:MOST], f"{len(names) - MOST} more"]
    if names and changed:
        return [("Unchanged", ", ".join(names))]
    return []


def _first_cut(proposal: Proposal) -> Proposal | None:
    """The proposal at the next larger listed risk that cuts something, for a proposal that cuts nothing.

    ``None`` if this proposal changes the space, if no risk up to 30 % cuts anything, or without a posterior.
    """
    if surrogate_behind(proposal) is None or proposal.space != proposal.old:
        return None
    larger = (proposal.at(risk) for risk in RISKS if risk > proposal.risk)
    return next((proposed for proposed in larger if proposed.space != proposed.old), None)


def nothing_cell(proposal: Proposal) -> Cell:
    """The sentence of a proposal that cuts nothing, with the cut at the next larger risk and its call."""
    if spared(proposal):
        return Cell("Nothing is cut: a smaller space would hold fewer configurations than the budget pays.")
    text = f"At a risk of {risk_percent(proposal.risk)} nothing can be cut."
    cut = _first_cut(proposal)
    if cut is None:
        return Cell(text)
    changed = [c for c in cut.changes if c.new != c.old][:MOST]
    bounds = join([f"{c.name} {next_text(c.old, c.new)}" for c in changed])
    share = f"keeps {percent(cut.volume_kept)} of the space"
    chance = chance_words(1 - cut.claim.probability)
    if not chance.startswith("at most"):
        share += f"; the stated risk is {chance}"
    call = Action("round.propose", risk=cut.risk)
    return Cell(f"{text} At {risk_percent(cut.risk)}: {bounds} ({share}):", call=call)


class RiskView(NamedTuple):
    """The risk of losing a better value, and its parts for narrow places."""

    text: str  # ``at most about 1 in 20 that something better by over 0.01 (as you asked) is cut off``
    headline: str  # ``at most about 1 in 20``, or the whole text without a chance
    chance: str  # ``<= 1 in 20``, ``none`` or ``not known``
    loss: str  # ``that something better by over 0.01 is cut off``, without sources, or a reason


def risk_view(claim: Claim, asked_risk: float = math.nan, cuts: bool = True) -> RiskView:
    """The risk of losing a better value, the tolerance, and the data behind the claim.

    ``asked_risk`` is named if the words of chances cannot tell it from a larger one. ``cuts`` is False for a
    space that loses no value.
    """
    lost = 1 - claim.probability
    if not cuts:
        return _without_chance("none", "nothing is cut off")
    if math.isnan(lost):
        return _without_chance("not known", UNKNOWN_RISK)
    if claim.certain and not lost:
        return _without_chance("none", ALL_KNOWN)
    if claim.certain:
        loss, _ = _loss_and_source(claim)
        return _without_chance("certain", f"{loss} is cut off")
    headline = chance_words(lost)
    if asked_risk < CHANCE_STEPS[0][0]:
        headline += f" (asked: {risk_percent(asked_risk)})"
    loss, source = _loss_and_source(claim)
    ending = f"is cut off{CLAIMED_DATA[claim.data]}"
    text = f"{headline} that {loss}{source} {ending}"
    return RiskView(text, headline, chance_cell(lost), f"that {loss} {ending}")


ALL_KNOWN = (
    "every configuration was run"  # and repeats are identical: the reason of a certain claim or answer
)


def _without_chance(answer: str, reason: str) -> RiskView:
    text = f"{answer}: {reason}"
    return RiskView(text, text, answer, reason)


# The reason why no chance is stated.
UNKNOWN_RISK = "too few of the candidate configurations lie inside"

# Data of claims about other rows than the present validation rows.
NEW_DATA = ("rows", "folds")

# Data that a claim or an answer is about -> their words.
CLAIMED_DATA = {
    "": "",
    "split": ", on these validation rows",
    "rows": ", on new data like these validation rows",
    "folds": ", on new data like these folds",
}


def _loss_and_source(claim: Claim) -> tuple[str, str]:
    """The loss that counts, and the source of the tolerance in brackets."""
    if claim.others:
        return "a point of the front", ""
    if not claim.epsilon or math.isnan(claim.epsilon):
        return "something better", ""
    if math.isfinite(claim.factor):
        return f"something better by over {factor_text(claim.factor)}", ""
    source = source_text(claim.epsilon_source, claim.epsilon, claim.rows)
    return f"something better by over {difference(claim.epsilon)}", source


def factor_text(factor: float) -> str:
    """A tolerance as a factor: ``a factor of 1.3``; at least three digits are needed near 1."""
    if factor >= 1.01:
        return f"a factor of {factor:.3g}"
    return f"a factor of 1 + {factor - 1:.2g}"


_FAILING = 0.05  # smallest expected share of failures that is printed


_BLIND = 0.5  # largest blind spot that is stated in numbers


def blind_spot_share(claim: Claim) -> str:
    """The largest share of the space that no trial would have hit; empty if unknown, 0 or over half."""
    if claim.even and 0 < claim.scope <= _BLIND:
        return f"{number(100 * claim.scope, 2)} %"
    return ""


def blind_spot_text(claim: Claim) -> str:
    """The largest better region that no trial would have hit; empty if unknown."""
    if claim.even == 0 and not math.isnan(claim.scope):
        return "no trial was drawn evenly, so a better region of any size may have been missed"
    if claim.scope > _BLIND:
        verb = "was" if claim.even == 1 else "were"
        return (
            f"only {plural(claim.even, 'trial')} {verb} drawn evenly, too few to tell how large a better "
            "region may have been missed"
        )
    if share := blind_spot_share(claim):
        return f"a better region smaller than {share} of the space may have been missed"
    return ""


def failures_text(claim: Claim) -> str:
    """The expected share of failures, inside and now; empty if hardly any trial inside should fail."""
    if not claim.failing_inside >= _FAILING:
        return ""
    share = percent(claim.failing_inside)
    text = f"about {share} of evenly drawn trials are expected to fail or be unusable"
    present = percent(claim.failing_now)
    if claim.failing_now >= _FAILING and present != share:
        text += f" (about {present} in the present space)"
    return text


def cuts_off(old: Space, new: Space) -> bool:
    """True if a parameter of the old space loses values in the new one."""
    return any(_loses_values(parameter, new[name]) for name, parameter in old.items() if name in new)


def unseen_facts(claim: Claim) -> list[Fact]:
    """The facts Blind spot and Failures; without the facts that are unknown or hold for hardly any trial."""
    facts: list[Fact] = []
    if blind := blind_spot_text(claim):
        facts.append(("Blind spot", blind))
    if failures := failures_text(claim):
        facts.append(("Failures", Cell(failures, "warn")))
    return facts


def safe_text(claim: Claim) -> str:
    """Risk and blind spot of a claim as sentences."""
    texts = filter(None, (risk_view(claim).text, blind_spot_text(claim)))
    return " ".join(f"{upper(text)}." for text in texts)


def proposal_folds(
    proposal: Proposal, views: Mapping[str, ChangeView], about_claim: Sequence[str] = ()
) -> list[Fold]:
    """Folds of a proposal: evidence by parameter, claim, size of the next round, offers, and a table.

    ``views`` has a view of the change by parameter, ``about_claim`` sentences that follow the claim.
    """
    changed = [c for c in proposal.changes if c.kind != "keep"]
    unchanged = [c for c in proposal.changes if c.kind == "keep"]
    folds = [views[c.name].fold for c in changed]
    # Sentences about several parameters are not repeated for each one.
    own_reasons = {
        c.name: sentences(r for r in c.reasons if r.code not in (*QUIET, "read_in")) for c in unchanged
    }
    lines: list[str | Cell] = [f"{name}: {text}" for name, text in own_reasons.items() if text]
    lines += [Cell(text, "faint") for text in together({c.name: c.reasons for c in unchanged})]
    if lines:
        folds.append(Fold("Unchanged", [Items(lines)]))
    folds += [views[c.name].fold for c in unchanged]
    folds.append(Fold("Claim", list(map(Text, [*claim_texts(proposal), *about_claim])), "claim"))
    if proposal.advice is not None:
        size = sentence(proposal.advice.reason)
        if proposal.advice.seconds >= 1:
            size += f" One at a time, {plural(proposal.advice.n, 'trial')} take about "
            size += f"{duration(proposal.advice.seconds)}."
        folds.append(Fold("Size", [Text(size)], "n"))
    for offer in proposal.offers:
        advice = Text(f"{sentence(offer.reason)} To fix it:", call=offer_action(offer))
        folds.append(Fold(f"{offer.name}: could be fixed", [advice], offer.name))
    head = ("parameter", "now", "proposed", "levels", "kept", "risk")
    blocks: list[Block] = [Grid(head, list(map(_row, (*changed, *unchanged))), right=(4, 5))]
    if any(math.isfinite(c.risk) for c in proposal.changes):
        blocks.append(Text(_RISK_LEGEND, "faint"))
    origin = (
        f"Proposed at a risk of {percent(proposal.risk)} on {plural(proposal.evidence.n, 'trial')}; "
        f"{percent(proposal.volume_kept)} of the space is kept{before_limits(proposal.old)}. "
        f"Proposal {proposal.digest}, on evidence {proposal.evidence.digest}."
    )
    blocks.append(Text(origin, "faint"))
    return [*folds, Fold("Every parameter", blocks, "table", why=False)]


_RISK_LEGEND = (
    "risk: model probability that this change alone loses more than the tolerance; the risks do not add up."
)


# Data that a claim is about -> the parts that draws weight.
_DRAWN_AGAIN = {"rows": "validation rows", "folds": "folds"}


def claim_texts(proposal: Proposal) -> list[str]:
    """The claim of a proposal and, if the metric has one, the tolerance of each goal with its source."""
    texts = [claim_sentence(proposal)]
    claim = proposal.claim
    if math.isfinite(claim.epsilon) and claim.epsilon:
        tolerance = _epsilon_text(claim)
        if not math.isfinite(claim.factor):
            tolerance += f" {proposal.evidence.metric}".removesuffix(" value")
        tolerances = [f"{tolerance}, {EPSILON_SOURCES[claim.epsilon_source]}"]
        tolerances += [
            f"{difference(t.epsilon)} {t.metric}, {EPSILON_SOURCES[t.epsilon_source]}" for t in claim.others
        ]
        texts.append(f"Tolerance (epsilon): {'; '.join(tolerances)}.")
    if claim.data in _DRAWN_AGAIN:
        texts.append(f"New data: every draw of the model weights the {_DRAWN_AGAIN[claim.data]} again.")
    return texts


def _row(c: Change) -> Row:
    proposed = Cell(f"{bounds_text(c.new)} ({c.kind})", "good")
    kept_share = percent(c.volume_kept)
    risk = chance_cell(c.risk)
    if c.kind == "keep":
        proposed = Cell("unchanged", "faint")
        risk = "-"
    if c.kind == "leave":
        proposed = Cell("no longer used", "good")
        kept_share = risk = "-"
    return Cell(c.name, "strong"), bounds_text(c.old), proposed, strip(c.old, c.new), kept_share, risk


def claim_sentence(proposal: Proposal) -> str:
    """The claim, the regions that the claim does not cover, and a caution if nothing was tested."""
    untested = "Untested: the model alone proposes." * (not proposal.evidence.tested)
    sentences = (_claimed(proposal), _judged_sentence(proposal), _scope_sentence(proposal), untested)
    return " ".join(filter(None, sentences))


def _judged_sentence(proposal: Proposal) -> str:
    """How often such claims were lost where the truth is known; empty without a chance."""
    stated = 1 - proposal.claim.probability
    if math.isnan(stated) or proposal.claim.certain or not cuts_off(proposal.old, proposal.space):
        return ""
    if fidelity_of(proposal.old) is not None:  # those claims rested on full trials alone
        return ""
    counted = judged_like(stated)
    if counted is None:
        return ""
    return f"In benchmark studies, {counted.lost} of {counted.claims} such claims were wrong."


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
        f"{plural(claim.even, 'evenly drawn trial')} would hit any region of {percent(claim.scope)} of the "
        "present space with probability 0.95; a better smaller region may have been missed."
    )


def _claimed(proposal: Proposal) -> str:
    if not proposal.old.diff(proposal.space):
        return "No claim: nothing is cut off."
    kept_text = f"the {percent(proposal.volume_kept)} of the space kept"
    if before := before_limits(proposal.old):
        kept_text = f"the space kept ({percent(proposal.volume_kept)}{before})"
    if math.isnan(proposal.claim.probability):
        return f"The risk of keeping only {kept_text} is not known: {UNKNOWN_RISK}."
    claimed = claim_text(proposal.claim, proposal.evidence.metric, proposal.evidence.subject_to, kept_text)
    if any(c.kind in ("widen", "reopen") for c in proposal.changes):
        return f"{claimed} The proposal also looks beyond the present space."
    return claimed


def claim_text(claim: Claim, metric: str, subject_to: Sequence[object], region: str) -> str:
    """A claim as a sentence; ``region`` names the space kept: ``the 12 % of the space kept``."""
    judged = judged_text(join([metric, *(t.metric for t in claim.others)]), subject_to)
    wrong = f"wrong in {chance_words(1 - claim.probability)} cases"
    if claim.certain:
        wrong = f"{ALL_KNOWN}, so this is {'certain' if claim.probability else 'false'}"
    if not claim.others:
        return f"The best {judged} in {region} is {within_text(claim)} the best anywhere; {wrong}."
    losses = [(metric, claim.epsilon), *((t.metric, t.epsilon) for t in claim.others)]
    worse = join([f"{difference(epsilon)} worse in {name}" for name, epsilon in losses])
    return (
        f"For every point on the front of {judged}, a configuration in {region} is at most {worse}; {wrong}."
    )


_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
# Source of the tolerance -> its explanation.
EPSILON_SOURCES = {
    "replicates": "a low estimate of the spread between repeats of one configuration",
    "residuals": "a low estimate of the noise by a Gaussian process: few configurations were repeated",
    "examples": "the standard error of the difference of two good models on the same validation rows",
    "folds": "the standard error of the difference of two good configurations over the same folds",
    "step": "the smallest difference that the metric shows",
    "range": "5 % of best - median",
    "decades": "5 % of the decades between best and median",
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
        count = dict(enumerate(_NUMBERS)).get(rounded, f"{rounded:,}")
    return f"{difference(claim.epsilon)} ({count} of {plural(claim.rows, 'validation row')})"


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
        value = Symbol(value.path.replace(":", "."))
    return Action("review.edit", {offer.name: value})
