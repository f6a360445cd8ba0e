"""A proposal together with its round, and the person's edits and decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Self

from refine.analysis.winner import RetrainedValues
from refine.design.samplers import design_of
from refine.design.space_filling import DESIGNS, feasible, how_many
from refine.errors import AnalysisError, DesignError, ReviewError, did_you_mean
from refine.proposal.alternatives import left_to_run
from refine.proposal.options import Options, options_of
from refine.proposal.preview import Preview, preview_of
from refine.proposal.proposal import Proposal, claim_for, proposal_to_json, volume_of
from refine.review.checks import Checks
from refine.review.decision import (
    Decision,
    Edits,
    Suggestion,
    check_author,
    check_note,
    decided_space,
    suggestions_beside,
)
from refine.review.next_step import DECIDED, NextRound, NextStep, advised_round, next_step_of
from refine.review.round_spec import Plan, RoundSpec, plan_of
from refine.review.worth import CONFIRM, STOP, Worth, worth_of
from refine.space.categorical import Categorical
from refine.space.edits import new_choices
from refine.space.fidelity import full_trainings
from refine.space.space import Space
from refine.space.user_configurations import given_configurations
from refine.trials.budget import BudgetState
from refine.utils.action import Action, Symbol
from refine.utils.display import Shown
from refine.utils.format import plural
from refine.utils.keywords import helped_methods
from refine.utils.numbers import is_real, is_whole
from refine.utils.plain import plain
from refine.utils.provided import provided
from refine.utils.types import JsonObject
from refine.utils.warning import warn

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", bound=Any, default=Any)  # the type of a round, defined in the tree package
else:
    from typing import TypeVar

    R = TypeVar("R")


@helped_methods
@dataclass(frozen=True, eq=False, repr=False)
class Review(Shown, Generic[R]):
    """A proposal under review. ``edit`` and ``reject`` return a new review.

    ``accept`` and ``decline`` decide.

    Examples:
        >>> review = root.propose()
        >>> review.space["lr"].high, round(review.proposal.volume_kept, 2)
        (2.0, 0.04)
    """

    round: R  # the round of the proposal
    proposal: Proposal  # the proposal as made; :meth:`preview` has the effects of edits
    _typed: Mapping[str, Any] = field(default_factory=dict)  # the person's edits by parameter
    _rejected: tuple[str, ...] = ()  # parameters whose change the person rejected
    # expected values when retrained, once they are read; shared by all edits
    _read: list[RetrainedValues | None] = field(default_factory=list)

    def edit(self, edits: Mapping[str, object] | int | None = None, /, **named: object) -> Self:
        """Sets bounds, choices or values of parameters; returns a new review.

        Args:
            edits: For names that are not Python identifiers. Or the number of a suggestion, counted from 1:
                its bounds replace your edits.
            named: Name -> ``(low, high)`` (keeps the spacing), ``(low, high, levels)``, a list of choices, or
                a fixed value. Bounds beyond the present ones widen. A choice that no round of the tree had
                warns; ``refine.Categorical([...])`` declares new choices without a warning.

        Raises:
            ReviewError: An unknown name or number, or a broken notation.

        Examples:
            >>> review.edit(dropout=(0, 0.2)).space["dropout"].grid
            (0.0, 0.03, 0.07, 0.1, 0.13, 0.17, 0.2)
        """
        if is_whole(edits):
            suggested = self._suggested(edits)
            return suggested.edit(named) if named else suggested
        if edits is not None and not isinstance(edits, Mapping):
            raise ReviewError(f"edit takes parameters by name, edit(dropout=(0, 0.2)), got {edits!r}")
        changed = {**(edits or {}), **named}
        # The latest edit or rejection of a parameter counts.
        review = self._with({**self._typed, **changed}, tuple(n for n in self._rejected if n not in changed))
        review._warn_of_new_choices(changed)
        return review

    def _warn_of_new_choices(self, edits: Mapping[str, object]) -> None:
        """Warns about each choice that no round of the tree had: the choice may be misspelled."""
        for name in edits:
            for choice in new_choices(self.proposal.old[name], edits[name], self.space[name]):
                choices = self._known_choices(name)
                if choice not in choices:
                    hint = did_you_mean(choice, choices)
                    warn(f"{name}: {choice!r} is a new choice, which no round has run; {hint}")

    def _known_choices(self, name: str) -> tuple[str, ...]:
        """Labels of the choices of a parameter in all spaces of the tree."""
        spaces = [stored.node.space for stored in self.round._context.nodes.values()]
        parameters = [space[name] for space in spaces if name in space]
        labels = [
            label for choices in parameters if isinstance(choices, Categorical) for label in choices.labels
        ]
        return tuple(dict.fromkeys(labels))

    def _suggested(self, number: int) -> Self:
        """The same review with the bounds of a suggestion as its only edits."""
        suggestions = suggestions_of(self)
        if not 1 <= number <= len(suggestions):
            count = plural(len(suggestions), "suggestion")
            raise ReviewError(
                f"round {self.round.id}: has {count}, and none of number {number}; "
                "suggestions are counted from 1 on"
            )
        suggestion = suggestions[number - 1]
        edited_review = self._with({name: new for name, (_, new) in suggestion.differs.items()}, ())
        if not edited_review._decided[1].relaxed:
            return edited_review
        names = [c.name for c in self.proposal.changes if c.name in suggestion.space]
        return self._with({name: suggestion.space[name] for name in names}, ())

    def reject(self, *names: str) -> Self:
        """Rejects changes: the named parameters stay as they are now.

        Raises:
            ReviewError: An unknown name, or no name.

        Examples:
            >>> review.reject("lr").space["lr"] == root.space["lr"]
            True
        """
        if not names:
            raise ReviewError(
                "reject takes the names of parameters; to turn everything down", Action("review.decline")
            )
        if not all(isinstance(name, str) for name in names):
            raise ReviewError(f"reject takes names as text, reject('lr', 'dropout'), got {names!r}")
        edits = {n: v for n, v in self._typed.items() if n not in names}
        return self._with(edits, tuple(sorted({*self._rejected, *names})))

    def _data(self) -> JsonObject:
        """The review's numbers; the round without the open store and functions behind it."""
        return {
            "round": {**self.round._data(), "node": plain(self.round._node)},
            "proposal": proposal_to_json(self.proposal),
            "analysis": plain(self.proposal.analysis),
            "edits": plain(self._typed),
            "rejected": plain(self._rejected),
        }

    @cached_property
    def _decided(self) -> tuple[Space, Edits]:
        return decided_space(self.proposal, self._typed, self._rejected)

    def _with(self, edits: Mapping[str, object], rejected: tuple[str, ...]) -> Self:
        changed = replace(self, _typed=dict(edits), _rejected=rejected)
        _ = changed.space  # an impossible edit is refused here
        return changed

    @property
    def _retrained(self) -> RetrainedValues | None:
        """Expected values of the configurations run so far, as winners state them."""
        if not self._read:
            self._read.append(self.round._retrained())
        return self._read[0]

    def options(self) -> Options:
        """The proposals at risks of 1, 5, 15 and 30 %: the levels dropped and kept, all by one posterior.

        :meth:`at` picks one.

        Examples:
            >>> [(row.risk, row.up_to, row.top_kept) for row in review.options().rows]
            [(0.05, 0.05, 3), (0.15, 0.3, 2)]
        """
        return options_of(self.proposal, self.round._node.allow_degenerate)

    @property
    def space(self) -> Space:
        """The space of the round that accepting now would create."""
        return self._decided[0]

    @cached_property
    def _advised(self) -> NextRound:
        return next_round(self, None, None, None)

    @cached_property
    def _worth(self) -> Worth | None:
        return outlook_of(self, self._advised, math.nan)

    @cached_property
    def _winner_is_decided(self) -> bool:
        """True if repeats have decided the winner of the tree."""
        return self.round._has_decided_winner()

    @property
    def _planned_cost(self) -> int:
        """Cost of the round's trials in full trainings; their number without a fidelity."""
        return max(1, full_trainings(self.round.space, self.round.n, self.round._node.exploit))

    def worth(
        self,
        n: int | None = None,
        *,
        exploit: float | None = None,
        audit: float | None = None,
        price: float | None = None,
    ) -> Worth:
        """Expected improvement of the winner by the next round, and the verdict CONTINUE, CONFIRM or STOP.

        Simulates the round that :meth:`accept` would create, on the space as edited, many times on the
        posterior.

        Args:
            n: Configurations of the round; default the advice.
            exploit: As in :meth:`accept`, but simulated as if all exploit trials were chosen before the
                round. In benchmarks, where the round chose them while it ran, gains were as frequent as
                simulated.
            audit: As in :class:`refine.Plan`.
            price: Cost of one trial in units of the metric: with ``price=0.0001``, a round of 30 trials pays
                if the expected gain exceeds 0.003.

        Returns:
            The verdict and its numbers.

        Raises:
            AnalysisError: The evidence does not cover the space, for example after a parameter was added.
            DesignError: ``n`` is not a whole number >= 1.
            ReviewError: A share out of range, or a price that is not a number >= 0.

        Examples:
            >>> review.worth(n=30).verdict
            'STOP'
        """
        if price is not None and not (is_real(price) and 0 <= price < math.inf):
            raise ReviewError(
                f"price must be a number >= 0, the cost of one trial in units of the metric, got {price!r}; "
                "for example price=0.0001"
            )
        planned = next_round(self, n, exploit, audit)
        if planned == self._advised and price is None:
            outlook = self._worth
        else:
            outlook = outlook_of(self, planned, math.nan if price is None else price)
        if outlook is None:
            raise AnalysisError(
                f"round {self.round.id}: its trials say nothing about the space of the next round; "
                "run that first",
                Action("review.accept", n=...),
            )
        return outlook

    def _no_round(self) -> ReviewError:
        """The error of a further round without a trial left, with the last step as its action."""
        budget = budget_of(self)
        refusal = f"round {self.round.id}: the budget leaves no trial for another round ({budget})"
        if budget.left and not (self.proposal.analysis.noise.deterministic or self._winner_is_decided):
            return ReviewError(f"{refusal}; raise the budget, or confirm the winner", Action("tree.confirm"))
        return ReviewError(f"{refusal}; raise the budget, or use the winner", Action("tree.winner"))

    def accept(
        self,
        note: str = "",
        *,
        n: int | None = None,
        exploit: float | None = None,
        given: Sequence[Mapping[str, object]] = (),  # language: ok, a keyword of add_round too
        author: str | None = None,
        plan: Plan | None = None,
    ) -> R:
        """Stores the decision and creates the child round, by default with the advised size.

        Args:
            note: Reason for the decision, in your words.
            n: Configurations of the child; default the advice. A larger number than the budget leaves for
                rounds warns: the trials are kept to confirm the winner.
            exploit: Share chosen by the model as results arrive; default the advice, 0.3 unless the round is
                small. Further trials are drawn evenly over the child's space. 0 by default with an adaptive
                design.
            given: Configurations that the child runs first, as in :meth:`Tree.add_round`.
            author: Author of the decision; default the user name.
            plan: Design, audit, pruner and belief of the child: see :class:`refine.Plan`.

        Returns:
            The child, not yet run. A repeated call returns the child and writes no second decision.

        Raises:
            DesignError: More configurations than exist, or than the budget of the tree has left.
            ReviewError: The note is not text, or the budget leaves no trial for another round.

        Examples:
            >>> child = review.edit(dropout=(0, 0.2)).accept("low dropout only", n=10)
            >>> child.n, tree.log()["event"].iloc[-1]
            (10, 'edited')
        """
        kind = "accepted"
        if self._decided[1].names:
            kind = "edited"
        decision = decision_on(self, kind, check_note(note), check_author(author))
        typed = plan_of(plan, exploit)
        share = typed.exploit
        if share is None and typed.design is not None and design_of(typed.design)[0] not in DESIGNS:
            share = 0.0
        size = n
        if typed.downsample is not None:
            run = feasible(self.space).count - left_to_run(self.proposal.analysis, self.space)
            size = how_many(self.space, n, typed.downsample, run)
        planned = next_round(self, size, share, typed.audit)
        if planned.n == 0:
            raise self._no_round()
        spec = RoundSpec(
            n=n,
            advised=planned.n,
            given=given_configurations(self.space, given),
            plan=replace(typed, exploit=planned.exploit, audit=planned.audit),
        )
        self.round._keep_proposal(self.proposal)
        child: R = self.round._create_child(decision, spec, self.proposal.analysis)
        if size is not None and not len(child.trials):
            noisy = not self.proposal.analysis.noise.deterministic
            budget_of(self).warn_of_reserve(planned.n, f"round {self.round.id}", noisy=noisy)
        return child

    def preview(
        self,
        edits: Mapping[str, object] | None = None,
        /,
        *,
        n: int | None = None,
        workers: int = 1,
        **named: object,
    ) -> Preview:
        """The effects of accepting, optionally with further edits; nothing is decided or written.

        Args:
            edits: As in :meth:`edit`, for names that are not Python identifiers, or are called ``n`` or
                ``workers``.
            n: Configurations of the next round; default the advice.
            workers: Number of trials that would run at a time.
            named: As in :meth:`edit`.

        Raises:
            ReviewError: An unknown name or a broken notation.
            DesignError: ``n`` or ``workers`` is not a whole number >= 1.

        Examples:
            >>> preview = review.preview(dropout=(0, 0.2), n=20)
            >>> preview.top_kept, preview.left  # of the top trials; configurations left to run
            (4, 59)
        """
        for name, value in (("n", n), ("workers", workers)):
            if value is not None and not is_whole(value):
                raise DesignError(f"{name} must be a whole number >= 1, got {value!r}")
        edited_review = self
        if edits is not None or named:
            edited_review = self.edit(edits, **named)
        n = n or edited_review._advised.n
        allow_degenerate = self.round._node.allow_degenerate
        space = edited_review.space
        preview = preview_of(
            self.proposal,
            space,
            n,
            workers,
            full_share=edited_review._advised.exploit,
            retrained=lambda: self._retrained,
            allow_degenerate=allow_degenerate,
        )
        edited = tuple(edited_review._decided[1].changed)
        old = self.proposal.old
        as_proposed = tuple(n for n in space if n in old and space[n] != old[n] and n not in edited)
        return replace(preview, edited=edited, as_proposed=as_proposed)

    def checks(self) -> Checks:
        """Questions to answer before a decision: see :meth:`Round.checks`."""
        return self.round._checks(self.proposal.analysis, self.proposal, self._worth)

    def decline(self, note: str = "", *, author: str | None = None) -> None:
        """Declines the whole proposal; the decision is stored.

        Examples:
            >>> review.decline("run more of this round first")
            >>> tree.log()["event"].iloc[-1], root.children
            ('declined', ())
        """
        decision = Decision(
            "declined",
            self.proposal.digest,
            space=None,
            edits={},
            rejected=(),
            child=None,
            author=check_author(author),
            note=check_note(note),
        )
        self.round._keep_proposal(self.proposal)
        self.round._add_decision(decision)

    def suggest(self, reason: str, *, author: str | None = None) -> Decision:
        """Stores these bounds, with a reason, as a suggestion to the person who decides.

        No child is created.

        Raises:
            ReviewError: Without a reason, or without a difference from the proposal.
        """
        if not check_note(reason).strip():
            raise ReviewError("a suggestion needs a reason for the person who decides, got none; write one")
        if self.space == self.proposal.space:
            raise ReviewError(
                "a suggestion must differ from the proposal, and this one has its bounds; edit it first",
                Action("review.edit", Symbol("name=(low, high)")),
            )
        decision = replace(decision_on(self, "suggested", reason, check_author(author)), signed=True)
        self.round._keep_proposal(self.proposal)
        self.round._add_decision(decision)
        return decision

    def show(self) -> Any:
        """The review page in a notebook, with the edits so far.

        Its ``child`` is the round created by accepting.

        In a shell the same page is ``refine review STORE ROUND``. A ReviewError says if anywidget is not
        installed.
        """
        return provided("review.show")(self)

    def plot(self, *, width: str = "text", theme: str | None = None) -> Any:
        """The figure of this decision.

        Trials, densities of good trials, and bounds, of up to 4 changed parameters.

        Args:
            width: ``"text"``, 7.2 inches, ``"column"``, 3.4, or ``"wide"``, 11.
            theme: ``"light"`` or ``"dark"``; default matplotlib's present style.

        Returns:
            (rows, columns) axes. An AnalysisError says if results chose the trials.
        """
        return provided("review.plot")(self, width, theme)


def edits_of(review: Review[Any]) -> Edits:
    """The edits and rejections of a review, and their consequences."""
    return review._decided[1]


def budget_of(review: Review[Any]) -> BudgetState:
    """The budget of the tree with the trials left, read from the store now."""
    state: BudgetState = review.round._budget
    return state


def suggestions_of(review: Review[Any]) -> tuple[Suggestion, ...]:
    """Suggestions on the round that no decision has taken over yet, with claims on this evidence."""
    return suggestions_beside(review.proposal, review.round._decisions)


def advised_round_of(review: Review[Any]) -> NextRound:
    """Size and shares of the round that :meth:`Review.accept` creates without options; edits are included."""
    return review._advised


def next_round(review: Review[Any], n: int | None, exploit: float | None, audit: float | None) -> NextRound:
    """The next round with the values set by the person, and advised values for the rest."""
    return advised_round(
        review.proposal,
        review.space,
        review._planned_cost,
        budget=budget_of(review),
        n=n,
        exploit=exploit,
        audit=audit,
    )


def next_step(review: Review[Any]) -> NextStep:
    """The next step: decide, run more of this round, or repeat the best; with reasons and cost."""
    exploit = review.round._node.exploit
    step = next_step_of(review.proposal, review._planned_cost, exploit, budget_of(review))
    if step.action.name == "tree.confirm" and review._winner_is_decided:
        return DECIDED
    return step


def advised_outlook(review: Review[Any]) -> Worth | None:
    """The outlook of the advised round; ``None`` if the evidence does not cover its space."""
    return review._worth


def outlook_of(review: Review[Any], planned: NextRound, price: float = math.nan) -> Worth | None:
    """The outlook of a round; ``None`` if the evidence does not cover its space."""
    # best value of earlier rounds outside the evidence
    best, inside = review.round._best_before()
    worth = worth_of(
        review.proposal.analysis,
        review.proposal.claim.epsilon,
        review.space,
        planned.n,
        (planned.exploit, planned.audit),
        price=price,
        budget=budget_of(review),
        before=math.nan if inside else float(best),
    )
    if worth is not None and worth.verdict == CONFIRM and review._winner_is_decided:
        return replace(worth, verdict=STOP, decided=True)
    return worth


def decision_on(review: Review[Any], kind: str, note: str, author: str) -> Decision:
    """A decision on a review as it stands, without a child."""
    space, edits = review._decided
    claim = claim_for(review.proposal, space)
    stated = not math.isnan(claim.probability)
    return Decision(
        kind=kind,
        proposal=review.proposal.digest,
        space=space,
        edits=edits.changed,
        rejected=edits.rejected,
        child=None,
        note=note,
        author=author,
        probability=claim.probability if stated else None,
        volume_kept=volume_of(review.proposal, space),
        epsilon=claim.epsilon if stated and not claim.others else None,
        followed=tuple(c.name for c in edits.relaxed),
    )
