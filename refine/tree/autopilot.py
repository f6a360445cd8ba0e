"""Accepting every proposal: for benchmarks, nights and baselines."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Unpack

from refine.analysis.analysis import Analysis
from refine.design.space_filling import IMPORTED, feasible
from refine.errors import AnalysisError, DesignError, ReviewError
from refine.proposal.allocation import batch_rows, check_shares, first_batch, learning_from
from refine.proposal.proposal import check_risk
from refine.review.review import Review
from refine.run.options import RunKeywords, RunOptions, check_flag
from refine.run.workers.pool import workers_kept
from refine.space.encoding import seed_of
from refine.space.space import encode_configuration
from refine.tree.children import left_to_run
from refine.tree.judging import confirm
from refine.tree.round import Round
from refine.tree.rounds import TreeRecord
from refine.tree.tree import Tree
from refine.utils.action import Action
from refine.utils.keywords import helped

AUTHOR = "autopilot"

BATCH = 10
"""Trials that are chosen together, from all that is known by then."""

_CHILD = 40
"""Configurations of a child of a search with a budget."""

_RACE = 0.15
"""Share of a budget that is kept for the race among the plausible winners."""

_RACERS = 10
_NOTE = "accepted as proposed"


@helped
def autopilot(
    start: Tree | Round,
    rounds: int | None = None,
    *,
    budget: int | timedelta | None = None,
    n: int | None = None,
    risk: float = 0.05,
    exploit: float | None = None,
    audit: float = 0.05,
    check_noise: bool = True,
    **options: Unpack[RunKeywords],
) -> Round:
    """Runs rounds one after the other, accepting each proposal as it is.

    The same reviews and decisions as a person's are stored, by the author ``"autopilot"``. What to hand over then is
    :meth:`refine.Tree.winner`, by posterior mean; the best observed trial of so many is a lucky one.

    Without ``budget`` it runs a number of rounds, and stops early when a round left nothing to run or too little to
    analyse, or when another one is not worth it: :meth:`refine.Review.worth` says something else than ``CONTINUE``.

    With ``budget`` it searches until that is spent. A child first runs its space-filling and audit trials, then grows by batches
    of ten exploit trials, each chosen from all that is known by then. The last 15 % go into a race of the plausible winners
    (:meth:`refine.Tree.confirm`), which ends early where nothing is left to decide. Start from a small round, of 30 or a fifth of
    the budget. Called again, it goes on in the rounds that it made: after an interruption, or with a larger budget.

    Args:
        start: The round to start from, run first if need be; of a tree the latest one.
        rounds: How many rounds at most, the first one among them; default 5, with ``budget`` as many as it takes.
        budget: How many trials in all, those of the first round (unless it was imported) and the race included; or for
            how long to run, such as ``datetime.timedelta(hours=2)``, from this call on. A first round runs to its end.
        n: Configurations per child; default as many as the round before, with ``budget`` 40.
        risk: Accepted probability of losing the best value, per narrowing.
        exploit: Share of a child's configurations spent where the optimum is plausible; default 0.5, with ``budget`` 0.8.
        audit: Share spent outside its space.
        check_noise: As in :meth:`Round.run`.
        options: ``workers``, ``executor``, ``threads``, ``progress``, ``rerun``, ``timeout``, ``memory``: as in
            :meth:`Round.run`.

    Returns:
        The last round; ``tree.winner()`` is the configuration to hand over.

    Raises:
        ReviewError: A tree without rounds.
        DesignError: ``rounds`` or ``n`` below 1, or a ``budget`` that the first round alone exceeds.
        AnalysisError: Too few trials of the first round have finished.

    Examples:
        >>> last = refine.autopilot(root, rounds=2, n=20, risk=0.3, progress=False)
        >>> last.id == root.id  # another round is not worth it
        True
    """
    for what, count in (("rounds", rounds), ("n", n)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise DesignError(f"{what} must be a whole number >= 1, got {count!r}; such as {what}=5")
    RunOptions(**options)  # what is out of range is said before anything runs
    check_flag("check_noise", check_noise)
    check_risk(risk)
    exploit = (0.5 if budget is None else 0.8) if exploit is None else exploit
    check_shares(exploit, audit)
    first = _first_round(start)
    with workers_kept():
        if budget is not None:
            most = math.inf if rounds is None else rounds
            how = most, n or _CHILD, risk, exploit, audit, check_noise, options
            return _Search(first, _Budget.of(budget, first), *how).run()
        imported = first.node.method == IMPORTED
        current = first if imported else first.run(check_noise=check_noise, **options)
        for _ in range((5 if rounds is None else rounds) - 1):
            review, left = _proposed(current, first, risk)
            if review is None:
                break
            size = min(current.n if n is None else n, left)
            # What was decided before is not decided anew: runs again may have come since.
            decided = any(child.node.author == AUTHOR for child in current.children)
            if not decided and review.worth(n=size, exploit=exploit, audit=audit).verdict != "CONTINUE":
                break
            child = review.accept(note=_NOTE, n=size, exploit=exploit, audit=audit, author=AUTHOR)
            current = child.run(check_noise=check_noise, **options)
        return current


def _proposed(current: Round, first: Round, risk: float) -> tuple[Review[Round] | None, int]:
    """What comes next, and how many of its configurations are left to run; ``None`` where nothing can be said, or none is left."""
    try:
        review = current.propose(risk=risk)
    except AnalysisError:
        if current.id == first.id:
            raise
        return None, 0
    left = left_to_run(current, review.space)
    return (review if left else None), left


def _first_round(start: Tree | Round) -> Round:
    if not isinstance(start, Tree | Round):
        raise ReviewError(
            f"autopilot starts from a tree or a round, got {type(start).__name__}; such as "
            "refine.autopilot(tree.add_round(space, objective, n=100))"
        )
    if isinstance(start, Round):
        return start
    known = start.rounds
    if not known:
        raise ReviewError(
            "autopilot needs a round to start from, but the tree has none; add one first",
            Action("tree.add_round", ...),
        )
    return known[-1]


@dataclass
class _Budget:
    """What may still be spent: trials, or time."""

    trials: int | None
    seconds: float
    started: float = field(default_factory=time.monotonic)
    _looked: float = 0.0

    @classmethod
    def of(cls, given: int | timedelta, first: Round) -> _Budget:
        """The budget; a DesignError where it is neither a number of trials nor a time, or the first round alone exceeds it."""
        if isinstance(given, timedelta) and given > timedelta(0):
            return cls(None, given.total_seconds())
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise DesignError(
                "budget must be a whole number of trials >= 1, or a time as a datetime.timedelta, got "
                f"{given!r}; such as budget=150 or budget=datetime.timedelta(hours=2)"
            )
        if first.node.method != IMPORTED and first.n > given:
            raise DesignError(
                f"budget must be at least the {first.n} trials of round {first.id}, got {given}; start from a smaller "
                "round, such as one of 30 trials or a fifth of the budget"
            )
        return cls(given, math.inf)

    def left(self, spent: int) -> float:
        """How many trials the search has left after so many; infinity where time is what is spent."""
        return math.inf if self.trials is None else self.trials - round(_RACE * self.trials) - spent

    def batch(self, spent: int, least: int) -> int:
        """How many trials may be run next for the search, of which so many are ``spent`` and at ``least`` so many run at a time."""
        if self.trials is not None:
            return int(max(0, min(max(BATCH, least), self.left(spent))))
        now = time.monotonic() - self.started
        took, self._looked = now - self._looked, now
        return max(BATCH, least) if now + took <= (1 - _RACE) * self.seconds else 0

    def race(self, spent: int) -> int:
        """How many runs under new seeds there may be, after a search of so many trials."""
        return round(spent * _RACE / (1 - _RACE)) if self.trials is None else max(0, self.trials - spent)


@dataclass
class _Search:
    """A search that ends with its budget. All that it knows is in the store, so that it can go on at any time."""

    first: Round
    budget: _Budget
    most: float
    size: int
    risk: float
    exploit: float
    audit: float
    check_noise: bool
    options: RunKeywords
    learned: tuple[str, Analysis] | None = None

    def run(self) -> Round:
        """Searches, and races the plausible winners."""
        current, count = self.first, 1
        if current.node.method != IMPORTED:
            self._run(current)
        while made := [child for child in current.children if child.node.author == AUTHOR]:
            current, count = self._run(made[-1]), count + 1
        while more := self.budget.batch(self._spent(current), self.options.get("workers", 1)):
            # A child that is not worth its space-filling trials any more is not begun.
            full = current.n >= self.size and self.budget.left(self._spent(current)) >= self.size / 2
            new = count < self.most and (current.id == self.first.id or full)
            child = self._child(current, more) if new else None
            if child is not None:
                current, count = child, count + 1
            elif not self._grow(current, more):
                break  # every configuration of what is proposed has been run
            self._run(current)
        if race := self.budget.race(self._spent(current)):
            self._race(race)
        return current

    def _run(self, current: Round) -> Round:
        return current.run(check_noise=self.check_noise, **self.options)

    def _spent(self, last: Round) -> int:
        """Planned trials of the rounds of this search, all of which have ended."""
        known, spent = last.context.nodes, 0
        for node in reversed(last.path):
            spent += known[node.id].n if node.method != IMPORTED else 0
            if node.id == self.first.id:
                break
        return spent

    def _child(self, current: Round, n: int) -> Round | None:
        """The next round; ``None`` where none can be made."""
        review, left = _proposed(current, self.first, self.risk)
        if review is None:
            return None
        self.learned = current.id, review.analysis
        n = min(n, left, self.size)
        audit = self.audit if review.volume_kept < 1 else 0.0
        exploit, audit = first_batch(self.size, n, self.exploit, audit)
        return review.accept(note=_NOTE, n=n, exploit=exploit, audit=audit, author=AUTHOR)

    def _grow(self, current: Round, n: int) -> int:
        """Plans one batch more in a round, from all that is known by now; how many trials it has."""
        parent = current.parent
        if current.id == self.first.id or parent is None:
            return 0
        # A first batch that a small budget cut short had its share of space-filling trials only.
        if more := self._space_filling(current, n):
            return more
        if self.learned is None or self.learned[0] != parent.id:
            self.learned = parent.id, parent.analyze()
        analysis = learning_from(self.learned[1], current.trials, current.node.allow_degenerate)
        store, stored, space = current.context.store, current._stored, current.space
        planned = (b.key for b in store.beside(stored.pk))
        skip = store.inherited(stored.pk).union(store.records([stored.pk]).columns["key"], planned)
        rows = batch_rows(analysis, space, n, seed_of(current.id, "exploit", stored.n), skip)
        batch = [("exploit", encode_configuration(space.frozen(space.at(row)))) for row in rows]
        store.extend(stored.pk, batch)
        return len(batch)

    def _space_filling(self, current: Round, n: int) -> int:
        """Plans so many more space-filling trials, until the round has its share of them; how many were planned."""
        store, stored = current.context.store, current._stored
        beside = [b.key for b in store.beside(stored.pk)]
        share = round((1 - self.exploit - self.audit) * self.size)
        left = feasible(current.space).low - len(store.inherited(stored.pk).union(beside))
        more = min(n, min(share, left) - (stored.n - len(beside)))
        if more > 0:
            store.add_node(current.context.tree, stored.node, stored.n + more)
        return max(0, more)

    def _race(self, budget: int) -> None:
        tree = TreeRecord()
        tree._context = self.first.context
        confirm(tree, budget, _RACERS, **self.options)
