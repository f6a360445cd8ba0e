"""What a round's path through the tree has to say about its space, read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.analysis.analysis import Analysis, analyze
from refine.analysis.pooling import Fresh, read_masks, replicate_groups, translate
from refine.errors import AnalysisError, did_you_mean
from refine.run.replicates import fresh_runs
from refine.store.store import Store
from refine.trials.frame import table
from refine.trials.metric import FUNCTION, Metric, is_bare_nan
from refine.trials.round_record import Node

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.evidence import Bools


class Lineage(NamedTuple):
    """Trials that can teach something about the last round's space.

    Attributes:
        frame: Its own trials, after those of rounds just before it on the very same space.
        pooled: How many rows are of the latter.
        earlier: Trials of the other ancestors, in the names of its space; ``None`` where there are none.
        read: Parameter -> for every row of ``frame`` whether its trial read it.
        groups: One label per row of ``frame``, equal for replicates.
        fresh: Finished runs again of the path's best configurations.
        codes: Fingerprints of the code that the trials of ``frame`` ran, oldest first.
    """

    frame: pd.DataFrame
    pooled: int
    earlier: pd.DataFrame | None
    read: dict[str, Bools]
    groups: list[Any]
    fresh: Fresh
    codes: tuple[str, ...]


def lineage(store: Store, tree: int, path: Sequence[Node], metric: Metric) -> Lineage:
    """Reads the trials of a round and its ancestors.

    Args:
        store: The store.
        tree: Row of the tree.
        path: Nodes from the root to the round.
        metric: Which metric is the value.

    Raises:
        AnalysisError: No trial has such a metric.
    """
    nodes, space = store.nodes(tree), path[-1].space
    curves = metric.curves
    first = len(path) - 1
    # Nothing was selected between rounds on the very same space: they are one sample.
    while first and path[first - 1].space == space and not path[first].previous:
        first -= 1
    before = [nodes[node.id].pk for node in path[first:-1]]
    records = store.records([*before, nodes[path[-1].id].pk], curves=curves)  # ancestors come first
    names = dict.fromkeys(name for m in records.metrics if not is_bare_nan(m) for name in m)
    if names and metric.function is None and metric.name not in names:
        if metric.reduction == FUNCTION:
            raise AnalysisError(
                f"metric {str(metric)!r} is a function that is not at hand, and no trial has its value stored; give "
                "it: analyze(metric=function)"
            )
        raise AnalysisError(f"unknown metric {metric.name!r}; {did_you_mean(metric.name, names)}")
    earlier = []
    for origin, node in enumerate(path[:first]):
        past = store.records([nodes[node.id].pk], curves=curves)
        moved = translate(space, path, origin, past.configurations)
        if moved is not None:
            earlier.append(table(space, past._replace(configurations=moved), metric))
    return Lineage(
        frame=table(space, records, metric),
        pooled=len(store.records(before).metrics) if before else 0,
        earlier=_together(earlier),
        read=read_masks(space, records),
        groups=replicate_groups(records),
        fresh=fresh_runs(
            store, [nodes[node.id].pk for node in path], metric, nodes[path[-1].id].node.allow_degenerate
        ),
        codes=tuple(dict.fromkeys(records.columns["code"])),
    )


def analysis_of(
    store: Store, tree: int, path: Sequence[Node], metric: Metric, direction: str, seed: int
) -> Analysis:
    """The analysis of the last round of a path: see :meth:`refine.Round.analyze`.

    Raises:
        AnalysisError: Fewer than 10 finished space-filling trials, or an unknown metric.
    """
    found = lineage(store, tree, path, metric)
    analysis = analyze(
        path[-1].space,
        found.frame,
        direction=direction,
        seed=seed,
        metric=str(metric),
        earlier=found.earlier,
        pooled=found.pooled,
        look=len(path),
        read=found.read,
        groups=found.groups,
        fresh=found.fresh[:2],
        allow_degenerate=store.nodes(tree)[path[-1].id].node.allow_degenerate,
    )
    return replace(analysis, codes=found.codes)


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame | None:
    import pandas as pd

    return pd.concat(frames, ignore_index=True) if frames else None
