"""What the optimism of a best value shows of itself."""

from __future__ import annotations

import math

from refine import stats
from refine.analysis.optimism import Optimism
from refine.report.pages.reasons import sentence
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Page, Text
from refine.utils.format import percent, plural, score
from refine.utils.provided import page_for

_CORRECTS = (
    "The best of many noisy values is biased upwards: a new run of the same configuration is expected to be worse. Runs under new seeds "
    "correct for the noise of training, and resampled examples for that of the validation set. Neither corrects for both."
)


@page_for(Optimism)
def optimism_page(found: Optimism) -> Page:
    """The best value, and what it is worth by each correction."""
    facts: list[tuple[str, str | Cell]] = []
    rows: list[tuple[str, ...]] = [
        ("best observed", score(found.best), "-", "chosen because it was the best")
    ]
    if math.isfinite(found.expected):
        facts.append(("Expect", f"{score(found.expected)} when trained again, by the noise alone."))
        rows.append(
            ("noise alone", score(found.expected), "-", "simulated: new noise on values drawn together")
        )
    if found.seeds is None:
        facts.append(("Seeds", "new seeds: not run again yet."))
    else:
        lost = f"; {plural(found.failed, 'other')} gave no usable model" if found.failed else ""
        interval = _interval(found.seeds.low, found.seeds.high)
        facts.append(("Seeds", f"{score(found.seeds.value)} in {plural(found.seeds.runs, 'new run')}{lost}."))
        rows.append(
            (
                "new seeds",
                score(found.seeds.value),
                interval,
                f"mean of its {plural(found.seeds.runs, 'new run')}{lost}",
            )
        )
    if found.examples is not None:
        e = found.examples
        what = f"chosen among {plural(e.models, 'model')} on {plural(e.examples, 'example')} drawn again"
        facts.append(("Data", f"{score(e.value)} on other examples."))
        rows.append(
            ("other examples", score(e.value), _interval(e.low, e.high), f"{what}; here {score(e.best)}")
        )
    elif found.why_not is not None:
        facts.append(
            ("Data", f"What other validation examples would show is not known. {sentence(found.why_not)}")
        )
    calls = (Action("round.replicate", top=5, seeds=3),) if found.seeds is None else ()
    grid = Grid(("what", found.metric, "95 % interval", "how"), tuple(rows), right=(1,))
    folds = [Fold("Every correction", (grid, Text(_CORRECTS)), "table")]
    if (said := _components(found.components)) is not None:
        folds.append(Fold("Seed and configuration", (Text(said),), "components"))
    return Page(
        f"Best observed {found.metric} {score(found.best)}", (Facts(tuple(facts)),), calls, tuple(folds)
    )


def _interval(low: float, high: float) -> str:
    return f"{score(low)} to {score(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def _components(c: stats.Components | None) -> str | None:
    """What seed and configuration contribute to the spread of runs; ``None`` where that is not known."""
    if c is None or not math.isfinite(c.configuration):
        return None
    total = c.configuration**2 + c.seed**2
    if total == 0:
        return f"The {c.groups} configurations that were run again all gave the same value."
    split = f" Another choice of splits would move configurations against each other by {score(c.split)}."
    return (
        f"Among the {c.groups} configurations that were run again, configurations differ by {score(c.configuration)} and "
        f"seeds of one configuration by {score(c.seed)} (standard deviations): {percent(c.seed**2 / total)} of the "
        f"variance of single runs comes from the seed.{split if math.isfinite(c.split) else ''}"
    )
