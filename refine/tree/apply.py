"""From a decision to a child node in the store, with what its ancestors had run at that moment."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from refine.analysis.analysis import Analysis
from refine.analysis.believed import Said
from refine.analysis.pooling import completed_keys
from refine.design.samplers import how_many_asked
from refine.design.space_filling import IMPORTED, Sobol, feasible, how_many
from refine.errors import DesignError, ReviewError, SpaceError, did_you_mean
from refine.proposal.allocation import (
    BELIEVED,
    Shares,
    audit_configurations,
    batch_rows,
    believed_rows,
    check_shares,
    exploit_rows,
    probe_configurations,
)
from refine.proposal.forecast import forecast
from refine.review.decision import Decision, not_written
from refine.space.belief import Belief
from refine.space.encoding import check_seed, freeze, seed_of
from refine.space.space import Space, configuration_key, decode_configuration, encode_configuration
from refine.store.reader import Snapshot
from refine.store.store import Store
from refine.trials.frame import Records
from refine.trials.round_record import ADAPTIVE, OPTUNA, Node, StoredDecision, StoredNode, path_to
from refine.utils.action import Action, Symbol
from refine.utils.warning import warn


class How(NamedTuple):
    """How a child draws its configurations, and what stops them early.

    Attributes:
        method: Name of the design; ``None`` takes the parent's space-filling one, ``"sobol"`` where that was adaptive.
        pruner: As plain data.
        belief: What is believed from here on; ``None`` where what was believed before goes on.
        advised: How many configurations where nothing is said of it; ``None`` for as many as the parent.
    """

    method: str | None = None
    pruner: Mapping[str, Any] | None = None
    belief: Belief | None = None
    advised: int | None = None


def add_child(
    store: Store,
    tree: int,
    parent: Node,
    decision: Decision,
    n: int | None,
    downsample: float | None,
    previous: Mapping[str, Any],
    seed: int | None,
    shares: Shares | None = None,
    how: How | None = None,
    given: Sequence[dict[str, Any]] = (),
) -> tuple[Node, int]:
    """Writes the child that a decision leads to, and the decision, in one transaction.

    A decision on a proposal gets a forecast of what the child's space-filling trials will show, if the child is new: of
    one that is there already, results may be known.

    Configurations that ancestors have completed by now are not run again; what they complete later changes
    nothing. The same decision again writes nothing.

    Args:
        store: The store.
        tree: Row of the tree.
        parent: The node decided upon.
        decision: With the space decided.
        n: How many configurations the child runs; without ``n`` and ``downsample`` as many as the parent.
        downsample: The same as a share of what is left.
        previous: Added parameter -> the value that earlier trials had.
        seed: Default the parent's.
        shares: What to spend beside the space-filling design; the cells are stored with the child.
        how: Its design and pruner; default the parent's space-filling design, without a pruner.
        given: Frozen configurations that it runs first, as part of ``n``.

    Returns:
        The child and the number of its configurations.

    Raises:
        DesignError: More configurations than are left.
    """
    assert decision.space is not None
    how = how or How()
    exploit, audit = _checked(shares, parent.space, decision.space)
    nodes = store.nodes(tree)
    stored = nodes[parent.id]
    node = Node(
        parent=parent.id,
        space=decision.space,
        method=how.method
        or (Sobol.method if parent.adaptive or parent.method == IMPORTED else parent.method),
        seed=parent.seed if seed is None else check_seed(seed),
        objective=parent.objective,
        data=parent.data,
        previous=previous,
        exploit=exploit,
        audit=audit,
        pruner=how.pruner,
        belief=how.belief,
        metric=parent.metric,
        direction=parent.direction,
        allow_degenerate=parent.allow_degenerate,
        subject_to=parent.subject_to,
        goals=parent.goals,
        scientific=tuple(n for n in parent.scientific if n in decision.space),
        epsilon=parent.epsilon,
        note=decision.note,
        author=decision.author,
        created=time.time(),
    )
    if shares is not None and how.belief is not None:
        shares = shares._replace(analysis=replace(shares.analysis, said=Said(how.belief)))
    known = nodes.get(node.id)
    if known is not None:
        inherited = store.inherited(known.pk)
        before: frozenset[str] = frozenset()
    else:
        path = (*path_to(parent, nodes), node)
        records = _records(store.snapshot(), nodes, path[:-1])
        inherited = frozenset(completed_keys(node.space, path, records))
        before = (
            inherited | completed_keys(parent.space, (*path[:-1], parent), records) if audit else inherited
        )
    if n is None and downsample is None:
        if known is None and 0 < feasible(node.space).high <= len(inherited):
            raise DesignError(
                f"nothing is left to run: all {len(inherited):,} configurations of this space were run by earlier "
                "rounds; widen it, or give its ranges more levels"
            )
        n = (
            known.n
            if known
            else max(1, min(how.advised or stored.n, feasible(node.space).count - len(inherited)))
        )
    sized = how_many_asked if node.adaptive else how_many
    asked = [("given", encode_configuration(p)) for p in given]
    count = sized(node.space, n, downsample, len(inherited) - off_grid(node.space, asked))
    check_count(count, asked)
    extra: list[tuple[str, dict[str, Any]]] = []
    if shares is not None and known is None:
        mine = {configuration_key(p) for p in given}
        extra = _extra(node, parent, shares, count, inherited | mine, before | mine)
    decision = replace(decision, child=node.id, n=count)
    # A forecast speaks of space-filling trials that run to their end.
    if known is None and decision.proposal and shares is not None and not node.steered:
        skip = inherited | {configuration_key(decode_configuration(p)) for _, p in [*extra, *asked]}
        seed = seed_of(node.id, "forecast")
        made = forecast(shares.analysis, node.space, count - len(skip - inherited), seed, skip)
        decision = replace(decision, forecast=made)
    lost = loss(store, stored, decision, None if known is None else known.n)
    link = StoredDecision(stored.pk, decision.digest, decision.dumps(), node.id)
    store.add_node(tree, node, count, inherited, extra, link, asked)
    if lost:
        warn(lost)
    if known is not None:  # who made it first, and why, stays
        first = known.node
        node = replace(node, note=first.note, author=first.author, created=first.created)
    return node, count


def off_grid(space: Space, given: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
    """How many of the configurations that were given are not among those of the grid.

    Args:
        space: The grid.
        given: ``(origin, encoded configuration)``.
    """
    unlike = {configuration_key(decode_configuration(p)): p for _, p in given}
    return sum(not space.on_grid(decode_configuration(p)) for p in unlike.values())


def check_count(n: int, given: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raises DesignError where a round is to run fewer configurations than it was given."""
    unlike = {configuration_key(decode_configuration(p)) for _, p in given}
    if n < len(unlike):
        raise DesignError(
            f"n counts the configurations that are given, and {len(unlike)} are; got n={n}, ask for more"
        )


def first_share(belief: Belief | None, exploit: float | None, method: str) -> float:
    """Share of a first round that is drawn by a belief.

    Raises:
        DesignError: There is a share and no belief, or a belief and a design that asks for what it likes.
        ReviewError: The share is out of range.
    """
    if not belief:
        if exploit:
            raise DesignError(
                f"exploit: a first round has nothing to exploit but what you believe, got exploit={exploit!r}; say where the "
                "best value may lie",
                Action("tree.add_round", Symbol("space"), Symbol("objective"), belief=...),
            )
        return 0.0
    if method in ADAPTIVE or method.startswith(OPTUNA):
        raise DesignError(
            f"belief: design {method!r} asks for one configuration after the other by its own rule and takes no belief; use "
            "design='sobol'"
        )
    share = BELIEVED if exploit is None else exploit
    check_shares(share, 0.0)
    return float(share)


def drawn_by_belief(
    node: Node, count: int, given: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, dict[str, Any]]]:
    """What a new first round runs by its belief, beside its space-filling design: ``(origin, encoded configuration)``.

    Args:
        node: The round.
        count: How many configurations it runs.
        given: What somebody gave: ``(origin, encoded configuration)``.
    """
    mine = frozenset(configuration_key(decode_configuration(p)) for _, p in given)
    n = min(round(node.exploit * count), count - len(mine))
    if not node.belief or n < 1:
        return []
    space = node.space
    rows = believed_rows(node.belief, space, n, seed_of(node.id, "belief"), mine)
    return [("exploit", encode_configuration(space.frozen(space.at(row)))) for row in rows]


def add_space_filling(store: Store, tree: int, stored: StoredNode, least: int, n: int) -> int:
    """Plans more trials of a round's space-filling design, until there are ``least`` of them.

    Args:
        store: The store.
        tree: Row of the tree.
        stored: The round.
        least: How many of its trials shall be space-filling.
        n: How many may be planned now.

    Returns:
        How many were planned.
    """
    beside = [b.key for b in store.beside(stored.pk)]
    left = feasible(stored.node.space).low - len(store.inherited(stored.pk).union(beside))
    more = min(n, min(least, left) - (stored.n - len(beside)))
    if more > 0:
        store.add_node(tree, stored.node, stored.n + more)
    return max(0, more)


def add_exploit(store: Store, stored: StoredNode, analysis: Analysis, n: int) -> int:
    """Plans more trials of a round where the optimum is plausible by now, none of which was run or is planned.

    Args:
        store: The store.
        stored: The round, of which all that is planned has ended.
        analysis: Evidence of where the optimum may be.
        n: How many.

    Returns:
        How many there were left to plan.
    """
    node, ran = stored.node, store.records([stored.pk]).columns["key"]
    skip = store.inherited(stored.pk).union(ran, (b.key for b in store.beside(stored.pk)))
    rows = batch_rows(analysis, node.space, n, seed_of(node.id, "exploit", stored.n), skip)
    frozen = [node.space.frozen(node.space.at(row)) for row in rows]
    store.extend(stored.pk, [("exploit", encode_configuration(p)) for p in frozen])
    return len(frozen)


def loss(store: Store, on: StoredNode, decision: Decision, planned: int | None = None) -> str:
    """What to say where a decision was taken before and its note, or its smaller number, is not written; else empty.

    Args:
        store: The store, before the decision is written.
        on: The node decided upon.
        decision: The decision.
        planned: Configurations of the round that it leads to, if that is there already.
    """
    taken = [Decision.from_json(json.loads(content)) for content, _ in store.decisions(on.pk)]
    first = next((d for d in taken if d.digest == decision.digest), None)
    lost = not_written(decision, first, planned)
    return f"round {on.node.id}: {lost}" if lost else ""


def left_to_run(store: Store, tree: int, parent: Node, space: Space) -> int:
    """How many configurations of a space no round from the root to ``parent`` has completed, at most.

    Args:
        store: The store.
        tree: Row of the tree.
        parent: The last node of the path.
        space: The space of a child.
    """
    nodes = store.nodes(tree)
    path = path_to(parent, nodes)
    records = _records(store.snapshot(), nodes, path)
    done = completed_keys(space, (*path, replace(parent, parent=parent.id, space=space)), records)
    return max(0, feasible(space).high - len(done))


def _records(snapshot: Snapshot, nodes: Mapping[str, StoredNode], path: Sequence[Node]) -> dict[str, Records]:
    """The trials of some nodes by id, read by one statement."""
    pks = {node.id: nodes[node.id].pk for node in path}
    snapshot.together(pks.values())
    return {i: snapshot.records([pk]) for i, pk in pks.items()}


def _checked(shares: Shares | None, outer: Space, inner: Space) -> tuple[float, float]:
    if shares is None:
        return 0.0, 0.0
    check_shares(shares.exploit, shares.audit)
    # Where nothing is left out there is nothing to sample outside.
    return float(shares.exploit), float(shares.audit) if outer.volume_kept(inner) < 1 else 0.0


def _extra(
    node: Node, parent: Node, shares: Shares, count: int, inherited: frozenset[str], before: frozenset[str]
) -> list[tuple[str, dict[str, Any]]]:
    """What a new child runs beside its space-filling design: ``(origin, encoded configuration)``."""
    rows = exploit_rows(
        shares.analysis, node.space, round(node.exploit * count), seed_of(node.id, "exploit"), inherited
    )
    inside = [node.space.frozen(node.space.at(row)) for row in rows]
    outer, audits = parent.space, round(node.audit * count)
    probes = [
        outer.frozen(p)
        for p in probe_configurations(
            shares.analysis, outer, node.space, audits // 2, seed_of(node.id, "probe"), before
        )
    ]
    taken = before.union(map(configuration_key, probes))
    even = audit_configurations(outer, node.space, audits - len(probes), seed_of(node.id, "audit"), taken)
    drawn = {"exploit": inside, "audit": [outer.frozen(p) for p in even], "probe": probes}
    return [(origin, encode_configuration(p)) for origin, some in drawn.items() for p in some]


def check_previous(previous: Mapping[str, Any], old: Space, new: Space) -> dict[str, Any]:
    """``previous`` if it speaks of added parameters only.

    Raises:
        ReviewError: It names another one, or a value that can't be stored.
    """
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


def mistyped(old: Space, new: Space, previous: Mapping[str, Any]) -> list[str]:
    """What to ask where a parameter is added beside one that is called nearly the same.

    Args:
        old: Space of the parent.
        new: Space of the child.
        previous: Values that earlier trials had of added parameters: whoever says them means what is added.
    """
    if set(old) - set(new):  # renamed, and meant
        return []
    hints = {name: did_you_mean(name, old) for name in new if name not in old and name not in previous}
    return [
        f"branch adds a parameter {name!r}; {hint} If it is new, previous={{{name!r}: ...}} says which value earlier trials had"
        for name, hint in hints.items()
        if hint.startswith("did you mean")
    ]
