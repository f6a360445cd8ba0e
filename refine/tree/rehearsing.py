"""Rehearsals of a stored round: of a whole study before its first trial, or of the trials that are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from refine.errors import AnalysisError, DesignError
from refine.review.rehearsal import LARGEST, NOISE, SMALLEST, StudyRehearsal, study_rehearsal
from refine.review.worth import Rehearsal
from refine.tree.children import DecidedRound
from refine.tree.proposing import propose
from refine.utils.action import Action
from refine.utils.format import join


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
    Before the first trial of all, the study that the budget pays for is simulated on random functions, as
    :func:`refine.rehearse` does. Such a study is not a plan of rounds, so arguments are refused.

    Args:
        rounds: Number of rounds, at most 20; default 4, or fewer if the budget of the tree has no room.
        n: Trials of each round; default an equal part of the budget, or without a budget as many as this
            round has.
        exploit: Share of exploit trials, as in :meth:`Review.rehearse`. A round without trials and without
            a budget has its own shares.
        audit: Share of audit trials, likewise.

    Raises:
        AnalysisError: Too few finished trials, nothing is left to run, or neither results nor a budget exist.
        DesignError: As in :meth:`Review.rehearse`; before the first trial, an argument, or a budget that
            :func:`refine.rehearse` does not simulate.
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
        _check_no_plan(self, {"rounds": rounds, "n": n, "exploit": exploit, "audit": audit})
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
            if exploit is None:
                exploit = self.node.exploit
            if audit is None:
                audit = self.node.audit
    rehearsal = review.rehearse(rounds, n, exploit=exploit, audit=audit)
    return replace(rehearsal, round=self.id, created=source is not self)


def _check_no_plan(round_: DecidedRound, plan: Mapping[str, float | None]) -> None:
    """Raises DesignError if a plan of rounds is given for a round before the first trial."""
    names = [name for name, value in plan.items() if value is not None]
    if names:
        raise DesignError(
            f"round {round_.id}: a plan of rounds needs results, got {join(names)} before the first trial; "
            f"leave {join(names)} out to simulate the whole budget, or run the round first",
            Action("round.run"),
        )


def _study(round_: DecidedRound) -> StudyRehearsal:
    """The study of a round without results, simulated on random functions."""
    state = round_._budget
    trials = state.left
    if trials is None:
        budget = "neither"
        if state.budget is not None:
            budget = f"a training time of {state.budget}"
        raise AnalysisError(
            f"round {round_.id}: a rehearsal needs results or a budget of trials, got {budget}; run the "
            "round, or set a budget of trials",
            Action("round.run"),
            Action("tree.budget", 60),
        )
    rule = (
        f"round {round_.id}: before the first trial, a rehearsal simulates {SMALLEST} to {LARGEST} trials, "
        f"and the budget has {trials:,} left"
    )
    if trials < SMALLEST:
        fix = "run the round without a rehearsal, or raise the budget"
        larger = Action("tree.budget", state.spent + state.running + SMALLEST)
        raise DesignError(f"{rule}; {fix}", Action("round.run"), larger)
    if trials > LARGEST:
        fix = "run the round first: a rehearsal after it plans the rest by the results"
        raise DesignError(f"{rule}; {fix}", Action("round.run"))
    noise: float | str = NOISE
    if round_.declared.noise == "none":
        noise = "none"
    return study_rehearsal(round_.space, trials, noise=noise, first=round_.n, round_id=round_.id)
