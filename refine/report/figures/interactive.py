"""Interactive twins of the figures: Optuna's, drawn with plotly. Both are loaded when one is asked for."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refine.errors import AnalysisError, did_you_mean
from refine.utils.extras import needed

if TYPE_CHECKING:
    import optuna

KINDS = {
    "history": "plot_optimization_history",
    "parallel": "plot_parallel_coordinate",
    "slice": "plot_slice",
    "contour": "plot_contour",
    "importances": "plot_param_importances",
    "edf": "plot_edf",
    "rank": "plot_rank",
    "timeline": "plot_timeline",
}
"""Kind -> the function of ``optuna.visualization`` that draws it."""


def check_kind(kind: str) -> None:
    """Checks a kind, and that it can be drawn, before trials are read.

    Raises:
        AnalysisError: An unknown kind, or Optuna or plotly is not installed.
    """
    if kind not in KINDS:
        raise AnalysisError(f"interactive: no kind {kind!r}; {did_you_mean(str(kind), KINDS)}")
    for package in ("plotly", "optuna"):
        needed(
            package, "an interactive figure", AnalysisError, "the other figures of round.plot don't need it"
        )


def interactive(study: optuna.Study, kind: str, options: Mapping[str, Any]) -> Any:
    """One of Optuna's figures of a study, as a plotly figure: ``.show()``, ``.write_html(path)``.

    Args:
        study: The study.
        kind: One of :data:`KINDS`.
        options: Of Optuna's function, such as ``params=["lr"]``.

    Raises:
        AnalysisError: An unknown kind or option, plotly is not installed, or Optuna can't draw this from these trials.
    """
    check_kind(kind)
    import optuna

    draw = getattr(optuna.visualization, KINDS[kind])
    known = [name for name in inspect.signature(draw).parameters if name != "study"]
    for name in options:
        if name not in known:
            raise AnalysisError(f"interactive: {kind} has no option {name!r}; {did_you_mean(name, known)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # what Optuna calls experimental or will change is not the person's matter
            return draw(study, **options)
    except (ValueError, RuntimeError) as error:
        raise AnalysisError(f"interactive: Optuna can't draw {kind} of these trials: {error}") from error
