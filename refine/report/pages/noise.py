"""What kind of noise was found, in a clause."""

from __future__ import annotations

import math

from refine.stats import Resolution
from refine.utils.format import plural, score


def noise_clause(noise: Resolution, metric: str = "a value") -> str:
    """How much a value changes when its configuration runs again, and how that is known.

    Args:
        noise: What was found.
        metric: What changes.
    """
    if noise.deterministic:
        return "the same value to the last bit when run again: no noise"
    if not (noise.measured and math.isfinite(noise.sd)):
        return f"how much {metric} changes when run again is not known"
    source = (
        f"by {plural(noise.n, 'run')} again"
        if noise.source == "replicates"
        else "by what a smooth model leaves over"
    )
    return f"{metric} changes by {score(noise.sd)} when run again (standard deviation, {source})"
