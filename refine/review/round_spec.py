"""The next round as a person asks for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RoundSpec:
    """Size, shares and design of a child, as given to :meth:`refine.Review.accept` or ``branch``."""

    n: int | None = None  # configurations
    downsample: float | None = None  # the number as a share of the configurations left, instead of ``n``
    advised: int | None = None  # the number without ``n`` and ``downsample``; ``None`` as in the parent
    seed: int | None = None  # seed of the design; ``None`` for that of the parent
    exploit: float = 0.0  # share placed by the model as results arrive
    audit: float = 0.0  # share outside the child's space but inside the parent's
    given: Sequence[Mapping[str, Any]] = ()  # configurations that run first, with values as they are stored
    belief: Mapping[str, Any] | None = None  # belief from now on; ``None`` for the belief so far
    design: Any = None  # name of a design, or a sampler of Optuna; ``None`` for that of the parent
    pruner: Any = "inherit"  # rule for early stopping; ``None`` for no rule
    previous: Mapping[str, Any] = field(default_factory=dict)  # values of added parameters in earlier trials
