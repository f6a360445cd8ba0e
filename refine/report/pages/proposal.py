"""What a proposal shows of itself: what changes, how safe that is, and, folded, the evidence, the claim and what else is suggested."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    together,
)
from refine.review.decision import BranchClaim
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text, strip
from refine.space.encoding import Reference
from refine.space.parameters import Parameter, Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Items, Page, Text
from refine.utils.format import (
    chance,
    difference,
    duration,
    join,
    number,
    percent,
    plural,
    probability,
    risk_percent,
    score,
)
from refine.utils.provided import page_for

MOST = 6  # changes that a glance shows in a line each
_LONGEST = 20  # letters of a list of choices in a glance
_SURE = {"sure": Cell("sure", "good"), "likely": Cell("likely"), "open": Cell("unsure", "warn")}


@page_for(Proposal)
def proposal_page(proposal: Proposal) -> Page:
    """What changes, and how safe that is."""
    changed = [c for c in proposal.changes if c.kind != "keep"]
    blocks: list[Block] = []
    if changed:
        blocks.append(changes_grid([change_row(c) for c in changed]))
    untested = () if proposal.tested else (("Caution", Cell("Untested: the model alone proposes.", "warn")),)
    safe = ("Safe?", safe_text(proposal.claim))
    judged = (("Metric", proposal.metric),) if proposal.calls else ()  # of a search, which no round shows
    blocks.append(Facts((*judged, *stays_facts(proposal, changed), safe, *untested)))
    title = f"Proposed on {plural(proposal.n, 'trial')}: keeps {percent(proposal.volume_kept)} of the space."
    return Page(title if changed else NOTHING, tuple(blocks), proposal.calls, proposal_folds(proposal))


def changes_grid(rows: Sequence[tuple[str | Cell, ...]]) -> Grid:
    """What changes: a line each of the first ones, and one for the others."""
    shown = tuple(rows[:MOST])
    if more := len(rows) - len(shown):
        shown += ((Cell(f"and {more} more", "faint"), "", "", "", "", ""),)
    head = ("parameter", "now", "", "next", "why", "how sure")
    return Grid(head, shown, title="Proposed for the next round:")


def change_row(change: Change) -> tuple[str | Cell, ...]:
    """One change: from what to what, why in a few words, and how sure that is."""
    sure: str | Cell = _SURE[change.sure]
    if change.kind in ("widen", "reopen"):
        sure = "wider"
    elif any(r.code == "model_alone" for r in change.reasons):
        sure = Cell("untested", "warn")
    new = next_text(change.old, change.new)
    if change.kind in ("leave", "fix"):
        new, sure = "no longer read" if change.kind == "leave" else new, ""
    return (
        Cell(change.name, "strong"),
        short_bounds(change.old),
        "->",
        Cell(new, "good"),
        short_reason(change),
        sure,
    )


def short_bounds(parameter: Parameter) -> str:
    """The bounds, or the choices where these are few."""
    text = bounds_text(parameter)
    return text if isinstance(parameter, Range) or len(text) <= _LONGEST else f"{parameter.size} choices"


def next_text(old: Parameter, new: Parameter, longest: int = _LONGEST) -> str:
    """What of a parameter is left, or what leaves, whichever is shorter: ``1 to 1.5``, ``only log_cosh``, ``without SGD``."""
    if isinstance(new, Range):
        return bounds_text(new)
    stay = bounds_text(new)
    if isinstance(old, Range):
        return f"only {stay}"
    assert isinstance(old, Categorical)
    gone = [label for label, value in zip(old.labels, old.grid, strict=True) if not new.contains([value])[0]]
    if new.size == 1 and len(stay) <= longest:
        return f"only {stay}"
    if gone and len(stay) > longest:
        without = join(gone)
        return f"without {without}" if len(without) <= longest else f"{new.size} of {old.size}"
    return stay


def stays_facts(proposal: Proposal, changed: Sequence[Change]) -> list[tuple[str, str]]:
    """Which parameters stay, in a line; nothing where all change."""
    names = [c.name for c in proposal.changes if c not in changed]
    if len(names) > MOST + 1:
        names = [", ".join(names[:MOST]), f"{len(names) - MOST} more"]
    return [("Stays", join(names))] if names and changed else []


NOTHING = "Nothing is proposed: on this evidence every part of the space may hold the optimum."


def safe_text(claim: Claim) -> str:
    """The chance of losing more than the difference that matters."""
    loss = 1 - claim.probability
    if math.isnan(loss):
        return "The chance of a loss can't be told."
    what = "anything"
    if claim.others:
        what = "a point of the front"
    elif claim.epsilon:
        what = f"more than {difference(claim.epsilon)}{source_text(claim.epsilon_source, claim.epsilon, claim.rows)}"
    unseen = ""
    if claim.even == 0 and not math.isnan(claim.scope):
        unseen = " No trial was drawn evenly: what none has hit may hide better."
    elif claim.scope > 0:
        unseen = f" Regions under {number(100 * claim.scope, 2)} % of the space may hide better."
    return f"{chance(loss).capitalize()} chance to lose {what}.{unseen}"


def branch_text(claim: BranchClaim | None) -> str:
    """What the claims of a branch come to together; empty where there is one alone, or that can't be stated."""
    if claim is None or claim.claims < 2:
        return ""
    lose = "anything" if math.isnan(claim.epsilon) else f"more than {difference(claim.epsilon)}"
    decisions = "both decisions" if claim.claims == 2 else f"all {claim.claims} decisions"
    sure = chance(1 - claim.probability).replace("about", "at most").capitalize()
    return f"{sure} chance to lose {lose} in {decisions}."


def proposal_folds(proposal: Proposal) -> tuple[Fold, ...]:
    """Why each parameter changes or stays, what is claimed, and everything else that is known of a proposal."""
    changed = [c for c in proposal.changes if c.kind != "keep"]
    kept = [c for c in proposal.changes if c.kind == "keep"]
    folds = [_change_fold(c) for c in changed]
    # What is said of several at once isn't said of each.
    own = {c.name: sentences(r for r in c.reasons if r.code not in (*QUIET, "read_in")) for c in kept}
    rest: list[str | Cell] = [f"{name}: {said}" for name, said in own.items() if said]
    rest += [Cell(line, "faint") for line in together({c.name: c.reasons for c in kept})]
    if rest:
        folds.append(Fold("Why the rest stays", (Items(tuple(rest)),)))
    folds += [_change_fold(c, why=False) for c in kept]
    claim = [Text(claim_sentence(proposal))]
    if math.isfinite(proposal.claim.epsilon) and proposal.claim.epsilon:
        epsilon, source = _epsilon_text(proposal.claim), EPSILON_SOURCES[proposal.claim.epsilon_source]
        claim.append(
            Text(f"The difference that matters (epsilon) is {epsilon} in {proposal.metric}: {source}.")
        )
    folds.append(Fold("What is claimed", tuple(claim), "claim"))
    if proposal.advice is not None:
        seconds = proposal.advice.seconds
        time = f" One at a time they take about {duration(seconds)}." if seconds >= 1 else ""
        folds.append(Fold("How many trials", (Text(f"{sentence(proposal.advice.reason)}{time}"),), "n"))
    if proposal.offers:
        fixed = tuple(Cell(f"{sentence(o.reason)} To fix it:", call=offer_action(o)) for o in proposal.offers)
        folds.append(Fold("What could be fixed", (Items(fixed),), "offers"))
    made = (
        f"Proposed at a risk of {percent(proposal.risk)} on {plural(proposal.n, 'trial')}; over all parameters "
        f"{percent(proposal.volume_kept)} is kept. Proposal {proposal.digest}, on evidence {proposal.evidence}."
    )
    legend = "risk: chance that this change alone loses more than epsilon; the risks do not add up."
    told = [Text(legend, "faint")] if any(math.isfinite(c.risk) for c in proposal.changes) else []
    head = ("parameter", "now", "proposed", "levels", "kept", "risk")
    grid = Grid(head, tuple(map(_row, (*changed, *kept))), right=(4, 5))
    return (*folds, Fold("Every parameter", (grid, *told, Text(made, "faint")), "table", why=False))


def _change_fold(c: Change, why: bool = True) -> Fold:
    stays = c.kind == "keep"
    title = f"{c.name}: {bounds_text(c.old)}" + (" stays" if stays else f" -> {bounds_text(c.new)}")
    alone = f"; alone it loses more than epsilon with a chance of {risk_percent(c.risk)}"
    levels = f"{strip(c.old, c.new)} keeps {percent(c.volume_kept)}{alone if math.isfinite(c.risk) else ''}."
    texts = (sentences(c.reasons), "" if stays else levels)
    return Fold(title, tuple(Text(text) for text in texts if text), c.name, why)


def _row(c: Change) -> tuple[str | Cell, ...]:
    kept, leaves = c.kind == "keep", c.kind == "leave"
    proposed = "no longer read" if leaves else f"{bounds_text(c.new)} ({c.kind})"
    return (
        Cell(c.name, "strong"),
        bounds_text(c.old),
        Cell("-", "faint") if kept else Cell(proposed, "good"),
        strip(c.old, c.new),
        "-" if leaves else percent(c.volume_kept),
        "-" if kept or leaves else risk_percent(c.risk),
    )


def claim_sentence(proposal: Proposal) -> str:
    """What is claimed, of what, and whether anything was tested."""
    untested = "" if proposal.tested else "Untested: the model alone proposes."
    return " ".join(filter(None, (_claimed(proposal), _scope_sentence(proposal), untested)))


def _scope_sentence(proposal: Proposal) -> str:
    """Which regions the claim can't speak of, because no trial hit them; nothing where nothing is claimed."""
    claim = proposal.claim
    if math.isnan(claim.scope) or math.isnan(claim.probability) or not proposal.old.diff(proposal.space):
        return ""
    if claim.even == 0:
        return "No trial was drawn evenly: a region that none has hit may hide a better value."
    if claim.scope == 0:
        return "Every configuration was tried: no region is unseen."
    return (
        f"{plural(claim.even, 'evenly drawn trial')} would have hit any region of {percent(claim.scope)} of the present space "
        "(95 % sure); a smaller one may hide a better value."
    )


def _claimed(proposal: Proposal) -> str:
    if not proposal.old.diff(proposal.space):
        return NOTHING
    claim = proposal.claim
    keeps = f"The proposed space keeps {percent(proposal.volume_kept)} of the present one"
    if math.isnan(claim.probability):
        return f"{keeps}; the risk of that can't be stated."
    sure = f"{keeps}; with probability {probability(claim.probability)}"
    beyond = ", and it looks beyond" if any(c.kind in ("widen", "reopen") for c in proposal.changes) else ""
    judged = judged_text(join([proposal.metric, *(t.metric for t in claim.others)]), proposal.subject_to)
    if not claim.others:
        return f"{sure} the best {judged} inside is {within_text(claim)} the best anywhere in the present space{beyond}."
    losses = [(proposal.metric, claim.epsilon), *((t.metric, t.epsilon) for t in claim.others)]
    worse = join([f"{score(epsilon)} worse in {metric}" for metric, epsilon in losses])
    return f"{sure} it keeps the front of {judged}: for every point of it there is a configuration inside that is at most {worse}{beyond}."


_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
# Where the difference that matters comes from.
EPSILON_SOURCES = {
    "replicates": "what running a configuration again changes, measured on replicates",
    "residuals": "what a Gaussian process takes for noise, since too few configurations were run twice",
    "examples": "the standard error of the difference of two good models on the same validation rows",
    "folds": "the standard error of the difference of two good configurations over the same folds",
    "step": "the smallest difference that the metric shows",
    "range": "5 % of what the best value is above the median",
    "deterministic": "none, as a configuration gives the same value to the last bit when it runs again",
    "none": "no noise could be measured, so every loss counts",
    "given": "as asked for",
}


def within_text(claim: Claim) -> str:
    """How near to the best a value is by the claim: ``within 0.01 of``, or ``as good as`` where every loss counts."""
    return f"within {_epsilon_text(claim)} of" if claim.epsilon else "as good as"


def _epsilon_text(claim: Claim) -> str:
    """Epsilon, in rows of the validation set as well where the metric is a share of them."""
    if not (claim.rows and claim.epsilon):
        return difference(claim.epsilon)
    many = claim.epsilon * claim.rows
    whole, count = round(many), f"about {many:.2g}"
    if abs(many - whole) < 0.01 and whole > 0:
        count = _NUMBERS[whole] if whole < len(_NUMBERS) else f"{whole:,}"
    return f"{difference(claim.epsilon)} ({count} of {plural(claim.rows, 'validation row')})"


def why(change: Change) -> str:
    """Why one parameter is to change, or to stay."""
    return sentences(change.reasons)


def offer_action(offer: Offer) -> Action:
    """The edit that an offer suggests."""
    value = offer.value
    typed = Symbol(value.path.replace(":", ".")) if isinstance(value, Reference) else value
    return Action("review.edit", {offer.name: typed})


def why_heading(change: Change) -> str:
    """Why a parameter changes, in few words: ``Why: rises with lr``."""
    stays = {"keep": "Why it stays as it is", "leave": "Why it is no longer read"}
    return stays.get(change.kind) or f"Why: {short_reason(change)}"


def kept_text(change: Change) -> str:
    """How much of a parameter stays, and the risk of its change alone; empty where it stays as it is."""
    if change.kind in ("keep", "leave"):
        return ""
    risk = f"; its own risk is {risk_percent(change.risk)}" if math.isfinite(change.risk) else ""
    return f" {percent(change.volume_kept)} of it stays{risk}."
