"""A search without a person: for benchmarks, nights and baselines."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from refine.analysis.analysis import LEAST
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError, DesignError, ReviewError
from refine.proposal.allocation import check_shares
from refine.proposal.proposal import check_risk
from refine.review.review import Review, advised_round_of, edits_of
from refine.review.round_spec import Plan, check_per
from refine.run.machine import Machine, rest_of
from refine.run.runner import TaskSource
from refine.run.workers.pool import workers_kept
from refine.tree.children import left_to_run
from refine.tree.judging import confirm
from refine.tree.round import Round
from refine.tree.running import resized, run_extended
from refine.tree.tree import Tree
from refine.tree.tree_record import TreeRecord
from refine.trials.budget import CONFIRM_SHARE, checked_budget, seconds_of
from refine.utils.action import Action
from refine.utils.format import join
from refine.utils.keywords import helped
from refine.utils.numbers import is_whole

AUTHOR = "autopilot"

# Noise is large if its standard deviation exceeds this share of (best - median).
_NOISY = 0.2

# Number of configurations in a race, and fewest runs of a race: fewer decide nothing.
_RACERS = 10
_LEAST_RACE = 9

# With fewer trials, only ranges with declared limits (``within=``) are extended: other extensions are left to
# a person.
_EARLY = 60

# Trials per step of a search with a budget of time.
_TIMED = 10


@helped
def autopilot(
    start: Tree | Round,
    rounds: int | None = None,
    *,
    budget: int | str | timedelta | None = None,
    n: int | None = None,
    risk: float | None = None,
    exploit: float | None = None,
    audit: float | None = None,
    per: str = "trial",
    machine: Machine | None = None,
) -> Round:
    """Searches without a person: for benchmarks, nights and baselines.

    Use :meth:`refine.Tree.winner` afterwards, not the best observed trial, which is partly luck. Decisions
    are stored under the author ``"autopilot"``.

    With ``budget``, one further round on the same space spends the budget on exploit trials, each chosen
    from all results so far. Start from a round of ten trials. With 60 trials or more and large noise, the
    last 15 % are a race of the plausible winners (:meth:`refine.Tree.confirm`), which may end early. A
    repeated call resumes, also with a larger budget. ``propose()`` of that round shows the part of the
    space to drop.

    Without ``budget``, autopilot runs several rounds and accepts each proposal. With fewer than 60 trials,
    ranges are widened only inside declared limits (``within=``); the note of the decision lists widened
    ranges. The search stops early if a round has nothing left to run or too few trials to analyse, or if
    the verdict of :meth:`refine.Review.worth` is not ``CONTINUE``.

    Args:
        start: The first round, run if needed; for a tree its latest round.
        rounds: Maximal number of rounds, the first one included; default 5. Not with ``budget``, like ``n``,
            ``risk``, ``exploit`` and ``audit``.
        budget: Number of trials in total, the first round (unless imported) and the race included; or a
            duration from this call on, such as ``"2 h"``. The first round always
            finishes, and grows until ten of its trials have finished. Default the part that is left of
            :attr:`Tree.budget`, unless an option of several rounds is given.
        n: Configurations per child; default the advised number: :attr:`refine.Review.advised_round`.
        risk: Accepted probability of losing the best value, per narrowing; default 0.05.
        exploit: Share of exploit trials in a child; default as advised.
        audit: Share of audit trials in a child; default as advised.
        per: ``"second"`` prefers short trials, as in :meth:`Round.add`.
        machine: As in :meth:`Round.run`.

    Returns:
        The last round; ``tree.winner()`` is the configuration to use.

    Raises:
        ReviewError: A tree without rounds.
        DesignError: ``rounds`` or ``n`` below 1, or a ``budget`` smaller than the first round, beyond the
            budget of the tree, or combined with an option of several rounds.
        AnalysisError: Too few trials of the first round have finished.

    Examples:
        >>> last = refine.autopilot(root, rounds=2, n=20, risk=0.3)
        >>> last.id == root.id  # another round is not worth it
        True
    """
    for option, count in (("rounds", rounds), ("n", n)):
        if count is not None and not is_whole(count):
            raise DesignError(f"{option} must be a whole number >= 1, got {count!r}; for example {option}=5")
    of_rounds = {"rounds": rounds, "n": n, "risk": risk, "exploit": exploit, "audit": audit}
    if budget is not None and (
        conflicting := [name for name, value in of_rounds.items() if value is not None]
    ):
        raise DesignError(
            f"budget= searches the unchanged space in one round, so {conflicting[0]}= has no effect with it; "
            "leave one of the two out"
        )
    accepted_risk = 0.05
    if risk is not None:
        accepted_risk = risk
    check_risk(accepted_risk)
    check_shares(exploit, audit)
    check_per(per)
    first = _first_round(start)
    chosen = first._context.machine(machine)
    started = time.monotonic()
    parent = first.parent
    if isinstance(start, Tree) and parent is not None and _is_search(first):
        first = parent  # resumes the search
    imported = first._node.method == IMPORTED
    if budget is None and not any(value is not None for value in of_rounds.values()):
        budget = _left_of_tree(first)
    with workers_kept():
        if budget is not None:
            trials, seconds = _checked(budget, 0 if imported else first.n)
            if seconds == math.inf:
                further = int(trials) - sum(map(_spent, [first, *_searches(first)]))
                first._context.budget.check(max(0, further), "autopilot", "search less: budget={left} more")
            return _Search(first, trials, seconds, per, chosen, started).run()
        if imported:
            current = first
        else:
            current = run_extended(first, TaskSource(), rest_of(chosen, started), per=per)
        for _ in range((5 if rounds is None else rounds) - 1):
            if (
                current._node.method != IMPORTED and len(current.trials) < current.n
            ):  # stopped by the hours of the machine
                break
            review, remaining = _proposed(current, first, accepted_risk)
            if review is None:
                break
            size = min(advised_round_of(review).n if n is None else n, remaining)
            if size < 1:  # the budget of the tree is spent
                break
            # An earlier decision stands, although repeats may have been added since.
            decided = any(child._node.author == AUTHOR for child in current.children)
            if not decided and review.worth(n=size, exploit=exploit, audit=audit).verdict != "CONTINUE":
                break
            plan = Plan(exploit=exploit, audit=audit)
            child = review.accept(_note(review), n=size, author=AUTHOR, plan=plan)
            current = run_extended(child, TaskSource(), rest_of(chosen, started), per=per)
        return current


def _proposed(current: Round, first: Round, risk: float) -> tuple[Review[Round] | None, int]:
    """The next proposal, and the number of configurations left in its space; ``None`` without either."""
    try:
        review = current.propose(risk=risk)
    except AnalysisError:
        if current.id == first.id:
            raise
        return None, 0
    early = [name for name, declared in _widened(review).items() if not declared]
    if early and len(review.proposal.analysis.y) < _EARLY:
        review = review.reject(*early)
    remaining = left_to_run(current, review.space)
    return (review if remaining else None), remaining


def _widened(review: Review[Round]) -> dict[str, bool]:
    """The ranges that a proposal widens -> whether their limits were declared (``within=``)."""
    return {
        c.name: getattr(c.old, "within", None) is not None
        for c in review.proposal.changes
        if c.kind == "widen"
    }


def _note(review: Review[Round]) -> str:
    """Note of an accepted proposal, with its widened ranges."""
    names_by_phrase = {
        "without widening": edits_of(review).rejected,
        "widening": [name for name in _widened(review) if name not in edits_of(review).rejected],
    }
    return ", ".join(
        [
            "accepted as proposed",
            *(f"{phrase} {join(names)}" for phrase, names in names_by_phrase.items() if names),
        ]
    )


def _first_round(start: Tree | Round) -> Round:
    if not isinstance(start, Tree | Round):
        raise ReviewError(
            f"autopilot starts from a tree or a round, got {type(start).__name__}; for example "
            "refine.autopilot(tree.add_round(space, objective, n=100))"
        )
    if isinstance(start, Round):
        return start
    rounds = start.rounds
    if not rounds:
        raise ReviewError(
            "autopilot needs a round to start from, but the tree has none; add one first",
            Action("tree.add_round", ...),
        )
    return rounds[-1]


def _left_of_tree(first: Round) -> int | timedelta | None:
    """Budget of a search from a round: the remaining budget of the tree; ``None`` without a budget.

    Trials of the round and of an earlier search count as spent by the search.
    """
    state = first._context.budget
    if isinstance(state.limit, str):
        return timedelta(seconds=max(1.0, state.seconds_left))
    if state.left is None:
        return None
    return state.left + sum(map(_spent, [first, *_searches(first)]))


def _searches(first: Round) -> list[Round]:
    """Rounds of earlier searches with a budget, oldest first."""
    return [child for child in first.children if _is_search(child)]


def _is_search(round_: Round) -> bool:
    return round_._node.author == AUTHOR and round_._node.exploit == 1


def _spent(current: Round) -> int:
    """Number of trials run in a round, repeats included."""
    if current._node.method == IMPORTED:
        return len(current.replicates)
    return len(current.replicates) + len(current.trials)


def _checked(budget: int | str | timedelta, first: int) -> tuple[float, float]:
    """A budget as trials and as seconds; DesignError if invalid, or smaller than the ``first`` round."""
    total = checked_budget(budget)
    if isinstance(total, str):
        return math.inf, seconds_of(total)
    assert total is not None
    if first > total:
        raise DesignError(
            f"budget must be at least the {first} trials of the first round, got {total}; start from a "
            "smaller one, of 10 trials"
        )
    return total, math.inf


@dataclass
class _Search:
    """A search with a budget. Its state is in the store, so an interrupted search resumes."""

    first: Round
    trials: float
    seconds: float
    per: str  # unit of an expected improvement
    machine: Machine
    started: float  # from :func:`time.monotonic`

    def run(self) -> Round:
        """Searches; with large noise, the search ends with a race of the plausible winners."""
        first = self.first
        if first._node.method != IMPORTED:
            self._run(first)
        while (missing := LEAST - int(first.trials["value"].notna().sum())) > 0:
            additional = min(missing, left_to_run(first, first.space), self.trials - _spent(first))
            if first._node.method == IMPORTED or additional < 1:
                break
            self._run(first, n=first.n + int(additional))
        last = self._until(1 - CONFIRM_SHARE)
        total = self.trials
        if self.seconds < math.inf:
            total = _spent(last) / (1 - CONFIRM_SHARE)
        race = round(CONFIRM_SHARE * total)
        if last.id == first.id or race < _LEAST_RACE or not self._noisy(last):
            return self._until(1.0)
        tree = TreeRecord()
        tree._context = first._context
        confirm(tree, race, _RACERS, machine=rest_of(self.machine, self.started))
        return last

    def _noisy(self, last: Round) -> bool:
        """True if the noise is large, compared with the best value minus the median of the first round."""
        if last._declared.noise is None:
            last.run(machine=rest_of(self.machine, self.started))  # its best runs again
        analysis = last.analyze()
        even = np.median(self.first.trials["value"].dropna())
        return bool(analysis.noise.sd > _NOISY * (analysis.y.max() - analysis.sign * even))

    def _until(self, share: float) -> Round:
        """The round of the search after a share of the budget; the first round if nothing is left to run."""
        first = self.first
        limit = left_to_run(first, first.space)
        searches = _searches(first)
        if searches:
            last = searches[-1]
        else:
            last = None
        if self.seconds == math.inf:
            if last is None:
                runs_again = 0
            else:
                runs_again = len(last.replicates)
            n = min(limit, round(share * self.trials) - _spent(first) - runs_again)
            if last is None and n < 1:
                return first
            return self._grown(last, n)
        while (hours := (self.started + share * self.seconds - time.monotonic()) / 3600) > 0:
            if last is None:
                n = 0
            else:
                n = last.n
            size = min(limit, n + _TIMED)
            if n == limit:
                break
            last = self._grown(last, size, hours)
            if len(last.trials) < size:  # stopped by the hours of the machine
                break
        return last or first

    def _grown(self, last: Round | None, n: int, hours: float | None = None) -> Round:
        """The round of the search with that number of trials, after its run."""
        note = "searches all of the space"
        if last is None:
            last = self.first.branch(self.first.space, note=note, n=n, exploit=1.0, author=AUTHOR)
        return self._run(last, n=max(n, last.n), hours=hours)

    def _run(self, current: Round, n: int | None = None, hours: float | None = None) -> Round:
        machine = rest_of(self.machine, self.started)
        if hours is not None:
            machine = replace(machine, hours=min(hours, machine.hours or math.inf))
        return run_extended(current, resized(current, n), machine, per=self.per, check_noise=False)
