"""Section of a report about the training curves of the best trials."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from refine.report import figures
from refine.report.figures.curves import MOST
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import Facts, direction_of, metric_of
from refine.report.markdown.text import values_table
from refine.report.pages.curves import FLAG_WORDS
from refine.trials.goal import sign_of
from refine.trials.metric import Metric
from refine.utils.format import number

if TYPE_CHECKING:
    from pathlib import Path

_MEANING = {
    "overfitting": "validation loss rises while training loss falls on",
    "unsteady": "the metric jumps from epoch to epoch to the end, so which one is last is chance",
    "improving": "the metric still gets better at the end",
    "saturated": "within the first quarter of its epochs as good as it got",
    "rising": "training loss ends above its minimum",
}
_SIZE = {
    "overfitting": "rise {}",
    "unsteady": "deviation {}",
    "improving": "{} in the last quarter",
    "saturated": "at epoch {}",
    "rising": "rise {}",
}
_ADVICE = {
    "overfitting": "more or better tuned regularisation, or fewer epochs",
    "unsteady": "a learning rate that decays, larger batches or more validation rows{best}",
    "improving": "more epochs, or another schedule of the learning rate",
    "saturated": "fewer epochs suffice: the time is better spent on more configurations",
    "rising": "a lower learning rate; else look for a mistake in the training code",
}


def curves_section(facts: Facts, where: Path) -> dict[str, Any] | None:
    """The best four as a picture, and what the curves of all that were looked at show; ``None`` without curves."""
    found = facts.curves
    if not found:
        return None
    metric = Metric.parse(metric_of(facts))
    path = f"{facts.stem}/curves.png"
    reduction = "max" if sign_of(direction_of(facts)) > 0 else "min"
    best = f", or judge by the best epoch ({reduction}:{metric.name})" if metric.reduction == "last" else ""
    rows = []
    for name, word in FLAG_WORDS.items():
        sizes = [getattr(trial.flags, name).size for trial in found if name in trial.seen]
        if sizes:
            size = _SIZE[name].format(number(median(sizes)))
            advice = _ADVICE[name].format(best=best)
            rows.append([word, f"{len(sizes)} of {len(found)}", _MEANING[name], size, advice])
    return {
        "picture": drawn(
            "Training curves of the best trials",
            where,
            path,
            lambda: figures.curves(found[:MOST], metric.name, direction_of(facts)),
        ),
        "sentence": _sentence(len(found), sum(not trial.judged for trial in found), bool(rows)),
        "table": values_table(["seen", "trials", "what it is", "size", "what may help"], rows)
        if rows
        else None,
    }


def _sentence(count: int, short: int, seen: bool) -> str:
    these = f"the best {count} trials" if count > 1 else "the best trial"
    said = [f"{short} of {these} reported too few epochs to tell."] if short else []
    if seen:
        said.append(
            f"What the curves of {these} show, how much of it in the median, and what the Deep Learning Tuning Playbook "
            "(Godbole et al. 2023) advises:"
        )
    elif short < count:
        said.append(f"Nothing stands out in the curves of {these}.")
    return " ".join(said)
