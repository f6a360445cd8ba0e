"""What to keep in mind about the trials behind an analysis, in words."""

from __future__ import annotations

from collections.abc import Sequence

from refine.utils.format import plural


def of_imported(imported: int, space_filling: int) -> str:
    """About trials that were imported without being told how they were drawn; empty where none were.

    Args:
        imported: How many.
        space_filling: How many trials the tests rest on, those among them.
    """
    if not imported:
        return ""
    return (
        f"{plural(imported, 'trial')} of {space_filling:,} were imported and count as if drawn evenly. If a sampler that learns "
        "(TPE, a Gaussian process, CMA-ES), or a person, chose them by results, p-values are too small, effects and "
        "densities follow the choice, and the probabilities of what a space holds are too large: test again on a space-filling "
        "round of your own. space_filling=True at the import says that they were drawn at random or on a grid."
    )


def of_code(codes: Sequence[str]) -> list[str]:
    """About trials that ran several versions of the objective's code; nothing where they ran one.

    Args:
        codes: Fingerprints of the code.
    """
    if len(codes) < 2:
        return []
    return [
        f"the trials ran {len(codes)} versions of the objective's code ({', '.join(codes)}): what differs between them "
        "may be the code's"
    ]
