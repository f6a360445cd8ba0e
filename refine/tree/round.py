"""The round: a node of the tree that can be run, analysed and decided upon."""

from __future__ import annotations

from typing import Any

from refine.tree.additions import add
from refine.tree.children import DecidedRound, branch, choose
from refine.tree.exchange.optuna import to_optuna
from refine.tree.exchange.talos import to_talos
from refine.tree.excluding import exclude, include
from refine.tree.lineage import analyze
from refine.tree.proposing import checks, optimism, propose, review
from refine.tree.running import best_model, open_holdout, replay, run
from refine.tree.winner import recommend
from refine.utils.keywords import helped_methods
from refine.utils.provided import provided


@helped_methods
class Round(DecidedRound):
    """A node of the refinement tree that can be run.

    Made by :meth:`Tree.add_round`, :meth:`Review.accept` and :meth:`branch`; never by hand. In examples
    ``root`` is the one that :class:`Tree`'s makes.

    Attributes:
        context: Store and tree of the round, and the objects given in this process.
        node: Its frozen content.
        metric: Which metric is its value.
        direction: ``"maximize"`` or ``"minimize"``.

    Examples:
        >>> len(root.trials), root.metric, root.direction, root.space["lr"].high
        (30, 'value', 'maximize', 5.0)
    """

    add = add
    run = run
    replay = replay
    best_model = best_model
    open_holdout = open_holdout

    analyze = analyze
    optimism = optimism
    checks = checks
    recommend = recommend

    propose = propose
    review = review
    branch = branch
    choose = choose

    exclude = exclude
    include = include

    to_optuna = to_optuna
    to_talos = to_talos

    @property
    def plot(self) -> Any:
        """Figures, such as ``round.plot.correlation()``; see :class:`refine.report.plots.Plots`."""
        return provided("round.plot")(self)
