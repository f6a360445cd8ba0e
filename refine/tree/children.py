"""Creates the child of a decision in the store, with the configurations that ancestors had run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from refine.analysis.analysis import Analysis
from refine.analysis.believed import AttributedBelief
from refine.analysis.pooling import completed_keys
from refine.design.samplers import design_of, how_many_asked
from refine.design.space_filling import IMPORTED, Sobol, feasible, how_many
from refine.errors import DesignError, ReviewError, SpaceError, did_you_mean
from refine.proposal.allocation import audit_configurations, probe_configurations
from refine.proposal.forecast import forecast
from refine.proposal.proposal import Proposal, proposal_to_json
from refine.review.checks import Checks, ChecksContext, checks_of
from refine.review.decision import Decision, check_author, check_note, not_written
from refine.review.round_spec import Plan, RoundSpec, plan_of
from refine.review.worth import Worth
from refine.run.steering import check_pruner
from refine.space.encoding import check_seed, dumps, freeze, seed_of
from refine.space.space import Space, configuration_key, decode_configuration, encode_configuration, space_of
from refine.space.user_configurations import given_configuration, given_configurations
from refine.store.engine import check_folder
from refine.tree.earlier_studies import stated_belief
from refine.tree.lineage import (
    analyze,
    read_curves,
    read_epochs,
    read_reported_epochs,
    read_stopping,
)
from refine.tree.round_record import RoundRecord
from refine.tree.winner import expected_of_best, retrained_values
from refine.trials.declared import NOTHING
from refine.trials.frame import Records
from refine.trials.round_record import Encoded, Node, StoredDecision, StoredNode, path_to
from refine.utils.action import Action
from refine.utils.provided import provided
from refine.utils.warning import warn


class DecidedRound(RoundRecord):
    """A round with the methods that a review needs to create children."""

    _retrained = retrained_values

    def _create_child(self, decision: Decision, spec: RoundSpec, analysis: Analysis | None = None) -> Self:
        """Writes a decision and its child in one transaction; a repeated decision writes nothing.

        A decision on a proposal gets a forecast for the space-filling trials of a new child; an existing
        child may have results already. The child skips configurations that ancestors have completed so far.

        Args:
            decision: The decision with the child's space.
            spec: Size, shares and design of the child.
            analysis: Evidence behind exploit and audit trials; ``None`` without such trials.

        Raises:
            DesignError: More configurations than are left, or than the budget of the tree allows.
        """
        assert decision.space is not None
        space = decision.space
        store = self._context.store
        node, tools = self._child_node(decision, spec, audited=analysis is not None)
        if analysis is not None and node.belief is not None:
            analysis = replace(analysis, declared_belief=AttributedBelief(node.belief))
        existing = store.nodes(self._context.tree).get(node.id)
        before: frozenset[str] = frozenset()
        if existing is not None:
            inherited = store.inherited(existing.pk)
        else:
            path, records = _path_records(self)
            inherited = frozenset(completed_keys(space, (*path, node), records))
            before = inherited
            if node.audit:
                before = inherited | completed_keys(self.space, (*path, self._node), records)
        encoded_given = [("given", encode_configuration(p)) for p in spec.given]
        count = self._child_size(node, spec, existing, len(inherited), encoded_given)
        extra: list[Encoded] = []
        if analysis is not None and existing is None:
            given_keys = {configuration_key(p) for p in spec.given}
            extra = _audits(node, self.space, analysis, count, before | given_keys)
        decision = replace(decision, child=node.id, n=count)
        # A forecast speaks of space-filling trials that run to their end.
        if existing is None and decision.proposal and analysis is not None and not node.steered:
            skip = inherited | _keys([*extra, *encoded_given])
            even = count - len(skip - inherited) - round(node.exploit * count)
            child_forecast = forecast(analysis, space, even, seed_of(node.id, "forecast"), skip)
            decision = replace(decision, forecast=child_forecast)
        planned = None
        if existing is not None:
            planned = existing.n
        write_child = partial(
            store.add_node,
            self._context.tree,
            node,
            count,
            inherited=inherited,
            extra=extra,
            given=encoded_given,
        )
        self._add_decision(decision, planned, write_child)
        if existing is not None:  # the first author and note stay
            first = existing.node
            node = replace(node, note=first.note, author=first.author, created=first.created)
            if decision.kind == "branched" and count > existing.n:
                warn(
                    f"round {node.id}: this branch exists already; it keeps its {existing.n:,} "
                    f"configurations, and run() runs only the {count - existing.n:,} new ones"
                )
        self._context.keep_tools(node, *tools)
        return type(self)(self._context, node, self._value, self._direction)

    def _child_node(
        self, decision: Decision, spec: RoundSpec, *, audited: bool
    ) -> tuple[Node, tuple[object, object]]:
        """The node of a child, and its sampler and pruner of Optuna."""
        assert decision.space is not None
        space = decision.space
        method = self._node.method
        sampler = None
        plan = spec.plan
        if plan.design is not None:
            method, sampler = design_of(plan.design)
        elif self._node.adaptive or method == IMPORTED:
            method = Sobol.method
        rule, tool = check_pruner(plan.pruner, self._metric, self._node.pruner)
        seed = self._node.seed
        if spec.seed is not None:
            seed = check_seed(spec.seed)
        exploit = 0.0
        audit = 0.0
        if audited:
            exploit = float(plan.exploit or 0.0)
            if self.space.volume_kept(space) < 1:  # otherwise no configuration lies outside
                audit = float(plan.audit or 0.0)
        stored = self._stored.node
        # The child takes the metric of this handle, not the stored metric.
        node = replace(
            self._node,
            parent=self.id,
            space=space,
            method=method,
            seed=seed,
            previous=spec.previous,
            exploit=exploit,
            audit=audit,
            pruner=rule,
            rows=None,
            belief=stated_belief(plan.belief, space),
            metric=self._value,
            direction=self._direction,
            epsilon=stored.epsilon,
            declared=NOTHING,
            note=decision.note,
            author=decision.author,
            created=time.time(),
        )
        return node, (sampler, tool)

    def _child_size(
        self,
        node: Node,
        spec: RoundSpec,
        existing: StoredNode | None,
        inherited: int,
        given: Sequence[Encoded],
    ) -> int:
        """Number of configurations of a child; ancestors have completed ``inherited`` others."""
        space = node.space
        n = spec.n
        if n is None and spec.plan.downsample is None:
            if existing is None and 0 < feasible(space).high <= inherited:
                raise DesignError(
                    f"nothing is left to run: all {inherited:,} configurations of this space were "
                    "run by earlier rounds; widen it, or give its ranges more levels"
                )
            sizes = [spec.advised or self.n, feasible(space).count - inherited]
            remaining = self._budget.left
            if remaining is not None:
                sizes.append(remaining)
            n = max(1, min(sizes))
            if existing is not None:
                n = existing.n
        sized = how_many
        if node.adaptive:
            sized = how_many_asked
        count = sized(space, n, spec.plan.downsample, inherited - off_grid(space, given))
        check_room_for_given(count, given)
        return count

    def _add_decision(
        self,
        decision: Decision,
        planned: int | None = None,
        write_child: Callable[..., object] | None = None,
    ) -> None:
        """Stores a decision and its child, which is written by ``write_child(decision=...)``.

        Warns if a repeated decision has another note or a smaller size.
        """
        store = self._context.store
        stored = self._stored
        earlier = [Decision.from_json(json.loads(content)) for content, _ in store.decisions(stored.pk)]
        first = next((d for d in earlier if d.digest == decision.digest), None)
        lost = not_written(decision, first, planned)
        link = StoredDecision(stored.pk, decision.digest, decision.dumps(), decision.child)
        if write_child is None:
            store.add_decision(link)
        else:
            write_child(decision=link)
        if lost:
            warn(f"round {self.id}: {lost}")

    def _keep_proposal(self, proposal: Proposal, *, again: bool = False) -> None:
        """Stores a proposal, unless stored; ``again`` makes a stored one the latest."""
        content = dumps(proposal_to_json(proposal))
        self._context.store.add_proposal(self._stored.pk, proposal.digest, content, again)

    def _has_decided_winner(self) -> bool:
        """True if repeats have decided the winner of the tree."""
        decided: bool = provided("round.has_decided_winner")(self)
        return decided

    def _checks(self, analysis: Analysis, proposal: Proposal | None, worth: Worth | None) -> Checks:
        snapshot = self._at_once()
        curves = read_curves(*snapshot._judged, analysis.noise.sd)
        degenerate = self._node.allow_degenerate
        reader = snapshot._context.reader
        pk = snapshot._stored.pk
        before, best_kept = snapshot._best_before()
        context = ChecksContext(
            proposal,
            goal=snapshot.note,
            curves=curves,
            before=before,
            best_kept=best_kept,
            allow_degenerate=degenerate,
            worth=worth,
            stopping=read_stopping(reader, snapshot._stored, snapshot._goal),
            epochs=read_epochs(reader, pk, snapshot._goal),
            reported_epochs=read_reported_epochs(reader, pk, snapshot._goal),
            expected=expected_of_best(snapshot),
            n_left=snapshot._budget.left,
        )
        return checks_of(self.id, analysis, context).within(self._budget.left)

    def report(
        self,
        folder: str | Path,
        *,
        proposal: Proposal | None = None,
        html: bool = False,
    ) -> Path:
        """Writes the round as markdown with figures, with the proposal and the decision if there are any.

        Args:
            folder: Created if missing; gets a file named by the round's number in the tree and its id, and
                a folder of figures.
            proposal: The proposal; default the decided one, else the last stored one.
            html: Whether to write one self-contained HTML file instead of markdown.

        Returns:
            The file.

        Raises:
            StoreError: A file stands in place of the folder.

        Examples:
            >>> root.report("reports").name == f"1-{root.id}.md"
            True
        """
        written: Path = provided("round.report")(self, check_folder(folder), proposal, html)
        return written


R = TypeVar("R", bound=DecidedRound)


def branch(
    self: R,
    space: Space | Mapping[str, object],
    *,
    note: str = "",
    n: int | None = None,
    exploit: float | None = None,
    given: Sequence[Mapping[str, object]] = (),  # language: ok, a keyword of add_round too
    previous: Mapping[str, object] | None = None,
    seed: int | None = None,
    author: str | None = None,
    plan: Plan | None = None,
) -> R:
    """Creates a child on any space, without a proposal.

    Repeating a call finds the child again; a larger ``n`` extends the child, with a warning.

    Args:
        space: The new space; may add or drop parameters.
        note: Reason, in your words.
        n: Number of configurations; default the number of the parent.
        exploit: Share chosen by the model as results arrive; default 0, like the audit of the plan.
        given: Configurations that the child runs first, as in :meth:`Tree.add_round`.
        previous: Values of added parameters in earlier trials, such as ``{"l2": 0.0}``; without ``previous``,
            earlier trials are not evidence for the new space.
        seed: Default the seed of the parent.
        author: Default the user name.
        plan: Design, audit, pruner and belief of the child: see :class:`refine.Plan`.

    Raises:
        ReviewError: ``previous`` names a parameter that is not new.
        SpaceError: The space breaks a rule.

    Examples:
        >>> child = root.branch({"lr": (0.01, 1.0, 5), "dropout": 0.0}, note="smaller rates", n=4)
        >>> child.parent.id == root.id, len(child.run().trials)
        (True, 4)
    """
    new = space_of(space)
    decision = Decision(
        "branched",
        "",
        space=new,
        edits={},
        rejected=(),
        child=None,
        note=check_note(note),
        author=check_author(author),
    )
    added = _check_previous({} if previous is None else previous, self.space, new)
    planned = plan_of(plan, exploit)
    _warn_of_typos(self.space, new, added)
    analysis = None
    if planned.exploit or planned.audit:
        analysis = analyze(self)
    configurations = given_configurations(new, given)
    spec = RoundSpec(n=n, seed=seed, given=configurations, plan=planned, previous=added)
    return self._create_child(decision, spec, analysis)


def choose(
    self: DecidedRound, point: int | Mapping[str, object], *, note: str = "", author: str | None = None
) -> Decision:
    """Records the chosen point of the front of several goals, as a decision on this round.

    Args:
        point: A configuration on the front, or the label of its row in :attr:`front`.
        note: Reason, in your words.
        author: Default the user name.

    Raises:
        ReviewError: The round has one goal, or the point is not on the front.
    """
    note = check_note(note)
    author = check_author(author)
    if len(self._goals) == 1:
        raise ReviewError(
            f"round {self.id} has one goal, so that its front is its best trial; of that one",
            Action("tree.winner"),
        )
    configurations = self._records().configurations
    front = {int(i): dict(configurations[int(i)]) for i in self.front.index}
    if isinstance(point, Mapping):
        encoded_point = encode_configuration(given_configuration(self.space, point, "point"))
        chosen = next((shown for shown in front.values() if shown == encoded_point), None)
    elif isinstance(point, int) and not isinstance(point, bool):
        chosen = front.get(point)
    else:
        raise ReviewError(f"a point is a configuration, or a label of round.front, got {point!r:.60}")
    if chosen is None:
        raise ReviewError(
            f"round {self.id}: {point!r:.100} is not a point of its front; round.front lists the points, "
            "each with its label"
        )
    decision = Decision(
        "chosen", "", space=None, edits={}, rejected=(), child=None, note=note, author=author, chosen=chosen
    )
    self._add_decision(decision)
    return decision


def off_grid(space: Space, encoded: Sequence[Encoded]) -> int:
    """Number of given configurations, ``(origin, encoded configuration)``, that are not on the grid."""
    unlike = {configuration_key(decode_configuration(p)): p for _, p in encoded}
    return sum(not space.on_grid(decode_configuration(p)) for p in unlike.values())


def check_room_for_given(n: int, encoded: Sequence[Encoded]) -> None:
    """Raises DesignError if a round runs fewer configurations than were given."""
    if n < len(keys := _keys(encoded)):
        raise DesignError(
            f"n counts the configurations that are given, and {len(keys)} are; got n={n}, ask for more"
        )


def left_to_run(parent: RoundRecord, space: Space) -> int:
    """Upper bound on the configurations of a child's space that no round of the path has completed."""
    path, records = _path_records(parent)
    done = completed_keys(space, (*path, replace(parent._node, parent=parent.id, space=space)), records)
    return max(0, feasible(space).high - len(done))


def _keys(encoded: Sequence[Encoded]) -> frozenset[str]:
    return frozenset(configuration_key(decode_configuration(p)) for _, p in encoded)


def _path_records(round_: RoundRecord) -> tuple[tuple[Node, ...], dict[str, Records]]:
    """The path to a round, and the trials of its nodes by id, read by one statement."""
    nodes: Mapping[str, StoredNode] = round_._context.store.nodes(round_._context.tree)
    path = path_to(round_._node, nodes)
    pks = {above.id: nodes[above.id].pk for above in path}
    snapshot = round_._context.store.snapshot().together(pks.values())
    return path, {i: snapshot.records([pk]) for i, pk in pks.items()}


def _audits(
    node: Node, outer: Space, analysis: Analysis, count: int, before: frozenset[str]
) -> list[Encoded]:
    """Audit configurations of a new child; exploit trials are chosen during the run."""
    space = node.space
    audits = round(node.audit * count)
    seed = seed_of(node.id, "probe")
    probes = [
        outer.frozen(p) for p in probe_configurations(analysis, outer, space, audits // 2, seed, before)
    ]
    excluded = before.union(map(configuration_key, probes))
    even = audit_configurations(outer, space, audits - len(probes), seed_of(node.id, "audit"), excluded)
    drawn = {"audit": [outer.frozen(p) for p in even], "probe": probes}
    return [
        (origin, encode_configuration(p)) for origin, configurations in drawn.items() for p in configurations
    ]


def _check_previous(previous: Mapping[str, object], old: Space, new: Space) -> dict[str, object]:
    """``previous`` if it speaks of added parameters only; else a ReviewError."""
    if not isinstance(previous, Mapping):
        raise ReviewError(
            f"previous maps added parameters to values, previous={{'l2': 0.0}}, got {previous!r}"
        )
    for name, value in previous.items():
        if name not in new or name in old:
            added = [a for a in new if a not in old]
            raise ReviewError(
                f"previous: {name!r} must be a parameter that this branch adds; {did_you_mean(name, added)}"
            )
        try:
            freeze(value)
        except SpaceError as error:
            raise ReviewError(f"previous: {name}: {error}") from None
    return dict(previous)


def _warn_of_typos(old: Space, new: Space, previous: Mapping[str, object]) -> None:
    """Warns of an added parameter with nearly the name of an old one, unless ``previous`` has it."""
    if set(old) - set(new):  # renamed, and meant
        return
    for name in new:
        hint = did_you_mean(name, old)
        if name not in old and name not in previous and hint.startswith("did you mean"):
            warn(
                f"branch adds a parameter {name!r}; {hint} If it is new, previous={{{name!r}: ...}} says "
                "which value earlier trials had"
            )
