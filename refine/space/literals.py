"""One edit, three spellings: a Python value, text typed in a shell, and the review page's object.

All three are read as the value that :meth:`refine.Review.edit` takes, and written from this value::

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
"""The page's object for an initial edit that neither bounds nor kept levels can express."""


def typed_value(text: str) -> Any:
    """The value of typed text.

    Python's notation of numbers, strings, ``True``, ``None``, tuples and lists is valid. Brackets around a
    tuple, and quotes around names, are optional: ``0, 0.2`` and ``0..0.2`` are bounds, ``Adam`` is a string
    or a label, ``Adam, SGD`` and ``[Adam, SGD]`` are choices.

    Raises:
        ReviewError: A bracket or a quote has no partner.
    """
    text = text.strip()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    low, dots, high = text.partition("..")
    if dots:
        with contextlib.suppress(ValueError):
            return tuple(int(end) if end.strip().isdigit() else float(end) for end in (low, high))
    parts = _parts(text)
    if len(parts) == 1 and text[:1] + text[-1:] in ("[]", "()"):
        inside = [typed_value(part) for part in _parts(text[1:-1]) if part.strip()]
        if text[0] == "[":
            return inside
        return tuple(inside)
    if len(parts) > 1:
        return [typed_value(part) for part in parts if part.strip()]
    return text


_PAIRS = {")": "(", "]": "[", "}": "{"}


def _parts(text: str) -> list[str]:
    """Text split at commas outside brackets and quotes; ReviewError for a lone bracket or quote."""
    parts = [""]
    opened = [""]
    quote = ""
    for position, letter in enumerate(text):
        if quote:
            if letter == quote:
                quote = ""
        elif (
            letter in "\"'" and not text[position - 1 : position].isalnum()
        ):  # not an apostrophe inside a word
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
            f"{quote or opened[-1]} has no partner in {text!r}; write (low, high), [a, b, ...] or one value, "
            "for example (0, 0.2), [8, 16], Adam; put a string with a lone bracket in quotes"
        )
    return parts


def typed_pairs(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Name -> value from texts such as ``dropout=(0, 0.2)``; ``option`` is named in a ReviewError."""
    values = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ReviewError(
                f"{option} takes name=value, for example {option} 'dropout=(0, 0.2)', got {pair!r}"
            )
        try:
            values[name.strip()] = typed_value(value)
        except ReviewError as error:
            raise ReviewError(f"{option} {name.strip()}: {error}") from None
    return values


def python_text(value: Any) -> str:
    """An edit as Python code."""
    if isinstance(value, Range) or (isinstance(value, Categorical) and value.when is not None):
        return f"refine.{value!r}"
    if isinstance(value, Categorical):
        text = python_text(list(value.grid))
        if value.declared_order is None:
            return text
        return f"refine.Categorical({text}, ordered={value.declared_order})"
    if isinstance(value, list):
        return f"[{', '.join(map(python_text, value))}]"
    if isinstance(value, Reference):
        return repr(value.label)
    return repr(value)


def python_symbols(edits: Mapping[str, object]) -> dict[str, Symbol]:
    """Edits as the argument of a printed call."""
    return {name: Symbol(python_text(value)) for name, value in edits.items()}


def page_value(parameter: Parameter, name: str, form: object) -> Any:
    """An edit from the review page: ``{"bounds": [low, high]}`` or ``{"keep": [numbers of levels]}``."""
    if isinstance(form, Mapping) and set(form) == {"bounds"} and isinstance(form["bounds"], list):
        # JSON has one kind of number: whole ones become ints, so that ranges of integers stay integer.
        return tuple(
            int(v) if isinstance(v, float) and v.is_integer() and abs(v) < 2**53 else v
            for v in form["bounds"]
        )
    if isinstance(form, Mapping) and set(form) == {"keep"} and isinstance(form["keep"], list):
        kept_levels = form["keep"]
        if not kept_levels or not all(isinstance(i, int) and 0 <= i < parameter.size for i in kept_levels):
            raise ReviewError(
                f"edit: {name}: keep must be numbers of its {parameter.size} levels, and not empty, got "
                f"{kept_levels!r}"
            )
        assert isinstance(parameter, Categorical)
        return parameter.like([parameter.grid[i] for i in sorted(set(kept_levels))])
    raise ReviewError(f"edit: {name}: must be bounds or keep, got {form!r}")


def page_form(old: Parameter, new: Parameter, replaced: Parameter) -> dict[str, object]:
    """The review page's object for an edited parameter, with a text for an edit beyond bounds and levels.

    ``replaced`` is the parameter before the edit, as for :func:`refine.space.edits.edited`.
    """
    form: dict[str, object]
    if isinstance(old, Range):
        form = {"bounds": [float(min(new.grid)), float(max(new.grid))]}
    else:
        form = {"keep": [i for i, v in enumerate(old.grid) if v in new.grid]}
    with contextlib.suppress(RefineError):
        if edited(old, page_value(old, "", form), replaced) == new:
            return form
    return {**STARTED, **form, "text": bounds_text(new)}
