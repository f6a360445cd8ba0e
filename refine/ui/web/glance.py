"""What the page says first: what is proposed, whether it is safe, whether it is worth it. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from refine.report.pages.reasons import sentence
from refine.report.pages.worth import gain_text
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text
from refine.utils.format import join, risk_percent, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refine.proposal.preview import Preview
    from refine.proposal.proposal import Proposal
    from refine.review.worth import Worth
    from refine.space.parameters import Parameter
    from refine.space.space import Space

_MOST = 4
"""So many changed parameters are named."""

_SHORT = 2
"""So many choices that leave are named; of more, those that stay."""


def change_sentence(old: Space, new: Space) -> str:
    """What the next round varies otherwise: ``lr 1 to 1.5 and optimizer without SGD``; empty where nothing.

    Args:
        old: The present space.
        new: The next round's.
    """
    changed = [name for name in new if name not in old or new[name] != old[name]]
    named = [f"{name} {_change(old.get(name), new[name])}" for name in changed[:_MOST]]
    more = [f"{len(changed) - _MOST} more"] if len(changed) > _MOST else []
    return f"Next round: {join([*named, *more])}." if named else ""


def _change(old: Parameter | None, new: Parameter) -> str:
    if not (isinstance(old, Categorical) and isinstance(new, Categorical)):
        return bounds_text(new)
    leave = [label for label in old.labels if label not in new.labels]
    within = set(new.labels) < set(old.labels)
    few = within and len(leave) <= _SHORT and new.size > 1
    return f"without {join(leave)}" if few else f"only {join(new.labels)}"


def safe_fact(found: Preview, proposal: Proposal) -> dict[str, str]:
    """What may be lost: how likely, and which of the best trials leave.

    Args:
        found: What accepting would mean.
        proposal: The proposal that is edited.
    """
    losses = [(found.metric, found.epsilon), *((t.metric, t.epsilon) for t in proposal.claim.others)]
    least = " or ".join(f"{score(epsilon)} in {metric}" for metric, epsilon in losses)
    least = least if len(losses) > 1 else score(found.epsilon)
    told = f"{risk_percent(1 - found.probability)} chance to lose more than {least}"
    if math.isnan(found.probability):
        told = "how likely something is lost can't be told"
    # What is claimed of the best value inside holds beside a lucky trial outside.
    lucky = found.throws and 1 - found.probability <= proposal.risk and math.isfinite(found.best_kept)
    best = "The best trial stays" + (f", with {10 - len(found.lost)} of the best 10." if found.lost else ".")
    if lucky:
        inside = f"the best inside ({score(found.best_kept)}) is expected to be as good"
        best = f"The best trial leaves ({score(found.best)}); trained again, {inside}."
    elif 1 in found.lost and found.warning is not None:
        best = sentence(found.warning)
    tone = "bad" if found.throws and not lucky else ""
    return {"name": "Safe?", "text": f"{told[0].upper()}{told[1:]}. {best}", "tone": tone}


def worth_fact(found: Worth | None) -> Sequence[dict[str, str]]:
    """What another round may gain; nothing where that can't be told.

    Args:
        found: The verdict on it.
    """
    if found is None:
        return ()
    told = gain_text(found).partition("; ")[0]
    return ({"name": "Worth it?", "text": f"{told[0].upper()}{told[1:]}.", "tone": ""},)
