"""What training curves show: in short words, and as a page of what may help."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from refine.analysis.learning_curves import TrialCurves
from refine.trials.goal import sign_of
from refine.trials.metric import Metric
from refine.utils.display import Facts, Fold, Grid, Page, Text
from refine.utils.format import number

FLAG_WORDS = {
    "overfitting": "overfits",
    "unsteady": "unsteady end",
    "improving": "still improving",
    "saturated": "saturated early",
    "rising": "loss rises",
}
"""What a judgement of curves is called in short."""

_MEANS = {
    "overfitting": ("validation loss rises while training loss falls on", "rise {}"),
    "unsteady": (
        "the metric jumps from epoch to epoch to the end, so which one is last is chance",
        "deviation {}",
    ),
    "improving": ("the metric still gets better at the end", "{} in the last quarter"),
    "saturated": ("within the first quarter of its epochs as good as it got", "at epoch {}"),
    "rising": ("training loss ends above its minimum", "rise {}"),
}
_HELPS = {
    "overfitting": "more or better tuned regularisation, or fewer epochs",
    "unsteady": "a learning rate that decays, larger batches or more validation rows",
    "improving": "more epochs, or another schedule of the learning rate",
    "saturated": "fewer epochs suffice: the time is better spent on more configurations",
    "rising": "a lower learning rate; else look for a mistake in the training code",
}


def curves_page(found: Sequence[TrialCurves], metric: Metric, direction: str) -> Page:
    """What the curves of the best trials show, of how many of them, and what may help.

    Args:
        found: The curves; at least one.
        metric: What the round is judged by.
        direction: ``"maximize"`` or ``"minimize"``.
    """
    reduction = "max" if sign_of(direction) > 0 else "min"
    best = f", or judge by the best epoch ({reduction}:{metric.name})" if metric.reduction == "last" else ""
    facts, rows = [], []
    for name, word in FLAG_WORDS.items():
        sizes = [getattr(trial.flags, name).size for trial in found if name in trial.seen]
        if sizes:
            many, (means, size) = f"{len(sizes)} of {len(found)}", _MEANS[name]
            helps = _HELPS[name] + (best if name == "unsteady" else "")
            facts.append((word.capitalize(), f"{many}: {helps}."))
            rows.append((word, many, means, size.format(number(median(sizes))), helps))
    short = sum(not trial.judged for trial in found)
    these = f"the best {len(found)} trials" if len(found) > 1 else "the best trial"
    if short:
        facts.append(("", f"{short} of {these} reported too few epochs to tell."))
    head = ("seen", "trials", "what it is", "size", "what may help")
    told = "How much of it in the median, and what the Deep Learning Tuning Playbook (Godbole et al. 2023) advises:"
    seen = Fold("What was seen", (Text(told), Grid(head, tuple(rows))))
    if not rows and short < len(found):
        return Page(f"Nothing stands out in the curves of {these}.", (Facts(tuple(facts)),) if facts else ())
    return Page(f"The curves of {these}", (Facts(tuple(facts)),), folds=(seen,) if rows else ())
