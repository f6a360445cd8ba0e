"""Roles of parameters: scientific, nuisance and fixed. Pure functions.

Source: Godbole et al. (2023), 'Deep Learning Tuning Playbook'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from refine.errors import SpaceError, did_you_mean
from refine.space.space import Space

SCIENTIFIC = "scientific"
NUISANCE = "nuisance"
FIXED = "fixed"

ROLES = (SCIENTIFIC, NUISANCE, FIXED)
"""``scientific``: the effect of the parameter is the question. ``nuisance``: the parameter is tuned, so that
scientific values are compared at their best. ``fixed``: the parameter has one value."""


def scientific_of(roles: Mapping[str, str], space: Space) -> tuple[str, ...]:
    """The scientific parameters among ``roles``, sorted; SpaceError for invalid roles."""
    if not isinstance(roles, Mapping):
        raise SpaceError(f"roles map parameters to roles, roles={{'dropout': 'scientific'}}, got {roles!r}")
    for name, role in roles.items():
        if name not in space:
            raise SpaceError(f"roles: unknown parameter {name!r}; {did_you_mean(name, space)}")
        if role not in ROLES:
            raise SpaceError(f"roles: {name}: {role!r} is not a role; {did_you_mean(str(role), ROLES)}")
        if role == FIXED and not space[name].fixed:
            raise SpaceError(
                f"roles: {name}: a 'fixed' parameter has one value, got {space[name].size} levels; give one "
                "value, or use 'nuisance'"
            )
        if role != FIXED and space[name].fixed:
            raise SpaceError(
                f"roles: {name}: a parameter with one value is 'fixed', got {role!r}; give more values, or "
                "leave it out"
            )
    return tuple(sorted(name for name, role in roles.items() if role == SCIENTIFIC))


def roles_of(space: Space, scientific: Collection[str]) -> dict[str, str]:
    """The role of every parameter, in the space's order.

    ``scientific`` is the result of :func:`scientific_of` for this space or an ancestor's; names that are
    missing or fixed here are ignored.
    """
    roles = {name: SCIENTIFIC if name in scientific else NUISANCE for name in space}
    return roles | {name: FIXED for name, parameter in space.items() if parameter.fixed}
