"""What an assistant may do with a tree: look, suggest, and run trials within a budget. Accepting stays with a person."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.report.pages.proposal import claim_sentence
from refine.space.parameters import Range
from refine.utils.format import percent, plural, probability

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.tree.round import Round
    from refine.tree.tree import Tree
    from refine.trials.trial import FinishedTrial

Named = str | dict[str, Any] | None
"""A configuration, as JSON has it."""

AGENT = "agent:"
"""How the author of what an assistant suggests, or decides, begins."""


@dataclass
class Assistant:
    """The calls of one assistant on one tree. Each returns a text to read.

    Args:
        open_tree: Opens the tree; it is opened anew for every call, so that people and assistants work on one store.
        name: What the assistant is called; its author is ``agent:<name>``.
        budget: How many trials it may run, all rounds together.
        may_accept: Whether it may decide as a person does.
        objective_of: Options of :meth:`refine.Round.run` that say what a round's trials run.
    """

    open_tree: Callable[[], Tree]
    name: str = "assistant"
    budget: int = 0
    may_accept: bool = False
    objective_of: Callable[[Round], Mapping[str, Any]] = lambda _: {}
    ran: int = field(default=0, init=False)
    _before: int = field(default=0, init=False, repr=False)
    _one_run: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def author(self) -> str:
        """Under which name it is recorded."""
        return f"{AGENT}{self.name}"

    def _look(self, look: Callable[[Tree], Any]) -> str:
        with self.open_tree() as tree:
            return str(look(tree))

    def tree(self) -> str:
        """The refinement tree: every round with its best observed value, how far it is, and what led to it."""
        return self._look(lambda tree: tree)

    def round(self, round_id: str) -> str:
        """One round: its space with every level, progress, best trial, decisions and suggestions."""
        return self._look(lambda tree: tree[round_id])

    def analysis(self, round_id: str) -> str:
        """What the round's trials teach about every parameter: effects with intervals, q-values, where the good trials lie."""
        return self._look(lambda tree: tree[round_id].analyze().details)

    def proposal(self, round_id: str, risk: float = 0.05) -> str:
        """The narrowed space that is proposed at a risk, with the reason for every change and the claim."""
        return self._look(lambda tree: tree[round_id].propose(risk, keep=False).details)

    def menu(self, round_id: str) -> str:
        """What more or less risk would buy: proposals by risk, beside each other."""
        return self._look(lambda tree: tree[round_id].propose(keep=False).options())

    def checks(self, round_id: str) -> str:
        """Questions to ask before deciding, each with a verdict, its number and what to do."""
        return self._look(lambda tree: tree[round_id].propose(keep=False).checks().details)

    def winner(self) -> str:
        """The configuration to hand over by posterior mean, with what to expect when it is trained again."""
        return self._look(lambda tree: tree.winner() or "no trial has finished that may be called best")

    def calibration(self) -> str:
        """How claims, edits and suggestions turned out, by author."""
        return self._look(lambda tree: tree.calibration().details)

    def preview(self, round_id: str, edits: dict[str, Any], n: int | None = None) -> str:
        """What a decision would mean: best trials kept, volume, the claim for these bounds, the size of the next round.

        ``edits`` are parameters by name: ``[low, high]`` for a range, a list of the choices that stay for a choice, one value to fix it.
        """
        return self._look(lambda tree: _edited(tree[round_id], edits).preview(n=n).details)

    def judge(self, a: Named = None, b: Named = None, seeds: int = 0) -> str:
        """Whether one configuration is better than another: KEEP, CONFIRM or DISCARD, with its evidence and what would decide.

        ``a`` and ``b`` are values by name, or text: the id of a round (its best expected), ``winner``, ``best`` or
        ``baseline``. Left out they are the winner, and the baseline or the best of earlier rounds. ``seeds`` runs both under
        new seeds until it is decided, at most so many runs, which count against the budget.
        """
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 0:
            raise ReviewError(f"seeds must be a whole number >= 0, got {seeds!r}")
        with self.open_tree() as tree:
            if not seeds:
                return str(tree.judge(a, b).details)
            with self._running(seeds, "run"):
                judged = tree.judge(a, b)
                known = len(judged.a.fresh) + len(judged.b.fresh)
                judged = tree.judge(a, b, budget=known + seeds, **self._options(tree[judged.a.round]))
                return f"{self._spent('run', ' under new seeds')}\n\n{judged.details}"

    def suggest(self, round_id: str, edits: dict[str, Any], reason: str) -> str:
        """Stores a suggestion for the person who decides: bounds with a reason, beside what is proposed. It changes no round.

        ``edits`` as in ``preview``; parameters that are left out stay as proposed.
        """
        with self.open_tree() as tree:
            review = _edited(tree[round_id], edits)
            known = {d.digest for d in review.round.decisions}
            decision = review.suggest(reason, author=self.author)
            if decision.digest in known:
                return f"{self.author} suggested just that before, on round {tree[round_id].id}; its first reason stays."
            own = "-" if decision.probability is None else probability(decision.probability)
            return (
                f"stored as a suggestion of {self.author} on round {tree[round_id].id}; a person decides.\n"
                f"suggested: keeps {percent(review.volume_kept)} of the space, probability {own}.\n"
                f"proposed: {claim_sentence(review.proposal)}"
            )

    def run(self, round_id: str, trials: int) -> str:
        """Runs more of a round's planned trials, as many as the budget still allows."""
        if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
            raise ReviewError(f"trials must be a whole number >= 1, got {trials!r}")
        with self.open_tree() as tree, self._running(trials, "trial"):
            round_ = tree[round_id]
            round_.run(trials=trials, **self._options(round_))
            return f"{self._spent('trial')}\n\n{round_.details}"

    @contextlib.contextmanager
    def _running(self, count: int, what: str) -> Iterator[None]:
        """While trials run, one call at a time: several clients share a budget. The protocol owns the output."""
        with self._one_run:
            left = self.budget - self.ran
            if count > left:
                raise ReviewError(
                    f"{plural(count, what)} {'is' if count == 1 else 'are'} more than the {left} left of a budget of {self.budget}; ask for fewer, or ask "
                    "the person for a larger one: refine mcp STORE --budget N"
                )
            self._before = self.ran
            with contextlib.redirect_stdout(sys.stderr):
                yield

    def _options(self, round_: Round) -> dict[str, Any]:
        return {"progress": False, "on_trial": self._count, **self.objective_of(round_)}

    def _count(self, _: FinishedTrial) -> None:
        """Whatever is stored counts at once, however it ended: a run that is refused half-way has run."""
        self.ran += 1

    def _spent(self, what: str, how: str = "") -> str:
        ended = plural(self.ran - self._before, what)
        return f"{ended}{how or ' ran'}; {self.budget - self.ran} left of the budget."

    def accept(self, round_id: str, edits: dict[str, Any], note: str, n: int | None = None) -> str:
        """Decides: accepts the proposal with edits and creates the next round. Refused unless the person allowed it."""
        if not self.may_accept:
            raise ReviewError(
                "accepting stays with a person: suggest it with a reason instead. Whoever started this server may allow it with "
                "--may-accept"
            )
        with self.open_tree() as tree:
            child = _edited(tree[round_id], edits).accept(note, n=n, author=self.author)
            return str(child)


def _edited(found: Round, edits: Mapping[str, Any]) -> Review[Round]:
    """A proposal with edits as JSON has them."""
    review = found.propose(keep=False)
    typed = {
        name: tuple(value)
        if isinstance(value, list) and name in found.space and isinstance(found.space[name], Range)
        else value
        for name, value in edits.items()
    }
    return review.edit(typed) if typed else review
