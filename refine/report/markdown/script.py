"""Python code to make a round again."""

from __future__ import annotations

from collections.abc import Mapping

from refine.design.pruning import code_of
from refine.design.space_filling import IMPORTED, Sobol
from refine.run.command import command_and_patterns
from refine.run.identity import UNNAMED
from refine.space.encoding import literal, modules
from refine.space.space import Space, decode_configuration
from refine.tree.round import Round
from refine.trials.metric import FUNCTION
from refine.trials.round_record import COMMAND, OPTUNA, Node


def reproduce(round_: Round) -> str:
    """Python code to make the round again, ancestors first, given the objective."""
    root = round_._path[0]
    unnamed = root.objective.startswith(UNNAMED)
    values = (v for node in round_._path for p in node.space.values() for v in p.grid)
    imports = sorted(modules(values) - {"__main__"})
    if root.method == IMPORTED:
        imports.append("pandas")
    lines = ["import refine", "from refine import Categorical, Float, Integer, Space", ""]
    lines += [f"import {module}" for module in imports]
    lines.append(_objective_line(root.objective, with_data=root.data is not None))
    kind, _, function = root.metric.partition(":")
    metric = repr(root.metric)
    if kind == FUNCTION:
        metric = function.rpartition(".")[2]
        lines.append(f"from your_script import {metric}")
    lines += ["", f'tree = refine.Tree({round_._context.name!r}, store="again.db")']
    parent = None
    for node in round_._path:
        stored = round_._context.nodes[node.id]
        # Exploit and audit trials were drawn for the first size of the round, before the round grew.
        grown = bool(node.exploit or node.audit) and stored.first < stored.n
        size = f"n={stored.first if grown else stored.n}"
        lines += ["", f"space = {space_code(node.space)}"]
        if node.method == IMPORTED:
            named = f", objective=objective, name={root.objective!r}" * (not unnamed)
            lines += [
                _FINISHED_ELSEWHERE,
                'frame = pandas.read_csv("trials.csv")',
                f"round = tree.add_runs(frame, space, {', '.join(_judged(node, metric))}{named})",
                f"# it was round {node.id}",
            ]
            parent = node
            continue
        if parent is None:
            call = "tree.add_round(space, objective"
            arguments = [*_root_arguments(node, metric, size), *_given(round_, stored.pk)]
            plan = _root_plan(node)
        else:
            call = "round.branch(space"
            arguments = [size, *_child_arguments(node), *_given(round_, stored.pk), *_previous(node)]
            plan = _child_plan(node, parent)
        plan += _belief(node)
        if plan:
            arguments.append(f"plan=refine.Plan({', '.join(plan)})")
        lines.append(f"round = {call}, {', '.join(arguments)})")
        if root.method != IMPORTED:
            lines.append(f"assert round.id == {node.id!r}")
        options = ["objective=objective"] * unnamed + [f"n={stored.n}"] * grown
        lines.append(f"round.run({', '.join(options)})")
        parent = node
    return "\n".join(lines)


_FINISHED_ELSEWHERE = (
    "# Finished elsewhere: trials.csv of the exported tree, or the study; other rows make another round."
)


def _judged(node: Node, metric: str) -> list[str]:
    """Metric and direction of a root, or its goals, as arguments of a call."""
    rules = ["allow_degenerate=True"] * node.allow_degenerate
    if node.subject_to:
        rules.append(f"subject_to={list(node.subject_to)!r}")
    rules += [f"{fact}={value!r}" for fact, value in node.declared._asdict().items() if value is not None]
    if not (rules or node.goals):
        return [f"metric={metric}", f"direction={node.direction!r}"]
    goals = [", ".join([metric, repr(node.direction), *rules])]
    goals += [f"{name!r}, {direction!r}" for name, direction in node.goals]
    calls = ", ".join(f"refine.Goal({goal})" for goal in goals)
    if node.goals:
        return [f"metric=[{calls}]"]
    return [f"metric={calls}"]


def _root_arguments(node: Node, metric: str, size: str) -> list[str]:
    return [f"name={node.objective!r}", *_judged(node, metric), size, f"seed={node.seed}"]


def _root_plan(node: Node) -> list[str]:
    return [f"design={_design(node)}"] * (node.method != Sobol.method) + _pruner(node)


def _child_arguments(node: Node) -> list[str]:
    return [f"seed={node.seed}", *([f"exploit={node.exploit}"] if node.exploit else [])]


def _child_plan(node: Node, parent: Node) -> list[str]:
    design = [f"design={_design(node)}"] * (node.method != parent.method or node.adaptive)
    return [*design, *([f"audit={node.audit}"] if node.audit else []), *_pruner(node, parent)]


def _previous(node: Node) -> list[str]:
    if not node.previous:
        return []
    return [f"previous={{{', '.join(f'{name!r}: {literal(v)}' for name, v in node.previous.items())}}}"]


def _given(round_: Round, pk: int) -> list[str]:
    arguments = []
    configurations = []
    for extra in round_._context.reader.beside(pk):
        code = configuration_code(extra.configuration)
        if extra.origin == "given" and extra.baseline:
            arguments.append(f"baseline={code}")
        elif extra.origin == "given":
            configurations.append(code)
    if configurations:
        arguments.append(f"given=[{', '.join(configurations)}]")
    return arguments


def _belief(node: Node) -> list[str]:
    """The belief stated from a round on, as arguments of a plan."""
    if node.belief is None:
        return []
    belief = node.belief.code(literal)
    if node.belief.like:  # the suggestion of earlier studies when the round was created
        arguments = f"{node.belief.to_json()!r}, {list(node.belief.like)!r}"
        belief = f"refine.space.belief.Belief.from_json({arguments})"
    if node.parent is None and node.belief:
        return [f"belief={belief}", f"exploit={node.exploit}"]
    return [f"belief={belief}"]


def configuration_code(encoded: Mapping[str, object]) -> str:
    """An encoded configuration as Python."""
    return "{" + ", ".join(f"{n!r}: {literal(v)}" for n, v in decode_configuration(encoded).items()) + "}"


def _objective_line(name: str, *, with_data: bool) -> str:
    """The line of a script for an objective, by the name in the round's identity.

    ``with_data``: the objective holds data besides the function of that name, as a ``KerasObjective`` does.
    """
    if name.startswith(COMMAND):
        command, patterns = command_and_patterns(name)
        pattern = f", metric_pattern={patterns!r}" * bool(patterns)
        return f"objective = refine.Command({command!r}{pattern})"
    last = name.rpartition(".")[2]
    if not last.isidentifier():
        return "objective = ...  # yours"
    if with_data:
        return f"from your_script import objective  # {last} with its data"
    return f"from your_script import {last} as objective"


def _design(node: Node) -> str:
    if node.method.startswith(OPTUNA):
        return node.method
    return repr(node.method)


def _pruner(node: Node, parent: Node | None = None) -> list[str]:
    """The pruner as an argument of a plan; empty for a child with its parent's pruner."""
    if node.pruner == (parent and parent.pruner):
        return []
    if node.pruner is None:
        return ["pruner='none'"]
    return [code_of(node.pruner)]


def space_code(space: Space) -> str:
    """Python code to make the space."""
    rows = [f"    {name!r}: {parameter.code(literal)}," for name, parameter in space.items()]
    end = "}"
    if space.constraints:
        end += f", constraints={[str(c) for c in space.constraints]!r}"
    return "\n".join(["Space({", *rows, f"{end})"])
