"""What several pages say alike: what is judged, noise, beliefs, and who decided."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from refine.analysis.analysis import Feasibility
from refine.analysis.believed import Believed
from refine.review.decision import user
from refine.stats import Resolution
from refine.utils.display import Text
from refine.utils.format import join, percent, plural, score

if TYPE_CHECKING:
    from refine.tree.round import Round


def judged_text(metric: str, subject_to: Sequence[object]) -> str:
    """``val_acc``, or ``val_acc with latency_ms <= 5``."""
    return f"{metric} with {join([str(c) for c in subject_to])}" if subject_to else metric


def feasible_sentence(found: Feasibility) -> str:
    """How many trials meet the metric constraints."""
    meet = f"{found.feasible} of {plural(found.finished, 'finished trial')} {'meets' if found.feasible == 1 else 'meet'}"
    if len(found.constraints) == 1:
        return f"{meet} {found.constraints[0]}."
    each = join([f"{c} ({n})" for c, n in zip(found.constraints, found.met, strict=True)])
    return f"{meet} all constraints: {each}."


_SOURCES = {
    "given": "as you said",
    "folds": "noise of folds",
    "replicates": "noise of runs again",
    "residuals": "noise, estimated",
    "step": "one step",
    "range": "a twentieth of the spread",
    "deterministic": "no noise",
}


def source_text(source: str, epsilon: float, rows: int = 0) -> str:
    """Where the difference that matters comes from, in a bracket; nothing where that is not known.

    ``source`` is as in :class:`refine.proposal.proposal.Claim`; ``rows`` are those of a validation set of which the metric is a
    share, 0 where that can't be told.
    """
    said = (
        f"about {max(1, round(epsilon * rows))} of {rows:,} rows"
        if rows and epsilon
        else _SOURCES.get(source)
    )
    return f" ({said})" if said else ""


def noise_clause(noise: Resolution, metric: str = "a value") -> str:
    """How much a value of a metric changes when its configuration runs again, and how that is known."""
    if noise.deterministic:
        return "the same value to the last bit when run again: no noise"
    if not (noise.measured and math.isfinite(noise.sd)):
        return f"how much {metric} changes when run again is not known"
    source = "by what a smooth model leaves over"
    if noise.source == "replicates":
        source = f"by {plural(noise.n, 'run')} again"
    return f"{metric} changes by {score(noise.sd)} when run again (standard deviation, {source})"


def by(author: str) -> str:
    """`` by Ann``, or nothing."""
    return f" by {author}" if author.strip() else ""


def belief_sentence(held: Believed) -> str:
    """What is believed, and what it weighs after these trials, or that they contradict it."""
    says, trials = f"Believed{by(held.said.author)}: {held.said.belief}.", plural(held.n, "configuration")
    times = _times(abs(held.log_ratio))
    if held.contradicted:
        return f"{says} It is dropped: what {trials} showed is {times} as probable with the opposite as with it. Proposals and exploit trials go by the trials alone."
    likelier = "it as with the opposite" if held.log_ratio >= 0 else "the opposite as with it"
    return (
        f"{says} After {trials}, which are {times} as probable with {likelier}, it weighs {percent(held.weight)} of what it weighed "
        "before the first. It shapes proposals and exploit trials, and is in no test."
    )


def belief_block(held: Believed) -> Text:
    """The same as a block of a page."""
    return Text(belief_sentence(held), "warn" if held.contradicted else "")


def _times(log_ratio: float) -> str:
    if log_ratio > math.log(1000):
        return "more than 1,000 times"
    times = math.exp(log_ratio)
    return f"{times:.2g} times" if times < 99.5 else f"{times:,.0f} times"


def whom(author: str, authors: Collection[str]) -> str:
    """An author's name; *you* where nobody else of ``authors``, all who decided, did so in the tree."""
    return "you" if set(authors) == {author} == {user()} else author


def everybody(found: Round) -> set[str]:
    """All who made a round or decided on one, as far as a round's tree tells."""
    return {each.node.author for each in found.context.nodes.values()} | {d.author for d in found.decisions}
