"""What a judgement of one configuration beside another shows of itself."""

from __future__ import annotations

import math

from refine.analysis.judgement import CONFIRM, KEEP, MOST, SEEN, Judgement
from refine.analysis.winner import Candidate
from refine.report.pages.noise import noise_clause
from refine.report.pages.winner import differing
from refine.utils.action import Action
from refine.utils.display import Facts, Fold, Grid, Items, Page
from refine.utils.format import difference, join, plural, probability, score
from refine.utils.provided import page_for

_NAMES = {
    "baseline": "the baseline",
    "incumbent": "the best expected of earlier rounds",
    "winner": "the winner",
    "best": "the best observed one",
    "given": "the other",
}
TONES = {"KEEP": "good", "CONFIRM": "warn", "DISCARD": "bad"}


@page_for(Judgement)
def judgement_page(found: Judgement) -> Page:
    """The verdict in a sentence, how far apart they are and where they differ; folded, both beside each other and what it rests on."""
    pair = ("Asked", found.a, found.b), (_NAMES[found.incumbent], found.b, found.a)
    rows = tuple(
        (name.lower(), score(each.observed), str(len(each.fresh)), score(each.expected), _interval(each))
        for name, each, _ in pair
    )
    head = ("", "observed first", "new seeds", "expected", "95 % interval")
    needed = runs_needed(found)
    calls = (Action("tree.judge", ..., budget=needed),) if needed else ()
    where = f"{_at(found.a, found.b)}, instead of {_at(found.b, found.a)}"
    return Page(
        f"{found.verdict}: {verdict_sentence(found)}",
        (Facts((("Apart", evidence_sentence(found)), ("Where", where))),),
        (*calls, Action("judgement.why")),
        (
            Fold("Both beside each other", (Grid(head, rows, right=(1, 2, 3)),), "table"),
            Fold("What it rests on", (Items(basis_lines(found)),), "basis"),
        ),
    )


def runs_needed(found: Judgement) -> int:
    """Runs of both under new seeds after which it is expected to be decided, those that there are among them; 0 without any."""
    if found.verdict != CONFIRM or not found.seeds:
        return 0
    return len(found.a.fresh) + len(found.b.fresh) + 2 * found.seeds


def verdict_sentence(found: Judgement) -> str:
    """What the verdict means."""
    than = _NAMES[found.incumbent]
    if found.verdict == KEEP:
        return f"it is better than {than}"
    if found.verdict == CONFIRM:
        return f"it is not decided whether it is better than {than}; {seeds_text(found)}"
    more = f" by more than {difference(found.epsilon)}" if found.epsilon > 0 else ""
    return f"it is not better than {than}{more}"


def seeds_text(found: Judgement) -> str:
    """How many new seeds would decide."""
    if found.seeds is None:
        return f"more than {MOST:,} new seeds of each would be needed, so take them for equal"
    return f"about {plural(found.seeds, 'new seed')} of each would decide, if the difference is what it seems now"


def evidence_sentence(found: Judgement) -> str:
    """The difference with its interval and probabilities."""
    apart = f"{found.metric}: {difference(abs(found.difference))} {'better' if found.difference > 0 else 'worse'} expected"
    if math.isnan(found.probability):
        return f"{apart}. Neither ran under new seeds often enough to tell how far off that is."
    if found.basis == "noiseless":
        return f"{apart}. Runs again showed no noise, so that this is the difference."
    beyond = (
        f", and by more than {difference(found.epsilon)} with probability {probability(found.matters)}"
        if found.epsilon
        else ""
    )
    return (
        f"{apart} (95 % interval of the difference {difference(found.low)} to {difference(found.high)}). It is better with probability "
        f"{probability(found.probability)}{beyond}."
    )


_BASIS = {
    "posterior": "by the posterior of all configurations that were run, in which a lucky run counts for no more than it should",
    "runs": "by the runs of both under new seeds alone: too few configurations were run for more",
    "noiseless": "by single runs, since runs again give the same value",
}


def basis_lines(found: Judgement) -> tuple[str, ...]:
    """What it rests on, and what is missing."""
    lines = [_BASIS[found.basis]]
    if math.isfinite(found.noise.sd):
        lines.append(noise_clause(found.noise))
    few = min(len(found.a.fresh), len(found.b.fresh))
    if found.verdict == CONFIRM and few < SEEN and found.basis != "noiseless":
        lines.append(
            f"nothing is kept before it ran {SEEN} times under new seeds, or discarded on fewer once it ran"
        )
    return tuple(lines)


def _interval(found: Candidate) -> str:
    return f"{score(found.low)} to {score(found.high)}" if math.isfinite(found.low) else "-"


def _at(found: Candidate, other: Candidate) -> str:
    return (
        join([f"{name} = {found.labels[name]}" for name in differing(other, found)])
        or "nowhere that was read"
    )
