"""Section of a report about how much of the best value is chance."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from refine.report.markdown.round_facts import Facts
from refine.report.markdown.text import Raw, escape, values_table
from refine.report.pages.reasons import sentence
from refine.utils.format import percent, plural, score


def optimism_section(facts: Facts) -> dict[str, Any] | None:
    """The best value, what it is worth by each correction, and the openings; ``None`` without a best."""
    found = facts.optimism
    if found is None:
        return None
    rows: list[list[object]] = [["best observed", score(found.best), "-", "chosen because it was the best"]]
    if math.isfinite(found.expected):
        rows.append(
            ["noise alone", score(found.expected), "-", "simulated: new noise on values drawn together"]
        )
    if found.seeds is not None:
        runs = plural(found.seeds.runs, "new run")
        lost = f"; {plural(found.failed, 'other')} gave no usable model" if found.failed else ""
        interval = _interval(found.seeds.low, found.seeds.high)
        rows.append(["new seeds", score(found.seeds.value), interval, f"mean of its {runs}{lost}"])
    if found.examples is not None:
        e = found.examples
        what = f"chosen among {plural(e.models, 'model')} on {plural(e.examples, 'example')} drawn again"
        rows.append(["other examples", score(e.value), _interval(e.low, e.high), what])
    missing = []
    if found.seeds is None:
        missing.append("The best configuration was not run again under new seeds.")
    if found.examples is None:
        why = "" if found.why_not is None else f" {escape(sentence(found.why_not))}"
        missing.append(f"What other validation examples would show is not known.{why}")
    return {
        "table": values_table(["what", found.metric, "95 % interval", "how"], rows),
        "missing": Raw(" ".join(missing)) or None,
        "components": _components(facts),
        "holdout_results": [_holdout_result(facts, i) for i in range(len(facts.holdout_results))],
    }


def _interval(low: float, high: float) -> str:
    return f"{score(low)} to {score(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def _components(facts: Facts) -> Raw | None:
    c = facts.optimism.components if facts.optimism else None
    if c is None or not math.isfinite(c.configuration):
        return None
    total = c.configuration**2 + c.seed**2
    if total == 0:
        return Raw(f"The {c.groups} configurations that were run again all gave the same value.")
    return Raw(
        f"Among the {c.groups} configurations that were run again, configurations differ by {score(c.configuration)} and "
        f"seeds of one configuration by {score(c.seed)} (standard deviations): {percent(c.seed**2 / total)} of the "
        "variance of single runs comes from the seed."
        + (
            f" Another choice of splits would move configurations against each other by {score(c.split)}."
            if math.isfinite(c.split)
            else ""
        )
    )


def _holdout_result(facts: Facts, i: int) -> dict[str, Any]:
    o = facts.holdout_results[i]
    day = datetime.fromtimestamp(o.created, UTC).date().isoformat()
    names = [n for n in facts.node.space.varied if n in o.table]
    rows = [
        [
            *(row[n] for n in names),
            score(row["validation"]),
            score(row["holdout"]),
            score(row["sd"]),
            int(row["runs"]),
        ]
        for row in o.table.to_dict("records")
    ]
    return {
        "who": f"{o.author} on {day}",
        "note": o.note or None,
        "table": values_table([*names, "validation", "hold-out", "sd", "models"], rows),
    }
