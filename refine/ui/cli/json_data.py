"""What commands print as JSON: plain data, with null for what is not known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from refine.report.pages.proposal import claim_sentence, why
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter
from refine.space.space import Space
from refine.utils.action import Action
from refine.utils.display import Page, Shown

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis
    from refine.analysis.winner import Winner
    from refine.proposal.proposal import Proposal
    from refine.tree.comparison import Comparison
    from refine.tree.round import Round
    from refine.tree.tree import Tree


def plain(value: Any) -> Any:
    """Any result as JSON data: tables become lists of rows, NaN and infinity null."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Parameter | Space):
        return value.to_json()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, pd.Series):
        return plain(value.to_dict())
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Action):
        return str(value)
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if not f.name.startswith("_")}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(v) for v in value]
    return str(value)


def data_of(found: Any, page: Callable[[], Page] | None = None) -> Any:
    """What is printed of a result, as JSON data: its numbers, and its page as everybody else sees it.

    Args:
        found: The result.
        page: Makes another page than its own.
    """
    from refine.analysis.analysis import Analysis
    from refine.analysis.winner import Winner
    from refine.tree.comparison import Comparison
    from refine.tree.round import Round
    from refine.tree.tree import Tree

    of: dict[type, Callable[[Any], Any]] = {
        Analysis: analysis_data,
        Comparison: comparison_data,
        Round: round_data,
        Tree: tree_data,
        Winner: winner_data,
    }
    data = of.get(type(found), plain)(found)
    if isinstance(data, dict) and isinstance(found, Shown):
        data["page"] = (page or found.page)().to_dict()
    return data


def round_data(found: Round) -> dict[str, Any]:
    """A round: what it is, how far, its best, and what was decided."""
    from refine.tree.names import paths_of

    found = found._at_once()
    counts = found.context.counts.get(found._stored.pk, {})
    node = found.node
    return {
        "id": found.id,
        "path": paths_of({id_: stored.node.parent for id_, stored in found.context.nodes.items()})[found.id],
        "tree": found.context.name,
        "parent": node.parent,
        "children": [c.id for c in found.children],
        "n": found.n,
        "states": counts,
        "metric": found.metric,
        "direction": found.direction,
        "best": plain(found.best),
        "space": found.space.to_json(),
        "size": found.space.size,
        "roles": found.roles,
        "belief": None if found.belief is None else found.belief.to_json(),
        "design": node.method,
        "seed": node.seed,
        "objective": node.objective,
        "note": node.note,
        "author": node.author,
        "decisions": [d.to_json() for d in found.decisions],
    }


def tree_data(tree: Tree) -> dict[str, Any]:
    """A tree: its rounds, oldest first, and its tags."""
    best = tree.best()
    return {
        "name": tree.name,
        "store": tree.store,
        "rounds": [round_data(r) for r in tree.rounds],
        "tags": tree.tags,
        "best": plain(best),
    }


def winner_data(found: Winner) -> dict[str, Any]:
    """The configuration to hand over, what to expect of it, and the best observed beside it."""
    interval = [plain(end) for end in found.interval]
    first = found.candidates[0]
    return {
        "round": found.round,
        "configuration": plain(first.configuration),
        "expected": plain(found.expected),
        "interval": interval,
        "observed": plain(found.observed),
        "is_best_observed": found.is_best_observed,
        **plain(found),
    }


def analysis_data(analysis: Analysis) -> dict[str, Any]:
    """What was measured, without the tables that it was measured on."""
    return {
        "metric": analysis.metric,
        "direction": analysis.direction,
        "states": analysis.states,
        "n_space_filling": analysis.n_space_filling,
        "n_pooled": analysis.n_pooled,
        "n_earlier": analysis.n_earlier,
        "look": analysis.look,
        "noise": {
            **plain(analysis.noise),
            "epsilon": plain(analysis.noise.epsilon),
            "epsilon_source": analysis.noise.epsilon_source,
        },
        "covered": plain(analysis.covered),
        "best": plain(analysis.best),
        "parameters": [
            {**plain(e), "effect": plain(e.effect), "finding": plain(analysis.findings[e.name])}
            for e in analysis.ranked
        ],
        "pairs": [
            {**plain(p), "i": analysis.parameters[p.i].name, "j": analysis.parameters[p.j].name}
            for p in analysis.pairs
        ],
        "never_read": list(analysis.never_read),
        "cautions": [c.to_json() for c in analysis.cautions],
        "evidence": analysis.digest,
    }


def proposal_data(proposal: Proposal) -> dict[str, Any]:
    """A proposal, with its digest, its sentences, and bounds as texts beside their levels."""
    content = proposal.to_json()
    words = {c.name: (bounds_text(c.old), bounds_text(c.new)) for c in proposal.changes}
    for change in content["changes"]:
        change["now"], change["proposed"] = words[change["name"]]
        change["why"] = why(proposal[change["name"]])
    return {"digest": proposal.digest, "sentence": claim_sentence(proposal), **content}


def comparison_data(found: Comparison) -> dict[str, Any]:
    """What differs between two rounds."""
    return {
        f.name: plain(getattr(found, f.name))
        for f in fields(found)
        if f.name != "rounds" and not f.name.startswith("_")
    }
