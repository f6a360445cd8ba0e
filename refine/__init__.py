"""refine: a person narrows the search space round by round; the machine measures, proposes and records."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from refine import errors
from refine._version import VERSION

if TYPE_CHECKING:  # the same names as below, for type checkers
    from refine.analysis.analysis import Analysis as Analysis
    from refine.analysis.analysis import analyze as analyze
    from refine.design.pruning import Pruner as Pruner
    from refine.proposal.change import Change as Change
    from refine.proposal.proposal import Proposal as Proposal
    from refine.proposal.proposal import propose as propose
    from refine.review.decision import Decision as Decision
    from refine.review.review import Review as Review
    from refine.review.round_spec import Plan as Plan
    from refine.run.command import Command as Command
    from refine.run.machine import Machine as Machine
    from refine.run.workers.dask_executor import DaskExecutor as DaskExecutor
    from refine.run.workers.ray_executor import RayExecutor as RayExecutor
    from refine.space.belief import Near as Near
    from refine.space.categorical import Categorical as Categorical
    from refine.space.fidelity import Fidelity as Fidelity
    from refine.space.parameters import Float as Float
    from refine.space.parameters import Integer as Integer
    from refine.space.space import Space as Space
    from refine.tree.autopilot import autopilot as autopilot
    from refine.tree.round import Round as Round
    from refine.tree.tree import Tree as Tree
    from refine.trials.goal import Goal as Goal

_HOMES = {
    "Analysis": "analysis.analysis",
    "Change": "proposal.change",
    "Categorical": "space.categorical",
    "Command": "run.command",
    "DaskExecutor": "run.workers.dask_executor",
    "Decision": "review.decision",
    "Fidelity": "space.fidelity",
    "Float": "space.parameters",
    "Goal": "trials.goal",
    "Integer": "space.parameters",
    "Machine": "run.machine",
    "Near": "space.belief",
    "Plan": "review.round_spec",
    "Proposal": "proposal.proposal",
    "Pruner": "design.pruning",
    "RayExecutor": "run.workers.ray_executor",
    "Review": "review.review",
    "Round": "tree.round",
    "Space": "space.space",
    "Tree": "tree.tree",
    "analyze": "analysis.analysis",
    "autopilot": "tree.autopilot",
    "propose": "proposal.proposal",
}

# Modules that are loaded at their first use, like names, because they import other packages.
_MODULES = ("datasets", "integrations", "keras", "optuna", "sklearn", "stats", "testing")

__all__ = sorted([*_HOMES, "errors"])
__version__ = VERSION


def __getattr__(name: str) -> Any:
    # Names are loaded at their first use, so that importing refine is fast.
    if name in _HOMES:
        return getattr(importlib.import_module(f"refine.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"refine.{name}")
    if isinstance(getattr(errors, name, None), type) and issubclass(
        getattr(errors, name), errors.RefineError
    ):
        return getattr(errors, name)
    raise AttributeError(f"module 'refine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
