"""Figures, one function each. They draw what was measured and measure nothing.

Every function but :func:`curves`, which needs several, takes ``ax=None`` and returns the axes; a new figure is made outside pyplot, so that drawing
neither opens windows nor touches anybody's settings. :func:`save` writes one as PNG.
"""

from refine.figures.by_level import levels
from refine.figures.densities import density, density_2d
from refine.figures.effects import correlation
from refine.figures.ledger import reliability
from refine.figures.pairs import pair
from refine.figures.populations import edf
from refine.figures.progress import best_so_far
from refine.figures.style import save
from refine.figures.training import curves

__all__ = [
    "best_so_far",
    "correlation",
    "curves",
    "density",
    "density_2d",
    "edf",
    "levels",
    "pair",
    "reliability",
    "save",
]
