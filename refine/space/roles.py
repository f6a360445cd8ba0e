"""Roles of parameters: what a round asks about, what it only tunes, and what it holds still. Pure.

Source: Godbole et al. (2023), 'Deep Learning Tuning Playbook'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from refine.errors import SpaceError, did_you_mean
from refine.space.space import Space

SCIENTIFIC, NUISANCE, FIXED = "scientific", "nuisance", "fixed"

ROLES = (SCIENTIFIC, NUISANCE, FIXED)
"""``scientific``: its effect is the question. ``nuisance``: tuned, so that scientific values are compared at their best.
``fixed``: one value."""


def scientific_of(roles: Mapping[str, str], space: Space) -> tuple[str, ...]:
    """The scientific ones among ``roles``, sorted, or SpaceError; every other role follows from the space."""
    if not isinstance(roles, Mapping):
        raise SpaceError(f"roles map parameters to roles, roles={{'dropout': 'scientific'}}, got {roles!r}")
    for name, role in roles.items():
        if name not in space:
            raise SpaceError(f"roles: unknown parameter {name!r}; {did_you_mean(name, space)}")
        if role not in ROLES:
            raise SpaceError(f"roles: {name}: {role!r} is no role; {did_you_mean(str(role), ROLES)}")
        if role == FIXED and not space[name].fixed:
            raise SpaceError(
                f"roles: {name}: 'fixed' is a parameter of one value, but it has {space[name].size} levels; give it one "
                "value, or call it 'nuisance'"
            )
        if role != FIXED and space[name].fixed:
            raise SpaceError(
                f"roles: {name}: has one value, so it is 'fixed', got {role!r}; give it more values, or leave it out"
            )
    return tuple(sorted(name for name, role in roles.items() if role == SCIENTIFIC))


def roles_of(space: Space, scientific: Collection[str]) -> dict[str, str]:
    """The role of every parameter, in the space's order.

    ``scientific`` is what :func:`scientific_of` gave, of this space or of an ancestor's; names that are gone or became fixed
    don't count.
    """
    return {n: FIXED if p.fixed else SCIENTIFIC if n in scientific else NUISANCE for n, p in space.items()}
