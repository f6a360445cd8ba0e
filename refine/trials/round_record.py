"""The frozen node of a refinement tree: the content of a round, and the id that follows from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refine.space.belief import Belief
from refine.space.encoding import decode, digest, encode, freeze, seed_of
from refine.space.fidelity import fidelity_of
from refine.space.space import Space, configuration_key, decode_configuration
from refine.trials.declared import NOTHING, Declared

ADAPTIVE = ("tpe", "gp", "cmaes", "qmc")
"""Designs in which a sampler of Optuna asks for one configuration after the other."""

COMMAND = "command: "
"""Prefix of the name of an objective that is a program."""

METRIC_PATTERN = "  metric pattern: "
"""Text before each metric pattern in the name of a program."""


JudgedBy = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]
"""Metric, direction, constraints and further goals of a round."""


def check_objective_name(name: str) -> None:
    """Raises ValueError if an objective's name is a file's: names in a store may be imported."""
    if not name.startswith(COMMAND) and ("/" in name or "\\" in name):
        raise ValueError(f"an objective's name must be a label or an import path, not a file's, got {name!r}")


# Origin of a planned trial, and its encoded configuration.
Encoded = tuple[str, dict[str, Any]]

OPTUNA = "optuna."
"""Prefix of the name of a design that is a sampler object."""


@dataclass(frozen=True)
class Node:
    """A round's content and its place in the tree."""

    # Parts of the id.
    parent: str | None  # id of the parent round, `None` for a root
    space: Space  # the searched space
    method: str  # name of the design
    seed: int  # seed of the design and, through the id, of every trial
    objective: str  # name of the objective
    data: str | None = None  # fingerprint of the data with its split seeds, if the objective gives one
    # previous values, in earlier trials, of parameters added by a branch
    previous: Mapping[str, Any] = field(default_factory=dict)
    exploit: float = 0.0  # share of exploit trials
    audit: float = 0.0  # share of audit trials, outside the space but inside the parent's
    pruner: Mapping[str, Any] | None = None  # the rule for early stopping, as plain data
    rows: str | None = None  # digest of the finished runs of an imported root
    # a declared belief about the place of the best value; part of the id, since it chooses trials. `None`
    # inherits an ancestor's belief; an empty one takes it back
    belief: Belief | None = None
    # Defaults of its analyses; parts of the id only where the metric steers the round.
    metric: str = "value"
    direction: str = "maximize"
    allow_degenerate: bool = False  # whether a degenerate trial may be best
    subject_to: tuple[str, ...] = ()  # metric constraints, as texts in their order
    goals: tuple[tuple[str, str], ...] = ()  # further goals, each a metric and its direction
    # Not part of the id.
    epsilon: float | None = None  # given tolerance in units of the metric
    declared: Declared = NOTHING  # declared facts about its values, which descendants share
    note: str = ""  # purpose of the round
    author: str = ""  # author of the round
    created: float = 0.0  # seconds since the epoch
    id: str = field(init=False)  # 12 hexadecimal digits

    def __post_init__(self) -> None:
        object.__setattr__(self, "previous", {n: freeze(v) for n, v in self.previous.items()})
        object.__setattr__(self, "id", digest(self.identity()))

    def identity(self) -> dict[str, Any]:
        """The content behind the id, as plain JSON data."""
        design = {"method": self.method, "exploit": float(self.exploit), "audit": float(self.audit)}
        content: dict[str, Any] = {
            "parent": self.parent,
            "space": self.space.to_json(),
            "design": design if self.rows is None else {**design, "rows": self.rows},
            "seed": self.seed,
            "objective": self.objective,
            "data": self.data,
        }
        if self.previous:
            content["previous"] = {n: encode(v) for n, v in self.previous.items()}
        if self.pruner is not None:
            content["pruner"] = dict(self.pruner)
        if self.belief is not None:
            content["belief"] = self.belief.to_json()
            if self.belief.like:
                content["like"] = list(self.belief.like)
        if self.steered:
            content["steered by"] = [self.metric, self.direction, bool(self.allow_degenerate)]
            if self.subject_to:
                content["steered by"].append(list(self.subject_to))
        return content

    @property
    def judged_by(self) -> JudgedBy:
        """Metric, direction, constraints and further goals: equal for rounds with comparable values."""
        return self.metric, self.direction, self.subject_to, self.goals

    @property
    def adaptive(self) -> bool:
        """True if a sampler chooses configurations one by one, by earlier results."""
        return self.method in ADAPTIVE or self.method.startswith(OPTUNA)

    @property
    def cheap_first(self) -> bool:
        """True if evenly drawn trials are cheap, and exploit trials run at the full level of the fidelity."""
        return fidelity_of(self.space) is not None

    @property
    def mean_cost(self) -> float:
        """Mean cost of its trials, in full trainings; 1 without a fidelity."""
        named = fidelity_of(self.space)
        if named is None:
            return 1.0
        return named[1].mean_cost_of(self.exploit)

    @property
    def steered(self) -> bool:
        """True if results decide which trials the round runs, or for how long."""
        return self.adaptive or self.pruner is not None

    @classmethod
    def from_json(cls, content: Mapping[str, Any], **fields: Any) -> Node:
        """The node of :meth:`identity`'s output and the remaining fields."""
        if "belief" in content:
            believed = Belief.from_json(content["belief"], content.get("like", ()))
        else:
            believed = None
        return cls(
            **{name: content[name] for name in ("parent", "seed", "objective", "data")},
            **content["design"],
            space=Space.from_json(content["space"]),
            previous={n: decode(v) for n, v in content.get("previous", {}).items()},
            pruner=content.get("pruner"),
            belief=believed,
            **fields,
        )

    @property
    def design_seed(self) -> int:
        """Seed of the order in which cells are visited."""
        return seed_of(self.id, "design")

    def trial_seed(self, key: str, replicate: int) -> int:
        """Seed of one trial: independent of order and of the number of workers."""
        return seed_of(self.id, key, replicate)


class Addition(NamedTuple):
    """An addition of a person to the plan of a round, besides configurations.

    Either repeats of a configuration, or exploit trials that the model chooses while the round runs.
    """

    key: str  # hash of the configuration to repeat; empty for exploit trials
    first: int  # number of exploit trials of the round before the addition; 0 for repeats
    total: int  # number of exploit trials of the round with the addition, or number of repeats
    per: str = "trial"  # unit of an expected improvement: ``"trial"`` or ``"second"``


def repeats_of(additions: Iterable[Addition]) -> dict[str, int]:
    """Hash of a configuration -> number of planned repeats."""
    repeats: dict[str, int] = {}
    for addition in additions:
        if addition.key:
            repeats[addition.key] = max(addition.total, repeats.get(addition.key, 0))
    return repeats


class StoredNode(NamedTuple):
    """A node as the store holds it."""

    pk: int  # its row number
    node: Node  # the node
    n: int  # planned configurations, the largest number ever asked for
    first: int  # planned configurations at its creation, the basis of its audit trials
    order: int  # rank by time of writing
    additions: tuple[Addition, ...] = ()  # additions of a person to its plan, oldest first

    def off_design(self, extra: Collection[Beside], n: int | None = None) -> int:
        """Number of the first ``n`` planned configurations not drawn by the design.

        Exploit trials that are yet to be chosen count; without ``n``, added exploit trials count as well.
        """
        fixed = sum(b.origin != "exploit" for b in extra)
        share = 0.0
        if self.node.parent is not None or self.node.cheap_first:
            share = self.node.exploit
        elif n is not None:
            return len(extra)
        if n is not None:
            return max(fixed, min(n, fixed + round(share * n)))
        by_model = max(self.added_exploit, round(share * self.n))
        return max(len(extra), min(self.n, fixed + by_model))

    @property
    def added_exploit(self) -> int:
        """Number of exploit trials of the round after the last addition; 0 without an addition."""
        return max((a.total for a in self.additions if not a.key), default=0)

    def exploit_addition(self, chosen: int) -> Addition | None:
        """The addition of the next exploit trial, if ``chosen`` exist; ``None`` for the share of a child."""
        is_root = self.node.parent is None and not self.node.cheap_first
        additions = (a for a in self.additions if not a.key and chosen < a.total)
        return next((a for a in additions if is_root or a.first <= chosen), None)


class Beside(NamedTuple):
    """An extra configuration of a round, not drawn by its design."""

    key: str  # hash of the configuration
    origin: str  # origin of its trials: `"given"`, `"exploit"`, `"audit"` or `"probe"`
    configuration: dict[str, Any]  # name -> encoded value
    # number of its runs, each under its own seed; the first is the planned run, the other ones are replicates
    seeds: int = 1
    baseline: bool = False  # whether it is the baseline


BASELINE = "baseline"
"""Origin of the baseline in a plan; its trials have the origin ``"given"``."""


def beside_of(planned: Iterable[Encoded]) -> list[Beside]:
    """The extra configurations of a plan of ``(origin, encoded configuration)``.

    Baseline first, then given ones.

    Each configuration is listed once; a plan repeats it to run several seeds.
    """
    by_key: dict[str, Beside] = {}
    for name, configuration in planned:
        key = configuration_key(decode_configuration(configuration))
        new = Beside(key, "given" if name == BASELINE else name, configuration, 0)
        earlier = by_key.get(key, new)
        by_key[key] = earlier._replace(seeds=earlier.seeds + 1, baseline=earlier.baseline or name == BASELINE)
    return sorted(by_key.values(), key=lambda b: (not b.baseline, b.origin != "given"))


class StoredDecision(NamedTuple):
    """A decision as the store holds it."""

    node: int  # row of the node
    digest: str  # digest of the decision; a second one on the same node is not written
    content: str  # canonical JSON
    child: str | None  # id of the child, or `None`


class HoldoutRun(NamedTuple):
    """The result of one model on a hold-out."""

    key: str  # hash of its configuration
    replicate: int  # number among the models of its configuration
    seed: int  # seed of the random generators
    state: str  # state at the end of training
    metrics: Mapping[str, float]  # metric name -> value on the hold-out
    seconds: float  # wall time
    error: str | None  # traceback of a failed one, else `None`


class StoredOpening(NamedTuple):
    """An opening of a hold-out as the store holds it."""

    pk: int  # its row
    node: int  # row of the round
    keys: tuple[str, ...]  # hashes of the measured configurations
    seeds: int  # models per configuration
    author: str  # author
    note: str  # reason
    created: float  # time in seconds since the epoch
    runs: tuple[HoldoutRun, ...]  # results of the models so far


def path_to(node: Node, nodes: Mapping[str, StoredNode]) -> tuple[Node, ...]:
    """Nodes from the root to this one."""
    path = [node]
    while (parent := path[-1].parent) is not None:
        path.append(nodes[parent].node)
    return tuple(reversed(path))


def believed_on(path: Sequence[Node]) -> Node | None:
    """The last node of a path, root first, with a declared belief; ``None`` without one."""
    return next((node for node in reversed(path) if node.belief is not None), None)


def declared_for(path: Sequence[Node]) -> Declared:
    """The declarations that hold on the last round of a path, root first."""
    return Declared.nearest(node.declared for node in path)
