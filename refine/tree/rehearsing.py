"""Rehearsals of a stored round: of a whole study before its first trial, or of the trials that are left."""

from __future__ import annotations

from dataclasses import replace

from refine.errors import AnalysisError
from refine.review.rehearsal import NOISE, StudyRehearsal, study_rehearsal
from refine.review.worth import Rehearsal
from refine.tree.children import DecidedRound
from refine.tree.proposing import propose
from refine.utils.action import Action


def rehearse(
    self: DecidedRound,
    rounds: int | None = None,
    n: int | None = None,
    *,
    exploit: float | None = None,
    audit: float | None = None,
) -> Rehearsal | StudyRehearsal:
    """Expected result of further trials before they run; by default of all trials left in the budget.

    With results, plans of rounds are simulated on the posterior, as :meth:`Review.rehearse` does on the
    proposed space. A round without trials is rehearsed on its own space, by the results of its ancestors.
    Before the first trial of all, the study is simulated on random functions, as :func:`refine.rehearse`
    does; arguments have no effect on this simulation.

    Args:
        rounds: Number of rounds, at most 20; default 4, or fewer if the budget of the tree has no room.
        n: Trials of each round; default an equal part of the budget, or without a budget as many as this
            round has.
        exploit: Share of exploit trials, as in :meth:`Review.rehearse`.
        audit: Share of audit trials, as in :meth:`Review.rehearse`.

    Raises:
        AnalysisError: Too few finished trials, nothing is left to run, or neither results nor a budget exist.
        DesignError: As in :meth:`Review.rehearse` and :func:`refine.rehearse`.
        ReviewError: As in :meth:`Review.rehearse`.

    Examples:
        >>> rehearsal = root.rehearse(rounds=1, n=10)
        >>> rehearsal.now == tree.winner().expected
        True
    """
    source: DecidedRound | None = self
    while source is not None and not len(source.trials):
        source = source.parent
    if source is None:
        return _study(self)
    review = propose(source, keep=False)
    if source is not self:
        review = review.edit({name: self.space[name] for name in source.space if name in self.space})
        if review.space != self.space:
            raise AnalysisError(
                f"round {self.id}: earlier trials have other parameters or constraints; run the round first",
                Action("round.run"),
            )
        if n is None and review.budget.left is None:
            n = self.n
            if rounds is None:
                rounds = 1
    rehearsal = review.rehearse(rounds, n, exploit=exploit, audit=audit)
    return replace(rehearsal, round=self.id, created=source is not self)


def _study(round_: DecidedRound) -> StudyRehearsal:
    """The study of a round without results, simulated on random functions."""
    trials = round_._budget.left
    if trials is None:
        raise AnalysisError(
            f"round {round_.id}: a rehearsal needs results or a budget of trials, got neither; set a budget",
            Action("tree.budget", 60),
        )
    noise: float | str = NOISE
    if round_.declared.noise == "none":
        noise = "none"
    return study_rehearsal(round_.space, trials, noise=noise, first=round_.n, round_id=round_.id)
