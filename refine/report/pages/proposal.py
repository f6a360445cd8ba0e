"""What a proposal shows of itself: the claim, a table to decide by, and what else is suggested."""

from __future__ import annotations

import math

from refine.proposal.alternatives import Offer
from refine.proposal.change import Change
from refine.proposal.proposal import Claim, Proposal
from refine.report.pages.goal import judged_text
from refine.report.pages.reasons import QUIET, sentence, sentences, together
from refine.review.branch_claim import BranchClaim
from refine.space.edits import bounds_text, strip
from refine.space.encoding import Reference
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Grid, Items, Page, Text
from refine.utils.format import join, percent, plural, probability, risk_percent, score
from refine.utils.provided import page_for


@page_for(Proposal)
def proposal_page(proposal: Proposal) -> Page:
    """The table to decide by: parameter, now, proposed, volume kept, risk, why; changes first."""
    order = sorted(proposal.changes, key=lambda c: c.kind == "keep")
    head = ("parameter", "now", "proposed", "levels", "kept", "risk", "why")
    grid = Grid(head, tuple(_row(c) for c in order), right=(4, 5), wide=(6,))
    blocks: list[Block] = [Text(claim_sentence(proposal)), grid]
    if quiet := quiet_sentences(proposal):
        blocks.append(Items(tuple(Cell(line, "faint") for line in quiet)))
    if any(math.isfinite(c.risk) for c in order):
        risk = "risk: probability that this change alone loses more than epsilon; the risks do not add up."
        blocks.append(Text(risk, "faint"))
    rest = [
        Cell(f"could be fixed: {sentence(o.reason)} To fix it:", call=offer_action(o))
        for o in proposal.offers
    ]
    if proposal.advice is not None:
        rest.append(Cell(f"next round: {sentence(proposal.advice.reason)}"))
    return Page("", (*blocks, *([Items(tuple(rest))] if rest else [])))


def claim_sentence(proposal: Proposal) -> str:
    """What is claimed, of what, and whether anything was tested."""
    untested = "" if proposal.tested else "Untested: the model alone proposes."
    return " ".join(filter(None, (_claimed(proposal), scope_sentence(proposal), untested)))


def scope_sentence(proposal: Proposal) -> str:
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
        return "Nothing is proposed: on this evidence every part of the space may hold the optimum."
    claim, kept = proposal.claim, percent(proposal.volume_kept)
    if math.isnan(claim.probability):
        return f"The proposed space keeps {kept} of the present one; the risk of that can't be stated."
    beyond = any(c.kind in ("widen", "reopen") for c in proposal.changes)
    if claim.others:
        return _front_claim(proposal, beyond)
    return (
        f"The proposed space keeps {kept} of the present one; with probability {probability(claim.probability)} the best "
        f"{judged_text(proposal.metric, proposal.subject_to)} inside is {within_text(claim)} the best anywhere in the present space"
        f"{', and it looks beyond' if beyond else ''}."
    )


def branch_sentence(claim: BranchClaim) -> str:
    """What the claims of a branch come to together."""
    within = "" if math.isnan(claim.epsilon) else f" by more than {score(claim.epsilon)}"
    return (
        f"Against the first space of the branch the risks of {claim.claims} claims add up: with probability "
        f"{probability(claim.probability)} or more nothing is lost{within}."
    )


def _front_claim(proposal: Proposal, beyond: bool) -> str:
    """What is claimed of several goals."""
    claim = proposal.claim
    names = join([proposal.metric, *(t.metric for t in claim.others)])
    judged = judged_text(names, proposal.subject_to)
    losses = [(proposal.metric, claim.epsilon), *((t.metric, t.epsilon) for t in claim.others)]
    worse = join([f"{score(epsilon)} worse in {metric}" for metric, epsilon in losses])
    return (
        f"The proposed space keeps {percent(proposal.volume_kept)} of the present one; with probability "
        f"{probability(claim.probability)} it keeps the front of {judged}: for every point of it there is a configuration inside "
        f"that is at most {worse}{', and it looks beyond' if beyond else ''}."
    )


_WORDS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def within_text(claim: Claim) -> str:
    """How near to the best a value is by the claim: ``within 0.01 of``, or ``as good as`` where every loss counts."""
    return f"within {epsilon_text(claim)} of" if claim.epsilon else "as good as"


def epsilon_text(claim: Claim) -> str:
    """Epsilon, in rows of the validation set as well where the metric is a share of them."""
    if not (claim.rows and claim.epsilon):
        return score(claim.epsilon)
    many = claim.epsilon * claim.rows
    whole = round(many)
    exact = abs(many - whole) < 0.01 and whole > 0
    count = (_WORDS[whole] if whole < len(_WORDS) else f"{whole:,}") if exact else f"about {many:.2g}"
    return f"{score(claim.epsilon)} ({count} of {plural(claim.rows, 'validation row')})"


def why(change: Change) -> str:
    """Why one parameter is to change, or to stay."""
    return sentences(change.reasons)


def own_why(change: Change) -> str:
    """Why one parameter is to change, or to stay; empty where :func:`quiet_sentences` tells it of several at once."""
    kept = change.kind == "keep"
    return sentences(r for r in change.reasons if not (kept and r.code in (*QUIET, "read_in")))


def quiet_sentences(proposal: Proposal) -> list[str]:
    """Why parameters stay of which nothing was seen, those with the same reason in one sentence."""
    return together({c.name: c.reasons for c in proposal.changes if c.kind == "keep"})


def offer_action(offer: Offer) -> Action:
    """The edit that an offer suggests."""
    value = offer.value
    typed = Symbol(value.path.replace(":", ".")) if isinstance(value, Reference) else value
    return Action("review.edit", {offer.name: typed})


def _row(c: Change) -> tuple[str | Cell, ...]:
    kept = c.kind == "keep"
    leaves = c.kind == "leave"
    risk = "-" if kept or leaves else risk_percent(c.risk)
    return (
        Cell(c.name, "strong"),
        bounds_text(c.old),
        Cell("-", "faint") if kept else Cell(_proposed(c), "good"),
        strip(c.old, c.new),
        "-" if leaves else percent(c.volume_kept),
        risk,
        Cell(own_why(c), "faint" if kept else ""),
    )


def _proposed(c: Change) -> str:
    return "no longer read" if c.kind == "leave" else f"{bounds_text(c.new)} ({c.kind})"
