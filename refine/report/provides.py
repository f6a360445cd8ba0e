"""Imports what registers pages, figures and reports; see :mod:`refine.utils.provided`."""

from refine.report import plots
from refine.report.markdown import comparison as comparison_report
from refine.report.markdown import gather, tree_facts
from refine.report.pages import comparison, space, tree
from refine.report.pages import round as round_page

__all__ = ["comparison", "comparison_report", "gather", "plots", "round_page", "space", "tree", "tree_facts"]
