"""How the next round draws its trials, and within which budget it runs: what the page says beside the bounds, and the same as Python. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refine.design.pruning import Pruner
from refine.errors import ReviewError
from refine.proposal.allocation import check_shares
from refine.review.review import Review
from refine.run.options import Ending
from refine.space.literals import python_symbols
from refine.utils.action import Action, Symbol

if TYPE_CHECKING:
    from refine.trials.round_record import Node

_DEFAULTS = {name: inspect.signature(Review.accept).parameters[name].default for name in ("exploit", "audit")}


@dataclass(frozen=True)
class Plan:
    """What is said of the next round beside its space and size.

    Attributes:
        accepting: Options of :meth:`refine.Review.accept` that are not its defaults.
        running: Options of :meth:`refine.Round.run`, likewise.
    """

    accepting: Mapping[str, Any] = field(default_factory=dict)
    running: Mapping[str, Any] = field(default_factory=dict)


def defaults() -> dict[str, float]:
    """The shares that accepting has where nothing is said."""
    return {name: float(value) for name, value in _DEFAULTS.items()}


def plan_of(message: Mapping[str, Any], review: Review[Any]) -> Plan:
    """The plan of a message.

    Raises:
        RefineError: A share or a budget that can't be.
    """
    shares = {
        name: value if (value := message.get(name)) is not None else default
        for name, default in _DEFAULTS.items()
    }
    check_shares(shares["exploit"], shares["audit"])
    accepting: dict[str, Any] = {name: value for name, value in shares.items() if value != _DEFAULTS[name]}
    if message.get("pruner") and (pruner := pruner_of(review.round.node)) is not None:
        accepting["pruner"] = pruner
    return Plan(accepting, running_of(message))


def pruner_of(node: Node) -> Pruner | None:
    """What stops trials of a round early; ``None`` where nothing does, or a pruner of Optuna, which no store has."""
    return None if node.pruner is None or "optuna" in node.pruner else Pruner(**node.pruner)


def running_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run that a message says.

    Raises:
        RefineError: They can't be.
    """
    hours, trials, workers = message.get("hours"), message.get("trials"), whole(message, "workers")
    Ending(hours, trials)
    found = {"workers": None if workers == 1 else workers, "hours": hours, "trials": trials}
    return {name: value for name, value in found.items() if value is not None}


def whole(message: Mapping[str, Any], name: str) -> int | None:
    """A whole number of a message, at least 1.

    Raises:
        ReviewError: It is none.
    """
    value = message.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ReviewError(f"{name} must be a whole number >= 1, got {value!r}")
    return value


def decision_code(review: Review[Any], note: str, n: int | None, plan: Plan) -> str:
    """Python that accepts a review with its edits: from the tree to the child, and runs that where a budget is said."""
    claim = review.proposal.claim
    given = {"epsilon": claim.epsilon} if claim.epsilon_source == "given" else {}
    proposed = Action("propose", risk=review.proposal.risk, **given)
    lines = [f'review = tree["{review.round.id}"].{proposed}']
    if review.edits:
        lines.append(f"review = {Action('review.edit', python_symbols(review.edits))}")
    if review.rejected:
        lines.append(f"review = {Action('review.reject', *review.rejected)}")
    size = {} if n is None else {"n": n}
    accepting = {name: _in_python(value) for name, value in plan.accepting.items()}
    lines.append(f"child = {Action('review.accept', note=note, **size, **accepting)}")
    if plan.running:
        lines.append(f"{Action('child.run', **plan.running)}")
    return "\n".join(lines)


def _in_python(value: Any) -> Any:
    if isinstance(value, Pruner):
        return "median" if value == Pruner() else Symbol(f"refine.{value!r}")
    return value
