"""Figures, one function each. Figures draw measured values and measure none.

Common arguments: ``analysis``, of :func:`refine.analyze`; ``name``, a parameter that is not fixed; ``new``,
the parameter after a change; ``label``, the kind of change, ``"proposed"`` or ``"decided"``; ``ax``, axes to
draw into, by default of a new figure. Figures return the axes; :func:`curves` and :func:`decision`, with
several panels, an array.

New figures are made outside pyplot: drawing opens no window and changes no settings. They follow matplotlib's
present style; width and theme are set by :func:`themed`. :func:`save` writes PNG, SVG or PDF. A parameter
without evidence is a ``KeyError`` that lists the parameters with evidence. On vertical axes of the metric the
best value is at the top.
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
