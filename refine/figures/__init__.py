"""Figures, one function each. They draw what was measured and measure nothing.

Every function but :func:`curves` and :func:`bars`, which need several, takes ``ax=None`` and returns the axes; a new
figure is made outside pyplot, so that drawing neither opens windows nor touches anybody's settings. :func:`save`
writes one as PNG.
"""

from refine.figures.by_level import levels
from refine.figures.densities import density, density_2d
from refine.figures.effects import correlation
from refine.figures.ends import edges
from refine.figures.failures import failing
from refine.figures.grid import bars
from refine.figures.isolated import isolation
from refine.figures.ledger import reliability
from refine.figures.lines import parallel
from refine.figures.nodes import TreeNode, tree
from refine.figures.pairs import pair
from refine.figures.populations import edf
from refine.figures.price import cost
from refine.figures.progress import best_so_far
from refine.figures.rounds import RoundValues, best_by_round
from refine.figures.style import save
from refine.figures.top import gain
from refine.figures.training import curves
from refine.figures.zoom import close_up

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
