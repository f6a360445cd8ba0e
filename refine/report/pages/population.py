"""A comparison of two rounds as populations, in words."""

from __future__ import annotations

from refine.analysis.population import RoundComparison
from refine.utils.format import p_value

CAUTION = (
    "This round's space was chosen after its parent's trials were seen; the trials compared here were drawn after that "
    "choice, without looking at results. The parent's were not drawn again, and configurations that had run before were left "
    "out, so what the parent found best does not count for this round. A better population is no proof of a better best "
    "trial."
)
"""What the comparison does not say."""

_VERDICTS = {
    "better": "The population improved",
    "worse": "The population got worse",
    "unclear": "No improvement of the population is seen",
}


def population_sentence(
    found: RoundComparison, child: str = "this round", parent: str = "its parent's"
) -> str:
    """The probability with its interval, the distance with its p-value, and what follows.

    Args:
        found: The comparison.
        child: What to call the one round.
        parent: What to call the other.
    """
    c = found.comparison
    return (
        f"A trial of {child} beats one of {parent} with probability {c.better:.2f} (95 % interval {c.low:.2f} to "
        f"{c.high:.2f}); the distributions differ by at most {c.ks:.2f} (Kolmogorov-Smirnov, p {p_value(c.ks_p)}). "
        f"{population_verdict(found)}."
    )


def population_verdict(found: RoundComparison) -> str:
    """What follows, in a few words."""
    spread = ", but its spread differs" if found.verdict == "unclear" and found.spread_differs else ""
    return f"{_VERDICTS[found.verdict]}{spread}"
