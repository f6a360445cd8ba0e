"""refine: a person narrows the search space round by round; the machine measures, proposes and records."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from refine import errors
from refine._version import VERSION

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis, analyze
    from refine.design.pruning import Pruner
    from refine.proposal.change import Change
    from refine.proposal.proposal import Proposal, propose
    from refine.review.decision import Decision
    from refine.review.review import Review
    from refine.run.command import Command
    from refine.run.workers.ray_executor import RayExecutor
    from refine.space.belief import Near
    from refine.space.categorical import Categorical
    from refine.space.parameters import Float, Integer
    from refine.space.space import Space
    from refine.tree.autopilot import autopilot
    from refine.tree.round import Round
    from refine.tree.tree import Tree
    from refine.trials.goal import Goal
    from refine.ui.guide import guide

_HOMES = {
    "Analysis": "analysis.analysis",
    "Change": "proposal.change",
    "Categorical": "space.categorical",
    "Command": "run.command",
    "Decision": "review.decision",
    "Float": "space.parameters",
    "Goal": "trials.goal",
    "Integer": "space.parameters",
    "Near": "space.belief",
    "Proposal": "proposal.proposal",
    "Pruner": "design.pruning",
    "RayExecutor": "run.workers.ray_executor",
    "Review": "review.review",
    "Round": "tree.round",
    "Space": "space.space",
    "Tree": "tree.tree",
    "analyze": "analysis.analysis",
    "autopilot": "tree.autopilot",
    "guide": "ui.guide",
    "propose": "proposal.proposal",
}

__all__ = [
    "Analysis",
    "Categorical",
    "Change",
    "Command",
    "Decision",
    "Float",
    "Goal",
    "Integer",
    "Near",
    "Proposal",
    "Pruner",
    "RayExecutor",
    "Review",
    "Round",
    "Space",
    "Tree",
    "analyze",
    "autopilot",
    "errors",
    "guide",
    "propose",
]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    # Names are loaded at their first use, so that importing refine is fast.
    if name in _HOMES:
        return getattr(importlib.import_module(f"refine.{_HOMES[name]}"), name)
    if isinstance(getattr(errors, name, None), type) and issubclass(
        getattr(errors, name), errors.RefineError
    ):
        return getattr(errors, name)
    raise AttributeError(f"module 'refine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
