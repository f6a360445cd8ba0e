"""One edit, three spellings: the Python value, the text typed in a shell, and the review page's object.

Each is read into the value that :meth:`refine.Review.edit` takes, and written from it::

    (0, 0.2)    'dropout=(0, 0.2)'    {"bounds": [0, 0.2]}
    ["Adam"]    optimizer=[Adam]      {"keep": [0]}
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from refine.errors import RefineError, ReviewError
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text, edited
from refine.space.encoding import Reference
from refine.space.parameters import Parameter, Range
from refine.utils.action import Symbol

STARTED = {"as": "started"}
"""The page's object for an edit that it began with, where neither bounds nor kept levels say it."""


def typed_value(text: str) -> Any:
    """A value as it is typed.

    Python's notation of numbers, texts, ``True``, ``None``, tuples and lists means what it means in Python; brackets
    around a tuple, and quotes around names, may be left out: ``0, 0.2`` are bounds, ``Adam`` is a text or a label, and
    ``Adam, SGD`` and ``[Adam, SGD]`` are choices.

    ReviewError where a bracket or a quote has no partner.
    """
    text = text.strip()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    parts = _parts(text)
    if len(parts) == 1 and text[:1] + text[-1:] in ("[]", "()"):
        inside = [typed_value(part) for part in _parts(text[1:-1]) if part.strip()]
        return inside if text[0] == "[" else tuple(inside)
    if len(parts) > 1:
        return [typed_value(part) for part in parts if part.strip()]
    return text


_PAIRS = {")": "(", "]": "[", "}": "{"}


def _parts(text: str) -> list[str]:
    """A text cut at the commas outside brackets and quotes; ReviewError where one of these has no partner."""
    parts, opened, quote = [""], [""], ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not text[at - 1 : at].isalnum():  # an apostrophe inside a word is none
            quote = letter
        elif letter in "([{":
            opened.append(letter)
        elif letter in _PAIRS and opened.pop() != _PAIRS[letter]:
            quote = letter
            break
        if letter == "," and not quote and len(opened) == 1:
            parts.append("")
        else:
            parts[-1] += letter
    if quote or len(opened) > 1:
        raise ReviewError(
            f"{quote or opened[-1]} has no partner in {text!r}; write (low, high), [a, b, ...] or one value, such as (0, 0.2), "
            "[8, 16], Adam; a text with a lone bracket stands in quotes"
        )
    return parts


def typed_pairs(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Name -> value, of texts such as ``dropout=(0, 0.2)``; ``option`` is what they were typed for, in a ReviewError."""
    values = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ReviewError(f"{option} takes name=value, such as {option} 'dropout=(0, 0.2)', got {pair!r}")
        try:
            values[name.strip()] = typed_value(value)
        except ReviewError as error:
            raise ReviewError(f"{option} {name.strip()}: {error}") from None
    return values


def python_text(value: Any) -> str:
    """An edit as Python code."""
    if isinstance(value, Range) or (isinstance(value, Categorical) and value.when is not None):
        return f"refine.{value!r}"
    plain = list(value.grid) if isinstance(value, Categorical) else value
    if isinstance(plain, list):
        text = repr([v.label if isinstance(v, Reference) else v for v in plain])
        declared = value.declared_order if isinstance(value, Categorical) else None
        return text if declared is None else f"refine.Categorical({text}, ordered={declared})"
    return repr(plain.label if isinstance(plain, Reference) else plain)


def python_symbols(edits: Mapping[str, Any]) -> dict[str, Symbol]:
    """Edits as the argument of a call that is shown."""
    return {name: Symbol(python_text(value)) for name, value in edits.items()}


def page_value(parameter: Parameter, name: str, form: Any) -> Any:
    """An edit as the review page sends it, ``{"bounds": [low, high]}`` or ``{"keep": [numbers of levels]}``."""
    if isinstance(form, Mapping) and set(form) == {"bounds"} and isinstance(form["bounds"], list):
        # JSON has one kind of number: a whole one is an int, so that ranges of integers stay such.
        whole = [isinstance(v, float) and v.is_integer() and abs(v) < 2**53 for v in form["bounds"]]
        return tuple(int(v) if w else v for v, w in zip(form["bounds"], whole, strict=True))
    if isinstance(form, Mapping) and set(form) == {"keep"} and isinstance(form["keep"], list):
        kept = form["keep"]
        if not kept or not all(isinstance(i, int) and 0 <= i < parameter.size for i in kept):
            raise ReviewError(
                f"edit: {name}: keep must be numbers of its {parameter.size} levels, and not empty, got {kept!r}"
            )
        assert isinstance(parameter, Categorical)
        return parameter.like([parameter.grid[i] for i in sorted(set(kept))])
    raise ReviewError(f"edit: {name}: must be bounds or keep, got {form!r}")


def page_form(old: Parameter, new: Parameter, now: Parameter | None = None) -> dict[str, Any]:
    """An edited parameter as the review page has it; what it has no form for is drawn as far as it can be, and named.

    ``now`` is what it replaced, as for :func:`refine.space.edits.edited`.
    """
    form: dict[str, Any]
    if isinstance(old, Range):
        form = {"bounds": [float(min(new.grid)), float(max(new.grid))]}
    else:
        form = {"keep": [i for i, v in enumerate(old.grid) if v in new.grid]}
    with contextlib.suppress(RefineError):
        if edited(old, page_value(old, "", form), now) == new:
            return form
    return {**STARTED, **form, "text": bounds_text(new)}
