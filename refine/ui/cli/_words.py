"""Ways out as one types them: what refine says names Python's calls, and the shell has commands for those."""

from __future__ import annotations

import re
from collections.abc import Mapping

from refine.utils.action import Action, Symbol

TYPED = {
    "tree.add_round(space, objective, n=100)": "refine run STORE --space FILE --objective MODULE:NAME --n 100",
    "tree.add_round(...)": "refine run STORE --space FILE --objective MODULE:NAME",
    "tree.tag(round, 'paper')": "refine tag STORE ROUND paper",
    "give another name=, or merge: tree.merge(folder)": "give another --tree, or merge in Python: tree.merge(folder)",
    "round.branch(space, previous={...})": "refine branch STORE ROUND --edit NAME=VALUE --previous NAME=VALUE",
    ".propose().accept(n=100) or .branch(space, n=100) and run the child": (
        "refine propose and refine accept, or refine branch, and run the child"
    ),
    "by n= (a number) or downsample= (a share)": "by --n (a number) or --downsample (a share)",
    "tracebacks are in round.failures": "tracebacks are in refine failures STORE ROUND",
    "n= takes a number": "--n takes a number",
}
"""What refine says -> the same in the shell."""

COMMANDS = {
    "round.run": "refine run STORE ROUND",
    "round.replicate": "refine replicate STORE ROUND",
    "round.branch": "refine branch STORE ROUND",
    "round.failures": "refine failures STORE ROUND",
    "round.set_roles": "refine roles STORE ROUND",
    "tree.add_round": "refine run STORE --space FILE --objective MODULE:NAME",
}
"""What an action calls -> the command that does the same."""


_FILL = {"objective": "MODULE:NAME"}


def command(action: Action) -> str:
    """An action as it is typed in the shell; one that has no command as Python's call."""
    if action.name not in COMMANDS:
        return str(action)
    pairs = [
        f"{name.upper() if isinstance(name, Symbol) else name}={value}"
        for given in action.arguments
        if isinstance(given, Mapping)
        for name, value in given.items()
    ]
    options = [
        f"--{name} {_FILL.get(name, name.upper()) if value is ... else value}"
        for name, value in action.options.items()
    ]
    return " ".join([COMMANDS[action.name], *pairs, *options])


_OPTION = re.compile(r"\b(rerun|metric|design)='([^']+)'")
_ANY = re.compile("|".join(re.escape(said) for said in TYPED))


def in_shell(text: str) -> str:
    """A text with commands in place of the calls that it names."""
    return _OPTION.sub(r"--\1 \2", _ANY.sub(lambda found: TYPED[found[0]], text))
