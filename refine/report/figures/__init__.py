"""Figures, one function each. They draw what was measured and measure nothing.

Every function but :func:`curves` and :func:`bars`, which need several, takes ``ax=None`` and returns the axes; a new
figure is made outside pyplot, so that drawing neither opens windows nor touches anybody's settings. :func:`save`
writes one as PNG.
"""

from refine.report.figures.by_level import levels
from refine.report.figures.calibration import reliability
from refine.report.figures.densities import density, density_2d
from refine.report.figures.effects import correlation
from refine.report.figures.ends import edges
from refine.report.figures.failures import failing
from refine.report.figures.grid import bars
from refine.report.figures.isolated import isolation
from refine.report.figures.lines import parallel
from refine.report.figures.nodes import TreeNode, tree
from refine.report.figures.pairs import pair
from refine.report.figures.populations import edf
from refine.report.figures.price import cost
from refine.report.figures.progress import best_so_far
from refine.report.figures.rounds import RoundValues, best_by_round
from refine.report.figures.style import save
from refine.report.figures.top import gain
from refine.report.figures.training import curves
from refine.report.figures.zoom import close_up

__all__ = [
    "RoundValues",
    "TreeNode",
    "bars",
    "best_by_round",
    "best_so_far",
    "close_up",
    "correlation",
    "cost",
    "curves",
    "density",
    "density_2d",
    "edf",
    "edges",
    "failing",
    "gain",
    "isolation",
    "levels",
    "pair",
    "parallel",
    "reliability",
    "save",
    "tree",
]
