"""A program as an objective, in any language; metrics are read from the program's output."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from refine.errors import ObjectiveError, did_you_mean
from refine.run.metric_pattern import MetricPattern, patterns_of
from refine.run.supervisor import end, mark, supervised, swept
from refine.space.space import Space
from refine.trials.round_record import COMMAND, METRIC_PATTERN
from refine.utils.keywords import helped
from refine.utils.numbers import is_real

_FIELD = re.compile(r"\{([^{}]*)\}")
_GROUP = re.compile(r"\[([^\[\]]*\{[^\[\]]*)\]")
_OWN = ("seed", "params")  # fields of a command that are no parameters
_LAST_LINES = 20  # last lines of the error stream, in the error of a failed trial
_SHOWN = 200  # characters of the last line of output, in the error of a program without metrics
_LONGEST = 2**20  # characters of a line that may hold metrics
_LARGE = 2**26  # bytes of a file from which on its size and time stand for its content


@helped
class Command:
    """A program as an objective, run once per trial.

    ``Command("python train.py --lr {lr} --units {units}")``: values stand in braces. ``{seed}`` is the
    trial's seed and ``{params}`` the whole configuration as JSON. A part in brackets is left out if a
    parameter in it is absent or has the value None: ``"./train {lr} [--momentum {momentum}]"``. No shell
    runs: words are split as a shell splits them, and a value is always a word or a part of a word.

    The metrics are the last output line with a JSON object, ``{"val_acc": 0.93}``, or with a number alone. An
    object with ``"epoch"`` is a report of the epoch: the trial gets a curve, and a pruner may stop the trial.
    A program without JSON output needs ``metric_pattern``. Other output is ignored. An exit status other than
    0 is a failed trial, with the last lines of the error stream. Child processes of the program end with the
    program, and the program ends with the trial's process.

    Args:
        command: The program and the arguments.
        folder: Working directory of the program; default the working directory of the trial.
        environment: Further environment variables. ``REFINE_PARAMS`` and ``REFINE_SEED`` are always set.
        metric_pattern: Regular expressions to capture metrics in the output, instead of JSON. The last
            match counts. ``"val_acc=([0-9.]+)"`` captures ``val_acc``; named groups name several metrics,
            and a group ``epoch`` makes a match a report of that epoch, too.

    Attributes:
        name: The command and the patterns, as their name in a round's identity.

    Raises:
        ObjectiveError: An empty command, a text that cannot be split into words, a missing program, or a
            wrong pattern.

    Examples:
        >>> program = refine.Command("echo {lr}")
        >>> tree.add_round({"lr": [0.1, 0.2]}, program, n=2).run().best[["lr"]].to_dict()
        {'lr': 0.2}
    """

    def __init__(
        self,
        command: str,
        folder: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
        metric_pattern: str | Sequence[str] | None = None,
    ) -> None:
        words = words_of(command)
        if not isinstance(folder, str | os.PathLike | None):
            raise ObjectiveError(f"folder must be a path, got {folder!r:.40}; for example folder='runs'")
        if not isinstance(environment, Mapping | None):
            raise ObjectiveError(
                f"environment must map names to values, got {environment!r:.40}; for example {{'SEED': '1'}}"
            )
        self.command = command.strip()
        if folder is None:
            self.folder = None
        else:
            self.folder = str(Path(folder).absolute())
        self.environment = {str(k): str(v) for k, v in (environment or {}).items()}
        self.patterns = patterns_of(metric_pattern)
        self.name = program_name(self.command, [pattern.text for pattern in self.patterns])
        if "{" not in words[0] and not self._found(words[0]):
            raise ObjectiveError(
                f"command {self.command!r}: the program {words[0]!r} is not found; give its path"
            )

    def _found(self, program: str) -> bool:
        if os.sep in program:
            return (Path(self.folder or os.curdir) / program).exists()
        return shutil.which(program) is not None

    @property
    def code(self) -> str:
        """A fingerprint of the command and the files it names; a large file counts by size and time."""
        total = hashlib.sha256(self.command.encode())
        for word in shlex.split(self.command):
            path = Path(self.folder or os.curdir) / word
            with contextlib.suppress(OSError, ValueError):
                if path.is_file():
                    total.update(_content(path))
        return total.hexdigest()[:12]

    def check_space(self, space: Space) -> None:
        """Checks the parameters of the command against a space.

        Raises:
            ObjectiveError: A parameter is missing in the command, the command names one that the space lacks,
                or a parameter with a condition stands outside brackets.
        """
        names = list(space)
        self._check_used(names)
        unknown = [name for name in named_parameters(self.command) if name not in names]
        if unknown:
            raise ObjectiveError(
                f"command {self.command!r}: {{{unknown[0]}}} is not a parameter of the space; "
                f"{did_you_mean(unknown[0], names)}"
            )
        outside_brackets = _GROUP.sub("", self.command)
        for name in _FIELD.findall(outside_brackets):
            if name in space.conditions:
                raise ObjectiveError(
                    f"command {self.command!r}: parameter {name!r} has a condition, so some configurations "
                    f"lack it; put its part in brackets: [--{name} {{{name}}}]"
                )

    def _check_used(self, names: Sequence[str]) -> None:
        named = _FIELD.findall(self.command)
        unused = [name for name in names if name not in named]
        if unused and "params" not in named:
            raise ObjectiveError(
                f"command {self.command!r}: parameter {unused[0]!r} is not in it; write {{{unused[0]}}} at "
                "its place, or {params} for all parameters as JSON"
            )

    def words(self, params: Mapping[str, object], seed: int) -> list[str]:
        """The program and the arguments for a configuration.

        Raises:
            ObjectiveError: A parameter is missing in the command, or the command names one that the
                configuration lacks.
        """
        values_by_name: dict[str, object] = {name: params[name] for name in params}
        text = _GROUP.sub(lambda m: m[1] if _whole(m[1], values_by_name) else "", self.command)
        self._check_used(list(values_by_name))
        values = {"seed": seed, "params": _as_json(params), **values_by_name}
        return [_FIELD.sub(lambda m: self._value(m[1], values), word) for word in shlex.split(text)]

    def _value(self, name: str, values: Mapping[str, object]) -> str:
        if name not in values:
            raise ObjectiveError(
                f"command {self.command!r}: {{{name}}} is not a parameter of this configuration "
                f"({did_you_mean(name, values)}); put an optional part in brackets: [--momentum "
                "{momentum}]"
            )
        value = values[name]
        if isinstance(value, str | int | float) or callable(value):
            return _name_of(value)
        return json.dumps(value, default=_name_of)

    def __call__(self, params: Mapping[str, Any], trial: Any) -> dict[str, float]:
        """Runs the program, and returns the metrics by name.

        Raises ObjectiveError: the program failed, or printed no metrics.
        """
        words = self.words(params, trial.seed)
        marked = mark()
        variables = {
            **marked,
            "REFINE_PARAMS": _as_json(params),
            "REFINE_SEED": str(trial.seed),
        }
        try:
            process = subprocess.Popen(  # noqa: S603  # running the person's own program is what it is for
                supervised(words),
                cwd=self.folder,
                env={**os.environ, **self.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise ObjectiveError(
                f"command {self.command!r}: can't be run: {error.strerror or error}"
            ) from None
        last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            reader = threading.Thread(target=last_lines.extend, args=(_lines(process.stderr),), daemon=True)
            reader.start()
            threading.Thread(target=swept, args=(process, marked), daemon=True).start()
            try:
                metrics, pruned, last_line = _read(process.stdout, trial, self.patterns)
                if not pruned:
                    process.wait()
            finally:
                end(process)
                process.wait()
                reader.join()
        if (status := process.returncode) and not pruned:
            if status < 0:
                ending = f"was ended by signal {-status}"
            else:
                ending = f"ended with status {status}"
            output = "".join(last_lines).strip() or "it said nothing"
            raise ObjectiveError(f"{shlex.join(words)}\n{ending}: {output}")
        if not metrics and not pruned:
            raise ObjectiveError(f"{shlex.join(words)}\n{self._no_metrics(last_line)}")
        return metrics

    def _no_metrics(self, last_line: str) -> str:
        """The error of a program without metrics in the output."""
        ending = "nothing was printed"
        if last_line:
            ending = f"the last line is {last_line!r}"
        if self.patterns:
            texts = " or ".join(repr(pattern.text) for pattern in self.patterns)
            return f"printed no metrics: no line matches the metric pattern {texts}; {ending}"
        return (
            f"printed no metrics: {ending}; print a JSON object of numbers as the last line, for example "
            "{\"val_acc\": 0.93}, or give a metric pattern, for example 'val_acc=([0-9.]+)'"
        )


def words_of(command: object) -> list[str]:
    """The words of a command.

    Raises ObjectiveError: an empty command, or a text that cannot be split into words.
    """
    if not isinstance(command, str) or not command.strip():
        raise ObjectiveError(
            "a command must be a program with its arguments as one text, such as 'python train.py --lr "
            f"{{lr}}', got {command!r}"
        )
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ObjectiveError(f"command {command.strip()!r}: {error}; quote it as in a shell") from None


def named_parameters(command: str) -> list[str]:
    """Names of the parameters in a command, in order."""
    return list(dict.fromkeys(name for name in _FIELD.findall(command) if name not in _OWN))


def program_name(command: str, patterns: Sequence[str]) -> str:
    """The name of a program as an objective."""
    return COMMAND + "".join([command, *(f"{METRIC_PATTERN}{pattern}" for pattern in patterns)])


def command_and_patterns(name: str) -> tuple[str, list[str]]:
    """The command and the metric patterns in the name of a program; inverse of :func:`program_name`."""
    command, *patterns = name.removeprefix(COMMAND).split(METRIC_PATTERN)
    return command, patterns


def program_of(name: str) -> Command:
    """The program of a name by :func:`program_name`."""
    command, patterns = command_and_patterns(name)
    return Command(command, metric_pattern=patterns)


def _content(path: Path) -> bytes:
    """A digest of a file's content; of a large file: of size and time."""
    state = path.stat()
    if state.st_size >= _LARGE:
        return f"{state.st_size} {state.st_mtime_ns}".encode()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _whole(group: str, params: Mapping[str, object]) -> bool:
    """True if the configuration has all parameters of a part in brackets."""
    return all(params.get(name) is not None for name in _FIELD.findall(group) if name not in _OWN)


def _read(
    output: IO[str], trial: Any, patterns: Sequence[MetricPattern]
) -> tuple[dict[str, float], bool, str]:
    """The last metrics that a program prints, whether a pruner stopped the trial, and the last line."""
    metrics: dict[str, float] = {}
    last_line = ""
    for line in _lines(output):
        last_line = line.strip()[:_SHOWN] or last_line
        if patterns:
            reported = {name: v for pattern in patterns for name, v in pattern.last_metrics(line).items()}
            epoch = reported.pop("epoch", None)
            metrics |= reported
        else:
            reported = metrics_of(line) or {}
            epoch = reported.pop("epoch", None)
            if epoch is None and reported:
                metrics = reported
        if epoch is not None and reported:
            if not math.isfinite(epoch):
                raise ObjectiveError(
                    f"an epoch must be a number, got {epoch} in the line {line.strip()!r:.200}"
                )
            trial.report(int(epoch), reported)
            if trial.should_prune():
                return {}, True, last_line
    return metrics, False, last_line


def _lines(stream: IO[str]) -> Iterator[str]:
    """The lines of a stream, except lines too long for metrics."""
    at_line_start = True
    while line := stream.readline(_LONGEST):
        ends = line.endswith("\n")
        if at_line_start and (ends or len(line) < _LONGEST):
            yield line
        at_line_start = ends


def metrics_of(line: str) -> dict[str, float] | None:
    """The numbers by name of a line with a JSON object, or with a number alone; ``None`` for other lines.

    Raises ObjectiveError: an object with a non-numeric value.
    """
    text = line.strip()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        if text.lower() == "nan":
            return {"value": math.nan}
        return None
    if is_real(content):
        return {"value": float(content)}
    if not isinstance(content, dict) or not content:
        return None
    for name, value in content.items():
        if value is not None and not isinstance(value, bool | int | float):
            raise ObjectiveError(
                f"metrics must be numbers by name, got {name!r}: {value!r:.60} in the line {text!r:.200}"
            )
    return {name: math.nan if value is None else float(value) for name, value in content.items()}


def _as_json(params: Mapping[str, object]) -> str:
    return json.dumps({name: params[name] for name in params}, default=_name_of, sort_keys=True)


def _name_of(value: object) -> str:
    """The name of a class or function among the choices; the text of another value unknown to JSON."""
    return str(getattr(value, "__qualname__", value))
