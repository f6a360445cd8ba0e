"""Conditions as people type them: ``act = relu``, ``lr 0.003..0.3``. Pure."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from refine.errors import SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.constraints import Constraint
from refine.space.encoding import bare
from refine.space.literals import typed_value
from refine.space.parameters import Parameter, Range
from refine.utils.format import join

_NUMBER = r"(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:e[+-]?\d+)?"
_BOUND = rf"([+-]?{_NUMBER})"
# The ends of a range, by the words or signs around them.
_RANGES = (
    rf"[\[(]?\s*{_BOUND}\s*(?:\.{{2,3}}|…|:|–|—|\bto\b)\s*{_BOUND}\s*[\])]?",
    rf"(?:between|from)\s+{_BOUND}\s+(?:and|to)\s+{_BOUND}",
    rf"({_NUMBER})\s*-\s*({_NUMBER})",
)
_PAIR = rf"\(?\s*{_BOUND}\s*,\s*{_BOUND}\s*\)?"  # a range of numbers, as in edits; two values of a choice
_NOT_EQUAL = r"!=|<>|≠|(?:is\s+)?not\s+in\b|is\s+not\b"
_EQUAL = r"==?|:|(?:is\s+in|is|in|only)\b"
_CLAUSE = rf"\s*(?:(?P<unequal>{_NOT_EQUAL})|(?P<equal>{_EQUAL})|(?<=\s)|(?=[(\[]))\s*(?P<value>[^=<>].*)"
_QUOTED = r"'[^']*'|\"[^\"]*\""
_OR = r"\bor\b|\|\|?"
_AGAINST = r"\b(?:vs|versus|against)\b\.?"
_AND = r"\band\b|&&?|,|;"
_LEADING = re.compile(r"^(?:in|with|where|when|if|is|only)\s+", re.IGNORECASE)
_SIGNS = {
    "<=": r"=<|≤|\bat most\b",
    ">=": r"=>|≥|\bat least\b",
    "<": r"\bbelow\b",
    ">": r"\babove\b",
}
_EQUALS = {"==": r"(?<![=!<>:])=(?![=<>])"}
_CONSTANTS = {"true": True, "false": False, "none": None}


def condition_text(space: Mapping[str, Parameter], typed: str) -> str:
    """A typed condition in the language of constraints; unchanged if in the language, or unreadable.

    Besides the language, a condition may be:

    - a choice without quotes, alone or after ``=``, ``:``, ``is`` or nothing: ``act = relu``, ``relu``;
    - several choices: ``act = relu, tanh``, ``units 8 or 16``;
    - a range: ``lr 0.003..0.3``, ``lr in 0.003-0.3``, ``lr 0.003 to 0.3``, ``lr = (0.003, 0.3)``;
    - several of these, after ``and``, ``or``, ``not``, a comma or a space: ``act=relu units=64``.

    Raises:
        SpaceError: A word after ``=`` is not a choice of the parameter, or a choice of several parameters
            stands alone.
    """
    if in_language(space, typed):  # quotes within quotes are for Python to read
        return str(Constraint(typed))
    text = _LEADING.sub("", typed.strip().removesuffix("?"), count=1)
    try:
        read = _with_signs(_read(space, _with_signs(text, _SIGNS)), _EQUALS)
    except RecursionError:
        return typed
    except SpaceError as error:
        raise SpaceError(f"constraint {typed!r}: {error}") from None
    with contextlib.suppress(SpaceError):
        return str(Constraint(read))
    return typed


def typed_sides(space: Mapping[str, Parameter], typed: str) -> tuple[str, str | None]:
    """The two sides of a typed comparison: ``relu vs tanh``; the text and ``None`` for another text.

    The second side may leave out the parameter of the first one: ``units 16 vs 32``.
    """
    parts = _parts(typed.strip().removesuffix("?"), _AGAINST)
    if len(parts) != 2:
        return typed, None
    first, second = (part.strip() for part in parts)
    name = re.match(_names(space), first)
    if name is not None and re.search(_names(space), second) is None:
        second = f"{name[0]} {second}"
    return first, second


def in_language(space: Mapping[str, Parameter], text: str) -> bool:
    """True if a text is a condition on parameters of a space in the language of constraints.

    A part that is a mere number, as in ``units == 8 or 16``, is outside.
    """
    try:
        condition = Constraint(text)
    except SpaceError:
        return False
    joined = [n for n in ast.walk(ast.parse(str(condition), mode="eval")) if isinstance(n, ast.BoolOp)]
    constant = any(isinstance(part, ast.Constant) for node in joined for part in node.values)
    return condition.names <= set(space) and not constant


def _with_signs(text: str, signs: Mapping[str, str]) -> str:
    """Text with signs in place of their patterns, outside quotes."""
    for sign, pattern in signs.items():
        parts = re.split(f"({_QUOTED})", text)
        parts[::2] = [re.sub(pattern, sign, part, flags=re.IGNORECASE) for part in parts[::2]]
        text = "".join(parts)
    return text


def _read(space: Mapping[str, Parameter], text: str) -> str:
    text = text.strip()
    if in_language(space, text):
        return text
    if (read := _clause(space, text)) or (read := _lone_choice(space, text)):
        return read
    for pattern, word in ((_OR, " or "), (_AND, " and ")):
        parts = _parts(text, pattern)
        if len(parts) > 1:
            return word.join(_read(space, part) for part in parts)
    if match := re.fullmatch(r"not\s+(.+)", text, re.IGNORECASE):
        return f"not ({_read(space, match[1])})"
    if text[:1] + text[-1:] == "()":
        return f"({_read(space, text[1:-1])})"
    parts = re.split(rf"\s+(?=(?:{_names(space)})\s*(?:[=<>!:]|(?:in|is)\b))", text)
    if len(parts) > 1:
        return " and ".join(_read(space, part) for part in parts)
    return text


def _names(space: Mapping[str, Parameter]) -> str:
    """A pattern of the names of parameters."""
    names = sorted(space, key=len, reverse=True)
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)"


def _parts(text: str, pattern: str) -> list[str]:
    """Text split at a pattern outside brackets and quotes."""
    parts = [""]
    depth = 0
    for match in re.finditer(rf"{_QUOTED}|({pattern})|.", text, re.IGNORECASE | re.DOTALL):
        depth += (match[0] in "([") - (match[0] in ")]")
        if match[1] and not depth:
            parts.append("")
        else:
            parts[-1] += match[0]
    return parts


def _clause(space: Mapping[str, Parameter], text: str) -> str | None:
    """A condition on one parameter; ``None`` for another text."""
    name = re.match(_names(space), text)
    if name is None:
        return None
    parameter = space[name[0]]
    clause = re.compile(_CLAUSE, re.IGNORECASE).fullmatch(text, name.end())
    if clause is None:
        return None
    values = _values(parameter, clause["value"])
    unequal = bool(clause["unequal"])
    if values is not None and len(values) == 1:
        return f"{name[0]} {'=!'[unequal]}= {values[0]!r}"
    if values is not None:
        return f"{name[0]} {'not ' * unequal}in {values!r}"
    if ends := _ends(clause["value"]):
        return f"{'not ' * unequal}{ends[0]} <= {name[0]} <= {ends[1]}"
    word = re.fullmatch(r"[^\W\d][\w.-]*", clause["value"])
    if word and word[0] not in space and clause["equal"] and isinstance(parameter, Categorical):
        raise SpaceError(f"{name[0]} has no choice {word[0]!r}; {did_you_mean(word[0], parameter.labels)}")
    return None


def _values(parameter: Parameter, text: str) -> list[Any] | None:
    """Typed values of a parameter; ``None`` for another text, for example a range."""
    single = _value(parameter, text)
    if single:
        return single
    if isinstance(parameter, Range) and re.fullmatch(_PAIR, text, re.IGNORECASE):
        return None
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1]
    values = [_value(parameter, part.strip()) for part in _parts(text, rf",|{_OR}")]
    if not all(values):
        return None
    return list(chain.from_iterable(values))


def _value(parameter: Parameter, text: str) -> list[Any]:
    """The value of a text, in a list; empty for a text that is not a value of the parameter."""
    if isinstance(parameter, Categorical):
        by_label = dict(zip(parameter.labels, map(bare, parameter.grid), strict=True))
        alike = [label for label in by_label if label.lower() == text.lower()]
        if text in by_label or len(alike) == 1:
            return [by_label[text if text in by_label else alike[0]]]
    if text.lower() in _CONSTANTS and _CONSTANTS[text.lower()] in parameter.grid:
        return [_CONSTANTS[text.lower()]]
    if re.fullmatch(rf"{_BOUND}|{_QUOTED}", text, re.IGNORECASE):
        return [typed_value(text)]
    return []


def _ends(text: str) -> Sequence[str]:
    """The two ends of a typed range, the smaller first; empty for another text."""
    for pattern in (*_RANGES, _PAIR):
        if match := re.fullmatch(pattern, text, re.IGNORECASE):
            return sorted(match.groups(), key=float)
    return ()


def _lone_choice(space: Mapping[str, Parameter], text: str) -> str | None:
    """The condition of a choice without a parameter; ``None`` for another text.

    Raises:
        SpaceError: Several parameters have the choice.
    """
    if re.fullmatch(_BOUND, text, re.IGNORECASE) or text.lower() in _CONSTANTS:
        return None
    choices = {
        name: _value(parameter, text)
        for name, parameter in space.items()
        if isinstance(parameter, Categorical) and text in parameter.labels
    }
    if len(choices) > 1:
        name = next(iter(choices))
        raise SpaceError(
            f"{text!r} must stand after its parameter, because {join(list(choices))} have this choice; for "
            f"example {name} = {text}"
        )
    for name, values in choices.items():
        return f"{name} == {values[0]!r}"
    return None
