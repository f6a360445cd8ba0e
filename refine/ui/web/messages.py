"""What the front end may ask, typed once: Python checks every message by the schema made from these types, TypeScript the front end.

    python -m refine.ui.web.messages frontend

writes ``messages.schema.json`` and ``src/messages.d.ts`` there; ``make page`` does so before it builds.
"""

import json
import math
import sys
import types
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NotRequired, Required, TypedDict, Union, get_args, get_origin, get_type_hints

from refine.errors import ReviewError, did_you_mean


class Start(TypedDict):
    """What the page begins with."""

    type: Literal["start"]


class Pulse(TypedDict):
    """How far every round is."""

    type: Literal["pulse"]


class Tree(TypedDict):
    """The rounds at the side."""

    type: Literal["tree"]


class Looked(TypedDict, total=False):
    """A round, and the proposal that is drawn of it."""

    round: Required[str]
    risk: float
    proposal: str | None


class Round(Looked):
    """A round with its proposal at a risk."""

    type: Literal["round"]


class Trials(Looked):
    """Every trial, as bytes."""

    type: Literal["trials"]


class Pair(Looked):
    """Two parameters level by level."""

    type: Literal["pair"]
    a: str
    b: str


class Epsilon(Looked):
    """Which difference matters; ``None`` for what the trials can tell apart."""

    type: Literal["epsilon"]
    value: float | None


Edit = TypedDict(
    "Edit",
    {"bounds": list[float], "keep": list[int], "as": Literal["started", "suggested"], "of": str, "text": str},
    total=False,
)
"""Bounds of a range, numbers of the levels that stay, an edit that the page began with, or one of a suggestion."""


class BeliefForm(TypedDict, total=False):
    """Where somebody thinks the best value lies: near a number, within a factor or a distance, or a weight per choice."""

    near: float
    within_factor: float
    within: float
    weights: list[float | None]


class Chosen(Looked, total=False):
    """What the person has chosen: edits of the proposal, how the next round draws and stops its trials, and within which budget it runs."""

    edits: dict[str, Edit]
    rejected: list[str]
    n: int | None
    sized: bool
    note: str | None
    exploit: float | None
    audit: float | None
    belief: dict[str, BeliefForm] | None
    pruner: bool
    workers: int | None
    hours: float | None
    trials: int | None


class Preview(Chosen):
    """What accepting would mean."""

    type: Required[Literal["preview"]]


class Decide(Chosen):
    """A decision."""

    type: Required[Literal["decide"]]
    kind: Required[Literal["accept", "decline"]]


class Numbers(Looked):
    """Which trial every dot is, as bytes."""

    type: Literal["numbers"]


class Trial(TypedDict):
    """One trial in full."""

    type: Literal["trial"]
    round: str
    number: int


class Listing(TypedDict):
    """The head of the list of trials."""

    type: Literal["list"]
    round: str


Filter = TypedDict("Filter", {"low": float, "high": float, "is": str, "holds": str}, total=False)
"""What a column must hold: numbers between two ends, one level, or a text with another in it."""


class Part(TypedDict):
    """Some rows of the list of trials."""

    type: Literal["part"]
    round: str
    by: NotRequired[str]
    descending: NotRequired[bool]
    filters: NotRequired[dict[str, Filter]]
    offset: NotRequired[int]


class Mark(TypedDict):
    """Something to note about a trial; its key says that the number is still its own."""

    type: Literal["mark"]
    round: str
    number: int
    key: str
    do: Literal["star", "unstar", "note", "exclude", "include"]
    text: NotRequired[str]


class History(TypedDict):
    """The axes of the history."""

    type: Literal["history"]
    round: str


class Past(TypedDict):
    """The history itself, as bytes."""

    type: Literal["past"]
    round: str


class Beside(TypedDict, total=False):
    """What differs from another round; from the one that it came from where none is said."""

    type: Required[Literal["beside"]]
    round: Required[str]
    other: str


class Figure(Looked):
    """A figure of ``round.plot``, in the colours of the page."""

    type: Literal["figure"]
    name: str
    about: NotRequired[str]
    dark: NotRequired[bool]


class Run(TypedDict, total=False):
    """Runs what is left of a round, or its best again, in the background."""

    type: Required[Literal["run"]]
    round: Required[str]
    do: Literal["run", "replicate"]
    n: int | None
    top: int | None
    seeds: int | None
    workers: int | None
    hours: float | None
    trials: int | None


class Pause(TypedDict):
    """Ends what runs in order, as one Ctrl-C does; a second one at once."""

    type: Literal["pause"]


class Front(TypedDict):
    """The front of several goals."""

    type: Literal["front"]
    round: str


class Choose(TypedDict):
    """A point of the front, as a decision."""

    type: Literal["choose"]
    round: str
    point: int
    note: NotRequired[str]


class Job(TypedDict):
    """What runs in the background, or ran last."""

    round: str
    running: bool
    pausing: bool
    text: str
    log: str


class Runnable(TypedDict):
    """Whether the page can run a round, why not, and the command that does it."""

    able: bool
    why: str
    objective: str
    command: str
    left: int


class FrontPoint(TypedDict):
    """A point of the front: its label, its values by goal, and its texts."""

    label: int
    values: list[float]
    text: str
    configuration: str
    chosen: bool


class FrontGoal(TypedDict):
    """An axis of the front."""

    name: str
    direction: Literal["maximize", "minimize"]


class FrontAnswer(TypedDict):
    """The front with other trials beside it."""

    goals: list[FrontGoal]
    points: list[FrontPoint]
    others: list[list[float]]
    infeasible: list[list[float]]
    about: str


MESSAGES = (
    *(Start, Pulse, Tree, Round, Trials, Pair, Epsilon, Preview, Decide, Run, Pause, Front, Choose),
    *(Numbers, Trial, Listing, Part, Mark, History, Past, Beside, Figure),
)
"""Everything that a page may ask."""

_ANSWERS = (Job, Runnable, FrontAnswer)
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_WORDS = {
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a message; types of answers are among its definitions."""
    found: dict[str, Any] = {}
    for each in (*MESSAGES, *_ANSWERS):
        _define(each, found)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Message",
        "description": "What the review page asks.",
        "oneOf": [{"$ref": f"#/$defs/{each.__name__}"} for each in MESSAGES],
        "$defs": dict(sorted(found.items())),
    }


def _define(each: Any, found: dict[str, Any]) -> dict[str, str]:
    if each.__name__ not in found:
        found[each.__name__] = {}  # it may be among its own fields
        hints = get_type_hints(each)
        found[each.__name__] = {
            "description": " ".join((each.__doc__ or "").split()) if each not in _UNSAID else _UNSAID[each],
            "type": "object",
            "properties": {name: _of(kind, found) for name, kind in hints.items()},
            "required": sorted(each.__required_keys__),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{each.__name__}"}


_UNSAID = {
    Edit: "Bounds of a range, numbers of the levels that stay, an edit that the page began with, or one of a suggestion.",
    Filter: "What a column must hold: numbers between two ends, one level, or a text with another in it.",
}
"""What types without a docstring of their own are."""


def _of(kind: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type."""
    origin, inside = get_origin(kind), get_args(kind)
    if kind in _KINDS:
        return {"type": _KINDS[kind]}
    if origin is Literal:
        return {"enum": list(inside)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(each, found) for each in inside]}
    if origin is list:
        return {"type": "array", "items": _of(inside[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(inside[1], found)}
    return _define(kind, found)


def check(message: Any) -> Mapping[str, Any]:
    """The message, if it is one.

    Args:
        message: Parsed JSON.

    Raises:
        ReviewError: It is none; says where.
    """
    if not isinstance(message, dict):
        raise ReviewError(f"a message must be an object, got {type(message).__name__}")
    kinds = {each["properties"]["type"]["enum"][0]: each for each in map(_resolved, schema()["oneOf"])}
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise ReviewError(f"no message {kind!r:.80}; {did_you_mean(str(kind), kinds)}")
    for place, text in _wrong(message, kinds[kind], ()):
        raise ReviewError(f"message {kind!r}: {'.'.join(place) or 'it'} {text}")
    return message


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema()["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    return found


def _wrong(value: Any, part: dict[str, Any], place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where a value is not what a schema says, and what it should be."""
    part = _resolved(part)
    if "anyOf" in part:
        # Of several kinds the one that the value is of says what is wrong inside.
        same = [each for each in map(_resolved, part["anyOf"]) if _is(value, each.get("type"))]
        if not same:
            yield place, f"must be {_words(part)}, got {value!r:.80}"
        for each in same[:1]:
            yield from _wrong(value, each, place)
    elif "enum" in part:
        if not any(value == each and type(value) is type(each) for each in part["enum"]):
            yield place, f"must be {_words(part)}, got {value!r:.80}"
    elif not _is(value, part["type"]):
        yield place, f"must be {_words(part)}, got {value!r:.80}"
    elif part["type"] == "array":
        for i, inner in enumerate(value):
            yield from _wrong(inner, part["items"], (*place, str(i)))
    elif part["type"] == "object":
        yield from _wrong_inside(value, part, place)


def _wrong_inside(
    value: dict[str, Any], part: dict[str, Any], place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    known, others = part.get("properties", {}), part["additionalProperties"]
    for name in part.get("required", ()):
        if name not in value:
            yield place, f"needs {name!r}"
    for name, inner in value.items():
        if name in known:
            yield from _wrong(inner, known[name], (*place, name))
        elif others is False:
            yield place, f"has no {name!r:.80}; {did_you_mean(name, known)}"
        else:
            yield from _wrong(inner, others, (*place, name))


def _is(value: Any, kind: str | None) -> bool:
    if kind == "null":
        return value is None
    if kind == "number" and isinstance(value, float):
        return math.isfinite(value)  # Python reads what JSON does not have
    if kind in ("integer", "number"):
        return isinstance(value, int) and not isinstance(value, bool)
    meant = {"string": str, "boolean": bool, "array": list, "object": dict}
    return kind in meant and isinstance(value, meant[kind])


def _words(part: dict[str, Any]) -> str:
    part = _resolved(part)
    if "anyOf" in part:
        return " or ".join(map(_words, part["anyOf"]))
    if "enum" in part:
        return " or ".join(map(repr, part["enum"]))
    return _WORDS[part["type"]]


def declarations() -> str:
    """The same types for TypeScript."""
    lines = ["// Made from refine/ui/web/messages.py by `make page`; not to be edited.", ""]
    for name, part in schema()["$defs"].items():
        lines += [f"/** {part['description']} */", f"export interface {name} {{"]
        for field, inner in part["properties"].items():
            may = "" if field in part["required"] else "?"
            lines.append(f"  {field}{may}: {_typescript(inner)};")
        lines += ["}", ""]
    names = " | ".join(each.__name__ for each in MESSAGES)
    return "\n".join([*lines, f"export type Message = {names};", ""])


def _typescript(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return str(part["$ref"].rpartition("/")[2])
    if "anyOf" in part:
        return " | ".join(map(_typescript, part["anyOf"]))
    if "enum" in part:
        return " | ".join(json.dumps(each) for each in part["enum"])
    if part["type"] == "array":
        return f"Array<{_typescript(part['items'])}>"
    if part["type"] == "object":
        return f"Record<string, {_typescript(part['additionalProperties'])}>"
    return "number" if part["type"] == "integer" else str(part["type"])


def written() -> dict[str, str]:
    """The files for the front end: path below its folder -> content."""
    return {
        "messages.schema.json": json.dumps(schema(), indent=1) + "\n",
        "src/messages.d.ts": declarations(),
    }


if __name__ == "__main__":
    for path, text in written().items():
        (Path(sys.argv[1]) / path).write_text(text, encoding="utf-8")
