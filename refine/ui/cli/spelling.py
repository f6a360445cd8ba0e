"""Actions as commands: the shell form of the calls that messages and pages suggest."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Mapping

from refine.errors import ReviewError
from refine.utils.action import Action, Symbol

_OF_TREE = ("report", "winner", "confirm", "judge", "export", "calibration")
_OF_ROUND = ("run", "add", "analyze", "propose", "report", "branch")
_OF_REVIEW = ("accept", "decline")
_COMMANDS = {
    **{f"tree.{name}": f"{name} STORE" for name in _OF_TREE},
    **{f"round.{name}": f"{name} STORE ROUND" for name in _OF_ROUND},
    **{f"review.{name}": f"{name} STORE ROUND" for name in _OF_REVIEW},
    "tree": "show STORE",
    "tree.add_round": "run STORE --space FILE --objective MODULE:NAME",
    "tree.open_holdout": "holdout STORE",
    "tree.budget": "budget STORE",
    "tree.tag": "tag STORE ROUND",
    "tree.repair": "doctor STORE --repair",
    "tree.delete": "delete STORE ROUND",
    "round.note": "tag STORE ROUND --note NOTE",
    "round.checks": "analyze STORE ROUND --checks",
    "round.failures": "show STORE ROUND --failures",
    "review.options": "propose STORE ROUND --options",
    "review.edit": "accept STORE ROUND --preview",
}
_PLOT = "round.plot."
# Commands that run trials: they need the objective.
_RUNNING = (
    "round.run",
    "tree.confirm",
    "tree.open_holdout",
)
_FILL = {"objective": "MODULE:NAME", "previous": "NAME=VALUE"}

# Keys of the typed store, round, tree and project file, and of the options for the objective.
STORE = "store"
ROUND = "round"
TREE = "name"
PROJECT = "project"
OBJECTIVE = "objective"
# Key of the typed options for the objective: they win over the recorded name.
TYPED_OBJECTIVE = "typed objective"


_words: dict[str, str | None] = {}


def remember(key: str, value: str | None) -> None:
    """Stores typed words for suggested commands, for the whole process: a process runs one command."""
    _words[key] = value


def remembered(key: str) -> str | None:
    """The typed word, or ``None``."""
    return _words.get(key)


def forget() -> None:
    """Removes the stored words."""
    _words.clear()


def in_shell(action: Action, round_id: str | None = None) -> str:
    """An action as a command with the typed store, round and tree; as Python if no command exists.

    ``round_id`` is the round of the action; default the round of the command.
    """
    return completed(_with_places(action), round_id)


def completed(command: str, round_id: str | None = None) -> str:
    """A command with the typed words for STORE and ROUND; ROUND defaults to the newest round."""
    store, tree, file = map(_words.get, (STORE, TREE, PROJECT))
    head, place, arguments = command.partition(" STORE")
    if not command.startswith("refine ") or not place or store is None:
        return command
    if arguments.startswith(" ROUND"):
        round_id = round_id or _words.get(ROUND) or "last"
        arguments = f" {quoted(round_id)}{arguments.removeprefix(' ROUND')}"
    options = "".join(
        f" {name} {quoted(word)}" for name, word in (("--tree", tree), ("--project", file)) if word
    )
    return f"{head} {quoted(store)}{arguments}{options}"


def quoted(word: str) -> str:
    """A word for the shell; in double quotes if it has single quotes and nothing that a shell expands."""
    if "'" in word and not set(word).intersection('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def words_of(text: str) -> list[str]:
    """The words of a typed configuration; a value in quotes may have spaces.

    Raises:
        ReviewError: A quote has no partner.
    """
    try:
        return shlex.split(text)
    except ValueError:
        raise ReviewError(
            f"quotes must be closed, got {text!r:.80}; write 'lr=0.1 units=64', and values with spaces in "
            "quotes"
        ) from None


def _start(name: str, options: dict[str, object]) -> str | None:
    """The command of a call; ``None`` without a command."""
    if name.startswith(_PLOT):
        return f"plot STORE ROUND {name.removeprefix(_PLOT)}"
    if options.pop("dry_run", False):
        return _COMMANDS[name].removesuffix(" --repair")
    return _COMMANDS.get(name)


def _with_places(action: Action) -> str:
    name = action.name
    words = list[str]()
    if on := re.fullmatch(r"tree\['(\w+)'\]\.(\w+)", name):
        name = f"round.{on[2]}"
    options = dict(action.options)
    start = _start(name, options)
    if start is None:
        return str(action)
    arguments = action.arguments
    if name == "review.edit":
        arguments = (*arguments, options)
        options = {}
    for argument in arguments:
        if isinstance(argument, Mapping) and name == "tree.judge" and ... not in argument.values():
            words.append(_one_word(argument))
        elif isinstance(argument, Mapping):
            pairs = [
                f"{n.upper() if isinstance(n, Symbol) else n}={_typed_value(v)}" for n, v in argument.items()
            ]
            bare = name == "tree.judge"
            if not bare:
                pairs = [word for pair in pairs for word in ("--edit", pair)]
            words += pairs
        elif argument == "space" and name == "round.branch":
            words += ["--edit", "NAME=VALUE"]
        elif argument is ... and name == "tree.judge":
            words.append("winner")
        elif not isinstance(argument, Symbol) and argument is not ...:
            words += ["--out"] * name.endswith(".report") + [str(argument)]
    if name in _RUNNING or (name == "tree.judge" and "budget" in options):
        with_known = with_objective(start)
        if with_known != start:
            options = {n: v for n, v in options.items() if n != "objective"}
        start = with_known
    for configuration in options.pop("given", ()) if name == "round.add" else ():
        words += ["--given", _one_word(configuration)]
    for option, value in options.items():
        words += [f"--{option}", _FILL.get(option, option.upper()) if value is ... else _typed(value)]
    return " ".join(["refine", start, *map(quoted, words)])


def _one_word(configuration: Mapping[str, object]) -> str:
    """The values of a configuration as one word of the shell, before its quotes."""
    return " ".join(_pair(name, _typed_value(value)) for name, value in configuration.items())


def _pair(name: str, text: str) -> str:
    """A name and a value as a word of the shell, with quotes around the value if they suffice."""
    if quoted(name) == name:
        return f"{name}={quoted(text)}"
    return quoted(f"{name}={text}")


def with_objective(command: str) -> str:
    """A command for running trials, with the options for the objective of the last chosen round."""
    options = _words.get(OBJECTIVE)
    if not options:
        return command
    return f"{command} {options}"


def _typed(value: object) -> str:
    if value is ...:
        return "VALUE"
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})"
    return str(value)


def _typed_value(value: object) -> str:
    """A value of a parameter, in Python's quotes if the shell would read another value without them."""
    from refine.space.literals import typed_value

    if isinstance(value, str) and not isinstance(value, Symbol):
        with contextlib.suppress(ReviewError):
            if value and typed_value(value) == value:
                return value
        return repr(value)
    return _typed(value)
