"""What an objective may offer beside being callable: each member is optional, and opens what its line says.

An objective is a function of a configuration, or of a configuration and the running trial. An object that is called as
one may have more; :class:`refine.keras.KerasObjective` has all of it. A member that is ``None`` counts as not there.

- ``name``: goes into a round's identity instead of its qualified name.
- ``fingerprint``: of the data that it holds and of how they are split; part of a round's identity.
- ``code``: a fingerprint of its code, noted with every trial; else its source is hashed.
- ``func``: another function that it calls, whose source is meant where a file or a name is looked for: ``functools.partial``.
- ``model``: a function of the user that builds its model, whose file says which version of the code runs.
- ``stops``: whether its trials can be pruned; those of an objective that says nothing can.
- ``prepare(threads)``: called once per process, before the first trial runs in it, with the number of threads of a trial.
- ``run_many(configurations, trials)``: runs several trials at once, as vectorised NumPy, a compiled program or a GPU can. It gets
  what it would be called with, and the running trials, each of which takes its own ``report(epoch, metrics)``; it returns what
  each call would have given, in order, and for one that failed the exception. If it raises, all of them are run one by one.
  Calling it with one configuration still works, and gives the same: what a trial gives must not depend on which others run with
  it by more than 1e-6, relative to 1 + its size. Whatever is random must follow from ``trial.seed`` alone, since one process
  can't be seeded for several trials. Not asked in rounds with a pruner or a sampler, and with ``timeout=`` or ``memory=``, which
  are limits of single trials.
- ``most_together``: how many run at once at most; 256 by default.
- ``holdout(params, trial)``: trains anew and measures on rows that no trial sees, under the names of metrics that calling it
  gives: :meth:`refine.Round.open_holdout`.
- ``trained(params, trial)``: the trained model, and its metrics: :meth:`refine.Round.best_model`.
- ``save_model(model, path)`` and ``load_model(path)``: write a model, ``path`` has no suffix, and read it again, ``None`` where none
  was written: :meth:`refine.Round.best_model` with a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Objective = Callable[..., Any]
"""``f(params)`` or ``f(params, trial)`` -> a number or a mapping of metrics to numbers."""


def offers(objective: Objective, *methods: str) -> bool:
    """Whether an objective has all of these methods."""
    return all(callable(getattr(objective, method, None)) for method in methods)


def text_of(objective: Objective, name: str) -> str | None:
    """What an objective says of itself, if that is a text."""
    text = getattr(objective, name, None)
    return text if isinstance(text, str) else None
