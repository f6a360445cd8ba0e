"""Adding a first round to a tree."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from refine.design.samplers import design_of, how_many_asked
from refine.design.space_filling import Sobol, feasible, how_many
from refine.errors import DesignError, SpaceError
from refine.proposal.allocation import BELIEVED, believed_rows, check_shares
from refine.review.decision import check_note, user
from refine.review.round_spec import Plan, plan_of
from refine.run import identity
from refine.run.command import Command
from refine.run.identity import check_name, objective_data
from refine.run.objective import wants_trial
from refine.run.protocols import Objective
from refine.run.steering import check_pruner
from refine.space.belief import Belief
from refine.space.encoding import check_seed, seed_of
from refine.space.fidelity import Fidelity, fidelity_of
from refine.space.space import Space, configuration_key, decode_configuration, encode_configuration, space_of
from refine.space.user_configurations import given_configuration, given_configurations
from refine.tree.children import check_room_for_given, off_grid
from refine.tree.earlier_studies import stated_belief
from refine.tree.learning import exploiting
from refine.tree.names import check_tag
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.trials.budget import Budget, checked_budget, first_size, raised
from refine.trials.declared import Declared
from refine.trials.goal import ASK, Goal, check_meant, goals_of
from refine.trials.metric import Score
from refine.trials.metric_constraint import FEASIBLE
from refine.trials.round_record import ADAPTIVE, BASELINE, OPTUNA, Encoded, Node, StoredNode
from refine.utils.action import Action, Symbol
from refine.utils.format import join
from refine.utils.numbers import is_whole
from refine.utils.warning import warn

FEWEST_FULL = 6
"""Fewest trainings at the full level in a first round with a fidelity."""

# Number of seeds of a baseline, against luck.
_BASELINE_SEEDS = 3


def add_round(
    self: TreeRecord,
    space: Space | Mapping[str, object],
    objective: Objective,
    *,
    metric: str | Score | Goal | Sequence[Goal] = "value",
    direction: str | None = ASK,
    n: int | None = None,
    budget: int | str | timedelta | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    given: Sequence[Mapping[str, object]] = (),
    baseline: Mapping[str, object] | None = None,
    name: str | None = None,
    tag: str | None = None,
    note: str = "",
) -> Round:
    """Adds a first round, a root, or finds an equal root again, so that a repeated script resumes.

    Args:
        space: The space to search: a :class:`Space` or its mapping.
        objective: ``f(params)``, or ``f(params, trial)``, that returns a number or a mapping of metrics.
        metric: ``"val_acc"`` (last epoch), ``"max:val_acc"`` (best epoch), ``"value"`` if the objective
            returns a number, or a function of the metrics of a trial, recorded by its name. Or a
            :class:`Goal`, which also holds constraints, noise, limits, scale and tolerance of the metric; or
            two or three goals, for a front. Children inherit the goals. An existing round keeps its own
            declarations unless others are given.
        direction: ``"maximize"`` or ``"minimize"``; default larger is better, and required for metrics named
            like a loss or an error. ``None`` takes the direction from the name, with a warning.
        n: Number of configurations; with a budget of trials by default a third of the budget, at least 12.
        budget: Budget of the study: see :attr:`Tree.budget`. Raises a smaller budget of the tree, and never
            lowers one.
        seed: Seed of the design; another seed makes another round.
        plan: Design, pruner and belief of the round: see :class:`refine.Plan`.
        given: Further configurations that run first. Given configurations count towards ``n`` and may be
            best, but enter no test, because a person chose them. Also for an existing round.
        baseline: The configuration to beat, such as the defaults, inside or outside the space. The baseline
            runs first under three seeds, or one if values are declared free of noise, and reports compare the
            winner with the baseline. Also for an existing round.
        name: Name of the objective in the identity of the round; default its qualified name.
        tag: Name of the round, as :meth:`Tree.tag` gives one: ``tree["first"]`` finds the round by its tag.
        note: Reason, in your words.

    Raises:
        RefineError: A subclass for the rule that was broken; nothing was written.

    Examples:
        >>> def train(p):
        ...     return {"loss": p["lr"] * p["units"], "size": p["units"]}
        >>> space = {"units": [8, 16, 32], "lr": refine.Float(1e-4, 0.1, log=True), "epochs": 20}
        >>> goal = refine.Goal("loss", "minimize", subject_to=["size >= 10"])
        >>> other = tree.add_round(space, train, metric=goal, n=30)
        >>> other.run().best[["lr", "units"]].to_dict()
        {'lr': 0.0001, 'units': 16}
    """
    searched = space_of(space)
    _warn_of_unused(searched)
    total = checked_budget(budget)
    wants_trial(objective, searched)
    if isinstance(objective, Command):
        objective.check_space(searched)
    called = check_name(name) or identity.objective_name(objective)
    if tag is not None:
        check_tag(tag, self._context.nodes)
    goal, *further = goals_of(metric, direction)
    check_meant(called, goal)
    judged = goal.metric
    if judged.subject_to and FEASIBLE in searched:
        raise SpaceError(
            f"{FEASIBLE}: with metric constraints this name is that of a column of the table of trials; "
            "rename the parameter"
        )
    planned = plan_of(plan)
    method, sampler = design_of(Sobol.method if planned.design is None else planned.design)
    rule, tool = check_pruner(planned.pruner, judged)
    believed = stated_belief(planned.belief, searched)
    share = _believed_share(believed, planned.exploit, method)
    named = fidelity_of(searched)
    if named is not None:
        share = _full_share(named[1], planned.exploit, n, method)
    node = Node(
        parent=None,
        space=searched,
        method=method,
        pruner=rule,
        belief=believed,
        exploit=share,
        seed=check_seed(seed),
        objective=called,
        data=objective_data(objective),
        metric=str(judged),
        direction=goal.direction,
        allow_degenerate=goal.allow_degenerate,
        subject_to=tuple(map(str, judged.subject_to)),
        goals=tuple((str(g.metric), g.direction) for g in further),
        epsilon=goal.epsilon,
        declared=goal.declared,
        note=check_note(note),
        author=user(),
        created=time.time(),
    )
    if node.goals and node.steered:
        raise DesignError(
            "an adaptive design and a pruner go by one number, and this round has several goals; leave "
            "design and pruner out, or give one goal"
        )
    context = self._context
    if name is None:
        node = context.as_recorded(node, objective)
    existing = context.nodes.get(node.id)
    context.check_judged(node)
    if existing is not None:
        node = replace(node, declared=Declared.nearest([existing.node.declared, node.declared]))
        if goal.epsilon is None:
            node = replace(node, epsilon=existing.node.epsilon)
    encoded_given = _given(searched, baseline, 1 if node.declared.noise == "none" else _BASELINE_SEEDS, given)
    if node.adaptive:
        sized = how_many_asked
    else:
        sized = how_many
    if n is None and planned.downsample is None:
        n = _first_size(self, total, existing, searched)
        if n is None and isinstance(total, str):
            raise DesignError(
                f"a budget of training time needs the size of the first round, got budget={total!r} without "
                "n=; for example n=20"
            )
    count = sized(node.space, n, planned.downsample, -off_grid(node.space, encoded_given))
    check_room_for_given(count, encoded_given)
    drawn = () if existing is not None else _drawn_by_belief(node, count, encoded_given)
    context.store.add_node(context.tree, node, count, extra=drawn, given=encoded_given, budget=total)
    context.keep_tools(node, sampler, tool)
    context.store.set_defaults(context.tree, node)
    context.objectives[node.objective, node.data] = objective
    if judged.function is not None:
        context.scores[judged.name] = judged.function
    added = Round._of(context, node)
    if tag is not None:
        self.tag(added, tag)
    return added


def _warn_of_unused(space: Space) -> None:
    """Warns of parameters whose condition no configuration meets, for example by a misspelt choice."""
    for name, condition in space.conditions.items():
        if name in space.varied or space[name].fixed:
            continue
        named = join([f"{n} is {space[n].describe()}" for n in space if n in condition.names])
        warn(f"{name} is never used: no configuration meets {str(condition)!r}; {named}")


def _first_size(tree: TreeRecord, budget: Budget, existing: StoredNode | None, space: Space) -> int | None:
    """Default size of a root under the budget of the tree; ``None`` without a budget of trials."""
    state = tree.budget
    named = fidelity_of(space)
    if named is not None:
        state = replace(state, cheap_cost=named[1].cost, mean_cost=named[1].mean_cost)
    state = replace(state, limit=raised(state.limit, budget))
    size = first_size(state.limit, state.mean_cost)
    if size is None or state.left is None:
        return None
    if existing is not None:
        return existing.n
    return max(1, min(size, state.left, feasible(space).count))


def _given(
    space: Space,
    baseline: Mapping[str, object] | None,
    seeds: int,
    configurations: Sequence[Mapping[str, object]],
) -> list[Encoded]:
    """Configurations that run first, with their origin; the baseline once per seed."""
    encoded_given = [("given", encode_configuration(p)) for p in given_configurations(space, configurations)]
    if baseline is None:
        return encoded_given
    encoded = encode_configuration(given_configuration(space, baseline, "baseline"))
    return [(BASELINE, encoded)] * seeds + [o for o in encoded_given if o[1] != encoded]


def _full_share(fidelity: Fidelity, exploit: float | None, n: int | None, method: str) -> float:
    """Share of a first round that runs at the full level of its fidelity.

    Raises:
        DesignError: The design chooses its own configurations.
        ReviewError: The share is out of range.
    """
    if method in ADAPTIVE or method.startswith(OPTUNA):
        raise DesignError(
            f"a fidelity needs evenly drawn cheap trials, and design {method!r} chooses every configuration "
            "itself; use design='sobol'"
        )
    check_shares(exploit)
    if exploit is not None:
        return float(exploit)
    share = fidelity.full_share
    if is_whole(n, 1):
        share = max(share, min(0.5, FEWEST_FULL / n))
    return share


def _believed_share(belief: Belief | None, exploit: float | None, method: str) -> float:
    """Share of a first round that is drawn by a belief.

    Raises:
        DesignError: A share without a belief, or a belief with a design that chooses its own configurations.
        ReviewError: The share is out of range.
    """
    if not belief:
        if exploit:
            raise DesignError(
                "exploit: a first round has nothing to exploit but what you believe, got "
                f"exploit={exploit!r}; say where the best value may lie",
                Action("tree.add_round", Symbol("space"), Symbol("objective"), belief=...),
            )
        return 0.0
    if method in ADAPTIVE or method.startswith(OPTUNA):
        raise DesignError(
            f"belief: design {method!r} asks for one configuration after the other by its own rule and "
            "takes no belief; use design='sobol'"
        )
    check_shares(exploit)
    if exploit is None:
        return BELIEVED
    return float(exploit)


def _drawn_by_belief(node: Node, count: int, first_configurations: Sequence[Encoded]) -> list[Encoded]:
    """Configurations that a new first round of ``count`` configurations draws by its belief."""
    excluded = frozenset(configuration_key(decode_configuration(p)) for _, p in first_configurations)
    n = min(round(node.exploit * count), count - len(excluded))
    if not node.belief or n < 1 or node.cheap_first:
        return []
    space = node.space
    return exploiting(space, believed_rows(node.belief, space, n, seed_of(node.id, "belief"), excluded))
