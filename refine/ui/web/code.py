"""The Python calls that make the same decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.design.pruning import Pruner
from refine.space.belief import Belief
from refine.space.literals import python_symbols, python_text
from refine.ui.web.plan import Plan, run_call
from refine.utils.action import Action, Symbol

if TYPE_CHECKING:
    from refine.review.review import Review


def decision_code(review: Review, note: str, n: int | None, plan: Plan | None = None) -> str:
    """Python that accepts a review: from the tree to the child, and runs that where a budget is said.

    Args:
        review: With its edits and rejections.
        note: Why.
        n: Configurations of the next round; ``None`` for as many as this one.
        plan: How the next round draws its trials and runs.
    """
    plan = plan or Plan()
    claim = review.proposal.claim
    given = {"epsilon": claim.epsilon} if claim.epsilon_source == "given" else {}
    proposed = Action("propose", risk=review.proposal.risk, **given)
    lines = [f'review = tree["{review.round.id}"].{proposed}']
    if review.edits:
        lines.append(f"review = {Action('review.edit', python_symbols(review.edits))}")
    if review.rejected:
        lines.append(f"review = {Action('review.reject', *review.rejected)}")
    size = {} if n is None else {"n": n}
    accepting = {name: _spelled(value) for name, value in plan.accepting.items()}
    lines.append(f"child = {Action('review.accept', note=note, **size, **accepting)}")
    return "\n".join([*lines, *filter(None, [run_call(plan.running)])])


def _spelled(value: Any) -> Any:
    if isinstance(value, Pruner):
        return "median" if value == Pruner() else Symbol(f"refine.{value!r}")
    return Symbol(value.code(python_text)) if isinstance(value, Belief) else value
