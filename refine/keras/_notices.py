"""What `refine.keras.fit` can't do in its fastest way is said once per reason and process."""

from __future__ import annotations

import warnings

from refine.errors import RefineWarning

said: set[str] = set()


def say_once(way: str, reason: str) -> None:
    """Warns of a slower way, unless this reason was given before.

    Args:
        way: What is done instead: ``"using model.fit"``.
        reason: Completes "because".
    """
    if reason in said:
        return
    said.add(reason)
    warnings.warn(
        f"refine.keras.fit: {way}, because {reason}; results are the same, only slower",
        RefineWarning,
        stacklevel=3,
    )
