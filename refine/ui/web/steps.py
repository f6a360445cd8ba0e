"""What to do next as the page's headline: a button that does it, where the page can. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.report.glossary import terms
from refine.utils.format import plural

if TYPE_CHECKING:
    from refine.review.next_step import NextStep


def step_content(step: NextStep) -> dict[str, Any]:
    """The button of a next step: what it does, with which numbers, and what is on it.

    Args:
        step: What to do next.

    Returns:
        ``do`` is ``"accept"``, ``"run"`` or ``"replicate"``; empty where only a person can do it.
    """
    action, options = step.action, step.action.options
    if action.name == "review.accept":
        n = int(options["n"])
        return {
            "do": "accept",
            "n": n,
            "label": f"accept, n = {n:,}",
            "title": f"Accepts with the advised {plural(n, 'configuration')}; the next round is made, and not run yet",
        }
    if action.name == "round.run":
        n = int(options["n"])
        return {
            "do": "run",
            "n": n,
            "label": f"run {step.n:,} more",
            "title": f"Extends this round to {plural(n, 'configuration')} and runs them in the background",
        }
    if action.name == "round.replicate":
        top, seeds = int(options["top"]), int(options["seeds"])
        return {
            "do": "replicate",
            "top": top,
            "seeds": seeds,
            "label": f"run the best {top} again",
            "title": f"{terms()['Replicate'].plain} The best {top} run {seeds} times each, in the background.",
        }
    return {"do": ""}
