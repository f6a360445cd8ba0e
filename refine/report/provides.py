"""Imports what registers pages, figures and reports; see :mod:`refine.utils.provided`."""

from refine.report import plots
from refine.report.markdown import certificate_reading, round_reading, tree_reading
from refine.report.markdown import comparison as comparison_report
from refine.report.pages import (
    analysis,
    calibration,
    checks,
    comparison,
    damage,
    imports,
    judgement,
    merge,
    optimism,
    options,
    preview,
    proposal,
    review,
    runs,
    space,
    studies,
    tree,
    winner,
    worth,
)
from refine.report.pages import round as round_page

__all__ = [
    "analysis",
    "calibration",
    "certificate_reading",
    "checks",
    "comparison",
    "comparison_report",
    "damage",
    "imports",
    "judgement",
    "merge",
    "optimism",
    "options",
    "plots",
    "preview",
    "proposal",
    "review",
    "round_page",
    "round_reading",
    "runs",
    "space",
    "studies",
    "tree",
    "tree_reading",
    "winner",
    "worth",
]
