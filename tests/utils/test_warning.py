"""A warning points to the line of whoever called the package."""

from __future__ import annotations

import inspect
import warnings

import refine


def test_a_warning_points_to_the_call_that_caused_it():
    tree = refine.Tree("q", store="sqlite://")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tree.add_round({"x": (0, 5)}, lambda p: 1.0, metric="val_loss", direction=None, n=3)
        line = inspect.currentframe().f_lineno - 1
    (w,) = said
    assert (w.filename, w.lineno, w.category) == (__file__, line, refine.errors.RefineWarning)
