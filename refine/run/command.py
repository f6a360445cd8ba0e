"""A program as an objective, in any language; its metrics are read from its output."""

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from refine.errors import ObjectiveError, did_you_mean
from refine.run.supervisor import end, mark, supervised, swept
from refine.trials.round_record import COMMAND
from refine.utils.keywords import helped

_FIELD = re.compile(r"\{([^{}]*)\}")
_GROUP = re.compile(r"\[([^\[\]]*\{[^\[\]]*)\]")
_LAST_LINES = 20  # of the error stream, which the error of a failed trial ends with
_LONGEST = 2**20  # characters of a line that may hold metrics
_LARGE = 2**26  # bytes of a file from which on its size and time stand for its content


@helped
class Command:
    """An objective that runs a program, once per trial.

    ``Command("python train.py --lr {lr} --units {units}")``: values stand in braces. ``{seed}`` is the
    trial's seed and ``{params}`` the whole configuration as JSON. A part in brackets is left out if a
    parameter in it is absent or has the value None: ``"./train {lr} [--momentum {momentum}]"``. No shell
    runs: words are split as a shell splits them, and a value is always a word or a part of a word.

    The metrics are the last output line with a JSON object, ``{"val_acc": 0.93}``, or with a number alone. An
    object with ``"epoch"`` is a report of the epoch: the trial gets a curve, and a pruner may stop the trial.
    Other output is ignored. An exit status other than 0 is a failed trial, with the last lines of the error
    stream. Child processes of the program end with the program, and the program ends with the trial's
    process.

    Args:
        command: The program and its arguments.
        folder: Working directory of the program; default the working directory of the trial.
        environment: Further environment variables. ``REFINE_PARAMS`` and ``REFINE_SEED`` are always set.

    Attributes:
        name: The command, as its name in a round's identity.

    Raises:
        ObjectiveError: An empty command, a text that cannot be split into words, or a missing program.

    Examples:
        >>> program = refine.Command("echo {lr}")
        >>> tree.add_round({"lr": [0.1, 0.2]}, program, n=2).run(progress=False).best_params
        {'lr': 0.2}
    """

    def __init__(
        self,
        command: str,
        folder: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(command, str) or not command.strip():
            raise ObjectiveError(
                "a command must be a program with its arguments as one text, such as 'python train.py --lr "
                f"{{lr}}', got {command!r}"
            )
        self.command = command.strip()
        if folder is None:
            self.folder = None
        else:
            self.folder = str(Path(folder).absolute())
        self.environment = {str(k): str(v) for k, v in (environment or {}).items()}
        self.name = f"{COMMAND}{self.command}"
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise ObjectiveError(f"command {self.command!r}: {error}; quote it as in a shell") from None
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

    def words(self, params: Mapping[str, Any], seed: int) -> list[str]:
        """The program and its arguments for a configuration.

        Raises:
            ObjectiveError: A parameter is missing in the command, or the command names one that the
                configuration lacks.
        """
        values_by_name: dict[str, Any] = {name: params[name] for name in params}
        as_json = json.dumps(values_by_name, default=str, sort_keys=True)
        text = _GROUP.sub(lambda m: m[1] if _whole(m[1], values_by_name) else "", self.command)
        named = set(_FIELD.findall(self.command))
        unused = [name for name in values_by_name if name not in named]
        if unused and "params" not in named:
            raise ObjectiveError(
                f"command {self.command!r}: parameter {unused[0]!r} is not in it; write {{{unused[0]}}} "
                "where "
                "it belongs, or {params} for all of them as JSON"
            )
        values = {"seed": seed, "params": as_json, **values_by_name}
        return [_FIELD.sub(lambda m: self._value(m[1], values), word) for word in shlex.split(text)]

    def _value(self, name: str, values: Mapping[str, Any]) -> str:
        if name not in values:
            raise ObjectiveError(
                f"command {self.command!r}: {{{name}}} is not a parameter of this configuration; "
                f"{did_you_mean(name, values)}; put an optional part in brackets: [--momentum "
                "{momentum}]"
            )
        value = values[name]
        if isinstance(value, str | int | float):
            return str(value)
        return json.dumps(value, default=str)

    def __call__(self, params: Mapping[str, Any], trial: Any) -> dict[str, float]:
        """Runs the program, and returns the metrics by name.

        Raises ObjectiveError: the program failed, or printed no metrics.
        """
        words = self.words(params, trial.seed)
        shown = {name: params[name] for name in params}
        marked = mark()
        variables = {
            **marked,
            "REFINE_PARAMS": json.dumps(shown, default=str, sort_keys=True),
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
                metrics, pruned = _read(process.stdout, trial)
                if not pruned:
                    process.wait()
            finally:
                end(process)
                process.wait()
                reader.join()
        if (status := process.returncode) and not pruned:
            if status < 0:
                how = f"was ended by signal {-status}"
            else:
                how = f"ended with status {status}"
            output = "".join(last_lines).strip() or "it said nothing"
            raise ObjectiveError(f"{shlex.join(words)}\n{how}: {output}")
        if not metrics and not pruned:
            raise ObjectiveError(
                f"{shlex.join(words)}\nprinted no metrics: its last line must be a JSON object of numbers, "
                "such as "
                '{"val_acc": 0.93}, or a number'
            )
        return metrics


def _content(path: Path) -> bytes:
    """A digest of a file's content; of a large file its size and time."""
    state = path.stat()
    if state.st_size >= _LARGE:
        return f"{state.st_size} {state.st_mtime_ns}".encode()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _whole(group: str, params: Mapping[str, Any]) -> bool:
    """True if the configuration has all parameters of a part in brackets."""
    return all(
        params.get(name) is not None for name in _FIELD.findall(group) if name not in ("seed", "params")
    )


def _read(output: IO[str], trial: Any) -> tuple[dict[str, float], bool]:
    """The last metrics that a program prints, and whether a pruner stopped the trial."""
    metrics: dict[str, float] = {}
    for line in _lines(output):
        reported = metrics_of(line)
        if reported is None:
            continue
        epoch = reported.pop("epoch", None)
        if epoch is None:
            metrics = reported
        elif reported:
            trial.report(int(epoch), reported)
            if trial.should_prune():
                return {}, True
    return metrics, False


def _lines(stream: IO[str]) -> Iterator[str]:
    """The lines of a stream, without those that are too long to be metrics."""
    whole = True
    while line := stream.readline(_LONGEST):
        ends = line.endswith("\n")
        if whole and (ends or len(line) < _LONGEST):
            yield line
        whole = ends


def metrics_of(line: str) -> dict[str, float] | None:
    """The numbers by name of a line that is a JSON object, or a number alone; ``None`` for other lines.

    Raises ObjectiveError: an object with a value that is not a number.
    """
    text = line.strip()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        if text.lower() == "nan":
            return {"value": math.nan}
        return None
    if isinstance(content, int | float) and not isinstance(content, bool):
        return {"value": float(content)}
    if not isinstance(content, dict) or not content:
        return None
    for name, value in content.items():
        if value is not None and not isinstance(value, bool | int | float):
            raise ObjectiveError(
                f"metrics must be numbers by name, got {name!r}: {value!r:.60} in the line {text!r:.200}"
            )
    return {name: math.nan if value is None else float(value) for name, value in content.items()}
