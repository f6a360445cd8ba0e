"""Messages of the review page: their fields and types, checked before an answer."""

import math
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, TypedDict, get_args, get_origin, is_typeddict

from refine.errors import ReviewError, did_you_mean

# Bounds of a range, numbers of kept levels, an edit of the page's first review, or a suggested edit.
Edit = TypedDict(
    "Edit",
    {"bounds": list[float], "keep": list[int], "as": Literal["started", "suggested"], "of": str, "text": str},
    total=False,
)

# Filter of a column: numbers between two ends, a level, or a part of a text.
Filter = TypedDict("Filter", {"low": float, "high": float, "is": str, "holds": str}, total=False)


class Count(int):
    """A whole number >= 1."""


# Name -> type; one with a question mark may be left out.
Fields = Mapping[str, Any]
Message = Mapping[str, Any]  # a message of the page, checked: see :data:`MESSAGES`
Content = dict[str, Any]  # plain data of an answer, by the names that the page reads

_ROUND: Fields = {"round": str}
_DRAWN: Fields = {**_ROUND, "risk?": float, "proposal?": str | None}
_BUDGET: Fields = {"workers?": Count | None, "hours?": float | None, "trials?": Count | None}
_CHOSEN: Fields = {
    **_DRAWN,
    "edits?": dict[str, Edit],
    "rejected?": list[str],
    "n?": Count | None,
    "sized?": bool,
    "note?": str | None,
    "exploit?": float | None,
    "audit?": float | None,
    "pruner?": bool,
    **_BUDGET,
}
_QUESTION: Fields = {
    **_ROUND,
    "question": str,
    "given?": str | None,
    "better?": str | None,
    "epsilon?": float | dict[str, float] | None,  # by metric for several goals
}
# All messages of the page, by type; `study` selects the other study of a page with two.
MESSAGES: dict[str, Fields] = {
    "start": {},  # the content of a new page
    "pulse": {},  # the progress of each round
    "tree": {},  # the rounds at the side
    "track": _ROUND,  # the claims of the study that held
    "points": _ROUND,  # values of the trials of a round in the order of their end
    "round": _DRAWN,  # a round with its proposal at a risk
    "trials": _DRAWN,  # every trial, as bytes
    "numbers": _DRAWN,  # numbers of the trials behind the dots, as bytes
    # a figure of `round.plot`
    "figure": {**_DRAWN, "name": str, "about?": list[str], "dark?": bool, "wide?": bool},
    "epsilon": {**_DRAWN, "value": float | None},  # sets the tolerance; null for the default
    "preview": _CHOSEN,  # the consequences of accepting
    "outlook": _CHOSEN,  # the recommendation for the edited space, which takes longer
    "decide": {**_CHOSEN, "kind": Literal["accept", "decline"]},
    "list": _ROUND,  # the head of the list of trials
    "part": {  # some rows of the list
        **_ROUND,
        "by?": str,
        "descending?": bool,
        "filters?": dict[str, Filter],
        "offset?": int,
    },
    "trial": {**_ROUND, "number": int},  # a trial in full
    # Excludes a trial or includes the trial again; its key proves that the number still belongs to the trial.
    "exclude": {**_ROUND, "number": int, "key": str, "excluded": bool, "reason?": str},
    # Differences from another round (with `across`, of the other study), or from the parent.
    "beside": {**_ROUND, "other?": str, "across?": bool},
    "run": {  # runs the rest of a round in the background
        **_ROUND,
        "n?": Count | None,
        **_BUDGET,
    },
    "questions": {**_ROUND, "suggest?": bool},  # earlier questions, and those worth asking
    "ask": _QUESTION,  # the answer to a question about a part of the space
    "settle": _QUESTION,  # plans trials that settle a question
    "add": {  # adds trials to a round and runs them: a number, typed configurations, or repeats of the best
        **_ROUND,
        "n?": Count | None,
        "exploit?": float | None,
        "rows?": list[dict[str, str]],
        "repeat?": Count | None,
        "seeds?": Count | None,
        **_BUDGET,
    },
    "winner": _ROUND,  # the configuration to use, of the tree of a round
    "confirm": {**_ROUND, "budget?": Count | None, **_BUDGET},  # repeats the plausible winners
    "pause": {},  # ends the running trials in order, like Ctrl-C; a second pause ends them at once
    "front": _ROUND,  # the front of several goals
    "choose": {**_ROUND, "point": int, "note?": str},  # a point of the front, as a decision
}

_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    Count: "a whole number >= 1",
    float: "a number",
    type(None): "null",
    list: "a list",
    dict: "an object",
}


def check(message: object) -> Mapping[str, Any]:
    """Checks a message.

    Raises:
        ReviewError: A field is missing, unknown or of a wrong type.
    """
    if not isinstance(message, dict):
        raise ReviewError(f"a message must be an object, got {type(message).__name__}")
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise ReviewError(f"no message {kind!r:.80}; {did_you_mean(str(kind), MESSAGES)}")
    for place, text in _wrong_fields(
        message, {"type": str, "study?": Literal["other"], **MESSAGES[kind]}, ()
    ):
        raise ReviewError(f"message {kind!r}: {'.'.join(place) or 'it'} {text}")
    return message


_Wrong = Iterator[tuple[tuple[str, ...], str]]


def _wrong_fields(value: dict[str, Any], fields: Fields, place: tuple[str, ...]) -> _Wrong:
    kinds = {name.rstrip("?"): kind for name, kind in fields.items()}
    for name in fields:
        if name not in value and not name.endswith("?"):
            yield place, f"needs {name!r}"
    for name, inner in value.items():
        if name in kinds:
            yield from _wrong(inner, kinds[name], (*place, name))
        else:
            yield place, f"has no {name!r:.80}; {did_you_mean(name, kinds)}"


def _wrong(value: Any, kind: object, place: tuple[str, ...]) -> _Wrong:
    """The places where a value violates a type, with the rule."""
    # If several kinds are allowed, the error is about the kind of the value.
    if get_origin(kind) in (Literal, UnionType):
        kinds = get_args(kind)
    else:
        kinds = (kind,)
    matching = next((option for option in kinds if _is(value, option)), None)
    if matching is None:
        words = [repr(option) if isinstance(option, str) else _WORDS[_plain(option)] for option in kinds]
        yield place, f"must be {' or '.join(words)}, got {value!r:.80}"
    elif is_typeddict(matching):
        yield from _wrong_fields(
            value, {f"{n}?": option for n, option in matching.__annotations__.items()}, place
        )
    elif get_origin(matching) is list:
        for i, inner in enumerate(value):
            yield from _wrong(inner, get_args(matching)[0], (*place, str(i)))
    elif get_origin(matching) is dict:
        for name, inner in value.items():
            yield from _wrong(inner, get_args(matching)[1], (*place, name))


def _is(value: object, kind: object) -> bool:
    if isinstance(kind, str):
        return isinstance(value, str) and value == kind
    if kind is float and isinstance(value, float):
        return math.isfinite(value)  # Python's parser accepts NaN and infinity, which JSON lacks
    if kind in (int, float, Count):
        return isinstance(value, int) and not isinstance(value, bool) and (kind is not Count or value >= 1)
    return isinstance(value, _plain(kind))


def _plain(kind: object) -> Any:
    if is_typeddict(kind):
        return dict
    return get_origin(kind) or kind
