"""The round: a node of the tree that can be run, analysed and decided upon."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.analysis import Analysis, analyze
from refine.canonical import Reference, freeze
from refine.decision import Decision, decided_space
from refine.design import design_named, draw, feasible, how_many
from refine.environment import user
from refine.errors import AnalysisError, NotFound, ObjectiveError, ReviewError, SpaceError, did_you_mean
from refine.evidence import completed_keys, read_shares, replicate_groups, translate
from refine.node import Node
from refine.objective import Objective, objective_data, objective_name
from refine.proposal import Proposal, propose
from refine.review import Review
from refine.runner import run_round
from refine.space import Space
from refine.store import Store, StoredNode
from refine.trials import Metric, check_direction, table
from refine.words import plural, score

if TYPE_CHECKING:
    import pandas as pd

    from refine.plots import Plots


class Home(NamedTuple):
    """Where rounds live.

    Attributes:
        store: The database.
        tree: Row of the tree in it.
        name: Name of the tree.
    """

    store: Store
    tree: int
    name: str


@dataclass(eq=False, repr=False)
class Round:
    """A node of the refinement tree that can be run.

    Made by :meth:`Tree.add_round`, :meth:`Review.accept` and :meth:`branch`; never by hand.

    Attributes:
        home: Where it lives.
        node: Its frozen content.
        objective: What it calls; ``None`` after reopening, until one is given to :meth:`run`.
        metric: Which metric is its value.
        direction: ``"maximize"`` or ``"minimize"``.
    """

    home: Home
    node: Node
    objective: Objective | None
    metric: str
    direction: str

    # What it is.

    @property
    def id(self) -> str:
        """The short node id."""
        return self.node.id

    @property
    def space(self) -> Space:
        """What is searched."""
        return self.node.space

    @property
    def n(self) -> int:
        """How many permutations are planned."""
        return self._stored.n

    @property
    def parent(self) -> Round | None:
        """The round this one came from."""
        return None if self.node.parent is None else self._other(self.node.parent)

    @property
    def children(self) -> tuple[Round, ...]:
        """The rounds that came from this one, oldest first."""
        nodes = self.home.store.nodes(self.home.tree)
        return tuple(self._other(i) for i, s in nodes.items() if s.node.parent == self.id)

    @property
    def path(self) -> tuple[Node, ...]:
        """Nodes from the root to this one."""
        nodes = self.home.store.nodes(self.home.tree)
        path = [self.node]
        while (parent := path[-1].parent) is not None:
            path.append(nodes[parent].node)
        return tuple(reversed(path))

    @property
    def _stored(self) -> StoredNode:
        return self.home.store.nodes(self.home.tree)[self.id]

    def _other(self, node_id: str) -> Round:
        node = self.home.store.nodes(self.home.tree)[node_id].node
        return Round(self.home, node, self.objective, self.metric, self.direction)

    def cells(self, n: int | None = None) -> list[int]:
        """Numbers of the first ``n`` cells of the design; default all that are planned.

        Raises:
            DesignError: More than exist.
        """
        stored = self._stored
        count = stored.n if n is None else how_many(self.space, n, None)
        skip = self.home.store.inherited(stored.pk)
        rows = draw(design_named(self.node.method), self.space, count, self.node.design_seed, skip)
        return [self.space.number(row) for row in rows]

    # Running.

    def run(
        self,
        workers: int = 1,
        *,
        n: int | None = None,
        executor: Executor | None = None,
        threads: int = 1,
        progress: bool = True,
        rerun: str | None = None,
        objective: Objective | None = None,
    ) -> Round:
        """Runs what is left of the round; a script that is run again goes on where it was.

        Every finished trial is in the store at once. An exception of the objective becomes a ``failed`` trial,
        NaN or infinity a ``diverged`` one.

        Args:
            workers: 1 runs in this process, more on a local cluster of subprocesses.
            n: Extends the round to so many permutations.
            executor: A ``concurrent.futures`` executor to run on instead; ``workers`` says how many at a time.
            threads: Threads per trial; one by default, whatever the number of workers, or floats differ.
            progress: Whether to show a progress bar.
            rerun: A state, such as ``"failed"``: trials that ended so are run again.
            objective: What to call, for a round that was reopened from the store.

        Returns:
            This round.

        Raises:
            ObjectiveError: No objective, one of another name, or one that can't be called.
            RoundStopped: The first trials all failed in the same way.
            RoundBusy: Another process is running this round.
        """
        chosen = self._objective(objective)
        if n is not None:
            taken = len(self.home.store.inherited(self._stored.pk))
            self.home.store.add_node(self.home.tree, self.node, how_many(self.space, n, None, taken))
        run_round(
            self.home.store,
            self._stored,
            chosen,
            Metric.parse(self.metric),
            self.direction,
            workers=workers,
            executor=executor,
            threads=threads,
            progress=progress,
            rerun=rerun,
        )
        return self

    def _objective(self, given: Objective | None) -> Objective:
        chosen = given if given is not None else self.objective
        if chosen is None:
            name = self.node.objective
            raise ObjectiveError(
                f"round {self.id}: was reopened without its objective {name!r}; give it: run(objective=...)"
            )
        if given is not None:
            for what, mine, theirs in (
                ("name", self.node.objective, objective_name(given)),
                ("data", self.node.data, objective_data(given)),
            ):
                if mine != theirs:
                    raise ObjectiveError(
                        f"round {self.id}: runs the objective with {what} {mine!r}, got one with {theirs!r}; "
                        "another objective is another round: tree.add_round(...)"
                    )
            self.objective = given
        return chosen

    # What came of it.

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: parameters, ``state, value, seconds, seed, cell, origin``, metrics."""
        return self._table(Metric.parse(self.metric))

    @property
    def failures(self) -> pd.DataFrame:
        """Trials that did not complete, with their tracebacks in ``error``."""
        records = self.home.store.records([self._stored.pk])
        frame = table(self.space, records, Metric.parse(self.metric)).assign(error=records.columns["error"])
        return frame[frame["state"] != "complete"].reset_index(drop=True)

    @property
    def best(self) -> pd.Series | None:
        """The row of the best trial; ``None`` before the first has finished."""
        frame = self.trials.dropna(subset=["value"])
        if frame.empty:
            return None
        values = frame["value"]
        return frame.loc[values.idxmax() if self.direction == "maximize" else values.idxmin()]

    def _table(self, metric: Metric) -> pd.DataFrame:
        records = self.home.store.records([self._stored.pk], curves=metric.reduction != "last")
        return table(self.space, records, metric)

    def analyze(self, metric: str | None = None, direction: str | None = None, seed: int = 0) -> Analysis:
        """Measures everything this round, and earlier ones inside its space, can teach.

        Args:
            metric: Another metric than the round's own.
            direction: Another direction.
            seed: Seed of every bootstrap and permutation.

        Raises:
            AnalysisError: Fewer than 10 finished even trials, or an unknown metric.
        """
        chosen = Metric.parse(metric or self.metric)
        direction = check_direction(direction or self.direction)
        stored = self._stored
        records = self.home.store.records([stored.pk], curves=chosen.reduction != "last")
        names = dict.fromkeys(name for m in records.metrics for name in m)
        if records.metrics and chosen.name not in names:
            raise AnalysisError(f"unknown metric {chosen.name!r}; {did_you_mean(chosen.name, names)}")
        return analyze(
            self.space,
            table(self.space, records, chosen),
            direction=direction,
            seed=seed,
            metric=str(chosen),
            earlier=self._earlier(chosen),
            read=read_shares(self.space, records),
            groups=replicate_groups(records),
        )

    def _earlier(self, metric: Metric) -> pd.DataFrame | None:
        import pandas as pd

        path, frames = self.path, []
        nodes = self.home.store.nodes(self.home.tree)
        for origin, node in enumerate(path[:-1]):
            records = self.home.store.records([nodes[node.id].pk], curves=metric.reduction != "last")
            moved = translate(self.space, path, origin, records.permutations)
            if moved is not None:
                frames.append(table(self.space, records._replace(permutations=moved), metric))
        return pd.concat(frames, ignore_index=True) if frames else None

    def propose(self, risk: float = 0.05, epsilon: float | None = None, seed: int = 0) -> Review:
        """Proposes bounds for the next round and opens them for review; the proposal is stored.

        Args:
            risk: Accepted probability of losing the best value.
            epsilon: Loss that counts as none, in units of the metric; default the retraining noise.
            seed: Seed of every random draw of the analysis.
        """
        proposal = propose(self.analyze(seed=seed), risk=risk, epsilon=epsilon)
        self.home.store.add_proposal(self._stored.pk, proposal.digest, proposal.dumps())
        return Review(self, proposal)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Everything decided on this round, oldest first."""
        import json

        return tuple(Decision.from_json(json.loads(c)) for c, _ in self.home.store.decisions(self._stored.pk))

    # Deciding.

    def accept(
        self, review: Review, *, note: str, n: int | None, downsample: float | None, author: str | None
    ) -> Round:
        """Creates the child of an accepted review; call :meth:`Review.accept`."""
        space, edits = decided_space(review.proposal, review.edits, review.rejected)
        decision = Decision(
            kind="edited" if edits or review.rejected else "accepted",
            proposal=review.proposal.digest,
            space=space,
            edits=edits,
            rejected=review.rejected,
            child=None,
            note=_note(note),
            author=author or user(),
            retention=_finite(review.retention),
            kept=review.kept,
        )
        return self._child(space, decision, n, downsample, was={}, seed=self.node.seed)

    def decline(self, review: Review, *, note: str, author: str | None) -> None:
        """Stores that a proposal was turned down; call :meth:`Review.decline`."""
        digest = review.proposal.digest
        decision = Decision("declined", digest, None, {}, (), None, _note(note), author or user())
        self.home.store.add_decision(self._stored.pk, decision.digest, decision.dumps(), None)

    def branch(
        self,
        space: Space | Mapping[str, Any],
        *,
        note: str = "",
        was: Mapping[str, Any] | None = None,
        n: int | None = None,
        downsample: float | None = None,
        seed: int | None = None,
        author: str | None = None,
    ) -> Round:
        """Creates a child on any space, without regard to a proposal.

        Args:
            space: The new space; it may add or drop parameters.
            note: Why, in your words.
            was: For added parameters the value that earlier trials had, such as ``{"l2": 0.0}``. Without it
                they are no evidence for the new space.
            n: How many permutations the child runs; without ``n`` and ``downsample`` as many as this round.
            downsample: The same as a share of what is left.
            seed: Default this round's.
            author: Who decides; default the user name.

        Raises:
            ReviewError: ``was`` names a parameter that is not new.
            SpaceError: The space breaks a rule.
        """
        new = space if isinstance(space, Space) else Space(space)
        for name, value in (was or {}).items():
            if name not in new or name in self.space:
                added = [a for a in new if a not in self.space]
                raise ReviewError(
                    f"was: {name!r} must be a parameter that this branch adds; {did_you_mean(name, added)}"
                )
            try:
                freeze(value)
            except SpaceError as error:
                raise ReviewError(f"was: {name}: {error}") from None
        decision = Decision("branched", "", new, {}, (), None, _note(note), author or user())
        return self._child(new, decision, n, downsample, dict(was or {}), self.node.seed if seed is None else seed)

    def _child(
        self,
        space: Space,
        decision: Decision,
        n: int | None,
        downsample: float | None,
        was: Mapping[str, Any],
        seed: int,
    ) -> Round:
        from dataclasses import replace

        store, stored = self.home.store, self._stored
        node = Node(
            parent=self.id,
            space=space,
            method=self.node.method,
            seed=seed,
            objective=self.node.objective,
            data=self.node.data,
            was=was,
            metric=self.metric,
            direction=self.direction,
            note=decision.note,
            author=decision.author,
            created=time.time(),
        )
        nodes = store.nodes(self.home.tree)
        if node.id in nodes:
            inherited = store.inherited(nodes[node.id].pk)
        else:
            path = (*self.path, node)
            records = {p.id: store.records([nodes[p.id].pk]) for p in path[:-1]}
            inherited = frozenset(completed_keys(space, path, records))
        if n is None and downsample is None:
            n = max(1, min(stored.n, feasible(space).count - len(inherited)))
        if node.id in nodes and n is not None and n <= nodes[node.id].n:
            count = how_many(space, n, None)
        else:
            count = how_many(space, n, downsample, len(inherited))
        store.add_node(self.home.tree, node, count, inherited)
        decision = replace(decision, child=node.id, n=count)
        store.add_decision(stored.pk, decision.digest, decision.dumps(), node.id)
        return Round(self.home, node, self.objective, self.metric, self.direction)

    # Showing.

    @property
    def plot(self) -> Plots:
        """Figures: ``round.plot.correlation()``, ``.density("dropout")``, ..."""
        from refine.plots import Plots

        return Plots(self)

    def report(self, folder: str | Path, *, proposal: Proposal | None = None, only_proposal: bool = False) -> Path:
        """Writes the round as markdown with figures; the proposal and the decision once there are such.

        Args:
            folder: Created if need be; holds ``<id>.md`` and a folder of figures.
            proposal: Which proposal; default the one decided upon, else the last one stored.
            only_proposal: Whether to leave out everything but the proposal.

        Returns:
            The markdown file.
        """
        from refine.facts import gather
        from refine.report import proposal_report, round_report

        facts = gather(self, proposal)
        return proposal_report(facts, folder) if only_proposal else round_report(facts, folder)

    def __str__(self) -> str:
        counts = self.home.store.counts(self.home.tree).get(self._stored.pk, {})
        states = ", ".join(f"{v} {k}" for k, v in counts.items()) or "not run"
        best = self.best
        lines = [
            f"round {self.id} of {self.home.name}: {plural(self.n, 'permutation')} of {self.space.size:,}, {states}",
            f"{self.metric}, {self.direction}; best {score(None if best is None else best['value'])}",
            "",
            self.space.describe(),
            "",
            "next: .run(workers=2), .analyze(), .propose(risk=0.05), .report(folder)",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Round {self.id} of {self.home.name}>"


def make_root(
    home: Home,
    space: Space,
    objective: Objective,
    *,
    metric: str,
    direction: str,
    n: int | None,
    downsample: float | None,
    seed: int,
    design: str,
    name: str | None,
    note: str,
) -> Round:
    """Creates, or finds again, a root of a tree; call :meth:`Tree.add_round`."""
    Metric.parse(metric)
    check_direction(direction)
    design_named(design)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise SpaceError(f"seed must be a whole number, got {seed!r}")
    node = Node(
        parent=None,
        space=space,
        method=design,
        seed=seed,
        objective=name or objective_name(objective),
        data=objective_data(objective),
        metric=metric,
        direction=direction,
        note=_note(note),
        author=user(),
        created=time.time(),
    )
    home.store.add_node(home.tree, node, how_many(space, n, downsample))
    return Round(home, node, objective, metric, direction)


def _note(note: Any) -> str:
    if not isinstance(note, str):
        raise ReviewError(f"a note must be text, got {type(note).__name__}; write note='...'")
    return note


def _finite(value: float) -> float | None:
    return value if value == value else None
