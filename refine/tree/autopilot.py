"""Accepting every proposal: for benchmarks, nights and baselines."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError, DesignError, ReviewError
from refine.proposal.allocation import check_shares
from refine.proposal.proposal import check_risk
from refine.run.options import RunKeywords, RunOptions
from refine.tree.apply import left_to_run
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.frame import best_first, space_filling
from refine.trials.goal import sign_of
from refine.utils.action import Action

AUTHOR = "autopilot"


def autopilot(
    start: Tree | Round,
    rounds: int = 5,
    *,
    n: int | None = None,
    risk: float = 0.05,
    exploit: float = 0.5,
    audit: float = 0.05,
    **options: Unpack[RunKeywords],
) -> Round:
    """Runs rounds one after the other, accepting each proposal as it is.

    The same reviews and decisions as a person's are stored, by the author ``"autopilot"``. It stops early when a
    round left nothing to run or too little to analyse, or brought nothing more than noise: its best is no better than what
    was known, and its space-filling trials are no better as a population than those of the round before. What to
    hand over then is :meth:`refine.Tree.winner`, by posterior mean; the best observed trial of so many is a lucky one.

    Args:
        start: The round to start from, run first if need be; of a tree the latest one.
        rounds: How many rounds at most, the first one among them.
        n: Configurations per child; default as many as the round before.
        risk: Accepted probability of losing the best value, per narrowing.
        exploit: Share of a child's configurations spent where the optimum is plausible.
        audit: Share spent outside its space.
        options: ``workers``, ``executor``, ``threads``, ``progress``, ``rerun``, ``timeout``, ``memory``: as in
            :meth:`Round.run`.

    Returns:
        The last round; ``tree.winner()`` is the configuration to hand over.

    Raises:
        ReviewError: A tree without rounds.
        DesignError: ``rounds`` below 1.
        AnalysisError: Too few trials of the first round have finished.
    """
    for what, count in (("rounds", rounds), ("n", n)):
        if what == "n" and count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise DesignError(f"{what} must be a whole number >= 1, got {count!r}; such as {what}=5")
    RunOptions(**options)  # what is out of range is said before anything runs
    check_risk(risk)
    check_shares(exploit, audit)
    if not isinstance(start, Tree | Round):
        raise ReviewError(
            f"autopilot starts from a tree or a round, got {type(start).__name__}; such as "
            "refine.autopilot(tree.add_round(space, objective, n=100))"
        )
    if isinstance(start, Tree):
        known = start.rounds
        if not known:
            raise ReviewError(
                "autopilot needs a round to start from, but the tree has none; add one first",
                Action("tree.add_round", ...),
            )
        start = known[-1]
    current = start
    if start.node.method != IMPORTED:
        current = start.run(**options)
    for _ in range(rounds - 1):
        try:
            review = current.propose(risk=risk)
        except AnalysisError:
            if current.id == start.id:
                raise
            break  # so little was left to run that nothing can be said
        home = current.context
        left = left_to_run(home.store, home.tree, current.node, review.space)
        if not left:
            break  # every configuration of what is proposed has been run
        child = review.accept(
            note="accepted as proposed",
            n=min(current.n if n is None else n, left),
            exploit=exploit,
            audit=audit,
            author=AUTHOR,
        )
        child.run(**options)
        over = _only_noise(current, child)
        current = child
        if over:
            break
    return current


def _best_values(found: Round) -> npt.NDArray[np.float64]:
    """Values of the trials that may be called best."""
    frame = best_first(found.trials, found.direction, found.space, found.node.allow_degenerate)
    return np.asarray(frame["value"], dtype=float)


def _only_noise(parent: Round, child: Round) -> bool:
    sign = sign_of(child.direction)
    before, after = (sign * _best_values(r) for r in (parent, child))
    if not len(after) or not len(before):
        return not len(after)
    if after.max() > before.max():
        return False
    drawn = [
        sign * t.loc[space_filling(t), "value"].dropna().to_numpy() for t in (parent.trials, child.trials)
    ]
    if min(len(e) for e in drawn) < 2:
        return True
    return bool(stats.Compare()(np.asarray(drawn[0]), np.asarray(drawn[1])).low <= 0.5)
