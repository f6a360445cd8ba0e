"""The round: a node of the tree that can be run, analysed and decided upon."""

from __future__ import annotations

from typing import Any

from refine.tree.additions import add
from refine.tree.children import DecidedRound, branch, choose
from refine.tree.excluding import exclude
from refine.tree.lineage import analyze
from refine.tree.proposing import checks, optimism, propose, review
from refine.tree.running import best_model, replay, run
from refine.tree.winner import recommend
from refine.utils.keywords import helped_methods
from refine.utils.provided import provided


@helped_methods
class Round(DecidedRound):
    """A node of the refinement tree that can be run.

    Made by :meth:`Tree.add_round`, :meth:`Review.accept` and :meth:`branch`; never by hand. In examples
    ``root`` is the one that :class:`Tree`'s makes.

    Examples:
        >>> len(root.trials), root.n, root.space["lr"].high
        (30, 30, 5.0)
    """

    add = add
    run = run
    replay = replay
    best_model = best_model

    analyze = analyze
    optimism = optimism
    checks = checks
    _recommend = recommend

    propose = propose
    _review = review
    branch = branch
    choose = choose

    exclude = exclude

    @property
    def plot(self) -> Any:
        """Figures, such as ``round.plot.correlation()``; see :class:`refine.report.plots.Plots`."""
        return provided("round.plot")(self)
