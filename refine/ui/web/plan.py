"""How the next round draws its trials, and within which budget it runs: what the page says beside the bounds, and the same as Python. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refine.design.pruning import Pruner
from refine.errors import ReviewError, SpaceError, did_you_mean
from refine.proposal.allocation import check_shares
from refine.review.review import Review
from refine.run.options import Ending
from refine.space.belief import Belief, Near, belief_of, speaks_of
from refine.space.categorical import Categorical
from refine.space.encoding import value_key
from refine.space.literals import python_symbols, python_text
from refine.space.parameters import Parameter
from refine.space.space import Space
from refine.utils.action import Action, Symbol
from refine.utils.format import join

if TYPE_CHECKING:
    from refine.trials.round_record import Node
    from refine.ui.web.messages import BeliefForm

_DEFAULTS = {name: inspect.signature(Review.accept).parameters[name].default for name in ("exploit", "audit")}


@dataclass(frozen=True)
class Plan:
    """What is said of the next round beside its space and size.

    Attributes:
        accepting: Options of :meth:`refine.Review.accept` that are not its defaults.
        running: Options of :meth:`refine.Round.run`, likewise.
        warning: What of it can't be said of the next round, in words; empty where all can.
    """

    accepting: Mapping[str, Any] = field(default_factory=dict)
    running: Mapping[str, Any] = field(default_factory=dict)
    warning: str = ""


def defaults() -> dict[str, float]:
    """The shares that accepting has where nothing is said."""
    return {name: float(value) for name, value in _DEFAULTS.items()}


def plan_of(message: Mapping[str, Any], review: Review[Any]) -> Plan:
    """The plan of a message; the belief is about the space of the review with its edits.

    Raises:
        RefineError: A share, a budget or a belief that can't be.
    """
    shares = {
        name: value if (value := message.get(name)) is not None else default
        for name, default in _DEFAULTS.items()
    }
    check_shares(shares["exploit"], shares["audit"])
    accepting: dict[str, Any] = {name: value for name, value in shares.items() if value != _DEFAULTS[name]}
    warning = ""
    if message.get("belief") is not None:
        belief, lost = meant_belief(message["belief"], review.proposal.old, review.space)
        accepting["belief"] = belief
        if lost:
            outside = "lies" if len(lost) == 1 else "lie"
            warning = f"What is believed of {join(lost)} {outside} outside the next round, and is left out."
    if message.get("pruner") and (pruner := pruner_of(review.round.node)) is not None:
        accepting["pruner"] = pruner
    return Plan(accepting, running_of(message), warning)


def pruner_of(node: Node) -> Pruner | None:
    """What stops trials of a round early; ``None`` where nothing does, or a pruner of Optuna, which no store has."""
    return None if node.pruner is None or "optuna" in node.pruner else Pruner(**node.pruner)


def running_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run that a message says.

    Raises:
        RefineError: They can't be.
    """
    hours, trials, workers = message.get("hours"), message.get("trials"), whole(message, "workers")
    Ending(hours, None, trials)
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


def belief_form(belief: Belief | None, name: str, parameter: Parameter) -> BeliefForm | None:
    """What is believed of a parameter as the page has it; ``None`` where nothing is."""
    said = {} if belief is None else dict(belief.of)
    if name not in said or not speaks_of(parameter, said[name]):
        return None
    each: Any = said[name]
    if isinstance(each, Near):
        near: Any = each.to_json()
        return near  # type: ignore[no-any-return]
    weights = {value_key(choice): weight for choice, weight in each}
    return {"weights": [weights.get(value_key(choice)) for choice in parameter.grid]}


def meant_belief(forms: Mapping[str, BeliefForm], old: Space, new: Space) -> tuple[Belief, tuple[str, ...]]:
    """The belief that the page means, as the next round can have it.

    Args:
        forms: By parameter.
        old: The present space, whose levels the weights are of.
        new: The next round's. What is fixed there is believed already; weights of choices that leave are spread over the rest.

    Returns:
        The belief, and the parameters of which it lies outside the next round, so that nothing is said of them.

    Raises:
        SpaceError: A number outside its present range, or weights that are no probabilities.
        ReviewError: Another parameter.
    """
    belief = belief_of({name: _said(name, form, old) for name, form in forms.items()}, old)
    varied = {name for name in belief if name in new and not new[name].fixed}
    said = {name: _of_those_left(said, new[name]) for name, said in belief.of if name in varied}
    kept = tuple((name, each) for name, each in said.items() if each)
    return Belief(kept), tuple(sorted(name for name, each in said.items() if not each))


def _said(name: str, form: BeliefForm, old: Space) -> Near | dict[Any, float]:
    if name not in old:
        raise ReviewError(f"belief: unknown parameter {name!r}; {did_you_mean(name, old)}")
    parameter = old[name]
    if "weights" not in form:
        try:
            return Near(form.get("near"), **{k: v for k, v in form.items() if k != "near"})  # type: ignore[arg-type]
        except SpaceError as error:
            raise SpaceError(f"belief: {name}: {error}") from None
    weights = form["weights"]
    if not isinstance(parameter, Categorical) or len(weights) != parameter.size or len(form) > 1:
        raise ReviewError(
            f"belief: {name}: needs near with within or within_factor, or one weight per choice; got {form!r:.80}"
        )
    found = {choice: w for choice, w in zip(parameter.grid, weights, strict=True) if w is not None}
    if len(found) < sum(w is not None for w in weights):  # 1 and True are one key of a mapping
        raise ReviewError(
            f"belief: {name}: two of its choices are equal in Python, so that weights can't tell them apart"
        )
    return found


def _of_those_left(said: Any, parameter: Parameter) -> Any:
    """What of it can be said of a parameter of the next round; ``None`` where nothing can."""
    if isinstance(said, Near):
        if not parameter.numeric:
            return None
        return said if min(parameter.grid) <= said.value <= max(parameter.grid) else None
    if not isinstance(parameter, Categorical):
        return None
    known = {value_key(choice) for choice in parameter.grid}
    left = tuple((choice, weight) for choice, weight in said if value_key(choice) in known)
    total = sum(weight for _, weight in left)
    if len(left) < parameter.size or not total:
        return left or None
    return tuple((choice, weight / total) for choice, weight in left)


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
    return Symbol(value.code(python_text)) if isinstance(value, Belief) else value
