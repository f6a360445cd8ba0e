"""Figures, one function each. They draw what was measured and measure nothing.

Most take ``analysis``, of :func:`refine.analyze`; ``name``, a parameter that is not fixed; ``new``, the parameter after a
change, with ``label``, what the change is called, ``"proposed"`` or ``"decided"``; and ``ax``, axes to draw into, by default
those of a new figure. They return the axes; :func:`curves` and :func:`decision`, which need several, an array.
A new figure is made outside pyplot, so that drawing neither opens windows nor touches anybody's settings. It looks as
matplotlib's present style says, and within :func:`themed` is as wide and as dark as asked for. :func:`save` writes it as PNG
or SVG. A parameter on which there is no evidence is a ``KeyError`` that says which ones there are.
"""

from refine.report.figures.canvas import save
from refine.report.figures.checks import cost, curves, failing, front
from refine.report.figures.matters import correlation, pair
from refine.report.figures.parameters import decision, density, density_2d, isolation, levels
from refine.report.figures.rounds import (
    RoundValues,
    TreeNode,
    best_so_far,
    edf,
    reliability,
    tree,
)
from refine.report.figures.theme import themed

__all__ = [
    "RoundValues",
    "TreeNode",
    "best_so_far",
    "correlation",
    "cost",
    "curves",
    "decision",
    "density",
    "density_2d",
    "edf",
    "failing",
    "front",
    "isolation",
    "levels",
    "pair",
    "reliability",
    "save",
    "themed",
    "tree",
]
