"""refine: the person narrows the search space, round by round; the machine measures, proposes and records."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from refine import errors
from refine.version import VERSION

if TYPE_CHECKING:
    from refine.analysis import Analysis, analyze
    from refine.change import Change
    from refine.choices import Choice
    from refine.decision import Decision
    from refine.guided import guide
    from refine.parameters import Float, Int
    from refine.pilot import autopilot
    from refine.proposal import Proposal, propose
    from refine.pruning import Pruner
    from refine.review import Review
    from refine.round import Round
    from refine.space import Space
    from refine.tree import Tree

_HOMES = {
    "Analysis": "analysis",
    "Change": "change",
    "Choice": "choices",
    "Decision": "decision",
    "Float": "parameters",
    "Int": "parameters",
    "Proposal": "proposal",
    "Pruner": "pruning",
    "Review": "review",
    "Round": "round",
    "Space": "space",
    "Tree": "tree",
    "analyze": "analysis",
    "autopilot": "pilot",
    "guide": "guided",
    "propose": "proposal",
}

__all__ = [
    "Analysis",
    "Change",
    "Choice",
    "Decision",
    "Float",
    "Int",
    "Proposal",
    "Pruner",
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
    # Names are looked up when they are used, so that importing refine costs next to nothing.
    if name in _HOMES:
        return getattr(importlib.import_module(f"refine.{_HOMES[name]}"), name)
    if isinstance(getattr(errors, name, None), type) and issubclass(
        getattr(errors, name), errors.RefineError
    ):
        return getattr(errors, name)
    raise AttributeError(f"module 'refine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
