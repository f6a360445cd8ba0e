"""One configuration on several splits: trained once on each, and averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

_MOST_SEED = 2**31


class Listener:
    """Stands in for the running trial on one split, and keeps what is reported."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.epochs: list[Mapping[str, float]] = []

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self.epochs.append(dict(metrics))


def averaged(
    calls: Sequence[Callable[[Mapping[str, Any], Any], Mapping[str, float]]],
    params: Mapping[str, Any],
    trial: Any,
) -> dict[str, float]:
    """Trains on every split and averages.

    Args:
        calls: What trains one configuration, one per split; each gets a seed of its own.
        params: The configuration.
        trial: Takes the means of every epoch that all splits reached.

    Returns:
        The mean of every metric that all splits gave, and for those of validation the values by split:
        ``val_acc@1``, ``val_acc@2``, ... ``degenerate`` is the share of splits.
    """
    listeners = [Listener((int(trial.seed) + j) % _MOST_SEED) for j in range(len(calls))]
    found = [call(params, listener) for call, listener in zip(calls, listeners, strict=True)]
    for epoch, here in enumerate(zip(*(listener.epochs for listener in listeners), strict=False)):
        trial.report(epoch, _means(here))
    by_split = {
        f"{name}@{j}": metrics[name]
        for name in found[0]
        if name.startswith("val_")
        for j, metrics in enumerate(found, 1)
        if name in metrics
    }
    return {**_means(found), **by_split}


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = [name for name in found[0] if all(name in metrics for metrics in found)]
    return {name: float(np.mean([metrics[name] for metrics in found])) for name in names}
