"""Section of a report about a round as a population: against its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.analysis.population import LEAST_COMPARED, compare_rounds, space_filling_values
from refine.report import figures
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import Facts, direction_of, metric_of
from refine.report.markdown.text import Raw, code, values_table
from refine.report.pages.population import CAUTION, population_sentence
from refine.trials.frame import barred_rows
from refine.utils.format import score

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def _judged(facts: Facts, table: pd.DataFrame) -> pd.DataFrame:
    """Without degenerate trials where these can't be called best: like failed ones, they are in no population."""
    return table[~barred_rows(table, facts.node.space, facts.node.allow_degenerate)]


def against_parent(facts: Facts, where: Path) -> dict[str, Any] | None:
    """The comparison in words, as a table and as a picture; ``None`` without enough trials of both."""
    if facts.parent is None or not facts.ancestors:
        return None
    before, now = _judged(facts, facts.parent), _judged(facts, facts.table)
    if any("state" in part and (part["state"] == "pruned").any() for part in (before, now)):
        return None  # those that were not stopped are the better ones, and no population
    old, new = space_filling_values(before), space_filling_values(now)
    if min(len(old), len(new)) < LEAST_COMPARED:
        return None
    direction, parent = direction_of(facts), facts.ancestors[-1]
    found = compare_rounds(before, now, direction)
    path = f"{facts.stem}/against-parent.png"
    curves = {f"parent {parent}": old, f"this round {facts.node.id}": new}
    rows = [
        [Raw(f"parent {code(parent)}"), len(old), score(found.parent_median), score(found.parent_best)],
        [
            Raw(f"this round {code(facts.node.id)}"),
            len(new),
            score(found.child_median),
            score(found.child_best),
        ],
    ]
    return {
        "sentence": population_sentence(found),
        "caution": CAUTION,
        "table": values_table(
            ["round", "finished space-filling trials", f"median {metric_of(facts)}", "best of these"], rows
        ),
        "picture": drawn(
            f"Distribution of {metric_of(facts)} in this round and its parent",
            where,
            path,
            lambda: figures.edf(curves, metric_of(facts), direction),
        ),
    }
