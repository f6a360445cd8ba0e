"""Cells with the result of a trial that ran already: the objective does not use the difference. Pure."""

from __future__ import annotations

import numpy as np

from refine.analysis.analysis import Analysis
from refine.utils.arrays import Bools, Floats, Ints, row_codes

# Fewest changes of one parameter that left the value equal, before the parameter counts as unused. The value
# must differ from change to change.
_CHANGES = 3


def indistinct(analysis: Analysis, cells: Floats) -> Bools:
    """(c,) mask of (c, parameters) cells whose result is known from a trial.

    The cell differs from the trial in a single parameter, and changes of the parameter left values equal to
    the last bit: everywhere, or under a choice of a second parameter. A tree model, for example, does not
    notice the scaler. Only a deterministic objective shows equal values.
    """
    repeats = np.zeros(len(cells), dtype=np.bool_)
    usable = np.ones(len(analysis.y), dtype=np.bool_)
    if analysis.failed is not None:
        usable = ~analysis.failed
    if not analysis.noise.deterministic or not usable.any():
        return repeats
    trials = analysis.X[usable]
    values = analysis.y[usable]
    rows = np.round(np.concatenate([trials, cells]), 9) + 0.0
    unordered = [k for k, e in enumerate(analysis.parameters) if not e.parameter.ordered]
    for j in range(rows.shape[1]):
        group = row_codes(np.delete(rows, j, axis=1))
        of_trials = group[: len(trials)]
        changes, equal = _changes(of_trials, values)
        if changes.sum() < _CHANGES:
            continue
        ran = np.isin(group[len(trials) :], of_trials)
        everywhere = np.ones(len(rows), dtype=np.bool_)
        choices = [rows[:, k] == choice for k in unordered if k != j for choice in np.unique(trials[:, k])]
        for context in (everywhere, *choices):
            inside = context[: len(trials)]
            changed = inside & (changes > 0)
            several = changes[inside].sum() >= _CHANGES and np.ptp(values[changed]) > 0
            if several and equal[changed].all():
                repeats |= ran & context[len(trials) :]
    return repeats


def _changes(group: Ints, values: Floats) -> tuple[Ints, Bools]:
    """Per trial, 1 if it is a later trial of its group, and whether all values of its group are equal."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    later = np.ones(len(group), dtype=np.int64)
    later[first] = 0
    lowest = np.full(len(first), np.inf)
    highest = np.full(len(first), -np.inf)
    np.minimum.at(lowest, number, values)
    np.maximum.at(highest, number, values)
    return later, (lowest == highest)[number]
