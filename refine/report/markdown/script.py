"""Python code to make a round again."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from refine.design.pruning import code_of
from refine.design.space_filling import IMPORTED
from refine.run.command import command_and_patterns
from refine.run.identity import UNNAMED
from refine.run.protocols import Objective
from refine.space.encoding import literal, modules
from refine.space.space import Space, decode_configuration
from refine.tree.round import Round
from refine.trials.metric import FUNCTION
from refine.trials.round_record import COMMAND, OPTUNA, Node


def reproduce(round_: Round) -> str:
    """Python code to make the round again, ancestors first, given the objective."""
    lines = ["import refine", "from refine import Categorical, Float, Integer, Space", ""]
    values = (v for node in round_.path for p in node.space.values() for v in p.grid)
    imports = sorted(modules(values) - {"__main__"})
    if round_.path[0].method == IMPORTED:
        imports += ["pandas"]
    lines += [f"import {module}" for module in imports]
    name = round_.path[0].objective
    lines.append(objective_line(name, with_data=round_.path[0].data is not None))
    if name.startswith(UNNAMED):
        called = ""
    else:
        called = f", objective=objective, objective_name={name!r}"
    kind, _, function = round_.path[0].metric.partition(":")
    metric = repr(round_.path[0].metric)
    if kind == FUNCTION:
        metric = function.rpartition(".")[2]
        lines.append(f"from your_script import {metric}")
    lines.append("")
    lines.append(f'tree = refine.Tree({round_.context.name!r}, store="again.db")')
    stored = round_.context.nodes
    node_of = {node.id: node for node in round_.path}
    for i, node in enumerate(round_.path):
        lines += ["", f"space = {space_code(node.space)}"]
        n = stored[node.id].n
        first = stored[node.id].first
        # What is drawn beside the design was drawn when the round was made, and stays what it is when it
        # grows.
        drawn = bool(node.exploit or node.audit) and first < n
        size = f"n={first if drawn else n}"
        given_code = _given(round_, stored[node.id].pk)
        if node.method == IMPORTED:
            lines += [
                (
                    "# Finished elsewhere: trials.csv of the exported tree, or the study; other rows make "
                    "another round."
                ),
                'frame = pandas.read_csv("trials.csv")',
                (
                    f"round = tree.add_frame(frame, space, metric={metric}, "
                    f"direction={node.direction!r}{called})"
                ),
                f"# it was round {node.id}",
            ]
            continue
        if i == 0:
            extra = (
                f", objective_name={name!r}, metric={metric}, direction={node.direction!r}, {size}, "
                f"seed={node.seed}"
            )
            if node.allow_degenerate:
                extra += ", allow_degenerate=True"
            if node.subject_to:
                extra += f", subject_to={list(node.subject_to)!r}"
            if node.goals:
                extra = (
                    f", objective_name={name!r}, metric={_goals_code(node, metric)}, {size}, seed={node.seed}"
                )
            stated = {fact: value for fact, value in node.declared._asdict().items() if value is not None}
            extra += "".join(f", {fact}={value!r}" for fact, value in stated.items())
            lines.append(
                f"round = tree.add_round(space, objective{extra}, "
                f"design={_design(node)}{_pruner(node)}{given_code}{_belief(node, first=True)})"
            )
        else:
            if node.previous:
                previous = (
                    f", previous={{{', '.join(f'{k!r}: {literal(v)}' for k, v in node.previous.items())}}}"
                )
            else:
                previous = ""
            shares = "".join(f", {s}={getattr(node, s)}" for s in ("exploit", "audit") if getattr(node, s))
            if node.parent:
                before = node_of[node.parent]
            else:
                before = node
            same_method = node.method == before.method and not node.adaptive
            if same_method:
                design_code = ""
            else:
                design_code = f", design={_design(node)}"
            lines.append(
                f"round = round.branch(space, {size}, "
                f"seed={node.seed}{shares}{design_code}{_pruner(node, before)}{given_code}{previous}"
                f"{_belief(node)})"
            )
        if round_.path[0].method != IMPORTED:
            lines.append(f"assert round.id == {node.id!r}")
        options = (["objective=objective"] if name.startswith(UNNAMED) else []) + (
            [f"n={n}"] if drawn else []
        )
        lines.append(f"round.run({', '.join(options)})")
    return "\n".join(lines)


def _goals_code(node: Node, metric: str) -> str:
    if node.allow_degenerate:
        extra = ", allow_degenerate=True"
    else:
        extra = ""
    if node.subject_to:
        extra += f", subject_to={list(node.subject_to)!r}"
    first = f"refine.Goal({metric}, {node.direction!r}{extra})"
    return f"[{', '.join([first, *(f'refine.Goal({m!r}, {d!r})' for m, d in node.goals)])}]"


def _given(round_: Round, pk: int) -> str:
    extra = [b for b in round_.context.reader.beside(pk) if b.origin == "given"]
    first = [b for b in extra if b.baseline]
    configurations = [configuration_code(b.configuration) for b in extra if not b.baseline]
    if first:
        baseline_code = (
            f", baseline={configuration_code(first[0].configuration)}, baseline_seeds={first[0].seeds}"
        )
    else:
        baseline_code = ""
    if configurations:
        return f"{baseline_code}, given=[{', '.join(configurations)}]"
    return baseline_code


def _belief(node: Node, first: bool = False) -> str:
    """The belief stated from a round on, as arguments of a call."""
    if node.belief is None:
        return ""
    if first and node.belief:
        share = f", exploit={node.exploit}"
    else:
        share = ""
    belief_code = node.belief.code(literal)
    if node.belief.like:  # what earlier studies suggested then, whatever they say by now
        belief_code = (
            f"refine.space.belief.Belief.from_json({node.belief.to_json()!r}, {list(node.belief.like)!r})"
        )
    return f", belief={belief_code}{share}"


def configuration_code(encoded: Mapping[str, object]) -> str:
    """An encoded configuration as Python."""
    return "{" + ", ".join(f"{n!r}: {literal(v)}" for n, v in decode_configuration(encoded).items()) + "}"


def objective_line(name: str, objective: Objective | None = None, with_data: bool = False) -> str:
    """The line of a script for an objective, by the name in the round's identity.

    An objective that can be imported by its name is imported. ``with_data``: the objective holds data besides
    the function of that name, as a ``KerasObjective`` does.
    """
    if name.startswith(COMMAND):
        command, patterns = command_and_patterns(name)
        if patterns:
            return f"objective = refine.Command({command!r}, metric_pattern={patterns!r})"
        return f"objective = refine.Command({command!r})"
    module, _, last = name.rpartition(".")
    if not last.isidentifier():
        return "objective = ...  # yours"
    importable = objective is not None and getattr(sys.modules.get(module), last, None) is objective
    if with_data and not importable:
        return f"from your_script import objective  # {last} with its data"
    return f"from {module if importable else 'your_script'} import {last} as objective"


def _design(node: Node) -> str:
    if node.method.startswith(OPTUNA):
        return node.method
    return repr(node.method)


def _pruner(node: Node, parent: Node | None = None) -> str:
    """The pruner as an argument of a call; empty for a child with its parent's pruner."""
    if node.pruner == (None if parent is None else parent.pruner):
        return ""
    if node.pruner is None:
        return ", pruner=None"
    return code_of(node.pruner)


def space_code(space: Space) -> str:
    """Python code to make the space."""
    rows = []
    for name, parameter in space.items():
        rows.append(f"    {name!r}: {parameter.code(literal)},")
    if space.constraints:
        tail = f", constraints={[str(c) for c in space.constraints]!r}"
    else:
        tail = ""
    return "\n".join(["Space({", *rows, f"}}{tail})"])
