"""Figures, one function each. They draw what was measured and measure nothing.

Every function but :func:`curves`, :func:`bars` and :func:`decision`, which need several, takes ``ax=None`` and returns the axes; a new
figure is made outside pyplot, so that drawing neither opens windows nor touches anybody's settings. They look as
matplotlib's present style says, and within :func:`look` as wide and as dark as asked for. :func:`save` writes one as PNG
or SVG.
"""

from refine.report.figures.bars import bars
from refine.report.figures.best_by_round import RoundValues, best_by_round
from refine.report.figures.best_so_far import best_so_far
from refine.report.figures.close_up import close_up
from refine.report.figures.correlation import correlation
from refine.report.figures.cost import cost
from refine.report.figures.curves import curves
from refine.report.figures.decision import decision
from refine.report.figures.density import density, density_2d
from refine.report.figures.edf import edf
from refine.report.figures.edges import edges
from refine.report.figures.failing import failing
from refine.report.figures.front import front
from refine.report.figures.gain import gain
from refine.report.figures.isolation import isolation
from refine.report.figures.levels import levels
from refine.report.figures.look import look
from refine.report.figures.pair import pair
from refine.report.figures.parallel import parallel
from refine.report.figures.reliability import reliability
from refine.report.figures.style import save
from refine.report.figures.tree import TreeNode, tree

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
    "decision",
    "density",
    "density_2d",
    "edf",
    "edges",
    "failing",
    "front",
    "gain",
    "isolation",
    "levels",
    "look",
    "pair",
    "parallel",
    "reliability",
    "save",
    "tree",
]
