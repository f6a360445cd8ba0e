"""What an assistant may do with a tree: look, suggest, and run trials within a budget. Accepting stays with a person."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.report.pages.checks import checks_page
from refine.report.pages.proposal import claim_sentence
from refine.space.parameters import Range
from refine.utils.action import Action
from refine.utils.display import Page, Shown, respelled, to_text
from refine.utils.format import join, percent, plural, probability

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.tree.round import Round
    from refine.tree.tree import Tree
    from refine.trials.trial import FinishedTrial

# A configuration, as JSON has it.
Named = str | dict[str, Any] | None

# How the author of what an assistant suggests, or decides, begins.
AGENT = "agent:"


# What a person would call -> the tool of an assistant that does it.
_TOOLS = {
    "tree": "tree",
    "tree.winner": "winner",
    "tree.judge": "judge",
    "tree.confirm": "judge",
    "round.recommend": "winner",
    "round.run": "run",
    "child.run": "run",
    "round.replicate": "judge",
    "round.failures": "round",
    "round.analyze": "analysis",
    "round.checks": "checks",
    "round.propose": "proposal",
    "round.branch": "create_round",
    "review.options": "menu",
    "review.edit": "preview",
    "review.rehearse": "rehearse",
    "review.accept": "accept",
}
_ARGUMENTS = {"n": "trials", "budget": "seeds", "risk": "risk", "note": "note"}


def in_tools(action: Action) -> str:
    """An action as an assistant's tool and its arguments; empty where it has none."""
    tool = _TOOLS.get(re.sub(r"^tree\['\w+'\]", "round", action.name), "")
    known = {_ARGUMENTS[n]: v for n, v in action.options.items() if n in _ARGUMENTS}
    words = [name if value is ... else f"{name} {value}" for name, value in known.items()]
    return tool and f"tool {tool}{f' with {join(words)}' if words else ''}"


class Answer(str):
    """A text to read, and the same as plain data."""

    __slots__ = ("data",)
    data: dict[str, Any]

    @classmethod
    def of(
        cls, found: Shown | str, details: bool = False, lead: str = "", page: Page | None = None, **data: Any
    ) -> Answer:
        """Of a result: its page, or all of its details, with tools in place of Python's calls; or of a text."""
        if isinstance(found, Shown):
            page = page or found.page()
            page = page.details if details else page
            calls = tuple(filter(None, respelled(page.calls, in_tools)))
            text = to_text(replace(page, blocks=respelled(page.blocks, in_tools), calls=calls, folds=()))
            data = {**data, **found.to_dict()}
            del data["page"]
        else:
            text = found
        answer = cls(lead + text)
        answer.data = data
        return answer


@dataclass
class Assistant:
    """The calls of one assistant on one tree. Each returns a text to read, with its data.

    Args:
        open_tree: Opens the tree; it is opened anew for every call, so that people and assistants work on one store.
        name: What the assistant is called; its author is ``agent:<name>``.
        budget: How many trials it may run, all rounds together.
        may_accept: Whether it may decide as a person does.
        share: How much of the budget, and of a round, may be configurations that it chooses; the others are drawn by a design.
        objective_of: Options of :meth:`refine.Round.run` that say what a round's trials run.
    """

    open_tree: Callable[[], Tree]
    name: str = "assistant"
    budget: int = 0
    may_accept: bool = False
    share: float = 0.3
    objective_of: Callable[[Round], Mapping[str, Any]] = lambda _: {}
    ran: int = field(default=0, init=False)
    chosen: int = field(default=0, init=False)
    _before: int = field(default=0, init=False, repr=False)
    _one_run: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def author(self) -> str:
        """Under which name it is recorded."""
        return f"{AGENT}{self.name}"

    def _look(self, look: Callable[[Tree], Shown | str], details: bool = True) -> Answer:
        with self.open_tree() as tree:
            return Answer.of(look(tree), details)

    def tree(self) -> Answer:
        """The refinement tree: every round with its best observed value, how far it is, and what led to it."""
        return self._look(lambda tree: tree, details=False)

    def round(self, round_id: str) -> Answer:
        """One round: its space with every level, progress, best trial, decisions and suggestions."""
        return self._look(lambda tree: tree[round_id], details=False)

    def analysis(self, round_id: str) -> Answer:
        """What the round's trials teach about every parameter: effects with intervals, q-values, where the good trials lie."""
        return self._look(lambda tree: tree[round_id].analyze())

    def proposal(self, round_id: str, risk: float = 0.05) -> Answer:
        """The narrowed space that is proposed at a risk, with the reason for every change and the claim."""
        return self._look(lambda tree: tree[round_id].propose(risk, keep=False))

    def menu(self, round_id: str) -> Answer:
        """What more or less risk would buy: proposals by risk, beside each other."""
        return self._look(lambda tree: tree[round_id].propose(keep=False).options(), details=False)

    def checks(self, round_id: str) -> Answer:
        """Questions to ask before deciding, each with a verdict, its number and what to do."""
        with self.open_tree() as tree:
            found = tree[round_id].propose(keep=False).checks()
            page = checks_page(found, lambda action: in_tools(action) or "ask the person")
            return Answer.of(found, True, page=page)

    def winner(self) -> Answer:
        """The configuration to hand over by posterior mean, beside the baseline, with what to expect when it is trained again."""
        none = "no trial has finished that may be called best"
        return self._look(lambda tree: tree.winner() or none, details=False)

    def calibration(self) -> Answer:
        """How claims, edits and suggestions turned out, by author."""
        return self._look(lambda tree: tree.calibration())

    def rehearse(self, round_id: str, rounds: int = 4, trials: int | None = None) -> Answer:
        """What a plan of rounds, of so many trials each, would bring: simulated, beside others of the same cost."""
        return self._look(lambda tree: tree[round_id].propose(keep=False).rehearse(rounds, trials))

    def state(self, round_id: str) -> Answer:
        """All that the optimizer knows at a round, as data.

        The likeliest winners with means, intervals and runs; the noise; of every parameter its effect and finding; the box now and
        as proposed, with its claim; what of the budget is left, and how many trials may still be of your choice.
        """
        with self.open_tree() as tree:
            review, winner = tree[round_id].propose(keep=False), tree[round_id].recommend()
            known, proposed = review.analysis.to_dict(), review.proposal.to_json()
            parameters = [{n: e[n] for n in ("name", "effect", "q", "finding")} for e in known["parameters"]]
            candidates = [] if winner is None else winner.to_dict()["candidates"]
            said = {"metric": known["metric"], "direction": known["direction"], "states": known["states"]}
            said |= {"noise": known["noise"], "parameters": parameters, "candidates": candidates}
            said |= {"box": proposed["old"], "proposed": proposed["space"], "claim": proposed["claim"]}
            said |= {"trials_left": self.budget - self.ran, "choices_left": self._choices_left}
            return Answer.of(json.dumps(said), **said)

    def preview(self, round_id: str, edits: dict[str, Any], n: int | None = None) -> Answer:
        """What a decision would mean: best trials kept, volume, the claim for these bounds, the size of the next round.

        ``edits`` are parameters by name: ``[low, high]`` for a range, a list of the choices that stay for a choice, one value to fix it.
        """
        return self._look(lambda tree: _edited(tree[round_id], edits).preview(n=n))

    def judge(self, a: Named = None, b: Named = None, seeds: int = 0) -> Answer:
        """Whether one configuration is better than another: KEEP, CONFIRM or DISCARD, with its evidence and what would decide.

        ``a`` and ``b`` are values by name, or text: the id of a round (its best expected), ``winner``, ``best`` or
        ``baseline``. Left out they are the winner, and the baseline or the best of earlier rounds. ``seeds`` runs both under
        new seeds until it is decided, at most so many runs, which count against the budget.
        """
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 0:
            raise ReviewError(f"seeds must be a whole number >= 0, got {seeds!r}")
        with self.open_tree() as tree:
            if not seeds:
                return Answer.of(tree.judge(a, b), details=True)
            with self._running(seeds, "run"):
                judged = tree.judge(a, b)
                known = len(judged.a.fresh) + len(judged.b.fresh)
                judged = tree.judge(a, b, budget=known + seeds, **self._options(tree[judged.a.round]))
                return Answer.of(judged, True, f"{self._spent('run', ' under new seeds')}\n\n")

    def suggest(self, round_id: str, edits: dict[str, Any], reason: str) -> Answer:
        """Stores a suggestion for the person who decides: bounds with a reason, beside what is proposed. It changes no round.

        ``edits`` as in ``preview``; parameters that are left out stay as proposed.
        """
        with self.open_tree() as tree:
            review = _edited(tree[round_id], edits)
            known = {d.digest for d in review.round.decisions}
            decision = review.suggest(reason, author=self.author)
            if decision.digest in known:
                return Answer.of(
                    f"{self.author} suggested just that before, on round {tree[round_id].id}; its first reason stays."
                )
            own = "-" if decision.probability is None else probability(decision.probability)
            return Answer.of(
                f"stored as a suggestion of {self.author} on round {tree[round_id].id}; a person decides.\n"
                f"suggested: keeps {percent(review.volume_kept)} of the space, probability {own}.\n"
                f"proposed: {claim_sentence(review.proposal)}",
                suggested=decision.to_json(),
            )

    @property
    def _choices_left(self) -> int:
        return int(self.share * self.budget + 1e-9) - self.chosen

    def create_round(
        self,
        round_id: str,
        trials: int,
        configurations: list[dict[str, Any]] | None = None,
        design: str | None = None,
        note: str = "",
    ) -> Answer:
        """Makes a child of a round, on the same space; ``run`` runs it.

        ``configurations`` are yours, values by name, and run first; the design draws the others: ``sobol``, or by results ``tpe``,
        ``gp`` or ``cmaes``. Yours are at most a share of the round's trials, and of all that you may run.
        """
        mine = configurations or []
        with self._one_run, self.open_tree() as tree:
            may = min(int(self.share * trials + 1e-9), self._choices_left) if self.budget else -1
            if len(mine) > may:
                raise ReviewError(
                    f"of {plural(trials, 'trial')} at most {max(may, 0)} may be of your choice, {percent(self.share)} of a round and of the budget of "
                    f"{self.budget}, got {len(mine)}; leave the others to the design, or ask the person: refine mcp STORE --budget N --share S"
                )
            at, who = tree[round_id], self.author
            child = at.branch(at.space, given=mine, n=trials, design=design, note=note, author=who)
            self.chosen += len(mine)
            return Answer.of(child)

    def run(self, round_id: str, trials: int) -> Answer:
        """Runs more of a round's planned trials, as many as the budget still allows."""
        if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
            raise ReviewError(f"trials must be a whole number >= 1, got {trials!r}")
        with self.open_tree() as tree, self._running(trials, "trial"):
            round_ = tree[round_id]
            round_.run(trials=trials, **self._options(round_))
            return Answer.of(round_, True, f"{self._spent('trial')}\n\n")

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

    def accept(self, round_id: str, edits: dict[str, Any], note: str, n: int | None = None) -> Answer:
        """Decides: accepts the proposal with edits and creates the next round. Refused unless the person allowed it."""
        if not self.may_accept:
            raise ReviewError(
                "accepting stays with a person: suggest it with a reason instead. Whoever started this server may allow it with "
                "--may-accept"
            )
        with self.open_tree() as tree:
            child = _edited(tree[round_id], edits).accept(note, n=n, author=self.author)
            return Answer.of(child)


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
