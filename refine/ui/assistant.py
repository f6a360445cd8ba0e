"""Calls of an assistant on a tree: look, suggest, run trials within a budget; a person accepts."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.proposal.proposal import proposal_to_json
from refine.report.pages.checks import checks_page
from refine.report.pages.proposal import claim_sentence
from refine.review.review import budget_of
from refine.review.round_spec import Plan, with_plan
from refine.run.machine import DEFAULT, Machine
from refine.space.edits import bounds_text
from refine.space.parameters import Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Page, Shown, respelled, to_text
from refine.utils.format import join, percent, plural

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.space.space import Space
    from refine.tree.round import Round
    from refine.tree.tree import Tree
    from refine.trials.trial import FinishedTrial

# A configuration as JSON: values by name, or a text such as "winner".
Named = str | dict[str, Any] | None

# Prefix of the author of an assistant's suggestions and decisions.
AGENT = "agent:"

# Bytes of a text without details; the marks around it take the rest of 4 kB.
LIMIT = 3900

# A call in Python -> the tool that makes it.
_TOOLS = {
    "tree": "tree",
    "tree.winner": "winner",
    "tree.judge": "judge",
    "tree.confirm": "judge",
    "tree.ask": "ask",
    "round.run": "run",
    "round.add": "add",
    "child.run": "run",
    "round.failures": "round",
    "round.analyze": "analysis",
    "round.checks": "checks",
    "round.propose": "proposal",
    "round.branch": "create_round",
    "review.options": "menu",
    "review.edit": "preview",
    "review.accept": "accept",
}
# A keyword in Python -> the argument of the tool.
_ARGUMENTS = {
    "n": "trials",
    "budget": "seeds",
    "risk": "risk",
    "note": "note",
    "exploit": "exploit",
    "audit": "audit",
    "given": "configurations",
    "repeat": "repeat",
    "settle": "settle",
}


def in_tools(action: Action) -> str:
    """An action as a tool with arguments: ``tool run with trials 20``; empty without such a tool."""
    name = re.sub(r"^tree\['\w+'\]", "round", action.name)
    tool = _TOOLS.get(name, "")
    if not tool:
        return ""
    words = []
    if name == "tree.judge" and len(action.arguments) > 1:
        words = ["a and b"]
    if name == "tree.ask" and action.arguments and action.arguments[0] is not ...:
        words = [f"question {json.dumps(action.arguments[0])}"]
    if name == "review.edit":
        edits = next((a for a in action.arguments if isinstance(a, Mapping)), action.options)
        words.append(f"edits {_edits_text(edits)}" if edits else "edits")
    for option, value in action.options.items():
        if option not in _ARGUMENTS or name == "review.edit":
            continue
        if option == "given":
            words.append(f"configurations [{', '.join(map(_edits_text, value))}]")
        elif value is ... or isinstance(value, Symbol):
            words.append(_ARGUMENTS[option])
        else:
            words.append(f"{_ARGUMENTS[option]} {value}")
    if words:
        return f"tool {tool} with {join(words)}"
    return f"tool {tool}"


def _edits_text(edits: Mapping[str, object]) -> str:
    """Edits as JSON; values unknown to JSON in Python's spelling."""
    pairs = []
    for name, value in edits.items():
        if isinstance(value, tuple):
            text = f"[{', '.join(map(str, value))}]"
        elif isinstance(value, Symbol) or value is ...:
            text = str(value)
        else:
            text = json.dumps(value, default=str)
        pairs.append(f"{json.dumps(str(name))}: {text}")
    return f"{{{', '.join(pairs)}}}"


class Answer(str):
    """A text to read, with its data if details are asked for."""

    __slots__ = ("data",)
    data: dict[str, Any]

    @classmethod
    def of(
        cls,
        value: Shown | str,
        details: bool = False,
        *,
        lead: str = "",
        page: Page | None = None,
        glance: bool = False,
        **data: object,
    ) -> Answer:
        """The answer that shows a result.

        Args:
            value: The result, or a text.
            details: Whether to show every number and to add the result as data. Without details a text takes
                at most :data:`LIMIT` bytes: the summary with the reasons if they fit, else the summary, cut
                at a line.
            lead: Text before the page.
            page: Page in place of the result's own.
            glance: Whether the summary is enough without details.
            data: More data.
        """
        if not isinstance(value, Shown):
            answer = cls(lead + value)
            answer.data = data
            return answer
        page = page or value._page()
        if details:
            answer = cls(lead + _page_text(page.details))
            answer.data = {**data, **value.to_dict()}
            del answer.data["page"]
            return answer
        with_reasons = replace(page, folds=tuple(fold for fold in page.folds if fold.why)).details
        text = _page_text(page if glance else with_reasons)
        if _size(lead + text) > LIMIT:
            text = _page_text(page)
        answer = cls(lead + _cut(text, LIMIT - _size(lead)))
        answer.data = {}
        return answer


def _page_text(page: Page) -> str:
    """A page as text, with tools in place of Python's calls."""
    calls = tuple(filter(None, respelled(page.calls, in_tools)))
    return to_text(replace(page, blocks=respelled(page.blocks, in_tools), calls=calls, folds=()))


def _size(text: str) -> int:
    return len(text.encode())


def _cut(text: str, room: int) -> str:
    """The first lines of a text that fit into ``room`` bytes, and the number of omitted lines."""
    if _size(text) <= room:
        return text
    lines = text.splitlines()
    ends = accumulate(_size(line) + 1 for line in lines)
    fit = sum(end <= room - 80 for end in ends)  # 80 bytes for the last line
    return "\n".join([*lines[:fit], f"... {len(lines) - fit} more lines; call again with details=true"])


@dataclass
class Assistant:
    """Calls of one assistant on one tree. A call returns a text, and data if ``details`` is true.

    Args:
        open_tree: Opens the tree, anew for each call: people and assistants work on one store.
        name: Name of the assistant; the author of its decisions is ``agent:<name>``.
        budget: Largest number of trials that the assistant may run, over all rounds.
        may_accept: Whether the assistant may decide.
        share: Largest share of the budget, and of a round, for configurations of the assistant's choice; a
            design draws the other ones.
        objective_of: Options of :meth:`refine.Round.run` that name the objective of a round.
        machine: The machine for its trials.
    """

    open_tree: Callable[[], Tree]
    name: str = "assistant"
    budget: int = 0
    may_accept: bool = False
    share: float = 0.3
    objective_of: Callable[[Round], Mapping[str, Any]] = lambda _: {}
    machine: Machine = DEFAULT
    ran: int = field(default=0, init=False)
    chosen: int = field(default=0, init=False)
    _before: int = field(default=0, init=False, repr=False)
    _one_run: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def author(self) -> str:
        """The author of its suggestions and decisions."""
        return f"{AGENT}{self.name}"

    def _shown(self, read: Callable[[Tree], Shown | str], details: bool, glance: bool = False) -> Answer:
        with self.open_tree() as tree:
            return Answer.of(read(tree), details, glance=glance)

    def tree(self, details: bool = False) -> Answer:
        """Show the tree of rounds: progress, best observed value and decisions of each round."""
        return self._shown(lambda tree: tree, details, glance=True)

    def round(self, round_id: str = "last", details: bool = False) -> Answer:
        """Show one round: space with all levels, progress, best trial, decisions and suggestions."""
        return self._shown(lambda tree: tree[round_id], details, glance=True)

    def analysis(self, round_id: str = "last", details: bool = False) -> Answer:
        """Show the evidence on the parameters: effects with intervals, q-values, place of the top trials."""
        return self._shown(lambda tree: tree[round_id].analyze(), details)

    def proposal(
        self, round_id: str = "last", risk: float = 0.05, renew: bool = False, details: bool = False
    ) -> Answer:
        """Show the proposed space at a risk, with the reason for every change and the claim.

        ``renew`` proposes on all finished trials, in spite of an earlier decision.
        """
        return self._shown(lambda tree: tree[round_id].propose(risk, keep=False, renew=renew), details)

    def menu(self, round_id: str = "last", details: bool = False) -> Answer:
        """Compare the proposals of more and less risk."""
        return self._shown(lambda tree: tree[round_id].propose(keep=False).options(), details, glance=True)

    def checks(self, round_id: str = "last", details: bool = False) -> Answer:
        """Show the checks before a decision with verdicts, numbers and remedies."""
        with self.open_tree() as tree:
            checks = tree[round_id].propose(keep=False).checks()
            page = checks_page(checks, lambda action: in_tools(action) or "ask the person")
            return Answer.of(checks, details, page=page)

    def ask(
        self,
        question: str,
        given: str | None = None,
        better: str | None = None,
        epsilon: float | None = None,
        guess: float | None = None,
        details: bool = False,
    ) -> Answer:
        """Answer a question about a part of the space: is the best value inside as good as the best anywhere?

        ``question`` is an expression: ``num_layers <= 2``, ``model == 'svr'``. ``given`` compares only
        configurations within a condition. ``better`` is a second region: does the asked region hold the
        better best? ``epsilon`` is the tolerance. ``guess`` is your own chance of a yes, scored by later
        trials next to the answer (calibration).
        """
        options: dict[str, Any] = {"given": given, "better": better, "epsilon": epsilon, "guess": guess}
        options["author"] = self.author
        return self._shown(lambda tree: tree.ask(question, **options), details, glance=True)

    def questions(self, details: bool = False) -> Answer:
        """Show the asked questions with answers over time, and up to three questions worth asking."""
        return self._shown(lambda tree: tree.ask(), details, glance=True)

    def winner(self, details: bool = False) -> Answer:
        """Show the configuration with the best posterior mean and its expected value when retrained.

        The baseline stands next to it.
        """
        no_winner = "no finished trial may be called best yet"
        return self._shown(lambda tree: tree.winner() or no_winner, details, glance=True)

    def calibration(self, details: bool = False) -> Answer:
        """Show how earlier claims, edits and suggestions turned out, by author."""
        return self._shown(lambda tree: tree.calibration(), details)

    def state(self, round_id: str = "last", details: bool = False) -> Answer:
        """Return the state of the optimizer as JSON.

        It holds the likeliest winners with expected values and intervals, the noise, the effect and verdict
        of every parameter, the present and the proposed space with the claim, and the rest of the budget.
        """
        with self.open_tree() as tree:
            review = tree[round_id].propose(keep=False)
            winner = tree[round_id]._recommend()
            candidates = []
            if winner is not None:
                candidates = winner.to_dict()["candidates"]
            remaining = {"trials_left": self.budget - self.ran, "choices_left": self._choices_left}
            study_left = budget_of(review).left
            if study_left is not None:
                remaining["trials_left"] = min(remaining["trials_left"], study_left)
            if not details:
                return Answer.of(_short_state(review, candidates, remaining))
            evidence = review.proposal.analysis.to_dict()
            proposed = proposal_to_json(review.proposal)
            state = {name: evidence[name] for name in ("metric", "direction", "states", "noise")}
            state["parameters"] = [
                {name: e[name] for name in ("name", "effect", "q", "finding")} for e in evidence["parameters"]
            ]
            state["candidates"] = candidates
            state |= {"box": proposed["old"], "proposed": proposed["space"], "claim": proposed["claim"]}
            state |= remaining
            return Answer.of(json.dumps(state), **state)

    def preview(
        self,
        round_id: str = "last",
        edits: dict[str, Any] | None = None,
        trials: int | None = None,
        details: bool = False,
    ) -> Answer:
        """Show the consequences of accepting with edits: top trials kept, volume, claim, size of next round.

        ``edits`` are values by parameter: ``[low, high]`` for a range, a list of choices to keep, or one
        value to fix it.
        """
        return self._shown(lambda tree: _edited(tree[round_id], edits or {}).preview(n=trials), details)

    def judge(self, a: Named = None, b: Named = None, seeds: int = 0, details: bool = False) -> Answer:
        """Compare two configurations: KEEP, CONFIRM or DISCARD, with evidence and the runs that would decide.

        ``a`` and ``b`` are values by name, or a text: the id of a round (its best by posterior mean),
        ``winner``, ``best`` or ``baseline``. By default the winner is compared with the baseline, or else
        with the best of earlier rounds. ``seeds`` repeats both under new seeds until one wins: at most so
        many runs, which count against the budget.
        """
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 0:
            raise ReviewError(f"seeds must be a whole number >= 0, got {seeds!r}; write seeds=20")
        with self.open_tree() as tree:
            if not seeds:
                return Answer.of(tree.judge(a, b), details)
            with self._running(seeds, "run"):
                judgement = tree.judge(a, b)
                existing = len(judgement.a.replicates) + len(judgement.b.replicates)
                options = self._options(tree[judgement.a.round])
                judgement = tree.judge(a, b, budget=existing + seeds, **options)
                return Answer.of(judgement, details, lead=self._spent("run", "under new seeds"))

    def suggest(self, round_id: str, edits: dict[str, Any], reason: str) -> Answer:
        """Store a suggestion for the person who decides: bounds with a reason. No round changes.

        ``edits`` as in ``preview``; a parameter without an edit stays as proposed.
        """
        with self.open_tree() as tree:
            review = _edited(tree[round_id], edits)
            stored = {d.digest for d in review.round._decisions}
            decision = review.suggest(reason, author=self.author)
            if decision.digest in stored:
                return Answer.of(
                    f"{self.author} made this suggestion on round {tree[round_id].id} before; its first "
                    "reason is kept."
                )
            preview = review.preview()
            suggested = replace(
                review.proposal, claim=preview.claim, space=review.space, volume_kept=preview.volume_kept
            )
            return Answer.of(
                f"stored as a suggestion of {self.author} on round {tree[round_id].id}; a person decides.\n"
                f"suggested: {claim_sentence(suggested)}\n"
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
        details: bool = False,
    ) -> Answer:
        """Create a child of a round on the same space; ``run`` runs it.

        ``configurations`` are yours, values by name, and run first. The design draws the others: ``sobol``,
        or by results ``tpe``, ``gp`` or ``cmaes``. Yours are at most a share of the round, and of the budget.
        """
        chosen = configurations or []
        with self._one_run, self.open_tree() as tree:
            allowed = -1
            if self.budget:
                allowed = min(int(self.share * trials + 1e-9), self._choices_left)
            self._check_choices(len(chosen), allowed, f"of {plural(trials, 'trial')} ")
            parent = tree[round_id]
            child = parent.branch(
                parent.space, given=chosen, n=trials, note=note, author=self.author, plan=Plan(design=design)
            )
            self.chosen += len(chosen)
            return Answer.of(child, details, glance=True, lead=f"created round {child.id}\n\n")

    def run(self, round_id: str, trials: int, details: bool = False) -> Answer:
        """Run the next trials of a round's plan, within the budget."""
        with self._paying(trials) as tree:
            round_ = tree[round_id]
            round_.run(trials=trials, **self._options(round_))
            return Answer.of(round_, details, lead=self._spent("trial"))

    def add(
        self,
        round_id: str,
        trials: int | None = None,
        exploit: float | None = None,
        configurations: list[dict[str, Any]] | None = None,
        repeat: int | None = None,
        settle: str | None = None,
        details: bool = False,
    ) -> Answer:
        """Plan more trials of one kind in a round, without a child, for ``run``.

        ``trials`` continues the design; ``exploit`` is the share chosen by the model. ``configurations`` are
        values by name, of your choice, at most a share of the budget. ``repeat`` is the number of best
        configurations to repeat under three new seeds. ``settle`` is a question as in ``ask``, for trials
        near the bests of both sides.
        """
        yours = configurations or []
        with self._one_run, self.open_tree() as tree:
            round_ = tree[round_id]
            self._check_left(max(trials or 0, len(yours), 3 * (repeat or 0)), "trial")
            if yours:
                self._check_choices(len(yours), self._choices_left)
            before = round_.n
            round_.add(trials, exploit=exploit, given=yours, repeat=repeat, settle=settle)
            if yours:
                self.chosen += round_.n - before
            lead = "planned; the tool run runs them\n\n"
            if yours and round_.n - before < len(yours):
                ended = plural(len(yours) - (round_.n - before), "configuration")
                lead = f"{ended} ran already and are not planned again: repeat repeats the best. {lead}"
            return Answer.of(round_, details, glance=True, lead=lead)

    def _check_choices(self, count: int, allowed: int, share_of: str = "") -> None:
        """Raises ReviewError if too many configurations are of the assistant's choice."""
        if count > allowed:
            raise ReviewError(
                f"{share_of}at most {max(allowed, 0)} may be of your choice ({percent(self.share)} of a "
                f"round, and of the budget of {self.budget}), got {count}; leave the others to the design, "
                "or ask the person: refine mcp STORE --budget N --share S"
            )

    def _check_left(self, count: int, noun: str) -> None:
        """Raises ReviewError if a number of trials is more than the assistant's budget has left."""
        remaining = self.budget - self.ran
        if count > remaining:
            raise ReviewError(
                f"{plural(count, noun)} {'is' if count == 1 else 'are'} more than the {remaining} left "
                f"of a budget of {self.budget}; ask for fewer, or ask the person for a larger one: "
                "refine mcp STORE --budget N"
            )

    @contextlib.contextmanager
    def _running(self, count: int, noun: str) -> Iterator[None]:
        """Reserves the budget for one call at a time; trials print to stderr: the protocol owns stdout."""
        with self._one_run:
            self._check_left(count, noun)
            self._before = self.ran
            with contextlib.redirect_stdout(sys.stderr):
                yield

    @contextlib.contextmanager
    def _paying(self, trials: object) -> Iterator[Tree]:
        """The tree while a call may run so many trials, a whole number."""
        if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
            raise ReviewError(f"trials must be a whole number >= 1, got {trials!r}; write trials=20")
        with self.open_tree() as tree, self._running(trials, "trial"):
            yield tree

    def _options(self, round_: Round) -> dict[str, Any]:
        machine = replace(self.machine, progress=False, on_trial=self._count)
        return {**self.objective_of(round_), "machine": machine}

    def _count(self, _: FinishedTrial) -> None:
        """Counts a stored trial at once, failed or not: a call refused half-way has used budget."""
        self.ran += 1

    def _spent(self, noun: str, verb: str = "ran") -> str:
        """The paragraph before an answer: trials that the call ran, and the rest of the budget."""
        ended = plural(self.ran - self._before, noun)
        return f"{ended} {verb}; {self.budget - self.ran} left of the budget.\n\n"

    def accept(
        self,
        round_id: str,
        edits: dict[str, Any] | None = None,
        note: str = "",
        trials: int | None = None,
        exploit: float | None = None,
        audit: float | None = None,
        details: bool = False,
    ) -> Answer:
        """Accept the proposal with edits and create the next round. Refused unless the person allowed it.

        ``trials``, ``exploit`` and ``audit`` default to the advised size and shares.
        """
        if not self.may_accept:
            raise ReviewError(
                "accepting stays with a person; suggest it with a reason instead, or ask the person to allow "
                "it: refine mcp STORE --may-accept"
            )
        typed: dict[str, Any] = {"n": trials, "exploit": exploit, "audit": audit}
        options = {name: value for name, value in typed.items() if value is not None}
        with self.open_tree() as tree:
            child = _edited(tree[round_id], edits or {}).accept(
                note, author=self.author, **with_plan(options)
            )
            return Answer.of(child, details, glance=True, lead=f"created round {child.id}\n\n")


def _short_state(review: Review[Round], candidates: list[dict[str, Any]], remaining: dict[str, int]) -> str:
    """The state as JSON of at most :data:`LIMIT` bytes: lists are shortened until it fits, longest first."""
    analysis = review.proposal.analysis
    proposal = review.proposal
    proposed = proposal_to_json(proposal)
    state: dict[str, Any] = {
        "metric": analysis.metric,
        "direction": analysis.direction,
        "states": analysis.states,
        "noise": {"sd": analysis.to_dict()["noise"]["sd"]},
        "claim": {name: proposed["claim"][name] for name in ("probability", "epsilon")},
        **remaining,
        "candidates": [
            {name: c[name] for name in ("configuration", "observed", "expected", "low", "high")}
            for c in candidates[:3]
        ],
        "parameters": [
            {"name": e.name, "verdict": analysis.findings[e.name].verdict, "q": float(f"{e.q:.2g}")}
            for e in analysis.ranked
        ],
        "box": _bounds(proposal.old),
        "proposed": _bounds(proposal.space),
    }
    left_out = dict[str, int]()
    while _size(text := json.dumps({**state, "left_out": left_out})) > LIMIT:
        sizes = {
            name: _size(json.dumps(value)) for name, value in state.items() if isinstance(value, (list, dict))
        }
        longest = max(sizes, key=lambda name: sizes[name])
        if not state[longest]:
            break
        if isinstance(state[longest], list):
            state[longest].pop()
        else:
            state[longest].pop(next(reversed(state[longest])))
        left_out[longest] = left_out.get(longest, 0) + 1
    return text


def _bounds(space: Space) -> dict[str, str]:
    return {name: bounds_text(parameter) for name, parameter in space.items()}


def _edited(round_: Round, edits: Mapping[str, Any]) -> Review[Round]:
    """The proposal on a round with edits as JSON writes them."""
    review = round_.propose(keep=False)
    typed = dict(edits)
    for name, value in edits.items():
        if isinstance(value, list) and isinstance(round_.space.get(name), Range):
            typed[name] = tuple(value)
    return review.edit(typed)
