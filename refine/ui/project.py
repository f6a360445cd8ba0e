"""The project file of a study: its space, program, goal, budget, first round and machine."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.errors import ObjectiveError, SpaceError, did_you_mean
from refine.run.machine import Machine

if TYPE_CHECKING:
    from refine.run.command import Command
    from refine.space.space import Space

FILE = "refine.toml"
"""The project file of the working folder."""

# Fields of a machine that are objects of Python, or that each command sets.
_NOT_IN_A_FILE = ("executor", "progress", "on_trial", "on_round")
KEYS = {
    "program": ("command", "metric-pattern", "objective"),
    "goal": ("metric", "direction", "subject-to", "noise", "limits", "scale", "baseline"),
    "round": ("n", "seed", "design", "pruner", "exploit", "belief", "note"),
    "machine": tuple(f.name for f in fields(Machine) if f.init and f.name not in _NOT_IN_A_FILE),
}
"""Keys of each table, besides ``budget``, ``constraints`` and the table ``parameters``."""


class Source(NamedTuple):
    """The place of an objective: a function, or a program.

    Attributes:
        function: ``module:name`` or ``path/to/file.py:name``.
        program: Name of a program: see :func:`refine.run.command.program_name`.
        folder: Working folder of the program; ``None`` for the one of the trial.
    """

    function: str | None = None
    program: str | None = None
    folder: str | None = None

    @property
    def recorded_name(self) -> str | None:
        """The name that a round records of the objective; ``None`` without an objective."""
        if self.function is None:
            return self.program
        place, _, name = self.function.rpartition(":")
        if place.endswith(".py"):
            place = Path(place).stem
        return f"{place}.{name}"

    def command(self) -> Command:
        """The program."""
        from refine.run.command import Command, command_and_patterns

        assert self.program is not None
        text, patterns = command_and_patterns(self.program)
        return Command(text, self.folder, metric_pattern=patterns)


@dataclass(frozen=True)
class Project:
    """The content of a project file; empty without a file.

    Attributes:
        content: Tables and keys, checked.
        path: The file; ``None`` without a file.
    """

    content: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @classmethod
    def read(cls, file: str | os.PathLike[str], role: str = "project file") -> Project:
        """The project file at a path; ``role`` names the file in errors.

        Raises:
            SpaceError: The file can't be read, or has an unknown key or table.
        """
        from refine.space.files import file_data

        path = Path(file)
        prefix = f"{role} {path}"
        return cls(_checked(file_data(path, prefix), prefix), path)

    def with_values(self, assignments: Sequence[str]) -> Project:
        """The project with values such as ``machine.timeout=600``.

        Raises:
            SpaceError: An assignment without a name or a value, or an unknown key.
        """
        content: dict[str, Any] = dict(self.content)
        for text in assignments:
            name, sign, value = text.partition("=")
            *tables, key = (part.strip() for part in name.split("."))
            if not sign or not key:
                raise SpaceError(
                    f"--set takes TABLE.KEY=VALUE, for example --set machine.timeout=600, got {text!r}"
                )
            table = content
            for part in tables:
                inner = table.get(part, {})
                table[part] = dict(inner) if isinstance(inner, Mapping) else {}
                table = table[part]
            table[key] = _value(value.strip())
        return Project(_checked(content, "--set"), self.path)

    @property
    def folder(self) -> Path | None:
        """The folder of the file; ``None`` for the working folder."""
        if self.path is None or self.path.resolve().parent == Path.cwd():
            return None
        return self.path.parent

    def table(self, name: str) -> Mapping[str, Any]:
        """A table; empty if the file lacks it."""
        table: Mapping[str, Any] = self.content.get(name, {})
        return table

    @property
    def has_space(self) -> bool:
        """True if the file has parameters."""
        return "parameters" in self.content

    @property
    def is_only_a_space(self) -> bool:
        """True if the file has only the space."""
        return not {*KEYS, "budget"}.intersection(self.content)

    def space(self) -> Space:
        """The space.

        Raises:
            SpaceError: No table ``parameters``, or a wrong one.
        """
        from refine.space.files import space_of_file

        return space_of_file(self.content, f"project file {self.path}")

    @property
    def source(self) -> Source:
        """The objective of the file; an empty source without an objective.

        Raises:
            ObjectiveError: A program and a function, or a pattern without a program.
        """
        from refine.run.command import program_name

        table = self.table("program")
        command = table.get("command")
        function = table.get("objective")
        patterns = _texts(table.get("metric-pattern"))
        if (command is None) == (function is None) or (patterns and command is None):
            if not table:
                return Source()
            raise ObjectiveError(
                f"project file {self.path}: [program] must have either command (a program, with an optional "
                f"metric-pattern) or objective (a function), got {', '.join(table)}"
            )
        folder = None if self.folder is None else str(self.folder)
        if command is not None:
            return Source(program=program_name(str(command).strip(), patterns), folder=folder)
        place = str(function).rpartition(":")[0]
        if folder is not None and place.endswith(".py"):
            return Source(str(self.folder / function))  # type: ignore[operator]
        return Source(str(function))

    def root(self) -> dict[str, Any]:
        """Keywords of :meth:`refine.Tree.add_round`: goal, budget and first round."""
        from refine.space.belief import typed_belief
        from refine.trials.declared import typed_limits
        from refine.trials.goal import typed_goals

        keywords = {**self.table("goal"), **self.table("round")}
        if "budget" in self.content:
            keywords["budget"] = self.content["budget"]
        if "metric" in keywords:
            keywords["metric"] = typed_goals(_texts(keywords["metric"]))
        if "subject-to" in keywords:
            keywords["subject_to"] = _texts(keywords.pop("subject-to"))
        if isinstance(keywords.get("limits"), str):
            keywords["limits"] = typed_limits(keywords["limits"])
        if "belief" in keywords:
            belief = keywords["belief"]
            if isinstance(belief, Mapping):
                belief = [f"{name}={text}" for name, text in belief.items()]
            keywords["belief"] = typed_belief(_texts(belief))
        return keywords

    def machine(self) -> dict[str, Any]:
        """Keywords of :class:`refine.Machine`."""
        from refine.report.trackers import tracker_of

        keywords = dict(self.table("machine"))
        if "track" in keywords:
            keywords["track"] = [tracker_of(text) for text in _texts(keywords["track"])]
        return keywords


def is_own(path: Path) -> bool:
    """True if a file belongs to this user or to the superuser, and not every user may change the file."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & stat.S_IWOTH


def _texts(value: object) -> list[str]:
    """A text or a list of texts as a list; empty for ``None``."""
    if value is None:
        return []
    if isinstance(value, list):
        return [str(text) for text in value]
    return [str(value)]


def _value(text: str) -> Any:
    """A value as TOML, or the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(content: object, prefix: str) -> Mapping[str, Any]:
    """The content of a project file. Raises SpaceError: an unknown key or table."""
    known = ("budget", "constraints", "parameters", *KEYS)
    if not isinstance(content, Mapping):
        raise SpaceError(f"{prefix}: must have tables, for example [parameters]")
    for name, table in content.items():
        if name not in known:
            raise SpaceError(
                f"{prefix}: unknown key {name!r}; {did_you_mean(name, known)}; parameters belong below "
                "[parameters]"
            )
        if name not in KEYS:
            continue
        if not isinstance(table, Mapping):
            raise SpaceError(f"{prefix}: {name} must be a table, got {table!r:.40}; write [{name}]")
        for key in table:
            if key not in KEYS[name]:
                raise SpaceError(
                    f"{prefix}: unknown key {key!r} below [{name}]; {did_you_mean(key, KEYS[name])}"
                )
    return content
