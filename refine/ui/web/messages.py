"""What the review page may ask, said once: Python checks every message by this table, and the front end has its types.

    python -m refine.ui.web.messages

writes ``frontend/src/messages.d.ts``; ``make page`` does so before it builds.
"""

import json
import math
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from refine.errors import ReviewError, did_you_mean

Edit = TypedDict(
    "Edit",
    {"bounds": list[float], "keep": list[int], "as": Literal["started", "suggested"], "of": str, "text": str},
    total=False,
)
"""Bounds of a range, numbers of the levels that stay, an edit that the page began with, or one of a suggestion."""

Filter = TypedDict("Filter", {"low": float, "high": float, "is": str, "holds": str}, total=False)
"""What a column must hold: numbers between two ends, one level, or a text with another in it."""


class BeliefForm(TypedDict, total=False):
    """Where somebody thinks the best value lies: near a number, within a factor or a distance, or a weight per choice."""

    near: float
    within_factor: float
    within: float
    weights: list[float | None]


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


Fields = Mapping[str, Any]
"""Name -> type; one with a question mark may be left out."""

_ROUND: Fields = {"round": str}
_DRAWN: Fields = {**_ROUND, "risk?": float, "proposal?": str | None}
_BUDGET: Fields = {"workers?": int | None, "hours?": float | None, "trials?": int | None}
_CHOSEN: Fields = {
    **_DRAWN,
    "edits?": dict[str, Edit],
    "rejected?": list[str],
    "n?": int | None,
    "sized?": bool,
    "note?": str | None,
    "exploit?": float | None,
    "audit?": float | None,
    "belief?": dict[str, BeliefForm] | None,
    "pruner?": bool,
    **_BUDGET,
}
MESSAGES: dict[str, Fields] = {
    "start": {},  # what the page begins with
    "pulse": {},  # how far every round is
    "tree": {},  # the rounds at the side
    "round": _DRAWN,  # a round with its proposal at a risk
    "trials": _DRAWN,  # every trial, as bytes
    "numbers": _DRAWN,  # which trial every dot is, as bytes
    "pair": {**_DRAWN, "a": str, "b": str},  # two parameters level by level
    "figure": {**_DRAWN, "name": str, "about?": str, "dark?": bool},  # of `round.plot`
    "epsilon": {**_DRAWN, "value": float | None},  # which difference matters; null for the noise
    "preview": _CHOSEN,  # what accepting would mean
    "decide": {**_CHOSEN, "kind": Literal["accept", "decline"]},
    "list": _ROUND,  # the head of the list of trials
    "part": {  # some of its rows
        **_ROUND,
        "by?": str,
        "descending?": bool,
        "filters?": dict[str, Filter],
        "offset?": int,
    },
    "trial": {**_ROUND, "number": int},  # one in full
    "mark": {  # something to note about it; its key says that the number is still its own
        **_ROUND,
        "number": int,
        "key": str,
        "do": Literal["star", "unstar", "note", "exclude", "include"],
        "text?": str,
    },
    "history": _ROUND,  # the axes of the history
    "past": _ROUND,  # the history itself, as bytes
    "beside": {**_ROUND, "other?": str},  # what differs from another round, or from where it came from
    "run": {  # runs what is left of a round, or its best again, in the background
        **_ROUND,
        "do?": Literal["run", "replicate"],
        "n?": int | None,
        "top?": int | None,
        "seeds?": int | None,
        **_BUDGET,
    },
    "pause": {},  # ends what runs in order, as one Ctrl-C does; a second one at once
    "front": _ROUND,  # the front of several goals
    "choose": {**_ROUND, "point": int, "note?": str},  # a point of it, as a decision
}
"""Everything that the page may ask, by type."""

_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
    list: "a list",
    dict: "an object",
}


def check(message: Any) -> Mapping[str, Any]:
    """The message, if it is one.

    Raises:
        ReviewError: It is none; says where.
    """
    if not isinstance(message, dict):
        raise ReviewError(f"a message must be an object, got {type(message).__name__}")
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise ReviewError(f"no message {kind!r:.80}; {did_you_mean(str(kind), MESSAGES)}")
    for place, text in _wrong_fields(message, {"type": str, **MESSAGES[kind]}, ()):
        raise ReviewError(f"message {kind!r}: {'.'.join(place) or 'it'} {text}")
    return message


_Wrong = Iterator[tuple[tuple[str, ...], str]]


def _fields(kind: Any) -> Fields:
    return {
        f"{n}{'' if n in kind.__required_keys__ else '?'}": each for n, each in get_type_hints(kind).items()
    }


def _wrong_fields(value: dict[str, Any], fields: Fields, place: tuple[str, ...]) -> _Wrong:
    known = {name.rstrip("?"): kind for name, kind in fields.items()}
    for name in fields:
        if name not in value and not name.endswith("?"):
            yield place, f"needs {name!r}"
    for name, inner in value.items():
        if name in known:
            yield from _wrong(inner, known[name], (*place, name))
        else:
            yield place, f"has no {name!r:.80}; {did_you_mean(name, known)}"


def _wrong(value: Any, kind: Any, place: tuple[str, ...]) -> _Wrong:
    """Where a value is not what a type says, and what it should be."""
    # Of several kinds the one that the value is of says what is wrong inside.
    same = next((each for each in _kinds(kind) if _is(value, each)), None)
    if same is None:
        yield place, f"must be {' or '.join(map(_word, _kinds(kind)))}, got {value!r:.80}"
    elif is_typeddict(same):
        yield from _wrong_fields(value, _fields(same), place)
    elif get_origin(same) is list:
        for i, inner in enumerate(value):
            yield from _wrong(inner, get_args(same)[0], (*place, str(i)))
    elif get_origin(same) is dict:
        for name, inner in value.items():
            yield from _wrong(inner, get_args(same)[1], (*place, name))


def _kinds(kind: Any) -> tuple[Any, ...]:
    """What a type allows: types, or the texts of a choice."""
    return get_args(kind) if get_origin(kind) in (Literal, Union, types.UnionType) else (kind,)


def _word(kind: Any) -> str:
    return repr(kind) if isinstance(kind, str) else _WORDS[_plain(kind)]


def _plain(kind: Any) -> Any:
    return dict if is_typeddict(kind) else get_origin(kind) or kind


def _is(value: Any, kind: Any) -> bool:
    if isinstance(kind, str):
        return isinstance(value, str) and value == kind
    if kind is float and isinstance(value, float):
        return math.isfinite(value)  # Python reads what JSON does not have
    if kind in (int, float):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, _plain(kind))


def declarations() -> str:
    """The same types for TypeScript."""
    lines = ["// Made from refine/ui/web/messages.py by `make page`; not to be edited.", ""]
    for each in (Edit, Filter, BeliefForm, Job, Runnable, FrontPoint, FrontGoal, FrontAnswer):
        lines += [f"export interface {each.__name__} {{ {_members(_fields(each))} }}"]
    lines += ["", "export type Message ="]
    lines += [
        f"  | {{ {_members({'type': Literal[kind], **fields})} }}"  # type: ignore[valid-type]
        for kind, fields in MESSAGES.items()
    ]
    return "\n".join([*lines[:-1], f"{lines[-1]};", ""])


def _members(fields: Fields) -> str:
    return "; ".join(f"{name}: {_typescript(kind)}" for name, kind in fields.items())


def _typescript(kind: Any) -> str:
    if isinstance(kind, str):
        return json.dumps(kind)
    if len(_kinds(kind)) > 1 or get_origin(kind) is Literal:
        return " | ".join(map(_typescript, _kinds(kind)))
    if get_origin(kind) is list:
        return f"Array<{_typescript(get_args(kind)[0])}>"
    if get_origin(kind) is dict:
        return f"Record<string, {_typescript(get_args(kind)[1])}>"
    plain = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return plain.get(kind) or str(kind.__name__)


if __name__ == "__main__":
    Path("frontend/src/messages.d.ts").write_text(declarations(), encoding="utf-8")
