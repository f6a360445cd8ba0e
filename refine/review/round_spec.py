"""The plan of a round as a person asks for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refine.errors import DesignError
from refine.proposal.allocation import check_shares
from refine.utils.action import PLANNED
from refine.utils.keywords import helped


def check_per(per: object) -> None:
    """Raises DesignError unless the unit of an expected improvement is ``"trial"`` or ``"second"``."""
    if per not in ("trial", "second"):
        raise DesignError(
            f"per must be 'trial' or 'second', the unit of an expected improvement, got {per!r}; for example "
            "per='second'"
        )


@helped
@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a round chooses and stops its trials: ``plan=`` of the calls that create rounds.

    Args:
        design: ``"sobol"`` or ``"uniform"`` for evenly drawn trials; ``"tpe"``, ``"gp"``, ``"cmaes"``,
            ``"qmc"`` or a sampler of Optuna for adaptive ones. Default ``"sobol"`` for a first round; for a
            child the parent's design, ``"sobol"`` if that is adaptive.
        downsample: Size as a share of the configurations left, instead of ``n``.
        exploit: Share chosen by the model as results arrive; a first round draws the share by a belief.
            Default half with a belief, and the advice, about 0.3, in :meth:`refine.Review.accept`.
        audit: Share outside the child's space but inside the parent's, to test the narrowing. Default 0.05 in
            :meth:`refine.Review.accept`, or less if ``exploit`` leaves no room. 0 turns the audit off.
        pruner: Rule for stopping trials early: ``"median"``, a :class:`refine.Pruner`, or, with
            ``workers=1``, a pruner of Optuna. ``"none"`` stops no trial. Default the parent's.
        belief: Expected place of the best value, by parameter: ``{"lr": refine.Near(1e-3, within_factor=3)}``
            for numbers, ``{"optimizer": {"adam": 0.7}}`` for choices, with probabilities; other choices share
            the rest. Or a list of earlier trees or rounds, whose results give a belief about shared
            parameters. A belief places half of a first round and informs proposals, there and in later
            rounds; its weight falls as trials arrive, and contradicted beliefs are dropped. No test uses one.
            ``{}`` takes a belief back.

    Raises:
        ReviewError: A share out of range.

    Examples:
        >>> plan = refine.Plan(design="uniform", belief={"lr": refine.Near(1.5, within_factor=2)})
        >>> planned = tree.add_round({"lr": (0.5, 5.0, 10)}, lambda p: -p["lr"], name="slope", n=8, plan=plan)
        >>> planned.run().trials["origin"].value_counts().to_dict()
        {'space_filling': 4, 'exploit': 4}
    """

    design: Any = None
    downsample: float | None = None
    exploit: float | None = None
    audit: float | None = None
    pruner: Any = None
    belief: Any = None

    def __post_init__(self) -> None:
        check_shares(self.exploit, self.audit)


def plan_of(plan: Plan | None, exploit: float | None = None) -> Plan:
    """The plan of a call, by default an empty one; with ``exploit`` if given.

    Raises:
        DesignError: Not a plan, or ``exploit`` next to a plan with a different share.
        ReviewError: A share out of range.
    """
    if plan is None:
        plan = Plan()
    if not isinstance(plan, Plan):
        raise DesignError(
            f"plan must be a refine.Plan, got {plan!r}; for example plan=refine.Plan(design='tpe')"
        )
    if exploit is None:
        return plan
    if plan.exploit not in (None, exploit):
        raise DesignError(
            f"exploit={exploit!r} differs from the plan's exploit={plan.exploit!r}; give the share once"
        )
    return replace(plan, exploit=exploit)


def with_plan(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a call that creates a round, with fields of a plan as typed, as keywords of the call."""
    plan = {name: value for name, value in keywords.items() if name in (*PLANNED, "exploit")}
    if not plan:
        return dict(keywords)
    return {**{name: value for name, value in keywords.items() if name not in plan}, "plan": Plan(**plan)}


@dataclass(frozen=True, kw_only=True)
class RoundSpec:
    """Size and plan of a child, as given to :meth:`refine.Review.accept` or ``branch``."""

    n: int | None = None  # configurations
    advised: int | None = None  # the number without ``n`` and a share; ``None`` as in the parent
    seed: int | None = None  # seed of the design; ``None`` for that of the parent
    given: Sequence[Mapping[str, Any]] = ()  # configurations that run first, with values as they are stored
    plan: Plan = field(default_factory=Plan)
    previous: Mapping[str, Any] = field(default_factory=dict)  # values of added parameters in earlier trials
