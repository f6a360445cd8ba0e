"""The round: a node of the tree that can be run, analysed and decided upon."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.analysis.optimism import Optimism
from refine.design.samplers import design_of
from refine.errors import RefineWarning
from refine.proposal.proposal import Proposal, check_risk, propose
from refine.report.pages.round import round_page
from refine.review.decision import Decision
from refine.review.review import Review
from refine.run.steering import check_pruner
from refine.space.roles import scientific_of
from refine.space.space import Space
from refine.store.engine import check_folder
from refine.tree.apply import (
    How,
    Shares,
    add_child,
    check_author,
    check_note,
    check_previous,
    check_shares,
    loss,
    mistyped,
)
from refine.tree.round_run import RoundRun
from refine.trials.round_record import StoredDecision
from refine.utils.display import Page, Shown

if TYPE_CHECKING:
    from refine.report.plots import Plots


class Round(RoundRun, Shown):
    """A node of the refinement tree that can be run.

    Made by :meth:`Tree.add_round`, :meth:`Review.accept` and :meth:`branch`; never by hand.

    Attributes:
        home: Where it lives.
        node: Its frozen content.
        metric: Which metric is its value.
        direction: ``"maximize"`` or ``"minimize"``.
    """

    # What it teaches.

    def propose(self, risk: float = 0.05, epsilon: float | None = None, seed: int = 0) -> Review:
        """Proposes bounds for the next round and opens them for review; the proposal is stored.

        Args:
            risk: Accepted probability of losing the best value.
            epsilon: Loss that counts as none, in units of the metric; default the retraining noise.
            seed: Seed of every random draw of the analysis.
        """
        review = self.draft(risk, epsilon, seed)
        self.keep_proposal(review.proposal, again=True)
        return review

    def draft(self, risk: float, epsilon: float | None = None, seed: int = 0) -> Review:
        """What :meth:`propose` gives, but not stored: for those who look before there is anything to keep."""
        check_risk(risk, epsilon)
        analysis = self.analyze(seed=seed)
        # Audit trials of rounds on this very space count as well: they were drawn before it was narrowed to.
        outer = next((node.space for node in reversed(self.path) if node.space != self.space), None)
        proposal = propose(analysis, risk=risk, epsilon=epsilon, outer=outer)
        return Review(self, proposal, analysis)

    def keep_proposal(self, proposal: Proposal, *, again: bool = False) -> None:
        """Stores a proposal on this round, unless it is; ``again`` makes it the last one made in any case."""
        self.home.store.add_proposal(self._stored.pk, proposal.digest, proposal.dumps(), again)

    def optimism(self, seed: int = 0) -> Optimism:
        """How much of the best value is luck: of seeds, by its replicates, and of the validation examples.

        Raises:
            AnalysisError: No trial has finished that may be called best.
        """
        from refine.report.markdown.gather import optimism_here

        return optimism_here(self, seed)

    # Deciding.

    def set_roles(self, roles: Mapping[str, str] | None = None, /, **named: str) -> Round:
        """Says what the round asks about: ``set_roles(dropout="scientific")``. Children made later take it over.

        A *scientific* parameter's effect is the question; it gets an isolation plot, and narrowing it is a conclusion.
        What varies else is *nuisance*: tuned, so that scientific values are compared at their best. What has one value
        is *fixed*. Roles change no trial, no test and no proposal.

        Args:
            roles: Parameter -> role; for names that are no Python identifiers.
            named: The same by keyword. Parameters that are not named keep their role.

        Raises:
            SpaceError: An unknown name or role, or one that the parameter's levels contradict.
        """
        given = {} if roles is None else roles
        scientific_of(given, self.space)  # no mapping is refused, as in add_round
        said = {**given, **named}
        asked = set(scientific_of(said, self.space))
        self.home.store.set_scientific(self.home.tree, self.id, {n: n in asked for n in said})
        return self

    def branch(
        self,
        space: Space | Mapping[str, Any],
        *,
        note: str = "",
        previous: Mapping[str, Any] | None = None,
        n: int | None = None,
        downsample: float | None = None,
        seed: int | None = None,
        exploit: float = 0.0,
        audit: float = 0.0,
        design: Any = None,
        pruner: Any = None,
        author: str | None = None,
    ) -> Round:
        """Creates a child on any space, without regard to a proposal.

        Args:
            space: The new space; it may add or drop parameters.
            note: Why, in your words.
            previous: For added parameters the value that earlier trials had, such as ``{"l2": 0.0}``. Without it
                they are no evidence for the new space.
            n: How many configurations the child runs; without ``n`` and ``downsample`` as many as this round.
            downsample: The same as a share of what is left.
            seed: Default this round's.
            exploit: See :meth:`Review.accept`.
            audit: See :meth:`Review.accept`.
            design: See :meth:`Review.accept`.
            pruner: See :meth:`Review.accept`.
            author: Who decides; default the user name.

        Raises:
            ReviewError: ``was`` names a parameter that is not new.
            SpaceError: The space breaks a rule.
        """
        new = space if isinstance(space, Space) else Space(space)
        decision = Decision("branched", "", new, {}, (), None, check_note(note), check_author(author))
        added = check_previous({} if previous is None else previous, self.space, new)
        check_shares(exploit, audit)
        for text in mistyped(self.space, new, added):
            warnings.warn(text, RefineWarning, stacklevel=2)
        shares = Shares(exploit, audit, self.analyze()) if exploit or audit else None
        return self.child(decision, n, downsample, added, seed, shares, design=design, pruner=pruner)

    def child(
        self,
        decision: Decision,
        n: int | None,
        downsample: float | None,
        previous: Mapping[str, Any] | None = None,
        seed: int | None = None,
        shares: Shares | None = None,
        *,
        design: Any = None,
        pruner: Any = None,
    ) -> Round:
        """Creates the child that a decision leads to; call :meth:`Review.accept` or :meth:`branch`."""
        # The child takes over what this handle calls its metric, not what the store does.
        now = self._stored.node.scientific
        parent = replace(self.node, metric=self.metric, direction=self.direction, scientific=now)
        method, sampler = (None, None) if design is None else design_of(design)
        rule, tool = check_pruner(pruner, self._metric)
        node, _ = add_child(
            self.home.store,
            self.home.tree,
            parent,
            decision,
            n,
            downsample,
            previous or {},
            seed,
            shares,
            How(method, rule),
        )
        self.home.keep_tools(node, sampler, tool)
        return Round(self.home, node, self.metric, self.direction)

    def note_decision(self, decision: Decision) -> None:
        """Stores a decision that leads to no child; call :meth:`Review.decline`."""
        lost = loss(self.home.store, self._stored, decision)
        self.home.store.add_decision(StoredDecision(self._stored.pk, decision.digest, decision.dumps(), None))
        if lost:
            warnings.warn(lost, RefineWarning, stacklevel=3)

    # Showing.

    @property
    def plot(self) -> Plots:
        """Figures: ``round.plot.correlation()``, ``.density("dropout")``, ..."""
        from refine.report.plots import Plots

        return Plots(self)

    def report(
        self,
        folder: str | Path,
        *,
        proposal: Proposal | None = None,
        only_proposal: bool = False,
        html: bool = False,
    ) -> Path:
        """Writes the round as markdown with figures; the proposal and the decision once there are such.

        Args:
            folder: Created if need be; holds ``<id>.md`` and a folder of figures.
            proposal: Which proposal; default the one decided upon, else the last one stored.
            only_proposal: Whether to leave out everything but the proposal.
            html: Whether to write one self-contained HTML file instead of markdown.

        Returns:
            The file.

        Raises:
            StoreError: A file stands where the folder is to be.
        """
        from refine.report.markdown import proposal_report, round_report
        from refine.report.markdown.files import in_one_file
        from refine.report.markdown.gather import gather

        check_folder(folder)
        facts = gather(self, proposal)
        write = partial(proposal_report if only_proposal else round_report, facts)
        return in_one_file(write, folder) if html else write(folder)

    def page(self) -> Page:
        """How far it is, its best, its space, what was decided, and what to do next."""
        return round_page(self)

    def __repr__(self) -> str:
        return f"<Round {self.id} of {self.home.name}>"
