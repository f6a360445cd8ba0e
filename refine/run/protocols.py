"""What an objective may offer beside being callable: each protocol is optional, and opens what its line says.

An objective is a function of a configuration, or of a configuration and the running trial. An object that is called as
one may have more; :class:`refine.keras.KerasObjective` has all of it. An attribute that is ``None`` counts as not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Objective = Callable[..., Any]
"""``f(params)`` or ``f(params, trial)`` -> a number or a mapping of metrics to numbers."""


@runtime_checkable
class Named(Protocol):
    """Has a name of its own, which goes into a round's identity instead of its qualified name."""

    name: str


@runtime_checkable
class WithData(Protocol):
    """Holds data. The fingerprint of it and of how it is split is part of a round's identity."""

    fingerprint: str


@runtime_checkable
class WithCode(Protocol):
    """Says itself what its code is, as a fingerprint that is noted with every trial; else its source is hashed."""

    code: str


@runtime_checkable
class Prepares(Protocol):
    """Sets up a process before the first trial runs in it."""

    def prepare(self, threads: int) -> None:
        """Called once per process, with the number of threads of a trial."""


@runtime_checkable
class RunsMany(Protocol):
    """Runs several trials at once, as vectorised NumPy, a compiled program or a GPU can.

    Calling it with one configuration still works, and gives the same: what a trial gives must not depend on which others
    run with it by more than 1e-6, relative to 1 + its size. Whatever is random must follow from ``trial.seed`` alone, since
    one process can't be seeded for several trials. ``most_together`` may say how many there can be; 256 by default. Not
    asked in rounds with a pruner or a sampler, and with ``timeout=`` or ``memory=``, which are limits of single trials.
    """

    def run_many(
        self, configurations: Sequence[Mapping[str, Any]], trials: Sequence[Any], /
    ) -> Sequence[float | Mapping[str, float] | BaseException]:
        """Runs them together.

        Args:
            configurations: What it would be called with.
            trials: The running trials, in the same order; each takes its own ``report(epoch, metrics)``.

        Returns:
            What each call would have given, in order; for one that failed, the exception. If this raises, all of them are
            run one by one instead.
        """


@runtime_checkable
class WithHoldout(Protocol):
    """Keeps rows that no trial sees: :meth:`refine.Round.open_holdout`."""

    def holdout(self, params: Mapping[str, Any], trial: Any, /) -> float | Mapping[str, float]:
        """Trains anew and measures on those rows, under the names of metrics that calling the objective gives."""


@runtime_checkable
class WithModel(Protocol):
    """Gives the model that it trains: :meth:`refine.Round.best_model`."""

    def trained(self, params: Mapping[str, Any], trial: Any, /) -> tuple[Any, Mapping[str, float]]:
        """The trained model, and its metrics."""


@runtime_checkable
class KeepsModels(Protocol):
    """Writes models to files and reads them again: :meth:`refine.Round.best_model` with a folder."""

    def save_model(self, model: Any, path: Path, /) -> None:
        """Writes a model; ``path`` has no suffix."""

    def load_model(self, path: Path, /) -> Any:
        """The model that was written there; ``None`` where none was."""


@runtime_checkable
class Prunable(Protocol):
    """Says whether its trials can be pruned; those of an objective that says nothing can."""

    stops: bool


@runtime_checkable
class Wraps(Protocol):
    """Calls another function, whose source is meant where a file or a name is looked for: ``functools.partial``."""

    func: Callable[..., Any]


@runtime_checkable
class BuildsModel(Protocol):
    """Builds its model by a function of the user, whose file says which version of the code runs."""

    model: Callable[..., Any]
