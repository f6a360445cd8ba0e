"""What other tools write, as values: texts of tables, nested settings, files of JSON and CSV. Nothing is run."""

from __future__ import annotations

import ast
import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from keyword import iskeyword
from pathlib import Path
from typing import Any

from refine.errors import AnalysisError
from refine.store.sound import BROKEN, said

_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d{1,300}")
_ODD = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
_UNQUOTED = re.compile(r"(?<=[:\[(,]\s)(nan|-?inf)(?=[,}\])])")
_TIMES = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")

_DEEP = 20
"""Levels of nesting that are taken apart."""


class Missing:
    """What a run has no value of; an empty cell."""


MISSING = Missing()


def value_of(text: str) -> Any:
    """A cell as the value that was written there: a number, bool, ``None``, list as a tuple, mapping, or the text.

    Returns:
        The value; :data:`MISSING` of an empty cell.
    """
    plain = text.strip()
    if not plain:
        return MISSING
    if plain.lower() in _CONSTANTS:
        return _CONSTANTS[plain.lower()]
    if _WHOLE.fullmatch(plain):
        return int(plain)
    if _NUMBER.fullmatch(plain) or plain.lower() in _ODD:
        return number_of_text(plain)
    if plain[0] in "[({":
        return settled(structure_of(plain, text))
    return text


def structure_of(text: str, otherwise: Any = None) -> Any:
    """A list or mapping as JSON or Python writes it; something else where it is neither."""
    try:
        return json.loads(text)
    except BROKEN:
        pass
    try:
        return ast.literal_eval(_UNQUOTED.sub(r"'\1'", text))
    except (*BROKEN, SyntaxError, MemoryError):
        return otherwise


def number_of_text(value: Any) -> float | None:
    """A number, also as its text, ``"NaN"`` and ``"Infinity"`` among them; ``None`` of anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        plain = value.strip().lower()
        return _ODD[plain] if plain in _ODD else float(plain) if _NUMBER.fullmatch(plain) else None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def settled(value: Any, depth: int = 0) -> Any:
    """Lists as tuples, which are choices; mappings stay."""
    if isinstance(value, list | tuple) and depth < _DEEP:
        return tuple(settled(v, depth + 1) for v in value)
    return value


def flat(data: Mapping[str, Any], between: str = ".", above: str = "", depth: int = 0) -> dict[str, Any]:
    """Nested settings with the keys of each joined: ``{"optimizer": {"lr": 1}}`` is ``{"optimizer.lr": 1}``."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{above}{between}{key}" if above else str(key)
        if isinstance(value, Mapping) and depth < _DEEP:
            out |= flat(value, between, name, depth + 1)
        elif isinstance(value, Mapping) or _holds_mapping(value):
            out[name] = json.dumps(value, default=str, sort_keys=True)
        else:
            out[name] = settled(value)
    return out


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(v, Mapping) or _holds_mapping(v) for v in value)


def plain_name(name: str) -> str:
    """A setting's name as conditions, constraints and keywords can write it: ``optimizer.name`` is ``optimizer_name``.

    A name that can't be made one so stays.
    """
    made = re.sub(r"[./\-\s]+", "_", name.strip())
    return made if made.isidentifier() and not iskeyword(made) else name


def numbers_of(data: Mapping[str, Any]) -> dict[str, float]:
    """Those of some values that are numbers."""
    return {name: number for name, v in data.items() if (number := number_of_text(v)) is not None}


def seconds_of(value: Any) -> float:
    """A duration: a number of seconds, or a text such as ``"1h 2m 3s"`` or ``"0:01:30"``; 0 where it is none."""
    if (number := number_of_text(value)) is not None:
        return number if math.isfinite(number) and number > 0 else 0.0
    text = str(value).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([dhms])", text)
    if parts and re.fullmatch(r"(\d+(\.\d+)?\s*[dhms]\s*)+", text):
        return float(sum(float(n) * _TIMES[unit] for n, unit in parts))
    if clock := re.fullmatch(r"(?:(\d+) days? )?(\d+):(\d+):(\d+(?:\.\d+)?)", text):
        days, hours, minutes, rest = (float(part or 0) for part in clock.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    return 0.0


def moment_of(value: Any) -> float | None:
    """A point in time, in seconds since 1970: of an ISO text, or of a number of seconds or milliseconds."""
    if (number := number_of_text(value)) is not None:
        return (number / 1000 if number > 1e11 else number) if math.isfinite(number) else None
    try:
        found = datetime.fromisoformat(str(value).strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def is_moment(text: str) -> bool:
    """Whether a text is a date, with or without a time."""
    return len(text) >= 10 and text[:4].isdigit() and moment_of(text) is not None


def without_secret(text: str) -> str:
    """A URL without the name and password that it may hold."""
    return _SECRET.sub("***", text)


def rows_of(path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    """The columns and rows of a CSV file, all cells as texts.

    Raises:
        AnalysisError: It is no CSV file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except OSError as error:
        raise AnalysisError(f"{path}: can't be read: {error.strerror or error}; check the path") from None
    except (csv.Error, *BROKEN) as error:
        raise AnalysisError(f"{path}: is no table with commas between columns: {said(error)}") from None
    columns = lines[0] if lines else []
    if twice := [c for i, c in enumerate(columns) if c in columns[:i]]:
        raise AnalysisError(f"{path}: columns must differ in name, got {twice[0]!r} twice; rename one")
    for number, line in enumerate(lines[1:], 2):
        if line and len(line) != len(columns):
            raise AnalysisError(
                f"{path}: is no table with commas between columns: row {number} has {len(line)} cells, the first "
                f"{len(columns)}"
            )
    return columns, (dict(zip(columns, line, strict=True)) for line in lines[1:] if line)


def json_of(path: Path) -> Any:
    """The data of a JSON file.

    Raises:
        AnalysisError: It can't be read.
    """
    return _read_json(path, path_text(path))


def json_lines(path: Path) -> list[Any]:
    """The data of a file with JSON in each line; a last line that is cut off, as where a process died, is left out.

    Raises:
        AnalysisError: It can't be read.
    """
    lines = [line for line in path_text(path).splitlines() if line.strip()]
    out = []
    for number, line in enumerate(lines, 1):
        try:
            out.append(_read_json(path, line))
        except AnalysisError:
            if number < len(lines):
                raise
    return out


def path_text(path: Path) -> str:
    """The text of a file.

    Raises:
        AnalysisError: It can't be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AnalysisError(f"{path}: can't be read: {error.strerror or error}; check the path") from None
    except UnicodeError as error:
        raise AnalysisError(f"{path}: is no text: {error}; give the file that the tool wrote") from None


def _read_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except BROKEN as error:
        reason = said(error).removeprefix("is damaged: ")
        raise AnalysisError(f"{path}: is no JSON: {reason}; export it again") from None
