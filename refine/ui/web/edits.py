"""Edits between the front end's form and the notation of :meth:`refine.Review.edit`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refine.errors import RefineError, ReviewError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter, Range

if TYPE_CHECKING:
    from refine.review.review import Review

STARTED_EDIT = {"as": "started"}
"""The edit that the page began with, where no bounds and no kept levels say it."""


def edit_meant(review: Review, name: str, edit: Any) -> Any:
    """An edit of the front end in the notation of :meth:`Review.edit`.

    Args:
        review: The review that it is an edit of.
        name: The parameter.
        edit: ``{"bounds": [low, high]}``, or ``{"keep": [numbers of levels]}``.

    Raises:
        ReviewError: An unknown name, or neither of the two forms.
    """
    if name not in review.proposal.old:
        raise ReviewError(f"edit: unknown parameter {name!r}; {did_you_mean(name, review.proposal.old)}")
    parameter = review.proposal.old[name]
    if isinstance(edit, Mapping) and set(edit) == {"bounds"} and isinstance(edit["bounds"], list):
        return tuple(_plain(v) for v in edit["bounds"])
    if isinstance(edit, Mapping) and set(edit) == {"keep"} and isinstance(edit["keep"], list):
        kept = edit["keep"]
        if not kept or not all(isinstance(i, int) and 0 <= i < parameter.size for i in kept):
            raise ReviewError(
                f"edit: {name}: keep must be numbers of its {parameter.size} levels, and not empty, got {kept!r}"
            )
        return Categorical([parameter.grid[i] for i in sorted(set(kept))])
    raise ReviewError(f"edit: {name}: must be bounds or keep, got {edit!r}")


def _plain(value: Any) -> Any:
    """JSON has one kind of number: a whole one is an int, so that ranges of integers stay such."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def edits_back(review: Review) -> dict[str, Any]:
    """A review's edits as the front end has them; what it has no form for is drawn as far as it can be, and named."""
    plain = type(review)(review.round, review.proposal, review.analysis)
    found: dict[str, Any] = {}
    for name in review.edits:
        new, old = review.space[name], review.proposal.old[name]
        form = _form(old, new)
        try:
            same = plain.edit({name: edit_meant(plain, name, form)}).space[name] == new
        except RefineError:
            same = False
        found[name] = form if same else {**STARTED_EDIT, **form, "text": bounds_text(new)}
    return found


def _form(old: Parameter, new: Parameter) -> dict[str, Any]:
    """The bounds of a range, or which of a choice's levels stay."""
    if isinstance(old, Range):
        return {"bounds": [float(min(new.grid)), float(max(new.grid))]}
    return {"keep": [i for i, v in enumerate(old.grid) if v in new.grid]}
