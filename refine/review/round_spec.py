"""The next round as a person asks for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from refine.errors import DesignError
from refine.proposal.allocation import check_shares


def check_per(per: object) -> None:
    """Raises DesignError unless the unit of an expected improvement is ``"trial"`` or ``"second"``."""
    if per not in ("trial", "second"):
        raise DesignError(
            f"per must be 'trial' or 'second', the unit of an expected improvement, got {per!r}; for example "
            "per='second'"
        )


class ChildKeywords(TypedDict, total=False):
    """Options of a child round as keywords: see :meth:`refine.Review.accept`."""

    n: int | None
    downsample: float | None
    exploit: float | None
    audit: float | None
    given: Sequence[Mapping[str, object]]  # language: ok, a keyword of accept
    belief: Mapping[str, object] | None
    design: object
    pruner: object


@dataclass(frozen=True, kw_only=True)
class RoundSpec:
    """Size, shares and design of a child, as given to :meth:`refine.Review.accept` or ``branch``.

    Raises ReviewError: a share out of range.
    """

    n: int | None = None  # configurations
    downsample: float | None = None  # the number as a share of the configurations left, instead of ``n``
    advised: int | None = None  # the number without ``n`` and ``downsample``; ``None`` as in the parent
    seed: int | None = None  # seed of the design; ``None`` for that of the parent
    exploit: float | None = None  # share placed by the model as results arrive; ``None`` for 0
    audit: float | None = None  # share outside the child's space but inside the parent's; ``None`` for 0
    given: Sequence[Mapping[str, Any]] = ()  # configurations that run first, with values as they are stored
    belief: Mapping[str, Any] | None = None  # belief from now on; ``None`` for the belief so far
    design: Any = None  # name of a design, or a sampler of Optuna; ``None`` for that of the parent
    pruner: Any = "inherit"  # rule for early stopping; ``None`` for no rule
    previous: Mapping[str, Any] = field(default_factory=dict)  # values of added parameters in earlier trials

    def __post_init__(self) -> None:
        check_shares(self.exploit, self.audit)
